/*
 * test_entry.c
 *	  Entries: encoded, taken apart, judged, described.
 *
 * test/unit/test_entry.c
 */
#include "rusd.h"

#include "cmocka_all.h"
#include "format/entry.h"

static alignas(8) uint8_t buffer[1024 * 1024];

static Bytes
bytes_of(const char *text)
{
	return (Bytes){(const uint8_t *) text, strlen(text)};
}

static uint8_t *
ops(void)
{
	memset(buffer, 0, sizeof(buffer));
	return buffer + sizeof(EntryHeader);
}

static Status
check(uint32_t kind, uint32_t length)
{
	/* Exactly as long, so that a sanitizer sees a step beyond. */
	size_t size = sizeof(EntryHeader) + length;
	uint8_t *copy = malloc(size);
	Status status;

	assert_non_null(copy);
	memcpy(copy, buffer, size);
	status = entry_check(kind, copy, size);
	free(copy);
	return status;
}

static uint32_t
put(uint32_t at, uint16_t kind, uint32_t target, int64_t number, const char *key)
{
	OpHeader header = {.kind = kind, .target = target, .number = number};

	return at + op_encode(buffer + sizeof(EntryHeader) + at, &header, bytes_of(key), (Bytes){0},
						  (Bytes){0});
}

static void
op_survives(void **state)
{
	OpHeader header = {.kind = OP_PUT, .flags = OP_PREV_KV, .number = 42};
	uint32_t told = op_encode(NULL, &header, bytes_of("key"), bytes_of("end"), bytes_of("value"));
	uint32_t length =
		op_encode(ops(), &header, bytes_of("key"), bytes_of("end"), bytes_of("value"));
	Op op;

	(void) state;
	assert_int_equal(told, length);
	assert_int_equal(length, 48);
	op_at(buffer + sizeof(EntryHeader), 0, &op);
	assert_int_equal(op.next, length);
	assert_int_equal(op.header->flags, OP_PREV_KV);
	assert_int_equal(op.header->number, 42);
	assert_int_equal(op.key.length, 3);
	assert_memory_equal(op.key.data, "key", 3);
	assert_memory_equal(op.range_end.data, "end", 3);
	assert_memory_equal(op.value.data, "value", 5);
	assert_int_equal(check(ENTRY_PUT, length), RUSD_OK);
}

/* Every length but the right one, and every wrong length inside. */
static void
wrong_lengths_are_refused(void **state)
{
	OpHeader header = {.kind = OP_PUT};
	uint32_t length = op_encode(ops(), &header, bytes_of("key"), (Bytes){0}, bytes_of("value"));
	OpHeader *op = (OpHeader *) (void *) (buffer + sizeof(EntryHeader));

	(void) state;
	for (uint32_t cut = 0; cut < length; cut++)
		assert_int_equal(check(ENTRY_PUT, cut), RUSD_INVALID);
	assert_int_equal(check(ENTRY_PUT, length + 8), RUSD_INVALID);
	for (uint32_t wrong = 0; wrong < 100; wrong++)
	{
		op->length = wrong;
		assert_int_equal(check(ENTRY_PUT, length), wrong == length ? RUSD_OK : RUSD_INVALID);
	}
	op->length = length;
	op->key_length = UINT32_MAX;
	op->end_length = UINT32_MAX;
	assert_int_equal(check(ENTRY_PUT, length), RUSD_INVALID);
	op->key_length = 3;
	op->end_length = 0;
	op->kind = OP_JUMP + 1;
	assert_int_equal(check(ENTRY_PUT, length), RUSD_INVALID);
	op->kind = OP_DELETE;
	assert_int_equal(check(ENTRY_PUT, length), RUSD_INVALID);
	assert_int_equal(check(ENTRY_DELETE_RANGE, length), RUSD_OK);
	op->flags = 0x80;
	assert_int_equal(check(ENTRY_DELETE_RANGE, length), RUSD_INVALID);
}

/* txn(compare; put / range), 5 ops of 40 bytes but txn and jump, which have 32. */
static uint32_t
simple_txn(void)
{
	uint32_t at = 0;

	(void) ops();
	at = put(at, OP_TXN, 1, 144, "");
	at = put(at, OP_COMPARE, 0, 7, "k");
	at = put(at, OP_PUT, 0, 0, "k");
	at = put(at, OP_JUMP, 0, 184, "");
	return put(at, OP_RANGE, 0, 0, "k");
}

static void
transaction_offsets(void **state)
{
	uint32_t length = simple_txn();
	OpHeader *txn = (OpHeader *) (void *) (buffer + sizeof(EntryHeader));
	OpHeader *jump = (OpHeader *) (void *) (buffer + sizeof(EntryHeader) + 112);

	(void) state;
	assert_int_equal(length, 184);
	assert_int_equal(jump->kind, OP_JUMP);
	assert_int_equal(check(ENTRY_TXN, length), RUSD_OK);
	for (int64_t target = -8; target < 300; target++)
	{
		txn->number = target;
		assert_int_equal(check(ENTRY_TXN, length), target == 144 ? RUSD_OK : RUSD_INVALID);
	}
	txn->number = 144;
	for (int64_t target = -8; target < 300; target++)
	{
		jump->number = target;
		assert_int_equal(check(ENTRY_TXN, length), target == 184 ? RUSD_OK : RUSD_INVALID);
	}
	jump->number = 184;
	txn->target = 0; /* the compare stands where an op must be */
	assert_int_equal(check(ENTRY_TXN, length), RUSD_INVALID);
	txn->target = 2; /* and here an op where a compare must be */
	assert_int_equal(check(ENTRY_TXN, length), RUSD_INVALID);
	txn->target = UINT32_MAX;
	assert_int_equal(check(ENTRY_TXN, length), RUSD_INVALID);
	txn->target = 1;
	txn->number = INT64_MAX;
	assert_int_equal(check(ENTRY_TXN, length), RUSD_INVALID);
	txn->number = 144;
	/* Something behind the transaction. */
	length = put(length, OP_PUT, 0, 0, "k");
	assert_int_equal(check(ENTRY_TXN, length), RUSD_INVALID);
}

