/*
 * test_http1.c
 *	  HTTP/1.1 of net/: what goes in, what comes out, in memory.
 *
 * test/unit/test_http1.c
 */
#include "rusd.h"

#include "net/net.h"

#include "cmocka_all.h"

#define SECOND UINT64_C(1000000000)

static NetSession *session;
static uint64_t now_ns;
static size_t memory_used;
static NetHttp *last;
static unsigned dispatched;
static unsigned closed;
static bool answer_later;
static char seen[200];
static char output[400000];
static size_t output_length;

static bool
take(MemoryBudget *budget, size_t bytes)
{
	(void) budget;
	memory_used += bytes;
	return true;
}

static void
give(MemoryBudget *budget, size_t bytes)
{
	(void) budget;
	assert_true(bytes <= memory_used);
	memory_used -= bytes;
}

static MemoryBudget budget = {.take = take, .give = give};

static void
reply(NetHttp *http, const char *text)
{
	net_http_reply(http, 200, "Content-Type: text/plain\r\n",
				   (Bytes){(const uint8_t *) text, strlen(text)});
}

static void
on_http(void *arg, NetHttp *http)
{
	Bytes special = net_http_header(http, "x-special");

	(void) arg;
	dispatched++;
	last = http;
	snprintf(seen, sizeof(seen), "%s %s [%.*s] %.*s", http->method, http->target,
			 (int) Min(http->body.length, 60), (const char *) http->body.data, (int) special.length,
			 (const char *) special.data);
	if (!answer_later)
		reply(http, seen);
}

static void
on_http_close(void *arg, NetHttp *http)
{
	(void) arg;
	assert_ptr_equal(http, last);
	closed++;
}

static void
on_call(void *arg, NetCall *call)
{
	(void) arg;
	(void) call;
	fail();
}

static int
set_up(void **state)
{
	static const NetHandlers handlers = {.on_call = on_call,
										 .on_close = on_call,
										 .on_http = on_http,
										 .on_http_close = on_http_close};
	static const NetLimits limits = {.message_max = 100000, .streams_max = UINT32_MAX};

	(void) state;
	now_ns = SECOND;
	dispatched = closed = 0;
	answer_later = false;
	output_length = 0;
	seen[0] = '\0';
	return net_session_create(&limits, &handlers, &budget, now_ns, &session) != RUSD_OK;
}

static int
tear_down(void **state)
{
	(void) state;
	net_session_destroy(session);
	assert_int_equal(dispatched, closed);
	assert_int_equal(memory_used, 0);
	return 0;
}

static void
collect(size_t max)
{
	uint8_t *buffer = malloc(max);
	size_t length;

	assert_non_null(buffer);
	while ((length = net_session_send(session, buffer, max)) > 0)
	{
		assert_true(output_length + length < sizeof(output));
		memcpy(output + output_length, buffer, length);
		output_length += length;
	}
	output[output_length] = '\0';
	free(buffer);
}

static Status
send_bytes(const char *text, size_t length)
{
	/* Exactly as long, so that the sanitizer sees every byte beyond. */
	uint8_t *copy = malloc(length);
	Status status;

	assert_non_null(copy);
	memcpy(copy, text, length);
	status = net_session_receive(session, copy, length, now_ns);
	free(copy);
	return status;
}

static Status
say(const char *text)
{
	Status status = send_bytes(text, strlen(text));

	output_length = 0;
	collect(65536);
	return status;
}

static unsigned
count_text(const char *text)
{
	unsigned found = 0;

	for (const char *at = output; (at = strstr(at, text)) != NULL; at++)
		found++;
	return found;
}

static void
request_is_answered(void **state)
{
	(void) state;
	assert_int_equal(say("GET /health?x=1 HTTP/1.1\r\nHost: a\r\nX-Special: yes\r\n\r\n"), RUSD_OK);
	assert_string_equal(seen, "GET /health?x=1 [] yes");
	assert_non_null(strstr(output, "HTTP/1.1 200 OK\r\nDate: "));
	assert_non_null(strstr(output, "\r\nContent-Length: 22\r\n"));
	assert_non_null(strstr(output, "\r\nContent-Type: text/plain\r\n\r\nGET /health?x=1 [] yes"));
	assert_null(strstr(output, "Connection:"));
	assert_string_equal(net_session_protocol(session), "http/1.1");
	/* The connection stays. */
	assert_false(net_session_is_done(session));
	assert_int_equal(say("POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"),
					 RUSD_OK);
	assert_string_equal(seen, "POST /two [body] ");
}

