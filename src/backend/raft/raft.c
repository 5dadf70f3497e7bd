/*
 * raft.c
 *	  The consensus core: start, the step, time.  Process raft and simulator.
 *
 * src/backend/raft/raft.c
 */
#include "rusd.h"

#include "raft_int.h"

static void step_tick(Raft *raft, const RaftEvent *event, RaftUpdate *update);
static bool may_campaign(const Raft *raft);
static void step_receive(Raft *raft, const RaftEvent *event, RaftUpdate *update);
static bool take_term(Raft *raft, const RaftMessage *message, RaftUpdate *update);
static bool is_of_another_term(const Raft *raft, const RaftEvent *event);
static void step_propose(Raft *raft, const RaftEvent *event, RaftUpdate *update);
static Status propose_change(Raft *raft, const RaftChange *change);
static void step_appended(Raft *raft, const RaftEvent *event, RaftUpdate *update);
static void step_flushed(Raft *raft, const RaftEvent *event, RaftUpdate *update);
static void step_turn(Raft *raft, RaftUpdate *update);

Status
raft_init(Raft *raft, const RaftStart *start)
{
	const RaftConfiguration *configuration = start->configuration;

	if (configuration->member_count > CONFIG_MEMBERS_MAX || start->span_capacity == 0 ||
		start->run_capacity <= start->known_run_count || start->commit_position > start->log_end ||
		start->hard_state.commit_index > start->last_index ||
		start->last_term > start->hard_state.term || start->change_count > RAFT_CHANGES_MAX ||
		(start->last_index > 0) != (start->known_run_count > 0) ||
		start->options.election_ticks == 0 || start->elapsed >= start->options.election_ticks)
		return RUSD_INVALID;

	memset(raft, 0, sizeof(*raft));
	raft->member_id = start->member_id;
	raft->options = start->options;
	raft->role = ROLE_FOLLOWER;
	raft->hard_state = start->hard_state;
	raft->hard_state_end = start->log_end;
	raft->last_index = start->last_index;
	raft->last_term = start->last_term;
	raft->appended_index = start->last_index;
	raft->appended = start->log_end;
	raft->flushed = start->log_end;
	raft->stall_mark = start->log_end;
	raft->commit_index = start->hard_state.commit_index;
	raft->commit_term = start->hard_state.commit_term;
	raft->commit_position = start->commit_position;
	raft->applied_index = start->applied_index;
	raft->read_attempt = start->incarnation;
	raft->spans = start->spans;
	raft->span_capacity = start->span_capacity;
	raft->runs = start->runs;
	raft->run_capacity = start->run_capacity;
	raft->run_count = start->known_run_count;
	if (start->known_run_count > 0)
		memcpy(raft->runs, start->known_runs, start->known_run_count * sizeof(RaftRun));
	/* Before the first known one there is one whose term is not known, but before entry 1. */
	raft->first_index = 1;
	if (raft->run_count > 0 && raft->runs[0].first_index > 1)
		raft->first_index = raft->runs[0].first_index + 1;
	/* One batch for all that was recovered: it is durable, and what is in it need not be told apart. */
	if (raft->last_index > 0)
		raft_span_push(raft, start->log_end, raft->last_index);
	if (start->change_count > 0)
		memcpy(raft->changes, start->changes, start->change_count * sizeof(RaftChange));
	raft->change_count = start->change_count;
	raft_use_configuration(raft, configuration);
	raft->random = start->random;
	raft->elapsed = start->elapsed;
	raft_new_timeout(raft);
	return RUSD_OK;
}

void
raft_step(Raft *raft, const RaftEvent *event, RaftUpdate *update)
{
	switch (event->kind)
	{
		case RAFT_TICK:
			step_tick(raft, event, update);
			break;
		case RAFT_RECEIVE:
			step_receive(raft, event, update);
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
		case RAFT_TURN:
			step_turn(raft, update);
			break;
		case RAFT_READ:
			raft_read(raft, event, update);
			break;
		case RAFT_CONFIRM:
			raft_confirm(raft, update);
			break;
		case RAFT_TRANSFER:
			update->propose_status = raft_transfer(raft, event->member, update);
			break;
		case RAFT_STEP_DOWN:
			if (raft->role == ROLE_LEADER)
				raft_become_follower(raft, raft->hard_state.term, 0, update);
			break;
		case RAFT_COMPACTED:
			raft_log_compacted(raft, event->index);
			break;
		case RAFT_SNAPSHOT_SENT:
			raft_snapshot_sent(raft, event);
			break;
		case RAFT_SNAPSHOT_INSTALLING:
			update->propose_status =
				raft_snapshot_installing(raft, event->index, event->log_term, update);
			break;
		case RAFT_SNAPSHOT_INSTALLED:
			raft_snapshot_installed(raft, event, update);
			break;
	}
}

