/*
 * applier.c
 *	  Applies committed entries in batches.  Process applier.
 *
 * The order within a turn: apply; pin for those who will read; publish the root; advance applied;
 * answer; wake. [applier-1]
 *
 * src/backend/applier/applier.c
 */
#include "rusd.h"

#include "activity/metrics.h"
#include "applier_int.h"
#include "ipc/inject.h"
#include "raft/change.h"
#include "utils/log.h"

/* How often all slots are looked at, whatever their marks say. */
#define LOOK_NS UINT64_C(100000000)
#define WARN_AFTER_NS UINT64_C(100000000)

/* The state and the used pages of the recovered checkpoint; of a new store where there is none. */
static Status
make_store(Applier *applier, FileOps *fs, PageAccess access, int64_t quota)
{
	ControlRecord *record = calloc(1, sizeof(*record));
	uint64_t *used = NULL;
	uint64_t bits = 0;
	Status status;

	if (record == NULL)
		return RUSD_NO_MEMORY;
	status = control_read(fs, record);
	if (status == RUSD_OK)
		status = checkpoint_read_used(fs, record, &used, &bits);
	else if (status == RUSD_NOT_FOUND)
	{
		shm_root_read(applier->shm, &record->root);
		status = RUSD_OK;
	}
	if (status == RUSD_OK)
		status = store_create(applier->shm, access, &record->root, used, bits, quota,
							  applier->shm->recovered->member_id, &applier->store);
	free(used);
	free(record);
	return status;
}

Status
applier_create(Shm *shm, FileOps *fs, const ClockOps *clock, PageAccess access, int64_t quota,
			   Applier **result)
{
	const NodeRecovered *recovered = shm->recovered;
	Applier *applier = calloc(1, sizeof(*applier));
	Status status;

	if (applier == NULL)
		return RUSD_NO_MEMORY;
	applier->shm = shm;
	applier->clock = clock;
	applier->log_position = recovered->replay_position;
	applier->configuration = recovered->applied_configuration;
	applier->log_begin = recovered->log_begin;
	applier->quota = quota;
	applier->fs = fs;
	applier->access = access;
	applier->removal_unknown = true;
	applier->warn_after_ns = WARN_AFTER_NS;
	status = make_store(applier, fs, access, quota);
	if (status == RUSD_OK)
		status = wal_reader_create(shm, fs, recovered->replay_position, &applier->reader);
	if (status != RUSD_OK)
	{
		applier_destroy(applier);
		return status;
	}
	shm_configuration_write(shm, &applier->configuration);
	(void) store_publish(applier->store);
	*result = applier;
	return RUSD_OK;
}

void
applier_destroy(Applier *applier)
{
	if (applier == NULL)
		return;
	if (applier->reader != NULL)
		wal_reader_destroy(applier->reader);
	store_destroy(applier->store);
	free(applier->install.incoming);
	free(applier->later);
	free(applier);
}

void
applier_warn_after(Applier *applier, uint64_t ns)
{
	applier->warn_after_ns = ns;
}

/*
 * A committed change is judged as raft judges it, by entry and configuration only; so what is refused here changes
 * nothing there, and the other way round.  The configuration is kept for checkpoints; names and URLs are in
 * the system tree.
 */
static bool
change_configuration(Applier *applier, const WalRecord *record)
{
	RaftChange change = raft_change_of_entry(record->header.index, record->payload);

	if (raft_configuration_change(&applier->configuration, &change) != RUSD_OK)
		return false;
	applier->removal_unknown = true;
	/* Before the root of its entry: whoever has that, has this or a later one. */
	shm_configuration_write(applier->shm, &applier->configuration);
	return true;
}

static void
warn_slow(const Applier *applier, const WalRecord *record, uint64_t took)
{
	char request[128];

	count(applier->shm->areas[PROC_APPLIER], COUNTER_SLOW_APPLIES, 1);
	entry_describe(record->header.kind, record->payload, record->header.length, request,
				   sizeof(request));
	log_warn("apply request took too long", LOG_TIME("took", took),
			 LOG_TIME("expected-duration", applier->warn_after_ns),
			 LOG_UNSIGNED("index", record->header.index), LOG_TEXT("request", request));
}

