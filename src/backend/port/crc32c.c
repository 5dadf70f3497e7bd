/*
 * crc32c.c
 *	  CRC-32C by the CPU's instruction, three streams at a time, or by tables.
 *
 * Any process, tools too.  The instruction takes three cycles and a new one may begin in each, so
 * a buffer is cut into three blocks that are summed side by side.  To join them, the sum of a block
 * is moved over the n bytes behind it, which is a multiplication by x^8n modulo the polynomial:
 * one carry-less multiplication by x^(8n-33) (both operands are bit-reflected, which costs one
 * bit), and the CRC instruction reduces the 64-bit product, which adds the missing x^32.
 *
 * src/backend/port/crc32c.c
 */
#ifdef FRONTEND
#include "rusd_fe.h"
#else
#include "rusd.h"
#endif

#include "port/crc32c.h"

#define POLYNOMIAL 0x82f63b78u /* bit-reflected */

static inline uint64_t
load64(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

#if defined(__x86_64__) && defined(__SSE4_2__) && defined(__PCLMUL__)

#include <nmmintrin.h>
#include <wmmintrin.h>

/* Sizes of a block: a page of 8 KiB is two rounds of the large one and a rest of 32 bytes. */
#define LARGE 1360
#define SMALL 128

/* x^(8n-33) modulo the polynomial, reflected; test_port computes them again. */
#define SHIFT_LARGE 0x3f70cc6fu
#define SHIFT_LARGE_TWICE 0x5aa1f3cfu
#define SHIFT_SMALL 0x0d3b6092u
#define SHIFT_SMALL_TWICE 0xb9e02b86u

/* The 64-bit product that, reduced, is crc moved over the bytes that constant stands for. */
static inline uint64_t
moved(uint64_t crc, uint32_t constant)
{
	__m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t) crc),
										   _mm_cvtsi32_si128((int) constant), 0);

	return (uint64_t) _mm_cvtsi128_si64(product);
}

/* Three blocks of size bytes, a multiple of 8. */
static inline uint64_t
three_blocks(uint64_t crc, const uint8_t *p, size_t size, uint32_t shift, uint32_t shift_twice)
{
	uint64_t second = 0;
	uint64_t third = 0;

	for (const uint8_t *end = p + size; p < end; p += 8)
	{
		crc = _mm_crc32_u64(crc, load64(p));
		second = _mm_crc32_u64(second, load64(p + size));
		third = _mm_crc32_u64(third, load64(p + 2 * size));
	}
	return _mm_crc32_u64(0, moved(crc, shift_twice) ^ moved(second, shift)) ^ third;
}

uint32_t
crc32c(uint32_t before, const void *data, size_t length)
{
	const uint8_t *p = data;
	uint64_t crc = (uint32_t) ~before;

	for (; length >= 3 * LARGE; p += 3 * LARGE, length -= 3 * LARGE)
		crc = three_blocks(crc, p, LARGE, SHIFT_LARGE, SHIFT_LARGE_TWICE);
	for (; length >= 3 * SMALL; p += 3 * SMALL, length -= 3 * SMALL)
		crc = three_blocks(crc, p, SMALL, SHIFT_SMALL, SHIFT_SMALL_TWICE);
	for (; length >= 8; p += 8, length -= 8)
		crc = _mm_crc32_u64(crc, load64(p));
	for (; length > 0; p++, length--)
		crc = _mm_crc32_u8((uint32_t) crc, *p);
	return ~(uint32_t) crc;
}

#elif defined(__ARM_FEATURE_CRC32)

#include <arm_acle.h>

uint32_t
crc32c(uint32_t before, const void *data, size_t length)
{
	const uint8_t *p = data;
	uint32_t crc = ~before;

	for (; length >= 8; p += 8, length -= 8)
		crc = __crc32cd(crc, load64(p));
	for (; length > 0; p++, length--)
		crc = __crc32cb(crc, *p);
	return ~crc;
}

#else

uint32_t
crc32c(uint32_t before, const void *data, size_t length)
{
	return crc32c_portable(before, data, length);
}

#endif

/* tables[k][b]: the sum of byte b followed by k zero bytes. */
static uint32_t tables[8][256];

__attribute__((constructor)) static void
make_tables(void)
{
	for (uint32_t b = 0; b < 256; b++)
	{
		uint32_t crc = b;

		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
		tables[0][b] = crc;
	}
	for (int k = 1; k < 8; k++)
	{
		for (uint32_t b = 0; b < 256; b++)
			tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 0xff];
	}
}

uint32_t
crc32c_portable(uint32_t before, const void *data, size_t length)
{
	const uint8_t *p = data;
	uint32_t crc = ~before;

	for (; length >= 8; p += 8, length -= 8)
	{
		/* rusd stores little-endian and runs on little-endian machines only (format/walformat.h).
		 */
		uint64_t word = load64(p) ^ crc;

		crc = tables[7][word & 0xff] ^ tables[6][word >> 8 & 0xff] ^ tables[5][word >> 16 & 0xff] ^
			  tables[4][word >> 24 & 0xff] ^ tables[3][word >> 32 & 0xff] ^
			  tables[2][word >> 40 & 0xff] ^ tables[1][word >> 48 & 0xff] ^ tables[0][word >> 56];
	}
	for (; length > 0; p++, length--)
		crc = (crc >> 8) ^ tables[0][(crc ^ *p) & 0xff];
	return ~crc;
}
