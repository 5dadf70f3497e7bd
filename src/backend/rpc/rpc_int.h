/*
 * rpc_int.h
 *	  What the files of rpc/ share: a call's way through a backend, snapshots, proposals, answers.
 *
 * A call is made by dispatch.c when its request is complete.  Its handler checks the request and
 * then does one of three things: answers; proposes, and is called back with the reply (propose.c);
 * or says call_wait, and is begun again from its start in a later turn.  An RpcCall may outlive the
 * NetCall that it answers: until the reply comes a proposal's place in the rings is taken, and until
 * its source is closed an answer needs the memory that it is made from.  call_drop takes away one of
 * the reasons to live (RpcCall.holds).
 *
 * src/backend/rpc/rpc_int.h
 */
#ifndef RPC_INT_H
#define RPC_INT_H

#include "activity/metrics.h"
#include "rpc.pb-c.h"
#include "rpc/decode.h"
#include "rpc/methods.h"
#include "rpc/rpc.h"
#include "rpc/wire.h"
#include "store/range.h"

/* Answers up to here are encoded at once; larger ones are made while they are sent. */
#define SMALL_ANSWER (32 * 1024)
/* RPC-20, and the send limit of the same section. */
#define LARGEST_ANSWER INT32_MAX
/* A call that waits for something nobody wakes us for is begun again after this long. */
#define RETRY_NS (UINT64_C(20) * 1000 * 1000)
/* RAFT-40 */
#define APPLY_BACKLOG_MAX 5000

typedef struct RpcCall RpcCall;

/* A snapshot that several reads of one backend use; pinned while refs > 0. */
typedef struct SharedSnapshot
{
	Snapshot snapshot;
	uint32_t refs;
} SharedSnapshot;

/* Why an RpcCall must not be freed yet: bits of RpcCall.holds. */
#define HOLD_NET 1      /* its NetCall or NetHttp has not been closed */
#define HOLD_PROPOSAL 2 /* pieces to put, or a reply to come */
#define HOLD_SOURCE 4   /* a NetSource made of it has not been closed */

typedef enum CallList
{
	LIST_NONE,
	LIST_RETRY, /* call_wait: its handler is begun again in the next turns */
	LIST_PUT,   /* its proposal waits for a place, or for room in the ring */
	LIST_REPLY, /* its proposal is in the ring, whole */
	LIST_SLICE, /* works in slices, one each turn */
	LIST_COUNT
} CallList;

typedef struct RpcQueue
{
	RpcCall *first;
	RpcCall *last;
} RpcQueue;

/* Encoded by the kind's handler with an EntryHeader in front that propose.c fills in. */
typedef struct Proposal
{
	ProposalPiece piece;
	uint8_t *payload;
	uint32_t put; /* bytes of it that are in the ring */
	bool begun;   /* has a sequence number */
} Proposal;

struct RpcCall
{
	Rpc *rpc;
	NetCall *net; /* NULL: closed, or an HTTP request */
	NetHttp *http;
	const RpcMethod *method;
	void *request; /* decoded, in net->arena */
	Arena arena;   /* of --backend-memory; as long as this object */
	uint8_t holds;
	uint8_t list; /* CallList */
	bool answered;
	bool streaming;    /* answered with a stream that has not ended: it is not counted yet */
	bool bounded;      /* T_req ends it */
	bool keeps;        /* it needs a snapshot for longer than a turn */
	bool needs_leader; /* streaming: and RPC-7 ends it, */
	bool lost_leader;  /* which it now does: with RUSD_NO_LEADER, by its source */
	RpcCall *next;     /* in its list */
	RpcCall *previous;
	RpcCall *chain; /* of those with the same hash of their sequence */
	RpcCall *older; /* all calls, by age */
	RpcCall *newer;
	uint64_t begun_ns;
	uint64_t term;       /* in which it began */
	uint64_t read_round; /* of readindex.c, by which it may read; 0: none yet */
	Proposal proposal;
	/* Takes the reply; not called when the client is gone (its pin is taken back then by
	 * propose.c). */
	void (*on_reply)(RpcCall *call, const Reply *reply);
	/* LIST_RETRY: begins again.  LIST_SLICE: one slice more. */
	void (*resume)(RpcCall *call);
	/* The client is gone: gives back what is not in an arena.  May be NULL. */
	void (*on_gone)(RpcCall *call);
	void *state; /* the handler's own */
};

#define SEQUENCE_BUCKETS 256

/* readindex.c: rounds are counted from 1, one is under way at a time. */
typedef struct ReadRounds
{
	uint64_t wanted; /* the newest that a call waits for */
	uint64_t begun;
	uint64_t answered;
	uint64_t sequence; /* of the question under way; 0: none */
	uint64_t asked_ns; /* when that was asked */
	uint64_t index;    /* what the newest answer was, */
	Status status;     /* or why there was none */
} ReadRounds;

