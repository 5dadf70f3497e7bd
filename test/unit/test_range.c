/*
 * test_range.c
 *	  Range: count, more, length and bytes of every kind of range at every kind of view, against the
 * model.
 *
 * test/unit/test_range.c
 */
#include "rusd.h"

#include "cmocka_all.h"
#include "store_fixture.h"

typedef struct Answer
{
	int64_t count;
	bool more;
	Text bytes;
} Answer;

static uint64_t
target_number(const ModelVersion *version, SortTarget target)
{
	switch (target)
	{
		case SORT_VERSION:
			return (uint64_t) version->version;
		case SORT_CREATE:
			return (uint64_t) version->create;
		case SORT_MOD:
			return (uint64_t) version->main;
		default:
			return 0;
	}
}

static const RangeSpec *sorting;

static int
by_target(const void *left, const void *right)
{
	const ModelVersion *a = *(const ModelVersion *const *) left;
	const ModelVersion *b = *(const ModelVersion *const *) right;
	uint64_t number_a = target_number(a, sorting->target);
	uint64_t number_b = target_number(b, sorting->target);
	int order = number_a < number_b ? -1 : number_a > number_b;

	if (sorting->target == SORT_VALUE)
		order = bytes_order(a->value, b->value);
	if (sorting->target == SORT_KEY)
		order = bytes_order(a->key, b->key);
	if (sorting->order == SORT_DESCEND)
		order = -order;
	/* KV-43: the order among equals is open; the store takes the newer first. */
	if (order == 0)
		order = a->main != b->main ? (a->main > b->main ? -1 : 1)
								   : (a->sub > b->sub ? -1 : a->sub < b->sub);
	return order;
}

static bool
is_between(int64_t value, int64_t min, int64_t max)
{
	return (min == 0 || value >= min) && (max == 0 || value <= max);
}

/* KV-35 to KV-42, step by step as the rules tell them. */
static Answer
expected(const Model *model, const RangeSpec *spec)
{
	const ModelVersion **found;
	size_t count =
		model_range(model, spec->key, spec->range_end, spec->view_main, spec->view_sub, &found);
	size_t limit = spec->limit > 0 ? (size_t) spec->limit : SIZE_MAX;
	Answer answer = {.count = (int64_t) count};
	bool filtered =
		spec->min_mod != 0 || spec->max_mod != 0 || spec->min_create != 0 || spec->max_create != 0;
	size_t kept = 0;

	if (spec->count_only)
	{
		free(found);
		return answer;
	}
	if (spec->order == SORT_NONE && spec->target != SORT_KEY && !filtered && limit < count)
		count = limit + 1; /* KV-42 */
	for (size_t i = 0; i < count; i++)
	{
		if (is_between(found[i]->main, spec->min_mod, spec->max_mod) &&
			is_between(found[i]->create, spec->min_create, spec->max_create))
			found[kept++] = found[i];
	}
	sorting = spec;
	qsort(found, kept, sizeof(*found), by_target);
	answer.more = kept > limit;
	for (size_t i = 0; i < Min(kept, limit); i++)
		model_encode_field(found[i], !spec->keys_only,
						   !spec->keys_only || spec->target == SORT_VALUE, spec->field_tag,
						   &answer.bytes);
	free(found);
	return answer;
}

/* The same bytes again by whole items, those that are too large for that one by one. */
static void
check_whole_items(Fixture *fixture, const Snapshot *snapshot, const RangeSpec *spec,
				  const Text *right)
{
	RangeReader *reader;
	size_t done = 0;
	int64_t count;
	uint64_t bytes;
	bool more;
	Status status;

	assert_int_equal(range_open(snapshot, spec, &reader), RUSD_OK);
	assert_int_equal(range_measure(reader, &count, &bytes, &more), RUSD_OK);
	for (;;)
	{
		uint8_t buffer[40000];
		size_t max = random_below(fixture, random_below(fixture, 2) == 0 ? 60 : sizeof(buffer));
		size_t piece = 0;
		uint64_t length = 0;

		status = range_pull_whole(reader, buffer, max, &piece, &length);
		if (status != RUSD_OK)
			break;
		assert_true(piece <= max && piece <= right->length - done);
		assert_memory_equal(buffer, right->data + done, piece);
		done += piece;
		for (; piece == 0 && length > 0; length -= max)
		{
			assert_int_equal(range_pull(reader, buffer, Min(sizeof(buffer), length), &max),
							 RUSD_OK);
			assert_memory_equal(buffer, right->data + done, max);
			done += max;
		}
	}
	assert_int_equal(status, RUSD_END);
	assert_int_equal(done, right->length);
	range_close(reader);
}

