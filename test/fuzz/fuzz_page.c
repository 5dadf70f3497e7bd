/*
 * fuzz_page.c
 *	  Any bytes as pages of the data file: they get right checksums and numbers, as a mistake of
 * ours or an evil disk could give them, are read by the pager, and a tree is read through them.
 *
 * What the pager lets through must not make a reader leave its page, nor walk for ever.  A reader
 * may find nonsense or RUSD_DAMAGED.
 *
 * test/fuzz/fuzz_page.c
 */
#include "rusd.h"

#include "btree/btree.h"
#include "pagecache/space.h"
#include "port/crc32c.h"
#include "utils/log.h"

#include "one_file.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGES 8
#define STEPS 2000

typedef struct Reader
{
	Shm *shm;
	OneFile file;
	Pager *pager;
} Reader;

static Status
wait_for_pager(PageAccess *access)
{
	Reader *reader = access->arg;

	return pager_step(reader->pager) == RUSD_OK ? RUSD_OK : RUSD_TIMEOUT;
}

static void
weigh(const TreeCell *cell, TreeSum *sum)
{
	sum->weight[0] = cell->flags & 1;
	sum->weight[1] = cell->key_length;
	sum->weight[2] = cell->value_length;
}

static void
touch_cell(PageAccess *access, const TreeCell *cell)
{
	uint8_t buffer[600];
	TreeHint hint = {0};
	int order;

	(void) tree_cell_compare(access, cell, (Bytes){(const uint8_t *) "key", 3}, &order);
	(void) tree_read_key(access, cell, 0, buffer, Min(cell->key_length, sizeof(buffer)), &hint);
	hint.valid = false;
	(void) tree_read_value(access, cell, 0, buffer, Min(cell->value_length, sizeof(buffer)), &hint);
	(void) tree_read_value(access, cell, cell->value_length / 2, buffer,
						   Min(cell->value_length / 2, 600), &hint);
}

static void
walk(PageAccess *access, TreeRoot root, const TreeKey *key)
{
	TreeCursor cursor;
	Status status = tree_seek(&cursor, access, root, key);

	for (int i = 0; i < STEPS && status == RUSD_OK; i++)
	{
		touch_cell(access, &cursor.cell);
		status = tree_next(&cursor);
	}
	status = tree_seek_before(&cursor, access, root, NULL);
	for (int i = 0; i < STEPS && status == RUSD_OK; i++)
	{
		touch_cell(access, &cursor.cell);
		status = tree_previous(&cursor);
	}
	status = tree_seek(&cursor, access, root, key);
	for (int i = 0; i < STEPS && status == RUSD_OK; i++)
	{
		status = tree_next_weighted(&cursor, weigh);
		if (status == RUSD_OK)
			status = tree_next(&cursor);
	}
	status = tree_seek_before(&cursor, access, root, key);
	for (int i = 0; i < STEPS && status == RUSD_OK; i++)
	{
		status = tree_previous_weighted(&cursor, weigh);
		if (status == RUSD_OK)
			status = tree_previous(&cursor);
	}
}

/* Every page gets its number, and birth 1, and the checksum of what it is then. */
static uint8_t *
make_file(const uint8_t *data, size_t size)
{
	uint8_t *bytes = calloc(PAGES, PAGE_BYTES);

	Check(bytes != NULL);
	memcpy(bytes, data, Min(size, (size_t) PAGES * PAGE_BYTES));
	for (uint64_t number = 0; number < PAGES; number++)
	{
		PageHeader *page = (PageHeader *) (bytes + number * PAGE_BYTES);

		page->number = number;
		page->birth = 1;
		page->crc = page_checksum(page);
	}
	return bytes;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Shm *shm;
	static const uint8_t text[] = "key/0000000001";
	Reader reader;
	uint8_t *bytes;
	PageAccess access;
	char message[200];

	if (shm == NULL)
	{
		ShmLayout layout = {.slot_count = PROC_ESSENTIAL_COUNT + 1,
							.wal_buffer_bytes = 1024 * 1024,
							.wal_segment_bytes = 1024 * 1024,
							.frame_count = PAGES};

		(void) log_open("fatal", "json", "stderr");
		Check(shm_create(&layout, false, &shm) == RUSD_OK);
	}
	for (int page = 0; page < PAGES; page++)
		atomic_store(&shm->page_meta[page].state, PAGE_ABSENT);
	bytes = make_file(data, size);
	reader.shm = shm;
	one_file_init(&reader.file, bytes, (size_t) PAGES * PAGE_BYTES);
	Check(pager_create(shm, &reader.file.ops, tree_page_is_sane, &reader.pager) == RUSD_OK);
	access = (PageAccess){.shm = shm,
						  .area = shm->areas[PROC_ESSENTIAL_COUNT],
						  .slot = PROC_ESSENTIAL_COUNT,
						  .wait = wait_for_pager,
						  .arg = &reader};
	for (uint64_t number = 0; number < 4; number++)
	{
		TreeRoot root = {.page = number, .birth = 1};
		TreeKey low = {.bytes = {text, 5}};
		TreeKey high = {.bytes = {text, sizeof(text) - 1}, .hi = 7, .lo = 1};
		TreeSum sum;

		walk(&access, root, &low);
		walk(&access, root, &high);
		(void) tree_sum(&access, root, weigh, &low, &high, &sum);
		(void) tree_sum(&access, root, weigh, NULL, NULL, &sum);
		(void) tree_check(&access, root, weigh, NULL, NULL, message, sizeof(message));
	}
	pager_destroy(reader.pager);
	free(bytes);
	return 0;
}
