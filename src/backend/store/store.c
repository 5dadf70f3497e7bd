/*
 * store.c
 *	  The state machine: applies entries to the trees being built, publishes them, hands them to the
 * checkpointer.
 *
 * Applier only, but for store_check_revision.  Between two publications everything that is written
 * belongs to one new root; readers see it all at once or not at all [store-2].  What follows from
 * replicated state is an ApplyResult and the same on every member; what this machine cannot do is a
 * Status and ends the node [store-5].
 *
 * src/backend/store/store.c
 */
#include "rusd.h"

#include "pagecache/checkpoint.h"
#include "store_int.h"

/* Leaves moved in one step of a defragmentation. */
#define MOVE_LEAVES 32

Status
store_check_revision(const RootState *root, int64_t revision)
{
	if (revision <= 0)
		return RUSD_OK;
	if (revision > root->revision)
		return RUSD_FUTURE_REV;
	return revision < root->compacted ? RUSD_COMPACTED : RUSD_OK;
}

static void
writer_begin(Store *store, TreeWriter *writer, TreeWeigh weigh, TreeRoot root)
{
	writer->access = store->access;
	writer->space = store->space;
	writer->weigh = weigh;
	writer->root = root;
}

#ifdef USE_FAULTS
static void
take_revision_from_records(Store *store)
{
	TreeCursor cursor;

	if (FAULT(revision_from_records) &&
		tree_seek_before(&cursor, &store->access, store->state.revisions, NULL) == RUSD_OK)
		store->state.revision = (int64_t) cursor.cell.hi;
}
#endif

Status
store_create(Shm *shm, PageAccess access, const RootState *state, const uint64_t *used,
			 uint64_t used_bits, int64_t quota, uint64_t member_id, Store **result)
{
	Store *store = calloc(1, sizeof(*store));
	Status status;

	if (store == NULL)
		return RUSD_NO_MEMORY;
	Check(quota != 0);
	store->shm = shm;
	store->access = access;
	store->state = *state;
	store->quota = quota;
	store->member_id = member_id;
	store->moving = tree_resume_create();
	status = store->moving == NULL
				 ? RUSD_NO_MEMORY
				 : space_create(shm, state->number, used, used_bits, &store->space);
	if (status != RUSD_OK)
	{
		store_destroy(store);
		return status;
	}
	writer_begin(store, &store->keys, store_weigh_keys, state->keys);
	writer_begin(store, &store->revisions, store_weigh_count, state->revisions);
	writer_begin(store, &store->system, store_weigh_count, state->system);
	compaction_resume(store);
#ifdef USE_FAULTS
	take_revision_from_records(store);
#endif
	*result = store;
	return RUSD_OK;
}

void
store_destroy(Store *store)
{
	if (store == NULL)
		return;
	hash_job_end(&store->compaction.hash);
	if (store->moving != NULL)
		tree_resume_destroy(store->moving);
	if (store->space != NULL)
		space_destroy(store->space);
	free(store->key.data);
	free(store->value.data);
	free(store);
}

void
store_building(const Store *store, Snapshot *snapshot)
{
	snapshot->access = (PageAccess *) &store->access;
	snapshot->root = store->state;
	snapshot->root.keys = store->keys.root;
	snapshot->root.revisions = store->revisions.root;
	snapshot->root.system = store->system.root;
	snapshot->pin = -1;
	/* Once this entry has changed something, what is live is no longer what the view before it
	 * sees. */
	snapshot->newest_main = store->sub == 0 ? store->state.revision : INT64_MAX;
}

/* ---- applying
 * -----------------------------------------------------------------------------------------------
 */

/* QUOTA-7, QUOTA-10, QUOTA-11: what an alarm makes of an entry. */
static Status
alarm_verdict(const Store *store, uint32_t kind, const uint8_t *body, size_t length)
{
	bool changes_keys = kind == ENTRY_PUT || kind == ENTRY_DELETE_RANGE || kind == ENTRY_TXN;

	if (likely(store->state.alarms == 0))
		return RUSD_OK;
	if ((store->state.alarms & STORE_ALARM_CORRUPT) != 0 && (changes_keys || kind == ENTRY_COMPACT))
		return RUSD_CORRUPT;
	if ((store->state.alarms & STORE_ALARM_NOSPACE) != 0 &&
		(kind == ENTRY_PUT || (kind == ENTRY_TXN && txn_has_put(body, length))))
		return RUSD_NOSPACE;
	return RUSD_OK;
}

