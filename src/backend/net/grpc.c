/*
 * grpc.c
 *	  gRPC over HTTP/2: metadata, the framing of messages, answers and their errors.
 *
 * Backends. Rules: RPC-20 to 28, ERR-8, ERR-9; codes and texts are those of the gRPC library that
 * etcd is built with, in its order of checks.
 *
 * src/backend/net/grpc.c
 */
#include "rusd.h"

#include "net/grpc_frame.h"
#include "net_int.h"

/* Requests up to this size are received into the call's arena at once; larger ones grow as they
 * come, so that who announces much must also send it. */
#define SMALL_MESSAGE (8 * 1024)
/* Below the window that every stream has from the beginning. */
#define WINDOW_IS_ENOUGH (48 * 1024)
/* More than a frame. */
#define LARGE_ANSWER (16 * 1024)
/* nghttp2 sends at most 64 KiB of headers. */
#define ENCODED_TEXT_MAX 4096

#define CODE_UNKNOWN 2
#define CODE_INVALID_ARGUMENT 3
#define CODE_DEADLINE_EXCEEDED 4
#define CODE_RESOURCE_EXHAUSTED 8
#define CODE_UNIMPLEMENTED 12
#define CODE_INTERNAL 13

#define PSEUDO_PATH 1
#define PSEUDO_METHOD 2
#define PSEUDO_SCHEME 4
#define PSEUDO_AUTHORITY 8
#define PSEUDO_OVER 16 /* a header that is none has come */
#define PSEUDO_NEEDED (PSEUDO_PATH | PSEUDO_METHOD | PSEUDO_SCHEME)

#define NV(n, v, flag)                                                                             \
	{                                                                                              \
		(uint8_t *) (uintptr_t) (n), (uint8_t *) (uintptr_t) (v), sizeof(n) - 1, sizeof(v) - 1,    \
			NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE | (flag)                  \
	}

static void find_method(NetStream *stream, nghttp2_rcbuf *path);
static bool check_content_type(NetStream *stream);
static bool check_request(NetStream *stream);
static void fail_quoted(NetStream *stream, const char *http_status, int code, const char *before,
						Bytes quoted, const char *after);
static bool begin_message(NetStream *stream);
static bool grow_message(NetStream *stream);

/* ---- metadata ---- */

static inline bool
text_is(nghttp2_vec have, const char *want, size_t length)
{
	return have.len == length && memcmp(have.base, want, length) == 0;
}

#define TEXT_IS(have, want) text_is(have, want, sizeof(want) - 1)

/*
 * Holds a value as long as the call lives. Only the first of each key comes here, so there is
 * room.
 */
static Bytes
keep(NetStream *stream, nghttp2_rcbuf *value)
{
	nghttp2_vec text = nghttp2_rcbuf_get_buf(value);

	Check(stream->ref_count < STREAM_REFS);
	nghttp2_rcbuf_incref(value);
	stream->refs[stream->ref_count++] = value;
	return (Bytes){text.base, text.len};
}

static void
keep_first(NetStream *stream, Bytes *field, nghttp2_rcbuf *value)
{
	if (field->data == NULL)
		*field = keep(stream, value);
}

/*
 * A pseudo-header. nghttp2's own checks of requests are off, because they refuse an :authority
 * that is the path of a Unix socket (RPC-27). So what must hold of a request is looked at here:
 * the four that exist, each at most once, before all others.
 */
static void
pseudo_header(NetStream *stream, nghttp2_vec name, nghttp2_rcbuf *value)
{
	unsigned which = 0;

	if (TEXT_IS(name, ":path"))
		which = PSEUDO_PATH;
	else if (TEXT_IS(name, ":method"))
		which = PSEUDO_METHOD;
	else if (TEXT_IS(name, ":scheme"))
		which = PSEUDO_SCHEME;
	else if (TEXT_IS(name, ":authority"))
		which = PSEUDO_AUTHORITY;
	if (unlikely(which == 0 || (stream->pseudo & (which | PSEUDO_OVER)) != 0))
	{
		stream->malformed = true;
		return;
	}
	stream->pseudo |= (uint8_t) which;
	if (which == PSEUDO_PATH)
		find_method(stream, value);
	else if (which == PSEUDO_METHOD)
	{
		stream->method_is_post = TEXT_IS(nghttp2_rcbuf_get_buf(value), "POST");
		if (!stream->method_is_post)
			stream->method = keep(stream, value);
	}
}

