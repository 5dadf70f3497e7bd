/*
 * treemove.c
 *	  Defragmentation: pages at the end of the file move down into free places, a few leaves at a
 * time.
 *
 * Applier only.  A walk goes over the leaves in the order of keys; between two calls the tree may
 * change, so the place is kept as a key.
 *
 * src/backend/btree/treemove.c
 */
#include "rusd.h"

#include "btree_int.h"

struct TreeResume
{
	uint8_t *bytes;
	size_t capacity;
	TreeKey key;
	bool begun;
};

TreeResume *
tree_resume_create(void)
{
	return calloc(1, sizeof(TreeResume));
}

void
tree_resume_destroy(TreeResume *resume)
{
	if (resume == NULL)
		return;
	free(resume->bytes);
	free(resume);
}

/* Remembers the key of the leaf's last cell: the walk goes on behind it. */
static Status
remember(TreeWriter *writer, TreeResume *resume, const TreePage *leaf)
{
	CellKey key;

	leaf_key(page_cell(leaf, leaf->header.used - 1u), &key);
	if (key.length > resume->capacity)
	{
		uint8_t *bytes = realloc(resume->bytes, key.length);

		if (bytes == NULL)
			return RUSD_NO_MEMORY;
		resume->bytes = bytes;
		resume->capacity = key.length;
	}
	if (key.inline_length > 0)
		memcpy(resume->bytes, key.bytes, key.inline_length);
	resume->key = (TreeKey){.bytes = {resume->bytes, key.length}, .hi = key.hi, .lo = key.lo};
	resume->begun = true;
	if (key.page == PAGE_NONE)
		return RUSD_OK;
	return chain_read(&writer->access, key.page, key.birth, 0, resume->bytes + key.inline_length,
					  key.length - key.inline_length, NULL, 0);
}

static bool
worth_moving(const TreeWriter *writer, uint64_t page, uint64_t limit)
{
	return page >= limit && space_lowest_free(writer->space) < limit;
}

/* Copies a chain of which a page lies too high.  *page and *birth become those of the copy. */
static Status
move_chain(TreeWriter *writer, uint64_t *page, uint64_t *birth, uint64_t length, uint64_t limit,
		   bool *moved)
{
	uint64_t at = *page;
	uint64_t at_birth = *birth;
	bool high = false;
	uint8_t *bytes;
	uint64_t old_page = *page;
	uint64_t old_birth = *birth;
	Status status = RUSD_OK;

	*moved = false;
	for (uint64_t left = length; left > 0 && !high;)
	{
		const PageHeader *header;

		high = worth_moving(writer, at, limit);
		status = page_get(&writer->access, at, at_birth, &header);
		if (status != RUSD_OK)
			return status;
		left -= Min(left, Max(header->used, 1));
		at = ((const OverflowPage *) header)->next;
		at_birth = ((const OverflowPage *) header)->next_birth;
	}
	if (!high)
		return RUSD_OK;
	bytes = malloc(length);
	if (bytes == NULL)
		return RUSD_NO_MEMORY;
	status = chain_read(&writer->access, old_page, old_birth, 0, bytes, length, NULL, 0);
	if (status == RUSD_OK)
		status = chain_write(writer, (Bytes){bytes, length}, page, birth);
	free(bytes);
	if (status == RUSD_OK)
		status = chain_free(writer, old_page, old_birth, length);
	*moved = status == RUSD_OK;
	return status;
}

/* Puts a page of the path at another place, even one that was born in the root being built. */
static void
move_step(TreeWriter *writer, TreePath *path, int step)
{
	TreePage *old = path->steps[step].page;
	TreePage *copy = fresh_page(writer, old->level);

	memcpy((uint8_t *) copy + sizeof(PageHeader), (const uint8_t *) old + sizeof(PageHeader),
		   PAGE_BYTES - sizeof(PageHeader));
	copy->header.used = old->header.used;
	path->steps[step].page = copy;
	if (step == 0)
		writer->root = (TreeRoot){.page = copy->header.number, .birth = copy->header.birth};
	else
	{
		InnerCell *cell = inner_cell(path->steps[step - 1].page, path->steps[step - 1].position);

		cell->child = copy->header.number;
		cell->birth = copy->header.birth;
	}
	space_free(writer->space, old->header.number, old->header.birth);
}

/* A chain reference inside a cell of the page at the path's end or above: moved, and changed in
 * place. */
static Status
move_reference(TreeWriter *writer, TreePath *path, int step, uint32_t offset,
			   uint64_t inline_length, uint64_t limit)
{
	ChainRef chain;
	uint64_t page;
	uint64_t birth;
	bool moved;
	TreePath above = *path;
	Status status;

	memcpy(&chain, (uint8_t *) path->steps[step].page + offset, sizeof(chain));
	page = chain.page;
	birth = chain.birth;
	status = move_chain(writer, &page, &birth, chain.length - inline_length, limit, &moved);
	if (status != RUSD_OK || !moved)
		return status;
	chain.page = page;
	chain.birth = birth;
	above.depth = step + 1;
	path_make_writable(writer, &above);
	memcpy(path->steps, above.steps, sizeof(path->steps[0]) * (size_t) above.depth);
	memcpy((uint8_t *) path->steps[step].page + offset, &chain, sizeof(chain));
	return RUSD_OK;
}

