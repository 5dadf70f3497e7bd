/*
 * moveleader.c
 *	  Maintenance.MoveLeader: another member shall lead (MAINT-40 to MAINT-42).
 *
 * raft is asked by a request in this backend's ring, and answers at once; who leads is seen in control.  No limit of time but the
 * client's.  Runs in backends.
 *
 * src/backend/rpc/moveleader.c
 */
#include "rusd.h"

#include "services.h"

/* The core gives a transfer up after an election timeout; the call waits on, as etcd's does. */
static void
wait_for_leader(RpcCall *call)
{
	const Etcdserverpb__MoveLeaderRequest *request = call->request;
	Rpc *rpc = call->rpc;
	ControlState control;

	shm_control_read(rpc->shm, &control);
	if (control.leader_id == request->targetid)
		call_reply_bytes(call, rpc->scratch, 0);
	else if (rpc->now_ns >= call->net->deadline_ns)
		call_fail(call, RUSD_TRANSFER_TIMEOUT);
	else
		call_wait(call, wait_for_leader);
}

static void
transfer_replied(RpcCall *call, const Reply *reply)
{
	if (!reply_failed(call, reply))
		wait_for_leader(call);
}

void
maintenance_move_leader(RpcCall *call)
{
	const Etcdserverpb__MoveLeaderRequest *request = call->request;
	EntryTransfer transfer = {.target = request->targetid};
	uint8_t *payload = call->rpc->scratch;
	ControlState control;
	Status status = RUSD_NOT_LEADER;

	shm_control_read(call->rpc->shm, &control);
	if (control.role == ROLE_LEADER)
	{
		memcpy(payload + sizeof(EntryHeader), &transfer, sizeof(transfer));
		call->bounded = false;
		status = propose(call, ENTRY_TRANSFER, payload, sizeof(EntryHeader) + sizeof(transfer), 0,
						 0, transfer_replied);
	}
	if (status == RUSD_AGAIN)
		call_wait(call, maintenance_move_leader);
	else if (status != RUSD_OK)
		call_fail(call, status);
}
