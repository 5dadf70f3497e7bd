/*
 * requests.c
 *	  What became of the proposals of this member's backends, and of its own.  Process raft.
 *
 * Who has proposed something is answered once: by the applier if it is applied, else by raft, which must
 * know that the applier never will.  So each proposal is kept in one of two lists until that is clear:
 *
 *	  logged	its entry is in this member's log.  It leaves when the entry is applied (the applier has
 *				answered), or goes to the other list when the entry is voided.
 *	  sent		it is not, but may be in the log of a leader.  It leaves when the leader has refused
 *				it or when it is lost (forward.c), or comes here when its entry arrives.
 *
 * When this member has applied an entry of a later term than the one that a proposal was given to,
 * nothing of that earlier term that is not applied comes any more.  All that is applied has passed through this
 * member's log, so what is left was not appended: its backend may propose it anew (RUSD_LEADER_CHANGED).  But where a state
 * was installed meanwhile that may hold it, nobody knows, and it is answered so (RAFT-31).
 *
 * src/backend/consensus/requests.c
 */
#include "rusd.h"

#include "consensus_int.h"
#include "ipc/slot.h"

#define FIRST_CAPACITY 64

static bool grow_sent(Requests *requests);
static Request *push_logged(Consensus *consensus);
static uint32_t *bucket_of(Requests *requests, uint64_t sequence, uint32_t slot);
static void add_sent(Consensus *consensus, const Request *request);
static SentRequest *find_sent(Consensus *consensus, const RequestId *id);
static void remove_sent(Consensus *consensus, SentRequest *sent);
static void fail_sent(Consensus *consensus, SentRequest *sent, Status status);
static void fail_lost(Consensus *consensus, SentRequest *sent, Status unknown);
static Request *logged_at(Requests *requests, uint32_t place);
static void use_fence(Consensus *consensus);

Status
requests_create(Consensus *consensus)
{
	Requests *requests = &consensus->requests;

	requests->logged_capacity = FIRST_CAPACITY;
	requests->logged = malloc(FIRST_CAPACITY * sizeof(Request));
	return requests->logged != NULL && grow_sent(requests) ? RUSD_OK : RUSD_NO_MEMORY;
}

void
requests_destroy(Consensus *consensus)
{
#ifdef USE_FAULTS
	for (uint32_t i = 0; i < consensus->requests.sent_capacity; i++)
		free(consensus->requests.sent[i].copy);
#endif
	free(consensus->requests.logged);
	free(consensus->requests.sent);
}

/* ---- in the log ------------------------------------------------------------------------------ */

static Request *
logged_at(Requests *requests, uint32_t place)
{
	return &requests->logged[(requests->logged_first + place) & (requests->logged_capacity - 1)];
}

/* No more of them than there are entries in the WAL buffers that are not applied. */
static Request *
push_logged(Consensus *consensus)
{
	Requests *requests = &consensus->requests;

	if (unlikely(requests->logged_count == requests->logged_capacity))
	{
		uint32_t capacity = requests->logged_capacity;
		Request *grown = realloc(requests->logged, 2 * capacity * sizeof(Request));

		Check(grown != NULL);
		memcpy(grown + capacity, grown, requests->logged_first * sizeof(Request));
		requests->logged = grown;
		requests->logged_capacity = 2 * capacity;
	}
	return logged_at(requests, requests->logged_count++);
}

void
requests_logged(Consensus *consensus, const RequestId *id, uint64_t index)
{
	Request *request = push_logged(consensus);

	/* In place: this is on the way of every proposal. */
	request->sequence = id->sequence;
	request->slot = id->slot;
	request->generation = id->generation;
	request->term = consensus->raft.hard_state.term;
	request->number = 0;
	request->index = index;
	request->may_be_in_state = false;
	if (unlikely(id->slot == OWN_SLOT))
		consensus->own_index = index;
}

void
requests_seen(Consensus *consensus, const RequestId *id, uint64_t index)
{
	SentRequest *sent = find_sent(consensus, id);
	Request *request;

	if (sent == NULL)
		return;
	request = push_logged(consensus);
	*request = sent->request;
	request->index = index;
	if (request->slot == OWN_SLOT)
		consensus->own_index = index;
	remove_sent(consensus, sent);
}

