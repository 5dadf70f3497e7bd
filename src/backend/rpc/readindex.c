/*
 * readindex.c
 *	  Read indexes for linearizable reads of a member that needs a round of messages for them (Raft 6.4).
 *
 * All reads that have come in when the session is about to sleep share one question to raft: a round.
 * A read belongs to the first round that begins after it came in, and is answered from a state that has applied
 * the index which that round, or a later one, was told (RAFT-20, RAFT-22).  One round is under way at a
 * time, and holds a place in raft's reply ring until its answer comes.  Runs in backends.
 *
 * src/backend/rpc/readindex.c
 */
#include "rusd.h"

#include "activity/metrics.h"
#include "rpc_int.h"

/* A read index that takes longer counts as slow. */
#define SLOW_NS UINT64_C(500000000)

static void want_applied(Rpc *rpc, uint64_t index);

Status
read_index_reached(RpcCall *call)
{
	Rpc *rpc = call->rpc;
	ReadRounds *rounds = &rpc->reads;
	uint64_t applied;

	if (call->read_round == 0)
		call->read_round = rounds->begun + 1;
	rounds->wanted = Max(rounds->wanted, call->read_round);
	if (rounds->answered < call->read_round)
		return RUSD_AGAIN;
	if (rounds->status != RUSD_OK)
		return rounds->status;
	applied = atomic_load_explicit(&rpc->shm->positions->applied_index, memory_order_acquire);
	if (applied < rounds->index)
	{
		want_applied(rpc, rounds->index);
		applied = atomic_load_explicit(&rpc->shm->positions->applied_index, memory_order_seq_cst);
	}
	if (applied < rounds->index)
		return RUSD_AGAIN;
	want_applied(rpc, 0);
	return RUSD_OK;
}

/* Said before the applied index is looked at once more; the applier does it the other way round (waiters_wake). */
static void
want_applied(Rpc *rpc, uint64_t index)
{
	_Atomic uint64_t *wanted = &rpc->area->applied_wanted;

	if (atomic_load_explicit(wanted, memory_order_relaxed) == index)
		return;
	atomic_store_explicit(wanted, index, memory_order_seq_cst);
	if (index != 0)
		marks_set(rpc->shm->applied_marks, rpc->slot);
	atomic_thread_fence(memory_order_seq_cst);
}

/* Without a leader nothing is asked: the question would wait in the ring before everything else. */
void
read_index_begin(Rpc *rpc)
{
	ReadRounds *rounds = &rpc->reads;
	const RpcCall *first = rpc->lists[LIST_PUT].first;
	EntryHeader payload = {.flags = 0};
	ProposalPiece piece = {.total_length = sizeof(payload), .kind = ENTRY_READ_INDEX};
	ControlState control;
	uint32_t put = 0;

	if (likely(rounds->wanted == 0))
		return;
	/* Who waited may have gone. */
	if (rpc->lists[LIST_RETRY].first == NULL)
	{
		want_applied(rpc, 0);
		return;
	}
	if (rounds->wanted <= rounds->begun || rounds->sequence != 0 ||
		(first != NULL && first->proposal.begun) || !proposal_may_begin(&rpc->writer))
		return;
	shm_control_read(rpc->shm, &control);
	if (control.leader_id == 0)
		return;
	piece.sequence = proposal_begin(&rpc->writer);
	if (!proposal_put(&rpc->writer, &piece, (const uint8_t *) &payload, &put))
	{
		rpc->writer.next_sequence--;
		rpc->writer.outstanding--;
		return;
	}
	rounds->sequence = piece.sequence;
	rounds->asked_ns = rpc->now_ns;
	rounds->begun++;
}

bool
read_index_replied(Rpc *rpc, const Reply *reply)
{
	ReadRounds *rounds = &rpc->reads;

	if (rounds->sequence == 0 || reply->sequence != rounds->sequence)
		return false;
	rounds->sequence = 0;
	rounds->answered = rounds->begun;
	rounds->status = reply->status < RUSD_STATUS_COUNT ? (Status) reply->status : RUSD_INVALID;
	rounds->index = reply->value;
	if (unlikely(rounds->status != RUSD_OK))
		count(rpc->area, COUNTER_FAILED_READ_INDEXES, 1);
	if (unlikely(rpc->now_ns - rounds->asked_ns > SLOW_NS))
		count(rpc->area, COUNTER_SLOW_READ_INDEXES, 1);
	return true;
}
