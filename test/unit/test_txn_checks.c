/*
 * test_txn_checks.c
 *	  Transactions before they are proposed: duplicate keys (TXN-10, TXN-11), counts and order of
 * checks (TXN-2 to TXN-6), the program.
 *
 * Shapes are written as in TXN-11: P put a, D delete a, R delete of a range that holds a, E of a
 * range that ends at a, F delete from a on ("from key"), Q put b, G range of a, T(x) and T(x|y) a
 * nested transaction.  A model that compares every put with every other op judges random shapes too.
 *
 * test/unit/test_txn_checks.c
 */
#include "rusd.h"

#include <stdarg.h>

#include "../../src/backend/rpc/services.h"

#include "cmocka_all.h"

static Arena arena;

/* ---- shapes ---- */

static Etcdserverpb__TxnRequest *parse_txn(const char **at);

static ProtobufCBinaryData
bytes(const char *text)
{
	return (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *) (uintptr_t) text};
}

static Etcdserverpb__RequestOp *
new_op(Etcdserverpb__RequestOp__RequestCase request_case)
{
	Etcdserverpb__RequestOp *op = arena_alloc(&arena, sizeof(*op));

	etcdserverpb__request_op__init(op);
	op->request_case = request_case;
	return op;
}

static Etcdserverpb__RequestOp *
new_put(const char *key)
{
	Etcdserverpb__RequestOp *op = new_op(ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT);

	op->request_put = arena_alloc(&arena, sizeof(*op->request_put));
	etcdserverpb__put_request__init(op->request_put);
	op->request_put->key = bytes(key);
	return op;
}

static Etcdserverpb__RequestOp *
new_delete(const char *key, ProtobufCBinaryData range_end)
{
	Etcdserverpb__RequestOp *op = new_op(ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE);

	op->request_delete_range = arena_alloc(&arena, sizeof(*op->request_delete_range));
	etcdserverpb__delete_range_request__init(op->request_delete_range);
	op->request_delete_range->key = bytes(key);
	op->request_delete_range->range_end = range_end;
	return op;
}

static Etcdserverpb__RequestOp *
new_range(const char *key)
{
	Etcdserverpb__RequestOp *op = new_op(ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE);

	op->request_range = arena_alloc(&arena, sizeof(*op->request_range));
	etcdserverpb__range_request__init(op->request_range);
	op->request_range->key = bytes(key);
	return op;
}

static Etcdserverpb__RequestOp *
parse_op(const char **at)
{
	Etcdserverpb__RequestOp *op;

	switch (*(*at)++)
	{
		case 'P':
			return new_put("a");
		case 'Q':
			return new_put("b");
		case 'D':
			return new_delete("a", bytes(""));
		case 'R':
			return new_delete("A", bytes("c"));
		case 'E':
			return new_delete("A", bytes("a"));
		case 'F':
			return new_delete("A",
							  (ProtobufCBinaryData){.len = 1, .data = (uint8_t *) (uintptr_t) ""});
		case 'B':
			return new_delete("c", bytes("A")); /* backwards: empty */
		case 'G':
			return new_range("a");
		case '0':
			return new_op(ETCDSERVERPB__REQUEST_OP__REQUEST__NOT_SET);
		case 'T':
			op = new_op(ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN);
			(*at)++; /* ( */
			op->request_txn = parse_txn(at);
			(*at)++; /* ) */
			return op;
		default:
			fail_msg("no such op: %s", *at - 1);
			return NULL;
	}
}

/* Ops up to '|', ')' or the end. */
static size_t
parse_list(const char **at, Etcdserverpb__RequestOp ***ops)
{
	size_t count = 0;

	*ops = arena_alloc(&arena, 400 * sizeof(**ops));
	while (**at != '\0' && **at != '|' && **at != ')')
		(*ops)[count++] = parse_op(at);
	return count;
}

static Etcdserverpb__TxnRequest *
parse_txn(const char **at)
{
	Etcdserverpb__TxnRequest *txn = arena_alloc(&arena, sizeof(*txn));

	etcdserverpb__txn_request__init(txn);
	txn->n_success = parse_list(at, &txn->success);
	if (**at == '|')
	{
		(*at)++;
		txn->n_failure = parse_list(at, &txn->failure);
	}
	return txn;
}

static Etcdserverpb__TxnRequest *
parse(const char *shape)
{
	return parse_txn(&shape);
}

static void
expect(const char *shape, Status status)
{
	Status found = txn_check(parse(shape), 128, &arena);

	if (found != status)
		fail_msg("[%s]: %s, not %s", shape, status_name(found), status_name(status));
}

/* ---- duplicates ---- */

