/*
 * grpc_frame.h
 *	The small encodings of gRPC over HTTP/2, for both sides: message prefix, grpc-timeout,
 *	  grpc-message.
 *
 * Pure functions; also for tools (FRONTEND).
 *
 * src/include/net/grpc_frame.h
 */
#ifndef NET_GRPC_FRAME_H
#define NET_GRPC_FRAME_H

#define GRPC_PREFIX_BYTES 5 /* flag (1: compressed), length big-endian */

static inline void
grpc_prefix_put(uint8_t *prefix, uint8_t flag, uint32_t length)
{
	prefix[0] = flag;
	prefix[1] = (uint8_t) (length >> 24);
	prefix[2] = (uint8_t) (length >> 16);
	prefix[3] = (uint8_t) (length >> 8);
	prefix[4] = (uint8_t) length;
}

static inline uint32_t
grpc_prefix_length(const uint8_t *prefix)
{
	return (uint32_t) prefix[1] << 24 | (uint32_t) prefix[2] << 16 | (uint32_t) prefix[3] << 8 |
		   prefix[4];
}

/* What grpc_timeout_parse finds. */
typedef enum GrpcTimeout
{
	GRPC_TIMEOUT_OK,
	GRPC_TIMEOUT_SHORT, /* fewer than 2 characters */
	GRPC_TIMEOUT_LONG,  /* more than 9 */
	GRPC_TIMEOUT_UNIT,  /* the last is none of H M S m u n */
	GRPC_TIMEOUT_DIGITS /* the others are not all digits */
} GrpcTimeout;

/* 1 to 8 digits and a unit; the result is capped at 2^62 ns. */
static inline GrpcTimeout
grpc_timeout_parse(const uint8_t *text, size_t length, uint64_t *result_ns)
{
	uint64_t value = 0, unit;

	if (length < 2)
		return GRPC_TIMEOUT_SHORT;
	if (length > 9)
		return GRPC_TIMEOUT_LONG;
	switch (text[length - 1])
	{
		case 'H':
			unit = UINT64_C(3600000000000);
			break;
		case 'M':
			unit = UINT64_C(60000000000);
			break;
		case 'S':
			unit = 1000000000;
			break;
		case 'm':
			unit = 1000000;
			break;
		case 'u':
			unit = 1000;
			break;
		case 'n':
			unit = 1;
			break;
		default:
			return GRPC_TIMEOUT_UNIT;
	}
	for (size_t i = 0; i < length - 1; i++)
	{
		if (text[i] < '0' || text[i] > '9')
			return GRPC_TIMEOUT_DIGITS;
		value = value * 10 + (uint64_t) (text[i] - '0');
	}
	*result_ns = value > (UINT64_C(1) << 62) / unit ? UINT64_C(1) << 62 : value * unit;
	return GRPC_TIMEOUT_OK;
}

/*
 * Text of a grpc-timeout header for that many nanoseconds, rounded up to what 8 digits can say;
 * at least 10 bytes.
 */
static inline void
grpc_timeout_format(uint64_t timeout_ns, char *text, size_t size)
{
	static const struct
	{
		char unit;
		uint64_t ns;
	} units[] = {
		{'n', 1}, {'u', 1000}, {'m', 1000000}, {'S', 1000000000}, {'M', UINT64_C(60000000000)}};

	for (size_t i = 0; i < lengthof(units); i++)
	{
		uint64_t value = timeout_ns / units[i].ns + (timeout_ns % units[i].ns != 0);

		if (value <= 99999999)
		{
			snprintf(text, size, "%u%c", (unsigned) value, units[i].unit);
			return;
		}
	}
	snprintf(text, size, "99999999H");
}

/*
 * grpc-message: bytes 0x20 to 0x7e but % as they are, others as %XX. At most size bytes are
 * written, never half of a %XX; returns their number.
 */
static inline size_t
grpc_message_encode(const char *text, size_t length, uint8_t *encoded, size_t size)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t used = 0;

	for (size_t i = 0; i < length; i++)
	{
		uint8_t byte = (uint8_t) text[i];

		if (byte >= 0x20 && byte <= 0x7e && byte != '%')
		{
			if (used + 1 > size)
				break;
			encoded[used++] = byte;
			continue;
		}
		if (used + 3 > size)
			break;
		encoded[used++] = '%';
		encoded[used++] = (uint8_t) hex[byte >> 4];
		encoded[used++] = (uint8_t) hex[byte & 15];
	}
	return used;
}

static inline int
grpc_hex_value(uint8_t digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return -1;
}

/*
 * The reverse; what is no valid %XX stays as it is. text has room for length bytes; returns how
 * many were written.
 */
static inline size_t
grpc_message_decode(const uint8_t *encoded, size_t length, char *text)
{
	size_t used = 0;

	for (size_t i = 0; i < length; i++)
	{
		int high, low;

		if (encoded[i] == '%' && i + 2 < length && (high = grpc_hex_value(encoded[i + 1])) >= 0 &&
			(low = grpc_hex_value(encoded[i + 2])) >= 0)
		{
			text[used++] = (char) (high << 4 | low);
			i += 2;
		}
		else
			text[used++] = (char) encoded[i];
	}
	return used;
}

#endif /* NET_GRPC_FRAME_H */
