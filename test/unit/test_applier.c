/*
 * test_applier.c
 *	  The applier's turns over plain shared memory: the test plays raft, walwriter, checkpointer and
 * backend.
 *
 * test/unit/test_applier.c
 */
#include "rusd.h"

#include <unistd.h>

#include "applier/applier.h"
#include "cmocka_all.h"
#include "format/entry.h"
#include "ipc/ring.h"
#include "ipc/slot.h"
#include "pagecache/checkpoint.h"
#include "store/range.h"
#include "store/store.h"
#include "wal/recovery.h"
#include "wal/wal.h"

#define MEMBER 77

typedef struct Node
{
	ClockOps clock; /* first: the applier's clock is the test's */
	uint64_t now_ns;
	Shm *shm;
	FileOps *fs;
	Applier *applier;
	WalAppender appender;
	ProposalWriter backend;
	uint32_t slot;
	uint32_t generation;
	uint64_t index;
	char directory[64];
} Node;

static Status
no_wait(PageAccess *access)
{
	(void) access;
	return RUSD_DAMAGED;
}

static uint64_t
clock_now(const ClockOps *self)
{
	return ((const Node *) (const void *) self)->now_ns;
}

static Node *
node_create_sized(uint64_t frames, uint64_t log_bytes)
{
	ShmLayout layout = {.slot_count = PROC_ESSENTIAL_COUNT + 4,
						.wal_buffer_bytes = log_bytes,
						.wal_segment_bytes = 4 * log_bytes,
						.frame_count = frames};
	RootState empty = {.revision = 1,
					   .compacted = -1,
					   .compaction_done = -1,
					   .keys.page = PAGE_NONE,
					   .revisions.page = PAGE_NONE,
					   .system.page = PAGE_NONE};
	Node *node = calloc(1, sizeof(*node));
	PageAccess access;

	assert_non_null(node);
	(void) snprintf(node->directory, sizeof(node->directory), "/tmp/test_applier.XXXXXX");
	assert_non_null(mkdtemp(node->directory));
	node->fs = fs_os_open(node->directory);
	assert_non_null(node->fs);
	assert_int_equal(shm_create(&layout, false, &node->shm), RUSD_OK);
	for (uint32_t slot = 0; slot < PROC_ESSENTIAL_COUNT; slot++)
		slot_occupy(node->shm, slot);
	assert_true(slot_allocate(node->shm, &node->slot));
	node->generation = atomic_load(&node->shm->heads[node->slot].generation);
	proposal_writer_init(&node->backend, node->shm, node->slot);
	shm_root_write(node->shm, &empty);
	*node->shm->recovered = (NodeRecovered){.member_id = MEMBER,
											.replay_position = WAL_HEADER_BYTES,
											.log_end = WAL_HEADER_BYTES,
											.commit_position = WAL_HEADER_BYTES,
											.next_sequence = 1};
	atomic_store(&node->shm->positions->appended, WAL_HEADER_BYTES);
	atomic_store(&node->shm->positions->flushed, WAL_HEADER_BYTES);
	atomic_store(&node->shm->segments->ready_end, 1);
	wal_appender_init(&node->appender, node->shm, WAL_HEADER_BYTES, 0);
	access = (PageAccess){.shm = node->shm,
						  .area = node->shm->areas[PROC_APPLIER],
						  .slot = PROC_APPLIER,
						  .wait = no_wait};
	node->clock = clock_os;
	node->clock.monotonic_ns = clock_now;
	node->now_ns = 1;
	assert_int_equal(applier_create(node->shm, node->fs, &node->clock, access, -1, &node->applier),
					 RUSD_OK);
	return node;
}

static Node *
node_create(void)
{
	return node_create_sized(4000, 1024 * 1024);
}

static void
node_destroy(Node *node)
{
	applier_destroy(node->applier);
	shm_destroy(node->shm);
	fs_os_close(node->fs);
	assert_int_equal(rmdir(node->directory), 0);
	free(node);
}

