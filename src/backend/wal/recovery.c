/*
 * recovery.c
 *	  Finds the end of the log after a stop or a crash, and tells damage from a torn write.
 *
 * Startup process.  What proves that a batch was flushed: a later batch whose flushed position lies
 * behind it, or an opened segment after its own, for a segment is opened only when all before it is
 * synced [wal-3].  A bad batch that was flushed is damage, and the node does not start.  Any other
 * bad batch is the end.
 *
 * Only the segments from the one that holds the first entry after the checkpoint are read.
 *
 * src/backend/wal/recovery.c
 */
#include "rusd.h"

#include <stdarg.h>

#include "format/entry.h"
#include "port/fault.h"
#include "raft/change.h"
#include "wal_int.h"

/* The end of a batch, and the last index of the log up to there. */
typedef struct BatchEnd
{
	uint64_t last_index;
	uint64_t position;
} BatchEnd;

typedef struct Recovery
{
	FileOps *fs;
	NodeRecovered *result;
	char *message;
	size_t message_size;
	WalName *names;
	size_t count;
	size_t last;  /* in names: the newest opened segment */
	size_t start; /* in names: the first one that is read */
	WalSegmentFile segment;
	WalSegmentHeader newest; /* opening header of the last one */
	uint64_t position;       /* of the next batch */
	uint32_t crc;            /* of the batch before */
	uint64_t applied_term;   /* of the entry at the checkpoint's index, 0: not seen */
	/* Candidates for the commit position, ascending in both: the newest that is committed, and
	 * those after it. */
	BatchEnd *ends;
	size_t end_first;
	size_t end_count;
	size_t end_capacity;
} Recovery;

static Status recover(Recovery *recovery);
static Status open_named(Recovery *recovery, size_t which);
static Status choose_last(Recovery *recovery);
static Status check_unopened(Recovery *recovery);
static Status choose_start(Recovery *recovery);
static void start_at(Recovery *recovery, size_t which);
static Status walk_segment(Recovery *recovery, size_t which);
static Status check_end(Recovery *recovery);
static Status take_batch(Recovery *recovery, const WalBatchHeader *batch);
static Status take_entry(Recovery *recovery, const WalBatchHeader *batch,
						 const WalRecordHeader *record);
static void take_commit(Recovery *recovery, uint64_t index, uint64_t term);
static void take_term(NodeRecovered *result, uint64_t index, uint64_t term);
static Status take_change(Recovery *recovery, const WalBatchHeader *batch,
						  const WalRecordHeader *record);
static void use_committed_changes(NodeRecovered *result, uint64_t commit_index);
static void drop_voided_ends(Recovery *recovery, uint64_t index);
static Status add_end(Recovery *recovery, uint64_t position);
static Status finish(Recovery *recovery);
static Status damaged(Recovery *recovery, const char *format, ...) printf_like(2, 3);

Status
wal_segment_bytes_on_disk(FileOps *fs, uint64_t *segment_bytes)
{
	WalName *names = NULL;
	size_t count = 0;
	WalSegmentFile segment;
	Status status = wal_list_segments(fs, &names, &count);
	char name[WAL_NAME_BYTES];

	if (status != RUSD_OK)
		return status;
	if (count == 0)
		return RUSD_NOT_FOUND;
	wal_segment_init(&segment, fs);
	wal_segment_name(name, names[count - 1].sequence, names[count - 1].first_index);
	status = wal_segment_open(&segment, name, names[count - 1].sequence);
	*segment_bytes = segment.segment_bytes;
	wal_segment_destroy(&segment);
	free(names);
	return status;
}

Status
wal_recover(FileOps *fs, NodeRecovered *result, char *message, size_t message_size)
{
	Recovery recovery = {
		.fs = fs, .result = result, .message = message, .message_size = message_size};
	Status status;

	if (message_size > 0)
		message[0] = '\0';
	wal_segment_init(&recovery.segment, fs);
	status = wal_list_segments(fs, &recovery.names, &recovery.count);
	if (status == RUSD_OK && recovery.count == 0)
		status = RUSD_NOT_FOUND;
	if (status == RUSD_OK)
		status = recover(&recovery);
	if (status == RUSD_NO_ROOM)
		(void) snprintf(message, message_size,
						"the disk has no room for the copy of the last log segment");
	wal_segment_destroy(&recovery.segment);
	free(recovery.ends);
	free(recovery.names);
	return status;
}

