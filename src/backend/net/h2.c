/*
 * h2.c
 *	  HTTP/2: nghttp2's callbacks, life of streams, limits, pings, GOAWAY.
 *
 * Backends. nghttp2 keeps the rules of the protocol; here is what it does not know: how many
 * streams and bytes we are ready to take, what etcd does about pings, and how a connection ends.
 *
 * src/backend/net/h2.c
 */
#include "rusd.h"

#include "net_int.h"

/*
 * The connection's receive window: its bytes are taken at once, the streams' windows bound what
 * is kept.
 */
#define CONNECTION_WINDOW (1024 * 1024)
/* Ended streams that are kept to be used again, and how many of them while nothing goes on. */
#define FREE_STREAMS_MAX 256
#define FREE_STREAMS_IDLE 8
/* Streams that a client may open and reset at once, and then per second (rapid reset). */
#define RESET_BURST 5000
#define RESET_RATE 1000
/* SETTINGS frames at once, and then per second: each may walk all streams. */
#define SETTINGS_BURST 100
#define SETTINGS_RATE 10
/* Pings without a stream: at most one in this time (RPC-24, section 4.4). */
#define IDLE_PING_MIN_NS (7200 * NS_PER_SECOND)
#define PING_STRIKES_MAX 2

static const uint8_t drain_ping[8] = {'d', 'r', 'a', 'i', 'n', 0, 0, 1};

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg);
static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
					 nghttp2_rcbuf *value, uint8_t flags, void *arg);
static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *arg);
static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t stream_id, const uint8_t *data,
						 size_t length, void *arg);
static int on_stream_close(nghttp2_session *ng, int32_t stream_id, uint32_t error_code, void *arg);
static void on_ping(NetSession *session, const nghttp2_ping *ping);
static int on_settings(NetSession *session, const nghttp2_settings *settings);
static void close_connection(NetSession *session, uint32_t error_code, const char *reason);

/* ---- sessions ---- */

static nghttp2_session_callbacks *
make_callbacks(void)
{
	nghttp2_session_callbacks *callbacks;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	h2_send_callbacks(callbacks);
	return callbacks;
}

static nghttp2_option *
make_option(void)
{
	nghttp2_option *option;

	if (nghttp2_option_new(&option) != 0)
		return NULL;
	nghttp2_option_set_no_auto_window_update(option, 1);
	/* grpc.c looks at the headers itself: see pseudo_header. */
	nghttp2_option_set_no_http_messaging(option, 1);
	/* Nothing is remembered of streams that have ended. */
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_stream_reset_rate_limit(option, RESET_BURST, RESET_RATE);
	return option;
}

