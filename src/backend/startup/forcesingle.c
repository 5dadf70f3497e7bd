/*
 * forcesingle.c
 *	  --force-new-cluster: a cluster of one from what one member has.
 *
 * Others that may still run know nothing of it and are to be stopped for good: that is the operator's word.  The
 * new entries are of a term of their own, so that no entry of theirs is ever taken for one of these.
 *
 * src/backend/startup/forcesingle.c
 */
#include "rusd.h"

#include "format/entry.h"
#include "raft/change.h"
#include "startup/startup.h"

/* An entry of kind MEMBER without strings. */
typedef struct Change
{
	alignas(8) uint8_t payload[sizeof(EntryHeader) + sizeof(EntryMember) + sizeof(uint32_t)];
} Change;

typedef struct Force
{
	RaftConfiguration configuration; /* as of last_index, then after each change */
	uint64_t next_index;
	Change changes[CONFIG_MEMBERS_MAX + 1];
	InitialEntry entries[CONFIG_MEMBERS_MAX + 1];
	uint32_t count;
	uint32_t others;
} Force;

static void
add_change(Force *force, MemberAction action, uint64_t member_id)
{
	Change *change = &force->changes[force->count];
	EntryMember member = {
		.member_id = member_id, .action = action, .judged_at = force->configuration.index};
	RaftChange applied;

	memset(change, 0, sizeof(*change));
	memcpy(change->payload + sizeof(EntryHeader), &member, sizeof(member));
	applied = raft_change_of_entry(force->next_index++, change->payload);
	Check(raft_configuration_change(&force->configuration, &applied) == RUSD_OK);
	force->entries[force->count++] =
		(InitialEntry){.kind = ENTRY_MEMBER, .payload = {change->payload, sizeof(change->payload)}};
}

/* False: it is not among the members. */
static bool
make_changes(Force *force, const NodeRecovered *found)
{
	const RaftConfiguration *configuration = &force->configuration;
	uint32_t own;

	force->configuration = found->configuration;
	force->next_index = found->last_index + 1;
	force->count = 0;
	for (uint32_t i = 0; i < found->change_count; i++)
		(void) raft_configuration_change(&force->configuration, &found->changes[i]);
	own = raft_configuration_find(configuration, found->member_id);
	if (own == configuration->member_count)
		return false;
	if (configuration->members[own].is_learner)
		add_change(force, MEMBER_PROMOTE, found->member_id);
	force->others = configuration->member_count - 1;
	while (configuration->member_count > 1)
		add_change(force, MEMBER_REMOVE,
				   configuration->members[configuration->members[0].id == found->member_id].id);
	return true;
}

Status
node_force_single(Shm *shm, FileOps *fs, uint32_t *removed, char *message, size_t message_size)
{
	const NodeRecovered *found = shm->recovered;
	HardState hard_state = found->hard_state;
	Force force;
	Status status = RUSD_OK;

	*removed = 0;
	if (!make_changes(&force, found))
	{
		snprintf(message, message_size,
				 "member %" PRIx64 " is not among the members of its cluster, or was removed",
				 found->member_id);
		status = RUSD_INVALID;
	}
	else if (force.count > 0)
	{
		hard_state.term = Max(hard_state.term, found->last_term) + 1;
		hard_state.vote = found->member_id;
		*removed = force.others;
		status = wal_extend(fs, found, &hard_state, force.entries, force.count);
		if (status != RUSD_OK)
			snprintf(message, message_size, "the log cannot be continued");
		else
			status = node_start(shm, fs, NULL, message, message_size);
	}
	return status;
}
