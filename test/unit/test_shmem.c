/*
 * test_shmem.c
 *	  The segment: layout, what a backend can still write after shm_restrict, and the life of slots.
 *
 * test/unit/test_shmem.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/inject.h"
#include "ipc/ring.h"
#include "ipc/slot.h"
#include "pagecache/checkpoint.h"
#include "pagecache/page.h"
#include "store/store.h"
#include "wal/recovery.h"

#include "cmocka_all.h"
#include "ipc_fixture.h"

StaticAssert(sizeof(NodeRecovered) <= SHM_RECOVERED_BYTES, "region recovered");
StaticAssert(sizeof(HashKept) <= SHM_HASHES_BYTES, "region hashes_kept");
StaticAssert(sizeof(CheckpointRoot) <= SHM_CHECKPOINT_ROOT_BYTES, "region checkpoint_root");
StaticAssert(sizeof(PageMeta) == SHM_PAGE_META_BYTES, "region page_meta");
StaticAssert(PAGE_BYTES == SHM_FRAME_BYTES, "region frames");

#define SLOT 7 /* a backend in the middle */
#define BACKENDS 6

/* ---- what each region is for a backend, by the list, and where it is ---- */
typedef enum Rights
{
	RIGHTS_NONE,
	RIGHTS_READ,
	RIGHTS_WRITE,
	RIGHTS_OWN
} Rights;

typedef struct Region
{
	const char *name;
	Rights rights;
	uint8_t *begin;
	uint64_t bytes;
} Region;

static int
regions_of(Shm *shm, Region *regions)
{
	const ShmLayout *layout = &shm->layout;
	uint64_t slots = layout->slot_count;
	int count = 0;

#define RUSD_REGION(field, type, backends, owner, size, what)                                      \
	regions[count++] =                                                                             \
		(Region){#field, RIGHTS_##backends, (uint8_t *) (uintptr_t) shm->field, (size)};
#include "ipc/shmemlist.h"
#undef RUSD_REGION
	return count;
}

static void
layout_is_whole_pages_without_overlap(void **state)
{
	Shm *shm = fixture_shm(BACKENDS, false);
	Region regions[64];
	int count = regions_of(shm, regions);
	uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE);
	bool writable_seen = false;

	(void) state;
	assert_true(shm_bytes(&shm->layout) == shm->total_bytes);
	for (int i = 0; i < count; i++)
	{
		assert_true((uintptr_t) regions[i].begin % page == 0);
		/* The WAL buffers are seen in the first window, all else behind the second. */
		if (i > 1)
			assert_true(regions[i].begin >= regions[i - 1].begin + regions[i - 1].bytes);
		/* [ipc-6]: behind what backends may write, nothing that they may not. */
		writable_seen |= regions[i].rights >= RIGHTS_WRITE;
		assert_true(!writable_seen || regions[i].rights >= RIGHTS_WRITE);
		assert_int_equal(regions[i].begin[0], 0);
		assert_int_equal(regions[i].begin[regions[i].bytes - 1], 0);
	}
	assert_true(regions[count - 1].begin + regions[count - 1].bytes <=
				shm->base + shm->layout.wal_buffer_bytes + shm->total_bytes);
	for (uint32_t slot = 1; slot < shm->layout.slot_count; slot++)
		assert_true((uint8_t *) shm->areas[slot] - (uint8_t *) shm->areas[slot - 1] >=
					(ptrdiff_t) sizeof(BackendArea));
	shm_destroy(shm);
}

static void
wal_buffers_appear_twice(void **state)
{
	Shm *shm = fixture_shm(1, false);
	uint64_t bytes = shm->layout.wal_buffer_bytes;

	(void) state;
	shm->wal_buffers[5] = 17;
	shm->wal_buffers[2 * bytes - 1] = 18;
	assert_int_equal(shm->wal_buffers[bytes + 5], 17);
	assert_int_equal(shm->wal_buffers[bytes - 1], 18);
	/* A run over the end is one piece. */
	memset(shm->wal_buffers + bytes - 100, 7, 200);
	assert_int_equal(shm->wal_buffers[99], 7);
	assert_int_equal(shm->wal_buffers[100], 0);
	assert_int_equal(atomic_load(&shm->control->change_count), 0);
	shm_destroy(shm);
}

