/*
 * test_txn.c
 *	  Transactions: compares, the path, the check of the whole, execution; nested ones at random
 * against the model.
 *
 * test/unit/test_txn.c
 */
#include "rusd.h"

#include "cmocka_all.h"
#include "store_fixture.h"

enum
{
	VERSION,
	CREATE,
	MOD,
	VALUE,
	LEASE
};

enum
{
	EQUAL,
	GREATER,
	LESS,
	NOT_EQUAL
};

static TestOp
put(const char *key, const char *value, uint16_t flags)
{
	return (TestOp){.kind = OP_PUT, .key = bytes_of(key), .value = bytes_of(value), .flags = flags};
}

static TestOp delete (const char *key)
{
	return (TestOp){.kind = OP_DELETE, .key = bytes_of(key)};
}

static TestOp
compare(const char *key, const char *end, uint32_t target, uint32_t result, int64_t number)
{
	return (TestOp){.kind = OP_COMPARE,
					.key = bytes_of(key),
					.range_end = bytes_of(end),
					.target = target,
					.result = result,
					.number = number};
}

static bool
holds(Fixture *fixture, TestOp one)
{
	TestOp txn = {.kind = OP_TXN, .compares = &one, .compare_count = 1};
	ApplyResult result = fixture_op(fixture, &txn);

	assert_int_equal(result.status, RUSD_OK);
	assert_int_equal(result.value & 1, txn.chosen);
	assert_false(result.changed);
	return (result.value & 1) != 0;
}

/* TXN-20 to TXN-24 */
static void
test_compares(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	TestOp value = compare("a", NULL, VALUE, EQUAL, 0);

	(void) state;
	/* A missing key. */
	assert_true(holds(fixture, compare("a", NULL, CREATE, EQUAL, 0)));
	assert_true(holds(fixture, compare("a", NULL, VERSION, LESS, 1)));
	assert_false(holds(fixture, compare("a", NULL, VERSION, GREATER, 0)));
	assert_true(holds(fixture, compare("a", NULL, LEASE, EQUAL, 0)));
	for (uint32_t result = 0; result < 6; result++)
	{
		value.result = result;
		assert_false(holds(fixture, value));
	}
	assert_true(holds(fixture, compare("a", NULL, VERSION, 7, 5))); /* unknown result */
	assert_true(holds(fixture, compare("a", NULL, 9, EQUAL, 5)));   /* unknown target */
	assert_false(holds(fixture, compare("a", NULL, 9, NOT_EQUAL, 5)));
	(void) fixture_put(fixture, "a", "m");
	(void) fixture_put(fixture, "a", "m");
	(void) fixture_put(fixture, "b", "m");
	assert_true(holds(fixture, compare("a", NULL, VERSION, EQUAL, 2)));
	assert_true(holds(fixture, compare("a", NULL, CREATE, EQUAL, 2)));
	assert_true(holds(fixture, compare("a", NULL, MOD, GREATER, 2)));
	value.value = bytes_of("m");
	for (uint32_t result = EQUAL; result <= NOT_EQUAL; result++)
	{
		value.result = result;
		assert_int_equal(holds(fixture, value), result == EQUAL);
	}
	value.value = bytes_of("ma");
	value.result = LESS;
	assert_true(holds(fixture, value));
	value.value = (Bytes){0};
	value.result = GREATER;
	assert_true(holds(fixture, value));
	/* TXN-24: every key of the interval. */
	assert_false(holds(fixture, compare("a", "c", VERSION, EQUAL, 2)));
	assert_true(holds(fixture, compare("a", "c", VERSION, GREATER, 0)));
	assert_true(holds(fixture, compare("c", "z", VERSION, EQUAL, 0)));
	assert_true(holds(fixture, compare("z", "a", VERSION, EQUAL, 0)));
	value = compare("c", "z", VALUE, NOT_EQUAL, 0);
	assert_false(holds(fixture, value));
	fixture_destroy(fixture);
}

