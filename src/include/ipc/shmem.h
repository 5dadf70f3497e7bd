/*
 * shmem.h
 *	  The shared memory of a node: its regions, who writes them and who reads them.
 *
 * One sealed memfd.  The postmaster lays it out (shmem_create), every child inherits the
 * mapping at the same address; a backend then gives up its right to write all but its own
 * slot and the latches and marks (shmem_restrict), and no mprotect brings it back because
 * the descriptor is sealed against new writable mappings.  The simulator makes a segment of
 * plain memory for each of its members; so nothing below this layer may keep a global
 * pointer: a Shm * is passed.
 *
 * Rules: [ipc-1] every region has one writer, named here.  [ipc-2] What a backend can write
 * (BackendArea, Latch, Marks) is input: a reader copies once, then checks the copy.  [ipc-3]
 * Positions never go back within one incarnation.
 * [ipc-4] Fields of different writers never share a cache line.
 *
 * src/include/ipc/shmem.h
 */
#ifndef IPC_SHMEM_H
#define IPC_SHMEM_H

#include "ipc/latch.h"
#include "raft/raft.h"

typedef enum ProcKind
{
#define RUSD_PROC(symbol, title, essential) PROC_##symbol,
#include "ipc/proctypelist.h"
#undef RUSD_PROC
	PROC_KIND_COUNT
} ProcKind;

#define PROC_ESSENTIAL_COUNT PROC_BACKEND

/* ------------------------------------------------------------------------------------------------
 * Control: written by raft, read by all, under a change count (shm_control_read).
 */
typedef struct ControlState
{
	uint64_t cluster_id;
	uint64_t member_id;
	uint64_t term;
	uint64_t leader_id; /* 0: unknown */
	uint64_t commit_index;
	uint64_t last_index; /* of the log, appended */
	uint64_t last_term;  /* of that entry */
	uint64_t voters_count;
	uint64_t role; /* RaftRole */
	uint64_t is_learner;
	uint64_t
		configuration_index; /* of the configuration in use: who proposes a change of members has judged it by that */
	/* The only voter, its first entry of the term and the entry that made it the only one applied:
	 * reads need no round (design, "A read"). */
	uint64_t reads_are_local;
	uint64_t ready;    /* an entry proposed in this incarnation (the publication of this member,
						* BOOT-25) has been applied: backends may serve */
	uint64_t draining; /* no new proposals: raft leaves */
	uint64_t
		ills; /* ILL_: what makes no progress, though there is work, for --leader-stall-timeout */
} ControlState;

#define ILL_FLUSH 1
#define ILL_APPLY 2
#define ILL_PAGES 4

typedef struct ShmControl
{
	cache_aligned _Atomic uint64_t change_count; /* odd while written */
	_Atomic uint64_t words[sizeof(ControlState) / sizeof(uint64_t)];
	cache_aligned _Atomic uint64_t loop_ns; /* raft's last loop, monotonic: older than an election
											 * timeout means "leader unknown" */
} ShmControl;

/* ------------------------------------------------------------------------------------------------
 * Positions: byte positions in the log and what follows from them.  One line for each writer.
 */