struct Rpc
{
	Shm *shm;
	uint32_t slot;
	uint32_t generation;
	Listener listener;
	PageAccess *access;
	BackendArea *area;
	MemoryBudget *budget;
	uint64_t request_limit_ns; /* T_req */
	uint64_t election_ns;
	uint64_t now_ns; /* of the turn */
	bool capable;    /* the cluster's version has been seen (RPC-1): it stays decided */
	/* intercept.c, RPC-7 */
	uint32_t leader_watchers; /* streams that need a leader */
	uint32_t leader_misses;   /* looks without one, in succession */
	uint64_t leader_check_ns; /* the next look; only while there are watchers */
	/* snapshots.c */
	SharedSnapshot snapshots[SNAPSHOT_PINS];
	SharedSnapshot *current; /* this turn's, referenced once for it */
	uint64_t current_change; /* change count of the root below which nothing is newer than it */
	/* calls */
	RpcQueue lists[LIST_COUNT];
	RpcCall *oldest;
	RpcCall *newest;
	RpcCall *spare; /* freed ones, kept for the next */
	uint32_t spare_count;
	uint32_t live_count; /* with a client that waits */
	/* propose.c */
	ProposalWriter writer;
	RpcCall *by_sequence[SEQUENCE_BUCKETS];
	ReadRounds reads;
	/* Where small proposals and answers are encoded; nothing in it outlives the function that wrote
	 * it. */
	alignas(16) uint8_t scratch[SMALL_ANSWER + 1024];
};

/* ---- rpc.c: calls ---- */
extern RpcCall *call_create(Rpc *rpc);
/* One reason less; freed with the last. */
extern void call_drop(RpcCall *call, uint8_t hold);
extern void call_to_list(RpcCall *call, CallList list);
/* The handler is begun again later: what it needs is not there now. */
extern void call_wait(RpcCall *call, void (*again)(RpcCall *call));
/* Answers with a failure (once). */
extern void call_fail(RpcCall *call, Status status);
extern void call_fail_text(RpcCall *call, int grpc_code, const char *text);
/* Answers with a message that is encoded already (copied). */
extern void call_reply_bytes(RpcCall *call, const uint8_t *data, size_t length);
/* Answers with what source gives; closes it if nobody is there to answer. */
extern void call_reply_source(RpcCall *call, uint64_t length, NetSource *source);
/*
 * Answers with the messages that source gives; closes it if nobody is there to answer.  The source
 * says how the call has ended (call_stream_ended) when it is closed.
 */
extern void call_reply_stream(RpcCall *call, NetSource *source);
/* RUSD_CONTEXT_CANCELED: the client did not want it any longer. */
extern void call_stream_ended(RpcCall *call, Status status);
/* gRPC code of a call whose client is gone before it had its answer. */
extern int call_gone_code(const RpcCall *call);
/* Packs a message and answers with it. */
extern void call_reply_message(RpcCall *call, const ProtobufCMessage *message);
/* T_req has passed: what the answer is (RAFT-31, ERR-4, CLUSTER-70). */
extern Status call_timeout_status(const RpcCall *call);

/* ---- intercept.c ---- */
/* RPC-1 to RPC-6.  RUSD_AGAIN: this member serves nothing yet. */
extern Status intercept(RpcCall *call, const ControlState *control);
extern bool leader_is_known(const Rpc *rpc, const ControlState *control);
/* RPC-7: a stream begins and ends; each turn looks, when it is time (rpc->leader_check_ns), whether somebody leads, and
 * sets lost_leader. */
extern void leader_watch_begin(RpcCall *call);
extern void leader_watch_end(RpcCall *call);
extern void leader_watch_turn(Rpc *rpc);

/* ---- header.c ---- */
#define HEADER_MAX 64 /* a whole header field, tag and length included */
/* ResponseHeader as field 1 of an answer: its bytes at `at`, or with NULL only their number. */
extern size_t header_encode(const ControlState *control, int64_t revision, uint8_t *at);
/* A header in which only the revision is set, or nothing at all (RPC-12). */
extern size_t header_revision_encode(int64_t revision, uint8_t *at);
extern void header_fill(Etcdserverpb__ResponseHeader *header, const ControlState *control,
						int64_t revision);

/* ---- snapshots.c ---- */
/* The newest state, shared with the other reads of this turn.  RUSD_AGAIN: all pins are held by
 * slow answers. */
extern Status snapshot_current(Rpc *rpc, SharedSnapshot **result);
/* For longer than a turn: a reference of one's own. */
extern SharedSnapshot *snapshot_reference(SharedSnapshot *shared);
/* May a reference outlast the turn?  Not on the last place: small reads and writes need it. */
extern bool snapshot_may_keep(Rpc *rpc, const SharedSnapshot *shared);
extern void snapshot_release(Rpc *rpc, SharedSnapshot *shared);
extern void snapshot_turn_end(Rpc *rpc);
/* The root that a reply names, under a pin of its own; the reply's result pin has been taken back
 * then. RUSD_AGAIN: no pin is free, nothing was done. */
extern Status snapshot_of_answer(Rpc *rpc, const Reply *reply, SharedSnapshot **result);
/*
 * The newest state for a linearizable read (design, "A read"), or with serializable whatever is here; a call
 * that keeps its snapshot is given one that it may keep.  RUSD_AGAIN: not now: call_wait.  RUSD_STOPPED: raft takes
 * no questions any more.
 */
