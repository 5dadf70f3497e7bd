/*
 * walk.c
 *	  The batches of a log on disk, one after another (doc/formats/wal.md, "Reading" and "Recovery").
 *
 * src/bin/rusd_waldump/walk.c
 */
#include "rusd_fe.h"

#include <stdarg.h>

#include "walk.h"

printf_like(2, 3) static Status damaged(Walk *walk, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(walk->message, sizeof(walk->message), format, args);
	va_end(args);
	return RUSD_DAMAGED;
}

/* A failure of the functions below, with words. */
static Status
failed(Walk *walk, Status status, uint64_t sequence)
{
	if (status == RUSD_DAMAGED)
		return damaged(walk,
					   "segment %016" PRIx64 ": its header is not whole, or the file is too short",
					   sequence);
	if (status == RUSD_NOT_FOUND)
		return damaged(walk, "segment %016" PRIx64 " is missing", sequence);
	snprintf(walk->message, sizeof(walk->message), "segment %016" PRIx64 " cannot be read",
			 sequence);
	return status;
}

static uint64_t
first_position(const WalSegmentFile *segment)
{
	return segment->sequence * segment->segment_bytes + WAL_HEADER_BYTES;
}

/* ---- opening ---- */

/*
 * The oldest segment from which there is no gap to the newest one that is opened; its sequence in
 * *oldest, 0 if none is opened.
 */
static Status
find_oldest(Walk *walk, const WalName *names, size_t count, uint64_t *oldest)
{
	*oldest = 0;
	for (size_t i = count; i-- > 0;)
	{
		Status status = wal_segment_find(&walk->segment, names[i].sequence);

		/* On a live node the oldest one may have gone since the folder was listed. */
		if (status == RUSD_NOT_FOUND)
			return RUSD_OK;
		if (status != RUSD_OK)
			return failed(walk, status, names[i].sequence);
		if (*oldest != 0 && (names[i].sequence + 1 != *oldest || !walk->segment.is_opened))
			return RUSD_OK;
		if (walk->segment.is_opened)
			*oldest = names[i].sequence;
	}
	return RUSD_OK;
}

Status
walk_open(Walk *walk, FileOps *fs)
{
	WalName *names = NULL;
	size_t count = 0;
	uint64_t oldest = 0;
	Status status;

	walk->fs = fs;
	walk->message[0] = '\0';
	wal_segment_init(&walk->segment, fs);
	status = wal_list_segments(fs, &names, &count);
	if (status == RUSD_OK && count == 0)
		status = RUSD_NOT_FOUND;
	if (status == RUSD_OK)
		status = find_oldest(walk, names, count, &oldest);
	free(names);
	if (status != RUSD_OK)
		return status;
	if (oldest == 0)
		return damaged(walk, "no segment of the log has an opening header");
	status = wal_segment_find(&walk->segment, oldest);
	if (status != RUSD_OK)
		return failed(walk, status, oldest);
	walk->position = first_position(&walk->segment);
	walk->crc = walk->segment.opening.previous_crc;
	return RUSD_OK;
}

void
walk_close(Walk *walk)
{
	wal_segment_destroy(&walk->segment);
}

/* ---- reading ---- */

/* The batch at walk->position if it is there and follows, else RUSD_END. */
static Status
batch_here(Walk *walk, const WalBatchHeader **batch)
{
	Status status = wal_segment_batch(&walk->segment, walk->position, batch);

	if (status == RUSD_OK && (*batch)->previous_crc != walk->crc)
		return RUSD_END;
	return status;
}

/* The same, with nothing that was read before: the node may be writing. */
static Status
batch_here_now(Walk *walk, const WalBatchHeader **batch)
{
	uint64_t sequence = wal_segment_of(walk->position, walk->segment.segment_bytes);
	Status status = wal_segment_find(&walk->segment, sequence);

	return status == RUSD_OK ? batch_here(walk, batch) : failed(walk, status, sequence);
}

/* Is there a segment behind this one in which the log goes on?  It is open then. */
static Status
enter_next(Walk *walk)
{
	uint64_t sequence = walk->segment.sequence;
	uint64_t segment_bytes = walk->segment.segment_bytes;
	Status status = wal_segment_find(&walk->segment, sequence + 1);

	if (status == RUSD_OK && walk->segment.is_opened)
	{
		if (walk->segment.opening.previous_crc != walk->crc ||
			walk->segment.segment_bytes != segment_bytes)
			return damaged(walk,
						   "the log breaks off at position %" PRIu64 ", in segment %016" PRIx64
						   ", and goes on in the next one: a batch that had been flushed is bad",
						   walk->position, sequence);
		walk->position = first_position(&walk->segment);
		return RUSD_OK;
	}
	if (status != RUSD_OK && status != RUSD_NOT_FOUND)
		return failed(walk, status, sequence + 1);
	status = wal_segment_find(&walk->segment, sequence);
	return status == RUSD_OK ? RUSD_END : failed(walk, status, sequence);
}

/* Does a batch behind walk->position tell that what is missing there had been flushed? */
static Status
look_behind(Walk *walk)
{
	uint64_t end = (walk->segment.sequence + 1) * walk->segment.segment_bytes;
	uint64_t missing = walk->position;

	for (uint64_t p = missing + WAL_SECTOR; p < end; p += WAL_SECTOR)
	{
		const WalBatchHeader *batch;
		Status status = wal_segment_batch(&walk->segment, p, &batch);

		if (status == RUSD_OK && batch->flushed > missing)
			return damaged(walk,
						   "the batch at position %" PRIu64 " is bad, and the one at %" PRIu64
						   " tells that it had been flushed",
						   missing, p);
		if (status != RUSD_OK && status != RUSD_END)
			return failed(walk, status, walk->segment.sequence);
	}
	return RUSD_END;
}

Status
walk_next(Walk *walk, const WalBatchHeader **batch)
{
	Status status = batch_here(walk, batch);

	if (status == RUSD_END)
		status = batch_here_now(walk, batch);
	if (status == RUSD_END)
	{
		status = enter_next(walk);
		if (status == RUSD_OK)
			status = batch_here(walk, batch);
		/* Behind a place where the log is being written there may be more by now than when it was
		 * looked at; so the place comes first once more. */
		if (status == RUSD_END)
			status = look_behind(walk);
		if (status == RUSD_DAMAGED && batch_here_now(walk, batch) == RUSD_OK)
			status = RUSD_OK;
	}
	if (status != RUSD_OK)
		return status;
	if (!wal_batch_well_formed(*batch))
		return damaged(walk, "the records of the batch at position %" PRIu64 " do not fill it",
					   walk->position);
	walk->crc = (*batch)->crc;
	walk->position += wal_batch_sectors((*batch)->length);
	return RUSD_OK;
}
