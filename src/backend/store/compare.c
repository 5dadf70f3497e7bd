/*
 * compare.c
 *	  The compares of a transaction (TXN-20 to TXN-25).
 *
 * Applier, to choose; backends, to find out afterwards what was chosen: the view is that before the
 * transaction, so both come to the same result whatever the transaction has changed since.
 *
 * src/backend/store/compare.c
 */
#include "rusd.h"

#include "store_int.h"

/* As etcd's enums number them. */
enum
{
	TARGET_VERSION,
	TARGET_CREATE,
	TARGET_MOD,
	TARGET_VALUE,
	TARGET_LEASE
};

enum
{
	RESULT_EQUAL,
	RESULT_GREATER,
	RESULT_LESS,
	RESULT_NOT_EQUAL
};

static bool
result_holds(uint32_t result, int order)
{
	switch (result)
	{
		case RESULT_EQUAL:
			return order == 0;
		case RESULT_GREATER:
			return order > 0;
		case RESULT_LESS:
			return order < 0;
		case RESULT_NOT_EQUAL:
			return order != 0;
		default:
			return true; /* TXN-21 */
	}
}

static int
compare_numbers(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

/* The item's value against the operand, without a copy of it. */
static Status
compare_value(PageAccess *access, const RangeItem *item, Bytes operand, int *order)
{
	uint64_t common = Min(item->value_length, (uint64_t) operand.length);
	TreeHint hint = {0};

	for (uint64_t offset = 0; offset < common;)
	{
		uint8_t bytes[1024];
		uint64_t length = Min(common - offset, sizeof(bytes));
		Status status =
			tree_read_value(access, &item->cell, sizeof(KeyRecord) + offset, bytes, length, &hint);

		if (status != RUSD_OK)
			return status;
		*order = memcmp(bytes, operand.data + offset, length);
		if (*order != 0)
			return RUSD_OK;
		offset += length;
	}
	*order = item->value_length < operand.length ? -1 : item->value_length > operand.length;
	return RUSD_OK;
}

/* item NULL: the key is missing (TXN-23). */
static Status
compare_item(PageAccess *access, const Op *compare, const RangeItem *item, bool *holds)
{
	static const RangeItem missing;
	uint32_t target = compare->header->target & 0xff;
	uint32_t result = compare->header->target >> 8;
	int64_t operand = compare->header->number;
	int order = 0; /* an unknown target compares as equal (TXN-21) */
	Status status = RUSD_OK;

	if (item == NULL && target == TARGET_VALUE)
	{
		*holds = false;
		return RUSD_OK;
	}
	if (item == NULL)
		item = &missing;
	switch (target)
	{
		case TARGET_VERSION:
			order = compare_numbers(item->version, operand);
			break;
		case TARGET_CREATE:
			order = compare_numbers(item->create_revision, operand);
			break;
		case TARGET_MOD:
			order = compare_numbers(item->mod_revision, operand);
			break;
		case TARGET_LEASE:
			order = compare_numbers(item->lease, operand);
			break;
		case TARGET_VALUE:
			status = compare_value(access, item, compare->value, &order);
			break;
		default:
			break;
	}
	*holds = result_holds(result, order);
	return status;
}

/* TXN-24: every key of the interval; none behaves like a missing key. */
static Status
compare_interval(const Snapshot *snapshot, const Op *compare, int64_t view_main, bool *holds)
{
	RangeWalk walk;
	RangeItem item;
	bool any = false;
	Status status;

	walk_begin(&walk, snapshot->access, snapshot->root.keys, compare->key, compare->range_end,
			   view_main, 0, view_is_newest(snapshot, view_main), false);
	*holds = true;
	while (*holds && (status = walk_next(&walk, &item)) == RUSD_OK)
	{
		any = true;
		status = compare_item(snapshot->access, compare, &item, holds);
		if (status != RUSD_OK)
			return status;
	}
	if (!*holds)
		return RUSD_OK;
	if (status != RUSD_END)
		return status;
	return any ? RUSD_OK : compare_item(snapshot->access, compare, NULL, holds);
}

static Status
compare_one(const Snapshot *snapshot, const Op *compare, int64_t view_main, bool *holds)
{
	RangeItem item;
	Status status;

	if (compare->range_end.length != 0)
		return compare_interval(snapshot, compare, view_main, holds);
	status = range_get(snapshot, compare->key, view_main, 0, &item);
	if (status != RUSD_OK && status != RUSD_NOT_FOUND)
		return status;
	return compare_item(snapshot->access, compare, status == RUSD_OK ? &item : NULL, holds);
}

Status
store_compare(const Snapshot *snapshot, const uint8_t *ops, const Op *txn, int64_t view_main,
			  bool *holds)
{
	uint32_t offset = txn->next;

	*holds = true;
	for (uint32_t i = 0; i < txn->header->target && *holds; i++)
	{
		Op compare;
		Status status;

		op_at(ops, offset, &compare);
		status = compare_one(snapshot, &compare, view_main, holds);
		if (status != RUSD_OK)
			return status;
		offset = compare.next;
	}
	return RUSD_OK;
}
