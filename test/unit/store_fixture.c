/*
 * store_fixture.c
 *	  A store over plain shared memory, and a model of it.
 *
 * The model knows nothing of trees, sums or encodings of the store: it answers from a list of all
 * versions.
 *
 * test/unit/store_fixture.c
 */
#include "rusd.h"

#include "cmocka_all.h"
#include "ipc/slot.h"
#include "store_fixture.h"

/* ---- bytes ----------------------------------------------------------------- */

void
text_add(Text *text, const void *bytes, size_t length)
{
	if (text->length + length > text->capacity)
	{
		text->capacity = Max(2 * text->capacity, text->length + length + 64);
		text->data = realloc(text->data, text->capacity);
		assert_non_null(text->data);
	}
	if (length > 0)
		memcpy(text->data + text->length, bytes, length);
	text->length += length;
}

void
text_free(Text *text)
{
	free(text->data);
	*text = (Text){0};
}

Bytes
bytes_of(const char *text)
{
	return (Bytes){(const uint8_t *) text, text == NULL ? 0 : strlen(text)};
}

static Bytes
bytes_copy(Bytes bytes)
{
	uint8_t *data = malloc(bytes.length + 1);

	assert_non_null(data);
	if (bytes.length > 0)
		memcpy(data, bytes.data, bytes.length);
	return (Bytes){data, bytes.length};
}

int
bytes_order(Bytes a, Bytes b)
{
	size_t common = Min(a.length, b.length);
	int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

	return order != 0 ? order : (a.length < b.length ? -1 : a.length > b.length);
}

/* ---- the model ------------------------------------------------------------- */

static bool
is_before(const ModelVersion *version, int64_t main, uint64_t sub)
{
	return version->main < main || (version->main == main && version->sub < sub);
}

static const ModelVersion *
newest_before(const Model *model, Bytes key, int64_t main, uint64_t sub)
{
	for (size_t i = model->count; i > 0; i--)
	{
		const ModelVersion *version = &model->versions[i - 1];

		if (is_before(version, main, sub) && bytes_order(version->key, key) == 0)
			return version;
	}
	return NULL;
}

const ModelVersion *
model_get(const Model *model, Bytes key, int64_t main, uint64_t sub)
{
	const ModelVersion *version = newest_before(model, key, main, sub);

	return version == NULL || version->tombstone ? NULL : version;
}

/* KV-20 to KV-23 */
bool
in_interval(Bytes key, Bytes from, Bytes end)
{
	if (end.length == 0)
		return bytes_order(key, from) == 0;
	if (bytes_order(key, from) < 0)
		return false;
	return (end.length == 1 && end.data[0] == 0) || bytes_order(key, end) < 0;
}

static int
by_key(const void *a, const void *b)
{
	return bytes_order((*(const ModelVersion *const *) a)->key,
					   (*(const ModelVersion *const *) b)->key);
}

size_t
model_range(const Model *model, Bytes key, Bytes end, int64_t main, uint64_t sub,
			const ModelVersion ***found)
{
	const ModelVersion **list = calloc(model->count + 1, sizeof(*list));
	size_t count = 0;

	assert_non_null(list);
	for (size_t i = 0; i < model->count; i++)
	{
		const ModelVersion *version = &model->versions[i];

		if (is_before(version, main, sub) && in_interval(version->key, key, end) &&
			newest_before(model, version->key, main, sub) == version && !version->tombstone)
			list[count++] = version;
	}
	qsort(list, count, sizeof(*list), by_key);
	*found = list;
	return count;
}

static void
model_add(Model *model, ModelVersion version)
{
	if (model->count == model->capacity)
	{
		model->capacity = Max(2 * model->capacity, 64);
		model->versions = realloc(model->versions, model->capacity * sizeof(ModelVersion));
		assert_non_null(model->versions);
	}
	version.key = bytes_copy(version.key);
	version.value = bytes_copy(version.value);
	version.main = model->main;
	version.sub = model->sub++;
	model->versions[model->count++] = version;
}

static void
model_put(Model *model, const TestOp *op)
{
	const ModelVersion *old = model_get(model, op->key, INT64_MAX, 0);
	ModelVersion new = {.key = op->key,
						.value = op->value,
						.create = old == NULL ? model->main : old->create,
						.version = old == NULL ? 1 : old->version + 1,
						.lease = op->number};

	if (old != NULL && (op->flags & OP_IGNORE_VALUE) != 0)
		new.value = old->value;
	if (old != NULL && (op->flags & OP_IGNORE_LEASE) != 0)
		new.lease = old->lease;
	model_add(model, new);
}

