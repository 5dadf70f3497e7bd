/*
 * receive.c
 *	  Takes the chunks of a snapshot and puts its pages into incoming/data, each at the place that its
 *	  number gives.
 *
 * A process that may block on the data file.  Everything that arrives is checked before it is
 * written: what stands in the file is what the sender's tree was, or nothing.  The file
 * incoming/snapshot is written when all else is durable: so whoever finds it whole finds all.
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
	receive->page = aligned_alloc(64, PAGE_BYTES);
	status = receive->incoming == NULL || receive->page == NULL ? RUSD_NO_MEMORY : RUSD_OK;
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
	free(receive->page);
	free(receive);
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
	uint64_t pages;

	if (length < sizeof(*head))
		return RUSD_DAMAGED;
	memcpy(head, chunk, sizeof(*head));
	if (head->magic != SNAPSHOT_CHUNK_MAGIC || head->length != length - sizeof(*head) ||
		head->crc != crc32c(0, chunk + sizeof(head->crc), length - sizeof(head->crc)))
		return RUSD_DAMAGED;
	if (head->offset == 0 && head->length < sizeof(SnapshotHeader))
		return RUSD_DAMAGED;
	pages = head->length - (head->offset == 0 ? sizeof(SnapshotHeader) : 0);
	return pages % PAGE_BYTES == 0 ? RUSD_OK : RUSD_DAMAGED;
}

static Status
take_header(SnapshotReceive *receive, const uint8_t *bytes)
{
	const Shm *shm = receive->shm;
	SnapshotHeader *header = &receive->incoming->header;

	memcpy(header, bytes, sizeof(*header));
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
	return RUSD_OK;
}

/* A page of that snapshot, above those before it. */
static Status
check_page(SnapshotReceive *receive, const uint8_t *bytes, uint64_t from, uint64_t *number)
{
	const PageHeader *page = (const PageHeader *) receive->page;
	const RootState *root = &receive->incoming->header.root;
	const char *defect;

	memcpy(receive->page, bytes, PAGE_BYTES);
	*number = page->number;
	defect = page_defect(page, page->number, tree_page_is_sane);
	if (defect == NULL && (page->number < from || page->number >= root->pages_end))
		defect = "it does not belong here";
	if (defect == NULL && page->birth > root->number)
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

static uint64_t
number_at(const uint8_t *pages, uint64_t place)
{
	uint64_t number;

	memcpy(&number, pages + place * PAGE_BYTES + offsetof(PageHeader, number), sizeof(number));
	return number;
}

/* All are checked first: a chunk is taken whole or not at all. */
static Status
take_pages(SnapshotReceive *receive, const uint8_t *pages, uint64_t count)
{
	SnapshotIncoming *incoming = receive->incoming;
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
		uint64_t first = number_at(pages, i);

		for (run = 1; i + run < count && number_at(pages, i + run) == first + run; run++)
			continue;
		status = write_run(receive, pages + i * PAGE_BYTES, first, run);
		for (uint64_t page = first; page < first + run; page++)
			incoming->used[page / 64] |= UINT64_C(1) << (page % 64);
	}
	if (status == RUSD_OK)
		receive->next_page = from;
	return status;
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
	if (head.offset + head.length > sizeof(*header) + header->page_count * PAGE_BYTES)
		return RUSD_DAMAGED;
	status = take_pages(receive, bytes + head_bytes, (head.length - head_bytes) / PAGE_BYTES);
	if (status == RUSD_OK)
		receive->offset += head.length;
	return status;
}

/* ---- the end ------------------------------------------------------------------ */

static bool
has_root(const SnapshotIncoming *incoming, const TreeRoot *root)
{
	return root->page == PAGE_NONE ||
		   (root->page < incoming->bits &&
			(incoming->used[root->page / 64] >> (root->page % 64) & 1) != 0);
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
	const RootState *root = &header->root;
	Status status;

	if (receive->offset == 0 || receive->offset < sizeof(*header) + header->page_count * PAGE_BYTES)
		return RUSD_AGAIN;
	incoming->bits = receive->next_page;
	if (!has_root(incoming, &root->keys) || !has_root(incoming, &root->revisions) ||
		!has_root(incoming, &root->system))
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