static void
bytes_may_come_one_by_one(void **state)
{
	static const char text[] =
		"PUT /a HTTP/1.1\r\nHost: a\r\nX-Special: v\r\nTransfer-Encoding: chunked\r\n\r\n"
		"3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Trailer: t\r\n\r\n";

	(void) state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
	{
		assert_int_equal(dispatched, 0);
		assert_int_equal(send_bytes(text + i, 1), RUSD_OK);
	}
	collect(NET_SEND_MIN);
	assert_string_equal(seen, "PUT /a [abcdefg] v");
	assert_int_equal(count_text("200 OK"), 1);
}

static void
head_has_no_body(void **state)
{
	(void) state;
	(void) say("HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_non_null(strstr(output, "Content-Length: 11\r\n"));
	assert_string_equal(output + output_length - 4, "\r\n\r\n");
	assert_int_equal(count_text("[]"), 0);
}

static void
pipelined_requests_are_answered_in_order(void **state)
{
	const char *one, *two, *three;

	(void) state;
	answer_later = true;
	assert_int_equal(say("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET "
						 "/3 HTTP/1.1\r\nHo"),
					 RUSD_OK);
	assert_int_equal(dispatched, 1);
	assert_string_equal(last->target, "/1");
	assert_false(net_session_wants_read(session));
	answer_later = false;
	reply(last, "first");
	output_length = 0;
	collect(65536);
	assert_int_equal(dispatched, 2);
	assert_true(net_session_wants_read(session));
	assert_int_equal(send_bytes("st: a\r\n\r\n", 9), RUSD_OK);
	collect(65536);
	one = strstr(output, "first");
	two = strstr(output, "GET /2");
	three = strstr(output, "GET /3");
	assert_true(one != NULL && two != NULL && three != NULL && one < two && two < three);
	assert_int_equal(closed, 3);
}

/* The answer to what was asked comes although the client has closed its side; then the end. */
static void
client_may_half_close(void **state)
{
	(void) state;
	answer_later = true;
	(void) say("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_false(net_session_eof(session));
	assert_false(net_session_is_done(session));
	reply(last, "late");
	collect(65536);
	assert_int_equal(count_text("late"), 1);
	assert_true(net_session_is_done(session));
}

static void
idle_connection_ends_with_the_client(void **state)
{
	(void) state;
	(void) say("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
	(void) net_session_eof(session);
	assert_true(net_session_is_done(session));
}

static void
close_is_kept_to(void **state)
{
	(void) state;
	(void) say("GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	assert_int_equal(count_text("Connection: close\r\n"), 1);
	assert_true(net_session_is_done(session));
}

static void
old_clients_close(void **state)
{
	(void) state;
	(void) say("GET /1 HTTP/1.0\r\n\r\n");
	assert_int_equal(count_text("200 OK"), 1);
	assert_int_equal(count_text("Connection: close\r\n"), 1);
	assert_true(net_session_is_done(session));
}

static void
old_clients_may_stay(void **state)
{
	(void) state;
	(void) say("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_int_equal(count_text("Connection: keep-alive\r\n"), 1);
	assert_false(net_session_is_done(session));
}

static void
no_upgrade_is_offered(void **state)
{
	(void) state;
	(void) say("GET /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: "
			   "h2c\r\nHTTP2-Settings: x\r\n\r\n"
			   "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(count_text("HTTP/1.1 200 OK"), 2);
}

static void
continue_is_said(void **state)
{
	(void) state;
	(void) say("POST /1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	assert_string_equal(output, "HTTP/1.1 100 Continue\r\n\r\n");
	(void) say("abc");
	assert_string_equal(seen, "POST /1 [abc] ");
	assert_int_equal(count_text("200 OK"), 1);
}

static void
refused(const char *request, const char *status_line)
{
	assert_int_equal(say(request), RUSD_END);
	assert_memory_equal(output, status_line, strlen(status_line));
	assert_int_equal(count_text("Connection: close\r\n"), 1);
	assert_true(net_session_is_done(session));
	assert_int_equal(dispatched, 0);
	tear_down(NULL);
	assert_int_equal(set_up(NULL), 0);
}

static void
broken_requests_are_refused(void **state)
{
	char *large = malloc(200001);
	char *request = malloc(300000);

	(void) state;
	memset(large, 'a', 200000);
	large[200000] = '\0';
	refused("GET / HTTP/1.1\r\nHost a\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n");
	refused("GET / HTTP/1.1\r\nX: a\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n");
	refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\n",
			"HTTP/1.1 400 Bad Request\r\n");
	refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: "
			"chunked\r\n\r\n0\r\n\r\n",
			"HTTP/1.1 400 Bad Request\r\n");
	refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
			"HTTP/1.1 400 Bad Request\r\n");
	refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n",
			"HTTP/1.1 413 Payload Too Large\r\n");
	snprintf(
		request, 300000,
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n%s\r\n0\r\n\r\n",
		large);
	refused(request, "HTTP/1.1 413 Payload Too Large\r\n");
	snprintf(request, 300000, "GET / HTTP/1.1\r\nHost: a\r\nX-Large: %s\r\n\r\n", large);
	refused(request, "HTTP/1.1 431 Request Header Fields Too Large\r\n");
	{
		size_t used = (size_t) sprintf(request, "GET / HTTP/1.1\r\nHost: a\r\n");

		for (int i = 0; i < 200; i++)
			used += (size_t) sprintf(request + used, "X-%d: v\r\n", i);
		sprintf(request + used, "\r\n");
	}
	refused(request, "HTTP/1.1 431 Request Header Fields Too Large\r\n");
	free(large);
	free(request);
}

static void
first_line_that_is_none_is_closed(void **state)
{
	static const char *const lines[] = {"garbage\r\n\r\n", "\x16\x03\x01", "GET / HTTP/2.0\r\n\r\n",
										"get / HTTP/1.1\r\n\r\n", "GET / XTTP/1.1\r\n\r\n"};

	(void) state;
	for (size_t i = 0; i < lengthof(lines); i++)
	{
		Status status = say(lines[i]);

		assert_int_equal(status, RUSD_INVALID);
		assert_int_equal(output_length, 0);
		tear_down(NULL);
		assert_int_equal(set_up(NULL), 0);
	}
}

static void
header_must_come_in_time(void **state)
{
	(void) state;
	(void) say("GET / HTTP/1.1\r\nHo");
	assert_int_equal(net_session_timers(session, now_ns + 1), now_ns + 300 * SECOND);
	assert_false(net_session_is_done(session));
	(void) net_session_timers(session, now_ns + 300 * SECOND);
	assert_true(net_session_is_done(session));
}

static void
between_requests_there_is_time(void **state)
{
	(void) state;
	(void) say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_true(net_session_timers(session, now_ns + 86400 * SECOND) == UINT64_MAX);
	assert_false(net_session_is_done(session));
}

static void
drain_answers_the_last_request(void **state)
{
	(void) state;
	answer_later = true;
	(void) say("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
	net_session_drain(session);
	assert_false(net_session_is_done(session));
	assert_int_equal(net_session_streams(session), 1);
	reply(last, "last");
	collect(65536);
	assert_int_equal(count_text("Connection: close\r\n"), 1);
	assert_true(net_session_is_done(session));
}

static void
cut_answers_nothing(void **state)
{
	(void) state;
	answer_later = true;
	(void) say("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
	net_session_cut(session);
	collect(65536);
	assert_int_equal(output_length, 0);
	assert_true(net_session_is_done(session));
	reply(last, "too late");
	collect(65536);
	assert_int_equal(output_length, 0);
}

static void
large_answers_go_in_pieces(void **state)
{
	static char large[300001];

	(void) state;
	memset(large, 'l', sizeof(large) - 1);
	answer_later = true;
	(void) say("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
	reply(last, large);
	collect(NET_SEND_MIN);
	assert_non_null(strstr(output, "Content-Length: 300000\r\n"));
	assert_string_equal(strstr(output, "\r\n\r\n") + 4, large);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(request_is_answered),
		TEST(bytes_may_come_one_by_one),
		TEST(head_has_no_body),
		TEST(pipelined_requests_are_answered_in_order),
		TEST(client_may_half_close),
		TEST(idle_connection_ends_with_the_client),
		TEST(close_is_kept_to),
		TEST(old_clients_close),
		TEST(old_clients_may_stay),
		TEST(no_upgrade_is_offered),
		TEST(continue_is_said),
		TEST(broken_requests_are_refused),
		TEST(first_line_that_is_none_is_closed),
		TEST(header_must_come_in_time),
		TEST(between_requests_there_is_time),
		TEST(drain_answers_the_last_request),
		TEST(cut_answers_nothing),
		TEST(large_answers_go_in_pieces),
	};

	return cmocka_run_group_tests_name("http1", tests, NULL, NULL);
}
