/*
 * consensus_int.h
 *	  What the files of consensus/ share.  Process raft.
 *
 *	  consensus.c	the turn: positions, ticks, publishing, waking
 *	  intake.c		proposal rings: what comes from backends, piece by piece
 *	  judge.c		whether a proposal may enter the log now
 *	  append.c		batches of the log, and the pages reserved for what is in them
 *
 * src/backend/consensus/consensus_int.h
 */
#ifndef CONSENSUS_INT_H
#define CONSENSUS_INT_H

#include "consensus/consensus.h"
#include "format/entry.h"
#include "ipc/ring.h"
#include "raft/raft.h"
#include "wal/wal.h"

/* RAFT-40: so many entries committed and not applied, and new ones are refused. */
#define APPLY_LAG_MAX 5000
/* Pieces taken from one ring before the next one's turn. */
#define PIECES_PER_TURN 256
/* Proposals in pieces being collected at once hold at most so many times request_max. */
#define COLLECT_FACTOR 4
#define OWN_PROPOSALS 2
/* Pages that only compactions and alarms may use: the entry's, and what the applier needs to begin
 * removing. */
#define COMPACTION_PAGES 64

/* What raft knows of a slot's stream of pieces. */
typedef struct Intake
{
	uint32_t generation; /* of the slot, when the rest was written */
	uint32_t received;   /* bytes of the proposal being collected; 0: none */
	uint32_t skip;       /* bytes still to come of a refused proposal */
	bool accused;        /* that it sends nonsense was logged, once is enough */
	ProposalPiece first; /* of the proposal being collected or skipped */
	uint8_t *buffer;     /* first.total_length bytes, while one is collected */
	uint64_t touched_ns; /* when its last piece came */
} Intake;

/* Pages reserved for the entries of a batch, until they are applied. */
typedef struct Reservation
{
	uint64_t last_index;
	uint64_t pages;
} Reservation;

typedef enum DrainResult
{
	DRAIN_EMPTY, /* nothing is left in the ring */
	DRAIN_MORE,  /* its turn is over, but there is more */
	DRAIN_WAIT,  /* it waits for memory to collect in */
	DRAIN_FULL   /* the log takes no more now */
} DrainResult;

struct Consensus
{
	Shm *shm;
	ConsensusOptions options;
	uint8_t *publication;
	Raft raft;
	RaftSpan *spans;
	WalAppender appender;
	uint64_t now_ns;
	uint64_t next_tick_ns;

	/* append.c */
	bool log_full;             /* the last attempt to open a batch got RUSD_AGAIN in this turn */
	uint64_t last_append_ns;   /* of a batch that was no idle mark */
	uint64_t batch_pages;      /* reserved by the open batch */
	bool batch_hard_state;     /* the open batch holds the core's newest hard state */
	Reservation *reservations; /* a ring, oldest first */
	uint32_t reservation_capacity;
	uint32_t reservation_first;
	uint32_t reservation_count;
	uint64_t pages_reserved;              /* their sum, and batch_pages */
	RaftRecord pending[RAFT_RECORDS_MAX]; /* given out by the core, not appended yet */
	uint32_t pending_count;

	/* judge.c */
	RootState root;           /* as of this turn or newer */
	uint64_t short_since_ns;  /* pages are short since then, */
	uint64_t short_last_ns;   /* and were when a tick last looked; */
	uint64_t short_told_ns;   /* told then, 0: never */
	uint64_t pages_kept_back; /* for what frees space, beside COMPACTION_PAGES */
	uint64_t pages_wanted;    /* what the largest proposal refused since the last tick lacked */
	bool draining;

	/* intake.c */
	uint32_t slots_seen;       /* deaths noticed */
	uint32_t next_word;        /* of the marks, where the next turn begins */
	uint64_t todo[MARK_WORDS]; /* slots that may have something */
	Intake *intakes;           /* [slot_count] */
	uint64_t collecting_bytes;
	bool collect_short; /* somebody waits for memory to collect in */
	uint8_t *piece;     /* PROPOSAL_PIECE_MAX */

	/* consensus.c */
	ControlState control; /* as published */
	bool control_dirty;
	bool bounds_dirty;
	bool did_something;
	uint64_t published_index; /* of the last of its own proposals; 0: not proposed yet */
};

/* append.c */
extern Status append_create(Consensus *consensus);
/* Room for a record with a payload of that length in the open batch, or in a new one.  False: not
 * now (log_full). */
extern bool append_room(Consensus *consensus, uint32_t length);
/* Behind append_room: an entry, index and term by the core, payload copied; its EntryHeader's id
 * becomes *id. */
extern uint64_t append_entry(Consensus *consensus, uint32_t kind, const RequestId *id,
							 const uint8_t *payload, uint32_t length, uint64_t pages);
/* Records that the core has given out; false: not all of them could be appended. */
extern bool append_pending(Consensus *consensus);
/* Closes the open batch if it has records, and publishes what follows from it. */
extern void append_finish(Consensus *consensus);
extern void append_mark(Consensus *consensus);
/* What is applied needs its reservation no more. */
extern void append_release(Consensus *consensus);

/* judge.c */
extern bool judge_kind_is_allowed(uint32_t kind);
extern bool judge_kind_is_local(uint32_t kind);
/* RUSD_OK and the pages to reserve, or with what the proposal is to be refused. */
extern Status judge_proposal(Consensus *consensus, const ProposalPiece *piece, uint64_t *pages);
extern void judge_tick(Consensus *consensus);

/* intake.c */
extern void intake_notice(Consensus *consensus, bool look_at_all);
extern void intake_drain(Consensus *consensus);
extern bool intake_has_more(const Consensus *consensus);
extern void intake_tick(Consensus *consensus);
extern void intake_forget_slot(void *consensus, uint32_t slot);

/* consensus.c */
extern void consensus_core(Consensus *consensus, const RaftEvent *event, RaftUpdate *update);
extern void consensus_take_in(Consensus *consensus);

#endif /* CONSENSUS_INT_H */
