/*
 * change.c
 *	  What an entry of the log asks of the configuration.
 *
 * src/backend/raft/change.c
 */
#include "rusd.h"

#include "raft/change.h"

RaftChange
raft_change_of_entry(uint64_t index, const uint8_t *payload)
{
	EntryMember member;
	RaftChange change = {.index = index};

	/* A record in a message may begin anywhere. */
	memcpy(&member, payload + sizeof(EntryHeader), sizeof(member));
	change.member_id = member.member_id;
	change.judged_at = member.judged_at;
	switch (member.action)
	{
		case MEMBER_ADD:
			change.kind = member.is_learner ? CHANGE_ADD_LEARNER : CHANGE_ADD_VOTER;
			break;
		case MEMBER_REMOVE:
			change.kind = CHANGE_REMOVE;
			break;
		case MEMBER_PROMOTE:
			change.kind = CHANGE_PROMOTE;
			break;
		default:
			change.kind = CHANGE_UPDATE;
			break;
	}
	return change;
}