typedef struct ShmPositions
{
	/* raft */
	cache_aligned _Atomic uint64_t appended; /* end of what lies in the WAL buffers */
	/* raft, under a change count: the ceiling (what would be committed if this disk were infinitely
	 * fast) and the floor (end of this term's first entry); both 0 while it does not lead. */
	cache_aligned _Atomic uint64_t bound_change_count;
	_Atomic uint64_t ceiling; /* read both by shm_bounds_read: they are two words of one state */
	_Atomic uint64_t floor;
	cache_aligned _Atomic uint64_t committed_by_peers; /* raft */
	/* raft: "set my latch once flushed has reached this"; 0: no.  Stored before raft looks at
	 * flushed a last time and sleeps; walwriter reads it after it has stored flushed (both
	 * sequentially consistent).  So raft is woken where it waits for a flush, and by no other. */
	_Atomic uint64_t flush_wanted;
	/* walwriter */
	cache_aligned _Atomic uint64_t written;
	_Atomic uint64_t flushed;
	_Atomic uint64_t committed_by_flush;
	/* applier */
	/* WAL buffers before it are not read again by it */
	cache_aligned _Atomic uint64_t applied_position;
	_Atomic uint64_t applied_index;
	/* LogBegin.position: entries of batches before it are void */
	_Atomic uint64_t log_begin;
	/* of the data file that frames are read from (data_file_name) */
	_Atomic uint64_t data_generation;
	/* applier: pages taken for what it builds: so it is seen to get on with an entry that takes long */
	cache_aligned _Atomic uint64_t pages_taken;
	/* pager: rises when it turns to a slot that wants a page and when it is done with that: odd in between */
	cache_aligned _Atomic uint64_t page_service;
	/* checkpointer */
	/* number of the root of the last finished checkpoint */
	cache_aligned _Atomic uint64_t durable_root;
	/* its applied index: the log up to it is not needed for recovery */
	_Atomic uint64_t durable_index;
} ShmPositions;

/* The commit position is the larger of the two, for every reader. */
static inline uint64_t
positions_committed(const ShmPositions *positions)
{
	uint64_t by_peers = atomic_load_explicit(&positions->committed_by_peers, memory_order_acquire);
	uint64_t by_flush = atomic_load_explicit(&positions->committed_by_flush, memory_order_acquire);

	return Max(by_peers, by_flush);
}

/* ------------------------------------------------------------------------------------------------
 * Log segments that are ready to be appended to: written by walwriter, read by raft.
 */
#define WAL_READY_SEGMENTS 4

typedef struct ShmWalSegments
{
	/* segments with a sequence number below this are ready */
	cache_aligned _Atomic uint64_t ready_end;
	/* Salt of the segment with sequence s at [s % WAL_READY_SEGMENTS]; valid for ready_end -
	 * WAL_READY_SEGMENTS <= s < ready_end. */
	_Atomic uint32_t salt[WAL_READY_SEGMENTS];
	_Atomic uint32_t no_room;   /* the file system refused the last preallocation: proposals are
								  * refused, those that free space excepted */
	_Atomic uint64_t count;     /* segment files that exist */
	_Atomic uint64_t compacted; /* entries up to this index are not all in them any more */
} ShmWalSegments;

/* ------------------------------------------------------------------------------------------------
 * Slots.  SlotHead: written by the postmaster.  SlotAck: by raft and applier, who tell that
 * they have dropped all that they held for a dead generation.  BackendArea: by the process
 * itself.
 */
typedef enum SlotState
{
	SLOT_FREE,
	SLOT_LIVE,
	SLOT_DEAD /* reaped; becomes free when raft and applier have acknowledged the generation */
} SlotState;

/*
 * A link leads to another member, one way: one process and one connection each.  What it carries (consensus/peers.h)
 * goes by two, so that a large entry, or a file that cannot be read, holds back no heartbeat.
 */
typedef enum LinkKind
{
	LINK_NONE,     /* the slot is no link's */
	LINK_CONTROL,  /* heartbeats, votes, answers, read indexes */
	LINK_ENTRIES,  /* entries and forwarded proposals */
	LINK_ACCEPTED, /* made by another member, or by anybody who has found the port */
	LINK_FETCH     /* fetches the state of another member */
} LinkKind;

typedef struct SlotHead
{
	cache_aligned _Atomic uint32_t state; /* SlotState */
	_Atomic uint32_t generation;          /* rises by one with each use */
	_Atomic int32_t pid;
	_Atomic uint32_t link;       /* LinkKind */
	_Atomic uint64_t started_ns; /* wall clock */
	_Atomic uint64_t member_id;  /* of a link's other end; 0: unknown */
} SlotHead;

