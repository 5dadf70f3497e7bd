/*
 * store.h
 *	  The state machine's data: three trees, revisions, compaction, alarms, members.  Writers are
 * the applier's, readers anyone's.
 *
 * by key: (key, ~main, ~sub) -> KeyRecord, value.  RECORD_LIVE on the newest version of a key that
 * is not deleted: its weights are 1, its encoded bytes, and those without value and lease.
 * RECORD_TOMBSTONE: nothing but the key.
 *
 * by revision: ("", main, sub) -> key; flag RECORD_TOMBSTONE.
 *
 * system: name -> value: "member/<id>", "removed/<id>", "alarm/<id>/<type>", "cluster-version",
 * "compaction" (ids: 16 hex digits).
 *
 * src/include/store/store.h
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "btree/btree.h"
#include "format/entry.h"
#include "store/snapshot.h"

#define RECORD_LIVE 1
#define RECORD_TOMBSTONE 2

/* Head of a value in the tree by key. */
typedef struct KeyRecord
{
	int64_t create_revision;
	int64_t version;
	int64_t lease;
} KeyRecord;

/* Bits of RootState.alarms. */
#define STORE_ALARM_NOSPACE 1
#define STORE_ALARM_CORRUPT 2

extern void store_weigh_keys(const TreeCell *cell, TreeSum *sum);
extern void store_weigh_count(const TreeCell *cell, TreeSum *sum); /* the other trees: 1 a cell */

/* ---- anyone with a snapshot ------------------------------------------------ */
/* KV-33: RUSD_FUTURE_REV, RUSD_COMPACTED or OK; revision <= 0 is latest. */
extern Status store_check_revision(const RootState *root, int64_t revision);

/*
 * Do the compares of one OP_TXN hold at the view (TXN-20 to TXN-25)?  Used by the applier to
 * choose, and by the backend to find out afterwards what was chosen.
 */
extern Status store_compare(const Snapshot *snapshot, const uint8_t *ops, const Op *txn,
							int64_t view_main, bool *holds);

typedef struct AlarmMember
{
	uint64_t member_id;
	uint32_t alarm;
} AlarmMember;
/* Up to max, in ascending order; *count is how many there are. */
extern Status store_alarms(const Snapshot *snapshot, AlarmMember *alarms, uint32_t max,
						   uint32_t *count);

#define MEMBER_URLS_MAX 16
typedef struct StoreMember
{
	uint64_t id;
	bool is_learner;
	char *name; /* all strings are in buffer, which the caller frees */
	char *peer_urls[MEMBER_URLS_MAX];
	uint32_t peer_url_count;
	char *client_urls[MEMBER_URLS_MAX];
	uint32_t client_url_count;
	char *buffer;
} StoreMember;
/* The member with the lowest id above after (0: the first).  RUSD_END.  store_member_free for each.
 */
extern Status store_next_member(const Snapshot *snapshot, uint64_t after, StoreMember *member);
extern void store_member_free(StoreMember *member);
/*
 * Is a change of members right by the table of this snapshot (CLUSTER-13, the first that does not hold)?  body:
 * EntryMember and its strings, has passed entry_check.  Before it is proposed, with judged_at no newer than this
 * snapshot: the applier judges no more.
 */
extern Status store_judge_member(const Snapshot *snapshot, const uint8_t *body, size_t length);
/* Was a member of this id removed, ever (CLUSTER-32)?  RUSD_OK, RUSD_NOT_FOUND. */
extern Status store_find_removed(const Snapshot *snapshot, uint64_t id);
/* "3.7.0", or "" while undecided. */
extern Status store_cluster_version(const Snapshot *snapshot, char *buffer, size_t size);

/* HashKV (MAINT-31 to 34).  Works in slices: call until it does not return RUSD_AGAIN. */
typedef struct HashKv HashKv;
extern Status hash_kv_begin(const Snapshot *snapshot, int64_t revision,
							HashKv **result); /* RUSD_COMPACTED, RUSD_FUTURE_REV */
extern Status hash_kv_step(HashKv *hash, uint32_t *value, int64_t *compact_revision,
						   int64_t *hash_revision);
extern void hash_kv_end(HashKv *hash);
/* Hash (MAINT-30): over all three trees; the same way. */
typedef struct HashAll HashAll;
extern Status hash_all_begin(const Snapshot *snapshot, HashAll **result);
extern Status hash_all_step(HashAll *hash, uint32_t *value);
extern void hash_all_end(HashAll *hash);

