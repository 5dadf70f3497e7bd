/*
 * test_store.c
 *	  The store: puts and deletes against a model, snapshots, alarms, quota, members, restart, room.
 *
 * test/unit/test_store.c
 */
#include "rusd.h"

#include "cmocka_all.h"
#include "ipc/slot.h"
#include "store_fixture.h"

/* KV-1, KV-2, KV-5, KV-6, KV-80 */
static void
test_revisions(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	Snapshot snapshot;
	RangeItem item;

	(void) state;
	assert_int_equal(store_root(fixture->store)->revision, 1);
	assert_int_equal(fixture_delete(fixture, "a", NULL).revision, 1);
	assert_int_equal(fixture_put(fixture, "a", "1").revision, 2);
	assert_int_equal(fixture_put(fixture, "a", "1").revision, 3);
	snapshot = fixture_snapshot(fixture);
	assert_int_equal(range_get(&snapshot, bytes_of("a"), 4, 0, &item), RUSD_OK);
	assert_int_equal(item.create_revision, 2);
	assert_int_equal(item.mod_revision, 3);
	assert_int_equal(item.version, 2);
	assert_int_equal(item.lease, 0);
	assert_int_equal(item.value_length, 1);
	snapshot_unpin(&snapshot);
	assert_int_equal(fixture_delete(fixture, "a", NULL).revision, 4);
	assert_int_equal(fixture_put(fixture, "a", "2").revision, 5);
	snapshot = fixture_snapshot(fixture);
	assert_int_equal(range_get(&snapshot, bytes_of("a"), 5, 0, &item), RUSD_NOT_FOUND);
	assert_int_equal(range_get(&snapshot, bytes_of("a"), 6, 0, &item), RUSD_OK);
	assert_int_equal(item.create_revision, 5);
	assert_int_equal(item.version, 1);
	assert_int_equal(range_get(&snapshot, bytes_of("b"), 6, 0, &item), RUSD_NOT_FOUND);
	/* KV-33 */
	assert_int_equal(store_check_revision(&snapshot.root, 6), RUSD_FUTURE_REV);
	assert_int_equal(store_check_revision(&snapshot.root, 5), RUSD_OK);
	assert_int_equal(store_check_revision(&snapshot.root, 0), RUSD_OK);
	assert_int_equal(store_check_revision(&snapshot.root, -7), RUSD_OK);
	snapshot_unpin(&snapshot);
	fixture_check(fixture);
	fixture_destroy(fixture);
}

/* KV-71, KV-72: ignore_value and ignore_lease; no lease is known yet. */
static void
test_put_checks(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	TestOp op = {.kind = OP_PUT, .key = bytes_of("a"), .flags = OP_IGNORE_VALUE};

	(void) state;
	assert_int_equal(fixture_op(fixture, &op).status, RUSD_KEY_NOT_FOUND);
	op.number = 5;
	assert_int_equal(fixture_op(fixture, &op).status, RUSD_LEASE_NOT_FOUND);
	op.number = 0;
	op.flags = OP_IGNORE_LEASE;
	op.value = bytes_of("x");
	assert_int_equal(fixture_op(fixture, &op).status, RUSD_KEY_NOT_FOUND);
	op.flags = 0;
	assert_int_equal(fixture_op(fixture, &op).revision, 2);
	op.flags = OP_IGNORE_VALUE | OP_IGNORE_LEASE;
	op.value = (Bytes){0};
	assert_int_equal(fixture_op(fixture, &op).revision, 3);
	fixture_check(fixture);
	fixture_destroy(fixture);
}

static void
test_random_history(void **state)
{
	(void) state;
	for (uint64_t seed = 1; seed <= 6; seed++)
	{
		Fixture *fixture = fixture_create(20000, -1);

		fixture->seed = seed;
		for (int round = 0; round < 4; round++)
		{
			fixture_history(fixture, 150);
			fixture_check(fixture);
			if (round % 2 == 1)
				fixture_restart(fixture);
		}
		fixture_check(fixture);
		fixture_destroy(fixture);
	}
}

static ApplyResult
put_number(Fixture *fixture, uint32_t number, size_t value_length)
{
	static uint8_t value[10000];
	uint64_t body[2000];
	OpHeader header = {.kind = OP_PUT};
	char key[32];
	uint32_t length;

	(void) snprintf(key, sizeof(key), "key/%08u", number);
	length = op_encode((uint8_t *) body, &header, bytes_of(key), (Bytes){0},
					   (Bytes){value, value_length});
	return fixture_entry(fixture, ENTRY_PUT, body, length);
}

