/*
 * mem.c
 *	  nghttp2's allocator: blocks of a few sizes from slabs, accounted in the session's budget.
 *
 * Backends. A block has a header of 16 bytes that says its class. Slabs go back only with the
 * session, so what a connection once needed at its busiest it keeps; blocks above the largest
 * class go back at once.
 *
 * src/backend/net/mem.c
 */
#include "rusd.h"

#include "net_int.h"

#define SLAB_FIRST (8 * 1024)
#define SLAB_NEXT (32 * 1024)
/* A new stream needs less: nghttp2's stream and frames in both directions, our NetStream. */
#define STREAM_RESERVE (4 * 1024)
/* What is not pooled is taken piece by piece, and each piece may be the one that is refused. */
#define STREAM_RESERVE_UNPOOLED (16 * 1024)
#define CLASS_LARGE MEM_CLASSES
#ifndef __has_feature /* clang's */
#define __has_feature(x) 0
#endif
/* The address sanitizer shall see each block by itself. */
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define POOLED 0
#else
#define POOLED 1
#endif

struct MemBlock
{
	size_t class; /* or CLASS_LARGE */
	union
	{
		MemBlock *next; /* while free */
		size_t size;    /* of a large one, this header too */
	};
};

struct MemSlab
{
	MemSlab *next;
	size_t size;
};

StaticAssert(sizeof(MemBlock) == 16 && sizeof(MemSlab) == 16, "blocks are aligned to 16");

static void *table_malloc(size_t size, void *arg);
static void table_free(void *block, void *arg);
static void *table_calloc(size_t count, size_t size, void *arg);
static void *table_realloc(void *block, size_t size, void *arg);

void
mem_init(NetMem *mem, MemoryBudget *budget)
{
	*mem = (NetMem){.budget = budget};
	mem->table = (nghttp2_mem){
		.mem_user_data = mem,
		.malloc = table_malloc,
		.free = table_free,
		.calloc = table_calloc,
		.realloc = table_realloc,
	};
}

void
mem_destroy(NetMem *mem)
{
	Check(mem->large_bytes == 0);
	for (MemSlab *slab = mem->slabs, *next; slab != NULL; slab = next)
	{
		next = slab->next;
		mem->budget->give(mem->budget, slab->size);
		free(slab);
	}
	mem->slabs = NULL;
}

static bool
add_slab(NetMem *mem)
{
	size_t size = mem->slabs == NULL ? SLAB_FIRST : SLAB_NEXT;
	MemSlab *slab;

	if (!mem->budget->take(mem->budget, size))
		return false;
	slab = malloc(size);
	if (slab == NULL)
	{
		mem->budget->give(mem->budget, size);
		return false;
	}
	slab->size = size;
	slab->next = mem->slabs;
	mem->slabs = slab;
	mem->next = (uint8_t *) (slab + 1);
	mem->end = (uint8_t *) slab + size;
	return true;
}

bool
mem_reserve(NetMem *mem)
{
	if (POOLED)
		return mem->end - mem->next >= STREAM_RESERVE || add_slab(mem);
	if (!mem->budget->take(mem->budget, STREAM_RESERVE_UNPOOLED))
		return false;
	mem->budget->give(mem->budget, STREAM_RESERVE_UNPOOLED);
	return true;
}

static inline size_t
class_of(size_t with_header)
{
	return with_header <= 32 ? 0 : (size_t) (64 - __builtin_clzll((with_header - 1) >> 5));
}

static void *
alloc_large(NetMem *mem, size_t with_header)
{
	MemBlock *block;

	if (!mem->budget->take(mem->budget, with_header))
		return NULL;
	block = malloc(with_header);
	if (block == NULL)
	{
		mem->budget->give(mem->budget, with_header);
		return NULL;
	}
	block->class = CLASS_LARGE;
	block->size = with_header;
	mem->large_bytes += with_header;
	return block + 1;
}

void *
mem_alloc(NetMem *mem, size_t size)
{
	size_t with_header, class;
	MemBlock *block;

	if (unlikely(size > SIZE_MAX / 2))
		return NULL;
	with_header = size + sizeof(MemBlock);
	class = class_of(with_header);
	if (unlikely(class >= MEM_CLASSES) || !POOLED)
		return alloc_large(mem, with_header);
	block = mem->free[class];
	if (likely(block != NULL))
	{
		mem->free[class] = block->next;
		return block + 1;
	}
	with_header = (size_t) 32 << class;
	if (unlikely((size_t) (mem->end - mem->next) < with_header) && !add_slab(mem))
		return NULL;
	block = (MemBlock *) mem->next;
	mem->next += with_header;
	block->class = class;
	return block + 1;
}

void
mem_free(NetMem *mem, void *pointer)
{
	MemBlock *block;

	if (pointer == NULL)
		return;
	block = (MemBlock *) pointer - 1;
	if (unlikely(block->class == CLASS_LARGE))
	{
		mem->large_bytes -= block->size;
		mem->budget->give(mem->budget, block->size);
		free(block);
		return;
	}
	block->next = mem->free[block->class];
	mem->free[block->class] = block;
}

static void *
table_malloc(size_t size, void *arg)
{
	return mem_alloc(arg, size);
}

static void
table_free(void *block, void *arg)
{
	mem_free(arg, block);
}

static void *
table_calloc(size_t count, size_t size, void *arg)
{
	void *block;

	if (size != 0 && count > SIZE_MAX / size)
		return NULL;
	block = mem_alloc(arg, count * size);
	if (block != NULL)
		memset(block, 0, count * size);
	return block;
}

static void *
table_realloc(void *pointer, size_t size, void *arg)
{
	MemBlock *block;
	size_t old_size;
	void *moved;

	if (pointer == NULL)
		return mem_alloc(arg, size);
	block = (MemBlock *) pointer - 1;
	old_size =
		(block->class == CLASS_LARGE ? block->size : (size_t) 32 << block->class) - sizeof(*block);
	if (size <= old_size)
		return pointer;
	moved = mem_alloc(arg, size);
	if (moved == NULL)
		return NULL;
	memcpy(moved, pointer, old_size);
	mem_free(arg, pointer);
	return moved;
}
