/*
 * test_checkpoint.c
 *	  Checkpoints and recovery on files that crash: at every operation, what is recovered is the
 * last checkpoint that was told to be durable, or the one under way, whole.  The pager against
 * damage and against those who ask for what is not theirs.  The control record.
 *
 * test/unit/test_checkpoint.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "btree/btree.h"
#include "pagecache/checkpoint.h"
#include "utils/log.h"

#include "memory_files.h"
#include "pages_fixture.h"

#include "cmocka_all.h"

#define FRAMES 2048
#define CHECKPOINTS 6
#define NODE_SEED 5

/* One root that a checkpoint may have saved. */
typedef struct Saved
{
	uint64_t number;
	Model model;
} Saved;

typedef struct Node
{
	MemoryFiles *files;
	FileOps *fs;
	Shm *shm;
	PageSpace *space;
	TreeWriter writer;
	RootState root;
	Checkpointer *checkpointer;
	Model model;
	Random random;
	Pager *pager;
	Saved handed[CHECKPOINTS + 2]; /* in order */
	uint32_t handed_count;
	uint64_t now_ns;
	ClockOps clock;
} Node;

static uint64_t test_now_ns = 1;

static uint64_t
test_monotonic(const ClockOps *self)
{
	(void) self;
	return test_now_ns;
}

static const ClockOps test_clock = {.monotonic_ns = test_monotonic, .wall_ns = test_monotonic};

/* The pager works while the reader waits. */
static Status
wait_for_pager(PageAccess *access)
{
	Node *node = access->arg;

	return pager_step(node->pager) == RUSD_OK ? RUSD_OK : RUSD_TIMEOUT;
}

static void
write_first_control(FileOps *fs)
{
	ControlRecord record = {.cluster_id = 1, .member_id = 2};

	record.root.revision = 1;
	record.root.keys.page = PAGE_NONE;
	assert_int_equal(control_write(fs, &record), RUSD_OK);
}

/* From what is on disk, as startup and applier do it. */
static Status
node_start(Node *node, MemoryFiles *files)
{
	ControlRecord record;
	uint64_t *used;
	uint64_t bits;
	Status status;

	memset(node, 0, sizeof(*node));
	node->files = files;
	node->fs = memory_files_ops(files);
	node->random.state = NODE_SEED;
	status = control_recover(node->fs, &record);
	if (status == RUSD_OK)
		status = checkpoint_read_used(node->fs, &record, &used, &bits);
	if (status != RUSD_OK)
		return status;
	node->shm = pages_shm_create(FRAMES);
	node->root = record.root;
	shm_root_write(node->shm, &node->root);
	assert_int_equal(space_create(node->shm, record.root.number, used, bits, &node->space),
					 RUSD_OK);
	free(used);
	node->writer = pages_writer(node->shm, node->space);
	node->writer.root = record.root.keys;
	node->writer.access.area = node->shm->areas[PROC_APPLIER];
	node->writer.access.slot = PROC_APPLIER;
	node->writer.access.wait = wait_for_pager;
	node->writer.access.arg = node;
	status = checkpointer_create(node->shm, node->fs, &test_clock, UINT64_MAX, UINT64_MAX,
								 &node->checkpointer);
	if (status == RUSD_OK)
		status = pager_create(node->shm, node->fs, tree_page_is_sane, &node->pager);
	return status;
}

static void
node_stop(Node *node)
{
	for (uint32_t i = 0; i < node->handed_count; i++)
		model_free(&node->handed[i].model);
	model_free(&node->model);
	checkpointer_destroy(node->checkpointer);
	pager_destroy(node->pager);
	space_destroy(node->space);
	if (node->shm != NULL)
		pages_shm_destroy(node->shm);
	memset(node, 0, sizeof(*node));
}

static void
node_publish(Node *node)
{
	node->root.number = space_root(node->space);
	node->root.applied_index++;
	node->root.keys = node->writer.root;
	node->root.pages_end = space_pages_end(node->space);
	node->root.pages_used = space_pages_used(node->space);
	node->root.frames_free = space_frames_free(node->space);
	shm_root_write(node->shm, &node->root);
	space_published(node->space);
	space_reclaim(node->space);
}