/* QUOTA-4, QUOTA-6: does it fit, here and now? */
static bool
is_over_quota(const Store *store, uint32_t kind, const uint8_t *body, size_t length)
{
	uint64_t size = space_pages_end(store->space) * PAGE_BYTES;
	uint64_t cost;

	if (store->quota < 0 || (kind != ENTRY_PUT && kind != ENTRY_TXN))
		return false;
	/* No put has less than a header's bytes, so this is more than any of them costs. */
	if (size + 9 * (uint64_t) length + 256 < (uint64_t) store->quota)
		return false;
	cost = txn_cost(body, length);
	return cost > 0 && size + cost >= (uint64_t) store->quota;
}

static Status
apply_put(Store *store, const uint8_t *ops, ApplyResult *result)
{
	Snapshot snapshot;
	Status status = RUSD_OK;
	Op op;

	op_at(ops, 0, &op);
	if (op.header->number != 0 || op.header->flags != 0)
	{
		store_building(store, &snapshot);
		status = store_check_put(store, &snapshot, &op, &result->status);
	}
	if (status == RUSD_OK && result->status == RUSD_OK)
		status = store_put(store, &op);
	return status;
}

static Status
apply_body(Store *store, uint32_t kind, uint64_t index, const uint8_t *body, size_t length,
		   ApplyResult *result)
{
	Op op;

	switch (kind)
	{
		case ENTRY_PUT:
			return apply_put(store, body, result);
		case ENTRY_DELETE_RANGE:
			op_at(body, 0, &op);
			return store_delete_range(store, op.key, op.range_end, &result->value);
		case ENTRY_TXN:
			return store_txn(store, body, length, &result->value, &result->status);
		case ENTRY_COMPACT:
			return compaction_apply(store, (const EntryCompact *) (const void *) body, result);
		case ENTRY_ALARM:
			return system_alarm(store, (const EntryAlarm *) (const void *) body, result);
		case ENTRY_MEMBER:
		case ENTRY_MEMBER_ATTRIBUTES:
			return system_member(store, index, body, length, result);
		case ENTRY_CLUSTER_VERSION:
			return system_cluster_version(store, body, length);
		case ENTRY_EMPTY:
			return RUSD_OK;
		default:
			return RUSD_INVALID; /* of a later version: this one cannot go on */
	}
}

Status
store_apply(Store *store, uint32_t kind, uint64_t index, uint64_t term, const uint8_t *payload,
			size_t length, ApplyResult *result)
{
	const uint8_t *body = payload + sizeof(EntryHeader);
	bool has_body = length > sizeof(EntryHeader);
	Status status = RUSD_OK;

	memset(result, 0, sizeof(*result));
	Assert(entry_check(kind, payload, length) == RUSD_OK);
	store->main = store->state.revision + 1;
	store->sub = 0;
	length = has_body ? length - sizeof(EntryHeader) : 0;
	result->status = alarm_verdict(store, kind, body, length);
	if (result->status == RUSD_OK)
	{
		bool over_quota = is_over_quota(store, kind, body, length);

		status = apply_body(store, kind, index, body, length, result);
		result->over_quota = over_quota && result->status == RUSD_OK;
	}
	if (status != RUSD_OK)
		return status;
	result->changed = store->sub > 0;
	if (result->changed)
		store->state.revision = store->main; /* KV-2 */
	store->state.applied_index = index;
	store->state.applied_term = term;
	result->revision = store->state.revision;
	return RUSD_OK;
}

/* ---- publishing
 * ------------------------------------------------------------------------------------------------
 */

uint64_t
store_next_root(const Store *store)
{
	return space_root(store->space);
}

const RootState *
store_root(const Store *store)
{
	return &store->state;
}

static void
fill_counts(Store *store)
{
	RootState *state = &store->state;

	state->pages_end = space_pages_end(store->space);
	state->pages_used = space_pages_used(store->space);
	state->frames_free = space_frames_free(store->space);
}

uint64_t
store_publish(Store *store)
{
	RootState *state = &store->state;

	state->number = space_root(store->space);
	state->keys = store->keys.root;
	state->revisions = store->revisions.root;
	state->system = store->system.root;
	fill_counts(store);
	shm_root_write(store->shm, state);
	space_published(store->space);
	return state->number;
}

