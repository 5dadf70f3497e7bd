/*
 * pack.c
 *	  Chunks of a snapshot, compressed on their way.
 *
 * One frame of zstd for the life of a connection, flushed behind each chunk: so a page is compressed with what the
 * ones before it have shown, and each message can be read when it has come.  The window is small, for what
 * neighbouring pages have in common is near.  Checksums are the chunks' own.
 *
 * src/backend/snapshot/pack.c
 */
#include "rusd.h"

#include <zstd.h>

#include "snapshot_int.h"

/* Measured: doc/decisions/0030-compression-between-members.md. */
#define LEVEL 1
#define WINDOW_LOG 20

struct SnapshotPack
{
	ZSTD_CStream *stream;
	size_t room;
	uint8_t bytes[];
};

struct SnapshotUnpack
{
	ZSTD_DStream *stream;
	size_t room;
	uint8_t bytes[];
};

SnapshotPack *
snapshot_pack_create(size_t chunk_max)
{
	size_t room = SNAPSHOT_PACKED_MAX(chunk_max);
	SnapshotPack *pack = malloc(sizeof(*pack) + room);

	if (pack == NULL)
		return NULL;
	pack->room = room;
	pack->stream = ZSTD_createCStream();
	if (pack->stream != NULL &&
		!ZSTD_isError(ZSTD_CCtx_setParameter(pack->stream, ZSTD_c_compressionLevel, LEVEL)) &&
		!ZSTD_isError(ZSTD_CCtx_setParameter(pack->stream, ZSTD_c_windowLog, WINDOW_LOG)))
		return pack;
	snapshot_pack_destroy(pack);
	return NULL;
}

void
snapshot_pack_destroy(SnapshotPack *pack)
{
	if (pack == NULL)
		return;
	ZSTD_freeCStream(pack->stream);
	free(pack);
}

Status
snapshot_pack(SnapshotPack *pack, Bytes chunk, Bytes *packed)
{
	ZSTD_inBuffer in = {.src = chunk.data, .size = chunk.length};
	ZSTD_outBuffer out = {.dst = pack->bytes, .size = pack->room};
	size_t left = ZSTD_compressStream2(pack->stream, &out, &in, ZSTD_e_flush);

	/* There is room for all: what is left is for want of memory. */
	if (left != 0 || in.pos != in.size)
		return RUSD_NO_MEMORY;
	*packed = (Bytes){pack->bytes, out.pos};
	return RUSD_OK;
}

SnapshotUnpack *
snapshot_unpack_create(size_t chunk_max)
{
	/* One byte more: so a chunk that is too long is seen to be. */
	SnapshotUnpack *unpack = malloc(sizeof(*unpack) + chunk_max + 1);

	if (unpack == NULL)
		return NULL;
	unpack->room = chunk_max + 1;
	unpack->stream = ZSTD_createDStream();
	if (unpack->stream != NULL &&
		!ZSTD_isError(ZSTD_DCtx_setParameter(unpack->stream, ZSTD_d_windowLogMax, WINDOW_LOG)))
		return unpack;
	snapshot_unpack_destroy(unpack);
	return NULL;
}

void
snapshot_unpack_destroy(SnapshotUnpack *unpack)
{
	if (unpack == NULL)
		return;
	ZSTD_freeDStream(unpack->stream);
	free(unpack);
}

Status
snapshot_unpack(SnapshotUnpack *unpack, Bytes packed, Bytes *chunk)
{
	ZSTD_inBuffer in = {.src = packed.data, .size = packed.length};
	ZSTD_outBuffer out = {.dst = unpack->bytes, .size = unpack->room};

	while (in.pos < in.size)
	{
		size_t wanted = ZSTD_decompressStream(unpack->stream, &out, &in);

		if (ZSTD_isError(wanted) || out.pos == out.size)
			return RUSD_DAMAGED;
	}
	*chunk = (Bytes){unpack->bytes, out.pos};
	return RUSD_OK;
}
