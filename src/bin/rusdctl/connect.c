/*
 * connect.c
 *	  A byte stream to a server: TCP or a unix socket, plain or in TLS, with deadlines.
 *
 * The socket does not block; all waiting is in wait_for_socket.  TLS is src/backend/tls.
 *
 * src/bin/rusdctl/connect.c
 */
#include "rusd_fe.h"

#include <ctype.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "connect.h"
#include "tls/stream.h"

#define NS_PER_MS 1000000

struct Connection
{
	Stream stream;
	bool has_certificate;
	bool answered; /* something came */
	char authority[320];
};

/* All connections of a process have the same options. */
static TlsContext *context;

/* An endpoint taken apart. */
typedef struct Place
{
	bool tls;
	bool local;       /* host is the path of a socket */
	const char *name; /* without scheme, to the end */
	size_t name_length;
	char host[256];
	char port[32];
} Place;

int64_t
client_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

char *
error_text(const char *format, ...)
{
	char *out = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&out, format, args) < 0)
		out = NULL;
	va_end(args);
	return out;
}

/* ---- endpoints ---- */

/* "[::1]:2379" into host and port.  Returns false if there is no port in it. */
static bool
split_host_port(Place *place)
{
	const char *start = place->name;
	size_t length = place->name_length;
	const char *colon = memrchr(start, ':', length);

	if (colon == NULL || colon == start || colon == start + length - 1 ||
		(size_t) (start + length - colon - 1) >= sizeof(place->port))
		return false;
	memcpy(place->port, colon + 1, (size_t) (start + length - colon - 1));
	place->port[start + length - colon - 1] = '\0';
	length = (size_t) (colon - start);
	if (*start == '[' && length > 2 && start[length - 1] == ']')
	{
		start++;
		length -= 2;
	}
	if (length >= sizeof(place->host))
		return false;
	memcpy(place->host, start, length);
	place->host[length] = '\0';
	return true;
}

static bool
parse_endpoint(const char *endpoint, bool tls_wanted, Place *place, char **error)
{
	static const struct
	{
		const char *prefix;
		bool tls;
		bool local;
	} schemes[] = {{"http://", false, false}, {"https://", true, false}, {"unix://", false, true},
				   {"unixs://", true, true},  {"unix:", false, true},    {"unixs:", true, true}};

	memset(place, 0, sizeof(*place));
	place->name = endpoint;
	place->tls = tls_wanted;
	for (size_t i = 0; i < lengthof(schemes); i++)
	{
		if (strncmp(endpoint, schemes[i].prefix, strlen(schemes[i].prefix)) != 0)
			continue;
		place->name = endpoint + strlen(schemes[i].prefix);
		place->tls = schemes[i].tls;
		place->local = schemes[i].local;
		break;
	}
	place->name_length = place->local ? strlen(place->name) : strcspn(place->name, "/");
	if (place->local)
	{
		if (place->name_length > 0 && place->name_length < sizeof(place->host))
		{
			memcpy(place->host, place->name, place->name_length);
			return true;
		}
		*error = error_text("endpoint %s: not the path of a socket", endpoint);
		return false;
	}
	if (strstr(endpoint, "://") != NULL && place->name == endpoint)
		*error =
			error_text("endpoint %s: the scheme is none of http, https, unix, unixs", endpoint);
	else if (!split_host_port(place))
		*error = error_text("endpoint %s: not of the form HOST:PORT", endpoint);
	else
		return true;
	return false;
}

/* ---- connecting ---- */

static bool
wait_for_socket(int fd, short events, int64_t deadline)
{
	for (;;)
	{
		struct pollfd p = {.fd = fd, .events = events};
		int64_t left = deadline - client_now();
		int n;

		if (left <= 0)
			return false;
		n = poll(&p, 1, (int) Min((left + NS_PER_MS - 1) / NS_PER_MS, INT_MAX));
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return true; /* the call that follows will say what is wrong */
	}
}

