/*
 * test_snapshot.c
 *	  A state snapshot is sent, received and installed: by the parts of two nodes, each on a disk whose
 *	  power can fail in any call.  The test plays raft, backends and the transfer between them.
 *
 * test/unit/test_snapshot.c
 */
#include "rusd.h"

#include "cmocka_all.h"
#include "node_fixture.h"
#include "port/crc32c.h"
#include "startup/startup.h"
#include "store/store.h"
#include "utils/log.h"

/* ---- tests ---------------------------------------------------------------------- */

static void
a_snapshot_takes_the_place_of_the_state(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	uint64_t begin;

	make_source(source, pair->disks[0]);
	make_target(target, pair->disks[1], 8);
	assert_int_equal(receive_and_install(source, target), RUSD_OK);
	assert_same_state(source, target);
	begin = atomic_load(&target->shm->positions->log_begin);
	assert_true(begin > 0);
	assert_true(atomic_load(&target->shm->positions->applied_position) >= begin);
	assert_true(has_file(pair->disks[1], "data.1") && has_file(pair->disks[1], "map.1.0"));
	assert_false(has_file(pair->disks[1], "data.0") || has_file(pair->disks[1], "map.0.0") ||
				 has_file(pair->disks[1], "map.0.1"));
	assert_false(has_file(pair->disks[1], "incoming/data") ||
				 has_file(pair->disks[1], "incoming/snapshot"));
	/* The log alone would give another state: nothing is thrown away. */
	{
		SimDisk *disk = sim_disk_copy(pair->disks[1], 3);
		NodeBootstrap bootstrap = {.cluster_id = CLUSTER, .member_id = 2};
		char message[256];

		assert_int_equal(disk->ops.unlink(&disk->ops, "control"), 0);
		assert_int_equal(node_start(source->shm, &disk->ops, &bootstrap, message, sizeof(message)),
						 RUSD_DAMAGED);
		assert_non_null(strstr(message, "a snapshot was installed here"));
		assert_true(has_file(disk, "data.1"));
		sim_disk_destroy(disk);
	}
	/* Life goes on, on both alike; and again after a restart from what the install wrote. */
	for (int round = 0; round < 3; round++)
	{
		assert_int_equal(put_many(source, 200, 240, (uint64_t) round), RUSD_OK);
		assert_int_equal(commit(source), RUSD_OK);
		assert_int_equal(put_many(target, 200, 240, (uint64_t) round), RUSD_OK);
		assert_int_equal(commit(target), RUSD_OK);
		assert_same_state(source, target);
		if (round == 1)
			assert_int_equal(checkpoint(target), RUSD_OK);
		restart(target, 2);
		assert_int_equal(target->shm->recovered->log_begin.position, begin);
		assert_int_equal(target->index, source->index);
		atomic_store(&target->shm->positions->committed_by_peers,
					 atomic_load(&target->shm->positions->appended));
		assert_int_equal(settle(target), RUSD_OK);
		assert_same_state(source, target);
	}
}

/* Without an entry behind it, at once. */
static void
a_log_may_end_where_the_snapshot_was_installed(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	const NodeRecovered *found;

	make_source(source, pair->disks[0]);
	make_target(target, pair->disks[1], 300);
	assert_true(target->index > source->index);
	assert_int_equal(receive_and_install(source, target), RUSD_OK);
	restart(target, 2);
	found = target->shm->recovered;
	assert_int_equal(found->last_index, source->index);
	assert_int_equal(found->last_term, TERM);
	assert_int_equal(found->hard_state.vote, 7);
	assert_int_equal(found->configuration.member_count, 2);
	assert_int_equal(found->log_begin.index, source->index);
	assert_int_equal(found->configuration.index, 122);
	assert_int_equal(found->run_count, 1);
	assert_int_equal(found->runs[0].first_index, source->index);
	assert_int_equal(atomic_load(&target->shm->segments->compacted), source->index);
	assert_same_state(source, target);
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
			assert_int_equal(state_hash(&target, &root), after->hash);
		assert_int_equal(put(&target, 1, 1, 10), RUSD_OK);
		assert_int_equal(commit(&target), RUSD_OK);
	}
	else
	{
		/* What was not committed is in the log still. */
		assert_int_equal(target.index, before->last_index);
		assert_int_equal(state_hash(&target, &root), before->hash);
		assert_int_equal(root.applied_index, before->applied);
		assert_int_equal(live(source, &target), RUSD_OK);
	}
	node_stop(&target);
	return is_new;
}

