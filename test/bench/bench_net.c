/*
 * bench_net.c
 *	A server of net/ alone: every call is answered with the same 300 bytes from memory. One
 *	  process, one thread, all connections: what a request costs on the wire, beside nghttpd with
 *	  a file of that size.
 *
 *		build/gcc/test/bench/bench_net 18080 &
 *		h2load -c10 -m100 -n1000000 -d request -H 'content-type: application/grpc' -H 'te: trailers'
 *			http://127.0.0.1:18080/etcdserverpb.KV/Range
 *
 * At SIGTERM it prints requests and CPU time per request.
 *
 * test/bench/bench_net.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/net.h"

#define BUFFER_BYTES 65536

typedef struct Connection
{
	int socket;
	NetSession *session;
	uint8_t *unsent;
	size_t unsent_length;
} Connection;

static uint64_t requests;
static uint8_t answer[300];
static volatile sig_atomic_t stop;

static void
on_signal(int number)
{
	(void) number;
	stop = 1;
}

static uint64_t
monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

static void
on_call(void *arg, NetCall *call)
{
	(void) arg;
	requests++;
	net_call_reply_arena(call, answer, sizeof(answer));
}

static void
on_close(void *arg, NetCall *call)
{
	(void) arg;
	(void) call;
}

static void
on_http(void *arg, NetHttp *http)
{
	(void) arg;
	requests++;
	net_http_reply(http, 200, NULL, (Bytes){answer, sizeof(answer)});
}

static void
on_http_close(void *arg, NetHttp *http)
{
	(void) arg;
	(void) http;
}

static const void *
find_method(void *arg, const char *path)
{
	(void) arg;
	return path[0] == '/' ? answer : NULL;
}

static const NetHandlers handlers = {
	.on_call = on_call,
	.on_close = on_close,
	.on_http = on_http,
	.on_http_close = on_http_close,
	.find_method = find_method,
};

static const NetLimits limits = {
	.message_max = 2097152,
	.streams_max = UINT32_MAX,
	.keepalive_min_ns = UINT64_C(5000000000),
	.keepalive_interval_ns = UINT64_C(7200000000000),
	.keepalive_timeout_ns = UINT64_C(20000000000),
};

static void
close_connection(Connection *connection)
{
	net_session_destroy(connection->session);
	close(connection->socket);
	free(connection->unsent);
	free(connection);
}

/* False: the connection is gone. */
static bool
write_out(Connection *connection)
{
	static uint8_t out[BUFFER_BYTES];

	for (;;)
	{
		const uint8_t *data = connection->unsent;
		size_t length = connection->unsent_length;
		ssize_t sent;

		if (length == 0)
		{
			data = out;
			length = net_session_send(connection->session, out, sizeof(out));
			if (length == 0)
				return !net_session_is_done(connection->session);
		}
		sent = send(connection->socket, data, length, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN)
			return false;
		sent = Max(sent, 0);
		if (connection->unsent == NULL)
			connection->unsent = malloc(BUFFER_BYTES);
		memmove(connection->unsent, data + sent, length - (size_t) sent);
		connection->unsent_length = length - (size_t) sent;
		if (connection->unsent_length > 0)
			return true;
	}
}

static bool
serve(Connection *connection, uint32_t events)
{
	static uint8_t in[BUFFER_BYTES];

	ssize_t got = 0;

	/* Edge-triggered: until a read is not filled. */
	while (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
	{
		got = recv(connection->socket, in, sizeof(in), 0);
		if (got == 0 || (got < 0 && errno != EAGAIN))
			return false;
		if (got > 0 &&
			net_session_receive(connection->session, in, (size_t) got, monotonic_ns()) != RUSD_OK)
		{
			write_out(connection);
			return false;
		}
		if (got < (ssize_t) sizeof(in))
			break;
		if (!write_out(connection))
			return false;
	}
	return write_out(connection);
}

static void
accept_connection(int listener, int epoll)
{
	Connection *connection = calloc(1, sizeof(*connection));
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};

	connection->socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (connection->socket < 0 || net_session_create(&limits, &handlers, NULL, monotonic_ns(),
													 &connection->session) != RUSD_OK)
	{
		free(connection);
		return;
	}
	setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	epoll_ctl(epoll, EPOLL_CTL_ADD, connection->socket, &event);
}

int
main(int argc, char **argv)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event events[64];
	struct rusage usage;
	double seconds;

	address.sin_port = htons((uint16_t) (argc > 1 ? atoi(argv[1]) : 18080));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(listener, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		listen(listener, 128) != 0)
	{
		perror("bench_net");
		return 1;
	}
	signal(SIGTERM, on_signal);
	memset(answer, 'x', sizeof(answer));
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener,
			  &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
	while (!stop)
	{
		int count = epoll_wait(epoll, events, lengthof(events), -1);

		for (int i = 0; i < count; i++)
		{
			if (events[i].data.ptr == NULL)
				accept_connection(listener, epoll);
			else if (!serve(events[i].data.ptr, events[i].events))
				close_connection(events[i].data.ptr);
		}
	}
	getrusage(RUSAGE_SELF, &usage);
	seconds = (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			  (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("%" PRIu64 " requests, %.3f us of CPU each (%.3f user)\n", requests,
		   seconds * 1e6 / (double) Max(requests, 1),
		   ((double) usage.ru_utime.tv_sec * 1e6 + (double) usage.ru_utime.tv_usec) /
			   (double) Max(requests, 1));
	return 0;
}
