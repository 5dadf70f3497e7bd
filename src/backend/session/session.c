/*
 * session.c
 *	  Process backend: the loop around one client connection.
 *
 * Backend. What it reads goes to net, which calls rpc; what rpc answers net frames; what net
 * gives is written. It sleeps on its socket and its latch at once. It stops reading while the
 * client does not take what it is sent, so that a slow reader holds one buffer and what its
 * requests have asked for, no more. Who takes something is heard: he may be sent more than he
 * wants by now, and must not be taken for dead while his pings wait behind a large answer.
 *
 * src/backend/session/session.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "activity/metrics.h"
#include "ipc/inject.h"
#include "ipc/process.h"
#include "net/net.h"
#include "rpc/rpc.h"
#include "session/memory.h"
#include "session/session.h"
#include "tls/stream.h"
#include "utils/config.h"
#include "utils/log.h"

#define NS_PER_MS 1000000
#define BUFFER_BYTES (64 * 1024)
#define UNSENT_MAX (64 * 1024)     /* bytes that wait in the socket */
#define SOCKET_BUFFER (128 * 1024) /* each way; the kernel doubles it for its own needs */
#define TCP_KEEPALIVE_SECONDS 30
#define OOM_SCORE "600"
/* What one turn may write before the others (latch, timers, reading) have theirs. */
#define WRITES_A_TURN 16
#define READY_POLL_MS 20
#define PAGE_POLL_MS 100
#define LINGER_MS 500
#define TLS_HEADER_LIST_MAX 1048896

typedef struct Session
{
	const Connection *from;
	Stream stream;
	NetSession *net;
	Rpc *rpc;
	SessionMemory memory;
	PageAccess access;
	const ClockOps *clock;
	size_t unsent_start; /* in out_buffer */
	size_t unsent_length;
	bool more;               /* a turn ended before all was written */
	bool took;               /* the client took something of what this turn had to write */
	bool latch_taken;        /* a page wait has reset the latch: look at everything again */
	bool receive_over;       /* the client has closed its side, or nothing more is to be read */
	bool lost;               /* nothing can be sent any more */
	uint64_t drain_began_ns; /* 0: not yet */
	uint64_t refused_seen;
	const char *titled; /* protocol in the title */
} Session;

/* Touched only as far as they are used. */
static uint8_t in_buffer[BUFFER_BYTES];
static uint8_t out_buffer[BUFFER_BYTES];

static void set_up_process(Session *session);
static void set_up_socket(int socket);
static Status set_up_session(Session *session);
static bool wait_until_ready(int socket);
static void turn(Session *session);
static void receive(Session *session);
static void flush(Session *session);
static void drain(Session *session, uint64_t now_ns);
static bool is_over(const Session *session);
static int sleep_limit_ms(const Session *session, uint64_t due_ns, uint64_t now_ns);
static void end_connection(Session *session);

does_not_return void
session_main(const Connection *connection, const Stream *secured)
{
	Session session = {.from = connection, .clock = &clock_os, .titled = ""};
	Status status;

	set_up_process(&session);
	set_up_socket(connection->socket);
	status = secured != NULL ? RUSD_OK : shm_restrict(my_shm, my_slot);
	INJECT("backend-start");
	/* The peers' port answers /version from the beginning; clients wait (BOOT-25). */
	if (secured != NULL)
		session.stream = *secured;
	else if (status == RUSD_OK && (!wait_until_ready(connection->socket) ||
								   !session_secure(connection, &session.stream)))
		_exit(0);
	if (status == RUSD_OK)
		status = set_up_session(&session);
	if (status != RUSD_OK)
	{
		log_warn("a connection could not be served", LOG_TEXT("remote-addr", connection->peer),
				 LOG_TEXT("error", status_text(status)));
		_exit(1);
	}
	while (!is_over(&session))
		turn(&session);
	end_connection(&session);
	_exit(0);
}

/* ---- beginning ---- */

static void
set_what(const char *peer, const char *protocol)
{
	snprintf(my_area->what, sizeof(my_area->what), "%s %s", peer, protocol);
	process_title("backend %s %s", peer, protocol);
}

