/*
 * walk.h
 *	  The batches of a log on disk, one after another, with the checks of a recovery and without its
 *	  repairs.
 *
 * Reads only.  What is being written meanwhile is not taken for damage: where no batch is, the place
 * is looked at again before anything behind it is.
 *
 * src/bin/rusd_waldump/walk.h
 */
#ifndef WALDUMP_WALK_H
#define WALDUMP_WALK_H

#include "wal/segment.h"

typedef struct Walk
{
	FileOps *fs;
	WalSegmentFile segment;
	uint64_t position; /* of the next batch */
	uint32_t crc;      /* of the one before it */
	char message[512]; /* of RUSD_DAMAGED and RUSD_IO: what and where */
} Walk;

/*
 * To the first batch of the oldest segment from which there is no gap to the newest.  RUSD_NOT_FOUND: no log is there.
 * Else RUSD_DAMAGED, RUSD_IO, RUSD_NO_MEMORY.  walk_close in every case.
 */
extern Status walk_open(Walk *walk, FileOps *fs);
extern void walk_close(Walk *walk);

/* The next batch, valid until the next call; walk->position is behind it.  RUSD_END: the end of the log. */
extern Status walk_next(Walk *walk, const WalBatchHeader **batch);

#endif /* WALDUMP_WALK_H */
