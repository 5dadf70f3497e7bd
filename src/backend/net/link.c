/*
 * link.c
 *	  The connection between two members: one stream of gRPC messages over nghttp2, both ends.
 *
 * Processes peer and transfer.  The receive windows stand wide open: who cannot take more does not read the socket, so
 * TCP holds back the sender.  Messages that are put lie in one buffer, which nghttp2 empties into the output by
 * DATA frames as large as the other side takes.
 *
 * src/backend/net/link.c
 */
#include "rusd.h"

#include <nghttp2/nghttp2.h>

#include "net/grpc_frame.h"
#include "net/link.h"

#define WINDOW ((int32_t) 1 << 30)
#define FRAME_MAX (256 * 1024)
#define FRAME_HEADER_BYTES 9
/* Any frame but DATA; one always finds room behind DATA. */
#define CONTROL_MAX (32 * 1024)
#define OUTPUT_BYTES (FRAME_MAX + 3 * CONTROL_MAX)
#define FIELD_TEXT_MAX 1024
#define QUEUE_KEPT (256 * 1024)
/* Frames that the other side has caused and has not taken: acknowledgements, resets.  A member causes a handful. */
#define UNTAKEN_MAX 1000
/* gRPC's codes. */
#define CODE_UNKNOWN 2
#define CODE_UNAVAILABLE 14

typedef struct ByteQueue
{
	uint8_t *bytes;
	size_t begin;
	size_t end;
	size_t capacity;
} ByteQueue;

struct NetLink
{
	nghttp2_session *ng;
	NetLinkHandlers handlers;
	uint64_t pongs; /* pings that were answered */
	uint32_t message_max;
	bool dials;
	int32_t stream_id; /* 0: none yet */
	bool is_open;      /* on_open was called */
	bool has_ended;    /* on_end was called */
	bool is_deferred;  /* nghttp2 waits for more to send */
	bool malformed;
	/* fields of the header block that is coming */
	NetLinkField fields[NET_LINK_FIELDS_MAX];
	char texts[NET_LINK_FIELDS_MAX][2][FIELD_TEXT_MAX];
	uint32_t field_count;
	char path[FIELD_TEXT_MAX];
	char status[8];
	int grpc_code; /* -1: not told */
	char grpc_message[FIELD_TEXT_MAX];
	/* the message that is coming */
	uint8_t prefix[GRPC_PREFIX_BYTES];
	uint32_t prefix_have;
	uint8_t *message;
	uint32_t message_length;
	uint32_t message_have;
	uint32_t message_capacity;
	ByteQueue queue;
	uint8_t *output;
	size_t output_begin;
	size_t output_end;
};

static Status create(const NetLinkHandlers *handlers, uint32_t message_max, bool dials,
					 NetLink **result);
static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
					 size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
					 void *arg);
static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg);
static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *arg);
static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t stream_id, const uint8_t *data,
						 size_t length, void *arg);
static int on_stream_close(nghttp2_session *ng, int32_t stream_id, uint32_t error_code, void *arg);
static ssize_t read_queue(nghttp2_session *ng, int32_t stream_id, uint8_t *buffer, size_t length,
						  uint32_t *data_flags, nghttp2_data_source *source, void *arg);
static int send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *header,
					 size_t length, nghttp2_data_source *source, void *arg);
static ssize_t read_length(nghttp2_session *ng, uint8_t type, int32_t stream_id,
						   int32_t session_window, int32_t stream_window, uint32_t frame_max,
						   void *arg);
static void end_link(NetLink *link, int code, const char *text);

/* ---- making ------------------------------------------------------------------------------------ */

static nghttp2_session_callbacks *
make_callbacks(void)
{
	nghttp2_session_callbacks *callbacks;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
	nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, read_length);
	return callbacks;
}

