/*
 * consensus_int.h
 *	  What the files of consensus/ share.  Process raft.
 *
 *	  consensus.c	the turn: positions, ticks, what the core gives out
 *	  tell.c		control, bounds and commit position for the others; who wakes raft
 *	  append.c		batches of the log, and the pages reserved for what is in them
 *	  inbox.c		messages from other members
 *	  outbox.c		messages to them, and what each waits for
 *	  intake.c		proposal rings: what comes from backends, piece by piece
 *	  judge.c		whether a proposal may enter the log now
 *	  forward.c		proposals on their way to the leader, and those that have come from others
 *	  handover.c	another member shall lead, and proposals meanwhile
 *	  requests.c	what became of proposals
 *	  reads.c		read indexes for backends
 *	  takeover.c		states of other members that take the place of what is applied
 *	  own.c			this member's own proposals
 *	  health.c		whether this member would be a bad leader
 *	  peers.c		checks of what comes from other members
 *
 * src/backend/consensus/consensus_int.h
 */
#ifndef CONSENSUS_INT_H
#define CONSENSUS_INT_H

#include "consensus/consensus.h"
#include "format/entry.h"
#include "ipc/ring.h"
#include "port/fault.h"
#include "wal/wal.h"

/* RAFT-40: so many entries committed and not applied, and new ones are refused. */
#define APPLY_LAG_MAX 5000
/* Pieces taken from one ring before the next one's turn. */
#define PIECES_PER_TURN 256
/* Proposals in pieces being collected at once hold at most so many times request_max. */
#define COLLECT_FACTOR 4
/* Pages that only compactions and alarms may use: the entry's, and what the applier needs to begin
 * removing. */
#define COMPACTION_PAGES 64
/* Room in a batch for the records of the core that a step may put before the entries. */
#define RECORDS_ROOM (3 * (sizeof(WalRecordHeader) + sizeof(EntryHeader)))
/* Terms of the log that are kept. */
#define RUNS_MAX 1024
/* Messages that wait for the end of the turn; what comes then may be lost. */
#define OUTBOX_MAX (2 * RAFT_MESSAGES_MAX)
#define REQUEST_BUCKETS 4096
#define LINKS_MAX (2 * CONFIG_MEMBERS_MAX)
/* Requests of this member itself are of this slot. */
#define OWN_SLOT PROC_RAFT

/* What raft knows of a slot's stream of pieces. */
typedef struct Intake
{
	uint32_t generation;  /* of the slot, when the rest was written */
	uint32_t received;    /* bytes of the proposal being collected; 0: none */
	uint32_t skip;        /* bytes still to come of a refused proposal */
	uint32_t outstanding; /* requests of it that have been forwarded, and reads */
	bool accused;         /* that it sends nonsense was logged, once is enough */
	ProposalPiece first;  /* of the proposal being collected or skipped */
	uint8_t *buffer;      /* first.total_length bytes, while one is collected */
	uint64_t touched_ns;  /* when its last piece came */
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
	DRAIN_FULL   /* the log, or the way to the leader, takes no more now */
} DrainResult;

/* A proposal of this member's whose fate is open. */
typedef struct Request
{
	uint64_t sequence;
	uint32_t slot;
	uint32_t generation;
	uint64_t term;        /* whose leader it was given to */
	uint64_t number;      /* among what was sent to it; 0: this member appended it itself */
	uint64_t index;       /* of its entry in the log */
	bool may_be_in_state; /* a state was installed since that may hold it */
} Request;

/* One that is not in the log. */
typedef struct SentRequest
{
	Request request;
	uint32_t next; /* in its bucket, or of the free ones; + 1 */
#ifdef USE_FAULTS
	uint8_t *copy; /* with the fault forwarded_twice */
	uint32_t length;
	uint32_t kind;
#endif
} SentRequest;

