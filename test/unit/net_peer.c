/*
 * net_peer.c
 *	  A client of a NetSession, in memory.
 *
 * test/unit/net_peer.c
 */
#include "rusd.h"

#include "net/grpc_frame.h"

#include "cmocka_all.h"
#include "net_peer.h"

/* ---- budget ---- */

static bool
budget_take(MemoryBudget *self, size_t bytes)
{
	TestBudget *budget = (TestBudget *) self;

	if (budget->used + bytes > budget->limit)
	{
		budget->refusals++;
		return false;
	}
	budget->used += bytes;
	budget->most = Max(budget->most, budget->used);
	return true;
}

static void
budget_give(MemoryBudget *self, size_t bytes)
{
	TestBudget *budget = (TestBudget *) self;

	assert_true(bytes <= budget->used);
	budget->used -= bytes;
}

void
budget_init(TestBudget *budget, size_t limit)
{
	*budget = (TestBudget){.budget = {.take = budget_take, .give = budget_give}, .limit = limit};
}

/* ---- the server's handlers ---- */

static void
on_call(void *arg, NetCall *call)
{
	Peer *peer = arg;

	peer->dispatched++;
	for (unsigned i = 0; i < PEER_CALLS; i++)
	{
		if (peer->calls[i] == NULL)
		{
			peer->calls[i] = call;
			break;
		}
	}
	if (peer->on_call != NULL)
		peer->on_call(peer, call);
	else
		net_call_reply_bytes(call, call->message.data, call->message.length);
}

/* Says method, target and body. */
static void
on_http(void *arg, NetHttp *http)
{
	Peer *peer = arg;
	Bytes type = net_http_header(http, "content-type");
	char *text = arena_alloc(&http->arena, http->body.length + 256);
	int length = snprintf(text, 256, "%s %s %.*s ", http->method, http->target, (int) type.length,
						  type.data == NULL ? "" : (const char *) type.data);

	if (http->body.length > 0)
		memcpy(text + length, http->body.data, http->body.length);
	peer->http_open++;
	if (strcmp(http->target, "/silent") != 0)
		net_http_reply(http, 200, "Content-Type: text/x\r\nX-Y: z\r\n",
					   (Bytes){(uint8_t *) text, (size_t) length + http->body.length});
}

static void
on_http_close(void *arg, NetHttp *http)
{
	(void) http;
	((Peer *) arg)->http_open--;
}

static void
on_close(void *arg, NetCall *call)
{
	Peer *peer = arg;

	peer->closed_calls++;
	for (unsigned i = 0; i < PEER_CALLS; i++)
	{
		if (peer->calls[i] == call)
			peer->calls[i] = NULL;
	}
}

/* Paths are "/test.<service>/<method>"; the method is the address of the last part. */
static const void *
find_method(void *arg, const char *path)
{
	static const char *const known[] = {"/test.Echo/Unary", "/test.Echo/1", "/test.Echo/2",
										"/test.Echo/3",     "/test.Echo/4", "/test.Echo/5",
										"/test.Echo/6"};
	Peer *peer = arg;

	peer->find_count++;
	for (size_t i = 0; i < lengthof(known); i++)
	{
		if (strcmp(known[i], path) == 0)
			return known[i];
	}
	return NULL;
}

static const char *
unknown_method(void *arg, const char *path, char *buffer, size_t size)
{
	(void) arg;
	if (strncmp(path, "/test.Echo/", 11) == 0 && strchr(path, '?') == NULL)
		return NULL;
	snprintf(buffer, size, "unknown method %s", path);
	return buffer;
}

/* ---- the client's callbacks ---- */

static PeerStream *
stream_of(Peer *peer, int32_t id)
{
	assert_true(id > 0 && (id - 1) / 2 < PEER_STREAMS);
	peer->streams[(id - 1) / 2].id = id;
	return &peer->streams[(id - 1) / 2];
}

static void
keep_text(char *target, size_t size, const uint8_t *value, size_t length)
{
	assert_true(length < size);
	if (length > 0)
		memcpy(target, value, length);
	target[length] = '\0';
}

static int
client_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
			  size_t name_length, const uint8_t *value, size_t length, uint8_t flags, void *arg)
{
	PeerStream *stream = stream_of(arg, frame->hd.stream_id);

	(void) ng;
	(void) flags;
	(void) name_length;
	if (strcmp((const char *) name, ":status") == 0)
		keep_text(stream->status, sizeof(stream->status), value, length);
	else if (strcmp((const char *) name, "content-type") == 0)
		keep_text(stream->content_type, sizeof(stream->content_type), value, length);
	else if (strcmp((const char *) name, "grpc-encoding") == 0)
		keep_text(stream->encoding, sizeof(stream->encoding), value, length);
	else if (strcmp((const char *) name, "grpc-status") == 0)
		keep_text(stream->grpc_status, sizeof(stream->grpc_status), value, length);
	else if (strcmp((const char *) name, "grpc-message") == 0)
	{
		char decoded[4200];
		size_t used;

		assert_true(length < sizeof(decoded));
		used = grpc_message_decode(value, length, decoded);
		keep_text(stream->grpc_message, sizeof(stream->grpc_message), (const uint8_t *) decoded,
				  Min(used, 599));
		stream->has_message = true;
	}
	else if (strcmp((const char *) name, "x-y") == 0)
		keep_text(stream->http_header, sizeof(stream->http_header), value, length);
	else if (strcmp((const char *) name, "date") != 0 &&
			 strcmp((const char *) name, "content-length") != 0)
		fail_msg("unexpected header %s", (const char *) name);
	return 0;
}

