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
 * Payload, EntryHeader included and its id empty, of an entry of that member: peer URLs first, then client URLs, as many
 * as *member says.  name_length is filled in.  Any process.  The caller frees data.
 */
extern Bytes member_entry_encode(const EntryMember *member, const char *name,
								 const char *const *urls);

/* The same of the entry by which this member tells its name and client URLs after a start (MEMBER_PUBLISH, BOOT-25), made
 * from the parameters.  raft. */
extern Bytes publication_encode(uint64_t member_id);

#endif /* CONSENSUS_PUBLICATION_H */
