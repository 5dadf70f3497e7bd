/*
 * client.c
 *	  gRPC over one HTTP/2 connection, one call at a time, with deadlines.
 *
 * Waiting is in connect.c only, with a deadline, so that no server, however slow, keeps a command
 * beyond its timeout.  What the library has to send is taken from it piece by
 * piece, what arrives is handed to it as it comes.
 *
 * src/bin/rusdctl/client.c
 */
#include "rusd_fe.h"

#include <nghttp2/nghttp2.h>

#include "client.h"

#define NS_PER_MS 1000000
#define MAX_REPLY ((size_t) INT32_MAX)
#define WINDOW (16 << 20)
#define FRAME_HEADER 5 /* gRPC: one byte of flags, four of length */

struct Client
{
	Connection *connection;
	nghttp2_session *session;
	const char *authority; /* the connection's */
	const char *token;

	/* the call under way */
	int32_t stream;
	uint8_t *send; /* the framed request */
	size_t send_length;
	size_t sent;
	uint8_t *body; /* what came back so far */
	size_t body_length;
	size_t body_room;
	int http_status;
	int grpc_status; /* -1: none came yet */
	char *grpc_message;
	bool closed; /* the stream has ended */
	bool body_too_large;
	uint32_t stream_error;
};

/* ---- what the library tells us ---- */

static ssize_t
give_body(nghttp2_session *session, int32_t stream, uint8_t *buffer, size_t room, uint32_t *flags,
		  nghttp2_data_source *source, void *user)
{
	Client *c = source->ptr;
	size_t n = Min(room, c->send_length - c->sent);

	(void) session;
	(void) stream;
	(void) user;
	memcpy(buffer, c->send + c->sent, n);
	c->sent += n;
	if (c->sent == c->send_length)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t) n;
}

/* grpc-message has %XX for what is not printable. */
static char *
percent_decode(const uint8_t *value, size_t length)
{
	char *out = malloc(length + 1);
	size_t n = 0;

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < length; i++)
	{
		unsigned byte;
		char hex[3] = {0};

		if (value[i] == '%' && i + 2 < length)
		{
			memcpy(hex, value + i + 1, 2);
			if (sscanf(hex, "%2x", &byte) == 1)
			{
				out[n++] = (char) byte;
				i += 2;
				continue;
			}
		}
		out[n++] = (char) value[i];
	}
	out[n] = '\0';
	return out;
}

static int
take_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
			size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
			void *user)
{
	Client *c = user;

	(void) session;
	(void) flags;
	(void) name_length; /* names end with a NUL */
	if (frame->hd.stream_id != c->stream)
		return 0;
	if (strcmp((const char *) name, ":status") == 0)
		c->http_status = atoi((const char *) value);
	else if (strcmp((const char *) name, "grpc-status") == 0)
		c->grpc_status = atoi((const char *) value);
	else if (strcmp((const char *) name, "grpc-message") == 0)
	{
		free(c->grpc_message);
		c->grpc_message = percent_decode(value, value_length);
	}
	return 0;
}

static int
take_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
		  size_t length, void *user)
{
	Client *c = user;

	(void) session;
	(void) flags;
	if (stream != c->stream || c->body_too_large)
		return 0;
	if (c->body_length + length > MAX_REPLY + FRAME_HEADER)
	{
		c->body_too_large = true;
		return 0;
	}
	if (c->body_length + length > c->body_room)
	{
		size_t room = Max(c->body_room * 2, (size_t) 64 << 10);
		uint8_t *larger;

		while (room < c->body_length + length)
			room *= 2;
		larger = realloc(c->body, room);
		if (larger == NULL)
		{
			c->body_too_large = true;
			return 0;
		}
		c->body = larger;
		c->body_room = room;
	}
	memcpy(c->body + c->body_length, data, length);
	c->body_length += length;
	return 0;
}

static int
take_close(nghttp2_session *session, int32_t stream, uint32_t error, void *user)
{
	Client *c = user;

	(void) session;
	if (stream == c->stream)
	{
		c->closed = true;
		c->stream_error = error;
	}
	return 0;
}

