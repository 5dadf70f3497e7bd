/*
 * accept.c
 *	  Process peer, of a connection that somebody has made to the port for members: messages from the wire to raft.
 *
 * Until it is known who speaks nothing is believed and nothing is kept.  Who does not speak HTTP/2 is served as a client:
 * /version.  When raft cannot take more, nothing is read: TCP then holds back the other side.
 *
 * src/backend/peer/accept.c
 */
#include "rusd.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "activity/metrics.h"
#include "consensus/consensus.h"
#include "ipc/ring.h"
#include "peer/peer.h"
#include "peer_int.h"
#include "session/session.h"
#include "utils/config.h"
#include "utils/log.h"

/* The other side must have said what it wants by then. */
#define HANDSHAKE_NS (UINT64_C(10000) * NS_PER_MS)
#define SLEEP_MS 1000
#define CODE_INVALID_ARGUMENT 3
#define CODE_FAILED_PRECONDITION 9
#define CODE_UNIMPLEMENTED 12

typedef struct Acceptor
{
	const char *address;
	PeerWire wire;
	PeerHello hello;
	bool is_accepted;
	bool serves;       /* it wants the state of this member, */
	bool has_received; /* and has got it */
	bool has_ended;
	uint64_t begun_ns;
	PageAccess access;
	uint64_t members; /* change count of the configuration when it was looked at */
	ProposalWriter writer;
} Acceptor;

static bool speaks_http2(const Stream *stream);
static void on_open(void *arg, const char *path, const NetLinkField *fields, uint32_t count);
static void on_message(void *arg, const uint8_t *data, size_t length);
static void on_end(void *arg, int grpc_code, const char *text);
static void run(Acceptor *acceptor);

does_not_return void
peer_accept_main(const Connection *connection)
{
	static Acceptor acceptor;
	NetLinkHandlers handlers = {
		.arg = &acceptor, .on_open = on_open, .on_message = on_message, .on_end = on_end};

	acceptor.address = connection->peer;
	acceptor.access =
		(PageAccess){.shm = my_shm, .area = my_area, .slot = my_slot, .wait = page_wait_latch};
	process_title("peer from %s", connection->peer);
	snprintf(my_area->what, sizeof(my_area->what), "from %s", connection->peer);
	if (shm_restrict(my_shm, my_slot) != RUSD_OK)
		_exit(1);
	acceptor.wire.socket = connection->socket;
	peer_wire_set_up(connection->socket);
	if (!session_secure(connection, &acceptor.wire.stream))
		_exit(0);
	if (!speaks_http2(&acceptor.wire.stream))
		session_main(connection, &acceptor.wire.stream);
	/* What the log can take, whatever requests this member takes itself: entries are of the cluster. */
	if (net_link_listen(&handlers, peer_frame_max(consensus_request_max(&my_shm->layout)),
						&acceptor.wire.link) != RUSD_OK)
		_exit(1);
	proposal_writer_init(&acceptor.writer, my_shm, my_slot);
	run(&acceptor);
	_exit(0);
}

/* By ALPN; without TLS by its first bytes, which stay where they are. */
static bool
speaks_http2(const Stream *stream)
{
	static const char preface[] = "PRI ";
	uint64_t end = clock_os.monotonic_ns(&clock_os) + HANDSHAKE_NS;
	int socket = stream->socket;

	if (stream->ssl != NULL)
		return strcmp(stream_protocol(stream), "h2") == 0;

	for (;;)
	{
		char bytes[sizeof(preface) - 1];
		ssize_t got = recv(socket, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
		uint64_t now = clock_os.monotonic_ns(&clock_os);

		if (got == sizeof(bytes) || (got > 0 && memcmp(bytes, preface, (size_t) got) != 0))
			return memcmp(bytes, preface, (size_t) got) == 0;
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR) || now >= end ||
			stop_requested)
			_exit(0);
		latch_reset(my_latch);
		(void) latch_wait_socket(my_latch, socket, WAIT_READABLE,
								 (int) ((end - now) / NS_PER_MS) + 1, WAIT_EVENT_PEER_RECEIVE);
	}
}

/* ---- the beginning ------------------------------------------------------------------------------- */

static void
refuse(Acceptor *acceptor, int code, const char *why)
{
	const PeerHello *hello = &acceptor->hello;

	log_warn("refused a member's connection", LOG_TEXT("remote-addr", acceptor->address),
			 LOG_TEXT("reason", why), LOG_ID("remote-peer-id", hello->from),
			 LOG_ID("remote-peer-cluster-id", hello->cluster_id),
			 LOG_TEXT("remote-peer-version", hello->version),
			 LOG_UNSIGNED("remote-peer-protocol", hello->protocol));
	net_link_refuse(acceptor->wire.link, code, why);
}

static uint64_t
configuration_count(void)
{
	return atomic_load_explicit(&my_shm->configuration->change_count, memory_order_acquire);
}

/* Members have changed: it is told why when it comes again. */
static bool
has_lost_its_place(Acceptor *acceptor)
{
	uint64_t count = configuration_count();

	if (likely(!acceptor->is_accepted || count == acceptor->members))
		return false;
	acceptor->members = count;
	return peer_standing(&acceptor->access, &acceptor->hello) == PEER_CODE_REMOVED;
}

