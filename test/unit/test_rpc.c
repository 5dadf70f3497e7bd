/*
 * test_rpc.c
 *	  The RPC layer of one backend over plain shared memory: the test plays net on one side, raft
 * and applier on the other.
 *
 * Answers of transactions are compared byte by byte with what protobuf-c makes of a model's answer.
 *
 * test/unit/test_rpc.c
 */
#include "rusd.h"

#include "../../src/backend/rpc/services.h"
#include "ipc/slot.h"
#include "store_fixture.h"
#include "utils/config.h"

#include "cmocka_all.h"

#define MEMBER_ID 4711
#define CLUSTER_ID 815

/* ---- a client: what net would be ---- */

typedef struct Client
{
	NetCall call;
	Text message;
	bool answered;
	int code;
	char text[256];
	Text reply;
	NetSource *source;
	uint64_t length; /* of a single message */
	unsigned messages;
	bool last;
} Client;

void
net_call_reply_bytes(NetCall *call, const uint8_t *data, size_t length)
{
	Client *client = (Client *) call;

	assert_false(client->answered);
	client->answered = true;
	text_add(&client->reply, data, length);
}

void
net_call_reply(NetCall *call, uint64_t length, NetSource *source)
{
	Client *client = (Client *) call;

	assert_false(client->answered);
	client->answered = true;
	client->source = source;
	client->length = length;
}

void
net_call_reply_stream(NetCall *call, NetSource *source)
{
	Client *client = (Client *) call;

	assert_false(client->answered);
	client->answered = true;
	client->source = source;
}

void
net_call_fail(NetCall *call, int grpc_code, const char *text)
{
	Client *client = (Client *) call;

	assert_false(client->answered);
	client->answered = true;
	client->code = grpc_code;
	snprintf(client->text, sizeof(client->text), "%s", text);
}

static int http_status;
static char http_body[128 * 1024];
static char http_headers[1024];

void
net_http_reply(NetHttp *http, int status, const char *headers, Bytes body)
{
	(void) http;
	http_status = status;
	snprintf(http_headers, sizeof(http_headers), "%s", headers);
	snprintf(http_body, sizeof(http_body), "%.*s", (int) body.length, (const char *) body.data);
}

/* ---- a backend ---- */

typedef struct Budget
{
	MemoryBudget budget;
	size_t taken;
	size_t limit;
} Budget;

static bool
budget_take(MemoryBudget *budget, size_t bytes)
{
	Budget *own = (Budget *) budget;

	if (own->taken + bytes > own->limit)
		return false;
	own->taken += bytes;
	return true;
}

static void
budget_give(MemoryBudget *budget, size_t bytes)
{
	Budget *own = (Budget *) budget;

	assert_true(own->taken >= bytes);
	own->taken -= bytes;
}

static Fixture *fixture;
static Rpc *rpc;
static NetHandlers handlers;
static Budget budget;
static ControlState control;
static uint64_t now_ns;

static void
set_control(void)
{
	shm_control_write(fixture->shm, &control);
}

/* The version of the cluster is decided, or not. */
static int
setup_with(bool decided)
{
	config.max_txn_ops = 128;
	config.max_request_bytes = 1572864;
	config.election_timeout = 1000;
	config.quota_backend_bytes = 0;
	fixture = fixture_create(8192, -1);
	if (decided)
		fixture_entry(fixture, ENTRY_CLUSTER_VERSION, "3.7.0", 5);
	store_publish(fixture->store);
	control = (ControlState){.cluster_id = CLUSTER_ID,
							 .member_id = MEMBER_ID,
							 .term = 2,
							 .leader_id = MEMBER_ID,
							 .voters_count = 1,
							 .role = ROLE_LEADER,
							 .reads_are_local = 1,
							 .ready = 1};
	set_control();
	now_ns = clock_os.monotonic_ns(&clock_os);
	/* Raft's last loop: not before a day has gone by. */
	atomic_store(&fixture->shm->control->loop_ns, now_ns + UINT64_C(86400) * 1000000000);
	budget = (Budget){.budget = {budget_take, budget_give}, .limit = SIZE_MAX};
	assert_int_equal(
		rpc_create(fixture->shm, fixture->slot, &fixture->reader, &budget.budget, &rpc), RUSD_OK);
	rpc_handlers(rpc, &handlers);
	now_ns = rpc->now_ns;
	return 0;
}

static int
setup(void **state)
{
	(void) state;
	return setup_with(true);
}

static int
setup_undecided(void **state)
{
	(void) state;
	return setup_with(false);
}

static int
teardown(void **state)
{
	const BackendArea *area = fixture->shm->areas[fixture->slot];
	int i;

	(void) state;
	rpc_rest(rpc);
	assert_int_equal(rpc->writer.outstanding, 0);
	assert_false(rpc_is_busy(rpc));
	for (i = 0; i < SNAPSHOT_PINS; i++)
		assert_int_equal(atomic_load(&area->snapshot_pins[i]), 0);
	assert_int_equal(atomic_load(&area->result_pin) & 0xffff, 0);
	rpc_destroy(rpc);
	assert_int_equal(budget.taken, 0);
	fixture_destroy(fixture);
	return 0;
}

static void
turn(void)
{
	rpc_turn(rpc, now_ns);
}

static void
later(uint64_t ns)
{
	now_ns += ns;
	turn();
}

#define SECOND UINT64_C(1000000000)

/* ---- calls ---- */

static Client *
call_begin(const char *path, const void *request)
{
	Client *client = calloc(1, sizeof(*client));
	const ProtobufCMessage *message = request;
	size_t length = protobuf_c_message_get_packed_size(message);

	client->message.data = malloc(length + 1);
	client->message.length = protobuf_c_message_pack(message, client->message.data);
	client->call.path = path;
	client->call.method = handlers.find_method(handlers.arg, path);
	assert_non_null(client->call.method);
	client->call.deadline_ns = UINT64_MAX;
	client->call.started_ns = now_ns;
	client->call.message = (Bytes){client->message.data, client->message.length};
	arena_init(&client->call.arena, &budget.budget);
	handlers.on_call(handlers.arg, &client->call);
	return client;
}

/* Pulls what a source gives, in pieces of any size. */
static void
call_pull(Client *client)
{
	uint8_t piece[16 * 1024];

	while (client->source != NULL && client->reply.length < client->length)
	{
		size_t max = 1 + random_below(fixture, sizeof(piece));
		size_t got = 0;

		assert_int_equal(client->source->pull(client->source, piece, max, &got), RUSD_OK);
		assert_in_range(got, 1, max);
		text_add(&client->reply, piece, got);
	}
	if (client->source != NULL)
		assert_int_equal(client->reply.length, client->length);
}

/* The client is done with it, whatever it has got. */
static void
call_end(Client *client)
{
	if (client->source != NULL)
		client->source->close(client->source);
	handlers.on_close(handlers.arg, &client->call);
	arena_destroy(&client->call.arena);
	text_free(&client->message);
	text_free(&client->reply);
	free(client);
}

