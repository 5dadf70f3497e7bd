/*
 * txncheck.c
 *	  What a transaction must fulfil before it is proposed: TXN-2 to TXN-6, and no key put twice
 * (TXN-10).
 *
 * Duplicates.  A branch is looked at after its nested transactions, so each yields the keys that it
 * puts, as a sorted run, and the intervals that it deletes, as a sorted run of disjoint ones.  Both
 * kinds of runs lie in one array each, a nested one behind its parent's: merging is in place with a
 * spare array.  So memory is bounded by the number of puts and deletes, and time by that number
 * times --max-txn-ops (the lists on any way down add up to no more than that, TXN-3).  Recursion is
 * as deep as the decoder let messages be nested.  Runs in backends.
 *
 * src/backend/rpc/txncheck.c
 */
#include "rusd.h"

#include "services.h"

/* ---- structure ---- */

static Status check_node(const Etcdserverpb__TxnRequest *txn, int64_t max_ops);

static Status
check_op(const Etcdserverpb__RequestOp *op, int64_t max_ops)
{
	switch (op->request_case)
	{
		case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE:
			return range_check(op->request_range);
		case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT:
			return put_check(op->request_put);
		case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE:
			return delete_check(op->request_delete_range);
		case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN:
			return check_node(op->request_txn, max_ops);
		default:
			return RUSD_KEY_NOT_FOUND; /* TXN-6 */
	}
}

static Status
check_ops(Etcdserverpb__RequestOp *const *ops, size_t count, int64_t max_ops)
{
	Status status = RUSD_OK;
	size_t i;

	for (i = 0; i < count && status == RUSD_OK; i++)
		status = check_op(ops[i], max_ops);
	return status;
}

static Status
check_node(const Etcdserverpb__TxnRequest *txn, int64_t max_ops)
{
	size_t ops = Max(txn->n_compare, Max(txn->n_success, txn->n_failure));
	Status status;
	size_t i;

	if ((int64_t) ops > max_ops)
		return RUSD_TOO_MANY_OPS;
	for (i = 0; i < txn->n_compare; i++)
		if (txn->compare[i]->key.len == 0)
			return RUSD_EMPTY_KEY;
	status = check_ops(txn->success, txn->n_success, max_ops - (int64_t) ops);
	if (status == RUSD_OK)
		status = check_ops(txn->failure, txn->n_failure, max_ops - (int64_t) ops);
	return status;
}

/* ---- duplicate keys ---- */

/* [begin, end), or the point begin where end.data is NULL. */
typedef struct Interval
{
	Bytes begin;
	Bytes end;
} Interval;

/* All puts and deletes of the branches under way; a run is [from, where the array ends]. */
typedef struct Gathered
{
	Bytes *puts;
	size_t put_count;
	Bytes *spare_puts;
	Interval *deletes;
	size_t delete_count;
	Interval *spare_deletes;
} Gathered;

static int
compare_bytes(Bytes a, Bytes b)
{
	size_t length = Min(a.length, b.length);
	int order = length == 0 ? 0 : memcmp(a.data, b.data, length);

	if (order != 0)
		return order;
	return a.length < b.length ? -1 : a.length > b.length;
}

static int
compare_puts(const void *a, const void *b)
{
	return compare_bytes(*(const Bytes *) a, *(const Bytes *) b);
}

static int
compare_intervals(const void *a, const void *b)
{
	return compare_bytes(((const Interval *) a)->begin, ((const Interval *) b)->begin);
}

/* Is key in the interval? */
static bool
covers(const Interval *interval, Bytes key)
{
	if (compare_bytes(interval->begin, key) > 0)
		return false;
	if (interval->end.data == NULL)
		return compare_bytes(interval->begin, key) == 0;
	return compare_bytes(key, interval->end) < 0;
}

/* Adds one to a sorted run of disjoint intervals which begins at from, not before the last one's
 * begin; count is where the run ends. */
static size_t
append_interval(Interval *run, size_t from, size_t count, const Interval *next)
{
	Interval *last;

	if (count == from)
	{
		run[count] = *next;
		return count + 1;
	}
	last = &run[count - 1];
	if (!covers(last, next->begin))
	{
		run[count] = *next;
		return count + 1;
	}
	/* They overlap: the last one grows.  A point begins where the next one does. */
	if (next->end.data != NULL &&
		(last->end.data == NULL || compare_bytes(last->end, next->end) < 0))
		last->end = next->end;
	return count;
}

