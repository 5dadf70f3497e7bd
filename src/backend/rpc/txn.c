/*
 * txn.c
 *	  Txn: checked, then proposed as a straight program, or answered at once if it only reads.
 *
 * Runs in backends.  Recursion is as deep as the decoder let messages be nested.
 *
 * src/backend/rpc/txn.c
 */
#include "rusd.h"

#include "services.h"
#include "utils/config.h"

#define CASE(name) ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_##name

/* ---- the program ---- */

/* Where encoding stands: with buffer NULL only offsets are counted. */
typedef struct Encoder
{
	uint8_t *buffer;
	uint64_t offset;
} Encoder;

static void encode_node(Encoder *encoder, const Etcdserverpb__TxnRequest *txn);

static Bytes
bytes_of(const ProtobufCBinaryData *data)
{
	return (Bytes){data->data, data->len};
}

static void
encode_op(Encoder *encoder, const OpHeader *op, Bytes key, Bytes range_end, Bytes value)
{
	uint8_t *at = encoder->buffer == NULL ? NULL : encoder->buffer + encoder->offset;

	encoder->offset += op_encode(at, op, key, range_end, value);
}

/* TXN-22: the operand is the member that belongs to the target; another one, or none, is 0 or
 * empty. */
static void
encode_compare(Encoder *encoder, const Etcdserverpb__Compare *compare)
{
	uint32_t target = (uint32_t) compare->target > 0xff ? 0xff : (uint32_t) compare->target;
	uint32_t result = (uint32_t) compare->result > 0xff ? 0xff : (uint32_t) compare->result;
	OpHeader op = {.kind = OP_COMPARE, .target = target | result << 8};
	Bytes value = {NULL, 0};

	switch (compare->target_union_case)
	{
		case ETCDSERVERPB__COMPARE__TARGET_UNION_VERSION:
			op.number =
				target == ETCDSERVERPB__COMPARE__COMPARE_TARGET__VERSION ? compare->version : 0;
			break;
		case ETCDSERVERPB__COMPARE__TARGET_UNION_CREATE_REVISION:
			op.number = target == ETCDSERVERPB__COMPARE__COMPARE_TARGET__CREATE
							? compare->create_revision
							: 0;
			break;
		case ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION:
			op.number =
				target == ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD ? compare->mod_revision : 0;
			break;
		case ETCDSERVERPB__COMPARE__TARGET_UNION_LEASE:
			op.number = target == ETCDSERVERPB__COMPARE__COMPARE_TARGET__LEASE ? compare->lease : 0;
			break;
		case ETCDSERVERPB__COMPARE__TARGET_UNION_VALUE:
			if (target == ETCDSERVERPB__COMPARE__COMPARE_TARGET__VALUE)
				value = bytes_of(&compare->value);
			break;
		default:
			break;
	}
	encode_op(encoder, &op, bytes_of(&compare->key), bytes_of(&compare->range_end), value);
}

static void
encode_ops(Encoder *encoder, Etcdserverpb__RequestOp *const *ops, size_t count)
{
	const Bytes none = {NULL, 0};
	OpHeader op;
	size_t i;

	for (i = 0; i < count; i++)
	{
		switch (ops[i]->request_case)
		{
			case CASE(RANGE):
				/* The applier wants to know its revision only; the rest is read from the request
				 * again when it is answered. */
				op = (OpHeader){.kind = OP_RANGE, .number = ops[i]->request_range->revision};
				encode_op(encoder, &op, none, none, none);
				break;
			case CASE(PUT):
				op = put_op(ops[i]->request_put);
				encode_op(encoder, &op, bytes_of(&ops[i]->request_put->key), none,
						  bytes_of(&ops[i]->request_put->value));
				break;
			case CASE(DELETE_RANGE):
				op = delete_op(ops[i]->request_delete_range);
				encode_op(encoder, &op, bytes_of(&ops[i]->request_delete_range->key),
						  bytes_of(&ops[i]->request_delete_range->range_end), none);
				break;
			default:
				encode_node(encoder, ops[i]->request_txn);
				break;
		}
	}
}

/* Compares, the success branch, a jump, the failure branch; an empty failure branch needs no jump.
 */
static void
encode_node(Encoder *encoder, const Etcdserverpb__TxnRequest *txn)
{
	const Bytes none = {NULL, 0};
	OpHeader op = {.kind = OP_TXN, .target = (uint32_t) txn->n_compare};
	OpHeader jump = {.kind = OP_JUMP};
	uint64_t begin = encoder->offset;
	uint64_t jump_at;
	size_t i;

	encode_op(encoder, &op, none, none, none);
	for (i = 0; i < txn->n_compare; i++)
		encode_compare(encoder, txn->compare[i]);
	encode_ops(encoder, txn->success, txn->n_success);
	jump_at = encoder->offset;
	if (txn->n_failure > 0)
		encode_op(encoder, &jump, none, none, none);
	op.number = (int64_t) encoder->offset;
	encode_ops(encoder, txn->failure, txn->n_failure);
	if (encoder->buffer == NULL)
		return;
	/* What was not known yet. */
	op_encode(encoder->buffer + begin, &op, none, none, none);
	jump.number = (int64_t) encoder->offset;
	if (txn->n_failure > 0)
		op_encode(encoder->buffer + jump_at, &jump, none, none, none);
}

