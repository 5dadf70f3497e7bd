/*
 * test_snapshot.c
 *	  A state snapshot is sent, received and installed: by the parts of two nodes, each on a disk whose
 *	  power can fail in any call.  The test plays raft, backends and the transfer between them.
 *
 * test/unit/test_snapshot.c
 */
#include "rusd.h"

#include "../sim/simdisk.h"
#include "applier/applier.h"
#include "btree/btree.h"
#include "cmocka_all.h"
#include "format/entry.h"
#include "ipc/slot.h"
#include "pagecache/checkpoint.h"
#include "port/crc32c.h"
#include "snapshot/snapshot.h"
#include "startup/startup.h"
#include "store/store.h"
#include "utils/log.h"
#include "wal/wal.h"

#define CLUSTER 0xc1
#define FRAMES 768
#define SEGMENT_BYTES (64 * 1024)
#define CHUNK_BYTES (40 * 1024)
#define SECOND UINT64_C(1000000000)
#define TERM 3

typedef struct Node
{
	ClockOps clock; /* first: the parts' clock is the test's */
	uint64_t now_ns;
	SimDisk *disk;
	FileOps *fs;
	Shm *shm;
	WalWriter *writer;
	Pager *pager;
	Applier *applier;
	Checkpointer *checkpointer;
	WalAppender appender;
	PageAccess reader; /* a backend */
	PageAccess transfer;
	uint64_t index; /* of the log */
	uint64_t order;
	bool flushes; /* walwriter runs */
} Node;

/* ---- a node ----------------------------------------------------------------- */

static uint64_t
clock_now(const ClockOps *self)
{
	return ((const Node *) (const void *) self)->now_ns;
}

static Status
wait_for_pager(PageAccess *access)
{
	Node *node = access->arg;

	(void) pager_step(node->pager);
	return node->disk->is_cut ? RUSD_IO : RUSD_OK;
}

static PageAccess
access_of(Node *node, uint32_t slot)
{
	return (PageAccess){.shm = node->shm,
						.area = node->shm->areas[slot],
						.slot = slot,
						.wait = wait_for_pager,
						.arg = node};
}

static void
node_stop(Node *node)
{
	if (node->writer != NULL)
		wal_writer_destroy(node->writer);
	applier_destroy(node->applier);
	checkpointer_destroy(node->checkpointer);
	pager_destroy(node->pager);
	if (node->shm != NULL)
		shm_destroy(node->shm);
	node->writer = NULL;
	node->applier = NULL;
	node->checkpointer = NULL;
	node->pager = NULL;
	node->shm = NULL;
}

/* Makes a new member or recovers what is on the disk. */
static Status
node_start_frames(Node *node, SimDisk *disk, uint64_t member, uint64_t frames)
{
	ShmLayout layout = {.slot_count = PROC_ESSENTIAL_COUNT + 2,
						.wal_buffer_bytes = 512 * 1024,
						.wal_segment_bytes = SEGMENT_BYTES,
						.frame_count = frames};
	NodeBootstrap bootstrap = {.cluster_id = CLUSTER, .member_id = member};
	char message[256] = "";
	uint32_t slot;
	Status status;

	*node = (Node){.clock = {.monotonic_ns = clock_now, .wall_ns = clock_now},
				   .now_ns = SECOND,
				   .disk = disk,
				   .fs = &disk->ops,
				   .flushes = true};
	assert_int_equal(shm_create(&layout, false, &node->shm), RUSD_OK);
	status = node_start(node->shm, node->fs, &bootstrap, message, sizeof(message));
	if (status != RUSD_OK && !disk->is_cut)
		fail_msg("the node does not start: %s", message);
	for (slot = 0; slot < PROC_ESSENTIAL_COUNT; slot++)
		slot_occupy(node->shm, slot);
	assert_true(slot_allocate(node->shm, &slot));
	node->reader = access_of(node, slot);
	assert_true(slot_allocate(node->shm, &slot));
	node->transfer = access_of(node, slot);
	if (status == RUSD_OK)
		status = wal_writer_create(node->shm, node->fs, &node->clock, false, 0, &node->writer);
	if (status == RUSD_OK)
		status = pager_create(node->shm, node->fs, tree_page_is_sane, &node->pager);
	if (status == RUSD_OK)
		status = applier_create(node->shm, node->fs, &node->clock, access_of(node, PROC_APPLIER),
								-1, &node->applier);
	if (status == RUSD_OK)
		status = checkpointer_create(node->shm, node->fs, &node->clock, 3600 * SECOND, UINT64_MAX,
									 &node->checkpointer);
	if (status != RUSD_OK)
	{
		assert_true(disk->is_cut);
		return status;
	}
	checkpointer_reserve(node->checkpointer, 16);
	wal_appender_init(&node->appender, node->shm, node->shm->recovered->log_end,
					  node->shm->recovered->previous_crc);
	node->index = node->shm->recovered->last_index;
	return RUSD_OK;
}

static Status
node_begin(Node *node, SimDisk *disk, uint64_t member)
{
	return node_start_frames(node, disk, member, FRAMES);
}

