/*
 * snapshot.h
 *	  A state snapshot on its way from one member to another: made into chunks, put together again.
 *
 * A snapshot is the pages that one root reaches, at the numbers that they have, and what a control
 * record says of it.  As a stream of bytes: a SnapshotHeader, a map of the pages, then the pages in
 * ascending order of their numbers, as they stand on disk (doc/formats/snapshot.md).  Chunks of the
 * stream carry their offset and a checksum.
 *
 * A page is never changed once it is published, so a page of a number and a birth is the same in each
 * root that reaches it.  Whoever has received a part of a stream therefore has that much of any later
 * root of the same sender too: it says what it has (SnapshotBase), and is not sent it again.  Nothing
 * is kept for it at the sender, which may be another process by then.
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
#define SNAPSHOT_VERSION 2

/* What a receiver has of a stream that was broken off: all pages below a number that a root reaches.  All 0: nothing. */
typedef struct SnapshotBase
{
	uint64_t incarnation; /* of the sender, */
	uint64_t generation;  /* and of its data file: births count within it only */
	uint64_t root;
	uint64_t below;
} SnapshotBase;

typedef struct SnapshotHeader
{
	uint32_t crc; /* of all that follows in this struct */
	uint32_t magic;
	uint32_t version;
	uint32_t page_bytes;
	uint64_t cluster_id;
	uint64_t member_id;   /* of the sender */
	uint64_t incarnation; /* of the sender: together with root.number it names the snapshot */
	uint64_t page_count;  /* that are sent */
	SnapshotBase base;    /* what the receiver has, and is not sent */
	RaftConfiguration configuration; /* in use at the root's applied index */
	RootState root;
} SnapshotHeader;

StaticAssert(sizeof(SnapshotHeader) == 1248, "format of the stream");

#define SNAPSHOT_CHUNK_MAGIC 0x4b4e4843 /* "CHNK" */

/* Head of a chunk; length bytes of the stream follow: a header, blocks of the map, pages, none in part. */
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

/* Any chunk fits that holds one page, one block of the map, or the header. */
#define SNAPSHOT_CHUNK_BYTES_MIN (sizeof(SnapshotChunk) + PAGE_BYTES)

/* ---- sending: any process with a slot; it may wait for pages ---------------- */
typedef struct SnapshotSend SnapshotSend;

/*
 * Pins the newest root.  base: what the receiver has, which counts if it is of this incarnation and generation.  Memory: two bits
 * for each frame, and some 3 kB.  RUSD_AGAIN: this process has no free pin, or members are
 * just being changed.
 * RUSD_TIMEOUT_WAIT_APPLIED: the state is being replaced, RUSD_NO_MEMORY, errors of pages.
 */
extern Status snapshot_send_create(PageAccess *access, const SnapshotBase *base,
								   SnapshotSend **result);
/* Index and term, size and so on: page_count and crc are right after the first chunk only. */
extern const SnapshotHeader *snapshot_send_header(const SnapshotSend *send);
/* Pages that the receiver is not sent because it has them; right after the first chunk only. */
extern uint64_t snapshot_send_spared(const SnapshotSend *send);
/*
 * The next chunk into room bytes (SNAPSHOT_CHUNK_BYTES_MIN at least).  RUSD_AGAIN: some hundred pages
 * were looked at and there is more to look at before the first chunk: call again.  RUSD_END: all was
 * sent.  RUSD_SNAPSHOT_ENDED: the pin had to be given up, begin anew.  RUSD_DAMAGED: a page.
 */
extern Status snapshot_send_next(SnapshotSend *send, void *chunk, size_t room, size_t *length);
extern void snapshot_send_destroy(SnapshotSend *send);

/* ---- receiving: a process that may block on the data file -------------------- */
typedef struct SnapshotReceive SnapshotReceive;

/*
 * Begins with an empty folder incoming/: what was there is removed.  RUSD_AGAIN: what is there is being
 * installed.  RUSD_NO_MEMORY, RUSD_NO_ROOM, RUSD_IO.
 */
extern Status snapshot_receive_create(Shm *shm, FileOps *fs, SnapshotReceive **result);
/*
 * A stream is about to begin, the first or another one: *base is what the sender is to be told.
 */
extern void snapshot_receive_begin(SnapshotReceive *receive, SnapshotBase *base);
/*
 * Checks a chunk and writes what it holds.  One that was taken before is passed.  RUSD_DAMAGED: it, or a page in
 * it, is not what it should be; RUSD_INVALID: it is of another snapshot, or not the next one.  After
 * these two nothing of the chunk was taken: snapshot_receive_begin, and the transfer goes on by another stream.
 * RUSD_NOT_CAPABLE: this member cannot take the snapshot (another cluster; too few frames, which the log tells).
 * RUSD_NO_ROOM; RUSD_IO: of the data file.
 */
extern Status snapshot_receive_chunk(SnapshotReceive *receive, const void *chunk, size_t length);
/* How much of the stream was taken. */
extern uint64_t snapshot_receive_offset(const SnapshotReceive *receive);
/* All was received?  Then it is made durable, and may be installed: *header tells what it is, as long as receive is
 * there.  RUSD_AGAIN: more is to come; RUSD_DAMAGED: the map has pages that are not there. */
extern Status snapshot_receive_finish(SnapshotReceive *receive, const SnapshotHeader **header);
/* What is not finished stays in incoming/ until the next one is created or the node is started. */
extern void snapshot_receive_destroy(SnapshotReceive *receive);

/* ---- on the wire: any process ------------------------------------------------- */
/*
 * Chunks compressed, one stream for the life of a connection: both ends take them in the same order, and none is left out.
 */
typedef struct SnapshotPack SnapshotPack;
typedef struct SnapshotUnpack SnapshotUnpack;

/* The longest that a chunk of so many bytes can become. */
#define SNAPSHOT_PACKED_MAX(bytes) ((bytes) + (bytes) / 128 + 1024)

/* chunk_max: the longest chunk.  NULL: no memory; some MB. */
extern SnapshotPack *snapshot_pack_create(size_t chunk_max);
/* *packed is valid until the next call.  RUSD_NO_MEMORY. */
extern Status snapshot_pack(SnapshotPack *pack, Bytes chunk, Bytes *packed);
extern void snapshot_pack_destroy(SnapshotPack *pack);
extern SnapshotUnpack *snapshot_unpack_create(size_t chunk_max);
/* What snapshot_pack was given; valid until the next call.  RUSD_DAMAGED: it cannot be that, or is longer than chunk_max; the stream
 * cannot be read on. */
extern Status snapshot_unpack(SnapshotUnpack *unpack, Bytes packed, Bytes *chunk);
extern void snapshot_unpack_destroy(SnapshotUnpack *unpack);

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

StaticAssert(sizeof(SnapshotIncoming) == 1264, "disk format");

/*
 * What was received completely; the caller frees it.  bits is at most frame_count.  RUSD_NOT_FOUND: nothing, or not
 * completely.  RUSD_DAMAGED, RUSD_NO_MEMORY, RUSD_IO.
 */
extern Status snapshot_incoming_read(FileOps *fs, uint64_t frame_count, SnapshotIncoming **result);
/* Empties incoming/, if it is there. */
extern Status snapshot_incoming_remove(FileOps *fs);

#endif /* SNAPSHOT_SNAPSHOT_H */