static void
set_up_process(Session *session)
{
	int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	/*
	 * When memory runs out, a connection goes before the node does. To raise it needs no
	 * privilege.
	 */
	if (file >= 0)
	{
		if (write(file, OOM_SCORE, sizeof(OOM_SCORE) - 1) < 0)
			log_debug("oom_score_adj could not be raised", LOG_ERRNO(errno));
		close(file);
	}
	set_what(session->from->peer, "");
}

static void
set_option(int socket, int level, int name, int value)
{
	/* Not every option is there for every kind of socket; the connection works without. */
	if (setsockopt(socket, level, name, &value, sizeof(value)) != 0)
		log_debug("a socket option could not be set", LOG_INTEGER("option", name),
				  LOG_ERRNO(errno));
}

static void
set_up_socket(int socket)
{
	int flags = fcntl(socket, F_GETFL);
	int64_t user_timeout_ms = config.grpc_keepalive_timeout / NS_PER_MS;

	if (flags < 0 || fcntl(socket, F_SETFL, flags | O_NONBLOCK) != 0)
		log_warn("a socket could not be made non-blocking", LOG_ERRNO(errno));
	set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_MAX);
	set_option(socket, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
	set_option(socket, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
	set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, TCP_KEEPALIVE_SECONDS);
	set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, TCP_KEEPALIVE_SECONDS);
	if (user_timeout_ms > 0 && user_timeout_ms <= INT_MAX)
		set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, (int) user_timeout_ms);
}

/*
 * The limits of section 4.3 and 4.4; where etcd's gRPC library has a default for 0, that. With TLS
 * etcd has another server, without keepalive, which speaks HTTP/2 only where ALPN says so (4.5).
 */
static NetLimits
net_limits(const Session *session)
{
	bool tls = session->stream.ssl != NULL;
	bool own_keepalive =
		!tls && config.grpc_keepalive_interval > 0 && config.grpc_keepalive_timeout > 0;
	uint64_t message_max = (uint64_t) config.max_request_bytes + 512 * 1024;

	return (NetLimits){
		.message_max = (uint32_t) Min(message_max, INT32_MAX),
		.streams_max = config.max_concurrent_streams > 0 ? (uint32_t) config.max_concurrent_streams
														 : UINT32_MAX,
		.keepalive_min_ns = config.grpc_keepalive_min_time > 0
								? (uint64_t) config.grpc_keepalive_min_time
								: UINT64_C(300) * 1000 * NS_PER_MS,
		.keepalive_interval_ns = own_keepalive ? (uint64_t) config.grpc_keepalive_interval
											   : UINT64_C(7200) * 1000 * NS_PER_MS,
		.keepalive_timeout_ns = own_keepalive ? (uint64_t) config.grpc_keepalive_timeout
											  : UINT64_C(20) * 1000 * NS_PER_MS,
		.pings_are_free = tls,
		.http_over_h2 = tls,
		.http1_only = my_listener == LISTENER_PEER ||
					  (tls && strcmp(stream_protocol(&session->stream), "h2") != 0),
		.header_list_max = tls ? TLS_HEADER_LIST_MAX : 0,
	};
}

/* A page is being read: whatever else sets the latch meanwhile is looked at after. */
static Status
wait_for_page(PageAccess *access)
{
	Session *session = access->arg;

	(void) latch_wait(my_latch, PAGE_POLL_MS, WAIT_EVENT_PAGE_WANTED);
	latch_reset(my_latch);
	session->latch_taken = true;
	return RUSD_OK;
}

static Status
set_up_session(Session *session)
{
	NetHandlers handlers = {0};
	NetLimits limits = net_limits(session);
	Status status;

	/* A request, its decoded form and its proposal. */
	session_memory_init(&session->memory, my_shm, my_slot, (uint64_t) config.backend_memory,
						4 * (uint64_t) limits.message_max);
	/* The same of all large ones; the other half of the share is for what is not large. */
	limits.large_max = session->memory.own_limit / 6;
	session->access = (PageAccess){
		.shm = my_shm, .area = my_area, .slot = my_slot, .wait = wait_for_page, .arg = session};
	status = rpc_create(my_shm, my_slot, &session->access, &session->memory.budget, &session->rpc);
	if (status != RUSD_OK)
		return status;
	rpc_handlers(session->rpc, &handlers);
	return net_session_create(&limits, &handlers, &session->memory.budget,
							  session->clock->monotonic_ns(session->clock), &session->net);
}