/* The run of deletes from `from` on holds two sorted ones, the second beginning at middle: makes
 * one of them. */
static void
merge_deletes(Gathered *all, size_t from, size_t middle)
{
	size_t left = from;
	size_t right = middle;
	size_t count = 0;

	while (left < middle || right < all->delete_count)
	{
		bool take_left = right == all->delete_count ||
						 (left < middle &&
						  compare_bytes(all->deletes[left].begin, all->deletes[right].begin) <= 0);

		count = append_interval(all->spare_deletes, 0, count,
								&all->deletes[take_left ? left++ : right++]);
	}
	memcpy(all->deletes + from, all->spare_deletes, count * sizeof(*all->deletes));
	all->delete_count = from + count;
}

/* The same of puts; a key that is in both runs is kept once (the two branches of one transaction
 * may share it). */
static void
merge_puts(Gathered *all, size_t from, size_t middle)
{
	size_t left = from;
	size_t right = middle;
	size_t count = 0;

	while (left < middle || right < all->put_count)
	{
		int order = left == middle            ? 1
					: right == all->put_count ? -1
											  : compare_bytes(all->puts[left], all->puts[right]);

		all->spare_puts[count++] = order <= 0 ? all->puts[left] : all->puts[right];
		left += order <= 0;
		right += order >= 0;
	}
	if (count > 0)
		memcpy(all->puts + from, all->spare_puts, count * sizeof(*all->puts));
	all->put_count = from + count;
}

static bool
is_put(const Bytes *puts, size_t count, Bytes key)
{
	return count > 0 && bsearch(&key, puts, count, sizeof(*puts), compare_puts) != NULL;
}

static bool
is_deleted(const Interval *deletes, size_t count, Bytes key)
{
	size_t low = 0;

	/* The last one that begins at or before key. */
	while (count > low)
	{
		size_t middle = low + (count - low) / 2;

		if (compare_bytes(deletes[middle].begin, key) <= 0)
			low = middle + 1;
		else
			count = middle;
	}
	return low > 0 && covers(&deletes[low - 1], key);
}

/* The deletes of one list itself, nested ones left out, as a run at the end of the array.  Empty
 * intervals, "from key" among them, delete nothing here. */
static void
gather_deletes(Gathered *all, Etcdserverpb__RequestOp *const *ops, size_t count)
{
	size_t from = all->delete_count;
	size_t end = from;
	size_t i;

	for (i = 0; i < count; i++)
	{
		const Etcdserverpb__DeleteRangeRequest *request = ops[i]->request_delete_range;
		Interval interval;

		if (ops[i]->request_case != ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE)
			continue;
		interval.begin = (Bytes){request->key.data, request->key.len};
		interval.end = (Bytes){request->range_end.len == 0 ? NULL : request->range_end.data,
							   request->range_end.len};
		if (interval.end.data == NULL || compare_bytes(interval.begin, interval.end) < 0)
			all->deletes[end++] = interval;
	}
	if (end == from)
		return;
	qsort(all->deletes + from, end - from, sizeof(*all->deletes), compare_intervals);
	for (i = from; i < end; i++)
		all->delete_count =
			append_interval(all->deletes, from, all->delete_count, &all->deletes[i]);
}

/* Are the puts from middle on free of those from `from` to middle, and of the deletes from
 * delete_from on, delete_count of them? */
static bool
puts_conflict(const Gathered *all, size_t from, size_t middle, size_t begin, size_t delete_from,
			  size_t delete_count)
{
	size_t i;

	for (i = begin; i < all->put_count; i++)
		if (is_put(all->puts + from, middle - from, all->puts[i]) ||
			is_deleted(all->deletes + delete_from, delete_count, all->puts[i]))
			return true;
	return false;
}

static Status gather_list(Gathered *all, Etcdserverpb__RequestOp *const *ops, size_t count);

/* A nested transaction in the list whose runs begin at from and delete_from: checked against what
 * is there, then joined to it. */
