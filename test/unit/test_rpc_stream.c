/*
 * test_rpc_stream.c
 *	  RangeStream: the same as Range, message by message.
 *
 * test/unit/test_rpc_stream.c
 */
#include "rusd.h"

#include "rpc_fixture.h"

#include "cmocka_all.h"

/* Range and RangeStream of the same: byte by byte the same answer (KV-52 to KV-59, CAT-18). */
static void
expect_same_stream(Etcdserverpb__RangeRequest *request)
{
	Client *range = call_begin("/etcdserverpb.KV/Range", request);
	Client *stream = call_begin("/etcdserverpb.KV/RangeStream", request);

	assert_true(range->answered && stream->answered);
	assert_string_equal(range->text, stream->text);
	if (range->code == 0)
	{
		Etcdserverpb__RangeResponse *merged;
		uint8_t *packed;

		call_pull(range);
		stream_all(stream);
		merged =
			etcdserverpb__range_response__unpack(NULL, stream->reply.length, stream->reply.data);
		packed = malloc(stream->reply.length);
		assert_int_equal(etcdserverpb__range_response__pack(merged, packed), range->reply.length);
		assert_memory_equal(packed, range->reply.data, range->reply.length);
		free(packed);
		etcdserverpb__range_response__free_unpacked(merged, NULL);
	}
	call_end(range);
	call_end(stream);
}

static void
put_many(int keys, const char *end)
{
	static char value[70000];
	char key[32];
	int i;

	memset(value, 'v', sizeof(value) - 1);
	for (i = 0; i < keys; i++)
	{
		size_t length = i % 40 == 7 ? 30000 + 100 * (size_t) i : (size_t) i * 7 % 900;

		snprintf(key, sizeof(key), "k%04d%s", i, end);
		value[length] = '\0';
		fixture_put(fixture, key, value);
		value[length] = 'v';
	}
	store_publish(fixture->store);
}

static void
test_range_stream(void **state)
{
	Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
	int64_t revision;
	int i;

	(void) state;
	request.key = data_of(bytes_of("k"));
	request.range_end = data_of(bytes_of("l"));
	expect_same_stream(&request);
	put_many(300, "");
	revision = store_root(fixture->store)->revision;
	put_many(100, "x");
	for (i = 0; i < 40; i++)
	{
		request.limit = i % 4 == 0 ? 0 : (int64_t) random_below(fixture, 410);
		request.revision = i % 3 == 0 ? 0 : revision - 100 + (int64_t) random_below(fixture, 210);
		request.keys_only = i % 5 == 0;
		request.count_only = i % 11 == 10;
		request.serializable = i % 2 == 0;
		request.sort_order = i % 7 == 0 ? ETCDSERVERPB__RANGE_REQUEST__SORT_ORDER__ASCEND
										: ETCDSERVERPB__RANGE_REQUEST__SORT_ORDER__NONE;
		expect_same_stream(&request);
	}
}

/* What is sent of a stream lies nowhere but in the output: its memory does not grow with it. */
static void
test_stream_takes_constant_memory(void **state)
{
	Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
	Client *stream;
	size_t before;

	(void) state;
	put_many(300, "");
	request.key = data_of(bytes_of("k"));
	request.range_end = data_of(bytes_of("l"));
	before = budget.taken;
	stream = call_begin("/etcdserverpb.KV/RangeStream", &request);
	assert_non_null(stream->source);
	while (!stream->last)
	{
		assert_int_equal(stream_message(stream), RUSD_OK);
		assert_true(budget.taken - before < 24 * 1024);
	}
	assert_true(stream->reply.length > 300000);
	assert_true(stream->messages > 20);
	call_end(stream);
	assert_int_equal(handled(METHOD_RANGE_STREAM, 0), 1);
}

static Client *
begin_watched_stream(Etcdserverpb__RangeRequest *request, Bytes hasleader)
{
	Client *client = call_begin_with("/etcdserverpb.KV/RangeStream", request, hasleader);

	assert_int_equal(stream_message(client), RUSD_OK);
	return client;
}

/* RPC-7: three looks in succession, an election timeout apart. */
static void
test_stream_without_a_leader(void **state)
{
	Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
	Client *watched, *other;

	(void) state;
	put_many(300, "");
	request.key = data_of(bytes_of("k"));
	request.range_end = data_of(bytes_of("l"));
	watched = begin_watched_stream(&request, bytes_of("true"));
	other = begin_watched_stream(&request, bytes_of("1"));
	control.leader_id = 0;
	set_control();
	for (int i = 0; i < 2; i++)
	{
		assert_true(rpc_next_due(rpc) <= now_ns + rpc->election_ns);
		now_ns += rpc->election_ns;
		rpc_turn(rpc, now_ns);
		assert_int_equal(stream_message(watched), RUSD_OK);
	}
	/* One look with a leader, and they are counted anew. */
	control.leader_id = MEMBER_ID;
	set_control();
	now_ns += rpc->election_ns;
	rpc_turn(rpc, now_ns);
	control.leader_id = 0;
	set_control();
	for (int i = 0; i < 3; i++)
	{
		assert_int_equal(stream_message(watched), RUSD_OK);
		now_ns += rpc->election_ns;
		rpc_turn(rpc, now_ns - 1);
		rpc_turn(rpc, now_ns);
	}
	/* That there is one again comes too late for it. */
	control.leader_id = MEMBER_ID;
	set_control();
	now_ns += rpc->election_ns;
	rpc_turn(rpc, now_ns);
	assert_int_equal(stream_message(watched), RUSD_NO_LEADER);
	call_end(watched);
	stream_all(other);
	call_end(other);
	assert_int_equal(handled(METHOD_RANGE_STREAM, 14), 1);
	assert_int_equal(handled(METHOD_RANGE_STREAM, 0), 1);
	assert_true(rpc_next_due(rpc) == UINT64_MAX);
}

