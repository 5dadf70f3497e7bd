/*
 * slot.c
 *	  The life of process slots.  Postmaster; raft and applier for the acknowledgement.
 *
 * Order of stores.  slot_allocate raises the generation before it stores LIVE (release): whoever
 * sees LIVE sees the new generation.  A consumer puts its ends of the rings back before it stores
 * its acknowledgement (release); the postmaster loads both acknowledgements (acquire) before it
 * clears the area and stores FREE.  So a new owner finds both ends of all its rings at 0.
 *
 * src/backend/ipc/slot.c
 */
#include "rusd.h"

#include "ipc/link.h"
#include "ipc/slot.h"
#include "port/clock.h"

static SlotState state_of(const Shm *shm, uint32_t slot);
static void begin_life(Shm *shm, uint32_t slot, LinkKind link, uint64_t member_id);
static void clear_area(Shm *shm, uint32_t slot);

static SlotState
state_of(const Shm *shm, uint32_t slot)
{
	return atomic_load_explicit(&shm->heads[slot].state, memory_order_acquire);
}

static void
begin_life(Shm *shm, uint32_t slot, LinkKind link, uint64_t member_id)
{
	SlotHead *head = &shm->heads[slot];
	uint32_t generation = atomic_load_explicit(&head->generation, memory_order_relaxed) + 1;

	if (generation == 0) /* 0 is nobody's: acknowledgements begin with it */
		generation = 1;
	atomic_store_explicit(&head->pid, 0, memory_order_relaxed);
	atomic_store_explicit(&head->link, link, memory_order_relaxed);
	atomic_store_explicit(&head->member_id, member_id, memory_order_relaxed);
	atomic_store_explicit(&head->started_ns, clock_os.wall_ns(&clock_os), memory_order_relaxed);
	atomic_store_explicit(&head->generation, generation, memory_order_relaxed);
	atomic_store_explicit(&head->state, SLOT_LIVE, memory_order_release);
}

static bool
allocate_below(Shm *shm, uint32_t end, uint32_t *slot)
{
	/* The lowest: marks and slots in use stay close together. */
	for (uint32_t i = shm_first_backend(&shm->layout); i < end; i++)
		if (state_of(shm, i) == SLOT_FREE)
		{
			begin_life(shm, i, LINK_NONE, 0);
			*slot = i;
			return true;
		}
	return false;
}

bool
slot_allocate(Shm *shm, uint32_t *slot)
{
	return allocate_below(shm, shm->layout.slot_count - shm->layout.local_slots, slot);
}

bool
slot_allocate_local(Shm *shm, uint32_t *slot)
{
	return allocate_below(shm, shm->layout.slot_count, slot);
}

bool
slot_allocate_link(Shm *shm, LinkKind link, uint64_t member_id, uint32_t *slot)
{
	for (uint32_t i = PROC_ESSENTIAL_COUNT; i < shm_first_backend(&shm->layout); i++)
		if (state_of(shm, i) == SLOT_FREE)
		{
			begin_life(shm, i, link, member_id);
			atomic_fetch_add_explicit(&shm->requests->links_made, 1, memory_order_release);
			*slot = i;
			return true;
		}
	return false;
}

void
slot_occupy(Shm *shm, uint32_t slot)
{
	Check(slot < PROC_ESSENTIAL_COUNT);
	begin_life(shm, slot, LINK_NONE, 0);
}

void
slot_set_pid(Shm *shm, uint32_t slot, pid_t pid)
{
	atomic_store_explicit(&shm->heads[slot].pid, pid, memory_order_release);
}

void
slot_mark_dead(Shm *shm, uint32_t slot)
{
	Check(state_of(shm, slot) == SLOT_LIVE);
	atomic_store_explicit(&shm->heads[slot].pid, 0, memory_order_relaxed);
	atomic_store_explicit(&shm->heads[slot].state, SLOT_DEAD, memory_order_release);
	atomic_fetch_add_explicit(&shm->requests->slots_died, 1, memory_order_release);
	latch_set(&shm->latches[PROC_RAFT]);
	latch_set(&shm->latches[PROC_APPLIER]);
}

