/*
 * intercept.c
 *	  What is looked at before any handler: RPC-1 to RPC-6, in that order; and RPC-7, while a stream is open.
 *
 * Runs in backends.
 *
 * src/backend/rpc/intercept.c
 */
#include "rusd.h"

#include "rpc_int.h"

/* Consecutive looks without a leader that end a stream. */
#define LEADER_MISSES_MAX 3

/*
 * Is the version of the cluster decided?  Once it is, it stays so; until then the store is asked.
 */
static Status
check_capable(Rpc *rpc)
{
	SharedSnapshot *shared;
	char version[32];
	Status status;

	if (likely(rpc->capable))
		return RUSD_OK;
	status = snapshot_current(rpc, &shared);
	if (status != RUSD_OK)
		return status;
	status = store_cluster_version(&shared->snapshot, version, sizeof(version));
	if (status != RUSD_OK)
		return status;
	if (version[0] == '\0')
		return RUSD_NOT_CAPABLE;
	rpc->capable = true;
	return RUSD_OK;
}

/* RPC-3: what a learner serves. */
static bool
served_by_learner(const RpcCall *call)
{
	if (call->method->number == METHOD_STATUS)
		return true;
	return call->method->number == METHOD_RANGE &&
		   ((const Etcdserverpb__RangeRequest *) call->request)->serializable;
}

bool
leader_is_known(const Rpc *rpc, const ControlState *control)
{
	return control->leader_id != 0 && shm_control_is_fresh(rpc->shm, rpc->now_ns, rpc->election_ns);
}

static bool
asks_for_leader(const RpcCall *call)
{
	const Bytes *value = &call->net->hasleader;

	return value->length == 4 && memcmp(value->data, "true", 4) == 0;
}

Status
intercept(RpcCall *call, const ControlState *control)
{
	Rpc *rpc = call->rpc;
	const NetCall *net = call->net;
	Status status;

	if (unlikely(!control->ready))
		return RUSD_AGAIN;
	status = check_capable(rpc);
	if (status != RUSD_OK)
		return status;
	if (unlikely(control->is_learner) && !served_by_learner(call))
		return RUSD_NOT_SUPPORTED_FOR_LEARNER;
	if (net->client_api_version.data != NULL &&
		!utf8_is_valid(net->client_api_version.data, net->client_api_version.length))
		return RUSD_INVALID_CLIENT_API_VERSION;
	if (unlikely(asks_for_leader(call)) && !leader_is_known(rpc, control))
		return RUSD_NO_LEADER;
	return RUSD_OK;
}

/* ---- RPC-7 ---- */

void
leader_watch_begin(RpcCall *call)
{
	Rpc *rpc = call->rpc;

	call->needs_leader = asks_for_leader(call);
	if (!call->needs_leader || rpc->leader_watchers++ > 0)
		return;
	rpc->leader_check_ns = rpc->now_ns + rpc->election_ns;
	rpc->leader_misses = 0;
}

void
leader_watch_end(RpcCall *call)
{
	call->rpc->leader_watchers -= call->needs_leader;
	call->needs_leader = false;
}

void
leader_watch_turn(Rpc *rpc)
{
	ControlState control;

	if (likely(rpc->leader_watchers == 0) || rpc->now_ns < rpc->leader_check_ns)
		return;
	rpc->leader_check_ns = rpc->now_ns + rpc->election_ns;
	shm_control_read(rpc->shm, &control);
	rpc->leader_misses = leader_is_known(rpc, &control) ? 0 : rpc->leader_misses + 1;
	if (rpc->leader_misses != LEADER_MISSES_MAX)
		return;
	for (RpcCall *call = rpc->oldest; call != NULL; call = call->newer)
		call->lost_leader |= call->needs_leader;
}