/* The payload of an entry with this operation alone. */
static Text
encode_entry(const TestOp *op)
{
	OpHeader header = {.kind = (uint16_t) op->kind, .flags = op->flags, .number = op->number};
	uint32_t length = op_encode(NULL, &header, op->key, op->range_end, op->value);
	uint8_t *body = calloc(1, length);
	Text entry = {0};

	assert_non_null(body);
	(void) op_encode(body, &header, op->key, op->range_end, op->value);
	text_add(&entry, &(EntryHeader){{0}, 0, 0}, sizeof(EntryHeader));
	text_add(&entry, body, length);
	free(body);
	return entry;
}

static uint64_t
count_keys(Fixture *fixture, const Snapshot *snapshot)
{
	RangeSpec spec = {.key = bytes_of("key/"),
					  .range_end = bytes_of("key0"),
					  .view_main = snapshot->root.revision + 1,
					  .count_only = true};
	RangeReader *reader;
	int64_t count;
	uint64_t bytes;
	bool more;

	(void) fixture;
	assert_int_equal(range_open(snapshot, &spec, &reader), RUSD_OK);
	assert_int_equal(range_measure(reader, &count, &bytes, &more), RUSD_OK);
	assert_int_equal(bytes, 0);
	assert_false(more);
	range_close(reader);
	return (uint64_t) count;
}

/* One entry that deletes 30,000 keys: one revision, subs in the order of keys (KV-3, KV-81). */
static void
test_delete_many(void **state)
{
	Fixture *fixture = fixture_create(8192, -1);
	uint64_t body[16];
	OpHeader header = {.kind = OP_DELETE};
	uint64_t pages = 0;
	uint64_t used;
	Snapshot snapshot;
	uint32_t length;
	ApplyResult result;
	TreeCursor cursor;
	Status status;

	(void) state;
	for (uint32_t i = 0; i < 30000; i++)
	{
		assert_int_equal(put_number(fixture, i * 7919 % 30000, 16).status, RUSD_OK);
		if (i % 500 == 0)
			(void) store_publish(fixture->store);
	}
	(void) store_publish(fixture->store);
	(void) store_make_room(fixture->store, 0);
	snapshot = fixture_snapshot(fixture);
	assert_int_equal(count_keys(fixture, &snapshot), 30000);
	length = op_encode((uint8_t *) body, &header, bytes_of("key/"), bytes_of("key0"), (Bytes){0});
	fixture->payload.length = 0;
	text_add(&fixture->payload, &(EntryHeader){{0}, 0, 0}, sizeof(EntryHeader));
	text_add(&fixture->payload, body, length);
	assert_int_equal(store_estimate(&snapshot, ENTRY_DELETE_RANGE, fixture->payload.data,
									fixture->payload.length, 0, &pages),
					 RUSD_OK);
	used = store_root(fixture->store)->frames_free;
	result = fixture_entry(fixture, ENTRY_DELETE_RANGE, body, length);
	assert_int_equal(result.value, 30000);
	assert_int_equal(result.revision, 30002);
	/* The estimate was from above, and not absurd.  The pin keeps all that was replaced. */
	(void) store_publish(fixture->store);
	used -= store_root(fixture->store)->frames_free;
	snapshot_unpin(&snapshot);
	snapshot = fixture_snapshot(fixture);
	assert_int_equal(count_keys(fixture, &snapshot), 0);
	assert_in_range(pages, used, 4 * used);
	status = tree_seek(&cursor, &fixture->reader, snapshot.root.revisions, &(TreeKey){.hi = 30002});
	for (uint32_t i = 0; i < 30000; i++)
	{
		char key[32];

		assert_int_equal(status, RUSD_OK);
		assert_int_equal(cursor.cell.hi, 30002);
		assert_int_equal(cursor.cell.lo, i);
		(void) snprintf(key, sizeof(key), "key/%08u", i);
		assert_memory_equal(cursor.cell.value_inline.data, key, 12);
		status = tree_next(&cursor);
	}
	assert_int_equal(status, RUSD_END);
	snapshot_unpin(&snapshot);
	fixture_destroy(fixture);
}

