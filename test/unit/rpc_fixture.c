/*
 * rpc_fixture.c
 *	  The RPC layer of one backend over plain shared memory.
 *
 * test/unit/rpc_fixture.c
 */
#include "rusd.h"

#include "rpc_fixture.h"

#include "cmocka_all.h"

/* ---- a client: what net would be ---- */

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

int http_status;
char http_body[128 * 1024];
char http_headers[1024];

void
net_http_reply(NetHttp *http, int status, const char *headers, Bytes body)
{
	(void) http;
	http_status = status;
	snprintf(http_headers, sizeof(http_headers), "%s", headers);
	snprintf(http_body, sizeof(http_body), "%.*s", (int) body.length, (const char *) body.data);
}

/* ---- a backend ---- */

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

Fixture *fixture;
Rpc *rpc;
NetHandlers handlers;
Budget budget;
ControlState control;
uint64_t now_ns;

void
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

int
setup(void **state)
{
	(void) state;
	return setup_with(true);
}

int
setup_undecided(void **state)
{
	(void) state;
	return setup_with(false);
}

int
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

void
turn(void)
{
	rpc_turn(rpc, now_ns);
}

void
later(uint64_t ns)
{
	now_ns += ns;
	turn();
}

/* ---- calls ---- */

Client *
call_begin_with(const char *path, const void *request, Bytes hasleader)
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
	client->call.hasleader = hasleader;
	arena_init(&client->call.arena, &budget.budget);
	handlers.on_call(handlers.arg, &client->call);
	return client;
}

Client *
call_begin(const char *path, const void *request)
{
	return call_begin_with(path, request, (Bytes){NULL, 0});
}

/* Pulls what a source gives, in pieces of any size. */
void
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
void
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

void
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
int
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

void
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

uint64_t
refuse_proposal(EntryKind kind, Status status, uint8_t *bytes)
{
	ProposalPiece piece;
	Reply reply;

	assert_int_equal(proposal_take(fixture->shm, fixture->slot, &piece, bytes), RUSD_OK);
	assert_int_equal(piece.kind, kind);
	reply = (Reply){.sequence = piece.sequence,
					.generation = atomic_load_explicit(
						&fixture->shm->heads[fixture->slot].generation, memory_order_relaxed),
					.status = (uint32_t) status};
	reply_put(fixture->shm, fixture->shm->raft_replies, fixture->slot, &reply);
	return piece.sequence;
}

/* ---- requests ---- */

ProtobufCBinaryData
data_of(Bytes bytes)
{
	return (ProtobufCBinaryData){.len = bytes.length, .data = (uint8_t *) (uintptr_t) bytes.data};
}

Client *
begin_put(const char *key, size_t value_length)
{
	static uint8_t value[1600 * 1024];
	Etcdserverpb__PutRequest put = ETCDSERVERPB__PUT_REQUEST__INIT;

	put.key = data_of(bytes_of(key));
	put.value = (ProtobufCBinaryData){.len = value_length, .data = value};
	return call_begin("/etcdserverpb.KV/Put", &put);
}

Client *
begin_range(const char *key, const char *range_end, bool serializable)
{
	Etcdserverpb__RangeRequest range = ETCDSERVERPB__RANGE_REQUEST__INIT;

	range.key = data_of(bytes_of(key));
	range.range_end = data_of(bytes_of(range_end));
	range.serializable = serializable;
	return call_begin("/etcdserverpb.KV/Range", &range);
}

void
put_now(const char *key, size_t value_length)
{
	Client *client = begin_put(key, value_length);

	serve_until(client);
	assert_string_equal(client->text, "");
	call_end(client);
}

Etcdserverpb__RangeResponse *
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
Status
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

void
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

uint64_t
handled(MethodNumber method, int code)
{
	return atomic_load(&fixture->shm->areas[fixture->slot]
							->counters[COUNTER_METHODS + method * (1 + GRPC_CODES) + 1 + code]);
}
