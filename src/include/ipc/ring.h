/*
 * ring.h
 *	  Proposals from a backend to raft, replies from raft and applier to a backend.
 *
 * A proposal ring is a byte ring in the backend's own area; records are a ProposalPiece and
 * its bytes, padded to 8.  A proposal longer than PROPOSAL_PIECE_MAX crosses in pieces, in
 * order, none of another proposal between them. raft copies a piece out, checks the copy,
 * and collects all pieces before a byte of it enters the WAL buffers.  A ring that makes no
 * sense is dropped whole: its backend is hostile or broken, and is told nothing.
 *
 * Replies: a backend has at most REPLY_PLACES requests whose answer it has not yet taken, so
 * neither of its two reply rings can overflow; a place is free again with its answer only,
 * even where the client was answered before.
 *
 * src/include/ipc/ring.h
 */
#ifndef IPC_RING_H
#define IPC_RING_H

#include "ipc/shmem.h"

#define PROPOSAL_PIECE_MAX (16 * 1024)

typedef struct ProposalPiece
{
	uint64_t sequence;      /* of the request */
	uint32_t total_length;  /* of the proposal's payload (format/entry.h) */
	uint32_t offset;        /* of this piece in it */
	uint32_t length;        /* of this piece, 1 to PROPOSAL_PIECE_MAX */
	uint16_t kind;          /* EntryKind */
	uint16_t flags;         /* PROPOSAL_... */
	uint64_t frames_needed; /* estimate: pages that applying it may take; see store_estimate */
} ProposalPiece;

StaticAssert(sizeof(ProposalPiece) == 32, "pieces are padded to 8");

/* goes on when the disk or the cache is short: delete, compaction, alarm */
#define PROPOSAL_FREES_SPACE 1

/* ---- backend ---- */
typedef struct ProposalWriter
{
	Shm *shm;
	uint32_t slot;
	uint32_t outstanding; /* requests not yet answered to us */
	bool wake_due;        /* something was put that raft has not been woken for */
	uint64_t next_sequence;
} ProposalWriter;

extern void proposal_writer_init(ProposalWriter *writer, Shm *shm, uint32_t slot);
/* May another request begin?  (a free place in both reply rings) */
extern bool proposal_may_begin(const ProposalWriter *writer);
/* Begins one: its sequence number.  Counts as outstanding until proposal_answered. */
extern uint64_t proposal_begin(ProposalWriter *writer);
/*
 * Puts as much of payload[*offset ..] into the ring as fits and marks it; true
 * when all is in.  The caller wakes raft by proposal_wake before it sleeps: once for all that it
 * has put, for a wake costs more than a put.  Call again after the latch was set (raft sets it when
 * the ring of one who waits has become half empty).  first->offset and first->length are set
 * inside.
 */
extern bool proposal_put(ProposalWriter *writer, ProposalPiece *head, const uint8_t *payload,
						 uint32_t *offset);
extern void proposal_wake(ProposalWriter *writer);
/*
 * Takes the next reply of either ring; false if there is none.  Wrong generations are
 * skipped.
 */
extern bool reply_take(ProposalWriter *writer, Reply *reply);

/* ---- raft ---- */
/*
 * Copies the next piece of slot's ring: header into *piece, bytes into buffer
 * (PROPOSAL_PIECE_MAX).  RUSD_AGAIN: none.  RUSD_INVALID: the ring makes no sense; the tail
 * was set to the head.  Bounds of length are checked here, all else by the caller.
 */
extern Status proposal_take(Shm *shm, uint32_t slot, ProposalPiece *piece, uint8_t *buffer);

/*
 * The same in two steps, for one who must know what comes before it has room: proposal_peek
 * copies and checks the header only; proposal_accept then copies the bytes of that very
 * header (buffer NULL: drops them) and moves on.  The header that counts is the caller's
 * copy, whatever the ring says by then.
 */
extern Status proposal_peek(Shm *shm, uint32_t slot, ProposalPiece *piece);
extern void proposal_accept(Shm *shm, uint32_t slot, const ProposalPiece *piece, uint8_t *buffer);
/* Drops all that the ring holds: what came makes no sense. */
extern void proposal_drop_all(Shm *shm, uint32_t slot);

/* ---- raft, applier ---- */
/*
 * Puts a reply into the ring of that slot; dropped if the slot is not live in that generation.  The
 * caller sets the slot's latch by reply_wake when it has put all that it has: a backend woken by the
 * first of a hundred replies would sleep again before the second.
 */
extern void reply_put(Shm *shm, ReplyRing *rings, uint32_t slot, const Reply *reply);
extern void reply_wake(Shm *shm, uint32_t slot);

#endif /* IPC_RING_H */
