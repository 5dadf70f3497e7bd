/*
 * standing.c
 *	  Whether a member that makes a link here still has a place in the cluster: by what this one has applied.
 *
 * One that was removed while it was down learns it so (CLUSTER-33), and so does one that has come back with an empty
 * directory under the id of one that has started (BOOT-21): what that had acknowledged may be committed by its word.
 * Processes peer and transfer.
 *
 * src/backend/peer/standing.c
 */
#include "rusd.h"

#include "peer_int.h"
#include "store/store.h"
#include "wal/recovery.h"

int
peer_standing(PageAccess *access, const PeerHello *hello)
{
	Snapshot snapshot;
	StoreMember member;
	int code = 0;

	if (snapshot_pin(access, &snapshot) != RUSD_OK)
		return 0;
	if (store_find_removed(&snapshot, hello->from) == RUSD_OK)
		code = PEER_CODE_REMOVED;
	else if (hello->log_term <= BOOTSTRAP_TERM &&
			 store_next_member(&snapshot, hello->from - 1, &member) == RUSD_OK)
	{
		if (member.id == hello->from && member.name[0] != '\0')
			code = PEER_CODE_BOOTSTRAPPED;
		store_member_free(&member);
	}
	snapshot_unpin(&snapshot);
	return code;
}

const char *
peer_standing_text(int code)
{
	return code == PEER_CODE_REMOVED
			   ? "the member was removed from its cluster"
			   : "the member has already been bootstrapped, and has come back without its data";
}
