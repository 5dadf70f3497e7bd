/*
 * test_consensus.c
 *	  The turn of process raft over real rings and the real log in memory; walwriter, applier and
 * clock are the test's.
 *
 * test/unit/test_consensus.c
 */
#include "rusd.h"

#include <unistd.h>

#include "consensus/consensus.h"
#include "format/entry.h"
#include "ipc/ring.h"
#include "ipc/slot.h"
#include "utils/log.h"
#include "wal/recovery.h"
#include "wal/wal.h"

#include "cmocka_all.h"
#include "ipc_fixture.h"

#define ME 0x4242
#define MS UINT64_C(1000000)
#define BACKENDS 70 /* more than one word of marks */
#define FRAMES 1024 /* of the fixture; 32 are kept back */
#define SEEN_MAX 65536

typedef struct Seen
{
	WalRecordHeader header;
	EntryHeader entry;
	uint64_t end;
	uint64_t hash; /* of what is behind the EntryHeader */
} Seen;

typedef struct World
{
	ClockOps clock;
	uint64_t now_ns;
	Shm *shm;
	Consensus *consensus;
	WalReader *reader;
	uint64_t sleep_ns;
	uint64_t frames_free;
	uint32_t deaths_seen;
	Seen *seen; /* what the applier was handed, in order */
	uint32_t seen_count;
} World;

/* ---- the other processes
 * -------------------------------------------------------------------------- */

static uint64_t
clock_now(const ClockOps *self)
{
	return ((const World *) (const void *) self)->now_ns;
}

static void
publish_root(World *world, uint64_t applied)
{
	RootState root = {
		.number = applied, .applied_index = applied, .frames_free = world->frames_free};

	shm_root_write(world->shm, &root);
}

/* Applies all that is committed. */
static void
apply_all(World *world)
{
	uint64_t applied = atomic_load(&world->shm->positions->applied_index);
	WalRecord record;
	Status status;

	while ((status = wal_reader_next(world->reader, positions_committed(world->shm->positions),
									 &record)) == RUSD_OK)
	{
		Seen *seen = &world->seen[world->seen_count++];

		assert_true(world->seen_count < SEEN_MAX);
		assert_int_equal(entry_check(record.header.kind, record.payload, record.header.length),
						 RUSD_OK);
		if (record.header.index != 0)
		{
			assert_int_equal(record.header.index, applied + 1);
			applied++;
		}
		seen->header = record.header;
		seen->end = record.end;
		memcpy(&seen->entry, record.payload, sizeof(seen->entry));
		seen->hash = fixture_hash(record.payload + sizeof(EntryHeader),
								  record.header.length - sizeof(EntryHeader));
	}
	assert_int_equal(status, RUSD_END);
	slot_acknowledge_dead(world->shm, world->shm->applier_acks, &world->deaths_seen, NULL, NULL);
	publish_root(world, applied);
	atomic_store(&world->shm->positions->applied_index, applied);
	atomic_store(&world->shm->positions->applied_position, wal_reader_position(world->reader));
}

static Status
turn(World *world)
{
	Status status = consensus_step(world->consensus, &world->sleep_ns);

	assert_true(status == RUSD_OK || status == RUSD_AGAIN);
	return status;
}

/* Everybody takes turns until nobody has anything to do. */
static void
settle(World *world)
{
	do
	{
		(void) fixture_flush(world->shm, true);
		apply_all(world);
	} while (turn(world) == RUSD_OK || world->sleep_ns == 0 ||
			 atomic_load(&world->shm->positions->flushed) !=
				 atomic_load(&world->shm->positions->appended));
}

static void
tick(World *world)
{
	world->now_ns += 100 * MS;
}

static ControlState
control(World *world)
{
	ControlState state;

	shm_control_read(world->shm, &state);
	return state;
}

