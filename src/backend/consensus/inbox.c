/*
 * inbox.c
 *	  Messages from other members.  Process raft.
 *
 * All of it is input and is checked before anything is done with it.  Entries go into the open batch as they
 * came, in the step that takes them: so room for them, and for what the core may have to put before
 * them, is found first.  A message whose entries find no room stays where it is; others are heard meanwhile.
 *
 * The entries of one message may be taken in parts, each as a message of its own: as many as fit into a
 * batch, and no more than one change of members.
 *
 * src/backend/consensus/inbox.c
 */
#include "rusd.h"

#include "consensus_int.h"
#include "raft/change.h"
#include "utils/log.h"
#include "wal/recovery.h"

/* So that a flood does not keep a turn from ending. */
#define MESSAGES_PER_TURN 4096
/*
 * No member is so many elections behind; but one message with the last term that there is would leave none to elect a leader
 * in, for ever.
 */
#define TERM_LEAP_MAX (UINT64_C(1) << 24)

/* Entries that are taken together: the first of those that are left. */
typedef struct Part
{
	const uint8_t *data;
	uint64_t bytes;
	uint64_t last_index;
	uint64_t last_term;
	const WalRecordHeader *change; /* NULL: none among them */
} Part;

static bool leaps(const Consensus *consensus, const PeerMessage *message);
static bool take(Consensus *consensus, const PeerMessage *message);
static bool take_append(Consensus *consensus, const PeerMessage *message);
static Part cut_part(const Consensus *consensus, const uint8_t *at, const uint8_t *end);
static void take_part(Consensus *consensus, const RaftMessage *message, const Part *part);
static void drop(Consensus *consensus, const PeerMessage *message, const char *why);

void
inbox_drain(Consensus *consensus)
{
	PeerOps *peers = consensus->options.peers;
	PeerMessage *message = &consensus->received;

	if (peers == NULL)
		return;
	for (uint32_t count = 0; count < MESSAGES_PER_TURN; count++)
	{
		bool appends = append_pending(consensus) && !consensus->log_full;

		/* Another step must find room for its messages. */
		if (consensus->outbox_count > OUTBOX_MAX - RAFT_MESSAGES_MAX && appends)
		{
			append_finish(consensus);
			outbox_finish(consensus);
		}
		if (!peers->receive(peers, appends, message))
			return;
		consensus->did_something = true;
		if (peer_message_check(message, consensus->raft.member_id) != RUSD_OK)
			drop(consensus, message, "it makes no sense");
		else if (leaps(consensus, message))
			drop(consensus, message, "its term is far beyond this member's");
		else if (!take(consensus, message))
			peers->put_back(peers);
	}
}

/* Who has nothing yet but what a new cluster begins with learns the term of the others, whatever it is. */
static bool
leaps(const Consensus *consensus, const PeerMessage *message)
{
	uint64_t own = consensus->raft.hard_state.term;

	return message->kind == PEER_RAFT && own > BOOTSTRAP_TERM &&
		   message->raft.term > own + TERM_LEAP_MAX;
}

/* False: its entries do not fit into the log now. */
static bool
take(Consensus *consensus, const PeerMessage *message)
{
	switch (message->kind)
	{
		case PEER_PROPOSE:
			return forward_take(consensus, message);
		case PEER_REFUSED:
			forward_refused(consensus, message);
			return true;
		case PEER_FENCE:
			forward_answer_fence(consensus, message);
			return true;
		case PEER_FENCED:
			forward_fenced(consensus, message);
			return true;
		default:
			break;
	}
	if (message->entries.length > 0)
		return take_append(consensus, message);
	consensus_core(consensus, &(RaftEvent){.kind = RAFT_RECEIVE, .message = &message->raft});
	return true;
}

static bool
take_append(Consensus *consensus, const PeerMessage *message)
{
	const uint8_t *at = message->entries.data;
	const uint8_t *end = at + message->entries.length;
	const Raft *raft = &consensus->raft;
	RaftMessage rest = message->raft;

	do
	{
		Part part = cut_part(consensus, at, end);
		RaftMessage now = rest;

		if (part.bytes == 0)
		{
			drop(consensus, message,
				 "an entry is too large, or there are too many changes of members");
			return true;
		}
		if (!append_room(consensus, part.bytes + RECORDS_ROOM) || !append_pending(consensus))
			return false;
		now.last_index = part.last_index;
		while (now.runs[now.run_count - 1].first_index > now.last_index)
			now.run_count--;
		take_part(consensus, &now, &part);
		rest.index = part.last_index;
		rest.log_term = part.last_term;
		at += part.bytes;
	} while (at < end && raft->leader_id == rest.from && raft->hard_state.term == rest.term &&
			 raft->last_index >= rest.index);
	return true;
}

/* No bytes: the first entry cannot be taken at all. */
static Part
cut_part(const Consensus *consensus, const uint8_t *at, const uint8_t *end)
{
	uint64_t most = wal_batch_bytes_max(&consensus->shm->layout) - RECORDS_ROOM;
	Part part = {.data = at};

	while (at < end && part.change == NULL)
	{
		const WalRecordHeader *record = (const WalRecordHeader *) (const void *) at;
		uint64_t bytes = wal_record_bytes(record->length);

		if (part.bytes + bytes > most)
			break;
		if (record->kind == ENTRY_MEMBER)
		{
			if (consensus->raft.change_count == RAFT_CHANGES_MAX)
				break;
			part.change = record;
		}
		part.bytes += bytes;
		part.last_index = record->index;
		part.last_term = record->term;
		at += bytes;
	}
	return part;
}

static void
take_part(Consensus *consensus, const RaftMessage *message, const Part *part)
{
	RaftEvent event = {.kind = RAFT_RECEIVE, .message = message};
	const uint8_t *at = part->data;
	uint64_t last = consensus->raft.last_index;
	uint64_t first;

	if (part->change != NULL)
	{
		const uint8_t *payload = (const uint8_t *) (part->change + 1);

		event.changes[event.change_count++] = raft_change_of_entry(part->change->index, payload);
	}
	consensus_core(consensus, &event);
	first = consensus->update.append_count == 0 ? UINT64_MAX : consensus->update.append_first;
	/* They have the room that was found for them. */
	Check(append_pending(consensus));
	if (first <= last)
		append_void(consensus, first);
	while (at < part->data + part->bytes)
	{
		const WalRecordHeader *record = (const WalRecordHeader *) (const void *) at;

		if (record->index >= first)
			append_copy(consensus, record);
		at += wal_record_bytes(record->length);
	}
}

static void
drop(Consensus *consensus, const PeerMessage *message, const char *why)
{
	if (!consensus->told_bad_message)
		log_warn("dropped a message of another member", LOG_TEXT("reason", why),
				 LOG_ID("remote-peer-id", message->raft.from), LOG_UNSIGNED("kind", message->kind),
				 LOG_UNSIGNED("raft-kind", message->raft.kind));
	consensus->told_bad_message = true;
}