bool
raft_reads_are_local(const Raft *raft)
{
	return raft->role == ROLE_LEADER && raft->voters_count == 1 &&
		   raft->applied_index >= raft->term_first_index &&
		   raft->applied_index >= raft->configuration.index;
}

RaftMessage *
raft_message(Raft *raft, RaftUpdate *update, RaftMessageKind kind, uint64_t to)
{
	RaftMessage *message;

	Check(update->message_count < RAFT_MESSAGES_MAX);
	message = &update->messages[update->message_count++];
	*message = (RaftMessage){.kind = kind,
							 .from = raft->member_id,
							 .to = to,
							 .term = raft->hard_state.term,
							 .commit_index = raft->commit_index,
							 .commit_term = raft->commit_term,
							 .is_ill = raft_is_stalled(raft) || raft->is_ill,
							 .depends_on = raft->hard_state_end};
	return message;
}

/* Raft 3.8: it is durable before a word of it is said: what carries it waits for its batch. */
void
raft_give_hard_state(Raft *raft, RaftUpdate *update)
{
	Check(update->record_count < RAFT_RECORDS_MAX);
	update->records[update->record_count++] = (RaftRecord){.kind = RAFT_RECORD_HARD_STATE,
														   .term = raft->hard_state.term,
														   .hard_state = raft->hard_state};
	raft->hard_state_end = RAFT_AFTER_TURN;
}

/* Raft 3.4: "election timeouts are chosen randomly from a fixed interval". */
void
raft_new_timeout(Raft *raft)
{
	raft->random = raft->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	raft->timeout = raft->options.election_ticks +
					(uint32_t) ((raft->random >> 33) % raft->options.election_ticks);
}

/*
 * The only voter has nobody to hear of, so it does not wait: the first tick is enough.  Who has a disk that
 * stands still could not make its vote durable, and does not try.
 */
static void
step_tick(Raft *raft, const RaftEvent *event, RaftUpdate *update)
{
	raft->random ^= event->random;
	raft->is_ill = event->is_ill;
	if (raft->flushed >= raft->stall_mark)
	{
		raft->stall_mark = raft->appended;
		raft->stall_ticks = 0;
	}
	else
		raft->stall_ticks++;
	if (raft->role == ROLE_LEADER)
	{
		raft_leader_tick(raft, update);
		return;
	}
	raft->elapsed++;
	if (raft->votes && raft->voters_count == 1)
	{
		if (raft->role != ROLE_CANDIDATE)
			raft_campaign(raft, false, false, update);
	}
	else if (raft->elapsed < raft->timeout)
		return;
	else if (may_campaign(raft))
		raft_campaign(raft, true, false, update);
	else if (raft->leader_id != 0)
	{
		raft->leader_id = 0;
		update->role_changed = true;
	}
}

/* It could do a leader's work, and its log is not about to be replaced. */
static bool
may_campaign(const Raft *raft)
{
	return raft->votes && !raft_is_stalled(raft) && !raft->is_ill && raft->snapshot.installing == 0;
}

static void
step_receive(Raft *raft, const RaftEvent *event, RaftUpdate *update)
{
	const RaftMessage *message = event->message;

	/* Before votes are counted or asked for: they are counted by the configuration in use. */
	if (message->kind <= MESSAGE_VOTE_ANSWER || message->kind == MESSAGE_TIMEOUT_NOW)
		raft_adopt_commit(raft, message->commit_index, message->commit_term, update);
	if (!take_term(raft, message, update))
		return;
	switch (message->kind)
	{
		case MESSAGE_PRE_VOTE:
		case MESSAGE_VOTE:
			raft_receive_vote(raft, message, update);
			break;
		case MESSAGE_PRE_VOTE_ANSWER:
		case MESSAGE_VOTE_ANSWER:
			raft_receive_vote_answer(raft, message, update);
			break;
		case MESSAGE_APPEND:
			raft_receive_append(raft, event, update);
			break;
		case MESSAGE_APPEND_ANSWER:
			raft_receive_append_answer(raft, message, update);
			break;
		case MESSAGE_HEARTBEAT:
			raft_receive_heartbeat(raft, message, update);
			break;
		case MESSAGE_HEARTBEAT_ANSWER:
			raft_receive_heartbeat_answer(raft, message, update);
			break;
		case MESSAGE_READ:
			raft_receive_read(raft, message, update);
			break;
		case MESSAGE_READ_ANSWER:
			raft_read_ready(update, message->read_id, message->index);
			break;
		case MESSAGE_TIMEOUT_NOW:
			if (raft->role != ROLE_LEADER && may_campaign(raft))
				raft_campaign(raft, false, true, update);
			break;
		case MESSAGE_SNAPSHOT:
			raft_receive_snapshot(raft, message, update);
			break;
		case MESSAGE_KIND_COUNT:
			break;
	}
}

