/*
 * follower.c
 *	  What a leader's messages do to a member.
 *
 * Raft 3.5, the consistency check: entries are taken where the log has the entry before them.  What
 * conflicts is void from there on; it stays where it lies, and what takes its place is written behind it.
 *
 * An acknowledgement names an index, but waits for a position: the end of the batch that holds that very
 * entry here.
 *
 * src/backend/raft/follower.c
 */
#include "rusd.h"

#include "raft_int.h"

static void refuse(Raft *raft, const RaftMessage *message, RaftUpdate *update);
static void acknowledge(Raft *raft, uint64_t index, uint64_t round, uint64_t durable_at,
						RaftUpdate *update);
static void take_entries(Raft *raft, const RaftEvent *event, uint64_t after, RaftUpdate *update);
static uint64_t first_new(const Raft *raft, const RaftMessage *message, uint64_t after);
static uint64_t term_in_message(const RaftMessage *message, uint64_t index);
static void hear(Raft *raft, const RaftMessage *message, RaftUpdate *update);

/* The leader of this term speaks (raft.c has seen to the term). */
static void
hear(Raft *raft, const RaftMessage *message, RaftUpdate *update)
{
	if (raft->role != ROLE_FOLLOWER || raft->leader_id != message->from)
		raft_become_follower(raft, raft->hard_state.term, message->from, update);
	raft->elapsed = 0;
}

void
raft_receive_append(Raft *raft, const RaftEvent *event, RaftUpdate *update)
{
	const RaftMessage *message = event->message;
	uint64_t after = message->index;

	hear(raft, message, update);
	if (raft->snapshot.installing != 0)
		return; /* the log is about to begin anew; it is sent again */
	if (after < raft->commit_index)
	{
		/* What is committed is the same everywhere (Raft 3.6, Leader Completeness). */
		after = Min(raft->commit_index, message->last_index);
		if (message->last_index <= raft->commit_index && !FAULT(committed_truncated))
		{
			acknowledge(raft, message->last_index, message->round,
						raft_durable_at(raft, message->last_index), update);
			return;
		}
	}
	else if (!raft_has_entry(raft, after, message->log_term))
	{
		refuse(raft, message, update);
		return;
	}
	take_entries(raft, event, after, update);
	raft_advance_commit(raft, Min(message->commit_index, message->last_index), update);
}

/* The answer leads the leader back over all of a term at once (Raft 3.5). */
static void
refuse(Raft *raft, const RaftMessage *message, RaftUpdate *update)
{
	RaftMessage *answer = raft_message(raft, update, MESSAGE_APPEND_ANSWER, message->from);
	uint64_t index = raft_index_of_term(raft, message->index, message->log_term);

	index = Max(index, raft->commit_index);
	answer->reject = true;
	answer->refused_at = message->index;
	answer->round = message->round;
	answer->index = Min(index, message->index);
	(void) raft_term_at(raft, answer->index, &answer->log_term);
}

static void
acknowledge(Raft *raft, uint64_t index, uint64_t round, uint64_t durable_at, RaftUpdate *update)
{
	RaftMessage *answer = raft_message(raft, update, MESSAGE_APPEND_ANSWER, raft->leader_id);

	answer->index = index;
	answer->round = round;
	answer->depends_on = Max(answer->depends_on, durable_at);
}

static void
take_entries(Raft *raft, const RaftEvent *event, uint64_t after, RaftUpdate *update)
{
	const RaftMessage *message = event->message;
	uint64_t index = first_new(raft, message, after);

	if (FAULT(committed_truncated) && message->last_index < raft->last_index)
		raft_log_truncate(raft, message->last_index + 1);
	if (index > message->last_index)
	{
		acknowledge(raft, message->last_index, message->round,
					raft_durable_at(raft, message->last_index), update);
		return;
	}
	if (index <= raft->last_index)
	{
		Check(index > raft->commit_index || FAULT(committed_truncated));
		raft_log_truncate(raft, index);
	}
	update->append_first = index;
	update->append_count = message->last_index - index + 1;
	for (uint32_t i = 0; i < message->run_count; i++)
	{
		uint64_t last = i + 1 < message->run_count
							? Min(message->runs[i + 1].first_index - 1, message->last_index)
							: message->last_index;

		if (last >= index)
			raft_log_add(raft, last, message->runs[i].term);
	}
	for (uint32_t i = 0; i < event->change_count; i++)
		if (event->changes[i].index >= index)
			raft_note_change(raft, &event->changes[i]);
	raft->owed_index = message->last_index;
	raft->owed_round = message->round;
}

