/*
 * prepare.c
 *	  Walwriter's supply of segments: prepares the next one and a spare one, removes what is no
 * longer needed.
 *
 * Runs in walwriter, between flushes, in slices that are short beside a flush or are paced by the
 * log, so that raft seldom waits for a segment and a flush seldom waits for a slice.  A file is
 * filled and synced before it gets a segment's name, and the folder is synced before the segment
 * counts as ready [wal-5]; so writes to the log never need room.
 *
 * Where files come from: what recovery found prepared and never used, segments no longer needed,
 * and only then new ones, filled with zeros (doc/decisions/0020).
 *
 * src/backend/wal/prepare.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "ipc/inject.h"
#include "wal_int.h"

#define SLICE_BYTES (1024 * 1024)
#define RETRY_NS ((uint64_t) 1000 * 1000 * 1000)
/* Segments no longer needed that are kept as the next ones. */
#define STOCK 1

typedef struct KnownSegment
{
	uint64_t sequence;
	uint64_t name_index;
	uint64_t first_index; /* of the opening header; 0: not opened yet */
} KnownSegment;

typedef enum Wanted
{
	WANT_NOTHING,
	WANT_SEGMENT,
	WANT_SPARE
} Wanted;

struct WalSupply
{
	Shm *shm;
	FileOps *fs;
	const ClockOps *clock;
	bool keep_all;
	uint64_t keep_bytes;
	KnownSegment *segments; /* ascending */
	size_t count;
	size_t capacity;
	WalName *unused; /* prepared by an earlier incarnation and never opened */
	size_t unused_count;
	uint64_t current; /* sequence of the segment that is written */
	bool has_spare;
	int file; /* WAL_PREPARE_NAME while it is filled, else -1 */
	uint64_t filled;
	uint64_t retry_at; /* after the disk had no room */
	uint8_t *zeros;
};

static Status take_inventory(WalSupply *supply);
static void find_first_indexes(WalSupply *supply);
static bool add_segment(WalSupply *supply, KnownSegment segment);
static bool spare_is_wanted(const WalSupply *supply);
static bool may_give_up_spare(const WalSupply *supply);
static Status give_up_spare(WalSupply *supply);
static Wanted what_is_wanted(const WalSupply *supply);
static bool may_fill(const WalSupply *supply, Wanted wanted, bool busy);
static Status begin_file(WalSupply *supply);
static Status take_over(WalSupply *supply, uint64_t sequence, uint64_t name_index);
static Status fill_slice(WalSupply *supply);
static Status finish_segment(WalSupply *supply);
static Status finish_spare(WalSupply *supply);
static Status give_name(WalSupply *supply, const char *name);
static void publish_ready(WalSupply *supply, uint64_t sequence, uint32_t salt);
static void drop_file(WalSupply *supply);
static void no_room(WalSupply *supply);
static size_t removable(const WalSupply *supply);
static Status remove_oldest(WalSupply *supply);
static void tell_compacted(WalSupply *supply);
static void forget_oldest(WalSupply *supply);

Status
wal_supply_create(Shm *shm, FileOps *fs, const ClockOps *clock, bool keep_all, uint64_t keep_bytes,
				  WalSupply **result)
{
	const NodeRecovered *recovered = shm->recovered;
	WalSupply *supply = calloc(1, sizeof(*supply));
	Status status;

	if (supply == NULL)
		return RUSD_NO_MEMORY;
	supply->shm = shm;
	supply->fs = fs;
	supply->clock = clock;
	supply->keep_all = keep_all;
	supply->keep_bytes = keep_bytes;
	supply->file = -1;
	supply->current = recovered->next_sequence - 1;
	supply->zeros = calloc(1, Min(SLICE_BYTES, shm->layout.wal_segment_bytes));
	status = supply->zeros == NULL ? RUSD_NO_MEMORY : take_inventory(supply);
	if (status != RUSD_OK)
	{
		wal_supply_destroy(supply);
		return status;
	}
	atomic_store(&shm->segments->count, supply->count);
	publish_ready(supply, supply->current, recovered->segment_salt);
	*result = supply;
	return RUSD_OK;
}