static Status
recover(Recovery *recovery)
{
	const WalName *garbage = NULL;
	Status status = choose_last(recovery);

	if (status == RUSD_OK)
		status = choose_start(recovery);
	for (size_t i = recovery->start; status == RUSD_OK && i <= recovery->last; i++)
		status = walk_segment(recovery, i);
	if (status == RUSD_OK)
		status = check_end(recovery);
	if (status == RUSD_OK)
		status = finish(recovery);
	if (status != RUSD_OK)
		return status;
	if (recovery->last + 1 < recovery->count)
		garbage = &recovery->names[recovery->count - 1];
	status = wal_rewrite_segment(&recovery->segment, &recovery->names[recovery->last],
								 recovery->position, garbage, recovery->result);
	if (recovery->result->replay_position == 0)
		recovery->result->replay_position = recovery->result->log_end;
	return status;
}

/* Opens a segment and compares what all segments of a log have in common. */
static Status
open_named(Recovery *recovery, size_t which)
{
	const WalName *wanted = &recovery->names[which];
	const WalSegmentHeader *newest = &recovery->newest;
	const WalSegmentHeader *header = &recovery->segment.prepared;
	char name[WAL_NAME_BYTES];
	Status status;

	wal_segment_name(name, wanted->sequence, wanted->first_index);
	status = wal_segment_open(&recovery->segment, name, wanted->sequence);
	if (status == RUSD_DAMAGED)
		return damaged(recovery, "segment %s: its header is not whole, or the file is too short",
					   name);
	if (status != RUSD_OK)
		return status == RUSD_NOT_FOUND ? RUSD_IO : status; /* it was listed */
	if (newest->magic != 0 &&
		(header->segment_bytes != newest->segment_bytes ||
		 header->cluster_id != newest->cluster_id || header->member_id != newest->member_id))
		return damaged(recovery, "segment %s belongs to another log", name);
	return RUSD_OK;
}

/* The newest segment that was opened.  Those after it were prepared and never used, or their
 * opening was torn. */
static Status
choose_last(Recovery *recovery)
{
	for (size_t i = recovery->count; i-- > 0;)
	{
		Status status;

		if (i > 0 && recovery->names[i].sequence == recovery->names[i - 1].sequence)
			return damaged(recovery, "two files are called segment %" PRIu64,
						   recovery->names[i].sequence);
		status = open_named(recovery, i);
		if (status != RUSD_OK)
			return status;
		if (recovery->segment.is_opened)
		{
			recovery->last = i;
			recovery->newest = recovery->segment.opening;
			return RUSD_OK;
		}
		status = check_unopened(recovery);
		if (status != RUSD_OK)
			return status;
	}
	return damaged(recovery, "no segment has a whole opening header");
}

/* A segment without an opening header must not hold a batch that was written after another one
 * there was flushed. */
static Status
check_unopened(Recovery *recovery)
{
	WalSegmentFile *segment = &recovery->segment;
	uint64_t begin = segment->sequence * segment->segment_bytes;
	Status status = RUSD_OK;

	for (uint64_t offset = WAL_HEADER_BYTES; offset < segment->segment_bytes; offset += WAL_SECTOR)
	{
		const WalBatchHeader *batch = NULL;

		status = wal_segment_batch(segment, begin + offset, &batch);
		if (status == RUSD_OK && batch->flushed > begin)
			return damaged(recovery,
						   "segment %016" PRIx64
						   ": its opening header is not whole, but the batch at position %" PRIu64
						   " proves that it was flushed",
						   segment->sequence, batch->position);
		if (status != RUSD_OK && status != RUSD_END)
			return status;
	}
	return RUSD_OK;
}