static void
expect_failure(Client *client, Status status)
{
	assert_true(client->answered);
	assert_string_equal(client->text, status_text(status));
	assert_int_equal(client->code, status_grpc_code(status));
	call_end(client);
}

/* ---- raft and applier ---- */

static void
apply(const ProposalPiece *piece, const uint8_t *payload)
{
	const EntryHeader *header = (const EntryHeader *) payload;
	const RootState *root;
	ApplyResult result;
	Reply reply;

	assert_int_equal(header->id.member_id, MEMBER_ID);
	assert_int_equal(header->id.slot, fixture->slot);
	assert_int_equal(entry_check(piece->kind, payload, piece->total_length), RUSD_OK);
	result = fixture_entry(fixture, piece->kind, payload + sizeof(*header),
						   piece->total_length - sizeof(*header));
	reply = (Reply){.sequence = header->id.sequence,
					.generation = header->id.generation,
					.status = (uint32_t) result.status,
					.revision = result.revision,
					.value = result.value,
					.flags = (result.changed ? REPLY_CHANGED : 0) |
							 (result.over_quota ? REPLY_OVER_QUOTA : 0)};
	if ((header->flags & ENTRY_WANTS_PIN) != 0 && result.status == RUSD_OK)
	{
		result_pin(fixture->shm->areas[fixture->slot], store_root(fixture->store)->number + 1);
		reply.flags |= REPLY_PINNED;
	}
	store_publish(fixture->store);
	root = store_root(fixture->store);
	reply.root = root->number;
	reply.keys_page = root->keys.page;
	reply.keys_birth = root->keys.birth;
	atomic_store(&fixture->shm->positions->applied_index, fixture->index);
	reply_put(fixture->shm, fixture->shm->applier_replies, fixture->slot, &reply);
}

/* Takes all that is in the ring; returns how many proposals were whole. */
static int
serve(void)
{
	static uint64_t whole[512 * 1024];
	static uint32_t collected;
	uint8_t bytes[PROPOSAL_PIECE_MAX];
	ProposalPiece piece;
	int count = 0;

	while (proposal_take(fixture->shm, fixture->slot, &piece, bytes) == RUSD_OK)
	{
		assert_int_equal(piece.offset, collected);
		assert_true(piece.total_length <= sizeof(whole));
		memcpy((uint8_t *) whole + piece.offset, bytes, piece.length);
		collected += piece.length;
		if (collected < piece.total_length)
			continue;
		collected = 0;
		count++;
		apply(&piece, (const uint8_t *) whole);
	}
	return count;
}

static void
serve_until(const Client *client)
{
	int i;

	for (i = 0; i < 1000 && !client->answered; i++)
	{
		serve();
		turn();
	}
	assert_true(client->answered);
}

/* ---- requests ---- */

static ProtobufCBinaryData
data_of(Bytes bytes)
{
	return (ProtobufCBinaryData){.len = bytes.length, .data = (uint8_t *) (uintptr_t) bytes.data};
}

static Client *
begin_put(const char *key, size_t value_length)
{
	static uint8_t value[1600 * 1024];
	Etcdserverpb__PutRequest put = ETCDSERVERPB__PUT_REQUEST__INIT;

	put.key = data_of(bytes_of(key));
	put.value = (ProtobufCBinaryData){.len = value_length, .data = value};
	return call_begin("/etcdserverpb.KV/Put", &put);
}

static Client *
begin_range(const char *key, const char *range_end, bool serializable)
{
	Etcdserverpb__RangeRequest range = ETCDSERVERPB__RANGE_REQUEST__INIT;

	range.key = data_of(bytes_of(key));
	range.range_end = data_of(bytes_of(range_end));
	range.serializable = serializable;
	return call_begin("/etcdserverpb.KV/Range", &range);
}

static void
put_now(const char *key, size_t value_length)
{
	Client *client = begin_put(key, value_length);

	serve_until(client);
	assert_string_equal(client->text, "");
	call_end(client);
}

static Etcdserverpb__RangeResponse *
range_response(Client *client)
{
	Etcdserverpb__RangeResponse *response;

	assert_true(client->answered);
	assert_string_equal(client->text, "");
	call_pull(client);
	response = etcdserverpb__range_response__unpack(NULL, client->reply.length, client->reply.data);
	assert_non_null(response);
	return response;
}

/* ---- a stream of messages ---- */

/* Appends a message without what wraps it, so that the whole is their merge (CLIENT-37). */
static void
add_message(Client *client, const Text *message)
{
	Etcdserverpb__RangeStreamResponse *response =
		etcdserverpb__range_stream_response__unpack(NULL, message->length, message->data);
	size_t length;
	uint8_t *packed;

	assert_non_null(response);
	assert_non_null(response->range_response);
	/* KV-55 */
	if (!client->last)
	{
		assert_null(response->range_response->header);
		assert_false(response->range_response->more);
		assert_int_equal(response->range_response->count, 0);
		assert_true(response->range_response->n_kvs > 0);
	}
	length = etcdserverpb__range_response__get_packed_size(response->range_response);
	packed = malloc(length + 1);
	etcdserverpb__range_response__pack(response->range_response, packed);
	text_add(&client->reply, packed, length);
	free(packed);
	etcdserverpb__range_stream_response__free_unpacked(response, NULL);
	client->messages++;
}

/* One message; how large the client's window is is left to chance. */
static Status
stream_message(Client *client)
{
	static uint8_t piece[16 * 1024];
	Text message = {0};
	NetMessage next;
	size_t max = random_below(fixture, random_below(fixture, 2) == 0 ? 400 : sizeof(piece));
	Status status = client->source->next(client->source, piece, max, &next);

	if (status != RUSD_OK)
		return status;
	assert_true(next.got <= max);
	client->last = next.last;
	text_add(&message, piece, next.got);
	while (status == RUSD_OK && message.length < next.length)
	{
		size_t room = Min(1 + random_below(fixture, sizeof(piece)), next.length - message.length);
		size_t got = 0;

		status = client->source->pull(client->source, piece, room, &got);
		if (status == RUSD_OK)
			assert_in_range(got, 1, room);
		text_add(&message, piece, got);
	}
	if (status == RUSD_OK)
		add_message(client, &message);
	text_free(&message);
	return status;
}

static void
stream_all(Client *client)
{
	Text whole = client->reply;

	if (client->source == NULL)
	{
		client->reply = (Text){0};
		client->last = true;
		add_message(client, &whole);
		text_free(&whole);
		return;
	}
	while (!client->last)
		assert_int_equal(stream_message(client), RUSD_OK);
}

static uint64_t
handled(MethodNumber method, int code)
{
	return atomic_load(&fixture->shm->areas[fixture->slot]
							->counters[COUNTER_METHODS + method * (1 + GRPC_CODES) + 1 + code]);
}