static World *
begin_world(void)
{
	World *world = calloc(1, sizeof(*world));
	NodeRecovered *found;
	struct
	{
		EntryHeader header;
		EntryMember member;
		uint32_t name_length;
		char name[4];
	} publication = {.member = {.member_id = ME, .action = MEMBER_PUBLISH, .name_length = 4},
					 .name_length = 4,
					 .name = "node"};
	ConsensusOptions options = {
		.heartbeat_ns = 100 * MS,
		.raft = {.election_ticks = 10, .window_bytes = 1 << 20, .message_bytes = 1 << 16}};
	uint64_t log_end = WAL_HEADER_BYTES;

	assert_non_null(world);
	world->seen = calloc(SEEN_MAX, sizeof(*world->seen));
	world->clock.monotonic_ns = clock_now;
	world->now_ns = 1000 * MS;
	world->frames_free = FRAMES;
	world->shm = fixture_shm(BACKENDS, false);
	found = world->shm->recovered;
	found->cluster_id = 0x777;
	found->member_id = ME;
	found->hard_state = (HardState){.term = 1};
	found->configuration.member_count = 1;
	found->configuration.members[0].id = ME;
	found->log_end = found->commit_position = found->replay_position = log_end;
	atomic_store(&world->shm->positions->appended, log_end);
	atomic_store(&world->shm->positions->committed_by_flush, log_end);
	atomic_store(&world->shm->positions->applied_position, log_end);
	(void) fixture_flush(world->shm, true);
	publish_root(world, 0);
	assert_int_equal(wal_reader_create(world->shm, NULL, log_end, &world->reader), RUSD_OK);

	options.clock = &world->clock;
	options.request_max = consensus_request_max(&world->shm->layout);
	options.publication =
		(Bytes){(const uint8_t *) &publication, offsetof(__typeof__(publication), name) + 4};
	assert_int_equal(consensus_create(world->shm, &options, &world->consensus), RUSD_OK);
	return world;
}

static World *
begin_ready(void)
{
	World *world = begin_world();

	settle(world);
	assert_int_equal(control(world).ready, 1);
	world->seen_count = 0;
	return world;
}

static void
end_world(World *world)
{
	consensus_destroy(world->consensus);
	wal_reader_destroy(world->reader);
	shm_destroy(world->shm);
	free(world->seen);
	free(world);
}

/* ---- backends
 * ------------------------------------------------------------------------------------- */

typedef struct Backend
{
	ProposalWriter writer;
	uint32_t slot;
	ProposalPiece head;
	uint8_t *payload;
	uint32_t offset;
} Backend;

static void
begin_backend(World *world, Backend *backend)
{
	memset(backend, 0, sizeof(*backend));
	assert_true(slot_allocate(world->shm, &backend->slot));
	proposal_writer_init(&backend->writer, world->shm, backend->slot);
}

/* A proposal whose EntryHeader lies about whose it is. */
static uint8_t *
make_payload(uint32_t kind, uint32_t value_length, uint32_t *length)
{
	OpHeader template = {.kind = kind == ENTRY_PUT ? OP_PUT : OP_DELETE};
	EntryHeader header = {
		.id = {.member_id = 1, .incarnation = 2, .sequence = 3, .slot = 4, .generation = 5},
		.flags = ENTRY_WANTS_PIN};
	Bytes key = {(const uint8_t *) "key", 3}, none = {NULL, 0}, value;
	uint8_t *bytes = calloc(1, value_length + 1), *payload;

	assert_non_null(bytes);
	for (uint32_t i = 0; i < value_length; i++)
		bytes[i] = (uint8_t) (i * 11 + value_length);
	value = kind == ENTRY_PUT ? (Bytes){bytes, value_length} : none;
	*length = sizeof(header) + op_encode(NULL, &template, key, none, value);
	payload = calloc(1, *length);
	assert_non_null(payload);
	memcpy(payload, &header, sizeof(header));
	op_encode(payload + sizeof(header), &template, key, none, value);
	free(bytes);
	return payload;
}

/* Puts as much of it into the ring as fits; true if all. */
static bool
send(Backend *backend)
{
	bool whole = proposal_put(&backend->writer, &backend->head, backend->payload, &backend->offset);

	if (whole)
	{
		free(backend->payload);
		backend->payload = NULL;
	}
	return whole;
}

static bool
propose(Backend *backend, uint32_t kind, uint32_t value_length, uint64_t frames, uint16_t flags)
{
	memset(&backend->head, 0, sizeof(backend->head));
	backend->payload = make_payload(kind, value_length, &backend->head.total_length);
	backend->head.sequence = proposal_begin(&backend->writer);
	backend->head.kind = (uint16_t) kind;
	backend->head.flags = flags;
	backend->head.frames_needed = frames;
	backend->offset = 0;
	return send(backend);
}

static uint64_t
hash_of_put(uint32_t value_length)
{
	uint32_t length;
	uint8_t *payload = make_payload(ENTRY_PUT, value_length, &length);
	uint64_t hash = fixture_hash(payload + sizeof(EntryHeader), length - sizeof(EntryHeader));

	free(payload);
	return hash;
}

static Status
answer(Backend *backend)
{
	Reply reply;

	return reply_take(&backend->writer, &reply) ? (Status) reply.status : RUSD_AGAIN;
}

