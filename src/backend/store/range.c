/*
 * range.c
 *	  Range in constant memory: measured first, then streamed.
 *
 * Backends.  range_measure learns count, length and "more" before the first byte is sent: from the
 * sums of the inner nodes where the view is the newest and nothing is filtered, else by a walk.
 * range_pull walks again and encodes from the pages.  Both see the same pages, so what was measured
 * is what is sent.  How the rules divide the work:
 *
 *		count (KV-36)			the interval alone: sum, or a walk of all of it
 *		order by key			the walk itself, in either direction; it ends after `emit` items
 *		another order (KV-41)	sorter, in passes; KV-42: among the first limit + 1 keys only
 *
 * src/backend/store/range.c
 */
#include "rusd.h"

#include "store_int.h"

/* Items between two looks at whether the snapshot was ended. */
#define LOOK_EVERY 256

struct RangeReader
{
	Snapshot snapshot;
	RangeSpec spec;
	ItemForm form;
	bool newest;
	bool filtered;
	bool sorted; /* by something else than the key */
	bool descending;
	bool measured;
	uint64_t domain;  /* so many keys, in key order, may be in the answer (KV-42) */
	uint64_t emit;    /* items in the answer */
	uint64_t emitted; /* begun */
	RangeWalk walk;
	bool walking;
	Sorter sorter;
	uint32_t place;    /* next entry of the sorter */
	bool pass_is_kept; /* the sorter still holds the first pass, made when measuring */
	ItemEncoder encoder;
	bool encoding;
	bool holding; /* item is the next, looked at but not begun */
	RangeItem item;
};

static bool
is_filtered(const RangeSpec *spec)
{
	return spec->min_mod != 0 || spec->max_mod != 0 || spec->min_create != 0 ||
		   spec->max_create != 0;
}

static bool
is_sorted(const RangeSpec *spec)
{
	return spec->target != SORT_KEY && !spec->count_only;
}

/* Entries that its sorter may need: a limit that the heap holds is enough to know. */
static uint64_t
sort_entries(const RangeSpec *spec)
{
	return spec->limit > 0 ? Min((uint64_t) spec->limit, SORT_ENTRIES_MAX) : SORT_ENTRIES_MAX;
}

uint64_t
range_memory(const RangeSpec *spec)
{
	return sizeof(RangeReader) + (is_sorted(spec) ? sort_entries(spec) * sizeof(SortEntry) : 0);
}

Status
range_open(const Snapshot *snapshot, const RangeSpec *spec, RangeReader **result)
{
	RangeReader *reader = malloc(sizeof(*reader));
	Status status;

	if (reader == NULL)
		return RUSD_NO_MEMORY;
	memset(reader, 0, offsetof(RangeReader, walk));
	reader->walking = reader->pass_is_kept = reader->encoding = reader->holding = false;
	reader->place = 0;
	reader->sorter.entries = NULL;
	reader->snapshot = *snapshot;
	reader->spec = *spec;
	reader->newest = view_is_newest(snapshot, spec->view_main);
	reader->filtered = is_filtered(spec);
	reader->sorted = is_sorted(spec);
	reader->descending = spec->order == SORT_DESCEND;
	reader->domain = UINT64_MAX;
	if (spec->keys_only)
		reader->form = spec->target == SORT_VALUE ? ITEM_KEYS_LEASE : ITEM_KEYS;
	/* KV-42: with a filter the server fetches all. */
	if (reader->sorted && spec->order == SORT_NONE && spec->limit > 0 && !reader->filtered)
		reader->domain = (uint64_t) spec->limit + 1;
	if (reader->sorted)
	{
		status = sorter_create(&reader->sorter, reader->snapshot.access, spec->target,
							   reader->descending, sort_entries(spec));
		if (status != RUSD_OK)
		{
			free(reader);
			return status;
		}
	}
	*result = reader;
	return RUSD_OK;
}

