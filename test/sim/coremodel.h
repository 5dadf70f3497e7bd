/*
 * coremodel.h
 *	  The core in clusters of up to seven members, and a model of everything around it.
 *
 * A member is the core and a list of records that stands for its log; a message is what the core gave
 * out, with the entries that it names.  Who uses the model says what happens: a member ticks, receives, flushes, crashes.
 * The model checks at each step, from what it keeps beside the core:
 *
 *	  one leader a term; the same entry committed everywhere; no committed entry missing from the log of
 *	  a new leader, nor overwritten; no vote given twice in a term; nothing acknowledged that is not
 *	  durable; no read behind what was committed anywhere when it was asked; no lease revoked that was
 *	  kept alive by a later leader.
 *
 *		corelog.c		a member's log
 *		coremodel.c		members, what they do
 *		corelease.c		a lease
 *		corecheck.c		what is checked
 *		coretell.c		what happens, in words
 *
 * test/sim/coremodel.h
 */
#ifndef COREMODEL_H
#define COREMODEL_H

#include "rusd.h"

#include "port/fault.h"
#include "raft/raft.h"
#include "simrandom.h"

#define MEMBERS 7
#define LOG_MAX 20000
#define INDEX_MAX 8000
#define INBOX_MAX 600
#define SPANS 4096
#define RUNS 512
#define READS 64

typedef struct Entry
{
	uint64_t term;
	uint64_t value;
	RaftChange change; /* kind 0: none */
	/* The lease that it revokes, by what was decided in that term; 0: none */
	uint64_t revokes;
	uint64_t decided_term;
} Entry;

/* A record of a log: index 0 is a hard state. */
typedef struct Record
{
	uint64_t index;
	Entry entry;
	HardState hard_state;
	uint64_t end; /* of its batch */
	uint64_t commit_index;
	uint64_t commit_term;
	uint32_t before;  /* the record of the same index before this one, plus 1; 0: none */
	uint32_t void_at; /* the record that made it void */
} Record;

typedef struct Packet
{
	RaftMessage message;
	Entry acknowledged; /* an acknowledgement: the entry that it names, as its sender had it */
	Entry entries[];
} Packet;

typedef struct PacketList
{
	Packet **packets;
	size_t count;
	size_t capacity;
} PacketList;

/* A state that is being installed; one at a time, if the core is right. */
#define INSTALLATIONS 2
typedef struct Installation
{
	uint64_t index;
	uint64_t term;
	RaftConfiguration configuration;
} Installation;

typedef struct Member
{
	uint64_t id;
	bool is_alive;
	bool is_paused;
	bool is_stalled; /* its disk */
	Raft raft;
	RaftSpan spans[SPANS];
	RaftRun runs[RUNS];
	/* the log */
	Record log[LOG_MAX];
	size_t count;              /* records */
	size_t batch;              /* first record of the open batch */
	bool batch_hard_state;     /* there is one in it */
	uint64_t position;         /* end of the last batch */
	uint64_t flushed;          /* durable up to here */
	uint32_t place[INDEX_MAX]; /* the newest record of each index, plus 1 */
	uint64_t highest;          /* index in place */
	uint64_t last;             /* index that holds */
	/* where it begins: a snapshot, or nothing */
	uint64_t base_index;
	uint64_t base_term;
	size_t base_record;
	RaftConfiguration base;
	/* the state machine: the committed entries up to here */
	uint64_t applied_index;
	size_t read_to; /* records taken in */
	struct
	{
		uint64_t id;
		uint64_t needed;
	} reads[READS];
	uint32_t last_read;
	struct
	{
		uint64_t asked;     /* RAFT_CONFIRM under way; 0: none, */
		bool expires;       /* to let the lease expire, or else to keep it alive */
		uint64_t seen_term; /* the highest that entries were committed in when it asked */
		uint64_t decided;   /* the lease that has expired; 0: none */
		uint64_t term;      /* when that was decided */
		bool is_proposed;   /* and the entry is in the log */
	} lease;
	uint64_t votes[INDEX_MAX]; /* that left it, by term */
	uint64_t finds_lost;       /* as leader: the member of which it has said that its log is lost */
	Installation installations[INSTALLATIONS];
	uint32_t installation_count;
	PacketList outbox; /* waits for a flush */
	PacketList inbox;
	/* as it was told last */
	struct
	{
		RaftRole role;
		uint64_t term;
		uint64_t leader;
		uint64_t commit;
		uint64_t configuration;
	} told;
} Member;

typedef struct ModelCounts
{
	uint64_t leaders;
	uint64_t commits;
	uint64_t snapshots;
	uint64_t changes;
	uint64_t crashes;
	uint64_t reads;
	uint64_t kept_alive;
	uint64_t revoked;
} ModelCounts;

typedef struct Model
{
	SimRandom random;
	RaftOptions options;
	RaftConfiguration bootstrap;
	Member *members; /* [MEMBERS] */
	Entry committed[INDEX_MAX];
	uint64_t committed_count;
	uint64_t committed_by_term[INDEX_MAX]; /* when it was first seen, whoever's term that is */
	uint64_t committed_changes[INDEX_MAX];
	uint32_t committed_change_count;
	uint64_t leader_of_term[INDEX_MAX];
	/* There is one lease at a time; when it is revoked the next one is granted.  Which one, behind each entry: */
	uint64_t lease_behind[INDEX_MAX];
	uint64_t kept_alive[INDEX_MAX]; /* by lease: the term of the last leader that said so */
	uint64_t next_value;
	bool logs_may_be_lost;
	bool cut[MEMBERS][MEMBERS]; /* from, to */
	uint32_t loss;              /* percent of messages */
	uint32_t doubling;
	uint32_t carried_entries; /* in a message whose size the core does not know */
	RaftUpdate update;
	FILE *tell;   /* NULL: says nothing */
	uint32_t now; /* events so far */
	ModelCounts counts;
	char failure[300];
} Model;