/* ---- start and stop
 * ------------------------------------------------------------------------------- */

static void
it_elects_itself_and_becomes_ready(void **state)
{
	static const uint32_t kinds[] = {ENTRY_EMPTY, ENTRY_MEMBER_ATTRIBUTES, ENTRY_CLUSTER_VERSION};
	World *world = begin_world();
	Backend backend;

	(void) state;
	begin_backend(world, &backend);
	turn(world);
	assert_int_equal(control(world).role, ROLE_CANDIDATE);
	assert_int_equal(control(world).term, 2);
	assert_int_equal(control(world).leader_id, 0);
	/* It has asked walwriter to wake it, and does not lead before its vote is durable. */
	assert_int_equal(atomic_load(&world->shm->positions->flush_wanted),
					 atomic_load(&world->shm->positions->appended));
	turn(world);
	assert_int_equal(control(world).role, ROLE_CANDIDATE);
	(void) fixture_flush(world->shm, true);
	turn(world);
	assert_int_equal(control(world).role, ROLE_LEADER);
	assert_int_equal(control(world).leader_id, ME);
	assert_int_equal(control(world).ready, 0);
	assert_int_equal(positions_committed(world->shm->positions), WAL_HEADER_BYTES);
	settle(world);
	assert_int_equal(world->seen_count, 3);
	for (uint32_t i = 0; i < 3; i++)
	{
		assert_int_equal(world->seen[i].header.kind, kinds[i]);
		assert_int_equal(world->seen[i].header.index, i + 1);
		assert_int_equal(world->seen[i].header.term, 2);
		/* Nobody waits for them but raft itself. */
		assert_int_equal(world->seen[i].entry.id.slot, PROC_RAFT);
	}
	assert_int_equal(world->seen[2].hash, fixture_hash((const uint8_t *) "3.7.0", 5));
	assert_int_equal(control(world).ready, 1);
	assert_int_equal(control(world).reads_are_local, 1);
	assert_int_equal(control(world).commit_index, 3);
	assert_int_equal(control(world).last_index, 3);
	/* Whoever waited for this was woken; nobody is asked for wakes any more. */
	assert_int_equal(atomic_load(&world->shm->latches[backend.slot].word), 1);
	assert_int_equal(atomic_load(&world->shm->positions->flush_wanted), 0);
	assert_int_equal(atomic_load(&world->shm->areas[PROC_RAFT]->applied_wanted), 0);
	assert_true(shm_control_is_fresh(world->shm, world->now_ns, MS));
	end_world(world);
}

static void
an_idle_log_is_marked_once(void **state)
{
	World *world = begin_ready();
	uint64_t end = atomic_load(&world->shm->positions->appended);

	(void) state;
	for (int i = 0; i < 11; i++)
	{
		tick(world);
		settle(world);
	}
	assert_int_equal(atomic_load(&world->shm->positions->appended), end + WAL_SECTOR);
	for (int i = 0; i < 30; i++)
	{
		tick(world);
		settle(world);
	}
	assert_int_equal(atomic_load(&world->shm->positions->appended), end + WAL_SECTOR);
	end_world(world);
}

static void
a_stop_refuses_then_marks_and_finishes(void **state)
{
	World *world = begin_ready();
	Backend backend;

	(void) state;
	begin_backend(world, &backend);
	propose(&backend, ENTRY_PUT, 10, 1, 0);
	settle(world);
	assert_int_equal(world->seen_count, 1);
	atomic_store(&world->shm->requests->stop_wanted, 2);
	propose(&backend, ENTRY_PUT, 10, 1, 0);
	propose(&backend, ENTRY_DELETE_RANGE, 0, 1, PROPOSAL_FREES_SPACE);
	turn(world);
	assert_int_equal(control(world).draining, 1);
	assert_int_equal(answer(&backend), RUSD_STOPPED);
	assert_int_equal(answer(&backend), RUSD_STOPPED);
	assert_false(consensus_is_finished(world->consensus)); /* the mark is not durable */
	assert_true(atomic_load(&world->shm->positions->flush_wanted) != 0);
	settle(world);
	assert_true(consensus_is_finished(world->consensus));
	assert_int_equal(world->seen_count, 1);
	end_world(world);
}

/* ---- proposals
 * ------------------------------------------------------------------------------------ */

