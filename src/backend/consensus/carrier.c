/*
 * carrier.c
 *	  The node's PeerOps: messages to and from the processes of links.  Process raft.
 *
 * raft sees rings only.  To each member lead two links, each in a slot of its own; which slot that is the postmaster
 * says in SlotHead.  What comes, comes by the proposal rings of all links that other members have made, piece by
 * piece, and is put together in private memory: a copy that no link can change any more.
 *
 * A link may die at any time.  What its rings held is lost then, as messages may be; a slot of another
 * generation begins with nothing.
 *
 * src/backend/consensus/carrier.c
 */
#include "rusd.h"

#include <signal.h>
#include <unistd.h>

#include "consensus/carrier.h"
#include "consensus/peerframe.h"
#include "ipc/link.h"
#include "ipc/ring.h"
#include "ipc/slot.h"
#include "utils/log.h"

/* Of messages that have come, what is kept for the next ones. */
#define KEPT_BYTES (64 * 1024)
#define WORDS ((PROC_ESSENTIAL_COUNT + LINK_SLOTS + 63) / 64)
#define CHANNELS 2 /* LINK_CONTROL, LINK_ENTRIES */
#define SENT_MAX 16

/* What has come by a link. */
typedef struct Incoming
{
	uint32_t generation;
	uint32_t received;
	uint32_t total;
	uint32_t capacity;
	uint8_t *bytes;
	bool is_whole;
	bool told; /* that it sends nonsense was logged */
} Incoming;

/* Where messages for a member go. */
typedef struct Outgoing
{
	uint64_t member_id;
	struct
	{
		uint32_t slot; /* 0: there is no link */
		uint32_t generation;
	} links[CHANNELS];
} Outgoing;

/* A message that did not fit into its ring as a whole. */
typedef struct Pending
{
	uint32_t slot; /* 0: none */
	uint32_t generation;
	uint32_t offset;
	Bytes message;
	uint8_t *bytes;
} Pending;

typedef struct SentState
{
	uint64_t member_id;
	bool failed;
} SentState;

struct Carrier
{
	PeerOps ops;
	Shm *shm;
	uint32_t message_max;
	Incoming incoming[LINK_SLOTS];
	uint64_t ready[WORDS]; /* slots that may have something */
	uint32_t next_slot;    /* where the next look begins */
	Incoming *delivered;   /* raft looks at it */
	Outgoing outgoing[CONFIG_MEMBERS_MAX];
	uint32_t outgoing_count;
	uint32_t links_seen; /* requests.links_made as of outgoing */
	Pending pending;
	/* a state that was fetched and not reported */
	bool has_fetched;
	uint64_t fetched_index;
	uint64_t fetched_term;
	RaftConfiguration fetched_configuration;
	SentState sent[SENT_MAX];
	uint32_t sent_count;
};

static bool carrier_receive(PeerOps *self, bool appends, PeerMessage *message);
static void carrier_put_back(PeerOps *self);
static void carrier_send(PeerOps *self, const PeerMessage *message);
static bool carrier_has_room(PeerOps *self, uint64_t to, uint32_t length);
static void carrier_snapshot_wanted(PeerOps *self, uint64_t from, uint64_t index);
static bool carrier_snapshot_fetched(PeerOps *self, uint64_t *index, uint64_t *term,
									 RaftConfiguration *configuration);
static bool carrier_snapshot_sent(PeerOps *self, uint64_t *member, bool *failed);

Status
carrier_create(Shm *shm, uint32_t request_max, Carrier **result)
{
	Carrier *carrier = calloc(1, sizeof(*carrier));

	if (carrier == NULL)
		return RUSD_NO_MEMORY;
	carrier->shm = shm;
	carrier->message_max = peer_frame_max(request_max);
	carrier->ops = (PeerOps){.receive = carrier_receive,
							 .put_back = carrier_put_back,
							 .send = carrier_send,
							 .has_room = carrier_has_room,
							 .snapshot_wanted = carrier_snapshot_wanted,
							 .snapshot_fetched = carrier_snapshot_fetched,
							 .snapshot_sent = carrier_snapshot_sent};
	*result = carrier;
	return RUSD_OK;
}

void
carrier_destroy(Carrier *carrier)
{
	for (uint32_t i = 0; i < LINK_SLOTS; i++)
		free(carrier->incoming[i].bytes);
	free(carrier->pending.bytes);
	free(carrier);
}

PeerOps *
carrier_ops(Carrier *carrier)
{
	return &carrier->ops;
}

static Carrier *
carrier_of(PeerOps *self)
{
	return (Carrier *) (void *) ((char *) self - offsetof(Carrier, ops));
}

