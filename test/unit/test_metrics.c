/*
 * test_metrics.c
 *	  The text of /metrics: counters of all slots and of those that have ended, gauges, its length.
 *
 * test/unit/test_metrics.c
 */
#include "rusd.h"

#include <math.h>
#include <unistd.h>

#include "activity/metrics.h"
#include "activity/procinfo.h"
#include "ipc/slot.h"
#include "port/clock.h"
#include "rpc/methods.h"
#include "utils/config.h"

#include "cmocka_all.h"

static const MetricsOfStore store = {
	.cluster_version = "3.7.0", .keys = 12, .quota = UINT64_C(2147483648)};
static Shm *shm;
static char text[256 * 1024];

static int
setup(void **state)
{
	ShmLayout layout = {.slot_count = PROC_ESSENTIAL_COUNT + 3,
						.wal_buffer_bytes = 64 * 1024,
						.wal_segment_bytes = 64 * 1024,
						.frame_count = 100};
	ControlState control = {.member_id = 0xabc,
							.leader_id = 0xabc,
							.role = ROLE_LEADER,
							.commit_index = 7,
							.last_index = 9};
	RootState root = {
		.revision = 5, .compacted = 3, .pages_end = 20, .pages_used = 10, .frames_free = 80};

	(void) state;
	assert_int_equal(shm_create(&layout, false, &shm), RUSD_OK);
	shm_control_write(shm, &control);
	config.election_timeout = 1000;
	atomic_store(&shm->control->loop_ns,
				 clock_os.monotonic_ns(&clock_os) + UINT64_C(3600000000000));
	shm_root_write(shm, &root);
	return 0;
}

static int
teardown(void **state)
{
	(void) state;
	shm_destroy(shm);
	return 0;
}

/* Value of a line, by its name and labels; fails if there is none or more than one. */
static double
value_of(const char *name)
{
	char line[512];
	const char *found;

	snprintf(line, sizeof(line), "\n%s ", name);
	found = strstr(text, line);
	if (found == NULL)
	{
		fail_msg("no line %s", name);
		return 0;
	}
	if (strstr(found + 1, line) != NULL)
		fail_msg("twice: %s", name);
	return strtod(found + strlen(line), NULL);
}

static void
expect(const char *name, double value)
{
	if (fabs(value_of(name) - value) > 1e-9)
		fail_msg("%s is %f, not %f", name, value_of(name), value);
}

static void
scrape(void)
{
	size_t length = metrics_text(shm, &store, text, sizeof(text));

	assert_true(length < sizeof(text));
	assert_int_equal(strlen(text), length);
}

static void
test_counters(void **state)
{
	uint32_t slot = PROC_ESSENTIAL_COUNT;

	(void) state;
	count(shm->areas[slot], COUNTER_PUTS, 3);
	/* A free slot has nothing to say. */
	scrape();
	expect("etcd_mvcc_put_total", 0);
	atomic_store(&shm->heads[slot].state, SLOT_LIVE);
	atomic_store(&shm->heads[slot + 1].state, SLOT_DEAD);
	count(shm->areas[slot + 1], COUNTER_PUTS, 20);
	atomic_store(&shm->ended_counters[COUNTER_PUTS], 100);
	scrape();
	expect("etcd_mvcc_put_total", 123);
	expect("etcd_mvcc_range_total", 0);
}

static void
test_methods(void **state)
{
	uint32_t slot = PROC_ESSENTIAL_COUNT;

	(void) state;
	atomic_store(&shm->heads[slot].state, SLOT_LIVE);
	count_started(shm->areas[slot], METHOD_PUT);
	count_started(shm->areas[slot], METHOD_PUT);
	count_handled(shm->areas[slot], METHOD_PUT, 0);
	count_handled(shm->areas[slot], METHOD_PUT, 16);
	count_handled(shm->areas[slot], METHOD_HEALTH_LIST, 0);
	scrape();
#define PUT_LABELS "grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"}"
	expect("grpc_server_started_total{" PUT_LABELS, 2);
	expect("grpc_server_handled_total{grpc_code=\"OK\"," PUT_LABELS, 1);
	expect("grpc_server_handled_total{grpc_code=\"Unauthenticated\"," PUT_LABELS, 1);
	expect("grpc_server_handled_total{grpc_code=\"Unavailable\"," PUT_LABELS, 0);
	expect("grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"List\",grpc_service=\"grpc."
		   "health.v1.Health\",grpc_type=\"unary\"}",
		   1);
}

