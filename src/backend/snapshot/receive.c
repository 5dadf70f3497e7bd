/*
 * receive.c
 *	  Takes the chunks of a snapshot and puts its pages into incoming/data, each at the place that its
 *	  number gives.
 *
 * A process that may block on the data file.  Everything that arrives is checked before it is
 * written: what stands in the file is what the sender's tree was, or nothing.  The file
 * incoming/snapshot is written when all else is durable: so whoever finds it whole finds all.
 *
 * What a broken stream has brought stays, under the root that it was sent from, until a later root's
 * pages take its place.  A page that a later stream leaves out has to be there, no younger than that root.
 *
 * src/backend/snapshot/receive.c
 */
#include "rusd.h"

#include <fcntl.h>

#include "btree/btree.h"
#include "pagecache/checkpoint.h"
#include "port/crc32c.h"
#include "port/fault.h"
#include "snapshot_int.h"
#include "utils/log.h"
#include "wal/recovery.h"

/* A long transfer is synced in parts, so that the log's syncs never queue behind all of it. */
#define PAGES_PER_SYNC 4096

struct SnapshotReceive
{
	Shm *shm;
	FileOps *fs;
	int file; /* INCOMING_DATA_NAME */
	uint64_t offset;
	uint64_t next_page; /* lowest number that the next page may have */
	uint64_t unsynced;  /* pages */
	bool finished;
	SnapshotBase base;          /* what the file holds whatever the present stream brings */
	uint64_t *births;           /* for each frame, of the page at its place in the file; 0: none */
	SnapshotIncoming *incoming; /* room for a bit for each frame */
	uint8_t *page;              /* one, aligned as frames are */
};

static Status
empty_folder(FileOps *fs)
{
	Status status = snapshot_incoming_remove(fs);
	int result;

	if (status != RUSD_OK)
		return status;
	result = fs->mkdir(fs, INCOMING_FOLDER);
	if (result == 0)
		result = fs->sync_dir(fs, ".");
	return result == -EEXIST ? RUSD_OK : fs_status(result);
}

Status
snapshot_receive_create(Shm *shm, FileOps *fs, SnapshotReceive **result)
{
	SnapshotReceive *receive;
	InstallOrder order;
	Status status;

	shm_install_read(shm, &order);
	if (order.count != atomic_load_explicit(&shm->requests->install_done, memory_order_acquire) &&
		!FAULT(snapshots_in_succession))
		return RUSD_AGAIN;
	receive = calloc(1, sizeof(*receive));
	if (receive == NULL)
		return RUSD_NO_MEMORY;
	receive->shm = shm;
	receive->fs = fs;
	receive->file = -1;
	receive->incoming = calloc(1, incoming_bytes(shm->layout.frame_count));
	receive->births = calloc(shm->layout.frame_count, sizeof(uint64_t));
	receive->page = aligned_alloc(64, PAGE_BYTES);
	status = receive->incoming == NULL || receive->births == NULL || receive->page == NULL
				 ? RUSD_NO_MEMORY
				 : RUSD_OK;
	if (status == RUSD_OK)
		status = empty_folder(fs);
	if (status == RUSD_OK)
	{
		receive->file = fs->open(fs, INCOMING_DATA_NAME, O_RDWR | O_CREAT | O_EXCL);
		status = fs_status(Min(receive->file, 0));
	}
	if (status != RUSD_OK)
	{
		snapshot_receive_destroy(receive);
		return status;
	}
	*result = receive;
	return RUSD_OK;
}

void
snapshot_receive_destroy(SnapshotReceive *receive)
{
	if (receive == NULL)
		return;
	if (receive->file >= 0)
		receive->fs->close(receive->fs, receive->file);
	free(receive->incoming);
	free(receive->births);
	free(receive->page);
	free(receive);
}

/* The present stream counts where it has come further than what there was before it. */
void
snapshot_receive_begin(SnapshotReceive *receive, SnapshotBase *base)
{
	const SnapshotHeader *header = &receive->incoming->header;

	if (receive->next_page > 0 && receive->next_page >= receive->base.below)
		receive->base = (SnapshotBase){.incarnation = header->incarnation,
									   .generation = header->base.generation,
									   .root = header->root.number,
									   .below = receive->next_page};
	receive->offset = 0;
	receive->next_page = 0;
	*base = receive->base;
}