/* The first entry of the message that the log does not hold. */
static uint64_t
first_new(const Raft *raft, const RaftMessage *message, uint64_t after)
{
	uint64_t index = after + 1;

	while (index <= message->last_index &&
		   raft_has_entry(raft, index, term_in_message(message, index)))
		index++;
	return index;
}

static uint64_t
term_in_message(const RaftMessage *message, uint64_t index)
{
	uint32_t run = message->run_count;

	while (run > 0 && message->runs[run - 1].first_index > index)
		run--;
	return run == 0 ? 0 : message->runs[run - 1].term;
}

void
raft_acknowledge_owed(Raft *raft, RaftUpdate *update)
{
	if (raft->owed_index == 0 || raft->owed_index > raft->appended_index ||
		raft->role != ROLE_FOLLOWER || raft->leader_id == 0)
		return;
	acknowledge(raft, raft->owed_index, raft->owed_round, raft_durable_at(raft, raft->owed_index),
				update);
	raft->owed_index = 0;
}

void
raft_receive_heartbeat(Raft *raft, const RaftMessage *message, RaftUpdate *update)
{
	RaftMessage *answer;

	hear(raft, message, update);
	raft_adopt_commit(raft, message->commit_index, message->commit_term, update);
	answer = raft_message(raft, update, MESSAGE_HEARTBEAT_ANSWER, message->from);
	answer->round = message->round;
	answer->index = raft->last_index;
}

/* A state that is behind what is committed here is not wanted; the log that we have goes on from it. */
void
raft_receive_snapshot(Raft *raft, const RaftMessage *message, RaftUpdate *update)
{
	hear(raft, message, update);
	raft_adopt_commit(raft, message->index, message->log_term, update);
	if (message->index <= raft->commit_index && !FAULT(older_snapshot_installed))
	{
		acknowledge(raft, raft->commit_index, 0, raft_durable_at(raft, raft->commit_index), update);
		return;
	}
	if (raft->snapshot.installing != 0 && !FAULT(snapshots_in_succession))
		return;
	raft->snapshot.from = message->from;
	raft->snapshot.index = message->index;
	update->snapshot_wanted = true;
}

/*
 * What is committed and in the log is better than a state from elsewhere: who has the state's last entry
 * has nothing to gain, and may have acknowledged more than that.  While one is installed the log
 * and what is known to be committed stand still, for both are about to be replaced; so this member does
 * not stand for election either.  It may vote: what it has acknowledged is in its log or in that state.
 */
Status
raft_snapshot_installing(Raft *raft, uint64_t index, uint64_t term, RaftUpdate *update)
{
	bool busy = raft->snapshot.installing != 0 || raft->role == ROLE_LEADER;

	/* Entries behind it may have been acknowledged here, since the state was offered. */
	raft_adopt_commit(raft, index, term, update);
	if ((busy && !FAULT(snapshots_in_succession)) ||
		(index <= raft->commit_index && !FAULT(older_snapshot_installed)))
		return RUSD_INVALID;
	raft->snapshot.installing = index;
	raft->owed_index = 0;
	return RUSD_OK;
}

/*
 * The state machine has taken over another member's state, and what this log held has no meaning any
 * more: it begins behind that state.  All of it is durable (the control record says so).
 */
void
raft_snapshot_installed(Raft *raft, const RaftEvent *event, RaftUpdate *update)
{
	raft->snapshot.from = 0;
	raft->snapshot.installing = 0;
	if (event->failed)
		return;
	raft_log_restart(raft, event->index, event->log_term);
	raft->commit_index = event->index;
	raft->commit_term = event->log_term;
	raft->hard_state.commit_index = event->index;
	raft->hard_state.commit_term = event->log_term;
	raft->commit_position = Max(raft->commit_position, event->position);
	raft->applied_index = event->index;
	raft_use_configuration(raft, event->configuration);
	update->committed = true;
	update->configured = true;
	if (raft->role == ROLE_FOLLOWER && raft->leader_id != 0)
		acknowledge(raft, event->index, 0, 0, update);
}
