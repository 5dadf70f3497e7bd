/*
 * writer.c
 *	  Puts the WAL buffers on disk: one write and one sync for all that has gathered.
 *
 * Runs in walwriter.  May block on the log's disk and on nothing else.  Owns written, flushed and
 * committed_by_flush, which are advanced only after what they say has happened [wal-4].
 *
 * A failed write or sync ends the node: after a failed sync the kernel may have dropped our pages,
 * and a second sync would not tell.
 *
 * src/backend/wal/writer.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "activity/metrics.h"
#include "ipc/inject.h"
#include "port/fault.h"
#include "wal_int.h"

/* Attempts at reading ceiling and floor before it is put off to the next turn. */
#define BOUND_ATTEMPTS 1000
/* So long after a flush the log counts as busy, and segments are prepared at the pace of the log.
 */
#define BUSY_NS ((uint64_t) 5 * 1000 * 1000)
#define IDLE_SLEEP_MS 1000

struct WalWriter
{
	Shm *shm;
	FileOps *fs;
	const ClockOps *clock;
	WalSupply *supply;
	uint64_t sequence; /* of the segment that is written */
	int file;
	uint64_t write_from; /* of the next write: flushed, or the opening header of a segment just
							entered */
	uint64_t flushed;
	uint64_t committed;
	uint64_t flushed_at; /* by the clock */
	const char *what;    /* what failed */
	int error;
};

static Status write_gathered(WalWriter *writer, uint64_t appended);
static Status write_range(WalWriter *writer, uint64_t end);
static Status sync_file(WalWriter *writer);
static Status enter_segment(WalWriter *writer, uint64_t sequence, uint64_t first_index);
static uint64_t batches_end(const WalWriter *writer, uint64_t segment_end);
static void wake_links(Shm *shm);
static bool publish_commit(WalWriter *writer);
static bool read_bounds(const ShmPositions *positions, uint64_t *ceiling, uint64_t *floor);
static Status fail(WalWriter *writer, const char *what, int error);

Status
wal_writer_create(Shm *shm, FileOps *fs, const ClockOps *clock, bool keep_all, uint64_t keep_bytes,
				  WalWriter **result)
{
	const NodeRecovered *recovered = shm->recovered;
	WalWriter *writer = calloc(1, sizeof(*writer));
	Status status;

	if (writer == NULL)
		return RUSD_NO_MEMORY;
	writer->shm = shm;
	writer->fs = fs;
	writer->clock = clock;
	writer->file = -1;
	writer->write_from = recovered->log_end;
	writer->flushed = recovered->log_end;
	writer->committed = recovered->commit_position;
	atomic_store_explicit(&shm->positions->written, writer->flushed, memory_order_release);
	atomic_store_explicit(&shm->positions->flushed, writer->flushed, memory_order_release);
	atomic_store_explicit(&shm->positions->committed_by_flush, writer->committed,
						  memory_order_release);
	status = wal_supply_create(shm, fs, clock, keep_all, keep_bytes, &writer->supply);
	if (status == RUSD_OK)
		status = enter_segment(writer, recovered->next_sequence - 1, 0);
	if (status != RUSD_OK)
		wal_writer_destroy(writer);
	else
		*result = writer;
	return status;
}

void
wal_writer_destroy(WalWriter *writer)
{
	if (writer->file >= 0)
		writer->fs->close(writer->fs, writer->file);
	if (writer->supply != NULL)
		wal_supply_destroy(writer->supply);
	free(writer);
}

const char *
wal_writer_failure(const WalWriter *writer, int *error)
{
	*error = writer->error;
	return writer->what != NULL ? writer->what : "none";
}

