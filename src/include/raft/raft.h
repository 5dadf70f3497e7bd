/*
 * raft.h
 *	  The consensus core: events in, updates out.  Pure.
 *
 * No I/O, no clock, no memory of its own choosing, no randomness: a step is a function of
 * the state and the event.  So the raft process and the simulator run the same code.  "Raft"
 * below is Diego Ongaro's dissertation, "Consensus: Bridging Theory and Practice" (2014), by
 * section.
 *
 * The one correct use, a turn:
 *
 *		step FLUSHED and APPLIED with the newest positions
 *		step RECEIVE for each message that has come, TICK if one is due, PROPOSE, READ, ...
 *			after each step: append update.records to the log, in order; then, behind a RECEIVE
 *			with update.append_count > 0, those of the message's entries; keep update.messages
 *		close the batch; step APPENDED {last index in the log, end of the batch, was the newest hard
 *			state in it}
 *		step TURN, which gives out what there is to send now
 *		replace RAFT_AFTER_TURN in all messages of the turn by the end of the log, and let none
 *			of them leave before the log is flushed up to its position
 *
 * The core never sees bytes of entries.  It gives out an index and a term for a proposal;
 * the caller puts the entry into the log and says at which byte position the batch ends that
 * holds it.  From then on the core thinks in positions: an entry is durable here when the
 * flushed position has passed the end of that very batch, never because an index says so (an
 * index can be appended twice, a position cannot).
 *
 * src/include/raft/raft.h
 */
#ifndef RAFT_RAFT_H
#define RAFT_RAFT_H

#include "format/walformat.h"

typedef enum RaftRole
{
	ROLE_FOLLOWER, /* learners and members that were removed, too */
	ROLE_PRE_CANDIDATE,
	ROLE_CANDIDATE,
	ROLE_LEADER
} RaftRole;

/* ---- messages ----------------------------------------------------------------------------- */
typedef enum RaftMessageKind
{
	MESSAGE_PRE_VOTE, /* "would you vote for me in term + 1?": nobody's term changes */
	MESSAGE_PRE_VOTE_ANSWER,
	MESSAGE_VOTE, /* RequestVote, Raft 3.4 */
	MESSAGE_VOTE_ANSWER,
	MESSAGE_APPEND, /* AppendEntries, Raft 3.5: entries index + 1 to last_index */
	MESSAGE_APPEND_ANSWER,
	MESSAGE_HEARTBEAT, /* nothing but term, commit and round */
	MESSAGE_HEARTBEAT_ANSWER,
	MESSAGE_READ, /* a follower wants a read index */
	MESSAGE_READ_ANSWER,
	MESSAGE_TIMEOUT_NOW, /* leader to target: campaign at once (Raft 3.10) */
	MESSAGE_SNAPSHOT,    /* the log no longer holds what you need: fetch my state */
	MESSAGE_KIND_COUNT
} RaftMessageKind;

/* Entries first_index to the next run's are of this term. */
typedef struct RaftRun
{
	uint64_t first_index;
	uint64_t term;
} RaftRun;

/* A message names no more terms than this; it is cut where one more begins. */
#define RAFT_MESSAGE_RUNS 8

/* depends_on: the end of what this turn appends, which the caller knows when it has closed the
 * batch. */
#define RAFT_AFTER_TURN UINT64_MAX

typedef struct RaftMessage
{
	RaftMessageKind kind;
	uint64_t from;
	uint64_t to;
	uint64_t term; /* of the sender; of a pre-vote: the one it would have */
	/* PRE_VOTE, VOTE: last entry of the candidate.  APPEND: the entry before the first one.
	 * APPEND_ANSWER: the last entry that the answering log shares, or with reject the one up to
	 * which it might.  HEARTBEAT_ANSWER: last entry.  READ_ANSWER: read index.  SNAPSHOT: what the
	 * leader has applied at least. */
	uint64_t index;
	uint64_t log_term; /* of that entry */
	/* Known to be committed by the sender (of a leader's messages: what the receiver may take).
	 * Who has that entry takes it over (from vote messages and TIMEOUT_NOW too). */
	uint64_t commit_index;
	uint64_t commit_term;
	uint64_t last_index; /* APPEND: the last entry; equal to index: none */
	/* APPEND, HEARTBEAT and their answers: a quorum that has answered this round has confirmed
	 * all that the leader knew when it began it (Raft 6.4). */
	uint64_t round;
	uint64_t read_id;                /* READ and its answer: the attempt */
	uint64_t refused_at;             /* APPEND_ANSWER with reject: the index that was refused */
	RaftRun runs[RAFT_MESSAGE_RUNS]; /* APPEND: terms of the entries */
	uint32_t run_count;
	bool reject;
	bool transfer; /* VOTE: the leader itself has asked for this election */
	bool
		is_ill; /* answers: its disk, or what its ticks tell, stands still; it would be a bad leader */
	/* Local, not sent: */
	uint64_t
		depends_on; /* this member's log must be flushed up to here before it leaves; 0: nothing */
	uint64_t
		log_begin; /* APPEND: the first entry lies in the log at this position or behind it; 0: unknown */
	uint64_t log_end; /* APPEND: the entries are those that hold at this position of the log */
	bool may_be_cut;  /* APPEND: the carrier may send fewer of the entries, for their bytes */
} RaftMessage;