static void
test_histograms(void **state)
{
	BackendArea *area = shm->areas[PROC_WALWRITER];

	(void) state;
	atomic_store(&shm->heads[PROC_WALWRITER].state, SLOT_LIVE);
	observe(area, WAL_FSYNC, 1000000);
	observe(area, WAL_FSYNC, 1000001);
	observe(area, WAL_FSYNC, UINT64_C(3000000000));
	observe(area, WAL_FSYNC, UINT64_C(60000000000));
	scrape();
#define FSYNC "etcd_disk_wal_fsync_duration_seconds"
	expect(FSYNC "_bucket{le=\"0.001\"}", 1);
	expect(FSYNC "_bucket{le=\"0.002\"}", 2);
	expect(FSYNC "_bucket{le=\"2.048\"}", 2);
	expect(FSYNC "_bucket{le=\"4.096\"}", 3);
	expect(FSYNC "_bucket{le=\"8.192\"}", 3);
	expect(FSYNC "_bucket{le=\"+Inf\"}", 4);
	expect(FSYNC "_count", 4);
	expect(FSYNC "_sum", 63.002000001);
	expect("etcd_disk_wal_write_duration_seconds_count", 0);
}

/* A member is one that the configuration has, or of which a link has counted, whether or not it lives still. */
static void
test_peers(void **state)
{
	RaftConfiguration configuration = {.member_count = 2,
									   .members = {{.id = 0xabc}, {.id = 0xdef}}};
	uint32_t slot = PROC_ESSENTIAL_COUNT;
	BackendArea *area;
	Shm *node = shm;
	ShmLayout layout = node->layout;

	(void) state;
	layout.link_slots = 2;
	assert_int_equal(shm_create(&layout, false, &shm), RUSD_OK);
	shm_control_write(shm, &(ControlState){.member_id = 0xabc});
	shm_configuration_write(shm, &configuration);
	area = shm->areas[slot];
	atomic_store(&shm->heads[slot].state, SLOT_LIVE);
	atomic_store(&shm->heads[slot].link, LINK_CONTROL);
	atomic_store(&area->counted_member, 0xdef);
	count_peer(area, PEER_SENT_BYTES, 5);
	count_peer(area, PEER_SENDS_BEGUN, 3);
	count_peer(area, PEER_SENDS_DONE, 1);
	count_peer(area, PEER_SENDS_FAILED, 1);
	observe_peer(area, ROUND_TRIP, 150000);
	atomic_store(&shm->ended_peers[0].member_id, 0x77);
	atomic_store(&shm->ended_peers[0].counters[PEER_SENDS_BEGUN], 4);
	atomic_store(&shm->ended_peers[1].member_id, 0xdef);
	atomic_store(&shm->ended_peers[1].counters[PEER_SENT_BYTES], 100);
	scrape();
	expect("etcd_network_peer_sent_bytes_total{To=\"def\"}", 105);
	expect("etcd_network_peer_sent_bytes_total{To=\"77\"}", 0);
	expect("etcd_network_known_peers{Local=\"abc\",Remote=\"def\"}", 1);
	expect("etcd_network_known_peers{Local=\"abc\",Remote=\"77\"}", 0);
	expect("etcd_network_active_peers{Local=\"abc\",Remote=\"def\"}", 0);
	expect("etcd_network_snapshot_send_inflights_total{To=\"def\"}", 1);
	expect("etcd_network_snapshot_send_failures{To=\"def\"}", 1);
	/* Their processes were killed. */
	expect("etcd_network_snapshot_send_failures{To=\"77\"}", 4);
	expect("etcd_network_peer_round_trip_time_seconds_bucket{To=\"def\",le=\"0.0001\"}", 0);
	expect("etcd_network_peer_round_trip_time_seconds_bucket{To=\"def\",le=\"0.0002\"}", 1);
	expect("etcd_network_peer_round_trip_time_seconds_count{To=\"def\"}", 1);
	expect("etcd_network_peer_round_trip_time_seconds_sum{To=\"def\"}", 0.00015);
	atomic_store(&area->link_is_up, 1);
	/* It ends: what it has counted stays. */
	scrape();
	expect("etcd_network_active_peers{Local=\"abc\",Remote=\"def\"}", 1);
	slot_mark_dead(shm, slot);
	atomic_store(&shm->raft_acks[slot].generation, atomic_load(&shm->heads[slot].generation));
	atomic_store(&shm->applier_acks[slot].generation, atomic_load(&shm->heads[slot].generation));
	assert_true(slot_try_free(shm, slot));
	scrape();
	expect("etcd_network_peer_sent_bytes_total{To=\"def\"}", 105);
	expect("etcd_network_active_peers{Local=\"abc\",Remote=\"def\"}", 0);
	expect("etcd_network_snapshot_send_inflights_total{To=\"def\"}", 0);
	expect("etcd_network_snapshot_send_failures{To=\"def\"}", 2);
	shm_destroy(shm);
	shm = node;
}

