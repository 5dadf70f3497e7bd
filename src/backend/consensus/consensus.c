/*
 * consensus.c
 *	  The turn of process raft: a step function that reaches nothing but shared memory and a clock.
 *
 * The order within a turn matters.  What other processes have done (flushed, applied) is taken in
 * before ticks, and both before proposals, so that nothing is decided from older positions than
 * there are.  Dead slots are acknowledged first, where nothing of theirs is held in a local
 * variable.
 *
 * src/backend/consensus/consensus.c
 */
#include "rusd.h"

#include "activity/metrics.h"
#include "consensus_int.h"
#include "ipc/slot.h"
#include "wal/recovery.h"

/* The log is marked as flushed when nothing was appended for so long (the design: within a second).
 */
#define IDLE_MARK_NS UINT64_C(500000000)

static void take_ticks(Consensus *consensus, bool *ticked);
static uint64_t next_random(Consensus *consensus);
static void mark_idle(Consensus *consensus);
static void keep_records(Consensus *consensus);
static void role_has_changed(Consensus *consensus, RaftRole role_before, uint64_t leader_before);
static void see_compaction(Consensus *consensus);

uint32_t
consensus_request_max(const ShmLayout *layout)
{
	uint64_t bytes = wal_batch_bytes_max(layout) - RECORDS_ROOM - sizeof(WalRecordHeader) - 8;

	return (uint32_t) Min(bytes, INT32_MAX);
}

Status
consensus_create(Shm *shm, const ConsensusOptions *options, Consensus **result)
{
	Consensus *consensus = calloc(1, sizeof(*consensus));
	Status status = RUSD_NO_MEMORY;

	if (consensus == NULL)
		return status;
	consensus->shm = shm;
	consensus->options = *options;
	consensus->election_ns = options->heartbeat_ns * options->raft.election_ticks;
	consensus->random = shm->incarnation ^ shm->recovered->member_id;
	consensus->first_term = shm->recovered->hard_state.term;
	consensus->intakes = calloc(shm->layout.slot_count, sizeof(*consensus->intakes));
	consensus->piece = malloc(PROPOSAL_PIECE_MAX);
	consensus->publication = malloc(Max(options->publication.length, 1));
	consensus->outbox = malloc(OUTBOX_MAX * sizeof(*consensus->outbox));
	if (consensus->intakes != NULL && consensus->piece != NULL && consensus->publication != NULL &&
		consensus->outbox != NULL)
		status = requests_create(consensus);
	if (status == RUSD_OK)
		status = append_create(consensus);
	if (status == RUSD_OK &&
		(options->request_max > consensus_request_max(&shm->layout) ||
		 options->request_max < sizeof(EntryHeader) || options->heartbeat_ns == 0))
		status = RUSD_INVALID;
	if (status == RUSD_OK)
		status = entry_check(ENTRY_MEMBER_ATTRIBUTES, options->publication.data,
							 options->publication.length);
	if (status != RUSD_OK)
	{
		consensus_destroy(consensus);
		return status;
	}
	memcpy(consensus->publication, options->publication.data, options->publication.length);
	consensus->options.publication.data = consensus->publication;
	/* A thirty-second, but enough for a delete and not more than compaction can use. */
	consensus->pages_kept_back = Max(Min(shm->layout.frame_count / 32, 1024), 32);
	consensus->next_tick_ns = options->clock->monotonic_ns(options->clock);
	consensus->last_append_ns = consensus->next_tick_ns;
	consensus->control_dirty = true;
	*result = consensus;
	return RUSD_OK;
}

void
consensus_destroy(Consensus *consensus)
{
	for (uint32_t slot = 0; consensus->intakes != NULL && slot < consensus->shm->layout.slot_count;
		 slot++)
		free(consensus->intakes[slot].buffer);
	free(consensus->intakes);
	free(consensus->piece);
	free(consensus->publication);
	free(consensus->outbox);
	free(consensus->spans);
	free(consensus->runs);
	requests_destroy(consensus);
	reads_destroy(consensus);
	free(consensus->reservations);
	free(consensus);
}

