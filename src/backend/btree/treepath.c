/*
 * treepath.c
 *	  From the root to a leaf and back up: copying pages before they change, splitting, merging.
 *
 * Applier only.  A page born in the root being built is changed in place: no published root reaches
 * it.  All others are copied to a fresh page and die.  Since a changed pointer changes the page that
 * holds it, all pages above one that was born in the root being built were born in it too. [btree-1]
 *
 * src/backend/btree/treepath.c
 */
#include "rusd.h"

#include "btree_int.h"

/* Below it, a page is merged with a neighbour if both together fill no more than MERGE_FILL. */
#define MERGE_BELOW (TREE_PAGE_ROOM / 3)
#define MERGE_FILL (TREE_PAGE_ROOM * 5 / 6)

Status
path_descend(TreeWriter *writer, const TreeKey *key, TreePath *path, bool *equal)
{
	const TreePage *page;
	Status status = tree_page(&writer->access, writer->root.page, writer->root.birth, &page);

	if (status == RUSD_OK && page->level >= TREE_DEPTH_MAX)
		status = RUSD_DAMAGED;
	for (path->depth = 0; status == RUSD_OK;)
	{
		uint32_t *position = &path->steps[path->depth].position;

		/* Changed only after path_make_writable has put a page of our own in its place. */
		path->steps[path->depth++].page = (TreePage *) (uintptr_t) page;
		if (page_is_leaf(page))
			return leaf_search(&writer->access, page, key, position, equal);
		status = inner_search(&writer->access, page, key, position);
		if (status == RUSD_OK)
			status = tree_child(&writer->access, page, *position, &page);
	}
	return status;
}

static void
copy_content(TreePage *to, const TreePage *from)
{
	size_t slots = from->header.used * sizeof(TreeSlot);
	const size_t skip = sizeof(PageHeader);

	to->header.used = from->header.used;
	memcpy((uint8_t *) to + skip, (const uint8_t *) from + skip, sizeof(TreePage) - skip + slots);
	memcpy((uint8_t *) to + from->bottom, (const uint8_t *) from + from->bottom,
		   (size_t) PAGE_BYTES - from->bottom);
}

static void
point_to(TreeWriter *writer, TreePath *path, int step, const PageHeader *page)
{
	if (step == 0)
		writer->root = (TreeRoot){.page = page->number, .birth = page->birth};
	else
	{
		InnerCell *cell = inner_cell(path->steps[step - 1].page, path->steps[step - 1].position);

		cell->child = page->number;
		cell->birth = page->birth;
	}
}

void
path_make_writable(TreeWriter *writer, TreePath *path)
{
	uint64_t root = space_root(writer->space);

	if (path->steps[path->depth - 1].page->header.birth == root)
		return;
	for (int step = 0; step < path->depth; step++)
	{
		TreePage *old = path->steps[step].page;
		TreePage *copy;

		if (old->header.birth == root)
			continue;
		copy = fresh_page(writer, old->level);
		copy_content(copy, old);
		path->steps[step].page = copy;
		point_to(writer, path, step, &copy->header);
		space_free(writer->space, old->header.number, old->header.birth);
	}
}

void
path_change_sums(TreePath *path, const TreeSum *plus, const TreeSum *minus)
{
	if (memcmp(plus, minus, sizeof(*plus)) == 0)
		return;
	for (int step = 0; step < path->depth - 1; step++)
	{
		InnerCell *cell = inner_cell(path->steps[step].page, path->steps[step].position);

		for (int w = 0; w < TREE_WEIGHTS; w++)
			cell->sum[w] += plus->weight[w] - minus->weight[w];
	}
}

/* ---- separators
 * ------------------------------------------------------------------------------------------ */

/* An inner cell for child with these key bytes; what is too long goes into a chain.  Returns its
 * length. */