/* Nobody asks for it; it must be valid all the same. */
static void
other_header(NetStream *stream, nghttp2_vec name)
{
	if (TEXT_IS(name, "connection") || !nghttp2_check_header_name(name.base, name.len))
		stream->malformed = true;
}

/* One header of a request. */
void
grpc_header(NetStream *stream, nghttp2_rcbuf *name_buffer, nghttp2_rcbuf *value)
{
	nghttp2_vec name = nghttp2_rcbuf_get_buf(name_buffer);
	NetCall *call = &stream->call;
	uint64_t bytes =
		(uint64_t) stream->header_bytes + name.len + nghttp2_rcbuf_get_buf(value).len + 32;

	stream->header_bytes = (uint32_t) Min(bytes, UINT32_MAX);
	if (name.len > 0 && name.base[0] == ':')
	{
		pseudo_header(stream, name, value);
		return;
	}
	stream->pseudo |= PSEUDO_OVER;
	if (TEXT_IS(name, "content-type"))
		keep_first(stream, &stream->content_type, value);
	else if (TEXT_IS(name, "grpc-timeout"))
		keep_first(stream, &stream->timeout_text, value);
	else if (TEXT_IS(name, "grpc-encoding"))
		keep_first(stream, &stream->encoding_name, value);
	else if (TEXT_IS(name, "authorization"))
		keep_first(stream, &call->token, value);
	else if (TEXT_IS(name, "token"))
	{
		/* Takes the place of an authorization that came before. */
		if (!stream->has_token)
			call->token = keep(stream, value);
		stream->has_token = true;
	}
	else if (TEXT_IS(name, "hasleader"))
		keep_first(stream, &call->hasleader, value);
	else if (TEXT_IS(name, "client-api-version"))
		keep_first(stream, &call->client_api_version, value);
	else
		other_header(stream, name);
}

StaticAssert(
	STREAM_REFS >= 9,
	"path, method, token twice, hasleader, content-type, timeout, encoding, client-api-version");

/*
 * The method of a path that this connection has used lately is known. Clients that put their
 * paths into the header table give the same buffer each time.
 */
static bool
same_path(nghttp2_rcbuf *known, Bytes text)
{
	return known != NULL &&
		   text_is(nghttp2_rcbuf_get_buf(known), (const char *) text.data, text.length);
}

static void
find_method(NetStream *stream, nghttp2_rcbuf *path)
{
	NetHandlers *handlers = &stream->session->handlers;
	H2 *h2 = &stream->session->h2;
	Bytes text = keep(stream, path);
	const void *method;

	stream->call.path = (const char *) text.data;
	for (unsigned i = 0; i < PATH_CACHE; i++)
	{
		if (h2->paths[i].path == path || same_path(h2->paths[i].path, text))
		{
			stream->call.method = h2->paths[i].method;
			return;
		}
	}
	if (handlers->find_method == NULL || memchr(text.data, 0, text.length) != NULL)
		return;
	method = handlers->find_method(handlers->arg, stream->call.path);
	stream->call.method = method;
	if (method == NULL)
		return;
	if (h2->paths[h2->next_path].path != NULL)
		nghttp2_rcbuf_decref(h2->paths[h2->next_path].path);
	nghttp2_rcbuf_incref(path);
	h2->paths[h2->next_path].path = path;
	h2->paths[h2->next_path].method = method;
	h2->next_path = (h2->next_path + 1) % PATH_CACHE;
}

/* ---- checks when the headers are complete ---- */

/* before, the value as Go's %q shows it, after. */
static void
fail_quoted(NetStream *stream, const char *http_status, int code, const char *before, Bytes quoted,
			const char *after)
{
	char text[1024];
	size_t used = (size_t) snprintf(text, sizeof(text), "%s\"", before);

	for (size_t i = 0; i < quoted.length && used < sizeof(text) - 64; i++)
	{
		uint8_t byte = quoted.data[i];

		if (byte == '"' || byte == '\\')
			text[used++] = '\\';
		if (byte < 0x20 || byte == 0x7f)
			used += (size_t) snprintf(text + used, sizeof(text) - used, "\\x%02x", byte);
		else
			text[used++] = (char) byte;
	}
	used += (size_t) snprintf(text + used, sizeof(text) - used, "\"%s", after);
	grpc_fail(stream, http_status, code, text, Min(used, sizeof(text) - 1));
}