typedef struct Requests
{
	/* in the log and not applied, by index: a ring, oldest first */
	Request *logged;
	uint32_t logged_capacity;
	uint32_t logged_first;
	uint32_t logged_count;
	/* not in it */
	SentRequest *sent;
	uint32_t sent_capacity;
	uint32_t sent_count;
	uint32_t sent_free; /* the first free one + 1 */
	uint32_t buckets[REQUEST_BUCKETS];
	uint64_t looked_term; /* applied term, as of the last look */
} Requests;

/* What a leader has taken from one incarnation of another member in its term. */
typedef struct Link
{
	uint64_t member_id;
	uint64_t incarnation;
	uint64_t number;
} Link;

typedef struct Waiter
{
	uint64_t sequence;
	uint32_t slot;
	uint32_t generation;
} Waiter;

typedef struct Waiters
{
	Waiter *list;
	uint32_t count;
	uint32_t capacity;
} Waiters;

/* A state that was fetched from another member. */
typedef struct Install
{
	uint64_t index;
	uint64_t term;
	RaftConfiguration configuration;
	bool is_frozen;     /* the core has been told */
	bool is_ordered;    /* and the applier has */
	InstallOrder order; /* the last one */
} Install;

/* Of work that may stand still. */
typedef struct Watch
{
	uint64_t progress; /* as of the last look */
	uint32_t ticks;    /* since it was another, while there is work */
} Watch;

typedef enum OwnProposal
{
	OWN_ATTRIBUTES,
	OWN_VERSION,
	OWN_COUNT
} OwnProposal;

struct Consensus
{
	Shm *shm;
	ConsensusOptions options;
	uint8_t *publication;
	Raft raft;
	RaftSpan *spans;
	RaftRun *runs;
	RaftUpdate update; /* of the last event */
	uint64_t random;
	WalAppender appender;
	uint64_t election_ns;
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
	bool way_full;      /* the way to the leader takes no more in this turn */
	bool held;          /* somebody waits for another leader */
	uint8_t *piece;     /* PROPOSAL_PIECE_MAX */

	/* inbox.c, outbox.c */
	PeerMessage received;
	PeerMessage sending;
	RaftMessage *outbox; /* [OUTBOX_MAX]: they wait for what this turn appends */
	uint32_t outbox_count;
	bool told_bad_message;

	/* forward.c */
	uint64_t number;        /* the newest one given to a message */
	uint64_t fence_ns;      /* when the last FENCE was sent */
	uint64_t fenced_term;   /* 0: no answer is waiting to be used */
	uint64_t fenced_number; /* nothing below it comes behind */
	uint64_t fenced_index;  /* this index */
	Link links[LINKS_MAX];
	uint32_t link_count;
	uint32_t link_next;
	uint64_t links_term; /* in which the links count */
	uint64_t first_term; /* when this incarnation began */
	Requests requests;

	/* handover.c */
	uint32_t stop_seen; /* stop_wanted, as of the last look */
	uint64_t
		hand_over_until; /* it leads, is to stop, and waits so long for another that shall; 0: not */
	uint64_t handover_ns;      /* it hands over since then; 0: not, or not seen yet */
	uint64_t handover_term;    /* whose leader has said that it hands over, */
	uint64_t handover_seen_ns; /* last heard then */

	Install install;

	/* reads.c */
	Waiters asked; /* the attempt under way is for them */
	Waiters waiting;
	uint64_t read_attempt;
	uint64_t asked_ns;
	bool ask_again; /* the attempt has failed, and something has changed since */
	bool asked_in_vain;

	/* health.c */
	Watch applier_watch;
	Watch pager_watch;
	uint32_t ills; /* ILL_ */

	/* consensus.c, tell.c */
	ControlState control; /* as published */
	bool control_dirty;
	bool did_something;
	uint64_t compacted_index;

