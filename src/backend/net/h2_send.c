/*
 * h2_send.c
 *	  HTTP/2: from nghttp2's frames to one buffer for one write.
 *
 * Backends. Two things are done beside nghttp2 because they are most of the cost of a small
 * answer:
 *
 * DATA payloads go from their source straight into the output buffer: nghttp2 only makes the
 * frame's header (NGHTTP2_DATA_FLAG_NO_COPY).
 *
 * The trailers of an answer that went well are always the same. nghttp2 is told that the last
 * DATA frame ends the stream; the frame goes out without END_STREAM, and behind it a HEADERS
 * frame from a constant, its fields literal and not indexed, so that neither side's header table
 * changes (RFC 7541, 6.2.2). The one case in which a header block may not come from a constant is
 * when a new table size must be announced first (4.2): after SETTINGS, until nghttp2 has made a
 * header block, it makes the trailers too (slow_trailers).
 *
 * src/backend/net/h2_send.c
 */
#include "rusd.h"

#include <endian.h>

#include "net/grpc_frame.h"
#include "net_int.h"

#define FRAME_HEADER_BYTES 9
#define FRAME_MAX 16384 /* bytes of a DATA frame that we send */
#define FRAME_TYPE(frame) ((frame)[3])

/* HEADERS with END_STREAM and END_HEADERS; the stream's id at 5. */
static const uint8_t ok_trailers[] = "\x00\x00\x1e\x01\x05\x00\x00\x00\x00"
									 "\x00\x0bgrpc-status\x01"
									 "0"
									 "\x00\x0cgrpc-message\x00";

#define OK_TRAILERS_BYTES (sizeof(ok_trailers) - 1)
StaticAssert(OK_TRAILERS_BYTES == FRAME_HEADER_BYTES + 0x1e,
			 "length of the block stands in the frame's header");

/* Room that a DATA frame needs beside its payload. */
#define DATA_OVERHEAD (FRAME_HEADER_BYTES + OK_TRAILERS_BYTES)
/* With less room than this no further frame is begun. */
#define ROOM_MIN (NET_SEND_MIN / 2)

static ssize_t
read_length(nghttp2_session *ng, uint8_t type, int32_t stream_id, int32_t session_window,
			int32_t stream_window, uint32_t frame_max, void *arg)
{
	NetSession *session = arg;
	H2 *h2 = &session->h2;
	size_t room = h2->out_max - h2->out_used;
	size_t most = Min(Min((size_t) session_window, (size_t) stream_window), (size_t) frame_max);

	(void) ng;
	(void) type;
	(void) stream_id;
	if (unlikely(room < ROOM_MIN))
	{
		/* h2_read_reply will say that it wants to go on later. */
		h2->full = true;
		return 1;
	}
	most = Min(most, FRAME_MAX);
	return (ssize_t) Min(most, room - DATA_OVERHEAD);
}

/*
 * The message itself, from memory or from its source, to target.  *got is 0 if the source has
 * nothing now.
 */
static Status
pull_message(NetStream *stream, uint8_t *target, size_t length, size_t *got)
{
	length = Min(length, stream->reply_left);
	*got = 0;
	if (stream->source == NULL)
	{
		if (length == 0)
			return RUSD_OK;
		memcpy(target, stream->reply, length);
		stream->reply += length;
		stream->reply_left -= length;
		*got = length;
		return RUSD_OK;
	}
	while (*got < length)
	{
		size_t part = 0;
		Status status = stream->source->pull(stream->source, target + *got, length - *got, &part);

		if (status == RUSD_AGAIN)
			break;
		if (status != RUSD_OK)
			return status;
		Check(part > 0 && part <= length - *got);
		*got += part;
		stream->reply_left -= part;
	}
	return RUSD_OK;
}

/* The source is not needed any more. */
static void
close_source(NetStream *stream)
{
	NetSource *source = stream->source;

	stream->source = NULL;
	stream->reply = NULL;
	if (source != NULL)
		source->close(source);
}