/* TXN-25: with a absent, [put a, txn(if version(a) = 0 then put x else put y)] puts x. */
static void
test_path_from_before(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	TestOp absent = compare("a", NULL, VERSION, EQUAL, 0);
	TestOp x = put("x", "", 0);
	TestOp y = put("y", "", 0);
	TestOp ops[2] = {put("a", "", 0),
					 {.kind = OP_TXN,
					  .compares = &absent,
					  .compare_count = 1,
					  .then_ops = &x,
					  .then_count = 1,
					  .else_ops = &y,
					  .else_count = 1}};
	TestOp txn = {.kind = OP_TXN, .then_ops = ops, .then_count = 2};

	(void) state;
	assert_int_equal(fixture_op(fixture, &txn).value, 3);
	assert_non_null(model_get(&fixture->model, bytes_of("x"), INT64_MAX, 0));
	assert_int_equal(fixture_op(fixture, &txn).value, 1);
	assert_non_null(model_get(&fixture->model, bytes_of("y"), INT64_MAX, 0));
	fixture_check(fixture);
	fixture_destroy(fixture);
}

/* TXN-25 where there are more transactions on the path than the applier remembers the choices of.
 */
static void
test_many_choices(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	TestOp absent[2] = {compare("a", NULL, VERSION, EQUAL, 0),
						compare("a", "c", VERSION, EQUAL, 0)};
	TestOp x = put("x", "", 0);
	TestOp y = delete ("y");
	TestOp ops[100] = {put("a", "", 0)};
	TestOp txn = {.kind = OP_TXN, .then_ops = ops, .then_count = lengthof(ops)};

	(void) state;
	for (size_t i = 1; i < lengthof(ops); i++)
		ops[i] = (TestOp){.kind = OP_TXN,
						  .compares = absent,
						  .compare_count = lengthof(absent),
						  .then_ops = &y,
						  .then_count = 1,
						  .else_ops = &x,
						  .else_count = i + 1 == lengthof(ops)};
	(void) fixture_put(fixture, "y", "");
	assert_int_equal(fixture_op(fixture, &txn).status, RUSD_OK);
	assert_null(model_get(&fixture->model, bytes_of("y"), INT64_MAX, 0));
	assert_null(model_get(&fixture->model, bytes_of("x"), INT64_MAX, 0));
	assert_int_equal(fixture_op(fixture, &txn).status, RUSD_OK);
	assert_non_null(model_get(&fixture->model, bytes_of("x"), INT64_MAX, 0));
	fixture_check(fixture);
	fixture_destroy(fixture);
}

