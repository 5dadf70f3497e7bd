/*
 * kv.c
 *	  Range, Put, DeleteRange, Compact.
 *
 * Runs in backends.  What a write answers is read from the store by reference: the reply names the
 * root at which its effects are visible, and a view (main, 0) at it is the state before the write.
 *
 * src/backend/rpc/kv.c
 */
#include "rusd.h"

#include "services.h"

#define TAG_KVS WIRE_TAG(2, WIRE_BYTES)
#define TAG_PREV_KV WIRE_TAG(2, WIRE_BYTES)
#define TAG_PREV_KVS WIRE_TAG(3, WIRE_BYTES)

/* ---- Range ---- */

Status
range_check(const Etcdserverpb__RangeRequest *range)
{
	if (range->key.len == 0)
		return RUSD_EMPTY_KEY;
	if ((uint32_t) range->sort_order > SORT_DESCEND || (uint32_t) range->sort_target > SORT_VALUE)
		return RUSD_INVALID_SORT_OPTION;
	return RUSD_OK;
}

void
range_spec(const Etcdserverpb__RangeRequest *range, int64_t view_main, uint64_t view_sub,
		   RangeSpec *spec)
{
	*spec = (RangeSpec){.key = {range->key.data, range->key.len},
						.range_end = {range->range_end.data, range->range_end.len},
						.view_main = view_main,
						.view_sub = view_sub,
						.limit = range->limit,
						.order = (SortOrder) range->sort_order,
						.target = (SortTarget) range->sort_target,
						.keys_only = range->keys_only,
						.count_only = range->count_only,
						.min_mod = range->min_mod_revision,
						.max_mod = range->max_mod_revision,
						.min_create = range->min_create_revision,
						.max_create = range->max_create_revision,
						.field_tag = TAG_KVS};
}

uint8_t *
range_put_tail(uint8_t *at, bool more, int64_t count)
{
	at = put_varint_field(at, 3, more);
	return put_varint_field(at, 4, (uint64_t) count);
}

/* One key as it is, wanted as it is: no filter, and nothing that sorting would do to it. */
static bool
is_simple_get(const Etcdserverpb__RangeRequest *range)
{
	return range->range_end.len == 0 && !range->count_only && range->min_mod_revision == 0 &&
		   range->max_mod_revision == 0 && range->min_create_revision == 0 &&
		   range->max_create_revision == 0 &&
		   !(range->keys_only && (uint32_t) range->sort_target == SORT_VALUE);
}

/* The hot path.  RUSD_AGAIN: too large for this, go the other way. */
static Status
answer_get(RpcCall *call, const Etcdserverpb__RangeRequest *range, const ControlState *control,
		   const Snapshot *snapshot, int64_t view_main)
{
	uint8_t *scratch = call->rpc->scratch;
	uint8_t *at = scratch;
	RangeItem item;
	uint64_t length;
	Status status;

	status = range_get(snapshot, (Bytes){range->key.data, range->key.len}, view_main, 0, &item);
	if (status != RUSD_OK && status != RUSD_NOT_FOUND)
		return status;
	at += header_encode(control, snapshot->root.revision, at);
	if (status == RUSD_OK)
	{
		length = range_item_length(&item, range->keys_only);
		if (length > SMALL_ANSWER)
			return RUSD_AGAIN;
		at = put_frame(at, 2, length);
		status = range_item_encode(snapshot, &item, range->keys_only, at);
		if (status != RUSD_OK)
			return status;
		at = range_put_tail(at + length, false, 1);
	}
	call_reply_bytes(call, scratch, (size_t) (at - scratch));
	return RUSD_OK;
}

/* Any other range: measured, then encoded at once or sent piece by piece.  RUSD_AGAIN: call_wait.
 */
