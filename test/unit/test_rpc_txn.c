/*
 * test_rpc_txn.c
 *	  Transactions of one backend against the model.
 *
 * Answers are compared byte by byte with what protobuf-c makes of the model's answer.
 *
 * test/unit/test_rpc_txn.c
 */
#include "rusd.h"

#include "rpc_fixture.h"

#include "cmocka_all.h"

static Arena requests;

static void random_ops(TestOp **ops, uint32_t *count, int depth);

/* target of a put or delete: it wants to know what was there. */
static TestOp
random_test_op(int depth)
{
	static const uint8_t large[20000];
	TestOp op = {.kind = OP_RANGE, .key = random_key(fixture)};
	uint64_t kind = random_below(fixture, depth < 3 ? 8 : 6);

	if (kind < 2)
	{
		op.range_end = random_end(fixture);
		if (random_below(fixture, 4) == 0 && fixture->model.revision > 1)
			op.number = 1 + (int64_t) random_below(fixture, (uint64_t) fixture->model.revision);
	}
	else if (kind < 4)
	{
		op.kind = OP_PUT;
		op.value =
			random_below(fixture, 4) == 0 ? (Bytes){large, sizeof(large)} : random_value(fixture);
		op.target = (uint32_t) random_below(fixture, 2);
	}
	else if (kind < 6)
	{
		op.kind = OP_DELETE;
		op.range_end = random_end(fixture);
		op.target = (uint32_t) random_below(fixture, 2);
	}
	else
	{
		op = (TestOp){.kind = OP_TXN};
		op.compare_count = (uint32_t) random_below(fixture, 2);
		op.compares = arena_zalloc(&requests, sizeof(TestOp));
		op.compares[0] = (TestOp){.kind = OP_COMPARE,
								  .key = random_key(fixture),
								  .target = (uint32_t) random_below(fixture, 3),
								  .result = (uint32_t) random_below(fixture, 4),
								  .number = (int64_t) random_below(fixture, 3)};
		random_ops(&op.then_ops, &op.then_count, depth + 1);
		random_ops(&op.else_ops, &op.else_count, depth + 1);
	}
	return op;
}

static void
random_ops(TestOp **ops, uint32_t *count, int depth)
{
	uint32_t i;

	*count = (uint32_t) random_below(fixture, 5);
	*ops = arena_zalloc(&requests, (*count + 1) * sizeof(**ops));
	for (i = 0; i < *count; i++)
		(*ops)[i] = random_test_op(depth);
}

/* The request that says the same. */
static Etcdserverpb__TxnRequest *request_of_txn(const TestOp *op);

static Etcdserverpb__RequestOp *
request_of_op(const TestOp *op)
{
	Etcdserverpb__RequestOp *request = arena_zalloc(&requests, sizeof(*request));

	etcdserverpb__request_op__init(request);
	if (op->kind == OP_RANGE)
	{
		request->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
		request->request_range = arena_zalloc(&requests, sizeof(*request->request_range));
		etcdserverpb__range_request__init(request->request_range);
		request->request_range->key = data_of(op->key);
		request->request_range->range_end = data_of(op->range_end);
		request->request_range->revision = op->number;
	}
	else if (op->kind == OP_PUT)
	{
		request->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
		request->request_put = arena_zalloc(&requests, sizeof(*request->request_put));
		etcdserverpb__put_request__init(request->request_put);
		request->request_put->key = data_of(op->key);
		request->request_put->value = data_of(op->value);
		request->request_put->prev_kv = op->target != 0;
	}
	else if (op->kind == OP_DELETE)
	{
		request->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
		request->request_delete_range =
			arena_zalloc(&requests, sizeof(*request->request_delete_range));
		etcdserverpb__delete_range_request__init(request->request_delete_range);
		request->request_delete_range->key = data_of(op->key);
		request->request_delete_range->range_end = data_of(op->range_end);
		request->request_delete_range->prev_kv = op->target != 0;
	}
	else
	{
		request->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN;
		request->request_txn = request_of_txn(op);
	}
	return request;
}

