/*
 * memory.c
 *	  A backend's share of --backend-memory: claim, then verify.
 *
 * Backends.  See session/memory.h.
 *
 * src/backend/session/memory.c
 */
#include "rusd.h"

#include "session/memory.h"

static bool memory_take(MemoryBudget *budget, size_t bytes);
static void memory_give(MemoryBudget *budget, size_t bytes);
static bool claim(SessionMemory *memory, uint64_t total);

void
session_memory_init(SessionMemory *memory, Shm *shm, uint32_t slot, uint64_t limit,
					uint64_t largest_request)
{
	*memory = (SessionMemory){
		.budget = {.take = memory_take, .give = memory_give},
		.shm = shm,
		.slot = slot,
		.limit = limit,
		.own_limit = Min(limit, Max(limit / 4, largest_request)),
	};
	atomic_store_explicit(&shm->areas[slot]->memory_taken, 0, memory_order_relaxed);
}

uint64_t
session_memory_total(const Shm *shm, uint64_t most_of_one)
{
	uint64_t total = 0;

	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm->layout.slot_count; slot++)
	{
		uint64_t taken;

		if (atomic_load_explicit(&shm->heads[slot].state, memory_order_acquire) != SLOT_LIVE)
			continue;
		taken = atomic_load_explicit(&shm->areas[slot]->memory_taken, memory_order_relaxed);
		total += Min(taken, most_of_one);
	}
	return total;
}

static bool
memory_take(MemoryBudget *budget, size_t bytes)
{
	SessionMemory *memory = (SessionMemory *) budget;
	uint64_t wanted = memory->used + bytes;

	if (unlikely(wanted > memory->claimed))
	{
		/* First a chunk more, so that the next ones are free; else just what is needed. */
		if (bytes > memory->own_limit || wanted > memory->own_limit ||
			(!claim(memory, Min(AlignUp(wanted, MEMORY_CHUNK), memory->own_limit)) &&
			 !claim(memory, wanted)))
		{
			memory->refused++;
			return false;
		}
	}
	memory->used = wanted;
	return true;
}

/*
 * The store and the sum are separated by a fence, in every backend: of two claims at once one at
 * least sees both.
 */
static bool
claim(SessionMemory *memory, uint64_t total)
{
	_Atomic uint64_t *own = &memory->shm->areas[memory->slot]->memory_taken;

	atomic_store_explicit(own, total, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (session_memory_total(memory->shm, memory->own_limit) > memory->limit)
	{
		atomic_store_explicit(own, memory->claimed, memory_order_relaxed);
		return false;
	}
	memory->claimed = total;
	return true;
}

static void
memory_give(MemoryBudget *budget, size_t bytes)
{
	SessionMemory *memory = (SessionMemory *) budget;
	uint64_t needed;

	Check(bytes <= memory->used);
	memory->used -= bytes;
	/*
	 * Back in whole chunks, but one is kept: a request that comes and goes at the edge costs
	 * nothing.
	 */
	needed = AlignUp(memory->used, MEMORY_CHUNK) + MEMORY_CHUNK;
	if (unlikely(memory->claimed > needed))
	{
		memory->claimed = needed;
		atomic_store_explicit(&memory->shm->areas[memory->slot]->memory_taken, needed,
							  memory_order_relaxed);
	}
}
