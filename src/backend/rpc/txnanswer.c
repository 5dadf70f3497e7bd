/*
 * txnanswer.c
 *	  The answer of a transaction, read from the store after it was applied.
 *
 * The applier says only under which main revision it ran and at which root its effects are visible.
 * All else follows from the store: the compares hold or not at the view (main, 0), which is the
 * state before; a range inside sees (main, sub), sub being the number of changes before it; and so
 * do the keys that a delete has deleted and the value that a put has replaced.
 *
 * The request's tree and its program are walked together down the path that was taken.  A first
 * walk makes a node for each answer, in order, and sums up lengths; from the nodes the parts of the
 * answer are made, literal bytes and ranges that are read while they are sent.  Memory: a few
 * hundred bytes for each op on the path.  Runs in backends.
 *
 * src/backend/rpc/txnanswer.c
 */
#include "rusd.h"

#include "services.h"

#define CASE(name) ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_##name
#define FIELD_SUCCEEDED 2
#define FIELD_RESPONSES 3

/* The answer to one op on the path. */
typedef struct Node
{
	struct Node *next;
	const Etcdserverpb__RequestOp *op;
	int64_t revision; /* of its header (TXN-41) */
	int64_t count;    /* range: KV-36; delete: keys deleted */
	uint64_t bytes;   /* of its keys and values */
	uint64_t length;  /* of its response, without frame */
	RangeSpec *spec;  /* where bytes > 0 */
	bool more;
	bool succeeded;
} Node;

typedef struct Walk
{
	RpcCall *call;
	const Snapshot *snapshot;
	const uint8_t *ops;
	int64_t main; /* it ran under this */
	uint64_t sub; /* changes so far */
	Node *first;
	Node **end;
	uint32_t nodes;
	uint32_t ranges;
} Walk;

static Status walk_txn(Walk *walk, const Etcdserverpb__TxnRequest *txn, uint32_t *offset,
					   bool *succeeded, uint64_t *length);

/* ---- first walk ---- */

static Node *
add_node(Walk *walk, const Etcdserverpb__RequestOp *op)
{
	Node *node = arena_zalloc(&walk->call->arena, sizeof(*node));

	if (node == NULL)
		return NULL;
	node->op = op;
	*walk->end = node;
	walk->end = &node->next;
	walk->nodes++;
	return node;
}

/* Measures what spec gives; keeps spec if it is to be sent. */
static Status
measure(Walk *walk, Node *node, const RangeSpec *spec)
{
	Status status = answer_measure(walk->call->rpc, walk->snapshot, spec, &node->count,
								   &node->bytes, &node->more);

	if (status != RUSD_OK || node->bytes == 0)
		return status;
	node->spec = arena_alloc(&walk->call->arena, sizeof(*spec));
	if (node->spec == NULL)
		return RUSD_MEMORY_EXCEEDED;
	*node->spec = *spec;
	walk->ranges++;
	return RUSD_OK;
}

static Status
walk_range(Walk *walk, Node *node, const Etcdserverpb__RangeRequest *range)
{
	RangeSpec spec;
	Status status;

	/* A revision of its own is one before this transaction (TXN-31). */
	if (range->revision > 0)
		range_spec(range, range->revision + 1, 0, &spec);
	else
		range_spec(range, walk->main, walk->sub, &spec);
	status = measure(walk, node, &spec);
	node->revision = walk->sub == 0 ? walk->main - 1 : walk->main;
	node->length = header_revision_encode(node->revision, NULL) + node->bytes +
				   varint_field_size(node->more) + varint_field_size((uint64_t) node->count);
	return status;
}

static Status
walk_put(Walk *walk, Node *node, const Etcdserverpb__PutRequest *put)
{
	RangeSpec spec = {.key = {put->key.data, put->key.len},
					  .view_main = walk->main,
					  .view_sub = walk->sub,
					  .field_tag = WIRE_TAG(2, WIRE_BYTES)};
	Status status = RUSD_OK;

	if (put->prev_kv)
		status = measure(walk, node, &spec);
	walk->sub++;
	node->revision = walk->main;
	node->length = header_revision_encode(node->revision, NULL) + node->bytes;
	return status;
}

static Status
walk_delete(Walk *walk, Node *node, const Etcdserverpb__DeleteRangeRequest *request)
{
	RangeSpec spec = {.key = {request->key.data, request->key.len},
					  .range_end = {request->range_end.data, request->range_end.len},
					  .view_main = walk->main,
					  .view_sub = walk->sub,
					  .count_only = !request->prev_kv,
					  .field_tag = WIRE_TAG(3, WIRE_BYTES)};
	Status status;

	status = measure(walk, node, &spec);
	walk->sub += (uint64_t) node->count;
	node->revision = walk->sub == 0 ? walk->main - 1 : walk->main;
	node->length = header_revision_encode(node->revision, NULL) +
				   varint_field_size((uint64_t) node->count) + node->bytes;
	return status;
}

