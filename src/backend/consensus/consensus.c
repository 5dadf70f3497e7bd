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

#include "consensus_int.h"
#include "ipc/slot.h"
#include "utils/log.h"
#include "wal/recovery.h"

/* The log is marked as flushed when nothing was appended for so long (the design: within a second).
 */
#define IDLE_MARK_NS UINT64_C(500000000)

static void take_ticks(Consensus *consensus, bool *ticked);
static void propose_own(Consensus *consensus);
static void propose_bytes(Consensus *consensus, uint32_t kind, const uint8_t *payload,
						  uint32_t length);
static void mark_idle(Consensus *consensus);
static void publish_control(Consensus *consensus);
static void publish_promises(Consensus *consensus);
static void become_ready(Consensus *consensus);
static bool ask_for_wakes(Consensus *consensus);
static uint64_t wanted_flush(const Consensus *consensus);
static uint64_t wanted_applied(const Consensus *consensus);
static void log_role(const Raft *raft);

uint32_t
consensus_request_max(const ShmLayout *layout)
{
	uint64_t bytes = wal_batch_bytes_max(layout) - sizeof(WalRecordHeader) - 8;

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
	consensus->intakes = calloc(shm->layout.slot_count, sizeof(*consensus->intakes));
	consensus->piece = malloc(PROPOSAL_PIECE_MAX);
	consensus->publication = malloc(Max(options->publication.length, 1));
	if (consensus->intakes != NULL && consensus->piece != NULL && consensus->publication != NULL)
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
	free(consensus->spans);
	free(consensus->reservations);
	free(consensus);
}

Status
consensus_step(Consensus *consensus, uint64_t *sleep_ns)
{
	Shm *shm = consensus->shm;
	uint32_t stop = atomic_load_explicit(&shm->requests->stop_wanted, memory_order_acquire);
	bool ticked = false;

	consensus->did_something = false;
	consensus->log_full = false;
	consensus->now_ns = consensus->options.clock->monotonic_ns(consensus->options.clock);
	atomic_store_explicit(&shm->control->loop_ns, consensus->now_ns, memory_order_release);
	if (consensus->draining != (stop != 0))
		consensus->control_dirty = true;
	consensus->draining = stop != 0;
	slot_acknowledge_dead(shm, shm->raft_acks, &consensus->slots_seen, intake_forget_slot,
						  consensus);
	consensus_take_in(consensus);
	take_ticks(consensus, &ticked);
	intake_notice(consensus, ticked);
	if (append_pending(consensus) && consensus->raft.role == ROLE_LEADER)
	{
		propose_own(consensus);
		intake_drain(consensus);
	}
	append_finish(consensus);
	mark_idle(consensus);
	become_ready(consensus);
	publish_control(consensus);
	publish_promises(consensus);

	*sleep_ns = consensus->next_tick_ns - consensus->now_ns;
	if (ask_for_wakes(consensus) || (consensus->raft.role == ROLE_LEADER && !consensus->log_full &&
									 !consensus->collect_short && intake_has_more(consensus)))
		*sleep_ns = 0;
	return consensus->did_something ? RUSD_OK : RUSD_AGAIN;
}

bool
consensus_is_finished(const Consensus *consensus)
{
	const Shm *shm = consensus->shm;

	return atomic_load_explicit(&shm->requests->stop_wanted, memory_order_acquire) >= 2 &&
		   consensus->pending_count == 0 &&
		   atomic_load_explicit(&shm->positions->flushed, memory_order_acquire) ==
			   consensus->appender.position &&
		   !wal_mark_is_due(&consensus->appender);
}

/* One event for the core; what it gives out is kept until it is appended and published. */
void
consensus_core(Consensus *consensus, const RaftEvent *event, RaftUpdate *update)
{
	raft_step(&consensus->raft, event, update);
	for (uint32_t i = 0; i < update->record_count; i++)
	{
		Check(consensus->pending_count < RAFT_RECORDS_MAX);
		consensus->pending[consensus->pending_count++] = update->records[i];
	}
	if (update->role_changed)
		log_role(&consensus->raft);
	if (update->role_changed || update->committed)
	{
		consensus->control_dirty = true;
		consensus->did_something = true;
	}
}

/* The newest positions of walwriter and applier, and the root that tells how many pages are free.
 */
void
consensus_take_in(Consensus *consensus)
{
	const ShmPositions *positions = consensus->shm->positions;
	uint64_t applied = atomic_load_explicit(&positions->applied_index, memory_order_acquire);
	RaftEvent flushed = {.kind = RAFT_FLUSHED,
						 .position =
							 atomic_load_explicit(&positions->flushed, memory_order_acquire)};
	RaftEvent event = {.kind = RAFT_APPLIED, .index = applied};
	RaftUpdate update = {0};

	consensus_core(consensus, &flushed, &update);
	if (applied != consensus->raft.applied_index)
	{
		memset(&update, 0, sizeof(update));
		consensus_core(consensus, &event, &update);
		consensus->control_dirty = true;
	}
	shm_root_read(consensus->shm, &consensus->root);
	append_release(consensus);
}

/*
 * After a pause only one election timeout of ticks is made up for: what was missed says nothing
 * about the others (design, "Pauses").
 */
static void
take_ticks(Consensus *consensus, bool *ticked)
{
	const ConsensusOptions *options = &consensus->options;
	RaftEvent event = {.kind = RAFT_TICK};

	if (consensus->now_ns > consensus->next_tick_ns + options->election_ns)
		consensus->next_tick_ns = consensus->now_ns - options->election_ns;
	while (consensus->now_ns >= consensus->next_tick_ns)
	{
		RaftUpdate update = {0};

		consensus_core(consensus, &event, &update);
		consensus->next_tick_ns += options->heartbeat_ns;
		*ticked = true;
	}
	if (!*ticked)
		return;
	judge_tick(consensus);
	intake_tick(consensus);
}