void
range_close(RangeReader *reader)
{
	if (reader == NULL)
		return;
	sorter_destroy(&reader->sorter);
	free(reader);
}

/* KV-39 */
static bool
passes_filter(const RangeSpec *spec, const RangeItem *item)
{
	return (spec->min_mod == 0 || item->mod_revision >= spec->min_mod) &&
		   (spec->max_mod == 0 || item->mod_revision <= spec->max_mod) &&
		   (spec->min_create == 0 || item->create_revision >= spec->min_create) &&
		   (spec->max_create == 0 || item->create_revision <= spec->max_create);
}

static void
begin_walk(RangeReader *reader, bool descending)
{
	const RangeSpec *spec = &reader->spec;

	walk_begin(&reader->walk, reader->snapshot.access, reader->snapshot.root.keys, spec->key,
			   spec->range_end, spec->view_main, spec->view_sub, reader->newest, descending);
}

static Status
count_by_sum(RangeReader *reader, TreeSum *sum)
{
	TreeKey from;
	TreeKey to;
	bool has_to;

	memset(sum, 0, sizeof(*sum));
	if (!interval_bounds(reader->spec.key, reader->spec.range_end, &from, &to, &has_to))
		return RUSD_OK;
	return tree_sum(reader->snapshot.access, reader->snapshot.root.keys, store_weigh_keys, &from,
					has_to ? &to : NULL, sum);
}

/* What a walk over the interval has found. */
typedef struct Tally
{
	uint64_t count;   /* keys */
	uint64_t matches; /* that pass the filter and lie in the domain */
	uint64_t bytes;   /* of the first `limit` matches, or of all where there is no limit */
	uint64_t all_bytes;
} Tally;

/*
 * Walks over the interval, offering matches to the sorter where there is one.  enough: matches
 * after which there is nothing more to be learnt (UINT64_MAX: walk all).
 */
static Status
tally(RangeReader *reader, uint64_t enough, Tally *found)
{
	const RangeSpec *spec = &reader->spec;
	uint64_t limit = spec->limit > 0 ? (uint64_t) spec->limit : UINT64_MAX;
	RangeItem item;
	Status status;

	memset(found, 0, sizeof(*found));
	begin_walk(reader, reader->descending && !reader->sorted);
	while (found->matches < enough && (status = walk_next(&reader->walk, &item)) == RUSD_OK)
	{
		if (++found->count % LOOK_EVERY == 0 && snapshot_is_ended(&reader->snapshot))
			return RUSD_SNAPSHOT_ENDED;
		if (spec->count_only || found->count > reader->domain || !passes_filter(spec, &item))
			continue;
		found->matches++;
		if (reader->sorted)
			sorter_offer(&reader->sorter, &item);
		else if (found->matches > limit)
			continue;
		found->bytes += item_field_length(&item, reader->form);
	}
	if (found->matches >= enough)
		status = RUSD_OK;
	return status == RUSD_END ? RUSD_OK : status;
}

/* Order by key: *bytes and emit, where count is known from the sum (newest) or comes out here. */
static Status
measure_by_key(RangeReader *reader, const TreeSum *sum, uint64_t *count, uint64_t *bytes,
			   bool *more)
{
	const RangeSpec *spec = &reader->spec;
	uint64_t limit = spec->limit > 0 ? (uint64_t) spec->limit : UINT64_MAX;
	uint64_t enough = UINT64_MAX;
	Tally found;
	Status status;

	if (reader->newest && !reader->filtered && limit >= *count)
	{
		reader->emit = *count;
		*bytes = sum->weight[reader->form == ITEM_FULL ? 1 : 2];
		return RUSD_OK;
	}
	if (reader->newest)
		enough = reader->filtered && limit != UINT64_MAX ? limit + 1 : limit;
	status = tally(reader, enough, &found);
	if (status != RUSD_OK)
		return status;
	if (!reader->newest)
		*count = found.count;
	reader->emit = Min(found.matches, limit);
	*bytes = found.bytes;
	*more = reader->newest && !reader->filtered ? *count > limit : found.matches > limit;
	return RUSD_OK;
}