/* The last byte is given: trailers from the constant, or from nghttp2. */
static int
end_of_reply(nghttp2_session *ng, NetStream *stream, uint32_t *data_flags)
{
	static const nghttp2_nv trailers[] = {
		{(uint8_t *) (uintptr_t) "grpc-status", (uint8_t *) (uintptr_t) "0", 11, 1,
		 NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE},
		{(uint8_t *) (uintptr_t) "grpc-message", (uint8_t *) (uintptr_t) "", 12, 0,
		 NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE},
	};

	*data_flags |= NGHTTP2_DATA_FLAG_EOF;
	close_source(stream);
	if (likely(!stream->session->h2.slow_trailers) || stream->is_http)
		return 0;
	*data_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	return nghttp2_submit_trailer(ng, stream->id, trailers, lengthof(trailers));
}

/* A stream of messages ends with a status that is not OK. */
static int
end_of_stream(nghttp2_session *ng, NetStream *stream, Status status, uint32_t *data_flags)
{
	const char *text = status_text(status);
	uint8_t encoded[512];
	char code[4];
	nghttp2_nv trailers[2] = {
		{(uint8_t *) (uintptr_t) "grpc-status", (uint8_t *) code, 11, 0, NGHTTP2_NV_FLAG_NONE},
		{(uint8_t *) (uintptr_t) "grpc-message", encoded, 12, 0, NGHTTP2_NV_FLAG_NO_INDEX},
	};

	trailers[0].valuelen =
		(size_t) snprintf(code, sizeof(code), "%d", status_grpc_code(status) & 0xff);
	trailers[1].valuelen = grpc_message_encode(text, strlen(text), encoded, sizeof(encoded));
	*data_flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	close_source(stream);
	return nghttp2_submit_trailer(ng, stream->id, trailers, lengthof(trailers));
}

/* Replaces a message of length bytes, whole at target, by a shorter one. */
static size_t
compress_in_place(NetStream *stream, uint8_t *target, size_t length)
{
	uint8_t compressed[FRAME_MAX];
	size_t shorter = gzip_deflate(target, length, compressed, length, stream->session->budget);

	if (shorter != 0)
		memcpy(target, compressed, shorter);
	return shorter;
}

/*
 * The next message of a stream: its prefix, and as much of it behind the place for the prefix as
 * the source gives at once. *got: bytes of the frame.
 */
static Status
begin_message(NetStream *stream, uint8_t *target, size_t length, size_t *got)
{
	size_t room = length > GRPC_PREFIX_BYTES ? length - GRPC_PREFIX_BYTES : 0;
	size_t prefix = length - room;
	NetMessage message = {0};
	Status status = stream->source->next(stream->source, target + prefix, room, &message);
	uint8_t flag = 0;

	if (status != RUSD_OK)
		return status;
	Check(message.got <= room && message.got <= message.length && message.length <= INT32_MAX);
	stream->last_message = message.last;
	if (unlikely(stream->gzip) && message.got > 0 && message.got == message.length)
	{
		size_t shorter = compress_in_place(stream, target + prefix, message.got);

		flag = shorter != 0;
		if (shorter != 0)
			message.got = message.length = shorter;
	}
	grpc_prefix_put(stream->reply_prefix, flag, (uint32_t) message.length);
	memcpy(target, stream->reply_prefix, prefix);
	stream->reply_prefix_left = (uint8_t) (GRPC_PREFIX_BYTES - prefix);
	stream->reply_left = message.length - message.got;
	*got = prefix + message.got;
	return RUSD_OK;
}

/* Nothing of a message is left to be given. */
static bool
is_between_messages(const NetStream *stream)
{
	return stream->reply_left == 0 && stream->reply_prefix_left == 0;
}

/*
 * The bytes of a frame are in their place, or status tells why there are none. What nghttp2 is to
 * be told: their number, that no others come, or that it shall ask again later.
 */
