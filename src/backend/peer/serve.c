/*
 * serve.c
 *	  Sends the state of this member to another, which has asked for it.  Process peer, of an accepted connection.
 *
 * A snapshot pin holds the root that is sent; writes go on meanwhile.  Compressed, and no faster than --snapshot-transfer-rate, so
 * that heartbeats and entries have their part of the network: what counts is what goes by the wire.  What the other side has is
 * not sent again.
 *
 * src/backend/peer/serve.c
 */
#include "rusd.h"

#include "activity/metrics.h"
#include "ipc/ring.h"
#include "peer_int.h"
#include "utils/config.h"
#include "utils/log.h"

#define UNSENT_MAX (512 * 1024)
/* What may be sent at once after a pause. */
#define BURST_NS (UINT64_C(50) * NS_PER_MS)

/* What is compressed better counts as if it was not: the disk of the other side takes the pages as they are. */
#define PACKED_LEAST 2

static uint8_t chunk[PEER_CHUNK_BYTES];

typedef struct Serve
{
	PeerWire *wire;
	uint64_t to;
	SnapshotSend *send;
	SnapshotPack *pack;
	uint64_t began_ns;
	uint64_t free_ns; /* when the next byte may be sent */
	uint64_t bytes;   /* of chunks, */
	uint64_t packed;  /* as they were sent */
	bool all;         /* were sent */
} Serve;

static Status send_chunks(Serve *serve);
static bool wait_a_while(const Serve *serve);

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

static Status
send_chunk(Serve *serve)
{
	uint64_t rate = (uint64_t) config.snapshot_transfer_rate;
	Bytes packed;
	size_t length;
	Status status = snapshot_send_next(serve->send, chunk, sizeof(chunk), &length);

	if (status != RUSD_OK)
		return status;
	status = snapshot_pack(serve->pack, (Bytes){chunk, length}, &packed);
	if (status == RUSD_OK)
		status = net_link_put(serve->wire->link, &packed, 1);
	if (status != RUSD_OK)
		return status;
	if (serve->bytes == 0)
		log_info("sending the state to a member", LOG_ID("remote-peer-id", serve->to),
				 LOG_UNSIGNED("index", snapshot_send_header(serve->send)->root.applied_index),
				 LOG_UNSIGNED("pages", snapshot_send_header(serve->send)->page_count),
				 LOG_UNSIGNED("pages-spared", snapshot_send_spared(serve->send)));
	serve->bytes += length;
	serve->packed += packed.length;
	if (rate > 0)
		serve->free_ns = Max(serve->free_ns, now_ns() - Min(BURST_NS, now_ns())) +
						 Max(packed.length, length / PACKED_LEAST) * UINT64_C(1000000000) / rate;
	return RUSD_OK;
}

/* As much as may be sent now.  RUSD_OK: go on after a while. */
static Status
send_chunks(Serve *serve)
{
	while (!serve->all && net_link_unsent(serve->wire->link) < UNSENT_MAX &&
		   serve->free_ns <= now_ns())
	{
		Status status = send_chunk(serve);

		serve->all = status == RUSD_END;
		if (status != RUSD_OK && status != RUSD_AGAIN && status != RUSD_END)
			return status;
	}
	return RUSD_OK;
}

/* False: the connection is lost. */
static bool
wait_a_while(const Serve *serve)
{
	PeerWire *wire = serve->wire;
	bool is_blocked = peer_wire_flush(wire);
	uint64_t now = now_ns();
	int limit_ms = PEER_WIRE_SLEEP_MS;

	if (wire->is_lost || peer_wire_is_silent(wire, now))
		return false;
	if (!serve->all && serve->free_ns > now)
		limit_ms = (int) Min((serve->free_ns - now) / NS_PER_MS + 1, PEER_WIRE_SLEEP_MS);
	else if (!serve->all && !is_blocked && net_link_unsent(wire->link) < UNSENT_MAX)
		limit_ms = 0;
	/* Else until the other side takes more: by its socket, or by its window. */
	peer_wire_wait(wire, is_blocked, limit_ms, WAIT_EVENT_TRANSFER_SEND);
	return !wire->is_lost;
}

static void
tell(const Serve *serve, Status status)
{
	const SnapshotHeader *header = snapshot_send_header(serve->send);

	if (status == RUSD_OK)
		log_info("sent the state to a member", LOG_ID("remote-peer-id", serve->to),
				 LOG_UNSIGNED("index", header->root.applied_index),
				 LOG_UNSIGNED("pages", header->page_count), LOG_UNSIGNED("bytes", serve->bytes),
				 LOG_UNSIGNED("bytes-sent", serve->packed),
				 LOG_TIME("took", now_ns() - serve->began_ns));
	else
		log_warn("could not send the state to a member", LOG_ID("remote-peer-id", serve->to),
				 LOG_UNSIGNED("index", header->root.applied_index),
				 LOG_TEXT("error", status_text(status)));
}

/* The other side says nothing until it has all of it. */
static Status
run(Serve *serve, const bool *received, const bool *has_ended)
{
	while (!*received)
	{
		Status status = send_chunks(serve);

		if (status != RUSD_OK)
			return status;
		if (!wait_a_while(serve) || *has_ended)
			return *received ? RUSD_OK : RUSD_CONNECTION_LOST;
		if (stop_requested)
			return RUSD_STOPPED;
	}
	return RUSD_OK;
}

void
peer_serve(PeerWire *wire, const PeerHello *hello, const bool *received, const bool *has_ended)
{
	PageAccess access = {.shm = my_shm, .area = my_area, .slot = my_slot, .wait = page_wait_latch};
	PeerFrame report = {.kind = LINK_REPORT_SENT, .length = sizeof(report), .from = hello->from};
	Serve serve = {.wire = wire, .to = hello->from, .began_ns = now_ns()};
	Status status = RUSD_NO_MEMORY;

	count_peer(my_area, PEER_SENDS_BEGUN, 1);
	process_title("transfer to %" PRIx64, hello->from);
	serve.pack = snapshot_pack_create(sizeof(chunk));
	if (serve.pack != NULL)
	{
		do
		{
			serve.free_ns = now_ns() + NS_PER_MS;
			status = snapshot_send_create(&access, &hello->base, &serve.send);
		} while (status == RUSD_AGAIN && wait_a_while(&serve));
	}
	if (status == RUSD_OK)
	{
		status = run(&serve, received, has_ended);
		tell(&serve, status);
		snapshot_send_destroy(serve.send);
	}
	snapshot_pack_destroy(serve.pack);
	count_peer(my_area, status == RUSD_OK ? PEER_SENDS_DONE : PEER_SENDS_FAILED, 1);
	if (status == RUSD_OK)
		observe_peer(my_area, SEND_TIME, now_ns() - serve.began_ns);
	report.flags = status == RUSD_OK ? 0 : FRAME_REJECT;
	peer_report(&report, (Bytes){NULL, 0});
}
