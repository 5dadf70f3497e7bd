/*
 * test_ring.c
 *	  Proposal and reply rings: order, wrap, full rings, writers that are killed, contents that are
 * nonsense.
 *
 * Also run under the thread sanitizer (make check-tsan).
 *
 * test/unit/test_ring.c
 */
#include "rusd.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/ring.h"
#include "ipc/slot.h"

#include "cmocka_all.h"
#include "ipc_fixture.h"

#define PROPOSALS (UNDER_TSAN ? 3000 : 60000)
#define LARGEST (200 * 1024)

static Shm *
one_backend(uint32_t *slot, ProposalWriter *writer)
{
	Shm *shm = fixture_shm(1, false);

	assert_true(slot_allocate(shm, slot));
	proposal_writer_init(writer, shm, *slot);
	return shm;
}

/* What proposal n consists of, so that the reader knows what to expect. */
static uint32_t
length_of(uint64_t n)
{
	uint64_t seed = n * 77 + 1;
	uint64_t dice = fixture_random(&seed);

	if (dice % 64 == 0)
		return 1 + (uint32_t) (fixture_random(&seed) % LARGEST);
	return 1 + (uint32_t) (fixture_random(&seed) % 600);
}

static uint8_t
byte_of(uint64_t n, uint32_t offset)
{
	return (uint8_t) (n * 31 + offset * 7 + offset / 256);
}

static void
fill_payload(uint64_t n, uint8_t *payload, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		payload[i] = byte_of(n, i);
}

static void
one_piece_crosses_unchanged(void **state)
{
	uint32_t slot, offset = 0;
	ProposalWriter writer;
	Shm *shm = one_backend(&slot, &writer);
	uint8_t payload[100], got[PROPOSAL_PIECE_MAX];
	ProposalPiece head = {
		.total_length = sizeof(payload), .kind = 7, .flags = 1, .frames_needed = 12};
	ProposalPiece piece;
	uint32_t word = 0;
	uint64_t bits;

	(void) state;
	assert_int_equal(proposal_take(shm, slot, &piece, got), RUSD_AGAIN);
	fill_payload(1, payload, sizeof(payload));
	head.sequence = proposal_begin(&writer);
	assert_int_equal(head.sequence, 1);
	assert_true(proposal_put(&writer, &head, payload, &offset));
	assert_int_equal(offset, sizeof(payload));
	assert_true(marks_take(shm->proposal_marks, &word, &bits));
	assert_int_equal(bits, UINT64_C(1) << slot);
	assert_int_equal(atomic_load(&shm->latches[PROC_RAFT].word), 0);
	proposal_wake(&writer);
	assert_int_equal(atomic_load(&shm->latches[PROC_RAFT].word), 1);
	latch_reset(&shm->latches[PROC_RAFT]);
	proposal_wake(&writer); /* nothing new */
	assert_int_equal(atomic_load(&shm->latches[PROC_RAFT].word), 0);
	assert_int_equal(proposal_take(shm, slot, &piece, got), RUSD_OK);
	assert_int_equal(piece.sequence, 1);
	assert_int_equal(piece.total_length, 100);
	assert_int_equal(piece.offset, 0);
	assert_int_equal(piece.length, 100);
	assert_int_equal(piece.kind, 7);
	assert_int_equal(piece.flags, 1);
	assert_int_equal(piece.frames_needed, 12);
	assert_memory_equal(got, payload, sizeof(payload));
	assert_int_equal(proposal_take(shm, slot, &piece, got), RUSD_AGAIN);
	shm_destroy(shm);
}