/* The timeout could not be read: as the gRPC library tells it. */
static void
fail_timeout(NetStream *stream, GrpcTimeout problem)
{
	static const char *const texts[] = {
		[GRPC_TIMEOUT_OK] = "",
		[GRPC_TIMEOUT_SHORT] = "malformed grpc-timeout: transport: timeout string is too short: ",
		[GRPC_TIMEOUT_LONG] = "malformed grpc-timeout: transport: timeout string is too long: ",
		[GRPC_TIMEOUT_UNIT] = "malformed grpc-timeout: transport: timeout unit is not recognized: ",
		[GRPC_TIMEOUT_DIGITS] = "malformed grpc-timeout: strconv.ParseUint: parsing ",
	};
	Bytes text = stream->timeout_text;

	/* The number is parsed without its unit. */
	if (problem == GRPC_TIMEOUT_DIGITS)
		text.length--;
	fail_quoted(stream, "400", CODE_INTERNAL, texts[problem], text,
				problem == GRPC_TIMEOUT_DIGITS ? ": invalid syntax" : "");
}

/* The header block of a request is complete. */
void
grpc_headers_done(NetStream *stream)
{
	NetSession *session = stream->session;
	uint64_t timeout_ns = 0;
	GrpcTimeout timeout = GRPC_TIMEOUT_OK;

	stream->call.started_ns = session->now_ns;
	if (stream->header_bytes > session->limits.header_list_max)
	{
		h2_reset(stream, NGHTTP2_FRAME_SIZE_ERROR);
		return;
	}
	if (stream->malformed || (stream->pseudo & PSEUDO_NEEDED) != PSEUDO_NEEDED)
	{
		h2_reset(stream, NGHTTP2_PROTOCOL_ERROR);
		return;
	}
	if (!check_content_type(stream))
	{
		stream->is_http = session->limits.http_over_h2;
		if (stream->is_http)
			return;
		fail_quoted(stream, "415", CODE_INVALID_ARGUMENT, "invalid gRPC request content-type ",
					stream->content_type, "");
		return;
	}
	if (stream->timeout_text.data != NULL)
		timeout =
			grpc_timeout_parse(stream->timeout_text.data, stream->timeout_text.length, &timeout_ns);
	if (timeout != GRPC_TIMEOUT_OK)
	{
		fail_timeout(stream, timeout);
		return;
	}
	if (!check_request(stream))
		return;
	if (stream->timeout_text.data != NULL)
	{
		stream->call.deadline_ns = session->now_ns + timeout_ns;
		session->h2.first_deadline_ns =
			Min(session->h2.first_deadline_ns, stream->call.deadline_ns);
	}
}

/* application/grpc, or that and + or ; and anything. */
static bool
check_content_type(NetStream *stream)
{
	static const char base[] = "application/grpc";
	Bytes type = stream->content_type;

	return type.length >= sizeof(base) - 1 && memcmp(type.data, base, sizeof(base) - 1) == 0 &&
		   (type.length == sizeof(base) - 1 || type.data[sizeof(base) - 1] == '+' ||
			type.data[sizeof(base) - 1] == ';');
}

static bool
bytes_are(Bytes have, const char *want)
{
	return have.length == strlen(want) && memcmp(have.data, want, have.length) == 0;
}

static bool
check_request(NetStream *stream)
{
	NetHandlers *handlers = &stream->session->handlers;
	NetCall *call = &stream->call;
	Bytes encoding = stream->encoding_name;

	if (!stream->method_is_post)
	{
		fail_quoted(stream, "405", CODE_INTERNAL, "Received a HEADERS frame with :method ",
					stream->method, " which should be POST");
		return false;
	}
	if (unlikely(call->method == NULL) && handlers->unknown_method != NULL)
	{
		char buffer[512];
		const char *text =
			handlers->unknown_method(handlers->arg, call->path, buffer, sizeof(buffer));

		if (text != NULL)
		{
			grpc_fail(stream, "200", CODE_UNIMPLEMENTED, text, strlen(text));
			return false;
		}
	}
	if (likely(encoding.length == 0) || bytes_are(encoding, "identity"))
		return true;
	stream->gzip = bytes_are(encoding, "gzip");
	if (!stream->gzip)
	{
		fail_quoted(stream, "200", CODE_UNIMPLEMENTED,
					"grpc: Decompressor is not installed for grpc-encoding ", encoding, "");
		return false;
	}
	return true;
}

