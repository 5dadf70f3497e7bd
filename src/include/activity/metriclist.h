/*
 * metriclist.h
 *	  What a process counts, added up for /metrics:
 *
 *	  RUSD_COUNTER(symbol, metric name, labels, help)
 *	  RUSD_HISTOGRAM(symbol, metric name, first bound in ns, bounds, help)			of times; each bound is twice the one before it
 *	  RUSD_PEER_COUNTER(symbol, metric name, labels, help)							for each member at the other end, which the labels name:
 *	  RUSD_PEER_HISTOGRAM(symbol, metric name, labels, first bound, bounds, help)	"To", "From", or "Remote" (with "Local"); no name: metrics.c makes something else of it
 *
 * etcd's names where the thing exists.  At most SLOT_COUNTERS and PEER_COUNTERS places; values that are no counters (positions, sizes, role) are read from shared memory by
 * activity/metrics.c.  No include guard: expanded several times; who expands it defines the macros that it needs.
 *
 * src/include/activity/metriclist.h
 */
#ifndef RUSD_COUNTER
#define RUSD_COUNTER(symbol, name, labels, help)
#endif
#ifndef RUSD_HISTOGRAM
#define RUSD_HISTOGRAM(symbol, name, first_ns, bounds, help)
#endif
#ifndef RUSD_PEER_COUNTER
#define RUSD_PEER_COUNTER(symbol, name, labels, help)
#endif
#ifndef RUSD_PEER_HISTOGRAM
#define RUSD_PEER_HISTOGRAM(symbol, name, labels, first_ns, bounds, help)
#endif

RUSD_COUNTER(RANGES, "etcd_mvcc_range_total", "", "Total number of ranges seen by this member.")
RUSD_COUNTER(PUTS, "etcd_mvcc_put_total", "", "Total number of puts seen by this member.")
RUSD_COUNTER(DELETES, "etcd_mvcc_delete_total", "", "Total number of deletes seen by this member.")
RUSD_COUNTER(TXNS, "etcd_mvcc_txn_total", "", "Total number of txns seen by this member.")
RUSD_COUNTER(PROPOSALS_FAILED, "etcd_server_proposals_failed_total", "", "The total number of failed proposals seen.")
RUSD_COUNTER(RECEIVED_BYTES, "etcd_network_client_grpc_received_bytes_total", "", "The total number of bytes received from grpc clients.")
RUSD_COUNTER(SENT_BYTES, "etcd_network_client_grpc_sent_bytes_total", "", "The total number of bytes sent to grpc clients.")
RUSD_COUNTER(SNAPSHOTS_ENDED, "rusd_snapshots_ended_total", "", "Reads that were ended because room ran short.")
RUSD_COUNTER(MEMORY_REFUSED, "rusd_memory_refused_total", "", "Requests refused because --backend-memory was used up.")
RUSD_COUNTER(CONNECTIONS_REFUSED, "rusd_connections_refused_total", "", "Connections closed because --max-connections were in use or no process could be made.")
RUSD_COUNTER(HEALTH_SUCCESS, "etcd_server_health_success", "", "The total number of successful health checks")
RUSD_COUNTER(HEALTH_FAILURES, "etcd_server_health_failures", "", "The total number of failed health checks")
RUSD_COUNTER(BACKENDS_KILLED, "rusd_backends_killed_total", "", "Connections ended because their process held back pages that others waited for.")
RUSD_COUNTER(TLS_HANDSHAKES, "rusd_tls_handshakes_total", "result=\"full\"", "TLS handshakes of clients and members: full, resumed by a ticket, refused.")
RUSD_COUNTER(TLS_RESUMED, "rusd_tls_handshakes_total", "result=\"resumed\"", "TLS handshakes of clients and members: full, resumed by a ticket, refused.")
RUSD_COUNTER(TLS_REFUSED, "rusd_tls_handshakes_total", "result=\"refused\"", "TLS handshakes of clients and members: full, resumed by a ticket, refused.")
RUSD_COUNTER(LEADER_CHANGES, "etcd_server_leader_changes_seen_total", "", "The number of leader changes seen.")
RUSD_COUNTER(HEARTBEATS_LATE, "etcd_server_heartbeat_send_failures_total", "", "Turns of a leader that came later than two heartbeat intervals after the one before.")
RUSD_COUNTER(SLOW_APPLIES, "etcd_server_slow_apply_total", "", "The total number of slow apply requests.")
RUSD_COUNTER(SLOW_READ_INDEXES, "etcd_server_slow_read_indexes_total", "", "Read indexes that took longer than half a second.")
RUSD_COUNTER(FAILED_READ_INDEXES, "etcd_server_read_indexes_failed_total", "", "The total number of failed read indexes seen.")
RUSD_COUNTER(PROMOTED, "etcd_server_learner_promote_successes", "", "The total number of successful learner promotions by requests to this member.")

