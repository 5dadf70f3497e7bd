/*
 * peers.c
 *	  Whether what has come from another member can be worked with.  Processes raft and peer.
 *
 * Only what could harm this process is looked at.  Whether a message is true is not to be seen by it.
 *
 * src/backend/consensus/peers.c
 */
#include "rusd.h"

#include "consensus_int.h"

/* No index and no term gets near this, so sums of them are right. */
#define NUMBER_END (UINT64_C(1) << 62)

static const bool replicated_kinds[ENTRY_KIND_END] = {
#define RUSD_ENTRY(number, symbol, name, replicated) [number] = replicated,
#include "format/entrylist.h"
#undef RUSD_ENTRY
};

static bool raft_message_is_sound(const PeerMessage *message);
static bool runs_are_sound(const RaftMessage *raft);
static bool entries_are_sound(const PeerMessage *message);
static bool proposal_is_sound(const PeerMessage *message);

Status
peer_message_check(const PeerMessage *message, uint64_t own_id)
{
	const RaftMessage *raft = &message->raft;
	bool sound = raft->to == own_id && raft->from != 0 && raft->from != own_id && raft->term != 0 &&
				 raft->term < NUMBER_END;

	switch (message->kind)
	{
		case PEER_RAFT:
			sound = sound && raft_message_is_sound(message);
			break;
		case PEER_PROPOSE:
			sound = sound && proposal_is_sound(message);
			break;
		case PEER_FENCE:
			sound = sound && message->id.member_id == raft->from && message->number != 0;
			break;
		case PEER_REFUSED:
			sound = sound && message->id.member_id == own_id && message->status > RUSD_OK &&
					message->status < RUSD_STATUS_COUNT;
			break;
		case PEER_FENCED:
			sound = sound && message->id.member_id == own_id;
			break;
		default:
			sound = false;
			break;
	}
	return sound ? RUSD_OK : RUSD_INVALID;
}

static bool
raft_message_is_sound(const PeerMessage *message)
{
	const RaftMessage *raft = &message->raft;

	if (raft->kind >= MESSAGE_KIND_COUNT || raft->index >= NUMBER_END ||
		raft->commit_index >= NUMBER_END || raft->log_term > raft->term)
		return false;
	if (raft->kind != MESSAGE_APPEND)
		return message->entries.length == 0;
	return raft->last_index >= raft->index && raft->last_index < NUMBER_END &&
		   runs_are_sound(raft) && entries_are_sound(message);
}

/* They cover the entries, and terms do not fall. */
static bool
runs_are_sound(const RaftMessage *raft)
{
	uint64_t term = raft->log_term;
	uint64_t index = raft->index;

	if (raft->last_index == raft->index)
		return raft->run_count == 0;
	if (raft->run_count == 0 || raft->run_count > RAFT_MESSAGE_RUNS ||
		raft->runs[0].first_index != raft->index + 1)
		return false;
	for (uint32_t i = 0; i < raft->run_count; i++)
	{
		const RaftRun *run = &raft->runs[i];

		if (run->first_index <= index || run->first_index > raft->last_index || run->term == 0 ||
			run->term < term || run->term > raft->term)
			return false;
		index = run->first_index;
		term = run->term;
	}
	return true;
}

static bool
entries_are_sound(const PeerMessage *message)
{
	const RaftMessage *raft = &message->raft;
	const uint8_t *at = message->entries.data;
	uint64_t left = message->entries.length;
	uint32_t run = 0;

	for (uint64_t index = raft->index + 1; index <= raft->last_index; index++)
	{
		const WalRecordHeader *record = (const WalRecordHeader *) (const void *) at;
		uint64_t bytes;

		if (left < sizeof(*record))
			return false;
		bytes = wal_record_bytes(record->length);
		if (run + 1 < raft->run_count && raft->runs[run + 1].first_index == index)
			run++;
		if (bytes > left || record->index != index || record->term != raft->runs[run].term ||
			record->kind >= ENTRY_KIND_END || !replicated_kinds[record->kind] ||
			entry_check(record->kind, (const uint8_t *) (record + 1), record->length) != RUSD_OK)
			return false;
		at += bytes;
		left -= bytes;
	}
	return left == 0;
}

static bool
proposal_is_sound(const PeerMessage *message)
{
	return message->id.member_id == message->raft.from && message->number != 0 &&
		   message->entry_kind < ENTRY_KIND_END && replicated_kinds[message->entry_kind] &&
		   entry_check(message->entry_kind, message->payload.data, message->payload.length) ==
			   RUSD_OK;
}
