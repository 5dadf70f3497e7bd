/*
 * link.h
 *	  Messages between raft and the processes of links, which lead to other members.
 *
 * From raft to a link: a byte ring that raft owns, one for each slot of a link.  From a link to raft: the proposal
 * ring of the link's own area, by ipc/ring.h; there a "proposal" is a message.  Both ways a message crosses in
 * pieces, in order, and what the messages are is not known here (consensus/peerframe.h).
 *
 * A link that dies takes along what its rings hold: messages may be lost.  raft puts its end of the ring back to 0 when
 * it acknowledges the death of the slot (ipc/slot.h), the postmaster the other when it clears the area; so nothing of
 * one generation is seen by the next.
 *
 * src/include/ipc/link.h
 */
#ifndef IPC_LINK_H
#define IPC_LINK_H

#include "ipc/shmem.h"

#define LINK_PIECE_MAX (16 * 1024)

typedef struct LinkPiece
{
	uint32_t total_length; /* of the message */
	uint32_t offset;       /* of this piece in it */
	uint32_t length;       /* of this piece, 1 to LINK_PIECE_MAX */
	uint32_t reserved;
} LinkPiece;

StaticAssert(sizeof(LinkPiece) == 16, "pieces are padded to 8");

/* ---- raft ---- */
/* Would a message of that length fit into the ring now, as a whole? */
extern bool link_has_room(const Shm *shm, uint32_t slot, uint32_t length);
/*
 * Puts as much of the message, head and body one behind the other, from *offset on as fits; true when all is in.  Does not wake
 * the link.
 */
extern bool link_put(Shm *shm, uint32_t slot, Bytes head, Bytes body, uint32_t *offset);
/* raft's latch is set when half of the ring is free.  True: it is already. */
extern bool link_want_room(Shm *shm, uint32_t slot);
/* The slot's process is dead: nothing is in the ring. */
extern void link_forget(Shm *shm, uint32_t slot);

/* ---- the link ---- */
/*
 * The next piece of this slot's ring, its bytes into buffer (LINK_PIECE_MAX).  RUSD_AGAIN: none.  Wakes raft where it waits
 * for room.
 */
extern Status link_take(Shm *shm, uint32_t slot, LinkPiece *piece, uint8_t *buffer);

/* ---- any process ---- */
/* Since when (monotonic ns) this member's link to that one is up without a break, by the link's own word; 0: it is not. */
extern uint64_t link_up_since(const Shm *shm, uint64_t member_id);

#endif /* IPC_LINK_H */
