/*
 * checkpoint.c
 *	  Takes checkpoints: writes the pages that are new in a root, then the control record that makes
 * them count.
 *
 * Checkpointer only; it may block on the data file.  The order is what makes it safe, see README
 * [pagecache-5]: pages and map are synced, the log is flushed as far as the root has applied it, the
 * control record is written and synced, and only then durable_root tells the applier that what the
 * checkpoint before needed may be used again.
 *
 * src/backend/pagecache/checkpoint.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "activity/metrics.h"
#include "ipc/inject.h"
#include "ipc/shmem.h"
#include "pagecache/checkpoint.h"
#include "pagecache_int.h"
#include "port/fault.h"
#include "utils/log.h"

#define RUN_PAGES 32         /* one write of at most 256 KiB */
#define PAGES_PER_STEP 256   /* written in one turn */
#define PAGES_PER_SCAN 65536 /* looked at in one turn */
/* A long checkpoint is synced in parts, so that the log's syncs never queue behind all of it. */
#define PAGES_PER_SYNC 4096
#define RETRY_NS UINT64_C(1000000000)
/* The first time walwriter is given time to let go of the spare segment. */
#define RETRY_SOON_NS UINT64_C(100000000)
/* Blocks for the data file, while there is room: a part of what is in use at once, within bounds. */
#define GROW_PART 4
#define GROW_PAGES_LEAST 128
#define GROW_PAGES 2048

typedef enum CheckpointPhase
{
	PHASE_IDLE,
	PHASE_ROOT,  /* asked the applier for a root */
	PHASE_WRITE, /* pages */
	PHASE_SYNC,  /* map, data file */
	/* instead of the last two, for a root whose pages were received: map, name of the data file */
	PHASE_INCOMING,
	PHASE_FLUSH,   /* waits for the log */
	PHASE_CONTROL, /* control record; then everything that follows from it */
} CheckpointPhase;

struct Checkpointer
{
	Shm *shm;
	FileOps *fs;
	const ClockOps *clock;
	int file;          /* the data file of record's generation */
	int incoming_file; /* the one of new_record's, if that is another; else -1 */
	uint64_t interval_ns;
	uint64_t log_bytes;

	CheckpointPhase phase;
	ControlRecord record;  /* the newest durable one; what is written next is made from it */
	uint64_t begun_ns;     /* when the last one began */
	uint64_t retry_ns;     /* not before, after a lack of room */
	uint64_t log_position; /* of the last one's root */
	uint32_t failures;     /* in a row, for lack of room */
	uint64_t reserve;     /* pages that the file must have blocks for beyond those in use; 0: off */
	uint64_t grown;       /* pages that it has blocks for */
	uint64_t grow_at_ns;  /* after a lack of room: not before */
	uint64_t durable_end; /* end of the pages of the newest durable checkpoint, or somewhat more */
	/* Generation whose files go when nobody reads its pages any more. */
	uint64_t old_generation;
	bool has_old;

	/* under way */
	uint64_t wanted; /* checkpoint_wanted that it answers */
	RootState root;
	uint64_t root_log_position;
	uint64_t bits;
	uint64_t next;     /* page to look at */
	uint64_t used_end; /* of the pages seen so far */
	uint64_t written;  /* pages, for the log */
	uint64_t unsynced; /* pages since the last sync */
	ControlRecord new_record;
	uint8_t *run; /* RUN_PAGES with their checksums */
	uint64_t run_first;
	uint32_t run_count;
};

static int
open_data_file(FileOps *fs, uint64_t generation)
{
	char name[DATA_NAME_BYTES];
	int file;
	int result;

	data_file_name(name, generation);
	file = fs->open(fs, name, O_RDWR | O_CREAT);
	if (file < 0)
		return file;
	/* Whoever made it: its name must be durable before a control record speaks of what is in it. */
	result = fs->sync_dir(fs, ".");
	if (result == 0)
		return file;
	fs->close(fs, file);
	return result;
}

