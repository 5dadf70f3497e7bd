/*
 * arena.c
 *	  Memory that is freed as a whole, in chunks that are taken from a budget.
 *
 * Any process.  Chunks begin at ARENA_SMALL bytes and double up to ARENA_LARGE, so that a small
 * request costs one malloc at most (none after the first reset) and a large one few.  What would
 * fill much of a chunk gets one of its own behind the chunk that is being filled.
 *
 * src/backend/utils/arena.c
 */
#include "rusd.h"

#include "utils/arena.h"

#define ARENA_SMALL 4096
#define ARENA_LARGE 131072
#define ARENA_ALIGN 16

struct ArenaChunk
{
	ArenaChunk *next;
	size_t size; /* all of it, this header too */
};

StaticAssert(sizeof(ArenaChunk) % ARENA_ALIGN == 0, "what follows the header is aligned");

void
arena_init(Arena *arena, MemoryBudget *budget)
{
	*arena = (Arena){.budget = budget};
}

static ArenaChunk *
take_chunk(Arena *arena, size_t size)
{
	ArenaChunk *chunk;

	if (arena->budget != NULL && !arena->budget->take(arena->budget, size))
		return NULL;
	chunk = malloc(size);
	if (chunk == NULL)
	{
		if (arena->budget != NULL)
			arena->budget->give(arena->budget, size);
		return NULL;
	}
	chunk->size = size;
	arena->taken += size;
	return chunk;
}

static void
give_chunk(Arena *arena, ArenaChunk *chunk)
{
	size_t size = chunk->size;

#ifdef RUSD_DEBUG
	memset(chunk, 0xdb, size);
#endif
	free(chunk);
	arena->taken -= size;
	if (arena->budget != NULL)
		arena->budget->give(arena->budget, size);
}

static void *
alloc_in_own_chunk(Arena *arena, size_t size)
{
	ArenaChunk *chunk = take_chunk(arena, sizeof(*chunk) + size);

	if (chunk == NULL)
		return NULL;
	if (arena->chunks != NULL)
	{
		chunk->next = arena->chunks->next;
		arena->chunks->next = chunk;
	}
	else
	{
		/* The first of all: full from the beginning. */
		chunk->next = NULL;
		arena->chunks = chunk;
		arena->next = arena->end = (uint8_t *) chunk + chunk->size;
	}
	return chunk + 1;
}

static void *
alloc_in_new_chunk(Arena *arena, size_t size)
{
	size_t want = arena->chunks == NULL ? ARENA_SMALL : 2 * arena->chunks->size;
	ArenaChunk *chunk;

	want = Min(Max(want, ARENA_SMALL), ARENA_LARGE);
	/* A chunk that is mostly this one thing would throw away the rest of the present one. */
	if (size > want / 4)
		return alloc_in_own_chunk(arena, size);
	chunk = take_chunk(arena, want);
	/* Little may be left where much is not. */
	if (chunk == NULL)
		return alloc_in_own_chunk(arena, size);
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	arena->next = (uint8_t *) (chunk + 1) + size;
	arena->end = (uint8_t *) chunk + chunk->size;
	return chunk + 1;
}

void *
arena_alloc(Arena *arena, size_t size)
{
	void *result;

	if (unlikely(size > SIZE_MAX / 4))
		return NULL;
	size = AlignUp(Max(size, (size_t) 1), ARENA_ALIGN);
	if (unlikely(size > (size_t) (arena->end - arena->next)))
		return alloc_in_new_chunk(arena, size);
	result = arena->next;
	arena->next += size;
	return result;
}

void *
arena_zalloc(Arena *arena, size_t size)
{
	void *result = arena_alloc(arena, size);

	if (result != NULL)
		memset(result, 0, size);
	return result;
}

void
arena_reset(Arena *arena)
{
	ArenaChunk *kept = NULL;

	for (ArenaChunk *chunk = arena->chunks, *next; chunk != NULL; chunk = next)
	{
		next = chunk->next;
		if (kept == NULL && chunk->size == ARENA_SMALL)
			kept = chunk;
		else
			give_chunk(arena, chunk);
	}
	arena->chunks = kept;
	arena->next = arena->end = NULL;
	if (kept != NULL)
	{
		kept->next = NULL;
		arena->next = (uint8_t *) (kept + 1);
		arena->end = (uint8_t *) kept + kept->size;
#ifdef RUSD_DEBUG
		memset(arena->next, 0xdb, (size_t) (arena->end - arena->next));
#endif
	}
}

void
arena_destroy(Arena *arena)
{
	for (ArenaChunk *chunk = arena->chunks, *next; chunk != NULL; chunk = next)
	{
		next = chunk->next;
		give_chunk(arena, chunk);
	}
	arena->chunks = NULL;
	arena->next = arena->end = NULL;
}
