/*
 * walformat.c
 *	  Names, headers and checksums of the log: what is right, judged from the bytes alone.
 *
 * Pure; any process and the tools.
 *
 * src/backend/format/walformat.c
 */
#include "rusd.h"

#include "format/walformat.h"
#include "port/crc32c.h"

static bool parse_hex16(const char *text, uint64_t *value);

void
wal_segment_name(char name[WAL_NAME_BYTES], uint64_t sequence, uint64_t first_index)
{
	(void) snprintf(name, WAL_NAME_BYTES, "wal/%016" PRIx64 "-%016" PRIx64, sequence, first_index);
}

bool
wal_segment_parse(const char *name, uint64_t *sequence, uint64_t *first_index)
{
	return strlen(name) == 33 && name[16] == '-' && parse_hex16(name, sequence) &&
		   parse_hex16(name + 17, first_index);
}

static bool
parse_hex16(const char *text, uint64_t *value)
{
	*value = 0;
	for (int i = 0; i < 16; i++)
	{
		char c = text[i];

		if (c >= '0' && c <= '9')
			*value = *value << 4 | (uint64_t) (c - '0');
		else if (c >= 'a' && c <= 'f')
			*value = *value << 4 | (uint64_t) (c - 'a' + 10);
		else
			return false;
	}
	return true;
}

static uint32_t
header_crc(const WalSegmentHeader *header)
{
	return crc32c(0, &header->magic, sizeof(*header) - offsetof(WalSegmentHeader, magic));
}

void
wal_header_seal(WalSegmentHeader *header)
{
	header->crc = header_crc(header);
}

bool
wal_header_check(const WalSegmentHeader *header, uint64_t sequence, uint32_t flags)
{
	uint64_t bytes = header->segment_bytes;

	return header->magic == WAL_SEGMENT_MAGIC && header->version == WAL_VERSION &&
		   header->sequence == sequence &&
		   (header->flags & ~(uint32_t) WAL_HEADER_CHAIN_BEGINS) == flags &&
		   /* a power of two, and few enough of them that no position overflows */
		   bytes >= 4 * WAL_HEADER_BYTES && (bytes & (bytes - 1)) == 0 &&
		   bytes <= (uint64_t) 1 << 40 && sequence >= 1 &&
		   sequence < ((uint64_t) 1 << 62) / bytes &&
		   header->configuration.member_count <= CONFIG_MEMBERS_MAX &&
		   header->crc == header_crc(header);
}

static uint32_t
batch_crc(const WalBatchHeader *batch)
{
	return crc32c(0, &batch->magic, batch->length - offsetof(WalBatchHeader, magic));
}

void
wal_batch_seal(WalBatchHeader *batch)
{
	batch->crc = batch_crc(batch);
}

bool
wal_batch_plausible(const WalBatchHeader *batch, uint64_t position, uint32_t salt,
					uint64_t available)
{
	return available >= sizeof(*batch) && batch->magic == WAL_BATCH_MAGIC &&
		   batch->position == position && batch->salt == salt && batch->length >= sizeof(*batch) &&
		   batch->length <= available && batch->length % 8 == 0;
}

bool
wal_batch_intact(const WalBatchHeader *batch)
{
	return batch->crc == batch_crc(batch);
}

bool
wal_batch_well_formed(const WalBatchHeader *batch)
{
	uint64_t left = batch->length - sizeof(*batch);
	const WalRecordHeader *record = wal_batch_first_record(batch);

	if (batch->flushed > batch->position)
		return false;
	for (uint32_t i = 0; i < batch->record_count; i++)
	{
		if (left < sizeof(*record) || wal_record_bytes(record->length) > left)
			return false;
		left -= wal_record_bytes(record->length);
		record = wal_record_next(record);
	}
	return left == 0;
}
