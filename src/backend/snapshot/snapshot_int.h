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

/* incoming.c: the checksum of incoming, used included. */
extern uint32_t incoming_checksum(const SnapshotIncoming *incoming);

/* send.c: of a header. */
extern uint32_t header_checksum(const SnapshotHeader *header);

#endif /* SNAPSHOT_INT_H */
