/*
 * fuzz_control.c
 *	  Any bytes as a control file and as a map of used pages.
 *
 * Once as they are, and once with right checksums, so that what lies behind them is reached: a
 * record that is accepted has to be one whose numbers can be used.
 *
 * test/fuzz/fuzz_control.c
 */
#include "rusd.h"

#include "pagecache/checkpoint.h"
#include "port/crc32c.h"

#include "one_file.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_control(const uint8_t *bytes, size_t size)
{
	OneFile file;
	ControlRecord record;

	one_file_init(&file, bytes, size);
	if (control_read(&file.ops, &record) != RUSD_OK)
		return;
	Check(record.magic == CONTROL_MAGIC && record.version == CONTROL_VERSION);
	Check(record.configuration.member_count <= CONFIG_MEMBERS_MAX);
	Check(record.map_file < 2);
}

/* The first eight bytes say how many pages the control record claims. */
static void
read_map(const uint8_t *bytes, size_t size)
{
	OneFile file;
	ControlRecord record = {.map_file = 1};
	uint64_t *bitmap;
	uint64_t bits;
	MapHeader header;

	if (size < sizeof(uint64_t) + sizeof(MapHeader))
		return;
	memcpy(&record.map_bits, bytes, sizeof(uint64_t));
	bytes += sizeof(uint64_t);
	size -= sizeof(uint64_t);
	memcpy(&header, bytes, sizeof(header));
	record.root.number = header.root;
	record.map_crc = crc32c(0, bytes, size);
	record.map_bits %= 1 << 20;
	one_file_init(&file, bytes, size);
	if (checkpoint_read_used(&file.ops, &record, &bitmap, &bits) != RUSD_OK)
		return;
	Check(bits == record.map_bits);
	/* As space_create looks at it. */
	for (uint64_t page = 0; page < bits; page++)
		Check((bitmap[page / 64] >> (page % 64) & 1) <= 1);
	free(bitmap);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	read_control(data, size);
	read_map(data, size);
	if (size < sizeof(ControlRecord))
		return 0;
	copy = malloc(size);
	Check(copy != NULL);
	memcpy(copy, data, size);
	for (size_t at = 0; at + sizeof(ControlRecord) <= size && at <= CONTROL_COPY_BYTES;
		 at += CONTROL_COPY_BYTES)
	{
		uint32_t crc =
			crc32c(0, copy + at + sizeof(uint32_t), sizeof(ControlRecord) - sizeof(uint32_t));

		memcpy(copy + at, &crc, sizeof(crc));
	}
	read_control(copy, size);
	free(copy);
	return 0;
}
