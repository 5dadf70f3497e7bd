/*
 * treecursor.c
 *	  Going to a place in a tree, and on from there.
 *
 * Any process that holds a snapshot.  Nothing is allocated and nothing is locked.
 *
 * src/backend/btree/treecursor.c
 */
#include "rusd.h"

#include "btree_int.h"

static inline const TreePage *
step_page(const TreeCursor *cursor, int step)
{
	return (const TreePage *) cursor->path[step].page;
}

static inline Status
at_end(TreeCursor *cursor, Status status)
{
	cursor->depth = 0;
	return status;
}

static inline Status
load_cell(TreeCursor *cursor)
{
	const TreePage *leaf = step_page(cursor, cursor->depth - 1);

	leaf_cell_view(page_cell(leaf, cursor->path[cursor->depth - 1].position), &cursor->cell);
	return RUSD_OK;
}

static Status
begin(TreeCursor *cursor, PageAccess *access, TreeRoot root, const TreePage **page)
{
	Status status;

	cursor->access = access;
	cursor->root = root;
	cursor->depth = 0;
	if (root.page == PAGE_NONE)
		return RUSD_END;
	status = tree_page(access, root.page, root.birth, page);
	if (status != RUSD_OK)
		return status;
	return likely((*page)->level < TREE_DEPTH_MAX) ? RUSD_OK : RUSD_DAMAGED;
}

static inline void
push(TreeCursor *cursor, const TreePage *page, uint32_t position)
{
	cursor->path[cursor->depth].page = &page->header;
	cursor->path[cursor->depth].position = position;
	cursor->depth++;
}

/* From the root to the leaf that key belongs to; key NULL: to the last place of all. */
static inline Status
descend(TreeCursor *cursor, PageAccess *access, TreeRoot root, const TreeKey *key)
{
	const TreePage *page;
	Status status = begin(cursor, access, root, &page);

	while (likely(status == RUSD_OK))
	{
		uint32_t position = page->header.used;
		bool equal;

		if (page_is_leaf(page))
		{
			if (key != NULL)
				status = leaf_search(access, page, key, &position, &equal);
			push(cursor, page, position);
			break;
		}
		if (key != NULL)
			status = inner_search(access, page, key, &position);
		else
			position--;
		push(cursor, page, position);
		if (status == RUSD_OK)
			status = tree_child(access, page, position, &page);
	}
	return likely(status == RUSD_OK) ? RUSD_OK : at_end(cursor, status);
}

/* The leaf's position is behind its last cell: on to the first cell of the next leaf. */
static Status
next_leaf(TreeCursor *cursor)
{
	const TreePage *page;
	Status status;

	for (cursor->depth--; cursor->depth > 0; cursor->depth--)
	{
		page = step_page(cursor, cursor->depth - 1);
		if (cursor->path[cursor->depth - 1].position + 1 < page->header.used)
			break;
	}
	if (cursor->depth == 0)
		return RUSD_END;
	cursor->path[cursor->depth - 1].position++;
	for (page = step_page(cursor, cursor->depth - 1); !page_is_leaf(page);)
	{
		status = tree_child(cursor->access, page, cursor->path[cursor->depth - 1].position, &page);
		if (status != RUSD_OK)
			return at_end(cursor, status);
		push(cursor, page, 0);
	}
	return RUSD_OK;
}

/* The same backwards: onto the last cell of the leaf before. */
static Status
previous_leaf(TreeCursor *cursor)
{
	const TreePage *page;
	Status status;

	for (cursor->depth--; cursor->depth > 0; cursor->depth--)
	{
		if (cursor->path[cursor->depth - 1].position > 0)
			break;
	}
	if (cursor->depth == 0)
		return RUSD_END;
	cursor->path[cursor->depth - 1].position--;
	for (page = step_page(cursor, cursor->depth - 1); !page_is_leaf(page);)
	{
		status = tree_child(cursor->access, page, cursor->path[cursor->depth - 1].position, &page);
		if (status != RUSD_OK)
			return at_end(cursor, status);
		push(cursor, page, page->header.used - 1u);
	}
	return RUSD_OK;
}

