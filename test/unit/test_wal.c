/*
 * test_wal.c
 *	  The log, case by case; test/sim/test_wal_crash tries them in every combination.
 *
 * On the simulated disk, which counts calls and fails where it is told to.
 *
 * test/unit/test_wal.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "../sim/simdisk.h"
#include "cmocka_all.h"
#include "format/entry.h"
#include "wal/recovery.h"
#include "wal/segment.h"
#include "wal/wal.h"

#define SEGMENT 16384
#define BUFFERS 16384

typedef struct Fixture
{
	Shm *shm;
	SimDisk *disk;
	WalAppender appender;
	WalWriter *writer;
	uint64_t index;
	RaftConfiguration applied_configuration;
	LogBegin log_begin;
	char message[400];
} Fixture;

static Status
recover(Fixture *f, uint64_t applied_index)
{
	memset(f->shm->positions, 0, sizeof(*f->shm->positions));
	memset(f->shm->segments, 0, sizeof(*f->shm->segments));
	memset(f->shm->recovered, 0, sizeof(*f->shm->recovered));
	f->shm->recovered->applied_index = applied_index;
	f->shm->recovered->applied_term = applied_index > 0 ? 1 : 0;
	f->shm->recovered->applied_configuration = f->applied_configuration;
	f->shm->recovered->log_begin = f->log_begin;
	return wal_recover(&f->disk->ops, f->shm->recovered, f->message, sizeof(f->message));
}

static void
begin(Fixture *f, bool keep_all)
{
	const NodeRecovered *found = f->shm->recovered;

	assert_int_equal(
		wal_writer_create(f->shm, &f->disk->ops, &f->disk->clock, keep_all, 0, &f->writer),
		RUSD_OK);
	atomic_store(&f->shm->positions->applied_position, found->replay_position);
	atomic_store(&f->shm->positions->durable_index, found->applied_index);
	atomic_store(&f->shm->positions->log_begin, found->log_begin.position);
	wal_appender_init(&f->appender, f->shm, found->log_end, found->previous_crc);
	f->index = found->last_index;
}

static void
end(Fixture *f)
{
	wal_writer_destroy(f->writer);
	f->writer = NULL;
	sim_disk_kill(f->disk);
}

/* All that there is to do, the preparing of segments included. */
static void
settle(Fixture *f)
{
	Status status;

	f->disk->now_ns += 1000000000;
	while ((status = wal_writer_step(f->writer)) == RUSD_OK)
		;
	assert_int_equal(status, RUSD_AGAIN);
}

static int
set_up(void **state)
{
	static const ShmLayout layout = {.slot_count = PROC_ESSENTIAL_COUNT + 1,
									 .wal_buffer_bytes = BUFFERS,
									 .wal_segment_bytes = SEGMENT,
									 .frame_count = 64};
	RaftConfiguration configuration = {.member_count = 1, .members = {{.id = 22}}};
	Fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(shm_create(&layout, false, &f->shm), RUSD_OK);
	f->disk = sim_disk_create(7);
	assert_int_equal(wal_initialize(&f->disk->ops, SEGMENT, 11, 22, &configuration, NULL, 0),
					 RUSD_OK);
	assert_int_equal(recover(f, 0), RUSD_OK);
	begin(f, false);
	settle(f);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	Fixture *f = *state;

	if (f->writer != NULL)
		wal_writer_destroy(f->writer);
	sim_disk_destroy(f->disk);
	shm_destroy(f->shm);
	free(f);
	return 0;
}

static Status
append_entry(Fixture *f, uint64_t index, uint64_t term, uint32_t length, uint8_t fill)
{
	Status status = wal_batch_begin(&f->appender, wal_record_bytes(length));

	if (status != RUSD_OK)
		return status;
	memset(wal_batch_add(&f->appender, ENTRY_PUT, index, term, length), fill, length);
	(void) wal_batch_end(&f->appender, f->appender.hard_state.commit_index, 1);
	f->index = index;
	return RUSD_OK;
}

static Status
append(Fixture *f, uint32_t length)
{
	return append_entry(f, f->index + 1, 1, length, (uint8_t) (f->index + 1));
}

static uint64_t
flushed(const Fixture *f)
{
	return atomic_load(&f->shm->positions->flushed);
}

/* Entries that a reader gives from a position to a limit; checks that they are 1.. of fill index.
 */
static uint64_t
read_to(Fixture *f, FileOps *fs, uint64_t from, uint64_t limit)
{
	WalReader *reader = NULL;
	WalRecord record;
	uint64_t last = 0;
	Status status;

	assert_int_equal(wal_reader_create(f->shm, fs, from, &reader), RUSD_OK);
	while ((status = wal_reader_next(reader, limit, &record)) == RUSD_OK)
	{
		assert_true(last == 0 || record.header.index == last + 1);
		last = record.header.index;
		for (uint32_t i = 0; i < record.header.length; i++)
			assert_int_equal(record.payload[i], (uint8_t) last);
	}
	assert_int_equal(status, RUSD_END);
	wal_reader_destroy(reader);
	return last;
}

