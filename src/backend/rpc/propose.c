/*
 * propose.c
 *	  Proposals: into the ring, replies back to their calls.
 *
 * A proposal that fits into the ring at once is encoded in the backend's scratch memory and copied
 *once, into the ring.  Else it is copied to the call's own memory and goes in piece by piece as
 *raft takes from the ring; none of another lies between its pieces.  A call whose client has gone
 *is forgotten while nothing of it is in the ring; later its pieces are put to the end and its place
 *is taken until the reply comes.  Runs in backends.
 *
 * src/backend/rpc/propose.c
 */
#include "rusd.h"

#include "rpc_int.h"
#include "utils/config.h"

/* ---- replies to calls ---- */

static RpcCall **
bucket_of(Rpc *rpc, uint64_t sequence)
{
	return &rpc->by_sequence[sequence % SEQUENCE_BUCKETS];
}

/* The call that waits for this reply, no longer in the table; NULL: none, which only a wrong reply
 * can cause. */
static RpcCall *
take_by_sequence(Rpc *rpc, uint64_t sequence)
{
	RpcCall **link;

	for (link = bucket_of(rpc, sequence); *link != NULL; link = &(*link)->chain)
	{
		RpcCall *call = *link;

		if (call->proposal.piece.sequence == sequence)
		{
			*link = call->chain;
			return call;
		}
	}
	return NULL;
}

void
reply_unpin(Rpc *rpc, const Reply *reply)
{
	if ((reply->flags & REPLY_PINNED) != 0)
		result_unpin(rpc->area);
}

static void
take_replies(Rpc *rpc)
{
	Reply reply;

	while (reply_take(&rpc->writer, &reply))
	{
		RpcCall *call;

		if (unlikely(read_index_replied(rpc, &reply)))
			continue;
		call = take_by_sequence(rpc, reply.sequence);
		if (call == NULL || call->net == NULL || call->answered)
			reply_unpin(rpc, &reply);
		if (call == NULL)
			continue;
		call_to_list(call, LIST_NONE);
		if (call->net != NULL && !call->answered)
		{
			/* What was not appended is proposed again. */
			if (reply.status != RUSD_OK && reply.status != RUSD_LEADER_CHANGED)
				count(rpc->area, COUNTER_PROPOSALS_FAILED, 1);
			/* May propose again (quota.c): that holds the call anew. */
			call->proposal = (Proposal){.payload = NULL};
			call->holds &= (uint8_t) ~HOLD_PROPOSAL;
			call->on_reply(call, &reply);
		}
		else
			call_drop(call, HOLD_PROPOSAL);
	}
}

/* ---- into the ring ---- */

/* How many pages it may take, by the newest state. */
static Status
estimate(Rpc *rpc, Proposal *proposal)
{
	SharedSnapshot *shared;
	Status status = snapshot_current(rpc, &shared);

	if (status != RUSD_OK)
		return status;
	return store_estimate(&shared->snapshot, proposal->piece.kind, proposal->payload,
						  proposal->piece.total_length, (uint64_t) config.max_request_bytes,
						  &proposal->piece.frames_needed);
}

static void
begin(Rpc *rpc, RpcCall *call)
{
	EntryHeader *header = (EntryHeader *) call->proposal.payload;
	RpcCall **bucket;

	call->proposal.piece.sequence = proposal_begin(&rpc->writer);
	call->proposal.begun = true;
	header->id.sequence = call->proposal.piece.sequence;
	bucket = bucket_of(rpc, header->id.sequence);
	call->chain = *bucket;
	*bucket = call;
}

/*
 * Puts what fits of this call's proposal.  True: it is all in.  What was estimated when it came is
 * too old for one that had to wait: the proposals before it may have changed what it meets.  Where
 * that cannot be told now, the old estimate has to do; the applier looks once more.
 */
static bool
put(Rpc *rpc, RpcCall *call)
{
	Proposal *proposal = &call->proposal;

	if (!proposal->begun)
	{
		if (!proposal_may_begin(&rpc->writer))
			return false;
		if (call->list == LIST_PUT)
			(void) estimate(rpc, proposal);
		begin(rpc, call);
	}
	if (!proposal_put(&rpc->writer, &proposal->piece, proposal->payload, &proposal->put))
		return false;
	call_to_list(call, LIST_REPLY);
	return true;
}

/* The proposal that was begun last, of which nothing went into the ring: as if it had not been
 * begun. */
static void
take_back(Rpc *rpc, RpcCall *call)
{
	if (!call->proposal.begun)
		return;
	Check(call->proposal.put == 0 &&
		  call->proposal.piece.sequence + 1 == rpc->writer.next_sequence);
	*bucket_of(rpc, call->proposal.piece.sequence) = call->chain;
	rpc->writer.next_sequence--;
	rpc->writer.outstanding--;
	call->proposal.begun = false;
}

