/*
 * configlist.h
 *	  All parameters: flags of etcd 3.7.1 and rusd's own.
 *
 *	RUSD_PARAM_TEXT(field, flag, type, default, choices, status, reload, sentence, note)
 *	RUSD_PARAM_INT(field, flag, type, default, min, max, status, reload, sentence, note)
 *	RUSD_PARAM_BOOL(field, flag, default, status, reload, sentence, note)
 *	RUSD_PARAM_SECTION(title, own)		those that follow; own: rusd's, without ETCD_ variables
 *	RUSD_PARAM_IGNORED(flag)			boolean flags without any effect, as in etcd
 *
 * field	in Config: the flag with '-' as '_'.  The variables are RUSD_ and ETCD_ and that in
 * capitals. type		STRING; STRINGS and URLS: separated by commas; ENUM: a value that is not one
 * of the choices is a usage error (exit 2); WORD: it is refused by the checks (exit 1); ORIGINS:
 * URLs or *; GATES; INT INT64 UINT UINT32 UINT64: Go's; DURATION: Go's, in nanoseconds; SIZE: bytes,
 * or KiB, MiB, GiB, TiB min, max	what is outside is refused (exit 1) status	HONOURED; WARNED: a
 * value other than the default is accepted with a warning that tells the note; NOT_YET: it stops the
 * start reload	FIXED, or RELOAD: SIGHUP takes it from the file of --config-reload
 * note		what rusd does instead, or what restricts it
 *
 * Who includes it defines what it needs; all five are undefined at the end.
 *
 * src/include/utils/configlist.h
 */
/* clang-format off */
#ifndef RUSD_PARAM_TEXT
#define RUSD_PARAM_TEXT(...)
#endif
#ifndef RUSD_PARAM_INT
#define RUSD_PARAM_INT(...)
#endif
#ifndef RUSD_PARAM_BOOL
#define RUSD_PARAM_BOOL(...)
#endif
#ifndef RUSD_PARAM_SECTION
#define RUSD_PARAM_SECTION(...)
#endif
#ifndef RUSD_PARAM_IGNORED
#define RUSD_PARAM_IGNORED(...)
#endif

