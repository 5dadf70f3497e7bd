/*
 * txn.c
 *	  Transactions: the path is chosen from the state before, checked as a whole, then executed.
 *
 * Applier only.  The program is straight (format/entry.h) and has passed entry_check, so walking it
 * needs no stack and terminates: every step leads forward.  Compares are evaluated at the view
 * (main, 0), which no change of this transaction touches, so evaluating them again gives the same
 * answer (TXN-25); the answers of the first 64 are remembered to save that.
 *
 * src/backend/store/txn.c
 */
#include "rusd.h"

#include "store_int.h"

#define CHOICES_REMEMBERED 64

/* Answers of the transactions on the path, in its order. */
typedef struct Choices
{
	uint64_t bits;
	uint32_t known;
} Choices;

typedef struct PathWalk
{
	Store *store;
	const Snapshot *snapshot;
	const uint8_t *ops;
	uint32_t offset;
	uint32_t end;
	uint32_t ordinal; /* of the next transaction on the path */
	Choices *choices;
} PathWalk;

static Status
choose(PathWalk *walk, const Op *txn, bool *holds)
{
	Choices *choices = walk->choices;
	uint32_t ordinal = walk->ordinal++;
	Status status;

	if (ordinal < choices->known)
	{
		*holds = (choices->bits >> ordinal & 1) != 0;
		return RUSD_OK;
	}
	status = store_compare(walk->snapshot, walk->ops, txn, walk->store->main, holds);
	if (status == RUSD_OK && ordinal == choices->known && ordinal < CHOICES_REMEMBERED)
	{
		choices->bits |= (uint64_t) *holds << ordinal;
		choices->known++;
	}
	return status;
}

/* The next put, delete or range on the path.  RUSD_END. */
static Status
path_next(PathWalk *walk, Op *op)
{
	while (walk->offset < walk->end)
	{
		op_at(walk->ops, walk->offset, op);
		switch (op->header->kind)
		{
			case OP_JUMP:
				walk->offset = (uint32_t) op->header->number;
				break;
			case OP_COMPARE:
				walk->offset = op->next;
				break;
			case OP_TXN:
			{
				bool holds;
				Status status = choose(walk, op, &holds);

				if (status != RUSD_OK)
					return status;
				walk->offset = holds ? op->next : (uint32_t) op->header->number;
				break;
			}
			default:
				walk->offset = op->next;
				return RUSD_OK;
		}
	}
	return RUSD_END;
}

static PathWalk
path_begin(Store *store, const Snapshot *snapshot, const uint8_t *ops, size_t length,
		   Choices *choices)
{
	return (PathWalk){.store = store,
					  .snapshot = snapshot,
					  .ops = ops,
					  .end = (uint32_t) length,
					  .choices = choices};
}

static bool
covers(const Op *delete, Bytes key)
{
	TreeKey from;
	TreeKey to;
	bool has_to;
	size_t common = Min(delete->key.length, key.length);
	int order = memcmp(delete->key.data, key.data, common);

	if (delete->range_end.length == 0)
		return order == 0 && delete->key.length == key.length;
	if (!interval_bounds(delete->key, delete->range_end, &from, &to, &has_to))
		return false;
	if (order > 0 || (order == 0 && delete->key.length > key.length))
		return false;
	if (!has_to)
		return true;
	common = Min(to.bytes.length, key.length);
	order = memcmp(key.data, to.bytes.data, common);
	return order < 0 || (order == 0 && key.length < to.bytes.length);
}

/*
 * TXN-31: would an earlier delete on the path take the key from under a put that keeps its value or
 * lease?  Such a transaction is refused.
 */
static Status
check_not_deleted(const PathWalk *now, const Op *put, Status *verdict)
{
	PathWalk walk = path_begin(now->store, now->snapshot, now->ops, put->offset, now->choices);
	Status status;
	Op op;

	while ((status = path_next(&walk, &op)) == RUSD_OK)
	{
		if (op.header->kind == OP_DELETE && covers(&op, put->key))
		{
			*verdict = RUSD_KEY_NOT_FOUND;
			return RUSD_OK;
		}
	}
	return status == RUSD_END ? RUSD_OK : status;
}

/* TXN-30, with its accident: a negative revision counts. */
static Status
check_range(const Store *store, const Op *op)
{
	int64_t revision = op->header->number;

	if (revision == 0)
		return RUSD_OK;
	if (revision > store->state.revision)
		return RUSD_FUTURE_REV;
	return revision < store->state.compacted ? RUSD_COMPACTED : RUSD_OK;
}

