/*
 * metriclist.h
 *	  Counters of a process, added up for /metrics: RUSD_COUNTER(symbol, metric name, labels, help).
 *
 * etcd's names where the thing exists.  At most SLOT_COUNTERS lines; values that are no counters (positions, sizes, role) are read from shared memory by activity/metrics.c.
 * No include guard: expanded several times.
 *
 * src/include/activity/metriclist.h
 */
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
