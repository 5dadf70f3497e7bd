/*
 * load.c
 *	  A client that costs little: keeps a number of gRPC calls under way on a number of connections.
 *
 *		load PORT get|put [-c CONNECTIONS] [-m STREAMS] [-n REQUESTS] [-k KEYS] [-v VALUE-BYTES]
 *		load PORT fill    [...]             puts each of the KEYS keys once, in order
 *		load PORT file    [...]             GET /file, for nghttpd
 *		load PORT connect [-c CONNECTIONS] ...  one get on each of REQUESTS connections, so many at a time
 *		load PORT slow    [-c CONNECTIONS] [-r BYTES-PER-SECOND]
 *		load PORT ...     -T CA.pem [-C CERT.pem -K KEY.pem]    over TLS, every handshake a full one
 *
 * get and put take keys at random (the same ones in every run).  slow has each connection ask for
 * all keys at once and read the answer no faster than told.  SIGTERM: no more calls are begun.  One line of results on
 * standard output: name=value ...; the status is 1 if any call failed.  One thread, epoll, nghttp2, OpenSSL.
 *
 * test/bench/load.c
 */
#include "rusd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "port/crc32c.h"

#define READ_BYTES (256 << 10)
#define SLOW_BYTES (16 << 10)
#define WINDOW (1 << 30)
#define KEY_BYTES 16
#define TICK_MS 5

typedef enum Mode
{
	MODE_GET,
	MODE_PUT,
	MODE_FILL,
	MODE_FILE,
	MODE_CONNECT,
	MODE_SLOW
} Mode;

struct Connection;

/* One call under way. */
typedef struct Call
{
	struct Connection *connection;
	uint8_t *body;
	size_t length;
	size_t sent;
	uint64_t began_ns;
	uint64_t received;
	uint32_t crc;
	bool good;
} Call;

typedef struct Connection
{
	int fd;
	SSL *ssl; /* NULL: none */
	nghttp2_session *session;
	const uint8_t *unsent;
	size_t unsent_length;
	uint8_t *kept; /* what unsent points into, if the socket was full */
	bool waits_to_write;
	bool waits_to_read;     /* TLS has nothing to write before something has come */
	bool has_ended;         /* connect: its call is done */
	Call *call;             /* connect: it */
	uint64_t allowed_bytes; /* slow: read so far and until now */
	uint64_t read_bytes;
} Connection;

static Mode mode;
static int connections = 10;
static int streams = 100;
static uint64_t requests = 100000;
static uint64_t key_count = 10000;
static size_t value_bytes = 256;
static uint64_t rate = 10000000;

static char authority[32];
static uint64_t begun, done, failed;
static uint32_t *latencies_us;
static uint64_t random_state = 88172645463325252u;
static uint64_t answer_bytes;
static uint32_t answer_crc;
static char complaint[128]; /* the last one */
static char last_status[8];
static uint32_t last_error; /* HTTP/2's */
static bool answers_differ;
static SSL_CTX *tls; /* NULL: plain text */
static int port;
static volatile sig_atomic_t stop_requested;

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

does_not_return static void
die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t
next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* ---- requests ---- */

