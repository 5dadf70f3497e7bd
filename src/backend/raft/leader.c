/*
 * leader.c
 *	  What a leader sends to the others, and what it learns from their answers.
 *
 * For each member: what it has for certain (match), what is sent next (next), and how (state).  Probing, one
 * message waits for its answer, until the place is found where the logs part.  Then messages follow
 * each other without waiting (Raft 10.2.2, pipelining), as far as a window in bytes of log allows.  A
 * member that needs what the log does not hold any more is offered a snapshot.
 *
 * Bytes are known from the ends of batches.  What lies before the batches that are remembered is sent in
 * messages that the carrier cuts by size, one at a time, since only the answer tells how much it took.
 *
 * src/backend/raft/leader.c
 */
#include "rusd.h"

#include "raft_int.h"

/* An answer that did not come for so many ticks, though the member has not got what was sent: lost. */
#define LOST_TICKS 3
/* Entries that a carrier may be asked to cut to its size. */
#define CUT_ENTRIES 4096
/* Messages to one member in a turn. */
#define BURST 4

static void step_back(Raft *raft, RaftProgress *progress, const RaftMessage *message);
static void move_on(Raft *raft, RaftProgress *progress, uint64_t match, RaftUpdate *update);
static void send_append(Raft *raft, RaftProgress *progress, RaftUpdate *update);
static void send_snapshot(Raft *raft, RaftProgress *progress, RaftUpdate *update);
static bool sizes_are_known(const Raft *raft, uint64_t next);
static uint64_t fill_entries(const Raft *raft, RaftProgress *progress, RaftMessage *message);
static bool wants_append(const Raft *raft, const RaftProgress *progress);
static bool has_room(const Raft *raft, const RaftProgress *progress);
static uint64_t fill_runs(const Raft *raft, RaftMessage *message, uint64_t last);
static bool quorum_is_heard(const Raft *raft);
static void watch_own_health(Raft *raft, RaftUpdate *update);
static void try_transfer(Raft *raft, RaftUpdate *update);

void
raft_progress_reset(Raft *raft, RaftProgress *progress, uint64_t id)
{
	*progress = (RaftProgress){.id = id, .state = PROGRESS_PROBE, .next = raft->last_index + 1};
}

/* ---- answers ------------------------------------------------------------------------------ */

static RaftProgress *
heard_from(Raft *raft, const RaftMessage *message)
{
	RaftProgress *progress = raft_progress_of(raft, message->from);

	if (raft->role != ROLE_LEADER || progress == NULL || progress->has_lost_log)
		return NULL;
	progress->silent_ticks = 0;
	progress->is_ill = message->is_ill;
	progress->acked_round = Max(progress->acked_round, message->round);
	return progress;
}

/*
 * Raft 3.8 assumes that what was on stable storage stays there.  A member says of an entry that it has
 * acknowledged to this leader that it is not there: its disk was replaced by another or an older copy.
 * That is no old message, if the question belongs to a round that began after the acknowledgement had
 * arrived.  Nothing that it says counts from now on, for this leader; the next one cannot know.
 */
static bool
has_lost_log(RaftProgress *progress, const RaftMessage *message, uint64_t missing,
			 RaftUpdate *update)
{
	if (missing > progress->match || message->round < progress->match_round)
		return false;
	progress->has_lost_log = true;
	progress->match = 0;
	progress->acked_round = 0;
	update->member_lost_log = progress->id;
	return true;
}

void
raft_receive_append_answer(Raft *raft, const RaftMessage *message, RaftUpdate *update)
{
	RaftProgress *progress = heard_from(raft, message);

	if (progress == NULL || message->index > raft->last_index)
		return;
	if (message->reject)
	{
		if (has_lost_log(progress, message, message->refused_at, update))
			return;
		step_back(raft, progress, message);
	}
	else
		move_on(raft, progress, message->index, update);
	if (raft->role == ROLE_LEADER)
		raft_confirm_reads(raft, update);
}

static void
step_back(Raft *raft, RaftProgress *progress, const RaftMessage *message)
{
	uint64_t last = raft_index_of_term(raft, message->index, message->log_term);
	uint64_t term;

	/* An old answer: to what was sent before it was found where to go on. */
	if (message->refused_at <= progress->match ||
		(progress->state == PROGRESS_PROBE && message->refused_at != progress->next - 1))
		return;
	if (progress->state == PROGRESS_SNAPSHOT)
		return;
	progress->state = PROGRESS_PROBE;
	/* What they share may lie before this log: where even the first term that is known here is higher
	 * than all of that member's up to there, it gets the state, not the same question again. */
	last = Min(last, message->index);
	if (raft_term_at(raft, last, &term) && term > message->log_term)
		last--;
	progress->next = Max(last, progress->match) + 1;
	progress->waits = false;
}