static bool
is_failure(Status status)
{
	return status != RUSD_OK && status != RUSD_AGAIN;
}

/* One turn of each part. */
static Status
node_turn(Node *node, bool *did)
{
	Status status = node->flushes ? wal_writer_step(node->writer) : RUSD_AGAIN;

	*did |= status == RUSD_OK;
	if (!is_failure(status))
		status = applier_step(node->applier);
	*did |= status == RUSD_OK;
	if (!is_failure(status))
		status = checkpointer_step(node->checkpointer);
	*did |= status == RUSD_OK;
	if (!is_failure(status))
		status = pager_step(node->pager);
	*did |= status == RUSD_OK;
	return is_failure(status) ? status : RUSD_OK;
}

/* Until nothing is left to be done. */
static Status
settle(Node *node)
{
	for (int turns = 0; turns < 10000; turns++)
	{
		bool did = false;
		Status status = node_turn(node, &did);

		if (status != RUSD_OK || !did)
			return status;
		node->now_ns += 1000000;
	}
	fail_msg("the node does not come to rest");
	return RUSD_INVALID;
}

static Status
append(Node *node, uint32_t kind, uint64_t index, const void *payload, uint32_t length)
{
	uint8_t *place;
	Status status;

	for (int turns = 0;
		 (status = wal_batch_begin(&node->appender, wal_record_bytes(length))) == RUSD_AGAIN;
		 turns++)
	{
		bool did = false;

		assert_true(turns < 1000);
		/* The next segment is prepared while the log is idle. */
		node->now_ns += SECOND / 10;
		status = node_turn(node, &did);
		if (status != RUSD_OK)
			return status;
	}
	assert_int_equal(status, RUSD_OK);
	place = wal_batch_add(&node->appender, kind, index, index == 0 ? 0 : TERM, length);
	assert_non_null(place);
	memcpy(place, payload, length);
	(void) wal_batch_end(&node->appender, 0, 0);
	return RUSD_OK;
}

/* All that is in the log. */
static Status
commit(Node *node)
{
	Status status = settle(node);

	atomic_store(&node->shm->positions->committed_by_peers,
				 atomic_load(&node->shm->positions->appended));
	return status == RUSD_OK ? settle(node) : status;
}

static Status
append_entry(Node *node, uint32_t kind, const void *body, size_t length)
{
	static uint8_t payload[32 * 1024];
	EntryHeader header = {.flags = 0};

	assert_true(sizeof(header) + length <= sizeof(payload));
	memcpy(payload, &header, sizeof(header));
	memcpy(payload + sizeof(header), body, length);
	return append(node, kind, ++node->index, payload, (uint32_t) (sizeof(header) + length));
}

static Status
put(Node *node, uint64_t key, uint64_t value, size_t length)
{
	static uint64_t body[2048];
	char name[2000];
	OpHeader header = {.kind = OP_PUT};
	static uint8_t bytes[8192];
	uint32_t total;

	/* Some keys are long enough for overflow pages of their own. */
	memset(name, 'k', sizeof(name));
	(void) snprintf(name, sizeof(name), "key/%" PRIu64, key);
	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t) (value * 31 + i * 7 + i / 256);
	total = op_encode((uint8_t *) body, &header,
					  (Bytes){(const uint8_t *) name, key % 17 == 3 ? 1500 : strlen(name)},
					  (Bytes){0}, (Bytes){bytes, length});
	return append_entry(node, ENTRY_PUT, body, total);
}

static Status
put_many(Node *node, uint64_t from, uint64_t to, uint64_t seed)
{
	Status status = RUSD_OK;

	for (uint64_t i = from; i < to && status == RUSD_OK; i++)
		status = put(node, i % 60, i + seed, i % 13 == 5 ? 7000 : 20 + i % 300);
	return status;
}

static void
add_member(Node *node, uint64_t id, uint64_t judged_at)
{
	EntryMember member = {
		.member_id = id, .action = MEMBER_ADD, .max_learners = 1, .judged_at = judged_at};
	uint8_t body[sizeof(member) + 4] = {0};

	memcpy(body, &member, sizeof(member));
	assert_int_equal(append_entry(node, ENTRY_MEMBER, body, sizeof(body)), RUSD_OK);
}

static void
compact(Node *node, int64_t revision)
{
	EntryCompact body = {.revision = revision};

	assert_int_equal(append_entry(node, ENTRY_COMPACT, &body, sizeof(body)), RUSD_OK);
}

static Status
checkpoint(Node *node)
{
	uint64_t wanted = atomic_fetch_add(&node->shm->requests->checkpoint_wanted, 1) + 1;
	Status status = settle(node);

	if (status == RUSD_OK)
		assert_int_equal(atomic_load(&node->shm->requests->checkpoint_done), wanted);
	return status;
}