static void
what_waits_becomes_one_batch_with_trusted_ids(void **state)
{
	World *world = begin_ready();
	Backend backends[BACKENDS];
	uint32_t perfect = 0;

	(void) state;
	world->frames_free = UINT32_MAX;
	publish_root(world, control(world).last_index);
	for (uint32_t i = 0; i < BACKENDS; i++)
	{
		begin_backend(world, &backends[i]);
		for (uint32_t n = 0; n < 5; n++)
			assert_true(propose(&backends[i], ENTRY_PUT, 100 + i, 1, 0));
	}
	latch_reset(&world->shm->latches[PROC_WALWRITER]);
	assert_int_equal(turn(world), RUSD_OK);
	assert_int_equal(atomic_load(&world->shm->latches[PROC_WALWRITER].word), 1);
	assert_int_equal(turn(world), RUSD_AGAIN);
	settle(world);
	assert_int_equal(world->seen_count, 5 * BACKENDS);
	for (uint32_t i = 0; i < world->seen_count; i++)
	{
		const Seen *seen = &world->seen[i];
		uint32_t who = seen->entry.id.slot - PROC_ESSENTIAL_COUNT;

		assert_int_equal(seen->end, world->seen[0].end);
		assert_int_equal(seen->header.kind, ENTRY_PUT);
		assert_int_equal(seen->entry.id.member_id, ME);
		assert_int_equal(seen->entry.id.incarnation, world->shm->incarnation);
		assert_int_equal(seen->entry.id.generation, 1);
		assert_int_equal(seen->entry.flags, ENTRY_WANTS_PIN);
		assert_true(who < BACKENDS);
		assert_int_equal(seen->hash, hash_of_put(100 + who));
		if (seen->entry.id.sequence == i % 5 + 1)
			perfect++;
	}
	assert_int_equal(perfect, 5 * BACKENDS); /* each ring in its order */
	/* raft is not woken for what it does not wait for. */
	assert_int_equal(atomic_load(&world->shm->positions->flush_wanted), 0);
	end_world(world);
}

static void
a_lost_mark_costs_a_tick(void **state)
{
	World *world = begin_ready();
	Backend backend;
	uint32_t word = 0;
	uint64_t bits;

	(void) state;
	begin_backend(world, &backend);
	propose(&backend, ENTRY_PUT, 10, 1, 0);
	assert_true(marks_take(world->shm->proposal_marks, &word, &bits));
	assert_int_equal(turn(world), RUSD_AGAIN);
	tick(world);
	assert_int_equal(turn(world), RUSD_OK);
	settle(world);
	assert_int_equal(world->seen_count, 1);
	end_world(world);
}

static void
pieces_are_collected_before_a_byte_is_logged(void **state)
{
	World *world = begin_ready();
	Backend large[2], small;
	uint64_t before = atomic_load(&world->shm->positions->appended);
	bool whole[2];

	(void) state;
	begin_backend(world, &large[0]);
	begin_backend(world, &large[1]);
	begin_backend(world, &small);
	whole[0] = propose(&large[0], ENTRY_PUT, 200000, 30, 0);
	whole[1] = propose(&large[1], ENTRY_PUT, 150000, 30, 0);
	assert_false(whole[0] || whole[1]);
	turn(world);
	assert_int_equal(atomic_load(&world->shm->positions->appended), before);
	/* Who comes later with less is not held up. */
	propose(&small, ENTRY_PUT, 10, 1, 0);
	turn(world);
	settle(world);
	assert_int_equal(world->seen_count, 1);
	while (!whole[0] || !whole[1])
	{
		for (int i = 0; i < 2; i++)
			whole[i] = whole[i] || send(&large[i]);
		turn(world);
	}
	settle(world);
	assert_int_equal(world->seen_count, 3);
	for (uint32_t i = 1; i < 3; i++)
		assert_int_equal(
			world->seen[i].hash,
			hash_of_put(world->seen[i].entry.id.slot == large[0].slot ? 200000 : 150000));
	end_world(world);
}

static void
a_local_request_has_no_index(void **state)
{
	World *world = begin_ready();
	Backend backend;
	EntryHeader header = {0};
	ProposalPiece head = {.total_length = sizeof(header), .kind = ENTRY_DEFRAGMENT, .sequence = 1};
	uint32_t offset = 0;
	uint64_t last = control(world).last_index;

	(void) state;
	begin_backend(world, &backend);
	assert_true(proposal_put(&backend.writer, &head, (const uint8_t *) &header, &offset));
	settle(world);
	assert_int_equal(world->seen_count, 1);
	assert_int_equal(world->seen[0].header.index, 0);
	assert_int_equal(world->seen[0].entry.id.slot, backend.slot);
	assert_int_equal(control(world).last_index, last);
	end_world(world);
}

