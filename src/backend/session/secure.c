/*
 * secure.c
 *	  The TLS handshake of an accepted connection, where its listener has TLS.
 *
 * Backends, and processes peer for the connections of other members.
 *
 * src/backend/session/secure.c
 */
#include "rusd.h"

#include <sys/socket.h>

#include "activity/metrics.h"
#include "session/session.h"
#include "tls/contexts.h"
#include "utils/log.h"

#define NS_PER_MS 1000000
#define TLS_HANDSHAKE_RECORD 22

/* False: the node stops, or it has taken too long. */
static bool
wait_for_socket(int socket, int wanted, uint64_t give_up_ns)
{
	uint64_t now_ns = clock_os.monotonic_ns(&clock_os);

	if (stop_requested || now_ns >= give_up_ns)
		return false;
	(void) latch_wait_socket(my_latch, socket, wanted,
							 (int) ((give_up_ns - now_ns) / NS_PER_MS) + 1, WAIT_EVENT_HANDSHAKE);
	latch_reset(my_latch);
	return true;
}

/* A record of a handshake begins with 22; no request of HTTP/1.1 or HTTP/2 does. */
static bool
begins_with_tls(int socket, uint64_t give_up_ns)
{
	uint8_t byte = 0;

	do
	{
		ssize_t got = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

		if (got >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	} while (wait_for_socket(socket, WAIT_READABLE, give_up_ns));
	return byte == TLS_HANDSHAKE_RECORD;
}

static void
log_refused(const char *peer, Status status, const char *why)
{
	const char *message = my_listener == LISTENER_PEER ? "rejected connection on peer endpoint"
													   : "rejected connection on client endpoint";

	/* Who only looks whether the port is open is no news. */
	if (status == RUSD_END)
	{
		log_debug(message, LOG_TEXT("remote-addr", peer), LOG_TEXT("error", why));
		return;
	}
	count(my_area, COUNTER_TLS_REFUSED, 1);
	log_warn(message, LOG_TEXT("remote-addr", peer), LOG_TEXT("error", why));
}

static bool
shake_hands(const Connection *connection, Stream *stream, uint64_t give_up_ns)
{
	char text[128];
	Status status =
		tls_accept(stream, tls_contexts_get(my_listener == LISTENER_PEER ? TLS_PEERS : TLS_CLIENTS),
				   connection->socket, connection->peer, connection->listen_number);

	while (status == RUSD_OK && (status = stream_handshake(stream)) == RUSD_AGAIN)
		status = wait_for_socket(stream->socket, stream->read_waits, give_up_ns)
					 ? RUSD_OK
					 : RUSD_DEADLINE_EXCEEDED;
	if (status == RUSD_OK && strcmp(stream_protocol(stream), "h2") == 0 &&
		stream_forbids_h2(stream))
	{
		snprintf(stream->error, sizeof(stream->error), "HTTP/2 forbids %s",
				 stream_cipher(stream, text, sizeof(text)));
		status = RUSD_INVALID;
	}
	if (status != RUSD_OK)
	{
		log_refused(connection->peer, status,
					stream->error[0] != '\0' ? stream->error : "the handshake did not end in time");
		return false;
	}
	count(my_area, stream_is_resumed(stream) ? COUNTER_TLS_RESUMED : COUNTER_TLS_HANDSHAKES, 1);
	log_debug("TLS", LOG_TEXT("remote-addr", connection->peer),
			  LOG_TEXT("cipher", stream_cipher(stream, text, sizeof(text))),
			  LOG_TEXT("protocol", stream_protocol(stream)));
	return true;
}

bool
session_secure(const Connection *connection, Stream *stream)
{
	uint64_t give_up_ns = clock_os.monotonic_ns(&clock_os) + TLS_HANDSHAKE_NS;
	bool good = true;

	stream_plain(stream, connection->socket);
	if (connection->transport == TRANSPORT_PLAIN)
		return true;
	if (connection->transport == TRANSPORT_TLS || begins_with_tls(connection->socket, give_up_ns))
		good = shake_hands(connection, stream, give_up_ns);
	tls_contexts_keep(TLS_NO_SIDE);
	atomic_store_explicit(&my_area->established, my_generation, memory_order_relaxed);
	return good;
}