static int
client_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t length,
			void *arg)
{
	PeerStream *stream = stream_of(arg, id);

	(void) ng;
	(void) flags;
	stream->body = realloc(stream->body, stream->length + length);
	assert_non_null(stream->body);
	if (length > 0)
		memcpy(stream->body + stream->length, data, length);
	stream->length += length;
	return 0;
}

static int
client_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	Peer *peer = arg;

	(void) ng;
	switch (frame->hd.type)
	{
		case NGHTTP2_HEADERS:
			stream_of(peer, frame->hd.stream_id)->header_blocks++;
			break;
		case NGHTTP2_RST_STREAM:
			stream_of(peer, frame->hd.stream_id)->was_reset = true;
			stream_of(peer, frame->hd.stream_id)->reset_code = frame->rst_stream.error_code;
			break;
		case NGHTTP2_GOAWAY:
			peer->goaways++;
			peer->goaway_code = frame->goaway.error_code;
			peer->goaway_last = frame->goaway.last_stream_id;
			keep_text(peer->goaway_text, sizeof(peer->goaway_text), frame->goaway.opaque_data,
					  frame->goaway.opaque_data_len);
			break;
		case NGHTTP2_PING:
			if (frame->hd.flags & NGHTTP2_FLAG_ACK)
				peer->ping_acks++;
			else
				peer->pings++;
			break;
		case NGHTTP2_SETTINGS:
			for (size_t i = 0; i < frame->settings.niv; i++)
			{
				if (frame->settings.iv[i].settings_id == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
					peer->announced_streams = frame->settings.iv[i].value;
			}
			break;
		default:
			break;
	}
	if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
		(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		stream_of(peer, frame->hd.stream_id)->ended = true;
	return 0;
}

static int
client_close(nghttp2_session *ng, int32_t id, uint32_t error_code, void *arg)
{
	Peer *peer = arg;
	PeerStream *stream = stream_of(peer, id);

	(void) ng;
	(void) error_code;
	stream->closed = true;
	stream->closed_order = ++peer->closed_count;
	return 0;
}

static int
client_invalid(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *arg)
{
	(void) ng;
	(void) arg;
	fail_msg("the server has sent an invalid frame of type %d: %s", frame->hd.type,
			 nghttp2_strerror(error));
	return 0;
}

static int
client_not_sent(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *arg)
{
	Peer *peer = arg;

	(void) ng;
	/* A client that was told to go cannot ask. */
	if (peer->goaways == 0)
		fail_msg("a frame of type %d was not sent: %s", frame->hd.type, nghttp2_strerror(error));
	return 0;
}

/* ---- life ---- */

NetLimits
peer_limits(void)
{
	return (NetLimits){
		.message_max = 2097152,
		.streams_max = UINT32_MAX,
		.keepalive_min_ns = UINT64_C(5000000000),
		.keepalive_interval_ns = UINT64_C(7200000000000),
		.keepalive_timeout_ns = UINT64_C(20000000000),
	};
}

static nghttp2_session *
make_client(Peer *peer)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	nghttp2_session *client;

	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	assert_int_equal(nghttp2_option_new(&option), 0);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, client_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, client_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, client_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, client_close);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, client_invalid);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, client_not_sent);
	nghttp2_option_set_peer_max_concurrent_streams(option, 100000);
	assert_int_equal(nghttp2_session_client_new2(&client, callbacks, peer, option), 0);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	assert_int_equal(nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, NULL, 0), 0);
	return client;
}

void
peer_init(Peer *peer, const NetLimits *limits)
{
	NetHandlers handlers = {
		.arg = peer,
		.on_call = on_call,
		.on_close = on_close,
		.on_http = on_http,
		.on_http_close = on_http_close,
		.find_method = peer->no_find_method ? NULL : find_method,
		.unknown_method = unknown_method,
	};
	NetLimits usual = peer_limits();
	size_t limit = peer->budget.limit;

	budget_init(&peer->budget, limit != 0 ? limit : SIZE_MAX / 2);
	peer->now_ns = UINT64_C(1000000000);
	peer->announced_streams = UINT32_MAX;
	if (peer->send_max == 0)
		peer->send_max = 65536;
	assert_int_equal(net_session_create(limits != NULL ? limits : &usual, &handlers,
										&peer->budget.budget, peer->now_ns, &peer->server),
					 RUSD_OK);
	peer->client = make_client(peer);
}

