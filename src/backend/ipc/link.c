/*
 * link.c
 *	  The ring from raft to the process of a link.
 *
 * raft stores head (release) when the bytes are there; the link stores link_tail in its own area when it has copied
 * them.  Room: raft stores room_wanted and then looks at link_tail, the link stores link_tail and then looks at
 * room_wanted, all sequentially consistent, so one of the two sees the other.
 *
 * src/backend/ipc/link.c
 */
#include "rusd.h"

#include "ipc/link.h"

#define RING_MASK (LINK_RING_BYTES - 1)

static LinkRing *ring_of(const Shm *shm, uint32_t slot);
static uint64_t room_of(const Shm *shm, uint32_t slot);
static void put_bytes(LinkRing *ring, uint64_t at, Bytes head, Bytes body, uint32_t offset,
					  uint32_t length);

static LinkRing *
ring_of(const Shm *shm, uint32_t slot)
{
	Check(shm_is_link(&shm->layout, slot));
	return &shm->link_rings[slot - PROC_ESSENTIAL_COUNT];
}

/* link_tail is a link's word, and so is input: what makes no sense means no room. */
static uint64_t
room_of(const Shm *shm, uint32_t slot)
{
	uint64_t head = atomic_load_explicit(&ring_of(shm, slot)->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&shm->areas[slot]->link_tail, memory_order_seq_cst);

	return head - tail <= LINK_RING_BYTES ? LINK_RING_BYTES - (head - tail) : 0;
}

bool
link_has_room(const Shm *shm, uint32_t slot, uint32_t length)
{
	uint64_t pieces = length / LINK_PIECE_MAX + 1;

	return length + pieces * (sizeof(LinkPiece) + 8) <= room_of(shm, slot);
}

static void
ring_write(LinkRing *ring, uint64_t at, const void *bytes, size_t length)
{
	size_t first = Min(length, LINK_RING_BYTES - (at & RING_MASK));

	if (length == 0)
		return;
	memcpy(ring->bytes + (at & RING_MASK), bytes, first);
	memcpy(ring->bytes, (const uint8_t *) bytes + first, length - first);
}

/* length bytes of head and body from offset on. */
static void
put_bytes(LinkRing *ring, uint64_t at, Bytes head, Bytes body, uint32_t offset, uint32_t length)
{
	uint32_t of_head = offset < head.length ? (uint32_t) Min(head.length - offset, length) : 0;

	if (of_head > 0)
		ring_write(ring, at, head.data + offset, of_head);
	if (length > of_head)
		ring_write(ring, at + of_head, body.data + (offset + of_head - head.length),
				   length - of_head);
}

bool
link_put(Shm *shm, uint32_t slot, Bytes head, Bytes body, uint32_t *offset)
{
	LinkRing *ring = ring_of(shm, slot);
	uint32_t total = (uint32_t) (head.length + body.length);
	uint64_t end = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint64_t room = room_of(shm, slot);

	while (*offset < total)
	{
		LinkPiece piece = {.total_length = total,
						   .offset = *offset,
						   .length = Min(total - *offset, LINK_PIECE_MAX)};
		uint64_t bytes = sizeof(piece) + AlignUp(piece.length, 8);

		if (bytes > room)
			break;
		ring_write(ring, end, &piece, sizeof(piece));
		put_bytes(ring, end + sizeof(piece), head, body, *offset, piece.length);
		end += bytes;
		room -= bytes;
		*offset += piece.length;
	}
	atomic_store_explicit(&ring->head, end, memory_order_release);
	return *offset == total;
}

bool
link_want_room(Shm *shm, uint32_t slot)
{
	LinkRing *ring = ring_of(shm, slot);

	atomic_store_explicit(&ring->room_wanted, 1, memory_order_seq_cst);
	if (room_of(shm, slot) < LINK_RING_BYTES / 2)
		return false;
	atomic_store_explicit(&ring->room_wanted, 0, memory_order_relaxed);
	return true;
}

void
link_forget(Shm *shm, uint32_t slot)
{
	LinkRing *ring = ring_of(shm, slot);

	atomic_store_explicit(&ring->head, 0, memory_order_relaxed);
	atomic_store_explicit(&ring->room_wanted, 0, memory_order_relaxed);
}

static void
ring_read(const LinkRing *ring, uint64_t at, void *bytes, size_t length)
{
	size_t first = Min(length, LINK_RING_BYTES - (at & RING_MASK));

	memcpy(bytes, ring->bytes + (at & RING_MASK), first);
	memcpy((uint8_t *) bytes + first, ring->bytes, length - first);
}

Status
link_take(Shm *shm, uint32_t slot, LinkPiece *piece, uint8_t *buffer)
{
	LinkRing *ring = ring_of(shm, slot);
	BackendArea *area = shm->areas[slot];
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	uint64_t tail = atomic_load_explicit(&area->link_tail, memory_order_relaxed);

	if (head == tail)
		return RUSD_AGAIN;
	ring_read(ring, tail, piece, sizeof(*piece));
	ring_read(ring, tail + sizeof(*piece), buffer, piece->length);
	tail += sizeof(*piece) + AlignUp(piece->length, 8);
	atomic_store_explicit(&area->link_tail, tail, memory_order_seq_cst);
	if (head - tail <= LINK_RING_BYTES / 2 &&
		atomic_load_explicit(&ring->room_wanted, memory_order_seq_cst) != 0)
		latch_set(&shm->latches[PROC_RAFT]);
	return RUSD_OK;
}

uint64_t
link_up_since(const Shm *shm, uint64_t member_id)
{
	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm_first_backend(&shm->layout); slot++)
	{
		const SlotHead *head = &shm->heads[slot];
		const BackendArea *area = shm->areas[slot];

		if (atomic_load_explicit(&head->state, memory_order_acquire) == SLOT_LIVE &&
			atomic_load_explicit(&head->link, memory_order_relaxed) == LINK_CONTROL &&
			atomic_load_explicit(&head->member_id, memory_order_relaxed) == member_id &&
			atomic_load_explicit(&area->link_is_up, memory_order_acquire) != 0)
			return atomic_load_explicit(&area->link_up_ns, memory_order_relaxed);
	}
	return 0;
}