/* A pinned root is seen unchanged, whatever is written and reclaimed; unpinned pages come back. */
static void
test_snapshots(void **state)
{
	Fixture *fixture = fixture_create(2000, -1);
	Snapshot snapshots[SNAPSHOT_PINS];
	Snapshot extra;
	RangeItem item;
	uint64_t end;

	(void) state;
	for (int i = 0; i < SNAPSHOT_PINS; i++)
	{
		for (uint32_t j = 0; j < 40; j++)
		{
			(void) put_number(fixture, j, 100 + (size_t) i);
			(void) store_publish(fixture->store);
		}
		snapshots[i] = fixture_snapshot(fixture);
	}
	assert_int_equal(snapshot_pin(&fixture->reader, &extra), RUSD_AGAIN);
	for (int i = 0; i < SNAPSHOT_PINS; i++)
	{
		assert_int_equal(count_keys(fixture, &snapshots[i]), 40);
		assert_int_equal(range_get(&snapshots[i], bytes_of("key/00000017"),
								   snapshots[i].root.revision + 1, 0, &item),
						 RUSD_OK);
		assert_int_equal(item.value_length, 100 + i);
		assert_int_equal(item.version, i + 1);
		snapshot_unpin(&snapshots[i]);
	}
	atomic_store(&fixture->shm->positions->durable_root, store_root(fixture->store)->number);
	end = store_root(fixture->store)->pages_end;
	for (uint32_t j = 0; j < 2000; j++)
	{
		(void) put_number(fixture, j % 40, 1);
		(void) store_publish(fixture->store);
		atomic_store(&fixture->shm->positions->durable_root, store_root(fixture->store)->number);
	}
	/* Two thousand roots of three new pages each: only reuse keeps the file this small. */
	assert_in_range(store_root(fixture->store)->pages_end, 1, end + 400);
	fixture_destroy(fixture);
}

/* A result pin holds the root that a reply names; a snapshot pin takes over. */
static void
test_reply_snapshots(void **state)
{
	Fixture *fixture = fixture_create(2000, -1);
	BackendArea *area = fixture->shm->areas[fixture->slot];
	Reply reply = {.generation = 1};
	Snapshot snapshot;
	Snapshot held;
	RangeItem item;

	(void) state;
	(void) fixture_put(fixture, "a", "old");
	(void) store_publish(fixture->store);
	reply.revision = fixture_put(fixture, "a", "new").revision;
	(void) fixture_put(fixture, "a", "newer"); /* of the same batch */
	(void) fixture_put(fixture, "key/1", "");
	result_pin(area, store_next_root(fixture->store));
	result_pin(area, store_next_root(fixture->store));
	reply.root = store_publish(fixture->store);
	reply.keys_page = store_root(fixture->store)->keys.page;
	reply.keys_birth = store_root(fixture->store)->keys.birth;
	for (int i = 0; i < 500; i++)
	{
		(void) fixture_put(fixture, "a", "later");
		(void) store_publish(fixture->store);
	}
	snapshot_of_reply(&fixture->reader, &reply, &snapshot);
	assert_false(snapshot_is_ended(&snapshot));
	/* prev_kv: what the view (main, 0) sees. */
	assert_int_equal(range_get(&snapshot, bytes_of("a"), reply.revision, 0, &item), RUSD_OK);
	assert_int_equal(item.mod_revision, 2);
	assert_int_equal(range_get(&snapshot, bytes_of("a"), reply.revision, 1, &item), RUSD_OK);
	assert_int_equal(item.mod_revision, 3);
	/* A range at its view: what the same batch put later is in the tree, live, and is not seen. */
	assert_int_equal(count_keys(fixture, &snapshot), 0);
	assert_int_equal(snapshot_pin_reply(&fixture->reader, &reply, &held), RUSD_OK);
	result_unpin(area);
	result_unpin(area);
	assert_int_equal(atomic_load(&area->result_pin) & 0xffff, 0);
	for (int i = 0; i < 500; i++)
	{
		(void) fixture_put(fixture, "a", "later");
		(void) store_publish(fixture->store);
	}
	assert_int_equal(range_get(&held, bytes_of("a"), reply.revision, 0, &item), RUSD_OK);
	assert_int_equal(item.mod_revision, 2);
	assert_int_equal(item.value_length, 3);
	snapshot_unpin(&held);
	fixture_destroy(fixture);
}