/* One record in a batch of its own, not committed yet.  Returns the sequence number of its request.
 */
static uint64_t
append(Node *node, uint32_t kind, uint64_t index, const void *body, size_t length, uint32_t flags,
	   uint64_t incarnation)
{
	bool ours = incarnation == node->shm->incarnation;
	EntryHeader header = {.id = {.member_id = MEMBER,
								 .incarnation = incarnation,
								 .sequence = ours ? proposal_begin(&node->backend) : 0,
								 .slot = node->slot,
								 .generation = node->generation},
						  .flags = flags};
	uint32_t total = (uint32_t) (sizeof(header) + length);
	uint8_t *payload;

	assert_int_equal(wal_batch_begin(&node->appender, wal_record_bytes(total)), RUSD_OK);
	payload = wal_batch_add(&node->appender, kind, index, index == 0 ? 0 : 1, total);
	assert_non_null(payload);
	memcpy(payload, &header, sizeof(header));
	if (length > 0)
		memcpy(payload + sizeof(header), body, length);
	(void) wal_batch_end(&node->appender, 0, 0);
	return header.id.sequence;
}

static void
commit(Node *node)
{
	uint64_t end = atomic_load(&node->shm->positions->appended);

	atomic_store(&node->shm->positions->flushed, end);
	atomic_store(&node->shm->positions->committed_by_flush, end);
}

static uint64_t
append_put(Node *node, const char *key, const char *value, uint32_t flags, uint64_t incarnation)
{
	uint64_t body[64];
	OpHeader header = {.kind = OP_PUT};
	uint32_t length =
		op_encode((uint8_t *) body, &header, (Bytes){(const uint8_t *) key, strlen(key)},
				  (Bytes){0}, (Bytes){(const uint8_t *) value, strlen(value)});

	return append(node, ENTRY_PUT, ++node->index, body, length, flags, incarnation);
}

static void
settle(Node *node)
{
	Status status;

	do
		status = applier_step(node->applier);
	while (status == RUSD_OK);
	assert_int_equal(status, RUSD_AGAIN);
}

static bool
latch_is_set(const Node *node, uint32_t slot)
{
	return atomic_load(&node->shm->latches[slot].word) != 0;
}

/* Nothing before it is committed; then root, applied index, answer. */
static void
test_put(void **state)
{
	Node *node = node_create();
	BackendArea *area = node->shm->areas[node->slot];
	PageAccess access = {.shm = node->shm, .area = area, .slot = node->slot, .wait = no_wait};
	uint64_t sequence = append_put(node, "a", "1", 0, node->shm->incarnation);
	Snapshot snapshot;
	RangeItem item;
	Reply reply;

	(void) state;
	settle(node);
	assert_int_equal(atomic_load(&node->shm->positions->applied_index), 0);
	assert_false(reply_take(&node->backend, &reply));
	commit(node);
	settle(node);
	assert_int_equal(atomic_load(&node->shm->positions->applied_index), 1);
	assert_int_equal(atomic_load(&node->shm->positions->applied_position),
					 atomic_load(&node->shm->positions->appended));
	assert_true(latch_is_set(node, node->slot));
	assert_true(reply_take(&node->backend, &reply));
	assert_int_equal(reply.sequence, sequence);
	assert_int_equal(reply.status, RUSD_OK);
	assert_int_equal(reply.revision, 2);
	assert_int_equal(reply.flags, REPLY_CHANGED);
	assert_int_equal(atomic_load(&area->result_pin) & 0xffff, 0);
	assert_int_equal(snapshot_pin(&access, &snapshot), RUSD_OK);
	assert_int_equal(snapshot.root.number, reply.root);
	assert_int_equal(range_get(&snapshot, (Bytes){(const uint8_t *) "a", 1}, 3, 0, &item), RUSD_OK);
	snapshot_unpin(&snapshot);
	/* Answers that are read from the store are pinned; the previous value is there. */
	(void) append_put(node, "a", "2", ENTRY_WANTS_PIN, node->shm->incarnation);
	(void) append_put(node, "a", "3", ENTRY_WANTS_PIN, node->shm->incarnation);
	commit(node);
	settle(node);
	assert_int_equal(atomic_load(&area->result_pin) & 0xffff, 2);
	for (int i = 0; i < 2; i++)
	{
		assert_true(reply_take(&node->backend, &reply));
		assert_int_equal(reply.flags, REPLY_CHANGED | REPLY_PINNED);
		snapshot_of_reply(&access, &reply, &snapshot);
		assert_int_equal(
			range_get(&snapshot, (Bytes){(const uint8_t *) "a", 1}, reply.revision, 0, &item),
			RUSD_OK);
		assert_int_equal(item.mod_revision, reply.revision - 1);
		result_unpin(area);
	}
	node_destroy(node);
}