static uint8_t *
put_varint(uint8_t *at, uint64_t value)
{
	while (value >= 0x80)
	{
		*at++ = (uint8_t) (value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t) value;
	return at;
}

/* Field of bytes with this number. */
static uint8_t *
put_field(uint8_t *at, unsigned field, const void *data, size_t length)
{
	at = put_varint(at, field << 3 | 2);
	at = put_varint(at, length);
	memcpy(at, data, length);
	return at + length;
}

/* The framed message of the next call. */
static void
make_body(Call *call)
{
	char key[KEY_BYTES + 1];
	uint64_t number = mode == MODE_FILL ? begun : next_random() % key_count;
	uint8_t *start = call->body + 5;
	uint8_t *at = start;

	if (mode == MODE_SLOW)
	{
		at = put_field(at, 1, "\0", 1);
		at = put_field(at, 2, "\0", 1);
	}
	else
	{
		snprintf(key, sizeof(key), "key%013" PRIu64, number);
		at = put_field(at, 1, key, KEY_BYTES);
		if (mode == MODE_PUT || mode == MODE_FILL)
		{
			static uint8_t *value;

			bool is_new = value == NULL;

			if (is_new && (value = malloc(value_bytes)) == NULL)
				die("malloc");
			/* fill: nothing that compression could gain from */
			for (size_t i = 0; i < value_bytes && (is_new || mode == MODE_FILL); i += 8)
			{
				uint64_t word = next_random();

				memcpy(value + i, &word, Min(sizeof(word), value_bytes - i));
			}
			at = put_field(at, 2, value, value_bytes);
		}
	}
	call->length = (size_t) (at - call->body);
	call->body[0] = 0;
	for (int i = 0; i < 4; i++)
		call->body[1 + i] = (uint8_t) ((call->length - 5) >> (24 - 8 * i));
	call->sent = 0;
}

static ssize_t
give_body(nghttp2_session *session, int32_t stream, uint8_t *buffer, size_t room, uint32_t *flags,
		  nghttp2_data_source *source, void *user)
{
	Call *call = source->ptr;
	size_t n = Min(room, call->length - call->sent);

	(void) session;
	(void) stream;
	(void) user;
	memcpy(buffer, call->body + call->sent, n);
	call->sent += n;
	if (call->sent == call->length)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t) n;
}

#define NV(name, value)                                                                            \
	{                                                                                              \
		(uint8_t *) (uintptr_t) (name), (uint8_t *) (uintptr_t) (value), sizeof(name) - 1,         \
			strlen(value), NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE            \
	}

static void
begin_call(Call *call)
{
	bool puts = mode == MODE_PUT || mode == MODE_FILL;
	nghttp2_nv grpc[] = {NV(":method", "POST"),
						 NV(":scheme", "http"),
						 NV(":path", puts ? "/etcdserverpb.KV/Put" : "/etcdserverpb.KV/Range"),
						 NV(":authority", authority),
						 NV("content-type", "application/grpc"),
						 NV("te", "trailers")};
	nghttp2_nv file[] = {NV(":method", "GET"), NV(":scheme", "http"), NV(":path", "/file"),
						 NV(":authority", authority)};
	nghttp2_data_provider provider = {.source = {.ptr = call}, .read_callback = give_body};
	int32_t stream;

	if (mode == MODE_FILE)
		stream = nghttp2_submit_request(call->connection->session, NULL, file, lengthof(file), NULL,
										call);
	else
	{
		make_body(call);
		stream = nghttp2_submit_request(call->connection->session, NULL, grpc, lengthof(grpc),
										&provider, call);
	}
	if (stream < 0)
	{
		fprintf(stderr, "load: %s\n", nghttp2_strerror(stream));
		exit(2);
	}
	begun++;
	call->received = 0;
	call->crc = 0;
	call->good = false;
	call->began_ns = now_ns();
}

/* ---- what the library tells ---- */

static int
take_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
			size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
			void *user)
{
	const char *wanted = mode == MODE_FILE ? ":status" : "grpc-status";
	Call *call;

	(void) flags;
	(void) user;
	if (name_length == 12 && value_length > 0 && memcmp(name, "grpc-message", 12) == 0)
		snprintf(complaint, sizeof(complaint), "%.*s", (int) value_length, (const char *) value);
	if (name_length != strlen(wanted) || memcmp(name, wanted, name_length) != 0)
		return 0;
	if (mode != MODE_FILE && (value_length != 1 || *value != '0'))
		snprintf(last_status, sizeof(last_status), "%.*s", (int) value_length,
				 (const char *) value);
	call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (call != NULL)
		call->good = mode == MODE_FILE ? value_length == 3 && memcmp(value, "200", 3) == 0
									   : value_length == 1 && *value == '0';
	return 0;
}

static int
take_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
		  size_t length, void *user)
{
	Call *call = nghttp2_session_get_stream_user_data(session, stream);

	(void) flags;
	(void) user;
	if (call == NULL)
		return 0;
	call->received += length;
	if (mode == MODE_SLOW)
		call->crc = crc32c(call->crc, data, length);
	return 0;
}

