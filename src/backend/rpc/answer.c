/*
 * answer.c
 *	  Answers of any size in constant memory: literal bytes and range readers, one behind the other.
 *
 * A reader is opened when its turn comes and closed when it has given what was measured before. The
 * state that they read is held by a reference to a snapshot.  Runs in backends.
 *
 * src/backend/rpc/answer.c
 */
#include "rusd.h"

#include "rpc_int.h"
#include "utils/log.h"

struct Answer
{
	NetSource source;
	RpcCall *call;
	SharedSnapshot *shared;
	const AnswerPart *parts;
	uint32_t count;
	uint32_t current;
	uint64_t offset; /* of the next byte in the current part: literal first, then the reader's */
	OpenRange open;  /* reader of the current part, once it is begun */
};

Status
open_range(Rpc *rpc, const Snapshot *snapshot, const RangeSpec *spec, OpenRange *open)
{
	Status status;

	open->reader = NULL;
	open->memory = range_memory(spec);
	if (!rpc->budget->take(rpc->budget, open->memory))
		return RUSD_MEMORY_EXCEEDED;
	status = range_open(snapshot, spec, &open->reader);
	if (status == RUSD_OK)
		return RUSD_OK;
	open->reader = NULL;
	rpc->budget->give(rpc->budget, open->memory);
	return status;
}

void
close_range(Rpc *rpc, OpenRange *open)
{
	if (open->reader == NULL)
		return;
	range_close(open->reader);
	rpc->budget->give(rpc->budget, open->memory);
	open->reader = NULL;
}

Status
pull_whole_range(OpenRange *open, uint64_t bytes, uint8_t *buffer)
{
	uint64_t done = 0;
	Status status = RUSD_OK;

	while (status == RUSD_OK && done < bytes)
	{
		size_t got = 0;

		status = range_pull(open->reader, buffer + done, bytes - done, &got);
		done += got;
	}
	return status;
}

Status
answer_measure(Rpc *rpc, const Snapshot *snapshot, const RangeSpec *spec, int64_t *count,
			   uint64_t *bytes, bool *more)
{
	OpenRange open;
	Status status;

	status = open_range(rpc, snapshot, spec, &open);
	if (status != RUSD_OK)
		return status;
	status = range_measure(open.reader, count, bytes, more);
	close_range(rpc, &open);
	return status;
}

static Status
encode_range(Rpc *rpc, const Snapshot *snapshot, const AnswerPart *part, uint8_t *buffer)
{
	OpenRange open;
	uint64_t bytes;
	int64_t count;
	bool more;
	Status status;

	status = open_range(rpc, snapshot, part->spec, &open);
	if (status != RUSD_OK)
		return status;
	status = range_measure(open.reader, &count, &bytes, &more);
	Check(status != RUSD_OK || bytes == part->bytes);
	if (status == RUSD_OK)
		status = pull_whole_range(&open, bytes, buffer);
	close_range(rpc, &open);
	return status;
}

Status
answer_encode(Rpc *rpc, const Snapshot *snapshot, const AnswerPart *parts, uint32_t count,
			  uint8_t *buffer)
{
	uint32_t i;
	Status status = RUSD_OK;

	for (i = 0; i < count && status == RUSD_OK; i++)
	{
		memcpy(buffer, parts[i].literal.data, parts[i].literal.length);
		buffer += parts[i].literal.length;
		if (parts[i].bytes > 0)
			status = encode_range(rpc, snapshot, &parts[i], buffer);
		buffer += parts[i].bytes;
	}
	return status;
}

/* Opens the reader of the current part, measured as its use demands. */
static Status
begin_range(Answer *answer, const AnswerPart *part)
{
	Rpc *rpc = answer->call->rpc;
	uint64_t bytes;
	int64_t count;
	bool more;
	Status status;

	status = open_range(rpc, &answer->shared->snapshot, part->spec, &answer->open);
	if (status != RUSD_OK)
		return status;
	status = range_measure(answer->open.reader, &count, &bytes, &more);
	Check(status != RUSD_OK || bytes == part->bytes);
	if (status != RUSD_OK)
		close_range(rpc, &answer->open);
	return status;
}

/* Bytes of the reader of the current part. */
static Status
pull_range(Answer *answer, const AnswerPart *part, uint8_t *buffer, size_t max, size_t *got)
{
	uint64_t left = part->literal.length + part->bytes - answer->offset;
	Status status;

	if (answer->open.reader == NULL)
	{
		status = begin_range(answer, part);
		if (status != RUSD_OK)
			return status;
	}
	status = range_pull(answer->open.reader, buffer, Min(max, left), got);
	if (status == RUSD_OK && *got == left)
		close_range(answer->call->rpc, &answer->open);
	return status;
}

static Status
pull_part(Answer *answer, uint8_t *buffer, size_t max, size_t *got)
{
	const AnswerPart *part = &answer->parts[answer->current];
	uint64_t literal_left;

	if (answer->offset >= part->literal.length)
		return pull_range(answer, part, buffer, max, got);
	literal_left = part->literal.length - answer->offset;
	*got = Min(max, literal_left);
	memcpy(buffer, part->literal.data + answer->offset, *got);
	return RUSD_OK;
}