/* ---- what comes ------------------------------------------------------------------------------- */

static void
forget_incoming(Incoming *in)
{
	in->received = 0;
	in->is_whole = false;
	if (in->capacity > KEPT_BYTES)
	{
		free(in->bytes);
		in->bytes = NULL;
		in->capacity = 0;
	}
}

static void
drop_nonsense(Carrier *carrier, uint32_t slot, Incoming *in, const char *what)
{
	if (!in->told)
		log_warn("dropped what the process of a link has sent", LOG_UNSIGNED("slot", slot),
				 LOG_TEXT("reason", what));
	in->told = true;
	forget_incoming(in);
	proposal_drop_all(carrier->shm, slot);
}

static bool
make_room(Incoming *in, uint32_t length)
{
	uint8_t *grown;

	if (length <= in->capacity)
		return true;
	grown = realloc(in->bytes, length);
	if (grown == NULL)
		return false;
	in->bytes = grown;
	in->capacity = length;
	return true;
}

/* One piece.  False: there is none, or none that can be used. */
static bool
take_piece(Carrier *carrier, uint32_t slot, Incoming *in)
{
	ProposalPiece piece;
	Status status = proposal_peek(carrier->shm, slot, &piece);

	if (status == RUSD_AGAIN)
		return false;
	if (status != RUSD_OK || piece.offset != in->received ||
		piece.total_length > carrier->message_max ||
		(in->received > 0 && piece.total_length != in->total))
	{
		drop_nonsense(carrier, slot, in, "its ring makes no sense");
		return false;
	}
	if (!make_room(in, (uint32_t) AlignUp(piece.total_length, 8)))
	{
		drop_nonsense(carrier, slot, in, "there is no memory for it");
		return false;
	}
	in->total = piece.total_length;
	proposal_accept(carrier->shm, slot, &piece, in->bytes + in->received);
	in->received += piece.length;
	in->is_whole = in->received == in->total;
	return true;
}

/* What a process of this node tells.  False: it is no report. */
static bool
take_report(Carrier *carrier, const Incoming *in)
{
	const PeerFrame *frame = (const PeerFrame *) (const void *) in->bytes;

	if (in->total < sizeof(*frame))
		return false;
	switch (frame->kind)
	{
		case LINK_REPORT_UP:
			return true;
		case LINK_REPORT_FETCHED:
			if (in->total != sizeof(*frame) + sizeof(RaftConfiguration))
				return false;
			carrier->has_fetched = true;
			carrier->fetched_index = frame->index;
			carrier->fetched_term = frame->log_term;
			memcpy(&carrier->fetched_configuration, frame + 1, sizeof(RaftConfiguration));
			return carrier->fetched_configuration.member_count <= CONFIG_MEMBERS_MAX;
		case LINK_REPORT_SENT:
			if (carrier->sent_count < SENT_MAX)
				carrier->sent[carrier->sent_count++] =
					(SentState){frame->from, (frame->flags & FRAME_REJECT) != 0};
			return true;
		default:
			return false;
	}
}

/* Would it put something into the log? */
static bool
appends_entries(const PeerMessage *message)
{
	return message->kind == PEER_PROPOSE || message->kind == PEER_FENCE ||
		   message->entries.length > 0;
}

/* The next message of that link.  False: none that may be taken now. */
static bool
next_of(Carrier *carrier, uint32_t slot, bool appends, PeerMessage *message)
{
	const Shm *shm = carrier->shm;
	Incoming *in = &carrier->incoming[slot - PROC_ESSENTIAL_COUNT];
	uint32_t generation = atomic_load_explicit(&shm->heads[slot].generation, memory_order_acquire);
	uint64_t bit = UINT64_C(1) << (slot % 64);

	if (!slot_is_live(shm, slot, generation))
	{
		carrier->ready[slot / 64] &= ~bit;
		return false;
	}
	if (in->generation != generation)
	{
		forget_incoming(in);
		in->generation = generation;
		in->told = false;
	}
	for (;;)
	{
		while (!in->is_whole)
		{
			if (!take_piece(carrier, slot, in))
			{
				carrier->ready[slot / 64] &= ~bit;
				return false;
			}
		}
		if (peer_frame_decode(in->bytes, in->total, message) == RUSD_OK)
		{
			if (!appends && appends_entries(message))
				return false;
			carrier->delivered = in;
			return true;
		}
		if (!take_report(carrier, in))
			drop_nonsense(carrier, slot, in, "it is no message");
		forget_incoming(in);
	}
}

