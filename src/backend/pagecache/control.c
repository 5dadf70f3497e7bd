/*
 * control.c
 *	  The control record: two copies in one file, the older one being overwritten, so that whatever
 * happens to a write, one of them is whole.
 *
 * The startup process writes the first one, the checkpointer all others.
 *
 * src/backend/pagecache/control.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "pagecache/checkpoint.h"
#include "pagecache_int.h"
#include "port/crc32c.h"
#include "port/fault.h"

#define CONTROL_COPIES 2

static uint32_t
record_checksum(const ControlRecord *record)
{
	return crc32c(0, (const uint8_t *) record + sizeof(record->crc),
				  sizeof(*record) - sizeof(record->crc));
}

static bool
record_is_valid(const ControlRecord *record)
{
	return record->magic == CONTROL_MAGIC && record->version == CONTROL_VERSION &&
		   record->page_bytes == PAGE_BYTES && record->crc == record_checksum(record) &&
		   record->configuration.member_count <= CONFIG_MEMBERS_MAX && record->map_file < 2;
}

/* Which copy is the newest valid one, -1: none.  Returns 0 or -errno. */
static int
read_newest(FileOps *fs, int file, ControlRecord *record, int *newest)
{
	*newest = -1;
	for (int copy = 0; copy < CONTROL_COPIES; copy++)
	{
		ControlRecord candidate;
		ssize_t got = fs->pread(fs, file, &candidate, sizeof(candidate),
								(uint64_t) copy * CONTROL_COPY_BYTES);

		if (got < 0)
			return (int) got;
		if (got < (ssize_t) sizeof(candidate) || !record_is_valid(&candidate))
			continue;
		if (*newest < 0 || candidate.sequence > record->sequence)
		{
			*record = candidate;
			*newest = copy;
		}
	}
	return 0;
}

static Status
read_file(FileOps *fs, bool make_durable, ControlRecord *record)
{
	ControlRecord found;
	int newest;
	int file = fs->open(fs, CONTROL_FILE, O_RDONLY);
	int result = 0;

	if (file == -ENOENT)
		return RUSD_NOT_FOUND;
	if (file < 0)
		return fs_status(file);
	if (make_durable && !FAULT(control_not_synced))
		result = fs->sync(fs, file);
	if (result == 0)
		result = read_newest(fs, file, &found, &newest);
	fs->close(fs, file);
	if (result < 0)
		return fs_status(result);
	if (newest < 0)
		return RUSD_DAMAGED;
	*record = found;
	return RUSD_OK;
}

Status
control_read(FileOps *fs, ControlRecord *record)
{
	return read_file(fs, false, record);
}

Status
control_recover(FileOps *fs, ControlRecord *record)
{
	return read_file(fs, true, record);
}

static void
seal(ControlRecord *record, uint64_t sequence)
{
	record->magic = CONTROL_MAGIC;
	record->version = CONTROL_VERSION;
	record->page_bytes = PAGE_BYTES;
	record->sequence = sequence;
	record->crc = record_checksum(record);
}

/* The first record: the file comes into being whole, so that a crash never leaves one without a
 * valid copy. */
static Status
write_first(FileOps *fs, ControlRecord *record)
{
	uint8_t copies[CONTROL_COPIES * CONTROL_COPY_BYTES] = {0};
	int file = fs->open(fs, CONTROL_NEW_FILE, O_RDWR | O_CREAT | O_TRUNC);
	int64_t result;

	if (file < 0)
		return fs_status(file);
	seal(record, 1);
	memcpy(copies, record, sizeof(*record));
	result = fs->pwrite(fs, file, copies, sizeof(copies), 0);
	if (result >= 0)
		result = fs->sync(fs, file);
	fs->close(fs, file);
	if (result >= 0)
		result = fs->rename(fs, CONTROL_NEW_FILE, CONTROL_FILE);
	if (result >= 0)
		result = fs->sync_dir(fs, ".");
	return fs_status(Min(result, 0));
}

Status
control_write(FileOps *fs, ControlRecord *record)
{
	uint8_t copy[CONTROL_COPY_BYTES] = {0};
	ControlRecord found = {0};
	int newest;
	int file = fs->open(fs, CONTROL_FILE, O_RDWR);
	int64_t result;

	if (file == -ENOENT)
		return write_first(fs, record);
	if (file < 0)
		return fs_status(file);
	result = read_newest(fs, file, &found, &newest);
	if (result == 0)
	{
		int older = newest == 0 ? 1 : 0;

		seal(record, found.sequence + 1);
		memcpy(copy, record, sizeof(*record));
		result = fs->pwrite(fs, file, copy, sizeof(copy), (uint64_t) older * CONTROL_COPY_BYTES);
		/* Its room was taken with the first record: a refusal of the sync is never about room. */
		if (result >= 0 && fs->sync(fs, file) < 0)
			result = -EIO;
	}
	fs->close(fs, file);
	return fs_status(Min(result, 0));
}
