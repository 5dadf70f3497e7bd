/*
 * treepage.c
 *	  Cells in one page: reading them, putting one in, taking one out, filling a page anew.
 *
 * Reading runs in any process, changing in the applier only, on a page that no published root
 * reaches.
 *
 * src/backend/btree/treepage.c
 */
#include "rusd.h"

#include "btree_int.h"

void
leaf_key(const LeafCell *cell, CellKey *key)
{
	const uint8_t *next = (const uint8_t *) cell + sizeof(LeafCell);

	key->hi = cell->hi;
	key->lo = cell->lo;
	key->inline_length = cell->key_inline;
	key->length = cell->key_inline;
	key->page = PAGE_NONE;
	key->birth = 0;
	if (unlikely((cell->form & (FORM_LONG_KEY | FORM_LONG_VALUE)) != 0))
	{
		if ((cell->form & FORM_LONG_KEY) != 0)
		{
			const ChainRef *chain = (const ChainRef *) next;

			key->length = chain->length;
			key->page = chain->page;
			key->birth = chain->birth;
			next += sizeof(ChainRef);
		}
		if ((cell->form & FORM_LONG_VALUE) != 0)
			next += sizeof(ChainRef);
	}
	key->bytes = next;
}

void
inner_key(const InnerCell *cell, CellKey *key)
{
	const uint8_t *next = (const uint8_t *) cell + sizeof(InnerCell);

	key->hi = 0;
	key->lo = 0;
	if ((cell->form & FORM_NUMBERS) != 0)
	{
		memcpy(&key->hi, next, sizeof(uint64_t));
		memcpy(&key->lo, next + sizeof(uint64_t), sizeof(uint64_t));
		next += 2 * sizeof(uint64_t);
	}
	key->inline_length = cell->key_inline;
	key->length = cell->key_inline;
	key->page = PAGE_NONE;
	key->birth = 0;
	if (unlikely((cell->form & FORM_LONG_KEY) != 0))
	{
		const ChainRef *chain = (const ChainRef *) next;

		key->length = chain->length;
		key->page = chain->page;
		key->birth = chain->birth;
		next += sizeof(ChainRef);
	}
	key->bytes = next;
}

void
page_key(const TreePage *page, uint32_t position, CellKey *key)
{
	if (page_is_leaf(page))
		leaf_key(page_cell(page, position), key);
	else
		inner_key(page_cell(page, position), key);
}

void
leaf_cell_view(const LeafCell *cell, TreeCell *view)
{
	const uint8_t *next = (const uint8_t *) cell + sizeof(LeafCell);

	view->flags = cell->flags;
	view->hi = cell->hi;
	view->lo = cell->lo;
	view->key_length = cell->key_inline;
	view->value_length = cell->value_inline;
	view->key_overflow_page = PAGE_NONE;
	view->value_overflow_page = PAGE_NONE;
	if (unlikely((cell->form & FORM_LONG_KEY) != 0))
	{
		const ChainRef *chain = (const ChainRef *) next;

		view->key_length = chain->length;
		view->key_overflow_page = chain->page;
		view->key_overflow_birth = chain->birth;
		next += sizeof(ChainRef);
	}
	if (unlikely((cell->form & FORM_LONG_VALUE) != 0))
	{
		const ChainRef *chain = (const ChainRef *) next;

		view->value_length = chain->length;
		view->value_overflow_page = chain->page;
		view->value_overflow_birth = chain->birth;
		next += sizeof(ChainRef);
	}
	view->key_inline = (Bytes){next, cell->key_inline};
	view->value_inline = (Bytes){next + cell->key_inline, cell->value_inline};
}

void
page_init(TreePage *page, uint32_t level)
{
	page->header.used = 0;
	page->level = (uint16_t) level;
	page->bottom = PAGE_BYTES;
	page->garbage = 0;
	page->prefix = 0;
}

uint32_t
page_spans(const TreePage *page, CellSpan *cells)
{
	for (uint32_t i = 0; i < page->header.used; i++)
		cells[i] = (CellSpan){page_cell(page, i), page->slots[i].length};
	return page->header.used;
}

/* Sets the prefix to what the keys of cells [first, last] have in common, and all heads by it. */
static void
set_prefix(TreePage *page, uint32_t prefix)
{
	page->prefix = (uint16_t) prefix;
	for (uint32_t i = 0; i < page->header.used; i++)
	{
		CellKey key;

		page_key(page, i, &key);
		page->slots[i].head = key_head(key.bytes, key.inline_length, prefix);
	}
}