/* ---- Member ---- */
RUSD_PARAM_SECTION("Member", false)
RUSD_PARAM_TEXT(name, "name", STRING, "default", "", HONOURED, FIXED, "Name of this member.", "")
RUSD_PARAM_TEXT(data_dir, "data-dir", STRING, "", "", HONOURED, FIXED, "Directory of everything that this member stores; empty: <name>.etcd.", "")
RUSD_PARAM_TEXT(wal_dir, "wal-dir", STRING, "", "", NOT_YET, FIXED, "A directory of its own for the log.", "the log is in <data-dir>/wal")
RUSD_PARAM_INT(snapshot_count, "snapshot-count", UINT64, 10000, 0, INT64_MAX, WARNED, FIXED, "Applied entries between two snapshots of etcd.", "a checkpoint takes the place of a snapshot: see --checkpoint-interval")
RUSD_PARAM_INT(heartbeat_interval, "heartbeat-interval", UINT, 100, 0, INT64_MAX, HONOURED, FIXED, "Milliseconds between two heartbeats of the leader.", "")
RUSD_PARAM_INT(election_timeout, "election-timeout", UINT, 1000, 0, INT64_MAX, HONOURED, FIXED, "Milliseconds without a leader before an election; at least 5 heartbeats, at most 50000.", "")
RUSD_PARAM_BOOL(initial_election_tick_advance, "initial-election-tick-advance", true, HONOURED, FIXED, "Shorten the first election after a start.", "")
RUSD_PARAM_TEXT(listen_peer_urls, "listen-peer-urls", URLS, "http://localhost:2380", "", HONOURED, FIXED, "URLs to listen on for other members.", "")
RUSD_PARAM_TEXT(listen_client_urls, "listen-client-urls", URLS, "http://localhost:2379", "", HONOURED, FIXED, "URLs to listen on for clients; hosts are IP addresses or localhost, or unix:// and the path of a socket.", "")
RUSD_PARAM_TEXT(listen_client_http_urls, "listen-client-http-urls", URLS, "", "", NOT_YET, FIXED, "URLs that serve HTTP/1.1 alone; those above then serve gRPC alone.", "HTTP is served on the client URLs")
RUSD_PARAM_INT(max_snapshots, "max-snapshots", UINT, 5, 0, INT64_MAX, WARNED, FIXED, "Snapshot files that etcd keeps.", "there are no snapshot files: the two copies of the control record stand for the last two checkpoints")
RUSD_PARAM_INT(max_wals, "max-wals", UINT, 5, 0, INT64_MAX, WARNED, FIXED, "Log files that etcd keeps.", "log segments are kept while they are needed, and longer by --wal-keep-size and --wal-keep-all")
RUSD_PARAM_BOOL(memory_mlock, "memory-mlock", false, NOT_YET, FIXED, "Lock the memory of the processes.", "")
RUSD_PARAM_INT(quota_backend_bytes, "quota-backend-bytes", INT64, 0, INT64_MIN, INT64_MAX, HONOURED, FIXED, "Size of the stored data at which writes are refused; 0: 2 GiB, negative: no limit.", "")
RUSD_PARAM_TEXT(backend_bbolt_freelist_type, "backend-bbolt-freelist-type", STRING, "", "", WARNED, FIXED, "Kind of free list of etcd's bbolt.", "free pages are found by the births and deaths of pages; there is no bbolt")
RUSD_PARAM_INT(backend_batch_interval, "backend-batch-interval", DURATION, 0, INT64_MIN, INT64_MAX, WARNED, FIXED, "Longest time before etcd's bbolt commits.", "the data file is written by checkpoints alone: see --checkpoint-interval")
RUSD_PARAM_INT(backend_batch_limit, "backend-batch-limit", INT, 0, INT64_MIN, INT64_MAX, WARNED, FIXED, "Most operations before etcd's bbolt commits.", "the data file is written by checkpoints alone: see --checkpoint-interval")
RUSD_PARAM_INT(max_txn_ops, "max-txn-ops", UINT, 128, 0, INT32_MAX, HONOURED, FIXED, "Most operations in each list of a transaction.", "")
RUSD_PARAM_INT(max_request_bytes, "max-request-bytes", UINT, 1572864, 0, PARAM_GIB, HONOURED, FIXED, "Largest request that is replicated; a gRPC message may have 524288 bytes more.", "")
RUSD_PARAM_INT(max_concurrent_streams, "max-concurrent-streams", UINT32, 4294967295, 0, UINT32_MAX, HONOURED, FIXED, "Most HTTP/2 streams of a client connection at once.", "")
RUSD_PARAM_INT(grpc_keepalive_min_time, "grpc-keepalive-min-time", DURATION, 5 * PARAM_SECOND, 0, INT64_MAX, HONOURED, FIXED, "Shortest time between two pings that a client may send.", "")
RUSD_PARAM_INT(grpc_keepalive_interval, "grpc-keepalive-interval", DURATION, 2 * PARAM_HOUR, 0, INT64_MAX, HONOURED, FIXED, "Time without a sign of life before a client is pinged; 0: never.", "")
RUSD_PARAM_INT(grpc_keepalive_timeout, "grpc-keepalive-timeout", DURATION, 20 * PARAM_SECOND, 0, INT64_MAX, HONOURED, FIXED, "Time for the answer to a ping before the connection is closed; 0: for ever.", "")
RUSD_PARAM_BOOL(socket_reuse_port, "socket-reuse-port", false, HONOURED, FIXED, "Set SO_REUSEPORT on listening sockets.", "")
RUSD_PARAM_BOOL(socket_reuse_address, "socket-reuse-address", false, WARNED, FIXED, "Set SO_REUSEADDR on listening sockets.", "listening sockets always have it")
RUSD_PARAM_BOOL(enable_grpc_gateway, "enable-grpc-gateway", true, WARNED, FIXED, "Serve the JSON gateway.", "there is no JSON gateway yet, whatever is said here")
RUSD_PARAM_INT(raft_read_timeout, "raft-read-timeout", DURATION, 5 * PARAM_SECOND, 0, INT64_MAX, HONOURED, FIXED, "Read timeout of connections between members.", "")
RUSD_PARAM_INT(raft_write_timeout, "raft-write-timeout", DURATION, 5 * PARAM_SECOND, 0, INT64_MAX, HONOURED, FIXED, "Write timeout of connections between members.", "")
RUSD_PARAM_TEXT(feature_gates, "feature-gates", GATES, "", "", HONOURED, FIXED, "List of name=true or name=false; gates that are not honoured yet must keep their default.", "")

