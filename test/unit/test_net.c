/*
 * test_net.c
 *	  HTTP/2 and gRPC of net/, with nghttp2's client as the other side, all in memory.
 *
 * test/unit/test_net.c
 */
#include "rusd.h"

#include "net/grpc_frame.h"

#include "cmocka_all.h"
#include "net_peer.h"

#define SECOND UINT64_C(1000000000)

static Peer *peer;

static int
set_up(void **state)
{
	(void) state;
	peer = calloc(1, sizeof(*peer));
	return peer == NULL;
}

static int
tear_down(void **state)
{
	(void) state;
	if (peer->server != NULL)
		peer_destroy(peer);
	free(peer);
	return 0;
}

static void
assert_ok(const PeerStream *stream, const char *message, size_t length)
{
	assert_true(stream->closed);
	assert_true(stream->ended);
	assert_string_equal(stream->status, "200");
	assert_string_equal(stream->grpc_status, "0");
	assert_true(stream->has_message);
	assert_string_equal(stream->grpc_message, "");
	assert_int_equal(stream->header_blocks, 2);
	assert_int_equal(stream->length, length + GRPC_PREFIX_BYTES);
	assert_int_equal(stream->body[0], 0);
	assert_int_equal(grpc_prefix_length(stream->body), length);
	if (length > 0)
		assert_memory_equal(stream->body + GRPC_PREFIX_BYTES, message, length);
}

/* Trailers-only: one block of headers, no message. */
static void
assert_failed(const PeerStream *stream, const char *http, const char *code, const char *text)
{
	assert_true(stream->closed);
	assert_true(stream->ended);
	assert_string_equal(stream->status, http);
	assert_string_equal(stream->grpc_status, code);
	assert_string_equal(stream->grpc_message, text);
	assert_int_equal(stream->header_blocks, 1);
	assert_int_equal(stream->length, 0);
}

static PeerStream *
send_raw_body(const void *body, size_t length)
{
	PeerRequest request = {.body = body, .length = length};
	PeerStream *stream = peer_submit(peer, &request);

	peer_pump(peer);
	return stream;
}

static PeerStream *
send_with_header(const char *name, const char *value)
{
	static const uint8_t body[] = {0, 0, 0, 0, 1, 'a'};
	PeerRequest request = {.body = body, .length = sizeof(body), .more_count = 1};
	PeerStream *stream;

	request.more[0] = peer_header(name, value);
	stream = peer_submit(peer, &request);
	peer_pump(peer);
	return stream;
}

/* ---- answers ---- */

static void
unary_call_is_answered(void **state)
{
	(void) state;
	peer_init(peer, NULL);
	for (int i = 0; i < 3; i++)
	{
		PeerStream *stream = peer_unary(peer, "hello", 5);

		assert_ok(stream, "hello", 5);
		assert_string_equal(stream->content_type, "application/grpc");
		assert_false(stream->was_reset);
	}
	assert_ok(peer_unary(peer, "", 0), "", 0);
	assert_int_equal(peer->closed_calls, 4);
	assert_int_equal(net_session_streams(peer->server), 0);
	assert_string_equal(net_session_protocol(peer->server), "h2");
}

static void
bytes_may_come_one_by_one(void **state)
{
	static char large[100000];

	(void) state;
	memset(large, 'l', sizeof(large));
	peer->chunk = 1;
	peer->send_max = NET_SEND_MIN;
	peer_init(peer, NULL);
	assert_ok(peer_unary(peer, "one", 3), "one", 3);
	assert_ok(peer_unary(peer, large, sizeof(large)), large, sizeof(large));
}

static void
message_may_come_in_many_frames(void **state)
{
	uint8_t body[40];
	PeerRequest request = {.body = body, .piece = 1};
	PeerStream *stream;

	(void) state;
	peer_init(peer, NULL);
	request.length = peer_frame(body, (const uint8_t *) "thirty-three bytes of a message..", 33);
	stream = peer_submit(peer, &request);
	peer_pump(peer);
	assert_ok(stream, "thirty-three bytes of a message..", 33);
}

static NetCall *kept;

static void
keep_call(Peer *self, NetCall *call)
{
	(void) self;
	kept = call;
}

static void
answer_may_come_later(void **state)
{
	PeerStream *stream;

	(void) state;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	stream = peer_unary(peer, "wait", 4);
	assert_false(stream->closed);
	assert_int_equal(stream->header_blocks, 0);
	assert_int_equal(net_session_streams(peer->server), 1);
	net_call_reply_bytes(kept, (const uint8_t *) "done", 4);
	/* A second answer is one too many, and is ignored. */
	net_call_fail(kept, 13, "no");
	assert_int_equal(peer->closed_calls, 0);
	peer_pump(peer);
	assert_ok(stream, "done", 4);
	assert_int_equal(peer->closed_calls, 1);
}

static void
fail_with_text(Peer *self, NetCall *call)
{
	(void) self;
	net_call_fail(call, 9, "100% \xc3\xa4\n\"~\x7f");
}

static void
error_text_is_encoded(void **state)
{
	PeerStream *stream;

	(void) state;
	peer->on_call = fail_with_text;
	peer_init(peer, NULL);
	stream = peer_unary(peer, "x", 1);
	assert_failed(stream, "200", "9", "100% \xc3\xa4\n\"~\x7f");
	assert_false(stream->was_reset);
	assert_string_equal(stream->content_type, "application/grpc");
}

static void
message_encoding_is_as_specified(void **state)
{
	uint8_t encoded[64];
	char decoded[64];
	size_t length;

	(void) state;
	length = grpc_message_encode("a%\xc3\xa4~\x7f ", 7, encoded, sizeof(encoded));
	assert_int_equal(length, 15);
	assert_memory_equal(encoded, "a%25%C3%A4~%7F ", 15);
	assert_int_equal(grpc_message_decode(encoded, length, decoded), 7);
	assert_memory_equal(decoded, "a%\xc3\xa4~\x7f ", 7);
	/* Never half of an escape. */
	assert_int_equal(grpc_message_encode("ab\n", 3, encoded, 4), 2);
	assert_int_equal(grpc_message_decode((const uint8_t *) "%4", 2, decoded), 2);
	assert_int_equal(grpc_message_decode((const uint8_t *) "%zz%41", 6, decoded), 4);
	assert_memory_equal(decoded, "%zzA", 4);
}

/* ---- sources ---- */