static bool
make_session(Client *c)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
	};
	int rc;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return false;
	nghttp2_session_callbacks_set_on_header_callback(callbacks, take_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, take_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, take_close);
	rc = nghttp2_session_client_new(&c->session, callbacks, c);
	nghttp2_session_callbacks_del(callbacks);
	if (rc != 0)
		return false;
	return nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, lengthof(settings)) ==
			   0 &&
		   nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, WINDOW) == 0;
}

Client *
client_open(const char *endpoint, const ConnectOptions *options, int64_t timeout_ns, char **error)
{
	Client *c = calloc(1, sizeof(*c));

	*error = NULL;
	if (c == NULL)
	{
		*error = error_text("out of memory");
		return NULL;
	}
	c->connection = connection_open(endpoint, options, client_now() + timeout_ns, error);
	if (c->connection == NULL)
	{
		free(c);
		return NULL;
	}
	c->authority = connection_authority(c->connection);
	if (!make_session(c))
	{
		*error = error_text("out of memory");
		client_close(c);
		return NULL;
	}
	return c;
}

void
client_close(Client *c)
{
	if (c == NULL)
		return;
	nghttp2_session_del(c->session);
	connection_close(c->connection);
	free(c->send);
	free(c->body);
	free(c->grpc_message);
	free(c);
}

void
client_set_token(Client *c, const char *token)
{
	c->token = token;
}

/* ---- a call ---- */

/* The status that stands for how a transfer ended; *error is set. */
static int
transfer_status(Transfer transfer, char **error)
{
	if (transfer == TRANSFER_DONE)
		return RPC_OK;
	if (transfer == TRANSFER_FAILED)
		return RPC_UNAVAILABLE;
	*error = error_text("context deadline exceeded");
	return RPC_DEADLINE_EXCEEDED;
}

/* Sends what the library has.  Returns RPC_OK, or the status with *error set. */
static int
flush_session(Client *c, int64_t deadline, char **error)
{
	const uint8_t *data;
	ssize_t length;

	while ((length = nghttp2_session_mem_send(c->session, &data)) > 0)
	{
		while (length > 0)
		{
			size_t done = 0;
			Transfer t =
				connection_send(c->connection, data, (size_t) length, deadline, &done, error);

			if (t != TRANSFER_DONE)
				return transfer_status(t, error);
			data += done;
			length -= (ssize_t) done;
		}
	}
	if (length < 0)
	{
		*error = error_text("HTTP/2: %s", nghttp2_strerror((int) length));
		return RPC_INTERNAL;
	}
	return RPC_OK;
}

/* Reads once and hands it to the library. */
static int
read_once(Client *c, int64_t deadline, char **error)
{
	static uint8_t buffer[256 << 10];
	size_t n = 0;
	ssize_t taken;
	Transfer t = connection_receive(c->connection, buffer, sizeof(buffer), deadline, &n, error);

	if (t != TRANSFER_DONE)
		return transfer_status(t, error);
	taken = nghttp2_session_mem_recv(c->session, buffer, n);
	if (taken < 0)
	{
		*error = error_text("%s does not speak HTTP/2%s: %s", c->authority,
							connection_is_tls(c->connection) ? "" : " without TLS",
							nghttp2_strerror((int) taken));
		return RPC_UNAVAILABLE;
	}
	return RPC_OK;
}

static nghttp2_nv
header(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *) (uintptr_t) name, (uint8_t *) (uintptr_t) value, strlen(name),
						strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* Frames the request and hands it to the library with its headers. */
