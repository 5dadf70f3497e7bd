/*
 * fuzz_snapshot.c
 *	  Any bytes as what another member sends as a snapshot.
 *
 * Once as one chunk as they are, and once cut into chunks with right checksums, of chunk, header and pages:
 * what is taken is written at a place that a frame has, and what is said to be complete can be installed as far
 * as its own numbers go.
 *
 * test/fuzz/fuzz_snapshot.c
 */
#include "rusd.h"

#include "pagecache/checkpoint.h"
#include "port/crc32c.h"
#include "snapshot/snapshot.h"
#include "utils/log.h"
#include "wal/recovery.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAMES 16
#define CLUSTER 1
#define INCARNATION 7
#define ROOT 40

/* ---- a disk that keeps nothing but incoming/snapshot, and looks where pages are written ---- */
#define DATA_HANDLE 0
#define SNAPSHOT_HANDLE 1

static uint8_t kept[sizeof(SnapshotIncoming) + FRAMES];
static size_t kept_length;

static int
sink_open(FileOps *self, const char *name, int flags)
{
	(void) self;
	(void) flags;
	return strcmp(name, INCOMING_DATA_NAME) == 0 ? DATA_HANDLE : SNAPSHOT_HANDLE;
}

static void
sink_close(FileOps *self, int file)
{
	(void) self;
	(void) file;
}

static ssize_t
sink_pread(FileOps *self, int file, void *buffer, size_t length, uint64_t offset)
{
	(void) self;
	Check(file == SNAPSHOT_HANDLE && offset == 0);
	length = Min(length, kept_length);
	memcpy(buffer, kept, length);
	return (ssize_t) length;
}

static ssize_t
sink_pwrite(FileOps *self, int file, const void *buffer, size_t length, uint64_t offset)
{
	(void) self;
	if (file == DATA_HANDLE)
	{
		Check(offset % PAGE_BYTES == 0 && length % PAGE_BYTES == 0);
		Check(offset + length <= FRAMES * PAGE_BYTES);
		return (ssize_t) length;
	}
	Check(offset == 0 && length <= sizeof(kept));
	memcpy(kept, buffer, length);
	kept_length = length;
	return (ssize_t) length;
}

static int
sink_sync(FileOps *self, int file)
{
	(void) self;
	(void) file;
	return 0;
}

static int
sink_truncate(FileOps *self, int file, uint64_t length)
{
	(void) self;
	Check(file == DATA_HANDLE && length == 0);
	return 0;
}

static int
sink_folder(FileOps *self, const char *name)
{
	(void) self;
	(void) name;
	return 0;
}

static int
sink_list(FileOps *self, const char *name, void (*visit)(void *arg, const char *entry), void *arg)
{
	(void) self;
	(void) name;
	(void) visit;
	(void) arg;
	return 0;
}

static FileOps sink = {.open = sink_open,
					   .close = sink_close,
					   .pread = sink_pread,
					   .pwrite = sink_pwrite,
					   .sync = sink_sync,
					   .truncate = sink_truncate,
					   .sync_dir = sink_folder,
					   .mkdir = sink_folder,
					   .list = sink_list};

/* ---- what is sent ---- */

static void
give_checksum(uint8_t *bytes, size_t length)
{
	uint32_t crc = crc32c(0, bytes + sizeof(crc), length - sizeof(crc));

	memcpy(bytes, &crc, sizeof(crc));
}

static SnapshotBase asked; /* what is there */

static void
begin_again(SnapshotReceive *receive)
{
	snapshot_receive_begin(receive, &asked);
	Check(asked.below <= FRAMES);
}

/* Makes stream bytes right where they are checked first, so that what lies behind is reached. */
static void
mend(uint8_t *stream, size_t length, uint64_t offset)
{
	size_t at = 0;

	if (offset == 0 && length >= sizeof(SnapshotHeader))
	{
		SnapshotHeader header;

		memcpy(&header, stream, sizeof(header));
		header.magic = SNAPSHOT_MAGIC;
		header.version = SNAPSHOT_VERSION;
		header.page_bytes = PAGE_BYTES;
		header.cluster_id = CLUSTER;
		header.incarnation = INCARNATION;
		header.root.number = ROOT;
		if (header.base.below != 0)
			header.base = asked;
		memcpy(stream, &header, sizeof(header));
		give_checksum(stream, sizeof(header));
		at = sizeof(header);
	}
	for (; at + PAGE_BYTES <= length; at += PAGE_BYTES)
		give_checksum(stream + at, PAGE_BYTES);
}