uint64_t
txn_encode(const Etcdserverpb__TxnRequest *txn, uint8_t *buffer)
{
	Encoder encoder = {.buffer = buffer};

	encode_node(&encoder, txn);
	return encoder.offset;
}

/* ---- what kind of transaction ---- */

/* TXN-35, TXN-37: nothing but ranges in both branches. */
static bool
only_ranges(Etcdserverpb__RequestOp *const *ops, size_t count, bool *serializable)
{
	size_t i;

	for (i = 0; i < count; i++)
	{
		if (ops[i]->request_case != CASE(RANGE))
			return false;
		if (!ops[i]->request_range->serializable)
			*serializable = false;
	}
	return true;
}

bool
txn_answer_is_known(const Etcdserverpb__TxnRequest *txn)
{
	size_t i;

	if (txn->n_compare > 0)
		return false;
	for (i = 0; i < txn->n_success; i++)
		if (txn->success[i]->request_case != CASE(PUT) || txn->success[i]->request_put->prev_kv)
			return false;
	return true;
}

/* ---- the call ---- */

static void
txn_replied(RpcCall *call, const Reply *reply)
{
	if (!reply_failed(call, reply))
		txn_answer_write(call, reply);
}

/* Encodes into the call's memory: the program is walked again when it is answered. */
static Status
encode(RpcCall *call, TxnState **result)
{
	const Etcdserverpb__TxnRequest *txn = call->request;
	uint64_t length = txn_encode(txn, NULL);
	TxnState *state;

	if (length > INT32_MAX - sizeof(EntryHeader))
		return RUSD_REQUEST_TOO_LARGE;
	state = arena_alloc(&call->arena, sizeof(*state));
	if (state == NULL ||
		(state->payload = arena_alloc(&call->arena, sizeof(EntryHeader) + length)) == NULL)
		return RUSD_MEMORY_EXCEEDED;
	state->ops_length = length;
	txn_encode(txn, state->payload + sizeof(EntryHeader));
	call->state = *result = state;
	return RUSD_OK;
}

static void
read_only(RpcCall *call)
{
	const Etcdserverpb__TxnRequest *txn = call->request;
	SharedSnapshot *shared;
	ControlState control;
	bool serializable = true;
	Status status;

	only_ranges(txn->success, txn->n_success, &serializable);
	only_ranges(txn->failure, txn->n_failure, &serializable);
	status = snapshot_for_read(call, serializable, &control, &shared);
	if (status == RUSD_AGAIN)
		call_wait(call, read_only);
	else if (status != RUSD_OK)
		call_fail(call, status);
	else if (!txn_answer_read(call, &control, shared))
	{
		call->keeps = true;
		call_wait(call, read_only);
	}
}

static void
write(RpcCall *call)
{
	const TxnState *state = call->state;
	Status status;

	status = propose(call, ENTRY_TXN, state->payload, sizeof(EntryHeader) + state->ops_length,
					 txn_answer_is_known(call->request) ? 0 : ENTRY_WANTS_PIN,
					 serialized_size(call), txn_replied);
	if (status == RUSD_AGAIN)
		call_wait(call, write);
	else if (status != RUSD_OK)
		call_fail(call, status);
}

void
kv_txn(RpcCall *call)
{
	const Etcdserverpb__TxnRequest *txn = call->request;
	SharedSnapshot *shared;
	TxnState *state;
	bool serializable;
	Status status;

	/* TXN-1: the quota first. */
	status = snapshot_current(call->rpc, &shared);
	if (status == RUSD_AGAIN)
	{
		call_wait(call, kv_txn);
		return;
	}
	if (status == RUSD_OK && !quota_fits(&shared->snapshot.root, quota_cost_txn(txn)))
	{
		quota_exceeded(call);
		return;
	}
	if (status == RUSD_OK)
		status = txn_check(txn, config.max_txn_ops, &call->arena);
	if (status == RUSD_OK)
		status = encode(call, &state);
	if (status != RUSD_OK)
	{
		call_fail(call, status);
		return;
	}
	count(call->rpc->area, COUNTER_TXNS, 1);
	if (only_ranges(txn->success, txn->n_success, &serializable) &&
		only_ranges(txn->failure, txn->n_failure, &serializable))
		read_only(call);
	else
		write(call);
}