/* ---- the request message ---- */

static void
fail_static(NetStream *stream, int code, const char *text)
{
	grpc_fail(stream, "200", code, text, strlen(text));
}

/* The prefix is there: is the message one that we take, and where does it go? */
static bool
begin_message(NetStream *stream)
{
	uint32_t length = grpc_prefix_length(stream->prefix);
	char text[96];

	if (unlikely(stream->prefix[0] == 1 && !stream->gzip))
	{
		fail_static(stream, CODE_INTERNAL,
					"grpc: compressed flag set with identity or empty encoding");
		return false;
	}
	if (unlikely(stream->prefix[0] > 1))
	{
		snprintf(text, sizeof(text), "grpc: received unexpected payload format %u",
				 stream->prefix[0]);
		fail_static(stream, CODE_INTERNAL, text);
		return false;
	}
	if (unlikely(length > stream->session->limits.message_max))
	{
		snprintf(text, sizeof(text), "grpc: received message larger than max (%u vs. %u)", length,
				 stream->session->limits.message_max);
		fail_static(stream, CODE_RESOURCE_EXHAUSTED, text);
		return false;
	}
	stream->message_length = length;
	if (likely(length <= SMALL_MESSAGE))
	{
		stream->buffer = arena_alloc(&stream->call.arena, length);
		stream->message_room = length;
		if (unlikely(stream->buffer == NULL))
		{
			fail_static(stream, CODE_RESOURCE_EXHAUSTED, status_text(RUSD_MEMORY_EXCEEDED));
			return false;
		}
		return true;
	}
	if (length > WINDOW_IS_ENOUGH && !stream->remote_closed)
		h2_want_window(stream, length);
	return true;
}

/* A large message: doubles its buffer. */
static bool
grow_message(NetStream *stream)
{
	MemoryBudget *budget = stream->session->budget;
	uint64_t doubled = Max((uint64_t) stream->message_room * 2, 2 * SMALL_MESSAGE);
	uint32_t room = (uint32_t) Min(doubled, stream->message_length);
	uint8_t *larger = NULL;

	if (budget->take(budget, room - stream->message_room))
	{
		larger = realloc(stream->large_buffer, room);
		if (larger == NULL)
			budget->give(budget, room - stream->message_room);
	}
	if (larger == NULL)
	{
		fail_static(stream, CODE_RESOURCE_EXHAUSTED, status_text(RUSD_MEMORY_EXCEEDED));
		return false;
	}
	stream->buffer = stream->large_buffer = larger;
	stream->message_room = room;
	return true;
}

void
grpc_release_message(NetStream *stream)
{
	MemoryBudget *budget = stream->session->budget;

	if (stream->large_buffer == NULL)
		return;
	budget->give(budget, stream->message_room);
	free(stream->large_buffer);
	stream->large_buffer = stream->buffer = NULL;
	stream->message_room = 0;
}

/* Bytes of a DATA frame. */
void
grpc_data(NetStream *stream, const uint8_t *data, size_t length)
{
	while (length > 0 && !stream->answered)
	{
		size_t part;

		if (stream->message_complete)
		{
			stream->too_many_messages = true;
			fail_static(stream, CODE_INTERNAL,
						"cardinality violation: received multiple request messages for "
						"non-client-streaming RPC");
			return;
		}
		if (stream->prefix_have < GRPC_PREFIX_BYTES)
		{
			part = Min(length, (size_t) (GRPC_PREFIX_BYTES - stream->prefix_have));
			memcpy(stream->prefix + stream->prefix_have, data, part);
			stream->prefix_have += (uint8_t) part;
			data += part;
			length -= part;
			if (stream->prefix_have == GRPC_PREFIX_BYTES)
			{
				if (!begin_message(stream))
					return;
				stream->message_complete = stream->message_length == 0;
			}
			continue;
		}
		if (stream->message_have == stream->message_room && !grow_message(stream))
			return;
		part = Min(length, (size_t) (stream->message_room - stream->message_have));
		memcpy(stream->buffer + stream->message_have, data, part);
		stream->message_have += (uint32_t) part;
		data += part;
		length -= part;
		stream->message_complete = stream->message_have == stream->message_length;
	}
}

