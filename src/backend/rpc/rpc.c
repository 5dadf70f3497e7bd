/*
 * rpc.c
 *	  The calls of one backend: their lives, the lists in which they wait, the turn.
 *
 * Runs in backends.
 *
 * src/backend/rpc/rpc.c
 */
#include "rusd.h"

#include "activity/metrics.h"
#include "rpc_int.h"
#include "utils/config.h"

/* Freed calls that are kept. */
#define SPARE_CALLS 128

/* ---- lists ---- */

static void
list_remove(Rpc *rpc, RpcCall *call)
{
	RpcQueue *queue = &rpc->lists[call->list];

	if (call->list == LIST_NONE)
		return;
	if (call->previous != NULL)
		call->previous->next = call->next;
	else
		queue->first = call->next;
	if (call->next != NULL)
		call->next->previous = call->previous;
	else
		queue->last = call->previous;
	call->next = call->previous = NULL;
	call->list = LIST_NONE;
}

void
call_to_list(RpcCall *call, CallList list)
{
	RpcQueue *queue = &call->rpc->lists[list];

	list_remove(call->rpc, call);
	if (list == LIST_NONE)
		return;
	call->list = list;
	call->previous = queue->last;
	if (queue->last != NULL)
		queue->last->next = call;
	else
		queue->first = call;
	queue->last = call;
}

void
call_wait(RpcCall *call, void (*again)(RpcCall *call))
{
	call->resume = again;
	call_to_list(call, LIST_RETRY);
}

/* ---- calls ---- */

static RpcCall *
take_spare(Rpc *rpc)
{
	RpcCall *call = rpc->spare;

	if (call != NULL)
	{
		rpc->spare = call->next;
		rpc->spare_count--;
		return call;
	}
	if (!rpc->budget->take(rpc->budget, sizeof(*call)))
		return NULL;
	call = malloc(sizeof(*call));
	if (call == NULL)
		rpc->budget->give(rpc->budget, sizeof(*call));
	return call;
}

RpcCall *
call_create(Rpc *rpc)
{
	RpcCall *call = take_spare(rpc);

	if (call == NULL)
		return NULL;
	memset(call, 0, sizeof(*call));
	call->rpc = rpc;
	call->holds = HOLD_NET;
	call->bounded = true;
	call->begun_ns = rpc->now_ns;
	arena_init(&call->arena, rpc->budget);
	call->older = rpc->newest;
	if (rpc->newest != NULL)
		rpc->newest->newer = call;
	else
		rpc->oldest = call;
	rpc->newest = call;
	rpc->live_count++;
	return call;
}

static void
call_free(RpcCall *call)
{
	Rpc *rpc = call->rpc;

	list_remove(rpc, call);
	if (call->older != NULL)
		call->older->newer = call->newer;
	else
		rpc->oldest = call->newer;
	if (call->newer != NULL)
		call->newer->older = call->older;
	else
		rpc->newest = call->older;
	arena_destroy(&call->arena);
	if (rpc->spare_count < SPARE_CALLS)
	{
		call->next = rpc->spare;
		rpc->spare = call;
		rpc->spare_count++;
		return;
	}
	free(call);
	rpc->budget->give(rpc->budget, sizeof(*call));
}

void
call_drop(RpcCall *call, uint8_t hold)
{
	if ((call->holds & hold) == 0)
		return;
	if (hold == HOLD_NET)
	{
		call->rpc->live_count--;
		call->net = NULL;
		call->http = NULL;
	}
	call->holds &= (uint8_t) ~hold;
	if (call->holds == 0)
		call_free(call);
}

/* ---- answers ---- */

/* True if there is still somebody to answer; marks the call as answered. */
static bool
answer_begins(RpcCall *call)
{
	if (call->answered || call->net == NULL)
		return false;
	call->answered = true;
	if (call->list == LIST_RETRY || call->list == LIST_SLICE)
		call_to_list(call, LIST_NONE);
	return true;
}

static bool
answer_now(RpcCall *call, int grpc_code)
{
	if (!answer_begins(call))
		return false;
	count_handled(call->rpc->area, call->method->number, grpc_code);
	return true;
}