static ApplyResult
alarm(Fixture *fixture, uint32_t action, uint32_t kind, uint64_t member)
{
	EntryAlarm body = {.action = action, .alarm = kind, .member_id = member};

	return fixture_entry(fixture, ENTRY_ALARM, &body, sizeof(body));
}

static Status
raw_op(Fixture *fixture, uint32_t kind, uint16_t op)
{
	uint64_t body[16];
	OpHeader header = {.kind = op};
	uint32_t length = op_encode((uint8_t *) body, &header, bytes_of("k"), (Bytes){0}, (Bytes){0});

	return fixture_entry(fixture, kind, body, length).status;
}

/* A transaction with nothing in its then branch and one op in its else branch. */
static Status
raw_txn(Fixture *fixture, uint16_t op)
{
	uint64_t body[32];
	uint8_t *out = (uint8_t *) body;
	OpHeader txn = {.kind = OP_TXN, .number = 64};
	OpHeader jump = {.kind = OP_JUMP, .number = 104};
	OpHeader header = {.kind = op};

	out += op_encode(out, &txn, (Bytes){0}, (Bytes){0}, (Bytes){0});
	out += op_encode(out, &jump, (Bytes){0}, (Bytes){0}, (Bytes){0});
	out += op_encode(out, &header, bytes_of("k"), (Bytes){0}, (Bytes){0});
	return fixture_entry(fixture, ENTRY_TXN, body, (size_t) (out - (uint8_t *) body)).status;
}

/* QUOTA-7, QUOTA-8, QUOTA-10, QUOTA-11, MAINT-2 to MAINT-4 */
static void
test_alarms(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	EntryCompact compact = {.revision = 0};
	AlarmMember alarms[2];
	Snapshot snapshot;
	uint32_t count;

	(void) state;
	assert_int_equal(alarm(fixture, 2, 1, 9).value, 0);
	assert_int_equal(alarm(fixture, 1, 0, 9).value, 0);
	assert_int_equal(alarm(fixture, 1, 1, 9).value, 1);
	assert_int_equal(alarm(fixture, 1, 1, 9).value, 1);
	assert_int_equal(alarm(fixture, 1, 1, 3).value, 1);
	assert_int_equal(alarm(fixture, 1, 12, 3).value, 1); /* no kind that anyone knows */
	assert_int_equal(store_root(fixture->store)->alarms, STORE_ALARM_NOSPACE);
	snapshot = fixture_snapshot(fixture);
	assert_int_equal(store_alarms(&snapshot, alarms, 2, &count), RUSD_OK);
	assert_int_equal(count, 3);
	assert_int_equal(alarms[0].member_id, 3);
	assert_int_equal(alarms[0].alarm, 1);
	assert_int_equal(alarms[1].member_id, 3);
	assert_int_equal(alarms[1].alarm, 12);
	snapshot_unpin(&snapshot);
	assert_int_equal(raw_op(fixture, ENTRY_PUT, OP_PUT), RUSD_NOSPACE);
	assert_int_equal(raw_op(fixture, ENTRY_DELETE_RANGE, OP_DELETE), RUSD_OK);
	assert_int_equal(raw_txn(fixture, OP_PUT), RUSD_NOSPACE); /* in the branch that is not taken */
	assert_int_equal(raw_txn(fixture, OP_DELETE), RUSD_OK);
	assert_int_equal(alarm(fixture, 1, 2, 3).value, 1);
	assert_int_equal(raw_op(fixture, ENTRY_PUT, OP_PUT), RUSD_CORRUPT);
	assert_int_equal(raw_op(fixture, ENTRY_DELETE_RANGE, OP_DELETE), RUSD_CORRUPT);
	assert_int_equal(raw_txn(fixture, OP_DELETE), RUSD_CORRUPT);
	assert_int_equal(fixture_entry(fixture, ENTRY_COMPACT, &compact, sizeof(compact)).status,
					 RUSD_CORRUPT);
	fixture_restart(fixture);
	assert_int_equal(raw_op(fixture, ENTRY_PUT, OP_PUT), RUSD_CORRUPT);
	assert_int_equal(alarm(fixture, 2, 2, 0).value, 0); /* 0 is not all */
	assert_int_equal(alarm(fixture, 2, 2, 3).value, 1);
	assert_int_equal(alarm(fixture, 2, 1, 3).value, 1);
	assert_int_equal(raw_op(fixture, ENTRY_PUT, OP_PUT), RUSD_NOSPACE);
	assert_int_equal(alarm(fixture, 2, 1, 9).value, 1);
	assert_int_equal(store_root(fixture->store)->alarms, 0);
	assert_int_equal(raw_op(fixture, ENTRY_PUT, OP_PUT), RUSD_OK);
	assert_int_equal(store_root(fixture->store)->revision, 2); /* KV-4 */
	fixture_destroy(fixture);
}