/* Connects to one address.  Returns the socket, or -1 with errno. */
static int
connect_address(int family, const struct sockaddr *address, socklen_t size, int64_t deadline)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error = 0;
	socklen_t length = sizeof(error);

	if (fd < 0)
		return -1;
	if (connect(fd, address, size) == 0)
		return fd;
	if (errno == EINPROGRESS)
	{
		if (!wait_for_socket(fd, POLLOUT, deadline))
			error = ETIMEDOUT;
		else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
			error = errno;
		if (error == 0)
			return fd;
	}
	else
		error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int
connect_path(const char *path, int64_t deadline)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
	{
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	return connect_address(AF_UNIX, (struct sockaddr *) &address, sizeof(address), deadline);
}

/* Returns the socket, or -1 with a text in *error. */
static int
connect_place(const Place *place, const char *endpoint, int64_t deadline, char **error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	int fd = -1;
	int one = 1;
	int rc;

	if (place->local)
	{
		fd = connect_path(place->host, deadline);
		if (fd < 0)
			*error = error_text("could not connect to %s: %s", endpoint, strerror(errno));
		return fd;
	}
	/* No host is loopback: localhost is known without a hosts file. */
	rc = getaddrinfo(strcmp(place->host, "localhost") == 0 ? NULL : place->host, place->port,
					 &hints, &found);
	if (rc != 0)
	{
		*error = error_text("endpoint %s: %s", endpoint, gai_strerror(rc));
		return -1;
	}
	for (const struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next)
		fd = connect_address(a->ai_family, a->ai_addr, a->ai_addrlen, deadline);
	if (fd < 0)
		*error = error_text("could not connect to %s: %s", endpoint, strerror(errno));
	else
		(void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only speed */
	freeaddrinfo(found);
	return fd;
}

/* ---- TLS ---- */

/* In Go's words, which scripts know: "open FILE: no such file or directory".  NULL: it can be read. */
static char *
unreadable(const char *file)
{
	char *text;
	char *why;

	if (*file == '\0' || access(file, R_OK) == 0)
		return NULL;
	text = error_text("open %s: %s", file, strerror(errno));
	why = text != NULL ? text + strlen("open ") + strlen(file) + 2 : NULL;
	if (why != NULL)
		*why = (char) tolower((unsigned char) *why);
	return text;
}

char *
connection_load_files(const ConnectOptions *o)
{
	TlsOptions tls = {.cert_file = o->cert,
					  .key_file = o->key,
					  .ca_file = o->cacert,
					  .crl_file = "",
					  .skip_verify = o->skip_verify,
					  .allowed_cn = "",
					  .allowed_hostname = "",
					  .cipher_suites = "",
					  .min_version = "",
					  .max_version = ""};
	char message[512];
	char *error = NULL;

	if ((*o->cert == '\0') == (*o->key == '\0'))
		error = unreadable(o->cert);
	if (error == NULL && *o->cert != '\0')
		error = unreadable(o->key);
	if (error == NULL)
		error = unreadable(o->cacert);
	if (error == NULL && context == NULL &&
		tls_context_create(&tls, &context, message, sizeof(message)) != RUSD_OK)
		error = error_text("%s", message);
	return error;
}

/* Handshake.  Returns NULL or what is wrong. */
static char *
begin_tls(Connection *c, int fd, const char *name, const ConnectOptions *options, int64_t deadline)
{
	char *error = context == NULL ? connection_load_files(options) : NULL;
	Status status;

	if (error != NULL)
		return error;
	if (tls_connect(&c->stream, context, fd, name, "h2") != RUSD_OK)
		return error_text("out of memory");
	while ((status = stream_handshake(&c->stream)) == RUSD_AGAIN)
	{
		if (!wait_for_socket(fd, c->stream.read_waits == STREAM_READABLE ? POLLIN : POLLOUT,
							 deadline))
			return error_text("handshake not done within the time for connecting");
	}
	if (status == RUSD_OK)
		return NULL;
	return error_text("%s", c->stream.error);
}

/* ---- a connection ---- */

Connection *
connection_open(const char *endpoint, const ConnectOptions *options, int64_t deadline, char **error)
{
	Connection *c = calloc(1, sizeof(*c));
	const char *name;
	Place place;
	int fd;

	if (c == NULL)
	{
		*error = error_text("out of memory");
		return NULL;
	}
	if (!parse_endpoint(endpoint, options->tls, &place, error) ||
		(fd = connect_place(&place, endpoint, deadline, error)) < 0)
	{
		free(c);
		return NULL;
	}
	stream_plain(&c->stream, fd);
	if (place.local)
		snprintf(c->authority, sizeof(c->authority), "localhost");
	else
		snprintf(c->authority, sizeof(c->authority), "%.*s", (int) place.name_length, place.name);
	if (!place.tls)
		return c;
	name = options->server_name != NULL ? options->server_name
		   : place.local                ? "localhost"
										: place.host;
	c->has_certificate = *options->cert != '\0';
	*error = begin_tls(c, fd, name, options, deadline);
	if (*error != NULL)
	{
		char *why = *error;

		*error = error_text("TLS with %s: %s", endpoint, why);
		free(why);
		connection_close(c);
		return NULL;
	}
	return c;
}

void
connection_close(Connection *c)
{
	if (c == NULL)
		return;
	stream_shutdown(&c->stream);
	close(c->stream.socket);
	stream_close(&c->stream);
	free(c);
}

const char *
connection_authority(const Connection *c)
{
	return c->authority;
}

bool
connection_is_tls(const Connection *c)
{
	return c->stream.ssl != NULL;
}

/* ---- bytes ---- */

/*
 * With TLS 1.3 a server judges the client's certificate only after the client's side of the
 * handshake is done, and its alert may be lost with the connection: then it is guessed at.
 */
static char *
why_lost(const Connection *c, const char *why)
{
	if (c->stream.ssl == NULL || c->answered)
		return error_text("connection to %s lost: %s", c->authority, why);
	return error_text("connection to %s ended before the server said a word: %s; it %s",
					  c->authority, why,
					  c->has_certificate ? "may not accept the certificate of --cert"
										 : "perhaps wants a certificate (--cert, --key)");
}

/* What became of a call that did not give bytes; TRANSFER_DONE: once more. */
static Transfer
after_error(Connection *c, int waits, int64_t deadline, char **error)
{
	if (errno == EINTR)
		return TRANSFER_DONE;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return wait_for_socket(c->stream.socket, waits == STREAM_READABLE ? POLLIN : POLLOUT,
							   deadline)
				   ? TRANSFER_DONE
				   : TRANSFER_LATE;
	*error = why_lost(c, c->stream.ssl != NULL ? c->stream.error : strerror(errno));
	return TRANSFER_FAILED;
}

Transfer
connection_send(Connection *c, const void *data, size_t length, int64_t deadline, size_t *done,
				char **error)
{
	Transfer t = TRANSFER_DONE;

	while (t == TRANSFER_DONE)
	{
		ssize_t n = stream_write(&c->stream, data, length);

		if (n >= 0)
		{
			*done = (size_t) n;
			return TRANSFER_DONE;
		}
		t = after_error(c, c->stream.ssl != NULL ? c->stream.write_waits : STREAM_WRITABLE,
						deadline, error);
	}
	return t;
}

Transfer
connection_receive(Connection *c, void *buffer, size_t length, int64_t deadline, size_t *done,
				   char **error)
{
	/* a server that never falls silent is late too */
	Transfer t = client_now() < deadline ? TRANSFER_DONE : TRANSFER_LATE;

	while (t == TRANSFER_DONE)
	{
		ssize_t n = stream_read(&c->stream, buffer, length);

		if (n > 0)
		{
			c->answered = true;
			*done = (size_t) n;
			return TRANSFER_DONE;
		}
		if (n == 0)
		{
			*error = why_lost(c, "closed by the server");
			return TRANSFER_FAILED;
		}
		t = after_error(c, c->stream.ssl != NULL ? c->stream.read_waits : STREAM_READABLE, deadline,
						error);
	}
	return t;
}
