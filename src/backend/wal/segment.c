/*
 * segment.c
 *	  Segment files, read: headers, batches one after another, what lies in the folder.
 *
 * Any process that may block on the log's disk; the tools.
 *
 * src/backend/wal/segment.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "wal/segment.h"

#define WINDOW_BYTES (256 * 1024)

typedef struct Listing
{
	WalName *names;
	size_t count;
	size_t capacity;
	bool out_of_memory;
} Listing;

static void add_name(void *arg, const char *entry);
static int compare_names(const void *left, const void *right);
static Status fill_window(WalSegmentFile *segment, uint64_t offset, uint64_t length);

Status
wal_list_segments(FileOps *fs, WalName **names, size_t *count)
{
	Listing listing = {0};
	int result = fs->list(fs, WAL_FOLDER, add_name, &listing);

	if (result < 0 || listing.out_of_memory)
	{
		free(listing.names);
		if (result == -ENOENT)
			return RUSD_NOT_FOUND;
		return result < 0 ? RUSD_IO : RUSD_NO_MEMORY;
	}
	if (listing.count > 1)
		qsort(listing.names, listing.count, sizeof(WalName), compare_names);
	*names = listing.names;
	*count = listing.count;
	return RUSD_OK;
}

static void
add_name(void *arg, const char *entry)
{
	Listing *listing = arg;
	WalName name;

	if (listing->out_of_memory || !wal_segment_parse(entry, &name.sequence, &name.first_index))
		return;
	if (listing->count == listing->capacity)
	{
		size_t capacity = listing->capacity == 0 ? 64 : 2 * listing->capacity;
		WalName *grown = realloc(listing->names, capacity * sizeof(WalName));

		if (grown == NULL)
		{
			listing->out_of_memory = true;
			return;
		}
		listing->names = grown;
		listing->capacity = capacity;
	}
	listing->names[listing->count++] = name;
}

static int
compare_names(const void *left, const void *right)
{
	const WalName *a = left;
	const WalName *b = right;

	if (a->sequence != b->sequence)
		return a->sequence < b->sequence ? -1 : 1;
	return a->first_index < b->first_index ? -1 : a->first_index > b->first_index;
}

void
wal_segment_init(WalSegmentFile *segment, FileOps *fs)
{
	*segment = (WalSegmentFile){.fs = fs, .file = -1};
}

Status
wal_segment_open(WalSegmentFile *segment, const char *name, uint64_t sequence)
{
	FileOps *fs = segment->fs;
	alignas(8) uint8_t headers[WAL_HEADER_BYTES];
	ssize_t got;
	int64_t bytes;

	wal_segment_close(segment);
	segment->file = fs->open(fs, name, O_RDONLY);
	if (segment->file < 0)
		return segment->file == -ENOENT ? RUSD_NOT_FOUND : RUSD_IO;
	segment->sequence = sequence;
	got = fs->pread(fs, segment->file, headers, sizeof(headers), 0);
	bytes = fs->size(fs, segment->file);
	if (got < 0 || bytes < 0)
		return RUSD_IO;
	memset(headers + got, 0, sizeof(headers) - (size_t) got);
	memcpy(&segment->prepared, headers, sizeof(WalSegmentHeader));
	memcpy(&segment->opening, headers + WAL_OPENING_OFFSET, sizeof(WalSegmentHeader));
	if (!wal_header_check(&segment->prepared, sequence, 0))
		return RUSD_DAMAGED;
	segment->segment_bytes = segment->prepared.segment_bytes;
	segment->salt = segment->prepared.salt;
	if ((uint64_t) bytes < segment->segment_bytes)
		return RUSD_DAMAGED;
	segment->is_opened = wal_header_check(&segment->opening, sequence, WAL_HEADER_OPENING) &&
						 segment->opening.salt == segment->salt &&
						 segment->opening.segment_bytes == segment->segment_bytes;
	return RUSD_OK;
}

Status
wal_segment_find(WalSegmentFile *segment, uint64_t sequence)
{
	WalName *names = NULL;
	size_t count = 0;
	Status status = wal_list_segments(segment->fs, &names, &count);

	if (status != RUSD_OK)
		return status;
	status = RUSD_NOT_FOUND;
	for (size_t i = 0; i < count; i++)
	{
		if (names[i].sequence == sequence)
		{
			char name[WAL_NAME_BYTES];

			wal_segment_name(name, sequence, names[i].first_index);
			status = wal_segment_open(segment, name, sequence);
			break;
		}
	}
	free(names);
	return status;
}

void
wal_segment_close(WalSegmentFile *segment)
{
	if (segment->file >= 0)
		segment->fs->close(segment->fs, segment->file);
	segment->file = -1;
	segment->is_opened = false;
	segment->window_length = 0;
}

void
wal_segment_destroy(WalSegmentFile *segment)
{
	wal_segment_close(segment);
	free(segment->window);
	segment->window = NULL;
	segment->window_capacity = 0;
}

Status
wal_segment_batch(WalSegmentFile *segment, uint64_t position, const WalBatchHeader **batch)
{
	uint64_t offset = position - segment->sequence * segment->segment_bytes;
	uint64_t available;
	const WalBatchHeader *header;
	Status status;

	if (offset + WAL_SECTOR > segment->segment_bytes)
		return RUSD_END;
	available = Min(segment->segment_bytes - offset, segment->segment_bytes / 4);
	available = Min(available, WAL_BATCH_BYTES_MAX);
	status = fill_window(segment, offset, sizeof(WalBatchHeader));
	if (status != RUSD_OK)
		return status;
	header =
		(const WalBatchHeader *) (const void *) (segment->window + offset - segment->window_begin);
	if (!wal_batch_plausible(header, position, segment->salt, available))
		return RUSD_END;
	status = fill_window(segment, offset, header->length);
	if (status != RUSD_OK)
		return status;
	header =
		(const WalBatchHeader *) (const void *) (segment->window + offset - segment->window_begin);
	/* Read again by fill_window perhaps, and by now another. */
	if (!wal_batch_plausible(header, position, segment->salt,
							 segment->window_begin + segment->window_length - offset) ||
		!wal_batch_intact(header))
		return RUSD_END;
	*batch = header;
	return RUSD_OK;
}

/* Makes the window hold that range, which lies within the segment. */
static Status
fill_window(WalSegmentFile *segment, uint64_t offset, uint64_t length)
{
	uint64_t wanted;
	ssize_t got;

	if (segment->window_length > 0 && offset >= segment->window_begin &&
		offset + length <= segment->window_begin + segment->window_length)
		return RUSD_OK;
	if (length > segment->window_capacity || segment->window_capacity == 0)
	{
		uint64_t capacity = Max(AlignUp(length, 4096), (uint64_t) WINDOW_BYTES);
		uint8_t *window = malloc(capacity);

		if (window == NULL)
			return RUSD_NO_MEMORY;
		free(segment->window);
		segment->window = window;
		segment->window_capacity = capacity;
	}
	segment->window_length = 0;
	wanted = Min(segment->window_capacity, segment->segment_bytes - offset);
	got = segment->fs->pread(segment->fs, segment->file, segment->window, wanted, offset);
	if (got < 0)
		return RUSD_IO;
	/* The file was as long as its header says when it was opened. */
	memset(segment->window + got, 0, wanted - (size_t) got);
	segment->window_begin = offset;
	segment->window_length = wanted;
	return RUSD_OK;
}