static uint64_t
sorted_bytes(const RangeReader *reader, uint64_t items)
{
	uint64_t bytes = 0;
	RangeItem item;

	for (uint64_t i = 0; i < items; i++)
	{
		if (item_from_cell(&reader->sorter.entries[i].cell, &item) == RUSD_OK)
			bytes += item_field_length(&item, reader->form);
	}
	return bytes;
}

/* Fills the sorter with the best of what comes behind its last pass. */
static Status
next_pass(RangeReader *reader)
{
	Tally ignored;
	Status status;

	sorter_next_pass(&reader->sorter);
	status = tally(reader, UINT64_MAX, &ignored);
	if (status == RUSD_OK)
		status = sorter_finish(&reader->sorter);
	if (status == RUSD_OK && reader->sorter.count == 0)
		status = RUSD_DAMAGED; /* the first walk has seen more */
	return status;
}

static Status
measure_sorted(RangeReader *reader, uint64_t *count, uint64_t *bytes, bool *more)
{
	const RangeSpec *spec = &reader->spec;
	uint64_t limit = spec->limit > 0 ? (uint64_t) spec->limit : UINT64_MAX;
	uint64_t enough = reader->newest && reader->domain != UINT64_MAX ? reader->domain : UINT64_MAX;
	Sorter *sorter = &reader->sorter;
	Tally found;
	Status status = tally(reader, enough, &found);

	if (status == RUSD_OK)
		status = sorter_finish(sorter);
	if (status != RUSD_OK)
		return status;
	if (!reader->newest)
		*count = found.count;
	*more = found.matches > limit;
	reader->emit = Min(found.matches, limit);
	reader->pass_is_kept = true;
	if (reader->emit == found.matches)
		*bytes = found.bytes;
	else
		*bytes = sorted_bytes(reader, Min(reader->emit, sorter->count));
	if (reader->emit == found.matches || reader->emit <= sorter->count)
		return RUSD_OK;
	/* More are wanted than the heap holds, and not all: only the passes tell which. */
	reader->pass_is_kept = false;
	for (uint64_t seen = sorter->count; seen < reader->emit; seen += sorter->count)
	{
		status = next_pass(reader);
		if (status != RUSD_OK)
			return status;
		*bytes += sorted_bytes(reader, Min(reader->emit - seen, sorter->count));
	}
	return RUSD_OK;
}

Status
range_measure(RangeReader *reader, int64_t *count, uint64_t *bytes, bool *more)
{
	const RangeSpec *spec = &reader->spec;
	uint64_t keys = 0;
	TreeSum sum = {{0}};
	Status status = RUSD_OK;

	*bytes = 0;
	*more = false;
	if (snapshot_is_ended(&reader->snapshot))
		return RUSD_SNAPSHOT_ENDED;
	if (reader->newest)
	{
		status = count_by_sum(reader, &sum);
		keys = sum.weight[0];
	}
	if (status == RUSD_OK && spec->count_only)
	{
		Tally found;

		if (!reader->newest)
		{
			status = tally(reader, UINT64_MAX, &found);
			keys = found.count;
		}
	}
	else if (status == RUSD_OK && reader->sorted)
		status = measure_sorted(reader, &keys, bytes, more);
	else if (status == RUSD_OK)
		status = measure_by_key(reader, &sum, &keys, bytes, more);
	*count = (int64_t) keys;
	reader->measured = status == RUSD_OK;
	return status;
}

