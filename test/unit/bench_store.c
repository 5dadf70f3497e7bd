/*
 * bench_store.c
 *	  What the store's paths cost on this machine: puts in batches, gets, counts, walks.  Not a
 * test.
 *
 * test/unit/bench_store.c
 */
#include "rusd.h"

#include <time.h>

#include "cmocka_all.h"
#include "store_fixture.h"

#define KEYS 100000

static double
now_us(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

static uint32_t
encode_put(uint64_t *body, uint32_t number)
{
	static uint8_t value[256];
	EntryHeader entry = {{0}, 0, 0};
	OpHeader header = {.kind = OP_PUT};
	char key[32];
	int length = snprintf(key, sizeof(key), "/bench/%08u", number);

	memcpy(body, &entry, sizeof(entry));
	return (uint32_t) sizeof(entry) + op_encode((uint8_t *) body + sizeof(entry), &header,
												(Bytes){(const uint8_t *) key, (size_t) length},
												(Bytes){0}, (Bytes){value, sizeof(value)});
}

static void
puts_in_batches(Fixture *fixture, const char *what, uint32_t batch, uint32_t stride)
{
	double began = now_us();
	uint64_t body[64];

	for (uint32_t i = 0; i < KEYS; i++)
	{
		uint32_t length = encode_put(body, (uint32_t) ((uint64_t) i * stride % KEYS));
		ApplyResult result;

		if (store_apply(fixture->store, ENTRY_PUT, ++fixture->index, 1, (const uint8_t *) body,
						length, &result) != RUSD_OK)
			abort();
		if (i % batch == batch - 1)
		{
			(void) store_publish(fixture->store);
			atomic_store(&fixture->shm->positions->durable_root,
						 store_root(fixture->store)->number);
		}
	}
	(void) store_publish(fixture->store);
	(void) printf("# put %s, batches of %u: %.2f us\n", what, batch, (now_us() - began) / KEYS);
}

static void
reads(Fixture *fixture)
{
	Snapshot snapshot = fixture_snapshot(fixture);
	RangeItem item;
	double began = now_us();
	uint64_t bytes = 0;
	int64_t main = snapshot.root.revision + 1;

	for (uint32_t i = 0; i < 10 * KEYS; i++)
	{
		uint8_t buffer[512];
		char key[32];
		int length =
			snprintf(key, sizeof(key), "/bench/%08u", (uint32_t) ((uint64_t) i * 7919 % KEYS));

		if (range_get(&snapshot, (Bytes){(const uint8_t *) key, (size_t) length}, main, 0, &item) !=
				RUSD_OK ||
			range_item_encode(&snapshot, &item, false, buffer) != RUSD_OK)
			abort();
		bytes += range_item_length(&item, false);
	}
	(void) printf("# get and encode: %.3f us\n", (now_us() - began) / (10 * KEYS));
	snapshot_unpin(&snapshot);
	began = now_us();
	for (uint32_t i = 0; i < 10 * KEYS; i++)
	{
		if (snapshot_pin(&fixture->reader, &snapshot) != RUSD_OK)
			abort();
		snapshot_unpin(&snapshot);
	}
	(void) printf("# pin and unpin: %.3f us (%" PRIu64 " bytes read)\n",
				  (now_us() - began) / (10 * KEYS), bytes);
}

static void
range_all(Fixture *fixture, const char *what, RangeSpec spec)
{
	Snapshot snapshot = fixture_snapshot(fixture);
	RangeReader *reader;
	static uint8_t buffer[65536];
	double began = now_us();
	int64_t count;
	uint64_t bytes;
	size_t got;
	bool more;

	spec.key = bytes_of("/bench/");
	spec.range_end = bytes_of("/bench0");
	spec.field_tag = 0x12;
	if (spec.view_main == 0)
		spec.view_main = snapshot.root.revision + 1;
	if (range_open(&snapshot, &spec, &reader) != RUSD_OK ||
		range_measure(reader, &count, &bytes, &more) != RUSD_OK)
		abort();
	(void) printf("# %s: measured in %.1f us, ", what, now_us() - began);
	began = now_us();
	while (range_pull(reader, buffer, sizeof(buffer), &got) == RUSD_OK)
		;
	(void) printf("%.1f MB in %.1f ms\n", (double) bytes / 1e6, (now_us() - began) / 1e3);
	range_close(reader);
	snapshot_unpin(&snapshot);
}

int
main(void)
{
	Fixture *fixture = fixture_create(65536, -1);
	EntryCompact compact;
	double began;

	puts_in_batches(fixture, "new, ascending", 100, 1);
	puts_in_batches(fixture, "again, scattered", 100, 7919);
	puts_in_batches(fixture, "again, scattered", 1, 7919);
	reads(fixture);
	range_all(fixture, "newest", (RangeSpec){.limit = 0});
	range_all(fixture, "half the history", (RangeSpec){.view_main = KEYS + KEYS / 2});
	range_all(fixture, "by value, 3 passes",
			  (RangeSpec){.target = SORT_VALUE, .order = SORT_ASCEND});
	compact.revision = store_root(fixture->store)->revision;
	fixture->model.revision = compact.revision;
	began = now_us();
	(void) fixture_compact(fixture, compact.revision, false);
	while (store_has_background(fixture->store))
	{
		(void) store_background(fixture->store, 0);
		(void) store_publish(fixture->store);
		atomic_store(&fixture->shm->positions->durable_root, store_root(fixture->store)->number);
	}
	(void) printf("# compaction of %d revisions, hash and removal: %.2f us each\n", 3 * KEYS,
				  (now_us() - began) / (3 * KEYS));
	fixture_destroy(fixture);
	return 0;
}
