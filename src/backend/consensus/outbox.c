/*
 * outbox.c
 *	  Messages to other members, and the position of the log that each waits for.  Process raft.
 *
 * What the core gives out with a position leaves at once: the carrier holds it until the log is flushed up
 * to there.  What waits for the end of this turn stays here until the batch is closed.  Where the log has
 * no room for the records that were given out with it, it stays longer; if there is too much of it, it is
 * lost, as messages may be.
 *
 * src/backend/consensus/outbox.c
 */
#include "rusd.h"

#include "consensus_int.h"

static void leave(Consensus *consensus, const RaftMessage *message);

void
outbox_take(Consensus *consensus)
{
	const RaftUpdate *update = &consensus->update;

	if (consensus->options.peers == NULL)
		return;
	for (uint32_t i = 0; i < update->message_count; i++)
	{
		const RaftMessage *message = &update->messages[i];

		if (message->depends_on != RAFT_AFTER_TURN || FAULT(message_before_flush))
			leave(consensus, message);
		else if (consensus->outbox_count < OUTBOX_MAX)
			consensus->outbox[consensus->outbox_count++] = *message;
	}
}

void
outbox_finish(Consensus *consensus)
{
	if (consensus->pending_count > 0)
		return;
	for (uint32_t i = 0; i < consensus->outbox_count; i++)
	{
		consensus->outbox[i].depends_on = consensus->appender.position;
		leave(consensus, &consensus->outbox[i]);
	}
	consensus->outbox_count = 0;
}

static void
leave(Consensus *consensus, const RaftMessage *message)
{
	PeerOps *peers = consensus->options.peers;

	consensus->sending.kind = PEER_RAFT;
	consensus->sending.raft = *message;
	if (FAULT(message_before_flush))
		consensus->sending.raft.depends_on = 0;
	peers->send(peers, &consensus->sending);
}

void
outbox_send(Consensus *consensus, PeerMessage *message)
{
	PeerOps *peers = consensus->options.peers;

	message->raft.from = consensus->raft.member_id;
	peers->send(peers, message);
}
