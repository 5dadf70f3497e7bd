/*
 * hash.c
 *	  HashKV (MAINT-31 to MAINT-34) and Hash (MAINT-30).
 *
 * Backends; the applier for the hashes of compactions.  A HashJob keeps numbers and no cursor, so
 * it may go on in the next published tree: nothing at or below its revision changes but by removal,
 * which waits for it.
 *
 * The set that a compaction at the revision would keep has no place in memory: a record is in it if
 * it is the newest of its key up to the revision and no tombstone, which is one seek.  Only whether
 * the set is empty must be known before (then nothing is left out): the search for one member goes
 * down from the revision and nearly always ends at once.
 *
 * src/backend/store/hash.c
 */
#include "rusd.h"

#include "port/crc32c.h"
#include "store_int.h"

#define RECORDS_PER_STEP 512

struct HashKv
{
	Snapshot snapshot;
	HashJob job;
	int64_t hash_revision;
	bool kept; /* known already */
	int64_t kept_compacted;
	uint32_t kept_hash;
};

struct HashAll
{
	Snapshot snapshot;
	uint32_t tree; /* 0 keys, 1 revisions, 2 system, 3 all done */
	bool started;
	TreeCursor cursor;
	uint32_t crc;
};

/* ---- one record after the other -------------------------------------------- */

void
hash_job_begin(HashJob *job, int64_t revision, int64_t compacted, bool of_compaction)
{
	memset(job, 0, sizeof(*job));
	job->revision = revision;
	job->compacted = compacted;
	job->of_compaction = of_compaction;
	job->crc = crc32c(0, "key", 3);
	/* Where nothing lies at or below the compaction point, nothing can be left out for it. */
	job->keep_known = compacted <= 0 || revision <= 0;
	if (!job->keep_known)
		job->next_main = (uint64_t) revision + 1;
}

void
hash_job_end(HashJob *job)
{
	free(job->scratch);
	job->scratch = NULL;
	job->scratch_bytes = 0;
}

/* The key that a cell of the tree by revision names, in one piece: valid until the next call. */
static Status
key_of(HashJob *job, PageAccess *access, const TreeCell *cell, Bytes *key)
{
	TreeHint hint = {0};

	if (likely(cell->value_inline.length == cell->value_length))
	{
		*key = cell->value_inline;
		return RUSD_OK;
	}
	if (cell->value_length > job->scratch_bytes)
	{
		uint8_t *scratch = realloc(job->scratch, cell->value_length);

		if (scratch == NULL)
			return RUSD_NO_MEMORY;
		job->scratch = scratch;
		job->scratch_bytes = cell->value_length;
	}
	*key = (Bytes){.data = job->scratch, .length = cell->value_length};
	return tree_read_value(access, cell, 0, job->scratch, cell->value_length, &hint);
}

/* The newest cell of key up to the job's revision. */
static Status
newest_of(const HashJob *job, const Snapshot *snapshot, Bytes key, TreeCell *newest)
{
	TreeCursor cursor;
	TreeKey seek = {.bytes = key};
	int order;
	Status status;

	view_first(job->revision + 1, 0, &seek.hi, &seek.lo);
	status = tree_seek(&cursor, snapshot->access, snapshot->root.keys, &seek);
	if (status == RUSD_OK)
		status = tree_cell_compare(snapshot->access, &cursor.cell, key, &order);
	if (status != RUSD_OK || order != 0)
		return status == RUSD_OK || status == RUSD_END ? RUSD_DAMAGED : status;
	*newest = cursor.cell;
	return RUSD_OK;
}

static inline bool
is_version(const TreeCell *by_key, const TreeCell *by_revision)
{
	return by_key->hi == ~by_revision->hi && by_key->lo == ~by_revision->lo;
}

/* Goes down from the revision until a record is found that would be kept. */
static Status
look_for_kept(HashJob *job, const Snapshot *snapshot, uint32_t records)
{
	TreeCursor cursor;
	TreeKey from = {.hi = job->next_main, .lo = job->next_sub};
	Status status = tree_seek_before(&cursor, snapshot->access, snapshot->root.revisions, &from);

	for (; status == RUSD_OK && records > 0; records--)
	{
		const TreeCell *cell = &cursor.cell;
		bool tombstone = (cell->flags & RECORD_TOMBSTONE) != 0;
		TreeCell newest;
		Bytes key;

		job->next_main = cell->hi;
		job->next_sub = cell->lo;
		if (tombstone)
			job->keep_any = job->of_compaction && (int64_t) cell->hi == job->revision;
		else
		{
			status = key_of(job, snapshot->access, cell, &key);
			if (status == RUSD_OK)
				status = newest_of(job, snapshot, key, &newest);
			if (status != RUSD_OK)
				return status;
			job->keep_any = is_version(&newest, cell);
		}
		if (job->keep_any)
			break;
		status = tree_previous(&cursor);
	}
	if (status != RUSD_OK && status != RUSD_END)
		return status;
	if (job->keep_any || status == RUSD_END)
	{
		job->keep_known = true;
		job->next_main = job->next_sub = 0;
	}
	return RUSD_AGAIN;
}