/* TXN-30, TXN-31: one failure and nothing is done; what is off the path does not matter. */
static void
test_checked_as_a_whole(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	TestOp bad = put("b", "", 0);
	TestOp ops[2] = {put("a", "1", 0), put("a2", "", OP_IGNORE_VALUE)};
	TestOp txn = {
		.kind = OP_TXN, .then_ops = ops, .then_count = 2, .else_ops = &bad, .else_count = 1};
	TestOp range = {.kind = OP_RANGE, .key = bytes_of("a"), .number = 2};

	(void) state;
	bad.number = 9; /* a lease, in the branch that is not taken */
	assert_int_equal(fixture_op(fixture, &txn).status, RUSD_KEY_NOT_FOUND);
	assert_int_equal(fixture->model.revision, 1);
	ops[1] = put("a", "", OP_IGNORE_LEASE);
	assert_int_equal(fixture_op(fixture, &txn).status, RUSD_KEY_NOT_FOUND);
	ops[1] = range; /* the revision that it would make */
	assert_int_equal(fixture_op(fixture, &txn).status, RUSD_FUTURE_REV);
	ops[1] = bad;
	assert_int_equal(fixture_op(fixture, &txn).status, RUSD_LEASE_NOT_FOUND);
	ops[1] = put("c", "", 0);
	assert_int_equal(fixture_op(fixture, &txn).revision, 2);
	(void) fixture_put(fixture, "a", "2");
	assert_int_equal(fixture_compact(fixture, 3, false).status, RUSD_OK);
	ops[1] = range;
	assert_int_equal(fixture_op(fixture, &txn).status, RUSD_COMPACTED);
	ops[1].number = -1; /* the accident */
	assert_int_equal(fixture_op(fixture, &txn).status, RUSD_COMPACTED);
	ops[1].number = 3;
	assert_int_equal(fixture_op(fixture, &txn).status, RUSD_OK);
	/* A delete "from key" and then a put that keeps what was deleted. */
	ops[0] =
		(TestOp){.kind = OP_DELETE, .key = bytes_of("a"), .range_end = {(const uint8_t *) "", 1}};
	ops[1] = put("c", "", OP_IGNORE_VALUE);
	assert_int_equal(fixture_op(fixture, &txn).status, RUSD_KEY_NOT_FOUND);
	ops[1] = put("c", "new", 0);
	assert_int_equal(fixture_op(fixture, &txn).status, RUSD_OK);
	assert_int_equal(model_get(&fixture->model, bytes_of("c"), INT64_MAX, 0)->version, 1);
	fixture_finish_background(fixture);
	model_compact(&fixture->model, 3);
	fixture_check(fixture);
	fixture_destroy(fixture);
}

/* KV-3, TXN-32: one main revision, subs in the order of execution. */
static void
test_one_revision(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	TestOp ops[5] = {put("b", "1", 0), delete ("a"), put("c", "1", 0), delete ("nothing"),
					 put("d", "", 0)};
	TestOp txn = {.kind = OP_TXN, .then_ops = ops, .then_count = 5};
	Snapshot snapshot;
	RangeItem item;

	(void) state;
	(void) fixture_put(fixture, "a", "old");
	assert_int_equal(fixture_op(fixture, &txn).revision, 3);
	snapshot = fixture_snapshot(fixture);
	/* What each op saw: (main, sub). */
	assert_int_equal(range_get(&snapshot, bytes_of("b"), 3, 0, &item), RUSD_NOT_FOUND);
	assert_int_equal(range_get(&snapshot, bytes_of("b"), 3, 1, &item), RUSD_OK);
	assert_int_equal(range_get(&snapshot, bytes_of("a"), 3, 1, &item), RUSD_OK);
	assert_int_equal(range_get(&snapshot, bytes_of("a"), 3, 2, &item), RUSD_NOT_FOUND);
	assert_int_equal(range_get(&snapshot, bytes_of("d"), 3, 3, &item), RUSD_NOT_FOUND);
	assert_int_equal(range_get(&snapshot, bytes_of("d"), 3, 4, &item), RUSD_OK);
	snapshot_unpin(&snapshot);
	fixture_check(fixture);
	fixture_destroy(fixture);
}

/* QUOTA-3: the dearer branch counts, nested ones by the same rule. */
static void
test_cost(void **state)
{
	(void) state;
	/* Then: 3 * (256 + 2).  Else: a transaction whose branches cost 1 and 4 puts, and one put: 5
	 * puts. */
	for (int over = 0; over < 2; over++)
	{
		TestOp puts[4] = {put("a", "1", 0), put("b", "1", 0), put("c", "1", 0), put("d", "1", 0)};
		TestOp inner[2] = {
			{.kind = OP_TXN, .then_ops = puts, .then_count = 1, .else_ops = puts, .else_count = 4},
			put("e", "1", 0)};
		TestOp txn = {
			.kind = OP_TXN, .then_ops = puts, .then_count = 3, .else_ops = inner, .else_count = 2};
		Fixture *fixture = fixture_create(1000, 5 * 258 + (over ? 0 : 1));

		assert_int_equal(store_root(fixture->store)->pages_end, 0);
		assert_int_equal(fixture_op(fixture, &txn).over_quota, over);
		fixture_destroy(fixture);
	}
}