/* Over all that the newest root holds. */
static uint32_t
hash_of(Node *node, RootState *root)
{
	Snapshot snapshot;
	HashAll *hash;
	uint32_t value = 0;
	Status status;

	assert_int_equal(snapshot_pin(&node->reader, &snapshot), RUSD_OK);
	assert_int_equal(hash_all_begin(&snapshot, &hash), RUSD_OK);
	while ((status = hash_all_step(hash, &value)) == RUSD_AGAIN)
		continue;
	assert_int_equal(status, RUSD_OK);
	hash_all_end(hash);
	*root = snapshot.root;
	snapshot_unpin(&snapshot);
	return value;
}

static void
assert_same_state(Node *a, Node *b)
{
	RaftConfiguration members[2];
	RootState left;
	RootState right;

	assert_int_equal(hash_of(a, &left), hash_of(b, &right));
	assert_int_equal(left.revision, right.revision);
	assert_int_equal(left.compacted, right.compacted);
	assert_int_equal(left.applied_index, right.applied_index);
	assert_int_equal(left.applied_term, right.applied_term);
	assert_int_equal(left.alarms, right.alarms);
	(void) shm_configuration_read(a->shm, &members[0]);
	(void) shm_configuration_read(b->shm, &members[1]);
	assert_memory_equal(&members[0], &members[1], sizeof(members[0]));
}

/* ---- a transfer -------------------------------------------------------------- */

static alignas(64) uint8_t chunk_buffer[CHUNK_BYTES];

static Status
next_chunk(SnapshotSend *send, size_t room, size_t *length)
{
	Status status;

	while ((status = snapshot_send_next(send, chunk_buffer, room, length)) == RUSD_AGAIN)
		continue;
	return status;
}

/* What a transfer over a good network comes to. */
static Status
receive_from(Node *from, Node *to, uint64_t *index, uint64_t *term)
{
	const SnapshotHeader *header;
	SnapshotSend *send;
	SnapshotReceive *receive = NULL;
	size_t length;
	Status status;

	assert_int_equal(snapshot_send_create(&from->transfer, &send), RUSD_OK);
	status = snapshot_receive_create(to->shm, to->fs, &receive);
	while (status == RUSD_OK)
	{
		status = next_chunk(send, CHUNK_BYTES, &length);
		if (status == RUSD_OK)
			status = snapshot_receive_chunk(receive, chunk_buffer, length);
	}
	if (status == RUSD_END)
		status = snapshot_receive_finish(receive, &header);
	if (status == RUSD_OK)
	{
		*index = header->root.applied_index;
		*term = header->root.applied_term;
	}
	snapshot_receive_destroy(receive);
	snapshot_send_destroy(send);
	return status;
}

static void
order_install(Node *node, uint64_t index, uint64_t term)
{
	InstallOrder order = {.count = ++node->order,
						  .index = index,
						  .term = term,
						  .log_begin = atomic_load(&node->shm->positions->appended)};

	shm_install_write(node->shm, &order);
	latch_set(&node->shm->latches[PROC_APPLIER]);
}

static bool
install_is_done(const Node *node)
{
	return atomic_load(&node->shm->requests->install_done) == node->order;
}

static Status
install_status(const Node *node)
{
	assert_true(install_is_done(node));
	return (Status) atomic_load(&node->shm->requests->install_status);
}

/* As raft does it; meanwhile the log gets hard states, over the end of a segment. */
static Status
install(Node *node, uint64_t index, uint64_t term)
{
	HardState state = {.term = TERM, .vote = 7};
	Status status = RUSD_OK;

	order_install(node, index, term);
	for (int i = 0; i < 150 && status == RUSD_OK; i++)
		status = append(node, ENTRY_HARD_STATE, 0, &state, sizeof(state));
	if (status == RUSD_OK)
		status = settle(node);
	if (status != RUSD_OK || !install_is_done(node))
		return status == RUSD_OK ? RUSD_AGAIN : status;
	status = install_status(node);
	if (status == RUSD_OK)
	{
		wal_appender_begin_behind(&node->appender, index);
		node->index = index;
	}
	return status;
}

static Status
receive_and_install(Node *from, Node *to)
{
	uint64_t index = 0;
	uint64_t term = 0;
	Status status = receive_from(from, to, &index, &term);

	return status == RUSD_OK ? install(to, index, term) : status;
}

/* ---- what they are like at first ----------------------------------------------- */

static void
make_source(Node *node, SimDisk *disk)
{
	assert_int_equal(node_begin(node, disk, 1), RUSD_OK);
	add_member(node, 1, 0);
	assert_int_equal(put_many(node, 0, 120, 0), RUSD_OK);
	add_member(node, 2, 1);
	assert_int_equal(commit(node), RUSD_OK);
	compact(node, 60);
	assert_int_equal(put_many(node, 120, 150, 0), RUSD_OK);
	assert_int_equal(commit(node), RUSD_OK);
}

/* A member that was left behind: less, other things, some of it not committed. */
static void
make_target(Node *node, SimDisk *disk, uint64_t tail)
{
	assert_int_equal(node_begin(node, disk, 2), RUSD_OK);
	add_member(node, 1, 0);
	assert_int_equal(put_many(node, 0, 30, 0), RUSD_OK);
	assert_int_equal(commit(node), RUSD_OK);
	assert_int_equal(checkpoint(node), RUSD_OK);
	assert_int_equal(put_many(node, 30, 35, 0), RUSD_OK);
	assert_int_equal(commit(node), RUSD_OK);
	assert_int_equal(put_many(node, 0, tail, 1000), RUSD_OK);
	assert_int_equal(settle(node), RUSD_OK);
}

