/*
 * http1.c
 *	  HTTP/1.1: one request at a time, over http-parser.
 *
 * Backends. Keep-alive, pipelining (what comes behind a request waits until its answer is out),
 * bodies by length or in chunks up to a limit, HEAD, Expect: 100-continue. A first line that is
 * none is answered by closing (section 4.5); later nonsense by 400.
 *
 * src/backend/net/http1.c
 */
#include "rusd.h"

#include <http_parser.h>
#include <strings.h>
#include <time.h>

#include "net_int.h"
#include "port/clock.h"

#define HEADERS_MAX 128
#define HEADER_BYTES_MAX (64 * 1024)
#define HEADER_TIMEOUT_NS (300 * NS_PER_SECOND)
#define HELD_MAX (64 * 1024)

typedef struct Span
{
	uint32_t start;
	uint32_t length;
} Span;

/* A buffer that grows, accounted. */
typedef struct Buffer
{
	uint8_t *data;
	size_t used;
	size_t room;
} Buffer;

struct Http1
{
	NetHttp request; /* first: a NetHttp * is an Http1 * */
	NetSession *session;
	http_parser parser;

	/* the request being received */
	Buffer text; /* target, names and values, each with a NUL behind it */
	Span target;
	struct
	{
		Span name;
		Span value;
	} headers[HEADERS_MAX];
	unsigned header_count;
	bool in_value;  /* the last piece was of a value */
	bool line_seen; /* this connection has sent one whole request line */
	bool begun;     /* bytes of a request have come, its headers are not complete */
	uint64_t begun_ns;
	Buffer body;
	int refuse; /* HTTP status to refuse the request with */
	const char *refuse_text;

	/* its answer */
	bool dispatched; /* on_http was called */
	bool answered;
	bool keep_alive;
	bool stop; /* close once out is sent */
	Buffer out;
	size_t out_sent;

	Buffer held; /* bytes behind a request that is not answered yet */
	size_t held_used;
};

static int on_url(http_parser *parser, const char *data, size_t length);
static int on_header_field(http_parser *parser, const char *data, size_t length);
static int on_header_value(http_parser *parser, const char *data, size_t length);
static int on_headers_complete(http_parser *parser);
static int on_body(http_parser *parser, const char *data, size_t length);
static int on_message_begin(http_parser *parser);
static int on_message_complete(http_parser *parser);
static Status parse(Http1 *http1, const uint8_t *data, size_t length);
static void answer_plain(Http1 *http1, int status, const char *text);