static int
take_close(nghttp2_session *session, int32_t stream, uint32_t error, void *user)
{
	Call *call = nghttp2_session_get_stream_user_data(session, stream);

	(void) user;
	if (call == NULL)
		return 0;
	latencies_us[done++] = (uint32_t) Min((now_ns() - call->began_ns) / 1000, UINT32_MAX);
	/* A get that found nothing would be cheap and wrong. */
	if (error != 0 || !call->good ||
		((mode == MODE_GET || mode == MODE_CONNECT) && call->received < value_bytes))
	{
		failed++;
		last_error = error;
	}
	if (mode == MODE_SLOW)
	{
		answers_differ |=
			answer_bytes != 0 && (answer_bytes != call->received || answer_crc != call->crc);
		answer_bytes = call->received;
		answer_crc = call->crc;
	}
	if (mode == MODE_CONNECT)
		call->connection->has_ended = true;
	else if (begun < requests)
		begin_call(call);
	return 0;
}

/* ---- connections ---- */

does_not_return static void
die_of_tls(const char *what)
{
	fprintf(stderr, "load: %s: ", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static void
tls_set_up(const char *authority_path, const char *cert, const char *key)
{
	tls = SSL_CTX_new(TLS_client_method());
	if (tls == NULL || SSL_CTX_load_verify_locations(tls, authority_path, NULL) != 1 ||
		(cert != NULL && (SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
						  SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)) ||
		SSL_CTX_set_alpn_protos(tls, (const unsigned char *) "\2h2", 3) != 0)
		die_of_tls("certificates");
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static void
socket_open(Connection *c)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
								  .sin_port = htons((uint16_t) port),
								  .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int one = 1;
	int small = 64 << 10;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	if (mode == MODE_SLOW)
		(void) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (connect(c->fd, (struct sockaddr *) &address, sizeof(address)) != 0)
		die("connect");
	(void) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0)
		die("fcntl");
	if (tls == NULL)
		return;
	c->ssl = SSL_new(tls);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1)
		die_of_tls("connection");
	SSL_set_connect_state(c->ssl);
}

static void
connection_open(Connection *c)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, mode == MODE_SLOW ? 65535 : WINDOW}};

	socket_open(c);
	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, take_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, take_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, take_close);
	if (nghttp2_session_client_new(&c->session, callbacks, c) != 0)
		die("nghttp2");
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, lengthof(settings));
	if (mode != MODE_SLOW)
		nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, WINDOW);
}

/* As send(); EAGAIN also where TLS must read first (waits_to_read). */
static ssize_t
bytes_send(Connection *c, const uint8_t *data, size_t length)
{
	int n, error;

	if (c->ssl == NULL)
		return send(c->fd, data, length, MSG_NOSIGNAL);
	ERR_clear_error();
	n = SSL_write(c->ssl, data, (int) length);
	if (n > 0)
		return n;
	error = SSL_get_error(c->ssl, n);
	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		die_of_tls("write");
	c->waits_to_read = error == SSL_ERROR_WANT_READ;
	errno = EAGAIN;
	return -1;
}