bool
answer_is_ended(RpcCall *call, const SharedSnapshot *shared)
{
	if (likely(!snapshot_is_ended(&shared->snapshot)))
		return false;
	count(call->rpc->area, COUNTER_SNAPSHOTS_ENDED, 1);
	log_warn("a slow read was ended to make room: its snapshot was the oldest",
			 LOG_TEXT("client", call->rpc->area->what),
			 LOG_UNSIGNED("root", shared->snapshot.root.number));
	return true;
}

static Status
answer_pull(NetSource *source, uint8_t *buffer, size_t max, size_t *got)
{
	Answer *answer = (Answer *) source;

	*got = 0;
	if (answer_is_ended(answer->call, answer->shared))
		return RUSD_SNAPSHOT_ENDED;
	while (*got < max && answer->current < answer->count)
	{
		const AnswerPart *part = &answer->parts[answer->current];
		size_t piece = 0;
		Status status;

		if (answer->offset == part->literal.length + part->bytes)
		{
			answer->current++;
			answer->offset = 0;
			continue;
		}
		status = pull_part(answer, buffer + *got, max - *got, &piece);
		if (status != RUSD_OK)
			return *got > 0 ? RUSD_OK : status;
		*got += piece;
		answer->offset += piece;
	}
	return RUSD_OK;
}

static void
answer_close(NetSource *source)
{
	Answer *answer = (Answer *) source;
	Rpc *rpc = answer->call->rpc;

	close_range(rpc, &answer->open);
	snapshot_release(rpc, answer->shared);
	call_drop(answer->call, HOLD_SOURCE);
}

void
answer_send(RpcCall *call, SharedSnapshot *shared, const AnswerPart *parts, uint32_t count,
			uint64_t length, OpenRange *first)
{
	Rpc *rpc = call->rpc;
	Answer *answer = NULL;

	if (length > LARGEST_ANSWER)
		call_fail(call, RUSD_ANSWER_TOO_LARGE);
	else if ((answer = arena_zalloc(&call->arena, sizeof(*answer))) == NULL)
		call_fail(call, RUSD_MEMORY_EXCEEDED);
	if (answer == NULL)
	{
		if (first != NULL)
			close_range(rpc, first);
		snapshot_release(rpc, shared);
		return;
	}
	answer->source = (NetSource){.pull = answer_pull, .close = answer_close};
	answer->call = call;
	answer->shared = shared;
	answer->parts = parts;
	answer->count = count;
	if (first != NULL)
		answer->open = *first;
	call->holds |= HOLD_SOURCE;
	call_reply_source(call, length, &answer->source);
}

/* ---- answers that are read by reference after a write ---- */

typedef struct PendingAnswer
{
	Reply reply;
	const AnswerPart *parts;
	uint32_t count;
	uint64_t length;
} PendingAnswer;

static void
pending_gone(RpcCall *call)
{
	PendingAnswer *pending = call->state;

	reply_unpin(call->rpc, &pending->reply);
}

/* Under a pin of its own, when one is free; until then the result pin stays. */
static void
pending_send(RpcCall *call)
{
	PendingAnswer *pending = call->state;
	SharedSnapshot *shared;
	Status status;

	status = snapshot_of_answer(call->rpc, &pending->reply, &shared);
	if (status == RUSD_AGAIN)
	{
		call->on_gone = pending_gone;
		call_wait(call, pending_send);
		return;
	}
	call->on_gone = NULL;
	if (status == RUSD_OK)
		answer_send(call, shared, pending->parts, pending->count, pending->length, NULL);
	else
	{
		reply_unpin(call->rpc, &pending->reply);
		call_fail(call, status);
	}
}

void
answer_reply(RpcCall *call, const Reply *reply, const Snapshot *snapshot, const AnswerPart *parts,
			 uint32_t count, uint64_t length)
{
	Rpc *rpc = call->rpc;
	PendingAnswer *pending;
	Status status = RUSD_OK;

	if (length <= SMALL_ANSWER)
	{
		status = answer_encode(rpc, snapshot, parts, count, rpc->scratch);
		reply_unpin(rpc, reply);
		if (status == RUSD_OK)
			call_reply_bytes(call, rpc->scratch, length);
		else
			call_fail(call, status);
		return;
	}
	if (length > LARGEST_ANSWER)
		status = RUSD_ANSWER_TOO_LARGE;
	else if ((pending = arena_alloc(&call->arena, sizeof(*pending))) == NULL)
		status = RUSD_MEMORY_EXCEEDED;
	if (status != RUSD_OK)
	{
		reply_unpin(rpc, reply);
		call_fail(call, status);
		return;
	}
	*pending = (PendingAnswer){.reply = *reply, .parts = parts, .count = count, .length = length};
	call->state = pending;
	pending_send(call);
}