uint64_t
snapshot_receive_offset(const SnapshotReceive *receive)
{
	return receive->offset;
}

/* ---- checking ---------------------------------------------------------------- */

static Status
check_chunk(const uint8_t *chunk, size_t length, SnapshotChunk *head)
{
	uint64_t blocks;

	if (length < sizeof(*head))
		return RUSD_DAMAGED;
	memcpy(head, chunk, sizeof(*head));
	if (head->magic != SNAPSHOT_CHUNK_MAGIC || head->length != length - sizeof(*head) ||
		head->crc != crc32c(0, chunk + sizeof(head->crc), length - sizeof(head->crc)))
		return RUSD_DAMAGED;
	if (head->offset == 0 && head->length < sizeof(SnapshotHeader))
		return RUSD_DAMAGED;
	blocks = head->length - (head->offset == 0 ? sizeof(SnapshotHeader) : 0);
	return blocks % PAGE_BYTES == 0 ? RUSD_OK : RUSD_DAMAGED;
}

static bool
is_same_base(const SnapshotBase *a, const SnapshotBase *b)
{
	return a->incarnation == b->incarnation && a->generation == b->generation &&
		   a->root == b->root && a->below == b->below;
}

/* What is there is of no use for this stream: the file is empty again. */
static Status
forget_base(SnapshotReceive *receive)
{
	memset(receive->births, 0, receive->shm->layout.frame_count * sizeof(uint64_t));
	receive->base = (SnapshotBase){0};
	return fs_status(receive->fs->truncate(receive->fs, receive->file, 0));
}

static Status
check_header(const SnapshotReceive *receive, const SnapshotHeader *header)
{
	const Shm *shm = receive->shm;

	if (header->crc != header_checksum(header) || header->magic != SNAPSHOT_MAGIC)
		return RUSD_DAMAGED;
	if (header->version != SNAPSHOT_VERSION || header->page_bytes != PAGE_BYTES ||
		header->cluster_id != shm->recovered->cluster_id)
	{
		log_error("a snapshot of another cluster or version was sent",
				  LOG_ID("cluster-id", header->cluster_id),
				  LOG_UNSIGNED("version", header->version));
		return RUSD_NOT_CAPABLE;
	}
	if (header->root.pages_end > shm->layout.frame_count)
	{
		log_error("a snapshot has more pages than this node has frames; it needs a larger "
				  "--page-cache-size",
				  LOG_UNSIGNED("pages", header->root.pages_end),
				  LOG_UNSIGNED("frames", shm->layout.frame_count));
		return RUSD_NOT_CAPABLE;
	}
	if (header->configuration.member_count > CONFIG_MEMBERS_MAX ||
		header->page_count > header->root.pages_end)
		return RUSD_DAMAGED;
	return header->base.below == 0 || is_same_base(&header->base, &receive->base) ? RUSD_OK
																				  : RUSD_DAMAGED;
}

static Status
take_header(SnapshotReceive *receive, const uint8_t *bytes)
{
	SnapshotIncoming *incoming = receive->incoming;
	SnapshotHeader header;
	Status status;

	memcpy(&header, bytes, sizeof(header));
	status = check_header(receive, &header);
	if (status == RUSD_OK && header.base.below == 0)
		status = forget_base(receive);
	if (status != RUSD_OK)
		return status;
	incoming->header = header;
	memset(incoming->used, 0, bitmap_words(receive->shm->layout.frame_count) * sizeof(uint64_t));
	return RUSD_OK;
}

