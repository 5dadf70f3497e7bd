/*
 * test_latch.c
 *	  Latches: no wake is lost, by futex and by SIGURG, with sockets, with setters that die.
 *
 * Also run under the thread sanitizer (make check-tsan).  No test waits for time to pass; where a
 * wake would be lost, a wait without limit would hang, and the alarm at the end of main ends the
 * program.
 *
 * test/unit/test_latch.c
 */
#include "rusd.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/process.h"

#include "cmocka_all.h"
#include "ipc_fixture.h"

#define ROUNDS (UNDER_TSAN ? 5000 : 50000)
#define FOREVER (-1)

/*
 * Two latches pass a number to and fro; whoever is not in turn sleeps without limit.  The number is
 * a plain word, so that nothing but the latches orders it: the thread sanitizer would see a race.
 */
typedef struct PingPong
{
	Latch *mine;
	Latch *other;
	uint64_t *number;
	uint64_t wrong;
} PingPong;

static void *
play(void *arg)
{
	PingPong *player = arg;
	uint64_t expected = UINT64_MAX;

	for (int round = 0; round < ROUNDS; round++)
	{
		while (!latch_wait(player->mine, FOREVER, WAIT_EVENT_NONE))
			;
		latch_reset(player->mine);
		if (expected != UINT64_MAX && *player->number != expected)
			player->wrong++;
		*player->number += 1;
		expected = *player->number + 1;
		latch_set(player->other);
	}
	return NULL;
}

static void
futex_wakes_are_not_lost_between_threads(void **state)
{
	Shm *shm = fixture_shm(1, false);
	uint64_t number = 0;
	PingPong a = {.mine = &shm->latches[0], .other = &shm->latches[1], .number = &number};
	PingPong b = {.mine = &shm->latches[1], .other = &shm->latches[0], .number = &number};
	pthread_t thread;

	(void) state;
	latch_init(a.mine, false);
	latch_init(b.mine, false);
	latch_set(a.mine);
	assert_int_equal(pthread_create(&thread, NULL, play, &b), 0);
	play(&a);
	pthread_join(thread, NULL);
	assert_int_equal(a.wrong + b.wrong, 0);
	assert_int_equal(number, 2 * ROUNDS);
	shm_destroy(shm);
}

/* A futex process and a SIGURG process, as raft and a backend are. */
static void
signal_wakes_are_not_lost_between_processes(void **state)
{
	Shm *shm = fixture_shm(1, true);
	_Atomic uint64_t *turn = &shm->ended_counters[0];
	pid_t child;
	int status;

	(void) state;
	latch_init(&shm->latches[0], false);
	latch_init(&shm->latches[1], false);
	child = fork();
	assert_true(child >= 0);
	for (uint64_t me = child == 0 ? 1 : 0;;)
	{
		Latch *mine = &shm->latches[me];
		static bool begun;
		uint64_t now;

		if (child == 0 && !begun)
			latch_init(mine,
					   true); /* a set before this is made up for: the turn is looked at below */
		begun = true;
		latch_reset(mine);
		now = atomic_load(turn);
		if (now >= ROUNDS)
			break;
		if (now % 2 == me)
		{
			atomic_store(turn, now + 1);
			latch_set(&shm->latches[1 - me]);
		}
		else
			latch_wait(mine, FOREVER, WAIT_EVENT_NONE);
	}
	latch_set(&shm->latches[child == 0 ? 0 : 1]);
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	shm_destroy(shm);
}

static void
a_set_latch_does_not_sleep(void **state)
{
	Shm *shm = fixture_shm(1, false);
	Latch *latch = &shm->latches[0];

	(void) state;
	latch_init(latch, false);
	latch_set(latch);
	assert_true(latch_wait(latch, FOREVER, WAIT_EVENT_NONE));
	assert_true(latch_wait(latch, FOREVER, WAIT_EVENT_NONE)); /* until it is reset */
	latch_reset(latch);
	assert_false(latch_wait(latch, 0, WAIT_EVENT_NONE));
	assert_false(latch_wait(latch, 1, WAIT_EVENT_NONE));
	assert_int_equal(atomic_load(&latch->sleeping), 0);
	shm_destroy(shm);
}

static void
sockets_and_latch_are_waited_for_together(void **state)
{
	Shm *shm = fixture_shm(1, false);
	Latch *latch = &shm->latches[0];
	int pair[2];
	char byte;

	(void) state;
	latch_init(latch, true);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(latch_wait_socket(latch, pair[0], WAIT_READABLE, 0, WAIT_EVENT_CLIENT), 0);
	assert_int_equal(latch_wait_socket(latch, pair[0], WAIT_WRITABLE | WAIT_READABLE, FOREVER,
									   WAIT_EVENT_CLIENT),
					 WAIT_WRITABLE);
	assert_int_equal(write(pair[1], "x", 1), 1);
	assert_int_equal(latch_wait_socket(latch, pair[0], WAIT_READABLE, FOREVER, WAIT_EVENT_CLIENT),
					 WAIT_READABLE);
	/* With the latch set, the socket is looked at all the same. */
	latch_set(latch);
	assert_int_equal(latch_wait_socket(latch, pair[0], WAIT_READABLE, FOREVER, WAIT_EVENT_CLIENT),
					 WAIT_READABLE | WAIT_LATCH);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	assert_int_equal(latch_wait_socket(latch, pair[0], WAIT_READABLE, FOREVER, WAIT_EVENT_CLIENT),
					 WAIT_LATCH);
	latch_reset(latch);
	/* A hang-up is told as what was wanted, so that the read or write that follows meets it. */
	close(pair[1]);
	assert_int_equal(latch_wait_socket(latch, pair[0], WAIT_READABLE, FOREVER, WAIT_EVENT_CLIENT),
					 WAIT_READABLE);
	close(pair[0]);
	shm_destroy(shm);
}