static void
node_work(Node *node, uint32_t operations, uint32_t deletes)
{
	for (uint32_t i = 0; i < operations; i++)
	{
		char text[32];
		TreeKey key = {.bytes = {(uint8_t *) text, 0}};

		key.bytes.length =
			(size_t) snprintf(text, sizeof(text), "key/%" PRIu64, random_below(&node->random, 150));
		if (random_below(&node->random, 100) < deletes)
		{
			bool there = model_delete(&node->model, &key);

			assert_int_equal(tree_delete(&node->writer, &key), there ? RUSD_OK : RUSD_NOT_FOUND);
		}
		else
			model_tree_insert(&node->model, &node->writer, &key, 1, random_next(&node->random),
							  random_below(&node->random, 20) == 0
								  ? random_below(&node->random, 40000)
								  : random_below(&node->random, 900));
		if (i % 7 == 0)
			node_publish(node);
	}
	node_publish(node);
}

/* The applier's part. */
static void
node_hand_over(Node *node, uint64_t log_position)
{
	CheckpointRoot *handed = node->shm->checkpoint_root;
	uint64_t wanted = atomic_load(&node->shm->requests->root_wanted);
	Saved *saved = &node->handed[node->handed_count];

	if (atomic_load(&handed->root_given) == wanted)
		return;
	handed->root = node->root;
	handed->log_position = log_position;
	handed->hard_state.term = 7;
	handed->bitmap_bits = space_copy_used(node->space, node->shm->checkpoint_bitmap);
	atomic_store(&handed->root_given, wanted);
	assert_true(node->handed_count < lengthof(node->handed));
	saved->number = node->root.number;
	model_copy(&node->model, &saved->model);
	node->handed_count++;
}

static Status
node_checkpoint(Node *node)
{
	uint64_t wanted = atomic_fetch_add(&node->shm->requests->checkpoint_wanted, 1) + 1;

	for (int turns = 0; turns < 10000; turns++)
	{
		Status status = checkpointer_step(node->checkpointer);

		if (status == RUSD_AGAIN && atomic_load(&node->shm->requests->checkpoint_done) == wanted)
			return RUSD_OK;
		if (status != RUSD_OK && status != RUSD_AGAIN)
			return status;
		node_hand_over(node, 0);
		/* The applier does not stand still meanwhile. */
		if (turns % 3 == 1)
			node_work(node, 3, 30);
	}
	fail_msg("a checkpoint does not come to its end");
	return RUSD_INVALID;
}

typedef struct SeenPages
{
	uint64_t bits[FRAMES / 64];
} SeenPages;

static void
see_page(void *arg, uint64_t page, uint64_t birth)
{
	SeenPages *seen = arg;

	(void) birth;
	assert_true(page < FRAMES);
	assert_false(seen->bits[page / 64] >> (page % 64) & 1);
	seen->bits[page / 64] |= UINT64_C(1) << (page % 64);
}

/* What was recovered is that model, and the map names its pages and no others. */
static void
node_verify(Node *node, const Model *model)
{
	SeenPages seen = {{0}};
	uint64_t mapped[FRAMES / 64 + 1] = {0};
	char message[200] = "";

	if (tree_check(&node->writer.access, node->writer.root, pages_weigh, see_page, &seen, message,
				   sizeof(message)) != RUSD_OK)
		fail_msg("recovered tree: %s", message);
	(void) space_copy_used(node->space, mapped);
	assert_memory_equal(seen.bits, mapped, sizeof(seen.bits));
	model_check_tree(model, &node->writer.access, node->writer.root);
}

/* Work and checkpoints until something fails; false: it did. */
static bool
node_live(Node *node)
{
	for (int i = 0; i < CHECKPOINTS; i++)
	{
		/* The store grows and shrinks, so that the file is cut too. */
		node_work(node, 120, i % 3 == 2 ? 95 : 20);
		if (node_checkpoint(node) != RUSD_OK)
			return false;
	}
	return true;
}

/* A whole life, before the one that crashes: what it left on disk is overwritten by that. */
static uint64_t
live_before(MemoryFiles *files, Model *left)
{
	Node node;
	uint64_t durable;

	assert_int_equal(node_start(&node, files), RUSD_OK);
	assert_true(node_live(&node));
	durable = atomic_load(&node.shm->positions->durable_root);
	model_copy(&node.handed[node.handed_count - 1].model, left);
	node_stop(&node);
	memory_files_crash(files);
	return durable;
}