/* At each call that changes the disk the power fails, once. */
static void
crash_everywhere(Pair *pair, uint64_t tail)
{
	Node *source = &pair->source;
	Node *target = &pair->target;
	RootState root;
	Left before;
	Left after;
	uint64_t left[2] = {0, 0};
	bool finished = false;

	make_source(source, pair->disks[0]);
	after.hash = state_hash(source, &root);
	after.applied = after.last_index = source->index;
	make_target(target, pair->disks[1], tail);
	restart(target, 2);
	before.hash = state_hash(target, &root);
	before.applied = root.applied_index;
	before.last_index = target->index;
	assert_int_not_equal(before.hash, after.hash);
	assert_true(before.applied < after.applied && before.last_index > before.applied);
	node_stop(target);
	sim_disk_kill(pair->disks[1]);
	for (uint64_t calls = 0; !finished; calls++)
	{
		SimDisk *disk = sim_disk_copy(pair->disks[1], 1000 * tail + calls);

		assert_true(calls < 2000);
		assert_int_equal(node_begin(target, disk, 2), RUSD_OK);
		disk->power_left = calls;
		finished = live(source, target) == RUSD_OK;
		assert_true(finished || disk->is_cut);
		node_stop(target);
		left[check_after_crash(source, disk, &before, &after)]++;
		sim_disk_destroy(disk);
	}
	assert_true(left[0] > 20 && left[1] > 10);
}

static void
a_crash_leaves_one_state_or_the_other(void **state)
{
	crash_everywhere(*state, 8);
}

/* The log that it takes the place of ends behind the snapshot's index. */
static void
a_crash_with_a_longer_log_leaves_one_state_or_the_other(void **state)
{
	crash_everywhere(*state, 300);
}

static void
an_older_snapshot_is_refused(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	RootState before;
	RootState after;
	uint32_t hash;

	make_source(source, pair->disks[0]);
	make_target(target, pair->disks[1], 8);
	assert_int_equal(receive_and_install(source, target), RUSD_OK);
	/* The same once more is not newer. */
	hash = state_hash(target, &before);
	assert_int_equal(receive_and_install(source, target), RUSD_INVALID);
	assert_int_equal(state_hash(target, &after), hash);
	assert_int_equal(after.number, before.number);
	assert_false(has_file(pair->disks[1], "incoming/data") ||
				 has_file(pair->disks[1], "incoming/snapshot"));
	/* Nor is one that was overtaken by the log. */
	assert_int_equal(put_many(target, 0, 5, 0), RUSD_OK);
	assert_int_equal(commit(target), RUSD_OK);
	assert_int_equal(receive_and_install(source, target), RUSD_INVALID);
	assert_int_equal(put_many(source, 0, 5, 0), RUSD_OK);
	assert_int_equal(commit(source), RUSD_OK);
	assert_same_state(source, target);
	/* An order for what is not there. */
	assert_int_equal(install(target, 9999, TERM), RUSD_NOT_FOUND);
	assert_same_state(source, target);
}

static void
two_snapshots_come_in_succession(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	SnapshotReceive *receive;
	uint64_t index;
	uint64_t term;
	bool did = false;

	make_source(source, pair->disks[0]);
	make_target(target, pair->disks[1], 8);
	assert_int_equal(receive_from(source, target, &index, &term), RUSD_OK);
	order_install(target, index, term);
	/* The first is begun and not finished: no other is received, and an order for another waits. */
	for (int turns = 0; turns < 2; turns++)
		assert_int_equal(node_turn(target, &did), RUSD_OK);
	assert_false(install_is_done(target));
	assert_int_equal(snapshot_receive_create(target->shm, target->fs, &receive), RUSD_AGAIN);
	order_install(target, index + 1, term);
	assert_int_equal(settle(target), RUSD_OK);
	assert_int_equal(install_status(target), RUSD_NOT_FOUND);
	assert_same_state(source, target);
	wal_appender_begin_behind(&target->appender, index);
	/* And now the second, before anything else has happened. */
	assert_int_equal(put_many(source, 0, 20, 50), RUSD_OK);
	assert_int_equal(commit(source), RUSD_OK);
	assert_int_equal(receive_and_install(source, target), RUSD_OK);
	assert_same_state(source, target);
	assert_true(has_file(pair->disks[1], "data.2"));
	assert_false(has_file(pair->disks[1], "data.1"));
	restart(target, 2);
	assert_same_state(source, target);
}