static void
move_on(Raft *raft, RaftProgress *progress, uint64_t match, RaftUpdate *update)
{
	bool news = match > progress->match;
	uint32_t batches;

	if (news)
	{
		progress->match = match;
		progress->match_round = raft->round + 1;
	}
	progress->waited_ticks = 0;
	progress->next = Max(progress->next, progress->match + 1);
	if (progress->state == PROGRESS_SNAPSHOT && progress->match + 1 < raft->first_index)
		return;
	if (progress->state != PROGRESS_REPLICATE && (news || match == progress->match))
	{
		progress->state = PROGRESS_REPLICATE;
		progress->next = progress->match + 1;
		progress->sent_end = 0;
		progress->acked_end = 0;
		progress->waits = false;
	}
	batches = raft_spans_up_to(raft, progress->match);
	if (batches > 0)
		progress->acked_end = raft_span(raft, batches - 1)->end;
	progress->sent_end = Max(progress->sent_end, progress->acked_end);
	/* Nothing is under way, whatever the batches of what was sent are: they may be forgotten. */
	if (progress->match + 1 == progress->next)
		progress->acked_end = progress->sent_end;
	if (!news)
		return;
	raft_count_commit(raft, update);
	if (raft->role == ROLE_LEADER && raft->transfer_to == progress->id)
		try_transfer(raft, update);
}

void
raft_receive_heartbeat_answer(Raft *raft, const RaftMessage *message, RaftUpdate *update)
{
	RaftProgress *progress = heard_from(raft, message);

	if (progress == NULL || has_lost_log(progress, message, message->index + 1, update))
		return;
	/*
	 * What was sent is lost, or the answer is, or the disk there is slow.  It says what has arrived, so
	 * nothing of that is sent again, but its answer is asked for.
	 */
	if (progress->waited_ticks >= LOST_TICKS && progress->state != PROGRESS_SNAPSHOT &&
		(progress->waits || progress->match + 1 < progress->next))
	{
		progress->state = PROGRESS_PROBE;
		progress->next = Min(progress->next, Max(progress->match, message->index) + 1);
		progress->waits = false;
	}
	raft_confirm_reads(raft, update);
}

void
raft_snapshot_sent(Raft *raft, const RaftEvent *event)
{
	RaftProgress *progress = raft_progress_of(raft, event->member);

	if (raft->role != ROLE_LEADER || progress == NULL || progress->state != PROGRESS_SNAPSHOT)
		return;
	/* Installed, or to be offered once more: the answer to a probe tells. */
	progress->state = PROGRESS_PROBE;
	progress->waits = !event->failed;
	progress->waited_ticks = 0;
	progress->next = Max(progress->match, event->failed ? 0 : progress->snapshot) + 1;
}

/* ---- sending ------------------------------------------------------------------------------ */

void
raft_send_appends(Raft *raft, RaftUpdate *update)
{
	for (uint32_t i = 0; i < raft->configuration.member_count; i++)
	{
		RaftProgress *progress = &raft->progress[i];

		if (progress->id == raft->member_id || progress->state == PROGRESS_SNAPSHOT ||
			progress->has_lost_log)
			continue;
		if (progress->next < raft->first_index)
			send_snapshot(raft, progress, update);
		else
			for (uint32_t sent = 0; sent < BURST && wants_append(raft, progress) &&
									update->message_count < RAFT_MESSAGES_MAX - CONFIG_MEMBERS_MAX;
				 sent++)
				send_append(raft, progress, update);
	}
}

/* CLUSTER-34: it may have been asked for its own removal; there is no other word to it after this one. */
void
raft_send_last(Raft *raft, uint64_t member_id, RaftUpdate *update)
{
	RaftProgress *progress = raft_progress_of(raft, member_id);

	if (progress != NULL && member_id != raft->member_id && !progress->has_lost_log &&
		progress->next >= raft->first_index && wants_append(raft, progress) &&
		update->message_count < RAFT_MESSAGES_MAX - CONFIG_MEMBERS_MAX)
		send_append(raft, progress, update);
}