int
call_gone_code(const RpcCall *call)
{
	return status_grpc_code(call->net != NULL && call->net->is_late ? RUSD_DEADLINE_EXCEEDED
																	: RUSD_CONTEXT_CANCELED);
}

void
call_fail_text(RpcCall *call, int grpc_code, const char *text)
{
	if (answer_now(call, grpc_code))
		net_call_fail(call->net, grpc_code, text);
}

void
call_fail(RpcCall *call, Status status)
{
	if (status == RUSD_NO_MEMORY)
		status = RUSD_MEMORY_EXCEEDED;
	if (status == RUSD_SNAPSHOT_ENDED && !call->answered)
		count(call->rpc->area, COUNTER_SNAPSHOTS_ENDED, 1);
	call_fail_text(call, status_grpc_code(status), status_text(status));
}

void
call_reply_bytes(RpcCall *call, const uint8_t *data, size_t length)
{
	if (answer_now(call, 0))
		net_call_reply_bytes(call->net, data, length);
}

void
call_reply_source(RpcCall *call, uint64_t length, NetSource *source)
{
	if (answer_now(call, 0))
		net_call_reply(call->net, length, source);
	else
		source->close(source);
}

void
call_reply_stream(RpcCall *call, NetSource *source)
{
	call->streaming = answer_begins(call);
	if (call->streaming)
	{
		leader_watch_begin(call);
		net_call_reply_stream(call->net, source);
	}
	else
		source->close(source);
}

void
call_stream_ended(RpcCall *call, Status status)
{
	if (!call->streaming)
		return;
	call->streaming = false;
	leader_watch_end(call);
	count_handled(call->rpc->area, call->method->number,
				  status == RUSD_CONTEXT_CANCELED ? call_gone_code(call)
												  : status_grpc_code(status));
}

void
call_reply_message(RpcCall *call, const ProtobufCMessage *message)
{
	size_t length = protobuf_c_message_get_packed_size(message);
	uint8_t *buffer = call->rpc->scratch;

	if (length > sizeof(call->rpc->scratch))
		buffer = arena_alloc(&call->arena, length);
	if (buffer == NULL)
	{
		call_fail(call, RUSD_MEMORY_EXCEEDED);
		return;
	}
	protobuf_c_message_pack(message, buffer);
	call_reply_bytes(call, buffer, length);
}

Status
call_timeout_status(const RpcCall *call)
{
	ControlState control;

	/* Never entered raft: a proposal meets the server's own bound (ERR-4, RAFT-30), a read
	 * CLUSTER-70. */
	if (call->list == LIST_RETRY)
		return call->proposal.piece.kind != 0 ? RUSD_DEADLINE_EXCEEDED : RUSD_TIMEOUT;
	shm_control_read(call->rpc->shm, &control);
	if (control.term != call->term && control.leader_id != 0)
		return RUSD_TIMEOUT_LEADER_FAIL;
	return RUSD_TIMEOUT;
}

/* ---- the turn ---- */

static void
count_overdue(const RpcCall *call)
{
	if (call->proposal.piece.kind != 0)
		count(call->rpc->area, COUNTER_PROPOSALS_FAILED, 1);
	else if (call->read_round != 0)
		count(call->rpc->area, COUNTER_FAILED_READ_INDEXES, 1);
}

static void
end_waiting(RpcCall *call, Status status)
{
	if (call->http != NULL)
	{
		http_timeout(call);
		return;
	}
	call_fail(call, status);
	propose_abandon(call);
}

/* T_req: the oldest calls first. */
static void
end_overdue(Rpc *rpc)
{
	RpcCall *call;
	RpcCall *newer;

	for (call = rpc->oldest; call != NULL && call->begun_ns + rpc->request_limit_ns <= rpc->now_ns;
		 call = newer)
	{
		newer = call->newer;
		if (!call->bounded || call->answered || call->list == LIST_NONE)
			continue;
		count_overdue(call);
		end_waiting(call, call_timeout_status(call));
	}
}