/* ---- events ------------------------------------------------------------------------------- */
typedef enum RaftEventKind
{
	RAFT_TICK,     /* a heartbeat interval has passed; random */
	RAFT_RECEIVE,  /* message, and changes among its entries */
	RAFT_PROPOSE,  /* an entry wants an index; update.propose_status tells if it got one */
	RAFT_APPENDED, /* all entries up to this index lie in the log before this position.  With an
					* index told before: the log has grown without entries (an idle mark) */
	RAFT_FLUSHED,  /* this member's log is durable up to this position */
	RAFT_APPLIED,  /* the state machine has applied this index */
	RAFT_TURN,     /* the turn ends: give out what is to be sent */
	RAFT_READ,     /* a linearizable read wants a read index; update.read_id is the attempt's */
	/* A leader asks whether it leads still, before it lets leases expire or says that they live on: that is, whether
	 * a quorum has answered a round begun after this event.  update.read_id; answered in update.reads, the index
	 * being what was committed when it asked.  Who does not lead is told 0 at once; nobody else is asked. */
	RAFT_CONFIRM,
	RAFT_TRANSFER,      /* hand over to member; 0: to the best one; update.propose_status */
	RAFT_STEP_DOWN,     /* stop leading, whoever comes after */
	RAFT_COMPACTED,     /* entries up to this index are no longer in the log */
	RAFT_SNAPSHOT_SENT, /* member, failed: a transfer to it has ended */
	/* index, log_term: that state is about to be installed.  update.propose_status: RUSD_OK, and nothing
	 * changes in the log until INSTALLED; RUSD_INVALID: it is not wanted any more (that entry is here), or
	 * one is under way */
	RAFT_SNAPSHOT_INSTALLING,
	RAFT_SNAPSHOT_INSTALLED /* failed: it stays as it was.  Else index, log_term, position: the log begins there; configuration */
} RaftEventKind;

/* A change of the configuration, as the core needs it. */
typedef enum RaftChangeKind
{
	CHANGE_ADD_VOTER = 1,
	CHANGE_ADD_LEARNER,
	CHANGE_PROMOTE,
	CHANGE_REMOVE,
	CHANGE_UPDATE /* names and URLs only */
} RaftChangeKind;

typedef struct RaftChange
{
	RaftChangeKind kind;
	uint64_t member_id;
	/* Index of the configuration by which the leader has judged it.  It takes effect only on that
	 * one: so what was right when it was judged is right when it is committed. */
	uint64_t judged_at;
	uint64_t index; /* of its entry; set by the core for a proposal */
} RaftChange;

/* Changes that the entries of one message may hold; the caller takes a message with more in parts. */
#define RAFT_CHANGES_MAX 4