Status
wal_writer_step(WalWriter *writer)
{
	const ShmPositions *positions = writer->shm->positions;
	uint64_t appended = atomic_load_explicit(&positions->appended, memory_order_acquire);
	bool did_write = appended > writer->flushed;
	Status status = RUSD_OK;
	uint64_t now;

	if (did_write)
		status = write_gathered(writer, appended);
	if (status != RUSD_OK)
		return status;
	if (!publish_commit(writer))
		did_write = true; /* once more, soon */
	now = writer->clock->monotonic_ns(writer->clock);
	if (did_write)
		writer->flushed_at = now;
	status = wal_supply_step(writer->supply, now - writer->flushed_at < BUSY_NS, &writer->what,
							 &writer->error);
	return status == RUSD_AGAIN && did_write ? RUSD_OK : status;
}

int
wal_writer_sleep_ms(const WalWriter *writer)
{
	return wal_supply_is_hungry(writer->supply) ? (int) (BUSY_NS / 1000000) : IDLE_SLEEP_MS;
}

/* Almost always all of it lies in one segment: one write, one sync. */
static Status
write_gathered(WalWriter *writer, uint64_t appended)
{
	uint64_t segment_bytes = writer->shm->layout.wal_segment_bytes;

	for (;;)
	{
		uint64_t segment_end = (writer->sequence + 1) * segment_bytes;
		uint64_t end = appended <= segment_end ? appended : batches_end(writer, segment_end);
		const WalSegmentHeader *opening;
		Status status = RUSD_OK;

		if (end > writer->write_from)
			status = write_range(writer, end);
		if (status != RUSD_OK || end == appended)
			return status;
		/* All that belongs into this segment is synced: the next one may be opened [wal-3]. */
		writer->write_from = segment_end + WAL_OPENING_OFFSET;
		opening =
			(const WalSegmentHeader *) (const void *) (writer->shm->wal_buffers +
													   writer->write_from %
														   writer->shm->layout.wal_buffer_bytes);
		Check(opening->sequence == writer->sequence + 1);
		status = enter_segment(writer, writer->sequence + 1, opening->first_index);
		if (status != RUSD_OK)
			return status;
	}
}

static Status
write_range(WalWriter *writer, uint64_t end)
{
	Shm *shm = writer->shm;
	uint64_t from = writer->write_from;
	const uint8_t *bytes = shm->wal_buffers + from % shm->layout.wal_buffer_bytes;
	uint64_t offset = from - writer->sequence * shm->layout.wal_segment_bytes;
	uint64_t began = writer->clock->monotonic_ns(writer->clock);
	uint32_t before = wait_event_begin(WAIT_EVENT_WAL_WRITE);
	ssize_t written;
	Status status;

	INJECT("wal-before-write");
	written = writer->fs->pwrite(writer->fs, writer->file, bytes, end - from, offset);
	wait_event_end(before);
	if (written < 0)
		return fail(writer, "write", (int) written);
	observe(shm->areas[PROC_WALWRITER], WAL_WRITE,
			writer->clock->monotonic_ns(writer->clock) - began);
	atomic_store_explicit(&shm->positions->written, end, memory_order_release);
	status = sync_file(writer);
	if (status != RUSD_OK)
		return status;
	writer->write_from = end;
	writer->flushed = end;
	/* Pairs with raft, which stores flush_wanted or ceiling and then looks at flushed: one of the
	 * two sees the other. */
	atomic_store_explicit(&shm->positions->flushed, end, memory_order_seq_cst);
	(void) publish_commit(writer);
	wake_links(writer->shm);
	return RUSD_OK;
}

/* Those that hold messages which depend on a flush; who needs a later one marks itself again. */
static void
wake_links(Shm *shm)
{
	uint32_t words = (shm_first_backend(&shm->layout) + 63) / 64;

	for (uint32_t word = 0; word < words && shm->layout.link_slots > 0; word++)
	{
		_Atomic uint64_t *marks = &shm->flush_marks->words[word];
		uint64_t bits = 0;

		if (atomic_load_explicit(marks, memory_order_seq_cst) != 0)
			bits = atomic_exchange_explicit(marks, 0, memory_order_acquire);
		for (; bits != 0; bits &= bits - 1)
		{
			uint32_t slot = word * 64 + (uint32_t) __builtin_ctzll(bits);

			if (shm_is_link(&shm->layout, slot))
				latch_set(&shm->latches[slot]);
		}
	}
}

