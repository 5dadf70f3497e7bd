/*
 * raft.h
 *	  The consensus core: events in, updates out.  Pure.
 *
 * No I/O, no clock, no memory of its own choosing, no randomness: a step is a function of
 * the state and the event.  So the raft process and the simulator run the same code.  "Raft"
 * below is Diego Ongaro's dissertation, "Consensus: Bridging Theory and Practice" (2014), by
 * section.
 *
 * The one correct use:
 *
 *		memset(&update, 0, sizeof(update));
 *		raft_step(raft, &event, &update);
 *		... append update.records to the log, in order, before anything that is proposed later ...
 *		event = APPENDED {last index appended, end of its batch, was the hard state in it}
 *
 * The core never sees bytes of entries.  It gives out an index and a term for a proposal;
 * the caller puts the entry into the log and says at which byte position the batch ends that
 * holds it.  From then on the core thinks in positions: an entry is durable here when the
 * flushed position has passed the end of that very batch, never because an index says so (an
 * index can be appended twice, a position cannot).
 *
 * Built so far: one voter, itself.  raft_init refuses any other configuration.
 *
 * src/include/raft/raft.h
 */
#ifndef RAFT_RAFT_H
#define RAFT_RAFT_H

#include "format/walformat.h"

typedef enum RaftRole
{
	ROLE_FOLLOWER,
	ROLE_PRE_CANDIDATE,
	ROLE_CANDIDATE,
	ROLE_LEADER
} RaftRole;

/* ---- events ------------------------------------------------------------------------------- */
typedef enum RaftEventKind
{
	RAFT_TICK,     /* a heartbeat interval has passed */
	RAFT_PROPOSE,  /* an entry wants an index; update.propose_status tells if it got one */
	RAFT_APPENDED, /* all entries up to this index lie in the log before this position.  With an
					* index told before: the log has grown without entries (an idle mark) */
	RAFT_FLUSHED,  /* this member's log is durable up to this position */
	RAFT_APPLIED   /* the state machine has applied this index */
} RaftEventKind;

typedef struct RaftEvent
{
	RaftEventKind kind;
	uint64_t index;       /* APPENDED, APPLIED */
	uint64_t position;    /* APPENDED, FLUSHED */
	bool hard_state;      /* APPENDED: so does the newest hard state that was given out */
	bool changes_members; /* PROPOSE: a change of the configuration */
} RaftEvent;

/* ---- updates ------------------------------------------------------------------------------ */
typedef enum RaftRecordKind
{
	RAFT_RECORD_HARD_STATE, /* no index: term, vote, commit */
	RAFT_RECORD_EMPTY       /* a leader's first entry of its term */
} RaftRecordKind;

typedef struct RaftRecord
{
	RaftRecordKind kind;
	uint64_t index;
	uint64_t term;
	HardState hard_state;
} RaftRecord;

/*
 * One step gives out one hard state and one entry at most, but a caller may collect the
 * updates of several steps.
 */
#define RAFT_RECORDS_MAX 8

typedef struct RaftUpdate
{
	RaftRecord records[RAFT_RECORDS_MAX];
	uint32_t record_count;
	Status propose_status; /* RUSD_OK, or why it got no index: RUSD_NO_LEADER (it does not lead),
							* RUSD_AGAIN (too many batches are not committed: after the next flush),
							* RUSD_NOT_CAPABLE */
	uint64_t propose_index;
	uint64_t propose_term;
	bool role_changed;   /* role, term or leader */
	bool bounds_changed; /* ceiling or floor */
	bool committed;      /* commit index or position have moved */
} RaftUpdate;

/* ---- state -------------------------------------------------------------------------------- */
/* A batch that is not committed: where it ends, and the last entry before that. */
typedef struct RaftSpan
{
	uint64_t end;
	uint64_t last_index;
	uint64_t term;
} RaftSpan;

/* Read it freely; only raft_init and raft_step write it. */
typedef struct Raft
{
	uint64_t member_id;
	RaftConfiguration configuration; /* in use: its entry is committed */
	uint32_t voters_count;
	RaftRole role;
	uint64_t leader_id;   /* 0: unknown */
	HardState hard_state; /* term and vote as they must be on disk before a word of them is said */
	/* the log */
	uint64_t last_index; /* given out */
	uint64_t last_term;
	uint64_t appended_index; /* of what the caller has told to lie in the log */
	uint64_t appended;       /* end of the log in memory */
	uint64_t flushed;
	/* candidate */
	uint64_t vote_end; /* its own vote counts when flushed has reached this; 0: not appended yet */
	/* leader */
	uint64_t first_index; /* of its term; 0: does not lead */
	uint64_t floor;       /* end of the batch that holds it; 0: not appended yet */
	/* what would be committed if this disk were infinitely fast; 0 below the floor */
	uint64_t ceiling;
	/* commitment and application */
	uint64_t commit_index;
	uint64_t commit_term;
	uint64_t commit_position;
	uint64_t applied_index;
	/* batches not committed, oldest first: a ring in the caller's memory */
	RaftSpan *spans;
	uint32_t span_capacity;
	uint32_t span_first;
	uint32_t span_count;
} Raft;

typedef struct RaftStart
{
	uint64_t member_id;
	const RaftConfiguration *configuration;
	HardState hard_state; /* newest on disk */
	uint64_t last_index;
	uint64_t last_term;
	uint64_t log_end; /* everything before it is durable: recovery has seen to that */
	uint64_t commit_position;
	uint64_t applied_index;
	RaftSpan *spans;        /* memory for the core, as long as it lives */
	uint32_t span_capacity; /* one for each batch that can be in the log and not committed */
} RaftStart;

/*
 * RUSD_NOT_CAPABLE: the configuration is not this member as the only voter.  RUSD_INVALID:
 * the start contradicts itself.
 */
extern Status raft_init(Raft *raft, const RaftStart *start);

/* Adds to *update, which the caller has zeroed. */
extern void raft_step(Raft *raft, const RaftEvent *event, RaftUpdate *update);

/*
 * May a linearizable read be answered from what is applied, without a round?  Only on the
 * only voter, and only once it has applied both the entry that made it the only one and the
 * first entry of its term: before that it may not have applied all that was acknowledged
 * under earlier terms (Raft 6.4, step 1).
 */
extern bool raft_reads_are_local(const Raft *raft);

#endif /* RAFT_RAFT_H */