static void
live_and_crash(uint64_t fail_at, uint64_t seed, bool second_life, uint64_t *operations)
{
	MemoryFiles *files = memory_files_create(seed);
	Node node;
	Model before = {0};
	Node after;
	uint64_t durable = 0;
	bool whole = false;
	const Model *model = &before;

	write_first_control(memory_files_ops(files));
	if (second_life)
		durable = live_before(files, &before);
	if (fail_at != 0)
		memory_files_fail_at(files, memory_files_operations(files) + fail_at);
	*operations = memory_files_operations(files);
	if (node_start(&node, files) == RUSD_OK)
	{
		if (seed % 4 >= 2)
			checkpointer_reserve(node.checkpointer, 16);
		durable = atomic_load(&node.shm->positions->durable_root);
		model_copy(&before, &node.model);
		whole = node_live(&node);
		durable = atomic_load(&node.shm->positions->durable_root);
	}
	assert_true(whole == (fail_at == 0 || fail_at > memory_files_operations(files) - *operations));
	*operations = memory_files_operations(files) - *operations;

	memory_files_crash(files);
	assert_int_equal(node_start(&after, files), RUSD_OK);
	/* [pagecache-5]: the last one that was durable or the one that was under way. */
	assert_true(after.root.number >= durable);
	for (uint32_t i = 0; i < node.handed_count; i++)
	{
		if (node.handed[i].number == after.root.number)
			model = &node.handed[i].model;
	}
	assert_true(model != &before || after.root.number == durable);
	assert_true(after.root.number == durable ||
				after.root.number == node.handed[node.handed_count - 1].number);
	node_verify(&after, model);
	/* And life goes on from there. */
	model_copy(model, &after.model);
	node_work(&after, 60, 40);
	assert_int_equal(node_checkpoint(&after), RUSD_OK);
	node_verify(&after, &after.model);
	node_stop(&after);
	node_stop(&node);
	model_free(&before);
	memory_files_destroy(files);
}

static void
a_crash_at_any_operation_leaves_a_whole_checkpoint(void **state)
{
	uint64_t operations;
	uint64_t ignored;
	uint64_t tried = 0;

	(void) state;
	live_and_crash(0, 1, false, &operations);
	assert_true(operations > 60);
	for (uint64_t at = 1; at <= operations; at++)
	{
		for (uint64_t seed = 0; seed < 4; seed++, tried++)
			live_and_crash(at, at * 100 + seed, seed % 2 == 1, &ignored);
	}
	print_message("# %" PRIu64 " crashes at %" PRIu64 " operations\n", tried, operations);
}

/* What is found is what that node had when it died: its last checkpoint, one under way, or where it began. */
static void
check_recovered(MemoryFiles *files, const Node *died, const Model *begun, uint64_t durable)
{
	const Model *model = begun;
	Node after;

	assert_int_equal(node_start(&after, files), RUSD_OK);
	assert_true(after.root.number >= durable);
	for (uint32_t i = 0; i < died->handed_count; i++)
	{
		if (died->handed[i].number == after.root.number)
			model = &died->handed[i].model;
	}
	assert_true(model != begun || after.root.number == durable);
	node_verify(&after, model);
	node_stop(&after);
}

/*
 * All processes are killed, the kernel keeps what they had written; the node lives on from that, and
 * then the power fails.
 */
static void
kill_and_then_cut(uint64_t kill_at, uint64_t cut_at, uint64_t seed, uint64_t *operations)
{
	MemoryFiles *files = memory_files_create(seed);
	Node killed;
	Node cut;
	Model begun = {0};
	uint64_t durable;

	write_first_control(memory_files_ops(files));
	*operations = memory_files_operations(files);
	memory_files_fail_at(files, *operations + kill_at);
	if (node_start(&killed, files) == RUSD_OK)
		(void) node_live(&killed);
	memory_files_fail_at(files, 0);
	*operations = memory_files_operations(files) - *operations;
	memory_files_fail_at(files, memory_files_operations(files) + cut_at);
	if (node_start(&cut, files) == RUSD_OK)
	{
		for (uint32_t i = 0; i < killed.handed_count; i++)
		{
			if (killed.handed[i].number == cut.root.number)
			{
				model_copy(&killed.handed[i].model, &begun);
				model_copy(&killed.handed[i].model, &cut.model);
			}
		}
		cut.random.state = seed;
		(void) node_live(&cut);
		durable = atomic_load(&cut.shm->positions->durable_root);
		memory_files_crash(files);
		check_recovered(files, &cut, &begun, durable);
	}
	node_stop(&cut);
	node_stop(&killed);
	model_free(&begun);
	memory_files_destroy(files);
}