/* The segment that a position lies in, as bytes on the platter and in the cache. */
static SimInode *
inode_of(Fixture *f, uint64_t position)
{
	WalName *names = NULL;
	size_t count = 0;
	SimInode *inode = NULL;

	assert_int_equal(wal_list_segments(&f->disk->ops, &names, &count), RUSD_OK);
	for (size_t i = 0; i < count; i++)
	{
		char name[WAL_NAME_BYTES];

		wal_segment_name(name, names[i].sequence, names[i].first_index);
		if (names[i].sequence == wal_segment_of(position + 1, SEGMENT))
			inode = sim_disk_inode(f->disk, name);
	}
	free(names);
	assert_non_null(inode);
	return inode;
}

/* ---- tests
 * ---------------------------------------------------------------------------------------- */

/* [wal-4] and the cost that design and brief promise. */
static void
one_put_is_one_write_and_one_sync(void **state)
{
	Fixture *f = *state;

	for (int i = 0; i < 10; i++)
	{
		uint64_t writes = f->disk->writes;
		uint64_t syncs = f->disk->syncs;

		assert_int_equal(append(f, 300), RUSD_OK);
		assert_int_equal(flushed(f), f->appender.position - 512);
		assert_int_equal(wal_writer_step(f->writer), RUSD_OK);
		assert_int_equal(flushed(f), f->appender.position);
		assert_int_equal(f->disk->writes, writes + 1);
		assert_int_equal(f->disk->syncs, syncs + 1);
	}
}

static void
all_that_gathered_is_one_write(void **state)
{
	Fixture *f = *state;
	uint64_t writes = f->disk->writes;
	uint64_t syncs = f->disk->syncs;

	for (int i = 0; i < 10; i++)
		assert_int_equal(append(f, 100), RUSD_OK);
	assert_int_equal(wal_writer_step(f->writer), RUSD_OK);
	assert_int_equal(f->disk->writes, writes + 1);
	assert_int_equal(f->disk->syncs, syncs + 1);
}

/* A batch of which any number of bytes is missing at the end is the end, if nothing proves it. */
static void
torn_tail_is_cut(void **state)
{
	Fixture *f = *state;
	uint64_t position;
	SimDisk *whole;

	assert_int_equal(append(f, 100), RUSD_OK);
	settle(f);
	position = f->appender.position;
	assert_int_equal(append(f, 1000), RUSD_OK);
	settle(f);
	end(f);
	whole = f->disk;
	for (uint64_t kept = 0; kept < sizeof(WalBatchHeader) + wal_record_bytes(1000); kept++)
	{
		SimInode *inode;

		f->disk = sim_disk_copy(whole, kept);
		inode = inode_of(f, position);
		memset(inode->live + position % SEGMENT + kept, 0, 2048 - kept);
		/* The last bytes are padding of the payload, and zero as they were. */
		assert_int_equal(recover(f, 0), RUSD_OK);
		assert_int_equal(f->shm->recovered->last_index, 1);
		assert_int_equal(f->shm->recovered->log_end, position + WAL_SECTOR); /* the mark */
		sim_disk_destroy(f->disk);
	}
	f->disk = whole;
}

/* The same where a later batch, or an idle mark, tells that it was flushed: refused, at every byte.
 */
static void
damage_is_refused(void **state)
{
	Fixture *f = *state;
	uint64_t position = f->appender.position;
	uint64_t length = sizeof(WalBatchHeader) + wal_record_bytes(200);
	SimDisk *whole;

	assert_int_equal(append(f, 200), RUSD_OK);
	settle(f);
	assert_true(wal_mark_is_due(&f->appender));
	assert_int_equal(wal_append_mark(&f->appender, 0, 0), RUSD_OK);
	assert_false(wal_mark_is_due(&f->appender));
	settle(f);
	assert_false(wal_mark_is_due(&f->appender));
	end(f);
	whole = f->disk;
	for (uint64_t byte = 0; byte < length; byte++)
	{
		f->disk = sim_disk_copy(whole, byte);
		inode_of(f, position)->live[position % SEGMENT + byte] ^= 1;
		assert_int_equal(recover(f, 0), RUSD_DAMAGED);
		assert_non_null(strstr(f->message, "proves that it had been flushed"));
		sim_disk_destroy(f->disk);
	}
	/* Both headers of the segment. */
	for (uint64_t byte = 0; byte < WAL_HEADER_BYTES; byte++)
	{
		if (byte % WAL_OPENING_OFFSET >= sizeof(WalSegmentHeader))
			continue;
		f->disk = sim_disk_copy(whole, byte);
		inode_of(f, position)->live[byte] ^= 1;
		assert_int_equal(recover(f, 0), RUSD_DAMAGED);
		sim_disk_destroy(f->disk);
	}
	f->disk = whole;
	assert_int_equal(recover(f, 0), RUSD_OK);
	assert_int_equal(f->shm->recovered->last_index, 1);
}

