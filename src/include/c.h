/*
 * c.h
 *	  What every file of rusd may use without asking: fixed types, attributes,
 *	  assertions, alignment.  Server files include rusd.h, tools rusd_fe.h; both
 *	  begin with this.
 *
 * Contents: 1. system headers  2. attributes  3. small arithmetic  4. assertions
 *
 * src/include/c.h
 */
#ifndef C_H
#define C_H

/* ---- 1. system headers ---- */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* ---- 2. attributes ---- */
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define does_not_return _Noreturn
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))
#define must_check __attribute__((warn_unused_result))

#define CACHE_LINE 64
#define cache_aligned alignas(CACHE_LINE)

/* ---- 3. small arithmetic ---- */
#define Min(a, b) ((a) < (b) ? (a) : (b))
#define Max(a, b) ((a) > (b) ? (a) : (b))
#define lengthof(array) (sizeof(array) / sizeof((array)[0]))
/* Rounds up to a multiple of a power of two. */
#define AlignUp(x, to) (((x) + ((to) -1)) & ~((uint64_t) (to) -1))

/* A run of bytes that somebody else owns. */
typedef struct Bytes
{
	const uint8_t *data;
	size_t length;
} Bytes;

/* ---- 4. assertions ---- */
#define StaticAssert(condition, why) _Static_assert(condition, why)

/* Called by Check and Assert: logs and ends the process by SIGABRT.  utils/log.c, and the tools'
 * own. */
does_not_return extern void check_failed(const char *condition, const char *file, int line);

/*
 * Check: cheap, always on; what the log, the store and Raft rely on.  Assert: debug builds.
 * Never for what came from a disk, a peer, a client or a backend's ring: that is an error path.
 */
#define Check(condition)                                                                           \
	(likely(condition) ? (void) 0 : check_failed(#condition, __FILE__, __LINE__))
#ifdef RUSD_DEBUG
#define Assert(condition) Check(condition)
#else
#define Assert(condition) ((void) sizeof(condition))
#endif

#endif /* C_H */
