/*
 * send.c
 *	  A pinned root as a stream of chunks.
 *
 * Any process with a slot.  First the three trees are walked for the pages that the root reaches, a
 * bit for each, some hundred in a turn; then those that the receiver lacks are sent in the order of
 * their numbers: so the receiver writes forwards, and one number tells what it has.
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
	uint64_t *used;    /* a bit for each frame */
	uint64_t *lacking; /* those of them that the receiver has not */
	uint64_t spared;
	/* sending */
	uint64_t sent;      /* bytes of the stream */
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
 * are not of an entry behind it.  Under the pin the generation stays.
 */
static Status
pin_with_members(SnapshotSend *send)
{
	const Shm *shm = send->access->shm;
	const _Atomic uint64_t *generation = &shm->positions->data_generation;
	RaftConfiguration *configuration = &send->header.configuration;
	uint64_t before = atomic_load_explicit(generation, memory_order_acquire);
	uint64_t count = shm_configuration_read(shm, configuration);
	Status status = snapshot_pin(send->access, &send->snapshot);

	if (status != RUSD_OK)
		return status;
	send->header.base.generation = before;
	if (atomic_load_explicit(generation, memory_order_acquire) == before &&
		shm_configuration_read(shm, configuration) == count &&
		configuration->index <= send->snapshot.root.applied_index)
		return RUSD_OK;
	snapshot_unpin(&send->snapshot);
	return RUSD_AGAIN;
}

/* What the receiver has, if that can be told of the root that is sent. */
static void
take_base(SnapshotSend *send, const SnapshotBase *base)
{
	SnapshotHeader *header = &send->header;

	header->base.incarnation = header->incarnation;
	if (base->incarnation == header->incarnation && base->generation == header->base.generation &&
		base->root <= header->root.number)
		header->base = *base;
}

Status
snapshot_send_create(PageAccess *access, const SnapshotBase *base, SnapshotSend **result)
{
	const Shm *shm = access->shm;
	SnapshotSend *send = calloc(1, sizeof(*send));
	Status status;

	if (send == NULL)
		return RUSD_NO_MEMORY;
	send->access = access;
	send->snapshot.pin = -1;
	send->used = calloc(bitmap_words(shm->layout.frame_count), sizeof(uint64_t));
	send->lacking = calloc(bitmap_words(shm->layout.frame_count), sizeof(uint64_t));
	status = send->used == NULL || send->lacking == NULL ? RUSD_NO_MEMORY : pin_with_members(send);
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
	take_base(send, base);
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
	free(send->lacking);
	free(send);
}

uint64_t
snapshot_send_spared(const SnapshotSend *send)
{
	return send->spared;
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
	if (base_has(&send->header.base, page->number, page->birth))
	{
		send->spared++;
		return RUSD_OK;
	}
	send->lacking[page->number / 64] |= bit;
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
	uint64_t bits = send->lacking[word] & (UINT64_MAX << (send->next_page % 64));

	while (bits == 0)
		bits = send->lacking[++word];
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

/* A block of the map; what is behind the last frame is 0. */
static void
copy_map_block(const SnapshotSend *send, uint64_t block, uint8_t *to)
{
	uint64_t words = bitmap_words(send->access->shm->layout.frame_count);
	uint64_t first = block * (PAGE_BYTES / sizeof(uint64_t));
	uint64_t count = Min(words - first, PAGE_BYTES / sizeof(uint64_t));

	memset(to, 0, PAGE_BYTES);
	memcpy(to, send->used + first, count * sizeof(uint64_t));
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

/* What comes next in the stream, whole, which is at most a page; its length into *length. */
static Status
copy_next(SnapshotSend *send, uint64_t at, uint8_t *to, size_t *length)
{
	uint64_t page;
	Status status;

	*length = PAGE_BYTES;
	if (at == 0)
	{
		*length = sizeof(send->header);
		memcpy(to, &send->header, sizeof(send->header));
		return RUSD_OK;
	}
	if (at < stream_head_bytes(&send->header))
	{
		copy_map_block(send, (at - sizeof(send->header)) / PAGE_BYTES, to);
		return RUSD_OK;
	}
	page = page_to_send(send);
	status = copy_page(send, page, to);
	if (status == RUSD_OK)
		send->next_page = page + 1;
	return status;
}

Status
snapshot_send_next(SnapshotSend *send, void *chunk, size_t room, size_t *length)
{
	uint8_t *to = (uint8_t *) chunk + sizeof(SnapshotChunk);
	uint64_t begin = send->sent;
	uint64_t first_page = send->next_page;
	size_t bytes = 0;
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
	if (begin == stream_bytes(&send->header))
		return RUSD_END;
	while (begin + bytes < stream_bytes(&send->header) && room - bytes >= PAGE_BYTES)
	{
		size_t part;

		status = copy_next(send, begin + bytes, to + bytes, &part);
		if (status != RUSD_OK)
		{
			send->next_page = first_page;
			return status;
		}
		bytes += part;
	}
	seal(send, chunk, begin, (uint32_t) bytes);
	send->sent = begin + bytes;
	*length = sizeof(SnapshotChunk) + bytes;
	return RUSD_OK;
}
