/*
 * rangesort.c
 *	  Items in the order of a number or of their values: the best so many in a bounded heap.
 *
 * Backends.  Where there are more items than the heap holds, the caller makes passes: each keeps
 * the best of what comes behind the last one of the pass before.  Among equals the order is that of
 * their revisions, which are unique, so that the order is total and no item is lost or told twice
 * between passes (KV-43 leaves it open).
 *
 * src/backend/store/rangesort.c
 */
#include "rusd.h"

#include "store_int.h"

Status
sorter_create(Sorter *sorter, PageAccess *access, SortTarget target, bool descending,
			  uint64_t wanted)
{
	memset(sorter, 0, sizeof(*sorter));
	sorter->access = access;
	sorter->target = target;
	sorter->descending = descending;
	sorter->capacity = (uint32_t) Min(wanted, SORT_ENTRIES_MAX);
	sorter->entries = malloc(sorter->capacity * sizeof(SortEntry));
	return sorter->entries == NULL ? RUSD_NO_MEMORY : RUSD_OK;
}

void
sorter_destroy(Sorter *sorter)
{
	free(sorter->entries);
	sorter->entries = NULL;
}

/* Revisions are below 2^63 and not negative, so they compare as unsigned numbers. */
static uint64_t
number_of(SortTarget target, const RangeItem *item)
{
	const TreeCell *cell = &item->cell;
	uint64_t number = 0;

	switch (target)
	{
		case SORT_VERSION:
			return (uint64_t) item->version;
		case SORT_CREATE:
			return (uint64_t) item->create_revision;
		case SORT_MOD:
			return (uint64_t) item->mod_revision;
		default:
			/* As many bytes as lie in the leaf, padded: what they cannot tell compare_values does.
			 */
			for (size_t i = 0; i < sizeof(number); i++)
			{
				size_t place = sizeof(KeyRecord) + i;

				number = number << 8 |
						 (place < cell->value_inline.length ? cell->value_inline.data[place] : 0);
			}
			/* A long value might have less than that in the leaf. */
			return cell->value_inline.length < cell->value_length &&
						   cell->value_inline.length < sizeof(KeyRecord) + sizeof(number)
					   ? 0
					   : number;
	}
}

static int
compare_values(Sorter *sorter, const TreeCell *a, const TreeCell *b)
{
	uint64_t common = Min(a->value_length, b->value_length);
	TreeHint hint_a = {0};
	TreeHint hint_b = {0};

	for (uint64_t offset = sizeof(KeyRecord); offset < common;)
	{
		uint8_t bytes_a[1024];
		uint8_t bytes_b[1024];
		uint64_t length = Min(common - offset, sizeof(bytes_a));
		int order;

		if (sorter->status == RUSD_OK)
			sorter->status = tree_read_value(sorter->access, a, offset, bytes_a, length, &hint_a);
		if (sorter->status == RUSD_OK)
			sorter->status = tree_read_value(sorter->access, b, offset, bytes_b, length, &hint_b);
		if (sorter->status != RUSD_OK)
			return 0;
		order = memcmp(bytes_a, bytes_b, length);
		if (order != 0)
			return order;
		offset += length;
	}
	return a->value_length < b->value_length ? -1 : a->value_length > b->value_length;
}

/* Can the numbers of two values be told apart by more than luck?  Not where one of them was
 * unknown. */
static bool
number_decides(const Sorter *sorter, const SortEntry *a, const SortEntry *b)
{
	if (a->number == b->number)
		return false;
	return sorter->target != SORT_VALUE || (a->number != 0 && b->number != 0);
}

/* Does a come before b? */
static bool
comes_before(Sorter *sorter, const SortEntry *a, const SortEntry *b)
{
	int order = 0;

	if (number_decides(sorter, a, b))
		order = a->number < b->number ? -1 : 1;
	else if (sorter->target == SORT_VALUE)
		order = compare_values(sorter, &a->cell, &b->cell);
	if (order == 0)
		return a->cell.hi != b->cell.hi ? a->cell.hi < b->cell.hi : a->cell.lo < b->cell.lo;
	return sorter->descending ? order > 0 : order < 0;
}

/* The entry at place may come before its children: lets it sink. */
static void
sink(Sorter *sorter, uint32_t place, uint32_t count)
{
	SortEntry *entries = sorter->entries;
	SortEntry sinking = entries[place];

	for (;;)
	{
		uint32_t child = 2 * place + 1;

		if (child >= count)
			break;
		if (child + 1 < count && comes_before(sorter, &entries[child], &entries[child + 1]))
			child++;
		if (!comes_before(sorter, &sinking, &entries[child]))
			break;
		entries[place] = entries[child];
		place = child;
	}
	entries[place] = sinking;
}

static void
rise(Sorter *sorter, uint32_t place)
{
	SortEntry *entries = sorter->entries;
	SortEntry rising = entries[place];

	while (place > 0)
	{
		uint32_t parent = (place - 1) / 2;

		if (!comes_before(sorter, &entries[parent], &rising))
			break;
		entries[place] = entries[parent];
		place = parent;
	}
	entries[place] = rising;
}

void
sorter_offer(Sorter *sorter, const RangeItem *item)
{
	SortEntry entry = {.number = number_of(sorter->target, item), .cell = item->cell};

	if (sorter->has_floor && !comes_before(sorter, &sorter->floor, &entry))
		return;
	if (sorter->count < sorter->capacity)
	{
		sorter->entries[sorter->count] = entry;
		rise(sorter, sorter->count++);
		return;
	}
	if (sorter->capacity == 0 || !comes_before(sorter, &entry, &sorter->entries[0]))
		return;
	sorter->entries[0] = entry;
	sink(sorter, 0, sorter->count);
}

Status
sorter_finish(Sorter *sorter)
{
	for (uint32_t left = sorter->count; left > 1; left--)
	{
		SortEntry worst = sorter->entries[0];

		sorter->entries[0] = sorter->entries[left - 1];
		sorter->entries[left - 1] = worst;
		sink(sorter, 0, left - 1);
	}
	return sorter->status;
}

void
sorter_next_pass(Sorter *sorter)
{
	if (sorter->count > 0)
	{
		sorter->floor = sorter->entries[sorter->count - 1];
		sorter->has_floor = true;
	}
	sorter->count = 0;
}
