/*
 * publication.h
 *	  The entries by which a member makes itself known; made from the parameters.
 *
 * src/include/consensus/publication.h
 */
#ifndef CONSENSUS_PUBLICATION_H
#define CONSENSUS_PUBLICATION_H

#include "format/entry.h"

/*
 * Payload, EntryHeader included, of the entry by which this member adds itself at bootstrap (MEMBER_ADD: peer URLs, no name,
 * CLUSTER-5) or tells its name and client URLs after a start (MEMBER_PUBLISH, BOOT-25).  Startup and raft.  The caller frees data.
 */
extern Bytes publication_encode(MemberAction action, uint64_t member_id);

#endif /* CONSENSUS_PUBLICATION_H */
