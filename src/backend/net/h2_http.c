/*
 * h2_http.c
 *	  Requests over HTTP/2 that are not gRPC: where etcd has TLS, they go to the same handlers as
 *	  HTTP/1.1 (section 4.5), for curl and browsers choose HTTP/2 there.
 *
 * Backends.  The request is small and answered from memory; its body is kept in the call's arena.
 *
 * src/backend/net/h2_http.c
 */
#include "rusd.h"

#include <ctype.h>

#include "net_int.h"

#define HEADERS_MAX 24
#define BODY_FIRST 4096

static bool add_header(nghttp2_nv *headers, size_t *count, char *name, char *value);

/* Bytes of a DATA frame. */
void
h2_http_data(NetStream *stream, const uint8_t *data, size_t length)
{
	uint64_t needed = (uint64_t) stream->message_have + length;

	if (stream->answered)
		return;
	if (needed > stream->session->limits.message_max)
	{
		h2_reset(stream, NGHTTP2_CANCEL);
		return;
	}
	if (needed > stream->message_room)
	{
		uint64_t room = Max(Max(needed, 2 * (uint64_t) stream->message_room), BODY_FIRST);
		uint8_t *larger = arena_alloc(&stream->call.arena, room);

		if (larger == NULL)
		{
			h2_reset(stream, NGHTTP2_ENHANCE_YOUR_CALM);
			return;
		}
		if (stream->message_have > 0)
			memcpy(larger, stream->buffer, stream->message_have);
		stream->buffer = larger;
		stream->message_room = (uint32_t) room;
	}
	memcpy(stream->buffer + stream->message_have, data, length);
	stream->message_have = (uint32_t) needed;
	(void) nghttp2_session_consume_stream(stream->session->h2.ng, stream->id, length);
}

/* The request is complete. */
void
h2_http_remote_end(NetStream *stream)
{
	NetSession *session = stream->session;
	NetHttp *http;

	stream->remote_closed = true;
	if (stream->answered)
		return;
	http = arena_zalloc(&stream->call.arena, sizeof(*http));
	if (http == NULL)
	{
		h2_reset(stream, NGHTTP2_ENHANCE_YOUR_CALM);
		return;
	}
	http->method = stream->method_is_post ? "POST" : (const char *) stream->method.data;
	http->target = stream->call.path;
	http->body = (Bytes){stream->buffer, stream->message_have};
	http->call = &stream->call;
	arena_init(&http->arena, session->budget);
	stream->http = http;
	session->handlers.on_http(session->handlers.arg, http);
}

/* The stream has gone. */
void
h2_http_ended(NetStream *stream)
{
	NetHandlers *handlers = &stream->session->handlers;

	handlers->on_http_close(handlers->arg, stream->http);
	arena_destroy(&stream->http->arena);
	stream->http = NULL;
}

void
h2_http_reply(NetHttp *http, int status, const char *lines, Bytes body)
{
	NetStream *stream = (NetStream *) http->call;
	nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = h2_read_reply};
	char code[8], length[24], date[HTTP_DATE_SIZE];
	nghttp2_nv headers[HEADERS_MAX];
	size_t count = 0, lines_length = strlen(lines);
	char *copy = arena_alloc(&http->arena, lines_length + 1 + body.length);
	bool has_body = status != 204 && status != 304 && strcmp(http->method, "HEAD") != 0;

	if (stream->answered)
		return;
	stream->answered = true;
	if (copy == NULL)
	{
		h2_reset(stream, NGHTTP2_ENHANCE_YOUR_CALM);
		return;
	}
	snprintf(code, sizeof(code), "%03d", status % 1000);
	snprintf(length, sizeof(length), "%zu", body.length);
	http_date(date, sizeof(date));
	memcpy(copy, lines, lines_length + 1);
	(void) add_header(headers, &count, (char *) (uintptr_t) ":status", code);
	(void) add_header(headers, &count, (char *) (uintptr_t) "date", date);
	(void) add_header(headers, &count, (char *) (uintptr_t) "content-length", length);
	for (char *at = copy; *at != '\0';)
	{
		char *end = strstr(at, "\r\n"), *colon = strchr(at, ':');

		if (end == NULL || colon == NULL || colon > end)
			break;
		*end = *colon = '\0';
		for (char *c = at; c < colon; c++)
			*c = (char) tolower((unsigned char) *c);
		if (!add_header(headers, &count, at, colon + 1 + strspn(colon + 1, " ")))
			break;
		at = end + 2;
	}
	if (body.length > 0)
		memcpy(copy + lines_length + 1, body.data, body.length);
	stream->reply = (const uint8_t *) copy + lines_length + 1;
	stream->reply_left = body.length;
	stream->last_message = true;
	has_body = has_body && body.length > 0;
	if (nghttp2_submit_response(stream->session->h2.ng, stream->id, headers, count,
								has_body ? &provider : NULL) != 0)
		h2_reset(stream, NGHTTP2_INTERNAL_ERROR);
}

/* Those that anybody asks for. */
Bytes
h2_http_header(const NetHttp *http, const char *name)
{
	const NetStream *stream = (const NetStream *) http->call;

	if (strcmp(name, "authorization") == 0 && !stream->has_token)
		return stream->call.token;
	return strcmp(name, "content-type") == 0 ? stream->content_type : (Bytes){NULL, 0};
}

static bool
add_header(nghttp2_nv *headers, size_t *count, char *name, char *value)
{
	if (*count == HEADERS_MAX)
		return false;
	headers[(*count)++] = (nghttp2_nv){.name = (uint8_t *) name,
									   .namelen = strlen(name),
									   .value = (uint8_t *) value,
									   .valuelen = strlen(value)};
	return true;
}
