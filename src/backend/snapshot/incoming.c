/*
 * incoming.c
 *	  The folder incoming/: what was received, and how it is removed.
 *
 * src/backend/snapshot/incoming.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "pagecache/checkpoint.h"
#include "port/crc32c.h"
#include "snapshot_int.h"

/* A name to be removed: a folder is not changed while it is listed. */
typedef struct Search
{
	char found[64];
} Search;

uint32_t
incoming_checksum(const SnapshotIncoming *incoming)
{
	return crc32c(0, (const uint8_t *) incoming + sizeof(incoming->crc),
				  incoming_bytes(incoming->bits) - sizeof(incoming->crc));
}

static Status
read_file(FileOps *fs, int file, uint64_t frame_count, SnapshotIncoming **result)
{
	SnapshotIncoming head;
	SnapshotIncoming *incoming;
	size_t bytes;
	ssize_t got = fs->pread(fs, file, &head, sizeof(head), 0);

	if (got < 0)
		return fs_status(got);
	if (got < (ssize_t) sizeof(head) || head.bits > frame_count)
		return RUSD_NOT_FOUND;
	bytes = incoming_bytes(head.bits);
	incoming = malloc(bytes);
	if (incoming == NULL)
		return RUSD_NO_MEMORY;
	got = fs->pread(fs, file, incoming, bytes, 0);
	if (got == (ssize_t) bytes && incoming->bits == head.bits &&
		incoming->crc == incoming_checksum(incoming))
	{
		*result = incoming;
		return RUSD_OK;
	}
	free(incoming);
	return got < 0 ? fs_status(got) : RUSD_DAMAGED;
}

Status
snapshot_incoming_read(FileOps *fs, uint64_t frame_count, SnapshotIncoming **result)
{
	int file = fs->open(fs, INCOMING_SNAPSHOT_NAME, O_RDONLY);
	Status status;

	if (file == -ENOENT)
		return RUSD_NOT_FOUND;
	if (file < 0)
		return fs_status(file);
	status = read_file(fs, file, frame_count, result);
	fs->close(fs, file);
	return status;
}

static void
look_at(void *arg, const char *name)
{
	Search *search = arg;

	(void) snprintf(search->found, sizeof(search->found), INCOMING_FOLDER "/%s", name);
}

Status
snapshot_incoming_remove(FileOps *fs)
{
	for (;;)
	{
		Search search = {{0}};
		int result = fs->list(fs, INCOMING_FOLDER, look_at, &search);

		if (result == -ENOENT || (result == 0 && search.found[0] == '\0'))
			return RUSD_OK;
		if (result == 0)
			result = fs->unlink(fs, search.found);
		if (result < 0)
			return fs_status(result);
	}
}
