/*
 * pinset.c
 *	  The roots that somebody may be reading, collected from all slots.
 *
 * Applier only.  What is read here was written by backends: any value is possible, so nothing but
 * comparisons is done with it.  A pin of a root that never was holds pages back and harms no
 * reader.
 *
 * src/backend/pagecache/pinset.c
 */
#include "rusd.h"

#include "pagecache_int.h"

Status
pinset_create(PinSet *set, const Shm *shm)
{
	memset(set, 0, sizeof(*set));
	/* All pins of all slots, and the two of the checkpointer and recovery. */
	set->capacity = shm->layout.slot_count * SNAPSHOT_PINS + 8;
	set->roots = malloc(set->capacity * sizeof(uint64_t));
	return set->roots == NULL ? RUSD_NO_MEMORY : RUSD_OK;
}

void
pinset_destroy(PinSet *set)
{
	free(set->roots);
	memset(set, 0, sizeof(*set));
}

void
pinset_add(PinSet *set, uint64_t root)
{
	/* Root 0 is the empty one: it has no pages. */
	if (root == 0)
		return;
	Check(set->count < set->capacity);
	set->roots[set->count++] = root;
}

void
pinset_read(PinSet *set, const Shm *shm)
{
	set->count = 0;
	set->slots_seen = 0;
	set->results_floor = UINT64_MAX;
	for (uint32_t slot = 0; slot < shm->layout.slot_count; slot++)
	{
		const BackendArea *area = shm->areas[slot];
		uint64_t results;

		/* A dead slot's pins count until it is cleared. */
		if (atomic_load_explicit(&shm->heads[slot].state, memory_order_relaxed) == SLOT_FREE)
			continue;
		set->slots_seen++;
		/* First: snapshot_pin_reply sets a snapshot pin before result_unpin gives up the result
		 * pin, so one of them is seen. */
		results = atomic_load_explicit(&area->result_pin, memory_order_acquire);
		for (int pin = 0; pin < SNAPSHOT_PINS; pin++)
		{
			pinset_add(set, atomic_load_explicit(&area->snapshot_pins[pin], memory_order_relaxed));
		}
		if ((results & 0xffff) != 0)
			set->results_floor = Min(set->results_floor, results >> 16);
	}
}

static int
compare_roots(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *) a;
	uint64_t right = *(const uint64_t *) b;

	return left < right ? -1 : left > right;
}

void
pinset_sort(PinSet *set)
{
	uint32_t kept = 0;

	qsort(set->roots, set->count, sizeof(uint64_t), compare_roots);
	for (uint32_t i = 0; i < set->count; i++)
	{
		if (kept == 0 || set->roots[kept - 1] != set->roots[i])
			set->roots[kept++] = set->roots[i];
	}
	set->count = kept;
}

/* How many pinned roots are below death. */
static uint32_t
roots_below(const PinSet *set, uint64_t death)
{
	uint32_t low = 0;
	uint32_t high = set->count;

	while (low < high)
	{
		uint32_t middle = low + (high - low) / 2;

		if (set->roots[middle] < death)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint64_t
pinset_holder(const PinSet *set, uint64_t death)
{
	uint32_t below = roots_below(set, death);

	return below == 0 ? 0 : set->roots[below - 1];
}

bool
pinset_has(const PinSet *set, uint64_t root)
{
	uint32_t below = roots_below(set, root);

	return below < set->count && set->roots[below] == root;
}
