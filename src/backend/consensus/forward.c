/*
 * forward.c
 *	  Proposals on their way to the leader, and those that come from other members.  Process raft.
 *
 * A proposal is sent once.  Its sender knows what became of it when it comes back in the log, when the
 * leader says that it refused it, when it has applied an entry of a later term (requests.c), or when
 * the leader has said that nothing with a number so low comes any more (FENCED) and all that it had appended
 * until then is applied.
 *
 * For that to be true a leader takes the numbers of one incarnation of a member in rising order only, and says
 * "refused" only of what it knows it has not appended.  Where it cannot know, it says nothing: for terms from
 * before its start, and for those before the last one that it led.
 *
 * src/backend/consensus/forward.c
 */
#include "rusd.h"

#include "consensus_int.h"

static Link *link_of(Consensus *consensus, const RequestId *id);
static bool leads_in(const Consensus *consensus, uint64_t term);
static void refuse(Consensus *consensus, const PeerMessage *message, Status status);

/* ---- the sender ----------------------------------------------------------------------------- */

bool
forward_has_room(Consensus *consensus, uint32_t length)
{
	PeerOps *peers = consensus->options.peers;

	if (peers != NULL && peers->has_room(peers, consensus->raft.leader_id, length))
		return true;
	consensus->way_full = true;
	return false;
}

void
forward_send(Consensus *consensus, const RequestId *id, const ProposalPiece *piece,
			 uint8_t *payload)
{
	const Raft *raft = &consensus->raft;
	PeerMessage message = {.kind = PEER_PROPOSE,
						   .raft = {.to = raft->leader_id, .term = raft->hard_state.term},
						   .id = *id,
						   .number = ++consensus->number,
						   .entry_kind = piece->kind,
						   .flags = piece->flags,
						   .frames_needed = piece->frames_needed,
						   .payload = {payload, piece->total_length}};

	memcpy(payload + offsetof(EntryHeader, id), id, sizeof(*id));
	requests_sent(consensus, id, raft->hard_state.term, message.number);
#ifdef USE_FAULTS
	requests_keep_copy(consensus, &message);
#endif
	outbox_send(consensus, &message);
	consensus->did_something = true;
}

void
forward_refused(Consensus *consensus, const PeerMessage *message)
{
	Status status = message->status;

	if (message->id.incarnation != consensus->shm->incarnation)
		return;
	/* It is on its way out: what comes now waits for the next one. */
	if (status == RUSD_PROPOSAL_DROPPED || status == RUSD_STOPPED)
	{
		handover_seen(consensus, message->raft.term);
		status = RUSD_LEADER_CHANGED;
	}
	requests_refused(consensus, &message->id, status);
}

void
forward_fenced(Consensus *consensus, const PeerMessage *message)
{
	if (message->id.incarnation != consensus->shm->incarnation ||
		message->raft.term < consensus->fenced_term)
		return;
	consensus->fenced_term = message->raft.term;
	consensus->fenced_number = message->number;
	consensus->fenced_index = message->last_index;
	requests_applied(consensus);
}

void
forward_tick(Consensus *consensus)
{
	const Raft *raft = &consensus->raft;
	PeerMessage message = {
		.kind = PEER_FENCE,
		.raft = {.to = raft->leader_id, .term = raft->hard_state.term},
		.id = {.member_id = raft->member_id, .incarnation = consensus->shm->incarnation}};

	if (consensus->requests.sent_count == 0 || raft->role == ROLE_LEADER || raft->leader_id == 0 ||
		consensus->options.peers == NULL ||
		consensus->now_ns - consensus->fence_ns < consensus->election_ns)
		return;
	consensus->fence_ns = consensus->now_ns;
	message.number = ++consensus->number;
	outbox_send(consensus, &message);
}

/* ---- the leader ----------------------------------------------------------------------------- */

static bool
leads_in(const Consensus *consensus, uint64_t term)
{
	return consensus->raft.role == ROLE_LEADER && consensus->raft.hard_state.term == term;
}

/* What has been taken from that incarnation in the term that the links are of. */
static Link *
link_of(Consensus *consensus, const RequestId *id)
{
	Link *link;

	for (uint32_t i = 0; i < consensus->link_count; i++)
	{
		link = &consensus->links[i];
		if (link->member_id == id->member_id && link->incarnation == id->incarnation)
			return link;
	}
	link = &consensus->links[consensus->link_next];
	consensus->link_next = (consensus->link_next + 1) % LINKS_MAX;
	consensus->link_count = Min(consensus->link_count + 1, LINKS_MAX);
	*link = (Link){.member_id = id->member_id, .incarnation = id->incarnation};
	return link;
}

/*
 * The link by which a numbered message may be judged; NULL: it is not known what became of an earlier copy,
 * or this message has been overtaken.
 */
static Link *
open_link(Consensus *consensus, const PeerMessage *message)
{
	uint64_t term = message->raft.term;
	Link *link;

	if (term <= consensus->first_term || term < consensus->links_term ||
		term > consensus->raft.hard_state.term)
		return NULL;
	if (term > consensus->links_term)
	{
		consensus->links_term = term;
		consensus->link_count = 0;
		consensus->link_next = 0;
	}
	link = link_of(consensus, &message->id);
	return message->number > link->number ? link : NULL;
}

bool
forward_take(Consensus *consensus, const PeerMessage *message)
{
	ProposalPiece piece = {.sequence = message->id.sequence,
						   .total_length = (uint32_t) message->payload.length,
						   .length = (uint32_t) message->payload.length,
						   .kind = (uint16_t) message->entry_kind,
						   .flags = (uint16_t) message->flags,
						   .frames_needed = message->frames_needed};
	Link *link = open_link(consensus, message);
	Status status = RUSD_LEADER_CHANGED;
	uint64_t pages = 0;

	if (link == NULL)
		return true;
	if (leads_in(consensus, message->raft.term))
	{
		status = judge_forwarded(consensus, &piece, &pages);
		if (status == RUSD_OK && !append_room(consensus, wal_record_bytes(piece.total_length)))
			return false;
	}
	link->number = message->number;
	if (status == RUSD_OK)
		status = append_proposal(consensus, piece.kind, &message->id, message->payload.data,
								 piece.total_length, pages);
	if (status != RUSD_OK)
		refuse(consensus, message, status);
	return true;
}

static void
refuse(Consensus *consensus, const PeerMessage *message, Status status)
{
	PeerMessage answer = {.kind = PEER_REFUSED,
						  .raft = {.to = message->raft.from, .term = message->raft.term},
						  .id = message->id,
						  .status = status};

	outbox_send(consensus, &answer);
}

void
forward_answer_fence(Consensus *consensus, const PeerMessage *message)
{
	Link *link = open_link(consensus, message);
	PeerMessage answer = {.kind = PEER_FENCED,
						  .raft = {.to = message->raft.from, .term = message->raft.term},
						  .id = message->id,
						  .number = message->number,
						  .last_index = consensus->raft.last_index};

	if (link == NULL || !leads_in(consensus, message->raft.term))
		return;
	link->number = message->number;
	outbox_send(consensus, &answer);
}