typedef struct RaftEvent
{
	RaftEventKind kind;
	uint64_t index;    /* APPENDED, APPLIED, COMPACTED, SNAPSHOT_INSTALLED */
	uint64_t log_term; /* SNAPSHOT_INSTALLING, SNAPSHOT_INSTALLED */
	/* PROPOSE: what the leader of that term has decided: it gets an index in that term or none; 0: any */
	uint64_t term;
	uint64_t position; /* APPENDED, FLUSHED, SNAPSHOT_INSTALLED */
	uint64_t random;   /* TICK: 64 fresh bits */
	bool is_ill;       /* TICK: what the core does not see, applying or page reads, stands still */
	uint64_t member;   /* TRANSFER, SNAPSHOT_SENT */
	uint64_t read_id;  /* READ: of the attempt that this one replaces, or 0 */
	bool failed;       /* SNAPSHOT_SENT, SNAPSHOT_INSTALLED */
	bool hard_state;   /* APPENDED: so does the newest hard state that was given out */
	const RaftMessage *message;             /* RECEIVE */
	const RaftConfiguration *configuration; /* SNAPSHOT_INSTALLED */
	RaftChange
		changes[RAFT_CHANGES_MAX]; /* PROPOSE: one, if it is one; RECEIVE: those of its entries */
	uint32_t change_count;
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

typedef struct RaftReadReady
{
	uint64_t read_id;
	uint64_t index; /* read when this is applied; 0: no answer, ask again with a new attempt */
} RaftReadReady;

/* One step gives out two records at most. */
#define RAFT_RECORDS_MAX 8
/* One step gives out at most two messages a member, or as many answers as reads wait. */
#define RAFT_MESSAGES_MAX (2 * CONFIG_MEMBERS_MAX)
#define RAFT_READS_MAX 64

typedef struct RaftUpdate
{
	uint32_t record_count;
	uint32_t message_count;
	uint32_t read_count;
	/* RECEIVE: of the message's entries, this many at its end go to the log: those from append_first on
	 * (what is there before them is there already; what the log holds from append_first on is void). */
	uint64_t append_first;
	uint64_t append_count;
	Status propose_status; /* RUSD_OK, or why it got no index: RUSD_NO_LEADER (it does not lead),
							* RUSD_AGAIN (too many batches are not committed: after the next flush; for
							* a change also: the one before is not in use yet; for all: it hands over),
							* RUSD_INVALID (a change that the configuration in use does not allow) */
	uint64_t propose_index;
	uint64_t propose_term;
	uint64_t read_id; /* READ */
	/* This member has come back with less than it had acknowledged to this leader; 0: none.  Whoever
	 * runs it must replace it: what it has lost may have been committed by its word. */
	uint64_t member_lost_log;
	bool role_changed;    /* role, term or leader */
	bool bounds_changed;  /* ceiling or floor */
	bool committed;       /* commit index or position have moved */
	bool configured;      /* another configuration is in use */
	bool snapshot_wanted; /* raft.snapshot tells from whom: fetch and install it */
	RaftRecord records[RAFT_RECORDS_MAX];
	RaftMessage messages[RAFT_MESSAGES_MAX];
	RaftReadReady reads[RAFT_READS_MAX];
} RaftUpdate;

/* Ready for the next step; the arrays keep what they hold. */
static inline void
raft_update_reset(RaftUpdate *update)
{
	memset(update, 0, offsetof(RaftUpdate, records));
}

/* ---- state -------------------------------------------------------------------------------- */
/* A batch: where it ends, and the last entry of the log then. */
typedef struct RaftSpan
{
	uint64_t end;
	uint64_t last_index;
} RaftSpan;

typedef enum ProgressState
{
	PROGRESS_PROBE,     /* where its log and ours part is not known: one message at a time */
	PROGRESS_REPLICATE, /* messages follow each other without waiting for answers */
	PROGRESS_SNAPSHOT   /* it fetches our state */
} ProgressState;

/* What a leader knows of a member. */
typedef struct RaftProgress
{
	uint64_t id;
	ProgressState state;
	uint64_t match;       /* durable there, and equal to ours */
	uint64_t match_round; /* whoever answers this round or a later one answers after it had match */
	uint64_t next;        /* the entry to send next */
	uint64_t acked_round; /* the newest it has answered */
	uint64_t sent_end;    /* REPLICATE: end of the batch that holds next - 1 */
	uint64_t acked_end;   /* REPLICATE: end of the last batch that match covers */
	uint64_t snapshot;    /* SNAPSHOT: index that was offered */
	uint64_t sent_commit; /* the newest commit index that it was told */
	uint32_t silent_ticks; /* since it was heard */
	uint32_t waited_ticks; /* since something was sent that is not answered */
	bool waits;            /* PROBE: for the answer to the one message */
	bool is_ill;
	bool has_lost_log; /* it has no longer what it had acknowledged; nothing it says counts */
} RaftProgress;

typedef struct RaftPendingRead
{
	uint64_t read_id; /* of the member that asks */
	uint64_t member;
	uint64_t index;
	uint64_t round; /* that a quorum must have answered */
} RaftPendingRead;

typedef struct RaftOptions
{
	uint32_t election_ticks; /* a timeout is that many ticks and less than twice as many */
	uint32_t ill_ticks;      /* a leader's disk stood still so long: it hands over; 0: never */
	uint64_t window_bytes;   /* of log sent to a member and not acknowledged */
	uint64_t message_bytes;  /* of log in one APPEND, a single batch excepted */
} RaftOptions;

/* Read it freely; only raft_init and raft_step write it. */
typedef struct Raft
{
	uint64_t member_id;
	RaftOptions options;
	RaftConfiguration configuration; /* in use: its entry is committed */
	uint32_t voters_count;
	bool votes; /* this member is a voter */
	RaftRole role;
	uint64_t leader_id;   /* 0: unknown */
	HardState hard_state; /* term and vote as they must be on disk before a word of them is said */
	/* the log */
	uint64_t last_index; /* given out, or taken from a message */
	uint64_t last_term;
	uint64_t first_index;    /* the first that can be sent; the one before has a known term */
	uint64_t appended_index; /* of what the caller has told to lie in the log */
	uint64_t appended;       /* end of the log in memory */
	uint64_t flushed;
	uint64_t
		hard_state_end; /* of the batch with the newest one; RAFT_AFTER_TURN: not appended yet */
	RaftSpan *spans;    /* the newest batches with entries, oldest first: a ring */
	uint32_t span_capacity;
	uint32_t span_first;
	uint32_t span_count;
	RaftRun *runs; /* terms of the log from first_index - 1 on: a ring of the newest */
	uint32_t run_capacity;
	uint32_t run_first;
	uint32_t run_count;
	/* time, in ticks */
	uint64_t random;
	uint32_t timeout;        /* of this election */
	uint32_t elapsed;        /* since the leader was heard, or the election begun */
	uint32_t leader_elapsed; /* as leader: since the quorum was checked */
	uint64_t stall_mark;     /* appended when it was set; */
	uint32_t stall_ticks;    /* ticks since then, while flushed is below it */
	bool is_ill;             /* as the last tick has said */
	/* candidate */
	uint64_t granted; /* bits by place in the configuration */
	uint64_t rejected;
	/* leader */
	uint64_t term_first_index; /* of its term; 0: does not lead */
	uint64_t floor;            /* end of the batch that holds it; 0: not appended yet */
	/* what would be committed if this disk were infinitely fast; 0 below the floor */
	uint64_t ceiling;
	uint64_t round;       /* the newest begun */
	bool round_wanted;    /* reads wait for one that begins now */
	uint64_t transfer_to; /* 0: none under way */
	uint32_t transfer_ticks;
	RaftProgress progress[CONFIG_MEMBERS_MAX]; /* by place in the configuration; its own, too */
	RaftPendingRead reads[RAFT_READS_MAX];
	uint32_t read_count;
	/* follower */
	uint64_t read_attempt; /* ids given out; they never repeat in an incarnation */
	uint64_t owed_index;   /* an append is to be acknowledged when it lies in the log; 0: none */
	uint64_t owed_round;
	struct
	{
		uint64_t from; /* 0: none wanted */
		uint64_t index;
		uint64_t installing; /* index of the one that is being installed; 0: none */
	} snapshot;
	/* commitment and application */
	uint64_t commit_index;
	uint64_t commit_term;
	uint64_t commit_position;
	uint64_t applied_index;
	RaftChange changes[RAFT_CHANGES_MAX]; /* in the log, not committed, by index */
	uint32_t change_count;
#ifdef USE_FAULTS
	uint64_t flushed_index; /* highest that ever was */
#endif
} Raft;

typedef struct RaftStart
{
	uint64_t member_id;
	RaftOptions options;
	const RaftConfiguration *configuration; /* as of the commit index */
	const RaftChange *changes;              /* in the log behind it */
	uint32_t change_count;
	HardState hard_state; /* newest on disk */
	uint64_t last_index;
	uint64_t last_term;
	const RaftRun *known_runs; /* terms of the log, the last run that of last_index; the first one's
								* first_index - 1 is not in the log any more, or applied */
	uint32_t known_run_count;
	uint64_t log_end; /* everything before it is durable: recovery has seen to that */
	uint64_t commit_position;
	uint64_t applied_index;
	uint64_t incarnation; /* ids of reads begin there; never the same twice */
	uint64_t random;
	uint32_t elapsed; /* ticks that count as passed without a leader; less than election_ticks */
	RaftSpan *spans;  /* memory for the core, as long as it lives */
	uint32_t span_capacity; /* one for each batch that can be in the log and not committed */
	RaftRun *runs;
	uint32_t run_capacity; /* at least known_run_count + 1 */
} RaftStart;

/* RUSD_INVALID: the start contradicts itself. */
extern Status raft_init(Raft *raft, const RaftStart *start);

/* Adds to *update, which the caller has reset. */
extern void raft_step(Raft *raft, const RaftEvent *event, RaftUpdate *update);

/*
 * May a linearizable read be answered from what is applied, without a round?  Only on the
 * only voter, and only once it has applied both the entry that made it the only one and the
 * first entry of its term: before that it may not have applied all that was acknowledged
 * under earlier terms (Raft 6.4, step 1).
 */
extern bool raft_reads_are_local(const Raft *raft);

/* May a change be proposed now?  An entry of its term is committed and the change before is in use. */
extern bool raft_may_change(const Raft *raft);

/* Has the learner nearly all of this leader's log (nine tenths of what the leader has)? */
extern bool raft_learner_is_ready(const Raft *raft, uint64_t member_id);

/*
 * What a committed change does to the configuration: the one judgement, of core and applier on every
 * member, by entry and table only.  RUSD_OK: *configuration is the next one, its index the change's.
 * RUSD_INVALID: refused, nothing is changed.
 */
extern Status raft_configuration_change(RaftConfiguration *configuration, const RaftChange *change);

/* Place of a member in a configuration, or member_count. */
extern uint32_t raft_configuration_find(const RaftConfiguration *configuration, uint64_t member_id);

#endif /* RAFT_RAFT_H */