/*
 * Once the term's first entry is committed, this member makes itself known (BOOT-25), and the
 * cluster's version.  When both are applied, so is everything that was acknowledged before this
 * start, and backends may serve.
 */
static void
propose_own(Consensus *consensus)
{
	static const char version[] = ETCD_CLUSTER_VERSION_STRING;
	alignas(8) uint8_t payload[sizeof(EntryHeader) + sizeof(version)] = {0};
	uint32_t length = sizeof(EntryHeader) + (uint32_t) strlen(version);
	const Raft *raft = &consensus->raft;
	Bytes publication = consensus->options.publication;

	if (consensus->published_index != 0 || raft->commit_index < raft->first_index)
		return;
	if (!append_room(consensus, (uint32_t) publication.length + length +
									2 * (uint32_t) sizeof(WalRecordHeader)))
		return;
	memcpy(payload + sizeof(EntryHeader), version, strlen(version));
	propose_bytes(consensus, ENTRY_MEMBER_ATTRIBUTES, publication.data,
				  (uint32_t) publication.length);
	propose_bytes(consensus, ENTRY_CLUSTER_VERSION, payload, length);
}

static void
propose_bytes(Consensus *consensus, uint32_t kind, const uint8_t *payload, uint32_t length)
{
	static const RequestId nobody;

	consensus->published_index = append_entry(consensus, kind, &nobody, payload, length, 0);
}

/* When the log falls idle, and before it leaves. */
static void
mark_idle(Consensus *consensus)
{
	bool leaving =
		atomic_load_explicit(&consensus->shm->requests->stop_wanted, memory_order_relaxed) >= 2;

	if (consensus->pending_count > 0 || !wal_mark_is_due(&consensus->appender))
		return;
	if (leaving || consensus->now_ns - consensus->last_append_ns >= IDLE_MARK_NS)
		append_mark(consensus);
}

static void
publish_control(Consensus *consensus)
{
	const Raft *raft = &consensus->raft;
	ControlState *control = &consensus->control;

	if (!consensus->control_dirty)
		return;
	control->cluster_id = consensus->shm->recovered->cluster_id;
	control->member_id = raft->member_id;
	control->term = raft->hard_state.term;
	control->leader_id = raft->leader_id;
	control->commit_index = raft->commit_index;
	control->last_index = raft->last_index;
	control->voters_count = raft->voters_count;
	control->role = raft->role;
	control->is_learner = 0;
	control->reads_are_local = raft_reads_are_local(raft);
	control->draining = consensus->draining;
	shm_control_write(consensus->shm, control);
	consensus->control_dirty = false;
}

/* Read where frames are used that are nobody's: compaction, and estimates of deletions. */
static void
publish_promises(Consensus *consensus)
{
	_Atomic uint64_t *promised = &consensus->shm->requests->frames_promised;

	if (atomic_load_explicit(promised, memory_order_relaxed) != consensus->pages_reserved)
		atomic_store_explicit(promised, consensus->pages_reserved, memory_order_relaxed);
}

/* Backends have been waiting for this; each is woken, once. */
static void
become_ready(Consensus *consensus)
{
	Shm *shm = consensus->shm;

	if (consensus->control.ready || consensus->published_index == 0 ||
		consensus->raft.applied_index < consensus->published_index)
		return;
	consensus->control.ready = 1;
	consensus->control_dirty = true;
	consensus->did_something = true;
	publish_control(consensus);
	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm->layout.slot_count; slot++)
		if (atomic_load_explicit(&shm->heads[slot].state, memory_order_acquire) == SLOT_LIVE)
			latch_set(&shm->latches[slot]);
	log_info("ready to serve client requests", LOG_ID("local-member-id", consensus->raft.member_id),
			 LOG_ID("cluster-id", consensus->control.cluster_id));
}

/*
 * Says by whom it has to be woken, then looks once more: true if that has already happened.  Nobody
 * wakes raft for a flush or an applied batch that it does not wait for.
 */
static bool
ask_for_wakes(Consensus *consensus)
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
	bool leaving =
		atomic_load_explicit(&consensus->shm->requests->stop_wanted, memory_order_relaxed) >= 2;

	if (raft->flushed >= raft->appended)
		return 0;
	if (raft->role == ROLE_CANDIDATE)
		return raft->vote_end;
	if (leaving || (raft->role == ROLE_LEADER && !consensus->control.ready))
		return raft->appended;
	return consensus->log_full ? raft->flushed + 1 : 0;
}

/* The same of the applied index. */
static uint64_t
wanted_applied(const Consensus *consensus)
{
	const Raft *raft = &consensus->raft;

	if (!consensus->control.ready && consensus->published_index != 0)
		return consensus->published_index;
	if (consensus->log_full && raft->applied_index < raft->last_index)
		return raft->applied_index + 1;
	return 0;
}

static void
log_role(const Raft *raft)
{
	if (raft->role == ROLE_CANDIDATE)
		log_info("became candidate", LOG_ID("local-member-id", raft->member_id),
				 LOG_UNSIGNED("term", raft->hard_state.term));
	else if (raft->role == ROLE_LEADER)
	{
		log_info("became leader", LOG_ID("local-member-id", raft->member_id),
				 LOG_UNSIGNED("term", raft->hard_state.term));
		log_info("elected leader", LOG_ID("local-member-id", raft->member_id),
				 LOG_ID("leader-member-id", raft->leader_id),
				 LOG_UNSIGNED("term", raft->hard_state.term));
	}
}