RUSD_HISTOGRAM(WAL_FSYNC, "etcd_disk_wal_fsync_duration_seconds", 1000000, 14, "The latency distributions of fsync called by WAL.")
RUSD_HISTOGRAM(WAL_WRITE, "etcd_disk_wal_write_duration_seconds", 1000000, 14, "The latency distributions of write called by WAL.")
RUSD_HISTOGRAM(DATA_SYNC, "etcd_disk_backend_commit_duration_seconds", 1000000, 14, "The latency distributions of syncs of the data file, which checkpoints make; no put waits for one.")

RUSD_PEER_COUNTER(SENT_BYTES, "etcd_network_peer_sent_bytes_total", "To", "The total number of bytes sent to peers.")
RUSD_PEER_COUNTER(SENT_FAILURES, "etcd_network_peer_sent_failures_total", "To", "Messages for a peer that were dropped, for there was no connection.")
RUSD_PEER_COUNTER(RECEIVED_BYTES, "etcd_network_peer_received_bytes_total", "From", "The total number of bytes received from peers.")
RUSD_PEER_COUNTER(RECEIVED_FAILURES, "etcd_network_peer_received_failures_total", "From", "Messages of a peer that were damaged or not its own.")
RUSD_PEER_COUNTER(DISCONNECTED, "etcd_network_disconnected_peers_total", "Remote", "The total number of disconnected peers.")
RUSD_PEER_COUNTER(SENDS_BEGUN, "", "To", "Snapshots that were begun to be sent.")
RUSD_PEER_COUNTER(SENDS_DONE, "etcd_network_snapshot_send_success", "To", "Total number of successful snapshot sends")
RUSD_PEER_COUNTER(RECEIVES_BEGUN, "", "From", "Snapshots that were begun to be received.")
RUSD_PEER_COUNTER(RECEIVES_DONE, "etcd_network_snapshot_receive_success", "From", "Total number of successful snapshot receives")
RUSD_PEER_COUNTER(SENDS_FAILED, "", "To", "Snapshots that were not sent.")
RUSD_PEER_COUNTER(RECEIVES_FAILED, "", "From", "Snapshots that were not received.")

RUSD_PEER_HISTOGRAM(ROUND_TRIP, "etcd_network_peer_round_trip_time_seconds", "To", 100000, 16, "Round-Trip-Time histogram between peers")
RUSD_PEER_HISTOGRAM(SEND_TIME, "etcd_network_snapshot_send_total_duration_seconds", "To", 100000000, 10, "Total latency distributions of v3 snapshot sends")
RUSD_PEER_HISTOGRAM(RECEIVE_TIME, "etcd_network_snapshot_receive_total_duration_seconds", "From", 100000000, 10, "Total latency distributions of v3 snapshot receives")

#undef RUSD_COUNTER
#undef RUSD_HISTOGRAM
#undef RUSD_PEER_COUNTER
#undef RUSD_PEER_HISTOGRAM