Status
checkpointer_create(Shm *shm, FileOps *fs, const ClockOps *clock, uint64_t interval_ns,
					uint64_t log_bytes, Checkpointer **result)
{
	Checkpointer *checkpointer = calloc(1, sizeof(*checkpointer));
	Status status;

	if (checkpointer == NULL)
		return RUSD_NO_MEMORY;
	checkpointer->file = checkpointer->incoming_file = -1;
	checkpointer->shm = shm;
	checkpointer->fs = fs;
	checkpointer->clock = clock;
	checkpointer->interval_ns = interval_ns;
	checkpointer->log_bytes = log_bytes;
	checkpointer->begun_ns = clock->monotonic_ns(clock);
	checkpointer->log_position = atomic_load(&shm->positions->applied_position);
	checkpointer->run = aligned_alloc(4096, RUN_PAGES * PAGE_BYTES);
	status = checkpointer->run == NULL ? RUSD_NO_MEMORY : control_read(fs, &checkpointer->record);
	if (status == RUSD_OK)
	{
		checkpointer->durable_end = checkpointer->record.root.pages_end;
		checkpointer->file = open_data_file(fs, checkpointer->record.generation);
		status = fs_status(Min(checkpointer->file, 0));
	}
	if (status != RUSD_OK)
	{
		checkpointer_destroy(checkpointer);
		return status;
	}
	atomic_store_explicit(&shm->positions->durable_index, checkpointer->record.root.applied_index,
						  memory_order_release);
	atomic_store_explicit(&shm->positions->durable_root, checkpointer->record.root.number,
						  memory_order_release);
	*result = checkpointer;
	return RUSD_OK;
}

void
checkpointer_destroy(Checkpointer *checkpointer)
{
	if (checkpointer == NULL)
		return;
	if (checkpointer->file >= 0)
		checkpointer->fs->close(checkpointer->fs, checkpointer->file);
	if (checkpointer->incoming_file >= 0)
		checkpointer->fs->close(checkpointer->fs, checkpointer->incoming_file);
	free(checkpointer->run);
	free(checkpointer);
}

/* ---- room: the file has its blocks before they are needed, so that a checkpoint finds them
 * ---------------------------- */

void
checkpointer_reserve(Checkpointer *checkpointer, uint64_t pages)
{
	int64_t size = checkpointer->fs->size(checkpointer->fs, checkpointer->file);

	checkpointer->reserve = pages;
	/* It was never longer than what it had blocks for. */
	checkpointer->grown = size > 0 ? (uint64_t) size / PAGE_BYTES : 0;
}

/* Pages that may come to be in use before the file can be made to grow again.  The lowest free page
 * is always taken first, so those in use and the next ones fill holes before they go beyond. */
static uint64_t
pages_to_have(const Checkpointer *checkpointer, uint64_t ahead)
{
	uint64_t frames = checkpointer->shm->layout.frame_count;
	RootState root;

	shm_root_read(checkpointer->shm, &root);
	return Min(frames, Max(root.pages_end, frames - root.frames_free + ahead));
}

/* How far ahead the file is made to grow, and is kept: on a full disk no further than it must be, for
 * the log lacks what the file has. */
static uint64_t
pages_ahead(const Checkpointer *checkpointer)
{
	uint64_t used = pages_to_have(checkpointer, 0);

	if (shm_disk_is_full(checkpointer->shm))
		return checkpointer->reserve;
	return checkpointer->reserve +
		   Min(Max(used / GROW_PART, (uint64_t) GROW_PAGES_LEAST), (uint64_t) GROW_PAGES);
}