/* In memory of its own, so that a sanitizer sees who reads behind it. */
static Status
give_chunk(SnapshotReceive *receive, const uint8_t *stream, size_t length, uint64_t offset)
{
	SnapshotChunk head = {.magic = SNAPSHOT_CHUNK_MAGIC,
						  .incarnation = INCARNATION,
						  .root = ROOT,
						  .offset = offset,
						  .length = (uint32_t) length};
	uint8_t *chunk = malloc(sizeof(head) + length);
	uint64_t before = snapshot_receive_offset(receive);
	Status status;

	Check(chunk != NULL);
	memcpy(chunk, &head, sizeof(head));
	memcpy(chunk + sizeof(head), stream, length);
	mend(chunk + sizeof(head), length, offset);
	give_checksum(chunk, sizeof(head) + length);
	status = snapshot_receive_chunk(receive, chunk, sizeof(head) + length);
	Check(status == RUSD_OK || snapshot_receive_offset(receive) == before);
	free(chunk);
	return status;
}

/* Whatever is complete can be taken over as far as space_create looks at it. */
static void
look_at_complete(SnapshotReceive *receive)
{
	const SnapshotHeader *header;
	SnapshotIncoming *incoming;

	if (snapshot_receive_finish(receive, &header) != RUSD_OK)
		return;
	Check(header->root.pages_end <= FRAMES);
	Check(header->configuration.member_count <= CONFIG_MEMBERS_MAX);
	Check(snapshot_incoming_read(&sink, FRAMES, &incoming) == RUSD_OK);
	Check(incoming->bits <= FRAMES);
	free(incoming);
}

/* Four bytes of length, eight of offset (all ones: where it goes on; one less: a stream begins that spares what is there), then
 * so much of the stream; again. */
static void
give_chunks(SnapshotReceive *receive, const uint8_t *data, size_t size)
{
	while (size >= sizeof(uint32_t) + sizeof(uint64_t))
	{
		uint32_t length;
		uint64_t offset;

		memcpy(&length, data, sizeof(length));
		memcpy(&offset, data + sizeof(length), sizeof(offset));
		data += sizeof(length) + sizeof(offset);
		size -= sizeof(length) + sizeof(offset);
		length = (uint32_t) Min((size_t) length, size);
		if (offset == UINT64_MAX - 1)
			begin_again(receive);
		if (offset >= UINT64_MAX - 1)
			offset = snapshot_receive_offset(receive);
		(void) give_chunk(receive, data, length, offset);
		look_at_complete(receive);
		data += length;
		size -= length;
	}
}

/* As it comes by the wire, in messages of 100 bytes. */
static void
give_packed(const uint8_t *data, size_t size)
{
	SnapshotUnpack *unpack = snapshot_unpack_create(3 * PAGE_BYTES);
	Status status = RUSD_OK;

	Check(unpack != NULL);
	for (size_t at = 0; at < size && status == RUSD_OK; at += 100)
	{
		Bytes chunk;

		status = snapshot_unpack(unpack, (Bytes){data + at, Min(size - at, (size_t) 100)}, &chunk);
		Check(status != RUSD_OK || chunk.length <= 3 * PAGE_BYTES);
	}
	snapshot_unpack_destroy(unpack);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Shm *shm;
	SnapshotReceive *receive;

	if (shm == NULL)
	{
		ShmLayout layout = {.slot_count = PROC_ESSENTIAL_COUNT + 1,
							.wal_buffer_bytes = 1024 * 1024,
							.wal_segment_bytes = 1024 * 1024,
							.frame_count = FRAMES};

		(void) log_open("fatal", "json", "stderr");
		Check(shm_create(&layout, false, &shm) == RUSD_OK);
		shm->recovered->cluster_id = CLUSTER;
	}
	give_packed(data, size);
	Check(snapshot_receive_create(shm, &sink, &receive) == RUSD_OK);
	begin_again(receive);
	(void) snapshot_receive_chunk(receive, data, size);
	Check(snapshot_receive_offset(receive) == 0);
	give_chunks(receive, data, size);
	snapshot_receive_destroy(receive);
	return 0;
}