Status
tree_seek(TreeCursor *cursor, PageAccess *access, TreeRoot root, const TreeKey *key)
{
	Status status = descend(cursor, access, root, key);
	uint32_t position;

	if (unlikely(status != RUSD_OK))
		return status;
	position = cursor->path[cursor->depth - 1].position;
	if (unlikely(position == step_page(cursor, cursor->depth - 1)->header.used))
	{
		status = next_leaf(cursor);
		if (status != RUSD_OK)
			return status;
	}
	return load_cell(cursor);
}

Status
tree_seek_before(TreeCursor *cursor, PageAccess *access, TreeRoot root, const TreeKey *key)
{
	Status status = descend(cursor, access, root, key);

	return status != RUSD_OK ? status : tree_previous(cursor);
}

Status
tree_next(TreeCursor *cursor)
{
	int last = cursor->depth - 1;

	if (unlikely(last < 0))
		return RUSD_END;
	if (unlikely(++cursor->path[last].position >= step_page(cursor, last)->header.used))
	{
		Status status = next_leaf(cursor);

		if (status != RUSD_OK)
			return status;
	}
	return load_cell(cursor);
}

Status
tree_previous(TreeCursor *cursor)
{
	int last = cursor->depth - 1;

	if (unlikely(last < 0))
		return RUSD_END;
	if (likely(cursor->path[last].position > 0))
		cursor->path[last].position--;
	else
	{
		Status status = previous_leaf(cursor);

		if (status != RUSD_OK)
			return status;
	}
	return load_cell(cursor);
}

/* ---- by weight
 * ---------------------------------------------------------------------------------------------- */

/* The first cell of weight at or behind the position in the leaf (step +1), or at or before it
 * (step -1). */
static bool
find_in_leaf(TreeCursor *cursor, TreeWeigh weigh, int step)
{
	const TreePage *leaf = step_page(cursor, cursor->depth - 1);
	int64_t position = cursor->path[cursor->depth - 1].position;

	for (; position >= 0 && position < leaf->header.used; position += step)
	{
		TreeSum sum = {{0}};

		leaf_cell_view(page_cell(leaf, (uint32_t) position), &cursor->cell);
		weigh(&cursor->cell, &sum);
		if (sum.weight[0] != 0)
		{
			cursor->path[cursor->depth - 1].position = (uint32_t) position;
			return true;
		}
	}
	return false;
}

/* The first entry of weight from position on in that direction. */
static bool
find_in_inner(const TreePage *page, int64_t *position, int step)
{
	for (; *position >= 0 && *position < page->header.used; *position += step)
	{
		if (inner_cell(page, (uint32_t) *position)->sum[0] != 0)
			return true;
	}
	return false;
}

/* Up until there is an entry of weight, then down along such entries to a leaf. */
static Status
next_weighted_leaf(TreeCursor *cursor, int step)
{
	const TreePage *page;
	int64_t position = 0;

	for (cursor->depth--; cursor->depth > 0; cursor->depth--)
	{
		page = step_page(cursor, cursor->depth - 1);
		position = (int64_t) cursor->path[cursor->depth - 1].position + step;
		if (find_in_inner(page, &position, step))
			break;
	}
	if (cursor->depth == 0)
		return RUSD_END;
	cursor->path[cursor->depth - 1].position = (uint32_t) position;
	for (page = step_page(cursor, cursor->depth - 1); !page_is_leaf(page);)
	{
		Status status =
			tree_child(cursor->access, page, cursor->path[cursor->depth - 1].position, &page);

		if (status != RUSD_OK)
			return at_end(cursor, status);
		position = step > 0 ? 0 : page->header.used - 1;
		/* A sum above that is not borne out here is damage. */
		if (!page_is_leaf(page) && !find_in_inner(page, &position, step))
			return at_end(cursor, RUSD_DAMAGED);
		push(cursor, page, (uint32_t) position);
	}
	return RUSD_OK;
}

static Status
find_weighted(TreeCursor *cursor, TreeWeigh weigh, int step)
{
	if (cursor->depth == 0)
		return RUSD_END;
	while (!find_in_leaf(cursor, weigh, step))
	{
		Status status = next_weighted_leaf(cursor, step);

		if (status != RUSD_OK)
			return status;
	}
	return RUSD_OK;
}

Status
tree_next_weighted(TreeCursor *cursor, TreeWeigh weigh)
{
	return find_weighted(cursor, weigh, 1);
}

Status
tree_previous_weighted(TreeCursor *cursor, TreeWeigh weigh)
{
	return find_weighted(cursor, weigh, -1);
}