static ssize_t
frame_is_read(nghttp2_session *ng, NetStream *stream, Status status, size_t got,
			  uint32_t *data_flags)
{
	int result = 0;

	if (unlikely(status == RUSD_AGAIN))
	{
		stream->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (unlikely(status != RUSD_OK && status != RUSD_END && !stream->streaming))
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	/* Clients measure a connection that brings them much by a ping each round trip. */
	stream->session->h2.forgive_pings = true;
	*data_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (unlikely(status != RUSD_OK && status != RUSD_END))
		result = end_of_stream(ng, stream, status, data_flags);
	else if (status == RUSD_END || (stream->last_message && is_between_messages(stream)))
		result = end_of_reply(ng, stream, data_flags);
	return result == 0 ? (ssize_t) got : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* nghttp2 wants up to length bytes of DATA: they go to their place in the output at once. */
ssize_t
h2_read_reply(nghttp2_session *ng, int32_t stream_id, uint8_t *buffer, size_t length,
			  uint32_t *data_flags, nghttp2_data_source *data_source, void *arg)
{
	NetSession *session = arg;
	H2 *h2 = &session->h2;
	NetStream *stream = data_source->ptr;
	uint8_t *target = h2->out + h2->out_used + FRAME_HEADER_BYTES;
	size_t prefix = Min(length, (size_t) stream->reply_prefix_left);
	size_t got = 0;
	Status status;

	(void) stream_id;
	(void) buffer;
	if (unlikely(h2->full))
		return NGHTTP2_ERR_PAUSE;
	if (unlikely(stream->streaming && is_between_messages(stream)))
	{
		status = begin_message(stream, target, length, &got);
		return frame_is_read(ng, stream, status, got, data_flags);
	}
	memcpy(target, stream->reply_prefix + sizeof(stream->reply_prefix) - stream->reply_prefix_left,
		   prefix);
	status = pull_message(stream, target + prefix, length - prefix, &got);
	/*
	 * The source has nothing now. The prefix waits with it: an empty frame would help nobody.
	 */
	if (unlikely(status == RUSD_OK && got == 0 && stream->reply_left > 0 && length > prefix))
		status = RUSD_AGAIN;
	else
		stream->reply_prefix_left -= (uint8_t) prefix;
	return frame_is_read(ng, stream, status, prefix + got, data_flags);
}

/* The frame whose payload lies in its place already. */
static int
send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *header, size_t length,
		  nghttp2_data_source *source, void *arg)
{
	NetSession *session = arg;
	H2 *h2 = &session->h2;
	NetStream *stream = source->ptr;
	uint8_t *target = h2->out + h2->out_used;

	memcpy(target, header, FRAME_HEADER_BYTES);
	h2->out_used += FRAME_HEADER_BYTES + length;
	if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && !stream->is_http)
	{
		target[4] &= (uint8_t) ~NGHTTP2_FLAG_END_STREAM;
		target += FRAME_HEADER_BYTES + length;
		memcpy(target, ok_trailers, OK_TRAILERS_BYTES);
		memcpy(target + 5, header + 5, 4);
		h2->out_used += OK_TRAILERS_BYTES;
		if (!stream->remote_closed &&
			nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
									  NGHTTP2_NO_ERROR) != 0)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	return 0;
}

void
h2_send_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, read_length);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
}

/*
 * nghttp2 ends the whole connection when a client opens more streams than it was told it may;
 * etcd refuses the one stream. So nghttp2 announces "no limit", which it then enforces, and the
 * limit that we enforce is written over it on its way out.
 */
