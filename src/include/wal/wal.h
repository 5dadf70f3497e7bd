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
	Shm *shm;
	uint64_t position;   /* end of the last batch */
	uint64_t log_begin;  /* of this incarnation: the buffers hold nothing before it */
	uint64_t last_index; /* of the replicated record appended last */
	uint32_t previous_crc;
	/* the open batch */
	uint64_t batch_position;
	uint64_t batch_limit;      /* end of the room that it may use */
	uint64_t batch_hard_state; /* offset of the HARD_STATE record's payload in it, 0: none */
	uint64_t batch_last_index;
	uint32_t batch_length; /* 0: no batch is open */
	uint32_t record_count;
	/* repeated at the head of each segment */
	HardState hard_state;
	RaftConfiguration configuration;
	uint64_t
		marked; /* end of the last batch if it was an idle mark that tells all before it flushed, else 0 */
} WalAppender;

/* Takes hard state, configuration and last index from shm->recovered; position and previous_crc are its log_end and previous_crc. */
extern void wal_appender_init(WalAppender *appender, Shm *shm, uint64_t position,
							  uint32_t previous_crc);
/* The configuration has changed: it goes into the headers of segments opened from now on. */
extern void wal_appender_set_configuration(WalAppender *appender,
										   const RaftConfiguration *configuration);

/*
 * A snapshot of that index was installed and the log begins behind all that was appended: the next entry is index + 1.  Until the
 * install is done nothing with an index may be appended; what is opened meanwhile still tells the index before.
 */
extern void wal_appender_begin_behind(WalAppender *appender, uint64_t index);

/* Most bytes of records that one batch can hold: a quarter of the smaller of buffers and segment, less the header. */
extern uint64_t wal_batch_bytes_max(const ShmLayout *layout);
/*
 * Opens a batch with room for at least bytes of records (headers and padding included).  RUSD_AGAIN: the buffers have no room
 * before flushed and applied positions move on, or no segment is ready; nothing has happened then.  RUSD_INVALID: more than
 * wal_batch_bytes_max.  A record that does not fit into the open batch: close it, open another.  A batch that is still without records may be left
 * and begun again.
 */
extern Status wal_batch_begin(WalAppender *appender, uint64_t bytes);
/*
 * Adds a record in place: returns where to copy its payload to (8-aligned), NULL if it does not fit into this batch.  The payload must be
 * there when the batch ends; that of a HARD_STATE record is a HardState, and goes into segment headers from then on.
 */
extern uint8_t *wal_batch_add(WalAppender *appender, uint32_t kind, uint64_t index, uint64_t term,
							  uint32_t length);
/*
 * Closes it: checksums, publishes appended, wakes walwriter.  Returns its end; an entry is durable when flushed >= that.
 *
 * walwriter may have flushed this batch before raft has published the ceiling that covers it, and then publishes less than it could.  So raft
 * either publishes ceiling before it ends the batch, or, after it has stored ceiling (sequentially consistent), looks at flushed once more and
 * sets walwriter's latch if flushed has reached it: walwriter judges the ceiling anew at each turn.
 */
extern uint64_t wal_batch_end(WalAppender *appender, uint64_t commit_index, uint64_t commit_term);

/*
 * The idle mark: an empty batch that tells that all before it is flushed; without one, damage to the last batch could not be told from a torn write.
 * Due when all is flushed and the log does not end with one already.  raft appends it when nothing was appended for a while (within a second) and at a clean stop.
 */
extern bool wal_mark_is_due(const WalAppender *appender);
extern Status wal_append_mark(WalAppender *appender, uint64_t commit_index, uint64_t commit_term);

/* ---- walwriter: write ---------------------------------------------------------------------------- */
typedef struct WalWriter WalWriter;

/*
 * Memory of its own only; the log is as wal_recover left it.  keep_all: no segment is ever removed or recycled (--wal-keep-all).
 */
extern Status wal_writer_create(Shm *shm, FileOps *fs, const ClockOps *clock, bool keep_all,
								uint64_t keep_bytes, WalWriter **result);
/*
 * One turn: one write and one sync for all that has gathered (one more of each where it spans segments), then advances written, flushed
 * and, from ceiling and floor, committed_by_flush, and sets the latches of applier and raft (positions->flush_wanted) as needed; then a slice of
 * preparing the next segment, or removes what is no longer needed.  Returns RUSD_OK if it did something, RUSD_AGAIN if there was
 * nothing to do, RUSD_IO on any failed write or sync: the node must stop, nothing is retried.  No room for the next
 * segment is not an error: segments->no_room tells it, and it is tried again later.
 */
extern Status wal_writer_step(WalWriter *writer);
/* After RUSD_AGAIN: how long walwriter may sleep if its latch stays unset. */
extern int wal_writer_sleep_ms(const WalWriter *writer);
extern void wal_writer_destroy(WalWriter *writer);
/* After RUSD_IO: what failed, and the negative errno. */
extern const char *wal_writer_failure(const WalWriter *writer, int *error);

/* ---- applier, peers: read -------------------------------------------------------------------------- */
typedef struct WalRecord
{
	WalRecordHeader header;
	const uint8_t *payload; /* valid until the next call */
	uint64_t end;           /* position behind the batch that holds it */
} WalRecord;

typedef struct WalReader WalReader;

/*
 * fs may be NULL for a reader that never leaves the buffers.  from: position of a batch, or the end of the log; what lies before positions->log_begin is not read.  A reader takes payloads in the buffers in place, which is
 * safe for the applier, whose own applied_position (never more than wal_reader_position) keeps raft from overwriting them [wal-2].
 */
extern Status wal_reader_create(Shm *shm, FileOps *fs, uint64_t from, WalReader **result);
extern void wal_reader_destroy(WalReader *reader);
/*
 * The next replicated record, or local record of kind ENTRY_DEFRAGMENT (index 0: never voided), whose batch ends at or before limit and that no later record
 * up to limit voids.  From buffers where they still have it,
 * else from segments.  RUSD_END: none before limit.  RUSD_NOT_FOUND: that part of the log was removed, or is not in the buffers and there is no fs.
 * RUSD_DAMAGED, RUSD_IO, RUSD_NO_MEMORY: stop the node.
 */
extern Status wal_reader_next(WalReader *reader, uint64_t limit, WalRecord *record);
/*
 * Peers, whom raft does not wait for: was what wal_reader_next has given last still there at this moment?  To be asked after it was
 * copied, and before the next call.  False: bytes in the buffers may be overwritten; another reader, from wal_reader_position on, finds them in
 * segments.
 */
extern bool wal_reader_is_intact(const WalReader *reader);
/*
 * Peers, before a call of wal_reader_next: is there what it will go on from?  It is, too, where what it has given last was the end of a batch: the next
 * one is looked for wherever it lies by then.  False: as above.
 */
extern bool wal_reader_can_go_on(const WalReader *reader);
/*
 * A position from which on the entry of that index, as it holds at any later position of the log, can be read: the first batch of a segment.
 * RUSD_NOT_FOUND: the log does not hold it any more.  RUSD_IO, RUSD_NO_MEMORY.  Peers.
 */
extern Status wal_find_index(Shm *shm, FileOps *fs, uint64_t index, uint64_t *position);
/* Position before which this reader needs nothing any more. */
extern uint64_t wal_reader_position(const WalReader *reader);

#endif /* WAL_WAL_H */
