/*
 * raftmain.c
 *	  Process raft: the loop around consensus_step.
 *
 * It sleeps in its latch and nowhere else; no file, no socket, no name is touched here.
 *
 * src/backend/consensus/raftmain.c
 */
#include "rusd.h"

#include "consensus/carrier.h"
#include "consensus/consensus.h"
#include "consensus/publication.h"
#include "ipc/process.h"
#include "utils/config.h"
#include "utils/log.h"
#include "wal/recovery.h"

#define NS_PER_MS UINT64_C(1000000)
/* BOOT-26: so many are left of the first election timeout, for links to be made and a leader to be heard. */
#define LINKS_UP_TICKS 3
/* RAFT-52 */
#define MESSAGE_BYTES ((uint64_t) 1 << 20)
#define WINDOW_BYTES ((uint64_t) 16 << 20)

/* --leader-stall-timeout in ticks. */
static uint32_t
stall_ticks(void)
{
	int64_t timeout_ns = config.leader_stall_timeout;
	int64_t tick_ns = config.heartbeat_interval * (int64_t) NS_PER_MS;

	if (timeout_ns == 0)
		timeout_ns = 2 * config.election_timeout * (int64_t) NS_PER_MS;
	return (uint32_t) ((timeout_ns + tick_ns - 1) / tick_ns);
}

does_not_return void
raft_main(void)
{
	ConsensusOptions options = {
		.clock = &clock_os,
		.heartbeat_ns = (uint64_t) config.heartbeat_interval * NS_PER_MS,
		.raft = {.election_ticks = (uint32_t) (config.election_timeout / config.heartbeat_interval),
				 .ill_ticks = stall_ticks(),
				 .window_bytes = WINDOW_BYTES,
				 .message_bytes = MESSAGE_BYTES},
		.request_max = consensus_request_max(&my_shm->layout),
		.publication = publication_encode(my_shm->recovered->member_id)};
	uint32_t ticks = options.raft.election_ticks;
	Consensus *consensus;
	Carrier *carrier;
	Status status;

	if (config.initial_election_tick_advance && ticks > LINKS_UP_TICKS)
		options.elapsed = ticks - LINKS_UP_TICKS;
	status = carrier_create(my_shm, options.request_max, &carrier);
	if (status == RUSD_OK)
	{
		options.peers = carrier_ops(carrier);
		status = consensus_create(my_shm, &options, &consensus);
	}
	free((void *) (uintptr_t) options.publication.data); /* consensus has its copy */
	if (status != RUSD_OK)
		log_stop("raft could not begin", LOG_TEXT("error", status_text(status)));
	for (;;)
	{
		uint64_t sleep_ns;

		latch_reset(my_latch);
		status = consensus_step(consensus, &sleep_ns);
		if (status != RUSD_OK && status != RUSD_AGAIN)
			log_stop("raft cannot go on", LOG_TEXT("error", status_text(status)));
		if (consensus_is_finished(consensus))
			exit(0);
		latch_wait(my_latch, (int) Min((sleep_ns + NS_PER_MS - 1) / NS_PER_MS, 1000),
				   WAIT_EVENT_RAFT_MAIN);
	}
}