static Status
answer_range(RpcCall *call, const Etcdserverpb__RangeRequest *range, const ControlState *control,
			 SharedSnapshot *shared, int64_t view_main)
{
	Rpc *rpc = call->rpc;
	struct
	{
		AnswerPart parts[2];
		RangeSpec spec;
		uint8_t head[HEADER_MAX];
		uint8_t tail[RANGE_TAIL_MAX];
	} * state;
	OpenRange open;
	int64_t count;
	bool more;
	uint64_t length;
	Status status;

	state = arena_zalloc(&call->arena, sizeof(*state));
	if (state == NULL)
		return RUSD_MEMORY_EXCEEDED;
	range_spec(range, view_main, 0, &state->spec);
	status = open_range(rpc, &shared->snapshot, &state->spec, &open);
	if (status != RUSD_OK)
		return status;
	status = range_measure(open.reader, &count, &state->parts[0].bytes, &more);
	if (status != RUSD_OK)
	{
		close_range(rpc, &open);
		return status;
	}
	state->parts[0].spec = &state->spec;
	state->parts[0].literal =
		(Bytes){state->head, header_encode(control, shared->snapshot.root.revision, state->head)};
	state->parts[1].literal =
		(Bytes){state->tail, (size_t) (range_put_tail(state->tail, more, count) - state->tail)};
	length =
		state->parts[0].literal.length + state->parts[0].bytes + state->parts[1].literal.length;
	if (length > SMALL_ANSWER && !snapshot_may_keep(rpc, shared))
	{
		close_range(rpc, &open);
		call->keeps = true;
		return RUSD_AGAIN;
	}
	if (length > SMALL_ANSWER)
	{
		answer_send(call, snapshot_reference(shared), state->parts, 2, length, &open);
		return RUSD_OK;
	}
	memcpy(rpc->scratch, state->head, state->parts[0].literal.length);
	status = pull_whole_range(&open, state->parts[0].bytes,
							  rpc->scratch + state->parts[0].literal.length);
	close_range(rpc, &open);
	if (status != RUSD_OK)
		return status;
	memcpy(rpc->scratch + length - state->parts[1].literal.length, state->tail,
		   state->parts[1].literal.length);
	call_reply_bytes(call, rpc->scratch, length);
	return RUSD_OK;
}

void
kv_range(RpcCall *call)
{
	const Etcdserverpb__RangeRequest *range = call->request;
	SharedSnapshot *shared;
	ControlState control;
	int64_t view_main;
	Status status;

	status = range_check(range);
	if (status == RUSD_OK)
		status = snapshot_for_read(call, range->serializable, &control, &shared);
	if (status == RUSD_OK)
		status = store_check_revision(&shared->snapshot.root, range->revision);
	if (status == RUSD_OK)
	{
		view_main = (range->revision > 0 ? range->revision : shared->snapshot.root.revision) + 1;
		status = RUSD_AGAIN;
		if (is_simple_get(range))
			status = answer_get(call, range, &control, &shared->snapshot, view_main);
		if (status == RUSD_AGAIN)
			status = answer_range(call, range, &control, shared, view_main);
	}
	if (status == RUSD_AGAIN)
	{
		call_wait(call, kv_range);
		return;
	}
	if (status != RUSD_OK)
		call_fail(call, status);
	count(call->rpc->area, COUNTER_RANGES, 1);
}

/* ---- what Put and DeleteRange share ---- */

/* Room for a proposal whose ops take this much: the scratch, or the call's memory. */
uint8_t *
proposal_buffer(RpcCall *call, size_t ops_length)
{
	size_t length = sizeof(EntryHeader) + ops_length;

	return length <= PROPOSAL_PIECE_MAX ? call->rpc->scratch : arena_alloc(&call->arena, length);
}

/* Proposes a single op. */
static Status
propose_op(RpcCall *call, EntryKind kind, const OpHeader *op, Bytes key, Bytes range_end,
		   Bytes value, void (*on_reply)(RpcCall *call, const Reply *reply))
{
	uint32_t length = op_encode(NULL, op, key, range_end, value);
	uint8_t *payload = proposal_buffer(call, length);

	if (payload == NULL)
		return RUSD_MEMORY_EXCEEDED;
	op_encode(payload + sizeof(EntryHeader), op, key, range_end, value);
	return propose(call, kind, payload, sizeof(EntryHeader) + length,
				   (op->flags & OP_PREV_KV) != 0 ? ENTRY_WANTS_PIN : 0, serialized_size(call),
				   on_reply);
}

