/*
 * test_publish.c
 *	  States under a change count, between threads: a reader never sees half of one.
 *
 * Also run under the thread sanitizer (make check-tsan).
 *
 * test/unit/test_publish.c
 */
#include "rusd.h"

#include <pthread.h>

#include "ipc/shmem.h"

#include "cmocka_all.h"
#include "ipc_fixture.h"

#define WRITES (UNDER_TSAN ? 20000 : 2000000)
#define READERS 2

static _Atomic bool failed;
static _Atomic uint64_t reads;

/* Every word of write n follows from n, so that words of two writes never fit together. */
static void
fill(void *state, size_t bytes, uint64_t n)
{
	uint64_t *words = state;

	for (size_t i = 0; i < bytes / 8; i++)
		words[i] = n * 1000 + i;
}

static bool
is_whole(const void *state, size_t bytes, uint64_t *last)
{
	const uint64_t *words = state;
	uint64_t n = words[0] / 1000;

	if (words[0] == 0 && words[1] == 0)
		return *last == 0; /* nothing was written yet */
	for (size_t i = 0; i < bytes / 8; i++)
		if (words[i] != n * 1000 + i)
			return false;
	if (n < *last)
		return false; /* it never goes back */
	*last = n;
	return true;
}

static void *
read_all(void *arg)
{
	Shm *shm = arg;
	uint64_t last_control = 0, last_root = 0, last_floor = 0;

	while (last_control < WRITES || last_root < WRITES || last_floor < WRITES)
	{
		ControlState control;
		RootState root;
		uint64_t ceiling, floor;

		shm_control_read(shm, &control);
		shm_root_read(shm, &root);
		shm_bounds_read(shm, &ceiling, &floor);
		if (!is_whole(&control, sizeof(control), &last_control) ||
			!is_whole(&root, sizeof(root), &last_root) || ceiling != floor * 7 ||
			floor < last_floor)
		{
			atomic_store(&failed, true);
			return NULL;
		}
		last_floor = floor;
		if (shm_control_try_read(shm, &control) &&
			!is_whole(&control, sizeof(control), &last_control))
			atomic_store(&failed, true);
		atomic_fetch_add_explicit(&reads, 1, memory_order_relaxed);
	}
	return NULL;
}

static void *
write_control(void *arg)
{
	ControlState control;

	for (uint64_t n = 1; n <= WRITES; n++)
	{
		fill(&control, sizeof(control), n);
		shm_control_write(arg, &control);
		shm_bounds_write(arg, n * 7, n);
	}
	return NULL;
}

static void *
write_root(void *arg)
{
	RootState root;

	for (uint64_t n = 1; n <= WRITES; n++)
	{
		fill(&root, sizeof(root), n);
		shm_root_write(arg, &root);
	}
	return NULL;
}

static void
readers_see_whole_states_in_order(void **state)
{
	Shm *shm = fixture_shm(1, false);
	pthread_t threads[READERS + 2];

	(void) state;
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_all, shm), 0);
	assert_int_equal(pthread_create(&threads[READERS], NULL, write_control, shm), 0);
	assert_int_equal(pthread_create(&threads[READERS + 1], NULL, write_root, shm), 0);
	for (int i = 0; i < READERS + 2; i++)
		pthread_join(threads[i], NULL);
	assert_false(atomic_load(&failed));
	assert_true(atomic_load(&reads) > 0);
	shm_destroy(shm);
}

static void
a_write_cut_off_in_the_middle_is_not_read(void **state)
{
	Shm *shm = fixture_shm(1, false);
	ControlState control = {.term = 3, .leader_id = 9}, seen;

	(void) state;
	shm_control_write(shm, &control);
	assert_true(shm_control_try_read(shm, &seen));
	assert_int_equal(seen.term, 3);
	/* As a raft leaves it that was killed behind the first store of a write. */
	atomic_fetch_add(&shm->control->change_count, 1);
	assert_false(shm_control_try_read(shm, &seen));
	shm_destroy(shm);
}

static void
freshness_is_judged_by_the_stamp(void **state)
{
	Shm *shm = fixture_shm(1, false);

	(void) state;
	assert_false(shm_control_is_fresh(shm, 1000, 500)); /* never stamped */
	atomic_store(&shm->control->loop_ns, 1000);
	assert_true(shm_control_is_fresh(shm, 1000, 500));
	assert_true(shm_control_is_fresh(shm, 1500, 500));
	assert_false(shm_control_is_fresh(shm, 1501, 500));
	assert_true(
		shm_control_is_fresh(shm, 900, 500)); /* stamped after the caller looked at the clock */
	shm_destroy(shm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_see_whole_states_in_order),
		cmocka_unit_test(a_write_cut_off_in_the_middle_is_not_read),
		cmocka_unit_test(freshness_is_judged_by_the_stamp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
