/*
 * test_btree.c
 *	  Trees against a sorted array: random work over many shapes of keys, old roots that stay as
 * they were while they are pinned, no page lost or used twice.
 *
 * test_btree --corpus DIRECTORY writes seeds for the fuzz target of pages.
 * RUSD_TEST_SEED repeats a run with another seed; RUSD_TEST_SCALE makes it longer.
 *
 * test/unit/test_btree.c
 */
#include "rusd.h"

#include "btree/btree.h"

#include "pages_fixture.h"

#include "cmocka_all.h"

#define FRAMES 16384
#define SNAPSHOTS 4

/* How keys and values of a run look. */
typedef struct Shape
{
	const char *name;
	uint32_t operations;
	uint32_t key_space; /* different keys, about */
	uint32_t prefix;    /* bytes that all keys share */
	uint32_t key_longest;
	uint32_t value_longest;
	uint32_t versions; /* values of hi */
	bool ascending;
	uint32_t deletes; /* per cent */
} Shape;

static const Shape shapes[] = {
	{"short keys", 20000, 3000, 0, 12, 60, 1, false, 30},
	{"keys of one prefix", 20000, 3000, 40, 20, 300, 1, false, 30},
	{"many versions of few keys", 15000, 40, 10, 8, 200, 4000, false, 25},
	{"numbers alone", 20000, 1, 0, 0, 24, 1 << 20, true, 20},
	{"values in overflow pages", 4000, 400, 5, 20, 30000, 3, false, 45},
	{"keys around the inline limit", 5000, 400, 900, 300, 100, 2, false, 40},
	{"long keys that differ late", 1500, 120, 20000, 200, 2000, 2, false, 40},
	{"long keys, many versions", 1500, 6, 3000, 10, 100, 1000, false, 40},
	{"cells of all sizes", 8000, 1000, 0, 1024, 2200, 1, false, 45},
};

typedef struct Snapshot
{
	Model model;
	TreeRoot root;
	uint64_t number;
} Snapshot;

typedef struct Run
{
	const Shape *shape;
	Random random;
	Shm *shm;
	PageSpace *space;
	TreeWriter writer;
	Model model;
	Snapshot snapshots[SNAPSHOTS];
	uint8_t *key_buffer;
	uint64_t *seen; /* bitmap of pages visited */
	uint64_t seen_count;
} Run;

static void
visit_page(void *arg, uint64_t page, uint64_t birth)
{
	Run *run = arg;

	(void) birth;
	assert_true(page < FRAMES);
	assert_false(run->seen[page / 64] >> (page % 64) & 1);
	run->seen[page / 64] |= UINT64_C(1) << (page % 64);
	run->seen_count++;
}

/* [btree-1] to [btree-4], and that the tree's pages are those that are counted as used. */
static void
check_run(Run *run)
{
	char message[200] = "";

	memset(run->seen, 0, FRAMES / 8);
	run->seen_count = 0;
	if (tree_check(&run->writer.access, run->writer.root, pages_weigh, visit_page, run, message,
				   sizeof(message)) != RUSD_OK)
		fail_msg("%s: %s", run->shape->name, message);
	assert_int_equal(run->seen_count, space_pages_used(run->space));
}

static TreeKey
random_key(Run *run)
{
	const Shape *shape = run->shape;
	Random random = {.state = random_below(&run->random, shape->key_space)};
	size_t length = shape->prefix;
	TreeKey key = {.bytes = {run->key_buffer, 0}};

	if (shape->key_longest > 0)
	{
		size_t tail = random_below(&random, shape->key_longest);

		/* Now and then shorter than the prefix, or differing inside it. */
		memset(run->key_buffer, 'p', length);
		if (random_below(&random, 20) == 0)
			length = random_below(&random, length + 1);
		else if (length > 0 && random_below(&random, 20) == 0)
			run->key_buffer[random_below(&random, length)] = (uint8_t) random_next(&random);
		for (size_t i = 0; i < tail; i++)
			run->key_buffer[length++] = (uint8_t) ("\0ab\xff"[random_below(&random, 4)]);
	}
	key.bytes.length = length;
	if (shape->versions > 1)
	{
		key.hi = random_below(&run->random, shape->versions);
		if (shape->ascending && run->model.count > 0 && random_below(&run->random, 4) != 0)
			key.hi = run->model.cells[run->model.count - 1].hi + 1;
		key.lo = random_below(&run->random, 2);
	}
	return key;
}