static void
check_range(Fixture *fixture, const Snapshot *snapshot, const RangeSpec *spec)
{
	Answer right = expected(&fixture->model, spec);
	RangeReader *reader;
	Text got = {0};
	int64_t count;
	uint64_t bytes;
	bool more;
	Status status;

	assert_int_equal(range_open(snapshot, spec, &reader), RUSD_OK);
	assert_int_equal(range_measure(reader, &count, &bytes, &more), RUSD_OK);
	assert_int_equal(count, right.count);
	assert_int_equal(more, right.more);
	assert_int_equal(bytes, right.bytes.length);
	for (;;)
	{
		uint8_t buffer[40000];
		size_t max = 1 + random_below(fixture, random_below(fixture, 2) == 0 ? 60 : sizeof(buffer));
		size_t piece = 0;

		status = range_pull(reader, buffer, max, &piece);
		if (status != RUSD_OK)
			break;
		assert_in_range(piece, 1, max);
		text_add(&got, buffer, piece);
	}
	assert_int_equal(status, RUSD_END);
	assert_int_equal(got.length, right.bytes.length);
	if (got.length > 0)
		assert_memory_equal(got.data, right.bytes.data, got.length);
	range_close(reader);
	check_whole_items(fixture, snapshot, spec, &got);
	text_free(&got);
	text_free(&right.bytes);
}

static int64_t
random_revision(Fixture *fixture)
{
	return (int64_t) random_below(fixture, (uint64_t) fixture->model.revision + 3);
}

static RangeSpec
random_spec(Fixture *fixture)
{
	RangeSpec spec = {.key = random_key(fixture),
					  .range_end = random_end(fixture),
					  .view_main = fixture->model.revision + 1,
					  .field_tag = random_below(fixture, 2) == 0 ? 0x12 : 0x1a};
	static const uint8_t zero[1];

	if (random_below(fixture, 3) == 0)
		spec.key = spec.range_end = (Bytes){zero, 1};
	if (random_below(fixture, 2) == 0)
		spec.view_main = 1 + random_revision(fixture);
	if (random_below(fixture, 8) == 0)
		spec.view_sub = random_below(fixture, 3);
	if (random_below(fixture, 2) == 0)
		spec.limit = (int64_t) random_below(fixture, 50) - 1;
	spec.order = (SortOrder) random_below(fixture, 3);
	if (random_below(fixture, 2) == 0)
		spec.target = (SortTarget) random_below(fixture, 5);
	spec.keys_only = random_below(fixture, 4) == 0;
	spec.count_only = random_below(fixture, 10) == 0;
	if (random_below(fixture, 4) == 0)
	{
		spec.min_mod = random_revision(fixture) * (int64_t) random_below(fixture, 2);
		spec.max_mod = random_revision(fixture) * (int64_t) random_below(fixture, 2);
		spec.min_create = random_revision(fixture) * (int64_t) random_below(fixture, 2);
		spec.max_create = random_revision(fixture) * (int64_t) random_below(fixture, 2);
	}
	return spec;
}

/* KV-20 to KV-23, KV-35 to KV-42 */
static void
test_random_ranges(void **state)
{
	(void) state;
	for (uint64_t seed = 1; seed <= 5; seed++)
	{
		Fixture *fixture = fixture_create(20000, -1);

		fixture->seed = seed;
		for (int round = 0; round < 4; round++)
		{
			Snapshot snapshot;

			fixture_history(fixture, 120);
			snapshot = fixture_snapshot(fixture);
			for (int i = 0; i < 250; i++)
			{
				RangeSpec spec = random_spec(fixture);

				check_range(fixture, &snapshot, &spec);
			}
			snapshot_unpin(&snapshot);
		}
		fixture_destroy(fixture);
	}
}

/* Keys with many versions: the walk seeks instead of stepping; long keys are stepped over. */
static void
test_many_versions(void **state)
{
	Fixture *fixture = fixture_create(20000, -1);
	Snapshot snapshot;
	static uint8_t long_key[3000];

	(void) state;
	for (int i = 0; i < 600; i++)
	{
		TestOp op = {.kind = i % 50 == 49 ? OP_DELETE : OP_PUT, .key = bytes_of("a")};

		if (i % 5 == 1)
			op.key = bytes_of("ab");
		if (i % 5 == 2)
			op.key = bytes_of("b");
		if (i % 5 == 3)
			op.key = (Bytes){long_key, sizeof(long_key)};
		if (op.kind == OP_PUT)
			op.value = bytes_of("v");
		(void) fixture_op(fixture, &op);
	}
	snapshot = fixture_snapshot(fixture);
	for (int64_t view = 1; view <= fixture->model.revision + 1; view += 7)
	{
		for (SortOrder order = SORT_NONE; order <= SORT_DESCEND; order++)
		{
			RangeSpec spec = {.key = {(const uint8_t *) "", 1},
							  .range_end = {(const uint8_t *) "", 1},
							  .view_main = view,
							  .order = order,
							  .field_tag = 0x12};

			check_range(fixture, &snapshot, &spec);
			spec.limit = 2;
			check_range(fixture, &snapshot, &spec);
			spec.key = bytes_of("a");
			spec.range_end = bytes_of("b");
			check_range(fixture, &snapshot, &spec);
		}
	}
	snapshot_unpin(&snapshot);
	fixture_destroy(fixture);
}