/* The rest of what did not fit, as far as there is room by now. */
static void
push_pending(Carrier *carrier)
{
	static const Bytes nothing;
	Pending *pending = &carrier->pending;
	uint32_t before = pending->offset;

	if (pending->slot == 0)
		return;
	if (!slot_is_live(carrier->shm, pending->slot, pending->generation) ||
		link_put(carrier->shm, pending->slot, pending->message, nothing, &pending->offset))
	{
		free(pending->bytes);
		latch_set(&carrier->shm->latches[pending->slot]);
		*pending = (Pending){.slot = 0};
		return;
	}
	if (pending->offset != before)
		latch_set(&carrier->shm->latches[pending->slot]);
	(void) link_want_room(carrier->shm, pending->slot);
}

static bool
carrier_receive(PeerOps *self, bool appends, PeerMessage *message)
{
	Carrier *carrier = carrier_of(self);
	uint32_t slots = shm_first_backend(&carrier->shm->layout);
	uint64_t any = 0;

	if (carrier->delivered != NULL)
		forget_incoming(carrier->delivered);
	carrier->delivered = NULL;
	push_pending(carrier);
	for (uint32_t word = 0; word < WORDS; word++)
	{
		_Atomic uint64_t *marks = &carrier->shm->link_marks->words[word];

		if (atomic_load_explicit(marks, memory_order_relaxed) != 0)
			carrier->ready[word] |= atomic_exchange_explicit(marks, 0, memory_order_acquire);
		any |= carrier->ready[word];
	}
	if (any == 0)
		return false;
	/* Round and round, so that no link keeps the others waiting. */
	for (uint32_t n = 0; n < slots; n++)
	{
		uint32_t slot = (carrier->next_slot + n) % slots;

		if ((carrier->ready[slot / 64] & UINT64_C(1) << (slot % 64)) == 0 ||
			!shm_is_link(&carrier->shm->layout, slot))
			continue;
		if (next_of(carrier, slot, appends, message))
		{
			carrier->next_slot = slot + 1;
			return true;
		}
	}
	return false;
}

static void
carrier_put_back(PeerOps *self)
{
	carrier_of(self)->delivered = NULL;
}

/* ---- what goes -------------------------------------------------------------------------------- */

/* Where the links are, as of now. */
static void
look_for_links(Carrier *carrier)
{
	const Shm *shm = carrier->shm;
	uint32_t made = atomic_load_explicit(&shm->requests->links_made, memory_order_acquire);

	if (made == carrier->links_seen)
		return;
	carrier->links_seen = made;
	carrier->outgoing_count = 0;
	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm_first_backend(&shm->layout); slot++)
	{
		const SlotHead *head = &shm->heads[slot];
		uint32_t generation = atomic_load_explicit(&head->generation, memory_order_acquire);
		uint32_t kind = atomic_load_explicit(&head->link, memory_order_relaxed);
		uint64_t member = atomic_load_explicit(&head->member_id, memory_order_relaxed);
		uint32_t i = 0;

		if ((kind != LINK_CONTROL && kind != LINK_ENTRIES) || !slot_is_live(shm, slot, generation))
			continue;
		while (i < carrier->outgoing_count && carrier->outgoing[i].member_id != member)
			i++;
		if (i == CONFIG_MEMBERS_MAX)
			continue;
		if (i == carrier->outgoing_count)
			carrier->outgoing[carrier->outgoing_count++] = (Outgoing){.member_id = member};
		carrier->outgoing[i].links[kind - LINK_CONTROL].slot = slot;
		carrier->outgoing[i].links[kind - LINK_CONTROL].generation = generation;
	}
}

/* The slot of the link to that member; 0: there is none. */
static uint32_t
link_to(Carrier *carrier, uint64_t member_id, LinkKind kind, uint32_t *generation)
{
	look_for_links(carrier);
	for (uint32_t i = 0; i < carrier->outgoing_count; i++)
	{
		const Outgoing *out = &carrier->outgoing[i];
		uint32_t slot = out->links[kind - LINK_CONTROL].slot;

		if (out->member_id != member_id)
			continue;
		*generation = out->links[kind - LINK_CONTROL].generation;
		return slot != 0 && slot_is_live(carrier->shm, slot, *generation) ? slot : 0;
	}
	return 0;
}

/*
 * What the others wait for goes by itself.  What may bring entries goes in the order in which it was sent: a FENCE must
 * not overtake a PROPOSE.
 */
static LinkKind
channel_of(const PeerMessage *message)
{
	bool in_order = message->kind == PEER_PROPOSE || message->kind == PEER_FENCE ||
					(message->kind == PEER_RAFT && message->raft.kind == MESSAGE_APPEND);

	return in_order ? LINK_ENTRIES : LINK_CONTROL;
}

