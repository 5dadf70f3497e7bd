/*
 * metrics.c
 *	  The text of /metrics: counters of all processes added up, and what shared memory shows.
 *
 * Any process; nothing is locked.  Counters of a process that has ended are in ended_counters from
 * the moment on at which its slot becomes free.
 *
 * src/backend/activity/metrics.c
 */
#include "rusd.h"

#include <stdarg.h>
#include <sys/resource.h>
#include <unistd.h>

#include "activity/metrics.h"
#include "activity/procinfo.h"
#include "pagecache/page.h"
#include "port/clock.h"
#include "utils/config.h"

typedef struct Text
{
	char *buffer;
	size_t size;
	size_t length;
} Text;

typedef struct ListedCounter
{
	const char *name;
	const char *labels;
	const char *help;
} ListedCounter;

static const ListedCounter listed[] = {
#define RUSD_COUNTER(symbol, name, labels, help) {name, labels, help},
#include "activity/metriclist.h"
};

typedef struct ListedHistogram
{
	ListedCounter head;
	uint32_t first; /* place */
	uint32_t bounds;
	uint64_t first_ns;
} ListedHistogram;

static const ListedHistogram histograms[] = {
#define RUSD_HISTOGRAM(symbol, name, first_ns, bounds, help)                                       \
	{{name, "", help}, HISTOGRAM_##symbol, bounds, first_ns},
#include "activity/metriclist.h"
};

static const ListedCounter peer_listed[] = {
#define RUSD_PEER_COUNTER(symbol, name, labels, help) {name, labels, help},
#include "activity/metriclist.h"
};

static const ListedHistogram peer_histograms[] = {
#define RUSD_PEER_HISTOGRAM(symbol, name, labels, first_ns, bounds, help)                          \
	{{name, labels, help}, PEER_HISTOGRAM_##symbol, bounds, first_ns},
#include "activity/metriclist.h"
};

/* What there is of another member. */
typedef struct PeerSums
{
	uint64_t member_id;
	bool is_known; /* in the configuration */
	bool is_active;
	uint64_t sending;
	uint64_t receiving;
	uint64_t counters[PEER_COUNTERS];
} PeerSums;

#define PEERS_MAX (CONFIG_MEMBERS_MAX + ENDED_PEERS)

typedef struct Peers
{
	uint64_t own;
	uint32_t count;
	PeerSums peers[PEERS_MAX];
} Peers;

typedef struct CountedMethod
{
	const char *service;
	const char *method;
	const char *type;
} CountedMethod;

static const CountedMethod counted_methods[] = {
#define RUSD_METHOD(symbol, service, method, request, handler) {service, method, "unary"},
#define RUSD_STREAM_METHOD(symbol, service, method, request, handler)                              \
	{service, method, "server_stream"},
#include "rpc/methodlist.h"
#undef RUSD_METHOD
};

static const char *const grpc_codes[GRPC_CODES] = {
	"OK",       "Canceled",        "Unknown",          "InvalidArgument",   "DeadlineExceeded",
	"NotFound", "AlreadyExists",   "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
	"Aborted",  "OutOfRange",      "Unimplemented",    "Internal",          "Unavailable",
	"DataLoss", "Unauthenticated",
};

static void add(Text *text, const char *format, ...) printf_like(2, 3);

static void
add(Text *text, const char *format, ...)
{
	size_t room = text->length < text->size ? text->size - text->length : 0;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(room == 0 ? NULL : text->buffer + text->length, room, format, arguments);
	va_end(arguments);
	if (length > 0)
		text->length += (size_t) length;
}

static void
add_head(Text *text, const char *name, const char *type, const char *help)
{
	add(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
add_gauge(Text *text, const char *name, const char *help, uint64_t value)
{
	add_head(text, name, "gauge", help);
	add(text, "%s %" PRIu64 "\n", name, value);
}

static uint64_t
load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

/* ---- counters ---- */

static void
sum_counters(const Shm *shm, uint64_t *sums)
{
	uint32_t slot;
	uint32_t i;

	for (i = 0; i < SLOT_COUNTERS; i++)
		sums[i] = load(&shm->ended_counters[i]);
	for (slot = 0; slot < shm->layout.slot_count; slot++)
	{
		if (atomic_load_explicit(&shm->heads[slot].state, memory_order_acquire) == SLOT_FREE)
			continue;
		for (i = 0; i < SLOT_COUNTERS; i++)
			sums[i] += load(&shm->areas[slot]->counters[i]);
	}
}

static void
add_counters(Text *text, const uint64_t *sums)
{
	uint32_t i;

	for (i = 0; i < lengthof(listed); i++)
	{
		if (i == 0 || strcmp(listed[i - 1].name, listed[i].name) != 0)
			add_head(text, listed[i].name, "counter", listed[i].help);
		if (listed[i].labels[0] != '\0')
			add(text, "%s{%s} %" PRIu64 "\n", listed[i].name, listed[i].labels, sums[i]);
		else
			add(text, "%s %" PRIu64 "\n", listed[i].name, sums[i]);
	}
}

static void
add_methods(Text *text, const uint64_t *sums)
{
	uint32_t method;
	uint32_t code;

	add_head(text, "grpc_server_started_total", "counter",
			 "Total number of RPCs started on the server.");
	for (method = 0; method < lengthof(counted_methods); method++)
		add(text,
			"grpc_server_started_total{grpc_method=\"%s\",grpc_service=\"%s\",grpc_type=\"%s\"} "
			"%" PRIu64 "\n",
			counted_methods[method].method, counted_methods[method].service,
			counted_methods[method].type, sums[COUNTER_METHODS + method * (1 + GRPC_CODES)]);
	add_head(text, "grpc_server_handled_total", "counter",
			 "Total number of RPCs completed on the server, regardless of success or failure.");
	for (method = 0; method < lengthof(counted_methods); method++)
		for (code = 0; code < GRPC_CODES; code++)
			add(text,
				"grpc_server_handled_total{grpc_code=\"%s\",grpc_method=\"%s\",grpc_service=\"%s\","
				"grpc_type=\"%s\"} %" PRIu64 "\n",
				grpc_codes[code], counted_methods[method].method, counted_methods[method].service,
				counted_methods[method].type,
				sums[COUNTER_METHODS + method * (1 + GRPC_CODES) + 1 + code]);
}

/* label: with its comma, or "". */
static void
add_histogram(Text *text, const ListedHistogram *histogram, const char *label, const uint64_t *sums)
{
	const uint64_t *places = &sums[histogram->first];
	const char *name = histogram->head.name;
	int bare = Max((int) strlen(label) - 1, 0);
	uint64_t bound = histogram->first_ns;
	uint64_t total = 0;
	uint32_t i;

	for (i = 0; i < histogram->bounds; i++, bound *= 2)
	{
		total += places[i];
		add(text, "%s_bucket{%sle=\"%g\"} %" PRIu64 "\n", name, label, (double) bound / 1e9, total);
	}
	total += places[histogram->bounds];
	add(text, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, label, total);
	add(text, bare > 0 ? "%s_sum{%.*s} %.9f\n" : "%s_sum%.*s %.9f\n", name, bare, label,
		(double) places[histogram->bounds + 1] / 1e9);
	add(text, bare > 0 ? "%s_count{%.*s} %" PRIu64 "\n" : "%s_count%.*s %" PRIu64 "\n", name, bare,
		label, total);
}

static void
add_histograms(Text *text, const uint64_t *sums)
{
	uint32_t i;

	for (i = 0; i < lengthof(histograms); i++)
	{
		add_head(text, histograms[i].head.name, "histogram", histograms[i].head.help);
		add_histogram(text, &histograms[i], "", sums);
	}
}

/* ---- other members ---- */

/* NULL: there are too many, and this one is left out. */
static PeerSums *
find_peer(Peers *peers, uint64_t member_id)
{
	uint32_t i;

	for (i = 0; i < peers->count; i++)
	{
		if (peers->peers[i].member_id == member_id)
			return &peers->peers[i];
	}
	if (peers->count == PEERS_MAX)
		return NULL;
	peers->peers[peers->count] = (PeerSums){.member_id = member_id};
	return &peers->peers[peers->count++];
}

static void
sum_live_link(Peers *peers, const Shm *shm, uint32_t slot)
{
	const BackendArea *area = shm->areas[slot];
	const SlotHead *head = &shm->heads[slot];
	uint64_t member_id = load(&area->counted_member);
	PeerSums *peer;
	uint32_t i;

	if (atomic_load_explicit(&head->state, memory_order_acquire) == SLOT_FREE || member_id == 0)
		return;
	peer = find_peer(peers, member_id);
	if (peer == NULL)
		return;
	for (i = 0; i < PEER_COUNTERS; i++)
		peer->counters[i] += load(&area->peer_counters[i]);
	if (atomic_load_explicit(&head->state, memory_order_relaxed) != SLOT_LIVE)
		return;
	peer->sending += load(&area->peer_counters[PEER_SENDS_BEGUN]) -
					 load(&area->peer_counters[PEER_SENDS_DONE]) -
					 load(&area->peer_counters[PEER_SENDS_FAILED]);
	peer->receiving += load(&area->peer_counters[PEER_RECEIVES_BEGUN]) -
					   load(&area->peer_counters[PEER_RECEIVES_DONE]) -
					   load(&area->peer_counters[PEER_RECEIVES_FAILED]);
	peer->is_active = peer->is_active ||
					  (atomic_load_explicit(&head->link, memory_order_relaxed) == LINK_CONTROL &&
					   atomic_load_explicit(&area->link_is_up, memory_order_acquire) != 0);
}

static void
sum_peers(Peers *peers, const Shm *shm)
{
	RaftConfiguration configuration;
	uint32_t i;

	(void) shm_configuration_read(shm, &configuration);
	for (i = 0; i < configuration.member_count; i++)
	{
		uint64_t member_id = configuration.members[i].id;
		PeerSums *peer = member_id == peers->own ? NULL : find_peer(peers, member_id);

		if (peer != NULL)
			peer->is_known = true;
	}
	for (i = PROC_ESSENTIAL_COUNT; i < shm_first_backend(&shm->layout); i++)
		sum_live_link(peers, shm, i);
	for (i = 0; i < ENDED_PEERS; i++)
	{
		const EndedPeer *ended = &shm->ended_peers[i];
		PeerSums *peer =
			load(&ended->member_id) == 0 ? NULL : find_peer(peers, load(&ended->member_id));
		uint32_t k;

		for (k = 0; peer != NULL && k < PEER_COUNTERS; k++)
			peer->counters[k] += load(&ended->counters[k]);
	}
}

static const char *
peer_label(const Peers *peers, const PeerSums *peer, const char *label, char *buffer, size_t size)
{
	if (strcmp(label, "Remote") == 0)
		snprintf(buffer, size, "Local=\"%" PRIx64 "\",Remote=\"%" PRIx64 "\",", peers->own,
				 peer->member_id);
	else
		snprintf(buffer, size, "%s=\"%" PRIx64 "\",", label, peer->member_id);
	return buffer;
}

static void
add_peer_value(Text *text, const Peers *peers, const PeerSums *peer, const ListedCounter *counter,
			   uint64_t value)
{
	char label[128];
	int length = (int) strlen(peer_label(peers, peer, counter->labels, label, sizeof(label)));

	add(text, "%s{%.*s} %" PRIu64 "\n", counter->name, length - 1, label, value);
}

/* Of snapshots whose process was killed nobody has counted that they failed. */
static uint64_t
snapshots_failed(const PeerSums *peer, PeerCounter begun, PeerCounter done, uint64_t under_way)
{
	uint64_t over = peer->counters[done] + under_way;

	return peer->counters[begun] > over ? peer->counters[begun] - over : 0;
}

static uint64_t
peer_gauge(const PeerSums *peer, uint32_t which)
{
	switch (which)
	{
		case 0:
			return peer->is_active;
		case 1:
			return peer->is_known;
		case 2:
			return peer->sending;
		case 3:
			return peer->receiving;
		case 4:
			return snapshots_failed(peer, PEER_SENDS_BEGUN, PEER_SENDS_DONE, peer->sending);
		default:
			return snapshots_failed(peer, PEER_RECEIVES_BEGUN, PEER_RECEIVES_DONE, peer->receiving);
	}
}

static void
add_peers(Text *text, const Peers *peers)
{
	static const ListedCounter gauges[] = {
		{"etcd_network_active_peers", "Remote", "The current number of active peer connections."},
		{"etcd_network_known_peers", "Remote", "The current number of known peers."},
		{"etcd_network_snapshot_send_inflights_total", "To",
		 "Total number of inflight snapshot sends"},
		{"etcd_network_snapshot_receive_inflights_total", "From",
		 "Total number of inflight snapshot receives"},
		{"etcd_network_snapshot_send_failures", "To", "Total number of snapshot send failures"},
		{"etcd_network_snapshot_receive_failures", "From",
		 "Total number of snapshot receive failures"},
	};
	char label[128];
	uint32_t i;
	uint32_t k;

	for (i = 0; peers->count > 0 && i < lengthof(gauges); i++)
	{
		add_head(text, gauges[i].name, i < 4 ? "gauge" : "counter", gauges[i].help);
		for (k = 0; k < peers->count; k++)
			add_peer_value(text, peers, &peers->peers[k], &gauges[i],
						   peer_gauge(&peers->peers[k], i));
	}
	for (i = 0; peers->count > 0 && i < lengthof(peer_listed); i++)
	{
		if (peer_listed[i].name[0] == '\0')
			continue;
		add_head(text, peer_listed[i].name, "counter", peer_listed[i].help);
		for (k = 0; k < peers->count; k++)
			add_peer_value(text, peers, &peers->peers[k], &peer_listed[i],
						   peers->peers[k].counters[i]);
	}
	for (i = 0; peers->count > 0 && i < lengthof(peer_histograms); i++)
	{
		const ListedHistogram *histogram = &peer_histograms[i];

		add_head(text, histogram->head.name, "histogram", histogram->head.help);
		for (k = 0; k < peers->count; k++)
			add_histogram(
				text, histogram,
				peer_label(peers, &peers->peers[k], histogram->head.labels, label, sizeof(label)),
				peers->peers[k].counters);
	}
}

/* ---- the member and its store ---- */

static void
add_versions(Text *text, const ControlState *control, const char *cluster_version)
{
	const char *dot = strchr(cluster_version, '.');
	const char *second = dot == NULL ? NULL : strchr(dot + 1, '.');
	int length = second == NULL ? (int) strlen(cluster_version) : (int) (second - cluster_version);

	add_head(text, "etcd_server_version", "gauge",
			 "Which version is running. 1 for 'server_version' label with current version.");
	add(text, "etcd_server_version{server_version=\"%s\"} 1\n", ETCD_VERSION_STRING);
	add_head(text, "rusd_version", "gauge", "Which version of rusd is running.");
	add(text, "rusd_version{version=\"%s\"} 1\n", RUSD_VERSION_STRING);
	if (length > 0)
	{
		add_head(
			text, "etcd_cluster_version", "gauge",
			"Which version is running. 1 for 'cluster_version' label with current cluster version");
		add(text, "etcd_cluster_version{cluster_version=\"%.*s\"} 1\n", length, cluster_version);
	}
	add_head(text, "etcd_server_id", "gauge",
			 "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.");
	add(text, "etcd_server_id{server_id=\"%" PRIx64 "\"} 1\n", control->member_id);
}

static void
add_ills(Text *text, uint64_t ills)
{
	add_head(text, "rusd_ill", "gauge",
			 "1: this work makes no progress for --leader-stall-timeout; a leader hands over.");
	add(text, "rusd_ill{work=\"apply\"} %d\n", (ills & ILL_APPLY) != 0);
	add(text, "rusd_ill{work=\"flush\"} %d\n", (ills & ILL_FLUSH) != 0);
	add(text, "rusd_ill{work=\"page-reads\"} %d\n", (ills & ILL_PAGES) != 0);
}

/* As /health sees it: what a raft that stands still said of a leader counts no more. */
static bool
leader_is_known(const Shm *shm, const ControlState *control)
{
	return control->leader_id != 0 &&
		   shm_control_is_fresh(shm, clock_os.monotonic_ns(&clock_os),
								(uint64_t) config.election_timeout * 1000000);
}

static void
add_member(Text *text, const Shm *shm, const ControlState *control, const MetricsOfStore *store)
{
	uint64_t applied = load(&shm->positions->applied_index);
	uint64_t committed = Max(control->commit_index, applied);

	add_versions(text, control, store->cluster_version);
	add_gauge(text, "etcd_server_has_leader",
			  "Whether or not a leader exists. 1 is existence, 0 is not.",
			  leader_is_known(shm, control));
	add_gauge(text, "etcd_server_is_leader",
			  "Whether or not this member is a leader. 1 if is, 0 otherwise.",
			  control->role == ROLE_LEADER);
	add_gauge(text, "etcd_server_is_learner",
			  "Whether or not this member is a learner. 1 if is, 0 otherwise.",
			  control->is_learner);
	add_ills(text, control->ills);
	add_gauge(text, "etcd_server_proposals_committed_total",
			  "The total number of consensus proposals committed.", committed);
	add_gauge(text, "etcd_server_proposals_applied_total",
			  "The total number of consensus proposals applied.", applied);
	add_gauge(text, "etcd_server_proposals_pending",
			  "The current number of pending proposals to commit.",
			  control->last_index > committed ? control->last_index - committed : 0);
	add_gauge(text, "etcd_server_quota_backend_bytes",
			  "Current backend storage quota size in bytes.",
			  store->quota == UINT64_MAX ? 0 : store->quota);
}

static uint64_t
pins_held(const Shm *shm, uint64_t *results)
{
	uint64_t pins = 0;
	uint32_t slot;
	uint32_t i;

	*results = 0;
	for (slot = 0; slot < shm->layout.slot_count; slot++)
	{
		const BackendArea *area = shm->areas[slot];

		if (atomic_load_explicit(&shm->heads[slot].state, memory_order_acquire) == SLOT_FREE)
			continue;
		for (i = 0; i < SNAPSHOT_PINS; i++)
			pins += load(&area->snapshot_pins[i]) != 0;
		/* The count is in the low 16 bits. */
		*results += load(&area->result_pin) & 0xffff;
	}
	return pins;
}

static void
add_store(Text *text, const Shm *shm, const MetricsOfStore *store)
{
	RootState root;
	uint64_t results;
	uint64_t pins = pins_held(shm, &results);

	shm_root_read(shm, &root);
	add_gauge(text, "etcd_mvcc_db_total_size_in_bytes",
			  "Total size of the underlying database physically allocated in bytes.",
			  root.pages_end * PAGE_BYTES);
	add_gauge(text, "etcd_mvcc_db_total_size_in_use_in_bytes",
			  "Total size of the underlying database logically in use in bytes.",
			  root.pages_used * PAGE_BYTES);
	add_gauge(text, "etcd_mvcc_db_open_read_transactions",
			  "The number of currently open read transactions", pins);
	add_gauge(text, "etcd_debugging_mvcc_keys_total", "Total number of keys.",
			  (uint64_t) store->keys);
	add_gauge(text, "etcd_debugging_mvcc_current_revision", "The current revision of store.",
			  (uint64_t) root.revision);
	add_head(text, "etcd_debugging_mvcc_compact_revision", "gauge",
			 "The revision of the last compaction in store.");
	add(text, "etcd_debugging_mvcc_compact_revision %" PRId64 "\n", root.compacted);
	add_gauge(text, "rusd_root_number", "Number of the newest root of the store.", root.number);
	add_gauge(text, "rusd_snapshot_pins", "Snapshots of the store that are held.", pins);
	add_gauge(text, "rusd_result_pins", "Answers not yet read from the store.", results);
	add_gauge(text, "rusd_frames_free",
			  "Page frames that can be allocated before any is reclaimed.", root.frames_free);
	add_gauge(text, "rusd_frames_used", "Page frames that hold something.",
			  shm->layout.frame_count > root.frames_free
				  ? shm->layout.frame_count - root.frames_free
				  : 0);
}

static void
add_log(Text *text, const Shm *shm)
{
	InstallOrder order;

	shm_install_read(shm, &order);
	add_gauge(text, "etcd_disk_wal_write_bytes_total", "Total number of bytes written in WAL.",
			  load(&shm->positions->written));
	add_gauge(text, "etcd_server_snapshot_apply_in_progress_total",
			  "1 if the server is applying the incoming snapshot. 0 if none.",
			  order.count != load(&shm->requests->install_done));
	add_gauge(text, "rusd_wal_appended_bytes",
			  "Position in the log up to which entries were appended.",
			  load(&shm->positions->appended));
	add_gauge(text, "rusd_wal_flushed_bytes", "Position in the log up to which it is durable.",
			  load(&shm->positions->flushed));
	add_gauge(text, "rusd_wal_segments", "Files of the log.", load(&shm->segments->count));
	add_gauge(text, "rusd_wal_no_room",
			  "1: the disk has no room for log segments, puts are refused.",
			  atomic_load_explicit(&shm->segments->no_room, memory_order_relaxed));
	add_gauge(text, "rusd_data_no_room",
			  "1: the disk has no room for the data file, puts are refused.",
			  load(&shm->requests->data_limit) != 0);
	add_gauge(text, "rusd_checkpoint_root", "Number of the root of the last finished checkpoint.",
			  load(&shm->positions->durable_root));
}

/* ---- processes ---- */

static void
add_slots(Text *text, const Shm *shm, uint64_t *started_ns, ProcInfo *info)
{
	uint64_t states[3] = {0};
	uint64_t backends = 0;
	uint64_t ring_bytes = 0;
	uint64_t memory = 0;
	uint64_t streams = 0;
	uint32_t slot;

	*started_ns = UINT64_MAX;
	for (slot = 0; slot < shm->layout.slot_count; slot++)
	{
		const BackendArea *area = shm->areas[slot];
		uint32_t state = atomic_load_explicit(&shm->heads[slot].state, memory_order_acquire);

		states[state < lengthof(states) ? state : SLOT_DEAD]++;
		if (state == SLOT_FREE)
			continue;
		backends += slot >= shm_first_backend(&shm->layout) && state == SLOT_LIVE;
		ring_bytes += load(&area->proposal_head) -
					  load(&shm->proposal_tails[slot * (CACHE_LINE / sizeof(uint64_t))]);
		memory += load(&area->memory_taken);
		streams += atomic_load_explicit(&area->streams, memory_order_relaxed);
		if (slot < PROC_ESSENTIAL_COUNT)
			*started_ns = Min(*started_ns, load(&shm->heads[slot].started_ns));
		if (state == SLOT_LIVE)
			procinfo_add(info, atomic_load_explicit(&shm->heads[slot].pid, memory_order_relaxed),
						 false);
	}
	add_head(text, "rusd_slots", "gauge", "Places for processes, by state.");
	add(text,
		"rusd_slots{state=\"free\"} %" PRIu64 "\nrusd_slots{state=\"live\"} %" PRIu64
		"\nrusd_slots{state=\"dead\"} %" PRIu64 "\n",
		states[SLOT_FREE], states[SLOT_LIVE], states[SLOT_DEAD]);
	add_gauge(text, "rusd_slots_live", "Processes of the node that have a slot.",
			  states[SLOT_LIVE]);
	add_gauge(text, "rusd_backends", "Client connections.", backends);
	add_gauge(text, "rusd_streams", "Open HTTP/2 streams.", streams);
	add_gauge(text, "rusd_proposal_ring_bytes", "Bytes of proposals that raft has not taken yet.",
			  ring_bytes);
	add_gauge(text, "rusd_backend_memory_bytes", "Memory of --backend-memory that is taken.",
			  memory);
}

static void
add_processes(Text *text, const ProcInfo *info, uint64_t started_ns)
{
	struct rlimit limit;

	add_head(text, "process_cpu_seconds_total", "counter",
			 "Total user and system CPU time spent in seconds, all processes of the node.");
	add(text, "process_cpu_seconds_total %.2f\n", info->cpu_seconds);
	add_gauge(text, "process_open_fds",
			  "Number of open file descriptors, all processes of the node.", info->open_fds);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		add_gauge(text, "process_max_fds",
				  "Maximum number of open file descriptors of one process.", limit.rlim_cur);
	add_gauge(text, "process_resident_memory_bytes",
			  "Resident memory size in bytes: private memory of all processes of the node, shared "
			  "memory once.",
			  info->private_bytes + info->shared_bytes);
	add_gauge(text, "process_virtual_memory_bytes",
			  "Virtual memory size in bytes of the largest process.", info->virtual_bytes);
	add_head(text, "process_start_time_seconds", "gauge",
			 "Start time of the process since unix epoch in seconds.");
	add(text, "process_start_time_seconds %.3f\n",
		started_ns == UINT64_MAX ? 0.0 : (double) started_ns / 1e9);
}

size_t
metrics_text(const Shm *shm, const MetricsOfStore *store, char *buffer, size_t size)
{
	Text text = {.buffer = buffer, .size = size};
	ProcInfo info = {0};
	ControlState control;
	uint64_t sums[SLOT_COUNTERS];
	uint64_t started_ns;
	static Peers peers;

	peers = (Peers){0};
	shm_control_read(shm, &control);
	sum_counters(shm, sums);
	add_member(&text, shm, &control, store);
	add_store(&text, shm, store);
	add_log(&text, shm);
	add_counters(&text, sums);
	add_histograms(&text, sums);
	peers.own = control.member_id;
	sum_peers(&peers, shm);
	add_peers(&text, &peers);
	add_methods(&text, sums);
	procinfo_add(&info, getppid(), true);
	add_slots(&text, shm, &started_ns, &info);
	add_processes(&text, &info, started_ns);
	return text.length;
}
