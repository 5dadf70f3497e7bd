/*
 * fetch.c
 *	  Process transfer: fetches the state of another member into incoming/.
 *
 * The postmaster starts it when raft wants a state.  A transfer that is broken off goes on: the other side sends its newest root
 * then, without the pages that are here (snapshot/README).  It ends when raft has been told, or when another leads than
 * the member that was to be asked.
 *
 * src/backend/peer/fetch.c
 */
#include "rusd.h"

#include <unistd.h>

#include "activity/metrics.h"
#include "ipc/ring.h"
#include "peer/peer.h"
#include "peer_int.h"
#include "utils/log.h"

#define RETRY_FIRST_MS 50
#define RETRY_MAX_MS 2000

typedef struct Fetch
{
	uint64_t from;
	PeerWire wire;
	PageAccess access;
	SnapshotReceive *receive;
	SnapshotUnpack *unpack; /* of this connection */
	Status status;          /* of what was received */
	bool is_whole;          /* and durable */
	bool has_ended;
	char reason[256];
	PeerFrame report;
	RaftConfiguration configuration;
} Fetch;

static Status attempt(Fetch *fetch, uint32_t number);
static void receive_chunks(Fetch *fetch);
static bool is_wanted(const Fetch *fetch);
static bool goes_on(Status status);

does_not_return void
transfer_main(void)
{
	static Fetch fetch;
	uint32_t retry_ms = RETRY_FIRST_MS;

	fetch.from = atomic_load_explicit(&my_shm->heads[my_slot].member_id, memory_order_relaxed);
	fetch.wire.socket = -1;
	atomic_store_explicit(&my_area->counted_member, fetch.from, memory_order_relaxed);
	if (shm_restrict(my_shm, my_slot) != RUSD_OK)
		_exit(1);
	fetch.access =
		(PageAccess){.shm = my_shm, .area = my_area, .slot = my_slot, .wait = page_wait_latch};
	process_title("transfer from %" PRIx64, fetch.from);
	snprintf(my_area->what, sizeof(my_area->what), "transfer from %" PRIx64, fetch.from);
	for (uint32_t number = 0; !stop_requested && is_wanted(&fetch); number++)
	{
		uint64_t began_ns = clock_os.monotonic_ns(&clock_os);
		Status status;

		count_peer(my_area, PEER_RECEIVES_BEGUN, 1);
		status = attempt(&fetch, number);
		count_peer(my_area, status == RUSD_OK ? PEER_RECEIVES_DONE : PEER_RECEIVES_FAILED, 1);
		if (status == RUSD_OK)
			observe_peer(my_area, RECEIVE_TIME, clock_os.monotonic_ns(&clock_os) - began_ns);
		if (status == RUSD_OK)
			break;
		if (!goes_on(status))
		{
			snapshot_receive_destroy(fetch.receive);
			fetch.receive = NULL;
		}
		snapshot_unpack_destroy(fetch.unpack);
		fetch.unpack = NULL;
		peer_wire_close(&fetch.wire);
		log_warn("could not fetch the state of a member", LOG_ID("remote-peer-id", fetch.from),
				 LOG_TEXT("error", fetch.has_ended ? fetch.reason : status_text(status)));
		latch_reset(my_latch);
		(void) latch_wait(my_latch, (int) peer_jitter(retry_ms), WAIT_EVENT_PEER_PAUSE);
		retry_ms = Min(2 * retry_ms, RETRY_MAX_MS);
	}
	_exit(0);
}

/* Nobody else leads who would have offered another one. */
static bool
is_wanted(const Fetch *fetch)
{
	ControlState control;

	shm_control_read(my_shm, &control);
	return control.leader_id == 0 || control.leader_id == fetch->from;
}

/* Is what was received good? */
static bool
goes_on(Status status)
{
	return status != RUSD_NO_ROOM && status != RUSD_NO_MEMORY && status != RUSD_NOT_CAPABLE;
}

static void
on_open(void *arg, const char *path, const NetLinkField *fields, uint32_t count)
{
	const Fetch *fetch = arg;

	(void) path;
	(void) fields;
	(void) count;
	log_info("fetching the state of a member", LOG_ID("remote-peer-id", fetch->from));
}

