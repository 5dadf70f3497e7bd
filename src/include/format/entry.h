/*
 * entry.h
 *	  rusd's own flat encoding of what is replicated: made by a backend after all its checks, decoded by raft and applier
 *	  without recursion and without allocation.
 *
 * Payload of a replicated record = EntryHeader, then by kind:
 *	  EMPTY			nothing
 *	  PUT			one OP_PUT					DELETE_RANGE	one OP_DELETE
 *	  TXN			one OP_TXN and what belongs to it
 *	  COMPACT		EntryCompact				ALARM			EntryAlarm
 *	  MEMBER, MEMBER_ATTRIBUTES	EntryMember, then its strings
 *	  CLUSTER_VERSION	a string
 *
 * DEFRAGMENT is proposed by a backend like these and checked like them (an EntryHeader and nothing else), but it is local: raft appends it
 * without an index and sends it to nobody; wal_reader_next hands it to the applier in its place in the log.  READ_INDEX is put into the ring in
 * the same way and never reaches the log: raft answers it with the index in Reply.value; so is TRANSFER, with EntryTransfer behind its header.
 *
 * Ops lie one behind the other, each an OpHeader, its bytes (key, range end, value, in this order) and padding
 * to 8.  A transaction is a straight program: OP_TXN carries its compares (OP_COMPARE) behind it; if they hold, the
 * ops that follow run up to an OP_JUMP, which leads behind the else branch; if not, execution goes on at else_offset.  So a reader
 * needs no stack, however deep transactions are nested.  All offsets are bytes from the start of the first op, lead
 * forward only, and are checked by entry_check before anything is executed: a message that killed the applier would
 * kill every member at every replay.
 *
 * All integers are little-endian (rusd runs on little-endian machines only, checked at build).
 *
 * src/include/format/entry.h
 */
#ifndef FORMAT_ENTRY_H
#define FORMAT_ENTRY_H

typedef enum EntryKind
{
#define RUSD_ENTRY(number, symbol, name, replicated) ENTRY_##symbol = number,
#include "format/entrylist.h"
#undef RUSD_ENTRY
	ENTRY_KIND_END = 68
} EntryKind;

/* "unknown" for a number that is not on the list. */
extern const char *entry_kind_name(uint32_t kind);

/* Identity of a request; answered only where all match. */
typedef struct RequestId
{
	uint64_t member_id;
	uint64_t incarnation; /* of the shared memory */
	uint64_t sequence;    /* of the backend, from 1 */
	uint32_t slot;
	uint32_t generation;
} RequestId;

typedef struct EntryHeader
{
	RequestId id;   /* member_id 0: nobody waits for an answer */
	uint32_t flags; /* ENTRY_WANTS_PIN */
	uint32_t reserved;
} EntryHeader;

StaticAssert(sizeof(EntryHeader) == 40, "disk format");

#define ENTRY_WANTS_PIN 1 /* the answer is read from the store: count it in the result pin */

typedef enum OpKind
{
	OP_PUT = 1,
	OP_DELETE,
	OP_RANGE, /* only its revision matters to the applier (TXN-30) */
	OP_TXN,
	OP_COMPARE,
	OP_JUMP
} OpKind;

typedef struct OpHeader
{
	uint32_t length; /* of header, bytes and padding; a multiple of 8 */
	uint16_t kind;   /* OpKind */
	uint16_t flags;  /* OP_... */
	uint32_t key_length;
	uint32_t end_length;   /* range_end as the client sent it (KV-20 to KV-23) */
	uint32_t value_length; /* put: value; compare by VALUE: operand */
	uint32_t target;       /* compare: target | result << 8.  txn: number of compares that follow */
	int64_t
		number; /* put: lease; range: revision; compare: operand; jump: offset to go on at; txn: else_offset */
} OpHeader;

StaticAssert(sizeof(OpHeader) == 32, "disk format");

#define OP_IGNORE_VALUE 1
#define OP_IGNORE_LEASE 2
#define OP_PREV_KV 4

typedef struct EntryCompact
{
	int64_t revision;
	uint32_t physical;
	uint32_t reserved;
} EntryCompact;

typedef struct EntryAlarm
{
	uint32_t action; /* GET 0, ACTIVATE 1, DEACTIVATE 2 */
	uint32_t alarm;  /* NONE 0, NOSPACE 1, CORRUPT 2 */
	uint64_t member_id;
} EntryAlarm;

typedef struct EntryTransfer
{
	uint64_t target; /* the member that shall lead */
} EntryTransfer;

typedef enum MemberAction
{
	MEMBER_ADD = 1,
	MEMBER_REMOVE,
	MEMBER_UPDATE,
	MEMBER_PROMOTE,
	MEMBER_PUBLISH /* MEMBER_ATTRIBUTES: name and client URLs */
} MemberAction;

/* Strings follow: name (always, if empty too), then the peer URLs, then the client URLs, each of them a uint32_t length and its bytes, unpadded. */
typedef struct EntryMember
{
	uint64_t member_id;
	uint32_t action;
	uint32_t is_learner;
	uint32_t max_learners;
	uint32_t name_length; /* the same that stands before the name */
	uint32_t peer_url_count;
	uint32_t client_url_count;
	/* MEMBER: index of the configuration by which this change was judged right (ControlState.configuration_index).  It
	 * takes effect on that one only, on every member, so nothing that was looked at can have changed. */
	uint64_t judged_at;
} EntryMember;

StaticAssert(sizeof(EntryMember) == 40, "disk format");

/* One op, decoded: pointers into the payload. */
typedef struct Op
{
	const OpHeader *header; /* may be unaligned to nothing: payloads are 8-aligned in buffers */
	Bytes key;
	Bytes range_end;
	Bytes value;
	uint32_t offset; /* of this op from the first */
	uint32_t next;   /* offset behind it */
} Op;

/* Deepest nesting of transactions that entry_check lets pass; a backend refuses deeper ones. */
#define ENTRY_DEPTH_MAX 4096

/*
 * Checks a whole payload of that kind: lengths, kinds, offsets.  RUSD_INVALID if it could not be executed safely.  Backend (for its own),
 * raft (for what it collected), applier (in builds with assertions).  Time linear in length; no allocation.
 */
extern Status entry_check(uint32_t kind, const uint8_t *payload, size_t length);

/* The op at that offset of ops (behind EntryHeader); the payload must have passed entry_check. */
extern void op_at(const uint8_t *ops, uint32_t offset, Op *op);

/* Writes one op at buffer (8-aligned), or with buffer NULL only tells its length. */
extern uint32_t op_encode(uint8_t *buffer, const OpHeader *template, Bytes key, Bytes range_end,
						  Bytes value);

/* One line for people: kind, sizes, keys shortened.  For waldump and logs; truncated to size. */
extern void entry_describe(uint32_t kind, const uint8_t *payload, size_t length, char *buffer,
						   size_t size);

#endif /* FORMAT_ENTRY_H */
