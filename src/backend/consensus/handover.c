/*
 * handover.c
 *	  Another member shall lead: what begins it, and proposals meanwhile.  Process raft.
 *
 * Who hands over gives no proposal an index, lest the target never catches up.  Its backends' stay in their rings and go to the
 * next leader; after an election timeout they are refused (RAFT-33), for then nobody knows when there will be one.
 * Those of other members it refuses at once; the member that sent one counts it as not sent (forward.c), and keeps the
 * next ones for the new leader, or for a heartbeat: for longer a leader that goes on need not be waited for.
 *
 * src/backend/consensus/handover.c
 */
#include "rusd.h"

#include "consensus_int.h"

bool
handover_waits(const Consensus *consensus)
{
	const Raft *raft = &consensus->raft;

	if (raft->role == ROLE_LEADER)
		return unlikely(raft->transfer_to != 0) &&
			   (consensus->handover_ns == 0 ||
				consensus->now_ns - consensus->handover_ns < consensus->election_ns);
	return consensus->handover_term == raft->hard_state.term &&
		   consensus->now_ns - consensus->handover_seen_ns < consensus->options.heartbeat_ns;
}

void
handover_seen(Consensus *consensus, uint64_t term)
{
	consensus->handover_term = term;
	consensus->handover_seen_ns = consensus->now_ns;
}

/* A new leader is looked for as soon as the stop is wanted, and once more before leaving if this one leads still. */
static void
see_stop(Consensus *consensus)
{
	const Raft *raft = &consensus->raft;
	uint32_t wanted =
		atomic_load_explicit(&consensus->shm->requests->stop_wanted, memory_order_acquire);

	if (likely(wanted == consensus->stop_seen))
		return;
	consensus->stop_seen = wanted;
	consensus->draining = wanted >= 2;
	consensus->control_dirty = true;
	if (raft->role != ROLE_LEADER || raft->voters_count == 1)
		return;
	consensus_core(consensus, &(RaftEvent){.kind = RAFT_TRANSFER});
	if (consensus->update.propose_status == RUSD_OK)
		consensus->hand_over_until = consensus->now_ns + consensus->election_ns;
}

void
handover_step(Consensus *consensus)
{
	see_stop(consensus);
	if (likely(consensus->raft.transfer_to == 0))
		consensus->handover_ns = 0;
	else if (consensus->handover_ns == 0)
		consensus->handover_ns = consensus->now_ns;
}

Status
handover_to(Consensus *consensus, uint64_t target)
{
	const Raft *raft = &consensus->raft;
	uint32_t place = raft_configuration_find(&raft->configuration, target);

	if (raft->role != ROLE_LEADER)
		return RUSD_NOT_LEADER;
	if (target == raft->member_id)
		return RUSD_OK;
	if (place == raft->configuration.member_count || raft->configuration.members[place].is_learner)
		return RUSD_BAD_TRANSFEREE;
	consensus_core(consensus, &(RaftEvent){.kind = RAFT_TRANSFER, .member = target});
	return RUSD_OK;
}