static void
test_examples(void **state)
{
	static const char *const duplicate[] = {
		"PP",           "PD",          "DP",
		"PR",           "RP",          "PT(D)",
		"T(D)P",        "RT(P)",       "T(P)R",
		"T(P|P)T(P|P)", "PT(P)",       "PT(|P)",
		"T(P)P",        "T(|P)P",      "T(P)T(P)",
		"T(P)T(|P)",    "T(|P)T(P)",   "T(D)T(P)",
		"T(|D)T(P)",    "T(D)T(|P)",   "PT(|D)",
		"PT(T(D))",     "T(T(T(P)))P", "RT(T(T(|P)))",
		"|PP",          "|PD",         "Q|PP",
		"QPQ",          "T(PP)",       "T(|PP)",
		"T(PD)",        "T(|RP)",      "T(T(P|P)|P)T(P)",
	};
	static const char *const fine[] = {
		"",
		"P",
		"PQ",
		"T(P|P)",
		"T(D)T(D|D)",
		"DRDR",
		"PE",
		"EP",
		"P|P",
		"P|D",
		/* then and else exclude each other */
		"T(P|D)",
		"T(D|P)",
		"T(T(P|P)|P)",
		"T(T(P)|T(P))",
		/* deletes of a nested one count for later siblings only */
		"T(P)T(D)",
		"T(P)T(|D)",
		"T(P|Q)T(D)",
		/* "from key", and intervals that are backwards, are empty here */
		"PF",
		"FP",
		"PB",
		"T(F)P",
		"GP",
		"PG",
	};
	size_t i;

	(void) state;
	for (i = 0; i < lengthof(duplicate); i++)
		expect(duplicate[i], RUSD_DUPLICATE_KEY);
	for (i = 0; i < lengthof(fine); i++)
		expect(fine[i], RUSD_OK);
}

/* ---- a model ---- */

/* Where an op stands: the lists that it is in, from the outermost, and its place in each. */
typedef struct Placed
{
	const Etcdserverpb__RequestOp *op;
	uint32_t lists[16];
	uint32_t places[16];
	uint32_t depth;
} Placed;

static Placed placed[512];
static uint32_t placed_count;
static uint32_t list_count;

static void
place(Etcdserverpb__RequestOp *const *ops, size_t count, const Placed *around)
{
	uint32_t list = ++list_count;
	size_t i;

	for (i = 0; i < count; i++)
	{
		Placed here = *around;

		here.lists[here.depth] = list;
		here.places[here.depth] = (uint32_t) i;
		here.depth++;
		here.op = ops[i];
		if (ops[i]->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN)
		{
			place(ops[i]->request_txn->success, ops[i]->request_txn->n_success, &here);
			place(ops[i]->request_txn->failure, ops[i]->request_txn->n_failure, &here);
		}
		else
			placed[placed_count++] = here;
	}
}

static int
order_of(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
	int order = memcmp(a.data, b.data, Min(a.len, b.len));

	return order != 0 ? order : a.len < b.len ? -1 : a.len > b.len;
}

static bool
deletes(const Etcdserverpb__DeleteRangeRequest *request, ProtobufCBinaryData key)
{
	if (request->range_end.len == 0)
		return order_of(request->key, key) == 0;
	return order_of(request->key, key) <= 0 && order_of(key, request->range_end) < 0;
}

static bool
is_put_op(const Placed *p)
{
	return p->op->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
}

static bool
is_delete_op(const Placed *p)
{
	return p->op->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
}

/* The rule as TXN-10 has it, of one put and one other op. */
static bool
pair_conflicts(const Placed *put, const Placed *other)
{
	uint32_t common = 0;

	/* The innermost list that holds both, each by itself or by a nested transaction. */
	while (common < put->depth && common < other->depth &&
		   put->lists[common] == other->lists[common] &&
		   put->places[common] == other->places[common])
		common++;
	if (common == put->depth || common == other->depth ||
		put->lists[common] != other->lists[common])
		return false; /* then and else of one transaction exclude each other */
	if (is_put_op(other))
		return order_of(put->op->request_put->key, other->op->request_put->key) == 0;
	if (!is_delete_op(other) ||
		!deletes(other->op->request_delete_range, put->op->request_put->key))
		return false;
	if (other->depth == common + 1 || put->depth == common + 1)
		return true; /* one of them stands in that list itself */
	return other->places[common] < put->places[common];
}

static bool
model_says_duplicate(Etcdserverpb__RequestOp *const *ops, size_t count)
{
	Placed none = {.depth = 0};
	uint32_t i, j;

	placed_count = list_count = 0;
	place(ops, count, &none);
	for (i = 0; i < placed_count; i++)
		for (j = 0; j < placed_count; j++)
			if (i != j && is_put_op(&placed[i]) && pair_conflicts(&placed[i], &placed[j]))
				return true;
	return false;
}

static uint64_t random_state = 42;

static uint32_t
random_below(uint32_t n)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t) (random_state >> 33) % n;
}

