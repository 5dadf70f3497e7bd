/*
 * carrier.h
 *	  The node's PeerOps: raft's side of the rings to and from the processes of links.
 *
 * src/include/consensus/carrier.h
 */
#ifndef CONSENSUS_CARRIER_H
#define CONSENSUS_CARRIER_H

#include "consensus/peers.h"
#include "ipc/shmem.h"

typedef struct Carrier Carrier;

/*
 * raft.  Memory of its own: for each link that sends to this member its longest message so far, but no more than 64 KiB
 * while none longer comes, and one proposal that is too long for the rings.  request_max: as in ConsensusOptions.
 */
extern Status carrier_create(Shm *shm, uint32_t request_max, Carrier **result);
extern void carrier_destroy(Carrier *carrier);
/* Lives as long as the carrier. */
extern PeerOps *carrier_ops(Carrier *carrier);

#endif /* CONSENSUS_CARRIER_H */