typedef struct TestSource
{
	NetSource source; /* first */
	uint64_t given;
	uint64_t allowed; /* RUSD_AGAIN beyond it */
	uint64_t fail_at; /* an error there; UINT64_MAX: never */
	unsigned closed;
	unsigned pulls;
} TestSource;

static uint8_t
byte_at(uint64_t position)
{
	return (uint8_t) (position * 31 + position / 251);
}

static Status
test_pull(NetSource *self, uint8_t *buffer, size_t max, size_t *got)
{
	TestSource *source = (TestSource *) self;

	source->pulls++;
	if (source->given >= source->fail_at)
		return RUSD_DAMAGED;
	if (source->given == source->allowed)
		return RUSD_AGAIN;
	*got = Min(Min(max, (size_t) 10000), source->allowed - source->given);
	for (size_t i = 0; i < *got; i++)
		buffer[i] = byte_at(source->given++);
	return RUSD_OK;
}

static void
test_source_close(NetSource *self)
{
	((TestSource *) self)->closed++;
}

static TestSource
make_source(uint64_t allowed)
{
	return (TestSource){.source = {.pull = test_pull, .close = test_source_close},
						.allowed = allowed,
						.fail_at = UINT64_MAX};
}

static void
assert_source_bytes(const PeerStream *stream, uint64_t length)
{
	assert_true(stream->closed);
	assert_string_equal(stream->grpc_status, "0");
	assert_int_equal(stream->length, length + GRPC_PREFIX_BYTES);
	assert_int_equal(grpc_prefix_length(stream->body), length);
	for (uint64_t i = 0; i < length; i++)
	{
		if (stream->body[GRPC_PREFIX_BYTES + i] != byte_at(i))
			fail_msg("byte %" PRIu64 " is wrong", i);
	}
}

static void
large_answer_is_pulled(void **state)
{
	TestSource source = make_source(3000000);
	PeerStream *stream;

	(void) state;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	stream = peer_unary(peer, "x", 1);
	net_call_reply(kept, 3000000, &source.source);
	peer_pump(peer);
	assert_source_bytes(stream, 3000000);
	assert_int_equal(source.closed, 1);
	/* Nothing of the answer was kept in memory. */
	assert_true(peer->budget.most < 200000);
}

static void
source_may_have_nothing_for_a_while(void **state)
{
	TestSource source = make_source(0);
	PeerStream *stream;
	unsigned pulls;

	(void) state;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	stream = peer_unary(peer, "x", 1);
	net_call_reply(kept, 50000, &source.source);
	for (uint64_t allowed = 0; allowed < 50000; allowed += 5000)
	{
		source.allowed = allowed;
		net_call_resume(kept);
		peer_pump(peer);
		assert_false(stream->closed);
		pulls = source.pulls;
		/* Without a resume it is not asked again. */
		peer_pump(peer);
		assert_int_equal(source.pulls, pulls);
	}
	source.allowed = 50000;
	net_call_resume(kept);
	peer_pump(peer);
	assert_source_bytes(stream, 50000);
	assert_int_equal(source.closed, 1);
}

static void
source_that_fails_resets_the_stream(void **state)
{
	TestSource source = make_source(100000);
	PeerStream *stream;

	(void) state;
	source.fail_at = 20000;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	stream = peer_unary(peer, "x", 1);
	net_call_reply(kept, 100000, &source.source);
	peer_pump(peer);
	assert_true(stream->was_reset);
	assert_int_equal(stream->reset_code, NGHTTP2_INTERNAL_ERROR);
	assert_int_equal(source.closed, 1);
	assert_int_equal(peer->closed_calls, 1);
	/* The connection goes on. */
	peer->on_call = NULL;
	assert_ok(peer_unary(peer, "y", 1), "y", 1);
}

static void
small_answer_overtakes_large_ones(void **state)
{
	static uint8_t out[65536];
	TestSource sources[2] = {make_source(1000000), make_source(1000000)};
	PeerStream *streams[3];
	NetCall *calls[3];
	size_t length;

	(void) state;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	/* Windows are no hindrance: what is looked at is the order of frames. */
	nghttp2_session_set_local_window_size(peer->client, 0, 0, 1 << 24);
	for (int i = 0; i < 3; i++)
	{
		streams[i] = peer_unary(peer, "x", 1);
		nghttp2_session_set_local_window_size(peer->client, 0, streams[i]->id, 1 << 24);
		calls[i] = kept;
	}
	peer_pump(peer);
	net_call_reply(calls[0], 1000000, &sources[0].source);
	net_call_reply(calls[1], 1000000, &sources[1].source);
	net_call_reply_bytes(calls[2], (const uint8_t *) "small", 5);
	length = net_session_send(peer->server, out, sizeof(out));
	assert_int_equal(nghttp2_session_mem_recv(peer->client, out, length), length);
	assert_ok(streams[2], "small", 5);
	/* The large ones take turns. */
	assert_true(sources[0].given >= 16384 && sources[1].given >= 16384);
	peer_pump(peer);
	assert_source_bytes(streams[0], 1000000);
	assert_source_bytes(streams[1], 1000000);
}

static void
connection_lost_closes_everything(void **state)
{
	TestSource source = make_source(100);

	(void) state;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	(void) peer_unary(peer, "x", 1);
	net_call_reply(kept, 1000, &source.source);
	(void) peer_unary(peer, "y", 1);
	peer_pump(peer);
	assert_int_equal(peer->closed_calls, 0);
	/* tear_down checks the calls and the memory. */
	peer_destroy(peer);
	peer->server = NULL;
	assert_int_equal(source.closed, 1);
	assert_int_equal(peer->closed_calls, 2);
}

/* ---- errors of requests ---- */

static void
unknown_method_is_refused_with_its_text(void **state)
{
	PeerRequest request = {.path = "/test.Nothing/Unary", .keep_open = true};
	PeerStream *stream;

	(void) state;
	peer_init(peer, NULL);
	/* At once, before the message: the client is told not to send it. */
	stream = peer_submit(peer, &request);
	peer_pump(peer);
	assert_failed(stream, "200", "12", "unknown method /test.Nothing/Unary");
	assert_true(stream->was_reset);
	assert_int_equal(stream->reset_code, NGHTTP2_NO_ERROR);
	assert_int_equal(peer->dispatched, 0);
}