bool
slot_try_free(Shm *shm, uint32_t slot)
{
	uint32_t generation;

	if (state_of(shm, slot) != SLOT_DEAD)
		return false;
	generation = atomic_load_explicit(&shm->heads[slot].generation, memory_order_relaxed);
	if (atomic_load_explicit(&shm->raft_acks[slot].generation, memory_order_acquire) !=
			generation ||
		atomic_load_explicit(&shm->applier_acks[slot].generation, memory_order_acquire) !=
			generation)
		return false;
	clear_area(shm, slot);
	atomic_store_explicit(&shm->heads[slot].state, SLOT_FREE, memory_order_release);
	return true;
}

uint32_t
slot_free_dead(Shm *shm)
{
	uint32_t freed = 0;

	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm->layout.slot_count; slot++)
		if (slot_try_free(shm, slot))
			freed++;
	return freed;
}

/* The place of that member, or a free one; NULL: none is left, and what was counted is lost. */
static EndedPeer *
ended_peer(Shm *shm, uint64_t member_id)
{
	for (int i = 0; i < ENDED_PEERS; i++)
	{
		EndedPeer *peer = &shm->ended_peers[i];
		uint64_t found = atomic_load_explicit(&peer->member_id, memory_order_relaxed);

		if (found == 0)
			atomic_store_explicit(&peer->member_id, member_id, memory_order_relaxed);
		if (found == 0 || found == member_id)
			return peer;
	}
	return NULL;
}

static void
keep_peer_counters(Shm *shm, const BackendArea *area)
{
	uint64_t member_id = atomic_load_explicit(&area->counted_member, memory_order_relaxed);
	EndedPeer *peer = member_id == 0 ? NULL : ended_peer(shm, member_id);

	for (int i = 0; peer != NULL && i < PEER_COUNTERS; i++)
		atomic_fetch_add_explicit(
			&peer->counters[i], atomic_load_explicit(&area->peer_counters[i], memory_order_relaxed),
			memory_order_relaxed);
}

/*
 * All but the bytes of the proposal ring, which mean nothing while both its ends are 0: so a slot
 * that never had a large proposal never takes the memory for one.  (A hole cannot be punched: the
 * seal forbids it.)  Counters are what a backend wrote; a hostile one can spoil sums, and no more.
 */
static void
clear_area(Shm *shm, uint32_t slot)
{
	BackendArea *area = shm->areas[slot];

	for (int i = 0; i < SLOT_COUNTERS; i++)
	{
		uint64_t counted = atomic_load_explicit(&area->counters[i], memory_order_relaxed);

		if (counted != 0)
			atomic_fetch_add_explicit(&shm->ended_counters[i], counted, memory_order_relaxed);
	}
	keep_peer_counters(shm, area);
	memset(area, 0, offsetof(BackendArea, proposals));
}

void
slot_acknowledge_dead(Shm *shm, SlotAck *acks, uint32_t *seen,
					  void (*dropped)(void *arg, uint32_t slot), void *arg)
{
	uint32_t died = atomic_load_explicit(&shm->requests->slots_died, memory_order_acquire);

	if (died == *seen)
		return;
	*seen = died;
	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm->layout.slot_count; slot++)
	{
		uint32_t generation;

		if (state_of(shm, slot) != SLOT_DEAD)
			continue;
		generation = atomic_load_explicit(&shm->heads[slot].generation, memory_order_relaxed);
		if (atomic_load_explicit(&acks[slot].generation, memory_order_relaxed) == generation)
			continue;
		if (dropped != NULL)
			dropped(arg, slot);
		if (acks == shm->raft_acks)
		{
			atomic_store_explicit(&shm->proposal_tails[slot * (CACHE_LINE / sizeof(uint64_t))], 0,
								  memory_order_relaxed);
			atomic_store_explicit(&shm->raft_replies[slot].head, 0, memory_order_relaxed);
			if (shm_is_link(&shm->layout, slot))
				link_forget(shm, slot);
		}
		else
			atomic_store_explicit(&shm->applier_replies[slot].head, 0, memory_order_relaxed);
		atomic_store_explicit(&acks[slot].generation, generation, memory_order_release);
	}
}
