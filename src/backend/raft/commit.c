/*
 * commit.c
 *	  What is committed, by index and by position.
 *
 * Indexes are what members agree on; positions are this member's own.  A leader finds the commit index
 * from what a majority has acknowledged, its own part being what is flushed here (Raft 10.2.1: "the
 * leader may even commit an entry before it has been written to its own disk, if a majority of followers
 * have written it to their disks").  The commit position is the end of the last batch that holds nothing
 * behind the commit index.
 *
 * The ceiling is the same reckoning with an infinitely fast disk here.  So walwriter, which alone knows the
 * moment of a flush, can publish min(flushed, ceiling) without waiting for this process, and says
 * nothing that this file would not say.
 *
 * src/backend/raft/commit.c
 */
#include "rusd.h"

#include "raft_int.h"

static uint64_t match_of(const RaftProgress *progress);
static uint64_t own_match(const Raft *raft);
static void set_ceiling(Raft *raft, RaftUpdate *update);

uint64_t
raft_majority(const Raft *raft, RaftReached reached, uint64_t own)
{
	uint64_t values[CONFIG_MEMBERS_MAX];
	uint32_t count = 0;

	for (uint32_t i = 0; i < raft->configuration.member_count; i++)
	{
		uint64_t value;
		uint32_t at;

		if (!raft_is_voter(raft, i))
			continue;
		value = raft->progress[i].id == raft->member_id ? own : reached(&raft->progress[i]);
		for (at = count++; at > 0 && values[at - 1] < value; at--)
			values[at] = values[at - 1];
		values[at] = value;
	}
	return count == 0 ? 0 : values[count / 2];
}

static uint64_t
match_of(const RaftProgress *progress)
{
	return progress->match;
}

/* The last entry that is durable here. */
static uint64_t
own_match(const Raft *raft)
{
	uint32_t flushed = raft_spans_flushed(raft);

	if (FAULT(own_disk_not_waited_for))
		return raft->appended_index;
	return flushed == 0 ? 0 : raft_span(raft, flushed - 1)->last_index;
}

/*
 * Raft 3.6.2: "Raft never commits log entries from previous terms by counting replicas.  Only log
 * entries from the leader's current term are committed by counting replicas; once an entry from the
 * current term has been committed in this way, then all prior entries are committed indirectly".
 */
void
raft_count_commit(Raft *raft, RaftUpdate *update)
{
	uint64_t index;

	if (raft->role != ROLE_LEADER || (raft->floor == 0 && !FAULT(commit_of_an_older_term)))
		return;
	set_ceiling(raft, update);
	index = raft_majority(raft, match_of, own_match(raft));
	if (index > raft->commit_index &&
		(index >= raft->term_first_index || FAULT(commit_of_an_older_term)))
		raft_advance_commit(raft, index, update);
	else
		raft_advance_position(raft, update);
}

static void
set_ceiling(Raft *raft, RaftUpdate *update)
{
	uint64_t index = Min(raft_majority(raft, match_of, UINT64_MAX), raft->appended_index);
	uint64_t ceiling = 0;

	/* What comes behind a change of members is counted by the members that it makes. */
	if (raft->change_count > 0)
		index = Min(index, raft->changes[0].index);
	if (index == raft->appended_index)
		ceiling = raft->appended;
	else if (index >= raft->term_first_index)
	{
		uint32_t batches = raft_spans_up_to(raft, index);

		ceiling = batches == 0 ? 0 : raft_span(raft, batches - 1)->end;
	}
	/* Below the floor it is nothing, and it never goes back in a term. */
	if (raft->floor == 0 || ceiling < raft->floor || ceiling <= raft->ceiling)
		return;
	raft->ceiling = ceiling;
	update->bounds_changed = true;
}

void
raft_drop_bounds(Raft *raft, RaftUpdate *update)
{
	update->bounds_changed |= raft->ceiling != 0 || raft->floor != 0;
	raft->ceiling = 0;
	raft->floor = 0;
}

void
raft_advance_commit(Raft *raft, uint64_t index, RaftUpdate *update)
{
	uint64_t term = 0;

	if (index <= raft->commit_index)
		return;
	Check(raft_term_at(raft, index, &term));
	raft->commit_index = index;
	raft->commit_term = term;
	raft->hard_state.commit_index = index;
	raft->hard_state.commit_term = term;
	update->committed = true;
	raft_advance_position(raft, update);
	/* Before anything else: who counts next counts by it. */
	raft_use_committed_changes(raft, update);
}

void
raft_adopt_commit(Raft *raft, uint64_t index, uint64_t term, RaftUpdate *update)
{
	if (index > raft->commit_index && raft->snapshot.installing == 0 &&
		raft_has_entry(raft, index, term))
		raft_advance_commit(raft, index, update);
}

void
raft_advance_position(Raft *raft, RaftUpdate *update)
{
	uint32_t batches = raft_spans_up_to(raft, raft->commit_index);
	uint64_t position = batches == 0 ? 0 : raft_span(raft, batches - 1)->end;

	/* What has no index, behind the last entry, is as committed as that; the last entry must be in the log, or
	 * what lies there may be void. */
	if (raft->commit_index == raft->last_index && raft->appended_index == raft->last_index)
	{
		if (raft->role == ROLE_FOLLOWER)
			position = Max(position, raft->appended);
		else if (raft->role == ROLE_LEADER && raft->floor != 0)
			position = Max(position, Min(raft->flushed, raft->ceiling));
	}
	if (position <= raft->commit_position)
		return;
	raft->commit_position = position;
	update->committed = true;
}