Status
consensus_step(Consensus *consensus, uint64_t *sleep_ns)
{
	static const RaftEvent turn = {.kind = RAFT_TURN};
	Shm *shm = consensus->shm;
	bool ticked = false;

	consensus->did_something = false;
	consensus->log_full = false;
	consensus->way_full = false;
	consensus->now_ns = consensus->options.clock->monotonic_ns(consensus->options.clock);
	atomic_store_explicit(&shm->control->loop_ns, consensus->now_ns, memory_order_release);
	slot_acknowledge_dead(shm, shm->raft_acks, &consensus->slots_seen, intake_forget_slot,
						  consensus);
	consensus_take_in(consensus);
	see_compaction(consensus);
	takeover_step(consensus);
	inbox_drain(consensus);
	take_ticks(consensus, &ticked);
	handover_step(consensus);
	intake_notice(consensus, ticked);
	if (append_pending(consensus) && (consensus_has_leader(consensus) || consensus->draining))
	{
		own_propose(consensus);
		intake_drain(consensus);
	}
	reads_step(consensus);
	append_finish(consensus);
	consensus_core(consensus, &turn);
	outbox_finish(consensus);
	mark_idle(consensus);
	tell_ready(consensus);
	tell_control(consensus);
	tell_promises(consensus);

	*sleep_ns = consensus->next_tick_ns - consensus->now_ns;
	if (tell_wakes(consensus) ||
		(consensus_has_leader(consensus) && !consensus->log_full && !consensus->way_full &&
		 !consensus->collect_short && !consensus->held && intake_has_more(consensus)))
		*sleep_ns = 0;
	return consensus->did_something ? RUSD_OK : RUSD_AGAIN;
}

bool
consensus_is_finished(const Consensus *consensus)
{
	const Shm *shm = consensus->shm;

	return consensus->draining && consensus->pending_count == 0 &&
		   (consensus->raft.role != ROLE_LEADER ||
			consensus->now_ns >= consensus->hand_over_until) &&
		   atomic_load_explicit(&shm->positions->flushed, memory_order_acquire) ==
			   consensus->appender.position &&
		   !wal_mark_is_due(&consensus->appender);
}

bool
consensus_has_leader(const Consensus *consensus)
{
	const Raft *raft = &consensus->raft;

	return raft->role == ROLE_LEADER || (raft->role == ROLE_FOLLOWER && raft->leader_id != 0);
}

void
consensus_core(Consensus *consensus, const RaftEvent *event)
{
	RaftUpdate *update = &consensus->update;
	const Raft *raft = &consensus->raft;
	uint64_t leader_before = raft->leader_id;
	RaftRole role_before = raft->role;

	raft_update_reset(update);
	raft_step(&consensus->raft, event, update);
	if (update->record_count > 0)
		keep_records(consensus);
	if (update->committed)
		tell_committed(consensus);
	if (update->bounds_changed)
		tell_bounds(consensus);
	if (update->configured)
		wal_appender_set_configuration(&consensus->appender, &raft->configuration);
	if (update->message_count > 0)
		outbox_take(consensus);
	if (unlikely(update->read_id != 0))
		consensus->read_attempt = update->read_id;
	if (update->read_count > 0)
		reads_take(consensus);
	if (unlikely(update->member_lost_log != 0))
		tell_lost_log(consensus);
	if (unlikely(update->snapshot_wanted) && consensus->options.peers != NULL)
		consensus->options.peers->snapshot_wanted(consensus->options.peers, raft->snapshot.from,
												  raft->snapshot.index);
	if (unlikely(update->role_changed))
		role_has_changed(consensus, role_before, leader_before);
	if (update->role_changed || update->committed || update->configured)
	{
		consensus->ask_again |= consensus->asked_in_vain && consensus->asked.count > 0;
		consensus->control_dirty = true;
		consensus->did_something = true;
	}
}