/* QUOTA-3, QUOTA-4, QUOTA-6: applied all the same, and told. */
static void
test_quota(void **state)
{
	Fixture *fixture = fixture_create(1000, 40 * PAGE_BYTES);
	ApplyResult result = {0};
	uint32_t puts = 0;
	uint64_t size;

	(void) state;
	for (; !result.over_quota; puts++)
	{
		size = store_root(fixture->store)->pages_end * PAGE_BYTES;
		result = put_number(fixture, puts, 3000);
		assert_int_equal(result.status, RUSD_OK);
		assert_true(result.changed);
		(void) store_publish(fixture->store);
		assert_true(puts < 1000);
		/* The root that this entry was applied on was counted after it was published. */
		assert_int_equal(result.over_quota, size + 256 + 12 + 3000 >= 40 * PAGE_BYTES);
	}
	assert_int_equal(store_root(fixture->store)->revision, puts + 1);
	assert_int_equal(raw_op(fixture, ENTRY_DELETE_RANGE, OP_DELETE), RUSD_OK);
	fixture_destroy(fixture);
}

/* As a backend and the applier do it: what is judged wrong is not applied, and tells why. */
static ApplyResult
member_entry(Fixture *fixture, uint32_t action, uint64_t id, bool learner, const char *name,
			 const char *peer, const char *client)
{
	EntryMember head = {.member_id = id,
						.action = action,
						.is_learner = learner,
						.max_learners = 1,
						.name_length = (uint32_t) strlen(name),
						.peer_url_count = peer != NULL,
						.client_url_count = client != NULL};
	const char *strings[3] = {name, peer, client};
	Text body = {0};
	ApplyResult result = {.status = RUSD_OK};
	Snapshot snapshot;

	text_add(&body, &head, sizeof(head));
	for (int i = 0; i < 3; i++)
	{
		uint32_t length = strings[i] == NULL ? 0 : (uint32_t) strlen(strings[i]);

		if (strings[i] == NULL)
			continue;
		text_add(&body, &length, sizeof(length));
		text_add(&body, strings[i], length);
	}
	if (action != MEMBER_PUBLISH)
	{
		snapshot = fixture_snapshot(fixture);
		result.status = store_judge_member(&snapshot, body.data, body.length);
		snapshot_unpin(&snapshot);
	}
	if (result.status == RUSD_OK)
		result = fixture_entry(fixture,
							   action == MEMBER_PUBLISH ? ENTRY_MEMBER_ATTRIBUTES : ENTRY_MEMBER,
							   body.data, body.length);
	text_free(&body);
	return result;
}

