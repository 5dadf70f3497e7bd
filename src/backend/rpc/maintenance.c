/*
 * maintenance.c
 *	  The Maintenance service: Alarm, Status, Defragment, Hash, HashKV.
 *
 * Runs in backends.
 *
 * src/backend/rpc/maintenance.c
 */
#include "rusd.h"

#include "services.h"

/* Most alarms that one answer lists. */
#define ALARMS_MAX 256

/* ---- Alarm ---- */

typedef struct AlarmList
{
	AlarmMember stored[ALARMS_MAX];
	Etcdserverpb__AlarmMember alarms[ALARMS_MAX];
	Etcdserverpb__AlarmMember *pointers[ALARMS_MAX];
	uint32_t count;
} AlarmList;

static void
add_alarm(AlarmList *list, uint64_t member_id, uint32_t alarm)
{
	Etcdserverpb__AlarmMember *place = &list->alarms[list->count];

	etcdserverpb__alarm_member__init(place);
	place->memberid = member_id;
	place->alarm = (Etcdserverpb__AlarmType) alarm;
	list->pointers[list->count++] = place;
}

/* MAINT-2: those of one type, NONE: all. */
static Status
list_alarms(const Snapshot *snapshot, uint32_t type, AlarmList *list)
{
	uint32_t found;
	uint32_t i;
	Status status = store_alarms(snapshot, list->stored, ALARMS_MAX, &found);

	if (status != RUSD_OK)
		return status;
	for (i = 0; i < Min(found, ALARMS_MAX); i++)
		if (type == ETCDSERVERPB__ALARM_TYPE__NONE || list->stored[i].alarm == type)
			add_alarm(list, list->stored[i].member_id, list->stored[i].alarm);
	return RUSD_OK;
}

static void
alarm_answer(RpcCall *call)
{
	const Etcdserverpb__AlarmRequest *request = call->request;
	Etcdserverpb__AlarmResponse response = ETCDSERVERPB__ALARM_RESPONSE__INIT;
	Etcdserverpb__ResponseHeader header;
	bool changed = call->state != NULL;
	SharedSnapshot *shared;
	ControlState control;
	AlarmList *list;
	Status status;

	/* Its root was published before the reply was sent, so the newest has its effects. */
	status = snapshot_current(call->rpc, &shared);
	if (status == RUSD_AGAIN)
	{
		call_wait(call, alarm_answer);
		return;
	}
	list = arena_alloc(&call->arena, sizeof(*list));
	if (status == RUSD_OK && list == NULL)
		status = RUSD_MEMORY_EXCEEDED;
	if (status == RUSD_OK)
	{
		list->count = 0;
		if (request->action == ETCDSERVERPB__ALARM_REQUEST__ALARM_ACTION__GET)
			status = list_alarms(&shared->snapshot, (uint32_t) request->alarm, list);
		else if (changed)
			add_alarm(list, request->memberid, (uint32_t) request->alarm);
	}
	if (status != RUSD_OK)
	{
		call_fail(call, status);
		return;
	}
	shm_control_read(call->rpc->shm, &control);
	header_fill(&header, &control, shared->snapshot.root.revision);
	response.header = &header;
	response.n_alarms = list->count;
	response.alarms = list->pointers;
	call_reply_message(call, &response.base);
}

static void
alarm_replied(RpcCall *call, const Reply *reply)
{
	if (reply_failed(call, reply))
		return;
	reply_unpin(call->rpc, reply);
	/* MAINT-3, MAINT-4: whether the pair is active now, or was until now. */
	call->state = reply->value != 0 ? call : NULL;
	alarm_answer(call);
}

void
maintenance_alarm(RpcCall *call)
{
	const Etcdserverpb__AlarmRequest *request = call->request;
	EntryAlarm alarm = {.action = (uint32_t) request->action,
						.alarm = (uint32_t) request->alarm,
						.member_id = request->memberid};
	Status status;

	memcpy(call->rpc->scratch + sizeof(EntryHeader), &alarm, sizeof(alarm));
	status = propose(call, ENTRY_ALARM, call->rpc->scratch, sizeof(EntryHeader) + sizeof(alarm), 0,
					 serialized_size(call), alarm_replied);
	if (status == RUSD_AGAIN)
		call_wait(call, maintenance_alarm);
	else if (status != RUSD_OK)
		call_fail(call, status);
}

/* ---- Status ---- */

#define ALARM_TEXT_BYTES 64