static void
a_request_that_is_too_large_is_refused(void **state)
{
	World *world = begin_ready();
	Backend backend;
	bool whole;

	(void) state;
	begin_backend(world, &backend);
	whole = propose(&backend, ENTRY_PUT, consensus_request_max(&world->shm->layout), 1, 0);
	while (!whole)
	{
		turn(world);
		whole = send(&backend);
	}
	settle(world);
	assert_int_equal(answer(&backend), RUSD_REQUEST_TOO_LARGE);
	/* The stream goes on behind it. */
	propose(&backend, ENTRY_PUT, 10, 1, 0);
	settle(world);
	assert_int_equal(world->seen_count, 1);
	end_world(world);
}

/* ---- refusals
 * ------------------------------------------------------------------------------------- */

static void
an_applier_far_behind_stops_proposals(void **state)
{
	World *world = begin_ready();
	Backend backend;
	uint32_t accepted = 0;
	Status status = RUSD_AGAIN;

	(void) state;
	begin_backend(world, &backend);
	while (status == RUSD_AGAIN && accepted < 6000)
	{
		if (!proposal_may_begin(&backend.writer))
			backend.writer.outstanding = 0; /* answers are not what is tested */
		assert_true(propose(&backend, ENTRY_PUT, 1, 0, 0));
		world->frames_free = UINT32_MAX;
		publish_root(world, atomic_load(&world->shm->positions->applied_index));
		turn(world);
		(void) fixture_flush(world->shm, true);
		turn(world);
		status = answer(&backend);
		if (status == RUSD_AGAIN)
			accepted++;
		/* Log buffers are no obstacle: this applier has read, and not applied. */
		atomic_store(&world->shm->positions->applied_position,
					 atomic_load(&world->shm->positions->flushed));
	}
	assert_int_equal(status, RUSD_TOO_MANY_REQUESTS);
	assert_int_equal(accepted, 5001); /* RAFT-40: more than 5000 */
	atomic_store(&world->shm->positions->applied_index, control(world).commit_index);
	propose(&backend, ENTRY_PUT, 1, 0, 0);
	turn(world);
	assert_int_equal(answer(&backend), RUSD_AGAIN);
	end_world(world);
}

static void
a_full_disk_refuses_all_but_what_frees(void **state)
{
	World *world = begin_ready();
	Backend backend;

	(void) state;
	begin_backend(world, &backend);
	atomic_store(&world->shm->segments->no_room, 1);
	propose(&backend, ENTRY_PUT, 10, 1, 0);
	propose(&backend, ENTRY_PUT, 10, 1, PROPOSAL_FREES_SPACE); /* not believed of a put */
	propose(&backend, ENTRY_DELETE_RANGE, 0, 1, PROPOSAL_FREES_SPACE);
	settle(world);
	assert_int_equal(answer(&backend), RUSD_NOSPACE);
	assert_int_equal(answer(&backend), RUSD_NOSPACE);
	assert_int_equal(world->seen_count, 1);
	assert_int_equal(world->seen[0].header.kind, ENTRY_DELETE_RANGE);
	atomic_store(&world->shm->segments->no_room, 0);
	propose(&backend, ENTRY_PUT, 10, 1, 0);
	settle(world);
	assert_int_equal(world->seen_count, 2);
	/* The same where it is the data file that has no room. */
	atomic_store(&world->shm->requests->data_limit, 100);
	propose(&backend, ENTRY_PUT, 10, 1, 0);
	propose(&backend, ENTRY_DELETE_RANGE, 0, 1, PROPOSAL_FREES_SPACE);
	settle(world);
	assert_int_equal(answer(&backend), RUSD_NOSPACE);
	assert_int_equal(world->seen_count, 3);
	atomic_store(&world->shm->requests->data_limit, 0);
	propose(&backend, ENTRY_PUT, 10, 1, 0);
	settle(world);
	assert_int_equal(world->seen_count, 4);
	end_world(world);
}

/* Who has his refusal in the middle of a large proposal puts no more of it; what he puts next is heard. */
static void
a_refused_proposal_need_not_be_completed(void **state)
{
	World *world = begin_ready();
	Backend backend;

	(void) state;
	begin_backend(world, &backend);
	atomic_store(&world->shm->segments->no_room, 1);
	assert_false(propose(&backend, ENTRY_PUT, 200000, 30, 0));
	settle(world);
	assert_int_equal(answer(&backend), RUSD_NOSPACE);
	free(backend.payload);
	atomic_store(&world->shm->segments->no_room, 0);
	assert_true(propose(&backend, ENTRY_PUT, 10, 1, 0));
	settle(world);
	assert_int_equal(world->seen_count, 1);
	assert_int_equal(world->seen[0].hash, hash_of_put(10));
	end_world(world);
}

