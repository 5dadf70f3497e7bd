/*
 * walk.c
 *	  The keys of an interval in order, each as a view sees it.
 *
 * Backends and applier.  Where the view sees the newest versions (RECORD_LIVE), subtrees without a
 * live cell are skipped by their sums.  At an older view each key costs a few steps over its
 * versions, or a seek where it has many; the bytes of a key that does not lie in one piece (above
 * TREE_KEY_INLINE_MAX) cannot be sought without a copy, so its versions are stepped over.  No
 * memory is taken.  [store-4]
 *
 * src/backend/store/walk.c
 */
#include "rusd.h"

#include "store_int.h"

/* Versions of a key that are stepped over before a seek is cheaper. */
#define STEPS_BEFORE_SEEK 12

void
view_first(int64_t view_main, uint64_t view_sub, uint64_t *hi, uint64_t *lo)
{
	/* The cell before it would be (~view_main, ~view_sub). */
	*hi = ~(uint64_t) view_main;
	*lo = ~view_sub + 1;
	if (*lo == 0)
		*hi += 1;
}

bool
view_is_newest(const Snapshot *snapshot, int64_t view_main)
{
	return view_main > snapshot->newest_main;
}

static int
compare_bytes(Bytes a, Bytes b)
{
	size_t common = Min(a.length, b.length);
	int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

	if (order != 0)
		return order;
	return a.length < b.length ? -1 : a.length > b.length;
}

static inline bool
is_zero_byte(Bytes bytes)
{
	return bytes.length == 1 && bytes.data[0] == 0;
}

bool
interval_bounds(Bytes key, Bytes range_end, TreeKey *from, TreeKey *to, bool *has_to)
{
	*from = (TreeKey){.bytes = key};
	*has_to = true;
	if (range_end.length == 0) /* KV-20: no version has these numbers */
		*to = (TreeKey){.bytes = key, .hi = UINT64_MAX, .lo = UINT64_MAX};
	else if (is_zero_byte(range_end)) /* KV-21, KV-22 */
		*has_to = false;
	else if (compare_bytes(range_end, key) <= 0) /* KV-23 */
		return false;
	else
		*to = (TreeKey){.bytes = range_end};
	return true;
}

void
walk_begin(RangeWalk *walk, PageAccess *access, TreeRoot root, Bytes key, Bytes range_end,
		   int64_t view_main, uint64_t view_sub, bool newest, bool descending)
{
	walk->access = access;
	walk->root = root;
	walk->from = key;
	walk->end = range_end;
	walk->point = range_end.length == 0;
	walk->has_end = !walk->point && !is_zero_byte(range_end);
	walk->newest = newest;
	walk->descending = descending;
	walk->known = false;
	walk->started = false;
	walk->passed = false;
	walk->done = walk->has_end && compare_bytes(range_end, key) <= 0;
	view_first(view_main, view_sub, &walk->view_hi, &walk->view_lo);
}

static inline bool
is_seen(uint64_t hi, uint64_t lo, const TreeCell *cell)
{
	return cell->hi > hi || (cell->hi == hi && cell->lo >= lo);
}

/* Do two cells have the same key bytes?  Without a copy of either, however long they are. */
static Status
same_key(PageAccess *access, const TreeCell *a, const TreeCell *b, bool *same)
{
	size_t common = Min(a->key_inline.length, b->key_inline.length);
	TreeHint hint_a = {0};
	TreeHint hint_b = {0};

	*same = a->key_length == b->key_length &&
			memcmp(a->key_inline.data, b->key_inline.data, common) == 0;
	for (uint64_t offset = common; *same && offset < a->key_length;)
	{
		uint8_t bytes_a[512];
		uint8_t bytes_b[512];
		uint64_t length = Min(a->key_length - offset, sizeof(bytes_a));
		Status status = tree_read_key(access, a, offset, bytes_a, length, &hint_a);

		if (status == RUSD_OK)
			status = tree_read_key(access, b, offset, bytes_b, length, &hint_b);
		if (status != RUSD_OK)
			return status;
		*same = memcmp(bytes_a, bytes_b, length) == 0;
		offset += length;
	}
	return RUSD_OK;
}