/* ---- Clustering ---- */
RUSD_PARAM_SECTION("Clustering", false)
RUSD_PARAM_TEXT(initial_advertise_peer_urls, "initial-advertise-peer-urls", URLS, "http://localhost:2380", "", HONOURED, FIXED, "URLs by which other members reach this one; for a new member only.", "")
RUSD_PARAM_TEXT(initial_cluster, "initial-cluster", STRING, "", "", HONOURED, FIXED, "Members of a new cluster, name=url,...; empty: this one alone.", "one member for now")
RUSD_PARAM_TEXT(initial_cluster_state, "initial-cluster-state", ENUM, "new", "new|existing", HONOURED, FIXED, "Whether a member without data founds a cluster or joins one.", "")
RUSD_PARAM_TEXT(initial_cluster_token, "initial-cluster-token", STRING, "etcd-cluster", "", HONOURED, FIXED, "Mixed into the ids of cluster and members.", "")
RUSD_PARAM_TEXT(advertise_client_urls, "advertise-client-urls", URLS, "http://localhost:2379", "", HONOURED, FIXED, "Client URLs told in the member list; must be given when --listen-client-urls is.", "")
RUSD_PARAM_TEXT(discovery_token, "discovery-token", STRING, "", "", NOT_YET, FIXED, "Token of a cluster to be discovered.", "")
RUSD_PARAM_TEXT(discovery_endpoints, "discovery-endpoints", STRINGS, "", "", NOT_YET, FIXED, "Endpoints of the cluster by which to discover members.", "")
RUSD_PARAM_INT(discovery_dial_timeout, "discovery-dial-timeout", DURATION, 2 * PARAM_SECOND, 0, INT64_MAX, NOT_YET, FIXED, "Discovery: time to connect.", "")
RUSD_PARAM_INT(discovery_request_timeout, "discovery-request-timeout", DURATION, 5 * PARAM_SECOND, 0, INT64_MAX, NOT_YET, FIXED, "Discovery: time for a request.", "")
RUSD_PARAM_INT(discovery_keepalive_time, "discovery-keepalive-time", DURATION, 2 * PARAM_SECOND, 0, INT64_MAX, NOT_YET, FIXED, "Discovery: time between pings.", "")
RUSD_PARAM_INT(discovery_keepalive_timeout, "discovery-keepalive-timeout", DURATION, 6 * PARAM_SECOND, 0, INT64_MAX, NOT_YET, FIXED, "Discovery: time for the answer to a ping.", "")
RUSD_PARAM_BOOL(discovery_insecure_transport, "discovery-insecure-transport", true, NOT_YET, FIXED, "Discovery without TLS.", "")
RUSD_PARAM_BOOL(discovery_insecure_skip_tls_verify, "discovery-insecure-skip-tls-verify", false, NOT_YET, FIXED, "Discovery: do not verify the certificate.", "")
RUSD_PARAM_TEXT(discovery_cert, "discovery-cert", STRING, "", "", NOT_YET, FIXED, "Discovery: client certificate.", "")
RUSD_PARAM_TEXT(discovery_key, "discovery-key", STRING, "", "", NOT_YET, FIXED, "Discovery: key of the client certificate.", "")
RUSD_PARAM_TEXT(discovery_cacert, "discovery-cacert", STRING, "", "", NOT_YET, FIXED, "Discovery: certificates of authorities.", "")
RUSD_PARAM_TEXT(discovery_user, "discovery-user", STRING, "", "", NOT_YET, FIXED, "Discovery: user[:password].", "")
RUSD_PARAM_TEXT(discovery_password, "discovery-password", STRING, "", "", NOT_YET, FIXED, "Discovery: password.", "")
RUSD_PARAM_TEXT(discovery_fallback, "discovery-fallback", ENUM, "exit", "exit|proxy", NOT_YET, FIXED, "What to do when discovery fails.", "")
RUSD_PARAM_TEXT(discovery_srv, "discovery-srv", STRING, "", "", HONOURED, FIXED, "DNS domain with SRV records of the members.", "")
RUSD_PARAM_TEXT(discovery_srv_name, "discovery-srv-name", STRING, "", "", HONOURED, FIXED, "Suffix of the service name of those records.", "")
RUSD_PARAM_BOOL(strict_reconfig_check, "strict-reconfig-check", true, HONOURED, FIXED, "Refuse changes of the membership that would lose the quorum.", "")
RUSD_PARAM_BOOL(pre_vote, "pre-vote", true, WARNED, FIXED, "Ask before an election whether it could be won.", "a single member has nobody to ask")
RUSD_PARAM_TEXT(auto_compaction_retention, "auto-compaction-retention", STRING, "0", "", NOT_YET, FIXED, "What automatic compaction keeps; 0: no compaction.", "")
RUSD_PARAM_TEXT(auto_compaction_mode, "auto-compaction-mode", WORD, "periodic", "periodic|revision", NOT_YET, FIXED, "Whether automatic compaction counts time or revisions.", "")
RUSD_PARAM_TEXT(v2_deprecation, "v2-deprecation", ENUM, "write-only", "write-only|write-only-skip-check|write-only-drop-data|gone", WARNED, FIXED, "Phase of the removal of etcd's v2 store.", "there is no v2 store")

