/*
 * fuzz_grpc.c
 *	  Any bytes as headers and body of gRPC requests on a sound HTTP/2 connection.
 *
 * The input: a length and that many bytes of header block (HPACK), then a length of two bytes and
 * that many bytes of DATA; again and again, each on its own stream.
 *
 * test/fuzz/fuzz_grpc.c
 */
#include "rusd.h"

#include "net/grpc_frame.h"

#include "fuzz_net.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
send_frame(NetSession *session, uint8_t type, uint8_t flags, uint32_t id, const uint8_t *payload,
		   size_t length)
{
	uint8_t frame[9 + 1024];

	frame[0] = (uint8_t) (length >> 16);
	frame[1] = (uint8_t) (length >> 8);
	frame[2] = (uint8_t) length;
	frame[3] = type;
	frame[4] = flags;
	frame[5] = (uint8_t) (id >> 24);
	frame[6] = (uint8_t) (id >> 16);
	frame[7] = (uint8_t) (id >> 8);
	frame[8] = (uint8_t) id;
	if (length > 0)
		memcpy(frame + 9, payload, length);
	return fuzz_receive(session, frame, 9 + length);
}

/* The pure functions, on the same bytes. */
static void
small_encodings(const uint8_t *data, size_t size)
{
	uint8_t encoded[3 * 1024];
	char decoded[3 * 1024];
	uint64_t ns;
	size_t length = Min(size, (size_t) 1024);

	if (grpc_timeout_parse(data, size, &ns) == GRPC_TIMEOUT_OK)
	{
		char text[16];
		uint64_t again;

		grpc_timeout_format(ns, text, sizeof(text));
		Check(grpc_timeout_parse((const uint8_t *) text, strlen(text), &again) == GRPC_TIMEOUT_OK);
	}
	length = grpc_message_encode((const char *) data, length, encoded, sizeof(encoded));
	Check(grpc_message_decode(encoded, length, decoded) == Min(size, (size_t) 1024));
	Check(memcmp(decoded, data, Min(size, (size_t) 1024)) == 0);
	(void) grpc_message_decode(data, Min(size, (size_t) 1024), decoded);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t headers[] = {0x83, 0x86, 0x44, 0x02, '/', 'a', 0x5f, 0x10,
									  'a',  'p',  'p',  'l',  'i', 'c', 'a',  't',
									  'i',  'o',  'n',  '/',  'g', 'r', 'p',  'c'};
	NetSession *session = fuzz_session();
	bool goes_on = fuzz_receive(
		session,
		(const uint8_t *) "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		33);

	if (size > 0)
		small_encodings(data, size);
	for (uint32_t id = 1; goes_on && size > 3; id += 2)
	{
		uint8_t block[sizeof(headers) + 256];
		size_t extra = Min((size_t) data[0], size - 3), body;
		uint8_t flags = data[1];

		memcpy(block, headers, sizeof(headers));
		memcpy(block + sizeof(headers), data + 3, extra);
		body = Min((size_t) data[2] * 4, size - 3 - extra);
		goes_on = send_frame(session, 1, 4, id, block, sizeof(headers) + extra) &&
				  send_frame(session, 0, flags & 1, id, data + 3 + extra, body) &&
				  ((flags & 3) != 2 || send_frame(session, 0, 1, id, NULL, 0));
		data += 3 + extra + body;
		size -= 3 + extra + body;
	}
	fuzz_end(session);
	return 0;
}