/* ---- tests ---- */

static void
expect_unknown(const char *path, const char *text)
{
	char buffer[256];

	assert_null(handlers.find_method(handlers.arg, path));
	assert_string_equal(handlers.unknown_method(handlers.arg, path, buffer, sizeof(buffer)), text);
}

static void
test_unknown_methods(void **state)
{
	(void) state;
	expect_unknown("/etcdserverpb.KV/Nothing",
				   "unknown method Nothing for service etcdserverpb.KV");
	expect_unknown("/etcdserverpb.Nothing/Range", "unknown service etcdserverpb.Nothing");
	expect_unknown("/etcdserverpb.K/Range", "unknown service etcdserverpb.K");
	expect_unknown("/etcdserverpb.KVV/Range", "unknown service etcdserverpb.KVV");
	expect_unknown("/a/b/c", "unknown service a/b");
	expect_unknown("//Range", "unknown service ");
	expect_unknown("/etcdserverpb.KV/", "unknown method  for service etcdserverpb.KV");
	expect_unknown("/nothing", "malformed method name: \"/nothing\"");
	expect_unknown("/a\"b\\c\x01", "malformed method name: \"/a\\\"b\\\\c\\x01\"");
	expect_unknown("", "malformed method name: \"\"");
	/* Known services of which nothing, or not this, is built. */
	expect_unknown("/etcdserverpb.Watch/Watch",
				   "unknown method Watch for service etcdserverpb.Watch");
	expect_unknown("/etcdserverpb.Lease/LeaseGrant",
				   "unknown method LeaseGrant for service etcdserverpb.Lease");
	expect_unknown("/v3lockpb.Lock/Lock", "unknown method Lock for service v3lockpb.Lock");
	expect_unknown("/v3electionpb.Election/Leader",
				   "unknown method Leader for service v3electionpb.Election");
	expect_unknown("/grpc.health.v1.Health/Watch",
				   "unknown method Watch for service grpc.health.v1.Health");
	assert_non_null(handlers.find_method(handlers.arg, "/etcdserverpb.KV/Range"));
	assert_null(handlers.unknown_method(handlers.arg, "/etcdserverpb.KV/Range", (char[64]){0}, 64));
}

static void
test_put_and_range(void **state)
{
	Client *client = begin_put("a", 10);
	Etcdserverpb__PutResponse *put;
	Etcdserverpb__RangeResponse *range;

	(void) state;
	assert_false(client->answered);
	serve_until(client);
	put = etcdserverpb__put_response__unpack(NULL, client->reply.length, client->reply.data);
	assert_int_equal(put->header->cluster_id, CLUSTER_ID);
	assert_int_equal(put->header->member_id, MEMBER_ID);
	assert_int_equal(put->header->raft_term, 2);
	assert_int_equal(put->header->revision, 2);
	assert_null(put->prev_kv);
	etcdserverpb__put_response__free_unpacked(put, NULL);
	call_end(client);

	client = begin_range("a", "", false);
	range = range_response(client);
	assert_int_equal(range->count, 1);
	assert_int_equal(range->kvs[0]->mod_revision, 2);
	assert_int_equal(range->kvs[0]->value.len, 10);
	assert_int_equal(range->header->revision, 2);
	etcdserverpb__range_response__free_unpacked(range, NULL);
	call_end(client);

	client = begin_range("b", "", false);
	range = range_response(client);
	assert_int_equal(range->count, 0);
	assert_int_equal(range->n_kvs, 0);
	etcdserverpb__range_response__free_unpacked(range, NULL);
	call_end(client);
}

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

/* A read that begins after a write was answered sees it, though a snapshot was taken before in the
 * same turn. */
static void
test_read_sees_what_was_answered(void **state)
{
	Etcdserverpb__RangeResponse *range;
	Client *client;

	(void) state;
	turn();
	call_end(begin_range("a", "", false));
	fixture_put(fixture, "a", "1");
	store_publish(fixture->store);
	client = begin_range("a", "", false);
	range = range_response(client);
	assert_int_equal(range->count, 1);
	etcdserverpb__range_response__free_unpacked(range, NULL);
	call_end(client);
}

static void
test_interceptors(void **state)
{
	Client *client;

	(void) state;
	/* RPC-3, before the metadata. */
	control.is_learner = 1;
	set_control();
	expect_failure(begin_range("a", "", false), RUSD_NOT_SUPPORTED_FOR_LEARNER);
	expect_failure(begin_put("a", 1), RUSD_NOT_SUPPORTED_FOR_LEARNER);
	client = begin_range("a", "", true);
	assert_string_equal(client->text, "");
	call_end(client);
	control.is_learner = 0;
	/* Nothing is served before this member has published itself. */
	control.ready = 0;
	set_control();
	client = begin_range("a", "", true);
	turn();
	assert_false(client->answered);
	control.ready = 1;
	set_control();
	turn();
	assert_true(client->answered);
	call_end(client);
	/* Broken bytes come before all that. */
	control.is_learner = 1;
	set_control();
	client = calloc(1, sizeof(*client));
	text_add(&client->message, "\x0a\x7f", 2);
	client->call.method = handlers.find_method(handlers.arg, "/etcdserverpb.KV/Put");
	client->call.message = (Bytes){client->message.data, client->message.length};
	client->call.started_ns = now_ns;
	client->call.deadline_ns = UINT64_MAX;
	arena_init(&client->call.arena, &budget.budget);
	handlers.on_call(handlers.arg, &client->call);
	assert_int_equal(client->code, 13);
	assert_memory_equal(client->text, "grpc: error unmarshalling request: ", 35);
	call_end(client);
}

static Client *
begin_with_metadata(Bytes version, Bytes hasleader)
{
	static uint8_t message[] = "\x0a\x01"
							   "a";
	Client *client = calloc(1, sizeof(*client));

	client->call.method = handlers.find_method(handlers.arg, "/etcdserverpb.KV/Range");
	client->call.message = (Bytes){message, sizeof(message) - 1};
	client->call.started_ns = now_ns;
	client->call.deadline_ns = UINT64_MAX;
	client->call.client_api_version = version;
	client->call.hasleader = hasleader;
	arena_init(&client->call.arena, &budget.budget);
	handlers.on_call(handlers.arg, &client->call);
	return client;
}

static void
test_metadata(void **state)
{
	const Bytes none = {NULL, 0};
	Client *client;

	(void) state;
	control.leader_id = 0;
	set_control();
	expect_failure(begin_with_metadata(bytes_of("\xff"), bytes_of("true")),
				   RUSD_INVALID_CLIENT_API_VERSION);
	expect_failure(begin_with_metadata(bytes_of("anything"), bytes_of("true")), RUSD_NO_LEADER);
	control.leader_id = MEMBER_ID;
	set_control();
	client = begin_with_metadata(bytes_of("3.7"), bytes_of("true"));
	assert_string_equal(client->text, "");
	call_end(client);
	control.leader_id = 0;
	set_control();
	client = begin_with_metadata(none, bytes_of("True"));
	assert_string_equal(client->text, "");
	call_end(client);
}