/* Each byte of a chunk counts; nothing of a bad one is taken, and the transfer goes on. */
static void
a_damaged_chunk_is_refused(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	SnapshotSend *send;
	SnapshotSend *other;
	SnapshotReceive *receive;
	SimRandom random = {14};
	const SnapshotHeader *header;
	uint64_t chunks = 0;
	size_t length;

	make_source(source, pair->disks[0]);
	make_target(target, pair->disks[1], 8);
	assert_int_equal(snapshot_send_create(&source->transfer, &send), RUSD_OK);
	/* The source goes on: what is sent stays what it was. */
	assert_int_equal(put_many(source, 0, 60, 80), RUSD_OK);
	assert_int_equal(commit(source), RUSD_OK);
	assert_int_equal(snapshot_send_create(&source->transfer, &other), RUSD_OK);
	assert_int_equal(snapshot_receive_create(target->shm, target->fs, &receive), RUSD_OK);
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
	assert_int_equal(install(target, header->root.applied_index, TERM), RUSD_OK);
	snapshot_receive_destroy(receive);
	snapshot_send_destroy(send);
	snapshot_send_destroy(other);
	assert_int_equal(put_many(target, 0, 60, 80), RUSD_OK);
	assert_int_equal(commit(target), RUSD_OK);
	assert_same_state(source, target);
}

/* Right checksums, wrong pages: what the sender's memory or ours could do. */
static void
a_page_that_does_not_belong_is_refused(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	SnapshotSend *send;
	SnapshotReceive *receive;
	PageHeader header;
	SnapshotChunk head;
	size_t length;

	make_source(source, pair->disks[0]);
	make_target(target, pair->disks[1], 8);
	assert_int_equal(snapshot_send_create(&source->transfer, &send), RUSD_OK);
	assert_int_equal(snapshot_receive_create(target->shm, target->fs, &receive), RUSD_OK);
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
}

/* Whoever reads is told to let go, and named when it does not. */
static void
readers_of_the_old_state_end_first(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	Snapshot held;
	Snapshot refused;
	SnapshotSend *send;
	BackendArea *area;
	size_t length;
	uint64_t index;
	uint64_t term;

	make_source(source, pair->disks[0]);
	make_target(target, pair->disks[1], 8);
	area = target->reader.area;
	assert_int_equal(snapshot_pin(&target->reader, &held), RUSD_OK);
	assert_int_equal(snapshot_send_create(&target->transfer, &send), RUSD_OK);
	result_pin(area, held.root.number);
	assert_int_equal(receive_from(source, target, &index, &term), RUSD_OK);
	order_install(target, index, term);
	assert_int_equal(settle(target), RUSD_OK);
	assert_false(install_is_done(target));
	assert_true(snapshot_is_ended(&held));
	assert_int_equal(snapshot_send_next(send, chunk_buffer, CHUNK_BYTES, &length),
					 RUSD_SNAPSHOT_ENDED);
	assert_int_equal(snapshot_pin(&target->reader, &refused), RUSD_TIMEOUT_WAIT_APPLIED);
	assert_int_equal(atomic_load(&target->shm->requests->backend_to_kill), 0);
	target->now_ns += 4 * SECOND;
	assert_int_equal(settle(target), RUSD_OK);
	target->now_ns += SECOND;
	assert_int_equal(settle(target), RUSD_OK);
	assert_int_equal(atomic_load(&target->shm->requests->backend_to_kill) >> 32,
					 target->reader.slot);
	snapshot_unpin(&held);
	assert_int_equal(settle(target), RUSD_OK);
	assert_false(install_is_done(target));
	snapshot_send_destroy(send);
	assert_int_equal(settle(target), RUSD_OK);
	assert_false(install_is_done(target));
	result_unpin(area);
	assert_int_equal(settle(target), RUSD_OK);
	assert_int_equal(install_status(target), RUSD_OK);
	assert_same_state(source, target);
}

