/*
 * corelease.c
 *	  A lease in the core's model: what the core must offer to whoever counts the time of leases.
 *
 * The lease lives in the state machine; its time is counted by the leader alone, and all of it anew by the next
 * one (LEASE-22, LEASE-25).  There is no clock here: at any moment its time may be up for whoever believes that
 * it leads.  It lets a quorum confirm that first (LEASE-23, LEASE-33), and so it does before it says that the lease
 * lives on.  The revoke is proposed later than it was decided, in that term or not at all: the next leader may have
 * kept the lease alive.
 *
 * test/sim/corelease.c
 */
#include "coremodel.h"

static uint64_t lease_of(const Model *model, const Member *member);
static void keep_alive(Model *model, Member *member);

static uint64_t
lease_of(const Model *model, const Member *member)
{
	return model->lease_behind[member->applied_index];
}

void
lease_ask(Model *model, Member *member, bool expires)
{
	if (member->raft.role != ROLE_LEADER || member->lease.asked != 0)
		return;
	member->lease.expires = expires;
	member->lease.seen_term =
		model->committed_count == 0 ? 0 : model->committed[model->committed_count].term;
	raft_update_reset(&model->update);
	raft_step(&member->raft, &(RaftEvent){.kind = RAFT_CONFIRM}, &model->update);
	/* The step may have answered at once. */
	member->lease.asked = model->update.read_id;
	model_take_update(model, member, NULL);
}

void
lease_take(Model *model, Member *member)
{
	for (uint32_t i = 0; i < model->update.read_count; i++)
	{
		const RaftReadReady *ready = &model->update.reads[i];

		if (ready->read_id != member->lease.asked || member->lease.asked == 0)
			continue;
		member->lease.asked = 0;
		/* It begins to count when it has applied the first entry of its term. */
		if (ready->index == 0 || ready->index > member->applied_index)
			continue;
		if (!member->lease.expires)
			keep_alive(model, member);
		else if (member->lease.decided != lease_of(model, member))
		{
			member->lease.decided = lease_of(model, member);
			member->lease.term = member->raft.hard_state.term;
			member->lease.is_proposed = false;
		}
	}
}

/* Who keeps alive a lease whose time is up waits for the outcome (LEASE-34). */
static void
keep_alive(Model *model, Member *member)
{
	uint64_t term = member->raft.hard_state.term;
	uint64_t lease = lease_of(model, member);

	if (member->lease.decided == lease && member->lease.term == term)
		return;
	if (member->lease.seen_term > term)
		MODEL_FAIL(model,
				   "member %" PRIu64 " keeps lease %" PRIu64 " alive in term %" PRIu64
				   ", when entries of term %" PRIu64 " were committed",
				   member->id, lease, term, member->lease.seen_term);
	model->kept_alive[lease] = Max(model->kept_alive[lease], term);
	model->counts.kept_alive++;
}

void
lease_revoke(Model *model, Member *member)
{
	Entry entry = {.revokes = member->lease.decided, .decided_term = member->lease.term};
	Status status;

	if (entry.revokes == 0 || member->lease.is_proposed)
		return;
	status = model_propose_entry(model, member, &entry);
	member->lease.is_proposed = status == RUSD_OK;
	if (status == RUSD_NO_LEADER)
		member->lease.decided = 0;
}

void
lease_committed(Model *model, uint64_t index)
{
	const Entry *entry = &model->committed[index];
	uint64_t lease = model->lease_behind[index - 1];

	model->lease_behind[index] = lease;
	if (entry->revokes != lease)
		return;
	if (model->kept_alive[lease] > entry->decided_term)
		MODEL_FAIL(model,
				   "entry %" PRIu64 " revokes lease %" PRIu64
				   " by the word of the leader of term %" PRIu64 ", but that of term %" PRIu64
				   " has kept it alive",
				   index, lease, entry->decided_term, model->kept_alive[lease]);
	model->lease_behind[index] = lease + 1;
	model->counts.revoked++;
}
