/*
 * appender.c
 *	  Forms batches in the WAL buffers and publishes them.
 *
 * Runs in raft.  Blocks on nothing: where there is no room it says so.  Owns positions->appended
 * and the bytes of the buffers at and behind it; what is before it is never changed [wal-1], and
 * bytes are overwritten only below both flushed and applied position [wal-2].
 *
 * src/backend/wal/appender.c
 */
#include "rusd.h"

#include "format/entry.h"
#include "port/fault.h"
#include "wal/recovery.h"
#include "wal/wal.h"

static uint64_t reusable_end(const WalAppender *appender);
static bool switch_segment(WalAppender *appender, uint64_t need, uint64_t room_end);
static void put_opening_header(WalAppender *appender, uint64_t sequence);
static uint8_t *buffer_at(const WalAppender *appender, uint64_t position);

void
wal_appender_init(WalAppender *appender, Shm *shm, uint64_t position, uint32_t previous_crc)
{
	const NodeRecovered *recovered = shm->recovered;

	*appender = (WalAppender){
		.shm = shm, .position = position, .log_begin = position, .previous_crc = previous_crc};
	appender->last_index = recovered->last_index;
	appender->hard_state = recovered->hard_state;
	appender->configuration = recovered->configuration;
	atomic_store_explicit(&shm->positions->appended, position, memory_order_release);
}

void
wal_appender_set_configuration(WalAppender *appender, const RaftConfiguration *configuration)
{
	Check(configuration->member_count <= CONFIG_MEMBERS_MAX);
	appender->configuration = *configuration;
}

void
wal_appender_begin_behind(WalAppender *appender, uint64_t index)
{
	Check(appender->record_count == 0);
	/* A batch that was begun speaks of the index before. */
	appender->batch_length = 0;
	appender->last_index = index;
}

uint64_t
wal_batch_bytes_max(const ShmLayout *layout)
{
	uint64_t quarter = Min(layout->wal_buffer_bytes, layout->wal_segment_bytes) / 4;

	return Min(quarter, WAL_BATCH_BYTES_MAX) - sizeof(WalBatchHeader);
}

Status
wal_batch_begin(WalAppender *appender, uint64_t bytes)
{
	const ShmLayout *layout = &appender->shm->layout;
	uint64_t segment_bytes = layout->wal_segment_bytes;
	uint64_t need = AlignUp(sizeof(WalBatchHeader) + bytes, WAL_SECTOR);
	uint64_t room_end = reusable_end(appender) + layout->wal_buffer_bytes;
	uint64_t sequence = wal_segment_of(appender->position, segment_bytes);
	uint64_t segment_end = (sequence + 1) * segment_bytes;

	Check(appender->record_count == 0);
	if (bytes > wal_batch_bytes_max(layout))
		return RUSD_INVALID;
	appender->batch_length = 0;
	appender->batch_position = appender->position;
	if (appender->position + need > segment_end)
	{
		if (!switch_segment(appender, need, room_end))
			return RUSD_AGAIN;
		segment_end += segment_bytes;
	}
	else if (appender->position + need > room_end ||
			 sequence >=
				 atomic_load_explicit(&appender->shm->segments->ready_end, memory_order_acquire))
		return RUSD_AGAIN;
	appender->batch_limit = Min(segment_end, room_end);
	appender->batch_limit =
		Min(appender->batch_limit,
			appender->batch_position + sizeof(WalBatchHeader) + wal_batch_bytes_max(layout));
	appender->batch_length = sizeof(WalBatchHeader);
	appender->batch_hard_state = 0;
	appender->batch_last_index = appender->last_index;
	return RUSD_OK;
}

/*
 * Bytes of the buffers before this position may be overwritten.  What lies before log_begin was
 * never in the buffers, so an applier that still reads there, from segments, holds nobody up.
 */
static uint64_t
reusable_end(const WalAppender *appender)
{
	const ShmPositions *positions = appender->shm->positions;
	uint64_t flushed = atomic_load_explicit(&positions->flushed, memory_order_acquire);
	uint64_t applied = atomic_load_explicit(&positions->applied_position, memory_order_acquire);

	applied = Max(applied, appender->log_begin);
	return Min(flushed, applied) & ~(uint64_t) (WAL_SECTOR - 1);
}

/* The batch goes into the next segment: puts that one's opening header into the stream, before it.
 */
static bool
switch_segment(WalAppender *appender, uint64_t need, uint64_t room_end)
{
	uint64_t segment_bytes = appender->shm->layout.wal_segment_bytes;
	uint64_t sequence = wal_segment_of(appender->position, segment_bytes);
	uint64_t begin = (sequence + 1) * segment_bytes;

	if (sequence + 1 >=
		atomic_load_explicit(&appender->shm->segments->ready_end, memory_order_acquire))
		return false;
	if (begin + WAL_HEADER_BYTES + need > room_end)
		return false;
	/* No batch lies here, whatever these bytes were before: for those who walk the buffers. */
	if (appender->position < begin)
		memset(buffer_at(appender, appender->position), 0, sizeof(WalBatchHeader));
	put_opening_header(appender, sequence + 1);
	appender->batch_position = begin + WAL_HEADER_BYTES;
	return true;
}