static Status
apply_record(Applier *applier, const WalRecord *record, uint64_t *now)
{
	const WalRecordHeader *header = &record->header;
	uint64_t applied = store_root(applier->store)->applied_index;
	EntryHeader entry = {{0}, 0, 0};
	ApplyResult result;
	uint64_t began = *now;
	bool refused;
	Status status;

	if (header->length >= sizeof(entry))
		memcpy(&entry, record->payload, sizeof(entry));
	if (header->kind == ENTRY_DEFRAGMENT)
	{
		defragment_begin(applier, &entry);
		return RUSD_OK;
	}
	/* Recovery begins at a batch, which may hold what the checkpoint has. */
	if (header->index <= applied)
		return RUSD_OK;
	if (header->index != applied + 1)
	{
		log_error("an entry is missing in the log", LOG_UNSIGNED("applied-index", applied),
				  LOG_UNSIGNED("next-index", header->index));
		return RUSD_DAMAGED;
	}
	refused = header->kind == ENTRY_MEMBER && !change_configuration(applier, record);
	status = store_apply(applier->store, refused ? ENTRY_EMPTY : header->kind, header->index,
						 header->term, record->payload, refused ? sizeof(entry) : header->length,
						 &result);
	if (status != RUSD_OK)
	{
		log_error("an entry cannot be applied", LOG_UNSIGNED("index", header->index),
				  LOG_TEXT("kind", entry_kind_name(header->kind)),
				  LOG_TEXT("error", status_text(status)));
		return status;
	}
	/* Judged by another configuration: whoever wants it still judges anew. */
	if (refused)
		result.status = RUSD_AGAIN;
	applier->log_position = record->end;
	answer_add(applier, &entry, &result);
	*now = applier->clock->monotonic_ns(applier->clock);
	if (unlikely(applier->warn_after_ns > 0 && *now - began > applier->warn_after_ns))
		warn_slow(applier, record, *now - began);
	return RUSD_OK;
}

static void
publish_batch(Applier *applier)
{
	ShmPositions *positions = applier->shm->positions;

	answers_pin(applier);
	(void) store_publish(applier->store);
	INJECT("apply-after-publish");
	atomic_store_explicit(&positions->applied_position, wal_reader_position(applier->reader),
						  memory_order_release);
	/* Pairs with waiters, see waiters_wake. */
	atomic_store_explicit(&positions->applied_index, store_root(applier->store)->applied_index,
						  memory_order_seq_cst);
	INJECT("apply-before-reply");
	answers_send(applier);
	waiters_wake(applier, false);
}

/* The record that was held for want of frames, or the next one. */
static Status
next_record(Applier *applier, uint64_t limit, WalRecord *record)
{
	if (!applier->has_held)
		return wal_reader_next(applier->reader, limit, record);
	*record = applier->held;
	applier->has_held = false;
	return RUSD_OK;
}

/*
 * Applies what is committed, up to a batch, or up to an entry for which frames are short.  That one
 * is kept as the reader gave it: the reader's position stays before its batch until the next is
 * read.
 */
static Status
apply_batch(Applier *applier, bool *did)
{
	uint64_t limit = positions_committed(applier->shm->positions);
	uint64_t bytes = 0;
	uint32_t entries = 0;
	uint64_t now;
	WalRecord record;
	bool fits = true;
	Status status = RUSD_OK;

	if (limit <= wal_reader_position(applier->reader))
		return RUSD_OK;
	now = applier->clock->monotonic_ns(applier->clock);
	for (; entries < BATCH_ENTRIES && bytes < BATCH_BYTES; entries++)
	{
		status = next_record(applier, limit, &record);
		if (status != RUSD_OK)
			break;
		status = room_for(applier, &record, &fits);
		if (status != RUSD_OK)
			return status;
		if (!fits)
			break;
		if (entries == 0)
			INJECT("apply-before-batch");
		bytes += record.header.length;
		status = apply_record(applier, &record, &now);
		if (status != RUSD_OK)
			return status;
	}
	if (status != RUSD_OK && status != RUSD_END)
	{
		log_error("the log cannot be read", LOG_TEXT("error", status_text(status)));
		return status;
	}
	if (entries > 0)
		publish_batch(applier);
	else /* records that are not ours to apply have been passed */
		atomic_store_explicit(&applier->shm->positions->applied_position,
							  wal_reader_position(applier->reader), memory_order_release);
	*did |= entries > 0;
	return RUSD_OK;
}

/* CLUSTER-33: after a restart too.  Answers of the batch have been sent. */
static Status
see_removal(Applier *applier)
{
	bool removed;
	Status status;

	if (likely(!applier->removal_unknown))
		return RUSD_OK;
	applier->removal_unknown = false;
	status = store_own_removed(applier->store, &removed);
	if (status == RUSD_OK && removed)
		atomic_store_explicit(&applier->shm->requests->member_removed, 1, memory_order_release);
	return status;
}

static Status
work(Applier *applier, bool *did)
{
	Status status = applier->lacking > 0 ? RUSD_OK : apply_batch(applier, did);

	if (status == RUSD_OK)
		status = see_removal(applier);

	if (status == RUSD_OK)
		*did |= checkpointer_serve(applier);
	if (status == RUSD_OK)
		status = upkeep_step(applier, did);
	return status;
}

Status
applier_step(Applier *applier)
{
	bool did = false;
	uint64_t now = applier->clock->monotonic_ns(applier->clock);
	Status status;

	slots_forget_dead(applier);
	holders_step(applier, now);
	status = install_step(applier, &did);
	if (status == RUSD_OK && !install_is_under_way(applier))
		status = work(applier, &did);
	if (status != RUSD_OK)
		return status;
	if (!did || now - applier->looked_ns >= LOOK_NS)
	{
		bool all = now - applier->looked_ns >= LOOK_NS;

		waiters_wake(applier, all);
		if (all)
			applier->looked_ns = now;
	}
	return did ? RUSD_OK : RUSD_AGAIN;
}