static void
a_full_ring_wakes_its_writer(void **state)
{
	uint32_t slot, offset = 0;
	ProposalWriter writer;
	Shm *shm = one_backend(&slot, &writer);
	uint8_t *payload = malloc(LARGEST), got[PROPOSAL_PIECE_MAX];
	ProposalPiece head = {.total_length = LARGEST, .sequence = 1};
	ProposalPiece piece;
	uint32_t received = 0, wakes = 0;
	bool whole;

	(void) state;
	assert_non_null(payload);
	fill_payload(3, payload, LARGEST);
	whole = proposal_put(&writer, &head, payload, &offset);
	assert_false(whole);
	assert_int_equal(offset, 3 * PROPOSAL_PIECE_MAX); /* a fourth does not fit with its header */
	while (!whole || received < LARGEST)
	{
		latch_reset(&shm->latches[slot]);
		assert_int_equal(proposal_take(shm, slot, &piece, got), RUSD_OK);
		assert_int_equal(piece.offset, received);
		assert_memory_equal(got, payload + received, piece.length);
		received += piece.length;
		/* A writer that waits does nothing until it is woken: a lost wake ends in an empty ring. */
		if (!whole && atomic_load(&shm->latches[slot].word) == 1)
		{
			uint32_t before = offset;

			whole = proposal_put(&writer, &head, payload, &offset);
			assert_true(offset > before); /* nor is it woken for nothing */
			wakes++;
		}
	}
	assert_true(wakes >= 3 && wakes <= 8);
	assert_int_equal(received, LARGEST);
	free(payload);
	shm_destroy(shm);
}

static void
places_are_counted_until_the_answer(void **state)
{
	uint32_t slot;
	ProposalWriter writer;
	Shm *shm = one_backend(&slot, &writer);
	Reply reply = {.generation = atomic_load(&shm->heads[slot].generation)}, taken;

	(void) state;
	for (uint64_t n = 1; n <= 3 * REPLY_PLACES; n++)
	{
		if (!proposal_may_begin(&writer))
		{
			/* Every answer that is there, from both rings. */
			for (uint32_t i = 0; i < REPLY_PLACES; i++)
				assert_true(reply_take(&writer, &taken));
			assert_false(reply_take(&writer, &taken));
			assert_int_equal(writer.outstanding, 0);
		}
		reply.sequence = proposal_begin(&writer);
		assert_int_equal(reply.sequence, n);
		reply_put(shm, n % 3 == 0 ? shm->raft_replies : shm->applier_replies, slot, &reply);
	}
	shm_destroy(shm);
}

/* ---- a writer and a reader at the same time ---- */

typedef struct Stream
{
	Shm *shm;
	uint32_t slot;
	ProposalWriter writer;
	uint64_t replies;
} Stream;

static void *
write_proposals(void *arg)
{
	Stream *stream = arg;
	Latch *latch = &stream->shm->latches[stream->slot];
	uint8_t *payload = malloc(LARGEST);
	uint64_t next = 1;
	uint32_t offset = 0;
	ProposalPiece head = {0};
	Reply reply;

	while (payload != NULL && stream->replies < PROPOSALS)
	{
		latch_reset(latch);
		while (reply_take(&stream->writer, &reply))
			stream->replies++;
		while (next <= PROPOSALS)
		{
			if (head.total_length == 0)
			{
				if (!proposal_may_begin(&stream->writer))
					break;
				head.sequence = proposal_begin(&stream->writer);
				head.total_length = length_of(next);
				offset = 0;
				fill_payload(next, payload, head.total_length);
			}
			if (!proposal_put(&stream->writer, &head, payload, &offset))
				break;
			head.total_length = 0;
			next++;
		}
		proposal_wake(&stream->writer);
		if (stream->replies < PROPOSALS)
			latch_wait(latch, -1, WAIT_EVENT_NONE);
	}
	free(payload);
	return NULL;
}

static bool
piece_is_right(const ProposalPiece *piece, const uint8_t *bytes, uint64_t n, uint32_t received)
{
	if (piece->sequence != n || piece->total_length != length_of(n) || piece->offset != received)
		return false;
	for (uint32_t i = 0; i < piece->length; i++)
		if (bytes[i] != byte_of(n, received + i))
			return false;
	return true;
}

