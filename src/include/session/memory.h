/*
 * memory.h
 *	  A backend's share of --backend-memory.
 *
 * Each backend writes what it has taken into its own area, in chunks; the sum over all live
 * backends never exceeds the limit by more than what several claim at the same instant, and none
 * of those claims stands: who claims stores its new total, fences, adds up all totals and takes
 * its claim back if they are too many. Of two that claim at once at the limit at least one sees
 * the other.
 *
 * One backend may take at most a quarter of the whole, so that a client cannot starve the others
 * with requests that it never completes; a broken or hostile backend is counted with no more than
 * that either.
 *
 * src/include/session/memory.h
 */
#ifndef SESSION_MEMORY_H
#define SESSION_MEMORY_H

#include "ipc/shmem.h"
#include "utils/arena.h"

#define MEMORY_CHUNK (128 * 1024)

typedef struct SessionMemory
{
	MemoryBudget budget; /* first: what net and rpc are given */
	Shm *shm;
	uint32_t slot;
	uint64_t limit; /* of all backends */
	uint64_t own_limit;
	uint64_t used;
	uint64_t claimed; /* as it stands in the area */
	uint64_t refused; /* how often there was none */
} SessionMemory;

/*
 * Before the first request. largest_request: what one request may need, which is never more than
 * one backend may take.
 */
extern void session_memory_init(SessionMemory *memory, Shm *shm, uint32_t slot, uint64_t limit,
								uint64_t largest_request);
/* Sum of what all live backends have claimed.  Any process. */
extern uint64_t session_memory_total(const Shm *shm, uint64_t most_of_one);

#endif /* SESSION_MEMORY_H */