/* Gives the file blocks up to page end; contents stay.  0 or -errno. */
static int64_t
grow_to(Checkpointer *checkpointer, uint64_t end)
{
	FileOps *fs = checkpointer->fs;
	uint64_t from = checkpointer->grown * PAGE_BYTES;
	int64_t size = fs->size(fs, checkpointer->file);
	int64_t result;

	if (size < 0)
		return size;
	/* Their part is small, and comes first. */
	result = map_reserve(fs, checkpointer->record.generation, end);
	if (result < 0)
		return result;
	result = -EOPNOTSUPP;
	if (fs->allocate != NULL)
		result = fs->allocate(fs, checkpointer->file, from, end * PAGE_BYTES - from);
	if (result == -EOPNOTSUPP || result == -ENOSYS)
	{
		/* The run is written anew for each checkpoint, and none is under way. */
		memset(checkpointer->run, 0, RUN_PAGES * PAGE_BYTES);
		from = Max(from, (uint64_t) size);
		for (result = 0; result >= 0 && from < end * PAGE_BYTES; from += RUN_PAGES * PAGE_BYTES)
			result =
				fs->pwrite(fs, checkpointer->file, checkpointer->run,
						   Min((uint64_t) RUN_PAGES * PAGE_BYTES, end * PAGE_BYTES - from), from);
	}
	if (result >= 0)
		checkpointer->grown = end;
	else
		/* Others need what it got meanwhile. */
		(void) fs->truncate(fs, checkpointer->file, (uint64_t) size);
	return Min(result, 0);
}

static void
publish_limit(Checkpointer *checkpointer, uint64_t limit)
{
	ShmRequests *requests = checkpointer->shm->requests;
	uint64_t before = atomic_load_explicit(&requests->data_limit, memory_order_relaxed);

	atomic_store_explicit(&requests->data_limit, limit, memory_order_release);
	if (limit != 0 && before == 0)
		log_warn("the disk has no room for more data; proposals that need space are refused",
				 LOG_UNSIGNED("pages", limit));
	else if (limit == 0 && before != 0)
	{
		log_info("the disk has room for data again");
		latch_set(&checkpointer->shm->latches[PROC_RAFT]);
	}
}

/*
 * Cuts the file behind the last page that anybody needs: the newest checkpoint, or a reader of an
 * older root whose page has never been loaded.
 */
static Status
cut_file(Checkpointer *checkpointer)
{
	FileOps *fs = checkpointer->fs;
	int64_t size = fs->size(fs, checkpointer->file);
	uint64_t pages;
	uint64_t frames = checkpointer->shm->layout.frame_count;
	uint64_t least = checkpointer->durable_end;

	if (size < 0)
		return RUSD_IO;
	if (checkpointer->reserve != 0)
		least = Max(least, pages_to_have(checkpointer, pages_ahead(checkpointer)));
	for (pages = ((uint64_t) size + PAGE_BYTES - 1) / PAGE_BYTES; pages > least; pages--)
	{
		uint32_t state;

		if (pages > frames)
			continue;
		state = atomic_load_explicit(&checkpointer->shm->page_meta[pages - 1].state,
									 memory_order_acquire);
		if (state == PAGE_ABSENT || state == PAGE_LOADING)
			break;
	}
	if (pages * PAGE_BYTES >= (uint64_t) size)
		return RUSD_OK;
	checkpointer->grown = Min(checkpointer->grown, pages);
	return fs_status(fs->truncate(fs, checkpointer->file, pages * PAGE_BYTES));
}

/* At each turn between checkpoints. */
static Status
keep_room(Checkpointer *checkpointer)
{
	uint64_t needed;
	uint64_t now;
	int64_t result;
	Status status;

	if (checkpointer->reserve == 0)
		return RUSD_OK;
	if (shm_disk_is_full(checkpointer->shm))
	{
		status = cut_file(checkpointer);
		if (status != RUSD_OK)
			return status;
	}
	needed = pages_to_have(checkpointer, checkpointer->reserve);
	if (checkpointer->grown >= needed)
	{
		publish_limit(checkpointer, 0);
		return RUSD_OK;
	}
	now = checkpointer->clock->monotonic_ns(checkpointer->clock);
	if (now < checkpointer->grow_at_ns)
		return RUSD_OK;
	result = grow_to(checkpointer, pages_to_have(checkpointer, pages_ahead(checkpointer)));
	if (fs_status(result) == RUSD_NO_ROOM)
		result = grow_to(checkpointer, needed);
	if (fs_status(result) == RUSD_NO_ROOM)
	{
		checkpointer->grow_at_ns = now + RETRY_NS;
		publish_limit(checkpointer, Max(checkpointer->grown, 1));
		return RUSD_OK;
	}
	if (result == 0)
		publish_limit(checkpointer, 0);
	return fs_status(result);
}