static void
what_a_killed_node_left_unsynced_is_durable_once_it_counts(void **state)
{
	uint64_t operations;
	uint64_t ignored;

	(void) state;
	kill_and_then_cut(UINT32_MAX, UINT32_MAX, 1, &operations);
	assert_true(operations > 60);
	for (uint64_t at = 1; at <= operations; at++)
	{
		for (uint64_t seed = 0; seed < 8; seed++)
			kill_and_then_cut(at, 4 + seed * 5, at * 100 + seed, &ignored);
	}
}

static void
no_room_keeps_the_last_checkpoint(void **state)
{
	MemoryFiles *files = memory_files_create(3);
	Node node;
	Node after;
	uint64_t durable;
	uint64_t bytes;
	uint64_t after_bytes;

	(void) state;
	write_first_control(memory_files_ops(files));
	assert_int_equal(node_start(&node, files), RUSD_OK);
	node_work(&node, 100, 0);
	assert_int_equal(node_checkpoint(&node), RUSD_OK);
	durable = atomic_load(&node.shm->positions->durable_root);
	assert_non_null(memory_files_bytes(files, "data.0", &bytes));
	memory_files_limit(files, bytes + 8 * PAGE_BYTES);
	node_work(&node, 200, 0);
	assert_int_equal(node_checkpoint(&node), RUSD_NO_ROOM);
	assert_int_equal(atomic_load(&node.shm->positions->durable_root), durable);
	/* The first failure asks for the log's spare segment, the second is told. */
	assert_int_equal(atomic_load(&node.shm->requests->spare_wanted), 1);
	assert_int_equal(atomic_load(&node.shm->requests->checkpoint_failed), 0);
	/* Nothing of it is left behind the pages of the one before. */
	assert_non_null(memory_files_bytes(files, "data.0", &after_bytes));
	assert_true(after_bytes <= bytes);
	test_now_ns += UINT64_C(200000000);
	assert_int_equal(node_checkpoint(&node), RUSD_NO_ROOM);
	assert_int_equal(atomic_load(&node.shm->requests->checkpoint_failed),
					 atomic_load(&node.shm->requests->checkpoint_wanted));
	/* Not at once again, but later, and then it works. */
	assert_int_equal(checkpointer_step(node.checkpointer), RUSD_AGAIN);
	memory_files_limit(files, UINT64_MAX);
	test_now_ns += UINT64_C(5000000000);
	assert_int_equal(node_checkpoint(&node), RUSD_OK);
	assert_true(atomic_load(&node.shm->positions->durable_root) > durable);
	assert_int_equal(atomic_load(&node.shm->requests->spare_wanted), 0);
	memory_files_crash(files);
	assert_int_equal(node_start(&after, files), RUSD_OK);
	node_verify(&after, &node.handed[node.handed_count - 1].model);
	node_stop(&after);
	node_stop(&node);
	memory_files_destroy(files);
}

/* Blocks are there before pages need them; where they are not to be had, that is told while a
 * checkpoint of all there is still fits. */
