/*
 * upkeep.c
 *	  What the applier does between batches: roots for the checkpointer, room, compaction,
 * defragmentation.
 *
 * Process applier.  Everything here is a small step, so that no batch waits long; what has to wait
 * for a checkpoint only looks whether it is there.
 *
 * src/backend/applier/upkeep.c
 */
#include "rusd.h"

#include "applier_int.h"
#include "utils/log.h"
#include "wal/recovery.h"

/* Passes of a defragmentation at most: each leaves fewer holes. */
#define DEFRAGMENT_PASSES 6

void
checkpoint_ask(Applier *applier)
{
	uint64_t durable =
		atomic_load_explicit(&applier->shm->positions->durable_root, memory_order_acquire);

	/* With nothing dead, or nothing new, another one gives nothing back. */
	if (!checkpoint_is_done(applier) || store_pages_dead(applier->store) == 0 ||
		store_root(applier->store)->number == durable)
		return;
	applier->checkpoint_asked =
		atomic_fetch_add_explicit(&applier->shm->requests->checkpoint_wanted, 1,
								  memory_order_acq_rel) +
		1;
	latch_set(&applier->shm->latches[PROC_CHECKPOINTER]);
}

bool
checkpoint_is_done(const Applier *applier)
{
	return atomic_load_explicit(&applier->shm->requests->checkpoint_done, memory_order_acquire) >=
		   applier->checkpoint_asked;
}

/* It was not to be had; the checkpointer goes on trying. */
static bool
checkpoint_has_failed(const Applier *applier)
{
	return !checkpoint_is_done(applier) &&
		   atomic_load_explicit(&applier->shm->requests->checkpoint_failed, memory_order_acquire) >=
			   applier->checkpoint_asked;
}

/*
 * Term and vote as this member's log has them at least: what is newer is in the log behind this
 * root.  The applied entry is committed, in its term.
 */
HardState
hard_state(const Applier *applier, const RootState *root)
{
	const Shm *shm = applier->shm;
	HardState state = shm->recovered->hard_state;
	ControlState control;

	shm_control_read(shm, &control);
	if (control.term > state.term)
	{
		state.term = control.term;
		/* Whom it voted for in this term only the log tells; a leader has voted for itself. */
		state.vote = control.role == ROLE_LEADER ? control.member_id : 0;
	}
	if (root->applied_index > state.commit_index)
	{
		state.commit_index = root->applied_index;
		state.commit_term = root->applied_term;
	}
	return state;
}

/* Nothing has been built since the last publication: only then the bitmap of used pages is that of
 * the root. */
bool
checkpointer_serve(Applier *applier)
{
	Shm *shm = applier->shm;
	CheckpointRoot *handed = shm->checkpoint_root;
	uint64_t wanted = atomic_load_explicit(&shm->requests->root_wanted, memory_order_acquire);

	if (wanted == atomic_load_explicit(&handed->root_given, memory_order_relaxed))
		return false;
	store_hand_over(applier->store, handed);
	handed->log_position = applier->log_position;
	handed->hard_state = hard_state(applier, store_root(applier->store));
	handed->generation =
		atomic_load_explicit(&shm->positions->data_generation, memory_order_relaxed);
	handed->log_begin = applier->log_begin;
	handed->configuration = applier->configuration;
	root_give(applier, wanted);
	return true;
}

void
root_give(Applier *applier, uint64_t wanted)
{
	/* Pairs with the checkpointer's acquire: all of what is handed over is there. */
	atomic_store_explicit(&applier->shm->checkpoint_root->root_given, wanted, memory_order_release);
	latch_set(&applier->shm->latches[PROC_CHECKPOINTER]);
}

bool
frames_are_short(const Applier *applier)
{
	uint64_t wanted =
		atomic_load_explicit(&applier->shm->requests->frames_wanted, memory_order_acquire);

	return Max(wanted, applier->lacking) > store_root(applier->store)->frames_free;
}

/* raft has refused proposals for want of pages. */
static bool
make_room(Applier *applier)
{
	uint64_t wanted =
		atomic_load_explicit(&applier->shm->requests->frames_wanted, memory_order_acquire);
	bool changed;

	if (wanted <= store_root(applier->store)->frames_free)
		return false;
	changed = store_make_room(applier->store, wanted);
	if (changed)
		store_publish_counts(applier->store);
	/* What the last checkpoint holds is given back by the next one. */
	if (wanted > store_root(applier->store)->frames_free)
		checkpoint_ask(applier);
	return changed;
}

/* The file is cut behind the pages in use: on a full disk those that a checkpoint has let go of no
 * longer count at once. */
static bool
give_back(Applier *applier)
{
	uint64_t durable =
		atomic_load_explicit(&applier->shm->positions->durable_root, memory_order_acquire);

	if (durable == applier->given_back || !shm_disk_is_full(applier->shm))
		return false;
	applier->given_back = durable;
	if (!store_make_room(applier->store, 0))
		return false;
	store_publish_counts(applier->store);
	return true;
}