static void
pages_are_reserved_until_applied(void **state)
{
	World *world = begin_ready();
	Backend backend;

	(void) state;
	begin_backend(world, &backend);
	/* 1024 free, 32 kept back, and 64 for compactions. */
	propose(&backend, ENTRY_PUT, 10, 600, 0);
	propose(&backend, ENTRY_PUT, 10, 329, 0);
	turn(world);
	assert_int_equal(answer(&backend), RUSD_TOO_MANY_REQUESTS);
	assert_int_equal(atomic_load(&world->shm->requests->frames_wanted), FRAMES);
	assert_true(600 + 96 + 329 > FRAMES); /* more than the cache has is not asked for */
	assert_int_equal(atomic_load(&world->shm->latches[PROC_APPLIER].word), 1);
	propose(&backend, ENTRY_PUT, 10, 328, 0);
	turn(world);
	assert_int_equal(answer(&backend), RUSD_AGAIN);
	/* What frees may use what is kept back, and no more. */
	propose(&backend, ENTRY_DELETE_RANGE, 0, 33, PROPOSAL_FREES_SPACE);
	propose(&backend, ENTRY_DELETE_RANGE, 0, 32, PROPOSAL_FREES_SPACE);
	turn(world);
	assert_int_equal(answer(&backend), RUSD_TOO_MANY_REQUESTS);
	assert_int_equal(answer(&backend), RUSD_AGAIN);
	/* Committed is not applied. */
	(void) fixture_flush(world->shm, true);
	propose(&backend, ENTRY_PUT, 10, 1, 0);
	turn(world);
	assert_int_equal(answer(&backend), RUSD_TOO_MANY_REQUESTS);
	/* Applied, and it took 100 pages of what it had asked for. */
	world->frames_free = 924;
	settle(world);
	assert_int_equal(world->seen_count, 3);
	propose(&backend, ENTRY_PUT, 10, 924 - 96, 0);
	settle(world);
	assert_int_equal(world->seen_count, 4);
	/* Nobody was refused since: nobody waits for pages. */
	tick(world);
	turn(world);
	tick(world);
	turn(world);
	assert_int_equal(atomic_load(&world->shm->requests->frames_wanted), 0);
	/* Numbers that overflow are only large. */
	propose(&backend, ENTRY_PUT, 10, UINT64_MAX, 0);
	turn(world);
	assert_int_equal(answer(&backend), RUSD_TOO_MANY_REQUESTS);
	end_world(world);
}

/* A backend may say that its proposal takes nothing; and the others are told what is reserved. */
static void
promises_are_published(void **state)
{
	World *world = begin_ready();
	_Atomic uint64_t *promised = &world->shm->requests->frames_promised;
	Backend backend;

	(void) state;
	begin_backend(world, &backend);
	assert_int_equal(atomic_load(promised), 0);
	propose(&backend, ENTRY_PUT, 10, 600, 0);
	turn(world);
	assert_int_equal(atomic_load(promised), 600);
	propose(&backend, ENTRY_PUT, 10, 0, 0);
	turn(world);
	assert_int_equal(atomic_load(promised), 600 + 11);
	settle(world);
	assert_int_equal(atomic_load(promised), 0);
	propose(&backend, ENTRY_PUT, 3 * 8192, 0, 0);
	turn(world);
	while (backend.payload != NULL)
	{
		send(&backend);
		turn(world);
	}
	assert_int_equal(atomic_load(promised), 11 + 3);
	end_world(world);
}

static void
a_full_log_waits_and_loses_nothing(void **state)
{
	World *world = begin_ready();
	Backend backends[8];
	uint64_t end;
	uint32_t proposed = 0;

	(void) state;
	for (uint32_t i = 0; i < 8; i++)
		begin_backend(world, &backends[i]);
	/* Nothing is flushed: 1 MiB of buffers fills up. */
	do
	{
		end = atomic_load(&world->shm->positions->appended);
		for (uint32_t i = 0; i < 8; i++)
		{
			if (backends[i].payload != NULL && send(&backends[i]))
				proposed++;
			while (backends[i].payload == NULL)
				if (propose(&backends[i], ENTRY_PUT, 15000, 0, 0))
					proposed++;
		}
		turn(world);
	} while (atomic_load(&world->shm->positions->appended) != end);
	assert_true(end > WAL_HEADER_BYTES + world->shm->layout.wal_buffer_bytes / 2);
	assert_true(world->sleep_ns > 0); /* it does not spin meanwhile */
	assert_true(atomic_load(&world->shm->positions->flush_wanted) != 0);
	assert_true(atomic_load(&world->shm->areas[PROC_RAFT]->applied_wanted) != 0);
	for (uint32_t i = 0; i < 8; i++)
		while (backends[i].payload != NULL)
		{
			settle(world);
			if (send(&backends[i]))
				proposed++;
		}
	settle(world);
	assert_int_equal(world->seen_count, proposed);
	assert_int_equal(atomic_load(&world->shm->positions->flush_wanted), 0);
	end_world(world);
}