static void
room_is_kept_for_checkpoints(void **state)
{
	MemoryFiles *files = memory_files_create(5);
	ShmRequests *requests;
	Node node;
	uint64_t durable;
	uint64_t before;
	uint64_t bytes;

	(void) state;
	write_first_control(memory_files_ops(files));
	assert_int_equal(node_start(&node, files), RUSD_OK);
	requests = node.shm->requests;
	checkpointer_reserve(node.checkpointer, 4);
	node_work(&node, 20, 0);
	/* Room for what has to be there, but not for more ahead; and for the map. */
	memory_files_limit(files, memory_files_taken(files) + (node.root.pages_end + 8) * PAGE_BYTES);
	for (int i = 0; i < 300 && atomic_load(&requests->data_limit) == 0; i++)
	{
		assert_int_equal(checkpointer_step(node.checkpointer), RUSD_AGAIN);
		assert_non_null(memory_files_bytes(files, "data.0", &before));
		if (atomic_load(&requests->data_limit) == 0)
		{
			assert_true(before >= (FRAMES - node.root.frames_free + 4) * PAGE_BYTES);
			assert_true(before >= node.root.pages_end * PAGE_BYTES);
			node_work(&node, 1, 0);
			test_now_ns += UINT64_C(1000000);
		}
	}
	assert_int_equal(atomic_load(&requests->data_limit), before / PAGE_BYTES);
	/* What is there fits. */
	durable = atomic_load(&node.shm->positions->durable_root);
	for (int i = 0;
		 i < 10000 && atomic_load(&node.shm->positions->durable_root) != node.root.number; i++)
	{
		Status status = checkpointer_step(node.checkpointer);

		assert_true(status == RUSD_OK || status == RUSD_AGAIN);
		node_hand_over(&node, 0);
		/* While the disk is full one is taken each second, without being asked for. */
		test_now_ns += UINT64_C(100000000);
	}
	assert_int_equal(atomic_load(&node.shm->positions->durable_root), node.root.number);
	assert_true(node.root.number > durable);
	/* Room again. */
	memory_files_limit(files, UINT64_MAX);
	test_now_ns += UINT64_C(5000000000);
	(void) checkpointer_step(node.checkpointer);
	assert_int_equal(atomic_load(&requests->data_limit), 0);
	assert_non_null(memory_files_bytes(files, "data.0", &bytes));
	assert_true(bytes > before);
	node_stop(&node);
	memory_files_destroy(files);
}

static void
the_log_is_waited_for(void **state)
{
	MemoryFiles *files = memory_files_create(4);
	Node node;
	uint64_t wanted;

	(void) state;
	write_first_control(memory_files_ops(files));
	assert_int_equal(node_start(&node, files), RUSD_OK);
	node_work(&node, 10, 0);
	wanted = atomic_fetch_add(&node.shm->requests->checkpoint_wanted, 1) + 1;
	for (int i = 0; i < 100; i++)
	{
		(void) checkpointer_step(node.checkpointer);
		node_hand_over(&node, 1000);
	}
	/* [pagecache-6] */
	atomic_store(&node.shm->positions->flushed, 999);
	assert_int_equal(checkpointer_step(node.checkpointer), RUSD_AGAIN);
	assert_int_equal(atomic_load(&node.shm->positions->durable_root), 0);
	atomic_store(&node.shm->positions->flushed, 1000);
	while (checkpointer_step(node.checkpointer) == RUSD_OK)
		continue;
	assert_int_equal(atomic_load(&node.shm->positions->durable_root), node.root.number);
	assert_int_equal(atomic_load(&node.shm->positions->durable_index), node.root.applied_index);
	assert_int_equal(atomic_load(&node.shm->requests->checkpoint_done), wanted);
	node_stop(&node);
	memory_files_destroy(files);
}

static void
checkpoints_come_by_time_and_by_log(void **state)
{
	MemoryFiles *files = memory_files_create(4);
	Node node;
	Checkpointer *timed;

	(void) state;
	write_first_control(memory_files_ops(files));
	assert_int_equal(node_start(&node, files), RUSD_OK);
	assert_int_equal(checkpointer_create(node.shm, node.fs, &test_clock, 1000, 500, &timed),
					 RUSD_OK);
	test_now_ns += 2000;
	/* Nothing has changed. */
	assert_int_equal(checkpointer_step(timed), RUSD_AGAIN);
	node_work(&node, 10, 0);
	assert_int_equal(checkpointer_step(timed), RUSD_OK);
	for (int i = 0; i < 50; i++)
	{
		(void) checkpointer_step(timed);
		node_hand_over(&node, 0);
	}
	assert_int_equal(atomic_load(&node.shm->positions->durable_root), node.root.number);
	/* Too early, but for the log. */
	node_work(&node, 10, 0);
	assert_int_equal(checkpointer_step(timed), RUSD_AGAIN);
	atomic_store(&node.shm->positions->applied_position, 501);
	assert_int_equal(checkpointer_step(timed), RUSD_OK);
	checkpointer_destroy(timed);
	node_stop(&node);
	memory_files_destroy(files);
}