static uint64_t
model_delete(Model *model, const TestOp *op)
{
	const ModelVersion **found;
	size_t count = model_range(model, op->key, op->range_end, INT64_MAX, 0, &found);
	Bytes *keys = calloc(count + 1, sizeof(Bytes));

	for (size_t i = 0; i < count; i++)
		keys[i] = found[i]->key;
	for (size_t i = 0; i < count; i++)
		model_add(model, (ModelVersion){.key = keys[i], .tombstone = true});
	free(keys);
	free(found);
	return count;
}

static bool
model_compare_one(const TestOp *compare, const ModelVersion *version)
{
	int64_t number = 0;
	int order;

	if (version == NULL && compare->target == 3)
		return false;
	if (version != NULL)
	{
		int64_t numbers[5] = {version->version, version->create, version->main, 0, version->lease};

		number = compare->target < 5 ? numbers[compare->target] : 0;
	}
	order = number < compare->number ? -1 : number > compare->number;
	if (compare->target == 3)
		order = bytes_order(version->value, compare->value);
	if (compare->target > 4)
		order = 0;
	switch (compare->result)
	{
		case 0:
			return order == 0;
		case 1:
			return order > 0;
		case 2:
			return order < 0;
		case 3:
			return order != 0;
		default:
			return true;
	}
}

static bool
model_compare(const Model *model, const TestOp *compare)
{
	const ModelVersion **found;
	size_t count = model_range(model, compare->key, compare->range_end, model->main, 0, &found);
	bool holds = count > 0 || model_compare_one(compare, NULL);

	for (size_t i = 0; i < count; i++)
		holds = holds && model_compare_one(compare, found[i]);
	free(found);
	return holds;
}

/* Deletes that come before on the path, for TXN-31. */
typedef struct Deletes
{
	const TestOp *ops[256];
	size_t count;
} Deletes;

/* Chooses the whole path from the state before, checking it in its order (TXN-25, TXN-30). */
static Status
model_check(const Model *model, TestOp *op, Deletes *deletes)
{
	Status status = RUSD_OK;

	switch (op->kind)
	{
		case OP_RANGE:
			if (op->number != 0 && op->number > model->revision)
				return RUSD_FUTURE_REV;
			return op->number != 0 && op->number < model->compacted ? RUSD_COMPACTED : RUSD_OK;
		case OP_PUT:
			if (op->number != 0)
				return RUSD_LEASE_NOT_FOUND;
			if (op->flags == 0)
				return RUSD_OK;
			if (model_get(model, op->key, model->main, 0) == NULL)
				return RUSD_KEY_NOT_FOUND;
			for (size_t i = 0; i < deletes->count; i++)
			{
				if (in_interval(op->key, deletes->ops[i]->key, deletes->ops[i]->range_end))
					return RUSD_KEY_NOT_FOUND;
			}
			return RUSD_OK;
		case OP_DELETE:
			assert_true(deletes->count < lengthof(deletes->ops));
			deletes->ops[deletes->count++] = op;
			return RUSD_OK;
		default:
			break;
	}
	op->chosen = true;
	for (uint32_t i = 0; i < op->compare_count; i++)
		op->chosen = op->chosen && model_compare(model, &op->compares[i]);
	for (uint32_t i = 0; status == RUSD_OK && i < (op->chosen ? op->then_count : op->else_count);
		 i++)
		status = model_check(model, op->chosen ? &op->then_ops[i] : &op->else_ops[i], deletes);
	return status;
}

static uint64_t
model_run(Model *model, TestOp *op)
{
	switch (op->kind)
	{
		case OP_PUT:
			model_put(model, op);
			return 0;
		case OP_DELETE:
			return model_delete(model, op);
		case OP_TXN:
			for (uint32_t i = 0; i < (op->chosen ? op->then_count : op->else_count); i++)
				(void) model_run(model, op->chosen ? &op->then_ops[i] : &op->else_ops[i]);
			return 0;
		default:
			return 0;
	}
}

Status
model_apply(Model *model, TestOp *op, uint64_t *deleted)
{
	Deletes deletes = {.count = 0};
	Status status;

	model->main = model->revision + 1;
	model->sub = 0;
	*deleted = 0;
	status = model_check(model, op, &deletes);
	if (status != RUSD_OK)
		return status;
	*deleted = model_run(model, op);
	if (model->sub > 0)
		model->revision = model->main;
	return RUSD_OK;
}

