/*
 * node_fixture.h
 *	  The parts of a node on a simulated disk; the test plays raft, backends and the transfer of states.
 *
 * What returns a Status fails only when the disk's power is cut; anything else fails the test.
 *
 * test/unit/node_fixture.h
 */
#ifndef NODE_FIXTURE_H
#define NODE_FIXTURE_H

#include "../sim/simdisk.h"
#include "applier/applier.h"
#include "btree/btree.h"
#include "pagecache/checkpoint.h"
#include "snapshot/snapshot.h"
#include "wal/wal.h"

#define CLUSTER 0xc1
#define FRAMES 768
#define SEGMENT_BYTES (64 * 1024)
#define CHUNK_BYTES (40 * 1024)
#define SECOND UINT64_C(1000000000)
#define TERM 3

typedef struct Node
{
	ClockOps clock; /* first: the parts' clock is the test's */
	uint64_t now_ns;
	SimDisk *disk;
	FileOps *fs;
	Shm *shm;
	WalWriter *writer;
	Pager *pager;
	Applier *applier;
	Checkpointer *checkpointer;
	WalAppender appender;
	PageAccess reader; /* a backend */
	PageAccess transfer;
	uint64_t index; /* of the log */
	uint64_t order;
	bool flushes; /* walwriter runs */
} Node;

/* ---- a node ------------------------------------------------------------------------- */
/* Makes a new member or recovers what is on the disk; FRAMES frames, or so many. */
extern Status node_begin(Node *node, SimDisk *disk, uint64_t member);
extern Status node_start_frames(Node *node, SimDisk *disk, uint64_t member, uint64_t frames);
/* May be called of one that was never begun. */
extern void node_stop(Node *node);
/* The power fails, and it begins again. */
extern void restart(Node *node, uint64_t member);
/* One turn of each part; *did: one of them did something. */
extern Status node_turn(Node *node, bool *did);
/* Until nothing is left to be done. */
extern Status settle(Node *node);
/* A batch of one record; index 0: it is no entry. */
extern Status append(Node *node, uint32_t kind, uint64_t index, const void *payload,
					 uint32_t length);
/* All that is in the log. */
extern Status commit(Node *node);
/* A value that follows from number and length, some of them in overflow pages. */
extern Status put(Node *node, uint64_t key, uint64_t value, size_t length);
extern Status put_many(Node *node, uint64_t from, uint64_t to, uint64_t seed);
extern Status delete_key(Node *node, uint64_t key);
/* The member's entry, judged by the configuration as of that index. */
extern void add_member(Node *node, uint64_t id, uint64_t judged_at);
extern Status compact(Node *node, int64_t revision);
extern Status checkpoint(Node *node);
/* Over all that the newest root holds. */
extern uint32_t state_hash(Node *node, RootState *root);
extern void assert_same_state(Node *a, Node *b);
extern bool has_file(SimDisk *disk, const char *name);

/* ---- a transfer ---------------------------------------------------------------------- */
/* Where next_chunk puts it. */
extern alignas(64) uint8_t chunk_buffer[CHUNK_BYTES];
extern Status next_chunk(SnapshotSend *send, size_t room, size_t *length);
/* What a transfer over a good network comes to. */
extern Status receive_from(Node *from, Node *to, uint64_t *index, uint64_t *term);
extern void order_install(Node *node, uint64_t index, uint64_t term);
extern bool install_is_done(const Node *node);
extern Status install_status(const Node *node);
/* As raft does it; meanwhile the log gets hard states, over the end of a segment. */
extern Status install(Node *node, uint64_t index, uint64_t term);
extern Status receive_and_install(Node *from, Node *to);

/* ---- two of them ---------------------------------------------------------------------- */
typedef struct Pair
{
	SimDisk *disks[2];
	Node source;
	Node target;
} Pair;

/* Fixture: two new disks, other seeds each time.  What was begun is stopped. */
extern int pair_set_up(void **state);
extern int pair_tear_down(void **state);
extern void make_source(Node *node, SimDisk *disk);
/* A member that was left behind: less, other things, some of it, tail entries, not committed. */
extern void make_target(Node *node, SimDisk *disk, uint64_t tail);

#endif /* NODE_FIXTURE_H */