/* RPC-1: before a cluster version is decided nothing is served, learner or not; from then on for
 * good. */
static void
test_not_capable(void **state)
{
	Client *client;

	(void) state;
	control.is_learner = 1;
	set_control();
	expect_failure(begin_range("a", "", true), RUSD_NOT_CAPABLE);
	expect_failure(begin_put("a", 1), RUSD_NOT_CAPABLE);
	control.is_learner = 0;
	set_control();
	fixture_entry(fixture, ENTRY_CLUSTER_VERSION, "3.7.0", 5);
	store_publish(fixture->store);
	client = begin_range("a", "", true);
	assert_string_equal(client->text, "");
	call_end(client);
}

/* CLUSTER-70: what a member answers that knows no leader. */
static void
test_without_quorum(void **state)
{
	Etcdserverpb__HashKVRequest hash_kv = ETCDSERVERPB__HASH_KVREQUEST__INIT;
	Etcdserverpb__HashRequest hash = ETCDSERVERPB__HASH_REQUEST__INIT;
	Etcdserverpb__StatusRequest status = ETCDSERVERPB__STATUS_REQUEST__INIT;
	Etcdserverpb__MemberListRequest members = ETCDSERVERPB__MEMBER_LIST_REQUEST__INIT;
	Etcdserverpb__StatusResponse *response;
	Client *clients[5];
	int i;

	(void) state;
	control.leader_id = 0;
	control.reads_are_local = 0;
	set_control();
	clients[0] = call_begin("/etcdserverpb.Maintenance/HashKV", &hash_kv);
	clients[1] = call_begin("/etcdserverpb.Maintenance/Hash", &hash);
	clients[2] = call_begin("/etcdserverpb.Cluster/MemberList", &members);
	clients[3] = begin_range("a", "b", true);
	clients[4] = call_begin("/etcdserverpb.Maintenance/Status", &status);
	for (i = 0; i < 10; i++)
		turn();
	for (i = 0; i < 5; i++)
	{
		assert_true(clients[i]->answered);
		assert_string_equal(clients[i]->text, "");
	}
	response = etcdserverpb__status_response__unpack(NULL, clients[4]->reply.length,
													 clients[4]->reply.data);
	assert_int_equal(response->leader, 0);
	assert_int_equal(response->n_errors, 1);
	assert_string_equal(response->errors[0], "etcdserver: no leader");
	etcdserverpb__status_response__free_unpacked(response, NULL);
	for (i = 0; i < 5; i++)
		call_end(clients[i]);
	members.linearizable = true;
	clients[0] = call_begin("/etcdserverpb.Cluster/MemberList", &members);
	later(7 * SECOND);
	expect_failure(clients[0], RUSD_TIMEOUT);
}

/* Raft's answer to the question for a read index that is in the ring; returns false if there is none. */
static bool
answer_read_index(Status status, uint64_t index)
{
	uint8_t bytes[PROPOSAL_PIECE_MAX];
	ProposalPiece piece;
	Reply reply;

	if (proposal_take(fixture->shm, fixture->slot, &piece, bytes) != RUSD_OK)
		return false;
	assert_int_equal(piece.kind, ENTRY_READ_INDEX);
	assert_int_equal(piece.total_length, sizeof(EntryHeader));
	reply = (Reply){.sequence = piece.sequence,
					.generation = atomic_load_explicit(
						&fixture->shm->heads[fixture->slot].generation, memory_order_relaxed),
					.status = (uint32_t) status,
					.value = index};
	reply_put(fixture->shm, fixture->shm->raft_replies, fixture->slot, &reply);
	return true;
}

/* RAFT-20, RAFT-22: reads that have come in share a round, later ones the next; each waits until its index is applied. */
static void
test_read_index(void **state)
{
	_Atomic uint64_t *applied = &fixture->shm->positions->applied_index;
	_Atomic uint64_t *wanted = &fixture->shm->areas[fixture->slot]->applied_wanted;
	Client *reads[4];
	int i;

	(void) state;
	control.reads_are_local = 0;
	control.voters_count = 3;
	set_control();
	reads[0] = begin_range("a", "", false);
	reads[1] = begin_range("b", "", false);
	turn();
	assert_int_equal(rpc->writer.outstanding, 0);
	rpc_rest(rpc);
	assert_int_equal(rpc->writer.outstanding, 1);
	reads[2] = begin_range("c", "", false);
	turn();
	rpc_rest(rpc);
	assert_int_equal(rpc->writer.outstanding, 1);
	assert_true(answer_read_index(RUSD_OK, atomic_load(applied) + 2));
	turn();
	for (i = 0; i < 3; i++)
		assert_false(reads[i]->answered);
	assert_int_equal(atomic_load(wanted), atomic_load(applied) + 2);
	atomic_fetch_add(applied, 2);
	turn();
	assert_true(reads[0]->answered && reads[1]->answered);
	assert_int_equal(atomic_load(wanted), 0);
	assert_false(reads[2]->answered);
	rpc_rest(rpc);
	assert_true(answer_read_index(RUSD_OK, 1));
	turn();
	assert_true(reads[2]->answered);
	assert_int_equal(rpc->writer.outstanding, 0);
	for (i = 0; i < 3; i++)
	{
		assert_string_equal(reads[i]->text, "");
		call_end(reads[i]);
	}
	/* No leader: nothing is asked. */
	control.leader_id = 0;
	set_control();
	reads[3] = begin_range("d", "", false);
	rpc_rest(rpc);
	assert_false(answer_read_index(RUSD_OK, 1));
	control.leader_id = MEMBER_ID + 1;
	set_control();
	turn();
	rpc_rest(rpc);
	assert_true(answer_read_index(RUSD_STOPPED, 0));
	turn();
	expect_failure(reads[3], RUSD_STOPPED);
	/* A client that goes leaves nothing that wakes this backend for ever. */
	reads[0] = begin_range("a", "", false);
	rpc_rest(rpc);
	assert_true(answer_read_index(RUSD_OK, atomic_load(applied) + 1));
	turn();
	assert_int_equal(atomic_load(wanted), atomic_load(applied) + 1);
	call_end(reads[0]);
	rpc_rest(rpc);
	assert_int_equal(atomic_load(wanted), 0);
}

static void
test_health(void **state)
{
	Grpc__Health__V1__HealthCheckRequest check = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	Grpc__Health__V1__HealthListRequest list = GRPC__HEALTH__V1__HEALTH_LIST_REQUEST__INIT;
	Client *client;

	(void) state;
	client = call_begin("/grpc.health.v1.Health/Check", &check);
	assert_int_equal(client->reply.length, 2);
	assert_memory_equal(client->reply.data, "\x08\x01", 2);
	call_end(client);
	check.service = (char *) (uintptr_t) "etcdserverpb.KV";
	client = call_begin("/grpc.health.v1.Health/Check", &check);
	assert_int_equal(client->code, 5);
	assert_string_equal(client->text, "unknown service");
	call_end(client);
	/* One entry: "" is SERVING. */
	client = call_begin("/grpc.health.v1.Health/List", &list);
	assert_true(client->answered && client->code == 0);
	assert_memory_equal(client->reply.data + client->reply.length - 4, "\x12\x02\x08\x01", 4);
	call_end(client);
}

