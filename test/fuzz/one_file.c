/*
 * one_file.c
 *	  A table of files in which every name is the same bytes.
 *
 * test/fuzz/one_file.c
 */
#include "rusd.h"

#include "one_file.h"

static int
one_open(FileOps *self, const char *name, int flags)
{
	(void) self;
	(void) name;
	(void) flags;
	return 0;
}

static void
one_close(FileOps *self, int file)
{
	(void) self;
	(void) file;
}

static ssize_t
one_pread(FileOps *self, int file, void *buffer, size_t length, uint64_t offset)
{
	const OneFile *one = (const OneFile *) self;

	(void) file;
	if (offset >= one->length)
		return 0;
	length = Min(length, one->length - offset);
	memcpy(buffer, one->bytes + offset, length);
	return (ssize_t) length;
}

static int64_t
one_size(FileOps *self, int file)
{
	(void) file;
	return (int64_t) ((const OneFile *) self)->length;
}

void
one_file_init(OneFile *file, const uint8_t *bytes, size_t length)
{
	memset(file, 0, sizeof(*file));
	file->ops.open = one_open;
	file->ops.close = one_close;
	file->ops.pread = one_pread;
	file->ops.size = one_size;
	file->bytes = bytes;
	file->length = length;
}
