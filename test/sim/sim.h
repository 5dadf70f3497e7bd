/*
 * sim.h
 *	  A cluster in one thread: the node's real parts on simulated disks, clocks and network.
 *
 * doc/simulator.md tells the whole.  Everything that happens follows from the seed: there is one
 * queue of events in virtual time, and every choice is drawn from one of the world's generators.
 * No wall clock, no address and no iteration over anything unordered decides.
 *
 *	  world.c		events, time, which actor runs when
 *	  member.c		the life of a member: start, death, its actors' steps
 *	  observe.c		what a member shows after a step
 *	  network.c		messages between members
 *	  transfer.c	state snapshots between them
 *	  chaos.c		faults: which, when, to whom
 *	  client.c		backends with their rings; workload.c what they want
 *	  model.c		what the database must hold; checks of answers
 *	  logcheck.c	the logs, watched from outside; checks of consensus
 *	  trace.c		telling, counting, hashing
 *	  simulator.c	seeds, processes, cutting down
 *
 * test/sim/sim.h
 */
#ifndef SIM_H
#define SIM_H

#include "applier/applier.h"
#include "consensus/consensus.h"
#include "consensus/peers.h"
#include "format/entry.h"
#include "ipc/ring.h"
#include "ipc/slot.h"
#include "pagecache/checkpoint.h"
#include "simdisk.h"
#include "store/snapshot.h"
#include "wal/recovery.h"
#include "wal/wal.h"

#define SIM_MEMBERS 9 /* seven to begin with, and some that are added */
#define SIM_FIRST_ID 0x1000
#define SIM_CLIENTS 3 /* of each member */
/* Entries in one message, a single one excepted. */
#define SIM_MESSAGE_BYTES (8 * 1024)
#define SIM_OPS 4 /* that one client has under way */
#define SIM_KEYS 12
#define SIM_TRANSFERS 2 /* snapshots that it sends at a time */
/* One a slot. */
#define SIM_ACTORS (PROC_ESSENTIAL_COUNT + SIM_CLIENTS + SIM_TRANSFERS)
#define SIM_FAULTS 24

#define SIM_US UINT64_C(1000)
#define SIM_MS UINT64_C(1000000)
#define SIM_SECOND UINT64_C(1000000000)

typedef struct World World;
typedef struct Member Member;

/* ---- trace.c ------------------------------------------------------------------------------ */
typedef enum SimEventKind
{
#define SIM_EVENT(symbol, wanted, text) SIM_##symbol,
#include "simeventlist.h"
#undef SIM_EVENT
	SIM_EVENT_COUNT
} SimEventKind;

typedef struct SimTrace
{
	bool narrate;
	uint64_t hash; /* over all events of the run */
	uint64_t counts[SIM_EVENT_COUNT];
} SimTrace;

/* Tells that something happened; member may be NULL. */
extern void sim_tell(World *world, const Member *member, SimEventKind kind, uint64_t a, uint64_t b);
/* A checker has found something: the first one counts, and ends the run. */
extern void sim_violation(World *world, const Member *member, const char *checker,
						  const char *format, ...) printf_like(4, 5);
/* Adds up counts of a run; prints which kinds did not happen, and how many those are. */
extern void trace_add_counts(uint64_t sums[SIM_EVENT_COUNT], const SimTrace *trace);
extern uint32_t trace_missing(const uint64_t sums[SIM_EVENT_COUNT]);
extern void trace_print_counts(const uint64_t sums[SIM_EVENT_COUNT]);

/* ---- the logs, watched: logcheck.c ---------------------------------------------------------- */
/* A replicated record as a member appended it. */
typedef struct LogRecord
{
	uint64_t position; /* of its batch */
	uint64_t position_end;
	uint64_t index;
	uint64_t term;
	uint64_t hash;
	RequestId id;
	uint32_t kind;
	uint32_t length;
	bool is_void;           /* a later one of what is committed takes its place */
	const uint8_t *payload; /* in the world's store of payloads */
} LogRecord;