static Status
check_path(PathWalk walk, Status *verdict)
{
	bool deletes = false;
	Status status;
	Op op;

	*verdict = RUSD_OK;
	while ((status = path_next(&walk, &op)) == RUSD_OK)
	{
		bool keeps = (op.header->flags & (OP_IGNORE_VALUE | OP_IGNORE_LEASE)) != 0;

		if (op.header->kind == OP_RANGE)
			*verdict = FAULT(txn_checked_late) ? RUSD_OK : check_range(walk.store, &op);
		else if (op.header->kind == OP_PUT)
			status = store_check_put(walk.store, walk.snapshot, &op, verdict);
		else
			deletes = true;
		if (status == RUSD_OK && *verdict == RUSD_OK && op.header->kind == OP_PUT && keeps &&
			deletes)
			status = check_not_deleted(&walk, &op, verdict);
		if (status != RUSD_OK || *verdict != RUSD_OK)
			return status;
	}
	return status == RUSD_END ? RUSD_OK : status;
}

Status
store_txn(Store *store, const uint8_t *ops, size_t length, uint64_t *result, Status *verdict)
{
	Choices choices = {0};
	Snapshot snapshot;
	PathWalk walk;
	Status status;
	Op op;

	store_building(store, &snapshot);
	status = check_path(path_begin(store, &snapshot, ops, length, &choices), verdict);
	*result = choices.bits;
	if (status != RUSD_OK || *verdict != RUSD_OK)
		return status;
	walk = path_begin(store, &snapshot, ops, length, &choices);
	while ((status = path_next(&walk, &op)) == RUSD_OK)
	{
		uint64_t deleted;

		if (op.header->kind == OP_PUT)
			status = store_put(store, &op);
		else if (op.header->kind == OP_DELETE)
			status = store_delete_range(store, op.key, op.range_end, &deleted);
		else if (FAULT(txn_checked_late) && (*verdict = check_range(store, &op)) != RUSD_OK)
			return RUSD_OK;
		if (status != RUSD_OK)
			return status;
		/* Compares that were not remembered are evaluated on the tree as it is now, at the view
		 * before. */
		store_building(store, &snapshot);
	}
	return status == RUSD_END ? RUSD_OK : status;
}

bool
txn_has_put(const uint8_t *ops, size_t length)
{
	Op op;

	for (uint32_t offset = 0; offset < length; offset = op.next)
	{
		op_at(ops, offset, &op);
		if (op.header->kind == OP_PUT)
			return true;
	}
	return false;
}

/* Deeper than --max-txn-ops lets anyone nest by default: each level takes one operation from the
 * next. */
#define COST_DEPTH 160

typedef struct CostLevel
{
	uint32_t else_offset;
	uint32_t end; /* behind the else branch; known from its jump */
	bool in_else;
	uint64_t before;  /* sum of what stands before the transaction on its level */
	uint64_t success; /* sum of the then branch */
} CostLevel;

/* Closes the branches that end at offset. */
static uint32_t
close_levels(CostLevel *levels, uint32_t depth, uint32_t offset, uint64_t *sum)
{
	while (depth > 0)
	{
		CostLevel *level = &levels[depth - 1];

		if (!level->in_else && offset >= level->else_offset)
		{
			level->in_else = true;
			level->success = *sum;
			*sum = 0;
		}
		if (!level->in_else || offset < level->end)
			break;
		*sum = level->before + Max(level->success, *sum);
		depth--;
	}
	return depth;
}

uint64_t
txn_cost(const uint8_t *ops, size_t length)
{
	CostLevel levels[COST_DEPTH];
	uint32_t depth = 0;
	uint64_t sum = 0;
	Op op;

	for (uint32_t offset = 0; offset < length; offset = op.next)
	{
		op_at(ops, offset, &op);
		depth = close_levels(levels, depth, offset, &sum);
		if (op.header->kind == OP_PUT)
			sum += 256 + op.key.length + op.value.length;
		else if (op.header->kind == OP_JUMP && depth > 0 && !levels[depth - 1].in_else)
			levels[depth - 1].end = (uint32_t) op.header->number;
		else if (op.header->kind == OP_TXN && depth < COST_DEPTH)
		{
			levels[depth++] = (CostLevel){.else_offset = (uint32_t) op.header->number,
										  .end = (uint32_t) op.header->number,
										  .before = sum};
			sum = 0;
		}
	}
	(void) close_levels(levels, depth, (uint32_t) length, &sum);
	return sum;
}