typedef struct StatusText
{
	AlarmMember alarms[ALARMS_MAX];
	char text[ALARMS_MAX][ALARM_TEXT_BYTES];
	char *errors[ALARMS_MAX + 1];
	size_t count;
} StatusText;

/* As etcd prints an AlarmMember; a member id of 0 and a type that is not known are left out as
 * there. */
static void
describe_alarm(const AlarmMember *alarm, char *text, size_t size)
{
	const ProtobufCEnumValue *type = protobuf_c_enum_descriptor_get_value(
		&etcdserverpb__alarm_type__descriptor, (int) alarm->alarm);
	size_t at = 0;

	text[0] = '\0';
	if (alarm->member_id != 0)
		at = (size_t) snprintf(text, size, "memberID:%" PRIu64 " ", alarm->member_id);
	if (type != NULL)
		snprintf(text + at, size - at, "alarm:%s", type->name);
	else
		snprintf(text + at, size - at, "alarm:%u", alarm->alarm);
}

static Status
list_errors(const Snapshot *snapshot, bool leader_known, StatusText *text)
{
	uint32_t found = 0;
	uint32_t i;
	Status status = RUSD_OK;

	text->count = 0;
	if (!leader_known)
		text->errors[text->count++] = (char *) (uintptr_t) status_text(RUSD_NO_LEADER);
	if (snapshot->root.alarms != 0)
		status = store_alarms(snapshot, text->alarms, ALARMS_MAX, &found);
	for (i = 0; i < Min(found, ALARMS_MAX); i++)
	{
		describe_alarm(&text->alarms[i], text->text[i], ALARM_TEXT_BYTES);
		text->errors[text->count++] = text->text[i];
	}
	return status;
}

/* MAINT-10 */
static void
fill_status(Rpc *rpc, Etcdserverpb__StatusResponse *response, const ControlState *control,
			const RootState *root)
{
	bool leader_known = leader_is_known(rpc, control);
	uint64_t quota = quota_bytes();

	response->version = (char *) (uintptr_t) ETCD_VERSION_STRING;
	response->dbsize = (int64_t) (root->pages_end * PAGE_BYTES);
	response->dbsizeinuse = (int64_t) (root->pages_used * PAGE_BYTES);
	response->leader = leader_known ? control->leader_id : 0;
	/* MAINT-11: what is applied was committed, whatever raft has published of it. */
	response->raftindex = Max(control->commit_index, root->applied_index);
	response->raftterm = control->term;
	response->raftappliedindex = root->applied_index;
	response->islearner = control->is_learner != 0;
	response->dbsizequota = quota == UINT64_MAX ? -1 : (int64_t) quota;
}

void
maintenance_status(RpcCall *call)
{
	Rpc *rpc = call->rpc;
	Etcdserverpb__StatusResponse response = ETCDSERVERPB__STATUS_RESPONSE__INIT;
	Etcdserverpb__DowngradeInfo downgrade = ETCDSERVERPB__DOWNGRADE_INFO__INIT;
	Etcdserverpb__ResponseHeader header;
	char version[32];
	SharedSnapshot *shared;
	ControlState control;
	StatusText *text;
	Status status;

	status = snapshot_for_read(call, true, &control, &shared);
	if (status == RUSD_AGAIN)
	{
		call_wait(call, maintenance_status);
		return;
	}
	text = arena_alloc(&call->arena, sizeof(*text));
	if (status == RUSD_OK && text == NULL)
		status = RUSD_MEMORY_EXCEEDED;
	if (status == RUSD_OK)
		status = store_cluster_version(&shared->snapshot, version, sizeof(version));
	if (status == RUSD_OK)
		status = list_errors(&shared->snapshot, leader_is_known(rpc, &control), text);
	if (status != RUSD_OK)
	{
		call_fail(call, status);
		return;
	}
	header_fill(&header, &control, shared->snapshot.root.revision);
	response.header = &header;
	fill_status(rpc, &response, &control, &shared->snapshot.root);
	response.storageversion = version;
	response.n_errors = text->count;
	response.errors = text->errors;
	response.downgradeinfo = &downgrade;
	call_reply_message(call, &response.base);
}

/* ---- Defragment ---- */

static void
defragment_replied(RpcCall *call, const Reply *reply)
{
	if (reply_failed(call, reply))
		return;
	reply_unpin(call->rpc, reply);
	/* MAINT-20: an answer without a header. */
	call_reply_bytes(call, call->rpc->scratch, 0);
}