/* ---- backends that die, stall, lie
 * ---------------------------------------------------------------- */

static void
a_backend_that_dies_leaves_nothing(void **state)
{
	World *world = begin_ready();
	Backend backend, successor;

	(void) state;
	for (int life = 0; life < 20; life++)
	{
		begin_backend(world, &backend);
		assert_false(propose(&backend, ENTRY_PUT, 200000, 1, 0)); /* dies in the middle of it */
		turn(world);
		free(backend.payload);
		slot_mark_dead(world->shm, backend.slot);
		settle(world);
		assert_int_equal(slot_free_dead(world->shm), 1);
	}
	begin_backend(world, &successor);
	assert_int_equal(successor.slot, backend.slot);
	propose(&successor, ENTRY_PUT, 10, 1, 0);
	settle(world);
	assert_int_equal(world->seen_count, 1);
	assert_int_equal(world->seen[0].entry.id.generation, 21);
	assert_int_equal(world->seen[0].hash, hash_of_put(10));
	end_world(world);
}

static void
who_sits_on_memory_loses_it(void **state)
{
	World *world = begin_ready();
	Backend sitting[8], waiting;
	bool whole;

	(void) state;
	/* The memory is four times the largest request. */
	for (int i = 0; i < 5; i++)
	{
		begin_backend(world, &sitting[i]);
		assert_false(propose(&sitting[i], ENTRY_PUT, 210000, 1, 0));
	}
	turn(world);
	begin_backend(world, &waiting);
	whole = propose(&waiting, ENTRY_PUT, 215000, 1, 0);
	for (int i = 0; i < 30 && !whole; i++)
	{
		tick(world);
		settle(world);
		whole = send(&waiting);
	}
	assert_true(whole);
	settle(world);
	assert_int_equal(world->seen_count, 1);
	assert_int_equal(world->seen[0].entry.id.slot, waiting.slot);
	/* Those who lost it were told, and their streams go on. */
	assert_int_equal(answer(&sitting[0]), RUSD_TOO_MANY_REQUESTS);
	while (!send(&sitting[0]))
		settle(world);
	propose(&sitting[0], ENTRY_PUT, 77, 1, 0);
	settle(world);
	assert_int_equal(world->seen_count, 2);
	assert_int_equal(world->seen[1].hash, hash_of_put(77));
	for (int i = 1; i < 5; i++)
		free(sitting[i].payload);
	end_world(world);
}

static void
lies_are_dropped_without_an_answer(void **state)
{
	static const uint16_t kinds[] = {
		0, ENTRY_EMPTY, ENTRY_HARD_STATE, ENTRY_MEMBER_ATTRIBUTES, ENTRY_CLUSTER_VERSION, 63, 999};
	World *world = begin_ready();
	Backend liar, honest;
	uint64_t last = control(world).last_index;
	uint8_t payload[256] = {0};

	(void) state;
	begin_backend(world, &liar);
	begin_backend(world, &honest);
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		ProposalPiece head = {.sequence = i + 1, .total_length = 40, .kind = kinds[i]};
		uint32_t offset = 0;

		assert_true(proposal_put(&liar.writer, &head, payload, &offset));
		turn(world);
	}
	for (uint32_t length = 1; length < 120; length++)
	{
		/* A put that does not decode; one shorter than its header. */
		ProposalPiece head = {.sequence = length, .total_length = length, .kind = ENTRY_PUT};
		uint32_t offset = 0;

		assert_true(proposal_put(&liar.writer, &head, payload, &offset));
		turn(world);
	}
	assert_int_equal(answer(&liar), RUSD_AGAIN);
	assert_int_equal(control(world).last_index, last);
	propose(&honest, ENTRY_PUT, 10, 1, 0);
	settle(world);
	assert_int_equal(world->seen_count, 1);
	end_world(world);
}

