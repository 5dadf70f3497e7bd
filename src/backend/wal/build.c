/*
 * build.c
 *	  Writes a whole segment at start: the first one of a log, recovery's copy of the last one, or one that is put behind it.
 *
 * Startup process.  Nothing counts before the file has a segment's name, and it gets that when all
 * of it is synced [wal-5].
 *
 * src/backend/wal/build.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <sys/random.h>

#include "format/entry.h"
#include "wal_int.h"

#define STAGING_BYTES (256 * 1024)

static Status write_out(SegmentBuild *build);
static Status write_zeros(SegmentBuild *build);
static Status write_headers(SegmentBuild *build);
static uint8_t *put_record(uint8_t *place, uint32_t kind, uint64_t index, uint64_t term,
						   Bytes payload);

uint32_t
wal_new_salt(uint32_t other)
{
	uint32_t salt = 0;

	/* Of so few bytes getrandom gives all or, before the machine has any, waits. */
	while (salt == 0 || salt == other)
		Check(getrandom(&salt, sizeof(salt), 0) == sizeof(salt));
	return salt;
}

int
wal_create_file(FileOps *fs, const char *name)
{
	int result = fs->unlink(fs, name);

	if (result < 0 && result != -ENOENT)
		return result;
	return fs->open(fs, name, O_RDWR | O_CREAT | O_EXCL);
}

Status
segment_build_begin(SegmentBuild *build, FileOps *fs, const char *name, bool reuse,
					uint64_t name_index, const WalSegmentHeader *header)
{
	*build = (SegmentBuild){.fs = fs,
							.name = name,
							.file = -1,
							.is_new = !reuse,
							.name_index = name_index,
							.header = *header};
	build->header.flags |= WAL_HEADER_OPENING;
	build->crc = header->previous_crc;
	build->position = header->sequence * header->segment_bytes + WAL_HEADER_BYTES;
	build->written = WAL_HEADER_BYTES;
	build->capacity = STAGING_BYTES;
	build->staging = malloc(build->capacity);
	if (build->staging == NULL)
		return RUSD_NO_MEMORY;
	build->file = reuse ? fs->open(fs, name, O_RDWR) : wal_create_file(fs, name);
	return build->file < 0 ? fs_status(build->file) : RUSD_OK;
}

Status
segment_build_add(SegmentBuild *build, const void *batch, uint32_t length)
{
	uint32_t full = (uint32_t) wal_batch_sectors(length);
	WalBatchHeader *copy;

	if (build->staged + full > build->capacity)
	{
		Status status = write_out(build);

		if (status != RUSD_OK)
			return status;
	}
	if (full > build->capacity)
	{
		uint8_t *grown = realloc(build->staging, full);

		if (grown == NULL)
			return RUSD_NO_MEMORY;
		build->staging = grown;
		build->capacity = full;
	}
	copy = (WalBatchHeader *) (void *) (build->staging + build->staged);
	memcpy(copy, batch, length);
	memset((uint8_t *) copy + length, 0, full - length);
	copy->magic = WAL_BATCH_MAGIC;
	copy->length = length;
	copy->salt = build->header.salt;
	copy->previous_crc = build->crc;
	copy->position = build->position;
	wal_batch_seal(copy);
	build->crc = copy->crc;
	build->position += full;
	build->staged += full;
	return RUSD_OK;
}

Status
segment_build_entries(SegmentBuild *build, const HardState *hard_state, uint64_t first_index,
					  const InitialEntry *entries, uint32_t count)
{
	uint64_t length = sizeof(WalBatchHeader) + wal_record_bytes(sizeof(*hard_state));
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
	batch->commit_index = hard_state->commit_index;
	batch->commit_term = hard_state->commit_term;
	next = put_record((uint8_t *) (batch + 1), ENTRY_HARD_STATE, 0, 0,
					  (Bytes){(const uint8_t *) hard_state, sizeof(*hard_state)});
	for (uint32_t i = 0; i < count; i++)
		next = put_record(next, entries[i].kind, first_index + i, hard_state->term,
						  entries[i].payload);
	status = segment_build_add(build, batch, (uint32_t) length);
	free(batch);
	return status;
}

static uint8_t *
put_record(uint8_t *place, uint32_t kind, uint64_t index, uint64_t term, Bytes payload)
{
	WalRecordHeader record = {
		.length = (uint32_t) payload.length, .kind = kind, .index = index, .term = term};

	memcpy(place, &record, sizeof(record));
	if (payload.length > 0)
		memcpy(place + sizeof(record), payload.data, payload.length);
	return place + wal_record_bytes(record.length);
}

bool
segment_build_has_room(const SegmentBuild *build)
{
	uint64_t end = (build->header.sequence + 1) * build->header.segment_bytes;

	return build->position + WAL_SECTOR <= end;
}

Status
segment_build_finish(SegmentBuild *build)
{
	FileOps *fs = build->fs;
	char name[WAL_NAME_BYTES];
	Status status = write_out(build);

	if (status == RUSD_OK && build->is_new)
		status = write_zeros(build);
	if (status == RUSD_OK)
		status = write_headers(build);
	if (status == RUSD_OK)
		status = fs_status(fs->sync(fs, build->file));
	if (status != RUSD_OK)
		return status;
	wal_segment_name(name, build->header.sequence, build->name_index);
	status = fs_status(fs->rename(fs, build->name, name));
	if (status == RUSD_OK)
		status = fs_status(fs->sync_dir(fs, WAL_FOLDER));
	return status;
}

void
segment_build_end(SegmentBuild *build)
{
	if (build->file >= 0)
		build->fs->close(build->fs, build->file);
	free(build->staging);
	build->file = -1;
	build->staging = NULL;
}

static Status
write_out(SegmentBuild *build)
{
	ssize_t written;

	if (build->staged == 0)
		return RUSD_OK;
	written =
		build->fs->pwrite(build->fs, build->file, build->staging, build->staged, build->written);
	if (written < 0)
		return fs_status(written);
	build->written += build->staged;
	build->staged = 0;
	return RUSD_OK;
}

static Status
write_zeros(SegmentBuild *build)
{
	memset(build->staging, 0, build->capacity);
	while (build->written < build->header.segment_bytes)
	{
		build->staged =
			(uint32_t) Min(build->header.segment_bytes - build->written, build->capacity);
		Status status = write_out(build);

		if (status != RUSD_OK)
			return status;
	}
	return RUSD_OK;
}

static Status
write_headers(SegmentBuild *build)
{
	alignas(8) uint8_t headers[WAL_HEADER_BYTES] = {0};
	WalSegmentHeader *prepared = (WalSegmentHeader *) (void *) headers;
	WalSegmentHeader *opening = (WalSegmentHeader *) (void *) (headers + WAL_OPENING_OFFSET);

	*prepared = build->header;
	prepared->flags = 0;
	prepared->first_index = build->name_index;
	wal_header_seal(prepared);
	*opening = build->header;
	wal_header_seal(opening);
	return fs_status(
		Min(build->fs->pwrite(build->fs, build->file, headers, sizeof(headers), 0), 0));
}
