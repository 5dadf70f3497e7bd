/*
 * room.c
 *	  Frames for the next entry: an entry that is begun cannot wait for them, so it waits before.
 *
 * Process applier.  While clients write, raft refuses what may not fit, and compaction and
 * checkpoints have time to give back what was replaced.  When the log is replayed after a start all
 * of it is committed already and comes at once; and what raft has reserved for an entry was
 * estimated before the entries ahead of it.  So each entry is measured against the trees that it is
 * applied to [applier-6].  If frames are short, nothing is applied until the steps here have made
 * room: taking back, compaction without regard to promises (the entry that waits is what they were
 * made to), a checkpoint, the end of old snapshots.
 *
 * src/backend/applier/room.c
 */
#include "rusd.h"

#include "applier_int.h"
#include "utils/log.h"

Status
room_for(Applier *applier, const WalRecord *record, bool *fits)
{
	const WalRecordHeader *header = &record->header;
	uint64_t needed = 0;
	Status status = RUSD_OK;

	*fits = true;
	/* Not applied: a local request, or what the checkpoint has. */
	if (header->kind == ENTRY_DEFRAGMENT ||
		header->index <= store_root(applier->store)->applied_index)
		return RUSD_OK;
	if (!applier->forced)
		status = store_frames_needed(applier->store, header->kind, record->payload, header->length,
									 &needed);
	applier->forced = false;
	if (status != RUSD_OK)
	{
		log_error("the store cannot be read", LOG_UNSIGNED("index", header->index),
				  LOG_TEXT("error", status_text(status)));
		return status;
	}
	if (needed <= store_frames_free(applier->store))
		return RUSD_OK;
	*fits = false;
	applier->held = *record;
	applier->has_held = true;
	applier->lacking = needed;
	log_debug("an entry waits for page frames", LOG_UNSIGNED("index", header->index),
			  LOG_UNSIGNED("needed", needed),
			  LOG_UNSIGNED("free", store_frames_free(applier->store)));
	return RUSD_OK;
}

Status
room_step(Applier *applier, bool *did)
{
	const RootState *root = store_root(applier->store);
	Status status;

	if (store_make_room(applier->store, applier->lacking))
		store_publish_counts(applier->store);
	if (root->frames_free >= applier->lacking)
	{
		applier->warned_short = false;
		applier->lacking = 0;
		*did = true;
		return RUSD_OK;
	}
	status = background_step(applier, 0, did);
	if (status != RUSD_OK || *did)
		return status;
	checkpoint_ask(applier);
	/* What is dead comes back with a checkpoint or with the end of a reader. */
	if (store_pages_dead(applier->store) > 0)
		return RUSD_OK;
	/* The need is known from above only, and has a reserve in it: the entry may well fit. */
	if (!applier->warned_short)
		log_warn("page frames are short for an entry and none can be taken back; it is applied "
				 "with what there is.  If that fails, the node needs a larger --page-cache-size",
				 LOG_UNSIGNED("index", applier->held.header.index),
				 LOG_UNSIGNED("needed", applier->lacking), LOG_UNSIGNED("free", root->frames_free));
	applier->warned_short = true;
	applier->forced = true;
	applier->lacking = 0;
	*did = true;
	return RUSD_OK;
}