extern Status snapshot_for_read(RpcCall *call, bool serializable, ControlState *control,
								SharedSnapshot **result);

/* ---- readindex.c ---- */
/* May this call read now what is applied?  RUSD_AGAIN: it will be told (call_wait); else why it may not. */
extern Status read_index_reached(RpcCall *call);
/* Asks raft, if a call waits for a round that has not begun: before the session sleeps. */
extern void read_index_begin(Rpc *rpc);
/* True: it was the answer to that. */
extern bool read_index_replied(Rpc *rpc, const Reply *reply);

/* ---- propose.c ---- */
/*
 * Proposes payload (its first bytes are room for an EntryHeader).  It may lie in rpc->scratch, and
 * is copied if it must stay.  serialized: bytes that etcd would compare with
 * --max-request-bytes, without what its own header takes.  On RUSD_OK on_reply comes later, else
 * nothing was done; RUSD_AGAIN: call_wait.
 */
extern Status propose(RpcCall *call, EntryKind kind, uint8_t *payload, size_t length,
					  uint32_t entry_flags, uint64_t serialized,
					  void (*on_reply)(RpcCall *call, const Reply *reply));
extern void propose_turn(Rpc *rpc);
/* The client of a call is gone, or has been answered. */
extern void propose_abandon(RpcCall *call);
/* A reply's pin is not needed. */
extern void reply_unpin(Rpc *rpc, const Reply *reply);
/* Bytes of request as etcd would count them (RPC-21). */
extern uint64_t serialized_size(const RpcCall *call);

/* ---- quota.c ---- */
extern uint64_t quota_bytes(void); /* UINT64_MAX: none */
extern uint64_t quota_cost_put(const Etcdserverpb__PutRequest *put);
extern uint64_t quota_cost_txn(const Etcdserverpb__TxnRequest *txn);
extern bool quota_fits(const RootState *root, uint64_t cost);
/* QUOTA-5 and QUOTA-6: raises the alarm for this member, then fails the call with RUSD_NOSPACE.
 * Returns as propose does. */
extern void quota_exceeded(RpcCall *call);

/* ---- memberurl.c ---- */
/* Are they peer URLs that a member may be added with?  Trimmed and sorted in place.  RUSD_MEMBER_BAD_URLS. */
extern Status member_urls_check(char **urls, size_t count);

/* ---- reconfig.c ---- */
/* May the members be changed so, by --strict-reconfig-check?  RUSD_NOT_ENOUGH_STARTED, RUSD_UNHEALTHY. */
extern Status reconfig_check(Rpc *rpc, const Snapshot *snapshot, const EntryMember *change);

/* ---- answer.c ---- */
/* A piece of an answer: literal bytes, then what a range reader gives. */
typedef struct AnswerPart
{
	Bytes literal;
	const RangeSpec *spec; /* NULL: none */
	uint64_t bytes;        /* that the reader will give */
} AnswerPart;

/* A reader and what is accounted for it; nothing to close where reader is NULL. */
typedef struct OpenRange
{
	RangeReader *reader;
	uint64_t memory;
} OpenRange;

extern Status open_range(Rpc *rpc, const Snapshot *snapshot, const RangeSpec *spec,
						 OpenRange *open);
extern void close_range(Rpc *rpc, OpenRange *open);
/* Room ran short while an answer was sent: counted and logged; the answer ends with
 * RUSD_SNAPSHOT_ENDED. */
extern bool answer_is_ended(RpcCall *call, const SharedSnapshot *shared);
/* All that a measured reader gives. */
extern Status pull_whole_range(OpenRange *open, uint64_t bytes, uint8_t *buffer);

typedef struct Answer Answer;
/*
 * Sends a large answer piece by piece.  Parts, literals and specs lie in call->arena.  Takes over
 * the reference to shared, and with it first: the measured reader of the first part that has one,
 * or NULL.
 */
extern void answer_send(RpcCall *call, SharedSnapshot *shared, const AnswerPart *parts,
						uint32_t count, uint64_t length, OpenRange *first);
/* Writes all parts to buffer, which has room for them. */
extern Status answer_encode(Rpc *rpc, const Snapshot *snapshot, const AnswerPart *parts,
							uint32_t count, uint8_t *buffer);
/* Opens, measures and closes. */
extern Status answer_measure(Rpc *rpc, const Snapshot *snapshot, const RangeSpec *spec,
							 int64_t *count, uint64_t *bytes, bool *more);
/* Answers from the state that a reply names (snapshot_of_reply); takes back its pin. */
extern void answer_reply(RpcCall *call, const Reply *reply, const Snapshot *snapshot,
						 const AnswerPart *parts, uint32_t count, uint64_t length);

/* ---- httpmembers.c ---- */
/* The members as JSON, in the call's arena.  RUSD_AGAIN: not now. */
extern Status http_members_text(RpcCall *call, Bytes *body);

/* ---- http.c ---- */
extern void http_begin(Rpc *rpc, NetHttp *http);
/* T_req has passed. */
extern void http_timeout(RpcCall *call);

#endif /* RPC_INT_H */