	/* own.c */
	struct
	{
		uint64_t sequence; /* of the last attempt */
		bool is_open;      /* what became of it is not known */
		bool is_done;      /* applied */
	} own[OWN_COUNT];
	uint64_t own_sequence;
	uint64_t own_index;     /* of the newest in the log; 0: none */
	uint64_t own_failed_ns; /* when an attempt has failed; 0: none */
	uint64_t
		own_position; /* of the log: what is durable up to there is more than what a new cluster begins with; 0: none yet */
};

/* append.c */
extern Status append_create(Consensus *consensus);
/* Room for records of so many bytes, headers included, in the open batch, or in a new one.  False: not now (log_full). */
extern bool append_room(Consensus *consensus, uint64_t bytes);
/*
 * Behind append_room: an entry, index and term by the core, payload copied; its EntryHeader's id
 * becomes *id.  RUSD_NO_LEADER, RUSD_AGAIN, RUSD_INVALID: it got no index, as the core says.
 */
extern Status append_entry(Consensus *consensus, uint32_t kind, const RequestId *id,
						   const uint8_t *payload, uint32_t length, uint64_t pages);
/* The same of a proposal that was judged, with what its backend is to be told where it is not appended. */
extern Status append_proposal(Consensus *consensus, uint32_t kind, const RequestId *id,
							  const uint8_t *payload, uint32_t length, uint64_t pages);
/* An entry of another member's, as it comes. */
extern void append_copy(Consensus *consensus, const WalRecordHeader *record);
/* Entries from index on are void: others take their places. */
extern void append_void(Consensus *consensus, uint64_t index);
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
/* RUSD_OK and the pages to reserve, or with what the proposal of a backend is to be refused. */
extern Status judge_proposal(Consensus *consensus, const ProposalPiece *piece, uint64_t *pages);
/* The same of one that another member has forwarded to this one, which leads. */
extern Status judge_forwarded(Consensus *consensus, const ProposalPiece *piece, uint64_t *pages);
/* The entry of a change of members that is about to be proposed here: is it right, now?  RUSD_AGAIN: it was judged by
 * another configuration, or another change is under way. */
extern Status judge_change(const Consensus *consensus, const uint8_t *payload);
extern void judge_tick(Consensus *consensus);

/* intake.c */
extern void intake_notice(Consensus *consensus, bool look_at_all);
extern void intake_drain(Consensus *consensus);
extern bool intake_has_more(const Consensus *consensus);
extern void intake_tick(Consensus *consensus);
extern void intake_forget_slot(void *consensus, uint32_t slot);
/* So many more of its requests have been forwarded, or wait for a read index. */
extern void intake_count(Consensus *consensus, uint32_t slot, uint32_t generation, int32_t more);
/* Answers a request of a backend, if it is still the one of that generation. */
extern void intake_answer(Consensus *consensus, uint32_t slot, uint32_t generation,
						  uint64_t sequence, Status status, uint64_t value);

/* inbox.c */
extern void inbox_drain(Consensus *consensus);

/* outbox.c */
/* What the last event gave out: those that wait for nothing of this turn leave at once. */
extern void outbox_take(Consensus *consensus);
/* The end of the turn: the others, if all that was given out is in the log. */
extern void outbox_finish(Consensus *consensus);
/* Of another kind than the core's; all but from is filled in. */
extern void outbox_send(Consensus *consensus, PeerMessage *message);

/* forward.c */
/* Is there room on the way to the leader? */
extern bool forward_has_room(Consensus *consensus, uint32_t length);
/* Behind forward_has_room: to the leader, once.  The id in payload's EntryHeader becomes *id. */
extern void forward_send(Consensus *consensus, const RequestId *id, const ProposalPiece *piece,
						 uint8_t *payload);
/* From another member. False: the log has no room now. */
extern bool forward_take(Consensus *consensus, const PeerMessage *message);
extern void forward_refused(Consensus *consensus, const PeerMessage *message);
extern void forward_answer_fence(Consensus *consensus, const PeerMessage *message);
extern void forward_fenced(Consensus *consensus, const PeerMessage *message);
extern void forward_tick(Consensus *consensus);

