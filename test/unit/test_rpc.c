/*
 * test_rpc.c
 *	  The RPC layer of one backend: methods, metadata, reads and their order, time, memory, HTTP.
 *
 * test/unit/test_rpc.c
 */
#include "rusd.h"

#include "rpc_fixture.h"

#include "cmocka_all.h"

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

/* CLUSTER-33: what is in raft, and what waits for a leader. */
static void
test_removed(void **state)
{
	Client *calls[3] = {begin_put("a", 1)};

	(void) state;
	control.leader_id = 0;
	control.reads_are_local = 0;
	set_control();
	calls[1] = begin_put("b", 1);
	calls[2] = begin_range("a", "", false);
	turn();
	for (size_t i = 0; i < lengthof(calls); i++)
		assert_false(calls[i]->answered);
	rpc_stop(rpc);
	for (size_t i = 0; i < lengthof(calls); i++)
		expect_failure(calls[i], RUSD_STOPPED);
	assert_int_equal(rpc_next_due(rpc), UINT64_MAX);
	assert_int_equal(serve(), 1);
	turn();
	assert_int_equal(rpc->writer.outstanding, 0);
}

/* What was not appended is proposed anew, as another one; its time is that of the call. */
static void
test_not_appended(void **state)
{
	uint8_t first[PROPOSAL_PIECE_MAX], second[PROPOSAL_PIECE_MAX];
	Client *put = begin_put("a", 10);
	uint64_t number = refuse_proposal(ENTRY_PUT, RUSD_LEADER_CHANGED, first);

	(void) state;
	turn();
	assert_false(put->answered);
	assert_true(refuse_proposal(ENTRY_PUT, RUSD_LEADER_CHANGED, second) > number);
	assert_memory_equal(first + sizeof(EntryHeader), second + sizeof(EntryHeader), 10);
	turn();
	assert_int_equal(rpc->writer.outstanding, 1);
	serve_until(put);
	assert_string_equal(put->text, "");
	assert_int_equal(atomic_load(&rpc->area->counters[COUNTER_PROPOSALS_FAILED]), 0);
	call_end(put);
	/* Whose client has gone is not. */
	put = begin_put("a", 10);
	(void) refuse_proposal(ENTRY_PUT, RUSD_LEADER_CHANGED, first);
	call_end(put);
	turn();
	assert_int_equal(rpc->writer.outstanding, 0);
	/* Until T_req: it is in raft then, and nothing has come. */
	put = begin_put("a", 10);
	for (int i = 0; i < 7; i++)
	{
		(void) refuse_proposal(ENTRY_PUT, RUSD_LEADER_CHANGED, first);
		later(SECOND);
	}
	expect_failure(put, RUSD_TIMEOUT);
	assert_int_equal(serve(), 1);
	turn();
	/* A leader that has been handing over for too long. */
	put = begin_put("a", 10);
	(void) refuse_proposal(ENTRY_PUT, RUSD_PROPOSAL_DROPPED, first);
	turn();
	expect_failure(put, RUSD_PROPOSAL_DROPPED);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unknown_methods),
		TEST(test_put_and_range),
		TEST(test_read_sees_what_was_answered),
		TEST(test_interceptors),
		TEST(test_metadata),
		TEST_UNDECIDED(test_not_capable),
		TEST(test_without_quorum),
		TEST(test_read_index),
		TEST(test_health),
		TEST(test_refusals),
		TEST(test_time_limits),
		TEST(test_removed),
		TEST(test_not_appended),
		TEST(test_full_ring),
		TEST(test_many_at_once),
		TEST(test_slow_answers),
		TEST(test_memory_runs_out),
		TEST(test_quota),
		TEST(test_full_disk),
		TEST(test_http),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