void
wal_supply_destroy(WalSupply *supply)
{
	if (supply->file >= 0)
		supply->fs->close(supply->fs, supply->file);
	free(supply->segments);
	free(supply->unused);
	free(supply->zeros);
	free(supply);
}

static Status
take_inventory(WalSupply *supply)
{
	FileOps *fs = supply->fs;
	WalName *names = NULL;
	size_t count = 0;
	size_t used = 0;
	Status status = wal_list_segments(fs, &names, &count);
	int file;

	if (status != RUSD_OK)
		return status;
	for (; used < count && names[used].sequence <= supply->current; used++)
	{
		if (!add_segment(supply, (KnownSegment){names[used].sequence, names[used].first_index, 0}))
		{
			free(names);
			return RUSD_NO_MEMORY;
		}
	}
	memmove(names, names + used, (count - used) * sizeof(WalName));
	supply->unused = names;
	supply->unused_count = count - used;
	if (supply->count == 0 || supply->segments[supply->count - 1].sequence != supply->current)
		return RUSD_NOT_FOUND;
	find_first_indexes(supply);
	file = fs->open(fs, WAL_SPARE_NAME, O_RDONLY);
	if (file >= 0)
	{
		/* It got its name when it was whole. */
		supply->has_spare = fs->size(fs, file) == (int64_t) supply->shm->layout.wal_segment_bytes;
		fs->close(fs, file);
	}
	return RUSD_OK;
}

/* From the opening headers; nobody needs them where nothing is ever removed. */
static void
find_first_indexes(WalSupply *supply)
{
	WalSegmentFile segment;
	uint64_t newer = UINT64_MAX;

	if (supply->keep_all)
		return;
	wal_segment_init(&segment, supply->fs);
	for (size_t i = supply->count; i-- > 0;)
	{
		KnownSegment *known = &supply->segments[i];
		char name[WAL_NAME_BYTES];

		wal_segment_name(name, known->sequence, known->name_index);
		if (wal_segment_open(&segment, name, known->sequence) == RUSD_OK && segment.is_opened)
			newer = segment.opening.first_index;
		/* else an old one that recovery did not need: that of the next one serves, it is no less */
		known->first_index = newer;
	}
	wal_segment_destroy(&segment);
}

static bool
add_segment(WalSupply *supply, KnownSegment segment)
{
	if (supply->count == supply->capacity)
	{
		size_t capacity = supply->capacity == 0 ? 64 : 2 * supply->capacity;
		KnownSegment *grown = realloc(supply->segments, capacity * sizeof(KnownSegment));

		if (grown == NULL)
			return false;
		supply->segments = grown;
		supply->capacity = capacity;
	}
	supply->segments[supply->count++] = segment;
	return true;
}

void
wal_supply_enter(WalSupply *supply, uint64_t sequence, uint64_t first_index,
				 char name[WAL_NAME_BYTES])
{
	for (size_t i = supply->count; i-- > 0;)
	{
		KnownSegment *known = &supply->segments[i];

		if (known->sequence != sequence)
			continue;
		if (first_index != 0)
			known->first_index = first_index;
		supply->current = sequence;
		wal_segment_name(name, sequence, known->name_index);
		return;
	}
	Check(!"raft appends into segments that are ready");
}

Status
wal_supply_step(WalSupply *supply, bool busy, const char **what, int *error)
{
	Wanted wanted = what_is_wanted(supply);
	Status status = RUSD_AGAIN;
	uint32_t before;

	if (may_give_up_spare(supply))
		status = give_up_spare(supply);
	else if (wanted == WANT_NOTHING || !may_fill(supply, wanted, busy))
	{
		if (removable(supply) > STOCK)
			status = remove_oldest(supply);
	}
	else
	{
		before = wait_event_begin(WAIT_EVENT_WAL_PREALLOCATE);
		if (supply->file < 0)
			status = begin_file(supply);
		else if (supply->filled < supply->shm->layout.wal_segment_bytes)
			status = fill_slice(supply);
		else
			status = wanted == WANT_SEGMENT ? finish_segment(supply) : finish_spare(supply);
		wait_event_end(before);
	}
	if (status == RUSD_NO_ROOM)
	{
		no_room(supply);
		status = RUSD_AGAIN;
	}
	if (status != RUSD_OK && status != RUSD_AGAIN)
	{
		*what = "prepare";
		*error = -EIO;
	}
	return status;
}

