/*
 * snapshot_int.h
 *	  What the files of snapshot/ share.
 *
 * src/backend/snapshot/snapshot_int.h
 */
#ifndef SNAPSHOT_INT_H
#define SNAPSHOT_INT_H

#include "snapshot/snapshot.h"

/* Written last: with it, the snapshot is complete. */
#define INCOMING_SNAPSHOT_NAME "incoming/snapshot"

static inline uint64_t
bitmap_words(uint64_t bits)
{
	return (bits + 63) / 64;
}

static inline size_t
incoming_bytes(uint64_t bits)
{
	return sizeof(SnapshotIncoming) + bitmap_words(bits) * sizeof(uint64_t);
}

/* Pages that a block of the map has bits for: it is as long as a page. */
#define MAP_BLOCK_PAGES (PAGE_BYTES * 8)

/* Bytes of the stream before the first page. */
static inline uint64_t
stream_head_bytes(const SnapshotHeader *header)
{
	return sizeof(*header) +
		   (header->root.pages_end + MAP_BLOCK_PAGES - 1) / MAP_BLOCK_PAGES * PAGE_BYTES;
}

static inline uint64_t
stream_bytes(const SnapshotHeader *header)
{
	return stream_head_bytes(header) + header->page_count * PAGE_BYTES;
}

/* Is a page not sent to who has that? */
static inline bool
base_has(const SnapshotBase *base, uint64_t number, uint64_t birth)
{
	return number < base->below && birth <= base->root;
}

/* incoming.c: the checksum of incoming, used included. */
extern uint32_t incoming_checksum(const SnapshotIncoming *incoming);

/* send.c: of a header. */
extern uint32_t header_checksum(const SnapshotHeader *header);

#endif /* SNAPSHOT_INT_H */
