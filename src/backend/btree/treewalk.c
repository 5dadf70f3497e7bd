/*
 * treewalk.c
 *	  All pages of a tree, one after another.  Any process that holds a snapshot.
 *
 * A chain of overflow pages belongs to one cell [btree-4] and levels fall by one [btree-5]: so each
 * page is met once, and a walk over damaged pages ends too.
 *
 * src/backend/btree/treewalk.c
 */
#include "rusd.h"

#include "btree_int.h"

static void
enter(TreeWalk *walk, const TreePage *page)
{
	walk->path[walk->depth].page = &page->header;
	walk->path[walk->depth].position = 0;
	walk->path[walk->depth].part = 0;
	walk->depth++;
}

static Status
next_of_chain(TreeWalk *walk, const PageHeader **page)
{
	const OverflowPage *overflow;
	Status status = page_get(walk->access, walk->chain_page, walk->chain_birth, page);

	if (status != RUSD_OK)
		return status;
	overflow = (const OverflowPage *) *page;
	if ((*page)->kind != PAGE_OVERFLOW || (*page)->used == 0 || (*page)->used > walk->chain_left)
		return RUSD_DAMAGED;
	walk->chain_left -= (*page)->used;
	walk->chain_page = overflow->next;
	walk->chain_birth = overflow->next_birth;
	return RUSD_OK;
}

static void
enter_chain(TreeWalk *walk, uint64_t page, uint64_t birth, uint64_t length)
{
	walk->chain_page = page;
	walk->chain_birth = birth;
	walk->chain_left = page == PAGE_NONE ? 0 : length;
}

/* The parts of a leaf's cell are two chains. */
static void
step_in_leaf(TreeWalk *walk, const TreePage *page, uint32_t position, uint32_t part)
{
	TreeCell cell;

	leaf_cell_view(page_cell(page, position), &cell);
	if (part == 0)
		enter_chain(walk, cell.key_overflow_page, cell.key_overflow_birth,
					cell.key_length - cell.key_inline.length);
	else
		enter_chain(walk, cell.value_overflow_page, cell.value_overflow_birth,
					cell.value_length - cell.value_inline.length);
}

Status
tree_walk_next(TreeWalk *walk, const PageHeader **page)
{
	const TreePage *tree = NULL;
	Status status;

	if (!walk->begun && walk->root.page != PAGE_NONE)
	{
		status = tree_page(walk->access, walk->root.page, walk->root.birth, &tree);
		if (status != RUSD_OK)
			return status;
		enter(walk, tree);
	}
	walk->begun = true;
	while (tree == NULL)
	{
		uint32_t step = (uint32_t) walk->depth - 1;
		const TreePage *at;
		uint32_t position;
		uint32_t part;

		if (walk->chain_left > 0)
			return next_of_chain(walk, page);
		if (walk->depth == 0)
			return RUSD_END;
		at = (const TreePage *) walk->path[step].page;
		position = walk->path[step].position;
		part = walk->path[step].part;
		if (position == at->header.used)
		{
			walk->depth--;
			continue;
		}
		walk->path[step].position += part;
		walk->path[step].part = 1 - part;
		if (page_is_leaf(at))
			step_in_leaf(walk, at, position, part);
		else if (part == 0)
		{
			CellKey key;

			inner_key(inner_cell(at, position), &key);
			enter_chain(walk, key.page, key.birth, key.length - key.inline_length);
		}
		else
		{
			status = tree_child(walk->access, at, position, &tree);
			if (status != RUSD_OK)
				return status;
			enter(walk, tree);
		}
	}
	*page = &tree->header;
	return RUSD_OK;
}