static int
submit(Client *c, const RpcMethod *method, const ProtobufCMessage *request, int64_t timeout_ns,
	   char **error)
{
	nghttp2_data_provider provider = {.source = {.ptr = c}, .read_callback = give_body};
	size_t length = protobuf_c_message_get_packed_size(request);
	char timeout[32];
	nghttp2_nv headers[10];
	size_t n = 0;

	if (length > UINT32_MAX)
	{
		*error = error_text("request of %zu bytes is too large", length);
		return RPC_RESOURCE_EXHAUSTED;
	}
	free(c->send);
	c->send = malloc(FRAME_HEADER + length);
	if (c->send == NULL)
	{
		*error = error_text("out of memory");
		return RPC_RESOURCE_EXHAUSTED;
	}
	c->send[0] = 0;
	for (int i = 0; i < 4; i++)
		c->send[1 + i] = (uint8_t) (length >> (24 - 8 * i));
	protobuf_c_message_pack(request, c->send + FRAME_HEADER);
	c->send_length = FRAME_HEADER + length;
	c->sent = c->body_length = 0;
	c->http_status = 0;
	c->grpc_status = -1;
	free(c->grpc_message);
	c->grpc_message = NULL;
	c->closed = c->body_too_large = false;

	headers[n++] = header(":method", "POST");
	headers[n++] = header(":scheme", connection_is_tls(c->connection) ? "https" : "http");
	headers[n++] = header(":path", method->path);
	headers[n++] = header(":authority", c->authority);
	headers[n++] = header("content-type", "application/grpc");
	headers[n++] = header("user-agent", "rusdctl/" RUSD_VERSION_STRING);
	headers[n++] = header("te", "trailers");
	/* At most eight digits: milliseconds, or whole seconds beyond a day. */
	if (timeout_ns / NS_PER_MS < 99999999)
		snprintf(timeout, sizeof(timeout), "%dm", (int) Max(timeout_ns / NS_PER_MS, 1));
	else
		snprintf(timeout, sizeof(timeout), "%dS", (int) Min(timeout_ns / 1000000000, 99999999));
	headers[n++] = header("grpc-timeout", timeout);
	if (c->token != NULL)
		headers[n++] = header("token", c->token);
	c->stream = nghttp2_submit_request(c->session, NULL, headers, n, &provider, NULL);
	if (c->stream < 0)
	{
		*error = error_text("HTTP/2: %s", nghttp2_strerror(c->stream));
		return RPC_INTERNAL;
	}
	return RPC_OK;
}

/* The stream has ended: what did the server say? */
static int
judge(Client *c, const RpcMethod *method, ProtobufCMessage **reply, char **error)
{
	if (c->body_too_large)
	{
		*error = error_text("the answer does not fit into memory");
		return RPC_RESOURCE_EXHAUSTED;
	}
	if (c->grpc_status > 0)
	{
		*error = error_text("%s", c->grpc_message != NULL ? c->grpc_message : "");
		return c->grpc_status;
	}
	if (c->grpc_status < 0)
	{
		if (c->http_status != 0 && c->http_status != 200)
			*error = error_text("%s answered with HTTP status %d", c->authority, c->http_status);
		else
			*error = error_text("stream ended by the server (%s)",
								nghttp2_http2_strerror(c->stream_error));
		return c->stream_error == NGHTTP2_REFUSED_STREAM ? RPC_UNAVAILABLE : RPC_INTERNAL;
	}
	if (c->body_length < FRAME_HEADER || c->body[0] != 0)
	{
		*error = error_text("the answer has no message in it");
		return RPC_INTERNAL;
	}
	*reply = protobuf_c_message_unpack(method->reply, NULL, c->body_length - FRAME_HEADER,
									   c->body + FRAME_HEADER);
	if (*reply == NULL)
	{
		*error = error_text("the answer is no %s", method->reply->name);
		return RPC_INTERNAL;
	}
	return RPC_OK;
}

int
client_call(Client *c, const RpcMethod *method, const ProtobufCMessage *request, int64_t timeout_ns,
			ProtobufCMessage **reply, char **error)
{
	int64_t deadline = client_now() + timeout_ns;
	int code;

	*error = NULL;
	*reply = NULL;
	code = submit(c, method, request, timeout_ns, error);
	while (code == RPC_OK)
	{
		code = flush_session(c, deadline, error);
		if (code != RPC_OK)
			break;
		if (c->closed)
			return judge(c, method, reply, error);
		if (!nghttp2_session_want_read(c->session))
		{
			*error = error_text("connection to %s ended by the server", c->authority);
			return RPC_UNAVAILABLE;
		}
		code = read_once(c, deadline, error);
		/* A server that says why and then hangs up has said it all the same. */
		if (code != RPC_OK && c->closed)
		{
			free(*error);
			*error = NULL;
			return judge(c, method, reply, error);
		}
	}
	return code;
}
