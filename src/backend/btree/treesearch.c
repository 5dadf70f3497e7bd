/*
 * treesearch.c
 *	  Order of keys, and where a key belongs in a page.
 *
 * Any process.
 *
 * src/backend/btree/treesearch.c
 */
#include "rusd.h"

#include "btree_int.h"

static inline int
compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

Status
key_compare(PageAccess *access, const CellKey *cell, const TreeKey *key, int *order)
{
	size_t shared = Min(cell->inline_length, key->bytes.length);
	int result = shared == 0 ? 0 : memcmp(cell->bytes, key->bytes.data, shared);

	if (unlikely(result == 0 && cell->page != PAGE_NONE && key->bytes.length > cell->inline_length))
	{
		Bytes rest = {key->bytes.data + cell->inline_length,
					  key->bytes.length - cell->inline_length};
		Status status = chain_compare(access, cell->page, cell->birth,
									  cell->length - cell->inline_length, rest, &result);

		if (status != RUSD_OK)
			return status;
	}
	if (result == 0)
		result = compare_numbers(cell->length, key->bytes.length);
	if (result == 0)
		result = compare_numbers(cell->hi, key->hi);
	if (result == 0)
		result = compare_numbers(cell->lo, key->lo);
	*order = result;
	return RUSD_OK;
}

/*
 * Looks at the bytes that all keys of the page begin with: <0 or >0 if key is before or behind all
 * of them, else 0. The page has a key at position any.
 */
static inline int
compare_prefix(const TreePage *page, uint32_t any, const TreeKey *key)
{
	CellKey cell;
	size_t shared = Min(page->prefix, key->bytes.length);
	int result;

	if (page->prefix == 0)
		return 0;
	page_key(page, any, &cell);
	result = shared == 0 ? 0 : memcmp(key->bytes.data, cell.bytes, shared);
	if (result == 0 && key->bytes.length < page->prefix)
		return -1;
	return result;
}

/* The slots [low, high) whose head is that of the key, [*low, *high); the same and empty if there
 * is none. */
static inline void
narrow_by_head(const TreePage *page, uint32_t head, uint32_t *low, uint32_t *high)
{
	const TreeSlot *slots = page->slots;
	uint32_t from = *low;
	uint32_t count = *high - *low;

	while (count > 0)
	{
		uint32_t half = count / 2;
		bool below = slots[from + half].head < head;

		from = below ? from + half + 1 : from;
		count = below ? count - half - 1 : half;
	}
	*low = from;
	if (from == *high || slots[from].head != head)
	{
		*high = from;
		return;
	}
	/* Most often one or two are equal. */
	for (uint32_t step = 1; from + step < *high; step *= 2)
	{
		if (slots[from + step].head != head)
		{
			*high = from + step;
			break;
		}
	}
}

/* First position in [low, high) whose key is >= key; equal tells whether it is the key itself. */
static inline Status
lower_bound(PageAccess *access, const TreePage *page, uint32_t low, uint32_t high,
			const TreeKey *key, uint32_t *position, bool *equal)
{
	*equal = false;
	while (low < high)
	{
		uint32_t middle = low + (high - low) / 2;
		CellKey cell;
		int order;
		Status status;

		page_key(page, middle, &cell);
		status = key_compare(access, &cell, key, &order);
		if (unlikely(status != RUSD_OK))
			return status;
		if (order < 0)
			low = middle + 1;
		else
		{
			high = middle;
			*equal |= order == 0;
		}
	}
	*position = low;
	return RUSD_OK;
}

static inline Status
page_search(PageAccess *access, const TreePage *page, uint32_t first, const TreeKey *key,
			uint32_t *position, bool *equal)
{
	uint32_t count = page->header.used;
	uint32_t low = first;
	uint32_t high = count;
	uint32_t any;
	int side;

	*equal = false;
	*position = low;
	if (low >= high)
		return RUSD_OK;
	narrow_by_head(page, key_head(key->bytes.data, key->bytes.length, page->prefix), &low, &high);
	/*
	 * The heads have told the truth only if the key begins as all others do.  Any cell shows that;
	 * the one that is needed next anyhow costs no further line: the first candidate, else in a leaf
	 * the next cell, in an inner page the one before.
	 */
	any = low < high || first == 0 ? Min(low, count - 1) : Max(low - 1, first);
	side = compare_prefix(page, any, key);
	if (unlikely(side != 0))
	{
		*position = side < 0 ? first : count;
		return RUSD_OK;
	}
	return lower_bound(access, page, low, high, key, position, equal);
}

Status
leaf_search(PageAccess *access, const TreePage *page, const TreeKey *key, uint32_t *position,
			bool *equal)
{
	return page_search(access, page, 0, key, position, equal);
}

Status
inner_search(PageAccess *access, const TreePage *page, const TreeKey *key, uint32_t *position)
{
	bool equal;
	Status status = page_search(access, page, 1, key, position, &equal);

	/* The first separator >= key; the child before it, unless the separator is the key itself. */
	if (!equal)
		*position -= 1;
	return status;
}

/* The lines that a search will look at first: they come while the page table is read. */
static inline void
prefetch_page(const PageAccess *access, uint64_t number)
{
	const uint8_t *frame;

	if (unlikely(number >= access->shm->layout.frame_count))
		return;
	frame = access->shm->frames + number * PAGE_BYTES;
	__builtin_prefetch(frame);
	__builtin_prefetch(frame + 1 * CACHE_LINE);
	__builtin_prefetch(frame + 2 * CACHE_LINE);
	__builtin_prefetch(frame + 3 * CACHE_LINE);
}

Status
tree_page(PageAccess *access, uint64_t number, uint64_t birth, const TreePage **page)
{
	const PageHeader *header;
	Status status;

	prefetch_page(access, number);
	status = page_get(access, number, birth, &header);
	if (unlikely(status != RUSD_OK))
		return status;
	if (unlikely(header->kind != PAGE_LEAF && header->kind != PAGE_INNER))
		return RUSD_DAMAGED;
	*page = (const TreePage *) header;
	return RUSD_OK;
}

Status
tree_depth(PageAccess *access, TreeRoot root, uint64_t *depth)
{
	const TreePage *page;
	Status status;

	*depth = 0;
	if (root.page == PAGE_NONE)
		return RUSD_OK;
	status = tree_page(access, root.page, root.birth, &page);
	if (status == RUSD_OK)
		*depth = page->level + 1u;
	return status;
}

Status
tree_child(PageAccess *access, const TreePage *parent, uint32_t position, const TreePage **child)
{
	const InnerCell *cell = inner_cell(parent, position);
	Status status = tree_page(access, cell->child, cell->birth, child);

	if (unlikely(status != RUSD_OK))
		return status;
	/* Levels fall by one: no damaged pointer can lead round in a circle. */
	return likely((*child)->level + 1 == parent->level && (*child)->header.used > 0) ? RUSD_OK
																					 : RUSD_DAMAGED;
}

Status
tree_cell_compare(PageAccess *access, const TreeCell *cell, Bytes bytes, int *order)
{
	CellKey key = {.bytes = cell->key_inline.data,
				   .inline_length = (uint32_t) cell->key_inline.length,
				   .length = cell->key_length,
				   .page = cell->key_overflow_page,
				   .birth = cell->key_overflow_birth};
	TreeKey wanted = {.bytes = bytes};

	return key_compare(access, &key, &wanted, order);
}
