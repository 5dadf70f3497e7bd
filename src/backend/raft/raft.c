/*
 * raft.c
 *	  The consensus core.  Process raft and simulator.
 *
 * src/backend/raft/raft.c
 */
#include "rusd.h"

#include "raft/raft.h"

static void step_tick(Raft *raft, RaftUpdate *update);
static void step_propose(Raft *raft, const RaftEvent *event, RaftUpdate *update);
static void step_appended(Raft *raft, const RaftEvent *event, RaftUpdate *update);
static void step_flushed(Raft *raft, const RaftEvent *event, RaftUpdate *update);
static void campaign(Raft *raft, RaftUpdate *update);
static void become_leader(Raft *raft, RaftUpdate *update);
static void set_ceiling(Raft *raft, RaftUpdate *update);
static void maybe_commit(Raft *raft, RaftUpdate *update);
static bool push_span(Raft *raft, uint64_t end, uint64_t last_index, uint64_t term);
static RaftRecord *give_out(RaftUpdate *update, RaftRecordKind kind);

Status
raft_init(Raft *raft, const RaftStart *start)
{
	const RaftConfiguration *configuration = start->configuration;
	bool votes = false;

	if (configuration->member_count == 0 || configuration->member_count > CONFIG_MEMBERS_MAX ||
		start->span_capacity == 0 || start->commit_position > start->log_end ||
		start->hard_state.commit_index > start->last_index ||
		start->last_term > start->hard_state.term)
		return RUSD_INVALID;

	memset(raft, 0, sizeof(*raft));
	for (uint32_t i = 0; i < configuration->member_count; i++)
	{
		if (configuration->members[i].is_learner)
			continue;
		raft->voters_count++;
		votes |= configuration->members[i].id == start->member_id;
	}
	if (raft->voters_count != 1 || !votes)
		return RUSD_NOT_CAPABLE;

	raft->member_id = start->member_id;
	raft->configuration = *configuration;
	raft->role = ROLE_FOLLOWER;
	raft->hard_state = start->hard_state;
	raft->last_index = start->last_index;
	raft->last_term = start->last_term;
	raft->appended_index = start->last_index;
	raft->appended = start->log_end;
	raft->flushed = start->log_end;
	raft->commit_index = start->hard_state.commit_index;
	raft->commit_term = start->hard_state.commit_term;
	raft->commit_position = start->commit_position;
	raft->applied_index = start->applied_index;
	raft->spans = start->spans;
	raft->span_capacity = start->span_capacity;
	return RUSD_OK;
}

void
raft_step(Raft *raft, const RaftEvent *event, RaftUpdate *update)
{
	switch (event->kind)
	{
		case RAFT_TICK:
			step_tick(raft, update);
			break;
		case RAFT_PROPOSE:
			step_propose(raft, event, update);
			break;
		case RAFT_APPENDED:
			step_appended(raft, event, update);
			break;
		case RAFT_FLUSHED:
			step_flushed(raft, event, update);
			break;
		case RAFT_APPLIED:
			raft->applied_index = Max(raft->applied_index, event->index);
			break;
	}
}

bool
raft_reads_are_local(const Raft *raft)
{
	return raft->role == ROLE_LEADER && raft->voters_count == 1 &&
		   raft->applied_index >= raft->first_index &&
		   raft->applied_index >= raft->configuration.index;
}

/*
 * Raft 3.4: a follower that hears of no leader within an election timeout becomes a candidate.  The
 * only voter has nobody to hear of, so it does not wait: the first tick is enough.
 */
static void
step_tick(Raft *raft, RaftUpdate *update)
{
	if (raft->role == ROLE_FOLLOWER)
		campaign(raft, update);
}

/*
 * Raft 3.4: "To begin an election, a follower increments its current term and transitions to
 * candidate state.  It then votes for itself".  Raft 3.8: term and vote are on stable storage
 * before the vote is said; its own vote is said to itself, and counts in step_flushed.
 */
static void
campaign(Raft *raft, RaftUpdate *update)
{
	RaftRecord *record;

	raft->role = ROLE_CANDIDATE;
	raft->leader_id = 0;
	raft->hard_state.term++;
	raft->hard_state.vote = raft->member_id;
	raft->hard_state.commit_index = raft->commit_index;
	raft->hard_state.commit_term = raft->commit_term;
	raft->vote_end = 0;

	record = give_out(update, RAFT_RECORD_HARD_STATE);
	record->term = raft->hard_state.term;
	record->hard_state = raft->hard_state;
	update->role_changed = true;
}