/*
 * Connections are accepted from the beginning, but nothing is read before this member has
 * published itself (BOOT-25). False: the client or the node gives up first.
 */
static bool
wait_until_ready(int socket)
{
	for (;;)
	{
		ControlState control;
		uint8_t byte;
		ssize_t got;

		latch_reset(my_latch);
		shm_control_read(my_shm, &control);
		if (control.ready)
			return true;
		if (stop_requested)
			return false;
		got = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		(void) latch_wait(my_latch, READY_POLL_MS, WAIT_EVENT_CLIENT);
	}
}

StaticAssert(STREAM_READABLE == WAIT_READABLE && STREAM_WRITABLE == WAIT_WRITABLE,
			 "what a stream waits for is what a latch waits for");

/* ---- the loop ---- */

static void
turn(Session *session)
{
	uint64_t now_ns = session->clock->monotonic_ns(session->clock), due_ns;
	int wanted = 0, reads = 0, happened = 0, limit_ms;

	session->latch_taken = false;
	rpc_turn(session->rpc, now_ns);
	due_ns = net_session_timers(session->net, now_ns);
	if (unlikely(stop_requested))
		drain(session, now_ns);
	flush(session);
	due_ns = Min(due_ns, rpc_next_due(session->rpc));
	atomic_store_explicit(&my_area->streams, net_session_streams(session->net),
						  memory_order_relaxed);
	if (unlikely(is_over(session)))
		return;

	if (session->unsent_length > 0 || session->more)
		wanted = session->stream.write_waits;
	if ((wanted == 0 || session->took) && !session->receive_over &&
		net_session_wants_read(session->net))
		reads = session->stream.read_waits;
	rpc_rest(session->rpc);
	limit_ms = session->latch_taken || (reads != 0 && session->stream.pending)
				   ? 0
				   : sleep_limit_ms(session, due_ns, now_ns);
	/* Without a wish of it the socket is left alone: its hang-up would wake us for ever. */
	if ((wanted | reads) != 0)
		happened = latch_wait_socket(my_latch, session->stream.socket, wanted | reads, limit_ms,
									 WAIT_EVENT_CLIENT);
	else
		(void) latch_wait(my_latch, limit_ms, WAIT_EVENT_CLIENT);
	/* Before any look for work: what is set from here on wakes the next sleep. */
	latch_reset(my_latch);
	if (reads != 0 && ((happened & reads) != 0 || session->stream.pending))
		receive(session);
}