/* ---- when
 * --------------------------------------------------------------------------------------------------
 */

static bool
something_changed(const Checkpointer *checkpointer)
{
	RootState root;

	shm_root_read(checkpointer->shm, &root);
	return root.number != checkpointer->record.root.number;
}

/* The applier has a received snapshot for us. */
static bool
install_is_wanted(const Checkpointer *checkpointer)
{
	return atomic_load_explicit(&checkpointer->shm->requests->generation_wanted,
								memory_order_acquire) > checkpointer->record.generation;
}

static bool
is_due(const Checkpointer *checkpointer, uint64_t now)
{
	uint64_t log =
		atomic_load_explicit(&checkpointer->shm->positions->applied_position, memory_order_relaxed);
	/* On a full disk a checkpoint is what gives room back. */
	uint64_t interval = shm_disk_is_full(checkpointer->shm)
							? Min(checkpointer->interval_ns, RETRY_NS)
							: checkpointer->interval_ns;

	return now - checkpointer->begun_ns >= interval ||
		   (log > checkpointer->log_position &&
			log - checkpointer->log_position > checkpointer->log_bytes);
}

static Status
begin_if_due(Checkpointer *checkpointer)
{
	ShmRequests *requests = checkpointer->shm->requests;
	uint64_t now = checkpointer->clock->monotonic_ns(checkpointer->clock);
	uint64_t done = atomic_load_explicit(&requests->checkpoint_done, memory_order_relaxed);
	bool install = install_is_wanted(checkpointer);
	bool wanted;

	/* Read before the root is asked for: the root has all that whoever wanted it had published. */
	checkpointer->wanted = atomic_load_explicit(&requests->checkpoint_wanted, memory_order_acquire);
	wanted = checkpointer->wanted != done;
	if (now < checkpointer->retry_ns)
		return RUSD_AGAIN;
	if (!install && !wanted && !is_due(checkpointer, now))
		return RUSD_AGAIN;
	if (!install && !something_changed(checkpointer))
	{
		if (!wanted)
			return RUSD_AGAIN;
		atomic_store_explicit(&requests->checkpoint_done, checkpointer->wanted,
							  memory_order_release);
		latch_set(&checkpointer->shm->latches[PROC_APPLIER]);
		return RUSD_OK;
	}
	checkpointer->begun_ns = now;
	atomic_fetch_add_explicit(&requests->root_wanted, 1, memory_order_release);
	latch_set(&checkpointer->shm->latches[PROC_APPLIER]);
	checkpointer->phase = PHASE_ROOT;
	return RUSD_OK;
}

static Status
take_root(Checkpointer *checkpointer)
{
	const CheckpointRoot *given = checkpointer->shm->checkpoint_root;
	uint64_t wanted =
		atomic_load_explicit(&checkpointer->shm->requests->root_wanted, memory_order_relaxed);

	/* Pairs with the applier's release: what it handed over is whole, and does not change until
	 * asked again. */
	if (atomic_load_explicit(&given->root_given, memory_order_acquire) != wanted)
		return RUSD_AGAIN;
	Check(given->bitmap_bits <= checkpointer->shm->layout.frame_count);
	checkpointer->root = given->root;
	checkpointer->root_log_position = given->log_position;
	checkpointer->bits = given->bitmap_bits;
	checkpointer->next = 0;
	checkpointer->used_end = 0;
	checkpointer->written = 0;
	checkpointer->unsynced = 0;
	checkpointer->run_count = 0;
	checkpointer->new_record = checkpointer->record;
	checkpointer->new_record.hard_state = given->hard_state;
	checkpointer->new_record.configuration = given->configuration;
	checkpointer->new_record.root = given->root;
	checkpointer->new_record.map_file = checkpointer->record.map_file == 0 ? 1 : 0;
	checkpointer->new_record.map_bits = given->bitmap_bits;
	checkpointer->new_record.generation = given->generation;
	checkpointer->new_record.log_begin = given->log_begin;
	checkpointer->phase =
		given->generation == checkpointer->record.generation ? PHASE_WRITE : PHASE_INCOMING;
	return RUSD_OK;
}