static void
methods_are_looked_up_once(void **state)
{
	static const char *const paths[] = {"/test.Echo/1", "/test.Echo/2", "/test.Echo/3",
										"/test.Echo/4", "/test.Echo/5", "/test.Echo/6"};
	static const uint8_t body[] = {0, 0, 0, 0, 0};

	(void) state;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	for (int round = 0; round < 3; round++)
	{
		for (size_t i = 0; i < lengthof(paths); i++)
		{
			PeerRequest request = {.path = paths[i], .body = body, .length = sizeof(body)};
			PeerStream *stream = peer_submit(peer, &request);

			peer_pump(peer);
			assert_string_equal(kept->path, paths[i]);
			assert_string_equal(kept->method, paths[i]);
			net_call_reply_bytes(kept, body, 0);
			peer_pump(peer);
			assert_ok(stream, "", 0);
		}
	}
	for (int i = 0; i < 10; i++)
	{
		unsigned before = peer->find_count;

		(void) peer_unary(peer, "", 0);
		assert_true(peer->find_count - before == (i == 0 ? 1u : 0u));
	}
}

static void
methods_may_be_judged_by_text_only(void **state)
{
	PeerRequest request = {.path = "/test.Echo/No?"};
	PeerStream *stream;

	(void) state;
	peer->no_find_method = true;
	peer_init(peer, NULL);
	assert_ok(peer_unary(peer, "a", 1), "a", 1);
	stream = peer_submit(peer, &request);
	peer_pump(peer);
	assert_failed(stream, "200", "12", "unknown method /test.Echo/No?");
}

static void
message_limit_is_exact(void **state)
{
	static char large[2097152 + 8];
	PeerStream *stream;

	(void) state;
	memset(large, 'x', sizeof(large));
	peer_init(peer, NULL);
	assert_ok(peer_unary(peer, large, 2097152), large, 2097152);
	stream = send_raw_body("\x00\x00\x20\x00\x08", 5);
	assert_failed(stream, "200", "8",
				  "grpc: received message larger than max (2097160 vs. 2097152)");
	stream = send_raw_body("\x00\xff\xff\xff\xff", 5);
	assert_failed(stream, "200", "8",
				  "grpc: received message larger than max (4294967295 vs. 2097152)");
	assert_ok(peer_unary(peer, "still", 5), "still", 5);
}

/* All that a client announces it must send: what is announced alone takes no memory. */
static void
announced_bytes_cost_nothing(void **state)
{
	PeerRequest request = {.body = (const uint8_t *) "\x00\x00\x20\x00\x00 and little more",
						   .length = 20,
						   .keep_open = true};
	size_t before;

	(void) state;
	peer_init(peer, NULL);
	(void) peer_unary(peer, "x", 1);
	before = peer->budget.used;
	for (int i = 0; i < 20; i++)
	{
		(void) peer_submit(peer, &request);
		peer_pump(peer);
	}
	assert_int_equal(net_session_streams(peer->server), 20);
	assert_true(peer->budget.used - before < 20 * 30000);
}

static void
broken_framing_is_refused(void **state)
{
	(void) state;
	peer_init(peer, NULL);
	assert_failed(send_raw_body("\x01\x00\x00\x00\x01z", 6), "200", "13",
				  "grpc: compressed flag set with identity or empty encoding");
	assert_failed(send_raw_body("\x07\x00\x00\x00\x01z", 6), "200", "13",
				  "grpc: received unexpected payload format 7");
	assert_failed(
		send_raw_body("\x00\x00\x00\x00\x01z\x00\x00\x00\x00\x00", 11), "200", "13",
		"cardinality violation: received multiple request messages for non-client-streaming RPC");
	assert_failed(send_raw_body("\x00\x00\x00\x00\x02z", 6), "200", "2", "unexpected EOF");
	assert_failed(send_raw_body("\x00\x00", 2), "200", "2", "unexpected EOF");
	assert_failed(
		send_raw_body("", 0), "200", "13",
		"cardinality violation: received no request message from non-client-streaming RPC");
	assert_int_equal(peer->dispatched, 0);
	assert_ok(peer_unary(peer, "still", 5), "still", 5);
}

static void
encodings_are_refused(void **state)
{
	(void) state;
	peer_init(peer, NULL);
	assert_failed(send_with_header("grpc-encoding", "deflate"), "200", "12",
				  "grpc: Decompressor is not installed for grpc-encoding \"deflate\"");
	assert_failed(send_with_header("grpc-encoding", "GZIP"), "200", "12",
				  "grpc: Decompressor is not installed for grpc-encoding \"GZIP\"");
	assert_ok(send_with_header("grpc-encoding", "identity"), "a", 1);
}

static void
content_type_decides(void **state)
{
	static const uint8_t body[] = {0, 0, 0, 0, 1, 'a'};
	static const struct
	{
		const char *type;
		const char *answer; /* NULL: 415 */
	} cases[] = {
		{"application/grpc", "application/grpc"},
		{"application/grpc+proto", "application/grpc+proto"},
		{"application/grpc;json", "application/grpc+json"},
		{"application/grpcx", NULL},
		{"application/json", NULL},
		{"text/\"plain", NULL},
	};

	(void) state;
	peer_init(peer, NULL);
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		PeerRequest request = {.content_type = cases[i].type, .body = body, .length = sizeof(body)};
		PeerStream *stream = peer_submit(peer, &request);

		peer_pump(peer);
		if (cases[i].answer != NULL)
		{
			assert_ok(stream, "a", 1);
			assert_string_equal(stream->content_type, cases[i].answer);
			continue;
		}
		assert_string_equal(stream->content_type, "application/grpc");
		if (i == 4)
			assert_failed(stream, "415", "3",
						  "invalid gRPC request content-type \"application/json\"");
		if (i == 5)
			assert_failed(stream, "415", "3",
						  "invalid gRPC request content-type \"text/\\\"plain\"");
	}
	{
		PeerRequest request = {.content_type = "", .body = body, .length = sizeof(body)};
		PeerStream *stream = peer_submit(peer, &request);

		peer_pump(peer);
		assert_failed(stream, "415", "3", "invalid gRPC request content-type \"\"");
	}
}

