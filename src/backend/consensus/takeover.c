/*
 * takeover.c
 *	  States of other members: one that was fetched takes the place of what is applied.  Process raft.
 *
 * From the moment that the core is told until the applier is done nothing changes in the log, and nothing more
 * becomes known to be committed.  The order is given when all that this log lets the applier have is applied: so it is clear
 * which requests the applier has answered, and which it never will, since their entries are in that state or
 * nowhere.
 *
 * src/backend/consensus/takeover.c
 */
#include "rusd.h"

#include "consensus_int.h"
#include "utils/log.h"

static void see_sent(Consensus *consensus);
static void begin(Consensus *consensus);
static void order(Consensus *consensus);
static void finish(Consensus *consensus);

/* At the beginning of a turn, where no batch is open. */
void
takeover_step(Consensus *consensus)
{
	const Install *install = &consensus->install;

	if (consensus->options.peers == NULL)
		return;
	see_sent(consensus);
	if (!install->is_frozen || (install->is_ordered && FAULT(snapshots_in_succession)))
		begin(consensus);
	if (install->is_frozen && !install->is_ordered)
		order(consensus);
	else if (install->is_ordered)
		finish(consensus);
}

/* What became of states that others were sent. */
static void
see_sent(Consensus *consensus)
{
	PeerOps *peers = consensus->options.peers;
	RaftEvent event = {.kind = RAFT_SNAPSHOT_SENT};

	while (peers->snapshot_sent(peers, &event.member, &event.failed))
		consensus_core(consensus, &event);
}

static void
begin(Consensus *consensus)
{
	PeerOps *peers = consensus->options.peers;
	Install *install = &consensus->install;

	if (!peers->snapshot_fetched(peers, &install->index, &install->term, &install->configuration))
		return;
	consensus_core(consensus, &(RaftEvent){.kind = RAFT_SNAPSHOT_INSTALLING,
										   .index = install->index,
										   .log_term = install->term});
	install->is_frozen = consensus->update.propose_status == RUSD_OK;
	install->is_ordered = false;
	consensus->did_something = true;
	if (!install->is_frozen)
		log_info("a state that was fetched is not needed any more",
				 LOG_UNSIGNED("index", install->index),
				 LOG_UNSIGNED("commit-index", consensus->raft.commit_index));
}

static void
order(Consensus *consensus)
{
	Install *install = &consensus->install;
	Shm *shm = consensus->shm;

	if (atomic_load_explicit(&shm->positions->applied_position, memory_order_acquire) <
		positions_committed(shm->positions))
		return;
	consensus_take_in(consensus);
	if (!append_pending(consensus))
		return;
	append_finish(consensus);
	/* Not all that is known to be committed: what shares a batch with entries that are not is not applied. */
	append_void(consensus, consensus->root.applied_index + 1);
	requests_state_comes(consensus);
	install->order.count++;
	install->order.index = install->index;
	install->order.term = install->term;
	install->order.log_begin = consensus->appender.position;
	install->is_ordered = true;
	shm_install_write(shm, &install->order);
	latch_set(&shm->latches[PROC_APPLIER]);
	consensus->did_something = true;
}

static void
finish(Consensus *consensus)
{
	Install *install = &consensus->install;
	const ShmRequests *requests = consensus->shm->requests;
	RaftEvent event = {.kind = RAFT_SNAPSHOT_INSTALLED,
					   .index = install->index,
					   .log_term = install->term,
					   .position = install->order.log_begin,
					   .configuration = &install->configuration};

	if (atomic_load_explicit(&requests->install_done, memory_order_acquire) != install->order.count)
		return;
	event.failed = atomic_load_explicit(&requests->install_status, memory_order_relaxed) != RUSD_OK;
	install->is_frozen = install->is_ordered = false;
	if (!event.failed)
		wal_appender_begin_behind(&consensus->appender, install->index);
	consensus_core(consensus, &event);
	consensus->did_something = true;
}
