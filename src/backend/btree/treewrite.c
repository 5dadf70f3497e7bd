/*
 * treewrite.c
 *	  Inserting, changing and deleting a cell.
 *
 * Applier only.  An error is one of reading a page and fatal: the tree being built is then half
 * changed, the published one is not touched.
 *
 * src/backend/btree/treewrite.c
 */
#include "rusd.h"

#include "btree_int.h"

/* A leaf cell in buffer; what is too long goes into chains. */
static uint32_t
build_leaf(TreeWriter *writer, const TreeKey *key, uint8_t flags, Bytes head, Bytes body,
		   uint8_t *buffer)
{
	LeafCell *cell = (LeafCell *) buffer;
	uint8_t *next = buffer + sizeof(LeafCell);
	bool long_key = key->bytes.length > TREE_KEY_INLINE_MAX;
	size_t key_inline = long_key ? TREE_LONG_KEY_PREFIX : key->bytes.length;
	size_t fixed = sizeof(LeafCell) + key_inline + (long_key ? sizeof(ChainRef) : 0) + head.length;
	bool long_value = body.length > TREE_CELL_MAX - fixed;

	*cell = (LeafCell){
		.hi = key->hi,
		.lo = key->lo,
		.key_inline = (uint16_t) key_inline,
		.value_inline = (uint16_t) (head.length + (long_value ? 0 : body.length)),
		.flags = flags,
		.form = (uint8_t) ((long_key ? FORM_LONG_KEY : 0) | (long_value ? FORM_LONG_VALUE : 0))};
	for (int part = 0; part < 2; part++)
	{
		Bytes rest = body;
		ChainRef chain;
		uint64_t page;
		uint64_t birth;

		if (part == 0 ? !long_key : !long_value)
			continue;
		if (part == 0)
			rest = (Bytes){key->bytes.data + key_inline, key->bytes.length - key_inline};
		chain.length = rest.length + (part == 0 ? key_inline : head.length);
		chain_write(writer, rest, &page, &birth);
		chain.page = page;
		chain.birth = birth;
		memcpy(next, &chain, sizeof(chain));
		next += sizeof(chain);
	}
	if (key_inline > 0)
		memcpy(next, key->bytes.data, key_inline);
	next += key_inline;
	if (head.length > 0)
		memcpy(next, head.data, head.length);
	next += head.length;
	if (!long_value && body.length > 0)
	{
		memcpy(next, body.data, body.length);
		next += body.length;
	}
	return (uint32_t) (next - buffer);
}

static void
weigh_leaf_cell(TreeWriter *writer, const void *cell, TreeSum *sum)
{
	TreeCell view;

	memset(sum, 0, sizeof(*sum));
	leaf_cell_view(cell, &view);
	writer->weigh(&view, sum);
}

Status
tree_insert(TreeWriter *writer, const TreeKey *key, uint8_t flags, Bytes head, Bytes body)
{
	uint8_t buffer[TREE_CELL_MAX];
	TreePath path;
	TreeSum plus;
	TreeSum minus = {{0}};
	uint32_t length;
	bool equal;
	Status status;

	Check(head.length <= TREE_HEAD_MAX);
	if (writer->root.page == PAGE_NONE)
	{
		TreePage *leaf = fresh_page(writer, 0);

		writer->root = (TreeRoot){.page = leaf->header.number, .birth = leaf->header.birth};
	}
	status = path_descend(writer, key, &path, &equal);
	if (status != RUSD_OK)
		return status;
	path_make_writable(writer, &path);
	if (equal)
	{
		TreePage *leaf = path.steps[path.depth - 1].page;
		uint32_t position = path.steps[path.depth - 1].position;

		weigh_leaf_cell(writer, page_cell(leaf, position), &minus);
		status = leaf_free_chains(writer, page_cell(leaf, position));
		if (status != RUSD_OK)
			return status;
		page_drop(leaf, position);
	}
	length = build_leaf(writer, key, flags, head, body, buffer);
	weigh_leaf_cell(writer, buffer, &plus);
	path_change_sums(&path, &plus, &minus);
	return path_put(writer, &path, buffer, length);
}

/*
 * The cell behind the place of key, if it has the same key bytes; *cell NULL if there is none.
 * RUSD_AGAIN: it cannot be told by this page alone.
 */
static Status
find_replaced(const TreePath *path, const TreeKey *key, const LeafCell **cell)
{
	const TreePage *leaf = path->steps[path->depth - 1].page;
	uint32_t position = path->steps[path->depth - 1].position;
	CellKey found;

	*cell = NULL;
	if (position == leaf->header.used)
	{
		for (int step = 0; step < path->depth - 1; step++)
			if (path->steps[step].position + 1u < path->steps[step].page->header.used)
				return RUSD_AGAIN;
		return RUSD_OK;
	}
	leaf_key(page_cell(leaf, position), &found);
	if (found.page != PAGE_NONE)
		return RUSD_AGAIN;
	if (found.length == key->bytes.length &&
		memcmp(found.bytes, key->bytes.data, found.length) == 0)
		*cell = page_cell(leaf, position);
	return RUSD_OK;
}