static void
the_file_shrinks_but_not_under_an_old_reader(void **state)
{
	MemoryFiles *files = memory_files_create(5);
	Node node;
	Node after;
	Model old;
	TreeRoot old_root;
	PageAccess access;
	uint64_t high;
	uint64_t low;

	(void) state;
	write_first_control(memory_files_ops(files));
	assert_int_equal(node_start(&node, files), RUSD_OK);
	node_work(&node, 800, 0);
	assert_int_equal(node_checkpoint(&node), RUSD_OK);
	memory_files_crash(files);

	/* A reader holds the recovered root, of which no page has been loaded yet. */
	assert_int_equal(node_start(&after, files), RUSD_OK);
	old_root = after.writer.root;
	model_copy(&node.handed[0].model, &old);
	model_copy(&old, &after.model);
	atomic_store(&after.shm->areas[PROC_ESSENTIAL_COUNT]->snapshot_pins[0], after.root.number);
	assert_non_null(memory_files_bytes(files, "data.0", &high));
	while (after.model.count > 3)
	{
		TreeKey key = model_key(&after.model.cells[0]);

		assert_int_equal(tree_delete(&after.writer, &key), RUSD_OK);
		model_delete(&after.model, &key);
	}
	node_publish(&after);
	assert_int_equal(node_checkpoint(&after), RUSD_OK);
	access = after.writer.access;
	model_check_tree(&old, &access, old_root);

	/* Once nobody reads it, its pages are taken back and the next checkpoint cuts the file. */
	atomic_store(&after.shm->areas[PROC_ESSENTIAL_COUNT]->snapshot_pins[0], 0);
	space_reclaim(after.space);
	for (int i = 0; i < 3; i++)
	{
		TreeKey key = {.hi = (uint64_t) i};

		model_tree_insert(&after.model, &after.writer, &key, 0, 1, 10);
		node_publish(&after);
		assert_int_equal(node_checkpoint(&after), RUSD_OK);
	}
	assert_non_null(memory_files_bytes(files, "data.0", &low));
	assert_true(low < high);
	assert_true(low >= space_pages_used(after.space) * PAGE_BYTES);
	model_free(&old);
	node_stop(&after);
	node_stop(&node);
	memory_files_destroy(files);
}

/* ---- the pager
 * ------------------------------------------------------------------------------------------------
 */

static void
every_damaged_byte_is_found(void **state)
{
	MemoryFiles *files = memory_files_create(6);
	Node node;
	uint8_t *data;
	uint64_t length;

	(void) state;
	write_first_control(memory_files_ops(files));
	assert_int_equal(node_start(&node, files), RUSD_OK);
	node_work(&node, 100, 0);
	assert_int_equal(node_checkpoint(&node), RUSD_OK);
	data = memory_files_bytes(files, "data.0", &length);
	assert_non_null(data);
	for (uint64_t at = 0; at < PAGE_BYTES; at += 61)
	{
		Node after;
		uint64_t root;
		const PageHeader *page;

		assert_int_equal(node_start(&after, files), RUSD_OK);
		root = after.root.keys.page;
		data[root * PAGE_BYTES + at] ^= 0x10;
		assert_int_equal(page_get(&after.writer.access, root, after.root.keys.birth, &page),
						 RUSD_DAMAGED);
		/* And it stays so: nobody guesses. */
		data[root * PAGE_BYTES + at] ^= 0x10;
		assert_int_equal(page_get(&after.writer.access, root, after.root.keys.birth, &page),
						 RUSD_DAMAGED);
		node_stop(&after);
	}
	node_stop(&node);
	memory_files_destroy(files);
}

static void
misplaced_and_stale_pages_are_found(void **state)
{
	MemoryFiles *files = memory_files_create(7);
	Node node;
	Node after;
	uint8_t *data;
	uint64_t length;
	uint64_t root;
	uint64_t other;
	const PageHeader *page;

	(void) state;
	write_first_control(memory_files_ops(files));
	assert_int_equal(node_start(&node, files), RUSD_OK);
	node_work(&node, 200, 0);
	assert_int_equal(node_checkpoint(&node), RUSD_OK);
	data = memory_files_bytes(files, "data.0", &length);
	assert_int_equal(node_start(&after, files), RUSD_OK);
	root = after.root.keys.page;
	other = root == 0 ? 1 : 0;
	/* A write that went to another place. */
	memcpy(data + root * PAGE_BYTES, data + other * PAGE_BYTES, PAGE_BYTES);
	assert_int_equal(page_get(&after.writer.access, root, after.root.keys.birth, &page),
					 RUSD_DAMAGED);
	/* A write that was lost: what is there has another birth. */
	assert_int_equal(page_get(&after.writer.access, other, 1u << 30, &page), RUSD_DAMAGED);
	/* Beyond all frames. */
	assert_int_equal(page_get(&after.writer.access, FRAMES, 1, &page), RUSD_DAMAGED);
	node_stop(&after);
	node_stop(&node);
	memory_files_destroy(files);
}