static const char *
random_key(void)
{
	static const char *const keys[] = {"a", "aa", "ab", "b", "ba", "c", "d", "da",
									   "e", "ea", "f",  "g", "h",  "i", "j", "k"};

	return keys[random_below(lengthof(keys))];
}

static size_t
random_list(Etcdserverpb__RequestOp ***ops, int depth)
{
	size_t count = random_below(4);
	size_t i;

	*ops = arena_alloc(&arena, (count + 1) * sizeof(**ops));
	for (i = 0; i < count; i++)
	{
		uint32_t kind = random_below(depth < 4 ? 8 : 4);

		if (kind < 2)
			(*ops)[i] = new_put(random_key());
		else if (kind == 2)
			(*ops)[i] = new_delete(random_key(), bytes(""));
		else if (kind == 3)
			(*ops)[i] = new_delete(random_key(), bytes(random_key()));
		else
		{
			Etcdserverpb__RequestOp *op = new_op(ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN);

			op->request_txn = arena_alloc(&arena, sizeof(*op->request_txn));
			etcdserverpb__txn_request__init(op->request_txn);
			op->request_txn->n_success = random_list(&op->request_txn->success, depth + 1);
			op->request_txn->n_failure = random_list(&op->request_txn->failure, depth + 1);
			(*ops)[i] = op;
		}
	}
	return count;
}

static void
test_against_model(void **state)
{
	int duplicates = 0;
	int round;

	(void) state;
	for (round = 0; round < 20000; round++)
	{
		Etcdserverpb__TxnRequest txn = ETCDSERVERPB__TXN_REQUEST__INIT;
		bool expected;

		txn.n_success = random_list(&txn.success, 0);
		txn.n_failure = random_list(&txn.failure, 0);
		expected = model_says_duplicate(txn.success, txn.n_success);
		expected = model_says_duplicate(txn.failure, txn.n_failure) || expected;
		duplicates += expected;
		if (txn_check(&txn, 128, &arena) != (expected ? RUSD_DUPLICATE_KEY : RUSD_OK))
			fail_msg("round %d: the model says %d", round, expected);
		arena_reset(&arena);
	}
	/* Both answers were asked for often. */
	assert_in_range(duplicates, 2000, 18000);
}

/* ---- structure ---- */

/* n times op, then the rest. */
static const char *
repeat(uint32_t n, char op, const char *rest)
{
	char *shape = arena_alloc(&arena, n + strlen(rest) + 1);

	memset(shape, op, n);
	strcpy(shape + n, rest);
	return shape;
}

static const char *
in_txn(const char *inside)
{
	char *shape = arena_alloc(&arena, strlen(inside) + 4);

	sprintf(shape, "T(%s)", inside);
	return shape;
}

static void
test_counts(void **state)
{
	Etcdserverpb__TxnRequest *txn;
	Etcdserverpb__Compare compare = ETCDSERVERPB__COMPARE__INIT;
	const char *shape = "";
	uint32_t i;

	(void) state;
	expect(repeat(128, 'G', ""), RUSD_OK);
	expect(repeat(129, 'G', ""), RUSD_TOO_MANY_OPS);
	expect(repeat(128, 'G', repeat(1, '|', repeat(128, 'G', ""))), RUSD_OK);
	expect(repeat(128, 'G', repeat(1, '|', repeat(129, 'G', ""))), RUSD_TOO_MANY_OPS);
	/* TXN-3: 100 ops, one of which is a transaction, leave 28 for that one. */
	expect(repeat(99, 'G', in_txn(repeat(28, 'G', ""))), RUSD_OK);
	expect(repeat(99, 'G', in_txn(repeat(29, 'G', ""))), RUSD_TOO_MANY_OPS);
	/* Siblings do not add up. */
	expect(repeat(97, 'G', "T(GG)T(GG)T(GG)"), RUSD_OK);
	/* As deep as the limit goes. */
	for (i = 0; i < 128; i++)
		shape = in_txn(shape);
	expect(shape, RUSD_OK);
	expect(in_txn(shape), RUSD_TOO_MANY_OPS);
	/* Compares count like ops. */
	txn = parse("");
	compare.key = bytes("a");
	txn->n_compare = 129;
	txn->compare = arena_alloc(&arena, txn->n_compare * sizeof(*txn->compare));
	for (i = 0; i < txn->n_compare; i++)
		txn->compare[i] = &compare;
	assert_int_equal(txn_check(txn, 128, &arena), RUSD_TOO_MANY_OPS);
	txn->n_compare = 128;
	assert_int_equal(txn_check(txn, 128, &arena), RUSD_OK);
}