Status
tree_insert_newest(TreeWriter *writer, const TreeKey *key, uint8_t flags, TreeSucceed succeed,
				   void *arg)
{
	uint8_t buffer[TREE_CELL_MAX];
	TreePath path;
	TreeSum plus;
	TreeSum minus = {{0}};
	TreeSum rest = {{0}};
	TreeCell view;
	const LeafCell *replaced;
	Bytes head, body;
	uint32_t length;
	bool equal;
	Status status;

	if (writer->root.page == PAGE_NONE || key->bytes.length > TREE_KEY_INLINE_MAX)
		return RUSD_AGAIN;
	status = path_descend(writer, key, &path, &equal);
	if (status == RUSD_OK)
		status = equal ? RUSD_AGAIN : find_replaced(&path, key, &replaced);
	if (status != RUSD_OK)
		return status;
	if (replaced != NULL)
		leaf_cell_view(replaced, &view);
	status = succeed(arg, replaced != NULL ? &view : NULL, &head, &body);
	if (status != RUSD_OK)
		return status;
	/* Built first: head and body may lie in the page that is about to change. */
	length = build_leaf(writer, key, flags, head, body, buffer);
	weigh_leaf_cell(writer, buffer, &plus);
	path_make_writable(writer, &path);
	if (replaced != NULL)
	{
		LeafCell *cell = (LeafCell *) (uintptr_t) page_cell(path.steps[path.depth - 1].page,
															path.steps[path.depth - 1].position);

		weigh_leaf_cell(writer, cell, &minus);
		cell->flags = 0;
		weigh_leaf_cell(writer, cell, &rest);
		for (int w = 0; w < TREE_WEIGHTS; w++)
			plus.weight[w] += rest.weight[w];
	}
	path_change_sums(&path, &plus, &minus);
	return path_put(writer, &path, buffer, length);
}

Status
tree_set_flags(TreeWriter *writer, const TreeKey *key, uint8_t flags)
{
	TreePath path;
	TreeSum plus;
	TreeSum minus;
	bool equal = false;
	LeafCell *cell;
	Status status;

	if (writer->root.page == PAGE_NONE)
		return RUSD_NOT_FOUND;
	status = path_descend(writer, key, &path, &equal);
	if (status != RUSD_OK || !equal)
		return status != RUSD_OK ? status : RUSD_NOT_FOUND;
	cell = (LeafCell *) (uintptr_t) page_cell(path.steps[path.depth - 1].page,
											  path.steps[path.depth - 1].position);
	if (cell->flags == flags)
		return RUSD_OK;
	path_make_writable(writer, &path);
	cell = (LeafCell *) (uintptr_t) page_cell(path.steps[path.depth - 1].page,
											  path.steps[path.depth - 1].position);
	weigh_leaf_cell(writer, cell, &minus);
	cell->flags = flags;
	weigh_leaf_cell(writer, cell, &plus);
	path_change_sums(&path, &plus, &minus);
	return RUSD_OK;
}

Status
tree_delete(TreeWriter *writer, const TreeKey *key)
{
	TreePath path;
	TreeSum plus = {{0}};
	TreeSum minus;
	bool equal = false;
	const void *cell;
	Status status;

	if (writer->root.page == PAGE_NONE)
		return RUSD_NOT_FOUND;
	status = path_descend(writer, key, &path, &equal);
	if (status != RUSD_OK || !equal)
		return status != RUSD_OK ? status : RUSD_NOT_FOUND;
	path_make_writable(writer, &path);
	cell = page_cell(path.steps[path.depth - 1].page, path.steps[path.depth - 1].position);
	weigh_leaf_cell(writer, cell, &minus);
	path_change_sums(&path, &plus, &minus);
	status = leaf_free_chains(writer, cell);
	if (status != RUSD_OK)
		return status;
	return path_drop(writer, &path);
}

uint64_t
tree_insert_pages(const TreeWriter *writer)
{
	PageAccess access = writer->access;
	const TreePage *page;
	uint64_t levels = TREE_DEPTH_MAX;

	if (writer->root.page == PAGE_NONE)
		return 1;
	if (tree_page(&access, writer->root.page, writer->root.birth, &page) == RUSD_OK)
		levels = page->level + 1u;
	/* Each page of the path is copied and split, and there is a new root. */
	return 2 * levels + 1;
}
