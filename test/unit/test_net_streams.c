/*
 * test_net_streams.c
 *	  Answers of many messages, and messages that are compressed; nghttp2's client is the other
 *	  side, all in memory.
 *
 * test/unit/test_net_streams.c
 */
#include "rusd.h"

#include <zlib.h>

#include "net/grpc_frame.h"

#include "cmocka_all.h"
#include "net_peer.h"

#define SECOND UINT64_C(1000000000)

static Peer *peer;
static NetCall *kept;

static void
keep_call(Peer *self, NetCall *call)
{
	(void) self;
	kept = call;
}

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

/* ---- a stream of messages ---- */

typedef struct Messages
{
	NetSource source; /* first */
	unsigned count;   /* messages in all */
	unsigned begun;
	uint64_t left; /* of the one that was begun */
	unsigned allowed;
	bool tells_last;
	bool in_pieces;
	Status status; /* after the last */
	Status broken; /* in the middle of the last; RUSD_OK: none */
	unsigned closed;
} Messages;

static size_t
length_of(unsigned message)
{
	static const size_t lengths[] = {0, 1, 5, 300, 16384 - 5, 16384, 100, 70000, 0, 2};

	return lengths[message % lengthof(lengths)];
}

static uint8_t
byte_of(unsigned message, uint64_t position)
{
	return (uint8_t) (message + position / 7);
}

static Status
messages_next(NetSource *self, uint8_t *buffer, size_t max, NetMessage *message)
{
	Messages *messages = (Messages *) self;
	size_t length = length_of(messages->begun);

	assert_int_equal(messages->left, 0);
	if (messages->begun == messages->count)
		return messages->status == RUSD_OK ? RUSD_END : messages->status;
	if (messages->begun == messages->allowed)
		return RUSD_AGAIN;
	message->length = length;
	message->got = messages->in_pieces ? Min(max, length / 2) : length <= max ? length : 0;
	for (size_t i = 0; i < message->got; i++)
		buffer[i] = byte_of(messages->begun, i);
	messages->left = length - message->got;
	messages->begun++;
	message->last = messages->tells_last && messages->begun == messages->count;
	return RUSD_OK;
}

static Status
messages_pull(NetSource *self, uint8_t *buffer, size_t max, size_t *got)
{
	Messages *messages = (Messages *) self;
	unsigned message = messages->begun - 1;
	uint64_t position = length_of(message) - messages->left;

	if (messages->broken != RUSD_OK && messages->begun == messages->count && position > 10000)
		return messages->broken;
	*got = Min(Min(max, (size_t) 5000), messages->left);
	for (size_t i = 0; i < *got; i++)
		buffer[i] = byte_of(message, position + i);
	messages->left -= *got;
	return RUSD_OK;
}

static void
messages_close(NetSource *self)
{
	((Messages *) self)->closed++;
}

static Messages
make_messages(unsigned count)
{
	return (Messages){
		.source = {.pull = messages_pull, .close = messages_close, .next = messages_next},
		.count = count,
		.allowed = UINT_MAX};
}

/* That many messages lie in the body, the last perhaps not whole; what they say, decompressed. */
static void
assert_messages(const PeerStream *stream, unsigned count)
{
	size_t at = 0;

	for (unsigned message = 0; message < count; message++)
	{
		const uint8_t *text = stream->body + at + GRPC_PREFIX_BYTES;
		static uint8_t plain[128 * 1024];
		uint32_t length;

		assert_true(stream->length - at >= GRPC_PREFIX_BYTES);
		length = grpc_prefix_length(stream->body + at);
		assert_true(stream->length - at >= GRPC_PREFIX_BYTES + length);
		if (stream->body[at] == 1)
		{
			z_stream zlib = {.next_in = (Bytef *) (uintptr_t) text,
							 .avail_in = length,
							 .next_out = plain,
							 .avail_out = sizeof(plain)};

			assert_int_equal(inflateInit2(&zlib, 15 + 16), Z_OK);
			assert_int_equal(inflate(&zlib, Z_FINISH), Z_STREAM_END);
			(void) inflateEnd(&zlib);
			assert_true(length < zlib.total_out);
			at += length;
			text = plain;
			length = (uint32_t) zlib.total_out;
		}
		else
		{
			assert_int_equal(stream->body[at], 0);
			at += length;
		}
		assert_int_equal(length, length_of(message));
		for (uint32_t i = 0; i < length; i++)
		{
			if (text[i] != byte_of(message, i))
				fail_msg("byte %u of message %u is wrong", i, message);
		}
		at += GRPC_PREFIX_BYTES;
	}
}

