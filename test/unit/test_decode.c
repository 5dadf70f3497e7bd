/*
 * test_decode.c
 *	  The scan of requests: what it lets pass protobuf-c takes, within the memory that it foretold;
 * what is hostile stops it.
 *
 * test/unit/test_decode.c
 */
#include "rusd.h"

#include "rpc.pb-c.h"
#include "rpc/decode.h"
#include "rpc/wire.h"

#include "cmocka_all.h"

#define BUFFER_BYTES (4 * 1024 * 1024)

static const DecodeLimits wide = {.depth_max = DECODE_DEPTH_MAX, .memory_max = 1024 * 1024 * 1024};
static uint8_t buffer[BUFFER_BYTES];

/* ---- a budget that counts ---- */

typedef struct Counting
{
	MemoryBudget budget;
	size_t taken;
	size_t limit;
} Counting;

static bool
take(MemoryBudget *budget, size_t bytes)
{
	Counting *counting = (Counting *) budget;

	if (counting->taken + bytes > counting->limit)
		return false;
	counting->taken += bytes;
	return true;
}

static void
give(MemoryBudget *budget, size_t bytes)
{
	((Counting *) budget)->taken -= bytes;
}

static Counting
counting(size_t limit)
{
	return (Counting){.budget = {take, give}, .limit = limit};
}

/* Decodes bytes (a copy: the scan may write into them); the status of it. */
static Status
decode(const ProtobufCMessageDescriptor *descriptor, const void *bytes, size_t length,
	   const DecodeLimits *limits, DecodeFacts *facts)
{
	uint8_t *copy = malloc(length + 1);
	ProtobufCMessage *message;
	Arena arena;
	Status status;

	memcpy(copy, bytes, length);
	arena_init(&arena, NULL);
	status = decode_message(descriptor, (Bytes){copy, length}, limits, &arena, &message, facts);
	arena_destroy(&arena);
	free(copy);
	return status;
}

static Status
decode_put(const void *bytes, size_t length)
{
	DecodeFacts facts;

	return decode(&etcdserverpb__put_request__descriptor, bytes, length, &wide, &facts);
}

#define PUT(text) decode_put(text, sizeof(text) - 1)

/* ---- well formed or not ---- */