/* ---- Security ---- */
RUSD_PARAM_SECTION("Security", false)
RUSD_PARAM_TEXT(cert_file, "cert-file", STRING, "", "", HONOURED, FIXED, "Certificate shown to clients at https URLs, PEM, the chain behind it; read again when it changes.", "")
RUSD_PARAM_TEXT(key_file, "key-file", STRING, "", "", HONOURED, FIXED, "Key of that certificate, PEM, not encrypted.", "")
RUSD_PARAM_TEXT(client_cert_file, "client-cert-file", STRING, "", "", WARNED, FIXED, "Certificate for connections to other servers.", "there is no gateway that connects to the server: HTTP is answered where it arrives")
RUSD_PARAM_TEXT(client_key_file, "client-key-file", STRING, "", "", WARNED, FIXED, "Key of that certificate.", "there is no gateway that connects to the server: HTTP is answered where it arrives")
RUSD_PARAM_BOOL(client_cert_auth, "client-cert-auth", false, HONOURED, FIXED, "Demand a certificate of clients, of the authorities in --trusted-ca-file, or without it of those of the system.", "")
RUSD_PARAM_TEXT(client_crl_file, "client-crl-file", STRING, "", "", HONOURED, FIXED, "Revoked certificates of clients, PEM or DER; read again when it changes.", "")
RUSD_PARAM_TEXT(client_cert_allowed_hostname, "client-cert-allowed-hostname", STRINGS, "", "", HONOURED, FIXED, "Host names of which a client's certificate must have one.", "")
RUSD_PARAM_TEXT(trusted_ca_file, "trusted-ca-file", STRING, "", "", HONOURED, FIXED, "Authorities for certificates of clients, PEM; with it a certificate is demanded.", "")
RUSD_PARAM_BOOL(auto_tls, "auto-tls", false, HONOURED, FIXED, "TLS for clients with a certificate made at start, where no --cert-file is given.", "")
RUSD_PARAM_TEXT(peer_cert_file, "peer-cert-file", STRING, "", "", HONOURED, FIXED, "Certificate shown to other members at https URLs; see --cert-file.", "")
RUSD_PARAM_TEXT(peer_key_file, "peer-key-file", STRING, "", "", HONOURED, FIXED, "Key of that certificate.", "")
RUSD_PARAM_TEXT(peer_client_cert_file, "peer-client-cert-file", STRING, "", "", HONOURED, FIXED, "Certificate for connections to other members; without it --peer-cert-file is shown to them.", "")
RUSD_PARAM_TEXT(peer_client_key_file, "peer-client-key-file", STRING, "", "", HONOURED, FIXED, "Key of that certificate.", "")
RUSD_PARAM_BOOL(peer_client_cert_auth, "peer-client-cert-auth", false, HONOURED, FIXED, "Demand a certificate of other members.", "")
RUSD_PARAM_TEXT(peer_trusted_ca_file, "peer-trusted-ca-file", STRING, "", "", HONOURED, FIXED, "Authorities for certificates of members, whoever connects; with it a certificate is demanded.", "")
RUSD_PARAM_TEXT(peer_cert_allowed_cn, "peer-cert-allowed-cn", STRINGS, "", "", HONOURED, FIXED, "Common names of which a member's certificate must have one; not with --peer-cert-allowed-hostname.", "")
RUSD_PARAM_TEXT(peer_cert_allowed_hostname, "peer-cert-allowed-hostname", STRINGS, "", "", HONOURED, FIXED, "Host names of which a member's certificate must have one.", "")
RUSD_PARAM_BOOL(peer_auto_tls, "peer-auto-tls", false, HONOURED, FIXED, "TLS between members with a certificate made at start, where no --peer-cert-file is given; nobody's certificate is checked then.", "")
RUSD_PARAM_TEXT(peer_crl_file, "peer-crl-file", STRING, "", "", HONOURED, FIXED, "Revoked certificates of members.", "")
RUSD_PARAM_BOOL(peer_skip_client_san_verification, "peer-skip-client-san-verification", false, HONOURED, FIXED, "Do not compare the hosts in a connecting member's certificate with its address.", "")
RUSD_PARAM_INT(self_signed_cert_validity, "self-signed-cert-validity", UINT, 1, 0, INT64_MAX, HONOURED, FIXED, "Years for which certificates made at start are valid.", "")
RUSD_PARAM_TEXT(cipher_suites, "cipher-suites", STRINGS, "", "", HONOURED, FIXED, "Cipher suites of TLS 1.2, by their names at IANA; empty: those with forward secrecy and AEAD.", "")
RUSD_PARAM_TEXT(cors, "cors", ORIGINS, "*", "", NOT_YET, FIXED, "Origins that browsers may use the server from; empty or *: all.", "")
RUSD_PARAM_TEXT(host_whitelist, "host-whitelist", STRINGS, "*", "", NOT_YET, FIXED, "Host headers accepted without TLS; empty or *: all.", "")
RUSD_PARAM_TEXT(tls_min_version, "tls-min-version", WORD, "TLS1.2", "TLS1.2|TLS1.3", HONOURED, FIXED, "Lowest version of TLS.", "")
RUSD_PARAM_TEXT(tls_max_version, "tls-max-version", WORD, "", "|TLS1.2|TLS1.3", HONOURED, FIXED, "Highest version of TLS; empty: no limit.", "")