/* The keys are in order: what the first and the last have in common, all have. */
static uint32_t
find_prefix(const TreePage *page)
{
	uint32_t first_position = page_is_leaf(page) ? 0 : 1;
	CellKey first;
	CellKey last;

	if (page->header.used <= first_position)
		return 0;
	page_key(page, first_position, &first);
	page_key(page, page->header.used - 1u, &last);
	return common_length(first.bytes, Min(first.inline_length, TREE_PREFIX_MAX), last.bytes,
						 last.inline_length);
}

void
page_fill(TreePage *page, uint32_t level, const CellSpan *cells, uint32_t count)
{
	page_init(page, level);
	for (uint32_t i = 0; i < count; i++)
	{
		Check(page_gap(page) >= cells[i].length + sizeof(TreeSlot));
		page->bottom = (uint16_t) (page->bottom - cells[i].length);
		page->slots[i].offset = page->bottom;
		page->slots[i].length = (uint16_t) cells[i].length;
		memcpy((uint8_t *) page + page->bottom, cells[i].cell, cells[i].length);
		page->header.used++;
	}
	set_prefix(page, find_prefix(page));
}

/* Moves the cells together, so that all room is in one piece. */
static void
page_compact(TreePage *page)
{
	uint8_t old[PAGE_BYTES];
	uint32_t bottom = PAGE_BYTES;

	memcpy(old + page->bottom, (uint8_t *) page + page->bottom, (size_t) PAGE_BYTES - page->bottom);
	for (uint32_t i = 0; i < page->header.used; i++)
	{
		TreeSlot *slot = &page->slots[i];

		bottom -= slot->length;
		memcpy((uint8_t *) page + bottom, old + slot->offset, slot->length);
		slot->offset = (uint16_t) bottom;
	}
	page->bottom = (uint16_t) bottom;
	page->garbage = 0;
}

bool
page_put(TreePage *page, uint32_t position, const void *cell, uint32_t length)
{
	uint32_t count = page->header.used;
	uint32_t shared;
	CellKey key;

	if (page_gap(page) < length + sizeof(TreeSlot))
	{
		if (page_gap(page) + page->garbage < length + sizeof(TreeSlot))
			return false;
		page_compact(page);
	}
	page->bottom = (uint16_t) (page->bottom - length);
	memcpy((uint8_t *) page + page->bottom, cell, length);
	memmove(&page->slots[position + 1], &page->slots[position],
			(count - position) * sizeof(TreeSlot));
	page->slots[position].offset = page->bottom;
	page->slots[position].length = (uint16_t) length;
	page->header.used++;
	if (position == 0 && !page_is_leaf(page))
	{
		/* An inner page's first cell has no key and no part in the prefix. */
		page->slots[0].head = 0;
		return true;
	}

	page_key(page, position, &key);
	if (count > (page_is_leaf(page) ? 0u : 1u))
	{
		/* Any other key begins with the prefix. */
		CellKey other;

		page_key(page, position == count ? count - 1 : position + 1, &other);
		shared = common_length(key.bytes, Min(key.inline_length, page->prefix), other.bytes,
							   other.inline_length);
		if (shared < page->prefix)
		{
			set_prefix(page, shared);
			return true;
		}
	}
	else
		page->prefix = (uint16_t) Min(key.inline_length, TREE_PREFIX_MAX);
	page->slots[position].head = key_head(key.bytes, key.inline_length, page->prefix);
	return true;
}

void
page_drop(TreePage *page, uint32_t position)
{
	uint32_t count = page->header.used;
	TreeSlot *slot = &page->slots[position];

	if (slot->offset == page->bottom)
		page->bottom = (uint16_t) (page->bottom + slot->length);
	else
		page->garbage = (uint16_t) (page->garbage + slot->length);
	memmove(slot, slot + 1, (count - position - 1) * sizeof(TreeSlot));
	page->header.used--;
	if (page->header.used == 0)
		page_init(page, page->level);
}

void
page_sum(const TreePage *page, TreeWeigh weigh, TreeSum *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (uint32_t i = 0; i < page->header.used; i++)
	{
		TreeSum one = {{0}};

		if (page_is_leaf(page))
		{
			TreeCell cell;

			leaf_cell_view(page_cell(page, i), &cell);
			weigh(&cell, &one);
		}
		else
			memcpy(one.weight, inner_cell(page, i)->sum, sizeof(one.weight));
		for (int w = 0; w < TREE_WEIGHTS; w++)
			sum->weight[w] += one.weight[w];
	}
}
