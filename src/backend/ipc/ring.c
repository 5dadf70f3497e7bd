/*
 * ring.c
 *	  Proposal rings (backend to raft) and reply rings (raft and applier to backend).
 *
 * A ring has one producer and one consumer.  The producer writes bytes, then stores the head
 * (release); the consumer loads the head (acquire), reads, then stores the tail (release), which
 * the producer loads (acquire) before it writes over them.  Each index counts all bytes, or all
 * replies, ever; it never wraps within 2^64.
 *
 * A backend that is killed anywhere in proposal_put leaves the old head: what it wrote behind it
 * does not exist.  Killed after the head was stored but before mark and latch, it leaves a piece
 * that raft finds at its next look at all rings, or never, when the slot was acknowledged as dead
 * before: it was not answered, so both are right.
 *
 * src/backend/ipc/ring.c
 */
#include "rusd.h"

#include "ipc/ring.h"
#include "ipc/slot.h"

#define RING_MASK (PROPOSAL_RING_BYTES - 1)

StaticAssert((PROPOSAL_RING_BYTES & RING_MASK) == 0, "a power of two");
StaticAssert(
	PROPOSAL_RING_BYTES >= 2 * (PROPOSAL_PIECE_MAX + sizeof(ProposalPiece)),
	"a full piece fits into a ring that is half full, so the writer's wake cannot be missed");

static void ring_write(uint8_t *ring, uint64_t at, const void *bytes, size_t length);
static void ring_read(const uint8_t *ring, uint64_t at, void *bytes, size_t length);
static bool put_pieces(ProposalWriter *writer, ProposalPiece *head, const uint8_t *payload,
					   uint32_t *offset);
static bool take_from(ProposalWriter *writer, const ReplyRing *ring, _Atomic uint64_t *tail_word,
					  Reply *reply);

static inline _Atomic uint64_t *
tail_of(Shm *shm, uint32_t slot)
{
	return &shm->proposal_tails[slot * (CACHE_LINE / sizeof(uint64_t))];
}

static void
ring_write(uint8_t *ring, uint64_t at, const void *bytes, size_t length)
{
	size_t first = Min(length, PROPOSAL_RING_BYTES - (at & RING_MASK));

	memcpy(ring + (at & RING_MASK), bytes, first);
	memcpy(ring, (const uint8_t *) bytes + first, length - first);
}

static void
ring_read(const uint8_t *ring, uint64_t at, void *bytes, size_t length)
{
	size_t first = Min(length, PROPOSAL_RING_BYTES - (at & RING_MASK));

	memcpy(bytes, ring + (at & RING_MASK), first);
	memcpy((uint8_t *) bytes + first, ring, length - first);
}

/* ---- backend ------------------------------------------------------------------------------------
 */

void
proposal_writer_init(ProposalWriter *writer, Shm *shm, uint32_t slot)
{
	*writer = (ProposalWriter){.shm = shm, .slot = slot, .next_sequence = 1};
}

bool
proposal_may_begin(const ProposalWriter *writer)
{
	return writer->outstanding < REPLY_PLACES;
}

uint64_t
proposal_begin(ProposalWriter *writer)
{
	Check(proposal_may_begin(writer));
	writer->outstanding++;
	return writer->next_sequence++;
}

/* What links put into their rings are messages (ipc/link.h), which raft takes in another part of its turn. */
static Marks *
marks_of(const ProposalWriter *writer)
{
	return shm_is_link(&writer->shm->layout, writer->slot) ? writer->shm->link_marks
														   : writer->shm->proposal_marks;
}

/*
 * Returns false only after it has said that it waits and has looked at the tail once more behind
 * that. Then either it saw room, or raft's store of the tail that leaves the ring half empty comes
 * later, and raft, which looks at the word behind that store, wakes this process: once, and nobody
 * who does not wait.
 */
bool
proposal_put(ProposalWriter *writer, ProposalPiece *head, const uint8_t *payload, uint32_t *offset)
{
	_Atomic uint32_t *waiting = &writer->shm->areas[writer->slot]->proposal_waiting;

	while (*offset < head->total_length)
	{
		bool said = atomic_load_explicit(waiting, memory_order_relaxed) != 0;

		if (put_pieces(writer, head, payload, offset))
		{
			if (said)
				atomic_store_explicit(waiting, 0, memory_order_relaxed);
			marks_set(marks_of(writer), writer->slot);
			writer->wake_due = true;
		}
		else if (said)
			return false;
		else
			atomic_store_explicit(waiting, 1, memory_order_seq_cst);
	}
	return true;
}

void
proposal_wake(ProposalWriter *writer)
{
	if (!writer->wake_due)
		return;
	writer->wake_due = false;
	latch_set(&writer->shm->latches[PROC_RAFT]);
}

