/*
 * bench_btree.c
 *	  What gets and puts of the tree cost, without processes, log and network.
 *
 * usage: bench_btree [keys in thousands]
 *
 * Keys look like those of a cluster's store ("/registry/pods/namespace-12/pod-000123"), values have
 * 256 bytes. A put is what the store does for one: the old version loses a flag, a new one is
 * inserted, and the tree by revision gets a cell; a root is published after each batch.
 *
 * test/bench/bench_btree.c
 */
#include "rusd.h"

#include <time.h>

#include "btree/btree.h"

#define BATCH 100
#define VALUE_BYTES 256

/* Of this process, so that a busy machine does not blur the figures. */
static uint64_t
cpu_ns(void)
{
	struct timespec now;

	Check(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
	return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

static uint64_t random_state = 1;

static uint64_t
random_next(void)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void
weigh(const TreeCell *cell, TreeSum *sum)
{
	if ((cell->flags & 1) == 0)
		return;
	sum->weight[0] = 1;
	sum->weight[1] = cell->key_length + cell->value_length;
	sum->weight[2] = cell->key_length;
}

static void
weigh_one(const TreeCell *cell, TreeSum *sum)
{
	(void) cell;
	sum->weight[0] = 1;
}

typedef struct Bench
{
	Shm *shm;
	PageSpace *space;
	TreeWriter keys;
	TreeWriter revisions;
	uint64_t revision;
	uint64_t *newest; /* revision of each key */
	uint64_t key_count;
	uint8_t value[VALUE_BYTES];
} Bench;

static Bytes
make_key(uint64_t number, char *buffer)
{
	int length =
		snprintf(buffer, 64, "/registry/pods/namespace-%02u/pod-%09u", (unsigned) (number % 50),
				 (unsigned) (number * 2654435761u % 1000000007u));

	return (Bytes){(const uint8_t *) buffer, (size_t) length};
}

static void
publish(Bench *bench)
{
	RootState root = {.number = space_root(bench->space)};

	shm_root_write(bench->shm, &root);
	space_published(bench->space);
}

static void
put(Bench *bench, uint64_t number)
{
	char buffer[64];
	TreeKey key = {.bytes = make_key(number, buffer)};
	TreeKey revision = {.hi = ++bench->revision};
	uint64_t old = bench->newest[number];

	if (old != 0)
	{
		key.hi = ~old;
		Check(tree_set_flags(&bench->keys, &key, 0) == RUSD_OK);
	}
	key.hi = ~bench->revision;
	bench->newest[number] = bench->revision;
	Check(tree_insert(&bench->keys, &key, 1, (Bytes){bench->value, 24},
					  (Bytes){bench->value + 24, VALUE_BYTES - 24}) == RUSD_OK);
	Check(tree_insert(&bench->revisions, &revision, 0, key.bytes, (Bytes){NULL, 0}) == RUSD_OK);
}

/* What compaction does with one version of a key. */
static void
forget(Bench *bench, uint64_t number, uint64_t revision)
{
	char buffer[64];
	TreeKey key = {.bytes = make_key(number, buffer), .hi = ~revision};
	TreeKey by_revision = {.hi = revision};

	Check(tree_delete(&bench->keys, &key) == RUSD_OK);
	Check(tree_delete(&bench->revisions, &by_revision) == RUSD_OK);
}

static void
report(const char *what, uint64_t begun, uint64_t count, const Bench *bench)
{
	uint64_t ns = cpu_ns() - begun;

	printf("%-34s %8.0f ns each, %10" PRIu64 " times, %8" PRIu64 " pages used, end %8" PRIu64 "\n",
		   what, (double) ns / (double) count, count, space_pages_used(bench->space),
		   space_pages_end(bench->space));
}

static void
bench_reads(Bench *bench)
{
	uint64_t begun = cpu_ns();
	const uint64_t count = 2000000;
	uint64_t bytes = 0;
	TreeCursor cursor;
	TreeSum sum;
	char buffer[64];

	for (uint64_t i = 0; i < count; i++)
	{
		TreeKey key = {.bytes = make_key(random_next() % bench->key_count, buffer)};
		int order;

		Check(tree_seek(&cursor, &bench->keys.access, bench->keys.root, &key) == RUSD_OK);
		Check(tree_cell_compare(&bench->keys.access, &cursor.cell, key.bytes, &order) == RUSD_OK);
		Check(order == 0);
		bytes += cursor.cell.value_inline.data[0];
	}
	report("get, any key", begun, count, bench);

	begun = cpu_ns();
	for (uint64_t i = 0; i < count; i++)
		bytes += make_key(random_next() % bench->key_count, buffer).length;
	report("  of which: making the key", begun, count, bench);

	begun = cpu_ns();
	for (uint64_t i = 0; i < count; i++)
	{
		TreeKey key = {.bytes = make_key(random_next() % 1000, buffer)};

		Check(tree_seek(&cursor, &bench->keys.access, bench->keys.root, &key) == RUSD_OK);
		bytes += cursor.cell.value_inline.data[0];
	}
	report("get, of 1,000 keys", begun, count, bench);

	begun = cpu_ns();
	for (uint64_t i = 0; i < count / 20; i++)
	{
		TreeKey key = {.bytes = make_key(random_next() % bench->key_count, buffer)};

		Check(tree_sum(&bench->keys.access, bench->keys.root, weigh, &key, NULL, &sum) == RUSD_OK);
		bytes += sum.weight[0];
	}
	report("count from a key on", begun, count / 20, bench);

	begun = cpu_ns();
	{
		TreeKey key = {.hi = 0};
		Status status = tree_seek(&cursor, &bench->keys.access, bench->keys.root, &key);
		uint64_t seen = 0;

		for (; status == RUSD_OK && (status = tree_next_weighted(&cursor, weigh)) == RUSD_OK;
			 status = tree_next(&cursor), seen++)
			bytes += cursor.cell.value_inline.data[0];
		report("next live key in a scan", begun, seen, bench);
	}
	printf("# %" PRIu64 "\n", bytes);
}

static void
bench_puts(Bench *bench, const char *what, uint64_t among, bool compact)
{
	const uint64_t count = 1000000;
	uint64_t begun = cpu_ns();

	for (uint64_t i = 0; i < count; i++)
	{
		uint64_t number = random_next() % among;
		uint64_t old = bench->newest[number];

		put(bench, number);
		if (compact)
			forget(bench, number, old);
		if (i % BATCH == 0)
			publish(bench);
	}
	report(what, begun, count, bench);
}

int
main(int argc, char **argv)
{
	Bench bench = {.key_count = (argc > 1 ? strtoull(argv[1], NULL, 0) : 1000) * 1000};
	ShmLayout layout = {.slot_count = PROC_ESSENTIAL_COUNT + 1024,
						.wal_buffer_bytes = 1024 * 1024,
						.wal_segment_bytes = 1024 * 1024,
						.frame_count = bench.key_count / 4 + 300000};
	uint64_t begun;

	Check(shm_create(&layout, false, &bench.shm) == RUSD_OK);
	Check(space_create(bench.shm, 0, NULL, 0, &bench.space) == RUSD_OK);
	bench.keys = (TreeWriter){
		.access = {.shm = bench.shm}, .space = bench.space, .weigh = weigh, .root.page = PAGE_NONE};
	bench.revisions = bench.keys;
	bench.revisions.weigh = weigh_one;
	bench.newest = calloc(bench.key_count, sizeof(uint64_t));
	Check(bench.newest != NULL);

	begun = cpu_ns();
	for (uint64_t i = 0; i < bench.key_count; i++)
	{
		put(&bench, i);
		if (i % BATCH == 0)
			publish(&bench);
	}
	report("put, new key", begun, bench.key_count, &bench);
	bench_reads(&bench);

	bench_puts(&bench, "put, of 1,000 keys", 1000, false);
	bench_puts(&bench, "put, any key", bench.key_count, false);
	bench_puts(&bench, "put and compact, any key", bench.key_count, true);
	bench_puts(&bench, "put and compact, of 1,000 keys", 1000, true);
	free(bench.newest);
	space_destroy(bench.space);
	shm_destroy(bench.shm);
	return 0;
}
