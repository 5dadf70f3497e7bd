/*
 * consensus.h
 *	  Process raft: puts proposals in order, drives the consensus core, decides what is committed.
 *
 * src/include/consensus/consensus.h
 */
#ifndef CONSENSUS_CONSENSUS_H
#define CONSENSUS_CONSENSUS_H

#include "ipc/shmem.h"
#include "port/clock.h"

typedef struct Consensus Consensus;

typedef struct ConsensusOptions
{
	const ClockOps *clock;
	uint64_t	heartbeat_ns;	/* a tick */
	uint64_t	election_ns;
	uint32_t	request_max;	/* bytes of a proposal's payload: max-request-bytes and what its header takes */
	/* EntryMember payload (EntryHeader included) by which this member publishes itself after each start. */
	Bytes		publication;
} ConsensusOptions;

/* Takes up from shm->recovered.  Memory of its own only. */
extern Status consensus_create(Shm *shm, const ConsensusOptions *options, Consensus **result);
/*
 * One turn: takes in flushed and applied positions, then ticks that are due, then drains the marked proposal rings into a batch; publishes control, ceiling and floor.  *sleep_ns: how long
 * it may sleep then if its latch stays unset.  RUSD_OK: did something.  RUSD_AGAIN: nothing to do.
 */
extern Status consensus_step(Consensus *consensus, uint64_t *sleep_ns);

does_not_return extern void raft_main(void);

#endif							/* CONSENSUS_CONSENSUS_H */
