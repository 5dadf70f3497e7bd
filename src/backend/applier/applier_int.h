/*
 * applier_int.h
 *	  What the files of applier/ share.
 *
 * src/backend/applier/applier_int.h
 */
#ifndef APPLIER_INT_H
#define APPLIER_INT_H

#include "applier/applier.h"
#include "format/entry.h"
#include "pagecache/checkpoint.h"
#include "snapshot/snapshot.h"
#include "store/store.h"
#include "wal/recovery.h"
#include "wal/wal.h"

/* A batch is published and answered as one: neither too long a wait nor too many publications. */
#define BATCH_ENTRIES 512
#define BATCH_BYTES (4 * 1024 * 1024)

/* An answer that waits for the batch to be published. */
typedef struct Answer
{
	uint32_t slot;
	bool wants_pin;
	Reply reply;
} Answer;

/* An answer that waits for something in the background. */
typedef struct Later
{
	uint32_t slot;
	bool dropped;       /* its slot has died */
	int64_t compaction; /* until this one has finished; INT64_MAX: until the defragmentation has */
	Reply reply;
} Later;

typedef enum DefragmentState
{
	DEFRAGMENT_NONE,
	DEFRAGMENT_CHECKPOINT_BEFORE, /* so that what is dead is free */
	DEFRAGMENT_MOVE,
	DEFRAGMENT_CHECKPOINT_AFTER /* so that the tail can be cut */
} DefragmentState;

typedef enum InstallPhase
{
	INSTALL_NONE,
	INSTALL_DISK,    /* until the checkpointer has made it durable */
	INSTALL_READERS, /* until nobody reads the state before it */
	INSTALL_PAGER    /* until no frame is being loaded */
} InstallPhase;

struct Applier
{
	Shm *shm;
	FileOps *fs;
	const ClockOps *clock;
	PageAccess access;
	int64_t quota;
	Store *store;
	WalReader *reader;
	uint64_t log_position; /* end of the last applied entry's batch */
	LogBegin log_begin;
	RaftConfiguration configuration; /* as of the applied index */
	bool
		removal_unknown; /* members have changed since it was looked whether this one was removed */
	uint64_t warn_after_ns;
	uint32_t deaths_seen;
	uint64_t looked_ns; /* when all slots were looked at for waiters */
	/* room.c: an entry that was read and cannot be applied for want of frames */
	WalRecord held;
	bool has_held;
	bool forced; /* nothing can be taken back any more: it is tried with what there is */
	bool warned_short;
	uint64_t lacking; /* frames that must be free before it is looked at again; 0: none is short */
	/* install.c */
	struct
	{
		InstallPhase phase;
		InstallOrder order;
		SnapshotIncoming *incoming;
		RootState root; /* as it will be durable */
		uint64_t readers_since_ns;
	} install;
	/* holders.c */
	struct
	{
		uint64_t ns;
		uint64_t root;    /* number of the newest one at that time */
		uint64_t allowed; /* oldest_allowed_root */
	} past, recent;
	uint64_t holders_looked_ns;
	uint64_t checkpoint_asked; /* ShmRequests.checkpoint_wanted that the last request of ours made;
								  0: none */
	uint64_t given_back; /* durable_root after which pages were last taken back for a full disk */
	DefragmentState defragment;
	uint32_t defragment_passes;
	uint64_t defragment_end; /* pages_end when the pass began */
	Answer answers[BATCH_ENTRIES];
	uint32_t answer_count;
	Later *later;
	uint32_t later_count;
	uint32_t later_capacity;
};

/* answers.c: who is told what, and when. */
extern void answer_add(Applier *applier, const EntryHeader *header, const ApplyResult *result);
/* Before the publication: pins of answers that are read from the root it will have. */
extern void answers_pin(Applier *applier);
/* After it. */
extern void answers_send(Applier *applier);
/* Sends those that waited for a compaction up to done, or (INT64_MAX) for the defragmentation. */
extern void later_send(Applier *applier, int64_t done);
/* The defragmentation has failed: what later_send will say. */
extern void later_fail(Applier *applier, Status status);
extern void later_add(Applier *applier, uint32_t slot, const Reply *reply, int64_t compaction);
/* Wakes those who wait for the applied index: the marked slots, all of them once in a tick. */
extern void waiters_wake(Applier *applier, bool all);
/* Slots that have died: forgets what is kept for them, and says so. */
extern void slots_forget_dead(Applier *applier);
/* Is it a request of a living backend of this incarnation? */
extern bool request_is_ours(const Applier *applier, const RequestId *id);

/* room.c: frames for the next entry. */
/* Is there room for it?  If not, it is held, and lacking says how much is. */
extern Status room_for(Applier *applier, const WalRecord *record, bool *fits);
/* One step towards it. */
extern Status room_step(Applier *applier, bool *did);

/* install.c: a received snapshot. */
extern Status install_step(Applier *applier, bool *did);
/* Nothing else is done to the store meanwhile. */
extern bool install_is_under_way(const Applier *applier);
/* All pins must go, and had so much time. */
extern bool install_waits_for_readers(const Applier *applier, uint64_t now, uint64_t patience_ns);

/* holders.c: backends that do not let go of pages that others want. */
extern void holders_step(Applier *applier, uint64_t now);

/* upkeep.c: what is done between batches. */
extern bool checkpointer_serve(Applier *applier);
/* What is in shm->checkpoint_root answers that root_wanted. */
extern void root_give(Applier *applier, uint64_t wanted);
/* Term and vote as this member knows them at least, commit as root tells. */
extern HardState hard_state(const Applier *applier, const RootState *root);
/* If a checkpoint can give pages back. */
extern void checkpoint_ask(Applier *applier);
/* A slice of compaction, if there is one and frames for it. */
extern Status background_step(Applier *applier, uint64_t promised, bool *did);
extern bool checkpoint_is_done(const Applier *applier);
/* A number of pages is wanted and not free. */
extern bool frames_are_short(const Applier *applier);
extern Status upkeep_step(Applier *applier, bool *did);
extern void defragment_begin(Applier *applier, const EntryHeader *header);

#endif /* APPLIER_INT_H */
