/*
 * methodlist.h
 *	  The methods that are built: RUSD_METHOD(symbol, service, method, request type as protobuf-c names it, handler);
 * RUSD_STREAM_METHOD where the answer is a stream of messages, which is the same to whoever does not define it.
 *
 * All services that etcd has are known by name (servicelist in rpc/dispatch.c); what is not on this list is an unknown method of a
 * known service.  The order is that of use: a path is looked up from the top.  No include guard: expanded several times.
 *
 * src/include/rpc/methodlist.h
 */
#ifndef RUSD_STREAM_METHOD
#define RUSD_STREAM_METHOD RUSD_METHOD
#endif

RUSD_METHOD(RANGE, "etcdserverpb.KV", "Range", etcdserverpb__range_request, kv_range)
RUSD_STREAM_METHOD(RANGE_STREAM, "etcdserverpb.KV", "RangeStream", etcdserverpb__range_request, kv_range_stream)
RUSD_METHOD(PUT, "etcdserverpb.KV", "Put", etcdserverpb__put_request, kv_put)
RUSD_METHOD(TXN, "etcdserverpb.KV", "Txn", etcdserverpb__txn_request, kv_txn)
RUSD_METHOD(DELETE_RANGE, "etcdserverpb.KV", "DeleteRange", etcdserverpb__delete_range_request, kv_delete_range)
RUSD_METHOD(COMPACT, "etcdserverpb.KV", "Compact", etcdserverpb__compaction_request, kv_compact)
RUSD_METHOD(MEMBER_LIST, "etcdserverpb.Cluster", "MemberList", etcdserverpb__member_list_request, cluster_member_list)
RUSD_METHOD(MEMBER_ADD, "etcdserverpb.Cluster", "MemberAdd", etcdserverpb__member_add_request, cluster_member_add)
RUSD_METHOD(MEMBER_REMOVE, "etcdserverpb.Cluster", "MemberRemove", etcdserverpb__member_remove_request, cluster_member_remove)
RUSD_METHOD(MEMBER_UPDATE, "etcdserverpb.Cluster", "MemberUpdate", etcdserverpb__member_update_request, cluster_member_update)
RUSD_METHOD(MEMBER_PROMOTE, "etcdserverpb.Cluster", "MemberPromote", etcdserverpb__member_promote_request, cluster_member_promote)
RUSD_METHOD(ALARM, "etcdserverpb.Maintenance", "Alarm", etcdserverpb__alarm_request, maintenance_alarm)
RUSD_METHOD(STATUS, "etcdserverpb.Maintenance", "Status", etcdserverpb__status_request, maintenance_status)
RUSD_METHOD(DEFRAGMENT, "etcdserverpb.Maintenance", "Defragment", etcdserverpb__defragment_request, maintenance_defragment)
RUSD_METHOD(HASH, "etcdserverpb.Maintenance", "Hash", etcdserverpb__hash_request, maintenance_hash)
RUSD_METHOD(HASH_KV, "etcdserverpb.Maintenance", "HashKV", etcdserverpb__hash_kvrequest, maintenance_hash_kv)
RUSD_METHOD(MOVE_LEADER, "etcdserverpb.Maintenance", "MoveLeader", etcdserverpb__move_leader_request, maintenance_move_leader)
RUSD_METHOD(DOWNGRADE, "etcdserverpb.Maintenance", "Downgrade", etcdserverpb__downgrade_request, maintenance_downgrade)
RUSD_METHOD(HEALTH_CHECK, "grpc.health.v1.Health", "Check", grpc__health__v1__health_check_request, health_check)
RUSD_METHOD(HEALTH_LIST, "grpc.health.v1.Health", "List", grpc__health__v1__health_list_request, health_list)

#undef RUSD_STREAM_METHOD
