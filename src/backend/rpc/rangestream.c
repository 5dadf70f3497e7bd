/*
 * rangestream.c
 *	  RangeStream: a Range cut into messages (KV-50 to KV-59).
 *
 * The whole range is measured first, so count and more are known from the beginning.  A message is
 * as many whole keys as fit into the piece of output that is to be filled, straight from pages into
 * it; a key that does not fit is a message of its own.  So a stream of any length takes one state of
 * fixed size, and nothing is encoded before the client's window has room for it.  Runs in backends.
 *
 * src/backend/rpc/rangestream.c
 */
#include "rusd.h"

#include "services.h"
#include "utils/log.h"

#define FIELD_RANGE_RESPONSE 1
/* Before a message of whole keys: RangeStreamResponse.range_response and its length. */
#define FRAME_HEAD_MAX 5
/* Behind the last key: the header, more and count (KV-55). */
#define STREAM_TAIL_MAX (HEADER_MAX + RANGE_TAIL_MAX)
/* With less room than this no key is looked for that might fit. */
#define ROOM_MIN 256

typedef struct RangeStream
{
	NetSource source;
	RpcCall *call;
	SharedSnapshot *shared;
	OpenRange open;
	RangeSpec spec;
	int64_t revision; /* that is read (KV-56) */
	uint64_t checked; /* change count of the newest root that was looked at for KV-57 */
	uint64_t left;    /* bytes of keys that are in no message yet */
	uint64_t of_key;  /* bytes of a key that is a message of its own, not yet given */
	Status ended;     /* how the call will be counted */
	/* Bytes that come before of_key: a frame's head, or the last message. */
	uint8_t small[FRAME_HEAD_MAX + STREAM_TAIL_MAX];
	size_t small_at;
	size_t small_length;
	uint8_t tail[STREAM_TAIL_MAX];
	size_t tail_length;
} RangeStream;

/* ---- the messages ---- */

/* KV-57, RPC-7, and what ends any slow read. */
static Status
may_go_on(RangeStream *stream)
{
	Rpc *rpc = stream->call->rpc;
	uint64_t change = atomic_load_explicit(&rpc->shm->root->change_count, memory_order_acquire);
	RootState root;

	if (stream->call->lost_leader)
		return RUSD_NO_LEADER;
	if (answer_is_ended(stream->call, stream->shared))
		return RUSD_SNAPSHOT_ENDED;
	if (change == stream->checked)
		return RUSD_OK;
	stream->checked = change;
	shm_root_read(rpc->shm, &root);
	return stream->revision < root.compacted ? RUSD_COMPACTED : RUSD_OK;
}

/* Puts the frame's head before length bytes that lie at buffer + FRAME_HEAD_MAX. */
static size_t
put_head_before(uint8_t *buffer, size_t length)
{
	size_t head = frame_size(length);

	if (head < FRAME_HEAD_MAX)
		memmove(buffer + head, buffer + FRAME_HEAD_MAX, length);
	(void) put_frame(buffer, FIELD_RANGE_RESPONSE, length);
	return head + length;
}

/* Whole keys, and what ends the answer if it fits behind the last one.  *got is 0 if not even one
 * fits; *length tells its bytes then. */
static Status
keys_message(RangeStream *stream, uint8_t *buffer, size_t max, NetMessage *message,
			 uint64_t *length)
{
	size_t room = max < ROOM_MIN ? 0 : max - FRAME_HEAD_MAX;
	uint8_t *keys = buffer + (room == 0 ? 0 : FRAME_HEAD_MAX);
	size_t got;
	Status status = range_pull_whole(stream->open.reader, keys, room, &got, length);

	if (status != RUSD_OK || got == 0)
		return status;
	stream->left -= got;
	if (stream->left == 0 && stream->tail_length <= room - got)
	{
		memcpy(keys + got, stream->tail, stream->tail_length);
		got += stream->tail_length;
		message->last = true;
	}
	message->got = message->length = put_head_before(buffer, got);
	return RUSD_OK;
}

/* What follows is given by pull: a head, then bytes that are behind it or come from the reader. */
static void
small_message(RangeStream *stream, const uint8_t *behind, size_t behind_length, uint64_t of_key,
			  NetMessage *message)
{
	uint8_t *at = put_frame(stream->small, FIELD_RANGE_RESPONSE, behind_length + of_key);

	if (behind_length > 0)
		memcpy(at, behind, behind_length);
	stream->small_at = 0;
	stream->small_length = (size_t) (at - stream->small) + behind_length;
	stream->of_key = of_key;
	message->length = stream->small_length + of_key;
}

static Status
begin_message(RangeStream *stream, uint8_t *buffer, size_t max, NetMessage *message)
{
	uint64_t length = 0;
	Status status = may_go_on(stream);

	if (status != RUSD_OK)
		return status;
	if (stream->left == 0)
	{
		small_message(stream, stream->tail, stream->tail_length, 0, message);
		message->last = true;
		return RUSD_OK;
	}
	status = keys_message(stream, buffer, max, message, &length);
	if (status == RUSD_OK && message->got == 0)
	{
		small_message(stream, NULL, 0, length, message);
		stream->left -= length;
	}
	return status;
}

static Status
stream_next(NetSource *source, uint8_t *buffer, size_t max, NetMessage *message)
{
	RangeStream *stream = (RangeStream *) source;
	Status status;

	*message = (NetMessage){0};
	status = begin_message(stream, buffer, max, message);
	if (status != RUSD_OK)
		stream->ended = status;
	else if (message->last)
		stream->ended = RUSD_OK;
	return status;
}