/* ---- Auth ---- */
RUSD_PARAM_SECTION("Auth", false)
RUSD_PARAM_TEXT(auth_token, "auth-token", STRING, "simple", "", NOT_YET, FIXED, "Kind of token: simple, or jwt and its options.", "")
RUSD_PARAM_INT(bcrypt_cost, "bcrypt-cost", UINT, 10, 4, 31, WARNED, FIXED, "Cost of hashing a password.", "users and passwords are not built yet: nothing is hashed")
RUSD_PARAM_INT(auth_token_ttl, "auth-token-ttl", UINT, 300, 0, INT64_MAX, WARNED, FIXED, "Seconds for which an unused token is valid.", "users and passwords are not built yet: there are no tokens")

/* ---- Profiling and monitoring ---- */
RUSD_PARAM_SECTION("Profiling and monitoring", false)
RUSD_PARAM_BOOL(enable_pprof, "enable-pprof", false, WARNED, FIXED, "Serve Go's profiler.", "there is no Go runtime to profile: use perf")
RUSD_PARAM_TEXT(metrics, "metrics", WORD, "basic", "basic|extensive", NOT_YET, FIXED, "extensive adds histograms of gRPC calls.", "")
RUSD_PARAM_TEXT(listen_metrics_urls, "listen-metrics-urls", URLS, "", "", NOT_YET, FIXED, "More URLs that serve /metrics and /health.", "they are served on the client URLs")

/* ---- Logging ---- */
RUSD_PARAM_SECTION("Logging", false)
RUSD_PARAM_TEXT(logger, "logger", WORD, "zap", "zap", HONOURED, FIXED, "Shape of the log; zap is the only one.", "")
RUSD_PARAM_TEXT(log_outputs, "log-outputs", STRINGS, "default", "", HONOURED, FIXED, "default, stderr, stdout or paths of files.", "")
RUSD_PARAM_TEXT(log_level, "log-level", WORD, "info", "debug|info|warn|error|panic|fatal", HONOURED, RELOAD, "Lowest level that is logged.", "")
RUSD_PARAM_TEXT(log_format, "log-format", WORD, "json", "json|console", HONOURED, FIXED, "json, or console for people.", "")
RUSD_PARAM_BOOL(enable_log_rotation, "enable-log-rotation", false, NOT_YET, FIXED, "Rotate the log file.", "SIGHUP opens log files again")
RUSD_PARAM_TEXT(log_rotation_config_json, "log-rotation-config-json", STRING, "{\"maxsize\": 100, \"maxage\": 0, \"maxbackups\": 0, \"localtime\": false, \"compress\": false}", "", NOT_YET, FIXED, "How to rotate.", "")
RUSD_PARAM_INT(warning_unary_request_duration, "warning-unary-request-duration", DURATION, 300 * PARAM_MILLISECOND, INT64_MIN, INT64_MAX, NOT_YET, RELOAD, "Requests that take longer are logged.", "")