/* All that was dispatched was closed, and all memory has gone back. */
void
peer_destroy(Peer *peer)
{
	net_session_destroy(peer->server);
	assert_int_equal(peer->dispatched, peer->closed_calls);
	assert_int_equal(peer->budget.used, 0);
	nghttp2_session_del(peer->client);
	for (unsigned i = 0; i < PEER_STREAMS; i++)
		free(peer->streams[i].body);
}

/* ---- requests ---- */

nghttp2_nv
peer_header(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *) (uintptr_t) name, (uint8_t *) (uintptr_t) value, strlen(name),
						strlen(value), 0};
}

static ssize_t
read_body(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t length, uint32_t *flags,
		  nghttp2_data_source *source, void *arg)
{
	PeerRequest *request = source->ptr;
	size_t part = Min(length, request->length - request->sent);

	(void) ng;
	(void) id;
	(void) arg;
	if (request->piece != 0)
		part = Min(part, request->piece);
	if (part > 0)
		memcpy(buffer, request->body + request->sent, part);
	request->sent += part;
	if (request->sent == request->length)
	{
		*flags = NGHTTP2_DATA_FLAG_EOF;
		if (request->keep_open)
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	}
	return (ssize_t) part;
}

PeerStream *
peer_submit(Peer *peer, PeerRequest *request)
{
	nghttp2_nv headers[16];
	size_t count = 0;
	nghttp2_data_provider provider = {.source.ptr = request, .read_callback = read_body};
	int32_t id;

	headers[count++] = peer_header(":method", request->method != NULL ? request->method : "POST");
	headers[count++] = peer_header(":scheme", "http");
	headers[count++] =
		peer_header(":path", request->path != NULL ? request->path : "/test.Echo/Unary");
	headers[count++] = peer_header(":authority", "unix:/a/b.sock");
	if (request->content_type == NULL || request->content_type[0] != '\0')
		headers[count++] =
			peer_header("content-type",
						request->content_type != NULL ? request->content_type : "application/grpc");
	headers[count++] = peer_header("te", "trailers");
	for (size_t i = 0; i < request->more_count; i++)
		headers[count++] = request->more[i];
	request->sent = 0;
	id = nghttp2_submit_request(peer->client, NULL, headers, count,
								request->length > 0 || request->keep_open ? &provider : NULL, NULL);
	assert_true(id > 0);
	return stream_of(peer, id);
}

size_t
peer_frame(uint8_t *frame, const uint8_t *message, size_t length)
{
	grpc_prefix_put(frame, 0, (uint32_t) length);
	if (length > 0)
		memcpy(frame + GRPC_PREFIX_BYTES, message, length);
	return length + GRPC_PREFIX_BYTES;
}

PeerStream *
peer_unary(Peer *peer, const char *message, size_t length)
{
	uint8_t *frame = malloc(length + GRPC_PREFIX_BYTES);
	PeerRequest request = {.body = frame};
	PeerStream *stream;

	assert_non_null(frame);
	request.length = peer_frame(frame, (const uint8_t *) message, length);
	stream = peer_submit(peer, &request);
	peer_pump(peer);
	/* If it was refused, not all of it was sent: then it never will be. */
	assert_true(request.sent == request.length || stream->closed || peer->deaf);
	free(frame);
	return stream;
}

/* ---- the pump ---- */

void
peer_raw(Peer *peer, const void *data, size_t length)
{
	peer->status = net_session_receive(peer->server, data, length, peer->now_ns);
}

static bool
client_to_server(Peer *peer)
{
	const uint8_t *data;
	ssize_t length = nghttp2_session_mem_send(peer->client, &data);
	size_t done = 0;

	assert_true(length >= 0);
	if (length == 0)
		return false;
	while (done < (size_t) length)
	{
		size_t part = peer->chunk == 0 ? (size_t) length : Min(peer->chunk, (size_t) length - done);
		/* Exactly as long, so that the sanitizer sees every byte beyond. */
		uint8_t *copy = malloc(part);

		assert_non_null(copy);
		memcpy(copy, data + done, part);
		peer_raw(peer, copy, part);
		free(copy);
		done += part;
	}
	return true;
}

static bool
server_to_client(Peer *peer)
{
	uint8_t *buffer;
	size_t length;
	bool any;

	if (peer->deaf)
		return false;
	buffer = malloc(peer->send_max);
	assert_non_null(buffer);
	length = net_session_send(peer->server, buffer, peer->send_max);
	assert_true(length <= peer->send_max);
	any = length > 0;
	peer->server_bytes += length;
	if (any)
		assert_int_equal(nghttp2_session_mem_recv(peer->client, buffer, length), length);
	free(buffer);
	return any;
}

void
peer_pump(Peer *peer)
{
	bool any = true;

	while (any)
	{
		any = client_to_server(peer);
		any |= server_to_client(peer);
	}
}

size_t
peer_discard(Peer *peer)
{
	static uint8_t buffer[65536];
	size_t all = 0, length;

	while ((length = net_session_send(peer->server, buffer, sizeof(buffer))) > 0)
		all += length;
	return all;
}