/* With the segment that was opened just now. */
static void
start_at(Recovery *recovery, size_t which)
{
	NodeRecovered *result = recovery->result;
	const WalSegmentHeader *opening = &recovery->segment.opening;
	const LogBegin *begin = &result->log_begin;

	recovery->start = which;
	recovery->crc = opening->previous_crc;
	recovery->position =
		recovery->names[which].sequence * opening->segment_bytes + WAL_HEADER_BYTES;
	/* Opened while a snapshot was installed, or before that, it knows nothing of it yet. */
	result->last_index = recovery->position < begin->position
							 ? begin->index
							 : Max(opening->first_index - 1, begin->index);
	result->last_term = 0;
	if (result->last_index == result->applied_index)
		result->last_term = result->applied_term;
	else if (result->last_index == begin->index)
		result->last_term = begin->term;
	result->hard_state = opening->hard_state;
	if (result->applied_index == 0)
		result->applied_configuration = opening->configuration;
	result->configuration = result->applied_configuration;
	result->change_count = 0;
	result->run_count = 0;
	if (result->last_term != 0)
		take_term(result, result->last_index, result->last_term);
	result->last_regression = 0;
	result->replay_position = 0;
	result->commit_position = Max(recovery->position, begin->position);
}

/* Backwards to the segment before which everything is in the checkpoint. */
static Status
choose_start(Recovery *recovery)
{
	NodeRecovered *result = recovery->result;
	uint64_t begin = result->log_begin.position;

	for (size_t i = recovery->last;; i--)
	{
		const WalSegmentHeader *opening = &recovery->segment.opening;
		Status status = RUSD_OK;

		if (i < recovery->last)
			status = open_named(recovery, i);
		if (status != RUSD_OK)
			return status;
		if (!recovery->segment.is_opened)
			return damaged(recovery,
						   "segment %016" PRIx64
						   ": its opening header is not whole, but a later segment was opened",
						   recovery->names[i].sequence);
		if (opening->first_index <= result->applied_index + 1 ||
			(begin != 0 &&
			 recovery->names[i].sequence <= wal_segment_of(begin, opening->segment_bytes)))
		{
			start_at(recovery, i);
			return RUSD_OK;
		}
		if (i == 0 || recovery->names[i - 1].sequence + 1 != recovery->names[i].sequence)
			return damaged(recovery,
						   "the log begins at index %" PRIu64 " in segment %016" PRIx64
						   ", but the checkpoint ends at index %" PRIu64,
						   opening->first_index, recovery->names[i].sequence,
						   result->applied_index);
	}
}

static Status
walk_segment(Recovery *recovery, size_t which)
{
	WalSegmentFile *segment = &recovery->segment;
	uint64_t end_before = recovery->position;
	const WalBatchHeader *batch = NULL;
	Status status = open_named(recovery, which);

	if (status != RUSD_OK)
		return status;
	if (!segment->is_opened)
		return damaged(recovery,
					   "segment %016" PRIx64
					   ": its opening header is not whole, but a later segment was opened",
					   segment->sequence);
	if (segment->opening.previous_crc != recovery->crc)
		return damaged(recovery,
					   "the batch at position %" PRIu64
					   " is bad or another one, but segment %016" PRIx64
					   " was opened after it had been flushed",
					   end_before, segment->sequence);
	recovery->position = segment->sequence * segment->segment_bytes + WAL_HEADER_BYTES;
	while ((status = wal_segment_batch(segment, recovery->position, &batch)) == RUSD_OK)
	{
		if (batch->previous_crc != recovery->crc)
			return RUSD_OK;
		if (!wal_batch_well_formed(batch))
			return damaged(recovery,
						   "the batch at position %" PRIu64
						   " has a right checksum but wrong content",
						   batch->position);
		status = take_batch(recovery, batch);
		if (status != RUSD_OK)
			return status;
		recovery->crc = batch->crc;
		recovery->position += wal_batch_sectors(batch->length);
	}
	return status == RUSD_END ? RUSD_OK : status;
}

/* Behind the end, in the last segment: does anything prove that the log was longer? */
static Status
check_end(Recovery *recovery)
{
	WalSegmentFile *segment = &recovery->segment;
	uint64_t segment_end = (segment->sequence + 1) * segment->segment_bytes;

	for (uint64_t at = recovery->position + WAL_SECTOR; at < segment_end; at += WAL_SECTOR)
	{
		const WalBatchHeader *batch = NULL;
		Status status = wal_segment_batch(segment, at, &batch);

		if (status == RUSD_OK && batch->flushed > recovery->position)
			return damaged(recovery,
						   "the batch at position %" PRIu64 " (segment %016" PRIx64
						   ", offset %" PRIu64 ") is bad, but the batch at position %" PRIu64
						   " proves that it had been flushed",
						   recovery->position, segment->sequence,
						   recovery->position % segment->segment_bytes, at);
		if (status != RUSD_OK && status != RUSD_END)
			return status;
	}
	return RUSD_OK;
}