static void
test_refusals(void **state)
{
	Client *client;

	(void) state;
	expect_failure(begin_put("", 1), RUSD_EMPTY_KEY);
	expect_failure(begin_range("", "", false), RUSD_EMPTY_KEY);
	expect_failure(begin_put("a", 1572864), RUSD_REQUEST_TOO_LARGE);
	control.commit_index = fixture->index + 5001;
	atomic_store(&fixture->shm->positions->applied_index, fixture->index);
	set_control();
	expect_failure(begin_put("a", 1), RUSD_TOO_MANY_REQUESTS);
	control.commit_index = fixture->index + 5000;
	set_control();
	client = begin_put("a", 1);
	serve_until(client);
	call_end(client);
	control.draining = 1;
	set_control();
	expect_failure(begin_put("a", 1), RUSD_STOPPED);
}

static void
test_time_limits(void **state)
{
	Client *put;
	Client *range;

	(void) state;
	/* In raft, and nothing comes: RAFT-31. */
	put = begin_put("a", 1);
	assert_true(rpc_next_due(rpc) <= now_ns + 7 * SECOND);
	later(7 * SECOND - 1);
	assert_false(put->answered);
	later(1);
	expect_failure(put, RUSD_TIMEOUT);
	/* It may still take effect. */
	assert_int_equal(rpc->writer.outstanding, 1);
	assert_int_equal(serve(), 1);
	turn();
	/* Another leader since: (a) of that rule. */
	put = begin_put("a", 1);
	control.term++;
	set_control();
	later(7 * SECOND);
	expect_failure(put, RUSD_TIMEOUT_LEADER_FAIL);
	serve();
	turn();
	/* No leader: it does not enter raft (RAFT-30, ERR-4). */
	control.leader_id = 0;
	control.reads_are_local = 0;
	set_control();
	put = begin_put("a", 1);
	range = begin_range("a", "", false);
	assert_true(rpc_next_due(rpc) <= now_ns + SECOND);
	later(6 * SECOND);
	assert_int_equal(serve(), 0);
	assert_false(put->answered || range->answered);
	later(SECOND);
	expect_failure(put, RUSD_DEADLINE_EXCEEDED);
	expect_failure(range, RUSD_TIMEOUT);
	/* One appears in time: it goes on. */
	put = begin_put("a", 1);
	range = begin_range("a", "", false);
	later(SECOND);
	control.leader_id = MEMBER_ID;
	control.reads_are_local = 1;
	set_control();
	turn();
	assert_true(range->answered);
	serve_until(put);
	call_end(put);
	call_end(range);
	assert_int_equal(rpc_next_due(rpc), UINT64_MAX);
}

/* Proposals that do not fit into the ring wait, in order; cancelled ones are forgotten or put to
 * their end. */
static void
test_full_ring(void **state)
{
	Client *puts[12];
	Client *small;
	int i;

	(void) state;
	for (i = 0; i < 12; i++)
		puts[i] = begin_put("big", 40000 + (size_t) i);
	small = begin_put("small", 1);
	/* One whole one and a part of the second are in the ring now. */
	call_end(puts[1]); /* partly in: goes on */
	call_end(puts[5]); /* not begun: forgotten */
	call_end(puts[0]); /* in */
	serve_until(small);
	call_end(small);
	for (i = 2; i < 12; i++)
	{
		if (i == 5)
			continue;
		assert_true(puts[i]->answered);
		assert_string_equal(puts[i]->text, "");
		call_end(puts[i]);
	}
	/* 13 were begun, one was forgotten; revision 1 is the empty store's. */
	assert_int_equal(store_root(fixture->store)->revision, 13);
}

/* More than there are places for answers: the rest wait, none is lost. */
static void
test_many_at_once(void **state)
{
	static Client *puts[3 * REPLY_PLACES];
	size_t i;

	(void) state;
	for (i = 0; i < lengthof(puts); i++)
		puts[i] = begin_put("k", i % 50);
	assert_int_equal(rpc->writer.outstanding, REPLY_PLACES);
	serve_until(puts[lengthof(puts) - 1]);
	for (i = 0; i < lengthof(puts); i++)
	{
		assert_true(puts[i]->answered);
		call_end(puts[i]);
	}
	assert_int_equal(store_root(fixture->store)->revision, 1 + lengthof(puts));
}

/* Slow answers hold a snapshot each, but never the last one: small reads and writes go on, other
 * slow answers wait. */
static void
test_slow_answers(void **state)
{
	Client *slow[SNAPSHOT_PINS];
	Client *small;
	Etcdserverpb__RangeResponse *range;
	char key[8];
	int i;

	(void) state;
	for (i = 0; i < 4; i++)
	{
		snprintf(key, sizeof(key), "k%d", i);
		put_now(key, 20000);
	}
	for (i = 0; i < SNAPSHOT_PINS; i++)
	{
		slow[i] = begin_range("k", "l", false);
		assert_int_equal(slow[i]->answered, i < SNAPSHOT_PINS - 1);
		rpc_rest(rpc);
		/* Another root for the next one. */
		put_now("other", 1);
	}
	turn();
	assert_false(slow[SNAPSHOT_PINS - 1]->answered);
	small = begin_range("k0", "", false);
	range = range_response(small);
	assert_int_equal(range->n_kvs, 1);
	etcdserverpb__range_response__free_unpacked(range, NULL);
	call_end(small);
	range = range_response(slow[3]);
	assert_int_equal(range->n_kvs, 4);
	etcdserverpb__range_response__free_unpacked(range, NULL);
	call_end(slow[3]);
	turn();
	assert_true(slow[SNAPSHOT_PINS - 1]->answered);
	for (i = 0; i < SNAPSHOT_PINS; i++)
		if (i != 3)
			call_end(slow[i]);
}

static void
test_memory_runs_out(void **state)
{
	int i;

	(void) state;
	for (i = 0; i < 4; i++)
		put_now("a", 1);
	budget.limit = budget.taken + 64 * 1024;
	expect_failure(begin_put("a", 600000), RUSD_MEMORY_EXCEEDED);
	budget.limit = SIZE_MAX;
}

/* ---- transactions against the model ---- */

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

/* ---- quota ---- */

