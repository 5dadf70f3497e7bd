/*
 * test_compact.c
 *	  Compaction: what survives, reads before, during and after removal, restarts in the middle,
 * physical answers.
 *
 * test/unit/test_compact.c
 */
#include "rusd.h"

#include "cmocka_all.h"
#include "store_fixture.h"

/* COMPACT-2, COMPACT-3, KV-33 */
static void
test_points(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);

	(void) state;
	assert_int_equal(fixture_compact(fixture, -1, false).status, RUSD_COMPACTED);
	assert_int_equal(fixture_compact(fixture, 0, false).status, RUSD_OK);
	assert_int_equal(fixture_compact(fixture, 0, false).status, RUSD_COMPACTED);
	assert_int_equal(fixture_compact(fixture, 2, false).status, RUSD_FUTURE_REV);
	assert_int_equal(fixture_compact(fixture, 1, false).status, RUSD_OK);
	(void) fixture_put(fixture, "a", "1");
	(void) fixture_put(fixture, "a", "2");
	assert_int_equal(fixture_compact(fixture, 3, false).status, RUSD_OK);
	assert_int_equal(store_root(fixture->store)->compacted, 3);
	/* From that moment, whatever has been removed. */
	assert_int_equal(store_check_revision(store_root(fixture->store), 2), RUSD_COMPACTED);
	assert_int_equal(store_check_revision(store_root(fixture->store), 3), RUSD_OK);
	assert_int_equal(store_root(fixture->store)->revision, 3);
	fixture_finish_background(fixture);
	assert_int_equal(store_root(fixture->store)->compaction_done, 3);
	model_compact(&fixture->model, 3);
	fixture_check(fixture);
	fixture_destroy(fixture);
}

/* COMPACT-6: a tombstone at exactly R stays, and goes at the next compaction above R. */
static void
test_tombstones(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);

	(void) state;
	(void) fixture_put(fixture, "a", "1");
	(void) fixture_delete(fixture, "a", NULL);
	assert_int_equal(fixture_compact(fixture, 3, false).status, RUSD_OK);
	fixture_finish_background(fixture);
	assert_int_equal(fixture->model.count, 2);
	model_compact(&fixture->model, 3);
	assert_int_equal(fixture->model.count, 1);
	fixture_check(fixture);
	(void) fixture_put(fixture, "b", "1");
	assert_int_equal(fixture_compact(fixture, 4, false).status, RUSD_OK);
	fixture_finish_background(fixture);
	model_compact(&fixture->model, 4);
	assert_int_equal(fixture->model.count, 1);
	fixture_check(fixture);
	/* KV-10: compacting the newest tombstone away does not lower the revision. */
	(void) fixture_delete(fixture, "b", NULL);
	(void) fixture_delete(fixture, "b", NULL);
	assert_int_equal(fixture_compact(fixture, 5, false).status, RUSD_OK);
	fixture_finish_background(fixture);
	fixture_restart(fixture);
	assert_int_equal(store_root(fixture->store)->revision, 5);
	fixture_destroy(fixture);
}

/* COMPACT-7: at every revision from R on, every key is as it was. */
static void
check_reads(Fixture *fixture, const Model *before, int64_t from)
{
	Snapshot snapshot = fixture_snapshot(fixture);

	for (int64_t revision = Max(from, 1); revision <= fixture->model.revision;
		 revision += 1 + (int64_t) random_below(fixture, 9))
	{
		const ModelVersion **found;
		static const uint8_t zero[1];
		RangeSpec spec = {.key = {zero, 1}, .range_end = {zero, 1}, .view_main = revision + 1};
		size_t keys = model_range(before, spec.key, spec.range_end, revision + 1, 0, &found);
		RangeReader *reader;
		int64_t count;
		uint64_t bytes;
		bool more;

		assert_int_equal(range_open(&snapshot, &spec, &reader), RUSD_OK);
		assert_int_equal(range_measure(reader, &count, &bytes, &more), RUSD_OK);
		assert_int_equal(count, keys);
		range_close(reader);
		for (size_t i = 0; i < keys; i++)
		{
			RangeItem item;

			assert_int_equal(range_get(&snapshot, found[i]->key, revision + 1, 0, &item), RUSD_OK);
			assert_int_equal(item.mod_revision, found[i]->main);
			assert_int_equal(item.create_revision, found[i]->create);
			assert_int_equal(item.version, found[i]->version);
			assert_int_equal(item.value_length, found[i]->value.length);
		}
		free(found);
	}
	snapshot_unpin(&snapshot);
}

