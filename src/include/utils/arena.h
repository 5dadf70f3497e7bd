/*
 * arena.h
 *	  Memory that is freed as a whole, with a limit that is accounted.
 *
 * An arena takes its memory from a budget in chunks; a budget is where a process accounts what it has taken beyond its fixed part
 * (backends: of --backend-memory, see session/memory.h).  Over the budget arena_alloc returns NULL, which becomes RUSD_MEMORY_EXCEEDED for that stream, never
 * the OOM killer for the node.
 *
 * src/include/utils/arena.h
 */
#ifndef UTILS_ARENA_H
#define UTILS_ARENA_H

typedef struct MemoryBudget MemoryBudget;
struct MemoryBudget
{
	bool		(*take) (MemoryBudget *budget, size_t bytes);
	void		(*give) (MemoryBudget *budget, size_t bytes);
};

typedef struct ArenaChunk ArenaChunk;
typedef struct Arena
{
	MemoryBudget *budget;		/* NULL: unlimited */
	ArenaChunk *chunks;
	uint8_t    *next;
	uint8_t    *end;
} Arena;

extern void arena_init(Arena *arena, MemoryBudget *budget);
/* 16-aligned; NULL when the budget or the machine has no more. */
extern void *arena_alloc(Arena *arena, size_t size);
extern void *arena_zalloc(Arena *arena, size_t size);
/* Frees all but perhaps one small chunk, which is kept for the next use. */
extern void arena_reset(Arena *arena);
extern void arena_destroy(Arena *arena);

#endif							/* UTILS_ARENA_H */