void
requests_voided(Consensus *consensus, uint64_t index)
{
	Requests *requests = &consensus->requests;

	while (requests->logged_count > 0 &&
		   logged_at(requests, requests->logged_count - 1)->index >= index)
	{
		const Request *request = logged_at(requests, --requests->logged_count);

		if (request->slot == OWN_SLOT ||
			slot_is_live(consensus->shm, request->slot, request->generation))
			add_sent(consensus, request);
	}
}

/* ---- not in the log -------------------------------------------------------------------------- */

static uint32_t *
bucket_of(Requests *requests, uint64_t sequence, uint32_t slot)
{
	return &requests->buckets[(sequence * 31 + slot) % REQUEST_BUCKETS];
}

/* A backend has no more open than it has places for answers. */
static bool
grow_sent(Requests *requests)
{
	uint32_t capacity = requests->sent_capacity;
	uint32_t grown_capacity = Max(2 * capacity, FIRST_CAPACITY);
	SentRequest *grown = realloc(requests->sent, grown_capacity * sizeof(SentRequest));

	if (grown == NULL)
		return false;
	memset(grown + capacity, 0, (grown_capacity - capacity) * sizeof(SentRequest));
	for (uint32_t place = grown_capacity; place > capacity; place--)
	{
		grown[place - 1].next = requests->sent_free;
		requests->sent_free = place;
	}
	requests->sent = grown;
	requests->sent_capacity = grown_capacity;
	return true;
}

static void
add_sent(Consensus *consensus, const Request *request)
{
	Requests *requests = &consensus->requests;
	uint32_t *bucket = bucket_of(requests, request->sequence, request->slot);
	SentRequest *sent;
	uint32_t place;

	if (requests->sent_free == 0)
		Check(grow_sent(requests));
	place = requests->sent_free;
	sent = &requests->sent[place - 1];
	requests->sent_free = sent->next;
	sent->request = *request;
	sent->next = *bucket;
	*bucket = place;
	requests->sent_count++;
	intake_count(consensus, request->slot, request->generation, 1);
}

void
requests_sent(Consensus *consensus, const RequestId *id, uint64_t term, uint64_t number)
{
	Request request = {.sequence = id->sequence,
					   .slot = id->slot,
					   .generation = id->generation,
					   .term = term,
					   .number = number};

	add_sent(consensus, &request);
}

static SentRequest *
find_sent(Consensus *consensus, const RequestId *id)
{
	Requests *requests = &consensus->requests;
	uint32_t place = *bucket_of(requests, id->sequence, id->slot);

	while (place != 0)
	{
		SentRequest *sent = &requests->sent[place - 1];

		if (sent->request.sequence == id->sequence && sent->request.slot == id->slot &&
			sent->request.generation == id->generation)
			return sent;
		place = sent->next;
	}
	return NULL;
}

static void
remove_sent(Consensus *consensus, SentRequest *sent)
{
	Requests *requests = &consensus->requests;
	uint32_t place = (uint32_t) (sent - requests->sent) + 1;
	uint32_t *link = bucket_of(requests, sent->request.sequence, sent->request.slot);

	while (*link != place)
		link = &requests->sent[*link - 1].next;
	*link = sent->next;
	intake_count(consensus, sent->request.slot, sent->request.generation, -1);
#ifdef USE_FAULTS
	free(sent->copy);
#endif
	memset(sent, 0, sizeof(*sent));
	sent->next = requests->sent_free;
	requests->sent_free = place;
	requests->sent_count--;
}

/* The applier never answers it: so this is its answer. */
static void
fail_sent(Consensus *consensus, SentRequest *sent, Status status)
{
	Request request = sent->request;

	remove_sent(consensus, sent);
	if (request.slot == OWN_SLOT)
		own_failed(consensus, request.sequence);
	else
		intake_answer(consensus, request.slot, request.generation, request.sequence, status, 0);
}

/* It was not appended; unknown: the answer where that is not sure. */
static void
fail_lost(Consensus *consensus, SentRequest *sent, Status unknown)
{
	fail_sent(consensus, sent, sent->request.may_be_in_state ? unknown : RUSD_LEADER_CHANGED);
}