/* A write's reply that is no success: true if it was answered, or its call begins again. */
bool
reply_failed(RpcCall *call, const Reply *reply)
{
	if (reply->status == RUSD_OK && (reply->flags & REPLY_OVER_QUOTA) == 0)
		return false;
	reply_unpin(call->rpc, reply);
	/* It was not appended and never will be: anew, with the next leader, until T_req. */
	if (reply->status == RUSD_LEADER_CHANGED)
		call_wait(call, call->method->handle);
	/* A full disk is told of like a used up quota. */
	else if (reply->status == RUSD_OK ||
			 (reply->status == RUSD_NOSPACE && shm_disk_is_full(call->rpc->shm)))
		quota_exceeded(call);
	else
		call_fail(call, reply->status < RUSD_STATUS_COUNT ? (Status) reply->status : RUSD_INVALID);
	return true;
}

int64_t
reply_main(const Reply *reply)
{
	return (reply->flags & REPLY_CHANGED) != 0 ? reply->revision : reply->revision + 1;
}

/* An answer with a header, some bytes behind it, and then what a range at the state before the
 * write gives. */
static void
answer_with_previous(RpcCall *call, const Reply *reply, const uint8_t *middle, size_t middle_length,
					 Bytes key, Bytes range_end, uint8_t field_tag)
{
	Rpc *rpc = call->rpc;
	struct
	{
		AnswerPart part;
		RangeSpec spec;
		uint8_t head[HEADER_MAX + RANGE_TAIL_MAX];
	} *state = arena_zalloc(&call->arena, sizeof(*state));
	ControlState control;
	Snapshot snapshot;
	int64_t count;
	bool more;
	size_t head;
	Status status = RUSD_MEMORY_EXCEEDED;

	if (state != NULL)
	{
		snapshot_of_reply(rpc->access, reply, &snapshot);
		state->spec = (RangeSpec){.key = key,
								  .range_end = range_end,
								  .view_main = reply_main(reply),
								  .field_tag = field_tag};
		status = answer_measure(rpc, &snapshot, &state->spec, &count, &state->part.bytes, &more);
	}
	if (status != RUSD_OK)
	{
		reply_unpin(rpc, reply);
		call_fail(call, status);
		return;
	}
	shm_control_read(rpc->shm, &control);
	head = header_encode(&control, reply->revision, state->head);
	if (middle_length > 0)
		memcpy(state->head + head, middle, middle_length);
	state->part.spec = &state->spec;
	state->part.literal = (Bytes){state->head, head + middle_length};
	answer_reply(call, reply, &snapshot, &state->part, 1,
				 state->part.literal.length + state->part.bytes);
}

/* An answer with a header and some bytes behind it. */
static void
answer_plain(RpcCall *call, const Reply *reply, const uint8_t *rest, size_t rest_length)
{
	Rpc *rpc = call->rpc;
	uint8_t buffer[HEADER_MAX + RANGE_TAIL_MAX];
	ControlState control;
	size_t length;

	reply_unpin(rpc, reply);
	shm_control_read(rpc->shm, &control);
	length = header_encode(&control, reply->revision, buffer);
	if (rest_length > 0)
		memcpy(buffer + length, rest, rest_length);
	call_reply_bytes(call, buffer, length + rest_length);
}

/* ---- Put ---- */

Status
put_check(const Etcdserverpb__PutRequest *put)
{
	if (put->key.len == 0)
		return RUSD_EMPTY_KEY;
	if (put->ignore_value && put->value.len != 0)
		return RUSD_VALUE_PROVIDED;
	if (put->ignore_lease && put->lease != 0)
		return RUSD_LEASE_PROVIDED;
	return RUSD_OK;
}

OpHeader
put_op(const Etcdserverpb__PutRequest *put)
{
	return (OpHeader){.kind = OP_PUT,
					  .flags = (uint16_t) ((put->ignore_value ? OP_IGNORE_VALUE : 0) |
										   (put->ignore_lease ? OP_IGNORE_LEASE : 0) |
										   (put->prev_kv ? OP_PREV_KV : 0)),
					  .number = put->lease};
}