/* The link is woken when the log is flushed up to what the message depends on, or at once. */
static void
wake_link(Carrier *carrier, uint32_t slot, uint64_t depends_on)
{
	Shm *shm = carrier->shm;

	if (atomic_load_explicit(&shm->positions->flushed, memory_order_seq_cst) < depends_on)
	{
		/* walwriter stores flushed and then looks at the marks. */
		marks_set(shm->flush_marks, slot);
		if (atomic_load_explicit(&shm->positions->flushed, memory_order_seq_cst) < depends_on)
			return;
	}
	latch_set(&shm->latches[slot]);
}

/* A proposal that is too long for the ring: the rest of it follows as there is room. */
static void
keep_pending(Carrier *carrier, uint32_t slot, uint32_t generation, Bytes head, Bytes body)
{
	Pending *pending = &carrier->pending;
	uint8_t *bytes = malloc(head.length + body.length);

	if (bytes == NULL)
		return;
	memcpy(bytes, head.data, head.length);
	memcpy(bytes + head.length, body.data, body.length);
	*pending = (Pending){.slot = slot,
						 .generation = generation,
						 .message = {bytes, head.length + body.length},
						 .bytes = bytes};
	push_pending(carrier);
}

static void
carrier_send(PeerOps *self, const PeerMessage *message)
{
	Carrier *carrier = carrier_of(self);
	alignas(8) uint8_t head[PEER_FRAME_HEAD_MAX];
	Bytes body = message->kind == PEER_PROPOSE ? message->payload : (Bytes){NULL, 0};
	uint32_t generation;
	uint32_t slot = link_to(carrier, message->raft.to, channel_of(message), &generation);
	uint32_t offset = 0;
	uint32_t length;

	if (slot == 0 || carrier->pending.slot == slot)
		return;
	length = peer_frame_encode(message, (uint32_t) body.length, head);
	if (link_has_room(carrier->shm, slot, length + (uint32_t) body.length))
	{
		(void) link_put(carrier->shm, slot, (Bytes){head, length}, body, &offset);
		wake_link(carrier, slot, message->raft.depends_on);
	}
	else if (message->kind == PEER_PROPOSE && carrier->pending.slot == 0)
		keep_pending(carrier, slot, generation, (Bytes){head, length}, body);
}

static bool
carrier_has_room(PeerOps *self, uint64_t to, uint32_t length)
{
	Carrier *carrier = carrier_of(self);
	uint32_t generation;
	uint32_t slot = link_to(carrier, to, LINK_ENTRIES, &generation);
	uint32_t bytes = length + (uint32_t) PEER_FRAME_HEAD_MAX;

	/* When it comes up, it tells. */
	if (slot == 0 ||
		atomic_load_explicit(&carrier->shm->areas[slot]->link_is_up, memory_order_acquire) == 0)
		return false;
	if (carrier->pending.slot == slot)
		return false;
	if (link_has_room(carrier->shm, slot, bytes) ||
		(bytes > LINK_RING_BYTES / 2 && carrier->pending.slot == 0))
		return true;
	return link_want_room(carrier->shm, slot) && link_has_room(carrier->shm, slot, bytes);
}

/* ---- states ----------------------------------------------------------------------------------- */

static void
carrier_snapshot_wanted(PeerOps *self, uint64_t from, uint64_t index)
{
	ShmRequests *requests = carrier_of(self)->shm->requests;
	uint64_t count = atomic_load_explicit(&requests->fetch_count, memory_order_relaxed);

	atomic_store_explicit(&requests->fetch_from, from, memory_order_relaxed);
	atomic_store_explicit(&requests->fetch_index, index, memory_order_relaxed);
	atomic_store_explicit(&requests->fetch_count, count + 1, memory_order_release);
	/* What the postmaster sleeps for anyway; it does nothing to any other process. */
	(void) kill(getppid(), SIGCHLD);
}

static bool
carrier_snapshot_fetched(PeerOps *self, uint64_t *index, uint64_t *term,
						 RaftConfiguration *configuration)
{
	Carrier *carrier = carrier_of(self);

	if (!carrier->has_fetched)
		return false;
	carrier->has_fetched = false;
	*index = carrier->fetched_index;
	*term = carrier->fetched_term;
	*configuration = carrier->fetched_configuration;
	return true;
}

static bool
carrier_snapshot_sent(PeerOps *self, uint64_t *member, bool *failed)
{
	Carrier *carrier = carrier_of(self);

	if (carrier->sent_count == 0)
		return false;
	*member = carrier->sent[0].member_id;
	*failed = carrier->sent[0].failed;
	carrier->sent_count--;
	memmove(carrier->sent, carrier->sent + 1, carrier->sent_count * sizeof(SentState));
	return true;
}