/* All that one member ever appended and still may have, in the order of its log. */
typedef struct MemberLog
{
	LogRecord *records;
	uint32_t count;
	uint32_t capacity;
	uint32_t committed_count; /* records looked at for commitment */
	uint64_t end;             /* looked at up to here */
	uint64_t committed;       /* the member's commit position as last seen */
	uint64_t committed_index; /* what follows from it */
	uint64_t flushed;         /* as last seen */
	uint64_t last_index;
	uint64_t term_first_end;     /* end of the first entry of the last term in it */
	uint64_t committed_by_flush; /* as last seen */
	LogBegin begin;              /* of an installed snapshot */
	uint64_t changes[4]; /* indexes of changes of the configuration that are not committed */
	uint32_t change_count;
	/* what the member has told others, in all its lives */
	uint64_t said_term;
	uint64_t said_vote_term;
	uint64_t said_vote;
} MemberLog;

/* An entry that some member has committed. */
typedef struct Committed
{
	uint64_t term;
	uint64_t seen_term; /* in which it was seen to be committed first */
	uint64_t hash;
	RequestId id;
	uint32_t kind;
	/* what applying it must have given: model.c */
	Status status;
	int64_t revision;
	int64_t compacted;
	uint64_t value;
	uint64_t configuration; /* index of the one in use behind it */
	bool changed;
} Committed;

typedef struct LogCheck
{
	Committed *entries; /* [index - 1] */
	uint64_t count;
	uint64_t capacity;
	uint64_t led; /* the highest commit index that a leader found, its last entry of its own term */
	uint32_t *requests; /* hash table of indexes of entries with a request */
	uint32_t request_mask;
	RequestId *refused;       /* hash table: requests that were answered and are not committed */
	uint64_t leader_of[4096]; /* member id + 1 by term; terms are few */
	uint8_t **chunks;         /* payloads */
	uint32_t chunk_count;
	uint32_t chunk_used;
	size_t chunk_offset;
} LogCheck;

extern void logcheck_reset(World *world);
/* After each step of an actor of that member: takes in what was appended, flushed, committed. */
extern void logcheck_look(World *world, Member *member);
/* After a step of raft: what it has found to be committed, if it leads. */
extern void logcheck_leader(World *world, Member *member);
/* It begins with these entries, committed. */
extern void logcheck_begin(World *world, Member *member, const InitialEntry *entries,
						   uint32_t count);
/* After a start: what recovery found, against what the member had. */
extern void logcheck_started(World *world, Member *member);
extern bool logcheck_same_request(const RequestId *a, const RequestId *b);
/* It was answered without having been executed, so it must never be. */
extern void logcheck_refused(World *world, const RequestId *id);
/* Index of the committed entry with that request, 0: none. */
extern uint64_t logcheck_find(const World *world, const RequestId *id);
/* The member uses the configuration of that commit index: does its log allow it? */
extern void logcheck_configuration(World *world, Member *member);
extern void logcheck_changes(World *world, Member *member, uint64_t commit_index);
/* A snapshot was installed: the log begins behind it. */
extern void logcheck_installed(World *world, Member *member, const LogBegin *begin,
							   uint64_t applied);
/* A checkpoint with that applied index counts: its log must be flushed. */
extern void logcheck_checkpoint(World *world, Member *member, uint64_t index);
/* Another member leads, or a role changed. */
extern void logcheck_role(World *world, Member *member, const ControlState *control);
/* A message leaves the member. */
extern void logcheck_said(World *world, Member *member, const PeerMessage *message);
/* Where the batch begins that holds the entry as of that end of the log; 0: there is none. */
extern uint64_t logcheck_position(const Member *member, uint64_t index, uint64_t log_end);

/* ---- what the database must hold: model.c ---------------------------------------------------- */
typedef struct ModelVersion
{
	int64_t main;
	uint64_t number; /* of the value; 0: deleted */
} ModelVersion;

typedef struct Model
{
	struct
	{
		ModelVersion *versions;
		uint32_t count;
		uint32_t capacity;
	} keys[SIM_KEYS];
	int64_t revision;
	int64_t compacted;
	int64_t acknowledged; /* the highest revision that any answer has told */
	uint64_t configuration_index;
	uint8_t members[SIM_MEMBERS]; /* ModelMember */
} Model;

typedef enum ModelMember
{
	MODEL_NO_MEMBER,
	MODEL_VOTER,
	MODEL_LEARNER,
	MODEL_REMOVED
} ModelMember;

extern uint32_t model_count_members(const World *world, ModelMember what);

extern void model_reset(Model *model, uint32_t voters);
/* Applies a committed entry and fills what it must have given. */
extern void model_apply(World *world, Committed *entry, uint64_t index, const uint8_t *payload,
						uint32_t length);