static TreeKey
existing_key(Run *run)
{
	return model_key(&run->model.cells[random_below(&run->random, run->model.count)]);
}

static void
operate(Run *run)
{
	uint64_t dice = random_below(&run->random, 100);
	TreeKey key = random_key(run);

	if (run->model.count > 0 && random_below(&run->random, 3) == 0)
	{
		key = existing_key(run);
		if (key.bytes.length > 0)
			memcpy(run->key_buffer, key.bytes.data, key.bytes.length);
		key.bytes.data = run->key_buffer;
	}
	if (dice < run->shape->deletes)
	{
		bool there = model_delete(&run->model, &key);

		assert_int_equal(tree_delete(&run->writer, &key), there ? RUSD_OK : RUSD_NOT_FOUND);
	}
	else if (dice < run->shape->deletes + 10)
	{
		bool equal;
		size_t place = model_place(&run->model, &key, &equal);
		uint8_t flags = (uint8_t) random_below(&run->random, 4);

		assert_int_equal(tree_set_flags(&run->writer, &key, flags),
						 equal ? RUSD_OK : RUSD_NOT_FOUND);
		if (equal)
			run->model.cells[place].flags = flags;
	}
	else
		model_tree_insert(&run->model, &run->writer, &key, (uint8_t) random_below(&run->random, 4),
						  random_next(&run->random),
						  random_below(&run->random, run->shape->value_longest + 1));
}

/* The root being built becomes the published one, as the store does it. */
static void
publish(Run *run)
{
	RootState state = {.number = space_root(run->space)};

	shm_root_write(run->shm, &state);
	space_published(run->space);
}

/* Lets go of one old root after looking at it, or pins the newest. */
static void
change_snapshot(Run *run)
{
	uint64_t which = random_below(&run->random, SNAPSHOTS);
	Snapshot *snapshot = &run->snapshots[which];
	_Atomic uint64_t *pin = &run->shm->areas[PROC_ESSENTIAL_COUNT]->snapshot_pins[which];

	if (snapshot->number != 0)
	{
		model_check_tree(&snapshot->model, &run->writer.access, snapshot->root); /* [pagecache-2] */
		model_free(&snapshot->model);
		snapshot->number = 0;
		atomic_store(pin, 0);
		return;
	}
	snapshot->number = space_root(run->space) - 1;
	snapshot->root = run->writer.root;
	model_copy(&run->model, &snapshot->model);
	atomic_store(pin, snapshot->number);
}

static void
check_seeks(Run *run)
{
	PageAccess *access = &run->writer.access;
	const Model *model = &run->model;

	for (int i = 0; i < 30; i++)
	{
		TreeKey key = random_key(run);
		TreeCursor cursor;
		bool equal;
		size_t place = model_place(model, &key, &equal);
		Status status = tree_seek(&cursor, access, run->writer.root, &key);

		/* Forwards, back over the same, and back further. */
		assert_int_equal(status, place < model->count ? RUSD_OK : RUSD_END);
		for (int step = 0; step < 40 && status == RUSD_OK; step++, place++)
		{
			TreeKey got = {
				.bytes = cursor.cell.key_inline, .hi = cursor.cell.hi, .lo = cursor.cell.lo};

			if (cursor.cell.key_overflow_page == PAGE_NONE)
				assert_int_equal(model_compare(&model->cells[place], &got), 0);
			status = tree_next(&cursor);
		}
		place = model_place(model, &key, &equal);
		status = tree_seek_before(&cursor, access, run->writer.root, &key);
		assert_int_equal(status, place > 0 ? RUSD_OK : RUSD_END);
		for (int step = 0; step < 40 && status == RUSD_OK; step++)
		{
			place--;
			assert_int_equal(cursor.cell.hi, model->cells[place].hi);
			assert_int_equal(cursor.cell.lo, model->cells[place].lo);
			assert_int_equal(cursor.cell.key_length, model->cells[place].length);
			status = tree_previous(&cursor);
		}
		assert_true(status == RUSD_OK || place == 0);
	}
}