/* Section 4.5: with TLS what is no gRPC goes where HTTP/1.1 goes. */
static void
http_over_http2_is_served(void **state)
{
	NetLimits limits = peer_limits();
	static uint8_t body[200000];
	PeerRequest get = {.method = "GET", .path = "/health", .content_type = ""};
	PeerRequest head = {.method = "HEAD", .path = "/health", .content_type = ""};
	PeerRequest post = {.path = "/v3", .content_type = "text/j", .body = body, .length = 200000};
	PeerStream *stream;

	(void) state;
	limits.http_over_h2 = true;
	peer_init(peer, &limits);
	stream = peer_submit(peer, &get);
	peer_pump(peer);
	assert_string_equal(stream->status, "200");
	assert_string_equal(stream->content_type, "text/x");
	assert_string_equal(stream->http_header, "z");
	assert_int_equal(stream->length, strlen("GET /health  "));
	assert_memory_equal(stream->body, "GET /health  ", stream->length);
	assert_true(stream->ended);
	assert_int_equal(stream->header_blocks, 1);
	stream = peer_submit(peer, &head);
	peer_pump(peer);
	assert_string_equal(stream->status, "200");
	assert_true(stream->ended);
	assert_int_equal(stream->length, 0);

	/* A body that is larger than windows and frames comes back whole. */
	memset(body, 'b', sizeof(body));
	stream = peer_submit(peer, &post);
	peer_pump(peer);
	assert_int_equal(stream->length, strlen("POST /v3 text/j ") + sizeof(body));
	assert_memory_equal(stream->body, "POST /v3 text/j bbb", 19);
	assert_true(stream->ended);
}

/* A body that is too large is given up; gRPC goes on beside all that; who waits is told of the end. */
static void
http_over_http2_ends(void **state)
{
	NetLimits limits = peer_limits();
	static uint8_t body[2000];
	PeerRequest post = {.path = "/v3", .content_type = "text/j", .body = body, .length = 2000};
	PeerRequest silent = {.method = "GET", .path = "/silent", .content_type = ""};
	PeerStream *stream;

	(void) state;
	limits.http_over_h2 = true;
	limits.message_max = 1000;
	peer_init(peer, &limits);
	stream = peer_submit(peer, &post);
	peer_pump(peer);
	assert_true(stream->was_reset);
	assert_ok(peer_unary(peer, "x", 1), "x", 1);
	(void) peer_submit(peer, &silent);
	peer_pump(peer);
	assert_int_equal(peer->http_open, 1);
	net_session_cut(peer->server);
	peer_pump(peer);
	assert_int_equal(peer->http_open, 0);
}

static void
only_post_is_served(void **state)
{
	PeerRequest request = {.method = "GET"};
	PeerStream *stream;

	(void) state;
	peer_init(peer, NULL);
	stream = peer_submit(peer, &request);
	peer_pump(peer);
	assert_failed(stream, "405", "13",
				  "Received a HEADERS frame with :method \"GET\" which should be POST");
}

static void
bad_timeouts_are_told(void **state)
{
	(void) state;
	peer_init(peer, NULL);
	assert_failed(send_with_header("grpc-timeout", "S"), "400", "13",
				  "malformed grpc-timeout: transport: timeout string is too short: \"S\"");
	assert_failed(send_with_header("grpc-timeout", "123456789S"), "400", "13",
				  "malformed grpc-timeout: transport: timeout string is too long: \"123456789S\"");
	assert_failed(send_with_header("grpc-timeout", "12x"), "400", "13",
				  "malformed grpc-timeout: transport: timeout unit is not recognized: \"12x\"");
	assert_failed(send_with_header("grpc-timeout", "1xS"), "400", "13",
				  "malformed grpc-timeout: strconv.ParseUint: parsing \"1x\": invalid syntax");
	assert_ok(send_with_header("grpc-timeout", "99999999H"), "a", 1);
}

static void
timeouts_are_read_and_written(void **state)
{
	static const struct
	{
		const char *text;
		uint64_t ns;
	} cases[] = {{"1n", 1},          {"20u", 20000},       {"3m", 3000000},
				 {"4S", 4 * SECOND}, {"5M", 300 * SECOND}, {"6H", 21600 * SECOND}};
	uint64_t ns;
	char text[16];

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		assert_int_equal(
			grpc_timeout_parse((const uint8_t *) cases[i].text, strlen(cases[i].text), &ns),
			GRPC_TIMEOUT_OK);
		assert_int_equal(ns, cases[i].ns);
	}
	grpc_timeout_format(5 * SECOND, text, sizeof(text));
	assert_string_equal(text, "5000000u");
	grpc_timeout_format(123456789, text, sizeof(text));
	assert_string_equal(text, "123457u");
	grpc_timeout_format(UINT64_MAX, text, sizeof(text));
	assert_int_equal(grpc_timeout_parse((const uint8_t *) text, strlen(text), &ns),
					 GRPC_TIMEOUT_OK);
}

/* ---- metadata ---- */

static char seen_token[64];
static bool seen_hasleader;
static bool seen_version;

static void
see_metadata(Peer *self, NetCall *call)
{
	(void) self;
	snprintf(seen_token, sizeof(seen_token), "%.*s%s", (int) call->token.length,
			 (const char *) call->token.data, call->token.data == NULL ? "(none)" : "");
	seen_hasleader = call->hasleader.length == 4 && memcmp(call->hasleader.data, "true", 4) == 0;
	seen_version = call->client_api_version.length == 3;
	net_call_reply_bytes(call, NULL, 0);
}

static void
assert_token(const char *first, const char *first_value, const char *second,
			 const char *second_value, const char *token)
{
	static const uint8_t body[] = {0, 0, 0, 0, 0};
	PeerRequest request = {.body = body, .length = sizeof(body), .more_count = 4};

	request.more[0] = peer_header(first, first_value);
	request.more[1] = peer_header(second, second_value);
	request.more[2] = peer_header("hasleader", "true");
	request.more[3] = peer_header("client-api-version", "3.7");
	(void) peer_submit(peer, &request);
	peer_pump(peer);
	assert_string_equal(seen_token, token);
	assert_true(seen_hasleader);
	assert_true(seen_version);
}

static void
metadata_reaches_the_handler(void **state)
{
	(void) state;
	peer->on_call = see_metadata;
	peer_init(peer, NULL);
	(void) peer_unary(peer, "", 0);
	assert_string_equal(seen_token, "(none)");
	assert_false(seen_hasleader);
	assert_false(seen_version);
	assert_token("token", "T", "authorization", "A", "T");
	assert_token("authorization", "A", "token", "T", "T");
	assert_token("authorization", "A", "x-other", "T", "A");
	assert_token("token", "", "authorization", "A", "");
	assert_token("token", "1", "token", "2", "1");
	assert_token("authorization", "1", "authorization", "2", "1");
}