static uint32_t
build_inner(TreeWriter *writer, const TreePage *child, const TreeSum *sum, const TreeKey *key,
			uint8_t *buffer)
{
	InnerCell *cell = (InnerCell *) buffer;
	uint8_t *next = buffer + sizeof(InnerCell);
	size_t inline_length = key->bytes.length;

	memset(cell, 0, sizeof(*cell));
	cell->child = child->header.number;
	cell->birth = child->header.birth;
	memcpy(cell->sum, sum->weight, sizeof(cell->sum));
	if (key->hi != 0 || key->lo != 0)
	{
		cell->form |= FORM_NUMBERS;
		memcpy(next, &key->hi, sizeof(uint64_t));
		memcpy(next + sizeof(uint64_t), &key->lo, sizeof(uint64_t));
		next += 2 * sizeof(uint64_t);
	}
	if (inline_length > TREE_KEY_INLINE_MAX)
	{
		ChainRef chain = {.length = inline_length};
		uint64_t page;
		uint64_t birth;

		inline_length = TREE_LONG_KEY_PREFIX;
		chain_write(writer,
					(Bytes){key->bytes.data + inline_length, key->bytes.length - inline_length},
					&page, &birth);
		chain.page = page;
		chain.birth = birth;
		cell->form |= FORM_LONG_KEY;
		memcpy(next, &chain, sizeof(chain));
		next += sizeof(chain);
	}
	cell->key_inline = (uint16_t) inline_length;
	if (inline_length > 0)
		memcpy(next, key->bytes.data, inline_length);
	return (uint32_t) (next + inline_length - buffer);
}

/* The whole bytes of a key that lies in part in a chain; the caller frees them. */
static Status
whole_key(TreeWriter *writer, const CellKey *key, uint8_t **bytes)
{
	*bytes = malloc(key->length);
	if (*bytes == NULL)
		return RUSD_NO_MEMORY;
	memcpy(*bytes, key->bytes, key->inline_length);
	if (key->page == PAGE_NONE)
		return RUSD_OK;
	return chain_read(&writer->access, key->page, key->birth, 0, *bytes + key->inline_length,
					  key->length - key->inline_length, NULL, 0);
}

/*
 * The shortest key above left and not above right: as many of right's bytes as are needed to tell
 * them apart; all of them and the numbers where the bytes are the same.
 */
static TreeKey
shortest_between(Bytes left, Bytes right, const CellKey *right_key)
{
	uint32_t shared = common_length(left.data, left.length, right.data, right.length);

	if (shared < right.length)
		return (TreeKey){.bytes = {right.data, shared + 1}};
	return (TreeKey){.bytes = right, .hi = right_key->hi, .lo = right_key->lo};
}

static Status
build_separator(TreeWriter *writer, const LeafCell *left_cell, const LeafCell *right_cell,
				const TreePage *child, const TreeSum *sum, uint8_t *buffer, uint32_t *length)
{
	CellKey left;
	CellKey right;
	uint8_t *left_bytes = NULL;
	uint8_t *right_bytes = NULL;
	TreeKey key;
	Status status;

	leaf_key(left_cell, &left);
	leaf_key(right_cell, &right);
	if (likely(left.page == PAGE_NONE && right.page == PAGE_NONE))
	{
		key = shortest_between((Bytes){left.bytes, left.length}, (Bytes){right.bytes, right.length},
							   &right);
		*length = build_inner(writer, child, sum, &key, buffer);
		return RUSD_OK;
	}
	status = whole_key(writer, &left, &left_bytes);
	if (status == RUSD_OK)
		status = whole_key(writer, &right, &right_bytes);
	if (status == RUSD_OK)
	{
		key = shortest_between((Bytes){left_bytes, left.length}, (Bytes){right_bytes, right.length},
							   &right);
		*length = build_inner(writer, child, sum, &key, buffer);
	}
	free(left_bytes);
	free(right_bytes);
	return status;
}

