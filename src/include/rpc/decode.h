/*
 * decode.h
 *	  Requests: bytes that a stranger sent, into a protobuf-c message in a call's arena.
 *
 * src/include/rpc/decode.h
 */
#ifndef RPC_DECODE_H
#define RPC_DECODE_H

#include <protobuf-c/protobuf-c.h>

#include "utils/arena.h"

typedef struct DecodeLimits
{
	uint32_t depth_max;  /* messages within messages, the outermost counted */
	uint64_t memory_max; /* bytes that the decoded form may take */
} DecodeLimits;

/* Never deeper than this, whatever a limit says: what protobuf-c and the checks of transactions
 * need of the stack per level is known. */
#define DECODE_DEPTH_MAX 1000

/* What a scan has found. */
typedef struct DecodeFacts
{
	uint32_t depth;        /* levels of messages */
	uint64_t memory;       /* bytes that unpacking will take from an arena, from above */
	uint32_t repeated_max; /* most elements of one repeated field in one message */
	const char *error;     /* for RUSD_INVALID: what is wrong, static */
} DecodeFacts;

/*
 * Looks at a serialized message without decoding it: is it well formed to the last byte, how deep,
 * how large decoded?  Without recursion and without allocation; linear in length.  RUSD_INVALID:
 * protobuf-c would not (or must not) take it.  RUSD_AGAIN: a limit is passed; the scan stops there,
 * and facts say how far it came.  A known field with a wrong wire type is renamed in place to a
 * number that nobody knows: so protobuf-c skips it, as etcd does.
 */
extern Status decode_scan(const ProtobufCMessageDescriptor *descriptor, uint8_t *data,
						  size_t length, const DecodeLimits *limits, DecodeFacts *facts);

/* Scan, then unpack into arena.  RUSD_NO_MEMORY; else as decode_scan. */
extern Status decode_message(const ProtobufCMessageDescriptor *descriptor, Bytes message,
							 const DecodeLimits *limits, Arena *arena, ProtobufCMessage **result,
							 DecodeFacts *facts);

/* An allocator for protobuf-c that takes from arena and never gives back. */
extern ProtobufCAllocator decode_allocator(Arena *arena);

/* Is it well-formed UTF-8 (no surrogates, nothing over-long, at most U+10FFFF)? */
extern bool utf8_is_valid(const uint8_t *data, size_t length);

#endif /* RPC_DECODE_H */
