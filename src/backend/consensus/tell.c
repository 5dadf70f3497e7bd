/*
 * tell.c
 *	  What the other processes are told: control, bounds, commit position, promises; and by whom raft has
 *	  to be woken.  Process raft.
 *
 * Nobody wakes raft for a flush or an applied batch that it does not wait for.
 *
 * src/backend/consensus/tell.c
 */
#include "rusd.h"

#include "activity/metrics.h"
#include "consensus_int.h"
#include "utils/log.h"
#include "wal/recovery.h"

static uint64_t wanted_flush(const Consensus *consensus);
static uint64_t wanted_applied(const Consensus *consensus);

/*
 * At once, before anything is appended that speaks of another term.  walwriter may have flushed more than it
 * could publish by the bounds that it knew: it is told to judge again (wal_batch_end).
 */
void
tell_bounds(Consensus *consensus)
{
	const Raft *raft = &consensus->raft;
	ShmPositions *positions = consensus->shm->positions;
	uint64_t flushed;

	shm_bounds_write(consensus->shm, raft->ceiling, raft->floor);
	if (raft->floor == 0)
		return;
	flushed = atomic_load_explicit(&positions->flushed, memory_order_seq_cst);
	if (flushed >= raft->floor && Min(flushed, raft->ceiling) > positions_committed(positions))
		latch_set(&consensus->shm->latches[PROC_WALWRITER]);
}

/* What walwriter did not know: what others have answered. */
void
tell_committed(Consensus *consensus)
{
	ShmPositions *positions = consensus->shm->positions;
	uint64_t position = consensus->raft.commit_position;

	if (position <= positions_committed(positions))
		return;
	atomic_store_explicit(&positions->committed_by_peers, position, memory_order_release);
	latch_set(&consensus->shm->latches[PROC_APPLIER]);
}

void
tell_control(Consensus *consensus)
{
	const Raft *raft = &consensus->raft;
	const RaftConfiguration *configuration = &raft->configuration;
	ControlState *control = &consensus->control;
	uint32_t place;

	if (!consensus->control_dirty)
		return;
	place = raft_configuration_find(configuration, raft->member_id);
	control->cluster_id = consensus->shm->recovered->cluster_id;
	control->member_id = raft->member_id;
	control->term = raft->hard_state.term;
	control->leader_id = raft->leader_id;
	control->commit_index = raft->commit_index;
	control->last_index = raft->last_index;
	control->last_term = raft->last_term;
	control->voters_count = raft->voters_count;
	control->role = raft->role;
	control->is_learner =
		place < configuration->member_count && configuration->members[place].is_learner;
	control->configuration_index = configuration->index;
	control->reads_are_local = raft_reads_are_local(raft);
	control->draining = consensus->draining;
	control->ills = consensus->ills;
	shm_control_write(consensus->shm, control);
	consensus->control_dirty = false;
}

/* Read where frames are used that are nobody's: compaction, and estimates of deletions. */
void
tell_promises(Consensus *consensus)
{
	_Atomic uint64_t *promised = &consensus->shm->requests->frames_promised;

	if (atomic_load_explicit(promised, memory_order_relaxed) != consensus->pages_reserved)
		atomic_store_explicit(promised, consensus->pages_reserved, memory_order_relaxed);
}

/* Backends have been waiting for this; each is woken, once. */
void
tell_ready(Consensus *consensus)
{
	Shm *shm = consensus->shm;

	if (consensus->control.ready || !own_is_done(consensus))
		return;
	consensus->control.ready = 1;
	consensus->control_dirty = true;
	consensus->did_something = true;
	tell_control(consensus);
	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm->layout.slot_count; slot++)
		if (atomic_load_explicit(&shm->heads[slot].state, memory_order_acquire) == SLOT_LIVE)
			latch_set(&shm->latches[slot]);
	log_info("ready to serve client requests", LOG_ID("local-member-id", consensus->raft.member_id),
			 LOG_ID("cluster-id", consensus->control.cluster_id));
}

