/*
 * arena.h
 *	  Memory that is freed as a whole, with a limit that is accounted.
 *
 * An arena takes its memory from a budget in chunks; a budget is where a process accounts what it
 * has taken beyond its fixed part (backends: of --backend-memory, see session/memory.h).  Over the
 * budget arena_alloc returns NULL, which becomes RUSD_MEMORY_EXCEEDED for that stream, never the
 * OOM killer for the node.  What is accounted is what was taken from the machine, chunk headers and
 * unused ends included.
 *
 * One arena belongs to one process and is used by one caller at a time.
 *
 * src/include/utils/arena.h
 */
#ifndef UTILS_ARENA_H
#define UTILS_ARENA_H

typedef struct MemoryBudget MemoryBudget;
struct MemoryBudget
{
	/* false: no more.  give() never fails and returns what take() granted. */
	bool (*take)(MemoryBudget *budget, size_t bytes);
	void (*give)(MemoryBudget *budget, size_t bytes);
};

typedef struct ArenaChunk ArenaChunk;
typedef struct Arena
{
	MemoryBudget *budget; /* NULL: unlimited */
	ArenaChunk *chunks;   /* newest first; the first one is being filled */
	uint8_t *next;        /* free room of the first chunk */
	uint8_t *end;
	size_t taken; /* bytes of all chunks */
} Arena;

/* Takes nothing yet.  A zeroed Arena is an initialised one without a budget. */
extern void arena_init(Arena *arena, MemoryBudget *budget);
/* 16-aligned, never two callers the same address; NULL when budget or machine has no more. */
extern void *arena_alloc(Arena *arena, size_t size);
extern void *arena_zalloc(Arena *arena, size_t size);
/* Frees all but perhaps one small chunk, which is kept (and stays accounted) for the next use. */
extern void arena_reset(Arena *arena);
/* Frees all; the arena may be used again. */
extern void arena_destroy(Arena *arena);

#endif /* UTILS_ARENA_H */