/* The SETTINGS that we begin with.  The limit of streams is written into them by h2_send.c. */
static int
submit_settings(NetSession *session)
{
	nghttp2_settings_entry settings[3] = {{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 16384},
										  {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
										  {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, UINT32_MAX}};
	size_t count = session->limits.streams_max == UINT32_MAX ? 2 : 3;
	int result = nghttp2_submit_settings(session->h2.ng, NGHTTP2_FLAG_NONE, settings, count);

	if (result != 0)
		return result;
	return nghttp2_session_set_local_window_size(session->h2.ng, NGHTTP2_FLAG_NONE, 0,
												 CONNECTION_WINDOW);
}

Status
h2_begin(NetSession *session)
{
	H2 *h2 = &session->h2;
	nghttp2_session_callbacks *callbacks = make_callbacks();
	nghttp2_option *option = make_option();
	int result = NGHTTP2_ERR_NOMEM;

	h2->open.next = h2->open.previous = &h2->open;
	h2->first_deadline_ns = UINT64_MAX;
	h2->settings_left = SETTINGS_BURST;
	h2->settings_refill_ns = session->now_ns;
	if (callbacks != NULL && option != NULL)
		result =
			nghttp2_session_server_new3(&h2->ng, callbacks, session, option, &session->mem.table);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	if (result == 0)
		result = submit_settings(session);
	return result == 0 ? RUSD_OK : RUSD_NO_MEMORY;
}

static void
free_stream(NetSession *session, NetStream *stream)
{
	arena_destroy(&stream->call.arena);
	mem_free(&session->mem, stream);
}

static void
trim_free_streams(NetSession *session, uint32_t keep)
{
	H2 *h2 = &session->h2;

	while (h2->free_count > keep)
	{
		NetStream *stream = h2->free_streams;

		h2->free_streams = stream->next;
		h2->free_count--;
		free_stream(session, stream);
	}
}

void
h2_destroy(NetSession *session)
{
	H2 *h2 = &session->h2;

	if (h2->ng == NULL)
		return;
	while (h2->open.next != &h2->open)
		h2_stream_ended(h2->open.next);
	trim_free_streams(session, 0);
	for (unsigned i = 0; i < PATH_CACHE; i++)
	{
		if (h2->paths[i].path != NULL)
			nghttp2_rcbuf_decref(h2->paths[i].path);
	}
	nghttp2_session_del(h2->ng);
	h2->ng = NULL;
}

Status
h2_receive(NetSession *session, const uint8_t *data, size_t length)
{
	H2 *h2 = &session->h2;
	ssize_t taken;

	if (h2->closing)
		return RUSD_END;
	h2->ping_is_out = false;
	taken = nghttp2_session_mem_recv(h2->ng, data, length);
	if (unlikely(taken < 0))
	{
		/* Our callbacks fail for want of memory only. */
		if (taken == NGHTTP2_ERR_NOMEM || taken == NGHTTP2_ERR_CALLBACK_FAILURE)
		{
			h2_starve(session);
			return RUSD_END;
		}
		session->end_reason = nghttp2_strerror((int) taken);
		return RUSD_INVALID;
	}
	return h2->closing ? RUSD_END : RUSD_OK;
}

bool
h2_is_done(const NetSession *session)
{
	const H2 *h2 = &session->h2;

	if (h2->pending_length > 0)
		return false;
	if (h2->closing)
		return h2->closed;
	if (h2->goaway_final && h2->open_count == 0 && !nghttp2_session_want_write(h2->ng))
		return true;
	return !nghttp2_session_want_read(h2->ng) && !nghttp2_session_want_write(h2->ng);
}

/* ---- streams ---- */

static NetStream *
new_stream(NetSession *session, int32_t id)
{
	H2 *h2 = &session->h2;
	NetStream *stream = h2->free_streams;
	Arena arena;

	if (likely(stream != NULL))
	{
		h2->free_streams = stream->next;
		h2->free_count--;
		arena = stream->call.arena;
	}
	else
	{
		stream = mem_alloc(&session->mem, sizeof(*stream));
		if (stream == NULL)
			return NULL;
		arena_init(&arena, session->budget);
	}
	memset(stream, 0, sizeof(*stream));
	stream->call.arena = arena;
	stream->call.deadline_ns = UINT64_MAX;
	stream->session = session;
	stream->id = id;
	stream->next = h2->open.next;
	stream->previous = &h2->open;
	stream->next->previous = stream;
	h2->open.next = stream;
	h2->open_count++;
	return stream;
}

/* ---- large messages ---- */

static bool
window_fits(const NetSession *session, uint32_t length)
{
	const H2 *h2 = &session->h2;

	return session->limits.large_max == 0 || h2->large_bytes == 0 ||
		   h2->large_bytes + length <= session->limits.large_max;
}

/* The client may send all of it without waiting for us. */
static void
open_window(NetStream *stream, uint32_t length)
{
	H2 *h2 = &stream->session->h2;

	stream->large_bytes = length;
	h2->large_bytes += length;
	(void) nghttp2_session_set_local_window_size(
		h2->ng, NGHTTP2_FLAG_NONE, stream->id,
		(int32_t) Min((uint64_t) length + 65535, (uint64_t) INT32_MAX));
}

/*
 * Messages that come in side by side, each of them in part, would use up the memory before one is
 * whole.  So they come in one after the other: those that wait may send what their first window
 * has room for.
 */
void
h2_want_window(NetStream *stream, uint32_t length)
{
	H2 *h2 = &stream->session->h2;

	if (h2->first_large == NULL && window_fits(stream->session, length))
	{
		open_window(stream, length);
		return;
	}
	stream->awaits_window = true;
	stream->previous_large = h2->last_large;
	if (h2->last_large != NULL)
		h2->last_large->next_large = stream;
	else
		h2->first_large = stream;
	h2->last_large = stream;
}

static void
leave_queue(NetStream *stream)
{
	H2 *h2 = &stream->session->h2;

	if (!stream->awaits_window)
		return;
	stream->awaits_window = false;
	if (stream->previous_large != NULL)
		stream->previous_large->next_large = stream->next_large;
	else
		h2->first_large = stream->next_large;
	if (stream->next_large != NULL)
		stream->next_large->previous_large = stream->previous_large;
	else
		h2->last_large = stream->previous_large;
}

/* The stream and its message are gone: others may send theirs. */
static void
give_window(NetStream *stream)
{
	H2 *h2 = &stream->session->h2;

	leave_queue(stream);
	h2->large_bytes -= stream->large_bytes;
	while (h2->first_large != NULL && window_fits(stream->session, h2->first_large->message_length))
	{
		NetStream *next = h2->first_large;

		leave_queue(next);
		if (!next->message_complete)
			open_window(next, next->message_length);
	}
}

void
h2_stream_ended(NetStream *stream)
{
	NetSession *session = stream->session;
	H2 *h2 = &session->h2;

	stream->next->previous = stream->previous;
	stream->previous->next = stream->next;
	h2->open_count--;
	if (h2->receiving == stream)
		h2->receiving = NULL;
	give_window(stream);
	stream->answered = true;
	stream->deferred = false;
	if (stream->source != NULL)
	{
		stream->source->close(stream->source);
		stream->source = NULL;
	}
	if (stream->http != NULL)
		h2_http_ended(stream);
	if (stream->dispatched)
		session->handlers.on_close(session->handlers.arg, &stream->call);
	grpc_release_message(stream);
	for (int i = 0; i < stream->ref_count; i++)
		nghttp2_rcbuf_decref(stream->refs[i]);
	if (h2->free_count >= FREE_STREAMS_MAX)
	{
		free_stream(session, stream);
		return;
	}
	arena_reset(&stream->call.arena);
	stream->next = h2->free_streams;
	h2->free_streams = stream;
	h2->free_count++;
}

/* The stream is given up by us. */
void
h2_reset(NetStream *stream, uint32_t error_code)
{
	stream->answered = true;
	(void) nghttp2_submit_rst_stream(stream->session->h2.ng, NGHTTP2_FLAG_NONE, stream->id,
									 error_code);
}

/* ---- nghttp2's callbacks ---- */

static NetStream *
find_stream(NetSession *session, int32_t id)
{
	NetStream *stream = session->h2.receiving;

	if (likely(stream != NULL && stream->id == id))
		return stream;
	stream = nghttp2_session_get_stream_user_data(session->h2.ng, id);
	session->h2.receiving = stream;
	return stream;
}

static int
on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	NetSession *session = arg;
	H2 *h2 = &session->h2;
	NetStream *stream = NULL;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (likely(h2->open_count < session->limits.streams_max && mem_reserve(&session->mem)))
		stream = new_stream(session, frame->hd.stream_id);
	h2->receiving = stream;
	if (unlikely(stream == NULL))
		return nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
										 NGHTTP2_REFUSED_STREAM) == 0
				   ? 0
				   : NGHTTP2_ERR_CALLBACK_FAILURE;
	(void) nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, stream);
	return 0;
}

