/*
 * checkpoint.h
 *	  The control record, and the step function of the checkpointer.
 *
 * A checkpoint writes the dirty pages of one root (those born after the previous checkpoint's root:
 * nothing else can be dirty) to places that the previous checkpoint does not use, and a map of the
 * pages in use into the one of two map files that the previous checkpoint does not use; syncs; waits
 * until flushed covers the root's applied index; then writes and syncs one of two control records,
 * alternating.  Only then are durable_root and durable_index advanced, and the end of the file cut.
 *
 * src/include/pagecache/checkpoint.h
 */
#ifndef PAGECACHE_CHECKPOINT_H
#define PAGECACHE_CHECKPOINT_H

#include "format/walformat.h"
#include "pagecache/page.h"
#include "port/clock.h"
#include "port/fs.h"

#define CONTROL_MAGIC 0x4c525443 /* "CTRL" */
#define CONTROL_VERSION 2
#define CONTROL_COPY_BYTES 4096 /* file control: two copies at 0 and 4096 */

typedef struct ControlRecord
{
	uint32_t crc; /* of all that follows */
	uint32_t magic;
	uint32_t version;
	uint32_t page_bytes;
	uint64_t sequence; /* the valid copy with the higher one counts */
	uint64_t cluster_id;
	uint64_t member_id;
	HardState hard_state;
	RaftConfiguration configuration;
	RootState root;    /* applied index and term included */
	uint32_t map_file; /* which of the two map files has the map of used pages */
	uint32_t map_crc;  /* of the whole file, header included */
	uint64_t map_bits; /* pages it covers; 0: no page is used and no file is needed */
	uint64_t
		generation; /* of the data file and the map files: rises with each installed snapshot */
	LogBegin log_begin;
} ControlRecord;

StaticAssert(sizeof(ControlRecord) <= CONTROL_COPY_BYTES, "a control record is one copy");
StaticAssert(sizeof(ControlRecord) == 1288, "disk format");
StaticAssert(offsetof(ControlRecord, root) == 1112, "disk format");
StaticAssert(offsetof(ControlRecord, map_file) == 1240, "disk format");
StaticAssert(offsetof(ControlRecord, generation) == 1256, "disk format");

/* The newest valid copy.  RUSD_NOT_FOUND: no file.  RUSD_DAMAGED: no valid copy. */
extern Status control_read(FileOps *fs, ControlRecord *record);
/*
 * Startup, before anything that the copy before it needs is reused: the same, and what it gives is
 * durable.  A process that was killed may have written the copy and not synced it.  RUSD_IO also if it
 * cannot be synced.
 */
extern Status control_recover(FileOps *fs, ControlRecord *record);
/* Writes record (crc filled in) over the older copy, sequence being one higher, and syncs. */
extern Status control_write(FileOps *fs, ControlRecord *record);

/* ---- files: the data file and both map files have a generation in their names ---- */
#define DATA_NAME_BYTES 40
extern void data_file_name(char name[DATA_NAME_BYTES], uint64_t generation);
extern void map_file_name(char name[DATA_NAME_BYTES], uint64_t generation, uint32_t which);
/* Startup: are there data or map files of other generations? */
extern Status data_files_find_others(FileOps *fs, uint64_t generation, bool *found);
/* Startup: removes data and map files of all generations but this one. */
extern Status data_files_remove_others(FileOps *fs, uint64_t generation);

/* A received snapshot (snapshot/snapshot.h): its pages at their places, under the data file's rules. */
#define INCOMING_FOLDER "incoming"
#define INCOMING_DATA_NAME "incoming/data"

/*
 * What the applier hands over: written by applier, then root_given is advanced to root_wanted.
 *
 * A root of the generation of the last checkpoint is one of its trees: its new pages are in the frames.
 * A root of the next generation is that of a received snapshot: all its pages are in
 * INCOMING_DATA_NAME, durable, and the file becomes the data file.
 */
typedef struct CheckpointRoot
{
	cache_aligned _Atomic uint64_t root_given; /* the ShmRequests.root_wanted that this answers */
	RootState root;
	uint64_t log_position; /* flushed must reach this */
	HardState hard_state;
	RaftConfiguration configuration;
	uint64_t bitmap_bits; /* pages that shm->checkpoint_bitmap covers */
	uint64_t generation;
	LogBegin log_begin;
} CheckpointRoot;

StaticAssert(sizeof(CheckpointRoot) <= SHM_CHECKPOINT_ROOT_BYTES,
			 "a root that is handed over has its region");

/* Head of a map file; words of 64 bits follow, bit n % 64 of word n / 64 for page n. */
#define MAP_MAGIC 0x50414d52 /* "RMAP" */
#define MAP_VERSION 1
typedef struct MapHeader
{
	uint32_t magic;
	uint32_t version;
	uint64_t root; /* number of the checkpoint's root */
	uint64_t bits;
} MapHeader;

StaticAssert(sizeof(MapHeader) == 24, "disk format");

typedef struct Checkpointer Checkpointer;

/* The control record must exist (startup writes the first one).  Publishes durable_root and
 * durable_index from it. */
extern Status checkpointer_create(Shm *shm, FileOps *fs, const ClockOps *clock,
								  uint64_t interval_ns, uint64_t log_bytes, Checkpointer **result);
/*
 * From now on the file is kept so many pages larger than what is in use, so that no checkpoint needs
 * room; where that cannot be, ShmRequests.data_limit tells it, and proposals are refused.
 */
extern void checkpointer_reserve(Checkpointer *checkpointer, uint64_t pages);
/*
 * One turn of at most some 256 pages written.  RUSD_AGAIN: nothing to do or waiting (for the
 * applier, for flushed).  RUSD_NO_ROOM: not enough disk for this checkpoint; the previous one
 * stays, tried again later.  RUSD_IO: stop the node.
 */
extern Status checkpointer_step(Checkpointer *checkpointer);
extern void checkpointer_destroy(Checkpointer *checkpointer);

/* Applier, at start: reads the map of used pages of the recovered checkpoint; the caller frees
 * *bitmap (NULL where *bits is 0). */
extern Status checkpoint_read_used(FileOps *fs, const ControlRecord *record, uint64_t **bitmap,
								   uint64_t *bits);

#endif /* PAGECACHE_CHECKPOINT_H */