void
tell_role(const Consensus *consensus, RaftRole role_before, uint64_t leader_before)
{
	const Raft *raft = &consensus->raft;
	static const char *const names[] = {
		[ROLE_FOLLOWER] = "became follower",
		[ROLE_PRE_CANDIDATE] = "became pre-candidate",
		[ROLE_CANDIDATE] = "became candidate",
		[ROLE_LEADER] = "became leader",
	};

	if (raft->role != role_before || raft->role == ROLE_CANDIDATE)
		log_info(names[raft->role], LOG_ID("local-member-id", raft->member_id),
				 LOG_UNSIGNED("term", raft->hard_state.term));
	if (raft->leader_id == leader_before)
		return;
	if (raft->leader_id == 0)
		log_info("lost leader", LOG_ID("local-member-id", raft->member_id),
				 LOG_ID("lost-leader-member-id", leader_before),
				 LOG_UNSIGNED("term", raft->hard_state.term));
	else
	{
		count(consensus->shm->areas[PROC_RAFT], COUNTER_LEADER_CHANGES, 1);
		log_info("elected leader", LOG_ID("local-member-id", raft->member_id),
				 LOG_ID("leader-member-id", raft->leader_id),
				 LOG_UNSIGNED("term", raft->hard_state.term));
	}
}

void
tell_lost_log(const Consensus *consensus)
{
	log_error("a member has lost entries that it had acknowledged; remove it, and add it anew",
			  LOG_ID("local-member-id", consensus->raft.member_id),
			  LOG_ID("remote-peer-id", consensus->update.member_lost_log),
			  LOG_UNSIGNED("term", consensus->raft.hard_state.term));
}

void
tell_transfer(const Consensus *consensus)
{
	const Raft *raft = &consensus->raft;

	log_warn("this leader does not get on with its work, and hands over",
			 LOG_ID("local-member-id", raft->member_id),
			 LOG_ID("transferee-member-id", raft->transfer_to),
			 LOG_UNSIGNED("term", raft->hard_state.term));
}

bool
tell_wakes(Consensus *consensus)
{
	Shm *shm = consensus->shm;
	BackendArea *own = shm->areas[PROC_RAFT];
	uint64_t flush = wanted_flush(consensus);
	uint64_t applied = wanted_applied(consensus);

	if (flush != atomic_load_explicit(&shm->positions->flush_wanted, memory_order_relaxed))
		atomic_store_explicit(&shm->positions->flush_wanted, flush, memory_order_seq_cst);
	if (applied != atomic_load_explicit(&own->applied_wanted, memory_order_relaxed))
		atomic_store_explicit(&own->applied_wanted, applied, memory_order_seq_cst);
	if (applied != 0)
		marks_set(shm->applied_marks, PROC_RAFT);
	return (flush != 0 &&
			atomic_load_explicit(&shm->positions->flushed, memory_order_seq_cst) >= flush) ||
		   (applied != 0 &&
			atomic_load_explicit(&shm->positions->applied_index, memory_order_seq_cst) >= applied);
}

/* The flushed position without which it cannot go on, 0: none. */
static uint64_t
wanted_flush(const Consensus *consensus)
{
	const Raft *raft = &consensus->raft;

	if (raft->flushed >= raft->appended)
		return 0;
	if (raft->role == ROLE_CANDIDATE && raft->hard_state_end > raft->flushed)
		return Min(raft->hard_state_end, raft->appended);
	if (consensus->draining || !consensus->control.ready)
		return raft->appended;
	/* The others have it: with this flush it is committed, and they are to be told. */
	if (raft->voters_count > 1 && raft->ceiling > raft->flushed)
		return raft->flushed + 1;
	return consensus->log_full ? raft->flushed + 1 : 0;
}

/* The same of the applied index. */
static uint64_t
wanted_applied(const Consensus *consensus)
{
	const Raft *raft = &consensus->raft;

	if (!consensus->control.ready && consensus->own_index > raft->applied_index)
		return consensus->own_index;
	if (consensus->log_full && raft->applied_index < raft->last_index)
		return raft->applied_index + 1;
	return 0;
}