/* A checkpoint of the old state that is under way ends before the install. */
static void
a_checkpoint_under_way_comes_first(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	ControlRecord record;
	uint64_t index;
	uint64_t term;

	make_source(source, pair->disks[0]);
	make_target(target, pair->disks[1], 8);
	assert_int_equal(receive_from(source, target, &index, &term), RUSD_OK);
	/* It waits for a flush that does not come yet. */
	target->flushes = false;
	atomic_store(&target->shm->positions->committed_by_peers,
				 atomic_load(&target->shm->positions->appended));
	assert_int_equal(put_many(target, 0, 3, 0), RUSD_OK);
	atomic_store(&target->shm->positions->committed_by_peers,
				 atomic_load(&target->shm->positions->appended));
	atomic_fetch_add(&target->shm->requests->checkpoint_wanted, 1);
	assert_int_equal(settle(target), RUSD_OK);
	assert_int_equal(control_read(target->fs, &record), RUSD_OK);
	assert_int_equal(record.root.applied_index, 31);
	order_install(target, index, term);
	assert_int_equal(settle(target), RUSD_OK);
	assert_false(install_is_done(target));
	assert_int_equal(control_read(target->fs, &record), RUSD_OK);
	assert_int_equal(record.root.applied_index, 31);
	target->flushes = true;
	assert_int_equal(settle(target), RUSD_OK);
	assert_int_equal(install_status(target), RUSD_OK);
	assert_int_equal(control_read(target->fs, &record), RUSD_OK);
	assert_int_equal(record.root.applied_index, index);
	assert_int_equal(record.generation, 1);
	assert_same_state(source, target);
	restart(target, 2);
	assert_same_state(source, target);
}

static void
a_full_disk_puts_it_off(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	uint64_t index;
	uint64_t term;

	make_source(source, pair->disks[0]);
	make_target(target, pair->disks[1], 8);
	pair->disks[1]->room = sim_disk_used(pair->disks[1]) + 3 * PAGE_BYTES;
	assert_int_equal(receive_from(source, target, &index, &term), RUSD_NO_ROOM);
	pair->disks[1]->room = UINT64_MAX;
	assert_int_equal(receive_from(source, target, &index, &term), RUSD_OK);
	/* Not even the map fits, whatever log and data file give up of what they keep ahead. */
	pair->disks[1]->room = 0;
	order_install(target, index, term);
	for (int turns = 0; turns < 20; turns++)
	{
		bool did = false;
		Status status = node_turn(target, &did);

		assert_true(status == RUSD_OK || status == RUSD_NO_ROOM);
		target->now_ns += SECOND / 4;
	}
	assert_false(install_is_done(target));
	pair->disks[1]->room = UINT64_MAX;
	target->now_ns += 2 * SECOND;
	assert_int_equal(settle(target), RUSD_OK);
	assert_int_equal(install_status(target), RUSD_OK);
	assert_same_state(source, target);
}

static void
a_cache_that_is_too_small_refuses_it(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	uint64_t index;
	uint64_t term;

	make_source(source, pair->disks[0]);
	assert_int_equal(node_start_frames(target, pair->disks[1], 2, 16), RUSD_OK);
	assert_int_equal(receive_from(source, target, &index, &term), RUSD_NOT_CAPABLE);
}

#define PAIR_TEST(name) cmocka_unit_test_setup_teardown(name, pair_set_up, pair_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(a_snapshot_takes_the_place_of_the_state),
		PAIR_TEST(a_log_may_end_where_the_snapshot_was_installed),
		PAIR_TEST(a_crash_leaves_one_state_or_the_other),
		PAIR_TEST(a_crash_with_a_longer_log_leaves_one_state_or_the_other),
		PAIR_TEST(an_older_snapshot_is_refused),
		PAIR_TEST(two_snapshots_come_in_succession),
		PAIR_TEST(a_damaged_chunk_is_refused),
		PAIR_TEST(a_page_that_does_not_belong_is_refused),
		PAIR_TEST(readers_of_the_old_state_end_first),
		PAIR_TEST(a_checkpoint_under_way_comes_first),
		PAIR_TEST(a_full_disk_puts_it_off),
		PAIR_TEST(a_cache_that_is_too_small_refuses_it),
	};

	(void) log_open("fatal", "json", "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