/* Nested in the first branch, each with an empty second one: as deep as it may be, and one deeper.
 */
static void
depth_is_bounded(void **state)
{
	(void) state;
	for (uint32_t depth = ENTRY_DEPTH_MAX; depth <= ENTRY_DEPTH_MAX + 1; depth++)
	{
		uint32_t at = 0;
		uint32_t end = depth * 64 + 40;

		(void) ops();
		for (uint32_t i = 0; i < depth; i++)
			at = put(at, OP_TXN, 0, end - i * 32, "");
		at = put(at, OP_PUT, 0, 0, "k");
		for (uint32_t i = depth; i-- > 0;)
			at = put(at, OP_JUMP, 0, end - i * 32, "");
		assert_int_equal(at, end);
		assert_int_equal(check(ENTRY_TXN, at), depth <= ENTRY_DEPTH_MAX ? RUSD_OK : RUSD_INVALID);
	}
}

static void
member_strings(void **state)
{
	EntryMember member = {
		.member_id = 1, .action = MEMBER_ADD, .name_length = 1, .peer_url_count = 1};
	uint8_t *at = ops();
	uint32_t length = sizeof(member) + 4 + 1 + 4 + 2;

	(void) state;
	memcpy(at, &member, sizeof(member));
	memcpy(at + sizeof(member), "\1\0\0\0n\2\0\0\0uu", 11);
	assert_int_equal(check(ENTRY_MEMBER, length), RUSD_OK);
	for (uint32_t cut = 0; cut < length; cut++)
		assert_int_equal(check(ENTRY_MEMBER, cut), RUSD_INVALID);
	assert_int_equal(check(ENTRY_MEMBER, length + 1), RUSD_INVALID);
	((EntryMember *) (void *) at)->client_url_count = UINT32_MAX;
	assert_int_equal(check(ENTRY_MEMBER, length), RUSD_INVALID);
}

static void
fixed_kinds(void **state)
{
	(void) state;
	(void) ops();
	assert_int_equal(check(ENTRY_EMPTY, 0), RUSD_OK);
	assert_int_equal(check(ENTRY_EMPTY, 8), RUSD_INVALID);
	assert_int_equal(check(ENTRY_DEFRAGMENT, 0), RUSD_OK);
	assert_int_equal(check(ENTRY_COMPACT, sizeof(EntryCompact)), RUSD_OK);
	assert_int_equal(check(ENTRY_COMPACT, sizeof(EntryCompact) - 1), RUSD_INVALID);
	assert_int_equal(check(ENTRY_ALARM, sizeof(EntryAlarm)), RUSD_OK);
	assert_int_equal(check(ENTRY_ALARM, 0), RUSD_INVALID);
	assert_int_equal(check(ENTRY_TRANSFER, sizeof(EntryTransfer)), RUSD_OK);
	assert_int_equal(check(ENTRY_TRANSFER, 0), RUSD_INVALID);
	assert_int_equal(check(ENTRY_HARD_STATE, sizeof(EntryAlarm)), RUSD_INVALID);
	assert_int_equal(check(99, 0), RUSD_INVALID);
	assert_int_equal(entry_check(ENTRY_EMPTY, buffer, sizeof(EntryHeader) - 1), RUSD_INVALID);
}

static void
described(void **state)
{
	char line[200];
	uint32_t length = simple_txn();

	(void) state;
	entry_describe(ENTRY_TXN, buffer, sizeof(EntryHeader) + length, line, sizeof(line));
	assert_string_equal(line, "txn txn(1 compares, else at 144) compare(\"k\") put(\"k\", 0 bytes) "
							  "jump(to 184) range(\"k\")");
	entry_describe(ENTRY_TXN, buffer, sizeof(EntryHeader) + length, line, 10);
	assert_string_equal(line, "txn txn(1");
	entry_describe(ENTRY_TXN, buffer, sizeof(EntryHeader) + length - 1, line, sizeof(line));
	assert_string_equal(line, "txn (223 bytes that do not decode)");
	assert_string_equal(entry_kind_name(ENTRY_PUT), "put");
	assert_string_equal(entry_kind_name(1000), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(op_survives),         cmocka_unit_test(wrong_lengths_are_refused),
		cmocka_unit_test(transaction_offsets), cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(member_strings),      cmocka_unit_test(fixed_kinds),
		cmocka_unit_test(described),
	};

	return cmocka_run_group_tests_name("entry", tests, NULL, NULL);
}
