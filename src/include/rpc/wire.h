/*
 * wire.h
 *	  Protobuf written by hand: for answers that are too hot or too large to be built as messages
 * first.
 *
 * Sizes first, bytes then: a *_size function tells exactly what the put_* of the same name writes.
 * Fields at their default value are not written (proto3), so the caller asks before it writes one.
 *
 * src/include/rpc/wire.h
 */
#ifndef RPC_WIRE_H
#define RPC_WIRE_H

#define WIRE_VARINT 0
#define WIRE_FIXED64 1
#define WIRE_BYTES 2
#define WIRE_FIXED32 5

/* Tag of a field with a number below 16: one byte. */
#define WIRE_TAG(number, type) ((uint8_t) ((number) << 3 | (type)))

static inline size_t
varint_size(uint64_t value)
{
	/* 7 bits a byte; 0 takes one byte. */
	return (size_t) ((63 - __builtin_clzll(value | 1)) / 7 + 1);
}

static inline uint8_t *
put_varint(uint8_t *at, uint64_t value)
{
	while (value >= 0x80)
	{
		*at++ = (uint8_t) (value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t) value;
	return at;
}

/* A varint field with a number below 16, if it is not 0. */
static inline size_t
varint_field_size(uint64_t value)
{
	return value == 0 ? 0 : 1 + varint_size(value);
}

static inline uint8_t *
put_varint_field(uint8_t *at, int number, uint64_t value)
{
	if (value == 0)
		return at;
	*at++ = WIRE_TAG(number, WIRE_VARINT);
	return put_varint(at, value);
}

/* Tag and length of a field of bytes, number below 16; what it has inside follows. */
static inline size_t
frame_size(uint64_t length)
{
	return 1 + varint_size(length);
}

static inline uint8_t *
put_frame(uint8_t *at, int number, uint64_t length)
{
	*at++ = WIRE_TAG(number, WIRE_BYTES);
	return put_varint(at, length);
}

/* A whole field of bytes. */
static inline uint64_t
framed_size(uint64_t length)
{
	return frame_size(length) + length;
}

static inline uint8_t *
put_bytes_field(uint8_t *at, int number, const void *data, size_t length)
{
	at = put_frame(at, number, length);
	if (length != 0)
		memcpy(at, data, length);
	return at + length;
}

#endif /* RPC_WIRE_H */