static Wanted
what_is_wanted(const WalSupply *supply)
{
	uint64_t ready = atomic_load_explicit(&supply->shm->segments->ready_end, memory_order_relaxed);

	if (ready <= supply->current + 1)
		return WANT_SEGMENT;
	return supply->has_spare || spare_is_wanted(supply) ? WANT_NOTHING : WANT_SPARE;
}

static bool
spare_is_wanted(const WalSupply *supply)
{
	return atomic_load_explicit(&supply->shm->requests->spare_wanted, memory_order_acquire) != 0;
}

/* A recovery needs one file with blocks beside the segments in use: the next one serves as well. */
static bool
may_give_up_spare(const WalSupply *supply)
{
	return (supply->has_spare || supply->file >= 0) && spare_is_wanted(supply) &&
		   atomic_load_explicit(&supply->shm->segments->ready_end, memory_order_relaxed) >
			   supply->current + 1;
}

/* For the checkpoint, without which no segment is ever removed.  One that is being filled goes too. */
static Status
give_up_spare(WalSupply *supply)
{
	FileOps *fs = supply->fs;
	int result = fs->unlink(fs, WAL_SPARE_NAME);

	drop_file(supply);
	if (result < 0 && result != -ENOENT)
		return fs_status(result);
	supply->has_spare = false;
	atomic_store_explicit(&supply->shm->segments->no_room, 1, memory_order_release);
	latch_set(&supply->shm->latches[PROC_CHECKPOINTER]);
	return RUSD_OK;
}

/*
 * While there is work, the next segment is filled twice as fast as this one is used up, and the
 * spare one as fast; so no flush waits for more than one slice, and few do.
 */
static bool
may_fill(const WalSupply *supply, Wanted wanted, bool busy)
{
	const Shm *shm = supply->shm;
	uint64_t used;

	if (supply->retry_at != 0 && supply->clock->monotonic_ns(supply->clock) < supply->retry_at)
		return false;
	/* Without room writes wait for it, and what little is let through sets no pace. */
	if (!busy || atomic_load_explicit(&shm->segments->no_room, memory_order_relaxed) != 0)
		return true;
	used = atomic_load_explicit(&shm->positions->flushed, memory_order_relaxed) %
		   shm->layout.wal_segment_bytes;
	return supply->filled <= (wanted == WANT_SEGMENT ? 2 * used : used);
}

bool
wal_supply_is_hungry(const WalSupply *supply)
{
	return supply->retry_at == 0 && what_is_wanted(supply) != WANT_NOTHING;
}

/* Finds a file to make the next one of. */
static Status
begin_file(WalSupply *supply)
{
	Status status;

	INJECT("wal-prepare-segment");
	if (supply->unused_count > 0)
	{
		/* The lowest: so no name is given that another file still has. */
		status = take_over(supply, supply->unused[0].sequence, supply->unused[0].first_index);
		if (status == RUSD_OK)
		{
			supply->unused_count--;
			memmove(supply->unused, supply->unused + 1, supply->unused_count * sizeof(WalName));
		}
		return status;
	}
	if (removable(supply) > 0)
	{
		tell_compacted(supply);
		status = take_over(supply, supply->segments[0].sequence, supply->segments[0].name_index);
		if (status == RUSD_OK)
			forget_oldest(supply);
		return status;
	}
	supply->filled = 0;
	supply->file = wal_create_file(supply->fs, WAL_PREPARE_NAME);
	return supply->file < 0 ? fs_status(supply->file) : RUSD_OK;
}

