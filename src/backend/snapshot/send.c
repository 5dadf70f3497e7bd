/*
 * send.c
 *	  A pinned root as a stream of chunks.
 *
 * Any process with a slot.  First the three trees are walked for the pages that the root reaches, a
 * bit for each, some hundred in a turn; then these are sent in the order of their numbers: so the
 * place of a page in the stream is known without remembering what was sent, and the receiver writes
 * forwards.
 *
 * src/backend/snapshot/send.c
 */
#include "rusd.h"

#include "btree/btree.h"
#include "port/crc32c.h"
#include "snapshot_int.h"
#include "store/snapshot.h"
#include "wal/recovery.h"

#define PAGES_PER_LOOK 256
#define TREES 3

struct SnapshotSend
{
	PageAccess *access;
	Snapshot snapshot;
	SnapshotHeader header;
	/* looking */
	uint32_t tree; /* TREES: all were walked */
	TreeWalk walk;
	uint64_t *used; /* a bit for each frame */
	/* sending */
	uint64_t sent;      /* bytes of the stream; less than the header's: it comes next */
	uint64_t next_page; /* none below it is to be sent any more */
};

uint32_t
header_checksum(const SnapshotHeader *header)
{
	return crc32c(0, (const uint8_t *) header + sizeof(header->crc),
				  sizeof(*header) - sizeof(header->crc));
}

/*
 * The newest root, and the members at its applied index.  The applier tells changed members before the
 * root that goes with them: so they are those of the root if they did not change around the pin, and
 * are not of an entry behind it.
 */
static Status
pin_with_members(SnapshotSend *send)
{
	const Shm *shm = send->access->shm;
	RaftConfiguration *configuration = &send->header.configuration;
	uint64_t count = shm_configuration_read(shm, configuration);
	Status status = snapshot_pin(send->access, &send->snapshot);

	if (status != RUSD_OK)
		return status;
	if (shm_configuration_read(shm, configuration) == count &&
		configuration->index <= send->snapshot.root.applied_index)
		return RUSD_OK;
	snapshot_unpin(&send->snapshot);
	return RUSD_AGAIN;
}

Status
snapshot_send_create(PageAccess *access, SnapshotSend **result)
{
	const Shm *shm = access->shm;
	SnapshotSend *send = calloc(1, sizeof(*send));
	Status status;

	if (send == NULL)
		return RUSD_NO_MEMORY;
	send->access = access;
	send->snapshot.pin = -1;
	send->used = calloc(bitmap_words(shm->layout.frame_count), sizeof(uint64_t));
	status = send->used == NULL ? RUSD_NO_MEMORY : pin_with_members(send);
	if (status != RUSD_OK)
	{
		snapshot_send_destroy(send);
		return status;
	}
	send->header.magic = SNAPSHOT_MAGIC;
	send->header.version = SNAPSHOT_VERSION;
	send->header.page_bytes = PAGE_BYTES;
	send->header.cluster_id = shm->recovered->cluster_id;
	send->header.member_id = shm->recovered->member_id;
	send->header.incarnation = shm->incarnation;
	send->header.root = send->snapshot.root;
	*result = send;
	return RUSD_OK;
}

void
snapshot_send_destroy(SnapshotSend *send)
{
	if (send == NULL)
		return;
	if (send->snapshot.pin >= 0)
		snapshot_unpin(&send->snapshot);
	free(send->used);
	free(send);
}

const SnapshotHeader *
snapshot_send_header(const SnapshotSend *send)
{
	return &send->header;
}

/* ---- looking for pages ------------------------------------------------------ */

static Status
note_page(SnapshotSend *send, const PageHeader *page)
{
	uint64_t *word = &send->used[page->number / 64];
	uint64_t bit = UINT64_C(1) << (page->number % 64);

	if ((*word & bit) != 0)
		return RUSD_DAMAGED; /* two ways lead to it */
	*word |= bit;
	send->header.page_count++;
	return RUSD_OK;
}

/* One turn.  RUSD_AGAIN: there is more. */
static Status
look(SnapshotSend *send)
{
	const RootState *root = &send->snapshot.root;
	const TreeRoot trees[TREES] = {root->keys, root->revisions, root->system};

	for (uint32_t pages = 0; send->tree < TREES; pages++)
	{
		const PageHeader *page;
		Status status;

		if (pages == PAGES_PER_LOOK)
			return RUSD_AGAIN;
		if (!send->walk.begun)
			send->walk = (TreeWalk){.access = send->access, .root = trees[send->tree]};
		status = tree_walk_next(&send->walk, &page);
		if (status == RUSD_OK)
			status = note_page(send, page);
		else if (status == RUSD_END)
		{
			send->walk.begun = false;
			send->tree++;
			status = RUSD_OK;
		}
		if (status != RUSD_OK)
			return status;
	}
	send->header.crc = header_checksum(&send->header);
	return RUSD_OK;
}