/* ---- Tracing ---- */
RUSD_PARAM_SECTION("Tracing", false)
RUSD_PARAM_BOOL(enable_distributed_tracing, "enable-distributed-tracing", false, NOT_YET, FIXED, "OpenTelemetry tracing.", "")
RUSD_PARAM_TEXT(distributed_tracing_address, "distributed-tracing-address", STRING, "localhost:4317", "", NOT_YET, FIXED, "Address of the collector.", "")
RUSD_PARAM_TEXT(distributed_tracing_service_name, "distributed-tracing-service-name", STRING, "etcd", "", NOT_YET, FIXED, "Name of the service in traces.", "")
RUSD_PARAM_TEXT(distributed_tracing_instance_id, "distributed-tracing-instance-id", STRING, "", "", NOT_YET, FIXED, "Name of this instance in traces.", "")
RUSD_PARAM_INT(distributed_tracing_sampling_rate, "distributed-tracing-sampling-rate", INT, 0, INT64_MIN, INT64_MAX, NOT_YET, FIXED, "Traces of a million requests.", "")

/* ---- Features ---- */
RUSD_PARAM_SECTION("Features", false)
RUSD_PARAM_INT(corrupt_check_time, "corrupt-check-time", DURATION, 0, INT64_MIN, INT64_MAX, NOT_YET, FIXED, "Time between comparisons of all members' data; 0: never.", "")
RUSD_PARAM_INT(compact_hash_check_time, "compact-hash-check-time", DURATION, 1 * PARAM_MINUTE, INT64_MIN, INT64_MAX, NOT_YET, FIXED, "Time between comparisons of members' hashes at compactions.", "")
RUSD_PARAM_INT(compaction_batch_limit, "compaction-batch-limit", INT, 0, INT64_MIN, INT64_MAX, WARNED, FIXED, "Revisions that etcd removes at once.", "compaction goes on in small slices between batches of entries")
RUSD_PARAM_INT(compaction_sleep_interval, "compaction-sleep-interval", DURATION, 0, INT64_MIN, INT64_MAX, WARNED, FIXED, "Pause of etcd between those.", "compaction goes on in small slices between batches of entries")
RUSD_PARAM_INT(watch_progress_notify_interval, "watch-progress-notify-interval", DURATION, 0, INT64_MIN, INT64_MAX, NOT_YET, FIXED, "Time between progress notifications of watches; 0: 10 minutes.", "")
RUSD_PARAM_INT(warning_apply_duration, "warning-apply-duration", DURATION, 100 * PARAM_MILLISECOND, INT64_MIN, INT64_MAX, HONOURED, RELOAD, "Entries that take longer to apply are logged.", "")
RUSD_PARAM_INT(bootstrap_defrag_threshold_megabytes, "bootstrap-defrag-threshold-megabytes", UINT, 0, 0, INT64_MAX, WARNED, FIXED, "Free space at which etcd defragments at start; 0: never.", "each checkpoint gives back the free space at the end of the data file")
RUSD_PARAM_INT(max_learners, "max-learners", INT, 1, INT64_MIN, INT64_MAX, HONOURED, FIXED, "Most learners in the cluster.", "")
RUSD_PARAM_INT(downgrade_check_time, "downgrade-check-time", DURATION, 5 * PARAM_SECOND, INT64_MIN, INT64_MAX, NOT_YET, FIXED, "Time between looks at the state of a downgrade.", "")
RUSD_PARAM_INT(snapshot_catchup_entries, "snapshot-catchup-entries", UINT64, 5000, 0, INT64_MAX, WARNED, FIXED, "Log entries that etcd keeps for slow followers.", "the log is kept by bytes: see --wal-keep-size")

/* ---- Unsafe ---- */
RUSD_PARAM_SECTION("Unsafe", false)
RUSD_PARAM_BOOL(force_new_cluster, "force-new-cluster", false, HONOURED, FIXED, "Make a cluster of one member from this member's data.", "")
RUSD_PARAM_BOOL(unsafe_no_fsync, "unsafe-no-fsync", false, NOT_YET, FIXED, "Do not wait for the disk: acknowledged writes may be lost.", "")