/* As recv(). */
static ssize_t
bytes_receive(Connection *c, uint8_t *buffer, size_t room)
{
	int n, error;

	if (c->ssl == NULL)
		return recv(c->fd, buffer, room, 0);
	ERR_clear_error();
	n = SSL_read(c->ssl, buffer, (int) room);
	if (n > 0)
		return n;
	error = SSL_get_error(c->ssl, n);
	if (error == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		die_of_tls("read");
	errno = EAGAIN;
	return -1;
}

/* Sends what there is.  Returns whether everything went. */
static bool
connection_send(Connection *c)
{
	static uint8_t gathered[256 << 10];

	c->waits_to_read = false;
	for (;;)
	{
		ssize_t n;

		if (c->unsent_length == 0)
		{
			size_t have = 0;
			const uint8_t *data;

			/* Small frames go out together, one system call for all. */
			while (have < sizeof(gathered) / 2 &&
				   (n = nghttp2_session_mem_send(c->session, &data)) > 0)
			{
				memcpy(gathered + have, data, (size_t) n);
				have += (size_t) n;
			}
			if (have == 0)
				return true;
			c->unsent = gathered;
			c->unsent_length = have;
		}
		n = bytes_send(c, c->unsent, c->unsent_length);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
		{
			/* gathered belongs to all connections */
			uint8_t *kept = malloc(c->unsent_length);

			if (kept == NULL)
				die("malloc");
			memcpy(kept, c->unsent, c->unsent_length);
			free(c->kept);
			c->unsent = c->kept = kept;
			return false;
		}
		if (n < 0)
			die("send");
		c->unsent += n;
		c->unsent_length -= (size_t) n;
	}
}

static void
connection_read(Connection *c)
{
	static uint8_t buffer[READ_BYTES];
	size_t room = mode == MODE_SLOW ? SLOW_BYTES : READ_BYTES;

	/* Of TLS all that is here, for epoll does not tell of it. */
	do
	{
		ssize_t n = bytes_receive(c, buffer, room);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
		{
			fprintf(stderr, "load: the server closed a connection\n");
			exit(1);
		}
		c->read_bytes += (uint64_t) n;
		if (nghttp2_session_mem_recv(c->session, buffer, (size_t) n) < 0)
		{
			fprintf(stderr, "load: malformed HTTP/2 from the server\n");
			exit(1);
		}
	} while (c->ssl != NULL && SSL_pending(c->ssl) > 0);
}

static void
connection_close(Connection *c)
{
	nghttp2_session_del(c->session);
	SSL_free(c->ssl);
	close(c->fd);
	free(c->kept);
	*c = (Connection){.call = c->call};
}

/* ---- the run ---- */

static void
watch(int epoll, Connection *c, int operation, uint32_t events)
{
	struct epoll_event event = {.events = events, .data = {.ptr = c}};

	if (epoll_ctl(epoll, operation, c->fd, &event) != 0)
		die("epoll_ctl");
}

/* Begins its first calls. */
static void
connection_start(Connection *c, int epoll)
{
	connection_open(c);
	for (int s = 0; s < streams && begun < requests; s++)
	{
		Call *call = c->call != NULL ? c->call : calloc(1, sizeof(*call));

		if (call == NULL ||
			(call->body == NULL && (call->body = malloc(value_bytes + 128)) == NULL))
			die("malloc");
		call->connection = c;
		if (mode == MODE_CONNECT)
			c->call = call;
		begin_call(call);
	}
	c->waits_to_write = !connection_send(c) && !c->waits_to_read;
	watch(epoll, c, EPOLL_CTL_ADD, c->waits_to_write ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void
connection_turn(Connection *c, int epoll, uint32_t events)
{
	bool waits;

	if (events & ~(uint32_t) EPOLLOUT)
		connection_read(c);
	if (c->has_ended)
	{
		connection_close(c);
		if (begun < requests)
			connection_start(c, epoll);
		return;
	}
	waits = !connection_send(c) && !c->waits_to_read;
	if (waits != c->waits_to_write)
	{
		c->waits_to_write = waits;
		watch(epoll, c, EPOLL_CTL_MOD, waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
	}
}

static void
run(int epoll)
{
	while (done < requests)
	{
		struct epoll_event events[64];
		int n = epoll_wait(epoll, events, lengthof(events), 10000);

		if (stop_requested)
			requests = begun;
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
		{
			fprintf(stderr, "load: no answer for 10 s, %" PRIu64 " of %" PRIu64 " done\n", done,
					requests);
			exit(1);
		}
		for (int i = 0; i < n; i++)
			connection_turn(events[i].data.ptr, epoll, events[i].events);
	}
}

static void
on_stop(int number)
{
	(void) number;
	stop_requested = 1;
}

/* Every connection may read so much by now; between two looks the process waits in epoll. */
static void
run_slowly(Connection *all)
{
	uint64_t began = now_ns();

	while (done < requests)
	{
		uint64_t allowed = (now_ns() - began) / 1000 * rate / 1000000;

		for (int i = 0; i < connections; i++)
		{
			while (all[i].read_bytes < allowed)
			{
				uint64_t before = all[i].read_bytes;

				connection_read(&all[i]);
				if (!connection_send(&all[i]) || all[i].read_bytes == before)
					break;
			}
		}
		(void) poll(NULL, 0, TICK_MS); /* this slowness is what is measured */
	}
}

static int
compare_latency(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *) a;
	uint32_t y = *(const uint32_t *) b;

	return x < y ? -1 : x > y;
}

static void
report(double seconds)
{
	double sum = 0;

	qsort(latencies_us, done, sizeof(*latencies_us), compare_latency);
	for (uint64_t i = 0; i < done; i++)
		sum += latencies_us[i];
	printf("requests=%" PRIu64 " failed=%" PRIu64
		   " seconds=%.3f rate=%.0f mean_us=%.1f p50_us=%u p99_us=%u max_us=%u",
		   done, failed, seconds, (double) done / seconds, sum / (double) done,
		   latencies_us[done / 2], latencies_us[done * 99 / 100], latencies_us[done - 1]);
	if (mode == MODE_SLOW)
		printf(" bytes=%" PRIu64 " crc=%08x same=%d", answer_bytes, answer_crc, !answers_differ);
	putchar('\n');
	if (failed > 0)
		fprintf(stderr, "load: %" PRIu64 " calls failed, the last one: %s %s (HTTP/2: %u)\n",
				failed, last_status, complaint, last_error);
}

static Mode
mode_of(const char *name)
{
	static const char *const names[] = {"get", "put", "fill", "file", "connect", "slow"};

	for (size_t m = 0; m < lengthof(names); m++)
		if (strcmp(name, names[m]) == 0)
			return (Mode) m;
	fprintf(stderr, "load: no mode %s\n", name);
	exit(2);
}

static void
options(int argc, char **argv)
{
	const char *authority_path = NULL, *cert = NULL, *key = NULL;
	int option;

	if (argc < 3)
	{
		fprintf(stderr, "usage: load PORT get|put|fill|file|connect|slow [-c N] [-m N] [-n N] "
						"[-k N] [-v N] [-r N] [-T FILE [-C FILE -K FILE]]\n");
		exit(2);
	}
	port = atoi(argv[1]);
	snprintf(authority, sizeof(authority), "127.0.0.1:%s", argv[1]);
	mode = mode_of(argv[2]);
	optind = 3;
	while ((option = getopt(argc, argv, "c:m:n:k:v:r:T:C:K:")) != -1)
	{
		unsigned long long value = optarg != NULL ? strtoull(optarg, NULL, 10) : 0;

		switch (option)
		{
			case 'c':
				connections = (int) value;
				break;
			case 'm':
				streams = (int) value;
				break;
			case 'n':
				requests = value;
				break;
			case 'k':
				key_count = value;
				break;
			case 'v':
				value_bytes = (size_t) value;
				break;
			case 'r':
				rate = value;
				break;
			case 'T':
				authority_path = optarg;
				break;
			case 'C':
				cert = optarg;
				break;
			case 'K':
				key = optarg;
				break;
			default:
				exit(2);
		}
	}
	if (authority_path != NULL)
		tls_set_up(authority_path, cert, key);
	if (mode == MODE_FILL)
		requests = key_count;
	if (mode == MODE_CONNECT)
		streams = 1;
	if (mode == MODE_SLOW)
	{
		requests = (uint64_t) connections;
		streams = 1;
	}
}

int
main(int argc, char **argv)
{
	Connection *all;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	uint64_t began;

	options(argc, argv);
	all = calloc((size_t) connections, sizeof(*all));
	latencies_us = calloc(requests, sizeof(*latencies_us));
	if (all == NULL || latencies_us == NULL || epoll < 0)
		die("start");
	(void) signal(SIGTERM, on_stop);
	(void) signal(SIGPIPE, SIG_IGN);
	began = now_ns();
	for (int i = 0; i < connections && begun < requests; i++)
		connection_start(&all[i], epoll);
	if (mode == MODE_SLOW)
		run_slowly(all);
	else
		run(epoll);
	report((double) (now_ns() - began) / 1e9);
	return failed > 0 || answers_differ ? 1 : 0;
}