#define HASHES_KEPT 10
typedef struct HashKept /* in shared memory, written by the applier under a change count */
{
	_Atomic uint64_t change_count;
	struct
	{
		_Atomic int64_t revision; /* 0: none */
		_Atomic int64_t compact_revision;
		_Atomic uint64_t hash;
	} kept[HASHES_KEPT];
} HashKept;

/*
 * Pages that applying this proposal may take, by the state that the backend sees.  Of a delete from
 * the sums in the inner nodes.  Until the entry is applied a value that it keeps may have become as
 * long as value_max.  Backend, before it proposes; what is off is made up for by the applier, which
 * waits for frames.
 */
extern Status store_estimate(const Snapshot *snapshot, uint32_t kind, const uint8_t *payload,
							 size_t length, uint64_t value_max, uint64_t *pages);

/* ---- applier
 * ------------------------------------------------------------------------------------------------
 */
typedef struct Store Store;

typedef struct ApplyResult
{
	Status status;
	int64_t revision; /* of the store after it */
	bool changed;
	bool over_quota; /* QUOTA-6 */
	bool deferred;   /* physical compaction: answer when store_compaction_finished() >= (int64_t)
						value */
	uint64_t value; /* delete: keys deleted.  txn: bit n tells that the n-th transaction on the path
					 * held (the first 64).  member: index. alarm: 1 if the answer names the alarm
					 * (MAINT-3, 4) */
} ApplyResult;

/*
 * state: the recovered root (number 0, revision 1: a new store).  used: see space_create.  quota in
 * bytes, < 0: none; 0 is not allowed here.
 */
extern Status store_create(Shm *shm, PageAccess access, const RootState *state,
						   const uint64_t *used, uint64_t used_bits, int64_t quota,
						   uint64_t member_id, Store **result);
extern void store_destroy(Store *store);
/*
 * Applies one entry to the trees being built.  What follows from replicated state is a result;
 * anything else that is returned (an error of a page) is fatal for the node.
 */
extern Status store_apply(Store *store, uint32_t kind, uint64_t index, uint64_t term,
						  const uint8_t *payload, size_t length, ApplyResult *result);
/*
 * Frames that should be free to apply this entry to the trees being built: what it may take, from
 * above, and what a compaction needs, without which nothing would make room afterwards.  To be asked
 * before store_apply: an entry that is begun cannot wait for frames any more.
 */
extern Status store_frames_needed(Store *store, uint32_t kind, const uint8_t *payload,
								  size_t length, uint64_t *pages);
/* As of now, while store_root tells what was free at the last publication. */
extern uint64_t store_frames_free(const Store *store);
/* Pages that a checkpoint or the end of a reader can still give back. */
extern uint64_t store_pages_dead(const Store *store);
/* Publishes the trees as a new root in shared memory; returns its number.  After this store_root
 * tells it. */
extern uint64_t store_publish(Store *store);
/* Nothing was built since store_publish, but pages were taken back: tells how many are free, under
 * the same root. */
extern void store_publish_counts(Store *store);
/* The number that the next store_publish will give. */
extern uint64_t store_next_root(const Store *store);
extern const RootState *store_root(const Store *store);
/* Was this member removed from its cluster, by what is applied? */
extern Status store_own_removed(Store *store, bool *removed);
/* Something to do between batches: a compaction under way? */
extern bool store_has_background(const Store *store);
/* One slice of it: at most some 1,000 revisions (COMPACT-10).  The caller publishes afterwards.
 * promised: frames that it leaves to others, but for one removal a slice.  RUSD_AGAIN: not while so
 * few frames are free. */
extern Status store_background(Store *store, uint64_t promised);
/*
 * frames pages are wanted and not there: takes back what can be, and if that is not enough ends the
 * oldest snapshots, one root at a time.  True if counts are to be published.
 */
extern bool store_make_room(Store *store, uint64_t frames);
/* All snapshots below that root must go, and no new one of such a root is given: for a root that is to be
 * published next. */
extern void store_end_snapshots(Store *store, uint64_t root);
/* Does any process hold a snapshot or a result? */
extern bool store_is_pinned(Store *store);
/* The compaction revision up to which removal is finished; physical answers wait for it. */
extern int64_t store_compaction_finished(const Store *store);
/* Hands the published root and its bitmap to the checkpointer (fills shm->checkpoint_root but for
 * log position, hard state, configuration, generation and log begin). */
extern void store_hand_over(Store *store, struct CheckpointRoot *handed);
/* Defragment: moves pages from the tail down; *done when the walk over all trees is over (the next
 * call begins another).  Between batches; the caller publishes. */
extern Status store_defragment_step(Store *store, bool *done);

#endif /* STORE_STORE_H */