/* Number of the value that a key has at a revision; 0: none. */
extern uint64_t model_value(const Model *model, uint32_t key, int64_t revision);

/* The revision of its newest version; 0: it is not there. */
extern int64_t model_modified(const Model *model, uint32_t key);

/* ---- clients: client.c, workload.c ------------------------------------------------------------ */
typedef enum ClientOpKind
{
	OP_NONE,
	OP_IS_PUT,
	OP_IS_DELETE,
	OP_IS_TXN,
	OP_IS_COMPACT,
	OP_IS_MEMBER,
	OP_IS_READ,
	OP_IS_LOCAL_READ
} ClientOpKind;

typedef enum ClientOpState
{
	CLIENT_OP_FREE,
	CLIENT_OP_PUTTING, /* not all of it is in the ring */
	CLIENT_OP_WAITS,   /* for its reply */
	CLIENT_OP_READING  /* for the applied index, or for a chance to read */
} ClientOpState;

typedef struct ClientOp
{
	ClientOpKind kind;
	ClientOpState state;
	bool given_up; /* nobody waits any more; its place is taken until the reply comes */
	uint32_t key;
	uint64_t number; /* value, revision, member */
	MemberAction change;
	bool is_learner;
	RequestId id;
	uint64_t began;
	int64_t seen;        /* the highest revision that had been told when it began */
	uint64_t read_index; /* 0: not known */
	uint64_t ask_at;     /* not before */
	ProposalPiece piece;
	uint32_t put;
	uint32_t length;
	alignas(8) uint8_t payload[6144];
} ClientOp;

typedef struct Client
{
	uint32_t number; /* in the world */
	uint32_t slot;   /* 0: has none now */
	uint32_t generation;
	ProposalWriter writer;
	PageAccess access;
	uint64_t next_op; /* when it wants to begin another */
	ClientOp ops[SIM_OPS];
} Client;

/* The member has started: its clients connect. */
extern void clients_connect(Member *member);
/* It has ended: they are gone, with what they waited for. */
extern void clients_drop(Member *member);
/* A turn of one client; returns when it wants the next one at the latest. */
extern uint64_t client_step(Client *client, Member *member);
/* kill -9 of its backend: the slot will have a successor. */
extern void client_kill(Client *client, Member *member);
/* Mean time between two operations of a client, so that a life has enough of them. */
extern uint64_t workload_gap(const World *world);
/* Have all members made progress since the faults ended?  Else world->lacking says what is missing. */
extern bool workload_is_settled(World *world);
/* Fills in what the client wants next, payload included; false: nothing. */
extern bool workload_choose(Member *member, Client *client, ClientOp *op);

/* ---- between members: network.c ----------------------------------------------------------------- */
typedef struct SimLink /* one way */
{
	uint32_t blocked;  /* so many faults hold it closed */
	uint32_t loss;     /* thousandths */
	uint32_t doubling; /* thousandths */
	uint64_t delay_ns; /* about */
} SimLink;

typedef struct SimParcel SimParcel;
struct SimParcel
{
	SimParcel *next;
	PeerMessage message;
	alignas(8) uint8_t bytes[];
};

typedef struct SimQueue
{
	SimParcel *first;
	SimParcel *last;
} SimQueue;

extern void network_reset(World *world);
extern void network_heal(World *world);
/* Forgets all that is under way. */
extern void network_clear(World *world);
extern void network_connect(Member *member);
extern void network_disconnect(Member *member);
/* Sends what may leave the member now. */
extern void network_release(Member *member);
extern void network_arrive(World *world, uint32_t to, uint32_t place);

/* ---- state snapshots: transfer.c ------------------------------------------------------------------ */
typedef struct SimTransfer /* to a member */
{
	bool wanted;
	uint64_t from;
	uint64_t index;
	uint32_t attempts;
	uint64_t pace_ns; /* a chunk takes less */
	struct SnapshotReceive *receive;
	struct SnapshotSend *send; /* in a slot of the sender */
	uint32_t slot;
	PageAccess access;
	bool fetched; /* not reported yet */
	uint64_t fetched_index;
	uint64_t fetched_term;
	RaftConfiguration configuration;
} SimTransfer;

typedef enum SentReport
{
	SENT_NOTHING,
	SENT_WELL,
	SENT_FAILED
} SentReport;

