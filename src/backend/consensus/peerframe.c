/*
 * peerframe.c
 *	  Messages between members as bytes.  Processes raft and peer.
 *
 * src/backend/consensus/peerframe.c
 */
#include "rusd.h"

#include "consensus/peerframe.h"
#include "port/crc32c.h"

static uint32_t
head_length(uint32_t run_count)
{
	return (uint32_t) (sizeof(PeerFrame) + run_count * sizeof(RaftRun));
}

uint32_t
peer_frame_encode(const PeerMessage *message, uint32_t body_length, void *head)
{
	const RaftMessage *raft = &message->raft;
	bool is_raft = message->kind == PEER_RAFT;
	uint32_t length = head_length(raft->run_count);
	PeerFrame frame = {
		.length = length + body_length,
		.kind = (uint8_t) message->kind,
		.raft_kind = (uint8_t) raft->kind,
		.run_count = (uint8_t) raft->run_count,
		.flags =
			(uint8_t) ((raft->reject ? FRAME_REJECT : 0) | (raft->transfer ? FRAME_TRANSFER : 0) |
					   (raft->is_ill ? FRAME_ILL : 0) | (raft->may_be_cut ? FRAME_MAY_BE_CUT : 0)),
		.entry_kind = message->entry_kind,
		.proposal_flags = message->flags,
		.status = message->status,
		.from = raft->from,
		.to = raft->to,
		.term = raft->term,
		.index = raft->index,
		.log_term = raft->log_term,
		.commit_index = raft->commit_index,
		.commit_term = raft->commit_term,
		.last_index = is_raft ? raft->last_index : message->last_index,
		.round = raft->round,
		.read_id = raft->read_id,
		.refused_at = raft->refused_at,
		.number = message->number,
		.frames_needed = message->frames_needed,
		.id = message->id,
		.depends_on = raft->depends_on,
		.log_begin = raft->log_begin,
		.log_end = raft->log_end};

	memcpy(head, &frame, sizeof(frame));
	memcpy((uint8_t *) head + sizeof(frame), raft->runs, raft->run_count * sizeof(RaftRun));
	return length;
}

static void
decode_raft(const PeerFrame *frame, const RaftRun *runs, RaftMessage *raft)
{
	*raft = (RaftMessage){.kind = (RaftMessageKind) frame->raft_kind,
						  .from = frame->from,
						  .to = frame->to,
						  .term = frame->term,
						  .index = frame->index,
						  .log_term = frame->log_term,
						  .commit_index = frame->commit_index,
						  .commit_term = frame->commit_term,
						  .last_index = frame->kind == PEER_RAFT ? frame->last_index : 0,
						  .round = frame->round,
						  .read_id = frame->read_id,
						  .refused_at = frame->refused_at,
						  .run_count = frame->run_count,
						  .reject = (frame->flags & FRAME_REJECT) != 0,
						  .transfer = (frame->flags & FRAME_TRANSFER) != 0,
						  .is_ill = (frame->flags & FRAME_ILL) != 0,
						  .may_be_cut = (frame->flags & FRAME_MAY_BE_CUT) != 0,
						  .depends_on = frame->depends_on,
						  .log_begin = frame->log_begin,
						  .log_end = frame->log_end};
	memcpy(raft->runs, runs, frame->run_count * sizeof(RaftRun));
}

Status
peer_frame_decode(const uint8_t *bytes, size_t length, PeerMessage *message)
{
	const PeerFrame *frame = (const PeerFrame *) (const void *) bytes;
	uint32_t head;
	Bytes body;

	if (length < sizeof(*frame) || frame->length != length || frame->kind >= PEER_KIND_COUNT ||
		frame->run_count > RAFT_MESSAGE_RUNS || frame->raft_kind >= MESSAGE_KIND_COUNT)
		return RUSD_INVALID;
	head = head_length(frame->run_count);
	if (length < head)
		return RUSD_INVALID;
	body = (Bytes){bytes + head, length - head};
	memset(message, 0, sizeof(*message));
	decode_raft(frame, (const RaftRun *) (const void *) (frame + 1), &message->raft);
	message->kind = (PeerMessageKind) frame->kind;
	message->id = frame->id;
	message->number = frame->number;
	message->last_index = frame->kind == PEER_RAFT ? 0 : frame->last_index;
	message->entry_kind = frame->entry_kind;
	message->flags = frame->proposal_flags;
	message->frames_needed = frame->frames_needed;
	message->status = (Status) frame->status;
	if (message->kind == PEER_PROPOSE)
		message->payload = body;
	else
		message->entries = body;
	return RUSD_OK;
}

void
peer_frame_seal(void *head, uint32_t head_length, Bytes body)
{
	PeerFrame frame;
	uint8_t *bytes = head;
	uint32_t crc;

	memcpy(&frame, head, sizeof(frame));
	frame.flags &= (uint8_t) ~FRAME_MAY_BE_CUT;
	frame.depends_on = frame.log_begin = frame.log_end = 0;
	memcpy(head, &frame, sizeof(frame));
	crc = crc32c(0, bytes + sizeof(crc), head_length - sizeof(crc));
	crc = crc32c(crc, body.data, body.length);
	memcpy(bytes + offsetof(PeerFrame, crc), &crc, sizeof(crc));
}

Status
peer_frame_unseal(const uint8_t *bytes, size_t length)
{
	const PeerFrame *frame = (const PeerFrame *) (const void *) bytes;

	if (length < sizeof(*frame) || frame->length != length ||
		crc32c(0, bytes + sizeof(frame->crc), length - sizeof(frame->crc)) != frame->crc ||
		(frame->flags & FRAME_MAY_BE_CUT) != 0 || frame->depends_on != 0 || frame->log_begin != 0 ||
		frame->log_end != 0)
		return RUSD_DAMAGED;
	return RUSD_OK;
}