static void
test_quota(void **state)
{
	AlarmMember alarms[4];
	uint32_t count;
	Snapshot snapshot;
	Client *client;

	(void) state;
	config.quota_backend_bytes = 1;
	client = begin_put("", 1);
	/* QUOTA-5: before the checks; the alarm is raised first. */
	assert_false(client->answered);
	serve_until(client);
	expect_failure(client, RUSD_NOSPACE);
	snapshot = fixture_snapshot(fixture);
	assert_int_equal(store_alarms(&snapshot, alarms, lengthof(alarms), &count), RUSD_OK);
	assert_int_equal(count, 1);
	assert_int_equal(alarms[0].member_id, MEMBER_ID);
	assert_int_equal(alarms[0].alarm, 1);
	if (snapshot.pin >= 0)
		snapshot_unpin(&snapshot);
	/* It is active: nothing is proposed again. */
	client = begin_put("a", 1);
	assert_true(client->answered);
	assert_int_equal(serve(), 0);
	expect_failure(client, RUSD_NOSPACE);
	config.quota_backend_bytes = -1;
	client = begin_put("a", 1);
	serve_until(client);
	expect_failure(client, RUSD_NOSPACE); /* QUOTA-7, at apply */
}

/* Raft, with no room on the disk: refuses a put. */
static void
refuse_one(Status status)
{
	uint8_t bytes[PROPOSAL_PIECE_MAX];
	ProposalPiece piece;
	Reply reply = {.status = (uint32_t) status};

	assert_int_equal(proposal_take(fixture->shm, fixture->slot, &piece, bytes), RUSD_OK);
	assert_int_equal(piece.kind, ENTRY_PUT);
	reply.sequence = ((const EntryHeader *) (const void *) bytes)->id.sequence;
	reply.generation = ((const EntryHeader *) (const void *) bytes)->id.generation;
	reply_put(fixture->shm, fixture->shm->raft_replies, fixture->slot, &reply);
	turn();
}

/* A full disk raises the alarm as the quota does; it can be disarmed, and is raised again. */
static void
test_full_disk(void **state)
{
	_Atomic uint32_t *no_room = &fixture->shm->segments->no_room;
	Client *client;

	(void) state;
	/* An error of the store alone is no full disk. */
	client = begin_put("a", 1);
	refuse_one(RUSD_NOSPACE);
	expect_failure(client, RUSD_NOSPACE);
	assert_int_equal(serve(), 0);
	atomic_store(no_room, 1);
	client = begin_put("a", 1);
	refuse_one(RUSD_NOSPACE);
	assert_false(client->answered);
	serve_until(client);
	expect_failure(client, RUSD_NOSPACE);
	assert_int_equal(store_root(fixture->store)->alarms & STORE_ALARM_NOSPACE, STORE_ALARM_NOSPACE);
	client = begin_put("a", 1);
	refuse_one(RUSD_NOSPACE);
	expect_failure(client, RUSD_NOSPACE);
	assert_int_equal(serve(), 0);
	atomic_store(no_room, 0);
}

/* ---- HTTP ---- */

static int
http(const char *method, const char *target)
{
	NetHttp request = {.method = method, .target = target};

	http_status = 0;
	handlers.on_http(handlers.arg, &request);
	turn();
	handlers.on_http_close(handlers.arg, &request);
	return http_status;
}

static void
test_http(void **state)
{
	NetHttp waiting = {.method = "GET", .target = "/health"};
	EntryAlarm alarm = {.action = 1, .alarm = 2, .member_id = 9};

	(void) state;
	assert_int_equal(http("GET", "/health"), 200);
	assert_string_equal(http_body, "{\"health\":\"true\",\"reason\":\"\"}");
	assert_int_equal(http("GET", "/health?x=1&serializable=true"), 200);
	assert_int_equal(http("HEAD", "/health"), 405);
	assert_non_null(strstr(http_headers, "Allow: GET\r\n"));
	assert_int_equal(http("GET", "/version"), 200);
	assert_string_equal(
		http_body, "{\"etcdserver\":\"3.7.1\",\"etcdcluster\":\"3.7.0\",\"storage\":\"3.7.0\"}");
	assert_int_equal(http("OPTIONS", "/anything"), 200);
	assert_non_null(strstr(http_headers, "Access-Control-Allow-Origin: *\r\n"));
	assert_int_equal(http("GET", "/healthy"), 404);
	assert_string_equal(http_body, "404 page not found\n");
	assert_int_equal(http("GET", "/readyz?verbose"), 200);
	assert_string_equal(http_body, "[+]data_corruption ok\n[+]serializable_read "
								   "ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n");
	assert_int_equal(http("GET", "/livez"), 200);
	assert_string_equal(http_body, "ok\n");
	assert_int_equal(http("GET", "/metrics"), 200);
	assert_non_null(strstr(http_body, "\netcd_server_has_leader 1\n"));
	/* No quorum: a linearizable check waits, and fails after T_req. */
	control.reads_are_local = 0;
	set_control();
	http_status = 0;
	handlers.on_http(handlers.arg, &waiting);
	assert_int_equal(http_status, 0);
	assert_int_equal(http("GET", "/health?serializable=true"), 200);
	assert_int_equal(http("GET", "/livez/serializable_read"), 200);
	http_status = 0;
	now_ns = clock_os.monotonic_ns(&clock_os);
	later(7 * SECOND);
	assert_int_equal(http_status, 503);
	assert_string_equal(
		http_body,
		"{\"health\":\"false\",\"reason\":\"RANGE ERROR:etcdserver: request timed out\"}\n");
	handlers.on_http_close(handlers.arg, &waiting);
	control.leader_id = 0;
	set_control();
	assert_int_equal(http("GET", "/health"), 503);
	assert_string_equal(http_body, "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n");
	/* Alarms come first. */
	fixture_entry(fixture, ENTRY_ALARM, &alarm, sizeof(alarm));
	store_publish(fixture->store);
	assert_int_equal(http("GET", "/health"), 503);
	assert_string_equal(http_body, "{\"health\":\"false\",\"reason\":\"ALARM CORRUPT\"}\n");
	assert_int_equal(http("GET", "/health?serializable=true&exclude=NOSPACE"), 503);
	assert_int_equal(http("GET", "/health?serializable=true&exclude=NOSPACE&exclude=COR%52UPT"),
					 200);
	assert_int_equal(http("GET", "/readyz?exclude=linearizable_read"), 503);
	assert_string_equal(http_body, "[-]data_corruption failed: alarm activated: "
								   "CORRUPT\n[+]serializable_read ok\n[+]non_learner ok\n\n");
}

/* ---- members ---- */