/* A block of the map.  No page is told of behind the last one. */
static Status
take_map_block(SnapshotReceive *receive, const uint8_t *bytes, uint64_t block)
{
	SnapshotIncoming *incoming = receive->incoming;
	uint64_t pages_end = incoming->header.root.pages_end;
	uint64_t first = block * MAP_BLOCK_PAGES;

	for (uint64_t i = 0; i < PAGE_BYTES / sizeof(uint64_t); i++)
	{
		uint64_t page = first + i * 64;
		uint64_t word;

		memcpy(&word, bytes + i * sizeof(word), sizeof(word));
		if (word != 0 &&
			(page >= pages_end || (pages_end - page < 64 && word >> (pages_end - page) != 0)))
			return RUSD_DAMAGED;
		if (page < pages_end)
			incoming->used[page / 64] = word;
	}
	return RUSD_OK;
}

static bool
is_used(const SnapshotIncoming *incoming, uint64_t page)
{
	return page < incoming->header.root.pages_end &&
		   (incoming->used[page / 64] >> (page % 64) & 1) != 0;
}

/* A page of that snapshot, above those before it, that was lacking. */
static Status
check_page(SnapshotReceive *receive, const uint8_t *bytes, uint64_t from, uint64_t *number)
{
	const SnapshotIncoming *incoming = receive->incoming;
	const PageHeader *page = (const PageHeader *) receive->page;
	const char *defect;

	memcpy(receive->page, bytes, PAGE_BYTES);
	*number = page->number;
	defect = page_defect(page, page->number, tree_page_is_sane);
	if (defect == NULL && (page->number < from || !is_used(incoming, page->number) ||
						   base_has(&incoming->header.base, page->number, page->birth)))
		defect = "it does not belong here";
	if (defect == NULL && page->birth > incoming->header.root.number)
		defect = "it is younger than the root";
	if (defect == NULL)
		return RUSD_OK;
	log_error("a page of a snapshot is damaged", LOG_UNSIGNED("page", page->number),
			  LOG_TEXT("defect", defect));
	return RUSD_DAMAGED;
}

/* ---- writing ----------------------------------------------------------------- */

/* Those of the pages that stand next to each other in the file, in one go; *count are there. */
static Status
write_run(SnapshotReceive *receive, const uint8_t *pages, uint64_t first, uint64_t count)
{
	FileOps *fs = receive->fs;
	ssize_t result = fs->pwrite(fs, receive->file, pages, count * PAGE_BYTES, first * PAGE_BYTES);

	if (result < 0)
		return fs_status(result);
	receive->unsynced += count;
	if (receive->unsynced < PAGES_PER_SYNC)
		return RUSD_OK;
	receive->unsynced = 0;
	return fs->sync(fs, receive->file) < 0 ? RUSD_IO : RUSD_OK;
}

static PageHeader
head_at(const uint8_t *pages, uint64_t place)
{
	PageHeader head;

	memcpy(&head, pages + place * PAGE_BYTES, sizeof(head));
	return head;
}

/* All are checked first: a chunk is taken whole or not at all. */
static Status
take_pages(SnapshotReceive *receive, const uint8_t *pages, uint64_t count)
{
	uint64_t from = receive->next_page;
	uint64_t run = 1;
	Status status = RUSD_OK;

	for (uint64_t i = 0; i < count && status == RUSD_OK; i++)
	{
		uint64_t number = 0;

		status = check_page(receive, pages + i * PAGE_BYTES, from, &number);
		from = number + 1;
	}
	for (uint64_t i = 0; i < count && status == RUSD_OK; i += run)
	{
		uint64_t first = head_at(pages, i).number;

		/* A write that fails leaves anything there. */
		for (run = 0; i + run < count && head_at(pages, i + run).number == first + run; run++)
			receive->births[first + run] = 0;
		status = write_run(receive, pages + i * PAGE_BYTES, first, run);
		for (uint64_t k = 0; k < run && status == RUSD_OK; k++)
			receive->births[first + k] = head_at(pages, i + k).birth;
	}
	if (status == RUSD_OK)
		receive->next_page = from;
	return status;
}

