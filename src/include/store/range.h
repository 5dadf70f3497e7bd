/*
 * range.h
 *	  Reading keys in constant memory: Range with all its options, at any view.
 *
 * A view is a point in the order of changes: everything with (main, sub) below (view_main,
 * view_sub) is seen.  A read at revision r has the view (r + 1, 0); inside a transaction running
 * under main m, after s changes, it is (m, s).
 *
 * Order of use: range_open, range_measure, then range_pull until all bytes are there, range_close.
 * Nothing is allocated but the heap of a sort that is not by key, which is bounded
 * (RANGE_HEAP_BYTES) and makes passes.
 *
 * src/include/store/range.h
 */
#ifndef STORE_RANGE_H
#define STORE_RANGE_H

#include "btree/btree.h"
#include "store/snapshot.h"

typedef enum SortOrder
{
	SORT_NONE,
	SORT_ASCEND,
	SORT_DESCEND
} SortOrder;

typedef enum SortTarget
{
	SORT_KEY,
	SORT_VERSION,
	SORT_CREATE,
	SORT_MOD,
	SORT_VALUE
} SortTarget;

typedef struct RangeSpec
{
	Bytes key;       /* must outlive the reader */
	Bytes range_end; /* KV-20 to KV-23 */
	int64_t view_main;
	uint64_t view_sub;
	int64_t limit; /* <= 0: none */
	SortOrder order;
	SortTarget target;
	bool keys_only;
	bool count_only;
	int64_t min_mod, max_mod, min_create, max_create; /* 0: unset */
	uint8_t field_tag; /* tag byte before each KeyValue: 0x12 for RangeResponse.kvs, 0x1a for
						  DeleteRangeResponse.prev_kvs */
} RangeSpec;

/* One key as it was at the view; cell pointers are into pages. */
typedef struct RangeItem
{
	TreeCell cell;
	int64_t create_revision, mod_revision, version, lease;
	uint64_t value_length;
} RangeItem;

typedef struct RangeReader RangeReader;

/* RUSD_COMPACTED, RUSD_FUTURE_REV are the caller's to check (store_check_revision). RUSD_NO_MEMORY.
 */
extern Status range_open(const Snapshot *snapshot, const RangeSpec *spec, RangeReader **result);
/* count: keys in the interval (KV-36); bytes: of all KeyValue fields with tags and lengths, as
 * range_pull will give them; more: KV-35. */
extern Status range_measure(RangeReader *reader, int64_t *count, uint64_t *bytes, bool *more);
/* Encodes on: at most max bytes into buffer, *got > 0 until all of `bytes` have been given.
 * RUSD_END after them.  RUSD_SNAPSHOT_ENDED. */
extern Status range_pull(RangeReader *reader, uint8_t *buffer, size_t max, size_t *got);
/*
 * The same, but whole items only: as many as fit.  None where the next is larger than max, or has
 * parts in other pages: *length tells its bytes then, and they come by range_pull.
 */
extern Status range_pull_whole(RangeReader *reader, uint8_t *buffer, size_t max, size_t *got,
							   uint64_t *length);
extern void range_close(RangeReader *reader);
/* Private memory that a reader of this spec takes, for accounting. */
extern uint64_t range_memory(const RangeSpec *spec);

/*
 * The hot path: one key, no sort, no filter.  RUSD_NOT_FOUND if the key is not there at the view.
 * Nothing to close.
 */
extern Status range_get(const Snapshot *snapshot, Bytes key, int64_t view_main, uint64_t view_sub,
						RangeItem *item);
/* Encoded KeyValue (without tag and length): its length, and its bytes.  keys_only leaves out lease
 * and value (KV-38). */
extern uint64_t range_item_length(const RangeItem *item, bool keys_only);
extern Status range_item_encode(const Snapshot *snapshot, const RangeItem *item, bool keys_only,
								uint8_t *buffer);

#endif /* STORE_RANGE_H */
