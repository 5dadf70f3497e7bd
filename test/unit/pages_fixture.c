/*
 * pages_fixture.c
 *	  A cache of pages in plain memory, and a tree of known content in it.
 *
 * test/unit/pages_fixture.c
 */
#include "rusd.h"

#include "pages_fixture.h"

#include "cmocka_all.h"

uint64_t
random_next(Random *random)
{
	uint64_t z = (random->state += 0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint64_t
random_below(Random *random, uint64_t limit)
{
	return random_next(random) % limit;
}

Shm *
pages_shm_create(uint64_t frames)
{
	ShmLayout layout = {.slot_count = PROC_ESSENTIAL_COUNT + 3,
						.wal_buffer_bytes = 1024 * 1024,
						.wal_segment_bytes = 1024 * 1024,
						.frame_count = frames};
	Shm *shm;

	assert_int_equal(shm_create(&layout, false, &shm), RUSD_OK);
	for (uint32_t slot = 0; slot < layout.slot_count; slot++)
		atomic_store(&shm->heads[slot].state, SLOT_LIVE);
	return shm;
}

void
pages_shm_destroy(Shm *shm)
{
	shm_destroy(shm);
}

TreeWriter
pages_writer(Shm *shm, PageSpace *space)
{
	return (TreeWriter){
		.access = {.shm = shm}, .space = space, .weigh = pages_weigh, .root = {.page = PAGE_NONE}};
}

void
pages_weigh(const TreeCell *cell, TreeSum *sum)
{
	if ((cell->flags & 1) == 0)
		return;
	sum->weight[0] = 1;
	sum->weight[1] = cell->key_length + cell->value_length;
	sum->weight[2] = cell->key_length;
}

/* ---- model ---- */

int
model_compare(const ModelCell *cell, const TreeKey *key)
{
	size_t shared = Min(cell->length, key->bytes.length);
	int order = shared == 0 ? 0 : memcmp(cell->bytes, key->bytes.data, shared);

	if (order != 0)
		return order;
	if (cell->length != key->bytes.length)
		return cell->length < key->bytes.length ? -1 : 1;
	if (cell->hi != key->hi)
		return cell->hi < key->hi ? -1 : 1;
	return cell->lo < key->lo ? -1 : cell->lo > key->lo;
}

size_t
model_place(const Model *model, const TreeKey *key, bool *equal)
{
	size_t low = 0;
	size_t high = model->count;

	while (low < high)
	{
		size_t middle = (low + high) / 2;

		if (model_compare(&model->cells[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*equal = low < model->count && model_compare(&model->cells[low], key) == 0;
	return low;
}

void
model_insert(Model *model, const TreeKey *key, uint8_t flags, uint64_t seed, size_t length)
{
	bool equal;
	size_t place = model_place(model, key, &equal);
	ModelCell *cell;

	if (!equal)
	{
		if (model->count == model->capacity)
		{
			model->capacity = Max(model->capacity * 2, 64);
			model->cells = realloc(model->cells, model->capacity * sizeof(ModelCell));
			assert_non_null(model->cells);
		}
		memmove(&model->cells[place + 1], &model->cells[place],
				(model->count - place) * sizeof(ModelCell));
		model->count++;
		cell = &model->cells[place];
		cell->bytes = malloc(key->bytes.length + 1);
		if (key->bytes.length > 0)
			memcpy(cell->bytes, key->bytes.data, key->bytes.length);
		cell->length = key->bytes.length;
		cell->hi = key->hi;
		cell->lo = key->lo;
	}
	cell = &model->cells[place];
	cell->flags = flags;
	cell->value_seed = seed;
	cell->value_length = length;
}

bool
model_delete(Model *model, const TreeKey *key)
{
	bool equal;
	size_t place = model_place(model, key, &equal);

	if (!equal)
		return false;
	free(model->cells[place].bytes);
	model->count--;
	memmove(&model->cells[place], &model->cells[place + 1],
			(model->count - place) * sizeof(ModelCell));
	return true;
}

void
model_copy(const Model *from, Model *to)
{
	*to = (Model){.count = from->count, .capacity = from->count};
	to->cells = malloc((from->count + 1) * sizeof(ModelCell));
	for (size_t i = 0; i < from->count; i++)
	{
		to->cells[i] = from->cells[i];
		to->cells[i].bytes = malloc(from->cells[i].length + 1);
		memcpy(to->cells[i].bytes, from->cells[i].bytes, from->cells[i].length);
	}
}

void
model_free(Model *model)
{
	for (size_t i = 0; i < model->count; i++)
		free(model->cells[i].bytes);
	free(model->cells);
	*model = (Model){0};
}

TreeKey
model_key(const ModelCell *cell)
{
	return (TreeKey){.bytes = {cell->bytes, cell->length}, .hi = cell->hi, .lo = cell->lo};
}

void
model_value(uint64_t seed, uint8_t *buffer, size_t length)
{
	Random random = {.state = seed};
	uint64_t word = 0;

	for (size_t i = 0; i < length; i++)
	{
		if (i % 8 == 0)
			word = random_next(&random);
		buffer[i] = (uint8_t) (word >> (i % 8 * 8));
	}
}

void
model_tree_insert(Model *model, TreeWriter *writer, const TreeKey *key, uint8_t flags,
				  uint64_t seed, size_t length)
{
	uint8_t *value = malloc(length + 1);
	size_t head = Min(length, 24);

	model_value(seed, value, length);
	assert_int_equal(
		tree_insert(writer, key, flags, (Bytes){value, head}, (Bytes){value + head, length - head}),
		RUSD_OK);
	model_insert(model, key, flags, seed, length);
	free(value);
}

static void
check_cell(const ModelCell *wanted, PageAccess *access, const TreeCell *cell)
{
	uint8_t *got;
	uint8_t *value;
	TreeHint hint = {0};
	int order;

	assert_int_equal(cell->key_length, wanted->length);
	assert_int_equal(cell->hi, wanted->hi);
	assert_int_equal(cell->lo, wanted->lo);
	assert_int_equal(cell->flags, wanted->flags);
	assert_int_equal(cell->value_length, wanted->value_length);
	assert_true(cell->value_inline.length >= Min(cell->value_length, 24));
	assert_int_equal(
		tree_cell_compare(access, cell, (Bytes){wanted->bytes, wanted->length}, &order), RUSD_OK);
	assert_int_equal(order, 0);

	got = malloc(Max(cell->key_length, cell->value_length) + 1);
	value = malloc(cell->value_length + 1);
	assert_int_equal(tree_read_key(access, cell, 0, got, cell->key_length, &hint), RUSD_OK);
	assert_int_equal(memcmp(got, wanted->bytes, wanted->length), 0);
	/* In pieces, as a backend does. */
	hint.valid = false;
	model_value(wanted->value_seed, value, cell->value_length);
	for (uint64_t offset = 0; offset < cell->value_length; offset += 5000)
	{
		uint64_t part = Min(5000, cell->value_length - offset);

		assert_int_equal(tree_read_value(access, cell, offset, got + offset, part, &hint), RUSD_OK);
	}
	assert_int_equal(memcmp(got, value, cell->value_length), 0);
	free(got);
	free(value);
}

void
model_check_tree(const Model *model, PageAccess *access, TreeRoot root)
{
	static const TreeKey lowest = {.hi = 0};
	TreeCursor cursor;
	Status status = tree_seek(&cursor, access, root, &lowest);

	for (size_t i = 0; i < model->count; i++)
	{
		assert_int_equal(status, RUSD_OK);
		check_cell(&model->cells[i], access, &cursor.cell);
		status = tree_next(&cursor);
	}
	assert_int_equal(status, RUSD_END);
}