static Status
sync_file(WalWriter *writer)
{
	uint64_t began = writer->clock->monotonic_ns(writer->clock);
	uint32_t before = wait_event_begin(WAIT_EVENT_WAL_SYNC);
	int result;

	INJECT("wal-before-sync");
	result = INJECT_ERROR("wal-sync-error") ? -EIO : writer->fs->sync(writer->fs, writer->file);
	if (result == 0)
		INJECT("wal-after-sync");
	wait_event_end(before);
	if (result < 0)
		return fail(writer, "sync", result);
	observe(writer->shm->areas[PROC_WALWRITER], WAL_FSYNC,
			writer->clock->monotonic_ns(writer->clock) - began);
	return RUSD_OK;
}

static Status
enter_segment(WalWriter *writer, uint64_t sequence, uint64_t first_index)
{
	char name[WAL_NAME_BYTES];

	if (writer->file >= 0)
		writer->fs->close(writer->fs, writer->file);
	writer->sequence = sequence;
	wal_supply_enter(writer->supply, sequence, first_index, name);
	writer->file = writer->fs->open(writer->fs, name, O_RDWR);
	return writer->file < 0 ? fail(writer, "open", writer->file) : RUSD_OK;
}

/* More was appended than this segment holds: where do its batches end? */
static uint64_t
batches_end(const WalWriter *writer, uint64_t segment_end)
{
	const Shm *shm = writer->shm;
	uint64_t first = segment_end - shm->layout.wal_segment_bytes + WAL_HEADER_BYTES;
	uint64_t at = Max(writer->write_from, first);

	while (at < segment_end)
	{
		const WalBatchHeader *batch =
			(const WalBatchHeader *) (const void *) (shm->wal_buffers +
													 at % shm->layout.wal_buffer_bytes);

		if (batch->magic != WAL_BATCH_MAGIC || batch->position != at)
			break;
		at += wal_batch_sectors(batch->length);
	}
	return at;
}

/*
 * Only the core decides what is committed: this applies its decision, made before, to what has
 * become durable.  False if ceiling and floor could not be read.
 */
static bool
publish_commit(WalWriter *writer)
{
	Shm *shm = writer->shm;
	ShmPositions *positions = shm->positions;
	uint64_t ceiling = 0;
	uint64_t floor = 0;
	uint64_t wanted = atomic_load_explicit(&positions->flush_wanted, memory_order_seq_cst);
	bool known = read_bounds(positions, &ceiling, &floor);

	if (known && floor != 0 && (writer->flushed >= floor || FAULT(published_below_floor)) &&
		Min(writer->flushed, ceiling) > writer->committed)
	{
		/* What the others' answers have committed before is no news: raft has woken the applier. */
		bool is_news = Min(writer->flushed, ceiling) > positions_committed(positions);

		writer->committed = Min(writer->flushed, ceiling);
		atomic_store_explicit(&positions->committed_by_flush, writer->committed,
							  memory_order_release);
		if (is_news)
			latch_set(&shm->latches[PROC_APPLIER]);
	}
	if (wanted != 0 && writer->flushed >= wanted)
		latch_set(&shm->latches[PROC_RAFT]);
	return known;
}

static bool
read_bounds(const ShmPositions *positions, uint64_t *ceiling, uint64_t *floor)
{
	for (int i = 0; i < BOUND_ATTEMPTS; i++)
	{
		uint64_t count = atomic_load_explicit(&positions->bound_change_count, memory_order_seq_cst);

		*ceiling = atomic_load_explicit(&positions->ceiling, memory_order_seq_cst);
		*floor = atomic_load_explicit(&positions->floor, memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (count % 2 == 0 &&
			atomic_load_explicit(&positions->bound_change_count, memory_order_relaxed) == count)
			return true;
	}
	return false;
}

static Status
fail(WalWriter *writer, const char *what, int error)
{
	writer->what = what;
	writer->error = error;
	return RUSD_IO;
}