static void
put_big_endian(uint8_t *out, uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		out[i] = (uint8_t) value;
}

/* Feeds the hash with one record (MAINT-32). */
static Status
feed(HashJob *job, PageAccess *access, const TreeCell *cell, Bytes key, const RangeItem *item)
{
	uint8_t buffer[4096];
	ItemEncoder encoder;
	uint32_t length;
	bool tombstone = item == NULL;

	put_big_endian(buffer, cell->hi);
	buffer[8] = '_';
	put_big_endian(buffer + 9, cell->lo);
	buffer[17] = 't';
	length = tombstone ? 18 : 17;
	if (tombstone)
	{
		length += key_field_head(key.length, buffer + length);
		job->crc = crc32c(job->crc, buffer, length);
		job->crc = crc32c(job->crc, key.data, key.length);
		return RUSD_OK;
	}
	job->crc = crc32c(job->crc, buffer, length);
	encoder_begin(&encoder, item, ITEM_FULL, 0);
	while (!encoder_is_done(&encoder))
	{
		size_t got;
		Status status = encoder_pull(&encoder, access, buffer, sizeof(buffer), &got);

		if (status != RUSD_OK)
			return status;
		job->crc = crc32c(job->crc, buffer, got);
	}
	return RUSD_OK;
}

static Status
hash_record(HashJob *job, const Snapshot *snapshot, const TreeCell *cell)
{
	int64_t main = (int64_t) cell->hi;
	bool tombstone = (cell->flags & RECORD_TOMBSTONE) != 0;
	bool judged = main <= job->compacted && job->keep_any;
	TreeCell version;
	RangeItem item;
	Bytes key;
	Status status;

	if (tombstone && (judged || main == job->compacted))
		return RUSD_OK;
	status = key_of(job, snapshot->access, cell, &key);
	if (status != RUSD_OK || tombstone)
		return status == RUSD_OK ? feed(job, snapshot->access, cell, key, NULL) : status;
	if (judged)
	{
		status = newest_of(job, snapshot, key, &version);
		if (status != RUSD_OK || !is_version(&version, cell))
			return status;
		status = item_from_cell(&version, &item);
	}
	else
		status = range_get(snapshot, key, main, cell->lo + 1, &item);
	if (status == RUSD_OK && !is_version(&item.cell, cell))
		status = RUSD_DAMAGED;
	return status == RUSD_OK ? feed(job, snapshot->access, cell, key, &item)
							 : (status == RUSD_NOT_FOUND ? RUSD_DAMAGED : status);
}

Status
hash_job_step(HashJob *job, const Snapshot *snapshot, uint32_t records)
{
	TreeCursor cursor;
	TreeKey from;
	Status status;

	if (!job->keep_known)
		return look_for_kept(job, snapshot, records);
	from = (TreeKey){.hi = job->next_main, .lo = job->next_sub};
	status = tree_seek(&cursor, snapshot->access, snapshot->root.revisions, &from);
	while (status == RUSD_OK && (int64_t) cursor.cell.hi <= job->revision)
	{
		job->next_main = cursor.cell.hi;
		job->next_sub = cursor.cell.lo;
		if (records-- == 0)
			return RUSD_AGAIN;
		status = hash_record(job, snapshot, &cursor.cell);
		if (status == RUSD_OK)
			status = tree_next(&cursor);
	}
	return status == RUSD_END ? RUSD_OK : status;
}

/* ---- hashes of finished compactions ---------------------------------------- */

void
hash_keep(HashKept *kept, int64_t revision, int64_t compact_revision, uint32_t hash)
{
	uint64_t count = atomic_load_explicit(&kept->change_count, memory_order_relaxed);
	uint64_t place = count / 2 % HASHES_KEPT;

	/* Odd while it is written; pairs with hash_kept. */
	atomic_store_explicit(&kept->change_count, count + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&kept->kept[place].revision, revision, memory_order_relaxed);
	atomic_store_explicit(&kept->kept[place].compact_revision, compact_revision,
						  memory_order_relaxed);
	atomic_store_explicit(&kept->kept[place].hash, hash, memory_order_relaxed);
	atomic_store_explicit(&kept->change_count, count + 2, memory_order_release);
}

bool
hash_kept(const HashKept *kept, int64_t revision, int64_t *compact_revision, uint32_t *hash)
{
	for (;;)
	{
		uint64_t count = atomic_load_explicit(&kept->change_count, memory_order_acquire);
		bool found = false;

		for (int i = 0; i < HASHES_KEPT && revision > 0; i++)
		{
			if (atomic_load_explicit(&kept->kept[i].revision, memory_order_relaxed) != revision)
				continue;
			*compact_revision =
				atomic_load_explicit(&kept->kept[i].compact_revision, memory_order_relaxed);
			*hash = (uint32_t) atomic_load_explicit(&kept->kept[i].hash, memory_order_relaxed);
			found = true;
		}
		atomic_thread_fence(memory_order_acquire);
		if (count % 2 == 0 &&
			atomic_load_explicit(&kept->change_count, memory_order_relaxed) == count)
			return found;
	}
}