static void
requests_of(const TestOp *ops, uint32_t count, size_t *n, Etcdserverpb__RequestOp ***list)
{
	uint32_t i;

	*n = count;
	*list = arena_zalloc(&requests, (count + 1) * sizeof(**list));
	for (i = 0; i < count; i++)
		(*list)[i] = request_of_op(&ops[i]);
}

static Etcdserverpb__TxnRequest *
request_of_txn(const TestOp *op)
{
	Etcdserverpb__TxnRequest *txn = arena_zalloc(&requests, sizeof(*txn));
	uint32_t i;

	etcdserverpb__txn_request__init(txn);
	txn->n_compare = op->compare_count;
	txn->compare = arena_zalloc(&requests, (op->compare_count + 1) * sizeof(*txn->compare));
	for (i = 0; i < op->compare_count; i++)
	{
		const TestOp *from = &op->compares[i];
		Etcdserverpb__Compare *compare = txn->compare[i] =
			arena_zalloc(&requests, sizeof(*compare));

		etcdserverpb__compare__init(compare);
		compare->key = data_of(from->key);
		compare->target = (Etcdserverpb__Compare__CompareTarget) from->target;
		compare->result = (Etcdserverpb__Compare__CompareResult) from->result;
		compare->target_union_case = (Etcdserverpb__Compare__TargetUnionCase) (4 + from->target);
		compare->version =
			from->number; /* the members of the union that are numbers lie in one place */
	}
	requests_of(op->then_ops, op->then_count, &txn->n_success, &txn->success);
	requests_of(op->else_ops, op->else_count, &txn->n_failure, &txn->failure);
	return txn;
}

/* What the model answers, as a message. */
static Etcdserverpb__TxnResponse *response_of_txn(const TestOp *op, uint64_t *sub);

static Etcdserverpb__ResponseHeader *
header_of(int64_t revision)
{
	Etcdserverpb__ResponseHeader *header = arena_zalloc(&requests, sizeof(*header));

	etcdserverpb__response_header__init(header);
	header->revision = revision;
	return header;
}

static Mvccpb__KeyValue **
kvs_of(const ModelVersion *const *versions, size_t count)
{
	Mvccpb__KeyValue **kvs = arena_zalloc(&requests, (count + 1) * sizeof(*kvs));
	size_t i;

	for (i = 0; i < count; i++)
	{
		kvs[i] = arena_zalloc(&requests, sizeof(**kvs));
		mvccpb__key_value__init(kvs[i]);
		kvs[i]->key = data_of(versions[i]->key);
		kvs[i]->value = data_of(versions[i]->value);
		kvs[i]->create_revision = versions[i]->create;
		kvs[i]->mod_revision = versions[i]->main;
		kvs[i]->version = versions[i]->version;
		kvs[i]->lease = versions[i]->lease;
	}
	return kvs;
}

static Etcdserverpb__ResponseOp *
response_of_op(const TestOp *op, uint64_t *sub)
{
	Etcdserverpb__ResponseOp *response = arena_zalloc(&requests, sizeof(*response));
	int64_t main = fixture->model.main;
	const ModelVersion **found;
	size_t count = 0;

	etcdserverpb__response_op__init(response);
	if (op->kind == OP_TXN)
	{
		response->response_case = ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_TXN;
		response->response_txn = response_of_txn(op, sub);
		response->response_txn->header = header_of(0);
		return response;
	}
	if (op->kind == OP_RANGE && op->number > 0)
		count = model_range(&fixture->model, op->key, op->range_end, op->number + 1, 0, &found);
	else
		count = model_range(&fixture->model, op->key, op->range_end, main, *sub, &found);
	if (op->kind == OP_RANGE)
	{
		response->response_case = ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE;
		response->response_range = arena_zalloc(&requests, sizeof(*response->response_range));
		etcdserverpb__range_response__init(response->response_range);
		response->response_range->header = header_of(*sub > 0 ? main : main - 1);
		response->response_range->n_kvs = count;
		response->response_range->kvs = kvs_of(found, count);
		response->response_range->count = (int64_t) count;
	}
	else if (op->kind == OP_PUT)
	{
		response->response_case = ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_PUT;
		response->response_put = arena_zalloc(&requests, sizeof(*response->response_put));
		etcdserverpb__put_response__init(response->response_put);
		response->response_put->header = header_of(main);
		if (count == 1 && op->target != 0)
			response->response_put->prev_kv = kvs_of(found, 1)[0];
		(*sub)++;
	}
	else
	{
		*sub += count;
		response->response_case = ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE;
		response->response_delete_range =
			arena_zalloc(&requests, sizeof(*response->response_delete_range));
		etcdserverpb__delete_range_response__init(response->response_delete_range);
		response->response_delete_range->header = header_of(*sub > 0 ? main : main - 1);
		response->response_delete_range->deleted = (int64_t) count;
		if (op->target != 0)
		{
			response->response_delete_range->n_prev_kvs = count;
			response->response_delete_range->prev_kvs = kvs_of(found, count);
		}
	}
	free(found);
	return response;
}