static void
bad_layouts_are_refused(void **state)
{
	ShmLayout good = {.slot_count = 6,
					  .wal_buffer_bytes = 1 << 20,
					  .wal_segment_bytes = 1 << 20,
					  .frame_count = 16};
	ShmLayout layout;
	Shm *shm;

	(void) state;
	layout = good;
	layout.slot_count = PROC_ESSENTIAL_COUNT;
	assert_int_equal(shm_create(&layout, false, &shm), RUSD_INVALID);
	layout = good;
	layout.slot_count = MAX_SLOTS + 1;
	assert_int_equal(shm_create(&layout, false, &shm), RUSD_INVALID);
	layout = good;
	layout.wal_buffer_bytes = 3 << 20;
	assert_int_equal(shm_create(&layout, false, &shm), RUSD_INVALID);
	layout = good;
	layout.wal_buffer_bytes = 512;
	assert_int_equal(shm_create(&layout, false, &shm), RUSD_INVALID);
	layout = good;
	layout.wal_segment_bytes = (1 << 20) + 512;
	assert_int_equal(shm_create(&layout, false, &shm), RUSD_INVALID);
	layout = good;
	layout.frame_count = 0;
	assert_int_equal(shm_create(&layout, false, &shm), RUSD_INVALID);
}

static void
a_large_segment_costs_nothing_until_used(void **state)
{
	ShmLayout layout = {.slot_count = 1024 + PROC_ESSENTIAL_COUNT,
						.wal_buffer_bytes = 16 << 20,
						.wal_segment_bytes = 64 << 20,
						.frame_count = 4 << 20};
	Shm *shm;
	struct
	{
		uint64_t incarnation;
	} first;

	(void) state;
	assert_int_equal(shm_create(&layout, true, &shm), RUSD_OK);
	assert_true(shm->total_bytes > UINT64_C(32) << 30);
	first.incarnation = shm->incarnation;
	shm_destroy(shm);
	assert_int_equal(shm_create(&layout, true, &shm), RUSD_OK);
	assert_true(shm->incarnation != 0 && shm->incarnation != first.incarnation);
	shm_destroy(shm);
}

/* ---- a backend ---- */