/* The quirks by name. */
static void
test_quirks(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	Snapshot snapshot;
	RangeSpec spec = {.key = bytes_of("a"), .range_end = bytes_of("z"), .field_tag = 0x12};
	RangeReader *reader;
	int64_t count;
	uint64_t bytes;
	uint8_t buffer[256];
	size_t got;
	bool more;

	(void) state;
	(void) fixture_put(fixture, "c", "1");
	(void) fixture_put(fixture, "b", "2");
	(void) fixture_put(fixture, "a", "3");
	snapshot = fixture_snapshot(fixture);
	spec.view_main = 5;
	/* KV-42: the limit goes first, so c, the first by create revision, is not found. */
	spec.target = SORT_CREATE;
	spec.limit = 1;
	assert_int_equal(range_open(&snapshot, &spec, &reader), RUSD_OK);
	assert_int_equal(range_measure(reader, &count, &bytes, &more), RUSD_OK);
	assert_int_equal(count, 3);
	assert_true(more);
	assert_int_equal(range_pull(reader, buffer, sizeof(buffer), &got), RUSD_OK);
	assert_int_equal(buffer[4], 'b');
	range_close(reader);
	spec.order = SORT_ASCEND;
	assert_int_equal(range_open(&snapshot, &spec, &reader), RUSD_OK);
	assert_int_equal(range_measure(reader, &count, &bytes, &more), RUSD_OK);
	assert_int_equal(range_pull(reader, buffer, sizeof(buffer), &got), RUSD_OK);
	assert_int_equal(buffer[4], 'c');
	range_close(reader);
	/* KV-35: as many as the limit is no more; KV-36: filters do not change the count. */
	spec =
		(RangeSpec){.key = bytes_of("a"), .range_end = bytes_of("z"), .view_main = 5, .limit = 3};
	assert_int_equal(range_open(&snapshot, &spec, &reader), RUSD_OK);
	assert_int_equal(range_measure(reader, &count, &bytes, &more), RUSD_OK);
	assert_false(more);
	range_close(reader);
	spec.min_mod = 4;
	assert_int_equal(range_open(&snapshot, &spec, &reader), RUSD_OK);
	assert_int_equal(range_measure(reader, &count, &bytes, &more), RUSD_OK);
	assert_int_equal(count, 3);
	assert_false(more);
	range_close(reader);
	snapshot_unpin(&snapshot);
	fixture_destroy(fixture);
}

/* KV-38, KV-72 and the compare of LEASE, with a lease that no entry can attach yet: written into
 * the page. */
static void
test_lease(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	RangeSpec spec = {.key = bytes_of("a"), .view_main = 3, .field_tag = 0x12, .keys_only = true};
	Snapshot snapshot;
	RangeItem item;
	KeyRecord record;
	TestOp touch = {
		.kind = OP_PUT, .key = bytes_of("a"), .flags = OP_IGNORE_VALUE | OP_IGNORE_LEASE};
	TestOp compare = {.kind = OP_COMPARE, .key = bytes_of("a"), .target = 4, .number = 7};
	TestOp txn = {.kind = OP_TXN, .compares = &compare, .compare_count = 1};

	(void) state;
	(void) fixture_put(fixture, "a", "value");
	snapshot = fixture_snapshot(fixture);
	assert_int_equal(range_get(&snapshot, bytes_of("a"), 3, 0, &item), RUSD_OK);
	memcpy(&record, item.cell.value_inline.data, sizeof(record));
	record.lease = fixture->model.versions[0].lease = 7;
	memcpy((uint8_t *) (uintptr_t) item.cell.value_inline.data, &record, sizeof(record));
	for (SortTarget target = SORT_VERSION; target <= SORT_VALUE; target++)
	{
		spec.target = target;
		spec.keys_only = true;
		check_range(fixture, &snapshot, &spec);
		spec.keys_only = false;
		check_range(fixture, &snapshot, &spec);
	}
	snapshot_unpin(&snapshot);
	assert_int_equal(fixture_op(fixture, &txn).value, 1);
	(void) fixture_op(fixture, &touch);
	snapshot = fixture_snapshot(fixture);
	assert_int_equal(range_get(&snapshot, bytes_of("a"), 4, 0, &item), RUSD_OK);
	assert_int_equal(item.lease, 7);
	assert_int_equal(item.value_length, 5);
	snapshot_unpin(&snapshot);
	/* KV-74 */
	(void) fixture_put(fixture, "a", "");
	assert_int_equal(fixture_op(fixture, &txn).value, 0);
	fixture_destroy(fixture);
}