/* ---- rusd ---- */
RUSD_PARAM_SECTION("rusd", true)
RUSD_PARAM_INT(page_cache_size, "page-cache-size", SIZE, 0, 0, PARAM_TIB, HONOURED, FIXED, "Shared memory for pages; 0: derived from quota and data file.", "")
RUSD_PARAM_INT(wal_buffers, "wal-buffers", SIZE, 16 * PARAM_MIB, PARAM_MIB, 16 * PARAM_GIB, HONOURED, FIXED, "Shared memory for log that is not yet written.", "")
RUSD_PARAM_INT(wal_segment_size, "wal-segment-size", SIZE, 16 * PARAM_MIB, PARAM_MIB, 16 * PARAM_GIB, HONOURED, FIXED, "Size of a log segment; for a new member only.", "")
RUSD_PARAM_BOOL(wal_keep_all, "wal-keep-all", false, HONOURED, FIXED, "Keep every log segment for ever.", "")
RUSD_PARAM_INT(snapshot_transfer_rate, "snapshot-transfer-rate", SIZE, 64 * PARAM_MIB, 0, INT64_MAX, HONOURED, FIXED, "Bytes a second, as they go by the wire, at which the state is sent to a member that needs it; twice as many of pages; 0: no limit.", "")
RUSD_PARAM_INT(wal_keep_size, "wal-keep-size", SIZE, 0, 0, INT64_MAX, HONOURED, FIXED, "Log that is kept beyond what recovery needs.", "")
RUSD_PARAM_INT(checkpoint_interval, "checkpoint-interval", DURATION, 60 * PARAM_SECOND, 100 * PARAM_MILLISECOND, 24 * PARAM_HOUR, HONOURED, FIXED, "Longest time between two checkpoints.", "")
RUSD_PARAM_INT(leader_stall_timeout, "leader-stall-timeout", DURATION, 0, 0, PARAM_HOUR, HONOURED, FIXED, "Time without progress of log flushes, applying or page reads, with work waiting, after which a leader hands over; 0: two election timeouts.", "")
RUSD_PARAM_INT(backend_memory, "backend-memory", SIZE, 256 * PARAM_MIB, PARAM_MIB, PARAM_TIB, HONOURED, FIXED, "Memory for requests, of all connections together.", "")
RUSD_PARAM_INT(max_connections, "max-connections", UINT, 1024, 1, 65536, HONOURED, FIXED, "Most client connections, each of which is a process.", "")
RUSD_PARAM_INT(max_handshakes, "max-handshakes", UINT, 256, 1, 8192, HONOURED, FIXED, "Most TLS connections that have not finished their handshake; further ones wait to be accepted.", "")
RUSD_PARAM_TEXT(config_reload, "config-reload", STRING, "", "", HONOURED, FIXED, "File of name=value lines for what SIGHUP may change; read at start and at SIGHUP.", "")

/* ---- Other ---- */
RUSD_PARAM_SECTION("Other", false)
RUSD_PARAM_TEXT(config_file, "config-file", STRING, "", "", HONOURED, FIXED, "YAML or JSON file that takes the place of all other flags and variables (doc/configfile.md).", "")
RUSD_PARAM_BOOL(version, "version", false, HONOURED, FIXED, "Print versions and exit.", "")

/* ---- booleans that etcd accepts and ignores ---- */
RUSD_PARAM_IGNORED("cluster-active-size")
RUSD_PARAM_IGNORED("cluster-remove-delay")
RUSD_PARAM_IGNORED("cluster-sync-interval")
RUSD_PARAM_IGNORED("config")
RUSD_PARAM_IGNORED("force")
RUSD_PARAM_IGNORED("max-result-buffer")
RUSD_PARAM_IGNORED("max-retry-attempts")
RUSD_PARAM_IGNORED("peer-heartbeat-interval")
RUSD_PARAM_IGNORED("peer-election-timeout")
RUSD_PARAM_IGNORED("retry-interval")
RUSD_PARAM_IGNORED("snapshot")
RUSD_PARAM_IGNORED("v")
RUSD_PARAM_IGNORED("vv")
RUSD_PARAM_IGNORED("test.coverprofile")
RUSD_PARAM_IGNORED("test.outputdir")

#undef RUSD_PARAM_TEXT
#undef RUSD_PARAM_INT
#undef RUSD_PARAM_BOOL
#undef RUSD_PARAM_SECTION
#undef RUSD_PARAM_IGNORED
