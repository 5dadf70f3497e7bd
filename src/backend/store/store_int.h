/*
 * store_int.h
 *	  What the files of store/ share.
 *
 * src/backend/store/store_int.h
 */
#ifndef STORE_INT_H
#define STORE_INT_H

#include "port/fault.h"
#include "store/range.h"
#include "store/store.h"

/* ---- encode.c: a KeyValue as protobuf has it ------------------------------- */
typedef enum ItemForm
{
	ITEM_FULL,
	ITEM_KEYS,      /* keys_only: without value and lease (KV-38) */
	ITEM_KEYS_LEASE /* keys_only sorted by VALUE: without value, with lease (KV-38) */
} ItemForm;

/* Tag, varint of the length, tag, varint of the key's length; or two tags and five numbers. */
#define ITEM_SMALL_BYTES 64

/* Encodes one item in as many pieces as the caller's buffers make of it. */
typedef struct ItemEncoder
{
	RangeItem item;
	ItemForm form;
	uint32_t part;   /* ItemPart in encode.c */
	uint64_t offset; /* in that part */
	uint32_t small_length;
	TreeHint hint;
	uint8_t small[ITEM_SMALL_BYTES];
} ItemEncoder;

/* From a cell that is not a tombstone.  RUSD_DAMAGED if it has no record. */
extern Status item_from_cell(const TreeCell *cell, RangeItem *item);
extern uint64_t item_length(const RangeItem *item, ItemForm form);
/* Of the field: tag, length and the KeyValue. */
extern uint64_t item_field_length(const RangeItem *item, ItemForm form);
/* All of it lies in the leaf: item_put may be used. */
extern bool item_is_inline(const RangeItem *item, ItemForm form);
/* Writes the field (tag 0: the KeyValue alone); returns the end. */
extern uint8_t *item_put(const RangeItem *item, ItemForm form, uint8_t tag, uint8_t *out);
/* tag 0: the KeyValue alone. */
extern void encoder_begin(ItemEncoder *encoder, const RangeItem *item, ItemForm form, uint8_t tag);
extern bool encoder_is_done(const ItemEncoder *encoder);
extern Status encoder_pull(ItemEncoder *encoder, PageAccess *access, uint8_t *buffer, size_t max,
						   size_t *got);
/* Key bytes alone as field 1 (a tombstone's record), for hashes. */
extern uint32_t key_field_head(uint64_t key_length, uint8_t *out);

/* ---- walk.c: the keys of an interval, as they were at a view --------------- */
typedef struct RangeWalk
{
	PageAccess *access;
	TreeRoot root;
	Bytes from;
	Bytes end;        /* not used where has_end is false */
	uint64_t view_hi; /* first (hi, lo) of a key that the view sees */
	uint64_t view_lo;
	bool has_end;
	bool point;  /* one key */
	bool newest; /* RECORD_LIVE cells are what the view sees */
	bool descending;
	bool known; /* the caller stops by count: ends need not be compared */
	bool started;
	bool passed; /* cursor is on the last item's key still */
	bool done;
	TreeCursor cursor;
} RangeWalk;

/* The first cell (hi, lo) of a key that view (main, sub) sees. */
extern void view_first(int64_t view_main, uint64_t view_sub, uint64_t *hi, uint64_t *lo);
/* newest: see RangeWalk. */
extern void walk_begin(RangeWalk *walk, PageAccess *access, TreeRoot root, Bytes key,
					   Bytes range_end, int64_t view_main, uint64_t view_sub, bool newest,
					   bool descending);
/* RUSD_END after the last. */
extern Status walk_next(RangeWalk *walk, RangeItem *item);
/* The interval as keys of the tree: false if it is empty (KV-23).  *to is set only where *has_to.
 */
extern bool interval_bounds(Bytes key, Bytes range_end, TreeKey *from, TreeKey *to, bool *has_to);
extern bool view_is_newest(const Snapshot *snapshot, int64_t view_main);

/* ---- rangesort.c: items in an order that is not that of keys --------------- */
#define RANGE_HEAP_BYTES (4 * 1024 * 1024)

typedef struct SortEntry
{
	uint64_t number; /* order of it is order of the target; of VALUE: its first bytes */
	TreeCell cell;
} SortEntry;

#define SORT_ENTRIES_MAX (RANGE_HEAP_BYTES / sizeof(SortEntry))

/* The best entries of those offered: a heap with the worst on top until sort_finish has put them in
 * order. */
typedef struct Sorter
{
	PageAccess *access;
	SortTarget target;
	bool descending;
	Status status; /* first error of a page */
	SortEntry *entries;
	uint32_t capacity;
	uint32_t count;
	bool has_floor; /* only what comes after floor */
	SortEntry floor;
} Sorter;

extern Status sorter_create(Sorter *sorter, PageAccess *access, SortTarget target, bool descending,
							uint64_t wanted);