/* A compressed message gives way to what it says; false: answered. */
static bool
decompress_message(NetStream *stream)
{
	NetSession *session = stream->session;
	uint32_t max = session->limits.message_max;
	Bytes compressed = {stream->buffer, stream->message_length};
	const char *error = "";
	uint8_t *data;
	uint32_t length, room;
	char text[128];
	Status status = gzip_inflate(compressed, max, session->budget, &data, &length, &room, &error);

	if (status == RUSD_OK)
	{
		grpc_release_message(stream);
		stream->buffer = stream->large_buffer = data;
		stream->message_length = length;
		stream->message_room = room;
		return true;
	}
	if (status == RUSD_AGAIN)
	{
		snprintf(text, sizeof(text),
				 "grpc: received message after decompression larger than max %u", max);
		fail_static(stream, CODE_RESOURCE_EXHAUSTED, text);
	}
	else if (status == RUSD_INVALID)
	{
		snprintf(text, sizeof(text), "grpc: failed to read decompressed data: %s", error);
		fail_static(stream, CODE_INTERNAL, text);
	}
	else
		fail_static(stream, CODE_RESOURCE_EXHAUSTED, status_text(RUSD_MEMORY_EXCEEDED));
	return false;
}

/* The client has half-closed: the request is complete, or never will be. */
void
grpc_remote_end(NetStream *stream)
{
	NetSession *session = stream->session;

	stream->remote_closed = true;
	if (stream->answered)
		return;
	if (unlikely(!stream->message_complete))
	{
		if (stream->prefix_have == 0)
			fail_static(
				stream, CODE_INTERNAL,
				"cardinality violation: received no request message from non-client-streaming RPC");
		else
			fail_static(stream, CODE_UNKNOWN, "unexpected EOF");
		return;
	}
	if (unlikely(stream->call.deadline_ns <= session->now_ns))
	{
		fail_static(stream, CODE_DEADLINE_EXCEEDED, status_text(RUSD_DEADLINE_EXCEEDED));
		return;
	}
	if (unlikely(stream->prefix[0] == 1) && !decompress_message(stream))
		return;
	stream->call.message = (Bytes){stream->buffer, stream->message_length};
	stream->dispatched = true;
	session->handlers.on_call(session->handlers.arg, &stream->call);
}

/* ---- answers ---- */

static const nghttp2_nv plain_headers[] = {
	NV(":status", "200", NGHTTP2_NV_FLAG_NONE),
	NV("content-type", "application/grpc", NGHTTP2_NV_FLAG_NONE),
};

/* "application/grpc", or "application/grpc+" and the sub-type that was asked for. */
static bool
response_content_type(NetStream *stream, nghttp2_nv *header)
{
	static const size_t base = sizeof("application/grpc") - 1;
	Bytes type = stream->content_type;
	uint8_t *copy;

	*header = plain_headers[1];
	if (likely(type.length <= base) || !check_content_type(stream))
		return true;
	copy = arena_alloc(&stream->call.arena, type.length);
	if (copy == NULL)
		return false;
	memcpy(copy, type.data, type.length);
	copy[base] = '+';
	header->value = copy;
	header->valuelen = type.length;
	return true;
}

/*
 * A client that compresses gets compressed answers: those that are in memory and become smaller.
 * The length of one that is made while it is sent has to be known before its first byte.
 */
static uint8_t
compress_reply(NetStream *stream)
{
	size_t length = stream->reply_left;
	uint8_t *compressed;

	if (length == 0 || stream->reply == NULL)
		return 0;
	compressed = arena_alloc(&stream->call.arena, length);
	if (compressed == NULL)
		return 0;
	length = gzip_deflate(stream->reply, length, compressed, length, stream->session->budget);
	if (length == 0)
		return 0;
	stream->reply = compressed;
	stream->reply_left = length;
	return 1;
}

/* The response as far as it is set in stream->source or reply, with all that follows it. */
void
grpc_reply_begin(NetStream *stream)
{
	NetSession *session = stream->session;
	nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = h2_read_reply};
	nghttp2_nv headers[3] = {plain_headers[0], plain_headers[1], NV("grpc-encoding", "gzip", 0)};
	int result;

	if (!stream->streaming)
	{
		uint8_t flag = unlikely(stream->gzip) ? compress_reply(stream) : 0;

		grpc_prefix_put(stream->reply_prefix, flag, (uint32_t) stream->reply_left);
		stream->reply_prefix_left = GRPC_PREFIX_BYTES;
		stream->last_message = true;
	}
	stream->answered = true;
	session->h2.forgive_pings = true;
	if (!response_content_type(stream, &headers[1]))
		headers[1] = plain_headers[1];
	result = nghttp2_submit_response(session->h2.ng, stream->id, headers, stream->gzip ? 3 : 2,
									 &provider);
	/* Large answers take turns, small ones go first. */
	if (unlikely((stream->reply_left > LARGE_ANSWER || stream->streaming) && result == 0))
		result = nghttp2_session_change_extpri_stream_priority(
			session->h2.ng, stream->id,
			&(nghttp2_extpri){.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1}, 1);
	if (unlikely(result != 0))
		h2_reset(stream, NGHTTP2_INTERNAL_ERROR);
}

