/*
 * fuzz_wal_recovery.c
 *	  Any bytes as the segments of a log: recovery must say what is wrong, or find an end that it
 * finds again.
 *
 * The first byte: bit 0 makes headers and checksums right after the fuzzer has changed what they
 * cover, so that it gets behind them; the rest of it is the checkpoint's index.  What follows is cut
 * into files of 16 KiB, segments 1, 2, ...; the last one is filled up with zeros.
 *
 * test/fuzz/fuzz_wal_recovery.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "../sim/simdisk.h"
#include "wal/recovery.h"
#include "wal/segment.h"
#include "wal/wal.h"

#define SEGMENT_BYTES 16384
#define SEGMENTS_MAX 8

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_right(uint8_t *segment, uint64_t sequence, uint32_t *crc);
static void write_segment(SimDisk *disk, uint64_t sequence, const uint8_t *bytes);
static void read_all(SimDisk *disk, NodeRecovered *found);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	alignas(8) static uint8_t segment[SEGMENT_BYTES];
	SimDisk *disk;
	NodeRecovered first = {0};
	NodeRecovered second = {0};
	char message[256];
	uint32_t crc = 0;
	uint8_t flags;
	Status status;

	if (size < 1)
		return 0;
	flags = data[0];
	data++;
	size--;
	disk = sim_disk_create(1);
	for (uint64_t sequence = 1; size > 0 && sequence <= SEGMENTS_MAX; sequence++)
	{
		size_t length = Min(size, (size_t) SEGMENT_BYTES);

		memset(segment, 0, sizeof(segment));
		memcpy(segment, data, length);
		data += length;
		size -= length;
		if ((flags & 1) != 0)
			make_right(segment, sequence, &crc);
		write_segment(disk, sequence, segment);
	}
	first.applied_index = flags >> 1;
	first.applied_term = 1;
	second = first;
	status = wal_recover(&disk->ops, &first, message, sizeof(message));
	Check(status == RUSD_OK || status == RUSD_DAMAGED || status == RUSD_NOT_FOUND);
	if (status == RUSD_DAMAGED)
		Check(message[0] != '\0');
	if (status == RUSD_OK)
	{
		read_all(disk, &first);
		Check(wal_recover(&disk->ops, &second, message, sizeof(message)) == RUSD_OK);
		Check(second.last_index == first.last_index && second.log_end == first.log_end);
		Check(second.hard_state.term == first.hard_state.term);
		Check(second.commit_position == first.commit_position);
	}
	sim_disk_destroy(disk);
	return 0;
}

/* Headers of this log, and checksums over whatever the batches say, as far as they hang together.
 */
static void
make_right(uint8_t *segment, uint64_t sequence, uint32_t *crc)
{
	WalSegmentHeader *prepared = (WalSegmentHeader *) (void *) segment;
	WalSegmentHeader *opening = (WalSegmentHeader *) (void *) (segment + WAL_OPENING_OFFSET);
	uint64_t offset = WAL_HEADER_BYTES;

	for (int i = 0; i < 2; i++)
	{
		WalSegmentHeader *header = i == 0 ? prepared : opening;

		header->magic = WAL_SEGMENT_MAGIC;
		header->version = WAL_VERSION;
		header->salt = prepared->salt;
		header->sequence = sequence;
		header->segment_bytes = SEGMENT_BYTES;
		header->cluster_id = header->member_id = 1;
		header->flags =
			i == 0 ? 0 : (opening->flags & WAL_HEADER_CHAIN_BEGINS) | WAL_HEADER_OPENING;
		header->configuration.member_count %= CONFIG_MEMBERS_MAX + 1;
	}
	if (sequence > 1)
		opening->previous_crc = *crc;
	wal_header_seal(prepared);
	wal_header_seal(opening);
	*crc = opening->previous_crc;
	while (offset + WAL_SECTOR <= SEGMENT_BYTES)
	{
		WalBatchHeader *batch = (WalBatchHeader *) (void *) (segment + offset);

		batch->position = sequence * SEGMENT_BYTES + offset;
		batch->salt = prepared->salt;
		batch->previous_crc = *crc;
		if (!wal_batch_plausible(batch, batch->position, prepared->salt, SEGMENT_BYTES - offset))
			break;
		wal_batch_seal(batch);
		*crc = batch->crc;
		offset += wal_batch_sectors(batch->length);
	}
}

static void
write_segment(SimDisk *disk, uint64_t sequence, const uint8_t *bytes)
{
	FileOps *fs = &disk->ops;
	char name[WAL_NAME_BYTES];
	int file;

	wal_segment_name(name, sequence, 1);
	file = fs->open(fs, name, O_RDWR | O_CREAT);
	Check(file >= 0 && fs->pwrite(fs, file, bytes, SEGMENT_BYTES, 0) == SEGMENT_BYTES);
	fs->close(fs, file);
}

/* As the applier would. */
static void
read_all(SimDisk *disk, NodeRecovered *found)
{
	static ShmPositions positions;
	Shm shm = {.layout = {.wal_buffer_bytes = SEGMENT_BYTES, .wal_segment_bytes = SEGMENT_BYTES},
			   .positions = &positions,
			   .recovered = found};
	WalReader *reader = NULL;
	WalRecord record;
	Status status;
	uint64_t last = 0;

	Check(wal_reader_create(&shm, &disk->ops, found->replay_position, &reader) == RUSD_OK);
	while ((status = wal_reader_next(reader, found->log_end, &record)) == RUSD_OK)
	{
		if (record.header.index == 0)
			continue;
		Check(last == 0 || record.header.index == last + 1);
		last = record.header.index;
	}
	Check(status == RUSD_END);
	Check(last == 0 || last == found->last_index);
	wal_reader_destroy(reader);
}