/* What PeerOps want of it. */
extern void transfer_want(Member *member, uint64_t from, uint64_t index);
extern bool transfer_fetched(Member *member, uint64_t *index, uint64_t *term,
							 RaftConfiguration *configuration);
extern bool transfer_sent(Member *member, uint64_t *to, bool *failed);
extern void transfer_step(Member *member);
/* The member ends. */
extern void transfer_drop(Member *member);

/* ---- members: member.c ------------------------------------------------------------------------ */
typedef struct SimActor
{
	uint64_t wake_at; /* UINT64_MAX: never */
	uint64_t wake_sequence;
	uint64_t not_before; /* it is paused, or its disk stands still */
	bool was_set;        /* its latch was seen set since its last step */
} SimActor;

typedef enum MemberState
{
	MEMBER_ABSENT, /* not begun */
	MEMBER_DOWN,
	MEMBER_UP,
	MEMBER_GONE /* removed, and ended for good */
} MemberState;

struct Member
{
	ClockOps clock; /* first: the clock of its parts */
	World *world;
	uint32_t number;
	uint64_t id;
	MemberState state;
	bool has_begun;      /* its disk holds a member */
	uint32_t stopping;   /* step of a clean stop */
	uint64_t clock_base; /* local time = clock_base + (now - clock_since) * rate / 1000 */
	uint64_t clock_since;
	uint64_t clock_rate;
	SimDisk *disk;
	uint64_t sync_ns;
	uint64_t io_end; /* walwriter has begun to write up to here; 0: nothing */
	Shm *shm;
	Consensus *consensus;
	WalWriter *walwriter;
	Applier *applier;
	Checkpointer *checkpointer;
	Pager *pager;
	SimActor actors[SIM_ACTORS];
	Client clients[SIM_CLIENTS];
	PeerOps peers;
	SimQueue inbox;
	SimQueue outbox;
	uint64_t outbox_bytes;     /* of proposals in it */
	SimParcel *received;       /* the last one given out */
	SimTransfer transfer;      /* to this one */
	uint8_t sent[SIM_MEMBERS]; /* SentReport: to whom, not reported yet */
	MemberLog log;
	/* as last seen, to tell what is new */
	ControlState control;
	ControlState control_before; /* of raft's step before */
	uint64_t seen_applied;
	uint64_t seen_generation; /* of the data file: rises with each installed state */
	uint64_t installed_at;    /* when a state was, last */
	bool settled_put;         /* begun and completed since the faults ended */
	bool settled_read;
	uint64_t seen_durable;
	uint64_t seen_segments;
	uint64_t seen_ready_end;
	/* when it starts again after its end; 0: after a random while */
	uint64_t down_ns;
};

extern void member_init(World *world, uint32_t number);
/* A new one, which has been added to the cluster: starts soon, with nothing. */
extern void member_join(World *world, uint32_t number);
/* EntryHeader and EntryMember with its strings, as backends make them; returns its length. */
extern uint32_t member_encode(MemberAction action, const Member *member, bool is_learner,
							  uint64_t judged_at, uint8_t *buffer, size_t size);
#define SIM_MEMBER_ENTRY_BYTES 160
extern void member_destroy(Member *member);
/* Starts it; a disturbed start is tried again later. */
extern void member_start(Member *member);
typedef enum MemberEnd
{
	END_KILLED,
	END_POWER_CUT
} MemberEnd;
/* All its processes end.  It starts again after a while. */
extern void member_end(Member *member, MemberEnd how);
/* The same, if its disk has been cut in a call: by the power, or by the death of the process. */
extern bool member_end_if_cut(Member *member);
/* How the process in a slot reads pages. */
extern PageAccess member_access(Member *member, uint32_t slot);
/* A clean stop, in two steps: no new proposals; then it leaves when its log is flushed. */
extern void member_stop(Member *member, uint32_t step);
/* One step of one actor, and what follows from it. */
extern void member_run(Member *member, uint32_t actor);
/* observe.c: after a step of that actor. */
extern void observe(Member *member, uint32_t actor);
extern uint64_t member_clock(const Member *member);
extern void member_set_clock_rate(Member *member, uint64_t rate);
extern const char *member_role(const Member *member);