static void
put_opening_header(WalAppender *appender, uint64_t sequence)
{
	const Shm *shm = appender->shm;
	uint64_t segment_bytes = shm->layout.wal_segment_bytes;
	uint8_t *place = buffer_at(appender, sequence * segment_bytes + WAL_OPENING_OFFSET);
	WalSegmentHeader *header = (WalSegmentHeader *) (void *) place;

	memset(place, 0, WAL_HEADER_BYTES - WAL_OPENING_OFFSET);
	header->magic = WAL_SEGMENT_MAGIC;
	header->version = WAL_VERSION;
	header->salt = atomic_load_explicit(&shm->segments->salt[sequence % WAL_READY_SEGMENTS],
										memory_order_relaxed);
	header->sequence = sequence;
	header->segment_bytes = segment_bytes;
	header->first_index = appender->last_index + 1;
	header->cluster_id = shm->recovered->cluster_id;
	header->member_id = shm->recovered->member_id;
	header->previous_crc = appender->previous_crc;
	header->flags = WAL_HEADER_OPENING;
	header->hard_state = appender->hard_state;
	if (FAULT(vote_lost_with_a_segment))
		header->hard_state.vote = 0;
	header->configuration = appender->configuration;
	wal_header_seal(header);
}

uint8_t *
wal_batch_add(WalAppender *appender, uint32_t kind, uint64_t index, uint64_t term, uint32_t length)
{
	uint64_t end = appender->batch_position + appender->batch_length + wal_record_bytes(length);
	WalRecordHeader *record;
	uint8_t *payload;

	Check(appender->batch_length > 0);
	if (end > appender->batch_limit)
		return NULL;
	record = (WalRecordHeader *) (void *) buffer_at(appender, appender->batch_position +
																  appender->batch_length);
	*record = (WalRecordHeader){.length = length, .kind = kind, .index = index, .term = term};
	payload = (uint8_t *) (record + 1);
	if (length % 8 != 0)
		memset(payload + length, 0, 8 - length % 8);
	if (kind == ENTRY_HARD_STATE)
	{
		Check(length == sizeof(HardState));
		appender->batch_hard_state = appender->batch_length + sizeof(*record);
	}
	if (index != 0)
		appender->batch_last_index = index;
	appender->batch_length += (uint32_t) wal_record_bytes(length);
	appender->record_count++;
	return payload;
}

uint64_t
wal_batch_end(WalAppender *appender, uint64_t commit_index, uint64_t commit_term)
{
	Shm *shm = appender->shm;
	uint64_t segment_bytes = shm->layout.wal_segment_bytes;
	uint64_t position = appender->batch_position;
	uint64_t end = position + wal_batch_sectors(appender->batch_length);
	WalBatchHeader *batch = (WalBatchHeader *) (void *) buffer_at(appender, position);

	Check(appender->batch_length > 0);
	*batch = (WalBatchHeader){
		.magic = WAL_BATCH_MAGIC,
		.previous_crc = appender->previous_crc,
		.length = appender->batch_length,
		.record_count = appender->record_count,
		.position = position,
		.commit_index = commit_index,
		.commit_term = commit_term,
	};
	batch->salt = atomic_load_explicit(
		&shm->segments->salt[wal_segment_of(end, segment_bytes) % WAL_READY_SEGMENTS],
		memory_order_relaxed);
	batch->flushed = atomic_load_explicit(&shm->positions->flushed, memory_order_acquire);
	memset((uint8_t *) batch + batch->length, 0, end - position - batch->length);
	wal_batch_seal(batch);

	if (appender->batch_hard_state != 0)
		memcpy(&appender->hard_state, (uint8_t *) batch + appender->batch_hard_state,
			   sizeof(HardState));
	if (commit_index > appender->hard_state.commit_index)
	{
		appender->hard_state.commit_index = commit_index;
		appender->hard_state.commit_term = commit_term;
	}
	/* A mark tells nothing new where all before it was told by itself. */
	appender->marked =
		appender->record_count == 0 && batch->flushed == appender->position ? end : 0;
	appender->last_index = appender->batch_last_index;
	appender->previous_crc = batch->crc;
	appender->position = end;
	appender->batch_length = 0;
	appender->record_count = 0;
	atomic_store_explicit(&shm->positions->appended, end, memory_order_release);
	latch_set(&shm->latches[PROC_WALWRITER]);
	return end;
}

bool
wal_mark_is_due(const WalAppender *appender)
{
	uint64_t flushed =
		atomic_load_explicit(&appender->shm->positions->flushed, memory_order_acquire);

	return flushed == appender->position && appender->marked != appender->position &&
		   appender->record_count == 0;
}

Status
wal_append_mark(WalAppender *appender, uint64_t commit_index, uint64_t commit_term)
{
	Status status = wal_batch_begin(appender, 0);

	if (status == RUSD_OK)
		(void) wal_batch_end(appender, commit_index, commit_term);
	return status;
}

static uint8_t *
buffer_at(const WalAppender *appender, uint64_t position)
{
	return appender->shm->wal_buffers + position % appender->shm->layout.wal_buffer_bytes;
}