/* One stream is all there will be. */
static int
submit_settings(NetLink *link)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, FRAME_MAX},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t) WINDOW},
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1}};
	int result;

	/* A server says nothing of pushes. */
	result = nghttp2_submit_settings(link->ng, NGHTTP2_FLAG_NONE, settings, link->dials ? 3 : 2);
	if (result != 0)
		return result;
	return nghttp2_session_set_local_window_size(link->ng, NGHTTP2_FLAG_NONE, 0, WINDOW);
}

static Status
create(const NetLinkHandlers *handlers, uint32_t message_max, bool dials, NetLink **result)
{
	NetLink *link = calloc(1, sizeof(*link));
	nghttp2_session_callbacks *callbacks = make_callbacks();
	int made = NGHTTP2_ERR_NOMEM;

	if (link != NULL)
		link->output = malloc(OUTPUT_BYTES);
	if (link != NULL && link->output != NULL && callbacks != NULL)
	{
		link->handlers = *handlers;
		link->message_max = message_max;
		link->dials = dials;
		link->grpc_code = -1;
		made = dials ? nghttp2_session_client_new(&link->ng, callbacks, link)
					 : nghttp2_session_server_new(&link->ng, callbacks, link);
	}
	nghttp2_session_callbacks_del(callbacks);
	if (made == 0)
		made = submit_settings(link);
	if (made == 0)
	{
		*result = link;
		return RUSD_OK;
	}
	if (link != NULL)
		net_link_destroy(link);
	return RUSD_NO_MEMORY;
}

static nghttp2_nv
field(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *) (uintptr_t) name, (uint8_t *) (uintptr_t) value, strlen(name),
						strlen(value), NGHTTP2_NV_FLAG_NONE};
}

Status
net_link_dial(const char *authority, const char *path, const NetLinkField *fields, uint32_t count,
			  const NetLinkHandlers *handlers, uint32_t message_max, NetLink **result)
{
	nghttp2_nv headers[6 + NET_LINK_FIELDS_MAX] = {field(":method", "POST"),
												   field(":scheme", "http"),
												   field(":authority", authority),
												   field(":path", path),
												   field("content-type", "application/grpc"),
												   field("te", "trailers")};
	nghttp2_data_provider provider = {.read_callback = read_queue};
	NetLink *link;
	Status status = create(handlers, message_max, true, &link);

	if (status != RUSD_OK)
		return status;
	Check(count <= NET_LINK_FIELDS_MAX);
	for (uint32_t i = 0; i < count; i++)
		headers[6 + i] = field(fields[i].name, fields[i].value);
	link->stream_id = nghttp2_submit_request(link->ng, NULL, headers, 6 + count, &provider, NULL);
	if (link->stream_id < 0)
	{
		net_link_destroy(link);
		return RUSD_NO_MEMORY;
	}
	*result = link;
	return RUSD_OK;
}

Status
net_link_listen(const NetLinkHandlers *handlers, uint32_t message_max, NetLink **result)
{
	return create(handlers, message_max, false, result);
}

void
net_link_destroy(NetLink *link)
{
	nghttp2_session_del(link->ng);
	free(link->message);
	free(link->queue.bytes);
	free(link->output);
	free(link);
}

void
net_link_accept(NetLink *link, const NetLinkField *fields, uint32_t count)
{
	nghttp2_nv headers[2 + NET_LINK_FIELDS_MAX] = {field(":status", "200"),
												   field("content-type", "application/grpc")};
	nghttp2_data_provider provider = {.read_callback = read_queue};

	Check(count <= NET_LINK_FIELDS_MAX);
	for (uint32_t i = 0; i < count; i++)
		headers[2 + i] = field(fields[i].name, fields[i].value);
	if (nghttp2_submit_response(link->ng, link->stream_id, headers, 2 + count, &provider) != 0)
		end_link(link, CODE_UNKNOWN, "no memory");
}