static void
put_replied(RpcCall *call, const Reply *reply)
{
	const Etcdserverpb__PutRequest *put = call->request;

	if (reply_failed(call, reply))
		return;
	count(call->rpc->area, COUNTER_PUTS, 1);
	if (put->prev_kv)
		answer_with_previous(call, reply, NULL, 0, (Bytes){put->key.data, put->key.len},
							 (Bytes){NULL, 0}, TAG_PREV_KV);
	else
		answer_plain(call, reply, NULL, 0);
}

void
kv_put(RpcCall *call)
{
	const Etcdserverpb__PutRequest *put = call->request;
	OpHeader op = put_op(put);
	SharedSnapshot *shared;
	Status status;

	status = snapshot_current(call->rpc, &shared);
	if (status == RUSD_OK && !quota_fits(&shared->snapshot.root, quota_cost_put(put)))
	{
		quota_exceeded(call);
		return;
	}
	if (status == RUSD_OK)
		status = put_check(put);
	if (status == RUSD_OK)
		status =
			propose_op(call, ENTRY_PUT, &op, (Bytes){put->key.data, put->key.len}, (Bytes){NULL, 0},
					   (Bytes){put->value.data, put->value.len}, put_replied);
	if (status == RUSD_AGAIN)
		call_wait(call, kv_put);
	else if (status != RUSD_OK)
		call_fail(call, status);
}

/* ---- DeleteRange ---- */

Status
delete_check(const Etcdserverpb__DeleteRangeRequest *request)
{
	return request->key.len == 0 ? RUSD_EMPTY_KEY : RUSD_OK;
}

OpHeader
delete_op(const Etcdserverpb__DeleteRangeRequest *request)
{
	return (OpHeader){.kind = OP_DELETE, .flags = request->prev_kv ? OP_PREV_KV : 0};
}

static void
delete_replied(RpcCall *call, const Reply *reply)
{
	const Etcdserverpb__DeleteRangeRequest *request = call->request;
	uint8_t deleted[RANGE_TAIL_MAX];
	size_t length;

	if (reply_failed(call, reply))
		return;
	count(call->rpc->area, COUNTER_DELETES, 1);
	length = (size_t) (put_varint_field(deleted, 2, reply->value) - deleted);
	if (request->prev_kv && reply->value > 0)
		answer_with_previous(
			call, reply, deleted, length, (Bytes){request->key.data, request->key.len},
			(Bytes){request->range_end.data, request->range_end.len}, TAG_PREV_KVS);
	else
		answer_plain(call, reply, deleted, length);
}

void
kv_delete_range(RpcCall *call)
{
	const Etcdserverpb__DeleteRangeRequest *request = call->request;
	OpHeader op = delete_op(request);
	Status status;

	status = delete_check(request);
	if (status == RUSD_OK)
		status =
			propose_op(call, ENTRY_DELETE_RANGE, &op, (Bytes){request->key.data, request->key.len},
					   (Bytes){request->range_end.data, request->range_end.len}, (Bytes){NULL, 0},
					   delete_replied);
	if (status == RUSD_AGAIN)
		call_wait(call, kv_delete_range);
	else if (status != RUSD_OK)
		call_fail(call, status);
}

/* ---- Compact ---- */

static void
compact_replied(RpcCall *call, const Reply *reply)
{
	if (!reply_failed(call, reply))
		answer_plain(call, reply, NULL, 0);
}

void
kv_compact(RpcCall *call)
{
	const Etcdserverpb__CompactionRequest *request = call->request;
	EntryCompact compact = {.revision = request->revision, .physical = request->physical};
	Status status;

	memcpy(call->rpc->scratch + sizeof(EntryHeader), &compact, sizeof(compact));
	status = propose(call, ENTRY_COMPACT, call->rpc->scratch, sizeof(EntryHeader) + sizeof(compact),
					 0, serialized_size(call), compact_replied);
	/* COMPACT-5: the removal of old data may take its time. */
	if (status == RUSD_OK && request->physical)
		call->bounded = false;
	if (status == RUSD_AGAIN)
		call_wait(call, kv_compact);
	else if (status != RUSD_OK)
		call_fail(call, status);
}