/* Nobody is answered by mistake: another incarnation, another generation, a dead slot. */
static void
test_identities(void **state)
{
	Node *node = node_create();
	Reply reply;

	(void) state;
	(void) append_put(node, "a", "1", ENTRY_WANTS_PIN, node->shm->incarnation + 1);
	node->generation++;
	(void) append_put(node, "a", "2", ENTRY_WANTS_PIN, node->shm->incarnation);
	node->generation--;
	commit(node);
	settle(node);
	assert_int_equal(atomic_load(&node->shm->positions->applied_index), 2);
	assert_false(reply_take(&node->backend, &reply));
	assert_int_equal(atomic_load(&node->shm->areas[node->slot]->result_pin), 0);
	(void) append_put(node, "a", "3", ENTRY_WANTS_PIN, node->shm->incarnation);
	commit(node);
	slot_mark_dead(node->shm, node->slot);
	settle(node);
	assert_int_equal(atomic_load(&node->shm->positions->applied_index), 3);
	assert_int_equal(atomic_load(&node->shm->areas[node->slot]->result_pin), 0);
	assert_int_equal(atomic_load(&node->shm->applier_acks[node->slot].generation),
					 node->generation);
	node_destroy(node);
}

/* More than a batch, in order, each answered once. */
static void
test_many(void **state)
{
	Node *node = node_create();
	Reply reply;
	uint64_t next = 1;

	(void) state;
	for (int round = 0; round < 12; round++)
	{
		for (int i = 0; i < 200; i++)
		{
			char key[16];

			(void) snprintf(key, sizeof(key), "key%d", i);
			(void) append_put(node, key, "value", 0, node->shm->incarnation);
		}
		commit(node);
		settle(node);
		while (reply_take(&node->backend, &reply))
		{
			assert_int_equal(reply.sequence, next);
			assert_int_equal(reply.revision, next + 1);
			next++;
		}
	}
	assert_int_equal(next, 2401);
	node_destroy(node);
}

/* Who waits for the applied index is woken when it is there, and not before; a spoilt mark costs a
 * tick only. */
static void
test_waiters(void **state)
{
	Node *node = node_create();
	BackendArea *area = node->shm->areas[node->slot];

	(void) state;
	settle(node);
	atomic_store(&area->applied_wanted, 2);
	marks_set(node->shm->applied_marks, node->slot);
	(void) append_put(node, "a", "1", 0, node->shm->incarnation + 1);
	commit(node);
	settle(node);
	assert_false(latch_is_set(node, node->slot));
	(void) append_put(node, "a", "1", 0, node->shm->incarnation + 1);
	commit(node);
	settle(node);
	assert_true(latch_is_set(node, node->slot));
	node_destroy(node);
}

