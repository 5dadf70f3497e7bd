/*
 * snapshot.h
 *	  A state snapshot on its way from one member to another: made into chunks, put together again.
 *
 * A snapshot is the pages that one root reaches, at the numbers that they have, and what a control
 * record says of it.  As a stream of bytes: a SnapshotHeader, then the pages in ascending order of
 * their numbers, as they stand on disk (doc/formats/snapshot.md).  Chunks of the stream carry their
 * offset and a checksum: a transfer that was broken off goes on at the offset that the receiver
 * tells, from the same sender, as long as that holds its pin.
 *
 * What was received lies in the folder incoming/, and counts once incoming/snapshot is there; the
 * applier installs it when raft orders so (ShmRequests).  One snapshot is received at a time.
 *
 * src/include/snapshot/snapshot.h
 */
#ifndef SNAPSHOT_SNAPSHOT_H
#define SNAPSHOT_SNAPSHOT_H

#include "format/walformat.h"
#include "pagecache/page.h"
#include "port/fs.h"

#define SNAPSHOT_MAGIC 0x504e5352 /* "RSNP" */
#define SNAPSHOT_VERSION 1

typedef struct SnapshotHeader
{
	uint32_t crc; /* of all that follows in this struct */
	uint32_t magic;
	uint32_t version;
	uint32_t page_bytes;
	uint64_t cluster_id;
	uint64_t member_id;   /* of the sender */
	uint64_t incarnation; /* of the sender: together with root.number it names the snapshot */
	uint64_t page_count;
	RaftConfiguration configuration; /* in use at the root's applied index */
	RootState root;
} SnapshotHeader;

StaticAssert(sizeof(SnapshotHeader) == 1216, "format of the stream");

#define SNAPSHOT_CHUNK_MAGIC 0x4b4e4843 /* "CHNK" */

/* Head of a chunk; length bytes of the stream follow: a header, pages, or both, none in part. */
typedef struct SnapshotChunk
{
	uint32_t crc; /* of all that follows, the bytes of the stream included */
	uint32_t magic;
	uint64_t incarnation; /* of which snapshot */
	uint64_t root;
	uint64_t offset; /* in the stream */
	uint32_t length;
	uint32_t reserved;
} SnapshotChunk;

StaticAssert(sizeof(SnapshotChunk) == 40, "format of the stream");

/* Any chunk fits that holds one page, or the header. */
#define SNAPSHOT_CHUNK_BYTES_MIN (sizeof(SnapshotChunk) + PAGE_BYTES)

/* ---- sending: any process with a slot; it may wait for pages ---------------- */
typedef struct SnapshotSend SnapshotSend;

/*
 * Pins the newest root.  Memory: a bit for each frame, and some 3 kB.  RUSD_AGAIN: this process has no free pin, or members are
 * just being changed.
 * RUSD_TIMEOUT_WAIT_APPLIED: the state is being replaced, RUSD_NO_MEMORY, errors of pages.
 */
extern Status snapshot_send_create(PageAccess *access, SnapshotSend **result);
/* Index and term, size and so on: page_count and crc are right after the first chunk only. */
extern const SnapshotHeader *snapshot_send_header(const SnapshotSend *send);
/*
 * The next chunk into room bytes (SNAPSHOT_CHUNK_BYTES_MIN at least).  RUSD_AGAIN: some hundred pages
 * were looked at and there is more to look at before the first chunk: call again.  RUSD_END: all was
 * sent.  RUSD_SNAPSHOT_ENDED: the pin had to be given up, begin anew.  RUSD_DAMAGED: a page.
 */
extern Status snapshot_send_next(SnapshotSend *send, void *chunk, size_t room, size_t *length);
/* Goes on at an offset that a receiver has told.  RUSD_INVALID: none that a chunk can begin at.  RUSD_AGAIN: before
 * the first chunk. */
extern Status snapshot_send_seek(SnapshotSend *send, uint64_t offset);
extern void snapshot_send_destroy(SnapshotSend *send);

/* ---- receiving: a process that may block on the data file -------------------- */
typedef struct SnapshotReceive SnapshotReceive;

/*
 * Begins with an empty folder incoming/: what was there is removed.  RUSD_AGAIN: what is there is being
 * installed.  RUSD_NO_MEMORY, RUSD_NO_ROOM, RUSD_IO.
 */
extern Status snapshot_receive_create(Shm *shm, FileOps *fs, SnapshotReceive **result);
/*
 * Checks a chunk and writes what it holds.  One that was taken before is passed.  RUSD_DAMAGED: it, or a page in
 * it, is not what it should be; RUSD_INVALID: it is of another snapshot, or not the next one.  After
 * these two nothing of the chunk was taken: the transfer may go on at snapshot_receive_offset.  RUSD_NOT_CAPABLE:
 * this member cannot take the snapshot (another cluster; too few frames, which the log tells).
 * RUSD_NO_ROOM; RUSD_IO: of the data file.
 */
extern Status snapshot_receive_chunk(SnapshotReceive *receive, const void *chunk, size_t length);
/* Where in the stream it goes on. */
extern uint64_t snapshot_receive_offset(const SnapshotReceive *receive);
/* All was received?  Then it is made durable, and may be installed: *header tells what it is, as long as receive is
 * there.  RUSD_AGAIN: more is to come. */
extern Status snapshot_receive_finish(SnapshotReceive *receive, const SnapshotHeader **header);
/* What is not finished stays in incoming/ until the next one is created or the node is started. */
extern void snapshot_receive_destroy(SnapshotReceive *receive);

/* ---- installing: applier; startup -------------------------------------------- */
/* incoming/snapshot; (bits + 63) / 64 words follow, bit n % 64 of word n / 64 for page n. */
typedef struct SnapshotIncoming
{
	uint32_t crc; /* of all that follows, the words included */
	uint32_t reserved;
	uint64_t bits;
	SnapshotHeader header;
	uint64_t used[];
} SnapshotIncoming;

StaticAssert(sizeof(SnapshotIncoming) == 1232, "disk format");

/*
 * What was received completely; the caller frees it.  bits is at most frame_count.  RUSD_NOT_FOUND: nothing, or not
 * completely.  RUSD_DAMAGED, RUSD_NO_MEMORY, RUSD_IO.
 */
extern Status snapshot_incoming_read(FileOps *fs, uint64_t frame_count, SnapshotIncoming **result);
/* Empties incoming/, if it is there. */
extern Status snapshot_incoming_remove(FileOps *fs);

#endif /* SNAPSHOT_SNAPSHOT_H */