static int
on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
		  nghttp2_rcbuf *value, uint8_t flags, void *arg)
{
	NetSession *session = arg;
	NetStream *stream = session->h2.receiving;

	(void) ng;
	(void) flags;
	/* Trailers of a request say nothing to us. */
	if (likely(frame->headers.cat == NGHTTP2_HCAT_REQUEST && stream != NULL &&
			   stream->id == frame->hd.stream_id))
		grpc_header(stream, name, value);
	return 0;
}

static int
on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t stream_id, const uint8_t *data,
			  size_t length, void *arg)
{
	NetSession *session = arg;
	NetStream *stream = find_stream(session, stream_id);

	(void) flags;
	if (unlikely(stream != NULL && stream->is_http))
		h2_http_data(stream, data, length);
	else if (likely(stream != NULL))
		grpc_data(stream, data, length);
	return nghttp2_session_consume_connection(ng, length) == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int
on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	NetSession *session = arg;
	NetStream *stream;

	(void) ng;
	switch (frame->hd.type)
	{
		case NGHTTP2_HEADERS:
		case NGHTTP2_DATA:
			stream = find_stream(session, frame->hd.stream_id);
			if (stream == NULL)
				return 0;
			if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
			{
				/* Known at once, so that an answer needs no RST_STREAM behind it. */
				stream->remote_closed = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
				grpc_headers_done(stream);
			}
			if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && unlikely(stream->is_http))
				h2_http_remote_end(stream);
			else if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
				grpc_remote_end(stream);
			return 0;
		case NGHTTP2_PING:
			on_ping(session, &frame->ping);
			return 0;
		case NGHTTP2_SETTINGS:
			return on_settings(session, &frame->settings);
		default:
			return 0;
	}
}