static void
ask(Shm *shm, uint32_t slot, uint64_t wanted)
{
	atomic_store(&shm->areas[slot]->page_wanted, wanted);
	marks_set(shm->page_marks, slot);
}

static void
reclaim_during_read(void *arg)
{
	Node *node = arg;

	memory_files_on_read(node->files, NULL, NULL);
	/* So raft sees that the pager is at work. */
	assert_int_equal(atomic_load(&node->shm->positions->page_service) % 2, 1);
	space_reclaim(node->space);
}

static void
asking_for_a_free_page_loads_nothing(void **state)
{
	MemoryFiles *files = memory_files_create(8);
	Node node;
	Node after;
	uint32_t slot = PROC_ESSENTIAL_COUNT + 1;
	uint64_t victim = PAGE_NONE;
	uint64_t free_frames;

	(void) state;
	write_first_control(memory_files_ops(files));
	assert_int_equal(node_start(&node, files), RUSD_OK);
	node_work(&node, 400, 0);
	assert_int_equal(node_checkpoint(&node), RUSD_OK);
	assert_int_equal(node_start(&after, files), RUSD_OK);
	model_copy(&node.handed[0].model, &after.model);

	/* Numbers that mean nothing, and pages that are free. */
	ask(after.shm, slot, UINT64_MAX);
	assert_int_equal(pager_step(after.pager), RUSD_OK);
	ask(after.shm, slot, FRAMES + 1);
	assert_int_equal(pager_step(after.pager), RUSD_OK);
	ask(after.shm, slot, FRAMES);
	assert_int_equal(pager_step(after.pager), RUSD_OK);
	assert_int_equal(atomic_load(&after.shm->page_meta[FRAMES - 1].state), PAGE_FREE);

	/* A page that dies without ever having been loaded, and is asked for while it is taken back. */
	for (uint64_t page = 0; page < FRAMES; page++)
	{
		if (atomic_load(&after.shm->page_meta[page].state) == PAGE_ABSENT &&
			page != after.root.keys.page)
			victim = page;
	}
	assert_int_not_equal(victim, PAGE_NONE);
	atomic_store(&after.shm->areas[slot]->snapshot_pins[0], after.root.number);
	space_free(after.space, victim, 1);
	node_publish(&after);
	assert_int_equal(node_checkpoint(&after), RUSD_OK);
	free_frames = space_frames_free(after.space);
	atomic_store(&after.shm->areas[slot]->snapshot_pins[0], 0);
	memory_files_on_read(files, reclaim_during_read, &after);
	ask(after.shm, slot, victim + 1);
	assert_int_equal(pager_step(after.pager), RUSD_OK);
	assert_int_equal(atomic_load(&after.shm->positions->page_service) % 2, 0);
	/* [pagecache-7]: not under the pager's hands, but afterwards. */
	assert_int_equal(atomic_load(&after.shm->page_meta[victim].state), PAGE_RESIDENT);
	free_frames = space_frames_free(after.space);
	space_reclaim(after.space);
	assert_int_equal(space_frames_free(after.space), free_frames + 1);
	node_stop(&after);
	node_stop(&node);
	memory_files_destroy(files);
}

/* ---- the control record
 * ------------------------------------------------------------------------------------------ */