static inline bool
can_seek(const TreeCell *cell)
{
	return cell->key_inline.length == cell->key_length;
}

/*
 * From the cell of a key that the cursor is on, forward to the first one of the same key that is at
 * or behind (hi, lo): *same, or to the first of the next key.
 */
static Status
skip_forward(RangeWalk *walk, uint64_t hi, uint64_t lo, bool *same)
{
	TreeCursor *cursor = &walk->cursor;
	TreeCell before = cursor->cell;
	Status status;

	for (int steps = 0;; steps++)
	{
		if (is_seen(hi, lo, &cursor->cell))
		{
			*same = true;
			return RUSD_OK;
		}
		if (steps == STEPS_BEFORE_SEEK && can_seek(&before))
			break;
		before = cursor->cell;
		status = tree_next(cursor);
		if (status != RUSD_OK)
			return status;
		/* Within a key the numbers only rise. */
		*same = is_seen(before.hi, before.lo, &cursor->cell);
		if (*same)
			status = same_key(walk->access, &before, &cursor->cell, same);
		if (status != RUSD_OK || !*same)
			return status;
	}
	status = tree_seek(cursor, walk->access, walk->root,
					   &(TreeKey){.bytes = before.key_inline, .hi = hi, .lo = lo});
	if (status != RUSD_OK)
		return status;
	return same_key(walk->access, &before, &cursor->cell, same);
}

/* Is the cell behind the interval (forward) or before it (backward)? */
static Status
is_outside(RangeWalk *walk, bool *outside)
{
	int order;
	Status status;

	*outside = false;
	if (walk->descending)
	{
		status = tree_cell_compare(walk->access, &walk->cursor.cell, walk->from, &order);
		if (status == RUSD_OK)
			*outside = order < 0;
		return status;
	}
	if (!walk->has_end)
		return RUSD_OK;
	status = tree_cell_compare(walk->access, &walk->cursor.cell, walk->end, &order);
	if (status == RUSD_OK)
		*outside = order >= 0;
	return status;
}

static Status
next_newest(RangeWalk *walk, RangeItem *item)
{
	TreeCursor *cursor = &walk->cursor;
	Status status;

	if (walk->started)
		status = walk->descending ? tree_previous(cursor) : tree_next(cursor);
	else if (!walk->descending)
		status = tree_seek(cursor, walk->access, walk->root, &(TreeKey){.bytes = walk->from});
	else
		status = tree_seek_before(cursor, walk->access, walk->root,
								  walk->has_end ? &(TreeKey){.bytes = walk->end} : NULL);
	walk->started = true;
	if (status == RUSD_OK)
		status = walk->descending ? tree_previous_weighted(cursor, store_weigh_keys)
								  : tree_next_weighted(cursor, store_weigh_keys);
	if (status != RUSD_OK)
		return status;
	if (!walk->known)
	{
		bool outside;

		status = is_outside(walk, &outside);
		if (status != RUSD_OK || outside)
			return status == RUSD_OK ? RUSD_END : status;
	}
	return item_from_cell(&cursor->cell, item);
}

static Status
next_at_view(RangeWalk *walk, RangeItem *item)
{
	TreeCursor *cursor = &walk->cursor;
	Status status = RUSD_OK;
	bool same;

	if (!walk->started)
		status = tree_seek(cursor, walk->access, walk->root, &(TreeKey){.bytes = walk->from});
	walk->started = true;
	while (status == RUSD_OK)
	{
		if (walk->passed)
		{
			walk->passed = false;
			status = skip_forward(walk, UINT64_MAX, UINT64_MAX, &same);
			continue;
		}
		status = is_outside(walk, &same);
		if (status != RUSD_OK || same)
			return status == RUSD_OK ? RUSD_END : status;
		status = skip_forward(walk, walk->view_hi, walk->view_lo, &same);
		if (status != RUSD_OK || !same)
			continue;
		walk->passed = true;
		if ((cursor->cell.flags & RECORD_TOMBSTONE) == 0)
			return item_from_cell(&cursor->cell, item);
	}
	return status;
}

/*
 * The cursor is on the oldest version of a key: finds the one that the view sees (*found) and
 * leaves the cursor on the oldest version of the key before, or at the end (RUSD_END).
 */
