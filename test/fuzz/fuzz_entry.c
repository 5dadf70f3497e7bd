/*
 * fuzz_entry.c
 *	  Any bytes as an entry: what entry_check lets pass must be safe to execute.
 *
 * The first byte is the kind, the rest the payload.  An accepted transaction is executed both with
 * all compares holding and with none, as the applier would: each step must go forward, and must meet
 * an op.
 *
 * test/fuzz/fuzz_entry.c
 */
#include "rusd.h"

#include "format/entry.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void execute(const uint8_t *ops, uint32_t length, unsigned holds);
static uint64_t touch(Bytes bytes);

static volatile uint64_t touched; /* so that the compiler reads the bytes */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *payload;
	char line[200];
	uint32_t kind;

	if (size < 1)
		return 0;
	kind = data[0];
	payload = malloc(size); /* exactly as long: the sanitizer sees every byte beyond */
	Check(payload != NULL);
	memcpy(payload, data + 1, size - 1);
	if (entry_check(kind, payload, size - 1) == RUSD_OK &&
		(kind == ENTRY_PUT || kind == ENTRY_DELETE_RANGE || kind == ENTRY_TXN))
	{
		uint32_t length = (uint32_t) (size - 1 - sizeof(EntryHeader));

		for (unsigned holds = 0; holds < 3; holds++)
			execute(payload + sizeof(EntryHeader), length, holds);
	}
	entry_describe(kind, payload, size - 1, line, sizeof(line));
	Check(strlen(line) < sizeof(line));
	free(payload);
	return 0;
}

/* holds: 0 never, 1 always, 2 by turns. */
static void
execute(const uint8_t *ops, uint32_t length, unsigned holds)
{
	uint32_t offset = 0;
	unsigned turn = 0;
	uint64_t sum = 0;

	while (offset < length)
	{
		Op op;
		uint32_t next;

		op_at(ops, offset, &op);
		Check(op.header->kind >= OP_PUT && op.header->kind <= OP_JUMP);
		Check(op.header->kind != OP_COMPARE);
		Check(op.next <= length);
		sum += touch(op.key) + touch(op.range_end) + touch(op.value);
		next = op.next;
		if (op.header->kind == OP_JUMP)
			next = (uint32_t) op.header->number;
		if (op.header->kind == OP_TXN)
		{
			uint32_t at = op.next;

			for (uint32_t i = 0; i < op.header->target; i++)
			{
				Op compare;

				op_at(ops, at, &compare);
				Check(compare.header->kind == OP_COMPARE);
				sum += touch(compare.key) + touch(compare.value);
				at = compare.next;
			}
			next =
				holds == 0 || (holds == 2 && turn++ % 2 == 0) ? (uint32_t) op.header->number : at;
		}
		Check(next > offset && next <= length);
		offset = next;
	}
	touched += sum;
}

static uint64_t
touch(Bytes bytes)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < bytes.length; i++)
		sum += bytes.data[i];
	return sum;
}
