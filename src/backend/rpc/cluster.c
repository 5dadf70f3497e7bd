/*
 * cluster.c
 *	  The Cluster service: the list of members, and changes of it.
 *
 * A change is judged here before it is proposed (CLUSTER-13): by a table that is as new as any acknowledged
 * change, and together with the index of the configuration that the table goes with.  The leader takes it only
 * where that configuration is in use; else this member judges again.  etcd sets no limit of time to it
 * (CLUSTER-12).  Runs in backends.
 *
 * src/backend/rpc/cluster.c
 */
#include "rusd.h"

#include "activity/metrics.h"
#include "cluster/ids.h"
#include "services.h"
#include "utils/config.h"

/* Most members that one answer lists; clusters have a handful. */
#define MEMBERS_MAX 128

/* call->state of a change. */
typedef struct MemberChange
{
	EntryMember entry;
	char *const *urls;
	uint8_t *payload; /* EntryHeader, EntryMember, strings */
	size_t length;
} MemberChange;

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

/* ---- answers ---- */

static void
answer_add(RpcCall *call, const MemberChange *change, Etcdserverpb__ResponseHeader *header,
		   MemberList *list)
{
	Etcdserverpb__MemberAddResponse response = ETCDSERVERPB__MEMBER_ADD_RESPONSE__INIT;
	Etcdserverpb__Member member = ETCDSERVERPB__MEMBER__INIT;

	member.id = change->entry.member_id;
	member.n_peerurls = change->entry.peer_url_count;
	member.peerurls = (char **) (uintptr_t) change->urls;
	member.islearner = change->entry.is_learner != 0;
	response.header = header;
	response.member = &member;
	response.n_members = list->count;
	response.members = list->pointers;
	call_reply_message(call, &response.base);
}

/* MemberList and all changes but MemberAdd are answered by the same fields: header 1, members 2. */
static void
answer_list(RpcCall *call, Etcdserverpb__ResponseHeader *header, MemberList *list)
{
	Etcdserverpb__MemberListResponse response = ETCDSERVERPB__MEMBER_LIST_RESPONSE__INIT;

	response.header = header;
	response.n_members = list->count;
	response.members = list->pointers;
	call_reply_message(call, &response.base);
}

/* CLUSTER-14: no revision.  change NULL: a MemberList. */
static Status
answer_from(RpcCall *call, const Snapshot *snapshot, const MemberChange *change)
{
	MemberList *list = arena_alloc(&call->arena, sizeof(*list));
	Etcdserverpb__ResponseHeader header;
	ControlState control;
	Status status;

	if (list == NULL)
		return RUSD_MEMORY_EXCEEDED;
	shm_control_read(call->rpc->shm, &control);
	header_fill(&header, &control, 0);
	status = read_members(snapshot, list);
	if (status == RUSD_OK && change != NULL && change->entry.action == MEMBER_ADD)
		answer_add(call, change, &header, list);
	else if (status == RUSD_OK)
		answer_list(call, &header, list);
	for (size_t i = 0; i < list->count; i++)
		store_member_free(&list->stored[i]);
	return status;
}

void
cluster_member_list(RpcCall *call)
{
	const Etcdserverpb__MemberListRequest *request = call->request;
	SharedSnapshot *shared;
	ControlState control;
	Status status = snapshot_for_read(call, !request->linearizable, &control, &shared);

	if (status == RUSD_OK)
		status = answer_from(call, &shared->snapshot, NULL);
	if (status == RUSD_AGAIN)
		call_wait(call, cluster_member_list);
	else if (status != RUSD_OK)
		call_fail(call, status);
}

/* Its root was published before the reply was sent, so the newest has its effects. */
static void
answer_change(RpcCall *call)
{
	SharedSnapshot *shared;
	Status status = snapshot_current(call->rpc, &shared);

	if (status == RUSD_OK)
		status = answer_from(call, &shared->snapshot, call->state);
	if (status == RUSD_AGAIN)
		call_wait(call, answer_change);
	else if (status != RUSD_OK)
		call_fail(call, status);
}

/* ---- a change on its way ---- */

static void propose_change(RpcCall *call);

/*
 * Judged by a configuration that is not in use any more, or while another change was under way, or not taken because
 * the leader has changed: nothing was done, and it is judged anew.
 */
static void
change_replied(RpcCall *call, const Reply *reply)
{
	if (reply->status == RUSD_AGAIN || reply->status == RUSD_LEADER_CHANGED)
	{
		reply_unpin(call->rpc, reply);
		call->read_round = 0;
		call_wait(call, propose_change);
		return;
	}
	if (reply_failed(call, reply))
		return;
	reply_unpin(call->rpc, reply);
	if (((const MemberChange *) call->state)->entry.action == MEMBER_PROMOTE)
		count(call->rpc->area, COUNTER_PROMOTED, 1);
	answer_change(call);
}

/*
 * The configuration first, then the state: what the state has of changes is then no less than what the configuration
 * has, if that is applied in it.  Is it more, then the configuration is not the one in use, and the leader says so.
 */