/* A snapshot that is ended stops the stream with its error. */
static void
test_ended(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	RangeSpec spec = {.key = bytes_of("a"), .range_end = bytes_of("z"), .field_tag = 0x12};
	Snapshot snapshot;
	RangeReader *reader;
	int64_t count;
	uint64_t bytes;
	uint8_t buffer[4];
	size_t got;
	bool more;

	(void) state;
	(void) fixture_put(fixture, "a", "value");
	snapshot = fixture_snapshot(fixture);
	spec.view_main = 3;
	assert_int_equal(range_open(&snapshot, &spec, &reader), RUSD_OK);
	assert_int_equal(range_measure(reader, &count, &bytes, &more), RUSD_OK);
	assert_int_equal(range_pull(reader, buffer, sizeof(buffer), &got), RUSD_OK);
	atomic_store(&fixture->shm->root->oldest_allowed_root, snapshot.root.number + 1);
	assert_int_equal(range_pull(reader, buffer, sizeof(buffer), &got), RUSD_SNAPSHOT_ENDED);
	range_close(reader);
	snapshot_unpin(&snapshot);
	fixture_destroy(fixture);
}

#define MANY 90000

/* More items than the heap of a sort holds: passes, each taking up where the last one ended. */
static void
test_sort_passes(void **state)
{
	Fixture *fixture = fixture_create(8192, -1);
	RangeSpec spec = {.key = bytes_of("k"),
					  .range_end = bytes_of("l"),
					  .view_main = MANY + 2,
					  .order = SORT_DESCEND,
					  .target = SORT_VALUE,
					  .field_tag = 0x12};
	Snapshot snapshot;

	(void) state;
	for (uint32_t i = 0; i < MANY; i++)
	{
		uint64_t body[16];
		OpHeader header = {.kind = OP_PUT};
		char key[16];
		char value[24];

		(void) snprintf(key, sizeof(key), "k%06u", i);
		(void) snprintf(value, sizeof(value), "value-%06u",
						(uint32_t) ((uint64_t) i * 48271 % MANY));
		(void) fixture_entry(
			fixture, ENTRY_PUT, body,
			op_encode((uint8_t *) body, &header, bytes_of(key), (Bytes){0}, bytes_of(value)));
		if (i % 1000 == 0)
			(void) store_publish(fixture->store);
	}
	snapshot = fixture_snapshot(fixture);
	for (int limited = 0; limited < 2; limited++)
	{
		RangeReader *reader;
		Text all = {0};
		int64_t count;
		uint64_t bytes;
		size_t got;
		bool more;
		uint32_t next = MANY;

		spec.limit = limited ? 60000 : 0;
		assert_int_equal(range_open(&snapshot, &spec, &reader), RUSD_OK);
		assert_in_range(range_memory(&spec), 1, 5 * 1024 * 1024);
		assert_int_equal(range_measure(reader, &count, &bytes, &more), RUSD_OK);
		assert_int_equal(count, MANY);
		assert_int_equal(more, limited);
		for (;;)
		{
			uint8_t buffer[8192];

			if (range_pull(reader, buffer, sizeof(buffer), &got) != RUSD_OK)
				break;
			text_add(&all, buffer, got);
		}
		range_close(reader);
		assert_int_equal(all.length, bytes);
		for (size_t place = 0; place < all.length; place += 2 + (size_t) all.data[place + 1])
		{
			/* The value is the last field: 12 bytes. */
			const uint8_t *value = all.data + place + 2 + all.data[place + 1] - 12;
			char text[24];

			(void) snprintf(text, sizeof(text), "value-%06u", --next);
			assert_memory_equal(value, text, 12);
		}
		assert_int_equal(next, limited ? MANY - 60000 : 0);
		text_free(&all);
	}
	snapshot_unpin(&snapshot);
	fixture_destroy(fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quirks),        cmocka_unit_test(test_random_ranges),
		cmocka_unit_test(test_many_versions), cmocka_unit_test(test_lease),
		cmocka_unit_test(test_ended),         cmocka_unit_test(test_sort_passes),
	};

	return cmocka_run_group_tests_name("range", tests, NULL, NULL);
}