static void
test_order_of_checks(void **state)
{
	Etcdserverpb__Compare compare = ETCDSERVERPB__COMPARE__INIT;
	Etcdserverpb__Compare *compares[] = {&compare};
	Etcdserverpb__TxnRequest *txn;

	(void) state;
	/* An op that is not set, TXN-6; before duplicates; success before failure. */
	expect("0", RUSD_KEY_NOT_FOUND);
	expect("PP0", RUSD_KEY_NOT_FOUND);
	expect("PP|0", RUSD_KEY_NOT_FOUND);
	expect("T(0)PP", RUSD_KEY_NOT_FOUND);
	/* A compare without a key, before the ops; the count before both. */
	txn = parse("0");
	txn->n_compare = 1;
	txn->compare = compares;
	assert_int_equal(txn_check(txn, 128, &arena), RUSD_EMPTY_KEY);
	txn = parse(repeat(129, '0', ""));
	txn->n_compare = 1;
	txn->compare = compares;
	assert_int_equal(txn_check(txn, 128, &arena), RUSD_TOO_MANY_OPS);
	/* What single requests are refused for. */
	txn = parse("P");
	txn->success[0]->request_put->ignore_value = true;
	txn->success[0]->request_put->value = bytes("v");
	assert_int_equal(txn_check(txn, 128, &arena), RUSD_VALUE_PROVIDED);
	txn = parse("P");
	txn->success[0]->request_put->ignore_lease = true;
	txn->success[0]->request_put->lease = 1;
	assert_int_equal(txn_check(txn, 128, &arena), RUSD_LEASE_PROVIDED);
	txn = parse("G");
	txn->success[0]->request_range->sort_order = 3;
	assert_int_equal(txn_check(txn, 128, &arena), RUSD_INVALID_SORT_OPTION);
	txn->success[0]->request_range->key.len = 0;
	assert_int_equal(txn_check(txn, 128, &arena), RUSD_EMPTY_KEY);
}

/* ---- the program ---- */

/* Whatever passes the checks is a program that raft and applier take, and its branches are where
 * they should be. */
static void
test_program(void **state)
{
	static const char *const shapes[] = {
		"", "P", "P|D", "|P", "T()", "T(P|D)", "T(|P)T(T(T(Q|R)|G)|E)P|T(P)", "GGG|GG"};
	size_t i;

	(void) state;
	for (i = 0; i < lengthof(shapes); i++)
	{
		const Etcdserverpb__TxnRequest *txn = parse(shapes[i]);
		uint64_t length = txn_encode(txn, NULL);
		uint8_t *payload = arena_zalloc(&arena, sizeof(EntryHeader) + length);

		assert_int_equal(txn_encode(txn, payload + sizeof(EntryHeader)), length);
		if (entry_check(ENTRY_TXN, payload, sizeof(EntryHeader) + length) != RUSD_OK)
			fail_msg("[%s] is no program", shapes[i]);
	}
}

static void
test_operands(void **state)
{
	Etcdserverpb__Compare compare = ETCDSERVERPB__COMPARE__INIT;
	Etcdserverpb__Compare *compares[] = {&compare};
	Etcdserverpb__TxnRequest *txn = parse("");
	uint8_t ops[256];
	Op op;

	(void) state;
	txn->n_compare = 1;
	txn->compare = compares;
	compare.key = bytes("k");
	compare.target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD;
	compare.result = ETCDSERVERPB__COMPARE__COMPARE_RESULT__LESS;
	compare.target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION;
	compare.mod_revision = -7;
	txn_encode(txn, ops);
	op_at(ops, sizeof(OpHeader), &op);
	assert_int_equal(op.header->target, 2 | 2 << 8);
	assert_int_equal(op.header->number, -7);
	/* TXN-22: the member of another target. */
	compare.target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_VERSION;
	compare.version = 5;
	txn_encode(txn, ops);
	op_at(ops, sizeof(OpHeader), &op);
	assert_int_equal(op.header->number, 0);
	/* Numbers that no enum has stay apart from those that it has. */
	compare.target = 300;
	compare.result = -1;
	txn_encode(txn, ops);
	op_at(ops, sizeof(OpHeader), &op);
	assert_int_equal(op.header->target, 0xffff);
}

static void
test_cost(void **state)
{
	(void) state;
	/* QUOTA-3: 256 and key and value for each put; the dearer branch. */
	assert_int_equal(quota_cost_txn(parse("DG")), 0);
	assert_int_equal(quota_cost_txn(parse("PQ|P")), 2 * 257);
	assert_int_equal(quota_cost_txn(parse("P|PQP")), 3 * 257);
	assert_int_equal(quota_cost_txn(parse("T(P|PQ)T(P)")), 3 * 257);
}

static int
setup(void **state)
{
	(void) state;
	arena_init(&arena, NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void) state;
	arena_destroy(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_examples, setup, teardown),
		cmocka_unit_test_setup_teardown(test_against_model, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order_of_checks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_program, setup, teardown),
		cmocka_unit_test_setup_teardown(test_operands, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cost, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