bool
model_keeps(const Model *model, const ModelVersion *version, int64_t revision)
{
	if (version->main > revision)
		return true;
	return newest_before(model, version->key, revision + 1, 0) == version &&
		   !(version->tombstone && version->main < revision);
}

void
model_compact(Model *model, int64_t revision)
{
	bool *keep = calloc(model->count + 1, sizeof(bool));
	size_t kept = 0;

	for (size_t i = 0; i < model->count; i++)
		keep[i] = model_keeps(model, &model->versions[i], revision);
	for (size_t i = 0; i < model->count; i++)
	{
		if (keep[i])
		{
			model->versions[kept++] = model->versions[i];
			continue;
		}
		free((void *) model->versions[i].key.data);
		free((void *) model->versions[i].value.data);
	}
	model->count = kept;
	free(keep);
}

/* ---- protobuf, as its encoding is described -------------------------------- */

static void
add_varint(Text *out, uint64_t value)
{
	do
	{
		uint8_t byte = (uint8_t) (value % 128 + (value >= 128 ? 128 : 0));

		text_add(out, &byte, 1);
		value /= 128;
	} while (value > 0);
}

static void
add_number_field(Text *out, uint32_t field, int64_t value)
{
	if (value == 0)
		return;
	add_varint(out, field * 8);
	add_varint(out, (uint64_t) value);
}

static void
add_bytes_field(Text *out, uint32_t field, Bytes value)
{
	if (value.length == 0)
		return;
	add_varint(out, field * 8 + 2);
	add_varint(out, value.length);
	text_add(out, value.data, value.length);
}

void
model_encode(const ModelVersion *version, bool value, bool lease, Text *out)
{
	add_bytes_field(out, 1, version->key);
	if (version->tombstone)
		return;
	add_number_field(out, 2, version->create);
	add_number_field(out, 3, version->main);
	add_number_field(out, 4, version->version);
	if (value)
		add_bytes_field(out, 5, version->value);
	if (lease)
		add_number_field(out, 6, version->lease);
}

void
model_encode_field(const ModelVersion *version, bool value, bool lease, uint8_t tag, Text *out)
{
	Text record = {0};

	model_encode(version, value, lease, &record);
	text_add(out, &tag, 1);
	add_varint(out, record.length);
	text_add(out, record.data, record.length);
	text_free(&record);
}

/* ---- encoding programs ----------------------------------------------------- */

static void
add_op(Text *out, const TestOp *op, OpHeader header)
{
	uint32_t length = op_encode(NULL, &header, op->key, op->range_end, op->value);
	uint64_t *buffer = calloc(1, length);

	assert_non_null(buffer);
	(void) op_encode((uint8_t *) buffer, &header, op->key, op->range_end, op->value);
	text_add(out, buffer, length);
	free(buffer);
}

/* base: where the first op lies in out. */
static void
encode_op(Text *out, const TestOp *op, size_t base)
{
	OpHeader header = {.kind = (uint16_t) op->kind, .flags = op->flags, .number = op->number};
	static const TestOp nothing;
	size_t txn = out->length;
	size_t jump;
	int64_t offset;

	if (op->kind != OP_TXN)
	{
		if (op->kind == OP_COMPARE)
			header.target = op->target | op->result << 8;
		add_op(out, op, header);
		return;
	}
	header.target = op->compare_count;
	add_op(out, &nothing, header);
	for (uint32_t i = 0; i < op->compare_count; i++)
		encode_op(out, &op->compares[i], base);
	for (uint32_t i = 0; i < op->then_count; i++)
		encode_op(out, &op->then_ops[i], base);
	jump = out->length;
	add_op(out, &nothing, (OpHeader){.kind = OP_JUMP});
	offset = (int64_t) (out->length - base);
	memcpy(out->data + txn + offsetof(OpHeader, number), &offset, sizeof(offset));
	for (uint32_t i = 0; i < op->else_count; i++)
		encode_op(out, &op->else_ops[i], base);
	offset = (int64_t) (out->length - base);
	memcpy(out->data + jump + offsetof(OpHeader, number), &offset, sizeof(offset));
}

/* ---- the store
 * ---------------------------------------------------------------------------------------------------
 */

static Status
no_wait(PageAccess *access)
{
	(void) access;
	return RUSD_DAMAGED;
}