/* What the checkpointer asks for. */
static void
test_hand_over(void **state)
{
	Node *node = node_create();
	CheckpointRoot *handed = node->shm->checkpoint_root;
	EntryMember member = {.member_id = 5, .action = MEMBER_ADD, .is_learner = 1, .max_learners = 1};
	uint8_t body[sizeof(member) + 4] = {0};
	uint64_t pages = 0;

	(void) state;
	memcpy(body, &member, sizeof(member));
	(void) append_put(node, "a", "1", 0, node->shm->incarnation);
	(void) append(node, ENTRY_MEMBER, ++node->index, body, sizeof(body), 0, node->shm->incarnation);
	commit(node);
	settle(node);
	atomic_store(&node->shm->requests->root_wanted, 3);
	settle(node);
	assert_int_equal(atomic_load(&handed->root_given), 3);
	assert_int_equal(handed->root.applied_index, 2);
	assert_int_equal(handed->root.applied_term, 1);
	assert_int_equal(handed->root.revision, 2);
	assert_int_equal(handed->log_position, atomic_load(&node->shm->positions->appended));
	assert_int_equal(handed->hard_state.commit_index, 2);
	assert_int_equal(handed->hard_state.commit_term, 1);
	assert_int_equal(handed->configuration.index, 2);
	assert_int_equal(handed->configuration.member_count, 1);
	assert_int_equal(handed->configuration.members[0].id, 5);
	assert_int_equal(handed->configuration.members[0].is_learner, 1);
	for (uint64_t page = 0; page < handed->bitmap_bits; page++)
		pages += node->shm->checkpoint_bitmap[page / 64] >> (page % 64) & 1;
	assert_int_equal(pages, handed->root.pages_used);
	assert_true(latch_is_set(node, PROC_CHECKPOINTER));
	node_destroy(node);
}

/* COMPACT-5: answered when the removal is done, which takes several turns. */
static void
test_physical_compaction(void **state)
{
	Node *node = node_create();
	EntryCompact compact = {.revision = 1000, .physical = 1};
	uint64_t sequence;
	Reply reply;
	Status status;
	int turns = 0;

	(void) state;
	for (int i = 0; i < 1000; i++)
	{
		(void) append_put(node, "a", "1", 0, node->shm->incarnation + 1);
		commit(node);
		if (i % 100 == 99)
			settle(node);
	}
	sequence = append(node, ENTRY_COMPACT, ++node->index, &compact, sizeof(compact), 0,
					  node->shm->incarnation);
	commit(node);
	for (; !reply_take(&node->backend, &reply); turns++)
	{
		RootState root;

		shm_root_read(node->shm, &root);
		assert_true(root.compaction_done < 1000);
		status = applier_step(node->applier);
		assert_int_equal(status, RUSD_OK);
	}
	assert_in_range(turns, 5, 100);
	assert_int_equal(reply.sequence, sequence);
	assert_int_equal(reply.status, RUSD_OK);
	node_destroy(node);
}

/* Plays the checkpointer: takes the root and finishes what was asked for. */
static void
finish_checkpoint(Node *node)
{
	ShmRequests *requests = node->shm->requests;
	uint64_t wanted = atomic_load(&requests->checkpoint_wanted);

	atomic_fetch_add(&requests->root_wanted, 1);
	settle(node);
	atomic_store(&node->shm->positions->durable_root, node->shm->checkpoint_root->root.number);
	atomic_store(&requests->checkpoint_done, wanted);
}