/* Run in a child: its exit status is the line of the first thing that is wrong, 0 if nothing is. */
#define MUST(condition)                                                                            \
	do                                                                                             \
	{                                                                                              \
		if (!(condition))                                                                          \
		{                                                                                          \
			fprintf(stderr, "# line %d: %s\n", __LINE__, #condition);                              \
			_exit(1);                                                                              \
		}                                                                                          \
	} while (0)

static void
in_child(void (*body)(Shm *shm, int memfd), Shm *shm)
{
	int memfd = shm->memfd;
	pid_t child = fork();
	int status;

	if (child == 0)
	{
		MUST(shm_restrict(shm, SLOT) == RUSD_OK);
		body(shm, memfd);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
child_tries_every_region(Shm *shm, int memfd)
{
	Region regions[64];
	int count = regions_of(shm, regions);
	uint8_t *file = shm->base + shm->layout.wal_buffer_bytes;

	(void) memfd;
	MUST(shm->wal_buffers == NULL);
	for (uint64_t at = 0; at < 2 * shm->layout.wal_buffer_bytes; at += 4096)
		MUST(read_faults(shm->base + at));
	for (int i = 0; i < count; i++)
	{
		Region *region = &regions[i];

		if (region->rights == RIGHTS_NONE || region->rights == RIGHTS_OWN)
			continue;
		for (uint64_t at = 0; at < region->bytes; at += 4096)
		{
			MUST(!read_faults(region->begin + at));
			MUST(write_faults(region->begin + at) == (region->rights == RIGHTS_READ));
		}
		MUST(write_faults(region->begin + region->bytes - 1) == (region->rights == RIGHTS_READ));
	}
	for (uint32_t slot = 0; slot < shm->layout.slot_count; slot++)
	{
		uint8_t *area = (uint8_t *) shm->areas[slot];

		MUST(!read_faults(area));
		MUST(write_faults(area) == (slot != SLOT));
		MUST(write_faults(area + sizeof(BackendArea) - 1) == (slot != SLOT));
	}
	MUST(read_faults(file));
}

static void
a_backend_writes_only_what_is_its_own(void **state)
{
	Shm *shm = fixture_shm(BACKENDS, true);

	(void) state;
	in_child(child_tries_every_region, shm);
	/* The postmaster and what it forks later still can. */
	assert_false(write_faults((volatile uint8_t *) shm->control));
	shm_destroy(shm);
}

static void
child_tries_to_get_it_back(Shm *shm, int memfd)
{
	uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE);
	uint64_t stride = shm_area_stride();
	char path[64];
	uint8_t *stretched;
	int again;

	MUST(mprotect(shm->control, page, PROT_READ | PROT_WRITE) != 0 && errno == EACCES);
	MUST(mprotect(shm->frames, page, PROT_READ | PROT_WRITE) != 0 && errno == EACCES);
	MUST(mprotect(shm->areas[SLOT + 1], page, PROT_READ | PROT_WRITE) != 0 && errno == EACCES);
	MUST(fcntl(memfd, F_GETFD) == -1 && errno == EBADF);

	/* The parent's descriptor, opened again, for writing even. */
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int) getppid(), memfd);
	again = open(path, O_RDWR);
	if (again >= 0)
	{
		MUST(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
		MUST(pwrite(again, "x", 1, 0) == -1 && errno == EPERM);
		MUST(ftruncate(again, 0) == -1 && errno == EPERM);
		MUST(fallocate(again, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t) page) == -1);
		stretched = mmap(NULL, page, PROT_READ, MAP_SHARED, again, 0);
		MUST(stretched != MAP_FAILED);
		MUST(mprotect(stretched, page, PROT_READ | PROT_WRITE) != 0);
		close(again);
	}

	/*
	 * mremap asks no seals: a writable mapping can be stretched over what follows it in the file.
	 * Behind its area that is areas of other backends, and nothing else.
	 */
	stretched = mremap(shm->areas[SLOT], stride, 2 * stride, MREMAP_MAYMOVE);
	if (stretched != MAP_FAILED)
		stretched[stride] = 99;
}

static void
nothing_gives_the_rights_back(void **state)
{
	Shm *shm = fixture_shm(BACKENDS, true);
	uint8_t *file = shm->base + shm->layout.wal_buffer_bytes;
	uint8_t *writable = (uint8_t *) shm->inject;
	uint8_t *copy = malloc((size_t) (writable - file));

	(void) state;
	assert_non_null(copy);
	memcpy(copy, file, (size_t) (writable - file));
	in_child(child_tries_to_get_it_back, shm);
	assert_memory_equal(copy, file, (size_t) (writable - file));
	free(copy);
	shm_destroy(shm);
}

static void
child_writes_what_it_may(Shm *shm, int memfd)
{
	(void) memfd;
	atomic_store(&shm->areas[SLOT]->applied_wanted, 42);
	marks_set(shm->proposal_marks, SLOT);
	latch_set(&shm->latches[PROC_RAFT]);
}

static void
what_a_backend_writes_is_seen(void **state)
{
	Shm *shm = fixture_shm(BACKENDS, true);
	uint32_t word = 0;
	uint64_t bits;

	(void) state;
	in_child(child_writes_what_it_may, shm);
	assert_int_equal(atomic_load(&shm->areas[SLOT]->applied_wanted), 42);
	assert_true(marks_take(shm->proposal_marks, &word, &bits));
	assert_int_equal(word, 0);
	assert_int_equal(bits, 1 << SLOT);
	word++;
	assert_false(marks_take(shm->proposal_marks, &word, &bits));
	assert_int_equal(atomic_load(&shm->latches[PROC_RAFT].word), 1);
	shm_destroy(shm);
}

