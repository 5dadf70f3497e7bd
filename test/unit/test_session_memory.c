/*
 * test_session_memory.c
 *	  The share of --backend-memory: claims of several backends at once.
 *
 * test/unit/test_session_memory.c
 */
#include "rusd.h"

#include <pthread.h>

#include "session/memory.h"

#include "cmocka_all.h"

#define MIB (1024 * 1024)
#define BACKENDS 8
#define SLOTS (PROC_ESSENTIAL_COUNT + BACKENDS)

static Shm shm;
static SlotHead heads[SLOTS];
static BackendArea *areas[SLOTS];

static int
set_up(void **state)
{
	(void) state;
	shm = (Shm){.layout.slot_count = SLOTS, .heads = heads, .areas = areas};
	for (int i = 0; i < SLOTS; i++)
	{
		areas[i] = aligned_alloc(CACHE_LINE, AlignUp(sizeof(BackendArea), CACHE_LINE));
		if (areas[i] == NULL)
			return 1;
		memset(areas[i], 0, sizeof(BackendArea));
		atomic_store(&heads[i].state, SLOT_LIVE);
	}
	return 0;
}

static int
tear_down(void **state)
{
	(void) state;
	for (int i = 0; i < SLOTS; i++)
		free(areas[i]);
	return 0;
}

static SessionMemory
backend(uint32_t number, uint64_t limit, uint64_t largest)
{
	SessionMemory memory;

	session_memory_init(&memory, &shm, PROC_ESSENTIAL_COUNT + number, limit, largest);
	return memory;
}

static bool
take(SessionMemory *memory, size_t bytes)
{
	return memory->budget.take(&memory->budget, bytes);
}

static void
give(SessionMemory *memory, size_t bytes)
{
	memory->budget.give(&memory->budget, bytes);
}

static void
what_is_taken_is_shown(void **state)
{
	SessionMemory one = backend(0, 64 * MIB, MIB);

	(void) state;
	assert_true(take(&one, 1000));
	assert_int_equal(atomic_load(&areas[PROC_ESSENTIAL_COUNT]->memory_taken), MEMORY_CHUNK);
	assert_true(take(&one, 3 * MIB));
	assert_true(atomic_load(&areas[PROC_ESSENTIAL_COUNT]->memory_taken) >= 3 * MIB + 1000);
	give(&one, 3 * MIB);
	give(&one, 1000);
	/* One chunk is kept for the next. */
	assert_true(atomic_load(&areas[PROC_ESSENTIAL_COUNT]->memory_taken) <= MEMORY_CHUNK);
	assert_int_equal(one.used, 0);
}

static void
one_may_not_take_all(void **state)
{
	SessionMemory one = backend(0, 64 * MIB, MIB);

	(void) state;
	assert_true(take(&one, 16 * MIB));
	assert_false(take(&one, 1));
	assert_int_equal(one.refused, 1);
	give(&one, 1000);
	assert_true(take(&one, 1000));
	give(&one, 16 * MIB);
}

static void
one_request_always_fits(void **state)
{
	SessionMemory one = backend(0, 16 * MIB, 12 * MIB);
	SessionMemory two = backend(1, 16 * MIB, 100 * MIB);

	(void) state;
	assert_true(take(&one, 12 * MIB));
	give(&one, 12 * MIB);
	/* But never more than there is. */
	assert_false(take(&two, 17 * MIB));
	assert_true(take(&two, 15 * MIB));
	give(&two, 15 * MIB);
}

static void
all_together_keep_to_the_limit(void **state)
{
	SessionMemory all[BACKENDS];
	size_t taken = 0;

	(void) state;
	for (uint32_t i = 0; i < BACKENDS; i++)
		all[i] = backend(i, 4 * MIB, 2 * MIB);
	for (int round = 0; round < 1000; round++)
	{
		if (take(&all[round % BACKENDS], 10000))
			taken += 10000;
		assert_true(session_memory_total(&shm, UINT64_MAX) <= 4 * MIB);
	}
	/* What is left over is less than a request of each. */
	assert_true(taken > 4 * MIB - 20000 - BACKENDS * (size_t) MEMORY_CHUNK);
	/* A dead one's share is free at once. */
	assert_false(take(&all[1], 500000));
	atomic_store(&heads[PROC_ESSENTIAL_COUNT].state, SLOT_DEAD);
	assert_true(take(&all[1], 400000));
}

/* A backend that writes nonsense counts as one that has taken all it may, not more. */
static void
nonsense_hurts_little(void **state)
{
	SessionMemory one = backend(0, 64 * MIB, MIB);

	(void) state;
	atomic_store(&areas[PROC_ESSENTIAL_COUNT + 1]->memory_taken, UINT64_MAX);
	assert_true(take(&one, 15 * MIB));
	give(&one, 15 * MIB);
}

/*
 * Threads that take and give as fast as they can; each looks at what stands in the areas of all.
 */
static _Atomic uint64_t used_by_all;
static _Atomic bool too_much;

static void *
hammer(void *arg)
{
	SessionMemory *memory = arg;
	unsigned random = memory->slot * 7919;

	for (int i = 0; i < 20000; i++)
	{
		size_t bytes;

		random = random * 1103515245 + 12345;
		bytes = 1000 + (random >> 8) % 600000;
		if (!take(memory, bytes))
			continue;
		if (atomic_fetch_add(&used_by_all, bytes) + bytes > 2 * MIB)
			atomic_store(&too_much, true);
		atomic_fetch_sub(&used_by_all, bytes);
		give(memory, bytes);
	}
	return NULL;
}

static void
claims_at_once_keep_to_the_limit(void **state)
{
	SessionMemory all[4];
	pthread_t threads[4];

	(void) state;
	for (uint32_t i = 0; i < 4; i++)
		all[i] = backend(i, 2 * MIB, MIB);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &all[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_false(atomic_load(&too_much));
	for (int i = 0; i < 4; i++)
		assert_int_equal(all[i].used, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_taken_is_shown),  TEST(one_may_not_take_all),
		TEST(one_request_always_fits), TEST(all_together_keep_to_the_limit),
		TEST(nonsense_hurts_little),   TEST(claims_at_once_keep_to_the_limit),
	};

	return cmocka_run_group_tests_name("session_memory", tests, NULL, NULL);
}