/* They go to the log in their order; of two hard states only the newer one counts. */
static void
keep_records(Consensus *consensus)
{
	const RaftUpdate *update = &consensus->update;

	for (uint32_t i = 0; i < update->record_count; i++)
	{
		const RaftRecord *record = &update->records[i];
		uint32_t count = consensus->pending_count;

		if (record->kind == RAFT_RECORD_HARD_STATE && count > 0 &&
			consensus->pending[count - 1].kind == RAFT_RECORD_HARD_STATE)
			count--;
		Check(count < RAFT_RECORDS_MAX);
		consensus->pending[count] = *record;
		consensus->pending_count = count + 1;
	}
}

static void
role_has_changed(Consensus *consensus, RaftRole role_before, uint64_t leader_before)
{
	tell_role(consensus, role_before, leader_before);
	if (consensus->raft.leader_id == leader_before)
		return;
	consensus->ask_again |= consensus->asked.count > 0;
#ifdef USE_FAULTS
	requests_send_again(consensus);
#endif
}

/* The newest positions of walwriter and applier, and the root that tells how many pages are free.
 */
void
consensus_take_in(Consensus *consensus)
{
	const ShmPositions *positions = consensus->shm->positions;
	uint64_t applied = atomic_load_explicit(&positions->applied_index, memory_order_acquire);
	uint64_t flushed = atomic_load_explicit(&positions->flushed, memory_order_acquire);

	if (flushed > consensus->raft.flushed)
		consensus_core(consensus, &(RaftEvent){.kind = RAFT_FLUSHED, .position = flushed});
	if (applied > consensus->raft.applied_index)
	{
		consensus_core(consensus, &(RaftEvent){.kind = RAFT_APPLIED, .index = applied});
		consensus->control_dirty = true;
	}
	shm_root_read(consensus->shm, &consensus->root);
	append_release(consensus);
	requests_applied(consensus);
}

/* Segments are gone. */
static void
see_compaction(Consensus *consensus)
{
	uint64_t compacted =
		atomic_load_explicit(&consensus->shm->segments->compacted, memory_order_acquire);

	if (compacted == consensus->compacted_index)
		return;
	consensus->compacted_index = compacted;
	consensus_core(consensus, &(RaftEvent){.kind = RAFT_COMPACTED, .index = compacted});
}

/*
 * After a pause only one election timeout of ticks is made up for, and what has arrived was read
 * before: what was missed says nothing about the others (design, "Pauses").
 */
static void
take_ticks(Consensus *consensus, bool *ticked)
{
	uint64_t heartbeat_ns = consensus->options.heartbeat_ns;

	if (consensus->raft.role == ROLE_LEADER &&
		consensus->now_ns >= consensus->next_tick_ns + heartbeat_ns)
		count(consensus->shm->areas[PROC_RAFT], COUNTER_HEARTBEATS_LATE, 1);
	if (consensus->now_ns > consensus->next_tick_ns + consensus->election_ns)
		consensus->next_tick_ns = consensus->now_ns - consensus->election_ns;
	if (consensus->now_ns >= consensus->next_tick_ns)
		health_look(consensus);
	while (consensus->now_ns >= consensus->next_tick_ns)
	{
		RaftEvent event = {.kind = RAFT_TICK,
						   .random = next_random(consensus),
						   .is_ill = (consensus->ills & (ILL_APPLY | ILL_PAGES)) != 0};
		uint64_t transfer_to = consensus->raft.transfer_to;

		consensus_core(consensus, &event);
		if (transfer_to == 0 && consensus->raft.transfer_to != 0)
			tell_transfer(consensus);
		consensus->next_tick_ns += heartbeat_ns;
		*ticked = true;
	}
	if (!*ticked)
		return;
	consensus->told_bad_message = false;
	judge_tick(consensus);
	intake_tick(consensus);
	forward_tick(consensus);
	reads_tick(consensus);
}

/* SplitMix64.  Nobody has to be kept from guessing it: it keeps members from standing for election together. */
static uint64_t
next_random(Consensus *consensus)
{
	uint64_t z = consensus->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* When the log falls idle, and before it leaves. */
static void
mark_idle(Consensus *consensus)
{
	if (consensus->pending_count > 0 || !wal_mark_is_due(&consensus->appender))
		return;
	if (consensus->draining || consensus->now_ns - consensus->last_append_ns >= IDLE_MARK_NS)
		append_mark(consensus);
}