/* Good batches behind a bad one are no damage where none tells that it was flushed. */
static void
gap_in_one_write_is_cut(void **state)
{
	Fixture *f = *state;
	uint64_t position = f->appender.position;

	for (int i = 0; i < 5; i++)
		assert_int_equal(append(f, 200), RUSD_OK);
	settle(f);
	end(f);
	memset(inode_of(f, position)->live + position % SEGMENT + 512, 0, 512);
	assert_int_equal(recover(f, 0), RUSD_OK);
	assert_int_equal(f->shm->recovered->last_index, 1);
	/* And what lay behind is gone for good: the copy holds nothing of it. */
	for (uint64_t at = f->shm->recovered->log_end; at < 2 * SEGMENT; at += 8)
		assert_int_equal(*(uint64_t *) (void *) (inode_of(f, position)->live + at % SEGMENT), 0);
}

/* A record of index i voids every earlier record of index i or above. */
static void
void_by_index(void **state)
{
	Fixture *f = *state;
	uint64_t from = f->appender.position;
	uint64_t before;

	for (uint64_t i = 1; i <= 6; i++)
		assert_int_equal(append_entry(f, i, 1, 64, (uint8_t) (i < 4 ? i : 0xee)), RUSD_OK);
	before = f->appender.position;
	for (uint64_t i = 4; i <= 8; i++)
		assert_int_equal(append_entry(f, i, 2, 64, (uint8_t) (i < 7 ? i : 0xee)), RUSD_OK);
	for (uint64_t i = 7; i <= 9; i++)
		assert_int_equal(append_entry(f, i, 3, 64, (uint8_t) i), RUSD_OK);
	/* From buffers, not yet flushed, and without a file. */
	assert_int_equal(read_to(f, NULL, from, f->appender.position), 9);
	settle(f);
	end(f);
	assert_int_equal(recover(f, 0), RUSD_OK);
	assert_int_equal(f->shm->recovered->last_index, 9);
	assert_int_equal(f->shm->recovered->last_term, 3);
	assert_true(f->shm->recovered->last_regression > before);
	assert_int_equal(
		read_to(f, &f->disk->ops, f->shm->recovered->replay_position, f->shm->recovered->log_end),
		9);
}

/* Over many segments; read from buffers, from files, and from both. */
static void
segments_follow_each_other(void **state)
{
	Fixture *f = *state;
	uint64_t from = f->appender.position;
	uint64_t middle = 0;

	for (int i = 0; i < 100; i++)
	{
		Status status = append(f, 1500);

		assert_int_equal(status, RUSD_OK);
		assert_int_equal(read_to(f, NULL, f->appender.position - 2048, f->appender.position),
						 f->index);
		settle(f);
		atomic_store(&f->shm->positions->applied_position, f->appender.position);
		if (i == 50)
			middle = f->appender.position;
	}
	assert_true(f->appender.position / SEGMENT > 8);
	assert_int_equal(read_to(f, &f->disk->ops, from, f->appender.position), 100);
	end(f);
	assert_int_equal(recover(f, 0), RUSD_OK);
	assert_int_equal(f->shm->recovered->last_index, 100);
	assert_int_equal(f->shm->recovered->replay_position, from);
	begin(f, false);
	settle(f);
	assert_int_equal(append(f, 1500), RUSD_OK);
	assert_int_equal(read_to(f, &f->disk->ops, from, f->appender.position), 101);
	assert_int_equal(read_to(f, &f->disk->ops, middle, f->appender.position), 101);
}

/* [wal-2] */
static void
buffers_wait_for_flush_and_apply(void **state)
{
	Fixture *f = *state;
	uint64_t from = f->appender.position;
	uint64_t count = 0;

	while (append(f, 1000) == RUSD_OK)
		count++;
	assert_true(count > 5);
	assert_true(f->appender.position - from <= BUFFERS);
	settle(f);
	/* Flushed, but not applied. */
	assert_int_equal(append(f, 1000), RUSD_AGAIN);
	assert_int_equal(read_to(f, NULL, from, f->appender.position), count);
	atomic_store(&f->shm->positions->applied_position, f->appender.position);
	assert_int_equal(append(f, 1000), RUSD_OK);
}

static void
batch_is_bounded(void **state)
{
	Fixture *f = *state;
	uint64_t most = wal_batch_bytes_max(&f->shm->layout);
	uint32_t length = (uint32_t) (most - sizeof(WalRecordHeader));

	assert_int_equal(wal_batch_begin(&f->appender, most + 8), RUSD_INVALID);
	assert_int_equal(wal_batch_begin(&f->appender, most), RUSD_OK);
	assert_null(wal_batch_add(&f->appender, ENTRY_PUT, 1, 1, length + 8));
	assert_non_null(wal_batch_add(&f->appender, ENTRY_PUT, 1, 1, length));
	assert_null(wal_batch_add(&f->appender, ENTRY_PUT, 2, 1, 0));
	(void) wal_batch_end(&f->appender, 0, 0);
	settle(f);
	end(f);
	assert_int_equal(recover(f, 0), RUSD_OK);
	assert_int_equal(f->shm->recovered->last_index, 1);
}