/* ---- deadlines, cancellation ---- */

/* Answered with a status; the timers, which look before it is sent, do not take that back. */
static void
deadline_that_has_passed_is_an_error(void **state)
{
	static const uint8_t body[] = {0, 0, 0, 0, 1, 'a'};
	PeerRequest request = {.body = body, .length = sizeof(body), .more_count = 1};
	PeerStream *stream;

	(void) state;
	peer_init(peer, NULL);
	peer_pump(peer);
	request.more[0] = peer_header("grpc-timeout", "0m");
	stream = peer_submit(peer, &request);
	peer->deaf = true;
	peer_pump(peer);
	assert_int_equal(net_session_timers(peer->server, peer->now_ns), peer->now_ns + 7200 * SECOND);
	peer->deaf = false;
	peer_pump(peer);
	assert_failed(stream, "200", "4", "context deadline exceeded");
	assert_int_equal(peer->dispatched, 0);
}

static void
deadline_ends_a_running_call(void **state)
{
	PeerStream *first, *second;

	(void) state;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	first = send_with_header("grpc-timeout", "2S");
	assert_int_equal(kept->deadline_ns, peer->now_ns + 2 * SECOND);
	second = send_with_header("grpc-timeout", "500m");
	assert_int_equal(net_session_timers(peer->server, peer->now_ns), peer->now_ns + SECOND / 2);
	peer->now_ns += SECOND / 2;
	assert_int_equal(net_session_timers(peer->server, peer->now_ns), peer->now_ns + SECOND * 3 / 2);
	/* Over for the client, but the handler is told only when the stream is closed. */
	net_call_reply_bytes(kept, NULL, 0);
	peer_pump(peer);
	assert_true(second->was_reset);
	assert_int_equal(second->reset_code, NGHTTP2_CANCEL);
	assert_int_equal(peer->closed_calls, 1);
	assert_false(first->closed);
	peer->now_ns += SECOND * 3 / 2;
	assert_true(net_session_timers(peer->server, peer->now_ns) > peer->now_ns + 1000 * SECOND);
	peer_pump(peer);
	assert_true(first->was_reset);
	assert_int_equal(peer->closed_calls, 2);
}

static void
client_may_cancel(void **state)
{
	TestSource source = make_source(10);
	PeerStream *stream;

	(void) state;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	/* while the handler is at work */
	stream = peer_unary(peer, "x", 1);
	assert_int_equal(nghttp2_submit_rst_stream(peer->client, 0, stream->id, NGHTTP2_CANCEL), 0);
	peer_pump(peer);
	assert_int_equal(peer->closed_calls, 1);
	/* while the answer is on its way */
	stream = peer_unary(peer, "y", 1);
	net_call_reply(kept, 1000, &source.source);
	peer_pump(peer);
	assert_int_equal(nghttp2_submit_rst_stream(peer->client, 0, stream->id, NGHTTP2_CANCEL), 0);
	peer_pump(peer);
	assert_int_equal(peer->closed_calls, 2);
	assert_int_equal(source.closed, 1);
	assert_int_equal(net_session_streams(peer->server), 0);
	/* An answer that is queued when the reset comes. */
	stream = peer_unary(peer, "z", 1);
	net_call_fail(kept, 5, "text in the arena of the call");
	peer->deaf = true;
	assert_int_equal(nghttp2_submit_rst_stream(peer->client, 0, stream->id, NGHTTP2_CANCEL), 0);
	peer_pump(peer);
	peer->deaf = false;
	peer_pump(peer);
	assert_int_equal(peer->closed_calls, 3);
	assert_string_equal(stream->grpc_status, "");
}

/* ---- limits of the connection ---- */

static void
excess_streams_are_refused(void **state)
{
	NetLimits limits = peer_limits();
	NetCall *calls[2];
	PeerStream *streams[4];

	(void) state;
	limits.streams_max = 2;
	peer->on_call = keep_call;
	peer_init(peer, &limits);
	streams[0] = peer_unary(peer, "0", 1);
	calls[0] = kept;
	assert_int_equal(peer->announced_streams, 2);
	streams[1] = peer_unary(peer, "1", 1);
	calls[1] = kept;
	assert_int_equal(peer->dispatched, 2);
	/*
	 * nghttp2's client keeps to what was announced: a raw frame does not. :method POST and :path
	 * /, stream 5.
	 */
	peer_raw(peer, "\x00\x00\x03\x01\x05\x00\x00\x00\x05\x83\x84\x86", 12);
	assert_int_equal(peer->status, RUSD_OK);
	assert_int_equal(net_session_streams(peer->server), 2);
	{
		uint8_t out[NET_SEND_MIN];
		size_t length = net_session_send(peer->server, out, sizeof(out));

		assert_int_equal(length, 13);
		assert_memory_equal(out, "\x00\x00\x04\x03\x00\x00\x00\x00\x05\x00\x00\x00\x07", 13);
	}
	/* The others go on. */
	net_call_reply_bytes(calls[0], (const uint8_t *) "a", 1);
	net_call_reply_bytes(calls[1], (const uint8_t *) "b", 1);
	peer_pump(peer);
	assert_ok(streams[0], "a", 1);
	assert_ok(streams[1], "b", 1);
	assert_int_equal(peer->goaways, 0);
}

static void
no_limit_of_streams_is_not_announced(void **state)
{
	(void) state;
	peer_init(peer, NULL);
	assert_ok(peer_unary(peer, "0", 1), "0", 1);
	assert_int_equal(peer->announced_streams, UINT32_MAX);
}

static void
without_memory_streams_are_refused(void **state)
{
	unsigned refused = 0, answered = 0;

	(void) state;
	peer->budget.limit = 300000;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	for (int i = 0; i < 300; i++)
	{
		PeerStream *stream = peer_unary(peer, "x", 1);

		if (stream->was_reset)
		{
			assert_int_equal(stream->reset_code, NGHTTP2_REFUSED_STREAM);
			refused++;
		}
		else if (stream->closed)
		{
			assert_string_equal(stream->grpc_status, "8");
			answered++;
		}
	}
	assert_true(refused > 0);
	assert_true(peer->dispatched > 20);
	assert_int_equal(peer->dispatched + refused + answered, 300);
	assert_int_equal(peer->goaways, 0);
	assert_true(peer->budget.most <= 300000);
}