static bool
wants_append(const Raft *raft, const RaftProgress *progress)
{
	if (progress->state == PROGRESS_PROBE)
		return !progress->waits;
	return progress->state == PROGRESS_REPLICATE && has_room(raft, progress);
}

/* Something to say, and the window is not full. */
static bool
has_room(const Raft *raft, const RaftProgress *progress)
{
	if (progress->next > raft->appended_index)
		return raft->commit_index > progress->sent_commit;
	return progress->sent_end - progress->acked_end < raft->options.window_bytes &&
		   (!progress->waits || sizes_are_known(raft, progress->next));
}

static bool
sizes_are_known(const Raft *raft, uint64_t next)
{
	return raft->span_count > 0 && next > raft_span(raft, 0)->last_index;
}

static void
send_append(Raft *raft, RaftProgress *progress, RaftUpdate *update)
{
	RaftMessage *message = raft_message(raft, update, MESSAGE_APPEND, progress->id);
	uint64_t end;

	message->index = progress->next - 1;
	Check(raft_term_at(raft, message->index, &message->log_term));
	message->round = raft->round;
	message->log_end = raft->appended;
	message->depends_on = 0;
	end = fill_entries(raft, progress, message);
	progress->sent_commit = Min(raft->commit_index, message->last_index);
	if (progress->match + 1 == progress->next)
		progress->waited_ticks = 0; /* nothing was under way */
	if (progress->state == PROGRESS_PROBE || message->may_be_cut)
	{
		progress->waits = true;
		progress->waited_ticks = 0;
		return;
	}
	progress->waits = false;
	progress->next = message->last_index + 1;
	progress->sent_end = Max(progress->sent_end, end);
}

/* Whole batches up to the size of a message, one at least; returns where the last one ends. */
static uint64_t
fill_entries(const Raft *raft, RaftProgress *progress, RaftMessage *message)
{
	uint64_t end = progress->sent_end;

	message->last_index = message->index;
	if (progress->next > raft->appended_index ||
		progress->sent_end - progress->acked_end >= raft->options.window_bytes)
		return end; /* a probe with a full window asks only */
	if (sizes_are_known(raft, progress->next))
	{
		uint32_t first = raft_spans_up_to(raft, message->index);
		uint64_t begin = raft_span(raft, first - 1)->end;

		message->log_begin = begin;
		for (uint32_t i = first; i < raft->span_count; i++)
		{
			const RaftSpan *span = raft_span(raft, i);

			if (i > first && span->end - begin > raft->options.message_bytes)
				break;
			message->last_index = span->last_index;
			end = span->end;
		}
	}
	else
	{
		message->last_index = Min(raft->appended_index, message->index + CUT_ENTRIES);
		message->may_be_cut = true;
	}
	message->last_index = fill_runs(raft, message, message->last_index);
	return end;
}

/* Terms of the entries; the last index that they reach. */
static uint64_t
fill_runs(const Raft *raft, RaftMessage *message, uint64_t last)
{
	uint64_t index = message->index + 1;

	message->run_count = 0;
	for (uint32_t i = 0; i < raft->run_count; i++)
	{
		const RaftRun *run = &raft->runs[(raft->run_first + i) % raft->run_capacity];
		const RaftRun *next = &raft->runs[(raft->run_first + i + 1) % raft->run_capacity];

		if (run->first_index > last)
			break;
		if (i + 1 < raft->run_count && next->first_index <= index)
			continue;
		if (message->run_count == RAFT_MESSAGE_RUNS)
			return run->first_index - 1;
		message->runs[message->run_count++] =
			(RaftRun){.first_index = Max(run->first_index, index), .term = run->term};
	}
	return last;
}

static void
send_snapshot(Raft *raft, RaftProgress *progress, RaftUpdate *update)
{
	RaftMessage *message;

	/* Nobody to fetch it; and a member that says nothing would not. */
	if (progress->silent_ticks >= raft->options.election_ticks)
		return;
	message = raft_message(raft, update, MESSAGE_SNAPSHOT, progress->id);
	message->index = raft->applied_index;
	(void) raft_term_at(raft, message->index, &message->log_term);
	message->depends_on = 0;
	progress->state = PROGRESS_SNAPSHOT;
	progress->snapshot = raft->applied_index;
	progress->waited_ticks = 0;
}

