/*
 * answers.c
 *	  Answers to backends and wakes of waiters.  Process applier.
 *
 * An answer says what is visible: so the order is pins, root, applied, answers [applier-1].  A
 * result pin is taken before the root that it names is published, for once it is, the next
 * publication may already let its pages be reused.
 *
 * src/backend/applier/answers.c
 */
#include "rusd.h"

#include "applier_int.h"
#include "ipc/ring.h"
#include "ipc/slot.h"
#include "wal/recovery.h"

bool
request_is_ours(const Applier *applier, const RequestId *id)
{
	const Shm *shm = applier->shm;

	return id->member_id == shm->recovered->member_id && id->incarnation == shm->incarnation &&
		   id->slot >= PROC_ESSENTIAL_COUNT && id->slot < shm->layout.slot_count &&
		   slot_is_live(shm, id->slot, id->generation);
}

void
later_add(Applier *applier, uint32_t slot, const Reply *reply, int64_t compaction)
{
	if (applier->later_count == applier->later_capacity)
	{
		uint32_t capacity = Max(2 * applier->later_capacity, 64);
		Later *later = realloc(applier->later, capacity * sizeof(Later));

		Check(later != NULL);
		applier->later = later;
		applier->later_capacity = capacity;
	}
	applier->later[applier->later_count++] =
		(Later){.slot = slot, .compaction = compaction, .reply = *reply};
}

void
answer_add(Applier *applier, const EntryHeader *header, const ApplyResult *result)
{
	Reply reply = {.sequence = header->id.sequence,
				   .generation = header->id.generation,
				   .status = (uint32_t) result->status,
				   .revision = result->revision,
				   .value = result->value};

	if (!request_is_ours(applier, &header->id))
		return;
	if (result->changed)
		reply.flags |= REPLY_CHANGED;
	if (result->over_quota)
		reply.flags |= REPLY_OVER_QUOTA;
	if (result->deferred)
	{
		later_add(applier, header->id.slot, &reply, (int64_t) result->value);
		return;
	}
	applier->answers[applier->answer_count++] =
		(Answer){.slot = header->id.slot,
				 .wants_pin = (header->flags & ENTRY_WANTS_PIN) != 0 && result->status == RUSD_OK,
				 .reply = reply};
}

void
answers_pin(Applier *applier)
{
	uint64_t root = store_next_root(applier->store);

	for (uint32_t i = 0; i < applier->answer_count; i++)
	{
		Answer *answer = &applier->answers[i];

		/* A slot that has died meanwhile is acknowledged in a later turn, so its area is this
		 * owner's still. */
		if (!answer->wants_pin ||
			!slot_is_live(applier->shm, answer->slot, answer->reply.generation))
			continue;
		result_pin(applier->shm->areas[answer->slot], root);
		answer->reply.flags |= REPLY_PINNED;
	}
}

void
answers_send(Applier *applier)
{
	const RootState *root = store_root(applier->store);

	for (uint32_t i = 0; i < applier->answer_count; i++)
	{
		Answer *answer = &applier->answers[i];

		answer->reply.root = root->number;
		answer->reply.keys_page = root->keys.page;
		answer->reply.keys_birth = root->keys.birth;
		reply_put(applier->shm, applier->shm->applier_replies, answer->slot, &answer->reply);
	}
	/* After all of them: raft takes ring by ring, so answers to one slot mostly stand together. */
	for (uint32_t i = 0; i < applier->answer_count; i++)
	{
		if (i == 0 || applier->answers[i].slot != applier->answers[i - 1].slot)
			reply_wake(applier->shm, applier->answers[i].slot);
	}
	applier->answer_count = 0;
}

void
later_fail(Applier *applier, Status status)
{
	for (uint32_t i = 0; i < applier->later_count; i++)
		if (applier->later[i].compaction == INT64_MAX)
			applier->later[i].reply.status = (uint32_t) status;
}

void
later_send(Applier *applier, int64_t done)
{
	const RootState *root = store_root(applier->store);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < applier->later_count; i++)
	{
		Later *later = &applier->later[i];
		bool is_compaction = later->compaction != INT64_MAX;
		bool due = done == INT64_MAX ? !is_compaction : is_compaction && later->compaction <= done;

		if (later->dropped)
			continue;
		if (!due)
		{
			applier->later[kept++] = *later;
			continue;
		}
		later->reply.root = root->number;
		later->reply.keys_page = root->keys.page;
		later->reply.keys_birth = root->keys.birth;
		reply_put(applier->shm, applier->shm->applier_replies, later->slot, &later->reply);
		reply_wake(applier->shm, later->slot);
	}
	applier->later_count = kept;
}

static void
drop_slot(void *arg, uint32_t slot)
{
	Applier *applier = arg;

	for (uint32_t i = 0; i < applier->later_count; i++)
		applier->later[i].dropped |= applier->later[i].slot == slot;
}

void
slots_forget_dead(Applier *applier)
{
	slot_acknowledge_dead(applier->shm, applier->shm->applier_acks, &applier->deaths_seen,
						  drop_slot, applier);
}

static void
wake_if_reached(Applier *applier, uint32_t slot, uint64_t applied)
{
	Shm *shm = applier->shm;
	uint64_t wanted;

	if (slot >= shm->layout.slot_count ||
		atomic_load_explicit(&shm->heads[slot].state, memory_order_relaxed) != SLOT_LIVE)
		return;
	wanted = atomic_load_explicit(&shm->areas[slot]->applied_wanted, memory_order_seq_cst);
	if (wanted == 0)
		return;
	if (wanted <= applied)
		latch_set(&shm->latches[slot]);
	else
		marks_set(shm->applied_marks, slot);
}

/*
 * A waiter stores what it wants, sets its mark, and then looks at the applied index once more; we
 * have stored the applied index before we look at marks, both sequentially consistent: one of the
 * two sees the other.
 */
void
waiters_wake(Applier *applier, bool all)
{
	Shm *shm = applier->shm;
	uint64_t applied = atomic_load_explicit(&shm->positions->applied_index, memory_order_relaxed);
	uint64_t marked[MARK_WORDS];
	uint32_t words = 0;
	uint32_t word = 0;
	uint64_t bits;

	atomic_thread_fence(memory_order_seq_cst);
	memset(marked, 0, sizeof(marked));
	for (; marks_take(shm->applied_marks, &word, &bits); word++)
	{
		marked[word] = bits;
		words = word + 1;
	}
	for (word = 0; word < words; word++)
	{
		for (bits = marked[word]; bits != 0; bits &= bits - 1)
			wake_if_reached(applier, word * 64 + (uint32_t) __builtin_ctzll(bits), applied);
	}
	if (!all)
		return;
	/* Marks can be spoilt by a backend; this only costs the others a tick. */
	for (uint32_t slot = 0; slot < shm->layout.slot_count; slot++)
		wake_if_reached(applier, slot, applied);
}