void
requests_state_comes(Consensus *consensus)
{
	for (uint32_t i = 0; i < consensus->requests.sent_capacity; i++)
		consensus->requests.sent[i].request.may_be_in_state = true;
}

void
requests_refused(Consensus *consensus, const RequestId *id, Status status)
{
	SentRequest *sent = find_sent(consensus, id);

	if (sent != NULL)
		fail_sent(consensus, sent, status);
}

/* ---- what becomes of them -------------------------------------------------------------------- */

void
requests_applied(Consensus *consensus)
{
	Requests *requests = &consensus->requests;
	const RootState *root = &consensus->root;

	while (requests->logged_count > 0 && logged_at(requests, 0)->index <= root->applied_index)
	{
		const Request *request = logged_at(requests, 0);

		if (request->slot == OWN_SLOT)
			own_applied(consensus, request->sequence);
		requests->logged_first = (requests->logged_first + 1) & (requests->logged_capacity - 1);
		requests->logged_count--;
	}
	if (unlikely(root->applied_term != requests->looked_term))
	{
		requests->looked_term = root->applied_term;
		for (uint32_t i = 0; i < requests->sent_capacity; i++)
		{
			SentRequest *sent = &requests->sent[i];

			if (sent->request.sequence != 0 && sent->request.term < root->applied_term &&
				!FAULT(forwarded_twice))
				fail_lost(consensus, sent, RUSD_TIMEOUT_LEADER_FAIL);
		}
	}
	if (unlikely(consensus->fenced_term != 0) && root->applied_index >= consensus->fenced_index)
		use_fence(consensus);
}

/* What the leader had appended before the fence has come back; what has not, it never got. */
static void
use_fence(Consensus *consensus)
{
	Requests *requests = &consensus->requests;

	for (uint32_t i = 0; i < requests->sent_capacity; i++)
	{
		SentRequest *sent = &requests->sent[i];

		if (sent->request.sequence != 0 && sent->request.term == consensus->fenced_term &&
			sent->request.number < consensus->fenced_number)
			fail_lost(consensus, sent, RUSD_TIMEOUT_CONNECTION_LOST);
	}
	consensus->fenced_term = 0;
}

/* Those in the log leave it as they would; whoever has the slot then is another generation. */
void
requests_forget_slot(Consensus *consensus, uint32_t slot)
{
	Requests *requests = &consensus->requests;

	for (uint32_t i = 0; i < requests->sent_capacity; i++)
	{
		SentRequest *sent = &requests->sent[i];

		if (sent->request.sequence != 0 && sent->request.slot == slot &&
			!FAULT(answer_to_successor))
			remove_sent(consensus, sent);
	}
}

#ifdef USE_FAULTS
void
requests_keep_copy(Consensus *consensus, const PeerMessage *message)
{
	SentRequest *sent = find_sent(consensus, &message->id);

	if (!FAULT(forwarded_twice))
		return;
	sent->copy = malloc(message->payload.length);
	Check(sent->copy != NULL);
	memcpy(sent->copy, message->payload.data, message->payload.length);
	sent->length = (uint32_t) message->payload.length;
	sent->kind = message->entry_kind;
}

/* To whoever leads now, without knowing what became of the first. */
void
requests_send_again(Consensus *consensus)
{
	const Raft *raft = &consensus->raft;

	if (!FAULT(forwarded_twice) || raft->leader_id == 0 || raft->role == ROLE_LEADER ||
		consensus->options.peers == NULL)
		return;
	for (uint32_t i = 0; i < consensus->requests.sent_capacity; i++)
	{
		SentRequest *sent = &consensus->requests.sent[i];
		PeerMessage message = {.kind = PEER_PROPOSE,
							   .raft = {.to = raft->leader_id, .term = raft->hard_state.term},
							   .number = consensus->number + 1,
							   .entry_kind = sent->kind};

		if (sent->copy == NULL || sent->request.term == raft->hard_state.term)
			continue;
		consensus->number++;
		memcpy(&message.id, sent->copy + offsetof(EntryHeader, id), sizeof(message.id));
		message.payload = (Bytes){sent->copy, sent->length};
		sent->request.term = raft->hard_state.term;
		sent->request.number = message.number;
		outbox_send(consensus, &message);
	}
}
#endif
