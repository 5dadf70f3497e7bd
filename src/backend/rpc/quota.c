/*
 * quota.c
 *	  The space quota as the receiving member judges it (QUOTA-1 to QUOTA-6).
 *
 * Runs in backends.
 *
 * src/backend/rpc/quota.c
 */
#include "rusd.h"

#include "rpc_int.h"
#include "utils/config.h"

#define QUOTA_DEFAULT (UINT64_C(2) * 1024 * 1024 * 1024)
/* QUOTA-3 */
#define PUT_COST 256

uint64_t
quota_bytes(void)
{
	if (config.quota_backend_bytes < 0)
		return UINT64_MAX;
	return config.quota_backend_bytes == 0 ? QUOTA_DEFAULT : (uint64_t) config.quota_backend_bytes;
}

uint64_t
quota_cost_put(const Etcdserverpb__PutRequest *put)
{
	return PUT_COST + put->key.len + put->value.len;
}

static uint64_t
cost_of_ops(Etcdserverpb__RequestOp *const *ops, size_t count)
{
	uint64_t cost = 0;
	size_t i;

	for (i = 0; i < count; i++)
		if (ops[i]->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT)
			cost += quota_cost_put(ops[i]->request_put);
		else if (ops[i]->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN)
			cost += quota_cost_txn(ops[i]->request_txn);
	return cost;
}

/* Recursion as deep as the decoder let messages be nested. */
uint64_t
quota_cost_txn(const Etcdserverpb__TxnRequest *txn)
{
	uint64_t success = cost_of_ops(txn->success, txn->n_success);
	uint64_t failure = cost_of_ops(txn->failure, txn->n_failure);

	return Max(success, failure);
}

bool
quota_fits(const RootState *root, uint64_t cost)
{
	uint64_t quota = quota_bytes();

	return cost == 0 || quota == UINT64_MAX || root->pages_end * PAGE_BYTES + cost < quota;
}

static void
alarm_raised(RpcCall *call, const Reply *reply)
{
	reply_unpin(call->rpc, reply);
	if (reply->status == RUSD_LEADER_CHANGED)
		call_wait(call, quota_exceeded);
	/* QUOTA-5: whatever became of the alarm, this request did not fit. */
	else
		call_fail(call, RUSD_NOSPACE);
}

/* Is this member's alarm active already?  Raising it again would change nothing. */
static bool
alarm_is_active(Rpc *rpc, uint64_t member_id)
{
	SharedSnapshot *shared;
	AlarmMember alarms[64];
	uint32_t found;
	uint32_t i;

	if (snapshot_current(rpc, &shared) != RUSD_OK || (shared->snapshot.root.alarms & 1) == 0 ||
		store_alarms(&shared->snapshot, alarms, lengthof(alarms), &found) != RUSD_OK)
		return false;
	for (i = 0; i < found && i < lengthof(alarms); i++)
		if (alarms[i].member_id == member_id &&
			alarms[i].alarm == ETCDSERVERPB__ALARM_TYPE__NOSPACE)
			return true;
	return false;
}

void
quota_exceeded(RpcCall *call)
{
	uint8_t *payload = call->rpc->scratch;
	EntryAlarm alarm = {.action = ETCDSERVERPB__ALARM_REQUEST__ALARM_ACTION__ACTIVATE,
						.alarm = ETCDSERVERPB__ALARM_TYPE__NOSPACE};
	ControlState control;
	Status status;

	shm_control_read(call->rpc->shm, &control);
	if (alarm_is_active(call->rpc, control.member_id))
	{
		call_fail(call, RUSD_NOSPACE);
		return;
	}
	alarm.member_id = control.member_id;
	memcpy(payload + sizeof(EntryHeader), &alarm, sizeof(alarm));
	status = propose(call, ENTRY_ALARM, payload, sizeof(EntryHeader) + sizeof(alarm), 0,
					 sizeof(alarm), alarm_raised);
	if (status == RUSD_AGAIN)
		call_wait(call, quota_exceeded);
	else if (status != RUSD_OK)
		call_fail(call, status);
}