static PeerStream *
begin_call(const char *encoding)
{
	static const uint8_t body[] = {0, 0, 0, 0, 1, 'a'};
	static PeerRequest request;
	PeerStream *stream;

	peer->on_call = keep_call;
	request = (PeerRequest){.body = body, .length = sizeof(body)};
	if (encoding != NULL)
		request.more[request.more_count++] = peer_header("grpc-encoding", encoding);
	stream = peer_submit(peer, &request);
	peer_pump(peer);
	return stream;
}

static PeerStream *
stream_of(Messages *messages)
{
	PeerStream *stream = begin_call(NULL);

	net_call_reply_stream(kept, &messages->source);
	peer_pump(peer);
	return stream;
}

static void
assert_streamed(const PeerStream *stream, const Messages *messages)
{
	assert_true(stream->closed && stream->ended);
	assert_false(stream->was_reset);
	assert_string_equal(stream->grpc_status, "0");
	assert_int_equal(stream->header_blocks, 2);
	assert_int_equal(messages->closed, 1);
	assert_messages(stream, messages->count);
}

static void
many_messages_are_sent(void **state)
{
	(void) state;
	peer_init(peer, NULL);
	for (unsigned count = 0; count < 25; count++)
	{
		for (int kind = 0; kind < 4; kind++)
		{
			Messages messages = make_messages(count);

			messages.tells_last = kind % 2 == 1;
			messages.in_pieces = kind >= 2;
			assert_streamed(stream_of(&messages), &messages);
		}
	}
	/* What was sent lay nowhere but in the output. */
	assert_true(peer->budget.most < 200000);
}

static void
small_buffers_and_windows_do(void **state)
{
	nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 3};

	(void) state;
	peer->send_max = NET_SEND_MIN;
	peer_init(peer, NULL);
	assert_int_equal(nghttp2_submit_settings(peer->client, 0, &entry, 1), 0);
	peer_pump(peer);
	for (int kind = 0; kind < 4; kind++)
	{
		Messages messages = make_messages(7);

		messages.tells_last = kind % 2 == 1;
		messages.in_pieces = kind >= 2;
		assert_streamed(stream_of(&messages), &messages);
	}
}

static void
messages_may_come_late(void **state)
{
	Messages messages = make_messages(10);
	PeerStream *stream;

	(void) state;
	peer_init(peer, NULL);
	messages.allowed = 0;
	stream = stream_of(&messages);
	for (unsigned allowed = 1; allowed <= 10; allowed++)
	{
		assert_false(stream->closed);
		assert_messages(stream, allowed - 1);
		/* Without a resume it is not asked again. */
		messages.allowed = allowed;
		peer_pump(peer);
		assert_int_equal(messages.begun, allowed - 1);
		net_call_resume(kept);
		peer_pump(peer);
	}
	assert_streamed(stream, &messages);
}

/* KV-57: the messages before it have arrived. */
static void
stream_may_end_with_a_status(void **state)
{
	Messages messages = make_messages(4);
	PeerStream *stream;

	(void) state;
	peer_init(peer, NULL);
	messages.status = RUSD_COMPACTED;
	stream = stream_of(&messages);
	assert_true(stream->closed && stream->ended);
	assert_false(stream->was_reset);
	assert_string_equal(stream->grpc_status, "11");
	assert_string_equal(stream->grpc_message,
						"etcdserver: mvcc: required revision has been compacted");
	assert_messages(stream, 4);
	assert_int_equal(messages.closed, 1);
	/* In the middle of one: that one is not whole. */
	messages = make_messages(8);
	messages.broken = RUSD_SNAPSHOT_ENDED;
	stream = stream_of(&messages);
	assert_true(stream->closed && stream->ended);
	assert_string_equal(stream->grpc_status, "8");
	assert_messages(stream, 7);
	assert_int_equal(messages.closed, 1);
}