static Status
judge_change(RpcCall *call, MemberChange *change)
{
	RaftConfiguration configuration;
	SharedSnapshot *shared;
	ControlState control;
	Status status;

	(void) shm_configuration_read(call->rpc->shm, &configuration);
	status = snapshot_for_read(call, false, &control, &shared);
	if (status == RUSD_OK && configuration.index > shared->snapshot.root.applied_index)
		status = RUSD_AGAIN;
	if (status == RUSD_OK)
		status = store_judge_member(&shared->snapshot, change->payload + sizeof(EntryHeader),
									change->length - sizeof(EntryHeader));
	if (status == RUSD_OK && change->entry.action == MEMBER_PROMOTE)
		status = reconfig_check(call->rpc, &shared->snapshot, &change->entry);
	if (status != RUSD_OK)
		return status;
	change->entry.judged_at = configuration.index;
	memcpy(change->payload + sizeof(EntryHeader), &change->entry, sizeof(change->entry));
	return RUSD_OK;
}

static void
propose_change(RpcCall *call)
{
	MemberChange *change = call->state;
	Status status = judge_change(call, change);

	if (status == RUSD_OK)
		status = propose(call, ENTRY_MEMBER, change->payload, change->length, 0,
						 serialized_size(call), change_replied);
	if (status == RUSD_AGAIN)
		call_wait(call, propose_change);
	else if (status != RUSD_OK)
		call_fail(call, status);
}

/* By what this member has applied, whether or not there is a leader. */
static void
check_change(RpcCall *call)
{
	const MemberChange *change = call->state;
	SharedSnapshot *shared;
	Status status = snapshot_current(call->rpc, &shared);

	if (status == RUSD_OK)
		status = reconfig_check(call->rpc, &shared->snapshot, &change->entry);
	if (status == RUSD_AGAIN)
		call_wait(call, check_change);
	else if (status != RUSD_OK)
		call_fail(call, status);
	else
		propose_change(call);
}

static uint8_t *
put_string(uint8_t *at, const char *text)
{
	uint32_t length = (uint32_t) strlen(text);

	memcpy(at, &length, sizeof(length));
	memcpy(at + sizeof(length), text, length);
	return at + sizeof(length) + length;
}

static void
begin_change(RpcCall *call, const EntryMember *entry, char *const *urls)
{
	MemberChange *change = arena_zalloc(&call->arena, sizeof(*change));
	size_t length = sizeof(EntryHeader) + sizeof(*entry) + sizeof(uint32_t);
	uint8_t *at;

	for (uint32_t i = 0; i < entry->peer_url_count; i++)
		length += sizeof(uint32_t) + strlen(urls[i]);
	if (change != NULL)
		change->payload = arena_zalloc(&call->arena, length);
	if (change == NULL || change->payload == NULL)
	{
		call_fail(call, RUSD_MEMORY_EXCEEDED);
		return;
	}
	change->entry = *entry;
	change->urls = urls;
	change->length = length;
	at = change->payload + sizeof(EntryHeader);
	memcpy(at, entry, sizeof(*entry));
	at = put_string(at + sizeof(*entry), "");
	for (uint32_t i = 0; i < entry->peer_url_count; i++)
		at = put_string(at, urls[i]);
	call->state = change;
	call->bounded = false;
	if (entry->action == MEMBER_PROMOTE || entry->action == MEMBER_UPDATE)
		propose_change(call);
	else
		check_change(call);
}

/* ---- the four changes ---- */

void
cluster_member_add(RpcCall *call)
{
	const Etcdserverpb__MemberAddRequest *request = call->request;
	EntryMember entry = {.action = MEMBER_ADD,
						 .is_learner = request->islearner != 0,
						 .max_learners = (uint32_t) Min(Max(config.max_learners, 0), UINT32_MAX),
						 .peer_url_count = (uint32_t) request->n_peerurls};
	char seconds[24];

	if (member_urls_check(request->peerurls, request->n_peerurls) != RUSD_OK)
	{
		call_fail(call, RUSD_MEMBER_BAD_URLS);
		return;
	}
	snprintf(seconds, sizeof(seconds), "%" PRIu64,
			 clock_os.wall_ns(&clock_os) / UINT64_C(1000000000));
	entry.member_id = member_id_compute(request->peerurls, entry.peer_url_count, seconds);
	begin_change(call, &entry, request->peerurls);
}

void
cluster_member_remove(RpcCall *call)
{
	const Etcdserverpb__MemberRemoveRequest *request = call->request;

	begin_change(call, &(EntryMember){.action = MEMBER_REMOVE, .member_id = request->id}, NULL);
}

/* CLUSTER-40: the URLs are not looked at. */
void
cluster_member_update(RpcCall *call)
{
	const Etcdserverpb__MemberUpdateRequest *request = call->request;
	EntryMember entry = {.action = MEMBER_UPDATE,
						 .member_id = request->id,
						 .peer_url_count = (uint32_t) request->n_peerurls};

	if (request->n_peerurls > MEMBER_URLS_MAX)
		call_fail(call, RUSD_MEMBER_BAD_URLS);
	else
		begin_change(call, &entry, request->peerurls);
}

void
cluster_member_promote(RpcCall *call)
{
	const Etcdserverpb__MemberPromoteRequest *request = call->request;

	begin_change(call, &(EntryMember){.action = MEMBER_PROMOTE, .member_id = request->id}, NULL);
}
