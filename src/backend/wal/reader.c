/*
 * reader.c
 *	  Reads the log: entries up to a position that the caller was given, without those that later
 * ones up to there void.
 *
 * Runs in the applier (and in peers).  From the WAL buffers where they hold it, else from segments.
 * A record of index i voids every earlier record of index i or above; so before the first record
 * before a new limit is handed out, the batches up to the limit are looked through for records whose
 * index does not rise.  They are rare: for what recovery has seen it tells whether there are any,
 * and in the buffers it costs a look at each record's header, which is read soon after anyway.
 *
 * src/backend/wal/reader.c
 */
#include "rusd.h"

#include "format/entry.h"
#include "port/fault.h"
#include "wal_int.h"

/* From here on back, records of this index and above are void. */
typedef struct Regression
{
	uint64_t position; /* of the batch, and which record in it */
	uint32_t record;
	uint64_t index;
} Regression;

/* Where batches are taken from, one after another. */
typedef struct Walk
{
	uint64_t position; /* of the next batch */
	uint32_t crc;
	bool has_crc;
	bool in_buffers; /* the last batch was */
	WalSegmentFile segment;
} Walk;

struct WalReader
{
	Shm *shm;
	FileOps *fs;
	Walk main;
	Walk ahead;                    /* looks for regressions */
	const WalBatchHeader *batch;   /* current one, or NULL */
	const WalRecordHeader *record; /* next in it */
	uint32_t record_number;
	uint32_t record_count;
	uint64_t batch_begin;
	uint64_t batch_end;
	bool in_buffers;         /* the current batch is read in place */
	uint64_t last_index;     /* seen by ahead */
	Regression *regressions; /* ascending in position and in index */
	size_t regression_count;
	size_t regression_capacity;
};

static Status look_ahead(WalReader *reader, uint64_t limit);
static Status note_indexes(WalReader *reader, const WalBatchHeader *batch);
static Status add_regression(WalReader *reader, Regression regression);
static bool is_void(WalReader *reader, const WalRecordHeader *record);
static Status next_batch(WalReader *reader, Walk *walk, uint64_t limit,
						 const WalBatchHeader **batch);
static Status batch_in_segments(WalReader *reader, Walk *walk, const WalBatchHeader **batch);
static Status enter_segment(Walk *walk, uint64_t sequence);
static bool is_in_buffers(const WalReader *reader, uint64_t position);

Status
wal_reader_create(Shm *shm, FileOps *fs, uint64_t from, WalReader **result)
{
	const NodeRecovered *recovered = shm->recovered;
	WalReader *reader = calloc(1, sizeof(*reader));

	if (reader == NULL)
		return RUSD_NO_MEMORY;
	from = Max(from, atomic_load_explicit(&shm->positions->log_begin, memory_order_acquire));
	reader->shm = shm;
	reader->fs = fs;
	reader->main.position = from;
	reader->ahead.position = from;
	/* Recovery has looked through this part of the log.  The batch at from may itself hold an entry and
	 * what voids it: a leader that was deposed in the turn in which it appended. */
	if (from < recovered->log_end && recovered->last_regression < from)
	{
		reader->ahead.position = recovered->log_end;
		reader->ahead.crc = recovered->previous_crc;
		reader->ahead.has_crc = true;
		reader->last_index = recovered->last_index;
	}
	else if (from >= recovered->log_end)
		reader->last_index = from == recovered->log_end ? recovered->last_index : 0;
	wal_segment_init(&reader->main.segment, fs);
	wal_segment_init(&reader->ahead.segment, fs);
	*result = reader;
	return RUSD_OK;
}

void
wal_reader_destroy(WalReader *reader)
{
	wal_segment_destroy(&reader->main.segment);
	wal_segment_destroy(&reader->ahead.segment);
	free(reader->regressions);
	free(reader);
}

uint64_t
wal_reader_position(const WalReader *reader)
{
	return reader->batch != NULL ? reader->batch_begin : reader->main.position;
}

bool
wal_reader_is_intact(const WalReader *reader)
{
	return reader->batch == NULL || !reader->in_buffers ||
		   is_in_buffers(reader, reader->batch_begin);
}