static void
add_model_weights(const Model *model, size_t from, size_t to, TreeSum *sum)
{
	for (size_t i = from; i < to; i++)
	{
		if ((model->cells[i].flags & 1) == 0)
			continue;
		sum->weight[0]++;
		sum->weight[1] += model->cells[i].length + model->cells[i].value_length;
		sum->weight[2] += model->cells[i].length;
	}
}

static void
check_sums(Run *run)
{
	uint8_t *low_bytes = malloc(run->shape->prefix + run->shape->key_longest + 1);

	for (int i = 0; i < 20; i++)
	{
		TreeKey low = random_key(run);
		TreeKey high;
		TreeSum sum;
		TreeSum wanted = {{0}};
		bool equal;
		size_t from = 0;
		size_t to = run->model.count;

		memcpy(low_bytes, low.bytes.data, low.bytes.length);
		low.bytes.data = low_bytes;
		high = random_key(run);
		if (i % 4 != 0)
			from = model_place(&run->model, &low, &equal);
		if (i % 3 != 0)
			to = model_place(&run->model, &high, &equal);
		add_model_weights(&run->model, from, to, &wanted);
		assert_int_equal(tree_sum(&run->writer.access, run->writer.root, pages_weigh,
								  i % 4 != 0 ? &low : NULL, i % 3 != 0 ? &high : NULL, &sum),
						 RUSD_OK);
		assert_memory_equal(&sum, &wanted, sizeof(sum));
	}
	free(low_bytes);
}

static void
check_weighted(Run *run)
{
	const Model *model = &run->model;

	for (int i = 0; i < 10; i++)
	{
		TreeKey key = random_key(run);
		TreeCursor cursor;
		bool equal;
		int64_t place = (int64_t) model_place(model, &key, &equal);
		Status status = tree_seek(&cursor, &run->writer.access, run->writer.root, &key);

		while (status == RUSD_OK && (status = tree_next_weighted(&cursor, pages_weigh)) == RUSD_OK)
		{
			while (place < (int64_t) model->count && (model->cells[place].flags & 1) == 0)
				place++;
			assert_true(place < (int64_t) model->count);
			assert_int_equal(cursor.cell.hi, model->cells[place].hi);
			assert_int_equal(cursor.cell.key_length, model->cells[place].length);
			place++;
			status = tree_next(&cursor);
		}
		assert_int_equal(status, RUSD_END);
		for (; place < (int64_t) model->count; place++)
			assert_int_equal(model->cells[place].flags & 1, 0);

		place = (int64_t) model_place(model, &key, &equal) - 1;
		status = tree_seek_before(&cursor, &run->writer.access, run->writer.root, &key);
		while (status == RUSD_OK &&
			   (status = tree_previous_weighted(&cursor, pages_weigh)) == RUSD_OK)
		{
			while (place >= 0 && (model->cells[place].flags & 1) == 0)
				place--;
			assert_true(place >= 0);
			assert_int_equal(cursor.cell.hi, model->cells[place].hi);
			assert_int_equal(cursor.cell.key_length, model->cells[place].length);
			place--;
			status = tree_previous(&cursor);
		}
		for (; place >= 0; place--)
			assert_int_equal(model->cells[place].flags & 1, 0);
	}
}

static void
begin_run(Run *run, const Shape *shape)
{
	const char *seed = getenv("RUSD_TEST_SEED");

	*run = (Run){.shape = shape, .random = {.state = seed != NULL ? strtoull(seed, NULL, 0) : 1}};
	run->shm = pages_shm_create(FRAMES);
	assert_int_equal(space_create(run->shm, 0, NULL, 0, &run->space), RUSD_OK);
	run->writer = pages_writer(run->shm, run->space);
	run->key_buffer = malloc(shape->prefix + shape->key_longest + 1);
	run->seen = calloc(FRAMES / 64, sizeof(uint64_t));
}

static void
end_run(Run *run)
{
	for (int i = 0; i < SNAPSHOTS; i++)
		model_free(&run->snapshots[i].model);
	model_free(&run->model);
	free(run->key_buffer);
	free(run->seen);
	space_destroy(run->space);
	pages_shm_destroy(run->shm);
}

