/*
 * reconfig.c
 *	  --strict-reconfig-check: would a change of members endanger the quorum (CLUSTER-21, CLUSTER-30, CLUSTER-51)?
 *
 * Judged by the member that was asked, by what it has applied and whom it is connected to.  Runs in backends.
 *
 * src/backend/rpc/reconfig.c
 */
#include "rusd.h"

#include "ipc/link.h"
#include "rpc_int.h"
#include "utils/config.h"

/* CLUSTER-21: a connection counts that has lasted so long. */
#define CONNECTED_NS UINT64_C(5000000000)

/* Of the table, all but the target's own row where it is taken away. */
typedef struct Voters
{
	uint32_t count;
	uint32_t started;
	uint32_t connected; /* this member, and those that it has been connected to for long enough */
	uint32_t others;    /* without the target */
	uint32_t others_started;
	bool target_is_learner;
	bool target_is_connected; /* at this moment */
} Voters;

static void
count_member(const Rpc *rpc, Voters *voters, const StoreMember *member, uint64_t target,
			 uint64_t own_id)
{
	bool started = member->name[0] != '\0';
	bool is_self = member->id == own_id;
	uint64_t since = is_self ? 0 : link_up_since(rpc->shm, member->id);

	if (member->id == target)
	{
		voters->target_is_learner = member->is_learner;
		voters->target_is_connected = is_self || since != 0;
	}
	if (member->is_learner)
		return;
	voters->count++;
	voters->started += started;
	voters->connected += is_self || (since != 0 && rpc->now_ns >= since + CONNECTED_NS);
	if (member->id == target)
		return;
	voters->others++;
	voters->others_started += started;
}

static Status
count_voters(Rpc *rpc, const Snapshot *snapshot, uint64_t target, Voters *voters)
{
	ControlState control;
	StoreMember member;
	uint64_t after = 0;
	Status status;

	memset(voters, 0, sizeof(*voters));
	shm_control_read(rpc->shm, &control);
	while ((status = store_next_member(snapshot, after, &member)) == RUSD_OK)
	{
		after = member.id;
		count_member(rpc, voters, &member, target, control.member_id);
		store_member_free(&member);
	}
	return status == RUSD_END ? RUSD_OK : status;
}

/* CLUSTER-21 */
static Status
judge_add(const Voters *voters, bool is_learner)
{
	uint32_t needed = (voters->count + 1) / 2 + 1;

	if (voters->count == 1 && (voters->started == 1 || is_learner))
		return RUSD_OK;
	if (!is_learner && voters->started < needed)
		return RUSD_NOT_ENOUGH_STARTED;
	return voters->connected >= needed ? RUSD_OK : RUSD_UNHEALTHY;
}

/* CLUSTER-30 */
static Status
judge_remove(const Voters *voters)
{
	if (voters->target_is_learner)
		return RUSD_OK;
	if (voters->others_started < voters->others / 2 + 1)
		return RUSD_NOT_ENOUGH_STARTED;
	if (!voters->target_is_connected || voters->connected >= 2 + (voters->count - 1) / 2)
		return RUSD_OK;
	return RUSD_UNHEALTHY;
}

/* CLUSTER-51 */
static Status
judge_promote(const Voters *voters)
{
	return voters->started + 1 >= (voters->count + 1) / 2 + 1 ? RUSD_OK : RUSD_NOT_ENOUGH_STARTED;
}

Status
reconfig_check(Rpc *rpc, const Snapshot *snapshot, const EntryMember *change)
{
	Voters voters;
	Status status;

	if (!config.strict_reconfig_check || change->action == MEMBER_UPDATE)
		return RUSD_OK;
	status = count_voters(rpc, snapshot, change->member_id, &voters);
	if (status != RUSD_OK)
		return status;
	switch (change->action)
	{
		case MEMBER_ADD:
			return judge_add(&voters, change->is_learner != 0);
		case MEMBER_REMOVE:
			return judge_remove(&voters);
		default:
			return judge_promote(&voters);
	}
}