/* A setter that is killed between its store and its system call: the next setter makes the call. */
static void
a_dead_setter_does_not_silence_the_others(void **state)
{
	Shm *shm = fixture_shm(1, true);
	Latch *latch = &shm->latches[0];
	pid_t child;
	int status;

	(void) state;
	latch_init(latch, false);
	child = fork();
	if (child == 0)
	{
		/* The owner goes to sleep, then the dead one's store comes: word 1, no wake. */
		latch_wait(latch, FOREVER, WAIT_EVENT_NONE);
		_exit(atomic_load(&latch->word) == 1 ? 0 : 1);
	}
	while (atomic_load(&latch->sleeping) == 0)
		;
	atomic_store(&latch->word, 1);
	latch_set(latch);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	shm_destroy(shm);
}

/* What a hostile backend writes there makes latch_set signal nobody it must not. */
static void
no_group_is_signalled(void **state)
{
	Shm *shm = fixture_shm(1, false);
	Latch *latch = &shm->latches[0];

	(void) state;
	for (int pid = -2; pid <= 1; pid++)
	{
		atomic_store(&latch->word, 0);
		atomic_store(&latch->sleeping, 1);
		atomic_store(&latch->pid, pid);
		latch_set(latch);
		assert_int_equal(atomic_load(&latch->word), 1);
	}
	shm_destroy(shm);
}

static void
wait_events_have_names(void **state)
{
	Shm *shm = fixture_shm(1, false);
	uint32_t before;

	(void) state;
	assert_string_equal(wait_event_name(WAIT_EVENT_WAL_SYNC), "wal-sync");
	assert_string_equal(wait_event_name(WAIT_EVENT_COUNT), "unknown");
	assert_int_equal(wait_event_begin(WAIT_EVENT_WAL_SYNC),
					 WAIT_EVENT_NONE); /* no area: nothing happens */
	my_area = shm->areas[2];
	before = wait_event_begin(WAIT_EVENT_WAL_SYNC);
	assert_int_equal(atomic_load(&my_area->wait_event), WAIT_EVENT_WAL_SYNC);
	assert_true(atomic_load(&my_area->state_since_ns) != 0);
	wait_event_end(before);
	assert_int_equal(atomic_load(&my_area->wait_event), WAIT_EVENT_NONE);
	my_area = NULL;
	shm_destroy(shm);
}

/* ---- processes ---- */

static void
term_ends_a_wait_and_sets_the_flag(void **state)
{
	Shm *shm = fixture_shm(1, true);
	pid_t parent = getpid();
	pid_t child;
	int status;

	(void) state;
	child = fork();
	if (child == 0)
	{
		my_shm = shm;
		process_begin(PROC_APPLIER, PROC_APPLIER, 1, parent);
		while (!stop_requested)
		{
			latch_reset(my_latch);
			if (!stop_requested)
				latch_wait(my_latch, FOREVER, WAIT_EVENT_APPLIER_MAIN);
		}
		_exit(shm->memfd == -1 ? 0 : 1);
	}
	while (atomic_load(&shm->latches[PROC_APPLIER].sleeping) == 0)
		;
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	shm_destroy(shm);
}

static void
a_process_dies_with_its_parent(void **state)
{
	Shm *shm = fixture_shm(1, true);
	int pipes[2];
	pid_t child;
	char byte;

	(void) state;
	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (child == 0)
	{
		pid_t parent = getpid();

		my_shm = shm;
		if (fork() == 0)
		{
			process_begin(PROC_BACKEND, PROC_ESSENTIAL_COUNT, 1, parent);
			if (write(pipes[1], "x", 1) != 1)
				_exit(1);
			for (;;)
				latch_wait(my_latch, FOREVER, WAIT_EVENT_CLIENT);
		}
		for (;;)
			pause();
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	waitpid(child, NULL, 0);
	/* The grandchild held the other end: it is gone when that is closed. */
	assert_int_equal(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
	shm_destroy(shm);
}

static void
a_process_whose_parent_is_gone_does_not_begin(void **state)
{
	Shm *shm = fixture_shm(1, true);
	pid_t child = fork();
	int status;

	(void) state;
	if (child == 0)
	{
		my_shm = shm;
		process_begin(PROC_BACKEND, PROC_ESSENTIAL_COUNT, 1, getppid() + 1);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
	shm_destroy(shm);
}

int
main(void)
{
	const struct CMUnitTest threads[] = {
		cmocka_unit_test(futex_wakes_are_not_lost_between_threads),
		cmocka_unit_test(a_set_latch_does_not_sleep),
		cmocka_unit_test(no_group_is_signalled),
		cmocka_unit_test(wait_events_have_names),
		cmocka_unit_test(sockets_and_latch_are_waited_for_together),
	};
	/* The thread sanitizer sees one process only. */
	const struct CMUnitTest processes[] = {
		cmocka_unit_test(signal_wakes_are_not_lost_between_processes),
		cmocka_unit_test(a_dead_setter_does_not_silence_the_others),
		cmocka_unit_test(term_ends_a_wait_and_sets_the_flag),
		cmocka_unit_test(a_process_dies_with_its_parent),
		cmocka_unit_test(a_process_whose_parent_is_gone_does_not_begin),
	};
	int failed;

	alarm(120);
	failed = cmocka_run_group_tests_name("threads", threads, NULL, NULL);
	if (!UNDER_TSAN)
		failed += cmocka_run_group_tests_name("processes", processes, NULL, NULL);
	return failed;
}
