/*
 * peers.h
 *	  The way from process raft to the other members: what crosses it, and who carries it.
 *
 * raft touches no socket.  It hands messages to a carrier and takes from it what has arrived: in a node
 * the rings to and from the peer processes, in the simulator its network.  Two kinds of things cross:
 *
 * Messages of the core (raft/raft.h).  They may be lost, come twice, late, and in another order.  An APPEND names
 * entries; the sender's carrier reads them from the log itself, as they hold at message.log_end (raft's
 * own memory never sees them again), and the receiver gets them in entries.
 *
 * Forwarded proposals.  A proposal of a backend of a member that does not lead goes to the leader, once.
 * What became of it is known when it comes back in the log, or by one of the answers:
 *
 *	  PROPOSE	"append this": only the leader of exactly that term does.  number rises from message to message.
 *	  REFUSED	it was not appended, and never will be: status tells why.
 *	  FENCE		"what became of all before this number?"  It has a number of the same count.
 *	  FENCED	nothing with a number below that is appended after last_index any more.
 *
 * A leader takes numbers of one incarnation of a member only in rising order; what comes behind a higher one
 * is dropped.  So a PROPOSE may be lost, late or doubled too: it is executed at most once, and
 * after FENCED its sender knows what is lost.
 *
 * src/include/consensus/peers.h
 */
#ifndef CONSENSUS_PEERS_H
#define CONSENSUS_PEERS_H

#include "format/entry.h"
#include "raft/raft.h"

typedef enum PeerMessageKind
{
	PEER_RAFT,
	PEER_PROPOSE,
	PEER_REFUSED,
	PEER_FENCE,
	PEER_FENCED,
	PEER_KIND_COUNT
} PeerMessageKind;

typedef struct PeerMessage
{
	PeerMessageKind kind;
	RaftMessage raft; /* of kinds beside RAFT only from, to, term and depends_on count */
	/* Coming, RAFT with MESSAGE_APPEND: the records of the entries one behind the other, exactly as in a batch of the log
	 * (WalRecordHeader, payload, padding to 8).  Empty where this member sends it.  8-aligned. */
	Bytes entries;
	/* PROPOSE, REFUSED: whose it is; the other kinds: of whose incarnation. */
	RequestId id;
	uint64_t number;     /* PROPOSE, FENCE, FENCED */
	uint64_t last_index; /* FENCED */
	/* PROPOSE */
	Bytes payload; /* EntryHeader included; 8-aligned */
	uint32_t entry_kind;
	uint32_t flags;         /* PROPOSAL_... of ipc/ring.h */
	uint64_t frames_needed; /* as its backend estimated it */
	Status status;          /* REFUSED */
} PeerMessage;

typedef struct PeerOps PeerOps;

/* None of them blocks.  Process raft, and no other, calls them; after receive and send the other side is woken by
 * whoever implements them. */
struct PeerOps
{
	/*
	 * The next message that has arrived, into *message; what its pointers lead to stays until the next call.  False: none.
	 * appends false: the log takes no entries now: only what brings none (all but PROPOSE, FENCE and an APPEND
	 * with entries); the others wait, in their order.
	 */
	bool (*receive)(PeerOps *self, bool appends, PeerMessage *message);
	/* The message received last did not fit into the log: it will be the next of its kind again. */
	void (*put_back)(PeerOps *self);
	/*
	 * Takes a copy of *message, payload included, or loses it.  It must not leave before this member's log is flushed up
	 * to message->raft.depends_on.  Of an APPEND it takes along entries index + 1 to last_index as they hold at
	 * log_end; fewer, last_index set back to match and runs cut, where may_be_cut and there are too many bytes.
	 */
	void (*send)(PeerOps *self, const PeerMessage *message);
	/* Would a PROPOSE with so many bytes of payload find room on the way to that member?  False: raft's latch is set
	 * when there may be some. */
	bool (*has_room)(PeerOps *self, uint64_t to, uint32_t length);
	/* Fetch the state of that member, of that index at least, into incoming/; it replaces an earlier wish. */
	void (*snapshot_wanted)(PeerOps *self, uint64_t from, uint64_t index);
	/* Has a state been fetched that was not reported yet?  Whole and durable in incoming/, where it stays until another is wanted. */
	bool (*snapshot_fetched)(PeerOps *self, uint64_t *index, uint64_t *term,
							 RaftConfiguration *configuration);
	/* Has a state that this member sends to another been sent, or not, and was not reported yet? */
	bool (*snapshot_sent)(PeerOps *self, uint64_t *member, bool *failed);
};

/*
 * Everything that comes from another member is input.  RUSD_OK: it can be worked with: kinds, lengths, members and indexes are
 * possible, the entries are those that the message names, and each passes entry_check.  RUSD_INVALID: it is to be
 * dropped.  own_id: the member that it has come to.  Peers and raft; time linear in the length, nothing is allocated.
 */
extern Status peer_message_check(const PeerMessage *message, uint64_t own_id);

#endif /* CONSENSUS_PEERS_H */