/* A copy of from without its key, for the first place of a page. */
static uint32_t
strip_key(const InnerCell *from, InnerCell *to)
{
	memcpy(to, from, sizeof(*to));
	to->form = 0;
	to->key_inline = 0;
	return sizeof(*to);
}

/* The key part of from (form, numbers, chain, bytes) behind the child and sums of value.  Returns
 * the length. */
static uint32_t
graft_key(const InnerCell *from, uint32_t from_length, const InnerCell *value, uint8_t *buffer)
{
	memcpy(buffer, from, from_length);
	memcpy(buffer, value, offsetof(InnerCell, key_inline));
	return from_length;
}

/* ---- splitting
 * --------------------------------------------------------------------------------------------- */

static bool
path_is_rightmost(const TreePath *path, int step)
{
	for (int i = 0; i < step; i++)
	{
		if (path->steps[i].position + 1 < path->steps[i].page->header.used)
			return false;
	}
	return true;
}

static bool
same_key_bytes(const void *left_cell, const void *right_cell)
{
	CellKey left;
	CellKey right;

	leaf_key(left_cell, &left);
	leaf_key(right_cell, &right);
	return left.page == PAGE_NONE && right.page == PAGE_NONE && left.length == right.length &&
		   memcmp(left.bytes, right.bytes, left.length) == 0;
}

/*
 * How many cells stay in the left page: about half of the bytes; all old ones where keys are
 * appended in order.  Where the middle falls into older versions of the new cell's key (they stand
 * behind it), all of them go to the right: nothing is inserted among them any more, so that page
 * stays as full as it is.
 */
static uint32_t
split_place(const CellSpan *cells, uint32_t count, uint32_t position, bool is_leaf, bool appended)
{
	uint32_t total = 0;
	uint32_t left = 0;
	uint32_t place = 0;

	if (appended)
		return count - 1;
	for (uint32_t i = 0; i < count; i++)
		total += cells[i].length + (uint32_t) sizeof(TreeSlot);
	/* A cell is at most a quarter of a page: either side of the middle has room. */
	while (place < count - 1 && left + (cells[place].length + sizeof(TreeSlot)) / 2 < total / 2)
		left += cells[place++].length + (uint32_t) sizeof(TreeSlot);
	place = Max(place, 1);
	if (is_leaf && position < place && same_key_bytes(cells[position].cell, cells[place].cell))
		return position + 1;
	return place;
}

typedef struct SplitWork
{
	uint8_t old[PAGE_BYTES];
	uint8_t up[PAGE_BYTES / 2]; /* the cell for the parent */
	uint32_t up_length;
	InnerCell first; /* of the right page, without its key */
	CellSpan cells[PAGE_CELLS_MAX];
} SplitWork;

static Status put_above(TreeWriter *writer, TreePath *path, int step, const TreePage *page,
						const SplitWork *work);

/* Splits the page at step while putting the cell in at its position. */
static Status
split_and_put(TreeWriter *writer, TreePath *path, int step, const void *cell, uint32_t length)
{
	SplitWork work;
	TreePage *page = path->steps[step].page;
	uint32_t position = path->steps[step].position;
	TreePage *right = fresh_page(writer, page->level);
	bool appended = position == page->header.used && path_is_rightmost(path, step);
	uint32_t count;
	uint32_t place;
	TreeSum sum;

	memcpy(work.old, page, PAGE_BYTES);
	count = page_spans((TreePage *) work.old, work.cells);
	memmove(&work.cells[position + 1], &work.cells[position],
			(count - position) * sizeof(CellSpan));
	work.cells[position] = (CellSpan){cell, length};
	count++;
	place = split_place(work.cells, count, position, page_is_leaf(page), appended);

	page_fill(page, page->level, work.cells, place);
	if (page_is_leaf(page))
	{
		Status status;

		page_fill(right, 0, work.cells + place, count - place);
		page_sum(right, writer->weigh, &sum);
		status = build_separator(writer, work.cells[place - 1].cell, work.cells[place].cell, right,
								 &sum, work.up, &work.up_length);
		if (status != RUSD_OK)
			return status;
	}
	else
	{
		/* The key of the right page's first cell moves up. */
		CellSpan first = work.cells[place];
		InnerCell value = {.child = right->header.number, .birth = right->header.birth};

		work.cells[place].cell = &work.first;
		work.cells[place].length = strip_key(first.cell, &work.first);
		page_fill(right, page->level, work.cells + place, count - place);
		page_sum(right, writer->weigh, &sum);
		memcpy(value.sum, sum.weight, sizeof(value.sum));
		work.up_length = graft_key(first.cell, first.length, &value, work.up);
	}
	return put_above(writer, path, step, page, &work);
}