static void
proposals_and_answers_stream_between_threads(void **state)
{
	Stream stream = {0};
	uint8_t *bytes = malloc(PROPOSAL_PIECE_MAX);
	uint64_t n = 1, wrong = 0;
	uint32_t received = 0;
	Latch *latch;
	pthread_t thread;

	(void) state;
	stream.shm = one_backend(&stream.slot, &stream.writer);
	latch = &stream.shm->latches[PROC_RAFT];
	latch_init(latch, false);
	latch_init(&stream.shm->latches[stream.slot], false);
	assert_int_equal(pthread_create(&thread, NULL, write_proposals, &stream), 0);
	while (n <= PROPOSALS)
	{
		ProposalPiece piece;

		latch_reset(latch);
		while (n <= PROPOSALS && proposal_take(stream.shm, stream.slot, &piece, bytes) == RUSD_OK)
		{
			if (!piece_is_right(&piece, bytes, n, received))
				wrong++;
			received += piece.length;
			if (received == piece.total_length)
			{
				Reply reply = {.sequence = n, .generation = 1};

				reply_put(stream.shm,
						  n % 5 == 0 ? stream.shm->raft_replies : stream.shm->applier_replies,
						  stream.slot, &reply);
				reply_wake(stream.shm, stream.slot);
				received = 0;
				n++;
			}
		}
		if (n <= PROPOSALS)
			latch_wait(latch, -1, WAIT_EVENT_NONE);
	}
	pthread_join(thread, NULL);
	assert_int_equal(wrong, 0);
	assert_int_equal(stream.replies, PROPOSALS);
	free(bytes);
	shm_destroy(stream.shm);
}

/* ---- a writer that is killed ---- */

static void
a_killed_writer_leaves_whole_pieces_only(void **state)
{
	Shm *shm = fixture_shm(1, true);
	uint8_t *bytes = malloc(PROPOSAL_PIECE_MAX);
	uint64_t seed = 4711, pieces = 0;
	uint32_t seen_raft = 0, seen_applier = 0;

	(void) state;
	latch_init(&shm->latches[PROC_RAFT], false);
	for (int round = 0; round < 60; round++)
	{
		uint64_t n = 1, patience = fixture_random(&seed) % 400;
		uint32_t slot, received = 0;
		bool killed = false;
		pid_t child;

		assert_true(slot_allocate(shm, &slot));
		child = fork();
		if (child == 0)
		{
			Stream stream = {.shm = shm, .slot = slot};

			shm_restrict(shm, slot);
			latch_init(&shm->latches[slot], true);
			proposal_writer_init(&stream.writer, shm, slot);
			write_proposals(&stream);
			_exit(0);
		}
		for (;;)
		{
			ProposalPiece piece;
			Status status;

			latch_reset(&shm->latches[PROC_RAFT]);
			status = proposal_take(shm, slot, &piece, bytes);
			if (status == RUSD_AGAIN && killed)
				break;
			if (status == RUSD_AGAIN)
			{
				latch_wait(&shm->latches[PROC_RAFT], 10, WAIT_EVENT_NONE);
				continue;
			}
			assert_int_equal(status, RUSD_OK);
			assert_true(piece_is_right(&piece, bytes, n, received));
			pieces++;
			received += piece.length;
			if (received == piece.total_length)
			{
				Reply reply = {.sequence = n++,
							   .generation = atomic_load(&shm->heads[slot].generation)};

				reply_put(shm, shm->applier_replies, slot, &reply);
				reply_wake(shm, slot);
				received = 0;
			}
			if (patience-- == 0)
			{
				assert_int_equal(kill(child, SIGKILL), 0);
				assert_int_equal(waitpid(child, NULL, 0), child);
				killed = true;
			}
			if (killed && patience == 0)
				break;
		}
		slot_mark_dead(shm, slot);
		slot_acknowledge_dead(shm, shm->raft_acks, &seen_raft, NULL, NULL);
		slot_acknowledge_dead(shm, shm->applier_acks, &seen_applier, NULL, NULL);
		assert_int_equal(slot_free_dead(shm), 1);
	}
	assert_true(pieces > 1000);
	free(bytes);
	shm_destroy(shm);
}

/* ---- nonsense ---- */