void
net_link_refuse(NetLink *link, int grpc_code, const char *text)
{
	char code[8], encoded[FIELD_TEXT_MAX];
	nghttp2_nv headers[4] = {field(":status", "200"), field("content-type", "application/grpc")};
	size_t length =
		grpc_message_encode(text, strlen(text), (uint8_t *) encoded, sizeof(encoded) - 1);

	encoded[length] = '\0';
	snprintf(code, sizeof(code), "%d", grpc_code);
	headers[2] = field("grpc-status", code);
	headers[3] = field("grpc-message", encoded);
	(void) nghttp2_submit_response(link->ng, link->stream_id, headers, 4, NULL);
	end_link(link, grpc_code, text);
}

void
net_link_ping(NetLink *link)
{
	(void) nghttp2_submit_ping(link->ng, NGHTTP2_FLAG_NONE, NULL);
}

uint64_t
net_link_pongs(const NetLink *link)
{
	return link->pongs;
}

/* ---- receiving --------------------------------------------------------------------------------- */

Status
net_link_receive(NetLink *link, const uint8_t *data, size_t length)
{
	ssize_t taken = nghttp2_session_mem_recv(link->ng, data, length);

	if (taken == NGHTTP2_ERR_NOMEM)
		return RUSD_NO_MEMORY;
	/* nghttp2 counts acknowledgements only. */
	if (nghttp2_session_get_outbound_queue_size(link->ng) > UNTAKEN_MAX)
		return RUSD_INVALID;
	return taken < 0 || link->malformed ? RUSD_INVALID : RUSD_OK;
}

static int
on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	NetLink *link = arg;

	link->field_count = 0;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (link->stream_id == 0)
	{
		link->stream_id = frame->hd.stream_id;
		return 0;
	}
	return nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
									 NGHTTP2_REFUSED_STREAM) == 0
			   ? 0
			   : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static bool
name_is(const uint8_t *name, size_t length, const char *want)
{
	return length == strlen(want) && memcmp(name, want, length) == 0;
}

/* Cut to size: what is too long makes no sense to whoever compares it. */
static void
keep_text(char *into, size_t size, const uint8_t *text, size_t length)
{
	length = Min(length, size - 1);
	memcpy(into, text, length);
	into[length] = '\0';
}

static int
on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
		  const uint8_t *value, size_t value_length, uint8_t flags, void *arg)
{
	NetLink *link = arg;
	uint32_t n = link->field_count;

	(void) ng;
	(void) flags;
	if (frame->hd.stream_id != link->stream_id)
		return 0;
	if (name_is(name, name_length, ":path"))
		keep_text(link->path, sizeof(link->path), value, value_length);
	else if (name_is(name, name_length, ":status"))
		keep_text(link->status, sizeof(link->status), value, value_length);
	else if (name_is(name, name_length, "grpc-status"))
	{
		char code[8];

		keep_text(code, sizeof(code), value, value_length);
		link->grpc_code = atoi(code);
	}
	else if (name_is(name, name_length, "grpc-message"))
	{
		size_t length = Min(value_length, sizeof(link->grpc_message) - 1);

		link->grpc_message[grpc_message_decode(value, length, link->grpc_message)] = '\0';
	}
	else if (name_length > 0 && name[0] != ':' && n < NET_LINK_FIELDS_MAX)
	{
		keep_text(link->texts[n][0], FIELD_TEXT_MAX, name, name_length);
		keep_text(link->texts[n][1], FIELD_TEXT_MAX, value, value_length);
		link->fields[n] = (NetLinkField){link->texts[n][0], link->texts[n][1]};
		link->field_count++;
	}
	return 0;
}

static void
end_link(NetLink *link, int code, const char *text)
{
	if (link->has_ended)
		return;
	link->has_ended = true;
	link->handlers.on_end(link->handlers.arg, code, text);
}

