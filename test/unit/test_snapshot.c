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

/* As it begins anew: of the newest root of the source, without what the target has. */
static SnapshotSend *
send_lacking(Node *source, SnapshotReceive *receive, SnapshotBase *base)
{
	SnapshotSend *send;

	snapshot_receive_begin(receive, base);
	assert_int_equal(snapshot_send_create(&source->transfer, base, &send), RUSD_OK);
	return send;
}

/* Chunks of a page each; RUSD_END: all. */
static Status
move_chunks(SnapshotSend *send, SnapshotReceive *receive, uint64_t count)
{
	Status status = RUSD_OK;
	size_t length;

	for (uint64_t i = 0; i < count && status == RUSD_OK; i++)
	{
		status = next_chunk(send, SNAPSHOT_CHUNK_BYTES_MIN, &length);
		if (status == RUSD_OK)
			assert_int_equal(snapshot_receive_chunk(receive, chunk_buffer, length), RUSD_OK);
	}
	return status;
}

/* Each byte of a chunk counts; nothing of a bad one is taken. */
static void
a_damaged_chunk_is_refused(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	SnapshotBase base;
	SnapshotSend *send;
	SnapshotSend *other;
	SnapshotReceive *receive;
	SimRandom random = {14};
	const SnapshotHeader *header;
	uint64_t chunks = 0;
	size_t length;

	make_source(source, pair->disks[0]);
	make_target(target, pair->disks[1], 8);
	assert_int_equal(snapshot_receive_create(target->shm, target->fs, &receive), RUSD_OK);
	send = send_lacking(source, receive, &base);
	/* The source goes on: what is sent stays what it was. */
	assert_int_equal(put_many(source, 0, 60, 80), RUSD_OK);
	assert_int_equal(commit(source), RUSD_OK);
	assert_int_equal(snapshot_send_create(&source->transfer, &base, &other), RUSD_OK);
	assert_int_equal(snapshot_receive_finish(receive, &header), RUSD_AGAIN);
	while (next_chunk(send, CHUNK_BYTES - sim_below(&random, 3) * PAGE_BYTES, &length) == RUSD_OK)
	{
		static uint8_t copy[CHUNK_BYTES];
		uint64_t offset = snapshot_receive_offset(receive);
		size_t at = sim_below(&random, length);
		uint8_t bit = (uint8_t) (1 << sim_below(&random, 8));
		size_t other_length;

		chunk_buffer[at] ^= bit;
		assert_int_equal(snapshot_receive_chunk(receive, chunk_buffer, length), RUSD_DAMAGED);
		chunk_buffer[at] ^= bit;
		assert_int_equal(snapshot_receive_chunk(receive, chunk_buffer, length - 1), RUSD_DAMAGED);
		memcpy(copy, chunk_buffer, length);
		if (next_chunk(other, SNAPSHOT_CHUNK_BYTES_MIN, &other_length) == RUSD_OK && chunks > 0)
			assert_int_equal(snapshot_receive_chunk(receive, chunk_buffer, other_length),
							 RUSD_INVALID);
		assert_int_equal(snapshot_receive_offset(receive), offset);
		assert_int_equal(snapshot_receive_chunk(receive, copy, length), RUSD_OK);
		assert_true(snapshot_receive_offset(receive) > offset);
		/* What comes twice is passed. */
		assert_int_equal(snapshot_receive_chunk(receive, copy, length), RUSD_OK);
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

/* Broken off again and again, while the source writes and removes: no page comes twice that is the same one. */
static void
a_broken_transfer_goes_on(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	SnapshotReceive *receive;
	const SnapshotHeader *header;
	SnapshotBase base;
	uint64_t spared = 0;
	uint64_t sent = 0;
	uint64_t pages = 0;
	uint64_t last = 0;
	Status status = RUSD_OK;

	make_source(source, pair->disks[0]);
	for (uint64_t key = 0; key < 600; key += 60)
	{
		assert_int_equal(put_many(source, key, key + 60, 3), RUSD_OK);
		assert_int_equal(commit(source), RUSD_OK);
	}
	make_target(target, pair->disks[1], 8);
	assert_int_equal(snapshot_receive_create(target->shm, target->fs, &receive), RUSD_OK);
	for (uint64_t round = 0; status != RUSD_END; round++)
	{
		SnapshotSend *send = send_lacking(source, receive, &base);

		assert_true(round < 100);
		assert_true((base.below > 0) == (round > 0));
		status = move_chunks(send, receive, 3 + round);
		header = snapshot_send_header(send);
		sent += status == RUSD_END ? header->page_count : round + 1;
		spared = snapshot_send_spared(send);
		pages = header->page_count + spared;
		assert_true(round == 0 ? spared == 0 : round < 4 || spared > 0);
		snapshot_send_destroy(send);
		/* Some pages die, some numbers are used again. */
		last = 7 * round;
		assert_int_equal(put_many(source, last, last + 3, round), RUSD_OK);
		assert_int_equal(commit(source), RUSD_OK);
	}
	assert_true(sent < 2 * pages);
	assert_int_equal(snapshot_receive_finish(receive, &header), RUSD_OK);
	assert_true(header->base.below > 0);
	assert_int_equal(install(target, header->root.applied_index, TERM), RUSD_OK);
	snapshot_receive_destroy(receive);
	/* The last round's writes are in the source only. */
	assert_int_equal(put_many(target, last, last + 3, last / 7), RUSD_OK);
	assert_int_equal(commit(target), RUSD_OK);
	assert_same_state(source, target);
}

/* What was received of one incarnation says nothing of another, nor under another root than was asked for. */
static void
what_is_there_counts_for_its_sender_only(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	SnapshotReceive *receive;
	SnapshotBase base;
	SnapshotBase wrong;
	SnapshotSend *send;
	size_t length;
	uint64_t index;
	uint64_t term;

	make_source(source, pair->disks[0]);
	make_target(target, pair->disks[1], 8);
	assert_int_equal(snapshot_receive_create(target->shm, target->fs, &receive), RUSD_OK);
	send = send_lacking(source, receive, &base);
	assert_int_equal(move_chunks(send, receive, 6), RUSD_OK);
	snapshot_send_destroy(send);
	/* Less is spared than is there, or more: not what was asked for. */
	send = send_lacking(source, receive, &base);
	snapshot_send_destroy(send);
	for (int i = 0; i < 2; i++)
	{
		wrong = base;
		if (i == 0)
			wrong.below++;
		else
			wrong.root--;
		assert_int_equal(snapshot_send_create(&source->transfer, &wrong, &send), RUSD_OK);
		assert_int_equal(next_chunk(send, CHUNK_BYTES, &length), RUSD_OK);
		assert_int_equal(snapshot_receive_chunk(receive, chunk_buffer, length), RUSD_DAMAGED);
		snapshot_send_destroy(send);
	}
	for (int i = 0; i < 3; i++)
	{
		wrong = base;
		if (i == 0)
			wrong.incarnation++;
		else if (i == 1)
			wrong.generation++;
		else
			wrong.root = UINT64_MAX;
		assert_int_equal(snapshot_send_create(&source->transfer, &wrong, &send), RUSD_OK);
		assert_int_equal(next_chunk(send, SNAPSHOT_CHUNK_BYTES_MIN, &length), RUSD_OK);
		assert_int_equal(snapshot_send_spared(send), 0);
		snapshot_send_destroy(send);
	}
	/* The source restarts. */
	restart(source, 1);
	atomic_store(&source->shm->positions->committed_by_peers,
				 atomic_load(&source->shm->positions->appended));
	assert_int_equal(settle(source), RUSD_OK);
	send = send_lacking(source, receive, &base);
	assert_int_equal(move_chunks(send, receive, UINT64_MAX), RUSD_END);
	assert_int_equal(snapshot_send_spared(send), 0);
	snapshot_send_destroy(send);
	snapshot_receive_destroy(receive);
	assert_int_equal(receive_from(source, target, &index, &term), RUSD_OK);
	assert_int_equal(install(target, index, term), RUSD_OK);
	assert_same_state(source, target);
}

static void
seal_chunk(uint8_t *chunk, size_t length)
{
	uint32_t crc = crc32c(0, chunk + 4, length - 4);

	memcpy(chunk, &crc, 4);
}

/* Right checksums, wrong pages: what the sender's memory or ours could do. */
static void
a_page_that_does_not_belong_is_refused(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	SnapshotBase base;
	SnapshotSend *send;
	SnapshotReceive *receive;
	PageHeader header;
	size_t length;

	make_source(source, pair->disks[0]);
	make_target(target, pair->disks[1], 8);
	assert_int_equal(snapshot_receive_create(target->shm, target->fs, &receive), RUSD_OK);
	send = send_lacking(source, receive, &base);
	/* header and map, and a first page */
	assert_int_equal(move_chunks(send, receive, 3), RUSD_OK);
	assert_int_equal(next_chunk(send, SNAPSHOT_CHUNK_BYTES_MIN, &length), RUSD_OK);
	for (int fault = 0; fault < 6; fault++)
	{
		static uint8_t copy[SNAPSHOT_CHUNK_BYTES_MIN];
		uint8_t *page = copy + sizeof(SnapshotChunk);

		memcpy(copy, chunk_buffer, length);
		memcpy(&header, page, sizeof(header));
		if (fault == 0)
			header.birth = snapshot_send_header(send)->root.number + 1;
		else if (fault == 1)
			header.number = snapshot_send_header(send)->root.pages_end;
		else if (fault == 2)
			header.kind = 9;
		else if (fault == 3)
			header.used = 60000;
		else if (fault == 4)
			header.number = 0; /* behind */
		memcpy(page, &header, sizeof(header));
		header.crc = crc32c(0, page + 4, PAGE_BYTES - 4);
		memcpy(page, &header.crc, 4);
		seal_chunk(copy, length);
		assert_int_equal(snapshot_receive_chunk(receive, copy, length),
						 fault < 5 ? RUSD_DAMAGED : RUSD_OK);
	}
	snapshot_receive_destroy(receive);
	snapshot_send_destroy(send);
}

/* A map that tells of more or of less than what is sent is no snapshot. */
static void
a_map_that_is_not_true_is_refused(void **state)
{
	Pair *pair = *state;
	Node *source = &pair->source;
	Node *target = &pair->target;
	const SnapshotHeader *header;
	SnapshotBase base;
	SnapshotSend *send;
	SnapshotReceive *receive;
	size_t length;

	make_source(source, pair->disks[0]);
	make_target(target, pair->disks[1], 8);
	assert_int_equal(snapshot_receive_create(target->shm, target->fs, &receive), RUSD_OK);
	for (int fault = 0; fault < 3; fault++)
	{
		uint8_t *map = chunk_buffer + sizeof(SnapshotChunk);
		uint64_t end;

		send = send_lacking(source, receive, &base);
		assert_int_equal(base.below, 0);
		assert_int_equal(move_chunks(send, receive, 1), RUSD_OK);
		end = snapshot_send_header(send)->root.pages_end;
		assert_int_equal(next_chunk(send, SNAPSHOT_CHUNK_BYTES_MIN, &length), RUSD_OK);
		if (fault == 0) /* behind the last page */
			map[end / 8] |= (uint8_t) (1 << (end % 8));
		else if (fault == 1)
			map[PAGE_BYTES - 1] = 128;
		else /* a page that is not sent: the first that is free */
			for (uint64_t page = 0; page < end; page++)
			{
				if ((map[page / 8] >> (page % 8) & 1) != 0)
					continue;
				map[page / 8] |= (uint8_t) (1 << (page % 8));
				break;
			}
		seal_chunk(chunk_buffer, length);
		assert_int_equal(snapshot_receive_chunk(receive, chunk_buffer, length),
						 fault < 2 ? RUSD_DAMAGED : RUSD_OK);
		if (fault == 2)
		{
			assert_int_equal(move_chunks(send, receive, UINT64_MAX), RUSD_END);
			assert_int_equal(snapshot_receive_finish(receive, &header), RUSD_DAMAGED);
		}
		snapshot_send_destroy(send);
	}
	snapshot_receive_destroy(receive);
}

/* Through both ends, whatever they are; and what is not of the other end is refused. */
static void
chunks_are_packed(void **state)
{
	static uint8_t chunk[CHUNK_BYTES];
	SnapshotPack *pack = snapshot_pack_create(sizeof(chunk));
	SnapshotUnpack *unpack = snapshot_unpack_create(sizeof(chunk));
	SnapshotUnpack *narrow = snapshot_unpack_create(1000);
	SimRandom random = {15};
	Bytes packed;
	Bytes again;

	(void) state;
	for (int round = 0; round < 200; round++)
	{
		size_t length = 1 + sim_below(&random, sizeof(chunk));

		for (size_t i = 0; i < length; i++)
			chunk[i] = round % 2 == 0 ? (uint8_t) sim_below(&random, 256) : (uint8_t) (i / 40);
		assert_int_equal(snapshot_pack(pack, (Bytes){chunk, length}, &packed), RUSD_OK);
		assert_true(packed.length <= SNAPSHOT_PACKED_MAX(length));
		if (round % 2 == 1 && length > 4096)
			assert_true(packed.length < length / 4);
		assert_int_equal(snapshot_unpack(unpack, packed, &again), RUSD_OK);
		assert_int_equal(again.length, length);
		assert_memory_equal(again.data, chunk, length);
		if (round == 0)
			assert_int_equal(snapshot_unpack(narrow, packed, &again), RUSD_DAMAGED);
	}
	/* One is missing: what follows is another. */
	for (size_t i = 0; i < sizeof(chunk); i++)
		chunk[i] = (uint8_t) sim_below(&random, 256);
	assert_int_equal(snapshot_pack(pack, (Bytes){chunk, sizeof(chunk)}, &packed), RUSD_OK);
	assert_int_equal(snapshot_pack(pack, (Bytes){chunk, sizeof(chunk)}, &packed), RUSD_OK);
	if (snapshot_unpack(unpack, packed, &again) == RUSD_OK)
		assert_false(again.length == sizeof(chunk) &&
					 memcmp(again.data, chunk, sizeof(chunk)) == 0);
	assert_int_equal(snapshot_unpack(narrow, (Bytes){chunk, sizeof(chunk)}, &again), RUSD_DAMAGED);
	snapshot_pack_destroy(pack);
	snapshot_unpack_destroy(unpack);
	snapshot_unpack_destroy(narrow);
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
	const SnapshotBase nothing = {0};
	SnapshotSend *send;
	BackendArea *area;
	size_t length;
	uint64_t index;
	uint64_t term;

	make_source(source, pair->disks[0]);
	make_target(target, pair->disks[1], 8);
	area = target->reader.area;
	assert_int_equal(snapshot_pin(&target->reader, &held), RUSD_OK);
	assert_int_equal(snapshot_send_create(&target->transfer, &nothing, &send), RUSD_OK);
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
		PAIR_TEST(a_broken_transfer_goes_on),
		PAIR_TEST(what_is_there_counts_for_its_sender_only),
		PAIR_TEST(a_page_that_does_not_belong_is_refused),
		PAIR_TEST(a_map_that_is_not_true_is_refused),
		cmocka_unit_test(chunks_are_packed),
		PAIR_TEST(readers_of_the_old_state_end_first),
		PAIR_TEST(a_checkpoint_under_way_comes_first),
		PAIR_TEST(a_full_disk_puts_it_off),
		PAIR_TEST(a_cache_that_is_too_small_refuses_it),
	};

	(void) log_open("fatal", "json", "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