static void
large_message_without_memory_is_refused(void **state)
{
	static char large[1000000];
	PeerStream *stream;

	(void) state;
	peer->budget.limit = 400000;
	peer_init(peer, NULL);
	stream = peer_unary(peer, "x", 1);
	assert_ok(stream, "x", 1);
	{
		uint8_t *frame = malloc(sizeof(large) + 5);
		PeerRequest request = {.body = frame};

		request.length = peer_frame(frame, (const uint8_t *) large, sizeof(large));
		stream = peer_submit(peer, &request);
		peer_pump(peer);
		free(frame);
	}
	assert_failed(stream, "200", "8", status_text(RUSD_MEMORY_EXCEEDED));
	assert_ok(peer_unary(peer, "y", 1), "y", 1);
}

static void
ping(unsigned times)
{
	for (unsigned i = 0; i < times; i++)
	{
		assert_int_equal(nghttp2_submit_ping(peer->client, 0, NULL), 0);
		peer_pump(peer);
	}
}

static void
pings_that_come_too_often_end_the_connection(void **state)
{
	(void) state;
	peer_init(peer, NULL);
	ping(3);
	assert_int_equal(peer->ping_acks, 3);
	assert_int_equal(peer->goaways, 0);
	ping(1);
	assert_int_equal(peer->goaways, 1);
	assert_int_equal(peer->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
	assert_string_equal(peer->goaway_text, "too_many_pings");
	assert_int_equal(peer->status, RUSD_END);
	assert_true(net_session_is_done(peer->server));
}

static void
answers_forgive_pings(void **state)
{
	(void) state;
	peer_init(peer, NULL);
	for (int i = 0; i < 20; i++)
	{
		ping(2);
		(void) peer_unary(peer, "x", 1);
	}
	assert_int_equal(peer->goaways, 0);
}

/* gRPC's C core sends one each round trip while an answer comes in. */
static void
each_piece_of_an_answer_forgives_pings(void **state)
{
	TestSource source = make_source(0);
	PeerStream *stream;

	(void) state;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	stream = peer_unary(peer, "x", 1);
	net_call_reply(kept, 500000, &source.source);
	for (int i = 1; i <= 50; i++)
	{
		source.allowed = (uint64_t) i * 10000;
		net_call_resume(kept);
		peer_pump(peer);
		ping(2);
	}
	assert_source_bytes(stream, 500000);
	assert_int_equal(peer->goaways, 0);
}

static void
pings_with_a_stream_may_come_every_five_seconds(void **state)
{
	(void) state;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	(void) peer_unary(peer, "x", 1);
	for (int i = 0; i < 10; i++)
	{
		peer->now_ns += 5 * SECOND;
		ping(1);
	}
	assert_int_equal(peer->goaways, 0);
	for (int i = 0; i < 4; i++)
	{
		peer->now_ns += 4 * SECOND;
		ping(1);
	}
	assert_int_equal(peer->goaways, 1);
}

static void
pings_without_a_stream_may_not(void **state)
{
	(void) state;
	peer_init(peer, NULL);
	ping(1);
	for (int i = 0; i < 3; i++)
	{
		peer->now_ns += 60 * SECOND;
		ping(1);
	}
	assert_int_equal(peer->goaways, 1);
	assert_string_equal(peer->goaway_text, "too_many_pings");
}

static void
settings_flood_ends_the_connection(void **state)
{
	(void) state;
	peer_init(peer, NULL);
	peer_pump(peer);
	for (int i = 0; i < 1000 && peer->status == RUSD_OK; i++)
	{
		peer_raw(peer, "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\xff\xff", 15);
		(void) peer_discard(peer);
	}
	assert_int_equal(peer->status, RUSD_END);
	assert_true(net_session_is_done(peer->server));
}

static void
rapid_reset_ends_the_connection(void **state)
{
	uint8_t frames[25] = "\x00\x00\x03\x01\x05\x00\x00\x00\x00\x83\x84\x86"
						 "\x00\x00\x04\x03\x00\x00\x00\x00\x00\x00\x00\x00\x08";
	int i;

	(void) state;
	peer_init(peer, NULL);
	peer_pump(peer);
	for (i = 0; i < 200000 && peer->status == RUSD_OK && !net_session_is_done(peer->server); i++)
	{
		uint32_t id = (uint32_t) i * 2 + 1;

		for (int at = 5; at <= 17; at += 12)
		{
			frames[at] = (uint8_t) (id >> 24);
			frames[at + 1] = (uint8_t) (id >> 16);
			frames[at + 2] = (uint8_t) (id >> 8);
			frames[at + 3] = (uint8_t) id;
		}
		peer_raw(peer, frames, sizeof(frames));
		(void) peer_discard(peer);
	}
	assert_true(i < 200000);
	assert_true(peer->budget.most < 1000000);
}

/* A client that asks and asks and never reads an answer. */
static void
queued_answers_are_bounded(void **state)
{
	(void) state;
	peer->budget.limit = 1000000;
	peer_init(peer, NULL);
	peer_pump(peer);
	peer->deaf = true;
	for (int i = 0; i < 4000 && peer->status == RUSD_OK; i++)
		(void) peer_unary(peer, "x", 1);
	assert_true(peer->budget.most <= 1000000);
	assert_true(peer->budget.refusals > 0);
}

/* Even to refuse a stream takes a little; where that is not to be had, the client is told. */
static void
starved_connection_says_why(void **state)
{
	(void) state;
	peer_init(peer, NULL);
	assert_ok(peer_unary(peer, "x", 1), "x", 1);
	peer->deaf = true;
	peer->budget.limit = peer->budget.used;
	for (int i = 0; i < 5000 && peer->status == RUSD_OK; i++)
		(void) peer_unary(peer, "x", 1);
	assert_int_equal(peer->status, RUSD_END);
	assert_int_equal(peer->goaways, 0);
	peer->deaf = false;
	peer_pump(peer);
	assert_int_equal(peer->goaways, 1);
	assert_int_equal(peer->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
	assert_string_equal(peer->goaway_text, "rusd: out of the memory granted to this connection");
	assert_true(peer->goaway_last > 0);
	assert_true(net_session_is_done(peer->server));
	assert_string_equal(net_session_end_reason(peer->server), "out of memory");
}

#define LARGE_CALLS 50
#define LARGE_BYTES 200000

/* That many large messages at once; how many are answered as they should be. */
static unsigned
large_calls(uint64_t large_max, size_t memory)
{
	static uint8_t body[LARGE_BYTES];
	static PeerRequest requests[LARGE_CALLS];
	PeerStream *streams[LARGE_CALLS];
	NetLimits limits = peer_limits();
	unsigned answered = 0;

	limits.large_max = large_max;
	peer->budget.limit = memory;
	peer_init(peer, &limits);
	memset(body, 'l', sizeof(body));
	grpc_prefix_put(body, 0, sizeof(body) - GRPC_PREFIX_BYTES);
	for (int i = 0; i < LARGE_CALLS; i++)
	{
		requests[i] = (PeerRequest){.body = body, .length = sizeof(body)};
		streams[i] = peer_submit(peer, &requests[i]);
	}
	peer_pump(peer);
	for (int i = 0; i < LARGE_CALLS; i++)
	{
		assert_true(streams[i]->closed);
		answered += strcmp(streams[i]->grpc_status, "0") == 0 && streams[i]->length == sizeof(body);
	}
	return answered;
}

/* Without a bound they come in side by side and none is ever whole. */
static void
large_messages_wait_for_each_other(void **state)
{
	(void) state;
	assert_int_equal(large_calls(600000, 5500000), LARGE_CALLS);
	assert_int_equal(peer->budget.refusals, 0);
	peer_destroy(peer);
	memset(peer, 0, sizeof(*peer));
	assert_true(large_calls(0, 5500000) < LARGE_CALLS);
}

/* Who goes lets the next ones in: those that are in, and those that wait. */
static void
large_messages_may_be_given_up(void **state)
{
	static uint8_t body[LARGE_BYTES];
	PeerRequest begun = {.body = body, .length = 70000, .keep_open = true};
	PeerRequest whole = {.body = body, .length = sizeof(body)};
	PeerStream *first[3];
	PeerStream *last;
	NetLimits limits = peer_limits();

	(void) state;
	limits.large_max = LARGE_BYTES;
	peer_init(peer, &limits);
	grpc_prefix_put(body, 0, sizeof(body) - GRPC_PREFIX_BYTES);
	for (int i = 0; i < 3; i++)
	{
		first[i] = peer_submit(peer, &begun);
		peer_pump(peer);
	}
	last = peer_submit(peer, &whole);
	peer_pump(peer);
	assert_false(last->closed);
	/* One in the middle of the queue, then the one that is in, then the other that waits. */
	for (int i = 0; i < 3; i++)
	{
		static const int order[] = {1, 0, 2};

		assert_false(last->closed);
		assert_int_equal(
			nghttp2_submit_rst_stream(peer->client, 0, first[order[i]]->id, NGHTTP2_CANCEL), 0);
		peer_pump(peer);
	}
	assert_true(last->closed);
	assert_string_equal(last->grpc_status, "0");
	assert_int_equal(last->length, sizeof(body));
	assert_int_equal(net_session_streams(peer->server), 0);
}

static void
header_bombs_are_refused(void **state)
{
	static char large[60000];
	PeerRequest request = {.more_count = 6, .body = (const uint8_t *) "\0\0\0\0\0", .length = 5};
	NetLimits limits = peer_limits();
	PeerStream *stream;

	(void) state;
	limits.header_list_max = 8192;
	memset(large, 'h', 6000);
	peer_init(peer, &limits);
	request.more_count = 1;
	request.more[0] = peer_header("x-large", large);
	stream = peer_submit(peer, &request);
	peer_pump(peer);
	assert_ok(stream, "", 0);
	request.more_count = 2;
	request.more[1] = peer_header("x-larger", large);
	stream = peer_submit(peer, &request);
	peer_pump(peer);
	assert_true(stream->was_reset);
	assert_int_equal(stream->reset_code, NGHTTP2_FRAME_SIZE_ERROR);
	assert_ok(peer_unary(peer, "y", 1), "y", 1);
}

/* CONTINUATION frames without end. */
static void
endless_headers_end_the_connection(void **state)
{
	static uint8_t frame[9 + 16384] = "\x00\x40\x00\x09\x00\x00\x00\x00\x01";
	int i;

	(void) state;
	peer_init(peer, NULL);
	peer_pump(peer);
	memset(frame + 9, 0x84, 16384); /* :path, indexed */
	peer_raw(peer, "\x00\x00\x01\x01\x01\x00\x00\x00\x01\x83", 10);
	for (i = 0; i < 100 && peer->status == RUSD_OK && !net_session_is_done(peer->server); i++)
	{
		peer_raw(peer, frame, sizeof(frame));
		(void) peer_discard(peer);
	}
	assert_true(i < 20);
	assert_true(peer->budget.most < 1000000);
}

/* ---- header tables ---- */

static void
client_may_change_its_header_table(void **state)
{
	static const uint32_t sizes[] = {0, 4096, 64, 0, 65536, 100};

	(void) state;
	peer_init(peer, NULL);
	for (size_t i = 0; i < lengthof(sizes); i++)
	{
		nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, sizes[i]};
		PeerStream *stream;

		/* The change comes between the headers of an answer and its trailers. */
		TestSource source = make_source(10);

		peer->on_call = keep_call;
		stream = peer_unary(peer, "x", 1);
		net_call_reply(kept, 20, &source.source);
		peer_pump(peer);
		assert_int_equal(stream->header_blocks, 1);
		assert_int_equal(nghttp2_submit_settings(peer->client, 0, &entry, 1), 0);
		peer_pump(peer);
		source.allowed = 20;
		net_call_resume(kept);
		peer_pump(peer);
		assert_source_bytes(stream, 20);
		peer->on_call = NULL;
		assert_ok(peer_unary(peer, "y", 1), "y", 1);
		assert_ok(peer_unary(peer, "z", 1), "z", 1);
	}
}

/* A window of a few bytes: all goes out in the end. */
static void
small_windows_are_kept_to(void **state)
{
	nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 3};
	PeerStream *stream;

	(void) state;
	peer_init(peer, NULL);
	assert_int_equal(nghttp2_submit_settings(peer->client, 0, &entry, 1), 0);
	peer_pump(peer);
	stream = peer_unary(peer, "twenty bytes of text", 20);
	assert_ok(stream, "twenty bytes of text", 20);
}