/* ---- pages
 * ---------------------------------------------------------------------------------------------------
 */

static Status
write_run(Checkpointer *checkpointer)
{
	size_t bytes = (size_t) checkpointer->run_count * PAGE_BYTES;
	ssize_t result;

	if (bytes == 0)
		return RUSD_OK;
	result = checkpointer->fs->pwrite(checkpointer->fs, checkpointer->file, checkpointer->run,
									  bytes, checkpointer->run_first * PAGE_BYTES);
	if (INJECT_ERROR("checkpoint-write"))
		result = -ENOSPC;
	checkpointer->written += checkpointer->run_count;
	checkpointer->unsynced += checkpointer->run_count;
	checkpointer->run_count = 0;
	return fs_status(Min(result, 0));
}

/* A published page is never changed, so that it can be copied at any time; the checksum goes into
 * the copy. */
static Status
add_to_run(Checkpointer *checkpointer, uint64_t page)
{
	uint8_t *to;
	PageHeader *header;
	Status status;

	if (checkpointer->run_count == RUN_PAGES ||
		page != checkpointer->run_first + checkpointer->run_count)
	{
		status = write_run(checkpointer);
		if (status != RUSD_OK)
			return status;
		checkpointer->run_first = page;
	}
	to = checkpointer->run + (size_t) checkpointer->run_count * PAGE_BYTES;
	memcpy(to, checkpointer->shm->frames + page * PAGE_BYTES, PAGE_BYTES);
	header = (PageHeader *) to;
	Check(header->number == page);
	header->crc = page_checksum(header);
	checkpointer->run_count++;
	return RUSD_OK;
}

/* Those of the pages [from, from + 64) that are used and were born after the last checkpoint's
 * root. */
static Status
write_word(Checkpointer *checkpointer, uint64_t word, uint32_t *pages)
{
	const PageMeta *meta = checkpointer->shm->page_meta;

	for (uint64_t bits = checkpointer->shm->checkpoint_bitmap[word]; bits != 0; bits &= bits - 1)
	{
		uint64_t page = word * 64 + (uint64_t) __builtin_ctzll(bits);
		Status status;

		if (page >= checkpointer->bits)
			break;
		checkpointer->used_end = page + 1;
		if (atomic_load_explicit(&meta[page].birth, memory_order_relaxed) <=
			checkpointer->record.root.number)
			continue;
		status = add_to_run(checkpointer, page);
		if (status != RUSD_OK)
			return status;
		(*pages)++;
	}
	return RUSD_OK;
}

static int
sync_file(Checkpointer *checkpointer)
{
	const ClockOps *clock = checkpointer->clock;
	uint64_t began = clock->monotonic_ns(clock);
	int result;

	INJECT("checkpoint-before-sync");
	result = checkpointer->fs->sync(checkpointer->fs, checkpointer->file);
	observe(checkpointer->shm->areas[PROC_CHECKPOINTER], DATA_SYNC,
			clock->monotonic_ns(clock) - began);
	return result;
}

