/*
 * election.c
 *	  Roles, votes and who may stand for election.
 *
 * Raft 3.4 with a pre-vote before it (9.6): a member asks first whether it would be elected, so one that
 * was cut off comes back without having raised its term.  A voter that hears from a leader refuses both
 * (4.2.3: "if a server receives a RequestVote request within the minimum election timeout of hearing
 * from a current leader, it does not update its term or grant its vote"), except when that leader itself
 * has asked for the election.
 *
 * Votes are given to whoever asks, a member of the configuration in use or not (4.1: "servers process
 * incoming RPC requests without consulting their current configurations"): a voter that is behind may
 * not know yet that the candidate was added.  Counted are only those of voters in use.
 *
 * Departure from Raft: a vote message and its answer tell what the sender knows to be committed.  A
 * change of members is in use when it is committed, not when it is appended, so two members must never
 * be more than one change apart when they count; the newest commit position travels with votes for that.
 *
 * src/backend/raft/election.c
 */
#include "rusd.h"

#include "raft_int.h"

static void become_leader(Raft *raft, RaftUpdate *update);
static void count_votes(Raft *raft, RaftUpdate *update);
static bool is_up_to_date(const Raft *raft, const RaftMessage *message);
static void answer_vote(Raft *raft, const RaftMessage *message, bool grant, RaftUpdate *update);
static uint64_t vote_bit(const Raft *raft, uint64_t member_id);

bool
raft_has_leader(const Raft *raft)
{
	return raft->leader_id != 0 &&
		   (raft->role == ROLE_LEADER || raft->elapsed < raft->options.election_ticks);
}

void
raft_become_follower(Raft *raft, uint64_t term, uint64_t leader, RaftUpdate *update)
{
	bool led = raft->role == ROLE_LEADER;

	update->role_changed |=
		raft->role != ROLE_FOLLOWER || raft->leader_id != leader || term != raft->hard_state.term;
	raft->role = ROLE_FOLLOWER;
	raft->leader_id = leader;
	raft->elapsed = 0;
	raft_new_timeout(raft);
	if (term > raft->hard_state.term)
	{
		raft->hard_state.term = term;
		raft->hard_state.vote = 0;
		raft->owed_index = 0;
		raft_give_hard_state(raft, update);
	}
	if (!led)
		return;
	raft->term_first_index = 0;
	raft->transfer_to = 0;
	raft_drop_bounds(raft, update);
	raft_drop_reads(raft, update);
}

/*
 * Raft 3.4: "a follower increments its current term and transitions to candidate state.  It then
 * votes for itself".  Raft 3.8: term and vote are on stable storage before a word of them is said; its
 * own vote is said to itself, and counts in raft_count_own_vote.  A pre-vote changes nothing, so it waits
 * for nothing.
 */
void
raft_campaign(Raft *raft, bool pre_vote, bool transfer, RaftUpdate *update)
{
	const RaftConfiguration *configuration = &raft->configuration;
	RaftMessageKind kind = pre_vote ? MESSAGE_PRE_VOTE : MESSAGE_VOTE;

	raft->role = pre_vote ? ROLE_PRE_CANDIDATE : ROLE_CANDIDATE;
	raft->leader_id = 0;
	raft->elapsed = 0;
	raft_new_timeout(raft);
	raft->granted = pre_vote ? vote_bit(raft, raft->member_id) : 0;
	raft->rejected = 0;
	update->role_changed = true;
	if (!pre_vote)
	{
		raft->hard_state.term++;
		raft->hard_state.vote = raft->member_id;
		raft->owed_index = 0;
		raft_give_hard_state(raft, update);
	}
	for (uint32_t i = 0; i < configuration->member_count; i++)
	{
		uint64_t id = configuration->members[i].id;
		RaftMessage *message;

		if (id == raft->member_id || !raft_is_voter(raft, i))
			continue;
		message = raft_message(raft, update, kind, id);
		message->term = raft->hard_state.term + (pre_vote ? 1 : 0);
		message->index = raft->last_index;
		message->log_term = raft->last_term;
		message->transfer = transfer;
		message->depends_on = pre_vote ? 0 : RAFT_AFTER_TURN;
	}
	count_votes(raft, update);
}

/* One bit for each place in the configuration; 0 for who has no vote there. */
static uint64_t
vote_bit(const Raft *raft, uint64_t member_id)
{
	uint32_t place = raft_configuration_find(&raft->configuration, member_id);

	if (place == raft->configuration.member_count || !raft_is_voter(raft, place))
		return 0;
	return UINT64_C(1) << place;
}

