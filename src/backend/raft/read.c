/*
 * read.c
 *	  Linearizable reads without the log (Raft 6.4).
 *
 * The leader notes its commit index as the read index and lets a round of heartbeats confirm that it leads
 * still; whoever asked then waits until it has applied that index.  "If the leader has not yet marked an
 * entry from its current term committed, it waits until it has done so": here who asks is told to ask
 * again.
 *
 * Each attempt has an id of its own, so an answer that was long under way is never taken for one to a
 * question asked later.
 *
 * src/backend/raft/read.c
 */
#include "rusd.h"

#include "raft_int.h"

static bool note_read(Raft *raft, uint64_t read_id, uint64_t member);
static bool answer(Raft *raft, const RaftPendingRead *read, uint64_t index, RaftUpdate *update);
static uint64_t round_of(const RaftProgress *progress);

void
raft_read_ready(RaftUpdate *update, uint64_t read_id, uint64_t index)
{
	if (update->read_count < RAFT_READS_MAX)
		update->reads[update->read_count++] = (RaftReadReady){.read_id = read_id, .index = index};
}

void
raft_read(Raft *raft, const RaftEvent *event, RaftUpdate *update)
{
	bool again = FAULT(read_id_reused) && event->read_id != 0;

	update->read_id = again ? event->read_id : ++raft->read_attempt;
	if (raft->role == ROLE_LEADER)
	{
		if (!note_read(raft, update->read_id, raft->member_id))
			raft_read_ready(update, update->read_id, 0);
		else if (raft->voters_count == 1 || FAULT(stale_read_after_pause))
			raft_confirm_reads(raft, update);
	}
	else if (raft->leader_id != 0)
		raft_message(raft, update, MESSAGE_READ, raft->leader_id)->read_id = update->read_id;
	else
		raft_read_ready(update, update->read_id, 0);
}

void
raft_confirm(Raft *raft, RaftUpdate *update)
{
	if (raft->role == ROLE_LEADER)
	{
		raft_read(raft, &(RaftEvent){.kind = RAFT_CONFIRM}, update);
		return;
	}
	update->read_id = ++raft->read_attempt;
	raft_read_ready(update, update->read_id, 0);
}

/* False: not now. */
static bool
note_read(Raft *raft, uint64_t read_id, uint64_t member)
{
	if (raft->read_count == RAFT_READS_MAX)
		return false;
	if (raft->commit_index < raft->term_first_index && !FAULT(read_before_first_commit))
		return false;
	raft->reads[raft->read_count++] = (RaftPendingRead){.read_id = read_id,
														.member = member,
														.index = raft->commit_index,
														.round = raft->round + 1};
	raft->round_wanted = true;
	return true;
}

void
raft_receive_read(Raft *raft, const RaftMessage *message, RaftUpdate *update)
{
	if (raft->role == ROLE_LEADER && note_read(raft, message->read_id, message->from) &&
		(raft->voters_count == 1 || FAULT(stale_read_after_pause)))
		raft_confirm_reads(raft, update);
}

static uint64_t
round_of(const RaftProgress *progress)
{
	return progress->acked_round;
}

void
raft_confirm_reads(Raft *raft, RaftUpdate *update)
{
	uint64_t round = raft_majority(raft, round_of, UINT64_MAX);
	uint32_t kept = 0;

	if (FAULT(stale_read_after_pause))
		round = UINT64_MAX;
	for (uint32_t i = 0; i < raft->read_count; i++)
	{
		const RaftPendingRead *read = &raft->reads[i];

		if (read->round > round || !answer(raft, read, read->index, update))
			raft->reads[kept++] = *read;
	}
	raft->read_count = kept;
}

/* False: there is no room for it in this update. */
static bool
answer(Raft *raft, const RaftPendingRead *read, uint64_t index, RaftUpdate *update)
{
	RaftMessage *message;

	if (read->member == raft->member_id)
	{
		raft_read_ready(update, read->read_id, index);
		return true;
	}
	if (update->message_count >= RAFT_MESSAGES_MAX / 2)
		return false;
	message = raft_message(raft, update, MESSAGE_READ_ANSWER, read->member);
	message->read_id = read->read_id;
	message->index = index;
	return true;
}

/* Those of other members ask again when nothing comes. */
void
raft_drop_reads(Raft *raft, RaftUpdate *update)
{
	for (uint32_t i = 0; i < raft->read_count; i++)
		if (raft->reads[i].member == raft->member_id)
			raft_read_ready(update, raft->reads[i].read_id, 0);
	raft->read_count = 0;
	raft->round_wanted = false;
}