static Status
take_batch(Recovery *recovery, const WalBatchHeader *batch)
{
	const WalRecordHeader *record = wal_batch_first_record(batch);
	HardState *hard_state = &recovery->result->hard_state;
	/* What an installed snapshot has taken the place of; term, vote and commit go on counting. */
	bool is_void = batch->position < recovery->result->log_begin.position;
	bool has_entries = false;

	for (uint32_t i = 0; i < batch->record_count; i++)
	{
		Status status = RUSD_OK;

		if (record->index != 0 && !is_void)
		{
			has_entries = true;
			status = take_entry(recovery, batch, record);
		}
		else if (record->kind == ENTRY_HARD_STATE && record->length == sizeof(HardState))
		{
			HardState told;

			memcpy(&told, record + 1, sizeof(told));
			hard_state->term = told.term;
			hard_state->vote = told.vote;
			take_commit(recovery, told.commit_index, told.commit_term);
		}
		if (status != RUSD_OK)
			return status;
		record = wal_record_next(record);
	}
	if (has_entries)
	{
		Status status = add_end(recovery, batch->position + wal_batch_sectors(batch->length));

		if (status != RUSD_OK)
			return status;
	}
	take_commit(recovery, batch->commit_index, batch->commit_term);
	use_committed_changes(recovery->result, hard_state->commit_index);
	return RUSD_OK;
}

static Status
take_entry(Recovery *recovery, const WalBatchHeader *batch, const WalRecordHeader *record)
{
	NodeRecovered *result = recovery->result;

	if (record->index > result->last_index + 1)
		return damaged(recovery,
					   "the batch at position %" PRIu64 " holds index %" PRIu64
					   " after index %" PRIu64,
					   batch->position, record->index, result->last_index);
	if (record->index <= result->last_index)
		result->last_regression = batch->position;
	result->last_index = record->index;
	result->last_term = record->term;
	if (record->index == result->applied_index)
		recovery->applied_term = record->term;
	if (record->index > result->applied_index && result->replay_position == 0)
		result->replay_position = batch->position;
	drop_voided_ends(recovery, record->index);
	take_term(result, record->index, record->term);
	return take_change(recovery, batch, record);
}

/* The log ends with an entry of that index and term. */
static void
take_term(NodeRecovered *result, uint64_t index, uint64_t term)
{
	RaftRun *runs = result->runs;

	while (result->run_count > 0 && runs[result->run_count - 1].first_index >= index)
		result->run_count--;
	if (result->run_count > 0 && runs[result->run_count - 1].term == term)
		return;
	if (result->run_count == RECOVERED_RUNS)
	{
		result->run_count--;
		memmove(runs, runs + 1, result->run_count * sizeof(*runs));
	}
	runs[result->run_count++] = (RaftRun){.first_index = index, .term = term};
}

/* A change behind the checkpoint.  It may be voided yet; no more than a few are not known to be
 * committed at a time, for a leader waits with one until the one before is. */
static Status
take_change(Recovery *recovery, const WalBatchHeader *batch, const WalRecordHeader *record)
{
	NodeRecovered *result = recovery->result;
	const uint8_t *payload = (const uint8_t *) (record + 1);

	while (result->change_count > 0 &&
		   result->changes[result->change_count - 1].index >= record->index)
		result->change_count--;
	if (record->kind != ENTRY_MEMBER || record->index <= result->applied_index)
		return RUSD_OK;
	/* The members of a new cluster, or what a member that was behind has got: known to be committed when the
	 * batch was written. */
	if (result->change_count == RAFT_CHANGES_MAX)
		use_committed_changes(result, Max(result->hard_state.commit_index, batch->commit_index));
	if (entry_check(record->kind, payload, record->length) != RUSD_OK ||
		result->change_count == RAFT_CHANGES_MAX)
		return damaged(recovery, "the change of members of index %" PRIu64 " makes no sense",
					   record->index);
	result->changes[result->change_count++] = raft_change_of_entry(record->index, payload);
	return RUSD_OK;
}