static void
work_as_an_array_does(const Shape *shape)
{
	const char *scale = getenv("RUSD_TEST_SCALE");
	uint32_t operations = shape->operations * (scale != NULL ? (uint32_t) atoi(scale) : 1);
	Run run;

	begin_run(&run, shape);
	for (uint32_t i = 0; i < operations; i++)
	{
		operate(&run);
		if (random_below(&run.random, 20) == 0)
		{
			publish(&run);
			if (random_below(&run.random, 20) == 0)
				change_snapshot(&run);
		}
		if (i % 500 == 499)
		{
			check_run(&run);
			model_check_tree(&run.model, &run.writer.access, run.writer.root);
			check_seeks(&run);
			check_sums(&run);
			check_weighted(&run);
		}
	}
	/* Everything goes, so nothing may be left. */
	while (run.model.count > 0)
	{
		TreeKey key = existing_key(&run);

		assert_int_equal(tree_delete(&run.writer, &key), RUSD_OK);
		assert_true(model_delete(&run.model, &key));
		if (run.model.count % 200 == 0)
			check_run(&run);
	}
	assert_int_equal(run.writer.root.page, PAGE_NONE);
	assert_int_equal(space_pages_used(run.space), 0);
	for (int i = 0; i < SNAPSHOTS; i++)
	{
		if (run.snapshots[i].number != 0)
			model_check_tree(&run.snapshots[i].model, &run.writer.access, run.snapshots[i].root);
		atomic_store(&run.shm->areas[PROC_ESSENTIAL_COUNT]->snapshot_pins[i], 0);
	}
	publish(&run);
	space_reclaim(run.space);
	assert_int_equal(space_frames_free(run.space), FRAMES);
	end_run(&run);
}

static void
random_work(void **state)
{
	work_as_an_array_does(*state);
}

/* ---- particular shapes ---- */

static void
appended_keys_fill_pages(void **state)
{
	Run run;
	uint64_t bytes = 0;

	(void) state;
	begin_run(&run, &shapes[3]);
	for (uint64_t revision = 1; revision <= 20000; revision++)
	{
		TreeKey key = {.hi = revision};

		assert_int_equal(tree_insert(&run.writer, &key, 0,
									 (Bytes){(const uint8_t *) "0123456789", 10}, (Bytes){NULL, 0}),
						 RUSD_OK);
		bytes += 22 + 8 + 10;
		if (revision % 50 == 0)
			publish(&run);
	}
	check_run(&run);
	/* Nine tenths full at least, inner pages included. */
	assert_true(space_pages_used(run.space) * PAGE_BYTES * 9 / 10 < bytes);
	/* Compaction takes most of it away from the front and here and there. */
	for (uint64_t revision = 1; revision <= 20000; revision++)
	{
		TreeKey key = {.hi = revision};

		if (revision % 100 == 0)
			continue;
		assert_int_equal(tree_delete(&run.writer, &key), RUSD_OK);
		if (revision % 50 == 0)
			publish(&run);
	}
	check_run(&run);
	/* A hundredth is left: in few pages. */
	assert_true(space_pages_used(run.space) <= 8);
	end_run(&run);
}

/* A store in which few keys are written all the time: old versions stand in full pages. */
static void
versions_of_hot_keys_fill_pages(void **state)
{
	Run run;
	uint8_t value[200] = {0};
	uint64_t bytes = 0;

	(void) state;
	begin_run(&run, &shapes[2]);
	for (uint64_t revision = 1; revision <= 20000; revision++)
	{
		char text[32];
		TreeKey key = {.bytes = {(uint8_t *) text, 0}, .hi = ~revision};

		key.bytes.length = (size_t) snprintf(text, sizeof(text), "lease/%u",
											 (unsigned) random_below(&run.random, 20));
		assert_int_equal(
			tree_insert(&run.writer, &key, 0, (Bytes){NULL, 0}, (Bytes){value, sizeof(value)}),
			RUSD_OK);
		bytes += 22 + 8 + key.bytes.length + sizeof(value);
		if (revision % 50 == 0)
			publish(&run);
	}
	check_run(&run);
	assert_true(space_pages_used(run.space) * PAGE_BYTES * 8 / 10 < bytes);
	end_run(&run);
}

