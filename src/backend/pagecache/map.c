/*
 * map.c
 *	  The map of used pages of a checkpoint, in the one of two files that the checkpoint before does
 * not use.
 *
 * Checkpointer writes, applier reads at its start.
 *
 * src/backend/pagecache/map.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "pagecache/checkpoint.h"
#include "pagecache_int.h"
#include "port/crc32c.h"

static uint64_t
map_words(uint64_t bits)
{
	return (bits + 63) / 64;
}

/* Opens it, and makes its name durable where it is new. */
static int
open_for_writing(FileOps *fs, const char *name)
{
	int file = fs->open(fs, name, O_RDWR);
	int result;

	if (file != -ENOENT)
		return file;
	file = fs->open(fs, name, O_RDWR | O_CREAT);
	if (file < 0)
		return file;
	result = fs->sync_dir(fs, ".");
	if (result == 0)
		return file;
	fs->close(fs, file);
	return result;
}

Status
map_write(FileOps *fs, uint64_t generation, uint32_t which, uint64_t root, const uint64_t *bitmap,
		  uint64_t bits, uint32_t *crc)
{
	char name[DATA_NAME_BYTES];
	MapHeader header = {.magic = MAP_MAGIC, .version = MAP_VERSION, .root = root, .bits = bits};
	size_t bytes = map_words(bits) * sizeof(uint64_t);
	int file;
	int64_t result;

	map_file_name(name, generation, which);
	file = open_for_writing(fs, name);
	if (file < 0)
		return fs_status(file);
	*crc = crc32c(crc32c(0, &header, sizeof(header)), bitmap, bytes);
	result = fs->pwrite(fs, file, &header, sizeof(header), 0);
	if (result >= 0 && bytes > 0)
		result = fs->pwrite(fs, file, bitmap, bytes, sizeof(header));
	/* It is not made shorter: the next one need not find room. */
	if (result >= 0 && fs->sync(fs, file) < 0)
		result = -EIO;
	fs->close(fs, file);
	return fs_status(Min(result, 0));
}

int64_t
map_reserve(FileOps *fs, uint64_t generation, uint64_t bits)
{
	static const uint8_t zeros[4096];
	int64_t end = (int64_t) (sizeof(MapHeader) + map_words(bits) * sizeof(uint64_t));
	int64_t result = 0;

	for (uint32_t which = 0; which < 2 && result >= 0; which++)
	{
		char name[DATA_NAME_BYTES];
		int file;
		int64_t at;

		map_file_name(name, generation, which);
		file = open_for_writing(fs, name);
		result = at = file < 0 ? file : fs->size(fs, file);
		for (; result >= 0 && at < end; at += (int64_t) sizeof(zeros))
			result = fs->pwrite(fs, file, zeros, (size_t) Min((int64_t) sizeof(zeros), end - at),
								(uint64_t) at);
		if (file >= 0)
			fs->close(fs, file);
	}
	return Min(result, 0);
}

static Status
read_map(FileOps *fs, int file, const ControlRecord *record, uint64_t *bitmap)
{
	MapHeader header;
	size_t bytes = map_words(record->map_bits) * sizeof(uint64_t);
	ssize_t got = fs->pread(fs, file, &header, sizeof(header), 0);

	if (got < 0)
		return fs_status(got);
	if (got < (ssize_t) sizeof(header) || header.magic != MAP_MAGIC ||
		header.version != MAP_VERSION || header.bits != record->map_bits ||
		header.root != record->root.number)
		return RUSD_DAMAGED;
	got = fs->pread(fs, file, bitmap, bytes, sizeof(header));
	if (got < 0)
		return fs_status(got);
	if (got < (ssize_t) bytes ||
		crc32c(crc32c(0, &header, sizeof(header)), bitmap, bytes) != record->map_crc)
		return RUSD_DAMAGED;
	return RUSD_OK;
}

Status
checkpoint_read_used(FileOps *fs, const ControlRecord *record, uint64_t **bitmap, uint64_t *bits)
{
	char name[DATA_NAME_BYTES];
	uint64_t *words;
	Status status;
	int file;

	*bitmap = NULL;
	*bits = 0;
	if (record->map_bits == 0)
		return RUSD_OK;
	/* A checksum stands over this number, but memory is asked for by it. */
	if (record->map_bits > INT64_MAX / PAGE_BYTES)
		return RUSD_DAMAGED;
	map_file_name(name, record->generation, record->map_file);
	file = fs->open(fs, name, O_RDONLY);
	if (file < 0)
		return file == -ENOENT ? RUSD_DAMAGED : fs_status(file);
	words = calloc(map_words(record->map_bits) + 1, sizeof(uint64_t));
	status = words == NULL ? RUSD_NO_MEMORY : read_map(fs, file, record, words);
	fs->close(fs, file);
	if (status != RUSD_OK)
	{
		free(words);
		return status;
	}
	*bitmap = words;
	*bits = record->map_bits;
	return RUSD_OK;
}