static Status
gather_nested(Gathered *all, const Etcdserverpb__TxnRequest *txn, size_t from, size_t delete_from)
{
	size_t puts = all->put_count;
	size_t deletes = all->delete_count;
	size_t else_puts;
	size_t else_deletes;
	Status status;

	status = gather_list(all, txn->success, txn->n_success);
	if (status != RUSD_OK)
		return status;
	if (puts_conflict(all, from, puts, puts, delete_from, deletes - delete_from))
		return RUSD_DUPLICATE_KEY;
	else_puts = all->put_count;
	else_deletes = all->delete_count;
	status = gather_list(all, txn->failure, txn->n_failure);
	if (status != RUSD_OK)
		return status;
	if (puts_conflict(all, from, puts, else_puts, delete_from, deletes - delete_from))
		return RUSD_DUPLICATE_KEY;
	merge_puts(all, puts, else_puts);
	merge_puts(all, from, puts);
	merge_deletes(all, deletes, else_deletes);
	merge_deletes(all, delete_from, deletes);
	return RUSD_OK;
}

/* The puts of one list itself: against each other, against what its nested ones put, and against
 * all deletes. */
static Status
gather_puts(Gathered *all, Etcdserverpb__RequestOp *const *ops, size_t count, size_t from,
			size_t delete_from)
{
	size_t begin = all->put_count;
	size_t i;

	for (i = 0; i < count; i++)
		if (ops[i]->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT)
			all->puts[all->put_count++] =
				(Bytes){ops[i]->request_put->key.data, ops[i]->request_put->key.len};
	if (all->put_count == begin)
		return RUSD_OK;
	qsort(all->puts + begin, all->put_count - begin, sizeof(*all->puts), compare_puts);
	for (i = begin + 1; i < all->put_count; i++)
		if (compare_bytes(all->puts[i - 1], all->puts[i]) == 0)
			return RUSD_DUPLICATE_KEY;
	if (puts_conflict(all, from, begin, begin, delete_from, all->delete_count - delete_from))
		return RUSD_DUPLICATE_KEY;
	merge_puts(all, from, begin);
	return RUSD_OK;
}

/* One branch.  What it puts and deletes is left as a run at the end of each array. */
static Status
gather_list(Gathered *all, Etcdserverpb__RequestOp *const *ops, size_t count)
{
	size_t from = all->put_count;
	size_t delete_from = all->delete_count;
	Status status;
	size_t i;

	gather_deletes(all, ops, count);
	for (i = 0; i < count; i++)
	{
		if (ops[i]->request_case != ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN)
			continue;
		status = gather_nested(all, ops[i]->request_txn, from, delete_from);
		if (status != RUSD_OK)
			return status;
	}
	return gather_puts(all, ops, count, from, delete_from);
}

static void
count_ops(Etcdserverpb__RequestOp *const *ops, size_t count, size_t *puts, size_t *deletes)
{
	size_t i;

	for (i = 0; i < count; i++)
	{
		*puts += ops[i]->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
		*deletes += ops[i]->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
		if (ops[i]->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN)
		{
			count_ops(ops[i]->request_txn->success, ops[i]->request_txn->n_success, puts, deletes);
			count_ops(ops[i]->request_txn->failure, ops[i]->request_txn->n_failure, puts, deletes);
		}
	}
}

static Status
check_duplicates(const Etcdserverpb__TxnRequest *txn, Arena *arena)
{
	Gathered all = {.put_count = 0};
	size_t puts = 0;
	size_t deletes = 0;
	Status status;

	count_ops(txn->success, txn->n_success, &puts, &deletes);
	count_ops(txn->failure, txn->n_failure, &puts, &deletes);
	if (puts == 0)
		return RUSD_OK;
	all.puts = arena_alloc(arena, 2 * puts * sizeof(*all.puts));
	all.deletes = arena_alloc(arena, (2 * deletes + 1) * sizeof(*all.deletes));
	if (all.puts == NULL || all.deletes == NULL)
		return RUSD_MEMORY_EXCEEDED;
	all.spare_puts = all.puts + puts;
	all.spare_deletes = all.deletes + deletes;
	status = gather_list(&all, txn->success, txn->n_success);
	if (status != RUSD_OK)
		return status;
	/* The two branches of the outermost transaction are independent. */
	all.put_count = all.delete_count = 0;
	return gather_list(&all, txn->failure, txn->n_failure);
}

Status
txn_check(const Etcdserverpb__TxnRequest *txn, int64_t max_ops, Arena *arena)
{
	Status status = check_node(txn, max_ops);

	return status == RUSD_OK ? check_duplicates(txn, arena) : status;
}
