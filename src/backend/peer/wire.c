/*
 * wire.c
 *	  Bytes between a link and its socket.  Processes peer and transfer.
 *
 * src/backend/peer/wire.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "activity/metrics.h"
#include "ipc/process.h"
#include "peer_int.h"
#include "utils/config.h"
#include "utils/log.h"

#define RECEIVE_BYTES (256 * 1024)
/* What one turn may write before ring and latch have theirs. */
#define WRITES_A_TURN 16

static uint8_t buffer[RECEIVE_BYTES];

static void
set_option(int socket, int level, int name, int value)
{
	if (setsockopt(socket, level, name, &value, sizeof(value)) != 0)
		log_debug("a socket option could not be set", LOG_INTEGER("option", name),
				  LOG_ERRNO(errno));
}

void
peer_wire_set_up(int socket)
{
	int flags = fcntl(socket, F_GETFL);
	int64_t lost_ms = config.raft_write_timeout / (int64_t) NS_PER_MS;

	if (flags < 0 || fcntl(socket, F_SETFL, flags | O_NONBLOCK) != 0)
		log_warn("a socket could not be made non-blocking", LOG_ERRNO(errno));
	set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
	if (lost_ms > 0 && lost_ms <= INT_MAX)
		set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, (int) lost_ms);
}

/* What there is, once; the link's handlers are called. */
static void
receive(PeerWire *wire, uint64_t now_ns)
{
	do
	{
		ssize_t got = stream_read(&wire->stream, buffer, sizeof(buffer));

		if (got < 0)
		{
			wire->is_lost = wire->is_lost || (errno != EAGAIN && errno != EINTR);
			return;
		}
		wire->heard_ns = now_ns;
		count_peer(my_area, PEER_RECEIVED_BYTES, (uint64_t) got);
		if (got == 0 || net_link_receive(wire->link, buffer, (size_t) got) != RUSD_OK)
			wire->is_lost = true;
		if (!wire->is_lost && net_link_pongs(wire->link) != wire->pongs)
		{
			wire->pongs = net_link_pongs(wire->link);
			wire->round_trip_ns = now_ns - wire->pinged_ns;
		}
		/* Of TLS all that is here, for the socket does not tell of it. */
	} while (wire->stream.pending && !wire->is_lost);
}

void
peer_wire_wait(PeerWire *wire, bool is_blocked, int limit_ms, WaitEvent event)
{
	int reading = wire->stream.read_waits;
	int wanted = reading | (is_blocked ? wire->stream.write_waits : 0);
	int happened = latch_wait_socket(my_latch, wire->socket, wanted,
									 wire->stream.pending ? 0 : limit_ms, event);

	/* Before any look for work: what is set from here on wakes the next sleep. */
	latch_reset(my_latch);
	if ((happened & reading) != 0 || wire->stream.pending)
		receive(wire, clock_os.monotonic_ns(&clock_os));
}

bool
peer_wire_flush(PeerWire *wire)
{
	for (int i = 0; i < WRITES_A_TURN; i++)
	{
		Bytes output;
		ssize_t sent;

		if (net_link_output(wire->link, &output) != RUSD_OK)
		{
			wire->is_lost = true;
			return false;
		}
		if (output.length == 0)
			return false;
		sent = stream_write(&wire->stream, output.data, output.length);
		if (sent < 0)
		{
			wire->is_lost = wire->is_lost || (errno != EAGAIN && errno != EINTR);
			return !wire->is_lost;
		}
		net_link_written(wire->link, (size_t) sent);
		count_peer(my_area, PEER_SENT_BYTES, (uint64_t) sent);
		if ((size_t) sent < output.length)
			return true;
	}
	return true;
}

bool
peer_wire_is_silent(PeerWire *wire, uint64_t now_ns)
{
	if (wire->pinged_ns > wire->heard_ns)
		return now_ns - wire->pinged_ns > (uint64_t) Max(config.raft_write_timeout, 1);
	if (now_ns - wire->pinged_ns < PEER_WIRE_SLEEP_MS * NS_PER_MS)
		return false;
	net_link_ping(wire->link);
	wire->pinged_ns = now_ns;
	/* Now, for the round trip is measured. */
	(void) peer_wire_flush(wire);
	return false;
}

void
peer_wire_close(PeerWire *wire)
{
	if (wire->link != NULL)
		net_link_destroy(wire->link);
	stream_close(&wire->stream);
	if (wire->socket >= 0)
		close(wire->socket);
	*wire = (PeerWire){.socket = -1};
}