static void
on_open(void *arg, const char *path, const NetLinkField *fields, uint32_t count)
{
	Acceptor *acceptor = arg;
	PeerHello *hello = &acceptor->hello;
	bool is_control = strcmp(path, PEER_PATH_CONTROL) == 0;
	const char *why;
	int code;

	acceptor->serves = strcmp(path, PEER_PATH_SNAPSHOT) == 0;
	if (!is_control && !acceptor->serves && strcmp(path, PEER_PATH_ENTRIES) != 0)
	{
		refuse(acceptor, CODE_UNIMPLEMENTED, "there is no such method for members");
		return;
	}
	if (peer_hello_read(fields, count, hello) != RUSD_OK)
	{
		refuse(acceptor, CODE_INVALID_ARGUMENT, "it does not say who it is");
		return;
	}
	why = peer_hello_refusal(hello);
	if (why != NULL)
	{
		refuse(acceptor, CODE_FAILED_PRECONDITION, why);
		return;
	}
	acceptor->members = configuration_count();
	code = peer_standing(&acceptor->access, hello);
	if (code != 0)
	{
		refuse(acceptor, code, peer_standing_text(code));
		return;
	}
	acceptor->is_accepted = true;
	atomic_store_explicit(&my_area->counted_member, hello->from, memory_order_relaxed);
	net_link_accept(acceptor->wire.link, NULL, 0);
	memcpy(my_area->link_urls, hello->urls, LINK_URLS_BYTES);
	atomic_store_explicit(&my_area->link_member, hello->from, memory_order_release);
	if (acceptor->serves)
		return;
	snprintf(my_area->what, sizeof(my_area->what), "%s from %" PRIx64,
			 is_control ? "control" : "entries", hello->from);
	process_title("peer %s", my_area->what);
	peer_wake_links_to(my_shm, hello->from);
	/* There may be no link back yet. */
	(void) kill(getppid(), SIGCHLD);
}

/* ---- messages ------------------------------------------------------------------------------------ */

/* Waits until raft has taken enough; false: this process is to end. */
static bool
put(Acceptor *acceptor, const uint8_t *data, uint32_t length)
{
	ProposalPiece piece = {.total_length = length};
	uint32_t offset = 0;

	while (!proposal_put(&acceptor->writer, &piece, data, &offset))
	{
		proposal_wake(&acceptor->writer);
		if (stop_requested)
			return false;
		(void) latch_wait(my_latch, SLEEP_MS, WAIT_EVENT_PEER_RING);
		latch_reset(my_latch);
	}
	return true;
}

static void
on_message(void *arg, const uint8_t *data, size_t length)
{
	Acceptor *acceptor = arg;
	const PeerFrame *frame = (const PeerFrame *) (const void *) data;

	acceptor->has_received = acceptor->serves;
	if (acceptor->wire.is_lost || !acceptor->is_accepted || acceptor->serves)
		return;
	if (peer_frame_unseal(data, length) != RUSD_OK || frame->kind >= PEER_KIND_COUNT ||
		frame->from != acceptor->hello.from || frame->to != acceptor->hello.to)
	{
		count_peer(my_area, PEER_RECEIVED_FAILURES, 1);
		log_warn("a message of a member is damaged or not its own",
				 LOG_TEXT("remote-addr", acceptor->address),
				 LOG_ID("remote-peer-id", acceptor->hello.from));
		acceptor->wire.is_lost = true;
		return;
	}
	if (!put(acceptor, data, (uint32_t) length))
		acceptor->wire.is_lost = true;
}

static void
on_end(void *arg, int grpc_code, const char *text)
{
	Acceptor *acceptor = arg;

	acceptor->has_ended = true;
	if (acceptor->is_accepted && grpc_code == NET_LINK_TOO_LONG)
		log_error("another member's entries are longer than the log segments of this one have room "
				  "for: it needs the "
				  "others' --wal-segment-size, in a new data directory",
				  LOG_ID("remote-peer-id", acceptor->hello.from), LOG_TEXT("error", text));
}

/* A member that says nothing for so long is not there: it pings more often.  Who is no member yet has to become one, however much it says. */
static bool
is_silent(const Acceptor *acceptor, uint64_t now_ns)
{
	if (!acceptor->is_accepted)
		return now_ns - acceptor->begun_ns > HANDSHAKE_NS;
	return now_ns - acceptor->wire.heard_ns > (uint64_t) Max(config.raft_read_timeout, 1);
}

static void
run(Acceptor *acceptor)
{
	PeerWire *wire = &acceptor->wire;

	acceptor->begun_ns = wire->heard_ns = clock_os.monotonic_ns(&clock_os);
	while (!wire->is_lost && !stop_requested)
	{
		bool is_blocked = peer_wire_flush(wire);
		uint64_t now = clock_os.monotonic_ns(&clock_os);

		/* A refusal is sent before the end. */
		if (wire->is_lost || (acceptor->has_ended && !is_blocked) || is_silent(acceptor, now) ||
			has_lost_its_place(acceptor))
			break;
		peer_wire_wait(wire, is_blocked, SLEEP_MS, WAIT_EVENT_PEER_RECEIVE);
		proposal_wake(&acceptor->writer);
		if (acceptor->serves && acceptor->is_accepted)
		{
			peer_serve(wire, &acceptor->hello, &acceptor->has_received, &acceptor->has_ended);
			return;
		}
	}
	if (acceptor->is_accepted && !stop_requested)
		log_info("a member's connection has ended", LOG_ID("remote-peer-id", acceptor->hello.from),
				 LOG_TEXT("remote-addr", acceptor->address));
}