/* CLUSTER-20 */
static void
test_member_urls(void **state)
{
	static const struct
	{
		const char *text;
		const char *kept; /* NULL: refused */
	} cases[] = {
		{"http://127.0.0.1:9", "http://127.0.0.1:9"},
		{" HTTPS://Host:9\t", "https://Host:9"},
		{"http://[::1]:80", "http://[::1]:80"},
		{"http://:99999", "http://:99999"},
		{"http://user@host:1?x=1#y", "http://user@host:1?x=1#y"},
		{"unix:///tmp/a", "unix:///tmp/a"},
		{"unixs://a", "unixs://a"},
		{"", NULL},
		{"127.0.0.1:9", NULL},
		{"http://127.0.0.1", NULL},
		{"http://127.0.0.1:9/", NULL},
		{"http://127.0.0.1:9/path?x", NULL},
		{"http://::1:80", NULL},
		{"http://[::1:80", NULL},
		{"http://[::1]", NULL},
		{"http://a:b", NULL},
		{"http://a b:1", NULL},
		{"http:a:1", NULL},
		{"ftp://127.0.0.1:9", NULL},
		{"://", NULL},
		{"http", NULL},
		{"httpx://a:1", NULL},
		{"unix:///tmp/a b", NULL},
	};
	char two[2][16] = {"http://b:1", "http://a:1"};
	char *urls[MEMBER_URLS_MAX + 1];

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		char buffer[64];

		snprintf(buffer, sizeof(buffer), "%s", cases[i].text);
		urls[0] = buffer;
		if (cases[i].kept == NULL)
			assert_int_equal(member_urls_check(urls, 1), RUSD_MEMBER_BAD_URLS);
		else
		{
			assert_int_equal(member_urls_check(urls, 1), RUSD_OK);
			assert_string_equal(urls[0], cases[i].kept);
		}
	}
	/* CLUSTER-6 */
	urls[0] = two[0];
	urls[1] = two[1];
	assert_int_equal(member_urls_check(urls, 2), RUSD_OK);
	assert_string_equal(urls[0], "http://a:1");
	assert_int_equal(member_urls_check(urls, 0), RUSD_MEMBER_BAD_URLS);
	for (size_t i = 0; i < lengthof(urls); i++)
		urls[i] = two[0];
	assert_int_equal(member_urls_check(urls, lengthof(urls)), RUSD_MEMBER_BAD_URLS);
}

static void
add_member(uint64_t id, bool learner, const char *name)
{
	struct
	{
		EntryMember head;
		uint32_t name_length;
		char name[4];
	} entry = {.head = {.member_id = id, .action = MEMBER_ADD, .is_learner = learner}};
	size_t length = strlen(name);

	entry.head.name_length = entry.name_length = (uint32_t) length;
	memcpy(entry.name, name, length);
	(void) fixture_entry(fixture, ENTRY_MEMBER, &entry, offsetof(__typeof__(entry), name) + length);
	store_publish(fixture->store);
}

/* CLUSTER-21, CLUSTER-22, CLUSTER-30, CLUSTER-51, by a member that is connected to nobody. */
static void
test_strict_reconfig(void **state)
{
	static const EntryMember voter = {.action = MEMBER_ADD, .member_id = 99};
	static const EntryMember learner = {.action = MEMBER_ADD, .member_id = 99, .is_learner = 1};
	EntryMember remove = {.action = MEMBER_REMOVE};
	EntryMember promote = {.action = MEMBER_PROMOTE, .member_id = 3};
	Snapshot snapshot;

	(void) state;
#define EXPECT(change, status)                                                                     \
	do                                                                                             \
	{                                                                                              \
		snapshot = fixture_snapshot(fixture);                                                      \
		assert_int_equal(reconfig_check(rpc, &snapshot, change), status);                          \
		snapshot_unpin(&snapshot);                                                                 \
	} while (0)
	config.strict_reconfig_check = true;
	add_member(MEMBER_ID, false, "me");
	EXPECT(&voter, RUSD_OK);
	EXPECT(&learner, RUSD_OK);
	remove.member_id = MEMBER_ID;
	EXPECT(&remove, RUSD_NOT_ENOUGH_STARTED);
	add_member(3, true, "");
	remove.member_id = 3;
	EXPECT(&remove, RUSD_OK);
	EXPECT(&promote, RUSD_OK);
	add_member(1, false, "");
	EXPECT(&voter, RUSD_NOT_ENOUGH_STARTED);
	EXPECT(&learner, RUSD_UNHEALTHY);
	remove.member_id = MEMBER_ID;
	EXPECT(&remove, RUSD_NOT_ENOUGH_STARTED);
	/* Not connected: it is no part of the quorum that there is. */
	remove.member_id = 1;
	EXPECT(&remove, RUSD_OK);
	add_member(2, false, "two");
	EXPECT(&promote, RUSD_OK);
	EXPECT(&voter, RUSD_NOT_ENOUGH_STARTED);
	add_member(4, false, "");
	EXPECT(&promote, RUSD_OK);
	add_member(5, false, "");
	EXPECT(&promote, RUSD_NOT_ENOUGH_STARTED);
	config.strict_reconfig_check = false;
	EXPECT(&voter, RUSD_OK);
	EXPECT(&promote, RUSD_OK);
#undef EXPECT
}

/* One proposal from the ring, which raft answers so; its entry. */
static EntryMember
refuse_change(Status status)
{
	uint8_t bytes[PROPOSAL_PIECE_MAX];
	EntryMember entry;
	ProposalPiece piece;
	Reply reply;

	assert_int_equal(proposal_take(fixture->shm, fixture->slot, &piece, bytes), RUSD_OK);
	assert_int_equal(piece.kind, ENTRY_MEMBER);
	memcpy(&entry, bytes + sizeof(EntryHeader), sizeof(entry));
	reply = (Reply){.sequence = piece.sequence,
					.generation = atomic_load_explicit(
						&fixture->shm->heads[fixture->slot].generation, memory_order_relaxed),
					.status = (uint32_t) status};
	reply_put(fixture->shm, fixture->shm->raft_replies, fixture->slot, &reply);
	return entry;
}