static bool
has_file(SimDisk *disk, const char *name)
{
	return sim_disk_inode(disk, name) != NULL;
}

static void
restart(Node *node, uint64_t member)
{
	SimDisk *disk = node->disk;

	node_stop(node);
	sim_disk_power_cut(disk);
	assert_int_equal(node_begin(node, disk, member), RUSD_OK);
}

/* ---- tests ---------------------------------------------------------------------- */

static void
a_snapshot_takes_the_place_of_the_state(void **state)
{
	SimDisk *disks[] = {sim_disk_create(1), sim_disk_create(2)};
	Node source;
	Node target;
	uint64_t begin;

	(void) state;
	make_source(&source, disks[0]);
	make_target(&target, disks[1], 8);
	assert_int_equal(receive_and_install(&source, &target), RUSD_OK);
	assert_same_state(&source, &target);
	begin = atomic_load(&target.shm->positions->log_begin);
	assert_true(begin > 0);
	assert_true(atomic_load(&target.shm->positions->applied_position) >= begin);
	assert_true(has_file(disks[1], "data.1") && has_file(disks[1], "map.1.0"));
	assert_false(has_file(disks[1], "data.0") || has_file(disks[1], "map.0.0") ||
				 has_file(disks[1], "map.0.1"));
	assert_false(has_file(disks[1], "incoming/data") || has_file(disks[1], "incoming/snapshot"));
	/* The log alone would give another state: nothing is thrown away. */
	{
		SimDisk *disk = sim_disk_copy(disks[1], 3);
		NodeBootstrap bootstrap = {.cluster_id = CLUSTER, .member_id = 2};
		char message[256];

		assert_int_equal(disk->ops.unlink(&disk->ops, "control"), 0);
		assert_int_equal(node_start(source.shm, &disk->ops, &bootstrap, message, sizeof(message)),
						 RUSD_DAMAGED);
		assert_non_null(strstr(message, "a snapshot was installed here"));
		assert_true(has_file(disk, "data.1"));
		sim_disk_destroy(disk);
	}
	/* Life goes on, on both alike; and again after a restart from what the install wrote. */
	for (int round = 0; round < 3; round++)
	{
		assert_int_equal(put_many(&source, 200, 240, (uint64_t) round), RUSD_OK);
		assert_int_equal(commit(&source), RUSD_OK);
		assert_int_equal(put_many(&target, 200, 240, (uint64_t) round), RUSD_OK);
		assert_int_equal(commit(&target), RUSD_OK);
		assert_same_state(&source, &target);
		if (round == 1)
			assert_int_equal(checkpoint(&target), RUSD_OK);
		restart(&target, 2);
		assert_int_equal(target.shm->recovered->log_begin.position, begin);
		assert_int_equal(target.index, source.index);
		atomic_store(&target.shm->positions->committed_by_peers,
					 atomic_load(&target.shm->positions->appended));
		assert_int_equal(settle(&target), RUSD_OK);
		assert_same_state(&source, &target);
	}
	node_stop(&source);
	node_stop(&target);
	sim_disk_destroy(disks[0]);
	sim_disk_destroy(disks[1]);
}

/* Without an entry behind it, at once. */
static void
a_log_may_end_where_the_snapshot_was_installed(void **state)
{
	SimDisk *disks[] = {sim_disk_create(3), sim_disk_create(4)};
	Node source;
	Node target;
	const NodeRecovered *found;

	(void) state;
	make_source(&source, disks[0]);
	make_target(&target, disks[1], 300);
	assert_true(target.index > source.index);
	assert_int_equal(receive_and_install(&source, &target), RUSD_OK);
	restart(&target, 2);
	found = target.shm->recovered;
	assert_int_equal(found->last_index, source.index);
	assert_int_equal(found->last_term, TERM);
	assert_int_equal(found->hard_state.vote, 7);
	assert_int_equal(found->configuration.member_count, 2);
	assert_int_equal(found->log_begin.index, source.index);
	assert_int_equal(found->configuration.index, 122);
	assert_int_equal(found->run_count, 1);
	assert_int_equal(found->runs[0].first_index, source.index);
	assert_int_equal(atomic_load(&target.shm->segments->compacted), source.index);
	assert_same_state(&source, &target);
	node_stop(&source);
	node_stop(&target);
	sim_disk_destroy(disks[0]);
	sim_disk_destroy(disks[1]);
}

/* What a member does from the first chunk to a checkpoint of the new state. */
static Status
live(Node *source, Node *target)
{
	Status status = receive_and_install(source, target);

	if (status == RUSD_OK)
		status = put_many(target, 500, 503, 0);
	if (status == RUSD_OK)
		status = commit(target);
	return status == RUSD_OK ? checkpoint(target) : status;
}