/* CLUSTER-4, CLUSTER-5, CLUSTER-13, CLUSTER-32 */
static void
test_members(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	Snapshot snapshot;
	StoreMember member;
	char version[16];

	(void) state;
	assert_int_equal(member_entry(fixture, MEMBER_ADD, 7, false, "", "http://p7", NULL).status,
					 RUSD_OK);
	assert_int_equal(member_entry(fixture, MEMBER_ADD, 7, false, "", "http://q", NULL).status,
					 RUSD_MEMBER_EXISTS);
	assert_int_equal(member_entry(fixture, MEMBER_ADD, 8, false, "", "http://p7", NULL).status,
					 RUSD_PEER_URL_EXISTS);
	assert_int_equal(
		member_entry(fixture, MEMBER_ADD, UINT64_MAX, true, "", "http://p8", NULL).status, RUSD_OK);
	assert_int_equal(member_entry(fixture, MEMBER_ADD, 9, true, "", "http://p9", NULL).status,
					 RUSD_TOO_MANY_LEARNERS);
	assert_int_equal(member_entry(fixture, MEMBER_PROMOTE, 7, false, "", NULL, NULL).status,
					 RUSD_MEMBER_NOT_LEARNER);
	assert_int_equal(member_entry(fixture, MEMBER_UPDATE, 7, false, "", "http://p8", NULL).status,
					 RUSD_PEER_URL_EXISTS);
	assert_int_equal(member_entry(fixture, MEMBER_UPDATE, 6, false, "", "http://x", NULL).status,
					 RUSD_MEMBER_NOT_FOUND);
	assert_int_equal(
		member_entry(fixture, MEMBER_PUBLISH, 7, false, "seven", NULL, "http://c7").status,
		RUSD_OK);
	assert_int_equal(member_entry(fixture, MEMBER_UPDATE, 7, false, "", "http://new", NULL).status,
					 RUSD_OK);
	assert_int_equal(
		member_entry(fixture, MEMBER_PROMOTE, UINT64_MAX, false, "", NULL, NULL).status, RUSD_OK);
	assert_int_equal(fixture_entry(fixture, ENTRY_CLUSTER_VERSION, "3.7.0", 5).status, RUSD_OK);
	snapshot = fixture_snapshot(fixture);
	assert_int_equal(store_next_member(&snapshot, 0, &member), RUSD_OK);
	assert_int_equal(member.id, 7);
	assert_false(member.is_learner);
	assert_string_equal(member.name, "seven");
	assert_int_equal(member.peer_url_count, 1);
	assert_string_equal(member.peer_urls[0], "http://new");
	assert_int_equal(member.client_url_count, 1);
	assert_string_equal(member.client_urls[0], "http://c7");
	store_member_free(&member);
	assert_int_equal(store_next_member(&snapshot, 7, &member), RUSD_OK);
	assert_true(member.id == UINT64_MAX);
	assert_false(member.is_learner);
	assert_string_equal(member.name, "");
	store_member_free(&member);
	assert_int_equal(store_next_member(&snapshot, UINT64_MAX, &member), RUSD_END);
	assert_int_equal(store_cluster_version(&snapshot, version, sizeof(version)), RUSD_OK);
	assert_string_equal(version, "3.7.0");
	assert_int_equal(snapshot.root.revision, 1);
	snapshot_unpin(&snapshot);
	assert_int_equal(member_entry(fixture, MEMBER_REMOVE, 7, false, "", NULL, NULL).status,
					 RUSD_OK);
	assert_int_equal(member_entry(fixture, MEMBER_REMOVE, 7, false, "", NULL, NULL).status,
					 RUSD_MEMBER_NOT_FOUND);
	assert_int_equal(member_entry(fixture, MEMBER_ADD, 7, false, "", "http://p7", NULL).status,
					 RUSD_MEMBER_NOT_FOUND);
	assert_int_equal(member_entry(fixture, MEMBER_PUBLISH, 7, false, "seven", NULL, NULL).status,
					 RUSD_MEMBER_NOT_FOUND);
	snapshot = fixture_snapshot(fixture);
	assert_int_equal(store_find_removed(&snapshot, 7), RUSD_OK);
	assert_int_equal(store_find_removed(&snapshot, 8), RUSD_NOT_FOUND);
	snapshot_unpin(&snapshot);
	fixture_destroy(fixture);
}

/* [store-8] What the configuration has taken is done: the table holds the same members as that, whatever their URLs. */
static void
test_members_follow_the_configuration(void **state)
{
	struct
	{
		EntryMember head;
		uint32_t name_length;
		uint32_t url_length;
		char url[8];
	} added = {.head = {.action = MEMBER_ADD, .is_learner = 1, .peer_url_count = 1},
			   .url_length = 8,
			   .url = {'h', 't', 't', 'p', ':', '/', '/', 'p'}};
	Fixture *fixture = fixture_create(1000, -1);
	Snapshot snapshot;
	StoreMember member;

	(void) state;
	for (uint64_t id = 1; id <= 2; id++)
	{
		added.head.member_id = id;
		assert_int_equal(fixture_entry(fixture, ENTRY_MEMBER, &added,
									   offsetof(__typeof__(added), url) + sizeof(added.url))
							 .status,
						 RUSD_OK);
	}
	snapshot = fixture_snapshot(fixture);
	assert_int_equal(store_next_member(&snapshot, 1, &member), RUSD_OK);
	assert_int_equal(member.id, 2);
	store_member_free(&member);
	snapshot_unpin(&snapshot);
	fixture_destroy(fixture);
}