/* CLUSTER-10 to CLUSTER-14 */
static void
test_member_changes(void **state)
{
	Etcdserverpb__MemberAddRequest add = ETCDSERVERPB__MEMBER_ADD_REQUEST__INIT;
	Etcdserverpb__MemberRemoveRequest remove = ETCDSERVERPB__MEMBER_REMOVE_REQUEST__INIT;
	Etcdserverpb__MemberAddResponse *response;
	RaftConfiguration configuration = {.index = 1, .member_count = 1};
	char first_url[] = "http://b:1";
	char second_url[] = "HTTP://a:1";
	char *urls[] = {first_url, second_url};
	EntryMember first, second;
	Client *client;

	(void) state;
	config.strict_reconfig_check = true;
	config.max_learners = 1;
	add_member(MEMBER_ID, false, "me");
	shm_configuration_write(fixture->shm, &configuration);
	add.n_peerurls = lengthof(urls);
	add.peerurls = urls;
	client = call_begin("/etcdserverpb.Cluster/MemberAdd", &add);
	first = refuse_change(RUSD_AGAIN);
	assert_int_equal(first.judged_at, 1);
	assert_int_equal(first.max_learners, 1);
	/* Judged anew, by the configuration that is there now; not before that is applied. */
	configuration.index = fixture->index + 1;
	shm_configuration_write(fixture->shm, &configuration);
	turn();
	turn();
	assert_int_equal(rpc->writer.outstanding, 0);
	(void) fixture_put(fixture, "a", "b");
	store_publish(fixture->store);
	turn();
	assert_int_equal(rpc->writer.outstanding, 1);
	second = refuse_change(RUSD_LEADER_CHANGED);
	assert_int_equal(second.judged_at, configuration.index);
	assert_true(second.member_id == first.member_id);
	/* No limit of time but the client's. */
	later(100 * SECOND);
	serve_until(client);
	assert_string_equal(client->text, "");
	response =
		etcdserverpb__member_add_response__unpack(NULL, client->reply.length, client->reply.data);
	assert_non_null(response);
	assert_int_equal(response->header->revision, 0);
	assert_true(response->member->id == first.member_id);
	assert_string_equal(response->member->peerurls[0], "http://a:1");
	assert_int_equal(response->n_members, 2);
	etcdserverpb__member_add_response__free_unpacked(response, NULL);
	call_end(client);
	/* What is judged wrong is not proposed. */
	config.strict_reconfig_check = false;
	add.n_peerurls = 1;
	expect_failure(call_begin("/etcdserverpb.Cluster/MemberAdd", &add), RUSD_PEER_URL_EXISTS);
	remove.id = 12345;
	expect_failure(call_begin("/etcdserverpb.Cluster/MemberRemove", &remove),
				   RUSD_MEMBER_NOT_FOUND);
	assert_int_equal(serve(), 0);
	/* CLUSTER-70: without a leader it waits for as long as the client does. */
	control.leader_id = 0;
	control.reads_are_local = 0;
	set_control();
	client = call_begin("/etcdserverpb.Cluster/MemberRemove", &remove);
	later(100 * SECOND);
	assert_false(client->answered);
	call_end(client);
}

/* MAINT-40 to MAINT-42 */
static void
test_move_leader(void **state)
{
	Etcdserverpb__MoveLeaderRequest request = ETCDSERVERPB__MOVE_LEADER_REQUEST__INIT;
	static const char path[] = "/etcdserverpb.Maintenance/MoveLeader";
	Client *clients[3];

	(void) state;
	request.targetid = 8;
	for (int i = 0; i < 3; i++)
	{
		uint8_t bytes[PROPOSAL_PIECE_MAX];
		EntryTransfer transfer;
		ProposalPiece piece;
		Reply reply;

		clients[i] = call_begin(path, &request);
		assert_int_equal(proposal_take(fixture->shm, fixture->slot, &piece, bytes), RUSD_OK);
		assert_int_equal(piece.kind, ENTRY_TRANSFER);
		memcpy(&transfer, bytes + sizeof(EntryHeader), sizeof(transfer));
		assert_int_equal(transfer.target, 8);
		reply = (Reply){.sequence = piece.sequence,
						.generation = atomic_load_explicit(
							&fixture->shm->heads[fixture->slot].generation, memory_order_relaxed),
						.status = i == 0 ? RUSD_BAD_TRANSFEREE : RUSD_OK};
		reply_put(fixture->shm, fixture->shm->raft_replies, fixture->slot, &reply);
		turn();
	}
	expect_failure(clients[0], RUSD_BAD_TRANSFEREE);
	clients[1]->call.deadline_ns = now_ns + 10 * SECOND;
	later(10 * SECOND);
	expect_failure(clients[1], RUSD_TRANSFER_TIMEOUT);
	assert_false(clients[2]->answered);
	control.leader_id = 8;
	control.role = ROLE_FOLLOWER;
	set_control();
	turn();
	assert_true(clients[2]->answered);
	assert_int_equal(clients[2]->reply.length, 0);
	call_end(clients[2]);
	expect_failure(call_begin(path, &request), RUSD_NOT_LEADER);
}

/* MAINT-60, MAINT-61, MAINT-64 */
static void
test_downgrade(void **state)
{
	static const char *const good[] = {"3.6",        "3.6.0",   "03.6.99",
									   "3.6.0-rc.1", "3.6.0+x", "3.6.0-a-b+x"};
	static const char *const other[] = {"3.7", "3.5", "4.0", "2.6.0", "3.9223372036854775807"};
	static const char *const bad[] = {
		"",      "3",      "3.",     "3.x",     "v3.6",
		"3.6 ",  "3.6.",   "3.6.x",  "3.6.0.0", "-3.6",
		"3.6+x", "3.6-rc", "3.6.0-", "3.6.0-.", "3.9223372036854775808"};
	Etcdserverpb__DowngradeRequest request = ETCDSERVERPB__DOWNGRADE_REQUEST__INIT;
	static const char path[] = "/etcdserverpb.Maintenance/Downgrade";
	Client *client;

	(void) state;
	for (size_t i = 0; i < lengthof(good); i++)
	{
		request.version = (char *) (uintptr_t) good[i];
		client = call_begin(path, &request);
		assert_true(client->answered);
		assert_string_equal(client->text, "");
		call_end(client);
	}
	for (size_t i = 0; i < lengthof(other); i++)
	{
		request.version = (char *) (uintptr_t) other[i];
		expect_failure(call_begin(path, &request), RUSD_INVALID_DOWNGRADE_TARGET);
	}
	for (size_t i = 0; i < lengthof(bad); i++)
	{
		request.version = (char *) (uintptr_t) bad[i];
		expect_failure(call_begin(path, &request), RUSD_BAD_DOWNGRADE_VERSION);
	}
	request.action = ETCDSERVERPB__DOWNGRADE_REQUEST__DOWNGRADE_ACTION__ENABLE;
	request.version = (char *) (uintptr_t) good[0];
	expect_failure(call_begin(path, &request), RUSD_INVALID_DOWNGRADE_TARGET);
}

#define TEST_UNDECIDED(name) cmocka_unit_test_setup_teardown(name, setup_undecided, teardown)
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unknown_methods),
		TEST(test_put_and_range),
		TEST(test_range_stream),
		TEST(test_stream_takes_constant_memory),
		TEST(test_stream_and_what_goes_on_meanwhile),
		TEST(test_stream_is_given_up),
		TEST(test_stream_refusals),
		TEST(test_read_sees_what_was_answered),
		TEST(test_interceptors),
		TEST(test_metadata),
		TEST_UNDECIDED(test_not_capable),
		TEST(test_without_quorum),
		TEST(test_read_index),
		TEST(test_member_urls),
		TEST(test_strict_reconfig),
		TEST(test_member_changes),
		TEST(test_move_leader),
		TEST(test_downgrade),
		TEST(test_health),
		TEST(test_refusals),
		TEST(test_time_limits),
		TEST(test_full_ring),
		TEST(test_many_at_once),
		TEST(test_slow_answers),
		TEST(test_memory_runs_out),
		TEST(test_transactions),
		TEST(test_quota),
		TEST(test_full_disk),
		TEST(test_http),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