static void
publish(Fixture *f, uint64_t ceiling, uint64_t floor)
{
	ShmPositions *positions = f->shm->positions;

	atomic_fetch_add(&positions->bound_change_count, 1);
	atomic_store(&positions->ceiling, ceiling);
	atomic_store(&positions->floor, floor);
	atomic_fetch_add(&positions->bound_change_count, 1);
}

static void
commit_follows_ceiling_and_floor(void **state)
{
	Fixture *f = *state;
	ShmPositions *positions = f->shm->positions;
	uint64_t before = atomic_load(&positions->committed_by_flush);
	uint64_t first;
	uint64_t second;

	assert_int_equal(append(f, 100), RUSD_OK);
	first = f->appender.position;
	settle(f);
	assert_int_equal(atomic_load(&positions->committed_by_flush), before); /* does not lead */
	assert_int_equal(append(f, 100), RUSD_OK);
	second = f->appender.position;
	publish(f, second, second);
	assert_int_equal(wal_writer_step(f->writer) == RUSD_OK, true);
	assert_int_equal(atomic_load(&positions->committed_by_flush), second);
	/* Below the floor nothing, whatever the ceiling. */
	assert_int_equal(append(f, 100), RUSD_OK);
	publish(f, f->appender.position + 512, f->appender.position + 512);
	settle(f);
	assert_int_equal(atomic_load(&positions->committed_by_flush), second);
	/* The ceiling holds back what is flushed, and is judged anew when it rises. */
	publish(f, second, first);
	settle(f);
	assert_int_equal(atomic_load(&positions->committed_by_flush), second);
	publish(f, f->appender.position, first);
	settle(f);
	assert_int_equal(atomic_load(&positions->committed_by_flush), f->appender.position);
	/* A change under way: nothing is published from it. */
	assert_int_equal(append(f, 100), RUSD_OK);
	atomic_fetch_add(&positions->bound_change_count, 1);
	atomic_store(&positions->ceiling, f->appender.position);
	assert_int_equal(wal_writer_step(f->writer), RUSD_OK);
	assert_true(atomic_load(&positions->committed_by_flush) < f->appender.position);
	atomic_fetch_add(&positions->bound_change_count, 1);
	settle(f);
	assert_int_equal(atomic_load(&positions->committed_by_flush), f->appender.position);
}

static void
raft_is_woken_where_it_waits(void **state)
{
	Fixture *f = *state;
	Latch *raft = &f->shm->latches[PROC_RAFT];

	atomic_store(&raft->word, 0);
	assert_int_equal(append(f, 100), RUSD_OK);
	settle(f);
	assert_int_equal(atomic_load(&raft->word), 0);
	assert_int_equal(append(f, 100), RUSD_OK);
	atomic_store(&f->shm->positions->flush_wanted, f->appender.position);
	settle(f);
	assert_int_equal(atomic_load(&raft->word), 1);
}

/* Not for what the answers of others have committed before. */
static void
applier_is_woken_for_news(void **state)
{
	Fixture *f = *state;
	Latch *applier = &f->shm->latches[PROC_APPLIER];
	uint64_t first;

	assert_int_equal(append(f, 100), RUSD_OK);
	first = f->appender.position;
	settle(f);
	atomic_store(&f->shm->positions->committed_by_peers, first);
	assert_int_equal(append(f, 100), RUSD_OK);
	publish(f, first, first);
	atomic_store(&applier->word, 0);
	settle(f);
	assert_int_equal(atomic_load(&f->shm->positions->committed_by_flush), first);
	assert_int_equal(atomic_load(&applier->word), 0);
	publish(f, f->appender.position, first);
	settle(f);
	assert_int_equal(atomic_load(&f->shm->positions->committed_by_flush), f->appender.position);
	assert_int_equal(atomic_load(&applier->word), 1);
}

/* A sync fails: nothing is published, and the writer says so. */
static void
failed_sync_stops(void **state)
{
	Fixture *f = *state;
	uint64_t before = flushed(f);
	int error = 0;

	assert_int_equal(append(f, 100), RUSD_OK);
	publish(f, f->appender.position, before);
	f->disk->syncs_left = 0;
	assert_int_equal(wal_writer_step(f->writer), RUSD_IO);
	assert_string_equal(wal_writer_failure(f->writer, &error), "sync");
	assert_int_equal(error, -EIO);
	assert_int_equal(flushed(f), before);
	assert_true(atomic_load(&f->shm->positions->committed_by_flush) <= before);
}

/* No room: told, not an error; what is prepared can be filled; a restart works; there is room
 * again. */