static void
on_message(void *arg, const uint8_t *data, size_t length)
{
	Fetch *fetch = arg;
	const SnapshotHeader *header;
	Bytes chunk;

	if (fetch->status != RUSD_OK || fetch->is_whole)
		return;
	fetch->status = snapshot_unpack(fetch->unpack, (Bytes){data, length}, &chunk);
	if (fetch->status != RUSD_OK)
		return;
	fetch->status = snapshot_receive_chunk(fetch->receive, chunk.data, chunk.length);
	if (fetch->status != RUSD_OK)
		return;
	fetch->status = snapshot_receive_finish(fetch->receive, &header);
	fetch->is_whole = fetch->status == RUSD_OK;
	if (fetch->status == RUSD_AGAIN)
		fetch->status = RUSD_OK;
	if (!fetch->is_whole)
		return;
	fetch->report = (PeerFrame){.kind = LINK_REPORT_FETCHED,
								.length = sizeof(PeerFrame) + sizeof(RaftConfiguration),
								.index = header->root.applied_index,
								.log_term = header->root.applied_term};
	fetch->configuration = header->configuration;
}

static void
on_end(void *arg, int grpc_code, const char *text)
{
	Fetch *fetch = arg;

	(void) grpc_code;
	fetch->has_ended = true;
	snprintf(fetch->reason, sizeof(fetch->reason), "%s", text);
}

/* Until all is here, or the connection is lost. */
static void
receive_chunks(Fetch *fetch)
{
	PeerWire *wire = &fetch->wire;

	while (fetch->status == RUSD_OK && !fetch->is_whole && !fetch->has_ended && !wire->is_lost &&
		   !stop_requested)
	{
		bool is_blocked = peer_wire_flush(wire);

		if (wire->is_lost)
			break;
		peer_wire_wait(wire, is_blocked, PEER_WIRE_SLEEP_MS, WAIT_EVENT_TRANSFER_RECEIVE);
		if (peer_wire_is_silent(wire, clock_os.monotonic_ns(&clock_os)))
			break;
	}
}

static Status
attempt(Fetch *fetch, uint32_t number)
{
	static const uint8_t done = 1;
	NetLinkHandlers handlers = {
		.arg = fetch, .on_open = on_open, .on_message = on_message, .on_end = on_end};
	const char *error = "";
	SnapshotBase base;
	Status status = RUSD_OK;

	fetch->is_whole = fetch->has_ended = false;
	fetch->status = RUSD_OK;
	if (fetch->receive == NULL)
		status = snapshot_receive_create(my_shm, my_fs, &fetch->receive);
	if (status != RUSD_OK)
		return status;
	fetch->unpack = snapshot_unpack_create(PEER_CHUNK_BYTES);
	if (fetch->unpack == NULL)
		return RUSD_NO_MEMORY;
	snapshot_receive_begin(fetch->receive, &base);
	status = peer_connect(&fetch->access, fetch->from, number, PEER_PATH_SNAPSHOT, &base, &handlers,
						  SNAPSHOT_PACKED_MAX(PEER_CHUNK_BYTES), &fetch->wire, &error);
	if (status != RUSD_OK)
		return status;
	fetch->wire.heard_ns = clock_os.monotonic_ns(&clock_os);
	receive_chunks(fetch);
	if (!fetch->is_whole)
		return fetch->status != RUSD_OK ? fetch->status : RUSD_CONNECTION_LOST;
	peer_report(&fetch->report,
				(Bytes){(const uint8_t *) &fetch->configuration, sizeof(fetch->configuration)});
	log_info("fetched the state of a member", LOG_ID("remote-peer-id", fetch->from),
			 LOG_UNSIGNED("index", fetch->report.index));
	/* For the sender: it need not offer another. */
	if (net_link_put(fetch->wire.link, &(Bytes){&done, 1}, 1) == RUSD_OK)
		(void) peer_wire_flush(&fetch->wire);
	return RUSD_OK;
}