static const http_parser_settings settings = {
	.on_message_begin = on_message_begin,
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

/* ---- buffers ---- */

static bool
buffer_reserve(Http1 *http1, Buffer *buffer, size_t more)
{
	MemoryBudget *budget = http1->session->budget;
	size_t room = Max(buffer->room, (size_t) 1024);
	uint8_t *data;

	if (buffer->room - buffer->used >= more)
		return true;
	while (room - buffer->used < more)
		room *= 2;
	if (!budget->take(budget, room - buffer->room))
		return false;
	data = realloc(buffer->data, room);
	if (data == NULL)
	{
		budget->give(budget, room - buffer->room);
		return false;
	}
	buffer->data = data;
	buffer->room = room;
	return true;
}

static bool
buffer_add(Http1 *http1, Buffer *buffer, const void *data, size_t length)
{
	if (!buffer_reserve(http1, buffer, length))
		return false;
	if (length > 0)
		memcpy(buffer->data + buffer->used, data, length);
	buffer->used += length;
	return true;
}

static void
buffer_free(Http1 *http1, Buffer *buffer)
{
	MemoryBudget *budget = http1->session->budget;

	if (buffer->room > 0)
		budget->give(budget, buffer->room);
	free(buffer->data);
	*buffer = (Buffer){0};
}

/* ---- the parser's callbacks ---- */

static int
refuse(Http1 *http1, int status, const char *text)
{
	http1->refuse = status;
	http1->refuse_text = text;
	return -1;
}

static bool
add_text(Http1 *http1, Span *span, const char *data, size_t length)
{
	if (http1->text.used + length + 1 > HEADER_BYTES_MAX)
		return refuse(http1, 431, "431 Request Header Fields Too Large") == 0;
	if (!buffer_add(http1, &http1->text, data, length))
		return refuse(http1, 503, status_text(RUSD_MEMORY_EXCEEDED)) == 0;
	span->length += (uint32_t) length;
	return true;
}

/* The present piece is complete: a NUL, and where the next begins. */
static bool
end_text(Http1 *http1, Span *next)
{
	Span ignored = {0};

	if (!add_text(http1, &ignored, "", 1))
		return false;
	*next = (Span){(uint32_t) http1->text.used, 0};
	return true;
}

static int
on_message_begin(http_parser *parser)
{
	Http1 *http1 = parser->data;

	http1->text.used = http1->body.used = 0;
	http1->target = (Span){0};
	http1->header_count = 0;
	http1->in_value = true;
	http1->begun = true;
	http1->begun_ns = http1->session->now_ns;
	http1->refuse = 0;
	return 0;
}

static int
on_url(http_parser *parser, const char *data, size_t length)
{
	Http1 *http1 = parser->data;

	return add_text(http1, &http1->target, data, length) ? 0 : -1;
}

static int
on_header_field(http_parser *parser, const char *data, size_t length)
{
	Http1 *http1 = parser->data;

	if (http1->in_value)
	{
		if (http1->header_count == HEADERS_MAX)
			return refuse(http1, 431, "431 Request Header Fields Too Large");
		http1->in_value = false;
		memset(&http1->headers[http1->header_count], 0, sizeof(http1->headers[0]));
		if (!end_text(http1, &http1->headers[http1->header_count].name))
			return -1;
		http1->header_count++;
	}
	return add_text(http1, &http1->headers[http1->header_count - 1].name, data, length) ? 0 : -1;
}

static int
on_header_value(http_parser *parser, const char *data, size_t length)
{
	Http1 *http1 = parser->data;

	if (!http1->in_value)
	{
		http1->in_value = true;
		if (!end_text(http1, &http1->headers[http1->header_count - 1].value))
			return -1;
	}
	return add_text(http1, &http1->headers[http1->header_count - 1].value, data, length) ? 0 : -1;
}

static int
on_headers_complete(http_parser *parser)
{
	Http1 *http1 = parser->data;
	Bytes expect;
	Span ignored;

	if (parser->http_major != 1)
	{
		http1->line_seen = false;
		return -1;
	}
	http1->begun = false;
	if (!end_text(http1, &ignored))
		return -1;
	http1->request.method = http_method_str((enum http_method) parser->method);
	http1->keep_alive = http_should_keep_alive(parser) != 0;
	/* An upgrade is not offered: what follows is HTTP/1.1 as before. */
	parser->upgrade = 0;
	if (parser->http_minor > 0 && net_http_header(&http1->request, "host").data == NULL)
		return refuse(http1, 400, "400 Bad Request: missing required Host header");
	if (!(parser->flags & F_CHUNKED) && parser->content_length != ULLONG_MAX &&
		parser->content_length > http1->session->limits.message_max)
		return refuse(http1, 413, "413 Request Entity Too Large");
	expect = net_http_header(&http1->request, "expect");
	if (expect.length == 12 && strncasecmp((const char *) expect.data, "100-continue", 12) == 0)
	{
		static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

		if (!buffer_add(http1, &http1->out, go_on, sizeof(go_on) - 1))
			return refuse(http1, 503, status_text(RUSD_MEMORY_EXCEEDED));
	}
	return 0;
}

static int
on_body(http_parser *parser, const char *data, size_t length)
{
	Http1 *http1 = parser->data;

	if (http1->body.used + length > http1->session->limits.message_max)
		return refuse(http1, 413, "413 Request Entity Too Large");
	if (!buffer_add(http1, &http1->body, data, length))
		return refuse(http1, 503, status_text(RUSD_MEMORY_EXCEEDED));
	return 0;
}

/* Nothing more is parsed until this one is answered. */
static int
on_message_complete(http_parser *parser)
{
	http_parser_pause(parser, 1);
	return 0;
}

/* ---- requests ---- */

static void
dispatch(Http1 *http1)
{
	NetHandlers *handlers = &http1->session->handlers;

	/* Not before: trailers may have moved the text. */
	http1->request.target = (const char *) http1->text.data + http1->target.start;
	http1->request.body = (Bytes){http1->body.data, http1->body.used};
	http1->dispatched = true;
	handlers->on_http(handlers->arg, &http1->request);
}

/* Ends the request: the answer is out, or the connection goes. */
static void
end_request(Http1 *http1)
{
	NetHandlers *handlers = &http1->session->handlers;

	if (http1->dispatched)
	{
		http1->dispatched = false;
		handlers->on_http_close(handlers->arg, &http1->request);
	}
	arena_reset(&http1->request.arena);
	http1->request.user = NULL;
	http1->request.body = (Bytes){NULL, 0};
	http1->answered = false;
	buffer_free(http1, &http1->body);
	buffer_free(http1, &http1->text);
	buffer_free(http1, &http1->out);
	http1->out_sent = 0;
}

static Status
parse_error(Http1 *http1)
{
	NetSession *session = http1->session;

	session->end_reason = http_errno_description(HTTP_PARSER_ERRNO(&http1->parser));
	if (!http1->line_seen)
		return RUSD_INVALID;
	if (http1->refuse != 0)
		answer_plain(http1, http1->refuse, http1->refuse_text);
	else if (HTTP_PARSER_ERRNO(&http1->parser) == HPE_HEADER_OVERFLOW)
		answer_plain(http1, 431, "431 Request Header Fields Too Large");
	else
		answer_plain(http1, 400, "400 Bad Request");
	return RUSD_END;
}

/* Parses up to the end of one request; what is behind it is held. */
static Status
parse(Http1 *http1, const uint8_t *data, size_t length)
{
	size_t taken = http_parser_execute(&http1->parser, &settings, (const char *) data, length);
	enum http_errno problem = HTTP_PARSER_ERRNO(&http1->parser);

	/* The parser has taken a line: so it was a request line. */
	if (!http1->line_seen && http1->parser.http_major == 1)
		http1->line_seen = taken > 0 && memchr(data, '\n', taken) != NULL;
	if (problem == HPE_OK)
		return RUSD_OK;
	if (problem != HPE_PAUSED)
		return parse_error(http1);
	if (taken < length && !buffer_add(http1, &http1->held, data + taken, length - taken))
		return RUSD_NO_MEMORY;
	dispatch(http1);
	return RUSD_OK;
}

/* Goes on with what was held, after an answer is out. */
static void
parse_held(Http1 *http1)
{
	Buffer held = http1->held;
	Status status;

	http_parser_pause(&http1->parser, 0);
	if (held.used == 0)
		return;
	http1->held = (Buffer){0};
	status = parse(http1, held.data, held.used);
	buffer_free(http1, &held);
	if (status != RUSD_OK)
	{
		http1->session->ended = true;
		http1->stop = true;
	}
}

Status
http1_begin(NetSession *session)
{
	Http1 *http1 = mem_alloc(&session->mem, sizeof(*http1));

	if (http1 == NULL)
		return RUSD_NO_MEMORY;
	memset(http1, 0, sizeof(*http1));
	http1->session = session;
	arena_init(&http1->request.arena, session->budget);
	/* One limit for all of the header, ours. */
	http_parser_set_max_header_size(2 * HEADER_BYTES_MAX);
	http_parser_init(&http1->parser, HTTP_REQUEST);
	http1->parser.data = http1;
	session->http1 = http1;
	return RUSD_OK;
}

void
http1_destroy(NetSession *session)
{
	Http1 *http1 = session->http1;

	if (http1 == NULL)
		return;
	end_request(http1);
	buffer_free(http1, &http1->held);
	arena_destroy(&http1->request.arena);
	mem_free(&session->mem, http1);
	session->http1 = NULL;
}

static bool
in_request(const Http1 *http1)
{
	return http1->dispatched || http1->answered;
}

Status
http1_receive(NetSession *session, const uint8_t *data, size_t length)
{
	Http1 *http1 = session->http1;

	if (http1->stop)
		return RUSD_END;
	if (in_request(http1))
	{
		/*
		 * Whoever asks net_session_wants_read comes here at most once before the answer is out.
		 */
		if (http1->held.used > 0 && http1->held.used + length > HELD_MAX)
			return RUSD_INVALID;
		return buffer_add(http1, &http1->held, data, length) ? RUSD_OK : RUSD_NO_MEMORY;
	}
	return parse(http1, data, length);
}

bool
http1_wants_read(const NetSession *session)
{
	return session->http1 == NULL || (!session->http1->stop && session->http1->held.used == 0);
}

size_t
http1_send(NetSession *session, uint8_t *buffer, size_t max)
{
	Http1 *http1 = session->http1;
	size_t part = Min(max, http1->out.used - http1->out_sent);

	if (part > 0)
		memcpy(buffer, http1->out.data + http1->out_sent, part);
	http1->out_sent += part;
	if (http1->answered && http1->out_sent == http1->out.used && !http1->stop)
	{
		end_request(http1);
		parse_held(http1);
	}
	return part;
}

uint64_t
http1_timers(NetSession *session)
{
	Http1 *http1 = session->http1;

	if (!http1->begun || http1->stop)
		return UINT64_MAX;
	if (session->now_ns - http1->begun_ns < HEADER_TIMEOUT_NS)
		return http1->begun_ns + HEADER_TIMEOUT_NS;
	session->end_reason = "the header of a request did not come in time";
	session->ended = http1->stop = true;
	return UINT64_MAX;
}

bool
http1_is_done(const NetSession *session)
{
	const Http1 *http1 = session->http1;

	if (http1->out_sent < http1->out.used)
		return false;
	return http1->stop || (!in_request(http1) && (session->draining || session->ended));
}

bool
http1_eof(NetSession *session)
{
	return in_request(session->http1) || session->http1->out_sent < session->http1->out.used;
}

void
http1_drain(NetSession *session)
{
	session->http1->keep_alive = false;
}

void
http1_cut(NetSession *session)
{
	session->http1->stop = true;
	session->http1->out_sent = session->http1->out.used;
}

uint32_t
http1_requests(const NetSession *session)
{
	return session->http1 != NULL && in_request(session->http1);
}

/* ---- answers ---- */

static const char *
reason_phrase(int status)
{
	switch (status)
	{
#define XX(number, name, string)                                                                   \
	case number:                                                                                   \
		return #string;
		HTTP_STATUS_MAP(XX)
#undef XX
	}
	return "Unknown";
}

void
http_date(char *text, size_t size)
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
									 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t now = (time_t) (clock_os.wall_ns(&clock_os) / 1000000000u);
	struct tm tm;

	gmtime_r(&now, &tm);
	snprintf(text, size, "%s, %02d %s %d %02d:%02d:%02d GMT", days[tm.tm_wday % 7], tm.tm_mday,
			 months[tm.tm_mon % 12], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/*
 * Status line, headers and, but for HEAD, body; a connection that cannot hold even that is
 * closed.
 */
static void
answer(Http1 *http1, int status, const char *headers, Bytes body)
{
	char head[512], date[HTTP_DATE_SIZE];
	bool is_head = http1->parser.method == HTTP_HEAD;
	bool no_body = status == 204 || status == 304;
	int length;

	http_date(date, sizeof(date));
	length = snprintf(head, sizeof(head), "HTTP/1.1 %d %s\r\nDate: %s\r\n", status,
					  reason_phrase(status), date);
	if (!no_body)
		length += snprintf(head + length, sizeof(head) - (size_t) length, "Content-Length: %zu\r\n",
						   body.length);
	if (!http1->keep_alive)
		length += snprintf(head + length, sizeof(head) - (size_t) length, "Connection: close\r\n");
	else if (http1->parser.http_minor == 0)
		length +=
			snprintf(head + length, sizeof(head) - (size_t) length, "Connection: keep-alive\r\n");
	http1->answered = true;
	http1->stop |= !http1->keep_alive;
	if (!buffer_add(http1, &http1->out, head, (size_t) length) ||
		!buffer_add(http1, &http1->out, headers, strlen(headers)) ||
		!buffer_add(http1, &http1->out, "\r\n", 2) ||
		(!is_head && !no_body && !buffer_add(http1, &http1->out, body.data, body.length)))
	{
		http1->out.used = http1->out_sent;
		http1->stop = true;
	}
}

/* What is wrong with the request itself; the connection is closed behind it. */
static void
answer_plain(Http1 *http1, int status, const char *text)
{
	http1->keep_alive = false;
	/* The method may not be known; the body is said anyway. */
	http1->parser.method = HTTP_GET;
	answer(http1, status, "Content-Type: text/plain; charset=utf-8\r\n",
		   (Bytes){(const uint8_t *) text, strlen(text)});
}

void
net_http_reply(NetHttp *http, int status, const char *headers, Bytes body)
{
	Http1 *http1 = (Http1 *) http;

	if (http->call != NULL)
	{
		h2_http_reply(http, status, headers != NULL ? headers : "", body);
		return;
	}
	if (http1->answered || http1->stop)
		return;
	if (http1->session->draining)
		http1->keep_alive = false;
	answer(http1, status, headers != NULL ? headers : "", body);
}

Bytes
net_http_header(const NetHttp *http, const char *name)
{
	const Http1 *http1 = (const Http1 *) http;
	size_t length = strlen(name);

	if (http->call != NULL)
		return h2_http_header(http, name);
	for (unsigned i = 0; i < http1->header_count; i++)
	{
		const char *have = (const char *) http1->text.data + http1->headers[i].name.start;
		Span value = http1->headers[i].value;

		if (http1->headers[i].name.length == length && strncasecmp(have, name, length) == 0)
			return (Bytes){http1->text.data + value.start, value.length};
	}
	return (Bytes){NULL, 0};
}