static void
marks_of_all_slots_are_taken_once(void **state)
{
	Shm *shm = fixture_shm(BACKENDS, false);
	uint64_t bits;
	uint32_t found = 0;

	(void) state;
	for (uint32_t slot = 0; slot < MAX_SLOTS; slot += 37)
		marks_set(shm->page_marks, slot);
	for (uint32_t word = 0; marks_take(shm->page_marks, &word, &bits); word++)
		for (; bits != 0; bits &= bits - 1, found++)
			assert_int_equal((word * 64 + (uint32_t) __builtin_ctzll(bits)) % 37, 0);
	assert_int_equal(found, (MAX_SLOTS + 36) / 37);
	for (uint32_t word = 0; marks_take(shm->page_marks, &word, &bits); word++)
		fail();
	shm_destroy(shm);
}

/* ---- slots ---- */

static void
count_dropped(void *arg, uint32_t slot)
{
	*(uint32_t *) arg = *(uint32_t *) arg * 100 + slot;
}

static void
the_last_slots_are_for_local_connections(void **state)
{
	Shm *shm = fixture_shm(3, false);
	uint32_t slot;

	(void) state;
	shm->layout.local_slots = 2;
	assert_true(slot_allocate(shm, &slot));
	assert_false(slot_allocate(shm, &slot));
	assert_true(slot_allocate_local(shm, &slot));
	assert_true(slot_allocate_local(shm, &slot));
	assert_int_equal(slot, shm->layout.slot_count - 1);
	assert_false(slot_allocate_local(shm, &slot));
	shm_destroy(shm);
}

static void
a_slot_is_given_out_again_only_when_all_have_let_go(void **state)
{
	Shm *shm = fixture_shm(2, false);
	uint32_t seen_raft = 0, seen_applier = 0, dropped = 0;
	uint32_t a, b, c;
	uint32_t generation;
	BackendArea *area;

	(void) state;
	assert_true(slot_allocate(shm, &a));
	assert_true(slot_allocate(shm, &b));
	assert_int_equal(a, PROC_ESSENTIAL_COUNT);
	assert_int_equal(b, PROC_ESSENTIAL_COUNT + 1);
	assert_false(slot_allocate(shm, &c));
	slot_set_pid(shm, a, 4711);
	generation = atomic_load(&shm->heads[a].generation);
	assert_true(slot_is_live(shm, a, generation));
	assert_false(slot_is_live(shm, a, generation + 1));

	/* It has used everything. */
	area = shm->areas[a];
	atomic_store(&area->snapshot_pins[3], 99);
	atomic_store(&area->result_pin, 5 << 16 | 2);
	atomic_store(&area->counters[1], 10);
	atomic_store(&area->proposal_head, 800);
	atomic_store(&shm->proposal_tails[a * 8], 640);
	atomic_store(&shm->raft_replies[a].head, 3);
	atomic_store(&shm->applier_replies[a].head, 300);

	slot_acknowledge_dead(shm, shm->raft_acks, &seen_raft, count_dropped, &dropped);
	assert_int_equal(dropped, 0);
	slot_mark_dead(shm, a);
	assert_false(slot_is_live(shm, a, generation));
	assert_int_equal(atomic_load(&shm->latches[PROC_RAFT].word), 1);
	assert_int_equal(atomic_load(&shm->latches[PROC_APPLIER].word), 1);
	assert_int_equal(slot_free_dead(shm), 0);
	assert_false(slot_allocate(shm, &c));

	slot_acknowledge_dead(shm, shm->raft_acks, &seen_raft, count_dropped, &dropped);
	assert_int_equal(dropped, a);
	assert_int_equal(atomic_load(&shm->proposal_tails[a * 8]), 0);
	assert_int_equal(atomic_load(&shm->raft_replies[a].head), 0);
	assert_int_equal(atomic_load(&shm->applier_replies[a].head), 300);
	assert_int_equal(slot_free_dead(shm), 0);
	/* Once is enough. */
	slot_acknowledge_dead(shm, shm->raft_acks, &seen_raft, count_dropped, &dropped);
	assert_int_equal(dropped, a);

	slot_acknowledge_dead(shm, shm->applier_acks, &seen_applier, NULL, NULL);
	assert_int_equal(atomic_load(&shm->applier_replies[a].head), 0);
	assert_int_equal(slot_free_dead(shm), 1);
	assert_int_equal(slot_free_dead(shm), 0);
	assert_int_equal(atomic_load(&shm->ended_counters[1]), 10);
	assert_int_equal(atomic_load(&area->snapshot_pins[3]), 0);
	assert_int_equal(atomic_load(&area->result_pin), 0);
	assert_int_equal(atomic_load(&area->proposal_head), 0);

	assert_true(slot_allocate(shm, &c));
	assert_int_equal(c, a);
	assert_int_equal(atomic_load(&shm->heads[a].generation), generation + 1);
	/* The other one was not touched by any of that. */
	assert_true(slot_is_live(shm, b, atomic_load(&shm->heads[b].generation)));
	shm_destroy(shm);
}

