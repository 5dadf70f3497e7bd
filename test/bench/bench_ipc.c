/*
 * bench_ipc.c
 *	  What a wake costs, on the same core and on another, and what crosses a proposal ring in a
 * second.
 *
 * usage: bench_ipc
 *
 * Pins its two processes to cores 0 and 0, then to 0 and 1 where there is one.
 *
 * test/bench/bench_ipc.c
 */
#include "rusd.h"

#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc/ring.h"
#include "ipc/slot.h"

#define ROUNDS 50000
#define PROPOSALS 3000000
#define PAYLOAD 400

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

static void
pin_to(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	(void) sched_setaffinity(0, sizeof(set), &set);
}

static Shm *
make_shm(void)
{
	ShmLayout layout = {.slot_count = PROC_ESSENTIAL_COUNT + 2,
						.wal_buffer_bytes = 1 << 20,
						.wal_segment_bytes = 1 << 22,
						.frame_count = 16};
	Shm *shm;

	Check(shm_create(&layout, true, &shm) == RUSD_OK);
	return shm;
}

/* Each wakes the other and sleeps: half a round is one wake. */
static void
bounce(Shm *shm, uint32_t me, uint32_t other, bool use_signal)
{
	Latch *mine = &shm->latches[me];

	latch_init(mine, use_signal);
	atomic_fetch_add(&shm->ended_counters[0], 1);
	while (atomic_load(&shm->ended_counters[0]) < 2)
		;
	if (me == 0)
		latch_set(&shm->latches[other]);
	for (int i = 0; i < ROUNDS; i++)
	{
		while (!latch_wait(mine, -1, WAIT_EVENT_NONE))
			;
		latch_reset(mine);
		latch_set(&shm->latches[other]);
	}
}

static void
measure_wakes(int core, bool use_signal)
{
	Shm *shm = make_shm();
	pid_t child = fork();
	uint64_t begun;

	pin_to(child == 0 ? core : 0);
	if (child == 0)
	{
		bounce(shm, 1, 0, use_signal);
		_exit(0);
	}
	begun = now_ns();
	bounce(shm, 0, 1, use_signal);
	printf("%-22s %-10s %6.2f us a wake\n", use_signal ? "SIGURG and ppoll" : "futex",
		   core == 0 ? "same core" : "other core",
		   (double) (now_ns() - begun) / (2.0 * ROUNDS) / 1000);
	waitpid(child, NULL, 0);
	shm_destroy(shm);
}

static void
produce(Shm *shm, uint32_t slot)
{
	uint8_t payload[PAYLOAD] = {0};
	ProposalWriter writer;

	shm_restrict(shm, slot);
	latch_init(&shm->latches[slot], true);
	proposal_writer_init(&writer, shm, slot);
	for (uint64_t n = 1; n <= PROPOSALS; n++)
	{
		ProposalPiece head = {.sequence = n, .total_length = PAYLOAD};
		uint32_t offset = 0;

		for (;;)
		{
			latch_reset(&shm->latches[slot]);
			bool whole = proposal_put(&writer, &head, payload, &offset);

			proposal_wake(&writer);
			if (whole)
				break;
			latch_wait(&shm->latches[slot], -1, WAIT_EVENT_NONE);
		}
	}
}

static void
measure_ring(int core)
{
	Shm *shm = make_shm();
	static uint8_t bytes[PROPOSAL_PIECE_MAX];
	uint64_t taken = 0, begun;
	uint32_t slot;
	pid_t child;

	Check(slot_allocate(shm, &slot));
	latch_init(&shm->latches[PROC_RAFT], false);
	child = fork();
	pin_to(child == 0 ? core : 0);
	if (child == 0)
	{
		produce(shm, slot);
		_exit(0);
	}
	begun = now_ns();
	while (taken < PROPOSALS)
	{
		ProposalPiece piece;

		latch_reset(&shm->latches[PROC_RAFT]);
		while (proposal_take(shm, slot, &piece, bytes) == RUSD_OK)
			taken++;
		if (taken < PROPOSALS)
			latch_wait(&shm->latches[PROC_RAFT], -1, WAIT_EVENT_NONE);
	}
	printf("ring, %d byte proposals %-10s %6.2f million a second\n", PAYLOAD,
		   core == 0 ? "same core" : "other core",
		   (double) PROPOSALS * 1000 / (double) (now_ns() - begun));
	waitpid(child, NULL, 0);
	shm_destroy(shm);
}

/* Fork, restrict, exit: what shared memory adds to the start of a backend. */
static void
measure_restrict(void)
{
	Shm *shm = make_shm();
	uint64_t begun = now_ns();

	for (int i = 0; i < 2000; i++)
	{
		pid_t child = fork();

		if (child == 0)
			_exit(shm_restrict(shm, PROC_ESSENTIAL_COUNT) == RUSD_OK ? 0 : 1);
		waitpid(child, NULL, 0);
	}
	printf("fork, restrict, reap              %6.2f us\n",
		   (double) (now_ns() - begun) / 2000 / 1000);
	shm_destroy(shm);
}

int
main(void)
{
	int last = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0;

	for (int core = 0; core <= last; core++)
	{
		measure_wakes(core, false);
		measure_wakes(core, true);
		measure_ring(core);
	}
	measure_restrict();
	return 0;
}