/* One of the two states that a crash may leave. */
typedef struct Left
{
	uint64_t last_index; /* of the log */
	uint64_t applied;
	uint32_t hash;
} Left;

/* One state or the other, whole; and the rest can be done. */
static bool
check_after_crash(Node *source, SimDisk *disk, const Left *before, const Left *after)
{
	Node target;
	RootState root;
	bool is_new;

	sim_disk_power_cut(disk);
	assert_int_equal(node_begin(&target, disk, 2), RUSD_OK);
	assert_false(has_file(disk, "incoming/data") || has_file(disk, "incoming/snapshot"));
	is_new = target.shm->recovered->log_begin.position != 0;
	assert_true(has_file(disk, "data.1") == is_new && has_file(disk, "data.0") != is_new);
	if (is_new)
	{
		assert_in_range(target.index, after->last_index, after->last_index + 3);
		if (atomic_load(&target.shm->positions->applied_index) == after->applied)
			assert_int_equal(hash_of(&target, &root), after->hash);
		assert_int_equal(put(&target, 1, 1, 10), RUSD_OK);
		assert_int_equal(commit(&target), RUSD_OK);
	}
	else
	{
		/* What was not committed is in the log still. */
		assert_int_equal(target.index, before->last_index);
		assert_int_equal(hash_of(&target, &root), before->hash);
		assert_int_equal(root.applied_index, before->applied);
		assert_int_equal(live(source, &target), RUSD_OK);
	}
	node_stop(&target);
	return is_new;
}

/* At each call that changes the disk the power fails, once. */
static void
crash_everywhere(uint64_t tail, uint64_t seed)
{
	SimDisk *disks[] = {sim_disk_create(seed), sim_disk_create(seed + 1)};
	Node source;
	Node target;
	RootState root;
	Left before;
	Left after;
	uint64_t left[2] = {0, 0};
	bool finished = false;

	make_source(&source, disks[0]);
	after.hash = hash_of(&source, &root);
	after.applied = after.last_index = source.index;
	make_target(&target, disks[1], tail);
	restart(&target, 2);
	before.hash = hash_of(&target, &root);
	before.applied = root.applied_index;
	before.last_index = target.index;
	assert_int_not_equal(before.hash, after.hash);
	assert_true(before.applied < after.applied && before.last_index > before.applied);
	node_stop(&target);
	sim_disk_kill(disks[1]);
	for (uint64_t calls = 0; !finished; calls++)
	{
		SimDisk *disk = sim_disk_copy(disks[1], 1000 * seed + calls);

		assert_true(calls < 2000);
		assert_int_equal(node_begin(&target, disk, 2), RUSD_OK);
		disk->power_left = calls;
		finished = live(&source, &target) == RUSD_OK;
		assert_true(finished || disk->is_cut);
		node_stop(&target);
		left[check_after_crash(&source, disk, &before, &after)]++;
		sim_disk_destroy(disk);
	}
	assert_true(left[0] > 20 && left[1] > 10);
	node_stop(&source);
	sim_disk_destroy(disks[0]);
	sim_disk_destroy(disks[1]);
}

static void
a_crash_leaves_one_state_or_the_other(void **state)
{
	(void) state;
	/* The log that it takes the place of ends before the snapshot's index, and behind it. */
	crash_everywhere(8, 5);
	crash_everywhere(300, 7);
}

static void
an_older_snapshot_is_refused(void **state)
{
	SimDisk *disks[] = {sim_disk_create(8), sim_disk_create(9)};
	Node source;
	Node target;
	RootState before;
	RootState after;
	uint32_t hash;

	(void) state;
	make_source(&source, disks[0]);
	make_target(&target, disks[1], 8);
	assert_int_equal(receive_and_install(&source, &target), RUSD_OK);
	/* The same once more is not newer. */
	hash = hash_of(&target, &before);
	assert_int_equal(receive_and_install(&source, &target), RUSD_INVALID);
	assert_int_equal(hash_of(&target, &after), hash);
	assert_int_equal(after.number, before.number);
	assert_false(has_file(disks[1], "incoming/data") || has_file(disks[1], "incoming/snapshot"));
	/* Nor is one that was overtaken by the log. */
	assert_int_equal(put_many(&target, 0, 5, 0), RUSD_OK);
	assert_int_equal(commit(&target), RUSD_OK);
	assert_int_equal(receive_and_install(&source, &target), RUSD_INVALID);
	assert_int_equal(put_many(&source, 0, 5, 0), RUSD_OK);
	assert_int_equal(commit(&source), RUSD_OK);
	assert_same_state(&source, &target);
	/* An order for what is not there. */
	assert_int_equal(install(&target, 9999, TERM), RUSD_NOT_FOUND);
	assert_same_state(&source, &target);
	node_stop(&source);
	node_stop(&target);
	sim_disk_destroy(disks[0]);
	sim_disk_destroy(disks[1]);
}