static void
an_old_acknowledgement_frees_no_later_life(void **state)
{
	Shm *shm = fixture_shm(1, false);
	uint32_t seen_raft = 0, seen_applier = 0;
	uint32_t slot;

	(void) state;
	for (int life = 0; life < 5; life++)
	{
		assert_true(slot_allocate(shm, &slot));
		slot_mark_dead(shm, slot);
		assert_int_equal(slot_free_dead(shm), 0);
		slot_acknowledge_dead(shm, shm->applier_acks, &seen_applier, NULL, NULL);
		assert_int_equal(slot_free_dead(shm), 0);
		slot_acknowledge_dead(shm, shm->raft_acks, &seen_raft, NULL, NULL);
		assert_int_equal(slot_free_dead(shm), 1);
	}
	shm_destroy(shm);
}

static void
no_reply_reaches_a_slots_successor(void **state)
{
	Shm *shm = fixture_shm(1, false);
	uint32_t seen_raft = 0, seen_applier = 0;
	ProposalWriter writer;
	Reply reply = {.sequence = 1}, taken;
	uint32_t slot;

	(void) state;
	assert_true(slot_allocate(shm, &slot));
	reply.generation = atomic_load(&shm->heads[slot].generation);
	slot_mark_dead(shm, slot);
	reply_put(shm, shm->applier_replies, slot, &reply); /* dropped: it is dead */
	slot_acknowledge_dead(shm, shm->applier_acks, &seen_applier, NULL, NULL);
	slot_acknowledge_dead(shm, shm->raft_acks, &seen_raft, NULL, NULL);
	assert_int_equal(slot_free_dead(shm), 1);
	assert_true(slot_allocate(shm, &slot));
	reply_put(shm, shm->applier_replies, slot, &reply); /* dropped: the generation is over */
	proposal_writer_init(&writer, shm, slot);
	assert_false(reply_take(&writer, &taken));
	reply.generation++;
	reply_put(shm, shm->applier_replies, slot, &reply);
	assert_true(reply_take(&writer, &taken));
	reply_put(shm, shm->applier_replies, UINT32_MAX, &reply); /* no such slot */
	shm_destroy(shm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_is_whole_pages_without_overlap),
		cmocka_unit_test(wal_buffers_appear_twice),
		cmocka_unit_test(bad_layouts_are_refused),
		cmocka_unit_test(a_large_segment_costs_nothing_until_used),
		cmocka_unit_test(a_backend_writes_only_what_is_its_own),
		cmocka_unit_test(nothing_gives_the_rights_back),
		cmocka_unit_test(what_a_backend_writes_is_seen),
		cmocka_unit_test(marks_of_all_slots_are_taken_once),
		cmocka_unit_test(the_last_slots_are_for_local_connections),
		cmocka_unit_test(a_slot_is_given_out_again_only_when_all_have_let_go),
		cmocka_unit_test(an_old_acknowledgement_frees_no_later_life),
		cmocka_unit_test(no_reply_reaches_a_slots_successor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
