/*
 * kv.c
 *	  Put and delete on the two trees of versions.
 *
 * Applier only.  Each change writes one cell into either tree under (main, sub), and takes
 * RECORD_LIVE from the version that it replaces; so exactly the newest version of each key that is
 * not deleted is live [store-1].
 *
 * src/backend/store/kv.c
 */
#include "rusd.h"

#include "store_int.h"

static const Bytes no_bytes;

Status
scratch_reserve(Scratch *scratch, uint64_t bytes)
{
	uint64_t size = Max(scratch->bytes, 4096);
	uint8_t *data;

	if (bytes <= scratch->bytes)
		return RUSD_OK;
	while (size < bytes)
		size *= 2;
	data = realloc(scratch->data, size);
	if (data == NULL)
		return RUSD_NO_MEMORY;
	scratch->data = data;
	scratch->bytes = size;
	return RUSD_OK;
}

/* The newest version of key in the tree being built; RUSD_NOT_FOUND where there is none or it is a
 * tombstone. */
static Status
find_live(Store *store, Bytes key, TreeCell *cell)
{
	TreeCursor cursor;
	TreeKey seek = {.bytes = key};
	Status status = tree_seek(&cursor, &store->access, store->keys.root, &seek);
	int order;

	if (status == RUSD_OK)
		status = tree_cell_compare(&store->access, &cursor.cell, key, &order);
	if (status != RUSD_OK)
		return status == RUSD_END ? RUSD_NOT_FOUND : status;
	if (order != 0 || (cursor.cell.flags & RECORD_TOMBSTONE) != 0)
		return RUSD_NOT_FOUND;
	*cell = cursor.cell;
	return RUSD_OK;
}

/* Writes the change (main, sub) of key into both trees. */
static Status
insert_change(Store *store, Bytes key, uint8_t flags, Bytes head, Bytes body)
{
	uint64_t main = (uint64_t) store->main;
	TreeKey by_key = {.bytes = key, .hi = ~main, .lo = ~store->sub};
	TreeKey by_revision = {.hi = main, .lo = store->sub};
	Status status = tree_insert(&store->keys, &by_key, flags, head, body);

	if (status == RUSD_OK)
		status =
			tree_insert(&store->revisions, &by_revision, flags & RECORD_TOMBSTONE, no_bytes, key);
	store->sub++;
	return status;
}

/* Copies a cell's value without its head: inserting may change the page that it lies in. */
static Status
copy_value(Store *store, const TreeCell *cell, Bytes *value)
{
	uint64_t length = cell->value_length - sizeof(KeyRecord);
	TreeHint hint = {0};
	Status status = scratch_reserve(&store->value, length);

	if (status == RUSD_OK && length > 0)
		status = tree_read_value(&store->access, cell, sizeof(KeyRecord), store->value.data, length,
								 &hint);
	*value = (Bytes){.data = store->value.data, .length = length};
	return status;
}

/* A put under way: what the new version takes over of the one that it replaces. */
typedef struct Put
{
	Store *store;
	const Op *op;
	KeyRecord record;
	Bytes value;
} Put;

static Status
take_over(Put *put, const TreeCell *old)
{
	RangeItem previous;
	Status status = item_from_cell(old, &previous);

	if (status == RUSD_OK && (put->op->header->flags & OP_IGNORE_VALUE) != 0)
		status = copy_value(put->store, old, &put->value);
	if (status != RUSD_OK)
		return status;
	put->record.create_revision = previous.create_revision;
	put->record.version = previous.version + 1;
	if ((put->op->header->flags & OP_IGNORE_LEASE) != 0)
		put->record.lease = previous.lease;
	return RUSD_OK;
}

static Status
succeed(void *arg, const TreeCell *replaced, Bytes *head, Bytes *body)
{
	Put *put = arg;
	Status status = RUSD_OK;

	/* Behind a tombstone a key begins anew (KV-5); taking its flags away would make it a version. */
	if (replaced != NULL && (replaced->flags & RECORD_TOMBSTONE) != 0)
		return RUSD_AGAIN;
	if (replaced != NULL)
		status = take_over(put, replaced);
	*head = (Bytes){.data = (const uint8_t *) &put->record, .length = sizeof(put->record)};
	*body = put->value;
	return status;
}

/* The same as tree_insert_newest where that cannot tell: finds, takes LIVE away, inserts. */
static Status
put_by_steps(Store *store, Put *put, const TreeKey *by_key)
{
	TreeCell old;
	Status status = find_live(store, by_key->bytes, &old);

	if (status != RUSD_OK && status != RUSD_NOT_FOUND)
		return status;
	if (status == RUSD_OK)
	{
		TreeKey replaced = {.bytes = by_key->bytes, .hi = old.hi, .lo = old.lo};

		status = take_over(put, &old);
		if (status == RUSD_OK)
			status = tree_set_flags(&store->keys, &replaced, 0);
		if (status != RUSD_OK)
			return status;
	}
	return tree_insert(
		&store->keys, by_key, RECORD_LIVE,
		(Bytes){.data = (const uint8_t *) &put->record, .length = sizeof(put->record)}, put->value);
}