static void
small_buffers_do(void **state)
{
	TestSource source = make_source(300000);
	PeerStream *stream;

	(void) state;
	peer->send_max = NET_SEND_MIN;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	stream = peer_unary(peer, "x", 1);
	net_call_reply(kept, 300000, &source.source);
	peer_pump(peer);
	assert_source_bytes(stream, 300000);
}

/* ---- the first bytes, and the end ---- */

static void
garbage_is_closed(void **state)
{
	(void) state;
	peer_init(peer, NULL);
	peer_raw(peer, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
	assert_int_equal(peer->status, RUSD_INVALID);
	assert_int_equal(peer_discard(peer), 0);
}

static void
preface_must_be_whole(void **state)
{
	(void) state;
	peer_init(peer, NULL);
	peer_raw(peer, "PRI * HTTP/2.0\r\n\r\nXX", 20);
	assert_int_equal(peer->status, RUSD_INVALID);
	assert_int_equal(peer_discard(peer), 0);
}

static void
silence_is_closed(void **state)
{
	(void) state;
	peer_init(peer, NULL);
	assert_int_equal(net_session_timers(peer->server, peer->now_ns), peer->now_ns + 10 * SECOND);
	assert_false(net_session_is_done(peer->server));
	(void) net_session_timers(peer->server, peer->now_ns + 10 * SECOND);
	assert_true(net_session_is_done(peer->server));
}

static void
http2_may_be_closed_out(void **state)
{
	NetLimits limits = peer_limits();

	(void) state;
	limits.http1_only = true;
	peer_init(peer, &limits);
	peer_raw(peer, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	assert_int_equal(peer->status, RUSD_INVALID);
}

static void
server_pings_who_is_silent(void **state)
{
	uint64_t due;

	(void) state;
	peer_init(peer, NULL);
	(void) peer_unary(peer, "x", 1);
	due = net_session_timers(peer->server, peer->now_ns);
	assert_int_equal(due, peer->now_ns + 7200 * SECOND);
	peer->now_ns = due;
	due = net_session_timers(peer->server, peer->now_ns);
	assert_int_equal(due, peer->now_ns + 20 * SECOND);
	/* answered */
	peer_pump(peer);
	assert_int_equal(peer->pings, 1);
	due = net_session_timers(peer->server, peer->now_ns);
	assert_int_equal(due, peer->now_ns + 7200 * SECOND);
	/* not answered */
	peer->now_ns = due;
	due = net_session_timers(peer->server, peer->now_ns);
	(void) peer_discard(peer);
	assert_false(net_session_is_done(peer->server));
	(void) net_session_timers(peer->server, due);
	assert_true(net_session_is_done(peer->server));
}

static void
drain_lets_calls_finish(void **state)
{
	PeerStream *stream;

	(void) state;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	stream = peer_unary(peer, "x", 1);
	net_session_drain(peer->server);
	/* The client still hears nothing: the first GOAWAY refuses nobody. */
	{
		PeerRequest request = {.body = (const uint8_t *) "\0\0\0\0\0", .length = 5};
		PeerStream *late = peer_submit(peer, &request);
		NetCall *first = kept;

		assert_non_null(late);
		peer_pump(peer);
		assert_int_equal(peer->goaways, 2);
		assert_int_equal(peer->goaway_code, NGHTTP2_NO_ERROR);
		assert_int_equal(peer->goaway_last, late->id);
		assert_false(net_session_is_done(peer->server));
		net_call_reply_bytes(kept, (const uint8_t *) "late", 4);
		net_call_reply_bytes(first, (const uint8_t *) "done", 4);
		peer_pump(peer);
		assert_ok(late, "late", 4);
	}
	assert_ok(stream, "done", 4);
	assert_true(net_session_is_done(peer->server));
}

static void
cut_ends_all_streams(void **state)
{
	PeerStream *stream;

	(void) state;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	stream = peer_unary(peer, "x", 1);
	net_session_drain(peer->server);
	peer_pump(peer);
	net_session_cut(peer->server);
	peer_pump(peer);
	assert_true(stream->was_reset);
	assert_int_equal(peer->closed_calls, 1);
	assert_true(net_session_is_done(peer->server));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unary_call_is_answered),
		TEST(bytes_may_come_one_by_one),
		TEST(message_may_come_in_many_frames),
		TEST(answer_may_come_later),
		TEST(error_text_is_encoded),
		cmocka_unit_test(message_encoding_is_as_specified),
		TEST(large_answer_is_pulled),
		TEST(source_may_have_nothing_for_a_while),
		TEST(source_that_fails_resets_the_stream),
		TEST(small_answer_overtakes_large_ones),
		TEST(connection_lost_closes_everything),
		TEST(unknown_method_is_refused_with_its_text),
		TEST(methods_are_looked_up_once),
		TEST(methods_may_be_judged_by_text_only),
		TEST(message_limit_is_exact),
		TEST(announced_bytes_cost_nothing),
		TEST(broken_framing_is_refused),
		TEST(encodings_are_refused),
		TEST(content_type_decides),
		TEST(http_over_http2_is_served),
		TEST(http_over_http2_ends),
		TEST(only_post_is_served),
		TEST(bad_timeouts_are_told),
		cmocka_unit_test(timeouts_are_read_and_written),
		TEST(metadata_reaches_the_handler),
		TEST(deadline_that_has_passed_is_an_error),
		TEST(deadline_ends_a_running_call),
		TEST(client_may_cancel),
		TEST(excess_streams_are_refused),
		TEST(no_limit_of_streams_is_not_announced),
		TEST(without_memory_streams_are_refused),
		TEST(large_message_without_memory_is_refused),
		TEST(pings_that_come_too_often_end_the_connection),
		TEST(answers_forgive_pings),
		TEST(each_piece_of_an_answer_forgives_pings),
		TEST(pings_with_a_stream_may_come_every_five_seconds),
		TEST(pings_without_a_stream_may_not),
		TEST(settings_flood_ends_the_connection),
		TEST(rapid_reset_ends_the_connection),
		TEST(queued_answers_are_bounded),
		TEST(starved_connection_says_why),
		TEST(large_messages_wait_for_each_other),
		TEST(large_messages_may_be_given_up),
		TEST(header_bombs_are_refused),
		TEST(endless_headers_end_the_connection),
		TEST(client_may_change_its_header_table),
		TEST(small_windows_are_kept_to),
		TEST(small_buffers_do),
		TEST(garbage_is_closed),
		TEST(preface_must_be_whole),
		TEST(silence_is_closed),
		TEST(http2_may_be_closed_out),
		TEST(server_pings_who_is_silent),
		TEST(drain_lets_calls_finish),
		TEST(cut_ends_all_streams),
	};

	return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
