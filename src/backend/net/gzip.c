/*
 * gzip.c
 *	  Messages compressed by gzip: bounded decompression of requests, compression of answers.
 *
 * Backends. RPC-25. Both work on whole messages in memory and keep nothing between two of them: a
 * client that compresses is rare, and zlib's memory is many times that of a connection.
 *
 * src/backend/net/gzip.c
 */
#include "rusd.h"

#include <zlib.h>

#include "net_int.h"

/* What zlib takes by itself: windows, hash tables, its state (zconf.h tells how much). */
#define INFLATE_MEMORY (48 * 1024)
#define DEFLATE_WINDOW_BITS 14
#define DEFLATE_LEVEL_OF_MEMORY 7
#define DEFLATE_MEMORY                                                                             \
	((1 << (DEFLATE_WINDOW_BITS + 2)) + (1 << (DEFLATE_LEVEL_OF_MEMORY + 9)) + 12 * 1024)
#define GZIP_WRAPPER 16 /* added to the window's bits */
#define ROOM_FIRST (16 * 1024)

typedef struct Inflation
{
	z_stream zlib;
	MemoryBudget *budget;
	uint8_t *data;
	uint32_t length;
	uint32_t room;
	uint32_t most;
} Inflation;

static bool
grow(Inflation *inflation)
{
	uint64_t doubled = Max((uint64_t) inflation->room * 2, ROOM_FIRST);
	uint32_t room = (uint32_t) Min(doubled, inflation->most);
	uint8_t *larger;

	if (!inflation->budget->take(inflation->budget, room - inflation->room))
		return false;
	larger = realloc(inflation->data, room);
	if (larger == NULL)
	{
		inflation->budget->give(inflation->budget, room - inflation->room);
		return false;
	}
	inflation->data = larger;
	inflation->room = room;
	return true;
}

/* One or more members, one behind the other, as Go reads them. */
static Status
inflate_all(Inflation *inflation, const char **error)
{
	z_stream *zlib = &inflation->zlib;
	int result = Z_OK;

	while (result != Z_STREAM_END || zlib->avail_in > 0)
	{
		uint32_t before;

		if (result == Z_STREAM_END && inflateReset(zlib) != Z_OK)
			return RUSD_NO_MEMORY;
		if (inflation->length == inflation->most)
			return RUSD_AGAIN;
		if (inflation->length == inflation->room && !grow(inflation))
			return RUSD_NO_MEMORY;
		before = inflation->room - inflation->length;
		zlib->next_out = inflation->data + inflation->length;
		zlib->avail_out = before;
		result = inflate(zlib, Z_NO_FLUSH);
		inflation->length += before - zlib->avail_out;
		if (result == Z_MEM_ERROR)
			return RUSD_NO_MEMORY;
		if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
		{
			*error = zlib->msg != NULL ? zlib->msg : "corrupt input";
			return RUSD_INVALID;
		}
		if (result != Z_STREAM_END && zlib->avail_in == 0 && zlib->avail_out > 0)
		{
			*error = "unexpected EOF";
			return RUSD_INVALID;
		}
	}
	return inflation->length == inflation->most ? RUSD_AGAIN : RUSD_OK;
}

Status
gzip_inflate(Bytes compressed, uint32_t max, MemoryBudget *budget, uint8_t **data, uint32_t *length,
			 uint32_t *room, const char **error)
{
	/* One byte too many is enough to know. */
	Inflation inflation = {.budget = budget, .most = max + 1};
	Status status = RUSD_NO_MEMORY;

	if (!budget->take(budget, INFLATE_MEMORY))
		return RUSD_NO_MEMORY;
	inflation.zlib.next_in = (Bytef *) (uintptr_t) compressed.data;
	inflation.zlib.avail_in = (uInt) compressed.length;
	if (inflateInit2(&inflation.zlib, MAX_WBITS + GZIP_WRAPPER) == Z_OK)
	{
		status = inflate_all(&inflation, error);
		(void) inflateEnd(&inflation.zlib);
	}
	budget->give(budget, INFLATE_MEMORY);
	if (status != RUSD_OK)
	{
		free(inflation.data);
		budget->give(budget, inflation.room);
		return status;
	}
	*data = inflation.data;
	*length = inflation.length;
	*room = inflation.room;
	return RUSD_OK;
}

size_t
gzip_deflate(const uint8_t *data, size_t length, uint8_t *buffer, size_t max, MemoryBudget *budget)
{
	z_stream zlib = {.next_in = (Bytef *) (uintptr_t) data,
					 .avail_in = (uInt) length,
					 .next_out = buffer,
					 .avail_out = (uInt) max};
	int result = Z_MEM_ERROR;

	if (!budget->take(budget, DEFLATE_MEMORY))
		return 0;
	if (deflateInit2(&zlib, Z_BEST_SPEED, Z_DEFLATED, DEFLATE_WINDOW_BITS + GZIP_WRAPPER,
					 DEFLATE_LEVEL_OF_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK)
	{
		result = deflate(&zlib, Z_FINISH);
		(void) deflateEnd(&zlib);
	}
	budget->give(budget, DEFLATE_MEMORY);
	return result == Z_STREAM_END ? max - zlib.avail_out : 0;
}