static Etcdserverpb__TxnResponse *
response_of_txn(const TestOp *op, uint64_t *sub)
{
	Etcdserverpb__TxnResponse *response = arena_zalloc(&requests, sizeof(*response));
	const TestOp *ops = op->chosen ? op->then_ops : op->else_ops;
	uint32_t i;

	etcdserverpb__txn_response__init(response);
	response->succeeded = op->chosen;
	response->n_responses = op->chosen ? op->then_count : op->else_count;
	response->responses =
		arena_zalloc(&requests, (response->n_responses + 1) * sizeof(*response->responses));
	for (i = 0; i < response->n_responses; i++)
		response->responses[i] = response_of_op(&ops[i], sub);
	return response;
}

static void
expect_same_bytes(const Client *client, const Etcdserverpb__TxnResponse *expected)
{
	size_t length = etcdserverpb__txn_response__get_packed_size(expected);
	uint8_t *packed = malloc(length + 1);

	etcdserverpb__txn_response__pack(expected, packed);
	assert_int_equal(client->reply.length, length);
	assert_memory_equal(client->reply.data, packed, length);
	free(packed);
}

/* One random transaction: refused as the model says, or answered with exactly its bytes.  Returns 2
 * for one answered piece by piece. */
static int
one_transaction(void)
{
	TestOp op = random_test_op(0);
	Etcdserverpb__TxnRequest *request;
	Etcdserverpb__TxnResponse *expected;
	Client *client;
	uint64_t deleted;
	uint64_t sub = 0;
	Status status;
	int kind = 1;

	while (op.kind != OP_TXN)
		op = random_test_op(0);
	request = request_of_txn(&op);
	if (txn_check(request, 128, &requests) != RUSD_OK)
	{
		expect_failure(call_begin("/etcdserverpb.KV/Txn", request), RUSD_DUPLICATE_KEY);
		return 0;
	}
	client = call_begin("/etcdserverpb.KV/Txn", request);
	status = model_apply(&fixture->model, &op, &deleted);
	serve_until(client);
	if (status != RUSD_OK)
	{
		expect_failure(client, status);
		return 0;
	}
	if (client->source != NULL)
		kind = 2;
	call_pull(client);
	expected = response_of_txn(&op, &sub);
	expected->header = header_of(fixture->model.revision);
	expected->header->cluster_id = CLUSTER_ID;
	expected->header->member_id = MEMBER_ID;
	expected->header->raft_term = 2;
	expect_same_bytes(client, expected);
	call_end(client);
	return kind;
}

static void
test_transactions(void **state)
{
	int kinds[3] = {0};
	int round;

	(void) state;
	arena_init(&requests, NULL);
	fixture_history(fixture, 60);
	store_publish(fixture->store);
	for (round = 0; round < 1500; round++)
	{
		turn();
		kinds[one_transaction()]++;
		rpc_rest(rpc);
		arena_reset(&requests);
	}
	arena_destroy(&requests);
	/* Both ways of answering were seen often. */
	assert_true(kinds[1] > 100);
	assert_true(kinds[2] > 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_transactions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
