/*
 * compact.c
 *	  Compaction: the point moves at once, the removal follows in slices.
 *
 * Applier only.  Applying the entry sets RootState.compacted, from which moment reads below it fail
 * (COMPACT-4).  Compactions are worked off one after the other (COMPACT-11), each in two parts: the
 * hash that HashKV will tell of it (MAINT-34), over the records as they are before anything is
 * removed; then the removal.
 *
 * Removal from D (the compaction before) to R goes through the tree by revision, over [D, R] alone.
 * Of each change there the version that it replaced goes, and itself if it is a tombstone below R.
 * That is all (COMPACT-6) because after the compaction at D a key has at most one version up to D
 * [store-3], so whatever else is superseded up to R was replaced by a change in (D, R].  The one
 * thing to be removed whose change lies at D itself is a tombstone at exactly D, hence the interval
 * includes D.
 *
 * Every slice leaves trees that are right for readers at and above R.  A restart finds
 * compaction_done < compacted and begins the removal again from compaction_done; what is gone is
 * gone, and no hash is kept of it.
 *
 * src/backend/store/compact.c
 */
#include "rusd.h"

#include "store_int.h"

/* Revisions looked at, and records hashed, in one slice: some tenths of a millisecond. */
#define REMOVE_PER_SLICE 100
#define HASH_PER_SLICE 200
/* Below so many free frames nothing is removed. */
#define REMOVAL_RESERVE 24
/* For the entry that begins a compaction. */
#define COMPACT_ENTRY_PAGES 16

static void
enqueue(Store *store, CompactionJob job)
{
	Compaction *compaction = &store->compaction;

	/* The last one waiting is swallowed by a newer one: what it removes is removed with it, its
	 * hash is not kept. */
	if (compaction->count == COMPACTIONS_QUEUED)
	{
		CompactionJob *last = &compaction->queue[--compaction->count];

		job.previous = last->previous;
		job.hashed = false;
	}
	compaction->queue[compaction->count++] = job;
}

Status
compaction_apply(Store *store, const EntryCompact *compact, ApplyResult *result)
{
	RootState *state = &store->state;
	int64_t revision = compact->revision;

	result->deferred = compact->physical != 0;
	if (revision <= state->compacted)
	{
		/* COMPACT-5: told when the one under way has finished. */
		result->status = RUSD_COMPACTED;
		result->value = (uint64_t) state->compacted;
		result->deferred = result->deferred && state->compaction_done < state->compacted;
		return RUSD_OK;
	}
	if (revision > state->revision)
	{
		result->status = RUSD_FUTURE_REV;
		result->deferred = false;
		return RUSD_OK;
	}
	enqueue(store,
			(CompactionJob){.revision = revision, .previous = state->compacted, .hashed = true});
	state->compacted = revision;
	result->value = (uint64_t) revision;
	return system_put(store, "compaction", &revision, sizeof(revision));
}

void
compaction_resume(Store *store)
{
	if (store->state.compaction_done < store->state.compacted)
		enqueue(store, (CompactionJob){.revision = store->state.compacted,
									   .previous = store->state.compaction_done});
}

static Status
remove_version(Store *store, Bytes key, uint64_t main, uint64_t sub)
{
	Status status = tree_delete(&store->keys, &(TreeKey){.bytes = key, .hi = ~main, .lo = ~sub});

	if (status == RUSD_OK)
		status = tree_delete(&store->revisions, &(TreeKey){.hi = main, .lo = sub});
	return status == RUSD_NOT_FOUND ? RUSD_DAMAGED : status;
}

/* The version of key that (main, sub) replaced, if it is still there. */
static Status
remove_predecessor(Store *store, Bytes key, uint64_t main, uint64_t sub)
{
	TreeCursor cursor;
	TreeKey seek = {.bytes = key};
	int order;
	Status status;

	view_first((int64_t) main, sub, &seek.hi, &seek.lo);
	status = tree_seek(&cursor, &store->access, store->keys.root, &seek);
	if (status == RUSD_OK)
		status = tree_cell_compare(&store->access, &cursor.cell, key, &order);
	if (status != RUSD_OK || order != 0)
		return status == RUSD_END ? RUSD_OK : status;
	return remove_version(store, key, ~cursor.cell.hi, ~cursor.cell.lo);
}