/*
 * Ends the stream with a status and nothing else: one HEADERS frame.  h2_send.c puts RST_STREAM
 * behind it if the client has not half-closed.
 */
void
grpc_fail(NetStream *stream, const char *http_status, int code, const char *text, size_t length)
{
	NetSession *session = stream->session;
	nghttp2_nv headers[4] = {plain_headers[0], plain_headers[1], NV("grpc-status", "0", 0),
							 NV("grpc-message", "", 0)};
	uint8_t *memory =
		arena_alloc(&stream->call.arena, 8 + Min(3 * length, (size_t) ENCODED_TEXT_MAX));
	int result;

	stream->answered = true;
	stream->call.deadline_ns = UINT64_MAX;
	session->h2.forgive_pings = true;
	if (memory == NULL || !response_content_type(stream, &headers[1]))
	{
		h2_reset(stream, NGHTTP2_REFUSED_STREAM);
		return;
	}
	memcpy(memory, http_status, 3);
	headers[0].value = memory;
	headers[2].value = memory + 4;
	headers[2].valuelen = (size_t) snprintf((char *) memory + 4, 4, "%d", code & 0xff);
	headers[3].value = memory + 8;
	headers[3].valuelen =
		grpc_message_encode(text, length, memory + 8, Min(3 * length, (size_t) ENCODED_TEXT_MAX));
	/*
	 * A text that differs with each answer would only push useful entries out of the header
	 * table.
	 */
	headers[3].flags |= NGHTTP2_NV_FLAG_NO_INDEX;
	result = nghttp2_submit_response(session->h2.ng, stream->id, headers, lengthof(headers), NULL);
	if (unlikely(result != 0))
		h2_reset(stream, NGHTTP2_INTERNAL_ERROR);
}

void
net_call_reply(NetCall *call, uint64_t length, NetSource *source)
{
	NetStream *stream = (NetStream *) call;

	Check(length <= INT32_MAX);
	if (stream->answered)
	{
		source->close(source);
		return;
	}
	stream->source = source;
	stream->reply_left = length;
	grpc_reply_begin(stream);
}

void
net_call_reply_stream(NetCall *call, NetSource *source)
{
	NetStream *stream = (NetStream *) call;

	if (stream->answered)
	{
		source->close(source);
		return;
	}
	stream->source = source;
	stream->streaming = true;
	grpc_reply_begin(stream);
}

void
net_call_reply_arena(NetCall *call, const uint8_t *data, size_t length)
{
	NetStream *stream = (NetStream *) call;

	Check(length <= INT32_MAX);
	if (stream->answered)
		return;
	/* Complete: nothing of it can be late any more. */
	call->deadline_ns = UINT64_MAX;
	stream->reply = data;
	stream->reply_left = length;
	grpc_reply_begin(stream);
}

void
net_call_reply_bytes(NetCall *call, const uint8_t *data, size_t length)
{
	NetStream *stream = (NetStream *) call;
	uint8_t *copy;

	if (stream->answered)
		return;
	copy = arena_alloc(&call->arena, length);
	if (copy == NULL)
	{
		fail_static(stream, CODE_RESOURCE_EXHAUSTED, status_text(RUSD_MEMORY_EXCEEDED));
		return;
	}
	if (length > 0)
		memcpy(copy, data, length);
	net_call_reply_arena(call, copy, length);
}

void
net_call_fail(NetCall *call, int grpc_code, const char *text)
{
	NetStream *stream = (NetStream *) call;

	if (!stream->answered)
		grpc_fail(stream, "200", grpc_code, text, strlen(text));
}

void
net_call_resume(NetCall *call)
{
	NetStream *stream = (NetStream *) call;

	if (!stream->deferred)
		return;
	stream->deferred = false;
	(void) nghttp2_session_resume_data(stream->session->h2.ng, stream->id);
}