static void
test_broken(void **state)
{
	(void) state;
	assert_int_equal(PUT(""), RUSD_OK);
	assert_int_equal(PUT("\x0a\x01"
						 "a"),
					 RUSD_OK);
	assert_int_equal(PUT("\x0a\x02"
						 "a"),
					 RUSD_INVALID); /* ends inside a value */
	assert_int_equal(PUT("\x0a\x7f"), RUSD_INVALID);
	assert_int_equal(PUT("\x0a"), RUSD_INVALID);
	assert_int_equal(PUT("\xff"), RUSD_INVALID);     /* ends inside a tag */
	assert_int_equal(PUT("\x02\x00"), RUSD_INVALID); /* field 0 */
	assert_int_equal(PUT("\xff\xff\xff\xff\x7f\x01"),
					 RUSD_INVALID); /* a number that fields cannot have */
	assert_int_equal(PUT("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), RUSD_OK); /* lease -1 */
	assert_int_equal(PUT("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
					 RUSD_INVALID); /* more than 64 bits */
	assert_int_equal(PUT("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), RUSD_INVALID);
	assert_int_equal(PUT("\x18"), RUSD_INVALID);
	assert_int_equal(PUT("\x1b\x1c"), RUSD_INVALID); /* groups */
	assert_int_equal(PUT("\x0a\x81\x80\x80\x80\x80\x00"
						 "a"),
					 RUSD_INVALID); /* a length of six bytes */
	assert_int_equal(PUT("\x0a\x81\x80\x80\x80\x00"
						 "a"),
					 RUSD_OK); /* of five */
}

static void
test_unknown_fields(void **state)
{
	(void) state;
	assert_int_equal(PUT("\x0a\x01"
						 "a"
						 "\xf8\x3f\x01"),
					 RUSD_OK);
	assert_int_equal(PUT("\xaa\x7d\x03"
						 "abc"),
					 RUSD_OK);
	assert_int_equal(PUT("\xa5\x7d\x01\x02\x03\x04"), RUSD_OK);
	assert_int_equal(PUT("\xa1\x7d\x01\x02\x03\x04\x05\x06\x07\x08"), RUSD_OK);
	assert_int_equal(PUT("\xa1\x7d\x01\x02\x03\x04\x05\x06\x07"), RUSD_INVALID);
	assert_int_equal(PUT("\xa5\x7d\x01\x02\x03"), RUSD_INVALID);
}

/* A known number with another wire type is an unknown field, wherever it stands and however long
 * its tag is. */
static void
test_wrong_wire_type(void **state)
{
	static const char key_as_number[] = "\x08\x05\x12\x01"
										"v";
	static const char lease_as_bytes[] = "\x1a\x02"
										 "xy"
										 "\x0a\x01"
										 "a";
	static const char long_tag[] = "\x88\x80\x80\x80\x00\x05\x0a\x01"
								   "a";
	Etcdserverpb__PutRequest *put;
	ProtobufCMessage *message;
	DecodeFacts facts;
	Arena arena;
	char copy[32];

	(void) state;
	arena_init(&arena, NULL);
	memcpy(copy, key_as_number, sizeof(key_as_number));
	assert_int_equal(decode_message(&etcdserverpb__put_request__descriptor,
									(Bytes){(uint8_t *) copy, sizeof(key_as_number) - 1}, &wide,
									&arena, &message, &facts),
					 RUSD_OK);
	put = (Etcdserverpb__PutRequest *) message;
	assert_int_equal(put->key.len, 0);
	assert_int_equal(put->value.len, 1);
	assert_int_equal(message->n_unknown_fields, 1);
	memcpy(copy, lease_as_bytes, sizeof(lease_as_bytes));
	assert_int_equal(decode_message(&etcdserverpb__put_request__descriptor,
									(Bytes){(uint8_t *) copy, sizeof(lease_as_bytes) - 1}, &wide,
									&arena, &message, &facts),
					 RUSD_OK);
	put = (Etcdserverpb__PutRequest *) message;
	assert_int_equal(put->lease, 0);
	assert_int_equal(put->key.len, 1);
	assert_int_equal(PUT(long_tag), RUSD_OK);
	/* Compare.range_end has a tag of two bytes. */
	assert_int_equal(decode(&etcdserverpb__compare__descriptor, "\x80\x04\x05", 3, &wide, &facts),
					 RUSD_OK);
	arena_destroy(&arena);
}

static void
test_utf8(void **state)
{
	static const struct
	{
		const char *text;
		bool valid;
	} cases[] = {
		{"", true},
		{"plain", true},
		{"\xc3\xa4", true},
		{"\xe2\x82\xac", true},
		{"\xf0\x9f\x98\x80", true},
		{"\xf4\x8f\xbf\xbf", true},
		{"\xc0\xaf", false}, /* over-long */
		{"\xe0\x80\xaf", false},
		{"\xf0\x80\x80\xaf", false},
		{"\xed\xa0\x80", false},     /* a surrogate */
		{"\xf4\x90\x80\x80", false}, /* above U+10FFFF */
		{"\xf5\x80\x80\x80", false},
		{"\x80", false},
		{"\xe2\x82", false},
		{"a\xff", false},
		{"\xc3(", false},
		{"\xe2(\xa1", false},
	};
	DecodeFacts facts;
	size_t i;

	(void) state;
	for (i = 0; i < lengthof(cases); i++)
	{
		uint8_t message[16] = {0x0a};
		size_t length = strlen(cases[i].text);

		if (utf8_is_valid((const uint8_t *) cases[i].text, length) != cases[i].valid)
			fail_msg("case %zu", i);
		message[1] = (uint8_t) length;
		memcpy(message + 2, cases[i].text, length);
		assert_int_equal(decode(&etcdserverpb__auth_user_get_request__descriptor, message,
								2 + length, &wide, &facts),
						 cases[i].valid ? RUSD_OK : RUSD_INVALID);
	}
}

static void
test_packed(void **state)
{
	DecodeFacts facts;
	const ProtobufCMessageDescriptor *watch = &etcdserverpb__watch_create_request__descriptor;

	(void) state;
	assert_int_equal(decode(watch, "\x2a\x02\x00\x01", 4, &wide, &facts), RUSD_OK);
	assert_int_equal(decode(watch, "\x28\x01\x28\x00", 4, &wide, &facts), RUSD_OK);
	assert_int_equal(decode(watch, "\x2a\x02\x00\x81", 4, &wide, &facts), RUSD_INVALID);
}

/* ---- hostile shapes ---- */

/* A transaction nested `levels` deep, the innermost empty; returns its length, its bytes end at the
 * buffer's end. */
static const uint8_t *
nested(uint32_t levels, size_t *length)
{
	uint8_t *end = buffer + sizeof(buffer);
	uint8_t *at = end;
	uint32_t i;

	for (i = 1; i < levels; i++)
	{
		/* RequestOp.request_txn, then TxnRequest.success */
		uint8_t head[12];
		uint8_t *next = put_frame(head, 4, (uint64_t) (end - at));

		at -= next - head;
		memcpy(at, head, (size_t) (next - head));
		next = put_frame(head, 2, (uint64_t) (end - at));
		at -= next - head;
		memcpy(at, head, (size_t) (next - head));
	}
	*length = (size_t) (end - at);
	return at;
}

static Status
decode_nested(uint32_t levels, uint32_t depth_max, DecodeFacts *facts)
{
	DecodeLimits limits = {.depth_max = depth_max, .memory_max = wide.memory_max};
	size_t length;
	const uint8_t *bytes = nested(levels, &length);

	return decode(&etcdserverpb__txn_request__descriptor, bytes, length, &limits, facts);
}

static void
test_depth(void **state)
{
	DecodeFacts facts;

	(void) state;
	assert_int_equal(decode_nested(1, 1, &facts), RUSD_OK);
	assert_int_equal(facts.depth, 1);
	assert_int_equal(decode_nested(3, 5, &facts), RUSD_OK);
	assert_int_equal(facts.depth, 5);
	assert_int_equal(decode_nested(3, 4, &facts), RUSD_AGAIN);
	assert_int_equal(facts.depth, 5);
	/* 128 levels of operations below the outermost transaction are what --max-txn-ops allows. */
	assert_int_equal(decode_nested(129, 257, &facts), RUSD_OK);
	assert_int_equal(decode_nested(130, 257, &facts), RUSD_AGAIN);
	/* No limit is wider than what the stack holds, and what it holds is taken. */
	assert_int_equal(decode_nested(500, UINT32_MAX, &facts), RUSD_OK);
	assert_int_equal(facts.depth, 999);
	assert_int_equal(decode_nested(40000, UINT32_MAX, &facts), RUSD_AGAIN);
	assert_int_equal(facts.depth, DECODE_DEPTH_MAX + 1);
}

/* 2 MB of empty operations: refused before anything is allocated, and counted so far. */
static void
test_size(void **state)
{
	DecodeLimits limits = {.depth_max = 257, .memory_max = 32 * 1024 * 1024};
	Counting budget = counting(SIZE_MAX);
	ProtobufCMessage *message;
	DecodeFacts facts;
	Arena arena;
	size_t length = 2 * 1024 * 1024;
	size_t i;

	(void) state;
	for (i = 0; i < length; i += 2)
		memcpy(buffer + i, "\x12\x00", 2);
	arena_init(&arena, &budget.budget);
	assert_int_equal(decode_message(&etcdserverpb__txn_request__descriptor, (Bytes){buffer, length},
									&limits, &arena, &message, &facts),
					 RUSD_AGAIN);
	assert_int_equal(budget.taken, 0);
	assert_true(facts.repeated_max > 128);
	/* A budget that does not suffice is another matter. */
	budget.limit = 64 * 1024;
	assert_int_equal(decode_message(&etcdserverpb__txn_request__descriptor, (Bytes){buffer, 20000},
									&limits, &arena, &message, &facts),
					 RUSD_NO_MEMORY);
	arena_destroy(&arena);
	assert_int_equal(budget.taken, 0);
}

/* ---- is the memory foretold from above, and not by far? ---- */

static uint64_t random_state = 1;

static uint32_t
random_below(uint32_t n)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t) (random_state >> 33) % n;
}

static uint8_t *random_message(uint8_t *at, int kind, int depth);

/* A field with a random message in it, at most some 2,000 bytes. */
static uint8_t *
random_nested(uint8_t *at, int field, int kind, int depth)
{
	uint8_t *inside = malloc(1 << 20);
	uint8_t *end = random_message(inside, kind, depth);

	at = put_bytes_field(at, field, inside, (size_t) (end - inside));
	free(inside);
	return at;
}

/* kind 0: TxnRequest, 1: RequestOp, 2: Compare, 3: PutRequest or RangeRequest. */
static uint8_t *
random_message(uint8_t *at, int kind, int depth)
{
	static const uint8_t text[300];
	uint32_t fields = random_below(depth == 0 ? 40 : 6);
	bool deeper;

	while (fields-- > 0)
	{
		switch (kind)
		{
			case 0:
				deeper = random_below(3) == 0;
				at = random_nested(at, deeper ? 1 : 2 + (int) random_below(2), deeper ? 2 : 1,
								   depth + 1);
				break;
			case 1:
				deeper = depth < 6 && random_below(4) == 0;
				at = random_nested(at, deeper ? 4 : 2, deeper ? 0 : 3, depth + 1);
				break;
			default:
				if (random_below(2) == 0)
					at = put_bytes_field(at, 1 + (int) random_below(2), text,
										 random_below(sizeof(text)));
				else
					at = put_varint_field(at, 3 + (int) random_below(13), 1 + random_below(1000));
				break;
		}
	}
	return at;
}

static void
test_memory_is_foretold(void **state)
{
	int round;

	(void) state;
	for (round = 0; round < 2000; round++)
	{
		Counting budget = counting(SIZE_MAX);
		size_t length = (size_t) (random_message(buffer, 0, 0) - buffer);
		ProtobufCMessage *message;
		DecodeFacts facts;
		Arena arena;
		Status status;

		arena_init(&arena, &budget.budget);
		status = decode_message(&etcdserverpb__txn_request__descriptor, (Bytes){buffer, length},
								&wide, &arena, &message, &facts);
		if (status != RUSD_OK)
			fail_msg("round %d: %d %s", round, status, facts.error == NULL ? "" : facts.error);
		/* What an arena takes is at most twice what is asked of it, and its first chunk. */
		if (budget.taken > 2 * facts.memory + 8192)
			fail_msg("round %d: %zu bytes taken, %zu foretold", round, budget.taken,
					 (size_t) facts.memory);
		arena_destroy(&arena);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_unknown_fields),
		cmocka_unit_test(test_wrong_wire_type),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_memory_is_foretold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