static void free_ops(TestOp *ops, uint32_t count);

static void
free_txn(TestOp *txn)
{
	free(txn->compares);
	free_ops(txn->then_ops, txn->then_count);
	free_ops(txn->else_ops, txn->else_count);
}

static void
free_ops(TestOp *ops, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
	{
		if (ops[i].kind == OP_TXN)
			free_txn(&ops[i]);
	}
	free(ops);
}

static TestOp random_txn(Fixture *fixture, int depth);

static TestOp *
random_branch(Fixture *fixture, int depth, uint32_t *count)
{
	TestOp *ops = calloc(4, sizeof(TestOp));

	*count = (uint32_t) random_below(fixture, 4);
	for (uint32_t i = 0; i < *count; i++)
	{
		switch (random_below(fixture, depth > 0 ? 5 : 4))
		{
			case 0:
				ops[i] = random_delete(fixture);
				break;
			case 1:
				ops[i] = (TestOp){.kind = OP_RANGE, .key = random_key(fixture)};
				if (random_below(fixture, 20) == 0)
					ops[i].number =
						(int64_t) random_below(fixture, (uint64_t) fixture->model.revision + 2);
				break;
			case 4:
				ops[i] = random_txn(fixture, depth - 1);
				break;
			default:
				ops[i] = random_put(fixture);
				if (random_below(fixture, 2) == 0)
					ops[i].flags = 0;
				if (random_below(fixture, 8) != 0)
					ops[i].number = 0;
		}
	}
	return ops;
}

static TestOp
random_txn(Fixture *fixture, int depth)
{
	TestOp txn = {.kind = OP_TXN, .compares = calloc(2, sizeof(TestOp))};

	txn.compare_count = (uint32_t) random_below(fixture, 3);
	for (uint32_t i = 0; i < txn.compare_count; i++)
	{
		TestOp *one = &txn.compares[i];

		*one = (TestOp){.kind = OP_COMPARE,
						.key = random_key(fixture),
						.target = (uint32_t) random_below(fixture, 6),
						.result = (uint32_t) random_below(fixture, 5)};
		if (random_below(fixture, 4) == 0)
			one->range_end = random_end(fixture);
		if (one->target == VALUE)
			one->value = random_value(fixture);
		else
			one->number = (int64_t) random_below(fixture, one->target == VERSION ? 3 : 40);
	}
	txn.then_ops = random_branch(fixture, depth, &txn.then_count);
	txn.else_ops = random_branch(fixture, depth, &txn.else_count);
	return txn;
}

static void
test_random_txns(void **state)
{
	(void) state;
	for (uint64_t seed = 1; seed <= 8; seed++)
	{
		Fixture *fixture = fixture_create(30000, -1);
		uint32_t changed = 0;

		fixture->seed = seed;
		for (int round = 0; round < 3; round++)
		{
			for (int i = 0; i < 150; i++)
			{
				TestOp txn = random_txn(fixture, 3);
				ApplyResult result = fixture_op(fixture, &txn);

				if (result.status == RUSD_OK)
					assert_int_equal(result.value & 1, txn.chosen);
				changed += result.changed;
				free_txn(&txn);
				if (i % 7 == 0)
					(void) store_publish(fixture->store);
			}
			fixture_check(fixture);
		}
		assert_in_range(changed, 100, 450);
		fixture_destroy(fixture);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compares),     cmocka_unit_test(test_path_from_before),
		cmocka_unit_test(test_many_choices), cmocka_unit_test(test_checked_as_a_whole),
		cmocka_unit_test(test_one_revision), cmocka_unit_test(test_cost),
		cmocka_unit_test(test_random_txns),
	};

	return cmocka_run_group_tests_name("txn", tests, NULL, NULL);
}