/* After a split of the page at step: the sums of what stayed, and the new page's cell into the
 * parent. */
static Status
put_above(TreeWriter *writer, TreePath *path, int step, const TreePage *page, const SplitWork *work)
{
	TreeSum sum;
	InnerCell *cell;
	TreePage *parent;

	page_sum(page, writer->weigh, &sum);
	if (step == 0)
	{
		uint8_t first[sizeof(InnerCell)];
		TreeKey none = {.hi = 0};
		uint32_t first_length = build_inner(writer, page, &sum, &none, first);

		parent = fresh_page(writer, page->level + 1u);
		page_put(parent, 0, first, first_length);
		page_put(parent, 1, work->up, work->up_length);
		writer->root = (TreeRoot){.page = parent->header.number, .birth = parent->header.birth};
		return RUSD_OK;
	}
	parent = path->steps[step - 1].page;
	cell = inner_cell(parent, path->steps[step - 1].position);
	memcpy(cell->sum, sum.weight, sizeof(cell->sum));
	path->steps[step - 1].position++;
	if (page_put(parent, path->steps[step - 1].position, work->up, work->up_length))
		return RUSD_OK;
	return split_and_put(writer, path, step - 1, work->up, work->up_length);
}

Status
path_put(TreeWriter *writer, TreePath *path, const void *cell, uint32_t length)
{
	int last = path->depth - 1;

	if (likely(page_put(path->steps[last].page, path->steps[last].position, cell, length)))
		return RUSD_OK;
	return split_and_put(writer, path, last, cell, length);
}

/* ---- merging
 * -------------------------------------------------------------------------------------------------
 */

/* Takes the cell at position out of an inner page; keep_chain: its key has moved elsewhere. */
static Status
drop_entry(TreeWriter *writer, TreePage *page, uint32_t position, bool keep_chain)
{
	Status status = RUSD_OK;

	if (!keep_chain)
		status = inner_free_chain(writer, inner_cell(page, position));
	if (status != RUSD_OK)
		return status;
	page_drop(page, position);
	if (position == 0 && page->header.used > 0)
	{
		InnerCell first;

		/* The first place has no key: the parent's separator stands for it. */
		status = inner_free_chain(writer, inner_cell(page, 0));
		strip_key(inner_cell(page, 0), &first);
		page_drop(page, 0);
		page_put(page, 0, &first, sizeof(first));
	}
	return status;
}

/* Removes the root while it has but one child, or nothing. */
static Status
shrink_root(TreeWriter *writer, TreePath *path)
{
	const TreePage *root = path->steps[0].page;

	if (root->header.used == 0)
	{
		space_free(writer->space, root->header.number, root->header.birth);
		writer->root = (TreeRoot){.page = PAGE_NONE, .birth = 0};
		return RUSD_OK;
	}
	while (!page_is_leaf(root) && root->header.used == 1)
	{
		const TreePage *child;
		Status status = tree_child(&writer->access, root, 0, &child);

		if (status != RUSD_OK)
			return status;
		writer->root = (TreeRoot){.page = child->header.number, .birth = child->header.birth};
		space_free(writer->space, root->header.number, root->header.birth);
		root = child;
	}
	return RUSD_OK;
}