/* When frames are wanted the oldest snapshots are ended, one root at a time. */
static void
test_make_room(void **state)
{
	Fixture *fixture = fixture_create(1000, -1);
	Snapshot old;
	Snapshot young;
	uint64_t before;

	(void) state;
	for (uint32_t i = 0; i < 200; i++)
		(void) put_number(fixture, i, 2000);
	old = fixture_snapshot(fixture);
	for (uint32_t i = 0; i < 200; i++)
		(void) put_number(fixture, i, 2001);
	young = fixture_snapshot(fixture);
	(void) put_number(fixture, 0, 1);
	(void) store_publish(fixture->store);
	atomic_store(&fixture->shm->positions->durable_root, store_root(fixture->store)->number);
	before = store_root(fixture->store)->frames_free;
	(void) store_make_room(fixture->store, 1);
	assert_false(snapshot_is_ended(&old));
	(void) store_make_room(fixture->store, 990);
	assert_true(snapshot_is_ended(&old));
	assert_false(snapshot_is_ended(&young));
	/* Not the next one before the first has let go. */
	(void) store_make_room(fixture->store, 990);
	assert_false(snapshot_is_ended(&young));
	snapshot_unpin(&old);
	assert_true(store_make_room(fixture->store, 990));
	assert_true(snapshot_is_ended(&young));
	(void) store_publish(fixture->store);
	assert_true(store_root(fixture->store)->frames_free > before);
	snapshot_unpin(&young);
	fixture_destroy(fixture);
}

/* MAINT-21: after moving, the file ends near what is used, and nothing has changed. */
static void
test_defragment(void **state)
{
	Fixture *fixture = fixture_create(6000, -1);
	ShmPositions *positions = fixture->shm->positions;
	bool done = false;
	Snapshot snapshot;
	uint64_t before;

	(void) state;
	for (uint32_t i = 0; i < 20000; i++)
	{
		(void) put_number(fixture, i, 200);
		if (i % 100 == 0)
			(void) store_publish(fixture->store);
	}
	for (uint32_t i = 0; i < 20000; i += 100)
	{
		char from[32];
		char to[32];
		uint64_t body[16];
		OpHeader header = {.kind = OP_DELETE};

		(void) snprintf(from, sizeof(from), "key/%08u", i);
		(void) snprintf(to, sizeof(to), "key/%08u", i + 95);
		(void) fixture_entry(
			fixture, ENTRY_DELETE_RANGE, body,
			op_encode((uint8_t *) body, &header, bytes_of(from), bytes_of(to), (Bytes){0}));
	}
	fixture->model.revision = store_root(fixture->store)->revision;
	assert_int_equal(fixture_compact(fixture, fixture->model.revision, false).status, RUSD_OK);
	fixture_finish_background(fixture);
	before = store_publish(fixture->store);
	atomic_store(&positions->durable_root, before);
	(void) store_make_room(fixture->store, 0);
	before = store_root(fixture->store)->pages_end;
	/* A pass, then a checkpoint, as the applier does it: what was copied on the way leaves holes
	 * for the next. */
	for (int pass = 0; pass < 2; pass++)
	{
		do
		{
			assert_int_equal(store_defragment_step(fixture->store, &done), RUSD_OK);
			(void) store_publish(fixture->store);
		} while (!done);
		atomic_store(&positions->durable_root, store_root(fixture->store)->number);
		(void) store_make_room(fixture->store, 0);
		(void) store_publish(fixture->store);
	}
	assert_in_range(store_root(fixture->store)->pages_end, 1, before / 2);
	assert_in_range(store_root(fixture->store)->pages_end, 1,
					store_root(fixture->store)->pages_used * 3 / 2 + 16);
	snapshot = fixture_snapshot(fixture);
	assert_int_equal(count_keys(fixture, &snapshot), 1000);
	snapshot_unpin(&snapshot);
	fixture_destroy(fixture);
}

/* Every entry of a random history takes no more pages than was estimated, by backend and applier. */
static void
test_estimate(void **state)
{
	Fixture *fixture = fixture_create(20000, -1);

	(void) state;
	for (int i = 0; i < 600; i++)
	{
		TestOp op = random_below(fixture, 4) == 0 ? random_delete(fixture) : random_put(fixture);
		uint64_t before;
		uint64_t after;
		uint64_t pages;
		uint64_t needed;
		Snapshot snapshot = fixture_snapshot(fixture);
		uint32_t kind = op.kind == OP_PUT ? ENTRY_PUT : ENTRY_DELETE_RANGE;
		Text entry = encode_entry(&op);

		assert_int_equal(
			store_frames_needed(fixture->store, kind, entry.data, entry.length, &needed), RUSD_OK);
		text_free(&entry);
		before = store_root(fixture->store)->frames_free;
		(void) fixture_op(fixture, &op);
		assert_int_equal(store_estimate(&snapshot, kind, fixture->payload.data,
										fixture->payload.length, 0, &pages),
						 RUSD_OK);
		(void) store_publish(fixture->store);
		after = store_root(fixture->store)->frames_free;
		if (before > after)
			assert_in_range(before - after, 0, Min(pages, needed));
		snapshot_unpin(&snapshot);
	}
	fixture_destroy(fixture);
}

