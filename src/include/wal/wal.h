/*
 * wal.h
 *	  The log: batches are formed in the WAL buffers by raft, put on disk by walwriter, read from buffers or segments by
 *	  applier and peers.  See wal/README for invariants [wal-n].
 *
 * src/include/wal/wal.h
 */
#ifndef WAL_WAL_H
#define WAL_WAL_H

#include "format/walformat.h"
#include "ipc/shmem.h"
#include "port/clock.h"
#include "port/fs.h"

/* ---- raft: append ------------------------------------------------------------------------------ */
typedef struct WalAppender
{
	Shm		   *shm;
	uint64_t	position;		/* where the open batch begins, or the next one will */
	uint32_t	previous_crc;
	uint32_t	batch_length;	/* 0: no batch is open */
	uint32_t	record_count;
	uint64_t	batch_limit;	/* end of the room that the open batch may use */
} WalAppender;

extern void wal_appender_init(WalAppender *appender, Shm *shm, uint64_t position, uint32_t previous_crc);

/*
 * Opens a batch with room for at least bytes of records (headers and padding included): RUSD_AGAIN if the buffers have no room
 * before flushed and applied positions move on, or no segment is ready.  Largest batch: a quarter of the smaller of buffers and
 * segment.  A record that does not fit into the open batch: close it, open another.
 */
extern Status wal_batch_begin(WalAppender *appender, uint64_t bytes);
/* Adds a record in place: returns where to copy its payload to (8-aligned), NULL if it does not fit into this batch. */
extern uint8_t *wal_batch_add(WalAppender *appender, uint32_t kind, uint64_t index, uint64_t term, uint32_t length);
/* Closes it: checksums, publishes appended, wakes walwriter.  Returns its end; an entry is durable when flushed >= that. */
extern uint64_t wal_batch_end(WalAppender *appender, uint64_t commit_index, uint64_t commit_term);
/* Bytes that a record of length takes in a batch. */
extern uint64_t wal_record_bytes(uint32_t length);

/* ---- walwriter: write ---------------------------------------------------------------------------- */
typedef struct WalWriter WalWriter;

/*
 * Memory of its own only; the log is as wal_recover left it.  keep_all: no segment is ever removed or recycled (--wal-keep-all).
 */
extern Status wal_writer_create(Shm *shm, FileOps *fs, const ClockOps *clock, bool keep_all, uint64_t keep_bytes, WalWriter **result);
/*
 * One turn: prepares segments where fewer than two are ready; writes and syncs all that has gathered, then advances written, flushed
 * and, from ceiling and floor, committed_by_flush, and sets the latches of applier and raft as needed; removes or recycles segments.  Returns RUSD_OK
 * if it did something, RUSD_AGAIN if there was nothing to do, RUSD_IO on any failed write or sync: the node must stop, nothing is retried.
 */
extern Status wal_writer_step(WalWriter *writer);

/* ---- applier, peers: read -------------------------------------------------------------------------- */
typedef struct WalRecord
{
	WalRecordHeader header;
	const uint8_t *payload;		/* valid until the next call */
	uint64_t	end;			/* position behind the batch that holds it */
} WalRecord;

typedef struct WalReader WalReader;

/* fs may be NULL for a reader that never leaves the buffers.  from: position of a batch. */
extern Status wal_reader_create(Shm *shm, FileOps *fs, uint64_t from, WalReader **result);
extern void wal_reader_destroy(WalReader *reader);
/*
 * The next replicated record, or local record of kind ENTRY_DEFRAGMENT (index 0: never voided), whose batch ends at or before limit and that no later record
 * up to limit voids.  From buffers where they still have it,
 * else from segments.  RUSD_END: none before limit.  RUSD_DAMAGED, RUSD_IO: stop the node.
 */
extern Status wal_reader_next(WalReader *reader, uint64_t limit, WalRecord *record);
/* Position before which this reader needs nothing any more. */
extern uint64_t wal_reader_position(const WalReader *reader);

#endif							/* WAL_WAL_H */