static void
open_store(Fixture *fixture, const RootState *state, const uint64_t *used, uint64_t bits)
{
	assert_int_equal(store_create(fixture->shm, fixture->applier, state, used, bits, fixture->quota,
								  1, &fixture->store),
					 RUSD_OK);
	(void) store_publish(fixture->store);
}

Fixture *
fixture_create(uint64_t frames, int64_t quota)
{
	ShmLayout layout = {.slot_count = PROC_ESSENTIAL_COUNT + 3,
						.wal_buffer_bytes = 64 * 1024,
						.wal_segment_bytes = 64 * 1024,
						.frame_count = frames};
	RootState empty = {.revision = 1,
					   .compacted = -1,
					   .compaction_done = -1,
					   .keys.page = PAGE_NONE,
					   .revisions.page = PAGE_NONE,
					   .system.page = PAGE_NONE};
	Fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	assert_int_equal(shm_create(&layout, false, &fixture->shm), RUSD_OK);
	slot_occupy(fixture->shm, PROC_APPLIER);
	assert_true(slot_allocate(fixture->shm, &fixture->slot));
	fixture->applier = (PageAccess){.shm = fixture->shm,
									.area = fixture->shm->areas[PROC_APPLIER],
									.slot = PROC_APPLIER,
									.wait = no_wait};
	fixture->reader = (PageAccess){.shm = fixture->shm,
								   .area = fixture->shm->areas[fixture->slot],
								   .slot = fixture->slot,
								   .wait = no_wait};
	fixture->quota = quota;
	fixture->model.revision = 1;
	fixture->model.compacted = -1;
	fixture->seed = 1;
	open_store(fixture, &empty, NULL, 0);
	return fixture;
}

void
fixture_destroy(Fixture *fixture)
{
	store_destroy(fixture->store);
	shm_destroy(fixture->shm);
	for (size_t i = 0; i < fixture->model.count; i++)
	{
		free((void *) fixture->model.versions[i].key.data);
		free((void *) fixture->model.versions[i].value.data);
	}
	free(fixture->model.versions);
	text_free(&fixture->payload);
	free(fixture);
}

void
fixture_restart(Fixture *fixture)
{
	CheckpointRoot *handed = fixture->shm->checkpoint_root;
	uint64_t words;
	uint64_t *used;

	(void) store_publish(fixture->store);
	store_hand_over(fixture->store, handed);
	words = handed->bitmap_bits / 64 + 1;
	used = calloc(words, sizeof(uint64_t));
	assert_non_null(used);
	memcpy(used, fixture->shm->checkpoint_bitmap, words * sizeof(uint64_t));
	store_destroy(fixture->store);
	/* What the pager would have read is there still: only the states must say so. */
	memset(fixture->shm->hashes_kept, 0, sizeof(HashKept));
	assert_int_equal(store_create(fixture->shm, fixture->applier, &handed->root, used,
								  handed->bitmap_bits, fixture->quota, 1, &fixture->store),
					 RUSD_OK);
	for (uint64_t page = 0; page < handed->bitmap_bits; page++)
	{
		PageHeader *header = (PageHeader *) (fixture->shm->frames + page * PAGE_BYTES);

		if ((used[page / 64] >> (page % 64) & 1) == 0)
			continue;
		atomic_store(&fixture->shm->page_meta[page].birth, header->birth);
		atomic_store(&fixture->shm->page_meta[page].state, PAGE_RESIDENT);
	}
	atomic_store(&fixture->shm->positions->durable_root, handed->root.number);
	free(used);
	(void) store_publish(fixture->store);
}

ApplyResult
fixture_entry(Fixture *fixture, uint32_t kind, const void *body, size_t length)
{
	EntryHeader header = {{0}, 0, 0};
	ApplyResult result;

	fixture->payload.length = 0;
	text_add(&fixture->payload, &header, sizeof(header));
	text_add(&fixture->payload, body, length);
	assert_int_equal(entry_check(kind, fixture->payload.data, fixture->payload.length), RUSD_OK);
	assert_int_equal(store_apply(fixture->store, kind, ++fixture->index, 1, fixture->payload.data,
								 fixture->payload.length, &result),
					 RUSD_OK);
	return result;
}

static uint32_t
entry_kind_of(const TestOp *op)
{
	return op->kind == OP_PUT ? ENTRY_PUT : op->kind == OP_DELETE ? ENTRY_DELETE_RANGE : ENTRY_TXN;
}

