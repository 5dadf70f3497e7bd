/*
 * segment.h
 *	  Segment files, read: headers, batches one after another, what lies in the folder.
 *
 * Used by reader, recovery, walwriter (for what it finds at start) and the tools.
 *
 * src/include/wal/segment.h
 */
#ifndef WAL_SEGMENT_H
#define WAL_SEGMENT_H

#include "format/walformat.h"
#include "port/fs.h"

#define WAL_FOLDER "wal"
/* A segment being made, or copied: nothing in it counts.  Removed by recovery. */
#define WAL_PREPARE_NAME "wal/prepare"
/* A whole file kept back for the copy that recovery makes, so that a full disk does not prevent a start. */
#define WAL_SPARE_NAME "wal/spare"

typedef struct WalName
{
	uint64_t sequence;
	uint64_t first_index; /* of the name */
} WalName;

/* All segments in the folder, ascending; caller frees *names.  RUSD_NOT_FOUND: there is no folder. */
extern Status wal_list_segments(FileOps *fs, WalName **names, size_t *count);

typedef struct WalSegmentFile
{
	FileOps *fs;
	int file; /* -1: none is open */
	uint64_t sequence;
	uint64_t segment_bytes;
	uint32_t salt;
	bool is_opened; /* the opening header is whole */
	WalSegmentHeader prepared;
	WalSegmentHeader opening;
	uint8_t *window;       /* kept when another segment is opened */
	uint64_t window_begin; /* offset in the file */
	uint64_t window_length;
	uint64_t window_capacity;
} WalSegmentFile;

/* To begin with: no file, no window. */
extern void wal_segment_init(WalSegmentFile *segment, FileOps *fs);
/*
 * Opens a file and reads its headers, closing what was open.  RUSD_DAMAGED: the prepared header is not whole, or the file is shorter than it says: every file
 * with a segment's name had both once.  RUSD_NOT_FOUND, RUSD_IO.
 */
extern Status wal_segment_open(WalSegmentFile *segment, const char *name, uint64_t sequence);
/* The same by sequence alone. */
extern Status wal_segment_find(WalSegmentFile *segment, uint64_t sequence);
extern void wal_segment_close(WalSegmentFile *segment);
/* Frees the window too. */
extern void wal_segment_destroy(WalSegmentFile *segment);

/*
 * The batch at position, valid until the next call.  RUSD_END: there is none whose checksum is right.  RUSD_IO, RUSD_NO_MEMORY.  The caller compares previous_crc.
 */
extern Status wal_segment_batch(WalSegmentFile *segment, uint64_t position,
								const WalBatchHeader **batch);

#endif /* WAL_SEGMENT_H */
