/*
 * members.c
 *	  The configuration in use, and what changes it.
 *
 * Raft 4.1: one member is added or removed at a time, so that any majority of the old configuration and
 * any of the new one share a member.
 *
 * Departure from Raft 4.1 ("a server always uses the latest configuration in its log, regardless of
 * whether the entry is committed"): a change is in use when it is committed here, as in etcd, and before
 * anything else is done with what was learnt.  For members to be never more than one change apart,
 *
 *	  - a leader appends a change only when an entry of its term is committed and the change before is in
 *		use (the first half is the fix of the dissertation's own bug of single-server changes);
 *	  - whoever has a change in its log uses the one before: what comes with entries, and with vote messages
 *		and their answers, tells what is committed, and every batch of the log stores it.
 *
 * The leader has judged a change by the configuration in use and written that one's index into it; it takes
 * effect on that one only.
 *
 * src/backend/raft/members.c
 */
#include "rusd.h"

#include "raft_int.h"

uint32_t
raft_configuration_find(const RaftConfiguration *configuration, uint64_t member_id)
{
	uint32_t place = 0;

	while (place < configuration->member_count && configuration->members[place].id != member_id)
		place++;
	return place;
}

static bool
is_only_voter(const RaftConfiguration *configuration, uint32_t place)
{
	for (uint32_t i = 0; i < configuration->member_count; i++)
		if (i != place && !configuration->members[i].is_learner)
			return false;
	return true;
}

Status
raft_configuration_change(RaftConfiguration *configuration, const RaftChange *change)
{
	uint32_t place = raft_configuration_find(configuration, change->member_id);
	uint32_t count = configuration->member_count;
	bool exists = place < count;

	if (change->judged_at != configuration->index || change->member_id == 0)
		return RUSD_INVALID;
	switch (change->kind)
	{
		case CHANGE_ADD_VOTER:
		case CHANGE_ADD_LEARNER:
			if (exists || count == CONFIG_MEMBERS_MAX)
				return RUSD_INVALID;
			configuration->members[count].id = change->member_id;
			configuration->members[count].is_learner = change->kind == CHANGE_ADD_LEARNER;
			configuration->member_count++;
			break;
		case CHANGE_PROMOTE:
			if (!exists || !configuration->members[place].is_learner)
				return RUSD_INVALID;
			configuration->members[place].is_learner = false;
			break;
		case CHANGE_REMOVE:
			if (!exists || is_only_voter(configuration, place))
				return RUSD_INVALID;
			memmove(&configuration->members[place], &configuration->members[place + 1],
					(count - place - 1) * sizeof(configuration->members[0]));
			configuration->member_count--;
			memset(&configuration->members[count - 1], 0, sizeof(configuration->members[0]));
			break;
		case CHANGE_UPDATE:
			if (!exists)
				return RUSD_INVALID;
			break;
		default:
			return RUSD_INVALID;
	}
	configuration->index = change->index;
	return RUSD_OK;
}

RaftProgress *
raft_progress_of(Raft *raft, uint64_t member_id)
{
	uint32_t place = raft_configuration_find(&raft->configuration, member_id);

	return place == raft->configuration.member_count ? NULL : &raft->progress[place];
}

/* What is known of a member stays with it. */
void
raft_use_configuration(Raft *raft, const RaftConfiguration *configuration)
{
	RaftProgress before[CONFIG_MEMBERS_MAX];
	uint32_t count = raft->configuration.member_count;

	memcpy(before, raft->progress, count * sizeof(before[0]));
	raft->configuration = *configuration;
	raft->voters_count = 0;
	raft->votes = false;
	for (uint32_t i = 0; i < configuration->member_count; i++)
	{
		uint64_t id = configuration->members[i].id;
		uint32_t old = 0;

		while (old < count && before[old].id != id)
			old++;
		if (old < count)
			raft->progress[i] = before[old];
		else
			raft_progress_reset(raft, &raft->progress[i], id);
		if (!raft_is_voter(raft, i))
			continue;
		raft->voters_count++;
		raft->votes |= id == raft->member_id;
	}
}

void
raft_note_change(Raft *raft, const RaftChange *change)
{
	Check(raft->change_count < RAFT_CHANGES_MAX || FAULT(second_change_early));
	if (raft->change_count == RAFT_CHANGES_MAX)
		return;
	raft->changes[raft->change_count++] = *change;
	if (FAULT(change_used_at_append))
	{
		RaftConfiguration next = raft->configuration;

		raft->change_count--;
		if (raft_configuration_change(&next, change) == RUSD_OK)
			raft_use_configuration(raft, &next);
	}
}

/*
 * Raft 4.2.2: a leader that is not in the configuration any more steps down when the change is
 * committed.  It tells the others first what is committed, so that they do not have to find out by an election.
 */
static void
leave(Raft *raft, RaftUpdate *update)
{
	if (raft->role == ROLE_LEADER)
		raft_send_heartbeats(raft, update);
	raft_become_follower(raft, raft->hard_state.term, 0, update);
}

void
raft_use_committed_changes(Raft *raft, RaftUpdate *update)
{
	bool changed = false;

	while (raft->change_count > 0 && raft->changes[0].index <= raft->commit_index)
	{
		RaftConfiguration next = raft->configuration;

		if (raft_configuration_change(&next, &raft->changes[0]) == RUSD_OK)
		{
			if (raft->role == ROLE_LEADER && raft->changes[0].kind == CHANGE_REMOVE)
				raft_send_last(raft, raft->changes[0].member_id, update);
			raft_use_configuration(raft, &next);
			changed = true;
		}
		raft->change_count--;
		memmove(raft->changes, raft->changes + 1, raft->change_count * sizeof(raft->changes[0]));
	}
	if (!changed)
		return;
	update->configured = true;
	/* Votes were counted by the one before. */
	if (raft->role == ROLE_CANDIDATE || raft->role == ROLE_PRE_CANDIDATE)
		raft_become_follower(raft, raft->hard_state.term, 0, update);
	if (raft->role != ROLE_LEADER)
		return;
	if (raft->transfer_to != 0 && raft_progress_of(raft, raft->transfer_to) == NULL)
		raft->transfer_to = 0;
	if (!raft->votes)
		leave(raft, update);
	else
		/* A smaller majority may have been reached already. */
		raft_count_commit(raft, update);
}

bool
raft_may_change(const Raft *raft)
{
	if (raft->role != ROLE_LEADER || raft->transfer_to != 0)
		return false;
	if (FAULT(second_change_early))
		return true;
	return raft->commit_index >= raft->term_first_index && raft->change_count == 0;
}

bool
raft_learner_is_ready(const Raft *raft, uint64_t member_id)
{
	uint32_t place = raft_configuration_find(&raft->configuration, member_id);

	return raft->role == ROLE_LEADER && place < raft->configuration.member_count &&
		   10 * raft->progress[place].match >= 9 * raft->commit_index;
}
