/*
 * fuzz_net.c
 *	  A NetSession for fuzz targets.
 *
 * test/fuzz/fuzz_net.c
 */
#include "rusd.h"

#include "fuzz_net.h"

#define WAITING_MAX 16
#define SECOND UINT64_C(1000000000)

static size_t used;
static uint64_t now_ns;
static NetCall *waiting[WAITING_MAX];
static unsigned open_calls;
static unsigned open_https;
static volatile unsigned touched; /* so that the compiler reads the bytes */

static bool
take(MemoryBudget *budget, size_t bytes)
{
	(void) budget;
	if (used + bytes > 4 * 1024 * 1024)
		return false;
	used += bytes;
	return true;
}

static void
give(MemoryBudget *budget, size_t bytes)
{
	(void) budget;
	Check(bytes <= used);
	used -= bytes;
}

static MemoryBudget budget = {.take = take, .give = give};

typedef struct FuzzSource
{
	NetSource source; /* first */
	unsigned pulls;
} FuzzSource;

/* Every third time nothing, and in the end an error, now and then. */
static Status
pull(NetSource *self, uint8_t *buffer, size_t max, size_t *got)
{
	FuzzSource *source = (FuzzSource *) self;

	source->pulls++;
	if (source->pulls % 3 == 0)
		return RUSD_AGAIN;
	if (source->pulls > 20)
		return RUSD_DAMAGED;
	*got = Min(max, (size_t) 7777);
	memset(buffer, 's', *got);
	return RUSD_OK;
}

/* Messages of all kinds: empty, whole at once, in pieces, late, the last of all. */
static Status
next(NetSource *self, uint8_t *buffer, size_t max, NetMessage *message)
{
	FuzzSource *source = (FuzzSource *) self;

	source->pulls++;
	if (source->pulls % 3 == 0)
		return RUSD_AGAIN;
	if (source->pulls > 20)
		return source->pulls % 2 == 0 ? RUSD_COMPACTED : RUSD_END;
	message->length = source->pulls * 1000 % 7777;
	message->got = source->pulls % 2 == 0 ? Min(max, message->length) : 0;
	message->last = source->pulls == 19;
	memset(buffer, 'n', message->got);
	return RUSD_OK;
}

static void
close_source(NetSource *source)
{
	free(source);
}

static void
on_call(void *arg, NetCall *call)
{
	uint8_t kind = call->message.length > 0 ? call->message.data[0] : 0;
	FuzzSource *source;

	(void) arg;
	open_calls++;
	Check(strlen(call->path) > 0);
	for (size_t i = 0; i < call->message.length; i++)
		touched += call->message.data[i];
	for (size_t i = 0; i < call->token.length; i++)
		touched += call->token.data[i];
	switch (kind % 5)
	{
		case 0:
			net_call_reply_bytes(call, call->message.data, call->message.length);
			break;
		case 1:
			net_call_fail(call, kind % 17, call->path);
			break;
		case 2:
			source = calloc(1, sizeof(*source));
			Check(source != NULL);
			source->source = (NetSource){.pull = pull, .close = close_source};
			net_call_reply(call, (uint64_t) kind * 1000, &source->source);
			break;
		case 3:
			source = calloc(1, sizeof(*source));
			Check(source != NULL);
			source->source = (NetSource){.pull = pull, .close = close_source, .next = next};
			net_call_reply_stream(call, &source->source);
			break;
		default:
			break;
	}
	for (int i = 0; i < WAITING_MAX; i++)
	{
		if (waiting[i] == NULL)
		{
			waiting[i] = call;
			break;
		}
	}
}

static void
on_close(void *arg, NetCall *call)
{
	(void) arg;
	Check(open_calls > 0);
	open_calls--;
	for (int i = 0; i < WAITING_MAX; i++)
	{
		if (waiting[i] == call)
			waiting[i] = NULL;
	}
}

static void
on_http(void *arg, NetHttp *http)
{
	Bytes header = net_http_header(http, "x");

	(void) arg;
	open_https++;
	Check(strlen(http->target) < 1000000 && strlen(http->method) > 0);
	net_http_reply(http, header.length > 0 ? 404 : 200, "X: y\r\n", http->body);
}

static void
on_http_close(void *arg, NetHttp *http)
{
	(void) arg;
	(void) http;
	Check(open_https > 0);
	open_https--;
}

static const void *
find_method(void *arg, const char *path)
{
	(void) arg;
	return path[0] == '/' && path[1] == 'a' ? path : NULL;
}

static const char *
unknown_method(void *arg, const char *path, char *buffer, size_t size)
{
	(void) arg;
	snprintf(buffer, size, "unknown method %s", path);
	return buffer;
}

NetSession *
fuzz_session(void)
{
	static const NetHandlers handlers = {
		.on_call = on_call,
		.on_close = on_close,
		.on_http = on_http,
		.on_http_close = on_http_close,
		.find_method = find_method,
		.unknown_method = unknown_method,
	};
	static const NetLimits limits = {
		.message_max = 100000,
		.large_max = 120000,
		.streams_max = 20,
		.keepalive_min_ns = 5 * SECOND,
		.keepalive_interval_ns = 7200 * SECOND,
		.keepalive_timeout_ns = 20 * SECOND,
		.header_list_max = 65536,
	};
	NetSession *session;

	now_ns = SECOND;
	Check(net_session_create(&limits, &handlers, &budget, now_ns, &session) == RUSD_OK);
	return session;
}

static void
discard(NetSession *session)
{
	uint8_t buffer[NET_SEND_MIN];

	for (int i = 0; i < 10000 && net_session_send(session, buffer, sizeof(buffer)) > 0; i++)
		;
}

bool
fuzz_receive(NetSession *session, const uint8_t *data, size_t size)
{
	while (size > 0)
	{
		size_t part = Min(size, (size_t) 1 + data[size / 2]);
		uint8_t *copy = malloc(part); /* the sanitizer sees every byte beyond */
		Status status;

		Check(copy != NULL);
		memcpy(copy, data, part);
		now_ns += SECOND / 10;
		status = net_session_receive(session, copy, part, now_ns);
		free(copy);
		for (int i = 0; i < WAITING_MAX; i++)
		{
			if (waiting[i] != NULL)
				net_call_resume(waiting[i]);
		}
		discard(session);
		(void) net_session_timers(session, now_ns);
		if (status != RUSD_OK || net_session_is_done(session))
			return false;
		data += part;
		size -= part;
	}
	return true;
}

void
fuzz_end(NetSession *session)
{
	for (int i = 0; i < WAITING_MAX; i++)
	{
		if (waiting[i] != NULL)
			net_call_fail(waiting[i], 13, "late");
	}
	discard(session);
	net_session_drain(session);
	discard(session);
	(void) net_session_timers(session, now_ns + 10000 * SECOND);
	net_session_cut(session);
	discard(session);
	net_session_destroy(session);
	Check(open_calls == 0 && open_https == 0 && used == 0);
}