typedef struct SlotAck
{
	cache_aligned _Atomic uint32_t generation; /* of which this consumer holds nothing any more */
} SlotAck;

#define SNAPSHOT_PINS 16 /* snapshots that one process can hold at once */
#define PROPOSAL_RING_BYTES (64 * 1024)
#define REPLY_PLACES 256 /* in each of a backend's reply rings; power of two */

/*
 * Counters of a process, added up over all slots (and over those that have ended) by
 * /metrics; see activity/metriclist.h.
 */
#define SLOT_COUNTERS 640
/* The same for each member at the other end of links. */
#define PEER_COUNTERS 64
/* Members of whom that is kept when their links have ended. */
#define ENDED_PEERS 64

typedef struct EndedPeer
{
	_Atomic uint64_t member_id; /* 0: free */
	_Atomic uint64_t counters[PEER_COUNTERS];
} EndedPeer;

/* Slots of links: enough for 31 members that are all connected, and for four others. */
#define LINK_SLOTS 128
/* What raft has for a link; power of two.  A larger message crosses in pieces. */
#define LINK_RING_BYTES (256 * 1024)
#define LINK_URLS_BYTES 1024

typedef struct BackendArea
{
	/* -- pins: see store/snapshot.h -- */
	cache_aligned _Atomic uint64_t snapshot_pins[SNAPSHOT_PINS]; /* root numbers, 0: free */
	/* Result pin: root << 16 | count.  The applier adds a result and sets the root when the count
	 * was 0; the backend subtracts; both by compare-and-swap.  While the count is not 0 no page
	 * that died after the root is reused. */
	cache_aligned _Atomic uint64_t result_pin;
	/* -- waiting -- */
	/* wake me when the applied index reaches this; 0: no */
	cache_aligned _Atomic uint64_t applied_wanted;
	_Atomic uint64_t page_wanted; /* page number + 1 that I wait for; 0: none */
	/* -- rings -- */
	cache_aligned _Atomic uint64_t proposal_head; /* bytes ever put into the ring */
	_Atomic uint32_t proposal_waiting; /* it waits for room: wake it when the ring is half empty */
	cache_aligned _Atomic uint64_t applier_reply_tail; /* replies ever taken */
	_Atomic uint64_t raft_reply_tail;
	/* -- links -- */
	cache_aligned _Atomic uint64_t link_tail; /* bytes of its LinkRing ever taken */
	_Atomic uint32_t link_is_up;              /* connected, and accepted by the other side */
	_Atomic uint64_t link_up_ns;              /* monotonic: since when, stored before that */
	_Atomic uint64_t link_member;             /* accepted: who has shown to be at the other end */
	char link_urls
		[LINK_URLS_BYTES]; /* and its peer URLs, separated by commas, written before that */
	/* -- shown to operators -- */
	cache_aligned _Atomic uint64_t memory_taken; /* bytes, of --backend-memory */
	_Atomic uint32_t established;                /* the generation whose TLS handshake is over */
	_Atomic uint64_t state_since_ns;
	_Atomic uint32_t wait_event; /* WaitEvent */
	_Atomic uint32_t streams;    /* open HTTP/2 streams */
	char what[48];               /* peer address, then what it does; NUL-terminated */
	_Atomic uint64_t counters[SLOT_COUNTERS];
	_Atomic uint64_t counted_member; /* of whom the next are; 0: nobody */
	_Atomic uint64_t peer_counters[PEER_COUNTERS];
	cache_aligned uint8_t proposals[PROPOSAL_RING_BYTES];
} BackendArea;