/* As many pieces as fit at this moment; false if that is none. */
static bool
put_pieces(ProposalWriter *writer, ProposalPiece *head, const uint8_t *payload, uint32_t *offset)
{
	BackendArea *area = writer->shm->areas[writer->slot];
	uint64_t tail = atomic_load_explicit(tail_of(writer->shm, writer->slot), memory_order_seq_cst);
	uint64_t begun = atomic_load_explicit(&area->proposal_head, memory_order_relaxed);
	uint64_t end = begun;

	while (*offset < head->total_length)
	{
		uint32_t length = Min(head->total_length - *offset, PROPOSAL_PIECE_MAX);
		uint64_t bytes = sizeof(*head) + AlignUp(length, 8);

		if (bytes > PROPOSAL_RING_BYTES - (end - tail))
			break;
		head->offset = *offset;
		head->length = length;
		ring_write(area->proposals, end, head, sizeof(*head));
		ring_write(area->proposals, end + sizeof(*head), payload + *offset, length);
		end += bytes;
		*offset += length;
	}
	if (end == begun)
		return false;
	atomic_store_explicit(&area->proposal_head, end, memory_order_seq_cst);
	return true;
}

bool
reply_take(ProposalWriter *writer, Reply *reply)
{
	BackendArea *area = writer->shm->areas[writer->slot];

	return take_from(writer, &writer->shm->applier_replies[writer->slot], &area->applier_reply_tail,
					 reply) ||
		   take_from(writer, &writer->shm->raft_replies[writer->slot], &area->raft_reply_tail,
					 reply);
}

static bool
take_from(ProposalWriter *writer, const ReplyRing *ring, _Atomic uint64_t *tail_word, Reply *reply)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	uint64_t tail = atomic_load_explicit(tail_word, memory_order_relaxed);
	uint32_t generation =
		atomic_load_explicit(&writer->shm->heads[writer->slot].generation, memory_order_relaxed);
	bool found = false;

	while (!found && tail != head)
	{
		*reply = ring->places[tail % REPLY_PLACES];
		tail++;
		if (reply->generation == generation)
		{
			found = true;
			if (writer->outstanding > 0)
				writer->outstanding--;
		}
	}
	atomic_store_explicit(tail_word, tail, memory_order_release);
	return found;
}

/* ---- raft ---------------------------------------------------------------------------------------
 */

Status
proposal_peek(Shm *shm, uint32_t slot, ProposalPiece *piece)
{
	const BackendArea *area = shm->areas[slot];
	uint64_t head = atomic_load_explicit(&area->proposal_head, memory_order_acquire);
	uint64_t tail = atomic_load_explicit(tail_of(shm, slot), memory_order_relaxed);
	uint64_t filled = head - tail;

	if (filled == 0)
		return RUSD_AGAIN;
	if (filled > PROPOSAL_RING_BYTES || filled < sizeof(*piece) || filled % 8 != 0)
	{
		proposal_drop_all(shm, slot);
		return RUSD_INVALID;
	}
	ring_read(area->proposals, tail, piece, sizeof(*piece));
	if (piece->length == 0 || piece->length > PROPOSAL_PIECE_MAX ||
		piece->length > piece->total_length ||
		piece->offset > piece->total_length - piece->length ||
		sizeof(*piece) + AlignUp(piece->length, 8) > filled)
	{
		proposal_drop_all(shm, slot);
		return RUSD_INVALID;
	}
	return RUSD_OK;
}

void
proposal_accept(Shm *shm, uint32_t slot, const ProposalPiece *piece, uint8_t *buffer)
{
	const BackendArea *area = shm->areas[slot];
	_Atomic uint64_t *tail_word = tail_of(shm, slot);
	uint64_t tail = atomic_load_explicit(tail_word, memory_order_relaxed);
	uint64_t taken, head;

	if (buffer != NULL)
		ring_read(area->proposals, tail + sizeof(*piece), buffer, piece->length);
	taken = sizeof(*piece) + AlignUp(piece->length, 8);
	atomic_store_explicit(tail_word, tail + taken, memory_order_seq_cst);
	head = atomic_load_explicit(&area->proposal_head, memory_order_seq_cst);
	if (head - tail > PROPOSAL_RING_BYTES / 2 && head - tail - taken <= PROPOSAL_RING_BYTES / 2 &&
		atomic_load_explicit(&area->proposal_waiting, memory_order_seq_cst) != 0)
		latch_set(&shm->latches[slot]);
}

Status
proposal_take(Shm *shm, uint32_t slot, ProposalPiece *piece, uint8_t *buffer)
{
	Status status = proposal_peek(shm, slot, piece);

	if (status == RUSD_OK)
		proposal_accept(shm, slot, piece, buffer);
	return status;
}

void
proposal_drop_all(Shm *shm, uint32_t slot)
{
	uint64_t head = atomic_load_explicit(&shm->areas[slot]->proposal_head, memory_order_relaxed);

	atomic_store_explicit(tail_of(shm, slot), head, memory_order_release);
}

/* ---- raft, applier ------------------------------------------------------------------------------
 */

void
reply_put(Shm *shm, ReplyRing *rings, uint32_t slot, const Reply *reply)
{
	ReplyRing *ring;
	uint64_t head;

	if (slot >= shm->layout.slot_count || !slot_is_live(shm, slot, reply->generation))
		return;
	ring = &rings[slot];
	head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	ring->places[head % REPLY_PLACES] = *reply;
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}

void
reply_wake(Shm *shm, uint32_t slot)
{
	if (slot < shm->layout.slot_count)
		latch_set(&shm->latches[slot]);
}