void
maintenance_defragment(RpcCall *call)
{
	Status status;

	status = propose(call, ENTRY_DEFRAGMENT, call->rpc->scratch, sizeof(EntryHeader), 0, 0,
					 defragment_replied);
	/* Takes its time. */
	if (status == RUSD_OK)
		call->bounded = false;
	if (status == RUSD_AGAIN)
		call_wait(call, maintenance_defragment);
	else if (status != RUSD_OK)
		call_fail(call, status);
}

/* ---- Hash, HashKV: in slices, a turn of the backend for each ---- */

typedef struct Hashing
{
	SharedSnapshot *shared;
	HashKv *kv;
	HashAll *all;
} Hashing;

static void
hashing_end(RpcCall *call)
{
	Hashing *hashing = call->state;

	if (hashing->kv != NULL)
		hash_kv_end(hashing->kv);
	if (hashing->all != NULL)
		hash_all_end(hashing->all);
	snapshot_release(call->rpc, hashing->shared);
	call->on_gone = NULL;
}

static Status
hash_kv_slice(RpcCall *call, const Hashing *hashing)
{
	Etcdserverpb__HashKVResponse response = ETCDSERVERPB__HASH_KVRESPONSE__INIT;
	Etcdserverpb__ResponseHeader header;
	ControlState control;
	Status status;

	status = hash_kv_step(hashing->kv, &response.hash, &response.compact_revision,
						  &response.hash_revision);
	if (status != RUSD_OK)
		return status;
	shm_control_read(call->rpc->shm, &control);
	header_fill(&header, &control, hashing->shared->snapshot.root.revision);
	response.header = &header;
	call_reply_message(call, &response.base);
	return RUSD_OK;
}

static Status
hash_all_slice(RpcCall *call, const Hashing *hashing)
{
	Etcdserverpb__HashResponse response = ETCDSERVERPB__HASH_RESPONSE__INIT;
	Etcdserverpb__ResponseHeader header;
	ControlState control;
	Status status;

	status = hash_all_step(hashing->all, &response.hash);
	if (status != RUSD_OK)
		return status;
	shm_control_read(call->rpc->shm, &control);
	header_fill(&header, &control, hashing->shared->snapshot.root.revision);
	response.header = &header;
	call_reply_message(call, &response.base);
	return RUSD_OK;
}

static void
hashing_slice(RpcCall *call)
{
	Hashing *hashing = call->state;
	Status status =
		hashing->kv != NULL ? hash_kv_slice(call, hashing) : hash_all_slice(call, hashing);

	if (status == RUSD_AGAIN)
	{
		call->resume = hashing_slice;
		call_to_list(call, LIST_SLICE);
		return;
	}
	hashing_end(call);
	if (status != RUSD_OK)
		call_fail(call, status);
}

/* Common beginning: begin makes the hash of hashing->shared. */
static void
hashing_begin(RpcCall *call, Status (*begin)(RpcCall *call, Hashing *hashing),
			  void (*again)(RpcCall *call))
{
	Hashing *hashing;
	SharedSnapshot *shared;
	ControlState control;
	Status status;

	call->keeps = true;
	status = snapshot_for_read(call, true, &control, &shared);
	if (status == RUSD_AGAIN)
	{
		call_wait(call, again);
		return;
	}
	hashing = arena_zalloc(&call->arena, sizeof(*hashing));
	if (status == RUSD_OK && hashing == NULL)
		status = RUSD_MEMORY_EXCEEDED;
	if (status == RUSD_OK)
	{
		hashing->shared = shared;
		status = begin(call, hashing);
	}
	if (status != RUSD_OK)
	{
		call_fail(call, status);
		return;
	}
	snapshot_reference(shared);
	call->state = hashing;
	call->on_gone = hashing_end;
	call->bounded = false;
	hashing_slice(call);
}

static Status
begin_kv(RpcCall *call, Hashing *hashing)
{
	const Etcdserverpb__HashKVRequest *request = call->request;

	return hash_kv_begin(&hashing->shared->snapshot, request->revision, &hashing->kv);
}

static Status
begin_all(RpcCall *call, Hashing *hashing)
{
	(void) call;
	return hash_all_begin(&hashing->shared->snapshot, &hashing->all);
}

void
maintenance_hash_kv(RpcCall *call)
{
	hashing_begin(call, begin_kv, maintenance_hash_kv);
}

void
maintenance_hash(RpcCall *call)
{
	hashing_begin(call, begin_all, maintenance_hash);
}
