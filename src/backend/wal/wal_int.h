/*
 * wal_int.h
 *	  Shared by the files of this folder only: writing whole segments at start, and preparing the next ones.
 *
 * src/backend/wal/wal_int.h
 */
#ifndef WAL_INT_H
#define WAL_INT_H

#include "wal/recovery.h"
#include "wal/segment.h"
#include "wal/wal.h"

/* A salt that is neither 0 nor the one given. */
extern uint32_t wal_new_salt(uint32_t other);

/*
 * Makes a new file, in place of one of that name: that one is not written to, since its inode may be a segment on disk still, where a crash came
 * between a rename and the sync of the folder.  A handle or -errno.
 */
extern int wal_create_file(FileOps *fs, const char *name);

/* ---- build.c: a segment written in one go, at start --------------------------------------------------- */
typedef struct SegmentBuild
{
	FileOps *fs;
	const char *name; /* under which it is written */
	int file;
	bool is_new;             /* no blocks yet: what is not written is filled with zeros */
	uint64_t name_index;     /* first index in the file's name */
	WalSegmentHeader header; /* of the opening kind, without checksum */
	uint64_t position;       /* of the next batch */
	uint32_t crc;            /* of the batch before */
	uint64_t written;        /* offset in the file up to which staging was written out */
	uint32_t staged;
	uint8_t *staging;
	uint32_t capacity;
} SegmentBuild;

/* header: all but checksum and flags' WAL_HEADER_OPENING.  With reuse the file exists and has its blocks. */
extern Status segment_build_begin(SegmentBuild *build, FileOps *fs, const char *name, bool reuse,
								  uint64_t name_index, const WalSegmentHeader *header);
/* Copies a batch (length bytes, header first) to the next place, giving it position, salt and checksums of its place. */
extern Status segment_build_add(SegmentBuild *build, const void *batch, uint32_t length);
/* The next batch: that hard state, then these entries, of its term, from first_index on.  RUSD_INVALID: too large. */
extern Status segment_build_entries(SegmentBuild *build, const HardState *hard_state,
									uint64_t first_index, const InitialEntry *entries,
									uint32_t count);
/* Is there room for an idle mark? */
extern bool segment_build_has_room(const SegmentBuild *build);
/* Fills up, writes both headers, syncs, gives the file its name and syncs the folder: it counts. */
extern Status segment_build_finish(SegmentBuild *build);
/* In any case. */
extern void segment_build_end(SegmentBuild *build);

/* ---- rewrite.c ------------------------------------------------------------------------------------------ */
/*
 * Copies the batches of an open segment up to end into a fresh file with a new salt that takes its place, behind them an idle mark.  garbage: a
 * prepared segment that holds nothing and may be used for it, or NULL.  Fills in log_end, previous_crc, segment_salt of result.
 */
extern Status wal_rewrite_segment(WalSegmentFile *segment, const WalName *name, uint64_t end,
								  const WalName *garbage, NodeRecovered *result);

/* ---- prepare.c: walwriter's supply of segments ------------------------------------------------------------ */
typedef struct WalSupply WalSupply;

extern Status wal_supply_create(Shm *shm, FileOps *fs, const ClockOps *clock, bool keep_all,
								uint64_t keep_bytes, WalSupply **result);
extern void wal_supply_destroy(WalSupply *supply);
/* The writer begins to write into that segment, whose opening header says first_index: tells its name. */
extern void wal_supply_enter(WalSupply *supply, uint64_t sequence, uint64_t first_index,
							 char name[WAL_NAME_BYTES]);
/*
 * One slice: of preparing, or one removal.  busy: the log has work, so only what must be done now to keep ahead of it.  RUSD_OK: did
 * something; RUSD_AGAIN; RUSD_IO with what and error set.
 */
extern Status wal_supply_step(WalSupply *supply, bool busy, const char **what, int *error);
/* Would it do something soon, without having been woken? */
extern bool wal_supply_is_hungry(const WalSupply *supply);

#endif /* WAL_INT_H */
