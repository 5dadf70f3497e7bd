/*
 * estimate.c
 *	  How many pages applying a proposal may take, from above.
 *
 * Asked twice.  A backend asks before it proposes: raft holds so many frames back until the entry is
 * applied, and refuses what does not fit.  That is about a state which other entries change until
 * then: values that are kept grow, deletions meet more keys.  So the applier asks again, about the
 * trees being built, and an entry for which frames are short waits for them.
 *
 * One insert copies its path and may split every page on it.  A deletion of many keys copies the
 * leaves that hold them, of which there are no more than keys and no more than pages, and adds a
 * tombstone to each key in one tree and a record in the other, whose bytes the sums tell.
 *
 * src/backend/store/estimate.c
 */
#include "rusd.h"

#include "store_int.h"

/* Bytes of a tombstone's cell and of its record beside their keys, each. */
#define CELL_BYTES 48
/* An inner page has at least so many children when a range of leaves is copied. */
#define FANOUT_LEAST 16

/* A put of a value that is not kept takes no more than this and its bytes, whatever the depths. */
#define PUT_PAGES_MAX (5 * TREE_DEPTH_MAX + 6)

typedef struct Depths
{
	uint64_t keys;
	uint64_t revisions;
	uint64_t system;
} Depths;

typedef struct Estimate
{
	const Snapshot *snapshot;
	Depths depths;
	uint64_t value_max; /* so long may a value have become that is kept */
	uint64_t promised;  /* pages of entries that may still come before this one */
	uint64_t grown;     /* pages for what is kept, beyond what it has now */
	uint64_t put;       /* pages of puts so far, which a delete behind them meets */
	uint64_t pages;
} Estimate;

static Status
depth_of(const Snapshot *snapshot, TreeRoot root, uint64_t *depth)
{
	Status status = tree_depth(snapshot->access, root, depth);

	*depth = Max(*depth, 1);
	return status;
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
add_delete(Estimate *estimate, const Op *op)
{
	const Snapshot *snapshot = estimate->snapshot;
	uint64_t one = put_pages(&estimate->depths, op->key.length, 0);
	TreeSum sum;
	TreeKey from;
	TreeKey to;
	bool has_to;
	uint64_t keys;
	uint64_t leaves;
	uint64_t bytes;
	Status status;

	estimate->pages += one;
	if (op->range_end.length == 0 || !interval_bounds(op->key, op->range_end, &from, &to, &has_to))
		return RUSD_OK;
	/* Deleting a key takes no more than putting it did. */
	estimate->pages += estimate->put + estimate->promised;
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
	estimate->pages += Min(keys * one, leaves + leaves / FANOUT_LEAST +
										   keys * long_key_pages(sum.weight[2] / keys));
	return RUSD_OK;
}

static Status
add_put(Estimate *estimate, const Op *op)
{
	uint64_t length = op->value.length;
	uint64_t pages;

	if ((op->header->flags & OP_IGNORE_VALUE) != 0)
	{
		RangeItem item;
		Status status = range_get(estimate->snapshot, op->key, INT64_MAX, 0, &item);

		if (status != RUSD_OK && status != RUSD_NOT_FOUND)
			return status;
		length = status == RUSD_OK ? item.value_length : 0;
		if (length < estimate->value_max)
			estimate->grown += overflow_pages(estimate->value_max) - overflow_pages(length);
	}
	pages = put_pages(&estimate->depths, op->key.length, length);
	estimate->pages += pages;
	estimate->put += pages;
	return RUSD_OK;
}

static Status
add_ops(Estimate *estimate, const uint8_t *ops, size_t length)
{
	Op op;

	for (uint32_t offset = 0; offset < length; offset = op.next)
	{
		Status status = RUSD_OK;

		op_at(ops, offset, &op);
		if (op.header->kind == OP_PUT)
			status = add_put(estimate, &op);
		else if (op.header->kind == OP_DELETE)
			status = add_delete(estimate, &op);
		if (status != RUSD_OK)
			return status;
	}
	return RUSD_OK;
}

static Status
estimate_entry(Estimate *estimate, uint32_t kind, const uint8_t *payload, size_t length)
{
	const Snapshot *snapshot = estimate->snapshot;
	Depths *depths = &estimate->depths;
	Status status = depth_of(snapshot, snapshot->root.keys, &depths->keys);

	if (status == RUSD_OK)
		status = depth_of(snapshot, snapshot->root.revisions, &depths->revisions);
	if (status == RUSD_OK)
		status = depth_of(snapshot, snapshot->root.system, &depths->system);
	if (status != RUSD_OK)
		return status;
	switch (kind)
	{
		case ENTRY_PUT:
		case ENTRY_DELETE_RANGE:
		case ENTRY_TXN:
			return add_ops(estimate, payload + sizeof(EntryHeader), length - sizeof(EntryHeader));
		default:
			/* A few cells of the system tree.  Removal after a compaction sees to its own room. */
			estimate->pages = 2 * insert_pages(depths->system) + overflow_pages(length);
			return RUSD_OK;
	}
}

Status
store_estimate(const Snapshot *snapshot, uint32_t kind, const uint8_t *payload, size_t length,
			   uint64_t value_max, uint64_t *pages)
{
	const Shm *shm = snapshot->access->shm;
	Estimate estimate = {
		.snapshot = snapshot,
		.value_max = value_max,
		.promised = atomic_load_explicit(&shm->requests->frames_promised, memory_order_relaxed)};
	Status status = estimate_entry(&estimate, kind, payload, length);

	/* Were a transaction that keeps many small values to reserve the largest for each, a small cache
	 * would never let it pass. */
	*pages = estimate.pages + Min(estimate.grown, shm->layout.frame_count / 4);
	return status;
}

Status
store_frames_needed(Store *store, uint32_t kind, const uint8_t *payload, size_t length,
					uint64_t *pages)
{
	Snapshot snapshot;
	Estimate estimate = {.snapshot = &snapshot};
	/* What a compaction needs is left alone by all others. */
	uint64_t reserve = kind == ENTRY_COMPACT || kind == ENTRY_ALARM ? 0 : compaction_reserve(store);
	Status status;

	*pages = reserve + PUT_PAGES_MAX + 4 * (length / TREE_OVERFLOW_BYTES + 1);
	if (likely(kind == ENTRY_PUT && *pages <= space_frames_free(store->space)))
	{
		Op op;

		op_at(payload + sizeof(EntryHeader), 0, &op);
		if (likely((op.header->flags & OP_IGNORE_VALUE) == 0))
			return RUSD_OK;
	}
	store_building(store, &snapshot);
	snapshot.root.pages_used = space_pages_used(store->space);
	/* The entry before has been applied: what is live is what a view behind all of them sees. */
	snapshot.newest_main = store->state.revision;
	status = estimate_entry(&estimate, kind, payload, length);
	*pages = estimate.pages + reserve;
	return status;
}