/*
 * Raft 3.3: "if one server's current term is smaller than the other's, then it updates its current
 * term to the larger value.  If a candidate or leader discovers that its term is out of date, it
 * immediately reverts to follower state.  If a server receives a request with a stale term number, it
 * rejects the request".  False: the message is done with.
 */
static bool
take_term(Raft *raft, const RaftMessage *message, RaftUpdate *update)
{
	bool asks = message->kind == MESSAGE_PRE_VOTE || message->kind == MESSAGE_VOTE;
	bool leads = message->kind == MESSAGE_APPEND || message->kind == MESSAGE_HEARTBEAT ||
				 message->kind == MESSAGE_SNAPSHOT;
	uint64_t term = raft->hard_state.term;

	if (asks && message->term > term && raft_has_leader(raft) && !message->transfer)
		return false; /* 4.2.3 */
	if (message->term > term)
	{
		if (message->kind != MESSAGE_PRE_VOTE &&
			(message->kind != MESSAGE_PRE_VOTE_ANSWER || message->reject))
			raft_become_follower(raft, message->term, leads ? message->from : 0, update);
		return true;
	}
	if (message->term == term)
		return !leads || raft->role != ROLE_LEADER;
	/* It is behind.  A leader that is gets an answer, so that it learns of the term even of a member
	 * that, with a higher term but a shorter log, could neither follow nor be elected. */
	if (leads)
		raft_message(raft, update, MESSAGE_HEARTBEAT_ANSWER, message->from);
	else if (message->kind == MESSAGE_PRE_VOTE)
		raft_message(raft, update, MESSAGE_PRE_VOTE_ANSWER, message->from)->reject = true;
	return false;
}

/*
 * A leader may have been deposed, and elected again, between what it decided and this: another has led meanwhile, and
 * may have promised the contrary.
 */
static bool
is_of_another_term(const Raft *raft, const RaftEvent *event)
{
	return event->term != 0 && event->term != raft->hard_state.term &&
		   !FAULT(deposed_leader_revokes);
}

static void
step_propose(Raft *raft, const RaftEvent *event, RaftUpdate *update)
{
	if (unlikely(raft->role != ROLE_LEADER || is_of_another_term(raft, event)))
		update->propose_status = RUSD_NO_LEADER;
	else if (unlikely(raft->transfer_to != 0 || !raft_span_room(raft)))
		update->propose_status = RUSD_AGAIN;
	else
	{
		update->propose_status = RUSD_OK;
		if (unlikely(event->change_count > 0))
			update->propose_status = propose_change(raft, &event->changes[0]);
		if (update->propose_status != RUSD_OK)
			return;
		raft_log_add(raft, raft->last_index + 1, raft->hard_state.term);
		update->propose_index = raft->last_index;
		update->propose_term = raft->hard_state.term;
	}
}

/* The entry that is about to be given an index. */
static Status
propose_change(Raft *raft, const RaftChange *change)
{
	RaftConfiguration next = raft->configuration;
	RaftChange numbered = *change;

	if (!raft_may_change(raft))
		return RUSD_AGAIN;
	numbered.index = raft->last_index + 1;
	if (raft_configuration_change(&next, &numbered) != RUSD_OK)
		return RUSD_INVALID;
	raft_note_change(raft, &numbered);
	return RUSD_OK;
}

static void
step_appended(Raft *raft, const RaftEvent *event, RaftUpdate *update)
{
	Check(event->position >= raft->appended && event->index >= raft->appended_index &&
		  event->index <= raft->last_index);
	raft->appended = event->position;
	if (event->hard_state)
		raft->hard_state_end = event->position;
	if (event->index > raft->appended_index)
	{
		raft_span_push(raft, event->position, event->index);
		raft->appended_index = event->index;
	}
	if (raft->role == ROLE_LEADER)
	{
		if (raft->floor == 0 && event->index >= raft->term_first_index)
		{
			raft->floor = event->position;
			update->bounds_changed = true;
		}
		raft_count_commit(raft, update);
		return;
	}
	raft_advance_position(raft, update);
	raft_acknowledge_owed(raft, update);
}

static void
step_flushed(Raft *raft, const RaftEvent *event, RaftUpdate *update)
{
	if (event->position <= raft->flushed)
		return;
	raft->flushed = event->position;
#ifdef USE_FAULTS
	if (raft_spans_flushed(raft) > 0)
		raft->flushed_index =
			Max(raft->flushed_index, raft_span(raft, raft_spans_flushed(raft) - 1)->last_index);
#endif
	raft_count_own_vote(raft, update);
	raft_count_commit(raft, update);
}

static void
step_turn(Raft *raft, RaftUpdate *update)
{
	if (raft->role != ROLE_LEADER || raft->configuration.member_count == 1)
		return;
	if (raft->round_wanted)
		raft_send_heartbeats(raft, update);
	raft_send_appends(raft, update);
}
