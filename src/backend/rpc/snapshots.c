/*
 * snapshots.c
 *	  Snapshots of the store as the reads of one backend share them.
 *
 * Small reads share the snapshot of their turn.  It is used for a read only while it is still the
 * newest: the root's change count tells with one load, so a request that has come in later in the
 * same turn, and may know of a later write, never gets an older state than that.  What is slow (a
 * large answer, a hash) keeps a reference of its own.  Runs in backends.
 *
 * src/backend/rpc/snapshots.c
 */
#include "rusd.h"

#include "rpc_int.h"

static uint64_t
root_change(const Rpc *rpc)
{
	return atomic_load_explicit(&rpc->shm->root->change_count, memory_order_acquire);
}

/* A free place; *others: are there more? */
static SharedSnapshot *
free_snapshot(Rpc *rpc, bool *others)
{
	SharedSnapshot *found = NULL;

	*others = false;
	for (int i = 0; i < SNAPSHOT_PINS; i++)
	{
		if (rpc->snapshots[i].refs != 0)
			continue;
		*others = found != NULL;
		if (found != NULL)
			break;
		found = &rpc->snapshots[i];
	}
	return found;
}

/* The turn's own reference, if no other use of that snapshot is left, is a place that can be had.
 */
static bool
current_is_idle(const Rpc *rpc)
{
	return rpc->current != NULL && rpc->current->refs == 1;
}

bool
snapshot_may_keep(Rpc *rpc, const SharedSnapshot *shared)
{
	bool others;

	return shared->refs > 1 || free_snapshot(rpc, &others) != NULL;
}

SharedSnapshot *
snapshot_reference(SharedSnapshot *shared)
{
	Check(shared->refs > 0);
	shared->refs++;
	return shared;
}

void
snapshot_release(Rpc *rpc, SharedSnapshot *shared)
{
	(void) rpc;
	Check(shared->refs > 0);
	if (--shared->refs == 0)
		snapshot_unpin(&shared->snapshot);
}

void
snapshot_turn_end(Rpc *rpc)
{
	if (rpc->current != NULL)
		snapshot_release(rpc, rpc->current);
	rpc->current = NULL;
}

Status
snapshot_current(Rpc *rpc, SharedSnapshot **result)
{
	SharedSnapshot *shared;
	bool others;
	uint64_t change = root_change(rpc);
	Status status;

	if (likely(rpc->current != NULL && rpc->current_change == change))
	{
		*result = rpc->current;
		return RUSD_OK;
	}
	snapshot_turn_end(rpc);
	/* There is one: what is kept longer leaves the last place free. */
	shared = free_snapshot(rpc, &others);
	if (shared == NULL)
		return RUSD_AGAIN;
	status = snapshot_pin(rpc->access, &shared->snapshot);
	if (status != RUSD_OK)
		return status;
	shared->refs = 1;
	rpc->current = shared;
	/* The count from before the pin: what was published between the two only makes us pin once
	 * more. */
	rpc->current_change = change;
	*result = shared;
	return RUSD_OK;
}

Status
snapshot_of_answer(Rpc *rpc, const Reply *reply, SharedSnapshot **result)
{
	bool others;
	SharedSnapshot *shared;
	Status status;

	if (current_is_idle(rpc))
		snapshot_turn_end(rpc);
	shared = free_snapshot(rpc, &others);
	if (shared == NULL || !others)
		return RUSD_AGAIN;
	status = snapshot_pin_reply(rpc->access, reply, &shared->snapshot);
	if (status != RUSD_OK)
		return status;
	result_unpin(rpc->area);
	shared->refs = 1;
	*result = shared;
	return RUSD_OK;
}

/*
 * First the state, which is at least as new as anything that was acknowledged before this request came in
 * if this member was the only voter at a moment after that; then the proof that it is.  Without that the
 * proof is asked of raft, and comes first.
 */
static Status
linearizable(RpcCall *call, ControlState *control, SharedSnapshot **result)
{
	Rpc *rpc = call->rpc;
	Status status = snapshot_current(rpc, result);

	if (status != RUSD_OK)
		return status;
	shm_control_read(rpc->shm, control);
	if (likely(control->reads_are_local))
		return RUSD_OK;
	status = read_index_reached(call);
	return status == RUSD_OK ? snapshot_current(rpc, result) : status;
}

static Status
serializable_state(Rpc *rpc, ControlState *control, SharedSnapshot **result)
{
	shm_control_read(rpc->shm, control);
	return snapshot_current(rpc, result);
}

Status
snapshot_for_read(RpcCall *call, bool serializable, ControlState *control, SharedSnapshot **result)
{
	Status status = serializable ? serializable_state(call->rpc, control, result)
								 : linearizable(call, control, result);

	if (status == RUSD_OK && call->keeps && !snapshot_may_keep(call->rpc, *result))
		return RUSD_AGAIN;
	return status;
}