static void
put_all(Rpc *rpc)
{
	RpcCall *call;

	while ((call = rpc->lists[LIST_PUT].first) != NULL && put(rpc, call))
		;
}

void
propose_turn(Rpc *rpc)
{
	take_replies(rpc);
	put_all(rpc);
}

void
propose_abandon(RpcCall *call)
{
	if (call->list != LIST_PUT || call->proposal.begun)
		return;
	call_to_list(call, LIST_NONE);
	call_drop(call, HOLD_PROPOSAL);
}

/* ---- a new one ---- */

/* Is a proposal welcome now?  RUSD_AGAIN: it may be later. */
static Status
check_member(Rpc *rpc, RpcCall *call, EntryKind kind, ControlState *control)
{
	uint64_t applied =
		atomic_load_explicit(&rpc->shm->positions->applied_index, memory_order_relaxed);

	shm_control_read(rpc->shm, control);
	if (control->draining)
		return RUSD_STOPPED;
	if (control->commit_index > applied + APPLY_BACKLOG_MAX)
		return RUSD_TOO_MANY_REQUESTS;
	call->proposal.piece.kind = (uint16_t) kind;
	if (control->leader_id == 0)
		return RUSD_AGAIN;
	call->term = control->term;
	return RUSD_OK;
}

static bool
frees_space(EntryKind kind)
{
	return kind == ENTRY_DELETE_RANGE || kind == ENTRY_COMPACT || kind == ENTRY_ALARM ||
		   kind == ENTRY_DEFRAGMENT;
}

/* RPC-21: etcd adds a header with a request id (14 bytes), a tag and a length. */
static Status
check_size(uint64_t serialized)
{
	if (serialized + 15 + varint_size(serialized) > (uint64_t) config.max_request_bytes)
		return RUSD_REQUEST_TOO_LARGE;
	return RUSD_OK;
}

uint64_t
serialized_size(const RpcCall *call)
{
	uint64_t length = call->net->message.length;

	/*
	 * etcd's own encoding is rarely longer than what came in, and never twice as long (by numbers
	 * of enums that do not fit into 32 bits): far from the limit it need not be known.
	 */
	if (2 * length + 32 <= (uint64_t) config.max_request_bytes)
		return length;
	return protobuf_c_message_get_packed_size(call->request);
}

/* The encoded proposal must stay: into the call's memory, if it is in the scratch. */
static Status
keep_payload(RpcCall *call, size_t length)
{
	Rpc *rpc = call->rpc;
	uint8_t *copy;

	if (call->proposal.payload != rpc->scratch)
		return RUSD_OK;
	copy = arena_alloc(&call->arena, length);
	if (copy == NULL)
		return RUSD_MEMORY_EXCEEDED;
	memcpy(copy, rpc->scratch, length);
	call->proposal.payload = copy;
	return RUSD_OK;
}

static void
fill_header(Rpc *rpc, const ControlState *control, uint8_t *payload, uint32_t flags)
{
	EntryHeader *header = (EntryHeader *) payload;

	*header = (EntryHeader){.id = {.member_id = control->member_id,
								   .incarnation = rpc->shm->incarnation,
								   .slot = rpc->slot,
								   .generation = rpc->generation},
							.flags = flags};
}

Status
propose(RpcCall *call, EntryKind kind, uint8_t *payload, size_t length, uint32_t entry_flags,
		uint64_t serialized, void (*on_reply)(RpcCall *call, const Reply *reply))
{
	Rpc *rpc = call->rpc;
	Proposal *proposal = &call->proposal;
	ControlState control;
	Status status;

	status = check_member(rpc, call, kind, &control);
	if (status == RUSD_OK)
		status = check_size(serialized);
	if (status != RUSD_OK)
		return status;
	fill_header(rpc, &control, payload, entry_flags);
	Assert(entry_check(kind, payload, length) == RUSD_OK);
	proposal->piece = (ProposalPiece){.total_length = (uint32_t) length,
									  .kind = (uint16_t) kind,
									  .flags = frees_space(kind) ? PROPOSAL_FREES_SPACE : 0};
	proposal->payload = payload;
	status = estimate(rpc, proposal);
	if (status != RUSD_OK)
		return status;
	proposal->put = 0;
	proposal->begun = false;
	call->on_reply = on_reply;
	/* In the ring at once is the rule; for that nothing is kept. */
	if (rpc->lists[LIST_PUT].first == NULL && length <= PROPOSAL_PIECE_MAX)
	{
		if (put(rpc, call))
		{
			call->holds |= HOLD_PROPOSAL;
			return RUSD_OK;
		}
		take_back(rpc, call);
	}
	status = keep_payload(call, length);
	if (status != RUSD_OK)
		return status;
	call->holds |= HOLD_PROPOSAL;
	call_to_list(call, LIST_PUT);
	put_all(rpc);
	return RUSD_OK;
}