/* One op, whose bytes in the program begin at *offset; adds what it takes in the list of responses
 * to *length. */
static Status
walk_op(Walk *walk, const Etcdserverpb__RequestOp *request, uint32_t *offset, uint64_t *length)
{
	Node *node = add_node(walk, request);
	Status status;
	Op op;

	if (node == NULL)
		return RUSD_MEMORY_EXCEEDED;
	op_at(walk->ops, *offset, &op);
	if (request->request_case != CASE(TXN))
		*offset = op.next;
	switch (request->request_case)
	{
		case CASE(RANGE):
			status = walk_range(walk, node, request->request_range);
			break;
		case CASE(PUT):
			status = walk_put(walk, node, request->request_put);
			break;
		case CASE(DELETE_RANGE):
			status = walk_delete(walk, node, request->request_delete_range);
			break;
		default:
			status = walk_txn(walk, request->request_txn, offset, &node->succeeded, &node->length);
			/* TXN-42: its header is there, and empty. */
			node->length += framed_size(0);
			break;
	}
	*length += framed_size(framed_size(node->length));
	return status;
}

/* Behind the transaction that begins at offset. */
static uint32_t
end_of_txn(const uint8_t *ops, const Etcdserverpb__TxnRequest *txn, const Op *op)
{
	uint32_t else_offset = (uint32_t) op->header->number;
	Op jump;

	if (txn->n_failure == 0)
		return else_offset;
	op_at(ops, else_offset - (uint32_t) sizeof(OpHeader), &jump);
	return (uint32_t) jump.header->number;
}

/* A transaction: which branch was taken, and its answers.  *length: of its response, the header
 * left out. */
static Status
walk_txn(Walk *walk, const Etcdserverpb__TxnRequest *txn, uint32_t *offset, bool *succeeded,
		 uint64_t *length)
{
	Etcdserverpb__RequestOp *const *branch = txn->failure;
	size_t count = txn->n_failure;
	uint32_t at;
	uint32_t i;
	Status status = RUSD_OK;
	Op op;

	op_at(walk->ops, *offset, &op);
	*offset = end_of_txn(walk->ops, txn, &op);
	*succeeded = true;
	if (txn->n_compare > 0)
		status = store_compare(walk->snapshot, walk->ops, &op, walk->main, succeeded);
	at = (uint32_t) op.header->number;
	if (*succeeded)
	{
		branch = txn->success;
		count = txn->n_success;
		at = op.next;
		for (i = 0; i < txn->n_compare; i++)
		{
			Op compare;

			op_at(walk->ops, at, &compare);
			at = compare.next;
		}
	}
	*length = varint_field_size(*succeeded);
	for (i = 0; i < count && status == RUSD_OK; i++)
		status = walk_op(walk, branch[i], &at, length);
	return status;
}

/* ---- parts ---- */

/* Most literal bytes that one node takes: two frames, a header with a revision, and some numbers.
 */
#define NODE_LITERAL_MAX 96

typedef struct Maker
{
	AnswerPart *parts;
	uint32_t count;
	uint8_t *begin; /* of the literal bytes of the part under way */
	uint8_t *at;
} Maker;

static void
make_part(Maker *maker, const Node *node)
{
	maker->parts[maker->count++] =
		(AnswerPart){.literal = {maker->begin, (size_t) (maker->at - maker->begin)},
					 .spec = node == NULL ? NULL : node->spec,
					 .bytes = node == NULL ? 0 : node->bytes};
	maker->begin = maker->at;
}

static void
make_node(Maker *maker, const Node *node)
{
	maker->at = put_frame(maker->at, FIELD_RESPONSES, framed_size(node->length));
	/* The members of ResponseOp have the numbers of those of RequestOp. */
	maker->at = put_frame(maker->at, (int) node->op->request_case, node->length);
	if (node->op->request_case == CASE(TXN))
	{
		maker->at = put_frame(maker->at, 1, 0);
		maker->at = put_varint_field(maker->at, FIELD_SUCCEEDED, node->succeeded);
		return;
	}
	maker->at += header_revision_encode(node->revision, maker->at);
	if (node->op->request_case == CASE(DELETE_RANGE))
		maker->at = put_varint_field(maker->at, 2, (uint64_t) node->count);
	if (node->bytes > 0)
		make_part(maker, node);
	if (node->op->request_case == CASE(RANGE))
		maker->at = range_put_tail(maker->at, node->more, node->count);
}

