/*
 * cluster.c
 *	  The Cluster service: MemberList.
 *
 * Runs in backends.
 *
 * src/backend/rpc/cluster.c
 */
#include "rusd.h"

#include "services.h"

/* Most members that one answer lists; clusters have a handful. */
#define MEMBERS_MAX 128

typedef struct MemberList
{
	StoreMember stored[MEMBERS_MAX];
	Etcdserverpb__Member members[MEMBERS_MAX];
	Etcdserverpb__Member *pointers[MEMBERS_MAX];
	size_t count;
} MemberList;

static void
fill_member(Etcdserverpb__Member *member, StoreMember *stored)
{
	etcdserverpb__member__init(member);
	member->id = stored->id;
	member->name = stored->name;
	member->n_peerurls = stored->peer_url_count;
	member->peerurls = stored->peer_urls;
	member->n_clienturls = stored->client_url_count;
	member->clienturls = stored->client_urls;
	member->islearner = stored->is_learner;
}

/* CLUSTER-4: in the order of their ids. */
static Status
read_members(const Snapshot *snapshot, MemberList *list)
{
	uint64_t after = 0;
	Status status = RUSD_OK;

	for (list->count = 0; list->count < MEMBERS_MAX; list->count++)
	{
		StoreMember *stored = &list->stored[list->count];

		status = store_next_member(snapshot, after, stored);
		if (status != RUSD_OK)
			break;
		after = stored->id;
		fill_member(&list->members[list->count], stored);
		list->pointers[list->count] = &list->members[list->count];
	}
	return status == RUSD_END ? RUSD_OK : status;
}

void
cluster_member_list(RpcCall *call)
{
	const Etcdserverpb__MemberListRequest *request = call->request;
	Etcdserverpb__MemberListResponse response = ETCDSERVERPB__MEMBER_LIST_RESPONSE__INIT;
	Etcdserverpb__ResponseHeader header;
	SharedSnapshot *shared;
	ControlState control;
	MemberList *list;
	Status status;
	size_t i;

	status = snapshot_for_read(call, !request->linearizable, &control, &shared);
	if (status == RUSD_AGAIN)
	{
		call_wait(call, cluster_member_list);
		return;
	}
	list = arena_alloc(&call->arena, sizeof(*list));
	if (status == RUSD_OK && list == NULL)
		status = RUSD_MEMORY_EXCEEDED;
	if (status == RUSD_OK)
	{
		status = read_members(&shared->snapshot, list);
		/* CLUSTER-14: no revision. */
		header_fill(&header, &control, 0);
		response.header = &header;
		response.n_members = list->count;
		response.members = list->pointers;
		if (status == RUSD_OK)
			call_reply_message(call, &response.base);
		for (i = 0; i < list->count; i++)
			store_member_free(&list->stored[i]);
	}
	if (status != RUSD_OK)
		call_fail(call, status);
}