void
raft_count_own_vote(Raft *raft, RaftUpdate *update)
{
	if (raft->role != ROLE_CANDIDATE || raft->flushed < raft->hard_state_end)
		return;
	raft->granted |= vote_bit(raft, raft->member_id);
	count_votes(raft, update);
}

static void
count_votes(Raft *raft, RaftUpdate *update)
{
	uint32_t majority = raft->voters_count / 2 + 1;

	if ((uint32_t) __builtin_popcountll(raft->granted) >= majority)
	{
		if (raft->role == ROLE_PRE_CANDIDATE)
			raft_campaign(raft, false, false, update);
		else
			become_leader(raft, update);
	}
	else if ((uint32_t) __builtin_popcountll(raft->rejected) >= majority)
		raft_become_follower(raft, raft->hard_state.term, 0, update);
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
	raft->leader_elapsed = 0;
	raft->round = 0;
	raft->round_wanted = false;
	raft->transfer_to = 0;
	for (uint32_t i = 0; i < raft->configuration.member_count; i++)
		raft_progress_reset(raft, &raft->progress[i], raft->configuration.members[i].id);
	raft_log_add(raft, raft->last_index + 1, raft->hard_state.term);
	raft->term_first_index = raft->last_index;
	raft->floor = 0;
	raft->ceiling = 0;

	Check(update->record_count < RAFT_RECORDS_MAX);
	record = &update->records[update->record_count++];
	*record = (RaftRecord){
		.kind = RAFT_RECORD_EMPTY, .index = raft->term_first_index, .term = raft->hard_state.term};
	update->role_changed = true;
}

/* Raft 3.6.1: "if the logs have last entries with different terms, the log with the later term is
 * more up-to-date.  If the logs end with the same term, whichever log is longer". */
static bool
is_up_to_date(const Raft *raft, const RaftMessage *message)
{
	return message->log_term > raft->last_term ||
		   (message->log_term == raft->last_term && message->index >= raft->last_index);
}

/* Its term is no lower than ours, and no leader speaks against it: raft.c has seen to both. */
void
raft_receive_vote(Raft *raft, const RaftMessage *message, RaftUpdate *update)
{
	bool grant = is_up_to_date(raft, message);

	if (message->kind == MESSAGE_PRE_VOTE)
		grant = grant && message->term > raft->hard_state.term && !raft_is_stalled(raft);
	else if (raft->hard_state.vote != 0)
		grant = grant && raft->hard_state.vote == message->from;
	else
		grant = grant && raft->leader_id == 0;
	if (message->kind == MESSAGE_VOTE && grant)
	{
		if (raft->hard_state.vote == 0)
		{
			raft->hard_state.vote = message->from;
			if (!FAULT(vote_forgotten))
				raft_give_hard_state(raft, update);
		}
		/* Who was asking for pre-votes has found somebody better. */
		if (raft->hard_state.vote != raft->member_id)
			raft_become_follower(raft, raft->hard_state.term, 0, update);
	}
	answer_vote(raft, message, grant, update);
}

/* Raft 3.8: what an answer says is durable before it is said: the vote, and the term it carries.  The
 * yes to a pre-vote carries a term that nobody has taken up. */
static void
answer_vote(Raft *raft, const RaftMessage *message, bool grant, RaftUpdate *update)
{
	bool pre_vote = message->kind == MESSAGE_PRE_VOTE;
	RaftMessage *answer = raft_message(
		raft, update, pre_vote ? MESSAGE_PRE_VOTE_ANSWER : MESSAGE_VOTE_ANSWER, message->from);

	answer->reject = !grant;
	if (pre_vote && grant)
	{
		answer->term = message->term;
		answer->depends_on = 0;
	}
}

void
raft_receive_vote_answer(Raft *raft, const RaftMessage *message, RaftUpdate *update)
{
	bool pre_vote = message->kind == MESSAGE_PRE_VOTE_ANSWER;
	uint64_t asked = raft->hard_state.term + (pre_vote && !message->reject ? 1 : 0);

	if (raft->role != (pre_vote ? ROLE_PRE_CANDIDATE : ROLE_CANDIDATE) || message->term != asked)
		return;
	if (message->reject)
		raft->rejected |= vote_bit(raft, message->from);
	else
		raft->granted |= vote_bit(raft, message->from);
	count_votes(raft, update);
}