/* ---- faults: chaos.c --------------------------------------------------------------------------- */
typedef enum FaultClass
{
	CHAOS_KILL_MEMBER,
	CHAOS_KILL_PROCESS,
	CHAOS_KILL_BACKEND,
	CHAOS_POWER,
	CHAOS_POWER_IN_CALL,
	CHAOS_KILL_IN_CALL,
	CHAOS_STOP,
	CHAOS_PAUSE_PROCESS,
	CHAOS_PAUSE_MEMBER,
	CHAOS_DISK_STALL,
	CHAOS_DISK_SLOW,
	CHAOS_DISK_FULL,
	CHAOS_CLOCK,
	CHAOS_PARTITION,
	CHAOS_ISOLATION,
	CHAOS_ONE_WAY,
	CHAOS_LOSS,
	CHAOS_DELAY,
	CHAOS_DOUBLING,
	/* not faults, but what can be left out as they can */
	CHAOS_CHANGES,
	CHAOS_LOG_REMOVAL,
	CHAOS_CLASS_COUNT
} FaultClass;

typedef struct PlannedFault
{
	FaultClass class;
	uint64_t at;
	uint64_t length;
	uint32_t member;
	uint64_t argument;
} PlannedFault;

extern const char *chaos_class_name(FaultClass class);
extern bool chaos_is_left_out(const World *world, FaultClass class);
/* Draws the faults of this seed, leaves out classes that are switched off, schedules the rest. */
extern void chaos_plan(World *world);
extern void chaos_begin(World *world, uint32_t fault);
extern void chaos_finish(World *world, uint32_t fault);
/* All that is wrong with disks, clocks and network is put right; members that are down start. */
extern void chaos_heal(World *world);

/* ---- the world: world.c ------------------------------------------------------------------------ */
typedef enum WorldEventKind
{
	EVENT_ACTOR,
	EVENT_START,
	EVENT_FAULT,
	EVENT_FAULT_END,
	EVENT_ARRIVAL,
	EVENT_TRANSFER,
	EVENT_HEAL,
	EVENT_CHECK /* is there progress? */
} WorldEventKind;

typedef struct WorldEvent
{
	uint64_t at;
	uint64_t sequence;
	WorldEventKind kind;
	uint32_t member;
	uint32_t argument;
} WorldEvent;

typedef struct SimOptions
{
	uint64_t seed;
	bool narrate;
	uint64_t chaos_ns;    /* faults and operations end then */
	uint32_t without;     /* bits of FaultClass: left out */
	uint32_t fault_limit; /* only so many of the planned faults */
	uint32_t op_percent;  /* of the operations */
	uint32_t members;     /* 0: the seed says */
} SimOptions;

struct World
{
	SimOptions options;
	/* Apart, so that leaving out faults or operations changes as little as can be. */
	SimRandom schedule, work, chaos, wire;
	uint64_t now;
	uint64_t sequence;
	WorldEvent *events; /* a heap */
	size_t event_count;
	size_t event_capacity;
	Member members[SIM_MEMBERS];
	uint32_t member_count;
	uint32_t first_members;
	uint64_t cluster_id;
	uint64_t op_gap; /* mean time between two operations of a client */
	SimLink links[SIM_MEMBERS][SIM_MEMBERS];
	SimParcel **on_wire;
	uint32_t wire_count;
	uint32_t wire_capacity;
	PlannedFault faults[SIM_FAULTS];
	uint32_t fault_count;
	bool healed;
	uint64_t heal_at;
	bool settled; /* after that: progress was seen everywhere */
	char lacking[128];
	uint64_t ops_begun;
	uint64_t next_number; /* of values */
	uint32_t next_client;
	uint64_t steps;
	uint64_t salt_state; /* what getrandom gives */
	SimTrace trace;
	LogCheck check;
	Model model;
	bool failed;
	char failure[512];
};

/* Memory is kept between runs: one world for all seeds of a process. */
extern World *world_create(void);
extern void world_destroy(World *world);
/* A whole life; world->failed and world->failure tell. */
extern void world_run(World *world, const SimOptions *options);
extern void world_add_event(World *world, uint64_t at, WorldEventKind kind, uint32_t member,
							uint32_t argument);
/* The actor runs at that time, if it does not run before. */
extern void world_wake(Member *member, uint32_t actor, uint64_t at);
/* Its latches are looked at: whoever was woken runs soon. */
extern void world_look_at_latches(Member *member);
extern void world_forget_actors(Member *member);

#endif /* SIM_H */