static Status
take_backward(RangeWalk *walk, TreeCell *visible, bool *found)
{
	TreeCursor *cursor = &walk->cursor;
	TreeCell here = cursor->cell;
	Status status;
	bool same;

	*found = false;
	for (int steps = 0; steps < STEPS_BEFORE_SEEK || !can_seek(&here); steps++)
	{
		if (is_seen(walk->view_hi, walk->view_lo, &cursor->cell))
		{
			*found = true;
			*visible = cursor->cell;
		}
		here = cursor->cell;
		status = tree_previous(cursor);
		if (status != RUSD_OK)
			return status;
		same = is_seen(cursor->cell.hi, cursor->cell.lo, &here);
		if (same)
			status = same_key(walk->access, &here, &cursor->cell, &same);
		if (status != RUSD_OK || !same)
			return status;
	}
	status =
		tree_seek(cursor, walk->access, walk->root,
				  &(TreeKey){.bytes = here.key_inline, .hi = walk->view_hi, .lo = walk->view_lo});
	if (status == RUSD_OK)
		status = same_key(walk->access, &here, &cursor->cell, found);
	else if (status == RUSD_END)
	{
		*found = false;
		status = RUSD_OK;
	}
	if (status != RUSD_OK)
		return status;
	if (*found)
		*visible = cursor->cell;
	return tree_seek_before(cursor, walk->access, walk->root, &(TreeKey){.bytes = here.key_inline});
}

static Status
previous_at_view(RangeWalk *walk, RangeItem *item)
{
	TreeCell visible;
	Status status = RUSD_OK;
	bool flag;

	if (!walk->started)
		status = tree_seek_before(&walk->cursor, walk->access, walk->root,
								  walk->has_end ? &(TreeKey){.bytes = walk->end} : NULL);
	walk->started = true;
	while (status == RUSD_OK)
	{
		status = is_outside(walk, &flag);
		if (status != RUSD_OK || flag)
			return status == RUSD_OK ? RUSD_END : status;
		status = take_backward(walk, &visible, &flag);
		if (status != RUSD_OK && status != RUSD_END)
			return status;
		walk->done = status == RUSD_END; /* there is nothing before it */
		if (flag && (visible.flags & RECORD_TOMBSTONE) == 0)
			return item_from_cell(&visible, item);
	}
	return status;
}

/* One key: its version that the view sees. */
static Status
only_key(RangeWalk *walk, RangeItem *item)
{
	TreeKey key = {.bytes = walk->from, .hi = walk->view_hi, .lo = walk->view_lo};
	Status status = tree_seek(&walk->cursor, walk->access, walk->root, &key);
	int order;

	walk->done = true;
	if (status == RUSD_OK)
		status = tree_cell_compare(walk->access, &walk->cursor.cell, walk->from, &order);
	if (status != RUSD_OK)
		return status;
	if (order != 0 || (walk->cursor.cell.flags & RECORD_TOMBSTONE) != 0)
		return RUSD_END;
	return item_from_cell(&walk->cursor.cell, item);
}

Status
walk_next(RangeWalk *walk, RangeItem *item)
{
	if (walk->done)
		return RUSD_END;
	if (walk->point)
		return only_key(walk, item);
	if (walk->newest)
		return next_newest(walk, item);
	return walk->descending ? previous_at_view(walk, item) : next_at_view(walk, item);
}

Status
range_get(const Snapshot *snapshot, Bytes key, int64_t view_main, uint64_t view_sub,
		  RangeItem *item)
{
	TreeCursor cursor;
	TreeKey seek = {.bytes = key};
	Status status;
	int order;

	view_first(view_main, view_sub, &seek.hi, &seek.lo);
	status = tree_seek(&cursor, snapshot->access, snapshot->root.keys, &seek);
	if (status == RUSD_OK)
		status = tree_cell_compare(snapshot->access, &cursor.cell, key, &order);
	if (status != RUSD_OK)
		return status == RUSD_END ? RUSD_NOT_FOUND : status;
	if (order != 0 || (cursor.cell.flags & RECORD_TOMBSTONE) != 0)
		return RUSD_NOT_FOUND;
	return item_from_cell(&cursor.cell, item);
}