static void
client_may_give_up(void **state)
{
	Messages messages = make_messages(10);
	PeerStream *stream;

	(void) state;
	peer_init(peer, NULL);
	messages.allowed = 3;
	stream = stream_of(&messages);
	assert_int_equal(nghttp2_submit_rst_stream(peer->client, 0, stream->id, NGHTTP2_CANCEL), 0);
	peer_pump(peer);
	assert_int_equal(messages.closed, 1);
	assert_int_equal(peer->closed_calls, 1);
	assert_int_equal(net_session_streams(peer->server), 0);
}

static void
deadline_ends_a_stream(void **state)
{
	static const uint8_t body[] = {0, 0, 0, 0, 1, 'a'};
	PeerRequest request = {.body = body, .length = sizeof(body), .more_count = 1};
	Messages messages = make_messages(10);
	PeerStream *stream;

	(void) state;
	peer->on_call = keep_call;
	peer_init(peer, NULL);
	request.more[0] = peer_header("grpc-timeout", "1S");
	stream = peer_submit(peer, &request);
	peer_pump(peer);
	messages.allowed = 3;
	net_call_reply_stream(kept, &messages.source);
	peer_pump(peer);
	assert_false(stream->closed);
	peer->now_ns += SECOND;
	(void) net_session_timers(peer->server, peer->now_ns);
	peer_pump(peer);
	assert_true(stream->was_reset);
	assert_int_equal(stream->reset_code, NGHTTP2_CANCEL);
	assert_int_equal(messages.closed, 1);
}

static void
client_that_goes_on_is_told_to_stop(void **state)
{
	static const uint8_t body[] = {0, 0, 0, 0, 1, 'a'};
	PeerRequest request = {.body = body, .length = sizeof(body)};
	nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 100};
	Messages messages = make_messages(2);
	PeerStream *stream;

	(void) state;
	peer_init(peer, NULL);
	peer->on_call = keep_call;
	/* The trailers are nghttp2's then, not the constant ones. */
	assert_int_equal(nghttp2_submit_settings(peer->client, 0, &entry, 1), 0);
	stream = peer_submit(peer, &request);
	peer_pump(peer);
	messages.tells_last = true;
	net_call_reply_stream(kept, &messages.source);
	assert_int_equal(nghttp2_submit_settings(peer->client, 0, &entry, 1), 0);
	peer_pump(peer);
	assert_streamed(stream, &messages);
}

/* ---- gzip: RPC-25 ---- */