static Status
write_pages(Checkpointer *checkpointer)
{
	uint64_t end = Min(checkpointer->bits, checkpointer->next + PAGES_PER_SCAN);
	uint32_t pages = 0;
	Status status = RUSD_OK;

	while (status == RUSD_OK && checkpointer->next < end && pages < PAGES_PER_STEP)
	{
		status = write_word(checkpointer, checkpointer->next / 64, &pages);
		checkpointer->next += 64;
	}
	if (status == RUSD_OK && checkpointer->next >= checkpointer->bits)
	{
		status = write_run(checkpointer);
		checkpointer->phase = PHASE_SYNC;
	}
	else if (status == RUSD_OK && checkpointer->unsynced >= PAGES_PER_SYNC)
	{
		checkpointer->unsynced = 0;
		if (sync_file(checkpointer) < 0)
			status = RUSD_IO;
	}
	return status;
}

static Status
sync_pages(Checkpointer *checkpointer)
{
	Status status = map_write(checkpointer->fs, checkpointer->record.generation,
							  checkpointer->new_record.map_file, checkpointer->root.number,
							  checkpointer->shm->checkpoint_bitmap, checkpointer->bits,
							  &checkpointer->new_record.map_crc);

	if (status != RUSD_OK)
		return status;
	/* Whatever a sync reports, the kernel may have dropped the pages by now: never tried again. */
	if (sync_file(checkpointer) < 0 || INJECT_ERROR("checkpoint-sync"))
		return RUSD_IO;
	checkpointer->phase = PHASE_FLUSH;
	return RUSD_OK;
}

/*
 * The received file gets its name in the next generation.  Its content was synced by whoever received
 * it.  Until the control record says so the generation does not count, so any of this may be done
 * again, after a lack of room for the map or after a crash.
 */
static Status
take_incoming(Checkpointer *checkpointer)
{
	FileOps *fs = checkpointer->fs;
	ControlRecord *record = &checkpointer->new_record;
	char name[DATA_NAME_BYTES];
	int64_t result;
	Status status;

	record->map_file = 0;
	status = map_write(fs, record->generation, record->map_file, checkpointer->root.number,
					   checkpointer->shm->checkpoint_bitmap, checkpointer->bits, &record->map_crc);
	if (status != RUSD_OK)
		return status;
	data_file_name(name, record->generation);
	result = fs->rename(fs, INCOMING_DATA_NAME, name);
	if (result == 0 || result == -ENOENT) /* an attempt before this one has renamed it */
		result = fs->open(fs, name, O_RDWR);
	if (result < 0)
		return RUSD_IO;
	if (checkpointer->incoming_file >= 0)
		fs->close(fs, checkpointer->incoming_file);
	checkpointer->incoming_file = (int) result;
	if (fs->sync_dir(fs, ".") < 0)
		return RUSD_IO;
	checkpointer->used_end = checkpointer->bits;
	checkpointer->phase = PHASE_FLUSH;
	return RUSD_OK;
}

/* ---- the control record, and what follows from it
 * ---------------------------------------------------------- */

/* The control record names the file of another generation. */
static void
change_file(Checkpointer *checkpointer)
{
	checkpointer->fs->close(checkpointer->fs, checkpointer->file);
	checkpointer->file = checkpointer->incoming_file;
	checkpointer->incoming_file = -1;
	/* It was received with holes. */
	checkpointer->grown = 0;
	checkpointer->old_generation = checkpointer->record.generation;
	checkpointer->has_old = true;
}

/* The applier tells that no reader is left of the generation before. */
static Status
remove_old(Checkpointer *checkpointer)
{
	uint64_t read =
		atomic_load_explicit(&checkpointer->shm->positions->data_generation, memory_order_acquire);

	if (!checkpointer->has_old || read != checkpointer->record.generation)
		return RUSD_OK;
	checkpointer->has_old = false;
	return fs_status(data_files_remove(checkpointer->fs, checkpointer->old_generation));
}