static int
sleep_limit_ms(const Session *session, uint64_t due_ns, uint64_t now_ns)
{
	uint64_t ms;

	if (session->drain_began_ns != 0)
		due_ns = Min(due_ns, now_ns + 50 * NS_PER_MS);
	if (due_ns == UINT64_MAX)
		return -1;
	if (due_ns <= now_ns)
		return 0;
	/* Rounded up, or it would be called too early again and again. */
	ms = (due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
	return (int) Min(ms, 3600000);
}

/* One read; if more waits, the next turn takes it. */
static void
receive(Session *session)
{
	ssize_t got = stream_read(&session->stream, in_buffer, sizeof(in_buffer));
	Status status;

	if (got < 0)
	{
		session->lost = errno != EAGAIN && errno != EINTR;
		return;
	}
	if (got == 0)
	{
		session->receive_over = true;
		session->lost = net_session_eof(session->net);
		return;
	}
	count(my_area, COUNTER_RECEIVED_BYTES, (uint64_t) got);
	status = net_session_receive(session->net, in_buffer, (size_t) got,
								 session->clock->monotonic_ns(session->clock));
	if (status == RUSD_END)
		session->receive_over = true;
	else if (status != RUSD_OK)
	{
		log_debug("closed a connection", LOG_TEXT("remote-addr", session->from->peer),
				  LOG_TEXT("reason", net_session_end_reason(session->net)));
		session->lost = true;
	}
	if (unlikely(session->titled != net_session_protocol(session->net)))
	{
		session->titled = net_session_protocol(session->net);
		set_what(session->from->peer, session->titled);
	}
	if (unlikely(session->memory.refused != session->refused_seen))
	{
		count(my_area, COUNTER_MEMORY_REFUSED, session->memory.refused - session->refused_seen);
		session->refused_seen = session->memory.refused;
	}
}

/* Writes what there is until the socket takes no more, or the turn has written enough. */
static void
flush(Session *session)
{
	session->more = false;
	session->took = false;
	for (int i = 0; i < WRITES_A_TURN; i++)
	{
		ssize_t sent;

		if (session->unsent_length == 0)
		{
			session->unsent_start = 0;
			session->unsent_length = net_session_send(session->net, out_buffer, sizeof(out_buffer));
			if (session->unsent_length == 0)
				return;
			INJECT("backend-before-send");
		}
		sent = stream_write(&session->stream, out_buffer + session->unsent_start,
							session->unsent_length);
		if (sent < 0)
		{
			session->lost = errno != EAGAIN && errno != EINTR;
			return;
		}
		count(my_area, COUNTER_SENT_BYTES, (uint64_t) sent);
		session->took = true;
		session->unsent_start += (size_t) sent;
		session->unsent_length -= (size_t) sent;
		if (session->unsent_length > 0)
			return;
	}
	session->more = true;
}

/* ---- the end ---- */

/*
 * SIGTERM: GOAWAY, running calls may finish for T_req (BOOT-51), then they are cut. A client that
 * has nothing open and does not answer the GOAWAY is not waited for longer than it takes to see
 * it.
 */
static void
drain(Session *session, uint64_t now_ns)
{
	uint64_t calls_ns =
		UINT64_C(5000) * NS_PER_MS + 2 * (uint64_t) config.election_timeout * NS_PER_MS;
	bool idle = net_session_streams(session->net) == 0 && !rpc_is_busy(session->rpc);

	if (atomic_load_explicit(&my_shm->requests->member_removed, memory_order_relaxed) != 0)
		rpc_stop(session->rpc);
	if (session->drain_began_ns == 0)
	{
		session->drain_began_ns = now_ns;
		net_session_drain(session->net);
		return;
	}
	if (now_ns - session->drain_began_ns >= (idle ? (uint64_t) LINGER_MS * NS_PER_MS : calls_ns))
	{
		net_session_cut(session->net);
		flush(session);
		session->lost = true;
	}
}

static bool
is_over(const Session *session)
{
	return session->lost ||
		   (session->unsent_length == 0 && !session->more && net_session_is_done(session->net));
}

/*
 * Handlers are told, so that all pins are gone; what is proposed and not answered is dropped by
 * its generation. If bytes of ours are still under way, the socket is closed only when the client
 * has closed too, or after a moment: closing with unread input would reset the connection, and
 * the client might lose the end of what we said.
 */
static void
end_connection(Session *session)
{
	uint64_t give_up_ns =
		session->clock->monotonic_ns(session->clock) + (uint64_t) LINGER_MS * NS_PER_MS;

	net_session_destroy(session->net);
	rpc_destroy(session->rpc);
	stream_shutdown(&session->stream);
	for (;;)
	{
		uint64_t now_ns = session->clock->monotonic_ns(session->clock);
		ssize_t got = recv(session->stream.socket, in_buffer, sizeof(in_buffer), MSG_DONTWAIT);

		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR) || now_ns >= give_up_ns)
			return;
		if (got > 0)
			continue;
		latch_reset(my_latch);
		(void) latch_wait_socket(my_latch, session->stream.socket, WAIT_READABLE,
								 (int) ((give_up_ns - now_ns) / NS_PER_MS) + 1, WAIT_EVENT_CLIENT);
	}
}