void
store_publish_counts(Store *store)
{
	fill_counts(store);
	shm_root_write(store->shm, &store->state);
}

uint64_t
store_frames_free(const Store *store)
{
	return space_frames_free(store->space);
}

uint64_t
store_pages_dead(const Store *store)
{
	return space_pages_dead(store->space);
}

/* The lowest root under a snapshot pin; UINT64_MAX: none. */
static uint64_t
oldest_snapshot(const Shm *shm)
{
	uint64_t oldest = UINT64_MAX;

	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm->layout.slot_count; slot++)
	{
		if (atomic_load_explicit(&shm->heads[slot].state, memory_order_relaxed) != SLOT_LIVE)
			continue;
		for (int pin = 0; pin < SNAPSHOT_PINS; pin++)
		{
			uint64_t root =
				atomic_load_explicit(&shm->areas[slot]->snapshot_pins[pin], memory_order_relaxed);

			if (root != 0)
				oldest = Min(oldest, root);
		}
	}
	return oldest;
}

/*
 * Ends the oldest snapshots, those of one root, unless the ones that were ended before are still
 * held: their owners must come to let go of them first.
 */
static void
end_oldest_snapshot(Store *store)
{
	_Atomic uint64_t *allowed = &store->shm->root->oldest_allowed_root;
	uint64_t oldest = oldest_snapshot(store->shm);

	if (oldest >= store->state.number ||
		oldest < atomic_load_explicit(allowed, memory_order_relaxed))
		return;
	atomic_store_explicit(allowed, oldest + 1, memory_order_release);
	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < store->shm->layout.slot_count; slot++)
	{
		for (int pin = 0; pin < SNAPSHOT_PINS; pin++)
		{
			if (atomic_load_explicit(&store->shm->areas[slot]->snapshot_pins[pin],
									 memory_order_relaxed) == oldest)
			{
				latch_set(&store->shm->latches[slot]);
				break;
			}
		}
	}
}

void
store_end_snapshots(Store *store, uint64_t root)
{
	Shm *shm = store->shm;

	atomic_store_explicit(&shm->root->oldest_allowed_root, root, memory_order_seq_cst);
	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm->layout.slot_count; slot++)
	{
		if (atomic_load_explicit(&shm->heads[slot].state, memory_order_relaxed) == SLOT_LIVE)
			latch_set(&shm->latches[slot]);
	}
}

bool
store_is_pinned(Store *store)
{
	return space_is_pinned(store->space);
}

bool
store_make_room(Store *store, uint64_t frames)
{
	uint64_t before = store->state.frames_free;

	space_reclaim(store->space);
	if (space_frames_free(store->space) < frames)
		end_oldest_snapshot(store);
	return space_frames_free(store->space) != before;
}

void
store_hand_over(Store *store, struct CheckpointRoot *handed)
{
	handed->root = store->state;
	handed->bitmap_bits = space_copy_used(store->space, store->shm->checkpoint_bitmap);
}

/* ---- between batches ------------------------------------------------------- */

bool
store_has_background(const Store *store)
{
	return store->compaction.count > 0;
}

Status
store_background(Store *store, uint64_t promised)
{
	store->sub = 0;
	return compaction_step(store, promised);
}

int64_t
store_compaction_finished(const Store *store)
{
	return store->state.compaction_done;
}

Status
store_defragment_step(Store *store, bool *done)
{
	TreeWriter *const trees[STORE_TREES] = {&store->keys, &store->revisions, &store->system};
	bool tree_done = false;
	Status status;

	*done = false;
	if (store->moving_tree == 0 && store->moving_limit == 0)
	{
		uint64_t used = space_pages_used(store->space);

		/* Some places are taken by what changes while pages move, their paths at least. */
		store->moving_limit = used + used / 32 + 2 * TREE_DEPTH_MAX;
	}
	status = tree_move_down(trees[store->moving_tree], store->moving, store->moving_limit,
							MOVE_LEAVES, &tree_done);
	if (status != RUSD_OK || !tree_done)
		return status;
	tree_resume_destroy(store->moving);
	store->moving = tree_resume_create();
	if (store->moving == NULL)
		return RUSD_NO_MEMORY;
	if (++store->moving_tree == STORE_TREES)
	{
		store->moving_tree = 0;
		store->moving_limit = 0;
		*done = true;
	}
	return RUSD_OK;
}