ApplyResult
fixture_op(Fixture *fixture, TestOp *op)
{
	Text body = {0};
	ApplyResult result;
	uint64_t deleted;
	int64_t before = fixture->model.revision;
	Status expected = model_apply(&fixture->model, op, &deleted);

	encode_op(&body, op, 0);
	result = fixture_entry(fixture, entry_kind_of(op), body.data, body.length);
	text_free(&body);
	assert_int_equal(result.status, expected);
	assert_int_equal(result.revision, fixture->model.revision);
	assert_int_equal(result.changed, fixture->model.revision > before);
	if (op->kind == OP_DELETE)
		assert_int_equal(result.value, deleted);
	return result;
}

ApplyResult
fixture_put(Fixture *fixture, const char *key, const char *value)
{
	TestOp op = {.kind = OP_PUT, .key = bytes_of(key), .value = bytes_of(value)};

	return fixture_op(fixture, &op);
}

ApplyResult
fixture_delete(Fixture *fixture, const char *key, const char *range_end)
{
	TestOp op = {.kind = OP_DELETE, .key = bytes_of(key), .range_end = bytes_of(range_end)};

	return fixture_op(fixture, &op);
}

ApplyResult
fixture_compact(Fixture *fixture, int64_t revision, bool physical)
{
	EntryCompact compact = {.revision = revision, .physical = physical};
	ApplyResult result = fixture_entry(fixture, ENTRY_COMPACT, &compact, sizeof(compact));

	if (result.status == RUSD_OK)
		fixture->model.compacted = revision;
	return result;
}

void
fixture_finish_background(Fixture *fixture)
{
	while (store_has_background(fixture->store))
	{
		assert_int_equal(store_background(fixture->store, 0), RUSD_OK);
		(void) store_publish(fixture->store);
	}
}

Snapshot
fixture_snapshot(Fixture *fixture)
{
	Snapshot snapshot;

	(void) store_publish(fixture->store);
	assert_int_equal(snapshot_pin(&fixture->reader, &snapshot), RUSD_OK);
	return snapshot;
}

static void
ignore_page(void *arg, uint64_t page, uint64_t birth)
{
	(void) page;
	(void) birth;
	++*(uint64_t *) arg;
}

static uint64_t
check_tree(Fixture *fixture, TreeRoot root, TreeWeigh weigh)
{
	char message[256] = "";
	uint64_t pages = 0;

	if (tree_check(&fixture->reader, root, weigh, ignore_page, &pages, message, sizeof(message)) !=
		RUSD_OK)
		fail_msg("%s", message);
	return pages;
}

static void
check_key_cell(Fixture *fixture, const TreeCell *cell)
{
	const Model *model = &fixture->model;
	uint8_t *bytes = malloc(cell->key_length + 1);
	TreeHint hint = {0};
	const ModelVersion *version;
	Bytes key = {bytes, cell->key_length};
	int64_t main = (int64_t) ~cell->hi;

	assert_int_equal(tree_read_key(&fixture->reader, cell, 0, bytes, cell->key_length, &hint),
					 RUSD_OK);
	version = newest_before(model, key, main, ~cell->lo + 1);
	assert_non_null(version);
	assert_int_equal(version->main, main);
	assert_int_equal(version->sub, ~cell->lo);
	assert_int_equal((cell->flags & RECORD_TOMBSTONE) != 0, version->tombstone);
	/* [store-1] */
	assert_int_equal((cell->flags & RECORD_LIVE) != 0,
					 model_get(model, key, INT64_MAX, 0) == version);
	free(bytes);
}

void
fixture_check(Fixture *fixture)
{
	const Model *model = &fixture->model;
	Snapshot snapshot = fixture_snapshot(fixture);
	const RootState *root = &snapshot.root;
	uint64_t pages = check_tree(fixture, root->keys, store_weigh_keys);
	TreeCursor cursor;
	size_t count = 0;
	Status status;

	pages += check_tree(fixture, root->revisions, store_weigh_count);
	pages += check_tree(fixture, root->system, store_weigh_count);
	assert_int_equal(pages, root->pages_used);
	assert_int_equal(root->revision, model->revision);
	status = tree_seek(&cursor, &fixture->reader, root->keys, &(TreeKey){.hi = 0});
	for (; status == RUSD_OK; status = tree_next(&cursor), count++)
		check_key_cell(fixture, &cursor.cell);
	assert_int_equal(status, RUSD_END);
	assert_int_equal(count, model->count);
	count = 0;
	status = tree_seek(&cursor, &fixture->reader, root->revisions, &(TreeKey){.hi = 0});
	for (; status == RUSD_OK; status = tree_next(&cursor), count++)
	{
		const ModelVersion *version = &model->versions[count];
		int order;

		assert_true(count < model->count);
		assert_int_equal(cursor.cell.hi, version->main);
		assert_int_equal(cursor.cell.lo, version->sub);
		assert_int_equal(cursor.cell.flags, version->tombstone ? RECORD_TOMBSTONE : 0);
		assert_int_equal(cursor.cell.value_length, version->key.length);
		order = memcmp(cursor.cell.value_inline.data, version->key.data,
					   Min(cursor.cell.value_inline.length, version->key.length));
		assert_int_equal(order, 0);
	}
	assert_int_equal(count, model->count);
	snapshot_unpin(&snapshot);
}

