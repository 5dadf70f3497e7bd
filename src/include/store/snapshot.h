/*
 * snapshot.h
 *	  How a process holds a version of the store: pins.
 *
 * snapshot_pin writes the newest root's number into a free pin of its own area, fences, and reads
 * the root again: if it is still the newest, or one of those that cannot have been reclaimed since,
 * the pin holds; else it tries with the newer.  Pairs with space_reclaim, which fences and then
 * reads all pins.  A dead process's pins are cleared with its slot.
 *
 * Moving from a result pin to a snapshot pin sets the second before it gives up the first, so
 * whoever collects pins reads a slot's result pin BEFORE its snapshot pins: it sees one of the two.
 *
 * src/include/store/snapshot.h
 */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "pagecache/page.h"

typedef struct Snapshot
{
	PageAccess *access;
	RootState root;
	int pin; /* index in snapshot_pins; -1: held by something else (a result pin, the applier
				itself) */
	/* A view (m, 0) with m above it sees the newest version of every key, so that sums and
	 * RECORD_LIVE may be used.  INT64_MAX: none is known to (the root that a reply names may hold
	 * later changes too). */
	int64_t newest_main;
} Snapshot;

/* Pins the newest root.  RUSD_AGAIN: all SNAPSHOT_PINS hold other roots (two snapshots of one root
 * share nothing; callers share Snapshots).  RUSD_TIMEOUT_WAIT_APPLIED: this state is about to be replaced by an
 * installed snapshot; soon there is another. */
extern Status snapshot_pin(PageAccess *access, Snapshot *snapshot);
extern void snapshot_unpin(Snapshot *snapshot);
/* Room ran short and this one is too old: the caller must end what it does with RUSD_SNAPSHOT_ENDED
 * and unpin. */
extern bool snapshot_is_ended(const Snapshot *snapshot);
/*
 * A snapshot of the tree by key that a reply names, while its result pin is counted; revision and
 * compaction point are the reply's and the newest root's. snapshot_pin_reply moves it under a
 * snapshot pin of its own (before something slow); result_unpin subtracts from the result pin.
 */
extern void snapshot_of_reply(PageAccess *access, const Reply *reply, Snapshot *snapshot);
extern Status snapshot_pin_reply(PageAccess *access, const Reply *reply, Snapshot *snapshot);
extern void result_unpin(BackendArea *area);
/* Applier: adds one to a backend's result pin. */
extern void result_pin(BackendArea *area, uint64_t root);

#endif /* STORE_SNAPSHOT_H */