static void
patch_settings(NetSession *session, uint8_t *frame, size_t length)
{
	for (size_t at = FRAME_HEADER_BYTES; at + 6 <= length; at += 6)
	{
		uint32_t limit = session->limits.streams_max;

		if ((frame[at] << 8 | frame[at + 1]) != NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
			continue;
		frame[at + 2] = (uint8_t) (limit >> 24);
		frame[at + 3] = (uint8_t) (limit >> 16);
		frame[at + 4] = (uint8_t) (limit >> 8);
		frame[at + 5] = (uint8_t) limit;
	}
}

/* As much of nghttp2's frame as there is room for. */
static void
copy_pending(H2 *h2)
{
	size_t part = Min(h2->pending_length, h2->out_max - h2->out_used);

	if (part == 0)
		return;
	memcpy(h2->out + h2->out_used, h2->pending, part);
	h2->out_used += part;
	h2->pending += part;
	h2->pending_length -= part;
}

/*
 * The answer is complete; a client that has not half-closed need not go on. nghttp2 drops what is
 * queued of a stream for which a reset is queued, so this comes after the last frame.
 */
static void
tell_to_stop(NetSession *session, const uint8_t *header)
{
	int32_t id = (int32_t) ((uint32_t) header[5] << 24 | (uint32_t) header[6] << 16 |
							(uint32_t) header[7] << 8 | header[8]);
	NetStream *stream = nghttp2_session_get_stream_user_data(session->h2.ng, id);

	if (stream != NULL && !stream->remote_closed)
		h2_reset(stream, NGHTTP2_NO_ERROR);
}

static void
take_frame(NetSession *session, const uint8_t *frame, size_t length)
{
	H2 *h2 = &session->h2;
	uint8_t *place = h2->out + h2->out_used;
	uint8_t header[FRAME_HEADER_BYTES];

	memcpy(header, frame, sizeof(header));
	h2->pending = frame;
	h2->pending_length = length;
	copy_pending(h2);
	switch (FRAME_TYPE(header))
	{
		case NGHTTP2_SETTINGS:
			/* The first frame of all: it fits. */
			if (!h2->settings_sent)
				patch_settings(session, place, length);
			h2->settings_sent = true;
			break;
		case NGHTTP2_HEADERS:
			h2->slow_trailers = false;
			if (header[4] & NGHTTP2_FLAG_END_STREAM)
				tell_to_stop(session, header);
			break;
		case NGHTTP2_GOAWAY:
			h2->closed = h2->closing;
			break;
		default:
			break;
	}
}

/*
 * There is no memory for nghttp2 to make a frame, but the client shall know that it was not its
 * network, and which requests it may send again elsewhere.
 */
static void
last_words(NetSession *session)
{
	static const char text[] = "rusd: out of the memory granted to this connection";
	H2 *h2 = &session->h2;
	uint8_t *frame = h2->out + h2->out_used;
	uint32_t numbers[2] = {(uint32_t) nghttp2_session_get_last_proc_stream_id(h2->ng),
						   NGHTTP2_ENHANCE_YOUR_CALM};

	memset(frame, 0, FRAME_HEADER_BYTES);
	frame[2] = (uint8_t) (sizeof(numbers) + sizeof(text) - 1);
	frame[3] = NGHTTP2_GOAWAY;
	for (size_t i = 0; i < lengthof(numbers); i++)
		numbers[i] = htobe32(numbers[i]);
	memcpy(frame + FRAME_HEADER_BYTES, numbers, sizeof(numbers));
	memcpy(frame + FRAME_HEADER_BYTES + sizeof(numbers), text, sizeof(text) - 1);
	h2->out_used += FRAME_HEADER_BYTES + frame[2];
	h2->closed = true;
}

size_t
h2_send(NetSession *session, uint8_t *buffer, size_t max)
{
	H2 *h2 = &session->h2;

	h2->out = buffer;
	h2->out_max = max;
	h2->out_used = 0;
	h2->full = false;
	copy_pending(h2);
	while (!h2->closed && !h2->full && !h2->starved && h2->pending_length == 0 &&
		   max - h2->out_used >= ROOM_MIN)
	{
		const uint8_t *frame;
		ssize_t length = nghttp2_session_mem_send(h2->ng, &frame);

		if (unlikely(length == NGHTTP2_ERR_NOMEM || length == NGHTTP2_ERR_CALLBACK_FAILURE))
		{
			h2_starve(session);
			break;
		}
		if (unlikely(length < 0))
		{
			session->end_reason = nghttp2_strerror((int) length);
			session->ended = h2->closing = h2->closed = true;
			break;
		}
		if (length == 0)
			break;
		take_frame(session, frame, (size_t) length);
	}
	if (unlikely(h2->starved && !h2->closed && h2->pending_length == 0 &&
				 max - h2->out_used >= ROOM_MIN))
		last_words(session);
	h2->out = NULL;
	return h2->out_used;
}
