/*
 * node_fixture.c
 *	  The parts of a node on a simulated disk; the test plays raft, backends and the transfer of states.
 *
 * test/unit/node_fixture.c
 */
#include "rusd.h"

#include "cmocka_all.h"
#include "format/entry.h"
#include "ipc/slot.h"
#include "node_fixture.h"
#include "startup/startup.h"
#include "store/store.h"

#define NAME_BYTES 2000

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

void
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
Status
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

Status
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
Status
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
Status
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

Status
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
Status
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

/* Some keys are long enough for overflow pages of their own. */
static Bytes
name_of(uint64_t key, char name[NAME_BYTES])
{
	memset(name, 'k', NAME_BYTES);
	(void) snprintf(name, NAME_BYTES, "key/%" PRIu64, key);
	return (Bytes){(const uint8_t *) name, key % 17 == 3 ? 1500 : strlen(name)};
}

Status
put(Node *node, uint64_t key, uint64_t value, size_t length)
{
	static uint64_t body[2048];
	char name[NAME_BYTES];
	OpHeader header = {.kind = OP_PUT};
	static uint8_t bytes[8192];
	uint32_t total;

	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t) (value * 31 + i * 7 + i / 256);
	total = op_encode((uint8_t *) body, &header, name_of(key, name), (Bytes){0},
					  (Bytes){bytes, length});
	return append_entry(node, ENTRY_PUT, body, total);
}

Status
delete_key(Node *node, uint64_t key)
{
	static uint64_t body[2048];
	char name[NAME_BYTES];
	OpHeader header = {.kind = OP_DELETE};
	uint32_t total =
		op_encode((uint8_t *) body, &header, name_of(key, name), (Bytes){0}, (Bytes){0});

	return append_entry(node, ENTRY_DELETE_RANGE, body, total);
}

Status
put_many(Node *node, uint64_t from, uint64_t to, uint64_t seed)
{
	Status status = RUSD_OK;

	for (uint64_t i = from; i < to && status == RUSD_OK; i++)
		status = put(node, i % 60, i + seed, i % 13 == 5 ? 7000 : 20 + i % 300);
	return status;
}

void
add_member(Node *node, uint64_t id, uint64_t judged_at)
{
	EntryMember member = {
		.member_id = id, .action = MEMBER_ADD, .max_learners = 1, .judged_at = judged_at};
	uint8_t body[sizeof(member) + 4] = {0};

	memcpy(body, &member, sizeof(member));
	assert_int_equal(append_entry(node, ENTRY_MEMBER, body, sizeof(body)), RUSD_OK);
}

Status
compact(Node *node, int64_t revision)
{
	EntryCompact body = {.revision = revision};

	return append_entry(node, ENTRY_COMPACT, &body, sizeof(body));
}

Status
checkpoint(Node *node)
{
	uint64_t wanted = atomic_fetch_add(&node->shm->requests->checkpoint_wanted, 1) + 1;
	Status status = settle(node);

	if (status == RUSD_OK)
		assert_int_equal(atomic_load(&node->shm->requests->checkpoint_done), wanted);
	return status;
}

/* Over all that the newest root holds. */
uint32_t
state_hash(Node *node, RootState *root)
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

void
assert_same_state(Node *a, Node *b)
{
	RaftConfiguration members[2];
	RootState left;
	RootState right;

	assert_int_equal(state_hash(a, &left), state_hash(b, &right));
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

alignas(64) uint8_t chunk_buffer[CHUNK_BYTES];

Status
next_chunk(SnapshotSend *send, size_t room, size_t *length)
{
	Status status;

	while ((status = snapshot_send_next(send, chunk_buffer, room, length)) == RUSD_AGAIN)
		continue;
	return status;
}

/* What a transfer over a good network comes to. */
Status
receive_from(Node *from, Node *to, uint64_t *index, uint64_t *term)
{
	const SnapshotHeader *header;
	const SnapshotBase nothing = {0};
	SnapshotSend *send;
	SnapshotReceive *receive = NULL;
	size_t length;
	Status status;

	assert_int_equal(snapshot_send_create(&from->transfer, &nothing, &send), RUSD_OK);
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

void
order_install(Node *node, uint64_t index, uint64_t term)
{
	InstallOrder order = {.count = ++node->order,
						  .index = index,
						  .term = term,
						  .log_begin = atomic_load(&node->shm->positions->appended)};

	shm_install_write(node->shm, &order);
	latch_set(&node->shm->latches[PROC_APPLIER]);
}

bool
install_is_done(const Node *node)
{
	return atomic_load(&node->shm->requests->install_done) == node->order;
}

Status
install_status(const Node *node)
{
	assert_true(install_is_done(node));
	return (Status) atomic_load(&node->shm->requests->install_status);
}

/* As raft does it; meanwhile the log gets hard states, over the end of a segment. */
Status
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

Status
receive_and_install(Node *from, Node *to)
{
	uint64_t index = 0;
	uint64_t term = 0;
	Status status = receive_from(from, to, &index, &term);

	return status == RUSD_OK ? install(to, index, term) : status;
}

/* ---- what they are like at first ----------------------------------------------- */

void
make_source(Node *node, SimDisk *disk)
{
	assert_int_equal(node_begin(node, disk, 1), RUSD_OK);
	add_member(node, 1, 0);
	assert_int_equal(put_many(node, 0, 120, 0), RUSD_OK);
	add_member(node, 2, 1);
	assert_int_equal(commit(node), RUSD_OK);
	assert_int_equal(compact(node, 60), RUSD_OK);
	assert_int_equal(put_many(node, 120, 150, 0), RUSD_OK);
	assert_int_equal(commit(node), RUSD_OK);
}

/* A member that was left behind: less, other things, some of it not committed. */
void
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

bool
has_file(SimDisk *disk, const char *name)
{
	return sim_disk_inode(disk, name) != NULL;
}

void
restart(Node *node, uint64_t member)
{
	SimDisk *disk = node->disk;

	node_stop(node);
	sim_disk_power_cut(disk);
	assert_int_equal(node_begin(node, disk, member), RUSD_OK);
}

/* ---- two of them ------------------------------------------------------------------ */

int
pair_set_up(void **state)
{
	static uint64_t seed = 1;
	Pair *pair = calloc(1, sizeof(*pair));

	assert_non_null(pair);
	for (int i = 0; i < 2; i++)
		pair->disks[i] = sim_disk_create(seed++);
	*state = pair;
	return 0;
}

int
pair_tear_down(void **state)
{
	Pair *pair = *state;

	node_stop(&pair->source);
	node_stop(&pair->target);
	for (int i = 0; i < 2; i++)
		sim_disk_destroy(pair->disks[i]);
	free(pair);
	return 0;
}