void
defragment_begin(Applier *applier, const EntryHeader *header)
{
	Reply reply = {.sequence = header->id.sequence,
				   .generation = header->id.generation,
				   .revision = store_root(applier->store)->revision};

	if (!request_is_ours(applier, &header->id))
		return;
	later_add(applier, header->id.slot, &reply, INT64_MAX);
	if (applier->defragment != DEFRAGMENT_NONE)
		return; /* it is answered together with the one under way */
	log_info("starting defragmentation",
			 LOG_UNSIGNED("pages-end", store_root(applier->store)->pages_end),
			 LOG_UNSIGNED("pages-used", store_root(applier->store)->pages_used));
	applier->defragment = DEFRAGMENT_CHECKPOINT_BEFORE;
	applier->defragment_passes = 0;
}

/* A checkpoint of ours that begins after this call: one that is under way may be of an older root.
 */
static void
ask_another_checkpoint(Applier *applier)
{
	applier->checkpoint_asked =
		atomic_fetch_add_explicit(&applier->shm->requests->checkpoint_wanted, 1,
								  memory_order_acq_rel) +
		1;
	latch_set(&applier->shm->latches[PROC_CHECKPOINTER]);
}

static void
begin_pass(Applier *applier)
{
	(void) store_make_room(applier->store, 0);
	(void) store_publish(applier->store);
	applier->defragment_end = store_root(applier->store)->pages_end;
	applier->defragment = DEFRAGMENT_MOVE;
}

static void
end_pass(Applier *applier)
{
	const RootState *root = store_root(applier->store);

	(void) store_make_room(applier->store, 0);
	(void) store_publish(applier->store);
	applier->defragment_passes++;
	if (root->pages_end > root->pages_used + root->pages_used / 16 + 64 &&
		root->pages_end < applier->defragment_end && applier->defragment_passes < DEFRAGMENT_PASSES)
	{
		begin_pass(applier);
		return;
	}
	log_info("finished defragmentation", LOG_UNSIGNED("pages-end", root->pages_end),
			 LOG_UNSIGNED("pages-used", root->pages_used),
			 LOG_UNSIGNED("passes", applier->defragment_passes));
	applier->defragment = DEFRAGMENT_NONE;
	later_send(applier, INT64_MAX);
}

/* What was moved is good where it is now. */
static void
give_up_defragmentation(Applier *applier)
{
	log_warn("defragmentation was given up: no room on the disk for its checkpoint");
	applier->defragment = DEFRAGMENT_NONE;
	later_fail(applier, RUSD_NOSPACE);
	later_send(applier, INT64_MAX);
}

static Status
defragment_step(Applier *applier, bool *did)
{
	bool done;
	Status status;

	switch (applier->defragment)
	{
		case DEFRAGMENT_CHECKPOINT_BEFORE:
			if (applier->defragment_passes == 0)
			{
				ask_another_checkpoint(applier);
				applier->defragment_passes = 1;
			}
			if (checkpoint_has_failed(applier))
			{
				give_up_defragmentation(applier);
				break;
			}
			if (!checkpoint_is_done(applier))
				return RUSD_OK;
			applier->defragment_passes = 0;
			begin_pass(applier);
			break;
		case DEFRAGMENT_MOVE:
			status = store_defragment_step(applier->store, &done);
			if (status != RUSD_OK)
				return status;
			(void) store_publish(applier->store);
			if (done)
			{
				ask_another_checkpoint(applier);
				applier->defragment = DEFRAGMENT_CHECKPOINT_AFTER;
			}
			break;
		case DEFRAGMENT_CHECKPOINT_AFTER:
			if (checkpoint_has_failed(applier))
			{
				give_up_defragmentation(applier);
				break;
			}
			if (!checkpoint_is_done(applier))
				return RUSD_OK;
			end_pass(applier);
			break;
		default:
			return RUSD_OK;
	}
	*did = true;
	return RUSD_OK;
}

Status
background_step(Applier *applier, uint64_t promised, bool *did)
{
	Status status;

	if (!store_has_background(applier->store))
		return RUSD_OK;
	status = store_background(applier->store, promised);
	if (status == RUSD_AGAIN)
	{
		/* Too few frames: what the last checkpoint holds is given back by the next one. */
		checkpoint_ask(applier);
		if (store_make_room(applier->store, 0))
		{
			store_publish_counts(applier->store);
			*did = true;
		}
		return RUSD_OK;
	}
	if (status != RUSD_OK)
		return status;
	(void) store_publish(applier->store);
	*did = true;
	later_send(applier, store_compaction_finished(applier->store));
	return RUSD_OK;
}

Status
upkeep_step(Applier *applier, bool *did)
{
	Status status = RUSD_OK;

	*did |= make_room(applier);
	*did |= give_back(applier);
	if (applier->lacking > 0)
		return room_step(applier, did);
	if (applier->defragment != DEFRAGMENT_NONE)
		status = defragment_step(applier, did);
	if (status != RUSD_OK)
		return status;
	return background_step(
		applier,
		atomic_load_explicit(&applier->shm->requests->frames_promised, memory_order_relaxed), did);
}
