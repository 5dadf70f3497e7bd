/*
 * said.c
 *	  What members claim to be and tell each other, against what they were and told before.
 *
 * test/sim/said.c
 */
#include "rusd.h"

#include "sim.h"

/* ---- leaders ---- */

/*
 * Leader completeness: a new leader's log holds all that was committed in earlier terms.  What it knows to be
 * committed was compared when it was; the rest is now, from the end of its log on back.
 */
static void
check_completeness(World *world, Member *member, uint64_t term)
{
	const MemberLog *log = &member->log;
	uint64_t lowest = log->last_index + 1;

	for (uint32_t i = log->count; i-- > 0 && lowest > log->committed_index + 1;)
	{
		const LogRecord *record = &log->records[i];
		const Committed *entry;

		if (record->index >= lowest)
			continue;
		lowest = record->index;
		if (record->index > world->check.count)
			continue;
		entry = &world->check.entries[record->index - 1];
		if ((entry->term != record->term || entry->hash != record->hash) && entry->seen_term < term)
			sim_violation(world, member, "leader completeness",
						  "the leader of term %" PRIu64 " has entry %" PRIu64 " of term %" PRIu64
						  ", but that of term %" PRIu64 " is committed",
						  term, record->index, record->term, entry->term);
	}
	for (uint64_t index = log->last_index + 1; index <= world->check.count; index++)
	{
		if (world->check.entries[index - 1].seen_term < term)
			sim_violation(world, member, "leader completeness",
						  "the leader of term %" PRIu64 " lacks entry %" PRIu64
						  ", which is committed",
						  term, index);
	}
}

void
logcheck_role(World *world, Member *member, const ControlState *control)
{
	uint64_t *leader;

	if (control->term >= lengthof(world->check.leader_of))
	{
		sim_violation(world, member, "terms do not run away", "term %" PRIu64, control->term);
		return;
	}
	if (control->role != ROLE_LEADER)
		return;
	leader = &world->check.leader_of[control->term];
	if (*leader != 0 && *leader != member->id)
		sim_violation(world, member, "one leader a term", "two members lead term %" PRIu64,
					  control->term);
	if (*leader == 0)
		check_completeness(world, member, control->term);
	*leader = member->id;
}

/* ---- messages ---- */

uint64_t
logcheck_position(const Member *member, uint64_t index, uint64_t log_end)
{
	const MemberLog *log = &member->log;

	for (uint32_t i = log->count; i-- > 0;)
	{
		if (log->records[i].position_end <= log_end && log->records[i].index == index)
			return log->records[i].position;
	}
	return 0;
}

/* An acknowledgement in the member's present term: that very entry is flushed here. */
static void
check_acknowledgement(World *world, Member *member, const RaftMessage *message)
{
	const MemberLog *log = &member->log;

	for (uint32_t i = log->count; i-- > 0 && log->records[i].position_end > log->flushed;)
	{
		if (log->records[i].index <= message->index)
		{
			sim_violation(world, member, "acknowledged is flushed",
						  "entry %" PRIu64 " is acknowledged, but entry %" PRIu64
						  " ends at %" PRIu64 " and flushed is %" PRIu64,
						  message->index, log->records[i].index, log->records[i].position_end,
						  log->flushed);
			return;
		}
	}
}

static void
check_vote(World *world, Member *member, uint64_t term, uint64_t candidate)
{
	MemberLog *log = &member->log;

	if (log->said_vote_term == term && log->said_vote != candidate)
		sim_violation(world, member, "no vote is forgotten",
					  "it votes a second time in term %" PRIu64, term);
	if (term < log->said_vote_term)
		return;
	log->said_vote_term = term;
	log->said_vote = candidate;
}

void
logcheck_said(World *world, Member *member, const PeerMessage *message)
{
	const RaftMessage *raft = &message->raft;
	MemberLog *log = &member->log;

	if (message->kind != PEER_RAFT || raft->kind == MESSAGE_PRE_VOTE ||
		raft->kind == MESSAGE_PRE_VOTE_ANSWER)
		return;
	/* A message may have waited for a flush while the member went on. */
	if (raft->term < log->said_term && raft->term < member->control.term)
		return;
	if (raft->term < log->said_term)
		sim_violation(world, member, "no term is forgotten",
					  "it speaks in term %" PRIu64 " after term %" PRIu64, raft->term,
					  log->said_term);
	log->said_term = Max(log->said_term, raft->term);
	if (raft->kind == MESSAGE_VOTE)
		check_vote(world, member, raft->term, member->id);
	if (raft->kind == MESSAGE_VOTE_ANSWER && !raft->reject)
		check_vote(world, member, raft->term, raft->to);
	if (raft->kind == MESSAGE_APPEND_ANSWER && !raft->reject && raft->term == member->control.term)
		check_acknowledgement(world, member, raft);
}