/* Takes an old segment's file.  It must be seen to have lost its name before its header is
 * overwritten. */
static Status
take_over(WalSupply *supply, uint64_t sequence, uint64_t name_index)
{
	FileOps *fs = supply->fs;
	char name[WAL_NAME_BYTES];
	int result;

	wal_segment_name(name, sequence, name_index);
	result = fs->rename(fs, name, WAL_PREPARE_NAME);
	if (result < 0)
		return fs_status(result);
	if (fs->sync_dir(fs, WAL_FOLDER) < 0)
		return RUSD_IO;
	supply->file = result = fs->open(fs, WAL_PREPARE_NAME, O_RDWR);
	if (result >= 0 &&
		fs->size(fs, supply->file) == (int64_t) supply->shm->layout.wal_segment_bytes)
		supply->filled = supply->shm->layout.wal_segment_bytes;
	else
		supply->filled = 0;
	return result < 0 ? fs_status(result) : RUSD_OK;
}

/* Synced piece by piece: no sync, and no flush behind it, has much to write. */
static Status
fill_slice(WalSupply *supply)
{
	FileOps *fs = supply->fs;
	uint64_t length = Min(supply->shm->layout.wal_segment_bytes - supply->filled, SLICE_BYTES);
	ssize_t written = fs->pwrite(fs, supply->file, supply->zeros, length, supply->filled);
	int result;

	if (written < 0)
		return fs_status(written);
	result = fs->sync(fs, supply->file);
	if (result < 0)
		return fs_status(result);
	supply->filled += length;
	return RUSD_OK;
}

static Status
finish_segment(WalSupply *supply)
{
	Shm *shm = supply->shm;
	FileOps *fs = supply->fs;
	alignas(8) uint8_t headers[WAL_HEADER_BYTES] = {0};
	WalSegmentHeader *header = (WalSegmentHeader *) (void *) headers;
	uint64_t sequence = atomic_load_explicit(&shm->segments->ready_end, memory_order_relaxed);
	char name[WAL_NAME_BYTES];
	ControlState control;
	ssize_t written;
	Status status;

	shm_control_read(shm, &control);
	header->magic = WAL_SEGMENT_MAGIC;
	header->version = WAL_VERSION;
	header->salt = wal_new_salt(0);
	header->sequence = sequence;
	header->segment_bytes = shm->layout.wal_segment_bytes;
	/* What is committed is never appended again. */
	header->first_index = Max(control.commit_index, shm->recovered->hard_state.commit_index) + 1;
	header->cluster_id = shm->recovered->cluster_id;
	header->member_id = shm->recovered->member_id;
	wal_header_seal(header);
	written = fs->pwrite(fs, supply->file, headers, sizeof(headers), 0);
	if (written < 0)
		return fs_status(written);
	wal_segment_name(name, sequence, header->first_index);
	status = give_name(supply, name);
	if (status != RUSD_OK)
		return status;
	if (!add_segment(supply, (KnownSegment){sequence, header->first_index, 0}))
		return RUSD_NO_MEMORY;
	publish_ready(supply, sequence, header->salt);
	return RUSD_OK;
}

static Status
finish_spare(WalSupply *supply)
{
	Status status = give_name(supply, WAL_SPARE_NAME);

	if (status != RUSD_OK)
		return status;
	supply->has_spare = true;
	supply->retry_at = 0;
	atomic_store_explicit(&supply->shm->segments->no_room, 0, memory_order_release);
	return RUSD_OK;
}

static Status
give_name(WalSupply *supply, const char *name)
{
	FileOps *fs = supply->fs;
	int result = fs->sync(fs, supply->file);

	fs->close(fs, supply->file);
	supply->file = -1;
	supply->filled = 0;
	if (result == 0)
		result = fs->rename(fs, WAL_PREPARE_NAME, name);
	if (result < 0)
		return fs_status(result);
	/* It has the name now: whatever goes wrong here is not put right by trying again. */
	return fs->sync_dir(fs, WAL_FOLDER) < 0 ? RUSD_IO : RUSD_OK;
}