static void
disk_full(void **state)
{
	Fixture *f = *state;
	uint64_t first;

	f->disk->room = 3 * SEGMENT; /* this one, the next one, the spare one: what settle has made */
	first = f->index;
	while (append(f, 1500) == RUSD_OK)
	{
		settle(f);
		atomic_store(&f->shm->positions->applied_position, f->appender.position);
	}
	assert_int_equal(atomic_load(&f->shm->segments->no_room), 1);
	assert_true(f->appender.position > 2 * SEGMENT + SEGMENT / 2);
	assert_true(f->index > first + 8);
	end(f);
	f->disk->room = 3 * SEGMENT;
	assert_int_equal(recover(f, 0), RUSD_OK);
	assert_int_equal(f->shm->recovered->last_index, f->index);
	begin(f, false);
	settle(f);
	/* A checkpoint lets the first segment go: it becomes the next one. */
	atomic_store(&f->shm->positions->applied_position, f->appender.position);
	atomic_store(&f->shm->positions->durable_index, f->index);
	f->disk->now_ns += 2000000000;
	settle(f);
	assert_int_equal(append(f, 1500), RUSD_OK);
	f->disk->room = UINT64_MAX;
	f->disk->now_ns += 2000000000;
	settle(f);
	assert_int_equal(atomic_load(&f->shm->segments->no_room), 0);
}

static bool
spare_is_there(Fixture *f)
{
	FileOps *fs = &f->disk->ops;
	int file = fs->open(fs, WAL_SPARE_NAME, O_RDONLY);

	if (file >= 0)
		fs->close(fs, file);
	return file >= 0;
}

/* A checkpoint without room gets that of the spare segment, if a recovery can do without; it comes
 * back before proposals are taken again. */
static void
spare_is_given_up(void **state)
{
	Fixture *f = *state;
	_Atomic uint32_t *no_room = &f->shm->segments->no_room;

	settle(f);
	assert_true(spare_is_there(f));
	f->disk->room = 3 * SEGMENT;
	atomic_store(&f->shm->requests->spare_wanted, 1);
	settle(f);
	assert_false(spare_is_there(f));
	assert_int_equal(atomic_load(no_room), 1);
	/* The checkpoint has taken the room, but has not ended. */
	f->disk->room = 2 * SEGMENT;
	settle(f);
	assert_int_equal(atomic_load(no_room), 1);
	while (append(f, 1500) == RUSD_OK)
	{
		settle(f);
		atomic_store(&f->shm->positions->applied_position, f->appender.position);
	}
	assert_int_equal(atomic_load(no_room), 1);
	/* It has ended: the first segment becomes the next one, then there is room for a spare one. */
	atomic_store(&f->shm->positions->durable_index, f->index);
	atomic_store(&f->shm->requests->spare_wanted, 0);
	f->disk->room = 3 * SEGMENT;
	settle(f);
	settle(f);
	assert_true(spare_is_there(f));
	assert_int_equal(atomic_load(no_room), 0);
	assert_int_equal(append(f, 1500), RUSD_OK);
	/* The next segment is in use, none behind it: what is left is needed for a recovery. */
	f->disk->room = 3 * SEGMENT;
	while (append(f, 1500) == RUSD_OK)
	{
		settle(f);
		atomic_store(&f->shm->positions->applied_position, f->appender.position);
	}
	atomic_store(&f->shm->requests->spare_wanted, 1);
	settle(f);
	assert_true(spare_is_there(f));
}

static size_t
segments_there(Fixture *f)
{
	WalName *names = NULL;
	size_t count = 0;

	assert_int_equal(wal_list_segments(&f->disk->ops, &names, &count), RUSD_OK);
	free(names);
	return count;
}

/* [wal-6] */
static void
removal_keeps_what_is_needed(void **state)
{
	Fixture *f = *state;

	for (int keep = 0; keep < 2; keep++)
	{
		for (int i = 0; i < 60; i++)
		{
			assert_int_equal(append(f, 1500), RUSD_OK);
			settle(f);
			atomic_store(&f->shm->positions->applied_position, f->appender.position);
		}
		if (keep == 0)
		{
			size_t all = segments_there(f);

			/* Nothing is in a checkpoint: all stay. */
			assert_true(all >= 7);
			end(f);
			assert_int_equal(recover(f, 0), RUSD_OK);
			begin(f, true);
			atomic_store(&f->shm->positions->applied_position, f->appender.position);
			atomic_store(&f->shm->positions->durable_index, f->index);
			settle(f);
			assert_true(segments_there(f) >= all); /* keep_all */
			end(f);
			assert_int_equal(recover(f, 30), RUSD_OK);
			begin(f, false);
		}
	}
	atomic_store(&f->shm->positions->durable_index, 60);
	settle(f);
	end(f);
	/* Up to 60 is gone, from 61 on all is there. */
	assert_int_equal(recover(f, 60), RUSD_OK);
	assert_int_equal(
		read_to(f, &f->disk->ops, f->shm->recovered->replay_position, f->shm->recovered->log_end),
		f->index);
	assert_int_equal(recover(f, 20), RUSD_DAMAGED);
	assert_non_null(strstr(f->message, "the log begins at index"));
	assert_int_equal(recover(f, f->index + 1), RUSD_DAMAGED);
	assert_non_null(strstr(f->message, "the log ends at index"));
}