static Status
finish(Checkpointer *checkpointer)
{
	Shm *shm = checkpointer->shm;
	bool is_install = checkpointer->new_record.generation != checkpointer->record.generation;
	Status status;

	INJECT("checkpoint-before-control");
	status = control_write(checkpointer->fs, &checkpointer->new_record);
	if (status != RUSD_OK)
		return status;
	INJECT("checkpoint-after-control");
	if (is_install)
		change_file(checkpointer);
	checkpointer->record = checkpointer->new_record;
	checkpointer->log_position = checkpointer->root_log_position;
	atomic_store_explicit(&shm->positions->durable_root, checkpointer->root.number,
						  memory_order_release);
	atomic_store_explicit(&shm->positions->durable_index, checkpointer->root.applied_index,
						  memory_order_release);
	checkpointer->phase = PHASE_IDLE;
	checkpointer->failures = 0;
	atomic_store_explicit(&shm->requests->spare_wanted, 0, memory_order_release);
	checkpointer->durable_end = checkpointer->used_end;
	if (!is_install)
		status = cut_file(checkpointer);
	atomic_store_explicit(&shm->requests->checkpoint_done, checkpointer->wanted,
						  memory_order_release);
	/* Pages can be used again, segments removed. */
	latch_set(&shm->latches[PROC_APPLIER]);
	latch_set(&shm->latches[PROC_WALWRITER]);
	log_debug("checkpoint complete", LOG_UNSIGNED("root", checkpointer->root.number),
			  LOG_UNSIGNED("applied-index", checkpointer->root.applied_index),
			  LOG_UNSIGNED("pages-written", checkpointer->written),
			  LOG_UNSIGNED("pages", checkpointer->used_end),
			  LOG_TIME("took", checkpointer->clock->monotonic_ns(checkpointer->clock) -
								   checkpointer->begun_ns));
	return status;
}

static Status
turn(Checkpointer *checkpointer)
{
	Status status;

	switch (checkpointer->phase)
	{
		case PHASE_IDLE:
			status = remove_old(checkpointer);
			if (status == RUSD_OK)
				status = keep_room(checkpointer);
			return status == RUSD_OK ? begin_if_due(checkpointer) : status;
		case PHASE_ROOT:
			return take_root(checkpointer);
		case PHASE_WRITE:
			return write_pages(checkpointer);
		case PHASE_SYNC:
			return sync_pages(checkpointer);
		case PHASE_INCOMING:
			return take_incoming(checkpointer);
		case PHASE_FLUSH:
			if (atomic_load_explicit(&checkpointer->shm->positions->flushed, memory_order_acquire) <
					checkpointer->root_log_position &&
				!FAULT(checkpoint_ahead_of_log))
				return RUSD_AGAIN;
			checkpointer->phase = PHASE_CONTROL;
			if (FAULT(applied_ahead_of_state))
				checkpointer->new_record.root.applied_index =
					atomic_load(&checkpointer->shm->positions->applied_index);
			return RUSD_OK;
		case PHASE_CONTROL:
			return finish(checkpointer);
	}
	return RUSD_INVALID;
}

/* The checkpoint before stays, and with it all that it needs. */
static Status
no_room(Checkpointer *checkpointer)
{
	ShmRequests *requests = checkpointer->shm->requests;
	bool first = checkpointer->failures++ == 0;

	checkpointer->phase = PHASE_IDLE;
	checkpointer->retry_ns =
		checkpointer->clock->monotonic_ns(checkpointer->clock) + (first ? RETRY_SOON_NS : RETRY_NS);
	atomic_store_explicit(&requests->spare_wanted, 1, memory_order_release);
	latch_set(&checkpointer->shm->latches[PROC_WALWRITER]);
	if (!first)
	{
		atomic_store_explicit(&requests->checkpoint_failed, checkpointer->wanted,
							  memory_order_release);
		latch_set(&checkpointer->shm->latches[PROC_APPLIER]);
	}
	/* What this one has written behind the pages of the one before must not be in the way of the
	 * next, whose pages may be others. */
	return cut_file(checkpointer);
}

Status
checkpointer_step(Checkpointer *checkpointer)
{
	Status status = turn(checkpointer);

	if (status == RUSD_NO_ROOM && no_room(checkpointer) != RUSD_OK)
		return RUSD_IO;
	return status;
}