/* Random histories; compactions in slices, with writes and other compactions between, and restarts
 * in the middle. */
static void
test_random_compactions(void **state)
{
	(void) state;
	for (uint64_t seed = 1; seed <= 8; seed++)
	{
		Fixture *fixture = fixture_create(30000, -1);

		fixture->seed = seed * 1000;
		for (int round = 0; round < 5; round++)
		{
			Model *model = &fixture->model;
			int64_t revision;

			fixture_history(fixture, 250);
			revision = model->revision - (int64_t) random_below(fixture, 30);
			revision = Max(revision, model->compacted + 1);
			assert_int_equal(fixture_compact(fixture, revision, false).status, RUSD_OK);
			for (int slice = 0; store_has_background(fixture->store); slice++)
			{
				assert_int_equal(store_background(fixture->store, 0), RUSD_OK);
				(void) store_publish(fixture->store);
				check_reads(fixture, model, revision);
				if (slice < 4)
					fixture_history(fixture, 10);
				if (slice == 2 && round % 2 == 0 && model->revision > model->compacted)
				{
					revision = model->compacted + 1;
					assert_int_equal(fixture_compact(fixture, revision, false).status, RUSD_OK);
				}
				if (slice == 3 && round % 3 == 1)
					fixture_restart(fixture);
			}
			assert_int_equal(store_root(fixture->store)->compaction_done, model->compacted);
			model_compact(model, model->compacted);
			fixture_check(fixture);
		}
		fixture_destroy(fixture);
	}
}

/* COMPACT-5 */
static void
test_physical(void **state)
{
	Fixture *fixture = fixture_create(2000, -1);
	ApplyResult result;

	(void) state;
	for (int i = 0; i < 1000; i++)
		(void) fixture_put(fixture, "a", "1");
	result = fixture_compact(fixture, 900, true);
	assert_int_equal(result.status, RUSD_OK);
	assert_true(result.deferred);
	assert_int_equal(result.value, 900);
	assert_true(store_compaction_finished(fixture->store) < 900);
	/* Already compacted, and still running: told when it has finished. */
	result = fixture_compact(fixture, 800, true);
	assert_int_equal(result.status, RUSD_COMPACTED);
	assert_true(result.deferred);
	assert_int_equal(result.value, 900);
	fixture_finish_background(fixture);
	assert_int_equal(store_compaction_finished(fixture->store), 900);
	result = fixture_compact(fixture, 900, true);
	assert_int_equal(result.status, RUSD_COMPACTED);
	assert_false(result.deferred);
	result = fixture_compact(fixture, 5000, true);
	assert_int_equal(result.status, RUSD_FUTURE_REV);
	assert_false(result.deferred);
	fixture_destroy(fixture);
}

/* More compactions waiting than are remembered one by one: the last are worked off together. */
static void
test_many_waiting(void **state)
{
	Fixture *fixture = fixture_create(2000, -1);

	(void) state;
	for (int i = 0; i < 60; i++)
		(void) fixture_put(fixture, i % 2 ? "a" : "b", "1");
	for (int64_t revision = 10; revision < 50; revision++)
		assert_int_equal(fixture_compact(fixture, revision, false).status, RUSD_OK);
	fixture_finish_background(fixture);
	assert_int_equal(store_root(fixture->store)->compaction_done, 49);
	model_compact(&fixture->model, 49);
	fixture_check(fixture);
	fixture_destroy(fixture);
}