bool
wal_reader_can_go_on(const WalReader *reader)
{
	return (reader->batch != NULL && reader->record_number == reader->record_count) ||
		   wal_reader_is_intact(reader);
}

Status
wal_reader_next(WalReader *reader, uint64_t limit, WalRecord *record)
{
	Status status = look_ahead(reader, limit);

	if (status != RUSD_OK)
		return status;
	for (;;)
	{
		const WalRecordHeader *next;

		if (reader->batch == NULL || reader->record_number == reader->record_count)
		{
			reader->batch = NULL;
			status = next_batch(reader, &reader->main, limit, &reader->batch);
			if (status != RUSD_OK)
				return status;
			reader->batch_begin = reader->batch->position;
			reader->batch_end = reader->main.position;
			reader->record_count = reader->batch->record_count;
			reader->in_buffers = reader->main.in_buffers;
			reader->record = wal_batch_first_record(reader->batch);
			reader->record_number = 0;
			continue;
		}
		next = reader->record;
		reader->record = wal_record_next(next);
		reader->record_number++;
		if (next->index == 0 ? next->kind != ENTRY_DEFRAGMENT : is_void(reader, next))
			continue;
		record->header = *next;
		record->payload = (const uint8_t *) (next + 1);
		record->end = reader->batch_end;
		return RUSD_OK;
	}
}

/* Brings the list of regressions up to limit. */
static Status
look_ahead(WalReader *reader, uint64_t limit)
{
	while (reader->ahead.position < limit)
	{
		const WalBatchHeader *batch = NULL;
		Status status = next_batch(reader, &reader->ahead, limit, &batch);

		if (status == RUSD_OK)
			status = note_indexes(reader, batch);
		if (status != RUSD_OK)
			return status == RUSD_END ? RUSD_OK : status;
	}
	return RUSD_OK;
}

static Status
note_indexes(WalReader *reader, const WalBatchHeader *batch)
{
	const WalRecordHeader *record = wal_batch_first_record(batch);

	for (uint32_t i = 0; i < batch->record_count; i++)
	{
		uint64_t index = record->index;

		if (index != 0 && index <= reader->last_index)
		{
			Status status = add_regression(
				reader, (Regression){.position = batch->position, .record = i, .index = index});

			if (status != RUSD_OK)
				return status;
		}
		if (index != 0)
			reader->last_index = index;
		record = wal_record_next(record);
	}
	return RUSD_OK;
}

static Status
add_regression(WalReader *reader, Regression regression)
{
	/* An earlier one with no lower index says nothing that this one does not. */
	while (reader->regression_count > 0 &&
		   reader->regressions[reader->regression_count - 1].index >= regression.index)
		reader->regression_count--;
	if (reader->regression_count == reader->regression_capacity)
	{
		size_t capacity = reader->regression_capacity == 0 ? 16 : 2 * reader->regression_capacity;
		Regression *grown = realloc(reader->regressions, capacity * sizeof(Regression));

		if (grown == NULL)
			return RUSD_NO_MEMORY;
		reader->regressions = grown;
		reader->regression_capacity = capacity;
	}
	reader->regressions[reader->regression_count++] = regression;
	return RUSD_OK;
}

/* Does a later record void this one, which was taken from the current batch just now? */
static bool
is_void(WalReader *reader, const WalRecordHeader *record)
{
	uint64_t position = reader->batch_begin;
	uint32_t number = reader->record_number - 1;
	size_t passed = 0;

	while (passed < reader->regression_count &&
		   (reader->regressions[passed].position < position ||
			(reader->regressions[passed].position == position &&
			 reader->regressions[passed].record <= number)))
		passed++;
	if (passed > 0)
	{
		reader->regression_count -= passed;
		memmove(reader->regressions, reader->regressions + passed,
				reader->regression_count * sizeof(Regression));
	}
	return reader->regression_count > 0 && reader->regressions[0].index <= record->index &&
		   !FAULT(voided_kept);
}