/* MAINT-21: a checkpoint, moving, a checkpoint, the answer; writes are answered meanwhile. */
static void
test_defragment(void **state)
{
	Node *node = node_create();
	uint64_t sequence;
	Reply reply;
	int checkpoints = 0;

	(void) state;
	for (int i = 0; i < 500; i++)
		(void) append_put(node, i % 2 ? "a" : "b", "1", 0, node->shm->incarnation + 1);
	/* Of another incarnation: replayed, and nothing is done. */
	(void) append(node, ENTRY_DEFRAGMENT, 0, NULL, 0, 0, node->shm->incarnation + 1);
	commit(node);
	settle(node);
	assert_int_equal(atomic_load(&node->shm->requests->checkpoint_wanted), 0);
	sequence = append(node, ENTRY_DEFRAGMENT, 0, NULL, 0, 0, node->shm->incarnation);
	commit(node);
	settle(node);
	assert_false(reply_take(&node->backend, &reply));
	(void) append_put(node, "c", "1", 0, node->shm->incarnation);
	commit(node);
	settle(node);
	assert_true(reply_take(&node->backend, &reply));
	assert_int_equal(reply.sequence, sequence + 1);
	for (; !reply_take(&node->backend, &reply); checkpoints++)
	{
		assert_in_range(checkpoints, 0, 10);
		finish_checkpoint(node);
		settle(node);
	}
	assert_in_range(checkpoints, 2, 10);
	assert_int_equal(reply.sequence, sequence);
	assert_int_equal(reply.status, RUSD_OK);
	node_destroy(node);
}

/* A checkpoint that is not to be had ends it, at its begin or later, with an error. */
static void
test_defragment_without_room(void **state)
{
	(void) state;
	for (int good = 0; good < 2; good++)
	{
		Node *node = node_create();
		ShmRequests *requests = node->shm->requests;
		uint64_t sequence;
		Reply reply;

		for (int i = 0; i < 500; i++)
			(void) append_put(node, i % 2 ? "a" : "b", "1", 0, node->shm->incarnation + 1);
		sequence = append(node, ENTRY_DEFRAGMENT, 0, NULL, 0, 0, node->shm->incarnation);
		commit(node);
		settle(node);
		for (int i = 0; i < good; i++)
		{
			finish_checkpoint(node);
			settle(node);
		}
		assert_false(reply_take(&node->backend, &reply));
		atomic_store(&requests->checkpoint_failed, atomic_load(&requests->checkpoint_wanted));
		settle(node);
		assert_true(reply_take(&node->backend, &reply));
		assert_int_equal(reply.sequence, sequence);
		assert_int_equal(reply.status, RUSD_NOSPACE);
		/* Another time it may be had. */
		sequence = append(node, ENTRY_DEFRAGMENT, 0, NULL, 0, 0, node->shm->incarnation);
		commit(node);
		settle(node);
		for (int i = 0; !reply_take(&node->backend, &reply); i++)
		{
			assert_in_range(i, 0, 10);
			finish_checkpoint(node);
			settle(node);
		}
		assert_int_equal(reply.sequence, sequence);
		assert_int_equal(reply.status, RUSD_OK);
		node_destroy(node);
	}
}

/* A gap in the log is damage, and nothing of it is applied. */
static void
test_gap(void **state)
{
	Node *node = node_create();

	(void) state;
	node->index = 1;
	(void) append_put(node, "a", "1", 0, node->shm->incarnation);
	commit(node);
	assert_int_equal(applier_step(node->applier), RUSD_DAMAGED);
	assert_int_equal(atomic_load(&node->shm->positions->applied_index), 0);
	node_destroy(node);
}

static void
append_large(Node *node, const char *key, size_t value_length, uint16_t flags)
{
	OpHeader header = {.kind = OP_PUT, .flags = flags};
	Bytes name = {(const uint8_t *) key, strlen(key)};
	uint8_t *value = calloc(1, value_length + 1);
	uint32_t length = op_encode(NULL, &header, name, (Bytes){0}, (Bytes){value, value_length});
	uint8_t *body = calloc(1, length);

	assert_true(value != NULL && body != NULL);
	(void) op_encode(body, &header, name, (Bytes){0}, (Bytes){value, value_length});
	(void) append(node, ENTRY_PUT, ++node->index, body, length, 0, node->shm->incarnation + 1);
	free(body);
	free(value);
}

static uint64_t
frames_free(const Node *node)
{
	RootState root;

	shm_root_read(node->shm, &root);
	return root.frames_free;
}

static uint64_t
checkpoints_wanted(const Node *node)
{
	return atomic_load(&node->shm->requests->checkpoint_wanted);
}

