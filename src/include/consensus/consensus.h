/*
 * consensus.h
 *	  Process raft: puts proposals in order, drives the consensus core, decides what is committed.
 *
 * src/include/consensus/consensus.h
 */
#ifndef CONSENSUS_CONSENSUS_H
#define CONSENSUS_CONSENSUS_H

#include "consensus/peers.h"
#include "ipc/shmem.h"
#include "port/clock.h"

typedef struct Consensus Consensus;

typedef struct ConsensusOptions
{
	const ClockOps *clock;
	PeerOps *peers;        /* NULL: there is no way to other members */
	uint64_t heartbeat_ns; /* a tick */
	RaftOptions raft;      /* times in ticks */
	uint32_t elapsed;      /* ticks that count as passed at the start (BOOT-26) */
	uint32_t request_max;  /* bytes of a proposal's payload; at most consensus_request_max() */
	/* EntryMember payload (EntryHeader included) by which this member publishes itself after each
	 * start; copied. */
	Bytes publication;
} ConsensusOptions;

/*
 * The largest payload of a proposal that this layout can carry, EntryHeader included: what
 * fits into one batch of the log, beside the records of the core.  Backends refuse a larger one with
 * RUSD_REQUEST_TOO_LARGE before they propose it; raft does the same if they do not.  The members of a
 * cluster must have layouts that can carry each other's entries.
 */
extern uint32_t consensus_request_max(const ShmLayout *layout);

/*
 * Takes up from shm->recovered.  Memory of its own only, bounded: some bytes a slot, some for each
 * request that is not answered, and four times request_max for proposals that come in pieces.
 * RUSD_NO_MEMORY, RUSD_INVALID (options do not fit the layout), or what raft_init returns.
 */
extern Status consensus_create(Shm *shm, const ConsensusOptions *options, Consensus **result);
extern void consensus_destroy(Consensus *consensus);

/*
 * One turn: takes in flushed and applied positions, then what has come from other members, then ticks that are
 * due, then drains the marked proposal rings into a batch or towards the leader; publishes control, ceiling, floor
 * and commit position; sends what is to be sent.  *sleep_ns: how long it may sleep then if its latch stays
 * unset.  RUSD_OK: did something.  RUSD_AGAIN: nothing to do.
 *
 * Once requests->stop_wanted is not 0, who leads hands over; once it is 2, proposals are answered with RUSD_STOPPED, the end of
 * the log is marked, and consensus_is_finished() tells when that mark is durable, the hand-over
 * done or given up after an election timeout, and the process may leave.
 */
extern Status consensus_step(Consensus *consensus, uint64_t *sleep_ns);
extern bool consensus_is_finished(const Consensus *consensus);

does_not_return extern void raft_main(void);

#endif /* CONSENSUS_CONSENSUS_H */