/* ---- chance
 * ---------------------------------------------------------------------------------------------------------
 */

uint64_t
random_below(Fixture *fixture, uint64_t bound)
{
	uint64_t value;

	/* splitmix64 */
	fixture->seed += UINT64_C(0x9e3779b97f4a7c15);
	value = fixture->seed;
	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return (value ^ value >> 31) % bound;
}

#define POOL_KEYS 48
static uint8_t pool[POOL_KEYS][4096];
static Bytes pool_keys[POOL_KEYS];

static void
fill_pool(void)
{
	for (size_t i = 0; i < POOL_KEYS; i++)
	{
		size_t length = 0;

		if (i < 24) /* k, ka, kaa ...: prefixes of each other and neighbours */
		{
			pool[i][length++] = (uint8_t) ('a' + i % 4);
			for (size_t j = 0; j < i / 4; j++)
				pool[i][length++] = (uint8_t) (i % 3 == 0 ? 'a' : 'z');
		}
		else if (i < 32)
		{
			static const uint8_t odd[8][3] = {{0},      {0, 0},      {0xff},        {0xff, 0xff},
											  {'a', 0}, {'b', 0xff}, {'a', 0, 'x'}, {0xfe, 0xff}};
			static const uint8_t lengths[8] = {1, 2, 1, 2, 2, 2, 3, 2};

			length = lengths[i - 24];
			memcpy(pool[i], odd[i - 24], length);
		}
		else /* long ones, which differ at their ends or in length */
		{
			length = i % 2 == 0 ? 700 + i : 1500 + 2 * i;
			memset(pool[i], 'c', length);
			pool[i][length - 1] = (uint8_t) i;
		}
		pool_keys[i] = (Bytes){pool[i], length};
	}
}

Bytes
random_key(Fixture *fixture)
{
	if (pool_keys[0].length == 0)
		fill_pool();
	return pool_keys[random_below(fixture, POOL_KEYS)];
}

Bytes
random_end(Fixture *fixture)
{
	static const uint8_t zero[1];

	switch (random_below(fixture, 4))
	{
		case 0:
			return (Bytes){0};
		case 1:
			return (Bytes){zero, 1};
		default:
			return random_key(fixture);
	}
}

Bytes
random_value(Fixture *fixture)
{
	static uint8_t data[30000];
	static const size_t bounds[8] = {1, 4, 20, 20, 300, 300, 3000, sizeof(data)};
	size_t length = random_below(fixture, bounds[random_below(fixture, 8)]);

	for (size_t i = 0; i < length; i++)
		data[i] = (uint8_t) random_below(fixture, i < 10 ? 2 : 256);
	return (Bytes){data, length};
}

TestOp
random_put(Fixture *fixture)
{
	TestOp op = {.kind = OP_PUT, .key = random_key(fixture)};

	if (random_below(fixture, 8) == 0)
		op.flags |= OP_IGNORE_VALUE;
	else
		op.value = random_value(fixture);
	if (random_below(fixture, 8) == 0)
		op.flags |= OP_IGNORE_LEASE;
	else if (random_below(fixture, 30) == 0)
		op.number = 7;
	return op;
}

TestOp
random_delete(Fixture *fixture)
{
	return (TestOp){.kind = OP_DELETE,
					.key = random_key(fixture),
					.range_end = random_below(fixture, 4) == 0 ? random_end(fixture) : (Bytes){0}};
}

void
fixture_history(Fixture *fixture, uint32_t entries)
{
	for (uint32_t i = 0; i < entries; i++)
	{
		TestOp op;

		if (random_below(fixture, 4) == 0)
			op = random_delete(fixture);
		else
			op = random_put(fixture);
		(void) fixture_op(fixture, &op);
		if (random_below(fixture, 5) == 0)
			(void) store_publish(fixture->store);
	}
}