/* Turns of the applier and of a checkpointer, until the index is applied.  Returns how many
 * checkpoints that took. */
static int
apply_up_to(Node *node, uint64_t index)
{
	int checkpoints = 0;

	for (;;)
	{
		settle(node);
		if (atomic_load(&node->shm->positions->applied_index) >= index)
			return checkpoints;
		/* It waits for nothing that nobody brings. */
		assert_true(checkpoints_wanted(node) > atomic_load(&node->shm->requests->checkpoint_done));
		assert_in_range(++checkpoints, 1, 1000);
		finish_checkpoint(node);
	}
}

/* All of the log is committed when it is replayed: far more than the cache holds at once. */
static void
test_replay_waits_for_frames(void **state)
{
	Node *node = node_create_sized(300, 16 * 1024 * 1024);
	Reply reply;

	(void) state;
	for (int i = 0; i < 60; i++)
	{
		append_large(node, "k", 200000, 0);
		if (i % 2 == 1)
		{
			EntryCompact compact = {.revision = i + 2};

			(void) append(node, ENTRY_COMPACT, ++node->index, &compact, sizeof(compact), 0,
						  node->shm->incarnation + 1);
		}
	}
	/* Up to a checkpoint, which holds what it reaches until there is another. */
	commit(node);
	assert_int_equal(applier_step(node->applier), RUSD_OK);
	atomic_fetch_add(&node->shm->requests->root_wanted, 1);
	assert_int_equal(applier_step(node->applier), RUSD_OK);
	atomic_store(&node->shm->positions->durable_root, node->shm->checkpoint_root->root.number);
	assert_in_range(apply_up_to(node, node->index), 1, 100);
	/* Nothing that was held is lost, nothing applied twice. */
	(void) append_put(node, "a", "1", 0, node->shm->incarnation);
	commit(node);
	(void) apply_up_to(node, node->index);
	assert_true(reply_take(&node->backend, &reply));
	assert_int_equal(reply.revision, 62);
	node_destroy(node);
}

/* What was reserved by an older state: small when it was proposed, large when it is applied. */
static void
test_kept_values_wait_for_frames(void **state)
{
	Node *node = node_create_sized(350, 16 * 1024 * 1024);
	uint64_t position;
	uint64_t kept;

	(void) state;
	append_large(node, "k", 1, 0);
	append_large(node, "k", 400000, 0);
	for (int i = 0; i < 4; i++)
		append_large(node, "k", 0, OP_IGNORE_VALUE);
	commit(node);
	assert_int_equal(apply_up_to(node, node->index), 0);
	finish_checkpoint(node);
	/* The next does not fit; a compaction that has been applied before it makes room. */
	(void) append(node, ENTRY_COMPACT, ++node->index, &(EntryCompact){.revision = 7},
				  sizeof(EntryCompact), 0, node->shm->incarnation + 1);
	position = atomic_load(&node->shm->positions->appended);
	kept = node->index;
	for (int i = 0; i < 3; i++)
		append_large(node, "k", 0, OP_IGNORE_VALUE);
	commit(node);
	settle(node);
	assert_in_range(atomic_load(&node->shm->positions->applied_index), kept, kept + 2);
	/* The entry that waits is still in the buffers: their bytes are not given up. */
	assert_in_range(atomic_load(&node->shm->positions->applied_position), position - 4096,
					atomic_load(&node->shm->positions->appended) - 1);
	assert_in_range(apply_up_to(node, node->index), 1, 10);
	node_destroy(node);
}