/* Raft 6.4: "the leader issues a new round of heartbeats": for reads, and for them who wait in vain. */
void
raft_send_heartbeats(Raft *raft, RaftUpdate *update)
{
	raft->round++;
	raft->round_wanted = false;
	for (uint32_t i = 0; i < raft->configuration.member_count; i++)
	{
		RaftProgress *progress = &raft->progress[i];
		RaftMessage *message;

		if (progress->id == raft->member_id)
			continue;
		message = raft_message(raft, update, MESSAGE_HEARTBEAT, progress->id);
		message->round = raft->round;
		message->depends_on = 0;
		if (message->commit_index > progress->match)
		{
			message->commit_index = progress->match;
			if (!raft_term_at(raft, progress->match, &message->commit_term))
				message->commit_index = message->commit_term = 0;
		}
	}
}

/* ---- time --------------------------------------------------------------------------------- */

void
raft_leader_tick(Raft *raft, RaftUpdate *update)
{
	for (uint32_t i = 0; i < raft->configuration.member_count; i++)
	{
		raft->progress[i].silent_ticks++;
		raft->progress[i].waited_ticks++;
		/* The offer, or the word of its end, was lost. */
		if (raft->progress[i].state == PROGRESS_SNAPSHOT &&
			raft->progress[i].waited_ticks >= 10 * raft->options.election_ticks)
			raft_snapshot_sent(raft, &(RaftEvent){.member = raft->progress[i].id, .failed = true});
	}
	if (++raft->leader_elapsed >= raft->options.election_ticks)
	{
		raft->leader_elapsed = 0;
		/* Raft 6.2: "a leader steps down if an election timeout elapses without a successful round
		 * of heartbeats to a majority of its cluster". */
		if (!quorum_is_heard(raft))
		{
			raft_become_follower(raft, raft->hard_state.term, 0, update);
			return;
		}
	}
	if (raft->transfer_to != 0 && ++raft->transfer_ticks >= raft->options.election_ticks)
		raft->transfer_to = 0;
	watch_own_health(raft, update);
	if (raft->role == ROLE_LEADER)
		raft_send_heartbeats(raft, update);
}

static bool
quorum_is_heard(const Raft *raft)
{
	uint32_t heard = 0;

	for (uint32_t i = 0; i < raft->configuration.member_count; i++)
		if (raft_is_voter(raft, i) &&
			(raft->progress[i].id == raft->member_id ||
			 raft->progress[i].silent_ticks <= raft->options.election_ticks))
			heard++;
	return heard >= raft->voters_count / 2 + 1;
}

/* A leader whose disk stands still commits with the others' disks, but it hands over; so does one that does not get
 * on otherwise. */
static void
watch_own_health(Raft *raft, RaftUpdate *update)
{
	bool is_ill = raft->is_ill ||
				  (raft->options.ill_ticks != 0 && raft->stall_ticks >= raft->options.ill_ticks);

	if (!is_ill || raft->voters_count == 1 || raft->transfer_to != 0 || FAULT(stalled_leader_stays))
		return;
	if (raft_transfer(raft, 0, update) == RUSD_NOT_FOUND)
		raft_become_follower(raft, raft->hard_state.term, 0, update);
}

/* ---- handing over (Raft 3.10) --------------------------------------------------------------- */

static bool
could_lead(const Raft *raft, uint32_t place)
{
	const RaftProgress *progress = &raft->progress[place];

	return raft_is_voter(raft, place) && progress->id != raft->member_id && !progress->is_ill &&
		   !progress->has_lost_log && progress->silent_ticks < raft->options.election_ticks;
}

Status
raft_transfer(Raft *raft, uint64_t member, RaftUpdate *update)
{
	const RaftProgress *best = NULL;

	if (raft->role != ROLE_LEADER)
		return RUSD_NO_LEADER;
	for (uint32_t i = 0; i < raft->configuration.member_count; i++)
		if (could_lead(raft, i) && (member == 0 || raft->progress[i].id == member) &&
			(best == NULL || raft->progress[i].match > best->match))
			best = &raft->progress[i];
	if (best == NULL)
		return RUSD_NOT_FOUND;
	if (raft->transfer_to == best->id)
		return RUSD_OK;
	raft->transfer_to = best->id;
	raft->transfer_ticks = 0;
	try_transfer(raft, update);
	return RUSD_OK;
}

/* "The prior leader fully updates the target's log", then it tells it to begin. */
static void
try_transfer(Raft *raft, RaftUpdate *update)
{
	const RaftProgress *target = raft_progress_of(raft, raft->transfer_to);

	if (target != NULL && target->match == raft->last_index)
		raft_message(raft, update, MESSAGE_TIMEOUT_NOW, raft->transfer_to);
}