static void
pages_move_down(void **state)
{
	const Shape *shape = *state;
	Run run;
	uint64_t used;
	bool done;
	TreeResume *resume = tree_resume_create();

	begin_run(&run, shape);
	for (uint32_t i = 0; i < shape->operations / 2; i++)
	{
		operate(&run);
		if (i % 20 == 0)
			publish(&run);
	}
	/* Three quarters go, so that there are free places below. */
	for (size_t left = run.model.count / 4; run.model.count > left;)
	{
		TreeKey key = existing_key(&run);

		assert_int_equal(tree_delete(&run.writer, &key), RUSD_OK);
		model_delete(&run.model, &key);
	}
	publish(&run);
	space_reclaim(run.space);
	used = space_pages_used(run.space);
	for (int round = 0; round < 3; round++)
	{
		do
		{
			assert_int_equal(tree_move_down(&run.writer, resume, used, 5, &done), RUSD_OK);
			publish(&run);
			space_reclaim(run.space);
		} while (!done);
		tree_resume_destroy(resume);
		resume = tree_resume_create();
	}
	check_run(&run);
	model_check_tree(&run.model, &run.writer.access, run.writer.root);
	assert_int_equal(space_pages_used(run.space), used);
	/* All but a path and what is copied with it. */
	assert_true(space_pages_end(run.space) <= used + 16);
	tree_resume_destroy(resume);
	end_run(&run);
}

static void
empty_trees_have_nothing(void **state)
{
	Run run;
	TreeKey key = {.hi = 1};
	TreeCursor cursor;
	TreeSum sum;

	(void) state;
	begin_run(&run, &shapes[0]);
	assert_int_equal(tree_seek(&cursor, &run.writer.access, run.writer.root, &key), RUSD_END);
	assert_int_equal(tree_next(&cursor), RUSD_END);
	assert_int_equal(tree_next_weighted(&cursor, pages_weigh), RUSD_END);
	assert_int_equal(tree_seek_before(&cursor, &run.writer.access, run.writer.root, NULL),
					 RUSD_END);
	assert_int_equal(tree_previous(&cursor), RUSD_END);
	assert_int_equal(tree_delete(&run.writer, &key), RUSD_NOT_FOUND);
	assert_int_equal(tree_set_flags(&run.writer, &key, 1), RUSD_NOT_FOUND);
	assert_int_equal(tree_sum(&run.writer.access, run.writer.root, pages_weigh, NULL, NULL, &sum),
					 RUSD_OK);
	assert_int_equal(sum.weight[0], 0);
	end_run(&run);
}

#define WITH(function, which)                                                                      \
	{                                                                                              \
		.name = #function " " #which, .test_func = function,                                       \
		.initial_state = (void *) &shapes[which]                                                   \
	}

/* Seeds for fuzz_page: the first pages of small trees of each shape, all born in root 1. */
static int
write_corpus(const char *directory)
{
	for (size_t i = 0; i < lengthof(shapes); i++)
	{
		char name[300];
		FILE *file;
		Run run;

		begin_run(&run, &shapes[i]);
		while (space_pages_end(run.space) < 7)
			operate(&run);
		snprintf(name, sizeof(name), "%s/tree-%zu", directory, i);
		file = fopen(name, "w");
		assert_non_null(file);
		assert_int_equal(fwrite(run.shm->frames, PAGE_BYTES, 8, file), 8);
		assert_int_equal(fclose(file), 0);
		end_run(&run);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_trees_have_nothing),
		cmocka_unit_test(appended_keys_fill_pages),
		cmocka_unit_test(versions_of_hot_keys_fill_pages),
		WITH(random_work, 0),
		WITH(random_work, 1),
		WITH(random_work, 2),
		WITH(random_work, 3),
		WITH(random_work, 4),
		WITH(random_work, 5),
		WITH(random_work, 6),
		WITH(random_work, 7),
		WITH(random_work, 8),
		WITH(pages_move_down, 0),
		WITH(pages_move_down, 4),
		WITH(pages_move_down, 6),
	};

	StaticAssert(lengthof(shapes) == 9, "a shape is not run");
	if (argc == 3 && strcmp(argv[1], "--corpus") == 0)
		return write_corpus(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