/*
 * Raft 6.4 and 3.6.2: what earlier terms left behind is committed only with an entry of the new
 * term, so a leader begins its term with an empty one.
 */
static void
become_leader(Raft *raft, RaftUpdate *update)
{
	RaftRecord *record;

	raft->role = ROLE_LEADER;
	raft->leader_id = raft->member_id;
	raft->vote_end = 0;
	raft->first_index = ++raft->last_index;
	raft->last_term = raft->hard_state.term;
	raft->floor = 0;
	raft->ceiling = 0;

	record = give_out(update, RAFT_RECORD_EMPTY);
	record->index = raft->first_index;
	record->term = raft->hard_state.term;
	update->role_changed = true;
}

static void
step_propose(Raft *raft, const RaftEvent *event, RaftUpdate *update)
{
	if (raft->role != ROLE_LEADER)
		update->propose_status = RUSD_NO_LEADER;
	else if (event->changes_members)
		update->propose_status = RUSD_NOT_CAPABLE;
	else if (raft->span_count == raft->span_capacity)
		update->propose_status = RUSD_AGAIN;
	else
	{
		update->propose_status = RUSD_OK;
		update->propose_index = ++raft->last_index;
		update->propose_term = raft->hard_state.term;
	}
}

static void
step_appended(Raft *raft, const RaftEvent *event, RaftUpdate *update)
{
	Check(event->position >= raft->appended && event->index >= raft->appended_index &&
		  event->index <= raft->last_index);
	raft->appended = event->position;
	if (event->hard_state && raft->role == ROLE_CANDIDATE && raft->vote_end == 0)
		raft->vote_end = event->position;
	if (event->index > raft->appended_index)
	{
		Check(push_span(raft, event->position, event->index, raft->hard_state.term));
		raft->appended_index = event->index;
	}
	if (raft->role == ROLE_LEADER && raft->floor == 0 && event->index >= raft->first_index)
		raft->floor = event->position;
	set_ceiling(raft, update);
}

/*
 * The position that would be committed if this member's disk were infinitely fast: for an only
 * voter, all that it has appended.  Nothing before the first entry of its term is in the log, for
 * below it nothing is committed by counting (Raft 3.6.2: "Raft never commits log entries from
 * previous terms by counting replicas").
 */
static void
set_ceiling(Raft *raft, RaftUpdate *update)
{
	uint64_t ceiling = raft->role == ROLE_LEADER && raft->floor != 0 ? raft->appended : 0;

	if (ceiling == raft->ceiling)
		return;
	raft->ceiling = ceiling;
	update->bounds_changed = true;
	maybe_commit(raft, update);
}

static void
step_flushed(Raft *raft, const RaftEvent *event, RaftUpdate *update)
{
	if (event->position <= raft->flushed)
		return;
	raft->flushed = event->position;
	if (raft->role == ROLE_CANDIDATE && raft->vote_end != 0 && raft->flushed >= raft->vote_end)
		become_leader(raft, update); /* one vote is a majority of one */
	maybe_commit(raft, update);
}

/*
 * Raft 3.6.2: only entries of the leader's current term are committed by counting; all before them
 * are then committed by the Log Matching Property.  In positions: nothing below the floor; from
 * there on what is durable here, as far as the ceiling.  walwriter publishes the same minimum
 * without waiting for this process.
 */
static void
maybe_commit(Raft *raft, RaftUpdate *update)
{
	uint64_t position = Min(raft->flushed, raft->ceiling);

	if (raft->role != ROLE_LEADER || raft->floor == 0 || position < raft->floor ||
		position <= raft->commit_position)
		return;
	raft->commit_position = position;
	update->committed = true;
	while (raft->span_count > 0 && raft->spans[raft->span_first].end <= position)
	{
		raft->commit_index = raft->spans[raft->span_first].last_index;
		raft->commit_term = raft->spans[raft->span_first].term;
		raft->span_first = (raft->span_first + 1) % raft->span_capacity;
		raft->span_count--;
	}
}

static bool
push_span(Raft *raft, uint64_t end, uint64_t last_index, uint64_t term)
{
	RaftSpan *span;

	if (raft->span_count == raft->span_capacity)
		return false;
	span = &raft->spans[(raft->span_first + raft->span_count) % raft->span_capacity];
	*span = (RaftSpan){.end = end, .last_index = last_index, .term = term};
	raft->span_count++;
	return true;
}

static RaftRecord *
give_out(RaftUpdate *update, RaftRecordKind kind)
{
	RaftRecord *record;

	Check(update->record_count < RAFT_RECORDS_MAX);
	record = &update->records[update->record_count++];
	*record = (RaftRecord){.kind = kind};
	return record;
}