static Status
stream_pull(NetSource *source, uint8_t *buffer, size_t max, size_t *got)
{
	RangeStream *stream = (RangeStream *) source;
	size_t small = Min(max, stream->small_length - stream->small_at);
	Status status = RUSD_OK;

	memcpy(buffer, stream->small + stream->small_at, small);
	stream->small_at += small;
	*got = small;
	if (small == max || stream->of_key == 0)
		return RUSD_OK;
	if (answer_is_ended(stream->call, stream->shared))
		status = RUSD_SNAPSHOT_ENDED;
	if (status == RUSD_OK)
		status =
			range_pull(stream->open.reader, buffer + small, Min(max - small, stream->of_key), got);
	if (status != RUSD_OK)
	{
		stream->ended = status;
		return status;
	}
	stream->of_key -= *got;
	*got += small;
	return RUSD_OK;
}

static void
stream_close(NetSource *source)
{
	RangeStream *stream = (RangeStream *) source;
	RpcCall *call = stream->call;

	call_stream_ended(call, stream->ended);
	close_range(call->rpc, &stream->open);
	snapshot_release(call->rpc, stream->shared);
	call_drop(call, HOLD_SOURCE);
}

/* ---- the call ---- */

/* KV-51 */
static Status
stream_check(const Etcdserverpb__RangeRequest *range)
{
	Status status = range_check(range);

	if (status != RUSD_OK)
		return status;
	if (range->sort_order != ETCDSERVERPB__RANGE_REQUEST__SORT_ORDER__NONE &&
		(range->sort_order != ETCDSERVERPB__RANGE_REQUEST__SORT_ORDER__ASCEND ||
		 range->sort_target != ETCDSERVERPB__RANGE_REQUEST__SORT_TARGET__KEY))
		return RUSD_STREAM_SORT;
	if (range->min_mod_revision != 0 || range->max_mod_revision != 0 ||
		range->min_create_revision != 0 || range->max_create_revision != 0)
		return RUSD_STREAM_FILTER;
	return RUSD_OK;
}

/* One message that is encoded at once. */
static Status
answer_small(RangeStream *stream)
{
	uint8_t *at = stream->call->rpc->scratch + FRAME_HEAD_MAX;
	Status status = pull_whole_range(&stream->open, stream->left, at);

	if (status != RUSD_OK)
		return status;
	memcpy(at + stream->left, stream->tail, stream->tail_length);
	call_reply_bytes(
		stream->call, stream->call->rpc->scratch,
		put_head_before(stream->call->rpc->scratch, stream->left + stream->tail_length));
	return RUSD_OK;
}

/* The range is open and measured.  RUSD_AGAIN: call_wait. */
static Status
answer_stream(RangeStream *stream)
{
	RpcCall *call = stream->call;

	if (stream->left + stream->tail_length <= SMALL_ANSWER)
		return answer_small(stream);
	if (!snapshot_may_keep(call->rpc, stream->shared))
	{
		call->keeps = true;
		return RUSD_AGAIN;
	}
	(void) snapshot_reference(stream->shared);
	call->holds |= HOLD_SOURCE;
	call_reply_stream(call, &stream->source);
	return RUSD_OK;
}

static Status
begin_stream(RpcCall *call, const Etcdserverpb__RangeRequest *range, const ControlState *control,
			 SharedSnapshot *shared)
{
	const RootState *root = &shared->snapshot.root;
	RangeStream *stream = arena_zalloc(&call->arena, sizeof(*stream));
	int64_t count;
	bool more;
	Status status;

	if (stream == NULL)
		return RUSD_MEMORY_EXCEEDED;
	stream->source = (NetSource){.pull = stream_pull, .close = stream_close, .next = stream_next};
	stream->call = call;
	stream->shared = shared;
	stream->ended = RUSD_CONTEXT_CANCELED;
	stream->revision = range->revision > 0 ? range->revision : root->revision;
	range_spec(range, stream->revision + 1, 0, &stream->spec);
	/* KV-54: whatever the target, without an order it is that of keys. */
	stream->spec.target = SORT_KEY;
	status = open_range(call->rpc, &shared->snapshot, &stream->spec, &stream->open);
	if (status != RUSD_OK)
		return status;
	status = range_measure(stream->open.reader, &count, &stream->left, &more);
	if (status == RUSD_OK)
	{
		uint8_t *at = stream->tail + header_encode(control, root->revision, stream->tail);

		stream->tail_length = (size_t) (range_put_tail(at, more, count) - stream->tail);
		status = answer_stream(stream);
	}
	if ((call->holds & HOLD_SOURCE) == 0)
		close_range(call->rpc, &stream->open);
	return status;
}

void
kv_range_stream(RpcCall *call)
{
	const Etcdserverpb__RangeRequest *range = call->request;
	SharedSnapshot *shared;
	ControlState control;
	Status status;

	status = stream_check(range);
	if (status == RUSD_OK)
		status = snapshot_for_read(call, range->serializable, &control, &shared);
	if (status == RUSD_OK)
		status = store_check_revision(&shared->snapshot.root, range->revision);
	if (status == RUSD_OK)
		status = begin_stream(call, range, &control, shared);
	if (status == RUSD_AGAIN)
	{
		call_wait(call, kv_range_stream);
		return;
	}
	if (status != RUSD_OK)
		call_fail(call, status);
	count(call->rpc->area, COUNTER_RANGES, 1);
}