/* What follows the header: blocks of the map, then pages. */
static Status
take_blocks(SnapshotReceive *receive, const uint8_t *bytes, uint64_t offset, uint64_t length)
{
	uint64_t pages_begin = stream_head_bytes(&receive->incoming->header);

	for (; length > 0 && offset < pages_begin; offset += PAGE_BYTES, length -= PAGE_BYTES)
	{
		Status status =
			take_map_block(receive, bytes, (offset - sizeof(SnapshotHeader)) / PAGE_BYTES);

		if (status != RUSD_OK)
			return status;
		bytes += PAGE_BYTES;
	}
	return take_pages(receive, bytes, length / PAGE_BYTES);
}

Status
snapshot_receive_chunk(SnapshotReceive *receive, const void *chunk, size_t length)
{
	const SnapshotHeader *header = &receive->incoming->header;
	const uint8_t *bytes = (const uint8_t *) chunk + sizeof(SnapshotChunk);
	size_t head_bytes = 0;
	SnapshotChunk head;
	Status status = check_chunk(chunk, length, &head);

	if (status != RUSD_OK)
		return status;
	if (receive->offset > 0 &&
		(head.incarnation != header->incarnation || head.root != header->root.number))
		return RUSD_INVALID;
	if (head.offset + head.length <= receive->offset)
		return RUSD_OK;
	if (head.offset != receive->offset)
		return RUSD_INVALID;
	if (head.offset == 0)
	{
		status = take_header(receive, bytes);
		if (status != RUSD_OK)
			return status;
		head_bytes = sizeof(*header);
	}
	if (head.offset + head.length > stream_bytes(header))
		return RUSD_DAMAGED;
	status = take_blocks(receive, bytes + head_bytes, head.offset + head_bytes,
						 head.length - head_bytes);
	if (status == RUSD_OK)
		receive->offset += head.length;
	return status;
}

/* ---- the end ------------------------------------------------------------------ */

static bool
has_root(const SnapshotIncoming *incoming, const TreeRoot *root)
{
	return root->page == PAGE_NONE || is_used(incoming, root->page);
}

/* Each page of the map is there: sent now, or no younger than what was there before.  *end is behind the last. */
static bool
is_all_there(const SnapshotReceive *receive, uint64_t *end)
{
	const SnapshotIncoming *incoming = receive->incoming;
	const SnapshotHeader *header = &incoming->header;
	uint64_t sent = 0;

	*end = 0;
	for (uint64_t page = 0; page < header->root.pages_end; page++)
	{
		if (!is_used(incoming, page))
			continue;
		if (receive->births[page] == 0)
			return false;
		sent += !base_has(&header->base, page, receive->births[page]);
		*end = page + 1;
	}
	return sent == header->page_count && has_root(incoming, &header->root.keys) &&
		   has_root(incoming, &header->root.revisions) && has_root(incoming, &header->root.system);
}

static Status
write_incoming(SnapshotReceive *receive)
{
	FileOps *fs = receive->fs;
	SnapshotIncoming *incoming = receive->incoming;
	int file = fs->open(fs, INCOMING_SNAPSHOT_NAME, O_RDWR | O_CREAT | O_EXCL);
	ssize_t result;

	if (file < 0)
		return fs_status(file);
	incoming->crc = incoming_checksum(incoming);
	result = fs->pwrite(fs, file, incoming, incoming_bytes(incoming->bits), 0);
	if (result >= 0)
		result = fs->sync(fs, file);
	fs->close(fs, file);
	if (result >= 0)
		result = fs->sync_dir(fs, INCOMING_FOLDER);
	return fs_status(Min(result, 0));
}

Status
snapshot_receive_finish(SnapshotReceive *receive, const SnapshotHeader **result)
{
	SnapshotIncoming *incoming = receive->incoming;
	const SnapshotHeader *header = &incoming->header;
	Status status;

	if (receive->offset == 0 || receive->offset < stream_bytes(header))
		return RUSD_AGAIN;
	if (!is_all_there(receive, &incoming->bits))
		return RUSD_DAMAGED;
	if (!receive->finished)
	{
		if (receive->fs->sync(receive->fs, receive->file) < 0)
			return RUSD_IO;
		status = write_incoming(receive);
		if (status != RUSD_OK)
			return status;
	}
	receive->finished = true;
	*result = header;
	return RUSD_OK;
}
