/*
 * services.h
 *	  The handlers of the methods, and what they share.
 *
 * src/backend/rpc/services.h
 */
#ifndef RPC_SERVICES_H
#define RPC_SERVICES_H

#include "health.pb-c.h"
#include "rpc_int.h"

#define RUSD_METHOD(symbol, service, method, request, handler) extern void handler(RpcCall *call);
#include "rpc/methodlist.h"
#undef RUSD_METHOD

/* ---- kv.c ---- */
/* KV-30, KV-70, KV-80. */
extern Status range_check(const Etcdserverpb__RangeRequest *range);
extern Status put_check(const Etcdserverpb__PutRequest *put);
extern Status delete_check(const Etcdserverpb__DeleteRangeRequest *request);
/* What a RangeRequest asks of the store at a view. */
extern void range_spec(const Etcdserverpb__RangeRequest *range, int64_t view_main,
					   uint64_t view_sub, RangeSpec *spec);
/* more and count, the last fields of a RangeResponse: a tag and a byte, a tag and ten. */
#define RANGE_TAIL_MAX 16
extern uint8_t *range_put_tail(uint8_t *at, bool more, int64_t count);
/* Templates for op_encode. */
extern OpHeader put_op(const Etcdserverpb__PutRequest *put);
extern OpHeader delete_op(const Etcdserverpb__DeleteRangeRequest *request);
/* Room for a proposal whose ops take this much, an EntryHeader in front of them included. */
extern uint8_t *proposal_buffer(RpcCall *call, size_t ops_length);
/* A write's reply that is no success: answers, takes back its pin, and returns true. */
extern bool reply_failed(RpcCall *call, const Reply *reply);
/* The main revision under which a write ran; used up or not. */
extern int64_t reply_main(const Reply *reply);

/* ---- txncheck.c ---- */
/* TXN-2 to TXN-6 and TXN-10, in that order; arena for the duplicate check's lists. */
extern Status txn_check(const Etcdserverpb__TxnRequest *txn, int64_t max_ops, Arena *arena);

/* ---- txn.c ---- */
/* The program of a transaction (format/entry.h): its length, and with buffer its bytes. */
extern uint64_t txn_encode(const Etcdserverpb__TxnRequest *txn, uint8_t *buffer);

/* Is nothing to be looked up when it is answered: no compare, and puts that do not want what they
 * replace? */
extern bool txn_answer_is_known(const Etcdserverpb__TxnRequest *txn);

/* call->state of a transaction. */
typedef struct TxnState
{
	uint8_t *payload; /* EntryHeader, then the program */
	uint64_t ops_length;
} TxnState;

/* ---- txnanswer.c ---- */
/* After it was applied. */
extern void txn_answer_write(RpcCall *call, const Reply *reply);
/* One that only reads.  False: no snapshot can be kept for as long as it takes to send it. */
extern bool txn_answer_read(RpcCall *call, const ControlState *control, SharedSnapshot *shared);

#endif /* RPC_SERVICES_H */