/* The need is known from above only: with nothing left to wait for it is tried, and fits. */
static void
test_nothing_to_wait_for(void **state)
{
	Node *node = node_create_sized(300, 16 * 1024 * 1024);
	int i;

	(void) state;
	for (i = 0; frames_free(node) > 12; i++)
	{
		char key[16];

		(void) snprintf(key, sizeof(key), "key%d", i);
		append_large(node, key, 7000, 0);
		commit(node);
		(void) apply_up_to(node, node->index);
		finish_checkpoint(node);
		atomic_store(&node->shm->requests->frames_wanted, 299);
		settle(node);
		atomic_store(&node->shm->requests->frames_wanted, 0);
	}
	(void) append_put(node, "key0", "small", 0, node->shm->incarnation + 1);
	commit(node);
	(void) apply_up_to(node, node->index);
	node_destroy(node);
}

/* With nothing to be given back, however many frames are wanted, nobody is asked for anything. */
static void
test_no_needless_checkpoints(void **state)
{
	Node *node = node_create();
	uint64_t wanted;

	(void) state;
	(void) append_put(node, "a", "1", 0, node->shm->incarnation + 1);
	(void) append_put(node, "a", "2", 0, node->shm->incarnation + 1);
	commit(node);
	settle(node);
	atomic_store(&node->shm->requests->frames_wanted, 4000);
	settle(node);
	finish_checkpoint(node);
	settle(node);
	wanted = checkpoints_wanted(node);
	for (int i = 0; i < 5; i++)
	{
		finish_checkpoint(node);
		settle(node);
	}
	assert_int_equal(checkpoints_wanted(node), wanted);
	node_destroy(node);
}

static uint64_t
name_of(const Node *node)
{
	return (uint64_t) node->slot << 32 | node->generation;
}

static void
pass_time(Node *node, int seconds)
{
	for (int i = 0; i < 10 * seconds; i++)
	{
		node->now_ns += UINT64_C(100000000);
		settle(node);
	}
}

/* Who holds what others want, and does not let go for seconds, is named; nobody else is, and nobody
 * while there is room. */
static void
test_holders_are_named(void **state)
{
	for (int by_result = 0; by_result < 2; by_result++)
	{
		Node *node = node_create();
		BackendArea *area = node->shm->areas[node->slot];
		_Atomic uint64_t *named = &node->shm->requests->backend_to_kill;
		uint32_t other;
		RootState root;

		(void) state;
		assert_true(slot_allocate(node->shm, &other));
		if (by_result)
			atomic_store(&area->result_pin, UINT64_C(1) << 16 | 1);
		else
			atomic_store(&area->snapshot_pins[3], 1);
		for (int i = 0; i < 5; i++)
		{
			(void) append_put(node, "a", "1", 0, node->shm->incarnation + 1);
			commit(node);
			settle(node);
		}
		shm_root_read(node->shm, &root);
		atomic_store(&node->shm->areas[other]->snapshot_pins[0], root.number);
		atomic_store(&node->shm->areas[other]->result_pin, root.number << 16 | 1);
		pass_time(node, 20);
		assert_int_equal(atomic_load(named), 0);
		atomic_store(&node->shm->requests->frames_wanted, 4000);
		settle(node);
		if (!by_result)
		{
			/* An ended snapshot has its time. */
			pass_time(node, 2);
			assert_int_equal(atomic_load(named), 0);
		}
		pass_time(node, 7);
		assert_int_equal(atomic_load(named), name_of(node));
		/* Killed: the word is empty again. */
		slot_mark_dead(node->shm, node->slot);
		settle(node);
		assert_int_equal(atomic_load(named), 0);
		node_destroy(node);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_identities),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_waiters),
		cmocka_unit_test(test_hand_over),
		cmocka_unit_test(test_physical_compaction),
		cmocka_unit_test(test_defragment),
		cmocka_unit_test(test_defragment_without_room),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_replay_waits_for_frames),
		cmocka_unit_test(test_kept_values_wait_for_frames),
		cmocka_unit_test(test_nothing_to_wait_for),
		cmocka_unit_test(test_no_needless_checkpoints),
		cmocka_unit_test(test_holders_are_named),
	};

	return cmocka_run_group_tests_name("applier", tests, NULL, NULL);
}