/* A value that is kept may grow until the entry is applied; a deletion may meet what is on its way. */
static void
test_estimate_of_what_may_come(void **state)
{
	Fixture *fixture = fixture_create(2000, -1);
	TestOp keep = {.kind = OP_PUT, .key = bytes_of("key/00000001"), .flags = OP_IGNORE_VALUE};
	TestOp delete = {.kind = OP_DELETE, .key = bytes_of("key/"), .range_end = bytes_of("key0")};
	_Atomic uint64_t *promised = &fixture->shm->requests->frames_promised;
	uint64_t large = 100 * TREE_OVERFLOW_BYTES;
	uint64_t reserve = 24 + 16; /* of a compaction */
	uint64_t now;
	uint64_t later;
	uint64_t before;
	Text entry = encode_entry(&keep);
	Snapshot snapshot;
	Snapshot held;

	(void) state;
	(void) put_number(fixture, 1, 10);
	snapshot = fixture_snapshot(fixture);
	assert_int_equal(store_estimate(&snapshot, ENTRY_PUT, entry.data, entry.length, 0, &now),
					 RUSD_OK);
	assert_int_equal(store_estimate(&snapshot, ENTRY_PUT, entry.data, entry.length, large, &later),
					 RUSD_OK);
	assert_int_equal(later, now + 99);
	/* Never more than a quarter of the cache. */
	assert_int_equal(
		store_estimate(&snapshot, ENTRY_PUT, entry.data, entry.length, 100 * large, &later),
		RUSD_OK);
	assert_int_equal(later, now + 500);
	snapshot_unpin(&snapshot);
	/* In the trees being built it has grown, though nothing is published. */
	(void) put_number(fixture, 1, 9000);
	assert_int_equal(
		store_frames_needed(fixture->store, ENTRY_PUT, entry.data, entry.length, &later), RUSD_OK);
	assert_int_equal(later, now + 1 + reserve);
	text_free(&entry);

	entry = encode_entry(&delete);
	snapshot = fixture_snapshot(fixture);
	assert_int_equal(
		store_estimate(&snapshot, ENTRY_DELETE_RANGE, entry.data, entry.length, 0, &now), RUSD_OK);
	atomic_store(promised, 77);
	assert_int_equal(
		store_estimate(&snapshot, ENTRY_DELETE_RANGE, entry.data, entry.length, 0, &later),
		RUSD_OK);
	assert_int_equal(later, now + 77);
	for (uint32_t i = 0; i < 300; i++)
		(void) put_number(fixture, i, 2000);
	assert_int_equal(
		store_frames_needed(fixture->store, ENTRY_DELETE_RANGE, entry.data, entry.length, &later),
		RUSD_OK);
	assert_true(later > now + 77);
	held = fixture_snapshot(fixture); /* so that nothing that dies comes back */
	before = store_root(fixture->store)->frames_free;
	(void) fixture_entry(fixture, ENTRY_DELETE_RANGE, entry.data + sizeof(EntryHeader),
						 entry.length - sizeof(EntryHeader));
	(void) store_publish(fixture->store);
	assert_in_range(before - store_root(fixture->store)->frames_free, 1, later);
	snapshot_unpin(&held);
	snapshot_unpin(&snapshot);
	text_free(&entry);
	fixture_destroy(fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_revisions),
		cmocka_unit_test(test_put_checks),
		cmocka_unit_test(test_random_history),
		cmocka_unit_test(test_delete_many),
		cmocka_unit_test(test_snapshots),
		cmocka_unit_test(test_reply_snapshots),
		cmocka_unit_test(test_alarms),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_members_follow_the_configuration),
		cmocka_unit_test(test_make_room),
		cmocka_unit_test(test_defragment),
		cmocka_unit_test(test_estimate),
		cmocka_unit_test(test_estimate_of_what_may_come),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