static void
two_snapshots_come_in_succession(void **state)
{
	SimDisk *disks[] = {sim_disk_create(10), sim_disk_create(11)};
	Node source;
	Node target;
	SnapshotReceive *receive;
	uint64_t index;
	uint64_t term;
	bool did = false;

	(void) state;
	make_source(&source, disks[0]);
	make_target(&target, disks[1], 8);
	assert_int_equal(receive_from(&source, &target, &index, &term), RUSD_OK);
	order_install(&target, index, term);
	/* The first is begun and not finished: no other is received, and an order for another waits. */
	for (int turns = 0; turns < 2; turns++)
		assert_int_equal(node_turn(&target, &did), RUSD_OK);
	assert_false(install_is_done(&target));
	assert_int_equal(snapshot_receive_create(target.shm, target.fs, &receive), RUSD_AGAIN);
	order_install(&target, index + 1, term);
	assert_int_equal(settle(&target), RUSD_OK);
	assert_int_equal(install_status(&target), RUSD_NOT_FOUND);
	assert_same_state(&source, &target);
	wal_appender_begin_behind(&target.appender, index);
	/* And now the second, before anything else has happened. */
	assert_int_equal(put_many(&source, 0, 20, 50), RUSD_OK);
	assert_int_equal(commit(&source), RUSD_OK);
	assert_int_equal(receive_and_install(&source, &target), RUSD_OK);
	assert_same_state(&source, &target);
	assert_true(has_file(disks[1], "data.2"));
	assert_false(has_file(disks[1], "data.1"));
	restart(&target, 2);
	assert_same_state(&source, &target);
	node_stop(&source);
	node_stop(&target);
	sim_disk_destroy(disks[0]);
	sim_disk_destroy(disks[1]);
}

/* Each byte of a chunk counts; nothing of a bad one is taken, and the transfer goes on. */
static void
a_damaged_chunk_is_refused(void **state)
{
	SimDisk *disks[] = {sim_disk_create(12), sim_disk_create(13)};
	Node source;
	Node target;
	SnapshotSend *send;
	SnapshotSend *other;
	SnapshotReceive *receive;
	SimRandom random = {14};
	const SnapshotHeader *header;
	uint64_t chunks = 0;
	size_t length;

	(void) state;
	make_source(&source, disks[0]);
	make_target(&target, disks[1], 8);
	assert_int_equal(snapshot_send_create(&source.transfer, &send), RUSD_OK);
	/* The source goes on: what is sent stays what it was. */
	assert_int_equal(put_many(&source, 0, 60, 80), RUSD_OK);
	assert_int_equal(commit(&source), RUSD_OK);
	assert_int_equal(snapshot_send_create(&source.transfer, &other), RUSD_OK);
	assert_int_equal(snapshot_receive_create(target.shm, target.fs, &receive), RUSD_OK);
	assert_int_equal(snapshot_receive_finish(receive, &header), RUSD_AGAIN);
	while (next_chunk(send, CHUNK_BYTES - sim_below(&random, 3) * PAGE_BYTES, &length) == RUSD_OK)
	{
		uint64_t offset = snapshot_receive_offset(receive);
		size_t at = sim_below(&random, length);
		uint8_t bit = (uint8_t) (1 << sim_below(&random, 8));
		size_t other_length;

		chunk_buffer[at] ^= bit;
		assert_int_equal(snapshot_receive_chunk(receive, chunk_buffer, length), RUSD_DAMAGED);
		chunk_buffer[at] ^= bit;
		assert_int_equal(snapshot_receive_chunk(receive, chunk_buffer, length - 1), RUSD_DAMAGED);
		assert_int_equal(snapshot_receive_offset(receive), offset);
		if (chunks % 3 == 1)
		{
			/* The connection breaks, and another begins where the receiver says. */
			assert_int_equal(next_chunk(send, SNAPSHOT_CHUNK_BYTES_MIN, &length), RUSD_OK);
			assert_int_equal(snapshot_receive_chunk(receive, chunk_buffer, length), RUSD_INVALID);
			assert_int_equal(next_chunk(other, SNAPSHOT_CHUNK_BYTES_MIN, &other_length), RUSD_OK);
			assert_int_equal(snapshot_receive_chunk(receive, chunk_buffer, other_length),
							 RUSD_INVALID);
			assert_int_equal(snapshot_send_seek(send, offset + 1), RUSD_INVALID);
			assert_int_equal(snapshot_send_seek(send, offset), RUSD_OK);
			assert_int_equal(next_chunk(send, SNAPSHOT_CHUNK_BYTES_MIN, &length), RUSD_OK);
		}
		assert_int_equal(snapshot_receive_chunk(receive, chunk_buffer, length), RUSD_OK);
		assert_true(snapshot_receive_offset(receive) > offset);
		/* What comes twice is passed. */
		assert_int_equal(snapshot_receive_chunk(receive, chunk_buffer, length), RUSD_OK);
		chunks++;
	}
	assert_true(chunks > 5);
	assert_int_equal(snapshot_receive_finish(receive, &header), RUSD_OK);
	assert_memory_equal(header, snapshot_send_header(send), sizeof(*header));
	assert_int_equal(install(&target, header->root.applied_index, TERM), RUSD_OK);
	snapshot_receive_destroy(receive);
	snapshot_send_destroy(send);
	snapshot_send_destroy(other);
	assert_int_equal(put_many(&target, 0, 60, 80), RUSD_OK);
	assert_int_equal(commit(&target), RUSD_OK);
	assert_same_state(&source, &target);
	node_stop(&source);
	node_stop(&target);
	sim_disk_destroy(disks[0]);
	sim_disk_destroy(disks[1]);
}