static void
test_gauges(void **state)
{
	uint32_t slot = PROC_ESSENTIAL_COUNT;
	BackendArea *area = shm->areas[slot];

	(void) state;
	atomic_store(&shm->heads[slot].state, SLOT_LIVE);
	atomic_store(&area->snapshot_pins[2], 9);
	atomic_store(&area->snapshot_pins[7], 11);
	atomic_store(&area->result_pin, UINT64_C(9) << 16 | 3);
	atomic_store(&area->proposal_head, 96);
	atomic_store(&shm->proposal_tails[slot * 8], 32);
	atomic_store(&area->memory_taken, 4096);
	scrape();
	expect("rusd_snapshot_pins", 2);
	expect("etcd_mvcc_db_open_read_transactions", 2);
	expect("rusd_result_pins", 3);
	expect("rusd_proposal_ring_bytes", 64);
	expect("rusd_backend_memory_bytes", 4096);
	expect("rusd_backends", 1);
	expect("rusd_slots_live", 1);
	expect("rusd_slots{state=\"free\"}", PROC_ESSENTIAL_COUNT + 2);
	expect("rusd_frames_free", 80);
	expect("rusd_frames_used", 20);
	expect("etcd_mvcc_db_total_size_in_bytes", 20 * 8192);
	expect("etcd_mvcc_db_total_size_in_use_in_bytes", 10 * 8192);
	expect("etcd_debugging_mvcc_current_revision", 5);
	expect("etcd_debugging_mvcc_compact_revision", 3);
	expect("etcd_debugging_mvcc_keys_total", 12);
	expect("etcd_server_has_leader", 1);
	/* Raft stands still: its word is too old. */
	atomic_store(&shm->control->loop_ns, 1);
	scrape();
	expect("etcd_server_has_leader", 0);
	expect("etcd_server_is_leader", 1);
	expect("etcd_server_proposals_committed_total", 7);
	expect("etcd_server_proposals_pending", 2);
	expect("etcd_server_id{server_id=\"abc\"}", 1);
	expect("etcd_cluster_version{cluster_version=\"3.7\"}", 1);
	expect("etcd_server_version{server_version=\"3.7.1\"}", 1);
	expect("etcd_server_quota_backend_bytes", 2147483648.0);
}

/* Every name has one HELP and one TYPE, before its lines. */
static void
test_format(void **state)
{
	char family[256] = "";
	char *line;
	char *rest = NULL;
	int families = 0;

	(void) state;
	scrape();
	for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
	{
		char name[256];
		char word[16];

		if (sscanf(line, "# HELP %255s", name) == 1)
		{
			snprintf(family, sizeof(family), "%s", name);
			line = strtok_r(NULL, "\n", &rest);
			assert_non_null(line);
			assert_int_equal(sscanf(line, "# TYPE %255s %15s", name, word), 2);
			assert_string_equal(name, family);
			families++;
			continue;
		}
		assert_true(strncmp(line, family, strlen(family)) == 0);
		assert_non_null(strrchr(line, ' '));
	}
	assert_true(families > 40);
}

/* Too small a buffer is told by the length, and nothing behind it is written. */
static void
test_length(void **state)
{
	static char small[100];
	size_t length = metrics_text(shm, &store, text, sizeof(text));

	(void) state;
	memset(small, 'x', sizeof(small));
	assert_in_range(metrics_text(shm, &store, small, 50), length - 100, length + 100);
	assert_int_equal(small[49], '\0');
	assert_int_equal(small[50], 'x');
	assert_in_range(metrics_text(shm, &store, NULL, 0), length - 100, length + 100);
}

static void
test_processes(void **state)
{
	ProcInfo info = {0};

	(void) state;
	procinfo_add(&info, getpid(), false);
	assert_true(info.private_bytes > 0);
	assert_true(info.virtual_bytes > info.private_bytes);
	assert_true(info.open_fds >= 3);
	info = (ProcInfo){0};
	procinfo_add(&info, 0, false);
	assert_int_equal(info.open_fds, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_counters), TEST(test_methods), TEST(test_histograms), TEST(test_peers),
		TEST(test_gauges),   TEST(test_format),  TEST(test_length),     TEST(test_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
