/*
 * serve.c
 *	  Sends the state of this member to another, which has asked for it.  Process peer, of an accepted connection.
 *
 * A snapshot pin holds the root that is sent; writes go on meanwhile.  No faster than --snapshot-transfer-rate, so that
 * heartbeats and entries have their part of the network.
 *
 * src/backend/peer/serve.c
 */
#include "rusd.h"

#include "ipc/ring.h"
#include "peer_int.h"
#include "snapshot/snapshot.h"
#include "utils/config.h"
#include "utils/log.h"

#define UNSENT_MAX (512 * 1024)
/* What may be sent at once after a pause. */
#define BURST_NS (UINT64_C(50) * NS_PER_MS)

static uint8_t chunk[PEER_CHUNK_BYTES];

/* When the next byte may be sent. */
typedef struct Pace
{
	uint64_t free_ns;
} Pace;

static Status send_chunks(PeerWire *wire, SnapshotSend *send, Pace *pace, bool *all);
static bool wait_a_while(PeerWire *wire, const Pace *pace, bool all);

void
peer_report(const PeerFrame *report, Bytes body)
{
	static uint8_t bytes[sizeof(PeerFrame) + sizeof(RaftConfiguration)];
	ProposalWriter writer;
	ProposalPiece piece = {.total_length = (uint32_t) (sizeof(*report) + body.length)};
	uint32_t offset = 0;

	Check(piece.total_length <= sizeof(bytes));
	memcpy(bytes, report, sizeof(*report));
	if (body.length > 0)
		memcpy(bytes + sizeof(*report), body.data, body.length);
	proposal_writer_init(&writer, my_shm, my_slot);
	/* There is room: a process of this kind puts nothing else into its ring. */
	(void) proposal_put(&writer, &piece, bytes, &offset);
	proposal_wake(&writer);
}

static uint64_t
now_ns(void)
{
	return clock_os.monotonic_ns(&clock_os);
}

/* As much as may be sent now.  RUSD_OK: go on after a while. */
static Status
send_chunks(PeerWire *wire, SnapshotSend *send, Pace *pace, bool *all)
{
	uint64_t rate = (uint64_t) config.snapshot_transfer_rate;

	while (!*all && net_link_unsent(wire->link) < UNSENT_MAX && pace->free_ns <= now_ns())
	{
		size_t length;
		Status status = snapshot_send_next(send, chunk, sizeof(chunk), &length);

		if (status == RUSD_AGAIN)
			continue;
		*all = status == RUSD_END;
		if (status != RUSD_OK)
			return *all ? RUSD_OK : status;
		status = net_link_put(wire->link, &(Bytes){chunk, length}, 1);
		if (status != RUSD_OK)
			return status;
		if (rate > 0)
			pace->free_ns = Max(pace->free_ns, now_ns() - Min(BURST_NS, now_ns())) +
							length * UINT64_C(1000000000) / rate;
	}
	return RUSD_OK;
}

/* False: the connection is lost. */
static bool
wait_a_while(PeerWire *wire, const Pace *pace, bool all)
{
	bool is_blocked = peer_wire_flush(wire);
	uint64_t now = now_ns();
	int limit_ms = PEER_WIRE_SLEEP_MS;

	if (wire->is_lost || peer_wire_is_silent(wire, now))
		return false;
	if (!all && pace->free_ns > now)
		limit_ms = (int) Min((pace->free_ns - now) / NS_PER_MS + 1, PEER_WIRE_SLEEP_MS);
	else if (!all && !is_blocked)
		limit_ms = 0;
	peer_wire_wait(wire, is_blocked, limit_ms, WAIT_EVENT_TRANSFER_SEND);
	return !wire->is_lost;
}

static void
tell(uint64_t to, const SnapshotSend *send, Status status, uint64_t began_ns)
{
	const SnapshotHeader *header = snapshot_send_header(send);

	if (status == RUSD_OK)
		log_info("sent the state to a member", LOG_ID("remote-peer-id", to),
				 LOG_UNSIGNED("index", header->root.applied_index),
				 LOG_UNSIGNED("pages", header->page_count), LOG_TIME("took", now_ns() - began_ns));
	else
		log_warn("could not send the state to a member", LOG_ID("remote-peer-id", to),
				 LOG_UNSIGNED("index", header->root.applied_index),
				 LOG_TEXT("error", status_text(status)));
}

/* The other side says nothing until it has all of it. */
static Status
serve(PeerWire *wire, SnapshotSend *send, const bool *received, const bool *has_ended)
{
	Pace pace = {0};
	bool all = false;

	while (!*received)
	{
		Status status = send_chunks(wire, send, &pace, &all);

		if (status != RUSD_OK)
			return status;
		if (!wait_a_while(wire, &pace, all) || *has_ended)
			return *received ? RUSD_OK : RUSD_CONNECTION_LOST;
		if (stop_requested)
			return RUSD_STOPPED;
	}
	return RUSD_OK;
}

void
peer_serve(PeerWire *wire, uint64_t to, const bool *received, const bool *has_ended)
{
	PageAccess access = {.shm = my_shm, .area = my_area, .slot = my_slot, .wait = page_wait_latch};
	PeerFrame report = {.kind = LINK_REPORT_SENT, .length = sizeof(report), .from = to};
	uint64_t began_ns = now_ns();
	SnapshotSend *send = NULL;
	Status status;

	process_title("transfer to %" PRIx64, to);
	do
		status = snapshot_send_create(&access, &send);
	while (status == RUSD_AGAIN && wait_a_while(wire, &(Pace){now_ns() + NS_PER_MS}, false));
	if (status == RUSD_OK)
	{
		log_info("sending the state to a member", LOG_ID("remote-peer-id", to),
				 LOG_UNSIGNED("index", snapshot_send_header(send)->root.applied_index));
		status = serve(wire, send, received, has_ended);
		tell(to, send, status, began_ns);
		snapshot_send_destroy(send);
	}
	report.flags = status == RUSD_OK ? 0 : FRAME_REJECT;
	peer_report(&report, (Bytes){NULL, 0});
}