typedef struct Reply
{
	uint64_t sequence;   /* RequestId.sequence (format/entry.h) */
	uint32_t generation; /* RequestId.generation */
	uint32_t status;     /* Status */
	int64_t revision; /* for header.revision: of the store after the request.  It ran under the main
					   * revision "revision" where REPLY_CHANGED is set, else under "revision + 1",
					   * which was not used up */
	uint64_t root;    /* number of the root at which its effects are visible */
	uint64_t keys_page; /* the tree by key at that root, for answers that are read from the store */
	uint64_t keys_birth;
	uint64_t value; /* by entry kind: keys deleted; index of a membership change */
	uint32_t flags; /* REPLY_... */
	uint32_t reserved;
} Reply;

StaticAssert(sizeof(Reply) == 64, "a reply fills one cache line");

/* counted in the result pin: the root may be read until the backend subtracts */
#define REPLY_PINNED 1
#define REPLY_CHANGED 4 /* the store's revision was raised */
/* applied although it did not fit (QUOTA-6): raise NOSPACE, answer RUSD_NOSPACE */
#define REPLY_OVER_QUOTA 2

typedef struct ReplyRing
{
	cache_aligned _Atomic uint64_t head; /* replies ever put in */
	cache_aligned Reply places[REPLY_PLACES];
} ReplyRing;

/* Messages of raft for a link; the other way they come by the proposal ring of the link's area (ipc/link.h). */
typedef struct LinkRing
{
	cache_aligned _Atomic uint64_t head; /* bytes ever put in; raft */
	_Atomic uint32_t room_wanted;        /* raft waits until half of it is free */
	cache_aligned uint8_t bytes[LINK_RING_BYTES];
} LinkRing;

/*
 * Bitmaps of slots with something new, one bit a slot: set by anyone, taken (exchange with
 * 0) by the consumer.
 */
#define MARK_WORDS 128 /* up to 8,192 slots */
#define MAX_SLOTS (MARK_WORDS * 64)

typedef struct Marks
{
	cache_aligned _Atomic uint64_t words[MARK_WORDS];
} Marks;

/* ------------------------------------------------------------------------------------------------
 * The newest root: written by applier under a change count.  See store/snapshot.h for how it
 * is pinned.
 */
typedef struct TreeRoot
{
	uint64_t page; /* PAGE_NONE: the tree is empty */
	uint64_t birth;
} TreeRoot;

typedef struct RootState
{
	uint64_t number;    /* rises by one with each publication; survives restarts */
	TreeRoot keys;      /* by key */
	TreeRoot revisions; /* by revision */
	TreeRoot system;    /* leases, users, members, alarms, ... */
	int64_t revision;   /* current main revision, from 1 (KV-1) */
	int64_t compacted;  /* compaction point as clients see it; -1: never compacted (COMPACT-3) */
	/* up to where removal has finished; < compacted while it runs; -1 never */
	int64_t compaction_done;
	uint64_t applied_index;
	uint64_t applied_term;
	uint64_t pages_end;   /* highest page allocated + 1: dbSize in pages */
	uint64_t pages_used;  /* pages that this root needs: dbSizeInUse in pages */
	uint64_t frames_free; /* pages that can still be allocated before any is reclaimed */
	uint64_t alarms;      /* bit 0: NOSPACE of any member, bit 1: CORRUPT of any member */
} RootState;

typedef struct ShmRoot
{
	cache_aligned _Atomic uint64_t change_count;
	_Atomic uint64_t words[sizeof(RootState) / sizeof(uint64_t)];
	/* Snapshots with a smaller root number must be given up (room is short); written by applier. */
	cache_aligned _Atomic uint64_t oldest_allowed_root;
} ShmRoot;

/* The members at the applied index: written by applier under a change count, before the root that goes with
 * them. */
typedef struct ShmConfiguration
{
	cache_aligned _Atomic uint64_t change_count;
	_Atomic uint64_t words[sizeof(RaftConfiguration) / sizeof(uint64_t)];
} ShmConfiguration;

/* ------------------------------------------------------------------------------------------------
 * Requests between essential processes: each word has one writer.
 */