/* ---- sending ---------------------------------------------------------------- */

/* The first page at or above next_page.  Only while there is one. */
static uint64_t
page_to_send(const SnapshotSend *send)
{
	uint64_t word = send->next_page / 64;
	uint64_t bits = send->used[word] & (UINT64_MAX << (send->next_page % 64));

	while (bits == 0)
		bits = send->used[++word];
	return word * 64 + (uint64_t) __builtin_ctzll(bits);
}

/* As it stands on disk.  It was met on the walk, and the pin holds it. */
static Status
copy_page(SnapshotSend *send, uint64_t number, uint8_t *to)
{
	const PageMeta *meta = &send->access->shm->page_meta[number];
	uint64_t birth = atomic_load_explicit(&meta->birth, memory_order_relaxed);
	const PageHeader *page;
	PageHeader header;
	Status status = page_get(send->access, number, birth, &page);

	if (status != RUSD_OK)
		return status;
	memcpy(to, page, PAGE_BYTES);
	memcpy(&header, to, sizeof(header));
	header.crc = crc32c(0, to + sizeof(header.crc), PAGE_BYTES - sizeof(header.crc));
	memcpy(to, &header.crc, sizeof(header.crc));
	return RUSD_OK;
}

static uint64_t
stream_bytes(const SnapshotSend *send)
{
	return sizeof(SnapshotHeader) + send->header.page_count * PAGE_BYTES;
}

static void
seal(SnapshotSend *send, uint8_t *chunk, uint64_t offset, uint32_t length)
{
	SnapshotChunk head = {.magic = SNAPSHOT_CHUNK_MAGIC,
						  .incarnation = send->header.incarnation,
						  .root = send->header.root.number,
						  .offset = offset,
						  .length = length};

	memcpy(chunk, &head, sizeof(head));
	head.crc = crc32c(0, chunk + sizeof(head.crc), sizeof(head) - sizeof(head.crc) + length);
	memcpy(chunk, &head.crc, sizeof(head.crc));
}

Status
snapshot_send_next(SnapshotSend *send, void *chunk, size_t room, size_t *length)
{
	uint8_t *to = (uint8_t *) chunk + sizeof(SnapshotChunk);
	size_t bytes = 0;
	uint64_t begin = send->sent;
	Status status;

	Check(room >= SNAPSHOT_CHUNK_BYTES_MIN);
	room = Min(room - sizeof(SnapshotChunk), (size_t) UINT32_MAX);
	if (snapshot_is_ended(&send->snapshot))
		return RUSD_SNAPSHOT_ENDED;
	if (send->tree < TREES)
	{
		status = look(send);
		return status == RUSD_OK ? RUSD_AGAIN : status;
	}
	if (begin == stream_bytes(send))
		return RUSD_END;
	if (begin == 0)
	{
		memcpy(to, &send->header, sizeof(send->header));
		bytes = sizeof(send->header);
	}
	while (begin + bytes < stream_bytes(send) && room - bytes >= PAGE_BYTES)
	{
		uint64_t page = page_to_send(send);

		status = copy_page(send, page, to + bytes);
		if (status != RUSD_OK)
		{
			(void) snapshot_send_seek(send, begin);
			return status;
		}
		send->next_page = page + 1;
		bytes += PAGE_BYTES;
	}
	seal(send, chunk, begin, (uint32_t) bytes);
	send->sent = begin + bytes;
	*length = sizeof(SnapshotChunk) + bytes;
	return RUSD_OK;
}

Status
snapshot_send_seek(SnapshotSend *send, uint64_t offset)
{
	uint64_t pages;

	if (send->tree < TREES)
		return RUSD_AGAIN;
	if (offset > stream_bytes(send) ||
		(offset != 0 &&
		 (offset < sizeof(SnapshotHeader) || (offset - sizeof(SnapshotHeader)) % PAGE_BYTES != 0)))
		return RUSD_INVALID;
	send->sent = offset;
	send->next_page = 0;
	pages = offset == 0 ? 0 : (offset - sizeof(SnapshotHeader)) / PAGE_BYTES;
	for (uint64_t word = 0; pages > 0; word++)
	{
		uint64_t here = (uint64_t) __builtin_popcountll(send->used[word]);

		if (here <= pages)
		{
			pages -= here;
			send->next_page = (word + 1) * 64;
			continue;
		}
		for (; pages > 0; pages--)
			send->next_page = page_to_send(send) + 1;
	}
	return RUSD_OK;
}