extern void sorter_destroy(Sorter *sorter);
extern void sorter_offer(Sorter *sorter, const RangeItem *item);
extern Status sorter_finish(Sorter *sorter);
/* Begins the next pass, for what comes after the last entry of this one. */
extern void sorter_next_pass(Sorter *sorter);

/* ---- hash.c: HashKV over a store that may change between steps (but not up to its revision) ----
 */
typedef struct HashJob
{
	int64_t revision;
	int64_t compacted;
	bool of_compaction; /* the set kept is that of the compaction: a tombstone at revision counts as
						   kept */
	bool keep_known;    /* keep_any has been found out */
	bool keep_any;
	uint64_t next_main; /* going down while keep_any is looked for, then up over the records */
	uint64_t next_sub;
	uint32_t crc;
	uint8_t *scratch;
	uint64_t scratch_bytes;
} HashJob;

extern void hash_job_begin(HashJob *job, int64_t revision, int64_t compacted, bool of_compaction);
/* RUSD_AGAIN until it is over. */
extern Status hash_job_step(HashJob *job, const Snapshot *snapshot, uint32_t records);
extern void hash_job_end(HashJob *job);
/* Applier: the hash of a finished compaction. */
extern void hash_keep(HashKept *kept, int64_t revision, int64_t compact_revision, uint32_t hash);
extern bool hash_kept(const HashKept *kept, int64_t revision, int64_t *compact_revision,
					  uint32_t *hash);

/* ---- the writer's side ----------------------------------------------------- */
typedef struct Scratch
{
	uint8_t *data;
	uint64_t bytes;
} Scratch;

#define COMPACTIONS_QUEUED 16

typedef struct CompactionJob
{
	int64_t revision;
	int64_t previous; /* compaction point before it */
	bool hashed;      /* its hash will be kept */
} CompactionJob;

typedef struct Compaction
{
	CompactionJob queue[COMPACTIONS_QUEUED]; /* [0] is the one under way */
	uint32_t count;
	bool begun;
	bool hashing;
	HashJob hash;
	uint64_t next_main; /* where removal goes on */
	uint64_t next_sub;
} Compaction;

#define STORE_TREES 3

struct Store
{
	Shm *shm;
	PageAccess access;
	PageSpace *space;
	TreeWriter keys;
	TreeWriter revisions;
	TreeWriter system;
	RootState state; /* of the trees being built; roots and page counts are those of the last
						publication */
	int64_t quota;
	uint64_t member_id;
	/* the entry that is being applied */
	int64_t main; /* revision that its first change makes */
	uint64_t sub; /* changes so far */
	Scratch key;
	Scratch value;
	Compaction compaction;
	TreeResume *moving;
	uint32_t moving_tree;
	uint64_t moving_limit;
};

/* Room for bytes at least.  RUSD_NO_MEMORY stops the node: it must not become a result. */
extern Status scratch_reserve(Scratch *scratch, uint64_t bytes);
/* The trees being built, for reading. */
extern void store_building(const Store *store, Snapshot *snapshot);

/* kv.c.  Page errors, or RUSD_OK. */
extern Status store_put(Store *store, const Op *op);
extern Status store_delete_range(Store *store, Bytes key, Bytes range_end, uint64_t *deleted);
/* KV-71, of a put and inside a transaction (TXN-30): *verdict is the result. */
extern Status store_check_put(Store *store, const Snapshot *snapshot, const Op *op,
							  Status *verdict);

/* txn.c */
extern Status store_txn(Store *store, const uint8_t *ops, size_t length, uint64_t *choices,
						Status *verdict);
/* QUOTA-3: from above where nesting is deeper than anyone's. */
extern uint64_t txn_cost(const uint8_t *ops, size_t length);
extern bool txn_has_put(const uint8_t *ops, size_t length);

/* compact.c */
extern Status compaction_apply(Store *store, const EntryCompact *compact, ApplyResult *result);
extern void compaction_resume(Store *store);
extern Status compaction_step(Store *store, uint64_t promised);
/* Frames that other entries must leave, or nothing could make room any more. */
extern uint64_t compaction_reserve(const Store *store);

/* system.c */
extern Status system_put(Store *store, const char *name, const void *value, size_t length);
extern Status system_remove(Store *store, const char *name);
extern Status system_alarm(Store *store, const EntryAlarm *alarm, ApplyResult *result);
extern Status system_cluster_version(Store *store, const uint8_t *payload, size_t length);
/* RUSD_NOT_FOUND */
extern Status system_find(const Snapshot *snapshot, const char *name, TreeCell *cell);

#define SYSTEM_NAME_BYTES 48

static inline Bytes
system_name(const char *name)
{
	return (Bytes){.data = (const uint8_t *) name, .length = strlen(name)};
}

/* members.c */
extern Status system_member(Store *store, uint64_t index, const uint8_t *payload, size_t length,
							ApplyResult *result);

#endif /* STORE_INT_H */