/* All that a backend can write, at random, again and again: raft goes on serving the others. */
static void
random_areas_disturb_nobody(void **state)
{
	World *world = begin_ready();
	Backend hostile[4], honest;
	uint64_t seed = 20241124;
	uint32_t expected = 0, honest_seen = 0;

	(void) state;
	begin_backend(world, &honest);
	for (int i = 0; i < 4; i++)
		begin_backend(world, &hostile[i]);
	for (int round = 0; round < 3000; round++)
	{
		for (int i = 0; i < 4; i++)
		{
			BackendArea *area = world->shm->areas[hostile[i].slot];
			uint8_t *bytes = (uint8_t *) area;
			uint64_t dice = fixture_random(&seed);

			for (int n = 0; n < 200; n++)
				bytes[fixture_random(&seed) % sizeof(*area)] = (uint8_t) fixture_random(&seed);
			/* Pieces that are nearly right. */
			for (int n = 0; n < 20; n++)
			{
				ProposalPiece piece = {.sequence = 1 + fixture_random(&seed) % 3,
									   .total_length = (uint32_t) (fixture_random(&seed) % 90000),
									   .kind = (uint16_t) (fixture_random(&seed) % 12),
									   .flags = (uint16_t) (fixture_random(&seed) % 2)};

				piece.offset =
					fixture_random(&seed) % 3 == 0 ? 0 : (uint32_t) fixture_random(&seed) % 90000;
				piece.length = (uint32_t) (1 + fixture_random(&seed) % PROPOSAL_PIECE_MAX);
				if (fixture_random(&seed) % 2)
					piece.total_length = piece.length;
				memcpy(area->proposals + fixture_random(&seed) % (PROPOSAL_RING_BYTES / 8 - 4) * 8,
					   &piece, sizeof(piece));
			}
			atomic_store(&area->proposal_head,
						 dice % 8 == 0
							 ? fixture_random(&seed)
							 : atomic_load(&world->shm->proposal_tails[hostile[i].slot * 8]) +
								   fixture_random(&seed) % 8200 * 8);
		}
		for (int n = 0; n < 20; n++)
			marks_set(world->shm->proposal_marks, (uint32_t) (fixture_random(&seed) % MAX_SLOTS));
		for (uint32_t slot = 0; slot < world->shm->layout.slot_count; slot++)
			if (fixture_random(&seed) % 4 == 0)
			{
				atomic_store(&world->shm->latches[slot].sleeping,
							 (uint32_t) fixture_random(&seed) % 2);
				atomic_store(&world->shm->latches[slot].word, (uint32_t) fixture_random(&seed));
			}
		if (!proposal_may_begin(&honest.writer))
			honest.writer.outstanding = 0;
		propose(&honest, ENTRY_PUT, 20, 1, 0);
		expected++;
		if (round % 10 == 0)
			tick(world);
		world->seen_count = 0;
		settle(world);
		for (uint32_t i = 0; i < world->seen_count; i++)
		{
			/* apply_all has checked that each decodes. */
			assert_int_equal(world->seen[i].entry.id.member_id, ME);
			if (world->seen[i].entry.id.slot == honest.slot)
				honest_seen++;
		}
	}
	assert_int_equal(honest_seen, expected);
	end_world(world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_elects_itself_and_becomes_ready),
		cmocka_unit_test(an_idle_log_is_marked_once),
		cmocka_unit_test(a_stop_refuses_then_marks_and_finishes),
		cmocka_unit_test(what_waits_becomes_one_batch_with_trusted_ids),
		cmocka_unit_test(a_lost_mark_costs_a_tick),
		cmocka_unit_test(pieces_are_collected_before_a_byte_is_logged),
		cmocka_unit_test(a_local_request_has_no_index),
		cmocka_unit_test(a_request_that_is_too_large_is_refused),
		cmocka_unit_test(an_applier_far_behind_stops_proposals),
		cmocka_unit_test(a_full_disk_refuses_all_but_what_frees),
		cmocka_unit_test(a_refused_proposal_need_not_be_completed),
		cmocka_unit_test(pages_are_reserved_until_applied),
		cmocka_unit_test(promises_are_published),
		cmocka_unit_test(a_full_log_waits_and_loses_nothing),
		cmocka_unit_test(a_backend_that_dies_leaves_nothing),
		cmocka_unit_test(who_sits_on_memory_loses_it),
		cmocka_unit_test(lies_are_dropped_without_an_answer),
		cmocka_unit_test(random_areas_disturb_nobody),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