/* KV-56, KV-57: what is written meanwhile is not seen; what is compacted meanwhile ends it. */
static void
test_stream_and_what_goes_on_meanwhile(void **state)
{
	Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
	Etcdserverpb__RangeResponse *merged;
	EntryCompact compact = {0};
	Client *streams[2];
	int64_t revision;
	int i;

	(void) state;
	put_many(300, "");
	revision = store_root(fixture->store)->revision;
	request.key = data_of(bytes_of("k"));
	request.range_end = data_of(bytes_of("l"));
	for (i = 0; i < 2; i++)
	{
		streams[i] = call_begin("/etcdserverpb.KV/RangeStream", &request);
		assert_int_equal(stream_message(streams[i]), RUSD_OK);
		put_many(20, "y");
	}
	/* At the revision that the first one reads it may go on, above it not. */
	compact.revision = revision;
	fixture_entry(fixture, ENTRY_COMPACT, &compact, sizeof(compact));
	store_publish(fixture->store);
	stream_all(streams[0]);
	merged = etcdserverpb__range_response__unpack(NULL, streams[0]->reply.length,
												  streams[0]->reply.data);
	assert_int_equal(merged->n_kvs, 300);
	assert_int_equal(merged->count, 300);
	assert_int_equal(merged->header->revision, revision);
	etcdserverpb__range_response__free_unpacked(merged, NULL);
	call_end(streams[0]);

	assert_int_equal(stream_message(streams[1]), RUSD_OK);
	compact.revision = store_root(fixture->store)->revision;
	fixture_entry(fixture, ENTRY_COMPACT, &compact, sizeof(compact));
	store_publish(fixture->store);
	assert_int_equal(stream_message(streams[1]), RUSD_COMPACTED);
	call_end(streams[1]);
	assert_int_equal(handled(METHOD_RANGE_STREAM, 0), 1);
	assert_int_equal(handled(METHOD_RANGE_STREAM, 11), 1);
}

/* A client that goes, one that is late, and a snapshot that is ended to make room. */
static void
test_stream_is_given_up(void **state)
{
	Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
	Client *streams[3];
	int i;

	(void) state;
	put_many(300, "");
	request.key = data_of(bytes_of("k"));
	request.range_end = data_of(bytes_of("l"));
	for (i = 0; i < 3; i++)
	{
		streams[i] = call_begin("/etcdserverpb.KV/RangeStream", &request);
		assert_int_equal(stream_message(streams[i]), RUSD_OK);
	}
	call_end(streams[0]);
	streams[1]->call.is_late = true;
	call_end(streams[1]);
	atomic_store(&fixture->shm->root->oldest_allowed_root, store_root(fixture->store)->number + 1);
	assert_int_equal(stream_message(streams[2]), RUSD_SNAPSHOT_ENDED);
	call_end(streams[2]);
	atomic_store(&fixture->shm->root->oldest_allowed_root, 0);
	assert_int_equal(handled(METHOD_RANGE_STREAM, 1), 1);
	assert_int_equal(handled(METHOD_RANGE_STREAM, 4), 1);
	assert_int_equal(handled(METHOD_RANGE_STREAM, 8), 1);
}

static Client *
begin_stream(Etcdserverpb__RangeRequest *request)
{
	return call_begin("/etcdserverpb.KV/RangeStream", request);
}

/* KV-51, KV-59 */
static void
test_stream_refusals(void **state)
{
	Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;

	(void) state;
	request.min_mod_revision = 1;
	expect_failure(begin_stream(&request), RUSD_EMPTY_KEY);
	request.key = data_of(bytes_of("k"));
	request.sort_order = ETCDSERVERPB__RANGE_REQUEST__SORT_ORDER__DESCEND;
	expect_failure(begin_stream(&request), RUSD_STREAM_SORT);
	request.sort_order = ETCDSERVERPB__RANGE_REQUEST__SORT_ORDER__ASCEND;
	expect_failure(begin_stream(&request), RUSD_STREAM_FILTER);
	request.sort_target = ETCDSERVERPB__RANGE_REQUEST__SORT_TARGET__MOD;
	expect_failure(begin_stream(&request), RUSD_STREAM_SORT);
	request.sort_target = 5;
	expect_failure(begin_stream(&request), RUSD_INVALID_SORT_OPTION);
	request.sort_target = 0;
	request.min_mod_revision = 0;
	request.revision = 100;
	expect_failure(begin_stream(&request), RUSD_FUTURE_REV);
	request.revision = 0;
	request.serializable = true;
	control.is_learner = 1;
	set_control();
	expect_failure(begin_stream(&request), RUSD_NOT_SUPPORTED_FOR_LEARNER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_range_stream),
		TEST(test_stream_takes_constant_memory),
		TEST(test_stream_without_a_leader),
		TEST(test_stream_and_what_goes_on_meanwhile),
		TEST(test_stream_is_given_up),
		TEST(test_stream_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
