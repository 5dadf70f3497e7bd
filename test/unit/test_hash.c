/*
 * test_hash.c
 *	  HashKV and Hash: against a computation from the model, and against what etcd itself has
 * answered.
 *
 * test/unit/test_hash.c
 */
#include "rusd.h"

#include "cmocka_all.h"
#include "store_fixture.h"

/* CRC-32C, bit by bit. */
static uint32_t
crc_of(const Text *text)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < text->length; i++)
	{
		crc ^= text->data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
	}
	return ~crc;
}

static void
add_big_endian(Text *text, uint64_t value)
{
	for (int shift = 56; shift >= 0; shift -= 8)
		text_add(text, &(uint8_t){(uint8_t) (value >> shift)}, 1);
}

/*
 * MAINT-32, from a list of all versions.  of_compaction: the set kept is that of the compaction
 * itself (COMPACT-6), which a tombstone at the revision belongs to; otherwise it is the one that
 * HashKV looks at, without it.
 */
static uint32_t
model_hash(const Model *model, int64_t revision, int64_t compacted, bool of_compaction)
{
	Text text = {0};
	bool any = false;
	uint32_t crc;

	for (size_t i = 0; i < model->count; i++)
	{
		const ModelVersion *version = &model->versions[i];

		any |= version->main <= revision && model_keeps(model, version, revision) &&
			   (!version->tombstone || of_compaction);
	}
	text_add(&text, "key", 3);
	for (size_t i = 0; i < model->count; i++)
	{
		const ModelVersion *version = &model->versions[i];

		if (version->main > revision ||
			(version->main <= compacted && any && !model_keeps(model, version, revision)) ||
			(version->tombstone && version->main == compacted))
			continue;
		add_big_endian(&text, (uint64_t) version->main);
		text_add(&text, "_", 1);
		add_big_endian(&text, version->sub);
		if (version->tombstone)
			text_add(&text, "t", 1);
		model_encode(version, true, true, &text);
	}
	crc = crc_of(&text);
	text_free(&text);
	return crc;
}

typedef struct Hash
{
	Status status;
	uint32_t value;
	int64_t compact_revision;
	int64_t hash_revision;
} Hash;

static Hash
hash_kv(Fixture *fixture, int64_t revision)
{
	Snapshot snapshot = fixture_snapshot(fixture);
	HashKv *job;
	Hash hash = {.status = hash_kv_begin(&snapshot, revision, &job)};

	if (hash.status == RUSD_OK)
	{
		do
			hash.status =
				hash_kv_step(job, &hash.value, &hash.compact_revision, &hash.hash_revision);
		while (hash.status == RUSD_AGAIN);
		hash_kv_end(job);
	}
	snapshot_unpin(&snapshot);
	return hash;
}

/* What etcd answered to these puts and deletes. */
static void
test_as_etcd(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	Hash hash;

	(void) state;
	(void) fixture_put(fixture, "a", "1");
	(void) fixture_put(fixture, "b", "hello");
	(void) fixture_put(fixture, "a", "1");
	(void) fixture_delete(fixture, "a", NULL);
	(void) fixture_put(fixture, "a", "2");
	hash = hash_kv(fixture, 0);
	assert_int_equal(hash.status, RUSD_OK);
	assert_int_equal(hash.value, 1794881719);
	assert_int_equal(hash.compact_revision, -1);
	assert_int_equal(hash.hash_revision, 6);
	assert_int_equal(fixture_compact(fixture, 4, false).status, RUSD_OK);
	assert_int_equal(hash_kv(fixture, 0).value, 2028429488);
	fixture_finish_background(fixture);
	hash = hash_kv(fixture, 6);
	assert_int_equal(hash.value, 2028429488); /* MAINT-33 */
	assert_int_equal(hash.compact_revision, 4);
	fixture_destroy(fixture);
}

/* MAINT-31 */
static void
test_revisions(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	Hash hash;

	(void) state;
	for (int i = 0; i < 9; i++)
		(void) fixture_put(fixture, "a", "1");
	assert_int_equal(hash_kv(fixture, 11).status, RUSD_FUTURE_REV);
	assert_int_equal(fixture_compact(fixture, 5, false).status, RUSD_OK);
	fixture_finish_background(fixture);
	assert_int_equal(hash_kv(fixture, 4).status, RUSD_COMPACTED);
	hash = hash_kv(fixture, -3);
	assert_int_equal(hash.status, RUSD_OK);
	assert_int_equal(hash.hash_revision, -3);
	assert_int_equal(hash.value, crc_of(&(Text){.data = (uint8_t *) "key", .length = 3}));
	fixture_destroy(fixture);
}