static Status
next_by_key(RangeReader *reader, RangeItem *item)
{
	if (!reader->walking)
	{
		begin_walk(reader, reader->descending);
		reader->walk.known = true; /* emit says when to stop */
		reader->walking = true;
	}
	for (uint64_t looked = 1;; looked++)
	{
		Status status = walk_next(&reader->walk, item);

		if (status != RUSD_OK)
			return status == RUSD_END ? RUSD_DAMAGED : status; /* measured more than there is */
		if (!reader->filtered || passes_filter(&reader->spec, item))
			return RUSD_OK;
		if (looked % LOOK_EVERY == 0 && snapshot_is_ended(&reader->snapshot))
			return RUSD_SNAPSHOT_ENDED;
	}
}

static Status
next_sorted(RangeReader *reader, RangeItem *item)
{
	Sorter *sorter = &reader->sorter;

	if (!reader->pass_is_kept)
	{
		/* Measuring went through passes: begin at the first again. */
		sorter->has_floor = false;
		sorter->count = 0;
		reader->pass_is_kept = true;
		reader->place = sorter->count;
	}
	if (reader->place == sorter->count)
	{
		Status status = next_pass(reader);

		if (status != RUSD_OK)
			return status;
		reader->place = 0;
	}
	return item_from_cell(&sorter->entries[reader->place++].cell, item);
}

/* The next item, until it is taken.  RUSD_END: all have been. */
static Status
hold_next(RangeReader *reader)
{
	Status status;

	if (reader->holding)
		return RUSD_OK;
	if (reader->emitted == reader->emit)
		return RUSD_END;
	status =
		reader->sorted ? next_sorted(reader, &reader->item) : next_by_key(reader, &reader->item);
	reader->holding = status == RUSD_OK;
	return status;
}

/* The item that is held, if it is in one piece and fits into max bytes; else returns buffer. */
static uint8_t *
put_held(RangeReader *reader, uint8_t *buffer, size_t max)
{
	if (!item_is_inline(&reader->item, reader->form) ||
		item_field_length(&reader->item, reader->form) > max)
		return buffer;
	reader->holding = false;
	reader->emitted++;
	return item_put(&reader->item, reader->form, reader->spec.field_tag, buffer);
}

Status
range_pull(RangeReader *reader, uint8_t *buffer, size_t max, size_t *got)
{
	PageAccess *access = reader->snapshot.access;
	size_t done = 0;
	Status status = RUSD_OK;

	Check(reader->measured);
	*got = 0;
	if (snapshot_is_ended(&reader->snapshot))
		return RUSD_SNAPSHOT_ENDED;
	while (done < max)
	{
		size_t piece;

		if (reader->encoding)
		{
			status = encoder_pull(&reader->encoder, access, buffer + done, max - done, &piece);
			if (status != RUSD_OK)
				return status;
			done += piece;
			reader->encoding = !encoder_is_done(&reader->encoder);
			continue;
		}
		status = hold_next(reader);
		if (status == RUSD_END)
			break;
		if (status != RUSD_OK)
			return status;
		done = (size_t) (put_held(reader, buffer + done, max - done) - buffer);
		if (reader->holding)
		{
			encoder_begin(&reader->encoder, &reader->item, reader->form, reader->spec.field_tag);
			reader->encoding = true;
			reader->holding = false;
			reader->emitted++;
		}
	}
	*got = done;
	return done == 0 && max > 0 ? RUSD_END : RUSD_OK;
}

Status
range_pull_whole(RangeReader *reader, uint8_t *buffer, size_t max, size_t *got, uint64_t *length)
{
	Status status;

	Check(reader->measured && !reader->encoding);
	*got = 0;
	if (snapshot_is_ended(&reader->snapshot))
		return RUSD_SNAPSHOT_ENDED;
	while ((status = hold_next(reader)) == RUSD_OK)
	{
		uint8_t *from = buffer + *got;

		*got = (size_t) (put_held(reader, from, max - *got) - buffer);
		if (reader->holding)
			break;
	}
	if (status == RUSD_OK)
		*length = item_field_length(&reader->item, reader->form);
	return status == RUSD_END && *got > 0 ? RUSD_OK : status;
}