/*
 * The complete snapshot in incoming/ (snapshot/snapshot.h) is to take the place of what is applied.
 * From the order until install_done tells its count raft appends no entries, and log_begin is the end
 * of the log at that time.
 */
typedef struct InstallOrder
{
	uint64_t count; /* rises by one with each order */
	uint64_t index; /* of the snapshot */
	uint64_t term;
	uint64_t log_begin; /* a position: entries before it become void */
} InstallOrder;

#define INSTALL_WORDS (sizeof(InstallOrder) / sizeof(uint64_t))

typedef struct ShmRequests
{
	/* anyone but backends: counts requests; see checkpointer/ */
	cache_aligned _Atomic uint64_t checkpoint_wanted;
	cache_aligned _Atomic uint64_t root_wanted;     /* checkpointer: "hand me a root", counts */
	cache_aligned _Atomic uint64_t checkpoint_done; /* checkpointer: the value of checkpoint_wanted
													   that the last finished one covers */
	/* checkpointer: the value of checkpoint_wanted that it had no disk room for; it tries again, but
	 * who cannot wait need not */
	_Atomic uint64_t checkpoint_failed;
	/* checkpointer: pages that the data file has blocks for, when it cannot get more as far ahead as
	 * it should; 0: it can.  Proposals are refused, those that free space excepted. */
	_Atomic uint64_t data_limit;
	/* checkpointer: 1: a checkpoint has no room; the log's spare segment is to be given up for it */
	_Atomic uint32_t spare_wanted;
	cache_aligned _Atomic uint32_t stop_wanted; /* postmaster: 1 hand over, 2 leave */
	_Atomic uint32_t config_generation;         /* postmaster: rises with each SIGHUP */
	/* startup: 1 while a founder asks the others about itself; it has nothing to tell them then (SIGCHLD) */
	_Atomic uint32_t founding;
	/* postmaster: rises with each slot that becomes SLOT_DEAD (ipc/slot.h) */
	_Atomic uint32_t slots_died;
	/* postmaster: rises with each slot that is given to a link */
	_Atomic uint32_t links_made;
	/* raft: pages that a refused proposal lacked, 0 where none does: the applier takes back what it
	 * can (space_reclaim, and the oldest snapshots) until RootState.frames_free is no less. */
	cache_aligned _Atomic uint64_t frames_wanted;
	/* raft: pages reserved for entries that are not applied yet */
	_Atomic uint64_t frames_promised;
	/* applier: slot << 32 | generation of a backend that holds pages which others want and does not
	 * let go of them, 0: none.  The postmaster kills it. */
	cache_aligned _Atomic uint64_t backend_to_kill;
	/* 1: this member was removed from its cluster.  applier, and the postmaster, which is told, or told by other members, and ends the node */
	_Atomic uint32_t member_removed;
	/* applier: generation that the files of the node should have.  Above that of the last checkpoint:
	 * the next one takes its pages from incoming/ (pagecache/checkpoint.h) */
	_Atomic uint64_t generation_wanted;
	/* raft: the state of member fetch_from is wanted, of fetch_index at least; the count rises with each
	 * wish and is stored last.  The postmaster is told, and starts a transfer. */
	_Atomic uint64_t fetch_count;
	_Atomic uint64_t fetch_from;
	_Atomic uint64_t fetch_index;
	/* raft: the last InstallOrder, under a change count */
	cache_aligned _Atomic uint64_t install_change_count;
	_Atomic uint64_t install_words[INSTALL_WORDS];
	/* applier: count of the last order that is done with, and its Status, stored before it */
	cache_aligned _Atomic uint64_t install_done;
	_Atomic uint32_t install_status;
} ShmRequests;

/* ------------------------------------------------------------------------------------------------
 * The whole, as one process sees it.
 */