/* MAINT-34: the last ten, also below a later compaction; none after a restart. */
static void
test_kept(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	uint32_t before[13];
	Hash hash;

	(void) state;
	for (int i = 0; i < 60; i++)
		(void) fixture_put(fixture, i % 3 ? "a" : "b", "1");
	for (int i = 0; i < 12; i++)
	{
		before[i] = hash_kv(fixture, 10 + i).value;
		assert_int_equal(fixture_compact(fixture, 10 + i, false).status, RUSD_OK);
		fixture_finish_background(fixture);
	}
	for (int i = 0; i < 12; i++)
	{
		hash = hash_kv(fixture, 10 + i);
		if (i < 2)
		{
			assert_int_equal(hash.status, RUSD_COMPACTED);
			continue;
		}
		assert_int_equal(hash.status, RUSD_OK);
		assert_int_equal(hash.value, before[i]);
		assert_int_equal(hash.hash_revision, 10 + i);
		assert_int_equal(hash.compact_revision, 10 + i - 1);
	}
	assert_int_equal(fixture_compact(fixture, 40, false).status, RUSD_OK);
	fixture_restart(fixture); /* interrupted: not kept */
	fixture_finish_background(fixture);
	hash = hash_kv(fixture, 40);
	assert_int_equal(hash.status, RUSD_OK);
	assert_int_equal(hash.compact_revision, 40);
	assert_int_equal(hash_kv(fixture, 20).status, RUSD_COMPACTED);
	fixture_destroy(fixture);
}

/* All at random; the compaction's hash too, and the corner where nothing is kept. */
static void
test_random_hashes(void **state)
{
	(void) state;
	for (uint64_t seed = 1; seed <= 8; seed++)
	{
		Fixture *fixture = fixture_create(30000, -1);

		fixture->seed = seed * 77;
		for (int round = 0; round < 4; round++)
		{
			Model *model = &fixture->model;
			int64_t previous = model->compacted;
			int64_t revision;
			uint32_t of_compaction;
			Hash hash;

			fixture_history(fixture, 150);
			if (round == 2)
			{
				static const uint8_t zero[1];
				TestOp all = {.kind = OP_DELETE, .key = {zero, 1}, .range_end = {zero, 1}};

				(void) fixture_op(fixture, &all);
			}
			for (revision = Max(previous + 1, 1); revision <= model->revision;
				 revision += 1 + (int64_t) random_below(fixture, 20))
			{
				hash = hash_kv(fixture, revision);
				assert_int_equal(hash.status, RUSD_OK);
				assert_int_equal(hash.compact_revision, previous);
				assert_int_equal(hash.value, model_hash(model, revision, previous, false));
			}
			revision = round == 2 ? model->revision : model->revision - 5;
			of_compaction = model_hash(model, revision, previous, true);
			assert_int_equal(fixture_compact(fixture, revision, false).status, RUSD_OK);
			/* Before, while and after it is removed (MAINT-33). */
			for (;;)
			{
				hash = hash_kv(fixture, model->revision);
				if (model->revision != revision || store_has_background(fixture->store))
					assert_int_equal(hash.value,
									 model_hash(model, model->revision, revision, false));
				if (!store_has_background(fixture->store))
					break;
				assert_int_equal(store_background(fixture->store, 0), RUSD_OK);
				if (round == 2)
					fixture_finish_background(fixture);
				(void) store_publish(fixture->store);
			}
			hash = hash_kv(fixture, revision);
			assert_int_equal(hash.value, of_compaction);
			assert_int_equal(hash.compact_revision, previous);
			model_compact(model, revision);
			fixture_check(fixture);
		}
		fixture_destroy(fixture);
	}
}

static uint32_t
hash_all(Fixture *fixture)
{
	Snapshot snapshot = fixture_snapshot(fixture);
	HashAll *job;
	uint32_t value = 0;
	Status status;

	assert_int_equal(hash_all_begin(&snapshot, &job), RUSD_OK);
	do
		status = hash_all_step(job, &value);
	while (status == RUSD_AGAIN);
	assert_int_equal(status, RUSD_OK);
	hash_all_end(job);
	snapshot_unpin(&snapshot);
	return value;
}

/* MAINT-30 */
static void
test_hash_all(void **state)
{
	Fixture *fixture = fixture_create(20000, -1);
	EntryAlarm alarm = {.action = 1, .alarm = 1, .member_id = 3};
	uint32_t before;

	(void) state;
	assert_int_not_equal(hash_all(fixture), 0);
	fixture_history(fixture, 300);
	before = hash_all(fixture);
	assert_int_not_equal(before, 0);
	assert_int_equal(hash_all(fixture), before);
	fixture_restart(fixture);
	assert_int_equal(hash_all(fixture), before);
	(void) fixture_entry(fixture, ENTRY_ALARM, &alarm, sizeof(alarm));
	assert_int_not_equal(hash_all(fixture), before);
	fixture_destroy(fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_etcd),  cmocka_unit_test(test_revisions),
		cmocka_unit_test(test_kept),     cmocka_unit_test(test_random_hashes),
		cmocka_unit_test(test_hash_all),
	};

	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