/* What went wrong first stays. */
#define MODEL_FAIL(model, ...)                                                                     \
	do                                                                                             \
	{                                                                                              \
		if ((model)->failure[0] == '\0')                                                           \
			(void) snprintf((model)->failure, sizeof((model)->failure), __VA_ARGS__);              \
	} while (0)

/* ---- corelog.c ------------------------------------------------------------------------------- */
#define RECORD_NONE UINT32_MAX
extern void core_log_add(Member *member, Record record);
/* The entry with that index which holds in the first records. */
extern bool core_log_entry(const Member *member, size_t records, uint64_t index, Entry *entry);
/* Did this very entry stand in the first records, void or not? */
extern bool core_log_held(const Member *member, size_t records, uint64_t index, const Entry *entry);
/* Number of records whose batch ends at or before position. */
extern size_t core_log_records(const Member *member, uint64_t position);
extern void core_log_close_batch(Member *member);
/* Only the first records stay. */
extern void core_log_cut(Member *member, size_t records);
/* It begins anew behind that entry. */
extern void core_log_begin(Member *member, uint64_t index, uint64_t term);
/* What recovery finds: hard state, last entry, terms, commit position. */
extern void core_log_recover(const Member *member, RaftStart *start, RaftRun *known);

/* ---- coremodel.c ----------------------------------------------------------------------------- */
extern Model *model_new(void);
extern void model_free(Model *model);
/* As if nothing had been; then model_bootstrap. */
extern void model_reset(Model *model, uint64_t seed);
/* Empty members, of which the first are voters; none is started. */
extern void model_bootstrap(Model *model, uint32_t voters);
static inline Member *
model_member(Model *model, uint64_t id)
{
	return &model->members[id - 1];
}
extern void model_start(Model *model, Member *member);
/* Of what was not flushed, that many records stay, to the end of their batch. */
extern void model_crash(Model *model, Member *member, size_t unsynced_records);
/* What the last step gave out; packet: the message that it took, or NULL. */
extern void model_take_update(Model *model, Member *member, const Packet *packet);
extern void model_step(Model *model, Member *member, const RaftEvent *event);
/* Takes that message of the inbox. */
extern void model_receive(Model *model, Member *member, size_t place);
extern void model_drop(Member *member, size_t place);
/* RUSD_OK, or why it was refused. */
extern Status model_propose(Model *model, Member *member, const RaftChange *change);
/* That entry; decided_term: only in that term, as RaftEvent.term. */
extern Status model_propose_entry(Model *model, Member *member, const Entry *entry);
/* Again: instead of the one that it asked for last. */
extern void model_read(Model *model, Member *member, bool again);
extern void model_flush(Model *model, Member *member, uint64_t position);
/* Takes the state of the member that offered one, if it can be had now; from then on it is being installed. */
extern bool model_begin_snapshot(Model *model, Member *member);
/* False: not now. */
extern bool model_end_snapshot(Model *model, Member *member, bool failed);
/* Closes the batch, sends what is to be sent, applies what is committed. */
extern void model_end_turn(Model *model, Member *member);
extern Member *model_leader(Model *model);
/* For whoever looks for the mistake. */
extern void model_print(const Model *model, FILE *to);

/* ---- corelease.c ------------------------------------------------------------------------------ */
/* Whoever leads by its own belief is asked to keep the lease alive, or finds that its time is up; it confirms that it
 * leads before it says or does anything. */
extern void lease_ask(Model *model, Member *member, bool expires);
/* What it has decided is proposed. */
extern void lease_revoke(Model *model, Member *member);
/* The reads of the update may confirm it. */
extern void lease_take(Model *model, Member *member);
/* That entry is committed for the first time. */
extern void lease_committed(Model *model, uint64_t index);

/* ---- corecheck.c ----------------------------------------------------------------------------- */
/* It leaves the member. */
extern void check_packet(Model *model, Member *member, const Packet *packet);
extern void check_leader(Model *model, Member *member);
/* A state replaces the member's log. */
extern void check_discarded(Model *model, const Member *member, const Installation *installation);
/* The reads of the update. */
extern void check_reads(Model *model, Member *member);
/* The member applies that entry. */
extern void check_committed(Model *model, const Member *member, uint64_t index, const Entry *entry);

/* A leader says that a member has lost its log. */
extern void check_lost_log(Model *model, Member *leader);

/* ---- coretell.c ------------------------------------------------------------------------------ */
extern void tell(Model *model, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The update of a step, and what has changed. */
extern void tell_update(Model *model, Member *member);
extern void tell_entries(Model *model, Member *member, uint64_t first, const Packet *packet);
extern void tell_lost(Model *model, const RaftMessage *message);
/* What is so at the start is not told. */
extern void tell_forget(Member *member);
extern void tell_change(char *text, size_t size, const RaftChange *change);

#endif /* COREMODEL_H */