static void
append_hard_state(Fixture *f, uint64_t term)
{
	HardState hard_state = {.term = term, .vote = 77};

	assert_int_equal(wal_batch_begin(&f->appender, wal_record_bytes(sizeof(hard_state))), RUSD_OK);
	memcpy(wal_batch_add(&f->appender, ENTRY_HARD_STATE, 0, 0, sizeof(hard_state)), &hard_state,
		   sizeof(hard_state));
	(void) wal_batch_end(&f->appender, 0, 0);
}

/* [wal-9]; the snapshot's index is above all that the log holds, or among it. */
static void
begin_behind(Fixture *f, uint64_t index)
{
	const NodeRecovered *found = f->shm->recovered;
	size_t before;

	for (int i = 0; i < 30; i++)
	{
		assert_int_equal(append_entry(f, f->index + 1, 1, 1500, 0xee), RUSD_OK);
		settle(f);
		atomic_store(&f->shm->positions->applied_position, f->appender.position);
	}
	append_hard_state(f, 6);
	f->log_begin = (LogBegin){.position = f->appender.position, .index = index, .term = 1};
	/* Segments opened until the install is done tell the old index still. */
	for (int i = 0; i < 40; i++)
	{
		append_hard_state(f, 7 + (uint64_t) i);
		settle(f);
		atomic_store(&f->shm->positions->applied_position, f->appender.position);
	}
	end(f);
	assert_int_equal(recover(f, index), RUSD_OK);
	assert_int_equal(found->last_index, index);
	assert_int_equal(found->last_term, 1);
	assert_int_equal(found->hard_state.term, 46);
	assert_int_equal(found->hard_state.commit_index, index);
	assert_int_equal(found->replay_position, found->log_end);
	assert_true(found->commit_position >= f->log_begin.position);
	assert_int_equal(found->run_count, 1);
	assert_int_equal(found->runs[0].first_index, index);
	begin(f, false);
	/* From wherever one reads. */
	assert_int_equal(read_to(f, &f->disk->ops, WAL_HEADER_BYTES, found->log_end), 0);
	before = segments_there(f);
	settle(f);
	/* What is before it goes, whatever it holds; and that says nothing of what is behind. */
	assert_true(segments_there(f) < before);
	assert_true(atomic_load(&f->shm->segments->compacted) <= index);
	wal_appender_begin_behind(&f->appender, index);
	f->index = index;
	for (int i = 0; i < 5; i++)
		assert_int_equal(append(f, 100), RUSD_OK);
	settle(f);
	end(f);
	assert_int_equal(recover(f, index), RUSD_OK);
	assert_int_equal(found->last_index, index + 5);
	begin(f, false);
	assert_int_equal(read_to(f, &f->disk->ops, found->replay_position, found->log_end), index + 5);
}

static void
a_log_begins_behind_a_snapshot(void **state)
{
	Fixture *f = *state;

	begin_behind(f, 100);
	begin_behind(f, 120);
	end(f);
	/* It must reach there. */
	f->log_begin.position = f->shm->recovered->log_end + SEGMENT;
	assert_int_equal(recover(f, 120), RUSD_DAMAGED);
	assert_non_null(strstr(f->message, "where a snapshot was installed"));
}

/* A batch that also holds entries behind the commit index is not told to be committed. */
static void
commit_position_is_safe(void **state)
{
	Fixture *f = *state;
	uint64_t first;

	assert_int_equal(append(f, 100), RUSD_OK);
	first = f->appender.position;
	assert_int_equal(wal_batch_begin(&f->appender, 2 * wal_record_bytes(8)), RUSD_OK);
	memset(wal_batch_add(&f->appender, ENTRY_PUT, 2, 1, 8), 2, 8);
	memset(wal_batch_add(&f->appender, ENTRY_PUT, 3, 1, 8), 3, 8);
	(void) wal_batch_end(&f->appender, 1, 1);
	assert_int_equal(wal_append_mark(&f->appender, 2, 1), RUSD_OK);
	settle(f);
	end(f);
	assert_int_equal(recover(f, 0), RUSD_OK);
	assert_int_equal(f->shm->recovered->hard_state.commit_index, 2);
	assert_int_equal(f->shm->recovered->commit_position, first);
	assert_int_equal(read_to(f, &f->disk->ops, f->shm->recovered->replay_position, first), 1);
}

static void
hard_state_is_carried_over_segments(void **state)
{
	Fixture *f = *state;

	append_hard_state(f, 5);
	for (int i = 0; i < 60; i++)
	{
		assert_int_equal(append(f, 1500), RUSD_OK);
		settle(f);
		atomic_store(&f->shm->positions->applied_position, f->appender.position);
	}
	end(f);
	/* Only the newest segments are read. */
	assert_int_equal(recover(f, 58), RUSD_OK);
	assert_int_equal(f->shm->recovered->hard_state.term, 5);
	assert_int_equal(f->shm->recovered->hard_state.vote, 77);
}

