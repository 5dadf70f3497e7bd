/*
 * remote.c
 *	  Asks a member of a running cluster who belongs to it: GET /members on its port for peers.
 *
 * Startup process, which has no latch and serves nobody: it waits for its socket alone.
 *
 * src/backend/postmaster/remote.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <jansson.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/clock.h"
#include "remote.h"
#include "tls/stream.h"

#define NS_PER_MS UINT64_C(1000000)
/* 64 members of 16 URLs each are less. */
#define ANSWER_BYTES (1024 * 1024)

typedef struct Exchange
{
	Stream stream;
	uint64_t deadline_ns;
	char *error;
	char answer[ANSWER_BYTES];
	size_t length;
} Exchange;

static Status
fail(Exchange *exchange, const char *why)
{
	snprintf(exchange->error, REMOTE_ERROR_SIZE, "%s", why);
	return RUSD_IO;
}

/* False: the time is over. */
static bool
wait_for(const Exchange *exchange, int waits)
{
	struct pollfd polled = {.fd = exchange->stream.socket,
							.events = (short) ((waits & STREAM_WRITABLE) ? POLLOUT : POLLIN)};
	uint64_t now = clock_os.monotonic_ns(&clock_os);

	if (now >= exchange->deadline_ns)
		return false;
	return poll(&polled, 1, (int) ((exchange->deadline_ns - now) / NS_PER_MS) + 1) > 0;
}

static Status
connect_to(Exchange *exchange, const struct addrinfo *address)
{
	int problem = 0;
	socklen_t length = sizeof(problem);
	int file = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (file < 0)
		return fail(exchange, strerror(errno));
	stream_plain(&exchange->stream, file);
	if (connect(file, address->ai_addr, address->ai_addrlen) == 0)
		return RUSD_OK;
	if (errno != EINPROGRESS)
		problem = errno;
	else if (!wait_for(exchange, STREAM_WRITABLE))
		problem = ETIMEDOUT;
	else if (getsockopt(file, SOL_SOCKET, SO_ERROR, &problem, &length) != 0)
		problem = errno;
	if (problem == 0)
		return RUSD_OK;
	close(file);
	return fail(exchange, strerror(problem));
}

static Status
handshake(Exchange *exchange, const ConfigUrl *url, TlsContext *context)
{
	Status status;

	if (strcmp(url->scheme, "https") != 0)
		return RUSD_OK;
	if (context == NULL)
		return fail(exchange, "there is no certificate or authority for https to other members");
	if (tls_connect(&exchange->stream, context, exchange->stream.socket, url->host, "http/1.1") !=
		RUSD_OK)
		return fail(exchange, "no memory for TLS");
	while ((status = stream_handshake(&exchange->stream)) == RUSD_AGAIN)
		if (!wait_for(exchange, exchange->stream.read_waits))
			return fail(exchange, "no answer within the time for it");
	return status == RUSD_OK ? RUSD_OK : fail(exchange, exchange->stream.error);
}

static Status
ask(Exchange *exchange, const ConfigUrl *url)
{
	char request[512];
	int length = snprintf(request, sizeof(request),
						  "GET /members HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n",
						  url->host, url->port);

	for (int sent = 0; sent < length;)
	{
		ssize_t taken = stream_write(&exchange->stream, (const uint8_t *) request + sent,
									 (size_t) (length - sent));

		if (taken > 0)
			sent += (int) taken;
		else if (errno != EAGAIN && errno != EINTR)
			return fail(exchange, strerror(errno));
		else if (!wait_for(exchange, exchange->stream.write_waits))
			return fail(exchange, "no answer within the time for it");
	}
	for (;;)
	{
		ssize_t got =
			stream_read(&exchange->stream, (uint8_t *) exchange->answer + exchange->length,
						sizeof(exchange->answer) - 1 - exchange->length);

		if (got == 0)
			break;
		if (got > 0)
			exchange->length += (size_t) got;
		else if (errno != EAGAIN && errno != EINTR)
			return fail(exchange, strerror(errno));
		else if (!exchange->stream.pending && !wait_for(exchange, exchange->stream.read_waits))
			return fail(exchange, "no answer within the time for it");
		if (exchange->length == sizeof(exchange->answer) - 1)
			return fail(exchange, "its answer is too long");
	}
	exchange->answer[exchange->length] = '\0';
	return RUSD_OK;
}

/* ---- the answer ------------------------------------------------------------------------------- */

static bool
read_member(const json_t *object, RemoteMember *member)
{
	const char *id = json_string_value(json_object_get(object, "id"));
	const char *name = json_string_value(json_object_get(object, "name"));
	const json_t *urls = json_object_get(object, "peerURLs");
	size_t count = json_array_size(urls);

	memset(member, 0, sizeof(*member));
	if (id == NULL || count == 0 || count > CONFIG_URLS_MAX)
		return false;
	member->id = strtoull(id, NULL, 16);
	snprintf(member->name, sizeof(member->name), "%s", name == NULL ? "" : name);
	for (size_t i = 0; i < count; i++)
	{
		const char *text = json_string_value(json_array_get(urls, i));

		/* MemberUpdate may have put there what is no URL. */
		if (text != NULL && config_urls(text, &member->urls[member->url_count], 1) == 1)
			member->url_count++;
	}
	return true;
}

static Status
read_answer(Exchange *exchange, RemoteCluster *result)
{
	static const char id_name[] = "\r\nX-Etcd-Cluster-ID:";
	char *body = strstr(exchange->answer, "\r\n\r\n");
	const char *id = strcasestr(exchange->answer, id_name);
	json_error_t where;
	json_t *list;
	bool good;

	if (strncmp(exchange->answer, "HTTP/1.1 200 ", 13) != 0 || body == NULL || id == NULL ||
		id > body)
		return fail(exchange, "it does not tell the members of its cluster");
	result->cluster_id = strtoull(id + sizeof(id_name) - 1, NULL, 16);
	list = json_loads(body + 4, JSON_DISABLE_EOF_CHECK, &where);
	result->count = (uint32_t) json_array_size(list);
	good = result->count > 0 && result->count <= CONFIG_MEMBERS_MAX;
	for (uint32_t i = 0; good && i < result->count; i++)
		good = read_member(json_array_get(list, i), &result->members[i]);
	json_decref(list);
	return good ? RUSD_OK : fail(exchange, "it does not tell the members of its cluster");
}

/* ---- both ------------------------------------------------------------------------------------- */

Status
remote_cluster_ask(const ConfigUrl *url, TlsContext *context, int timeout_ms, RemoteCluster *result,
				   char error[REMOTE_ERROR_SIZE])
{
	static Exchange exchange;
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	Status status = RUSD_IO;
	int problem;

	exchange.error = error;
	exchange.length = 0;
	/* No host is loopback: on a machine without a hosts file too. */
	problem = getaddrinfo(strcmp(url->host, "localhost") == 0 ? NULL : url->host, url->port, &hints,
						  &found);
	if (problem != 0)
		return fail(&exchange, gai_strerror(problem));
	exchange.deadline_ns = clock_os.monotonic_ns(&clock_os) + (uint64_t) timeout_ms * NS_PER_MS;
	for (const struct addrinfo *at = found; at != NULL && status != RUSD_OK; at = at->ai_next)
		status = connect_to(&exchange, at);
	freeaddrinfo(found);
	if (status != RUSD_OK)
		return status;
	status = handshake(&exchange, url, context);
	if (status == RUSD_OK)
		status = ask(&exchange, url);
	if (status == RUSD_OK)
		status = read_answer(&exchange, result);
	stream_close(&exchange.stream);
	close(exchange.stream.socket);
	return status;
}