typedef struct MergeWork
{
	uint8_t old[PAGE_BYTES];
	uint8_t
		pulled[PAGE_BYTES / 2]; /* the right page's first cell with the key that stood above it */
	CellSpan cells[2 * PAGE_CELLS_MAX];
} MergeWork;

/*
 * Puts the page at step and its neighbour, whose cells stand at left_position and the place behind
 * it, together into the page at step.
 */
static Status
merge(TreeWriter *writer, TreePath *path, int step, const TreePage *neighbour,
	  uint32_t left_position)
{
	MergeWork work;
	TreePage *page = path->steps[step].page;
	TreePage *parent = path->steps[step - 1].page;
	bool page_is_left = left_position == path->steps[step - 1].position;
	const TreePage *old = (TreePage *) work.old;
	InnerCell *left_entry = inner_cell(parent, left_position);
	InnerCell *right_entry = inner_cell(parent, left_position + 1);
	uint32_t left_count;
	uint32_t count;

	memcpy(work.old, page, PAGE_BYTES);
	left_count = page_spans(page_is_left ? old : neighbour, work.cells);
	count = left_count + page_spans(page_is_left ? neighbour : old, work.cells + left_count);
	if (!page_is_leaf(page))
	{
		CellSpan *first = &work.cells[left_count];

		first->length = graft_key(right_entry, parent->slots[left_position + 1].length, first->cell,
								  work.pulled);
		first->cell = work.pulled;
	}
	page_fill(page, page->level, work.cells, count);
	left_entry->child = page->header.number;
	left_entry->birth = page->header.birth;
	for (int w = 0; w < TREE_WEIGHTS; w++)
		left_entry->sum[w] += right_entry->sum[w];
	space_free(writer->space, neighbour->header.number, neighbour->header.birth);
	return drop_entry(writer, parent, left_position + 1, !page_is_leaf(page));
}

/* Merges the page at step with a neighbour if that is worth it; *done tells. */
static Status
try_merge(TreeWriter *writer, TreePath *path, int step, bool *done)
{
	TreePage *page = path->steps[step].page;
	TreePage *parent = path->steps[step - 1].page;
	uint32_t position = path->steps[step - 1].position;

	*done = false;
	for (int side = 0; side < 2; side++)
	{
		const TreePage *neighbour;
		uint32_t left_position = side == 0 ? position : position - 1;
		uint32_t extra;
		Status status;

		if (side == 0 ? position + 1 >= parent->header.used : position == 0)
			continue;
		status = tree_child(&writer->access, parent, side == 0 ? position + 1 : position - 1,
							&neighbour);
		if (status != RUSD_OK)
			return status;
		extra = page_is_leaf(page) ? 0 : parent->slots[left_position + 1].length;
		if (page_filled(page) + page_filled(neighbour) + extra > MERGE_FILL)
			continue;
		*done = true;
		return merge(writer, path, step, neighbour, left_position);
	}
	return RUSD_OK;
}

Status
path_drop(TreeWriter *writer, TreePath *path)
{
	int step = path->depth - 1;

	page_drop(path->steps[step].page, path->steps[step].position);
	for (; step > 0; step--)
	{
		TreePage *page = path->steps[step].page;
		bool merged = false;
		Status status;

		if (page->header.used == 0)
		{
			space_free(writer->space, page->header.number, page->header.birth);
			status = drop_entry(writer, path->steps[step - 1].page, path->steps[step - 1].position,
								false);
		}
		else if (page_filled(page) >= MERGE_BELOW)
			return RUSD_OK;
		else
		{
			status = try_merge(writer, path, step, &merged);
			if (status == RUSD_OK && !merged)
				return RUSD_OK;
		}
		if (status != RUSD_OK)
			return status;
	}
	return shrink_root(writer, path);
}