/* A change of members, of the smallest encoding. */
static void
append_change(Fixture *f, uint64_t index, uint64_t term, uint64_t member, uint64_t judged_at)
{
	EntryMember change = {.member_id = member, .action = MEMBER_ADD, .judged_at = judged_at};
	uint32_t length = sizeof(EntryHeader) + sizeof(change) + 4;
	uint8_t *place;

	assert_int_equal(wal_batch_begin(&f->appender, wal_record_bytes(length)), RUSD_OK);
	place = wal_batch_add(&f->appender, ENTRY_MEMBER, index, term, length);
	memset(place, 0, length);
	memcpy(place + sizeof(EntryHeader), &change, sizeof(change));
	(void) wal_batch_end(&f->appender, f->appender.hard_state.commit_index, 1);
	f->index = index;
}

/* Members as of the commit index, changes behind it, terms; without what was voided. */
static void
recovery_tells_members_and_terms(void **state)
{
	Fixture *f = *state;
	const NodeRecovered *found = f->shm->recovered;

	append_change(f, 1, 1, 33, 0);
	append_change(f, 2, 1, 44, 1);
	append_change(f, 3, 1, 55, 0); /* judged by one that is not in use: refused */
	append_change(f, 4, 1, 66, 2); /* voided */
	assert_int_equal(append_entry(f, 5, 1, 8, 5), RUSD_OK);
	assert_int_equal(append_entry(f, 4, 3, 8, 4), RUSD_OK);
	assert_int_equal(append_entry(f, 5, 3, 8, 5), RUSD_OK);
	append_change(f, 6, 4, 77, 2);
	assert_int_equal(wal_append_mark(&f->appender, 5, 3), RUSD_OK);
	settle(f);
	end(f);
	assert_int_equal(recover(f, 0), RUSD_OK);
	assert_int_equal(found->applied_configuration.index, 0);
	assert_int_equal(found->applied_configuration.member_count, 1);
	assert_int_equal(found->configuration.index, 2);
	assert_int_equal(found->configuration.member_count, 3);
	assert_int_equal(found->configuration.members[0].id, 22);
	assert_int_equal(found->configuration.members[1].id, 33);
	assert_int_equal(found->configuration.members[2].id, 44);
	assert_int_equal(found->change_count, 1);
	assert_int_equal(found->changes[0].index, 6);
	assert_int_equal(found->changes[0].member_id, 77);
	assert_int_equal(found->changes[0].kind, CHANGE_ADD_VOTER);
	assert_int_equal(found->changes[0].judged_at, 2);
	assert_int_equal(found->run_count, 3);
	assert_true(found->runs[0].first_index == 1 && found->runs[0].term == 1);
	assert_true(found->runs[1].first_index == 4 && found->runs[1].term == 3);
	assert_true(found->runs[2].first_index == 6 && found->runs[2].term == 4);
	/* From a checkpoint on: what it holds is not looked at again. */
	f->applied_configuration = found->configuration;
	assert_int_equal(recover(f, 3), RUSD_OK);
	assert_int_equal(found->configuration.index, 2);
	assert_int_equal(found->configuration.member_count, 3);
	assert_int_equal(found->change_count, 1);
}

/* Killed, or cut off, at its n-th call that changes the disk, for every n: the next recovery gives
 * the same. */
static void
recovery_can_be_cut_anywhere(void **state)
{
	Fixture *f = *state;
	SimDisk *whole;
	bool finished = false;

	for (int i = 0; i < 12; i++)
		assert_int_equal(append(f, 900), RUSD_OK);
	settle(f);
	end(f);
	whole = f->disk;
	for (uint64_t calls = 0; !finished; calls++)
	{
		for (int power = 0; power < 2; power++)
		{
			f->disk = sim_disk_copy(whole, calls);
			f->disk->power_left = calls;
			finished = recover(f, 0) == RUSD_OK;
			assert_true(finished || f->disk->is_cut);
			power == 0 ? sim_disk_kill(f->disk) : sim_disk_power_cut(f->disk);
			assert_int_equal(recover(f, 0), RUSD_OK);
			assert_int_equal(f->shm->recovered->last_index, 12);
			sim_disk_destroy(f->disk);
		}
	}
	f->disk = whole;
}

static void
beginning_can_be_cut_anywhere(void **state)
{
	Fixture *f = *state;
	RaftConfiguration configuration = {.member_count = 1, .members = {{.id = 22}}};
	SimDisk *mine = f->disk;
	bool finished = false;

	end(f);
	for (uint64_t calls = 0; !finished; calls++)
	{
		Status status;

		f->disk = sim_disk_create(calls);
		f->disk->power_left = calls;
		finished =
			wal_initialize(&f->disk->ops, SEGMENT, 11, 22, &configuration, NULL, 0) == RUSD_OK;
		sim_disk_power_cut(f->disk);
		status = recover(f, 0);
		/* Whole, or not there; once it was said to be there, it is. */
		assert_true(status == RUSD_OK || (status == RUSD_NOT_FOUND && !finished));
		if (status == RUSD_NOT_FOUND)
			assert_int_equal(
				wal_initialize(&f->disk->ops, SEGMENT, 11, 22, &configuration, NULL, 0), RUSD_OK);
		assert_int_equal(recover(f, 0), RUSD_OK);
		sim_disk_destroy(f->disk);
	}
	f->disk = mine;
}