/* Removal is only done while enough frames are free, and goes on when they are. */
static void
test_few_frames(void **state)
{
	Fixture *fixture = fixture_create(120, -1);
	Snapshot snapshots[SNAPSHOT_PINS];
	int pinned = 0;

	(void) state;
	for (; pinned < SNAPSHOT_PINS && store_root(fixture->store)->frames_free > 35; pinned++)
	{
		for (int i = 0; i < 40; i++)
			(void) fixture_put(fixture, i % 2 ? "a" : "b", "a value of some length");
		snapshots[pinned] = fixture_snapshot(fixture);
	}
	while (store_root(fixture->store)->frames_free > 20)
		(void) fixture_put(fixture, "a", "1"), (void) store_publish(fixture->store);
	assert_int_equal(fixture_compact(fixture, 40, false).status, RUSD_OK);
	while (store_background(fixture->store, 0) == RUSD_OK)
		(void) store_publish(fixture->store);
	assert_int_equal(store_background(fixture->store, 0), RUSD_AGAIN);
	assert_true(store_has_background(fixture->store));
	for (int i = 0; i < pinned; i++)
		snapshot_unpin(&snapshots[i]);
	(void) store_publish(fixture->store);
	atomic_store(&fixture->shm->positions->durable_root, store_root(fixture->store)->number);
	(void) store_make_room(fixture->store, 0);
	fixture_finish_background(fixture);
	model_compact(&fixture->model, 40);
	fixture_check(fixture);
	fixture_destroy(fixture);
}

/* With the cache full of live data but for a few frames, however many are promised, removal goes on
 * as long as checkpoints give back what it took; promises are left alone where there is more. */
static void
test_full_cache(void **state)
{
	static char value[7000];
	Fixture *fixture = fixture_create(400, -1);
	ShmPositions *positions = fixture->shm->positions;
	uint64_t free_before;
	int slices = 0;
	int64_t revision;

	(void) state;
	memset(value, 'v', sizeof(value) - 1);
	while (store_root(fixture->store)->frames_free > 60)
	{
		(void) fixture_put(fixture, "a", value);
		(void) store_publish(fixture->store);
		atomic_store(&positions->durable_root, store_root(fixture->store)->number);
		(void) store_make_room(fixture->store, 0);
	}
	revision = store_root(fixture->store)->revision;
	assert_int_equal(fixture_compact(fixture, revision, true).status, RUSD_OK);
	for (; store_has_background(fixture->store); slices++)
	{
		assert_in_range(slices, 0, 1000);
		assert_int_equal(store_background(fixture->store, 1000), RUSD_OK);
		(void) store_publish(fixture->store);
		atomic_store(&positions->durable_root, store_root(fixture->store)->number);
		(void) store_make_room(fixture->store, 0);
		store_publish_counts(fixture->store);
	}
	/* One in each slice, for all is promised. */
	assert_true(slices > revision - 10);
	assert_true(store_root(fixture->store)->frames_free > 300);
	for (int i = 0; i < 40; i++)
		(void) fixture_put(fixture, "a", "small");
	(void) store_publish(fixture->store);
	revision = store_root(fixture->store)->revision;
	free_before = store_root(fixture->store)->frames_free;
	assert_int_equal(fixture_compact(fixture, revision, true).status, RUSD_OK);
	for (slices = 0; store_has_background(fixture->store); slices++)
	{
		assert_int_equal(store_background(fixture->store, free_before / 2), RUSD_OK);
		(void) store_publish(fixture->store);
		assert_true(store_root(fixture->store)->frames_free > free_before / 2 - 20);
	}
	assert_in_range(slices, 1, 30);
	fixture_destroy(fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_tombstones),
		cmocka_unit_test(test_random_compactions),
		cmocka_unit_test(test_physical),
		cmocka_unit_test(test_many_waiting),
		cmocka_unit_test(test_few_frames),
		cmocka_unit_test(test_full_cache),
	};

	return cmocka_run_group_tests_name("compact", tests, NULL, NULL);
}