static void
use_committed_changes(NodeRecovered *result, uint64_t commit_index)
{
	while (result->change_count > 0 && result->changes[0].index <= commit_index)
	{
		/* What is refused changes nothing. */
		(void) raft_configuration_change(&result->configuration, &result->changes[0]);
		result->change_count--;
		memmove(result->changes, result->changes + 1,
				result->change_count * sizeof(result->changes[0]));
	}
}

static void
take_commit(Recovery *recovery, uint64_t index, uint64_t term)
{
	HardState *hard_state = &recovery->result->hard_state;

	if (index <= hard_state->commit_index)
		return;
	hard_state->commit_index = index;
	hard_state->commit_term = term;
	/* Of committed ones only the newest is still of interest. */
	while (recovery->end_count > 1 && recovery->ends[recovery->end_first + 1].last_index <= index)
	{
		recovery->end_first++;
		recovery->end_count--;
	}
}

/* An entry of that index voids what was there and behind: a log that ends there is no part of this
 * one any more. */
static void
drop_voided_ends(Recovery *recovery, uint64_t index)
{
	while (recovery->end_count > 0 &&
		   recovery->ends[recovery->end_first + recovery->end_count - 1].last_index >= index)
		recovery->end_count--;
}

static Status
add_end(Recovery *recovery, uint64_t position)
{
	drop_voided_ends(recovery, recovery->result->last_index);
	if (recovery->end_first > 0 &&
		recovery->end_first + recovery->end_count == recovery->end_capacity)
	{
		memmove(recovery->ends, recovery->ends + recovery->end_first,
				recovery->end_count * sizeof(BatchEnd));
		recovery->end_first = 0;
	}
	if (recovery->end_count == recovery->end_capacity)
	{
		size_t capacity = recovery->end_capacity == 0 ? 1024 : 2 * recovery->end_capacity;
		BatchEnd *grown = realloc(recovery->ends, capacity * sizeof(BatchEnd));

		if (grown == NULL)
			return RUSD_NO_MEMORY;
		recovery->ends = grown;
		recovery->end_capacity = capacity;
	}
	recovery->ends[recovery->end_first + recovery->end_count++] =
		(BatchEnd){recovery->result->last_index, position};
	return RUSD_OK;
}

static Status
finish(Recovery *recovery)
{
	NodeRecovered *result = recovery->result;
	HardState *hard_state = &result->hard_state;

	if (recovery->position < result->log_begin.position)
		return damaged(recovery,
					   "the log ends at position %" PRIu64 ", before position %" PRIu64
					   " where a snapshot was installed",
					   recovery->position, result->log_begin.position);
	if (result->last_index < result->applied_index)
		return damaged(recovery,
					   "the log ends at index %" PRIu64 " (position %" PRIu64
					   "), before the checkpoint's index %" PRIu64,
					   result->last_index, recovery->position, result->applied_index);
	if (recovery->applied_term != 0 && recovery->applied_term != result->applied_term)
		return damaged(recovery,
					   "the entry at the checkpoint's index %" PRIu64 " is of term %" PRIu64
					   ", not %" PRIu64,
					   result->applied_index, recovery->applied_term, result->applied_term);
	/* It was logged behind the entry that it names. */
	if (hard_state->commit_index > result->last_index)
		return damaged(recovery,
					   "the log ends at index %" PRIu64 " (position %" PRIu64
					   "), but says that index %" PRIu64 " is committed",
					   result->last_index, recovery->position, hard_state->commit_index);
	take_commit(recovery, result->applied_index, result->applied_term);
	use_committed_changes(result, hard_state->commit_index);
	for (size_t i = recovery->end_first; i < recovery->end_first + recovery->end_count; i++)
	{
		if (recovery->ends[i].last_index <= hard_state->commit_index || FAULT(replay_past_commit))
			result->commit_position = recovery->ends[i].position;
	}
	result->cluster_id = recovery->newest.cluster_id;
	result->member_id = recovery->newest.member_id;
	result->next_sequence = recovery->names[recovery->last].sequence + 1;
	return RUSD_OK;
}

static Status
damaged(Recovery *recovery, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void) vsnprintf(recovery->message, recovery->message_size, format, args);
	va_end(args);
	return RUSD_DAMAGED;
}