static void
headers_done(NetLink *link)
{
	if (link->grpc_code >= 0)
	{
		end_link(link, link->grpc_code, link->grpc_message);
		return;
	}
	if (link->is_open)
		return;
	if (link->dials && strcmp(link->status, "200") != 0)
	{
		end_link(link, CODE_UNKNOWN, "it answers, but not as a member does");
		return;
	}
	link->is_open = true;
	link->handlers.on_open(link->handlers.arg, link->dials ? NULL : link->path, link->fields,
						   link->field_count);
}

static int
on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	NetLink *link = arg;

	(void) ng;
	if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK))
		link->pongs++;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		end_link(link, CODE_UNAVAILABLE, "the other side goes away");
	if (frame->hd.stream_id != link->stream_id || frame->hd.stream_id == 0)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS)
		headers_done(link);
	if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
		(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		end_link(link, CODE_UNAVAILABLE, "the other side has ended the stream");
	return 0;
}

static bool
begin_message(NetLink *link)
{
	uint8_t *grown;

	link->message_length = grpc_prefix_length(link->prefix);
	link->message_have = 0;
	if (link->prefix[0] != 0 || link->message_length == 0)
		return false;
	if (link->message_length > link->message_max)
	{
		char text[64];

		snprintf(text, sizeof(text), "a message of %" PRIu32 " bytes", link->message_length);
		end_link(link, NET_LINK_TOO_LONG, text);
		return false;
	}
	if (link->message_length <= link->message_capacity)
		return true;
	grown = realloc(link->message, link->message_length);
	if (grown == NULL)
		return false;
	link->message = grown;
	link->message_capacity = link->message_length;
	return true;
}

static int
on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t stream_id, const uint8_t *data,
			  size_t length, void *arg)
{
	NetLink *link = arg;

	(void) ng;
	(void) flags;
	while (length > 0 && stream_id == link->stream_id && !link->has_ended && !link->malformed)
	{
		size_t part;

		if (link->prefix_have < GRPC_PREFIX_BYTES)
		{
			part = Min(length, (size_t) (GRPC_PREFIX_BYTES - link->prefix_have));
			memcpy(link->prefix + link->prefix_have, data, part);
			link->prefix_have += (uint32_t) part;
			if (link->prefix_have == GRPC_PREFIX_BYTES)
				link->malformed = !begin_message(link);
		}
		else
		{
			part = Min(length, (size_t) (link->message_length - link->message_have));
			memcpy(link->message + link->message_have, data, part);
			link->message_have += (uint32_t) part;
			if (link->message_have == link->message_length)
			{
				link->prefix_have = 0;
				link->handlers.on_message(link->handlers.arg, link->message, link->message_length);
			}
		}
		data += part;
		length -= part;
	}
	return 0;
}

static int
on_stream_close(nghttp2_session *ng, int32_t stream_id, uint32_t error_code, void *arg)
{
	NetLink *link = arg;

	(void) ng;
	if (stream_id == link->stream_id)
		end_link(link, CODE_UNAVAILABLE, nghttp2_http2_strerror(error_code));
	return 0;
}

/* ---- sending ----------------------------------------------------------------------------------- */

size_t
net_link_unsent(const NetLink *link)
{
	return link->queue.end - link->queue.begin;
}

static bool
make_room(ByteQueue *queue, size_t length)
{
	size_t used = queue->end - queue->begin;
	size_t capacity = Max(queue->capacity, (size_t) QUEUE_KEPT);
	uint8_t *grown;

	if (queue->end + length <= queue->capacity)
		return true;
	if (used > 0)
		memmove(queue->bytes, queue->bytes + queue->begin, used);
	queue->begin = 0;
	queue->end = used;
	while (capacity < used + length)
		capacity *= 2;
	if (capacity == queue->capacity)
		return true;
	grown = realloc(queue->bytes, capacity);
	if (grown == NULL)
		return false;
	queue->bytes = grown;
	queue->capacity = capacity;
	return true;
}