typedef struct ShmLayout
{
	uint32_t slot_count;  /* all of them */
	uint32_t link_slots;  /* behind the essential ones; 0 where no other member is ever talked to */
	uint32_t local_slots; /* the last ones: of backends for connections over a unix socket alone */
	uint64_t wal_buffer_bytes;  /* power of two, multiple of the page size of the machine */
	uint64_t wal_segment_bytes; /* power of two */
	uint64_t frame_count;       /* pages that the cache can hold */
} ShmLayout;

typedef struct Shm
{
	ShmLayout layout;
	uint64_t incarnation; /* random, not 0; new whenever the segment is made */
	ShmControl *control;  /* raft */
	ShmPositions *positions;
	ShmWalSegments *segments;        /* walwriter */
	ShmRoot *root;                   /* applier */
	ShmConfiguration *configuration; /* applier */
	ShmRequests *requests;
	SlotHead *heads;       /* [slot_count], postmaster */
	SlotAck *raft_acks;    /* [slot_count], raft */
	SlotAck *applier_acks; /* [slot_count], applier */
	Latch *latches;        /* [slot_count], anyone */
	Marks *proposal_marks; /* anyone; taken by raft */
	Marks *page_marks;     /* anyone; taken by pager */
	Marks *applied_marks;  /* anyone who has set applied_wanted in its area; taken by applier */
	Marks *link_marks;     /* links with messages for raft */
	Marks *flush_marks;    /* links to be woken by the next flush; taken by walwriter */
	LinkRing *link_rings;  /* [link_slots], raft */
	/* [slot_count * 8], one line each: bytes taken of a proposal ring; raft */
	_Atomic uint64_t *proposal_tails;
	ReplyRing *raft_replies;    /* [slot_count], raft */
	ReplyRing *applier_replies; /* [slot_count], applier */
	/* [SLOT_COUNTERS], postmaster: sums of processes that have ended */
	_Atomic uint64_t *ended_counters;
	EndedPeer *ended_peers; /* [ENDED_PEERS], postmaster: the same for each member */
	/* [2 * wal_buffer_bytes]: the ring mapped twice, so that a batch is always in one piece; byte
	 * of position p is at [p % wal_buffer_bytes].  raft */
	uint8_t *wal_buffers;
	struct NodeRecovered *recovered; /* startup: what was found on disk; wal/recovery.h */
	struct HashKept *hashes_kept;    /* applier: the last ten hashes of finished compactions
										(MAINT-34); store/hash.h */
	/* [frame_count]: state and birth; applier, pager (its own frames) */
	struct PageMeta *page_meta;
	uint64_t *checkpoint_bitmap; /* [frame_count / 64 + 1]: pages of the root handed to the
									checkpointer; applier */
	/* what was handed over; applier; pagecache/checkpoint.h */
	struct CheckpointRoot *checkpoint_root;
	struct InjectTable *inject; /* tests only; ipc/inject.h */
	uint8_t *frames;            /* [frame_count * PAGE_BYTES]: applier, pager (its own frames) */
	BackendArea **areas;        /* [slot_count], pointers made in private memory */
	/* private */
	int memfd;            /* -1: none, or given up */
	uint8_t *base;        /* of the whole mapping, total_bytes + wal_buffer_bytes */
	uint64_t total_bytes; /* of the memfd */
	uint8_t *area_bytes;  /* slot i's area is at i * shm_area_stride() */
} Shm;

/* The slots of links lie from PROC_ESSENTIAL_COUNT up to here, those of backends from here on. */
static inline uint32_t
shm_first_backend(const ShmLayout *layout)
{
	return PROC_ESSENTIAL_COUNT + layout->link_slots;
}

static inline bool
shm_is_link(const ShmLayout *layout, uint32_t slot)
{
	return slot >= PROC_ESSENTIAL_COUNT && slot < shm_first_backend(layout);
}

/* Bytes from one BackendArea to the next: whole pages of the machine. */
extern uint64_t shm_area_stride(void);

/*
 * Types that belong to modules above: their regions have these sizes (test_shmem.c
 * compares).
 */
