/*
 * rpc_fixture.h
 *	  The RPC layer of one backend over plain shared memory: the test plays net on one side, raft
 * and applier on the other.
 *
 * test/unit/rpc_fixture.h
 */
#ifndef RPC_FIXTURE_H
#define RPC_FIXTURE_H

#include "../../src/backend/rpc/services.h"
#include "ipc/slot.h"
#include "store_fixture.h"
#include "utils/config.h"

#define MEMBER_ID 4711
#define CLUSTER_ID 815
#define SECOND UINT64_C(1000000000)

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

/* The last answer to an HTTP request. */
extern int http_status;
extern char http_body[128 * 1024];
extern char http_headers[1024];

/* ---- a backend ---- */
typedef struct Budget
{
	MemoryBudget budget;
	size_t taken;
	size_t limit;
} Budget;

extern Fixture *fixture;
extern Rpc *rpc;
extern NetHandlers handlers;
extern Budget budget;
extern ControlState control;
extern uint64_t now_ns;

/* What raft has published: control. */
extern void set_control(void);
/* A member that leads and whose cluster has version 3.7; one without a version. */
extern int setup(void **state);
extern int setup_undecided(void **state);
/* Nothing is left: no pin, no memory, no call. */
extern int teardown(void **state);
/* The turn of the backend's loop; one later by so much. */
extern void turn(void);
extern void later(uint64_t ns);

/* ---- calls ---- */
/* A call arrives.  The answer is there at once, or after turns. */
extern Client *call_begin(const char *path, const void *request);
/* With that metadata. */
extern Client *call_begin_with(const char *path, const void *request, Bytes hasleader);
/* Pulls what a source gives, in pieces of any size. */
extern void call_pull(Client *client);
/* The client is done with it, whatever it has got. */
extern void call_end(Client *client);
/* It was refused with that; ends it. */
extern void expect_failure(Client *client, Status status);

/* ---- raft and applier ---- */
/* Raft and applier take all that is in the ring; how many proposals were whole. */
extern int serve(void);
/* ... until it is answered. */
extern void serve_until(const Client *client);
/* One proposal from the ring, which raft answers so; its number.  bytes: PROPOSAL_PIECE_MAX, for what it was. */
extern uint64_t refuse_proposal(EntryKind kind, Status status, uint8_t *bytes);

/* ---- requests ---- */
extern ProtobufCBinaryData data_of(Bytes bytes);
extern Client *begin_put(const char *key, size_t value_length);
extern Client *begin_range(const char *key, const char *range_end, bool serializable);
/* The whole of a put. */
extern void put_now(const char *key, size_t value_length);
/* What was answered; the caller frees it. */
extern Etcdserverpb__RangeResponse *range_response(Client *client);
/* One message of a stream, or all: their merge is in reply. */
extern Status stream_message(Client *client);
extern void stream_all(Client *client);
/* Calls of a method that ended with that gRPC code. */
extern uint64_t handled(MethodNumber method, int code);

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_UNDECIDED(name) cmocka_unit_test_setup_teardown(name, setup_undecided, teardown)

#endif /* RPC_FIXTURE_H */