Status
net_link_put(NetLink *link, const Bytes *parts, uint32_t count)
{
	ByteQueue *queue = &link->queue;
	size_t length = 0;

	for (uint32_t i = 0; i < count; i++)
		length += parts[i].length;
	if (!make_room(queue, GRPC_PREFIX_BYTES + length))
		return RUSD_NO_MEMORY;
	grpc_prefix_put(queue->bytes + queue->end, 0, (uint32_t) length);
	queue->end += GRPC_PREFIX_BYTES;
	for (uint32_t i = 0; i < count; i++)
	{
		if (parts[i].length > 0)
			memcpy(queue->bytes + queue->end, parts[i].data, parts[i].length);
		queue->end += parts[i].length;
	}
	if (link->is_deferred)
	{
		link->is_deferred = false;
		(void) nghttp2_session_resume_data(link->ng, link->stream_id);
	}
	return RUSD_OK;
}

static ssize_t
read_length(nghttp2_session *ng, uint8_t type, int32_t stream_id, int32_t session_window,
			int32_t stream_window, uint32_t frame_max, void *arg)
{
	size_t most = Min((size_t) Min(session_window, stream_window), (size_t) frame_max);

	(void) ng;
	(void) type;
	(void) stream_id;
	(void) arg;
	return (ssize_t) Min(most, (size_t) FRAME_MAX);
}

static ssize_t
read_queue(nghttp2_session *ng, int32_t stream_id, uint8_t *buffer, size_t length,
		   uint32_t *data_flags, nghttp2_data_source *source, void *arg)
{
	NetLink *link = arg;
	size_t unsent = net_link_unsent(link);

	(void) ng;
	(void) stream_id;
	(void) buffer;
	(void) source;
	if (unsent == 0)
	{
		link->is_deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*data_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	return (ssize_t) Min(unsent, length);
}

/* The frame goes into the output, its payload straight from the queue. */
static int
send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *header, size_t length,
		  nghttp2_data_source *source, void *arg)
{
	NetLink *link = arg;
	ByteQueue *queue = &link->queue;

	(void) ng;
	(void) frame;
	(void) source;
	/* Asked for once more with the next output. */
	if (link->output_end + FRAME_HEADER_BYTES + length > OUTPUT_BYTES - CONTROL_MAX)
		return NGHTTP2_ERR_WOULDBLOCK;
	memcpy(link->output + link->output_end, header, FRAME_HEADER_BYTES);
	link->output_end += FRAME_HEADER_BYTES;
	memcpy(link->output + link->output_end, queue->bytes + queue->begin, length);
	link->output_end += length;
	queue->begin += length;
	if (queue->begin == queue->end)
	{
		queue->begin = queue->end = 0;
		if (queue->capacity > 16 * (size_t) QUEUE_KEPT)
		{
			free(queue->bytes);
			*queue = (ByteQueue){.bytes = NULL};
		}
	}
	return 0;
}

Status
net_link_output(NetLink *link, Bytes *output)
{
	while (link->output_begin == 0 && OUTPUT_BYTES - link->output_end >= CONTROL_MAX)
	{
		const uint8_t *frame;
		ssize_t length = nghttp2_session_mem_send(link->ng, &frame);
		size_t before = link->output_end;

		if (length < 0)
			return RUSD_INVALID;
		if (length > 0)
		{
			if ((size_t) length > OUTPUT_BYTES - link->output_end)
				return RUSD_INVALID;
			memcpy(link->output + link->output_end, frame, (size_t) length);
			link->output_end += (size_t) length;
		}
		if (link->output_end == before)
			break;
	}
	*output = (Bytes){link->output + link->output_begin, link->output_end - link->output_begin};
	return RUSD_OK;
}

void
net_link_written(NetLink *link, size_t length)
{
	link->output_begin += length;
	if (link->output_begin == link->output_end)
		link->output_begin = link->output_end = 0;
}