/* RUSD_END: no batch ends at or before limit. */
static Status
next_batch(WalReader *reader, Walk *walk, uint64_t limit, const WalBatchHeader **batch)
{
	const Shm *shm = reader->shm;
	uint64_t segment_bytes = shm->layout.wal_segment_bytes;

	while (walk->position < limit)
	{
		const WalBatchHeader *found = NULL;

		walk->in_buffers = false;
		/* At the end of a segment nothing is looked for in it: it may be gone. */
		if (walk->position % segment_bytes == 0)
			;
		else if (is_in_buffers(reader, walk->position))
		{
			found = (const WalBatchHeader *) (const void *) (shm->wal_buffers +
															 walk->position %
																 shm->layout.wal_buffer_bytes);
			if (found->magic != WAL_BATCH_MAGIC || found->position != walk->position)
				found = NULL;
			walk->in_buffers = true;
		}
		else
		{
			Status status = batch_in_segments(reader, walk, &found);

			if (status != RUSD_OK && status != RUSD_END)
				return status;
		}
		if (found == NULL)
		{
			/* The rest of this segment is not used, or this is damage: limit is the end of a batch.
			 */
			walk->position = (wal_segment_of(walk->position, segment_bytes) + 1) * segment_bytes +
							 WAL_HEADER_BYTES;
			if (walk->position >= limit)
				return RUSD_DAMAGED;
			continue;
		}
		if (walk->position + wal_batch_sectors(found->length) > limit)
			return RUSD_END;
		if (walk->has_crc && found->previous_crc != walk->crc)
			return RUSD_DAMAGED;
		walk->crc = found->crc;
		walk->has_crc = true;
		walk->position += wal_batch_sectors(found->length);
		*batch = found;
		return RUSD_OK;
	}
	return RUSD_END;
}

/* RUSD_END: there is no batch at this position. */
static Status
batch_in_segments(WalReader *reader, Walk *walk, const WalBatchHeader **batch)
{
	uint64_t sequence = wal_segment_of(walk->position, reader->shm->layout.wal_segment_bytes);
	Status status;

	if (reader->fs == NULL)
		return RUSD_NOT_FOUND;
	if (walk->segment.file < 0 || walk->segment.sequence != sequence)
	{
		status = enter_segment(walk, sequence);
		if (status != RUSD_OK)
			return status;
	}
	status = wal_segment_batch(&walk->segment, walk->position, batch);
	if (status != RUSD_END)
		return status;
	/* What was read before it was written, or a file that was taken over for another segment: once
	 * more from the beginning. */
	status = enter_segment(walk, sequence);
	return status == RUSD_OK ? wal_segment_batch(&walk->segment, walk->position, batch) : status;
}

static Status
enter_segment(Walk *walk, uint64_t sequence)
{
	Status status = wal_segment_find(&walk->segment, sequence);

	if (status != RUSD_OK)
		return status;
	return walk->segment.is_opened ? RUSD_OK : RUSD_DAMAGED;
}

/*
 * Raft overwrites nothing that is not both flushed and applied.  What it may have overwritten is in
 * segments, and what this incarnation has not appended never was in the buffers.
 */
static bool
is_in_buffers(const WalReader *reader, uint64_t position)
{
	const ShmPositions *positions = reader->shm->positions;
	uint64_t applied = atomic_load_explicit(&positions->applied_position, memory_order_acquire);
	uint64_t flushed = atomic_load_explicit(&positions->flushed, memory_order_acquire);

	return position >= reader->shm->recovered->log_end && position >= Min(applied, flushed);
}

/*
 * What lies before a segment ends with the index before the opening header's first one.  So the newest record of an
 * index lies in the last segment whose first index is not above it, or behind.
 */
Status
wal_find_index(Shm *shm, FileOps *fs, uint64_t index, uint64_t *position)
{
	WalSegmentFile segment;
	WalName *names;
	size_t count;
	Status status = wal_list_segments(fs, &names, &count);
	bool found = false;

	if (status != RUSD_OK)
		return status;
	wal_segment_init(&segment, fs);
	while (count > 0 && !found)
	{
		const WalName *name = &names[--count];

		/* The name tells a lower bound; and the newest are prepared only, not opened. */
		if (name->first_index > index || wal_segment_find(&segment, name->sequence) != RUSD_OK)
			continue;
		found = segment.is_opened && segment.opening.first_index <= index;
		*position = name->sequence * shm->layout.wal_segment_bytes + WAL_HEADER_BYTES;
	}
	wal_segment_destroy(&segment);
	free(names);
	return found ? RUSD_OK : RUSD_NOT_FOUND;
}