/* handover.c */
/* In a turn, behind messages and ticks. */
extern void handover_step(Consensus *consensus);
/* Have proposals to wait in their rings, because leadership is about to change? */
extern bool handover_waits(const Consensus *consensus);
/* The leader of that term has refused a proposal of this member because it hands over. */
extern void handover_seen(Consensus *consensus, uint64_t term);
/*
 * MAINT-40, MAINT-42: that member shall lead.  RUSD_OK: it does, or the transfer has begun, or it is not up to it now and
 * nothing changes.  RUSD_NOT_LEADER, RUSD_BAD_TRANSFEREE.
 */
extern Status handover_to(Consensus *consensus, uint64_t target);

/* requests.c */
extern Status requests_create(Consensus *consensus);
extern void requests_destroy(Consensus *consensus);
/* This member has appended its own request. */
extern void requests_logged(Consensus *consensus, const RequestId *id, uint64_t index);
/* It was sent to the leader of that term. */
extern void requests_sent(Consensus *consensus, const RequestId *id, uint64_t term,
						  uint64_t number);
/* It has come back in the log, at that index. */
extern void requests_seen(Consensus *consensus, const RequestId *id, uint64_t index);
/* The log from index on is void. */
extern void requests_voided(Consensus *consensus, uint64_t index);
/* It was not appended, and never will be. */
extern void requests_refused(Consensus *consensus, const RequestId *id, Status status);
/* A state takes the place of the log: it may hold any of those that were sent. */
extern void requests_state_comes(Consensus *consensus);
/* By the newest root: what is applied is answered; what an earlier term has left behind was not appended. */
extern void requests_applied(Consensus *consensus);
extern void requests_forget_slot(Consensus *consensus, uint32_t slot);
#ifdef USE_FAULTS
extern void requests_keep_copy(Consensus *consensus, const PeerMessage *message);
extern void requests_send_again(Consensus *consensus);
#endif

/* reads.c */
extern void reads_add(Consensus *consensus, const Waiter *waiter);
extern void reads_step(Consensus *consensus);
extern void reads_take(Consensus *consensus);
extern void reads_tick(Consensus *consensus);
extern void reads_forget_slot(Consensus *consensus, uint32_t slot);
extern void reads_destroy(Consensus *consensus);

/* takeover.c */
extern void takeover_step(Consensus *consensus);

/* health.c */
/* In a turn with ticks, before them. */
extern void health_look(Consensus *consensus);

/* own.c */
extern void own_propose(Consensus *consensus);
/* What became of the attempt with that sequence number. */
extern void own_applied(Consensus *consensus, uint64_t sequence);
extern void own_failed(Consensus *consensus, uint64_t sequence);
/* They are applied, and so is all that was acknowledged before this start. */
extern bool own_is_done(const Consensus *consensus);

/* tell.c */
extern void tell_bounds(Consensus *consensus);
extern void tell_committed(Consensus *consensus);
extern void tell_control(Consensus *consensus);
/* In the server's log: a member has less than it had acknowledged. */
extern void tell_lost_log(const Consensus *consensus);
/* In the server's log: it hands over, for it is ill. */
extern void tell_transfer(const Consensus *consensus);
extern void tell_promises(Consensus *consensus);
extern void tell_ready(Consensus *consensus);
extern void tell_role(const Consensus *consensus, RaftRole role_before, uint64_t leader_before);
/* Says by whom raft has to be woken, then looks once more: true if that has already happened. */
extern bool tell_wakes(Consensus *consensus);

/* consensus.c */
/* One event for the core; what it gives out is taken over or published at once, but for what only the
 * caller can use: it is in consensus->update. */
extern void consensus_core(Consensus *consensus, const RaftEvent *event);
extern void consensus_take_in(Consensus *consensus);
/* May proposals be taken from the rings: does it lead, or know who does? */
extern bool consensus_has_leader(const Consensus *consensus);

#endif /* CONSENSUS_INT_H */
