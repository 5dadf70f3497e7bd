/*
 * estimate.c
 *	  How many pages applying a proposal may take, from above.
 *
 * Backends, before they propose: raft holds so many frames back until the entry is applied, and
 * refuses what does not fit.
 *
 * One insert copies its path and may split every page on it.  A deletion of many keys copies the
 * leaves that hold them, of which there are no more than keys and no more than pages, and adds a
 * tombstone to each key in one tree and a record in the other, whose bytes the sums tell.  What is
 * written between the estimate and the entry changes little of that; the frames that raft keeps
 * back beyond all promises are for it.
 *
 * src/backend/store/estimate.c
 */
#include "rusd.h"

#include "store_int.h"

/* Bytes of a tombstone's cell and of its record beside their keys, each. */
#define CELL_BYTES 48
/* An inner page has at least so many children when a range of leaves is copied. */
#define FANOUT_LEAST 16

typedef struct Depths
{
	uint64_t keys;
	uint64_t revisions;
	uint64_t system;
} Depths;

static Status
depth_of(const Snapshot *snapshot, TreeRoot root, uint64_t *depth)
{
	TreeCursor cursor;
	Status status;

	*depth = 1;
	if (root.page == PAGE_NONE)
		return RUSD_OK;
	status = tree_seek_before(&cursor, snapshot->access, root, NULL);
	if (status == RUSD_OK)
		*depth = (uint64_t) cursor.depth;
	return status == RUSD_END ? RUSD_OK : status;
}

static uint64_t
overflow_pages(uint64_t length)
{
	return (length + TREE_OVERFLOW_BYTES - 1) / TREE_OVERFLOW_BYTES;
}

/* A long key is written again where pages are split, and lies in the other tree as a value. */
static uint64_t
long_key_pages(uint64_t length)
{
	return length > TREE_KEY_INLINE_MAX / 2 ? 3 * overflow_pages(length) : 0;
}

static uint64_t
insert_pages(uint64_t depth)
{
	return 2 * depth + 3;
}

static uint64_t
put_pages(const Depths *depths, uint64_t key_length, uint64_t value_length)
{
	return insert_pages(depths->keys) + depths->keys + insert_pages(depths->revisions) +
		   long_key_pages(key_length) + overflow_pages(value_length);
}

static Status
delete_pages(const Snapshot *snapshot, const Depths *depths, const Op *op, uint64_t *pages)
{
	uint64_t one = put_pages(depths, op->key.length, 0);
	TreeSum sum;
	TreeKey from;
	TreeKey to;
	bool has_to;
	uint64_t keys;
	uint64_t leaves;
	uint64_t bytes;
	Status status;

	*pages += one;
	if (op->range_end.length == 0 || !interval_bounds(op->key, op->range_end, &from, &to, &has_to))
		return RUSD_OK;
	status = tree_sum(snapshot->access, snapshot->root.keys, store_weigh_keys, &from,
					  has_to ? &to : NULL, &sum);
	if (status != RUSD_OK)
		return status;
	keys = sum.weight[0];
	if (keys == 0)
		return RUSD_OK;
	/* Two trees, their new pages half full at worst. */
	bytes = sum.weight[2] + keys * CELL_BYTES;
	leaves = Min(keys, snapshot->root.pages_used) + 2 * (2 * bytes / PAGE_BYTES + 1);
	*pages += Min(keys * one,
				  leaves + leaves / FANOUT_LEAST + keys * long_key_pages(sum.weight[2] / keys));
	return RUSD_OK;
}

static Status
op_pages(const Snapshot *snapshot, const Depths *depths, const uint8_t *ops, size_t length,
		 uint64_t *pages)
{
	Op op;

	for (uint32_t offset = 0; offset < length; offset = op.next)
	{
		Status status = RUSD_OK;

		op_at(ops, offset, &op);
		if (op.header->kind == OP_PUT)
		{
			uint64_t value_length = op.value.length;

			if ((op.header->flags & OP_IGNORE_VALUE) != 0)
			{
				RangeItem item;

				status = range_get(snapshot, op.key, INT64_MAX, 0, &item);
				value_length = status == RUSD_OK ? item.value_length : 0;
				if (status == RUSD_NOT_FOUND)
					status = RUSD_OK;
			}
			*pages += put_pages(depths, op.key.length, value_length);
		}
		else if (op.header->kind == OP_DELETE)
			status = delete_pages(snapshot, depths, &op, pages);
		if (status != RUSD_OK)
			return status;
	}
	return RUSD_OK;
}

Status
store_estimate(const Snapshot *snapshot, uint32_t kind, const uint8_t *payload, size_t length,
			   uint64_t *pages)
{
	Depths depths;
	Status status = depth_of(snapshot, snapshot->root.keys, &depths.keys);

	*pages = 0;
	if (status == RUSD_OK)
		status = depth_of(snapshot, snapshot->root.revisions, &depths.revisions);
	if (status == RUSD_OK)
		status = depth_of(snapshot, snapshot->root.system, &depths.system);
	if (status != RUSD_OK)
		return status;
	switch (kind)
	{
		case ENTRY_PUT:
		case ENTRY_DELETE_RANGE:
		case ENTRY_TXN:
			return op_pages(snapshot, &depths, payload + sizeof(EntryHeader),
							length - sizeof(EntryHeader), pages);
		default:
			/* A few cells of the system tree.  Removal after a compaction sees to its own room. */
			*pages = 2 * insert_pages(depths.system) + overflow_pages(length);
			return RUSD_OK;
	}
}