/* Right checksums, wrong pages: what the sender's memory or ours could do. */
static void
a_page_that_does_not_belong_is_refused(void **state)
{
	SimDisk *disks[] = {sim_disk_create(15), sim_disk_create(16)};
	Node source;
	Node target;
	SnapshotSend *send;
	SnapshotReceive *receive;
	PageHeader header;
	SnapshotChunk head;
	size_t length;

	(void) state;
	make_source(&source, disks[0]);
	make_target(&target, disks[1], 8);
	assert_int_equal(snapshot_send_create(&source.transfer, &send), RUSD_OK);
	assert_int_equal(snapshot_receive_create(target.shm, target.fs, &receive), RUSD_OK);
	assert_int_equal(next_chunk(send, SNAPSHOT_CHUNK_BYTES_MIN, &length), RUSD_OK);
	assert_int_equal(snapshot_receive_chunk(receive, chunk_buffer, length), RUSD_OK);
	for (int fault = 0; fault < 4; fault++)
	{
		uint8_t *page = chunk_buffer + sizeof(SnapshotChunk);

		assert_int_equal(snapshot_send_seek(send, snapshot_receive_offset(receive)), RUSD_OK);
		assert_int_equal(next_chunk(send, SNAPSHOT_CHUNK_BYTES_MIN, &length), RUSD_OK);
		memcpy(&header, page, sizeof(header));
		if (fault == 0)
			header.birth = snapshot_send_header(send)->root.number + 1;
		else if (fault == 1)
			header.number = snapshot_send_header(send)->root.pages_end;
		else if (fault == 2)
			header.kind = 9;
		else
			header.used = 60000;
		memcpy(page, &header, sizeof(header));
		header.crc = crc32c(0, page + 4, PAGE_BYTES - 4);
		memcpy(page, &header.crc, 4);
		memcpy(&head, chunk_buffer, sizeof(head));
		head.crc = crc32c(0, chunk_buffer + 4, length - 4);
		memcpy(chunk_buffer, &head.crc, 4);
		assert_int_equal(snapshot_receive_chunk(receive, chunk_buffer, length), RUSD_DAMAGED);
	}
	snapshot_receive_destroy(receive);
	snapshot_send_destroy(send);
	node_stop(&source);
	node_stop(&target);
	sim_disk_destroy(disks[0]);
	sim_disk_destroy(disks[1]);
}

/* Whoever reads is told to let go, and named when it does not. */
static void
readers_of_the_old_state_end_first(void **state)
{
	SimDisk *disks[] = {sim_disk_create(17), sim_disk_create(18)};
	Node source;
	Node target;
	Snapshot held;
	Snapshot refused;
	SnapshotSend *send;
	BackendArea *area;
	size_t length;
	uint64_t index;
	uint64_t term;

	(void) state;
	make_source(&source, disks[0]);
	make_target(&target, disks[1], 8);
	area = target.reader.area;
	assert_int_equal(snapshot_pin(&target.reader, &held), RUSD_OK);
	assert_int_equal(snapshot_send_create(&target.transfer, &send), RUSD_OK);
	result_pin(area, held.root.number);
	assert_int_equal(receive_from(&source, &target, &index, &term), RUSD_OK);
	order_install(&target, index, term);
	assert_int_equal(settle(&target), RUSD_OK);
	assert_false(install_is_done(&target));
	assert_true(snapshot_is_ended(&held));
	assert_int_equal(snapshot_send_next(send, chunk_buffer, CHUNK_BYTES, &length),
					 RUSD_SNAPSHOT_ENDED);
	assert_int_equal(snapshot_pin(&target.reader, &refused), RUSD_TIMEOUT_WAIT_APPLIED);
	assert_int_equal(atomic_load(&target.shm->requests->backend_to_kill), 0);
	target.now_ns += 4 * SECOND;
	assert_int_equal(settle(&target), RUSD_OK);
	target.now_ns += SECOND;
	assert_int_equal(settle(&target), RUSD_OK);
	assert_int_equal(atomic_load(&target.shm->requests->backend_to_kill) >> 32, target.reader.slot);
	snapshot_unpin(&held);
	assert_int_equal(settle(&target), RUSD_OK);
	assert_false(install_is_done(&target));
	snapshot_send_destroy(send);
	assert_int_equal(settle(&target), RUSD_OK);
	assert_false(install_is_done(&target));
	result_unpin(area);
	assert_int_equal(settle(&target), RUSD_OK);
	assert_int_equal(install_status(&target), RUSD_OK);
	assert_same_state(&source, &target);
	node_stop(&source);
	node_stop(&target);
	sim_disk_destroy(disks[0]);
	sim_disk_destroy(disks[1]);
}