static void
publish_ready(WalSupply *supply, uint64_t sequence, uint32_t salt)
{
	ShmWalSegments *segments = supply->shm->segments;

	supply->retry_at = 0;
	atomic_store_explicit(&segments->salt[sequence % WAL_READY_SEGMENTS], salt,
						  memory_order_relaxed);
	atomic_store_explicit(&segments->ready_end, sequence + 1, memory_order_release);
	atomic_store_explicit(&segments->count, supply->count, memory_order_relaxed);
	/* What was given up for a checkpoint has to come back first. */
	if (supply->has_spare || !spare_is_wanted(supply))
		atomic_store_explicit(&segments->no_room, 0, memory_order_release);
	latch_set(&supply->shm->latches[PROC_RAFT]);
}

/* Gives back what is being filled. */
static void
drop_file(WalSupply *supply)
{
	FileOps *fs = supply->fs;

	if (supply->file >= 0)
		fs->close(fs, supply->file);
	supply->file = -1;
	supply->filled = 0;
	(void) fs->unlink(fs, WAL_PREPARE_NAME);
}

/* Raft is told, and refuses proposals from now on. */
static void
no_room(WalSupply *supply)
{
	drop_file(supply);
	supply->retry_at = supply->clock->monotonic_ns(supply->clock) + RETRY_NS;
	atomic_store_explicit(&supply->shm->segments->no_room, 1, memory_order_release);
}

/*
 * How many of the oldest segments are needed by nobody: all that was in the log before the next one
 * is in a durable checkpoint [wal-6], or void since one; and as much log as is to be kept lies behind.
 */
static size_t
removable(const WalSupply *supply)
{
	const ShmPositions *positions = supply->shm->positions;
	uint64_t durable = atomic_load_explicit(&positions->durable_index, memory_order_acquire);
	uint64_t flushed = atomic_load_explicit(&positions->flushed, memory_order_relaxed);
	uint64_t applied = atomic_load_explicit(&positions->applied_position, memory_order_acquire);
	uint64_t log_begin = atomic_load_explicit(&positions->log_begin, memory_order_acquire);
	size_t found = 0;

	if (supply->keep_all)
		return 0;
	while (found + 1 < supply->count)
	{
		const KnownSegment *next = &supply->segments[found + 1];
		uint64_t begin = next->sequence * supply->shm->layout.wal_segment_bytes;

		if (next->sequence > supply->current || next->first_index == 0 ||
			(next->first_index > durable + 1 && begin > log_begin) || applied < begin ||
			flushed < begin + supply->keep_bytes)
			break;
		found++;
	}
	return found;
}

static Status
remove_oldest(WalSupply *supply)
{
	char name[WAL_NAME_BYTES];
	int result;

	wal_segment_name(name, supply->segments[0].sequence, supply->segments[0].name_index);
	tell_compacted(supply);
	result = supply->fs->unlink(supply->fs, name);
	if (result < 0 && result != -ENOENT)
		return fs_status(result);
	forget_oldest(supply);
	return RUSD_OK;
}

/* Raft is told before the oldest is gone: what it still has others sent is read where it lies. */
static void
tell_compacted(WalSupply *supply)
{
	const Shm *shm = supply->shm;
	const KnownSegment *next = &supply->segments[1];
	_Atomic uint64_t *compacted = &shm->segments->compacted;

	/* What goes for being void says nothing of the entries that took its place. */
	if (next->sequence * shm->layout.wal_segment_bytes <=
		atomic_load_explicit(&shm->positions->log_begin, memory_order_relaxed))
		return;
	atomic_store_explicit(
		compacted,
		Max(next->first_index - 1, atomic_load_explicit(compacted, memory_order_relaxed)),
		memory_order_release);
}

static void
forget_oldest(WalSupply *supply)
{
	supply->count--;
	memmove(supply->segments, supply->segments + 1, supply->count * sizeof(KnownSegment));
	atomic_store_explicit(&supply->shm->segments->count, supply->count, memory_order_relaxed);
}
