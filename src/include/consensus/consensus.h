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
	uint64_t heartbeat_ns; /* a tick */
	uint64_t election_ns;
	uint32_t request_max; /* bytes of a proposal's payload; at most consensus_request_max() */
	/* EntryMember payload (EntryHeader included) by which this member publishes itself after each
	 * start; copied. */
	Bytes publication;
} ConsensusOptions;

/*
 * The largest payload of a proposal that this layout can carry, EntryHeader included: what
 * fits into one batch of the log.  Backends refuse a larger one with RUSD_REQUEST_TOO_LARGE
 * before they propose it; raft does the same if they do not.
 */
extern uint32_t consensus_request_max(const ShmLayout *layout);

/*
 * Takes up from shm->recovered.  Memory of its own only, bounded: some bytes a slot, and
 * four times request_max for proposals that come in pieces.  RUSD_NO_MEMORY, RUSD_INVALID
 * (options do not fit the layout), or what raft_init returns.
 */
extern Status consensus_create(Shm *shm, const ConsensusOptions *options, Consensus **result);
extern void consensus_destroy(Consensus *consensus);

/*
 * One turn: takes in flushed and applied positions, then ticks that are due, then drains the
 * marked proposal rings into a batch; publishes control, ceiling and floor.  *sleep_ns: how
 * long it may sleep then if its latch stays unset.  RUSD_OK: did something.  RUSD_AGAIN:
 * nothing to do.
 *
 * While requests->stop_wanted is not 0, proposals are answered with RUSD_STOPPED; once it is
 * 2, the end of the log is marked, and consensus_is_finished() tells when that mark is
 * durable and the process may leave.
 */
extern Status consensus_step(Consensus *consensus, uint64_t *sleep_ns);
extern bool consensus_is_finished(const Consensus *consensus);

does_not_return extern void raft_main(void);

#endif /* CONSENSUS_CONSENSUS_H */