static void
nonsense_is_refused_and_dropped(void **state)
{
	static const ProposalPiece bad[] = {
		{.total_length = 10, .length = 0},                               /* nothing */
		{.total_length = 10, .length = 11},                              /* more than all */
		{.total_length = 10, .offset = 5, .length = 6},                  /* beyond the end */
		{.total_length = UINT32_MAX, .length = UINT32_MAX},              /* beyond a piece */
		{.total_length = UINT32_MAX, .offset = UINT32_MAX, .length = 1}, /* sums that overflow */
		{.total_length = 9000, .length = 9000}, /* longer than what is there */
		{.total_length = PROPOSAL_PIECE_MAX + 8, .length = PROPOSAL_PIECE_MAX + 8},
	};
	uint32_t slot;
	ProposalWriter writer;
	Shm *shm = one_backend(&slot, &writer);
	BackendArea *area = shm->areas[slot];
	uint8_t *bytes = malloc(PROPOSAL_PIECE_MAX);
	ProposalPiece piece;

	(void) state;
	for (size_t i = 0; i < lengthof(bad); i++)
	{
		uint64_t head = atomic_load(&area->proposal_head);

		for (size_t at = 0; at < sizeof(bad[i]); at++)
			area->proposals[(head + at) % PROPOSAL_RING_BYTES] = ((const uint8_t *) &bad[i])[at];
		atomic_store(&area->proposal_head, head + sizeof(bad[i]) + 64);
		assert_int_equal(proposal_take(shm, slot, &piece, bytes), RUSD_INVALID);
		assert_int_equal(proposal_take(shm, slot, &piece, bytes), RUSD_AGAIN);
	}
	/* Heads that cannot be. */
	for (int i = 0; i < 4; i++)
	{
		static const int64_t steps[] = {8, PROPOSAL_RING_BYTES + 8, -8, 37};

		atomic_fetch_add(&area->proposal_head, (uint64_t) steps[i]);
		assert_int_equal(proposal_take(shm, slot, &piece, bytes), RUSD_INVALID);
		assert_int_equal(proposal_take(shm, slot, &piece, bytes), RUSD_AGAIN);
	}
	free(bytes);
	shm_destroy(shm);
}

static void
random_rings_never_reach_beyond_the_buffer(void **state)
{
	uint32_t slot;
	ProposalWriter writer;
	Shm *shm = one_backend(&slot, &writer);
	BackendArea *area = shm->areas[slot];
	uint8_t *bytes = malloc(PROPOSAL_PIECE_MAX + 64);
	uint64_t seed = 99, taken = 0;

	(void) state;
	memset(bytes, 0xee, PROPOSAL_PIECE_MAX + 64);
	for (int round = 0; round < 20000; round++)
	{
		ProposalPiece piece;

		for (int i = 0; i < 32; i++)
			area->proposals[fixture_random(&seed) % PROPOSAL_RING_BYTES] =
				(uint8_t) fixture_random(&seed);
		/* Lengths that are often plausible. */
		for (int i = 0; i < 16; i++)
		{
			uint32_t length = (uint32_t) (fixture_random(&seed) % (PROPOSAL_PIECE_MAX + 64));
			uint64_t at = fixture_random(&seed) % (PROPOSAL_RING_BYTES / 8) * 8;

			memcpy(area->proposals + at, &length, sizeof(length));
		}
		atomic_store(&area->proposal_head, atomic_load(&shm->proposal_tails[slot * 8]) +
											   fixture_random(&seed) % 9000 * 8);
		while (proposal_take(shm, slot, &piece, bytes) == RUSD_OK)
		{
			assert_true(piece.length >= 1 && piece.length <= PROPOSAL_PIECE_MAX);
			assert_true((uint64_t) piece.offset + piece.length <= piece.total_length);
			taken++;
		}
	}
	for (int i = 0; i < 64; i++)
		assert_int_equal(bytes[PROPOSAL_PIECE_MAX + i], 0xee);
	assert_true(taken > 0);
	free(bytes);
	shm_destroy(shm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_piece_crosses_unchanged),
		cmocka_unit_test(a_full_ring_wakes_its_writer),
		cmocka_unit_test(places_are_counted_until_the_answer),
		cmocka_unit_test(proposals_and_answers_stream_between_threads),
		cmocka_unit_test(nonsense_is_refused_and_dropped),
		cmocka_unit_test(random_rings_never_reach_beyond_the_buffer),
	};

	/* The thread sanitizer sees one process only. */
	const struct CMUnitTest processes[] = {
		cmocka_unit_test(a_killed_writer_leaves_whole_pieces_only),
	};
	int failed;

	alarm(120);
	failed = cmocka_run_group_tests_name("threads", tests, NULL, NULL);
	if (!UNDER_TSAN)
		failed += cmocka_run_group_tests_name("processes", processes, NULL, NULL);
	return failed;
}