Status
store_put(Store *store, const Op *op)
{
	uint64_t main = (uint64_t) store->main;
	TreeKey by_key = {.bytes = op->key, .hi = ~main, .lo = ~store->sub};
	TreeKey by_revision = {.hi = main, .lo = store->sub};
	Put put = {
		.store = store,
		.op = op,
		.record = {.create_revision = store->main, .version = 1, .lease = op->header->number},
		.value = op->value};
	Status status = tree_insert_newest(&store->keys, &by_key, RECORD_LIVE, succeed, &put);

	if (status == RUSD_AGAIN)
		status = put_by_steps(store, &put, &by_key);
	if (status == RUSD_OK)
		status = tree_insert(&store->revisions, &by_revision, 0, no_bytes, op->key);
	store->sub++;
	return status;
}

Status
store_check_put(Store *store, const Snapshot *snapshot, const Op *op, Status *verdict)
{
	RangeItem item;
	Status status;

	*verdict = RUSD_OK;
	/* There are no leases yet, so none is known (KV-71). */
	if (op->header->number != 0)
	{
		*verdict = RUSD_LEASE_NOT_FOUND;
		return RUSD_OK;
	}
	if ((op->header->flags & (OP_IGNORE_VALUE | OP_IGNORE_LEASE)) == 0)
		return RUSD_OK;
	status = range_get(snapshot, op->key, store->main, 0, &item);
	if (status != RUSD_NOT_FOUND)
		return status;
	*verdict = RUSD_KEY_NOT_FOUND;
	return RUSD_OK;
}

static Status
delete_one(Store *store, Bytes key, uint64_t hi, uint64_t lo)
{
	Status status = tree_set_flags(&store->keys, &(TreeKey){.bytes = key, .hi = hi, .lo = lo}, 0);

	if (status != RUSD_OK)
		return status;
	return insert_change(store, key, RECORD_TOMBSTONE, no_bytes, no_bytes);
}

/*
 * The first live key of an interval: copied into the scratch buffer, because deleting it changes
 * the pages.  after: begin behind the key that lies there already.
 */
static Status
next_live(Store *store, Bytes key, Bytes range_end, bool after, TreeCell *cell, Bytes *found)
{
	RangeWalk walk;
	TreeHint hint = {0};
	TreeKey seek = {.bytes = key};
	int order = -1;
	Status status;

	walk_begin(&walk, &store->access, store->keys.root, key, range_end, 0, 0, true, false);
	if (walk.done)
		return RUSD_END;
	if (after)
		seek = (TreeKey){.bytes = *found, .hi = UINT64_MAX, .lo = UINT64_MAX};
	status = tree_seek(&walk.cursor, &store->access, store->keys.root, &seek);
	if (status == RUSD_OK)
		status = tree_next_weighted(&walk.cursor, store_weigh_keys);
	if (status == RUSD_OK && walk.has_end)
		status = tree_cell_compare(&store->access, &walk.cursor.cell, range_end, &order);
	if (status != RUSD_OK || order >= 0)
		return status == RUSD_OK ? RUSD_END : status;
	*cell = walk.cursor.cell;
	status = scratch_reserve(&store->key, cell->key_length);
	if (status == RUSD_OK)
		status = tree_read_key(&store->access, cell, 0, store->key.data, cell->key_length, &hint);
	*found = (Bytes){.data = store->key.data, .length = cell->key_length};
	return status;
}

/*
 * Ascending, so that subs are numbered by key (KV-3); what has been deleted has no weight any more,
 * so finding the next one costs the same wherever it is.
 */
Status
store_delete_range(Store *store, Bytes key, Bytes range_end, uint64_t *deleted)
{
	Bytes found = {0};
	TreeCell cell;
	Status status;

	*deleted = 0;
	if (range_end.length == 0)
	{
		status = find_live(store, key, &cell);
		if (status != RUSD_OK)
			return status == RUSD_NOT_FOUND ? RUSD_OK : status;
		*deleted = 1;
		return delete_one(store, key, cell.hi, cell.lo);
	}
	while ((status = next_live(store, key, range_end, *deleted > 0, &cell, &found)) == RUSD_OK)
	{
		status = delete_one(store, found, cell.hi, cell.lo);
		if (status != RUSD_OK)
			return status;
		*deleted += 1;
	}
	return status == RUSD_END ? RUSD_OK : status;
}