/* The whole answer as parts; lengths were summed up before. */
static Status
make_parts(const Walk *walk, const ControlState *control, int64_t revision, bool succeeded,
		   Maker *maker)
{
	Arena *arena = &walk->call->arena;
	const Node *node;

	maker->count = 0;
	maker->parts = arena_alloc(arena, (walk->ranges + 1) * sizeof(*maker->parts));
	maker->begin = maker->at =
		arena_alloc(arena, HEADER_MAX + (size_t) (walk->nodes + 1) * NODE_LITERAL_MAX);
	if (maker->parts == NULL || maker->at == NULL)
		return RUSD_MEMORY_EXCEEDED;
	maker->at += header_encode(control, revision, maker->at);
	maker->at = put_varint_field(maker->at, FIELD_SUCCEEDED, succeeded);
	for (node = walk->first; node != NULL; node = node->next)
		make_node(maker, node);
	make_part(maker, NULL);
	return RUSD_OK;
}

/* Both walks: parts and the length of the answer. */
static Status
make_answer(Walk *walk, const ControlState *control, int64_t revision, Maker *maker,
			uint64_t *length)
{
	uint32_t offset = 0;
	bool succeeded;
	Status status;

	walk->end = &walk->first;
	status = walk_txn(walk, walk->call->request, &offset, &succeeded, length);
	if (status != RUSD_OK)
		return status;
	*length += header_encode(control, revision, NULL);
	return make_parts(walk, control, revision, succeeded, maker);
}

void
txn_answer_write(RpcCall *call, const Reply *reply)
{
	const TxnState *state = call->state;
	Walk walk = {
		.call = call, .ops = state->payload + sizeof(EntryHeader), .main = reply_main(reply)};
	ControlState control;
	Snapshot snapshot;
	Maker maker;
	uint64_t length;
	Status status;

	shm_control_read(call->rpc->shm, &control);
	if ((reply->flags & REPLY_PINNED) != 0)
	{
		snapshot_of_reply(call->rpc->access, reply, &snapshot);
		walk.snapshot = &snapshot;
	}
	else
		Check(txn_answer_is_known(call->request));
	status = make_answer(&walk, &control, reply->revision, &maker, &length);
	if (status == RUSD_OK)
		answer_reply(call, reply, walk.snapshot, maker.parts, maker.count, length);
	else
	{
		reply_unpin(call->rpc, reply);
		call_fail(call, status);
	}
}

/* TXN-30 of a transaction that only reads: its ranges are checked all before the first is read. */
static Status
check_revisions(const RootState *root, Etcdserverpb__RequestOp *const *ops, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
	{
		int64_t revision = ops[i]->request_range->revision;

		if (revision > root->revision)
			return RUSD_FUTURE_REV;
		if (revision != 0 && revision < root->compacted)
			return RUSD_COMPACTED;
	}
	return RUSD_OK;
}

bool
txn_answer_read(RpcCall *call, const ControlState *control, SharedSnapshot *shared)
{
	const TxnState *state = call->state;
	const Etcdserverpb__TxnRequest *txn = call->request;
	const RootState *root = &shared->snapshot.root;
	Walk walk = {.call = call,
				 .ops = state->payload + sizeof(EntryHeader),
				 .snapshot = &shared->snapshot,
				 .main = root->revision + 1};
	Maker maker;
	uint64_t length;
	bool holds = true;
	Op op;
	Status status = RUSD_OK;

	op_at(walk.ops, 0, &op);
	if (txn->n_compare > 0)
		status = store_compare(walk.snapshot, walk.ops, &op, walk.main, &holds);
	if (status == RUSD_OK)
		status = holds ? check_revisions(root, txn->success, txn->n_success)
					   : check_revisions(root, txn->failure, txn->n_failure);
	if (status == RUSD_OK)
		status = make_answer(&walk, control, root->revision, &maker, &length);
	if (status == RUSD_OK && length > SMALL_ANSWER && !snapshot_may_keep(call->rpc, shared))
		return false;
	if (status == RUSD_OK && length > SMALL_ANSWER)
	{
		answer_send(call, snapshot_reference(shared), maker.parts, maker.count, length, NULL);
		return true;
	}
	if (status == RUSD_OK)
		status =
			answer_encode(call->rpc, walk.snapshot, maker.parts, maker.count, call->rpc->scratch);
	if (status == RUSD_OK)
		call_reply_bytes(call, call->rpc->scratch, length);
	else
		call_fail(call, status);
	return true;
}