/* BOOT-37: entries behind a log that was recovered; whole or not there, whenever the power fails, and the rest of the log stays. */
static void
a_log_is_extended(void **state)
{
	Fixture *f = *state;
	alignas(8) uint8_t payload[sizeof(EntryHeader)] = {0};
	InitialEntry entries[] = {{ENTRY_EMPTY, {payload, sizeof(payload)}},
							  {ENTRY_EMPTY, {payload, sizeof(payload)}}};
	const NodeRecovered *found = f->shm->recovered;
	SimDisk *mine = f->disk;
	uint64_t last = found->last_index;
	bool finished = false;

	end(f);
	for (uint64_t calls = 0; !finished; calls++)
	{
		HardState hard_state = {.term = 9, .vote = 22};
		NodeRecovered before;
		Status status;

		f->disk = sim_disk_copy(mine, calls);
		assert_int_equal(recover(f, 0), RUSD_OK);
		before = *found;
		f->disk->power_left = calls;
		status = wal_extend(&f->disk->ops, &before, &hard_state, entries, lengthof(entries));
		finished = status == RUSD_OK;
		sim_disk_power_cut(f->disk);
		assert_int_equal(recover(f, 0), RUSD_OK);
		if (found->last_index != last || finished)
		{
			assert_int_equal(found->last_index, last + lengthof(entries));
			assert_int_equal(found->last_term, 9);
			assert_int_equal(found->hard_state.term, 9);
			assert_int_equal(found->hard_state.vote, 22);
			assert_int_equal(found->hard_state.commit_index, found->last_index);
			assert_int_equal(found->next_sequence, before.next_sequence + 1);
		}
		/* The log goes on behind it. */
		begin(f, false);
		settle(f);
		end(f);
		assert_int_equal(recover(f, 0), RUSD_OK);
		sim_disk_destroy(f->disk);
	}
	f->disk = mine;
}

/*
 * A peer that has sent all that there was goes on in the buffers, whatever became of the batch that it read last; within
 * a batch it cannot.
 */
static void
a_reader_goes_on_behind_what_may_be_overwritten(void **state)
{
	Fixture *f = *state;
	WalReader *reader = NULL;
	WalRecord record;

	/* Without files: what is not in the buffers is not found. */
	assert_int_equal(wal_reader_create(f->shm, NULL, f->appender.position, &reader), RUSD_OK);
	assert_int_equal(append(f, 100), RUSD_OK);
	assert_int_equal(wal_reader_next(reader, f->appender.position, &record), RUSD_OK);
	assert_true(wal_reader_is_intact(reader));
	settle(f);
	atomic_store(&f->shm->positions->applied_position, f->appender.position);
	assert_false(wal_reader_is_intact(reader));
	assert_true(wal_reader_can_go_on(reader));

	assert_int_equal(wal_batch_begin(&f->appender, 2 * wal_record_bytes(100)), RUSD_OK);
	memset(wal_batch_add(&f->appender, ENTRY_PUT, 2, 1, 100), 2, 100);
	memset(wal_batch_add(&f->appender, ENTRY_PUT, 3, 1, 100), 3, 100);
	(void) wal_batch_end(&f->appender, 0, 1);
	assert_int_equal(wal_reader_next(reader, f->appender.position, &record), RUSD_OK);
	assert_int_equal(record.header.index, 2);
	assert_true(wal_reader_can_go_on(reader));
	settle(f);
	atomic_store(&f->shm->positions->applied_position, f->appender.position);
	assert_false(wal_reader_can_go_on(reader));
	wal_reader_destroy(reader);
}

int
main(void)
{
#define WAL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WAL_TEST(a_log_is_extended),
		WAL_TEST(one_put_is_one_write_and_one_sync),
		WAL_TEST(all_that_gathered_is_one_write),
		WAL_TEST(torn_tail_is_cut),
		WAL_TEST(damage_is_refused),
		WAL_TEST(gap_in_one_write_is_cut),
		WAL_TEST(void_by_index),
		WAL_TEST(segments_follow_each_other),
		WAL_TEST(buffers_wait_for_flush_and_apply),
		WAL_TEST(a_reader_goes_on_behind_what_may_be_overwritten),
		WAL_TEST(batch_is_bounded),
		WAL_TEST(commit_follows_ceiling_and_floor),
		WAL_TEST(raft_is_woken_where_it_waits),
		WAL_TEST(applier_is_woken_for_news),
		WAL_TEST(failed_sync_stops),
		WAL_TEST(disk_full),
		WAL_TEST(spare_is_given_up),
		WAL_TEST(removal_keeps_what_is_needed),
		WAL_TEST(a_log_begins_behind_a_snapshot),
		WAL_TEST(commit_position_is_safe),
		WAL_TEST(hard_state_is_carried_over_segments),
		WAL_TEST(recovery_tells_members_and_terms),
		WAL_TEST(recovery_can_be_cut_anywhere),
		WAL_TEST(beginning_can_be_cut_anywhere),
	};

	return cmocka_run_group_tests_name("wal", tests, NULL, NULL);
}