void
rpc_stop(Rpc *rpc)
{
	RpcCall *newer;

	for (RpcCall *call = rpc->oldest; call != NULL; call = newer)
	{
		newer = call->newer;
		if (!call->answered &&
			(call->list == LIST_RETRY || call->list == LIST_PUT || call->list == LIST_REPLY))
			end_waiting(call, RUSD_STOPPED);
	}
}

/* Begins again what waits, each once. */
static void
retry_all(Rpc *rpc)
{
	RpcCall *last = rpc->lists[LIST_RETRY].last;
	RpcCall *call;

	while (last != NULL && (call = rpc->lists[LIST_RETRY].first) != NULL)
	{
		call_to_list(call, LIST_NONE);
		call->resume(call);
		if (call == last)
			break;
	}
}

void
rpc_turn(Rpc *rpc, uint64_t now_ns)
{
	RpcCall *call;

	rpc->now_ns = now_ns;
	leader_watch_turn(rpc);
	propose_turn(rpc);
	retry_all(rpc);
	call = rpc->lists[LIST_SLICE].first;
	if (call != NULL)
	{
		/* One slice a turn, each in turn. */
		call_to_list(call, LIST_SLICE);
		call->resume(call);
	}
	end_overdue(rpc);
}

void
rpc_rest(Rpc *rpc)
{
	read_index_begin(rpc);
	proposal_wake(&rpc->writer);
	snapshot_turn_end(rpc);
}

uint64_t
rpc_next_due(const Rpc *rpc)
{
	const RpcCall *call;
	uint64_t due = UINT64_MAX;

	if (rpc->lists[LIST_SLICE].first != NULL)
		return 0;
	if (rpc->lists[LIST_RETRY].first != NULL)
		due = rpc->now_ns + RETRY_NS;
	if (rpc->leader_watchers > 0)
		due = Min(due, rpc->leader_check_ns);
	for (call = rpc->oldest; call != NULL; call = call->newer)
		if (call->bounded && !call->answered && call->list != LIST_NONE)
			return Min(due, call->begun_ns + rpc->request_limit_ns);
	return due;
}

bool
rpc_is_busy(const Rpc *rpc)
{
	return rpc->live_count > 0;
}

Status
rpc_create(Shm *shm, uint32_t slot, PageAccess *access, MemoryBudget *budget, Rpc **result)
{
	Rpc *rpc;

	if (!budget->take(budget, sizeof(*rpc)))
		return RUSD_NO_MEMORY;
	rpc = aligned_alloc(CACHE_LINE, AlignUp(sizeof(*rpc), CACHE_LINE));
	if (rpc == NULL)
	{
		budget->give(budget, sizeof(*rpc));
		return RUSD_NO_MEMORY;
	}
	/* Not the scratch: its pages are taken when they are first written. */
	memset(rpc, 0, offsetof(Rpc, scratch));
	rpc->shm = shm;
	rpc->slot = slot;
	rpc->generation = atomic_load_explicit(&shm->heads[slot].generation, memory_order_relaxed);
	rpc->listener = my_listener;
	rpc->access = access;
	rpc->area = shm->areas[slot];
	rpc->budget = budget;
	rpc->election_ns = (uint64_t) config.election_timeout * 1000000;
	rpc->request_limit_ns = UINT64_C(5000000000) + 2 * rpc->election_ns;
	rpc->now_ns = clock_os.monotonic_ns(&clock_os);
	proposal_writer_init(&rpc->writer, shm, slot);
	*result = rpc;
	return RUSD_OK;
}

void
rpc_destroy(Rpc *rpc)
{
	RpcCall *call;

	/* Every NetCall has been closed; what is left waits for replies that nobody will take. */
	while ((call = rpc->oldest) != NULL)
	{
		call->holds = 0;
		call_free(call);
	}
	while ((call = rpc->spare) != NULL)
	{
		rpc->spare = call->next;
		free(call);
		rpc->budget->give(rpc->budget, sizeof(*call));
	}
	snapshot_turn_end(rpc);
	rpc->budget->give(rpc->budget, sizeof(*rpc));
	free(rpc);
}