#define SHM_RECOVERED_BYTES 4096       /* NodeRecovered */
#define SHM_HASHES_BYTES 4096          /* HashKept */
#define SHM_CHECKPOINT_ROOT_BYTES 4096 /* CheckpointRoot */
#define SHM_PAGE_META_BYTES 16         /* PageMeta */
#define SHM_FRAME_BYTES 8192           /* PAGE_BYTES */

/*
 * Makes the segment, zeroed.  Postmaster, before any fork; also the simulator and tests
 * (sealed = false: the same mapping without seals and without a descriptor kept, for one
 * process and what it forks).  RUSD_NO_MEMORY if it cannot be had, RUSD_INVALID for a layout
 * out of bounds. The result is freed by shm_destroy.
 */
extern Status shm_create(const ShmLayout *layout, bool sealed, Shm **result);
extern void shm_destroy(Shm *shm);
/* Bytes that shm_create will map (sparse), for the line printed at start. */
extern uint64_t shm_bytes(const ShmLayout *layout);

/*
 * Backend, at its start: gives up the right to write, or to see, all that is not its own,
 * and closes the descriptor.  Nothing that this process can call brings it back.
 * RUSD_NO_MEMORY: it could not be done; the process must end.
 */
extern Status shm_restrict(Shm *shm, uint32_t slot);
/* The same for a process that sends entries: it keeps the WAL buffers, to read. */
extern Status shm_restrict_sender(Shm *shm, uint32_t slot);

/* Any process: has the disk no room for log or data, so that puts are refused? */
extern bool shm_disk_is_full(const Shm *shm);

/* Raft. */
extern void shm_control_write(Shm *shm, const ControlState *state);
/* Any process.  Waits while raft writes; raft's death in the middle ends the readers too. */
extern void shm_control_read(const Shm *shm, ControlState *state);
/* Postmaster, which must outlive raft: one attempt; false if it fell into a write. */
extern bool shm_control_try_read(const Shm *shm, ControlState *state);
/* True if raft's last loop is younger than max_age_ns. */
extern bool shm_control_is_fresh(const Shm *shm, uint64_t now_ns, uint64_t max_age_ns);

/* Raft: ceiling and floor, under their change count. */
extern void shm_bounds_write(Shm *shm, uint64_t ceiling, uint64_t floor);
/* Any process; walwriter after each flush. */
extern void shm_bounds_read(const Shm *shm, uint64_t *ceiling, uint64_t *floor);

/* Applier. */
extern void shm_configuration_write(Shm *shm, const RaftConfiguration *configuration);
/* Any process.  Returns a count that is another one after each change. */
extern uint64_t shm_configuration_read(const Shm *shm, RaftConfiguration *configuration);
/* Postmaster, which must outlive the applier: one attempt; false if it fell into a write. */
extern bool shm_configuration_try_read(const Shm *shm, RaftConfiguration *configuration);

/* Raft; it then sets the applier's latch. */
extern void shm_install_write(Shm *shm, const InstallOrder *order);
/* Any process.  All 0: there was none. */
extern void shm_install_read(const Shm *shm, InstallOrder *order);

/* Applier. */
extern void shm_root_write(Shm *shm, const RootState *state);
/* Any process. */
extern void shm_root_read(const Shm *shm, RootState *state);

/* Anyone: sets slot's bit.  The caller then sets the consumer's latch. */
extern void marks_set(Marks *marks, uint32_t slot);
/*
 * Consumer: takes the lowest marked word at or after *word and clears it; false at the end.
 * *word tells which: slot s of it is bit s % 64 of *bits where s / 64 == *word.  The caller
 * adds one to *word and calls again.
 */
extern bool marks_take(Marks *marks, uint32_t *word, uint64_t *bits);
/* Any process: is there a mark that is not taken yet? */
extern bool marks_exist(const Marks *marks);

#endif /* IPC_SHMEM_H */
