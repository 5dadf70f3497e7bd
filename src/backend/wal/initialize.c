/*
 * initialize.c
 *	  Makes the log of a new member: one segment with the entries that the cluster begins with.
 *
 * Startup process.  Killed at any point, it leaves no file with a segment's name: the next start
 * begins again.
 *
 * src/backend/wal/initialize.c
 */
#include "rusd.h"

#include "format/entry.h"
#include "wal_int.h"

/* 0 is no position: so the first segment is number 1. */
#define FIRST_SEQUENCE 1
#define FIRST_TERM 1

static Status make_folder(FileOps *fs);
static Status add_first_batch(SegmentBuild *build, const InitialEntry *entries, uint32_t count);
static uint8_t *put_record(uint8_t *place, uint32_t kind, uint64_t index, Bytes payload);

Status
wal_initialize(FileOps *fs, uint64_t segment_bytes, uint64_t cluster_id, uint64_t member_id,
			   const RaftConfiguration *configuration, const InitialEntry *entries, uint32_t count)
{
	SegmentBuild build;
	WalSegmentHeader header = {
		.magic = WAL_SEGMENT_MAGIC,
		.version = WAL_VERSION,
		.salt = wal_new_salt(0),
		.sequence = FIRST_SEQUENCE,
		.segment_bytes = segment_bytes,
		.first_index = 1,
		.cluster_id = cluster_id,
		.member_id = member_id,
		.flags = WAL_HEADER_CHAIN_BEGINS,
		.configuration = *configuration,
	};
	Status status = make_folder(fs);

	if (status != RUSD_OK)
		return status;
	status = segment_build_begin(&build, fs, WAL_PREPARE_NAME, false, 1, &header);
	if (status == RUSD_OK)
		status = add_first_batch(&build, entries, count);
	if (status == RUSD_OK)
	{
		WalBatchHeader mark = {
			.flushed = build.position, .commit_index = count, .commit_term = FIRST_TERM};

		status = segment_build_add(&build, &mark, sizeof(mark));
	}
	if (status == RUSD_OK)
		status = segment_build_finish(&build);
	segment_build_end(&build);
	return status;
}

static Status
make_folder(FileOps *fs)
{
	int result = fs->mkdir(fs, WAL_FOLDER);

	if (result < 0 && result != -EEXIST)
		return fs_status(result);
	return fs_status(fs->sync_dir(fs, "."));
}

static Status
add_first_batch(SegmentBuild *build, const InitialEntry *entries, uint32_t count)
{
	HardState hard_state = {
		.term = FIRST_TERM, .commit_index = count, .commit_term = count > 0 ? FIRST_TERM : 0};
	uint64_t length = sizeof(WalBatchHeader) + wal_record_bytes(sizeof(hard_state));
	WalBatchHeader *batch;
	uint8_t *next;
	Status status;

	for (uint32_t i = 0; i < count; i++)
		length += wal_record_bytes((uint32_t) entries[i].payload.length);
	if (length > build->header.segment_bytes / 4)
		return RUSD_INVALID;
	batch = calloc(1, length);
	if (batch == NULL)
		return RUSD_NO_MEMORY;
	batch->record_count = count + 1;
	batch->commit_index = count;
	batch->commit_term = hard_state.commit_term;
	next = (uint8_t *) (batch + 1);
	next =
		put_record(next, ENTRY_HARD_STATE, 0, (Bytes){(uint8_t *) &hard_state, sizeof(hard_state)});
	for (uint32_t i = 0; i < count; i++)
		next = put_record(next, entries[i].kind, i + 1, entries[i].payload);
	status = segment_build_add(build, batch, (uint32_t) length);
	free(batch);
	return status;
}

static uint8_t *
put_record(uint8_t *place, uint32_t kind, uint64_t index, Bytes payload)
{
	WalRecordHeader record = {.length = (uint32_t) payload.length,
							  .kind = kind,
							  .index = index,
							  .term = index > 0 ? FIRST_TERM : 0};

	memcpy(place, &record, sizeof(record));
	if (payload.length > 0)
		memcpy(place + sizeof(record), payload.data, payload.length);
	return place + wal_record_bytes(record.length);
}