/* Looks at the next change up to the revision and removes what it makes superfluous.  RUSD_END
 * behind the last. */
static Status
remove_next(Store *store, int64_t revision)
{
	Compaction *compaction = &store->compaction;
	TreeCursor cursor;
	TreeKey from = {.hi = compaction->next_main, .lo = compaction->next_sub};
	TreeHint hint = {0};
	Status status = tree_seek(&cursor, &store->access, store->revisions.root, &from);
	TreeCell cell;
	Bytes key;

	if (status != RUSD_OK)
		return status;
	cell = cursor.cell;
	if ((int64_t) cell.hi > revision)
		return RUSD_END;
	/* A copy: removing changes the pages. */
	status = scratch_reserve(&store->key, cell.value_length);
	if (status == RUSD_OK)
		status =
			tree_read_value(&store->access, &cell, 0, store->key.data, cell.value_length, &hint);
	if (status != RUSD_OK)
		return status;
	key = (Bytes){.data = store->key.data, .length = cell.value_length};
	compaction->next_main = cell.hi;
	compaction->next_sub = cell.lo + 1;
	status = remove_predecessor(store, key, cell.hi, cell.lo);
	if (status == RUSD_OK && (cell.flags & RECORD_TOMBSTONE) != 0 &&
		((int64_t) cell.hi < revision || FAULT(revision_from_records)))
		status = remove_version(store, key, cell.hi, cell.lo);
	return status;
}

static void
begin_job(Store *store)
{
	Compaction *compaction = &store->compaction;
	const CompactionJob *job = &compaction->queue[0];

	compaction->begun = true;
	compaction->hashing = job->hashed;
	if (job->hashed)
		hash_job_begin(&compaction->hash, job->revision, job->previous, true);
	compaction->next_main = job->previous > 0 ? (uint64_t) job->previous : 0;
	compaction->next_sub = 0;
}

static void
finish_job(Store *store)
{
	Compaction *compaction = &store->compaction;
	const CompactionJob job = compaction->queue[0];

	if (job.hashed)
		hash_keep(store->shm->hashes_kept, job.revision, job.previous, compaction->hash.crc);
	hash_job_end(&compaction->hash);
	store->state.compaction_done = job.revision;
	compaction->begun = false;
	compaction->count--;
	memmove(compaction->queue, compaction->queue + 1, compaction->count * sizeof(job));
}

static Status
hash_slice(Store *store)
{
	Snapshot snapshot;
	Status status;

	store_building(store, &snapshot);
	status = hash_job_step(&store->compaction.hash, &snapshot, HASH_PER_SLICE);
	if (status == RUSD_OK)
		store->compaction.hashing = false;
	return status == RUSD_AGAIN ? RUSD_OK : status;
}

/* Two versions at most, each with a path in both trees that may be joined on every level. */
static uint64_t
removal_pages(const Store *store)
{
	return Max(2 * (tree_insert_pages(&store->keys) + tree_insert_pages(&store->revisions)),
			   REMOVAL_RESERVE);
}

uint64_t
compaction_reserve(const Store *store)
{
	return removal_pages(store) + COMPACT_ENTRY_PAGES;
}

/*
 * May another revision be removed?  It takes frames before the next checkpoint gives back what it
 * removed.  Frames that are promised to proposals on their way are left alone, but for one removal in each
 * slice: were it to wait until nothing is promised, a full cache would never get emptier.
 */
static bool
removal_fits(const Store *store, uint64_t promised)
{
	uint64_t needed = removal_pages(store);
	uint64_t available = space_frames_free(store->space);

	return available >= needed && available - needed >= promised;
}

Status
compaction_step(Store *store, uint64_t promised)
{
	Compaction *compaction = &store->compaction;

	if (compaction->count == 0)
		return RUSD_AGAIN;
	if (!compaction->begun)
		begin_job(store);
	if (compaction->hashing)
		return hash_slice(store);
	for (uint32_t i = 0; i < REMOVE_PER_SLICE; i++)
	{
		Status status;

		if (!removal_fits(store, i == 0 ? 0 : promised))
			return i == 0 ? RUSD_AGAIN : RUSD_OK;
		status = remove_next(store, compaction->queue[0].revision);
		if (status == RUSD_END)
		{
			finish_job(store);
			return RUSD_OK;
		}
		if (status != RUSD_OK)
			return status;
	}
	return RUSD_OK;
}