/* ---- HashKV ---------------------------------------------------------------- */

Status
hash_kv_begin(const Snapshot *snapshot, int64_t revision, HashKv **result)
{
	const RootState *root = &snapshot->root;
	HashKept *kept = snapshot->access->shm->hashes_kept;
	HashKv *hash = calloc(1, sizeof(*hash));

	if (hash == NULL)
		return RUSD_NO_MEMORY;
	hash->kept = hash_kept(kept, revision, &hash->kept_compacted, &hash->kept_hash);
	if (!hash->kept && revision > 0 && (revision > root->revision || revision < root->compacted))
	{
		free(hash);
		return revision > root->revision ? RUSD_FUTURE_REV : RUSD_COMPACTED;
	}
	hash->snapshot = *snapshot;
	hash->hash_revision = revision == 0 ? root->revision : revision;
	hash_job_begin(&hash->job, hash->hash_revision, root->compacted, false);
	*result = hash;
	return RUSD_OK;
}

Status
hash_kv_step(HashKv *hash, uint32_t *value, int64_t *compact_revision, int64_t *hash_revision)
{
	Status status;

	*hash_revision = hash->hash_revision;
	*compact_revision = hash->kept ? hash->kept_compacted : hash->job.compacted;
	*value = hash->kept_hash;
	if (hash->kept)
		return RUSD_OK;
	if (snapshot_is_ended(&hash->snapshot))
		return RUSD_SNAPSHOT_ENDED;
	status = hash_job_step(&hash->job, &hash->snapshot, RECORDS_PER_STEP);
	*value = hash->job.crc;
	return status;
}

void
hash_kv_end(HashKv *hash)
{
	if (hash == NULL)
		return;
	hash_job_end(&hash->job);
	free(hash);
}

/* ---- Hash
 * -------------------------------------------------------------------------------------------------
 */

Status
hash_all_begin(const Snapshot *snapshot, HashAll **result)
{
	HashAll *hash = calloc(1, sizeof(*hash));

	if (hash == NULL)
		return RUSD_NO_MEMORY;
	hash->snapshot = *snapshot;
	*result = hash;
	return RUSD_OK;
}

void
hash_all_end(HashAll *hash)
{
	free(hash);
}

typedef Status (*ReadPart)(PageAccess *, const TreeCell *, uint64_t, void *, uint64_t, TreeHint *);

static Status
feed_all(HashAll *hash, ReadPart read, const TreeCell *cell, uint64_t length)
{
	PageAccess *access = hash->snapshot.access;
	TreeHint hint = {0};
	uint8_t buffer[4096];

	for (uint64_t offset = 0; offset < length;)
	{
		uint64_t piece = Min(length - offset, sizeof(buffer));
		Status status = read(access, cell, offset, buffer, piece, &hint);

		if (status != RUSD_OK)
			return status;
		hash->crc = crc32c(hash->crc, buffer, piece);
		offset += piece;
	}
	return RUSD_OK;
}

static Status
feed_cell(HashAll *hash, const TreeCell *cell)
{
	uint64_t numbers[6] = {hash->tree, cell->key_length,   cell->hi,
						   cell->lo,   cell->value_length, cell->flags};
	Status status;

	hash->crc = crc32c(hash->crc, numbers, sizeof(numbers));
	status = feed_all(hash, tree_read_key, cell, cell->key_length);
	if (status == RUSD_OK)
		status = feed_all(hash, tree_read_value, cell, cell->value_length);
	return status;
}

Status
hash_all_step(HashAll *hash, uint32_t *value)
{
	const RootState *root = &hash->snapshot.root;
	const TreeRoot trees[STORE_TREES] = {root->keys, root->revisions, root->system};

	if (snapshot_is_ended(&hash->snapshot))
		return RUSD_SNAPSHOT_ENDED;
	for (uint32_t cells = 0; hash->tree < STORE_TREES; cells++)
	{
		Status status;

		if (cells == RECORDS_PER_STEP)
			return RUSD_AGAIN;
		if (hash->started)
			status = tree_next(&hash->cursor);
		else
			status =
				tree_seek(&hash->cursor, hash->snapshot.access, trees[hash->tree], &(TreeKey){0});
		hash->started = status == RUSD_OK;
		if (status == RUSD_END)
		{
			hash->tree++;
			continue;
		}
		if (status == RUSD_OK)
			status = feed_cell(hash, &hash->cursor.cell);
		if (status != RUSD_OK)
			return status;
	}
	*value = hash->crc == 0 ? 1 : hash->crc; /* MAINT-30: not 0 */
	return RUSD_OK;
}