static void
the_control_record_survives_torn_writes(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < 200; seed++)
	{
		MemoryFiles *files = memory_files_create(seed);
		FileOps *fs = memory_files_ops(files);
		ControlRecord record = {.cluster_id = 1};
		ControlRecord found;
		uint64_t written = 0;
		uint64_t count = seed % 4;

		for (uint64_t i = 1; i <= count; i++)
		{
			record.root.number = i;
			assert_int_equal(control_write(fs, &record), RUSD_OK);
			written = i;
		}
		/* The next one dies at one of its operations. */
		memory_files_fail_at(files, memory_files_operations(files) + 1 + seed / 4 % 5);
		record.root.number = written + 1;
		(void) control_write(fs, &record);
		memory_files_crash(files);
		if (written == 0)
		{
			Status status = control_read(fs, &found);

			assert_true(status == RUSD_NOT_FOUND || (status == RUSD_OK && found.root.number == 1));
			assert_int_equal(control_write(fs, &record), RUSD_OK);
		}
		else
		{
			assert_int_equal(control_read(fs, &found), RUSD_OK);
			assert_in_range(found.root.number, written, written + 1);
			assert_int_equal(found.cluster_id, 1);
		}
		memory_files_destroy(files);
	}
}

static void
a_damaged_control_record_is_refused(void **state)
{
	MemoryFiles *files = memory_files_create(1);
	FileOps *fs = memory_files_ops(files);
	ControlRecord record = {.cluster_id = 1};
	ControlRecord found;
	uint8_t *bytes;
	uint64_t length;

	(void) state;
	assert_int_equal(control_read(fs, &found), RUSD_NOT_FOUND);
	for (uint64_t i = 1; i <= 2; i++)
	{
		record.root.number = i;
		assert_int_equal(control_write(fs, &record), RUSD_OK);
	}
	bytes = memory_files_bytes(files, "control", &length);
	assert_int_equal(length, 2 * CONTROL_COPY_BYTES);
	/* Any byte of the newer copy: the older one counts. */
	for (size_t at = 0; at < sizeof(ControlRecord); at += 7)
	{
		bytes[CONTROL_COPY_BYTES + at] ^= 1;
		assert_int_equal(control_read(fs, &found), RUSD_OK);
		assert_int_equal(found.root.number, 1);
		bytes[CONTROL_COPY_BYTES + at] ^= 1;
	}
	assert_int_equal(control_read(fs, &found), RUSD_OK);
	assert_int_equal(found.root.number, 2);
	bytes[0] ^= 1;
	bytes[CONTROL_COPY_BYTES] ^= 1;
	assert_int_equal(control_read(fs, &found), RUSD_DAMAGED);
	memory_files_destroy(files);
}

static void
a_damaged_map_is_refused(void **state)
{
	MemoryFiles *files = memory_files_create(9);
	Node node;
	ControlRecord record;
	uint64_t *used;
	uint64_t bits;
	uint64_t length;
	uint8_t *bytes;

	(void) state;
	write_first_control(memory_files_ops(files));
	assert_int_equal(node_start(&node, files), RUSD_OK);
	node_work(&node, 100, 0);
	assert_int_equal(node_checkpoint(&node), RUSD_OK);
	assert_int_equal(control_read(node.fs, &record), RUSD_OK);
	bytes = memory_files_bytes(files, record.map_file == 0 ? "map.0.0" : "map.0.1", &length);
	assert_non_null(bytes);
	for (uint64_t at = 0; at < length; at++)
	{
		bytes[at] ^= 4;
		assert_int_equal(checkpoint_read_used(node.fs, &record, &used, &bits), RUSD_DAMAGED);
		assert_null(used);
		bytes[at] ^= 4;
	}
	assert_int_equal(checkpoint_read_used(node.fs, &record, &used, &bits), RUSD_OK);
	free(used);
	node_stop(&node);
	memory_files_destroy(files);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crash_at_any_operation_leaves_a_whole_checkpoint),
		cmocka_unit_test(what_a_killed_node_left_unsynced_is_durable_once_it_counts),
		cmocka_unit_test(no_room_keeps_the_last_checkpoint),
		cmocka_unit_test(room_is_kept_for_checkpoints),
		cmocka_unit_test(the_log_is_waited_for),
		cmocka_unit_test(checkpoints_come_by_time_and_by_log),
		cmocka_unit_test(the_file_shrinks_but_not_under_an_old_reader),
		cmocka_unit_test(every_damaged_byte_is_found),
		cmocka_unit_test(misplaced_and_stale_pages_are_found),
		cmocka_unit_test(asking_for_a_free_page_loads_nothing),
		cmocka_unit_test(the_control_record_survives_torn_writes),
		cmocka_unit_test(a_damaged_control_record_is_refused),
		cmocka_unit_test(a_damaged_map_is_refused),
	};

	/* Damage is logged, here a few hundred times. */
	(void) log_open("fatal", "json", "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
