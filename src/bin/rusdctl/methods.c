/*
 * methods.c
 *	  The methods that rusdctl calls.
 *
 * Those that only read may be asked of another member too (CLIENT-1): Alarm, because to take an alarm
 * back twice is to take it back once.
 *
 * src/bin/rusdctl/methods.c
 */
#include "rusd_fe.h"

#include "ctl.h"

const RpcMethod range_method = {"/etcdserverpb.KV/Range", &etcdserverpb__range_response__descriptor,
								true};
const RpcMethod put_method = {"/etcdserverpb.KV/Put", &etcdserverpb__put_response__descriptor,
							  false};
const RpcMethod delete_method = {"/etcdserverpb.KV/DeleteRange",
								 &etcdserverpb__delete_range_response__descriptor, false};
const RpcMethod txn_method = {"/etcdserverpb.KV/Txn", &etcdserverpb__txn_response__descriptor,
							  false};
const RpcMethod compact_method = {"/etcdserverpb.KV/Compact",
								  &etcdserverpb__compaction_response__descriptor, false};
const RpcMethod authenticate_method = {"/etcdserverpb.Auth/Authenticate",
									   &etcdserverpb__authenticate_response__descriptor, false};
const RpcMethod status_method = {"/etcdserverpb.Maintenance/Status",
								 &etcdserverpb__status_response__descriptor, true};
const RpcMethod hashkv_method = {"/etcdserverpb.Maintenance/HashKV",
								 &etcdserverpb__hash_kvresponse__descriptor, true};
const RpcMethod defragment_method = {"/etcdserverpb.Maintenance/Defragment",
									 &etcdserverpb__defragment_response__descriptor, false};
const RpcMethod alarm_method = {"/etcdserverpb.Maintenance/Alarm",
								&etcdserverpb__alarm_response__descriptor, true};
const RpcMethod move_leader_method = {"/etcdserverpb.Maintenance/MoveLeader",
									  &etcdserverpb__move_leader_response__descriptor, false};
const RpcMethod downgrade_method = {"/etcdserverpb.Maintenance/Downgrade",
									&etcdserverpb__downgrade_response__descriptor, false};
const RpcMethod member_list_method = {"/etcdserverpb.Cluster/MemberList",
									  &etcdserverpb__member_list_response__descriptor, true};
const RpcMethod member_add_method = {"/etcdserverpb.Cluster/MemberAdd",
									 &etcdserverpb__member_add_response__descriptor, false};
const RpcMethod member_remove_method = {"/etcdserverpb.Cluster/MemberRemove",
										&etcdserverpb__member_remove_response__descriptor, false};
const RpcMethod member_update_method = {"/etcdserverpb.Cluster/MemberUpdate",
										&etcdserverpb__member_update_response__descriptor, false};
const RpcMethod member_promote_method = {"/etcdserverpb.Cluster/MemberPromote",
										 &etcdserverpb__member_promote_response__descriptor, false};