static int
on_stream_close(nghttp2_session *ng, int32_t stream_id, uint32_t error_code, void *arg)
{
	NetStream *stream = nghttp2_session_get_stream_user_data(ng, stream_id);

	(void) error_code;
	(void) arg;
	if (stream != NULL)
		h2_stream_ended(stream);
	return 0;
}

/* ---- limits of control frames ---- */

/* A queued GOAWAY, and then the end. */
static void
close_connection(NetSession *session, uint32_t error_code, const char *reason)
{
	nghttp2_session *ng = session->h2.ng;

	session->end_reason = reason;
	session->h2.closing = true;
	if (nghttp2_submit_goaway(ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(ng),
							  error_code, (const uint8_t *) reason, strlen(reason)) != 0)
		session->h2.closed = true;
}

void
h2_starve(NetSession *session)
{
	session->end_reason = "out of memory";
	session->h2.starved = session->h2.closing = true;
}

/*
 * RPC-24, section 4.4: pings that come too often are strikes; whatever we sent meanwhile forgives
 * them.
 */
static void
on_ping(NetSession *session, const nghttp2_ping *ping)
{
	H2 *h2 = &session->h2;
	uint64_t minimum = h2->open_count > 0 ? session->limits.keepalive_min_ns : IDLE_PING_MIN_NS;
	uint64_t last_ns = h2->last_ping_ns;

	if (ping->hd.flags & NGHTTP2_FLAG_ACK)
	{
		/* The client has seen that we go; what it opens from now on it opens in vain. */
		if (session->draining && !h2->goaway_final &&
			memcmp(ping->opaque_data, drain_ping, sizeof(drain_ping)) == 0)
		{
			h2->goaway_final = true;
			(void) nghttp2_submit_goaway(h2->ng, NGHTTP2_FLAG_NONE,
										 nghttp2_session_get_last_proc_stream_id(h2->ng),
										 NGHTTP2_NO_ERROR, NULL, 0);
		}
		return;
	}
	h2->last_ping_ns = session->now_ns;
	if (h2->forgive_pings)
	{
		h2->forgive_pings = false;
		h2->ping_strikes = 0;
		return;
	}
	if (last_ns != 0 && session->now_ns - last_ns < minimum && !session->limits.pings_are_free)
		h2->ping_strikes++;
	if (h2->ping_strikes > PING_STRIKES_MAX)
		close_connection(session, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
}

static int
on_settings(NetSession *session, const nghttp2_settings *settings)
{
	H2 *h2 = &session->h2;
	uint64_t due = (session->now_ns - h2->settings_refill_ns) / (NS_PER_SECOND / SETTINGS_RATE);

	if (settings->hd.flags & NGHTTP2_FLAG_ACK)
		return 0;
	if (due > 0)
	{
		h2->settings_left = (unsigned) Min(h2->settings_left + due, SETTINGS_BURST);
		h2->settings_refill_ns = session->now_ns;
	}
	if (h2->settings_left == 0)
	{
		close_connection(session, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_settings");
		return 0;
	}
	h2->settings_left--;
	/*
	 * A new size of the header table must stand at the head of the next header block: nghttp2 has
	 * to make that.
	 */
	h2->slow_trailers = true;
	return 0;
}

/* ---- time ---- */

/* Ends what is past its deadline and finds the next. */
static void
check_deadlines(NetSession *session)
{
	H2 *h2 = &session->h2;
	uint64_t first = UINT64_MAX;

	for (NetStream *stream = h2->open.next; stream != &h2->open; stream = stream->next)
	{
		if (stream->call.deadline_ns > session->now_ns)
		{
			first = Min(first, stream->call.deadline_ns);
			continue;
		}
		stream->call.deadline_ns = UINT64_MAX;
		stream->call.is_late = true;
		/*
		 * The handler is at work, or the answer on its way, or the message never came whole:
		 * section 4.2.
		 */
		h2_reset(stream, NGHTTP2_CANCEL);
	}
	h2->first_deadline_ns = first;
}

uint64_t
h2_timers(NetSession *session)
{
	H2 *h2 = &session->h2;
	uint64_t now_ns = session->now_ns, next_ns;

	if (h2->closing)
		return UINT64_MAX;
	if (unlikely(h2->first_deadline_ns <= now_ns))
		check_deadlines(session);
	next_ns = h2->first_deadline_ns;
	if (h2->ping_is_out)
	{
		if (h2->ping_due_ns <= now_ns)
		{
			session->end_reason = "keepalive ping was not answered";
			session->ended = h2->closing = h2->closed = true;
			return UINT64_MAX;
		}
		return Min(next_ns, h2->ping_due_ns);
	}
	if (unlikely(now_ns - session->received_ns >= session->limits.keepalive_interval_ns))
	{
		trim_free_streams(session, FREE_STREAMS_IDLE);
		if (nghttp2_submit_ping(h2->ng, NGHTTP2_FLAG_NONE, NULL) == 0)
		{
			h2->ping_is_out = true;
			h2->ping_due_ns = now_ns + session->limits.keepalive_timeout_ns;
			return Min(next_ns, h2->ping_due_ns);
		}
	}
	return Min(next_ns, session->received_ns + session->limits.keepalive_interval_ns);
}

/* ---- the end ---- */

/*
 * A GOAWAY that refuses nothing yet, and a ping: when the ping is answered the client knows, and
 * the second GOAWAY names the last stream.
 */
void
h2_drain(NetSession *session)
{
	H2 *h2 = &session->h2;

	if (h2->shutdown_noticed)
		return;
	h2->shutdown_noticed = true;
	(void) nghttp2_submit_shutdown_notice(h2->ng);
	(void) nghttp2_submit_ping(h2->ng, NGHTTP2_FLAG_NONE, drain_ping);
}

void
h2_cut(NetSession *session)
{
	H2 *h2 = &session->h2;

	for (NetStream *stream = h2->open.next; stream != &h2->open; stream = stream->next)
	{
		stream->answered = true;
		(void) nghttp2_submit_rst_stream(h2->ng, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
	}
	if (!h2->closing)
		close_connection(session, NGHTTP2_NO_ERROR, "");
}