/* Flag, length and the compressed bytes; returns how many in all. */
static size_t
compress_message(uint8_t *frame, size_t room, const void *message, size_t length)
{
	z_stream zlib = {.next_in = (Bytef *) (uintptr_t) message,
					 .avail_in = (uInt) length,
					 .next_out = frame + GRPC_PREFIX_BYTES,
					 .avail_out = (uInt) (room - GRPC_PREFIX_BYTES)};

	assert_int_equal(deflateInit2(&zlib, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
	(void) deflateEnd(&zlib);
	grpc_prefix_put(frame, 1, (uint32_t) zlib.total_out);
	return GRPC_PREFIX_BYTES + zlib.total_out;
}

static PeerStream *
send_compressed(const uint8_t *frame, size_t length)
{
	PeerRequest request = {.body = frame, .length = length, .more_count = 1};
	PeerStream *stream;

	request.more[0] = peer_header("grpc-encoding", "gzip");
	stream = peer_submit(peer, &request);
	peer_pump(peer);
	return stream;
}

/* The answer is the message that was sent, compressed where that is shorter. */
static void
assert_echoed(const PeerStream *stream, const uint8_t *message, size_t length, bool compressed)
{
	assert_true(stream->closed && stream->ended);
	assert_string_equal(stream->grpc_status, "0");
	assert_string_equal(stream->encoding, "gzip");
	assert_int_equal(stream->body[0], compressed);
	assert_int_equal(stream->length, GRPC_PREFIX_BYTES + grpc_prefix_length(stream->body));
	if (compressed)
	{
		static uint8_t plain[3 * 1024 * 1024];
		z_stream zlib = {.next_in = stream->body + GRPC_PREFIX_BYTES,
						 .avail_in = (uInt) (stream->length - GRPC_PREFIX_BYTES),
						 .next_out = plain,
						 .avail_out = sizeof(plain)};

		assert_int_equal(inflateInit2(&zlib, 15 + 16), Z_OK);
		assert_int_equal(inflate(&zlib, Z_FINISH), Z_STREAM_END);
		(void) inflateEnd(&zlib);
		assert_int_equal(zlib.total_out, length);
		assert_memory_equal(plain, message, length);
		return;
	}
	assert_int_equal(stream->length, GRPC_PREFIX_BYTES + length);
	if (length > 0)
		assert_memory_equal(stream->body + GRPC_PREFIX_BYTES, message, length);
}

static uint8_t large[3 * 1024 * 1024];
static uint8_t frame[3 * 1024 * 1024 + 1024];

static void
fill_large(bool random)
{
	uint64_t seed = 1;

	for (size_t i = 0; i < sizeof(large); i++)
	{
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		large[i] = random ? (uint8_t) (seed >> 56) : (uint8_t) (i / 1000);
	}
}

static void
compressed_messages_are_taken(void **state)
{
	static const size_t lengths[] = {0, 1, 100, 5000, 16384, 40000, 1000000};

	(void) state;
	peer_init(peer, NULL);
	for (int random = 0; random < 2; random++)
	{
		fill_large(random);
		for (size_t i = 0; i < lengthof(lengths); i++)
		{
			size_t length = compress_message(frame, sizeof(frame), large, lengths[i]);

			assert_echoed(send_compressed(frame, length), large, lengths[i],
						  lengths[i] >= 100 && !random);
		}
	}
	/* A client that names the encoding need not use it each time. */
	assert_echoed(send_compressed((const uint8_t *) "\0\0\0\0\1a", 6), (const uint8_t *) "a", 1,
				  false);
	/* All of it has gone back. */
	assert_true(peer->budget.used < 400000);
}

/* The limit is that of the message itself (section 4.3), and nothing beyond it is ever made. */
static void
bombs_are_refused(void **state)
{
	NetLimits limits = peer_limits();
	PeerStream *stream;
	size_t length;

	(void) state;
	limits.message_max = 100000;
	peer_init(peer, &limits);
	memset(large, 0, sizeof(large));
	length = compress_message(frame, sizeof(frame), large, sizeof(large));
	assert_true(length < 10000);
	stream = send_compressed(frame, length);
	assert_string_equal(stream->grpc_status, "8");
	assert_string_equal(stream->grpc_message,
						"grpc: received message after decompression larger than max 100000");
	assert_true(peer->budget.most < 300000);
	length = compress_message(frame, sizeof(frame), large, 100001);
	assert_string_equal(send_compressed(frame, length)->grpc_status, "8");
	length = compress_message(frame, sizeof(frame), large, 100000);
	assert_echoed(send_compressed(frame, length), large, 100000, true);
	assert_int_equal(peer->dispatched, 1);
}

/* Members one behind the other are one message, as for Go's library. */
static void
members_are_joined(void **state)
{
	size_t first, second;

	(void) state;
	peer_init(peer, NULL);
	fill_large(false);
	first = compress_message(frame, sizeof(frame), large, 3000);
	second = compress_message(frame + first, sizeof(frame) - first, large + 3000, 4000);
	memmove(frame + first, frame + first + GRPC_PREFIX_BYTES, second - GRPC_PREFIX_BYTES);
	first += second - GRPC_PREFIX_BYTES;
	grpc_prefix_put(frame, 1, (uint32_t) (first - GRPC_PREFIX_BYTES));
	assert_echoed(send_compressed(frame, first), large, 7000, true);
}

static void
assert_broken(const uint8_t *bytes, size_t length, const char *text)
{
	PeerStream *stream = send_compressed(bytes, length);

	assert_true(stream->closed && stream->ended);
	assert_string_equal(stream->grpc_status, "13");
	assert_string_equal(stream->grpc_message, text);
}

static void
broken_gzip_is_refused(void **state)
{
	size_t length;

	(void) state;
	peer_init(peer, NULL);
	fill_large(false);
	assert_broken((const uint8_t *) "\1\0\0\0\0", 5,
				  "grpc: failed to read decompressed data: unexpected EOF");
	assert_broken((const uint8_t *) "\1\0\0\0\5hello", 10,
				  "grpc: failed to read decompressed data: incorrect header check");
	assert_broken((const uint8_t *) "\2\0\0\0\5hello", 10,
				  "grpc: received unexpected payload format 2");
	length = compress_message(frame, sizeof(frame), large, 5000);
	frame[length - 6] ^= 1;
	assert_broken(frame, length, "grpc: failed to read decompressed data: incorrect data check");
	/* Each end that is too early. */
	length = compress_message(frame, sizeof(frame), large, 5000);
	for (size_t end = GRPC_PREFIX_BYTES + 1; end < length; end++)
	{
		grpc_prefix_put(frame, 1, (uint32_t) (end - GRPC_PREFIX_BYTES));
		assert_broken(frame, end, "grpc: failed to read decompressed data: unexpected EOF");
	}
	assert_int_equal(peer->dispatched, 0);
}

static void
without_memory_gzip_is_refused(void **state)
{
	PeerStream *stream;
	size_t length, used;

	(void) state;
	peer_init(peer, NULL);
	memset(large, 0, sizeof(large));
	length = compress_message(frame, sizeof(frame), large, 1000000);
	assert_echoed(send_compressed(frame, length), large, 1000000, true);
	used = peer->budget.used;
	for (size_t more = 0; more < 1000000; more += 30000)
	{
		peer->budget.limit = used + more;
		stream = send_compressed(frame, length);
#if defined(__SANITIZE_ADDRESS__)
		/* Nothing is pooled then, so the connection's own pieces may be what finds no memory. */
		if (peer->goaways > 0)
			return;
#endif
		assert_true(stream->closed);
		if (strcmp(stream->grpc_status, "0") != 0 && !stream->was_reset)
			assert_string_equal(stream->grpc_status, "8");
		assert_true(peer->budget.used <= used);
	}
	/* Where only the answer cannot be compressed, it is sent as it is. */
	peer->budget.limit = SIZE_MAX;
	stream = begin_call("gzip");
	peer->budget.limit = peer->budget.used + 4096;
	net_call_reply_arena(kept, large, 2000);
	peer_pump(peer);
	assert_echoed(stream, large, 2000, false);
}

static void
streams_are_compressed(void **state)
{
	Messages messages = make_messages(20);
	PeerStream *stream;

	(void) state;
	peer_init(peer, NULL);
	stream = begin_call("gzip");
	net_call_reply_stream(kept, &messages.source);
	peer_pump(peer);
	assert_streamed(stream, &messages);
	assert_string_equal(stream->encoding, "gzip");
	/* Those that are whole in one frame become smaller, the two of each ten that are not do not. */
	assert_in_range(stream->length, 2 * (16384 + 70000), 195000);
}

static void
errors_name_no_encoding(void **state)
{
	PeerStream *stream;

	(void) state;
	peer_init(peer, NULL);
	stream = begin_call("gzip");
	net_call_fail(kept, 3, "no");
	peer_pump(peer);
	assert_string_equal(stream->grpc_status, "3");
	assert_string_equal(stream->encoding, "");
	stream = begin_call(NULL);
	net_call_reply_bytes(kept, large, 10000);
	peer_pump(peer);
	assert_string_equal(stream->encoding, "");
	assert_int_equal(stream->length, 10005);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(many_messages_are_sent),
		TEST(small_buffers_and_windows_do),
		TEST(messages_may_come_late),
		TEST(stream_may_end_with_a_status),
		TEST(client_may_give_up),
		TEST(deadline_ends_a_stream),
		TEST(client_that_goes_on_is_told_to_stop),
		TEST(compressed_messages_are_taken),
		TEST(bombs_are_refused),
		TEST(members_are_joined),
		TEST(broken_gzip_is_refused),
		TEST(without_memory_gzip_is_refused),
		TEST(streams_are_compressed),
		TEST(errors_name_no_encoding),
	};

	return cmocka_run_group_tests_name("net streams", tests, NULL, NULL);
}