/* A checkpoint of the old state that is under way ends before the install. */
static void
a_checkpoint_under_way_comes_first(void **state)
{
	SimDisk *disks[] = {sim_disk_create(19), sim_disk_create(20)};
	Node source;
	Node target;
	ControlRecord record;
	uint64_t index;
	uint64_t term;

	(void) state;
	make_source(&source, disks[0]);
	make_target(&target, disks[1], 8);
	assert_int_equal(receive_from(&source, &target, &index, &term), RUSD_OK);
	/* It waits for a flush that does not come yet. */
	target.flushes = false;
	atomic_store(&target.shm->positions->committed_by_peers,
				 atomic_load(&target.shm->positions->appended));
	assert_int_equal(put_many(&target, 0, 3, 0), RUSD_OK);
	atomic_store(&target.shm->positions->committed_by_peers,
				 atomic_load(&target.shm->positions->appended));
	atomic_fetch_add(&target.shm->requests->checkpoint_wanted, 1);
	assert_int_equal(settle(&target), RUSD_OK);
	assert_int_equal(control_read(target.fs, &record), RUSD_OK);
	assert_int_equal(record.root.applied_index, 31);
	order_install(&target, index, term);
	assert_int_equal(settle(&target), RUSD_OK);
	assert_false(install_is_done(&target));
	assert_int_equal(control_read(target.fs, &record), RUSD_OK);
	assert_int_equal(record.root.applied_index, 31);
	target.flushes = true;
	assert_int_equal(settle(&target), RUSD_OK);
	assert_int_equal(install_status(&target), RUSD_OK);
	assert_int_equal(control_read(target.fs, &record), RUSD_OK);
	assert_int_equal(record.root.applied_index, index);
	assert_int_equal(record.generation, 1);
	assert_same_state(&source, &target);
	restart(&target, 2);
	assert_same_state(&source, &target);
	node_stop(&source);
	node_stop(&target);
	sim_disk_destroy(disks[0]);
	sim_disk_destroy(disks[1]);
}

static void
a_full_disk_puts_it_off(void **state)
{
	SimDisk *disks[] = {sim_disk_create(21), sim_disk_create(22)};
	Node source;
	Node target;
	uint64_t index;
	uint64_t term;

	(void) state;
	make_source(&source, disks[0]);
	make_target(&target, disks[1], 8);
	disks[1]->room = sim_disk_used(disks[1]) + 3 * PAGE_BYTES;
	assert_int_equal(receive_from(&source, &target, &index, &term), RUSD_NO_ROOM);
	disks[1]->room = UINT64_MAX;
	assert_int_equal(receive_from(&source, &target, &index, &term), RUSD_OK);
	/* Not even the map fits, also when the log has given up its spare segment. */
	disks[1]->room = 0;
	order_install(&target, index, term);
	for (int turns = 0; turns < 20; turns++)
	{
		bool did = false;
		Status status = node_turn(&target, &did);

		assert_true(status == RUSD_OK || status == RUSD_NO_ROOM);
		target.now_ns += SECOND / 4;
	}
	assert_false(install_is_done(&target));
	disks[1]->room = UINT64_MAX;
	target.now_ns += 2 * SECOND;
	assert_int_equal(settle(&target), RUSD_OK);
	assert_int_equal(install_status(&target), RUSD_OK);
	assert_same_state(&source, &target);
	node_stop(&source);
	node_stop(&target);
	sim_disk_destroy(disks[0]);
	sim_disk_destroy(disks[1]);
}

static void
a_cache_that_is_too_small_refuses_it(void **state)
{
	SimDisk *disks[] = {sim_disk_create(23), sim_disk_create(24)};
	Node source;
	Node target;
	uint64_t index;
	uint64_t term;

	(void) state;
	make_source(&source, disks[0]);
	assert_int_equal(node_start_frames(&target, disks[1], 2, 16), RUSD_OK);
	assert_int_equal(receive_from(&source, &target, &index, &term), RUSD_NOT_CAPABLE);
	node_stop(&source);
	node_stop(&target);
	sim_disk_destroy(disks[0]);
	sim_disk_destroy(disks[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_snapshot_takes_the_place_of_the_state),
		cmocka_unit_test(a_log_may_end_where_the_snapshot_was_installed),
		cmocka_unit_test(a_crash_leaves_one_state_or_the_other),
		cmocka_unit_test(an_older_snapshot_is_refused),
		cmocka_unit_test(two_snapshots_come_in_succession),
		cmocka_unit_test(a_damaged_chunk_is_refused),
		cmocka_unit_test(a_page_that_does_not_belong_is_refused),
		cmocka_unit_test(readers_of_the_old_state_end_first),
		cmocka_unit_test(a_checkpoint_under_way_comes_first),
		cmocka_unit_test(a_full_disk_puts_it_off),
		cmocka_unit_test(a_cache_that_is_too_small_refuses_it),
	};

	(void) log_open("fatal", "json", "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
