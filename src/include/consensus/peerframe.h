/*
 * peerframe.h
 *	  The bytes of a message between members, in the rings of links and on the wire.
 *
 * A frame is a PeerFrame, run_count RaftRuns, and the body: the entries of an APPEND, records as in a batch of the log, or
 * the payload of a PROPOSE.  On the wire crc covers all behind it and the fields of one member only are 0; in
 * the rings crc is 0.  Little-endian, like all of rusd's formats; a link is refused to who speaks another
 * PEER_PROTOCOL, which is raised with every change here, of RaftMessageKind, PeerMessageKind, Status or the encoding of
 * entries.
 *
 * src/include/consensus/peerframe.h
 */
#ifndef CONSENSUS_PEERFRAME_H
#define CONSENSUS_PEERFRAME_H

#include "consensus/peers.h"

#define PEER_PROTOCOL 2

/* Kinds of frames beside those of PeerMessageKind: from the process of a link to its own raft. */
typedef enum LinkReport
{
	LINK_REPORT_UP = 64, /* connected: what found no way may find one now */
	LINK_REPORT_FETCHED, /* index, log_term, and the RaftConfiguration in the body: a state is in incoming/ */
	LINK_REPORT_SENT /* a state has been sent to member from; FRAME_REJECT: it has not */
} LinkReport;

#define FRAME_REJECT 1
#define FRAME_TRANSFER 2
#define FRAME_ILL 4
#define FRAME_MAY_BE_CUT 8 /* of one member only */

typedef struct PeerFrame
{
	uint32_t crc;    /* of all that follows, runs and body included */
	uint32_t length; /* of the whole */
	uint8_t kind;    /* PeerMessageKind or LinkReport */
	uint8_t raft_kind;
	uint8_t run_count;
	uint8_t flags; /* FRAME_... */
	uint32_t entry_kind;
	uint32_t proposal_flags;
	uint32_t status;
	uint64_t from;
	uint64_t to;
	uint64_t term;
	uint64_t index;
	uint64_t log_term;
	uint64_t commit_index;
	uint64_t commit_term;
	uint64_t last_index; /* of kinds beside RAFT: PeerMessage.last_index */
	uint64_t round;
	uint64_t read_id;
	uint64_t refused_at;
	uint64_t number;
	uint64_t frames_needed;
	RequestId id;
	/* of one member only */
	uint64_t depends_on;
	uint64_t log_begin;
	uint64_t log_end;
} PeerFrame;

StaticAssert(sizeof(PeerFrame) == 184, "format of the wire");

/* A frame without its body. */
#define PEER_FRAME_HEAD_MAX (sizeof(PeerFrame) + RAFT_MESSAGE_RUNS * sizeof(RaftRun))
/* Bytes of entries in one frame, a single entry excepted. */
#define PEER_ENTRIES_MAX ((uint32_t) 1 << 20)

/*
 * All but the body into head (PEER_FRAME_HEAD_MAX bytes), as it stands in the rings; its length.  body_length bytes are to
 * follow.  Any process.
 */
extern uint32_t peer_frame_encode(const PeerMessage *message, uint32_t body_length, void *head);
/*
 * The other way; entries or payload point into bytes, which are 8-aligned.  RUSD_INVALID: it is no frame of a message.  What
 * the message says is not looked at: see peer_message_check.  Any process.
 */
extern Status peer_frame_decode(const uint8_t *bytes, size_t length, PeerMessage *message);

/* For the wire: clears what is of one member only and sets the checksum. */
extern void peer_frame_seal(void *head, uint32_t head_length, Bytes body);
/* RUSD_DAMAGED: the bytes are not those that were sealed. */
extern Status peer_frame_unseal(const uint8_t *bytes, size_t length);

/* The most bytes that a frame may have where proposals have request_max at most. */
static inline uint32_t
peer_frame_max(uint32_t request_max)
{
	return (uint32_t) (PEER_FRAME_HEAD_MAX + Max(PEER_ENTRIES_MAX, request_max) +
					   2 * sizeof(WalRecordHeader));
}

#endif /* CONSENSUS_PEERFRAME_H */