static Status
move_leaf_chains(TreeWriter *writer, TreePath *path, uint64_t limit)
{
	int step = path->depth - 1;

	for (uint32_t i = 0; i < path->steps[step].page->header.used; i++)
	{
		LeafCell cell;
		uint32_t offset = path->steps[step].page->slots[i].offset;
		Status status = RUSD_OK;

		memcpy(&cell, (uint8_t *) path->steps[step].page + offset, sizeof(cell));
		offset += sizeof(LeafCell);
		if ((cell.form & FORM_LONG_KEY) != 0)
		{
			status = move_reference(writer, path, step, offset, cell.key_inline, limit);
			offset += sizeof(ChainRef);
		}
		if (status == RUSD_OK && (cell.form & FORM_LONG_VALUE) != 0)
			status = move_reference(writer, path, step, offset, cell.value_inline, limit);
		if (status != RUSD_OK)
			return status;
	}
	return RUSD_OK;
}

/* The chain of the separator that the path goes through. */
static Status
move_separator(TreeWriter *writer, TreePath *path, int step, uint64_t limit)
{
	uint32_t offset = path->steps[step].page->slots[path->steps[step].position].offset;
	InnerCell cell;

	memcpy(&cell, (uint8_t *) path->steps[step].page + offset, sizeof(cell));
	if ((cell.form & FORM_LONG_KEY) == 0)
		return RUSD_OK;
	offset += sizeof(InnerCell);
	if ((cell.form & FORM_NUMBERS) != 0)
		offset += 2 * sizeof(uint64_t);
	return move_reference(writer, path, step, offset, cell.key_inline, limit);
}

static Status
move_path(TreeWriter *writer, TreePath *path, uint64_t limit)
{
	Status status = RUSD_OK;

	for (int step = 0; step < path->depth - 1 && status == RUSD_OK; step++)
		status = move_separator(writer, path, step, limit);
	if (status == RUSD_OK)
		status = move_leaf_chains(writer, path, limit);
	for (int step = 0; step < path->depth && status == RUSD_OK; step++)
	{
		if (!worth_moving(writer, path->steps[step].page->header.number, limit))
			continue;
		if (step > 0)
		{
			TreePath above = *path;

			above.depth = step;
			path_make_writable(writer, &above);
			memcpy(path->steps, above.steps, sizeof(path->steps[0]) * (size_t) step);
		}
		move_step(writer, path, step);
	}
	return status;
}

/* To the leaf behind the remembered key; *done: there is none. */
static Status
find_leaf(TreeWriter *writer, const TreeResume *resume, TreePath *path, bool *done)
{
	static const TreeKey lowest = {.hi = 0};
	TreeCursor cursor;
	Status status;

	*done = false;
	if (!resume->begun)
		status = tree_seek(&cursor, &writer->access, writer->root, &lowest);
	else
	{
		status = tree_seek(&cursor, &writer->access, writer->root, &resume->key);
		if (status == RUSD_OK)
		{
			CellKey key;
			int order;

			leaf_key(page_cell((const TreePage *) cursor.path[cursor.depth - 1].page,
							   cursor.path[cursor.depth - 1].position),
					 &key);
			status = key_compare(&writer->access, &key, &resume->key, &order);
			if (status == RUSD_OK && order == 0)
				status = tree_next(&cursor);
		}
	}
	*done = status == RUSD_END;
	if (status != RUSD_OK)
		return *done ? RUSD_OK : status;
	path->depth = cursor.depth;
	for (int step = 0; step < cursor.depth; step++)
	{
		path->steps[step].page = (TreePage *) (uintptr_t) cursor.path[step].page;
		path->steps[step].position = cursor.path[step].position;
	}
	return RUSD_OK;
}

Status
tree_move_down(TreeWriter *writer, TreeResume *resume, uint64_t limit, uint32_t max_leaves,
			   bool *done)
{
	*done = writer->root.page == PAGE_NONE;
	for (uint32_t leaf = 0; leaf < max_leaves && !*done; leaf++)
	{
		TreePath path = {.depth = 0};
		Status status = find_leaf(writer, resume, &path, done);

		if (status != RUSD_OK || *done)
			return status;
		status = remember(writer, resume, path.steps[path.depth - 1].page);
		if (status == RUSD_OK)
			status = move_path(writer, &path, limit);
		if (status != RUSD_OK)
			return status;
	}
	return RUSD_OK;
}
