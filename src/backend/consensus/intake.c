/*
 * intake.c
 *	  Proposals from the rings of backends.  Process raft.
 *
 * All that comes from a ring is input: proposal_peek and proposal_accept copy before anything is
 * looked at, and a ring that makes no sense is dropped whole without an answer.  A proposal enters
 * the log only when all of it is here and entry_check has passed it; its identity is written by
 * raft, from the slot whose ring it came by.
 *
 * A proposal that fits into one piece, nearly all of them, goes from the ring over a buffer that
 * stays in the first-level cache into the log.  Others are collected in memory of which there is a
 * bounded amount.  Where that is used up the ring waits; a backend that has begun a proposal and
 * does not go on with it while others wait for the memory loses it after an election timeout.
 *
 * src/backend/consensus/intake.c
 */
#include "rusd.h"

#include "consensus_int.h"
#include "ipc/slot.h"
#include "utils/log.h"

static DrainResult drain_slot(Consensus *consensus, uint32_t slot);
static DrainResult take_first(Consensus *consensus, uint32_t slot, Intake *intake,
							  const ProposalPiece *piece);
static DrainResult take_whole(Consensus *consensus, uint32_t slot, Intake *intake,
							  const ProposalPiece *piece, uint64_t pages);
static DrainResult begin_collecting(Consensus *consensus, uint32_t slot, Intake *intake,
									const ProposalPiece *piece);
static DrainResult take_next(Consensus *consensus, uint32_t slot, Intake *intake,
							 const ProposalPiece *piece);
static DrainResult append_collected(Consensus *consensus, uint32_t slot, Intake *intake);
static bool has_room(Consensus *consensus, const ProposalPiece *piece);
static DrainResult take_read(Consensus *consensus, uint32_t slot, Intake *intake,
							 const ProposalPiece *piece);
static DrainResult take_transfer(Consensus *consensus, uint32_t slot, Intake *intake,
								 const ProposalPiece *piece);
static void pass_on(Consensus *consensus, uint32_t slot, Intake *intake, const ProposalPiece *piece,
					uint8_t *payload, uint64_t pages);
static void stop_collecting(Consensus *consensus, Intake *intake);
static DrainResult accuse(Consensus *consensus, uint32_t slot, Intake *intake);
static void refuse(Consensus *consensus, uint32_t slot, const Intake *intake, uint64_t sequence,
				   Status status);

/* Takes the marks; at a tick looks at every ring too, for a mark can be lost by a hostile backend.
 */
void
intake_notice(Consensus *consensus, bool look_at_all)
{
	Shm *shm = consensus->shm;
	uint64_t bits;

	for (uint32_t word = 0; marks_take(shm->proposal_marks, &word, &bits); word++)
		consensus->todo[word] |= bits;
	if (!look_at_all)
		return;
	for (uint32_t slot = shm_first_backend(&shm->layout); slot < shm->layout.slot_count; slot++)
		if (atomic_load_explicit(&shm->heads[slot].state, memory_order_relaxed) == SLOT_LIVE)
			consensus->todo[slot / 64] |= UINT64_C(1) << (slot % 64);
}

bool
intake_has_more(const Consensus *consensus)
{
	for (uint32_t word = 0; word <= (consensus->shm->layout.slot_count - 1) / 64; word++)
		if (consensus->todo[word] != 0)
			return true;
	return false;
}

/*
 * One turn of every slot that may have something, beginning where the last turn did not, so that
 * under pressure nobody is always last.  When the log is full the rest waits in the rings, but if
 * the file system has no room either, everyone is looked at: most of them are to be refused.
 */
void
intake_drain(Consensus *consensus)
{
	uint32_t words = (consensus->shm->layout.slot_count + 63) / 64;

	consensus->collect_short = false;
	consensus->held = false;
	for (uint32_t n = 0; n < words; n++)
	{
		uint32_t word = (consensus->next_word + n) % words;

		for (uint64_t bits = consensus->todo[word]; bits != 0; bits &= bits - 1)
		{
			uint32_t slot = word * 64 + (uint32_t) __builtin_ctzll(bits);

			if (consensus->way_full || (consensus->log_full && !shm_disk_is_full(consensus->shm)))
			{
				consensus->next_word = word;
				return;
			}
			if (drain_slot(consensus, slot) == DRAIN_EMPTY)
				consensus->todo[word] &= ~(UINT64_C(1) << (slot % 64));
		}
	}
	consensus->next_word = (consensus->next_word + 1) % words;
}

static DrainResult
drain_slot(Consensus *consensus, uint32_t slot)
{
	Shm *shm = consensus->shm;
	Intake *intake;
	ProposalPiece piece;
	uint32_t generation;

	/* A mark may be set for anything by anyone. */
	if (slot < shm_first_backend(&shm->layout) || slot >= shm->layout.slot_count)
		return DRAIN_EMPTY;
	generation = atomic_load_explicit(&shm->heads[slot].generation, memory_order_acquire);
	if (!slot_is_live(shm, slot, generation))
		return DRAIN_EMPTY;
	intake = &consensus->intakes[slot];
	if (intake->generation != generation)
	{
		stop_collecting(consensus, intake);
		*intake = (Intake){.generation = generation};
	}
	for (int pieces = 0; pieces < PIECES_PER_TURN; pieces++)
	{
		DrainResult result;
		Status status;

		if (intake->buffer != NULL && intake->received == intake->first.total_length)
		{
			result = append_collected(consensus, slot, intake);
			if (result != DRAIN_MORE)
				return result;
		}
		status = proposal_peek(shm, slot, &piece);
		if (status == RUSD_AGAIN)
			return DRAIN_EMPTY;
		if (status != RUSD_OK)
			return accuse(consensus, slot, intake);
		/*
		 * One who was refused while he still put pieces has the answer and does not put the rest:
		 * what comes then is another proposal, and his good right.
		 */
		if (intake->skip > 0 && piece.offset == 0 && piece.sequence != intake->first.sequence)
			intake->skip = 0;
		if (intake->buffer != NULL || intake->skip > 0)
			result = take_next(consensus, slot, intake, &piece);
		else
			result = take_first(consensus, slot, intake, &piece);
		if (result != DRAIN_MORE)
			return result;
	}
	return DRAIN_MORE;
}

static DrainResult
take_first(Consensus *consensus, uint32_t slot, Intake *intake, const ProposalPiece *piece)
{
	uint64_t pages;
	Status status;

	if (piece->offset != 0 || piece->sequence == 0 || piece->total_length < sizeof(EntryHeader) ||
		!judge_kind_is_allowed(piece->kind))
		return accuse(consensus, slot, intake);
	status = judge_proposal(consensus, piece, &pages);
	if (status != RUSD_OK)
	{
		intake->first = *piece;
		intake->received = piece->length;
		intake->skip = piece->total_length - piece->length;
		proposal_accept(consensus->shm, slot, piece, NULL);
		refuse(consensus, slot, intake, piece->sequence, status);
		return DRAIN_MORE;
	}
	if (piece->kind == ENTRY_READ_INDEX)
		return take_read(consensus, slot, intake, piece);
	if (piece->kind == ENTRY_TRANSFER)
		return take_transfer(consensus, slot, intake, piece);
	if (piece->length == piece->total_length)
		return take_whole(consensus, slot, intake, piece, pages);
	return begin_collecting(consensus, slot, intake, piece);
}

static DrainResult
take_whole(Consensus *consensus, uint32_t slot, Intake *intake, const ProposalPiece *piece,
		   uint64_t pages)
{
	if (!has_room(consensus, piece))
		return DRAIN_FULL;
	proposal_accept(consensus->shm, slot, piece, consensus->piece);
	pass_on(consensus, slot, intake, piece, consensus->piece, pages);
	return DRAIN_MORE;
}

/* In the log, or on the way to who leads and goes on leading. */
static bool
has_room(Consensus *consensus, const ProposalPiece *piece)
{
	if (judge_kind_is_local(piece->kind))
		return append_room(consensus, wal_record_bytes(piece->total_length));
	if (handover_waits(consensus))
	{
		consensus->held = true;
		return false;
	}
	if (consensus->raft.role == ROLE_LEADER)
		return append_room(consensus, wal_record_bytes(piece->total_length));
	return consensus_has_leader(consensus) && forward_has_room(consensus, piece->total_length);
}

static DrainResult
take_read(Consensus *consensus, uint32_t slot, Intake *intake, const ProposalPiece *piece)
{
	Waiter waiter = {.sequence = piece->sequence, .slot = slot, .generation = intake->generation};

	if (piece->length != sizeof(EntryHeader) || intake->outstanding >= REPLY_PLACES)
		return accuse(consensus, slot, intake);
	proposal_accept(consensus->shm, slot, piece, NULL);
	reads_add(consensus, &waiter);
	consensus->did_something = true;
	return DRAIN_MORE;
}

/* Begun, or why not; who has led since is what control tells. */
static DrainResult
take_transfer(Consensus *consensus, uint32_t slot, Intake *intake, const ProposalPiece *piece)
{
	EntryTransfer transfer;

	if (piece->length != piece->total_length)
		return accuse(consensus, slot, intake);
	proposal_accept(consensus->shm, slot, piece, consensus->piece);
	if (entry_check(ENTRY_TRANSFER, consensus->piece, piece->total_length) != RUSD_OK)
		return accuse(consensus, slot, intake);
	memcpy(&transfer, consensus->piece + sizeof(EntryHeader), sizeof(transfer));
	intake_answer(consensus, slot, intake->generation, piece->sequence,
				  handover_to(consensus, transfer.target), 0);
	return DRAIN_MORE;
}

static DrainResult
begin_collecting(Consensus *consensus, uint32_t slot, Intake *intake, const ProposalPiece *piece)
{
	uint64_t limit = (uint64_t) COLLECT_FACTOR * consensus->options.request_max;

	if (consensus->collecting_bytes + piece->total_length <= limit)
		intake->buffer = malloc(piece->total_length);
	if (intake->buffer == NULL)
	{
		consensus->collect_short = true;
		return DRAIN_WAIT;
	}
	consensus->collecting_bytes += piece->total_length;
	intake->first = *piece;
	intake->received = piece->length;
	intake->touched_ns = consensus->now_ns;
	proposal_accept(consensus->shm, slot, piece, intake->buffer);
	return DRAIN_MORE;
}

/* A later piece of a proposal that is collected, or of one that was refused and is skipped. */
static DrainResult
take_next(Consensus *consensus, uint32_t slot, Intake *intake, const ProposalPiece *piece)
{
	const ProposalPiece *first = &intake->first;

	if (piece->sequence != first->sequence || piece->total_length != first->total_length ||
		piece->kind != first->kind || piece->offset != intake->received)
		return accuse(consensus, slot, intake);
	/* proposal_peek has checked that it does not reach beyond total_length. */
	proposal_accept(consensus->shm, slot, piece,
					intake->buffer != NULL ? intake->buffer + intake->received : NULL);
	intake->received += piece->length;
	intake->touched_ns = consensus->now_ns;
	if (intake->skip > 0)
		intake->skip -= piece->length;
	consensus->did_something = true;
	return DRAIN_MORE;
}

/* The last piece has come.  What allowed it to begin may no longer hold: it is judged again. */
static DrainResult
append_collected(Consensus *consensus, uint32_t slot, Intake *intake)
{
	uint64_t pages;
	Status status = judge_proposal(consensus, &intake->first, &pages);

	if (status != RUSD_OK)
		refuse(consensus, slot, intake, intake->first.sequence, status);
	else if (!has_room(consensus, &intake->first))
		return DRAIN_FULL;
	else
		pass_on(consensus, slot, intake, &intake->first, intake->buffer, pages);
	stop_collecting(consensus, intake);
	return DRAIN_MORE;
}

/* All of it is here. */
static void
pass_on(Consensus *consensus, uint32_t slot, Intake *intake, const ProposalPiece *piece,
		uint8_t *payload, uint64_t pages)
{
	RequestId id = {.member_id = consensus->raft.member_id,
					.incarnation = consensus->shm->incarnation,
					.sequence = piece->sequence,
					.slot = slot,
					.generation = intake->generation};
	Status status;

	if (entry_check(piece->kind, payload, piece->total_length) != RUSD_OK)
	{
		(void) accuse(consensus, slot, intake);
		return;
	}
	if (consensus->raft.role == ROLE_LEADER || judge_kind_is_local(piece->kind))
	{
		status = append_proposal(consensus, piece->kind, &id, payload, piece->total_length, pages);
		if (status != RUSD_OK)
			refuse(consensus, slot, intake, piece->sequence, status);
	}
	else if (consensus->raft.leader_id == 0)
		refuse(consensus, slot, intake, piece->sequence, RUSD_LEADER_CHANGED);
	else if (intake->outstanding >= REPLY_PLACES)
		(void) accuse(consensus, slot, intake);
	else
		forward_send(consensus, &id, piece, payload);
}

static void
stop_collecting(Consensus *consensus, Intake *intake)
{
	if (intake->buffer == NULL)
		return;
	consensus->collecting_bytes -= intake->first.total_length;
	free(intake->buffer);
	intake->buffer = NULL;
	intake->received = 0;
}

/* Its backend is hostile or broken, and is told nothing. */
static DrainResult
accuse(Consensus *consensus, uint32_t slot, Intake *intake)
{
	proposal_drop_all(consensus->shm, slot);
	stop_collecting(consensus, intake);
	intake->received = 0;
	intake->skip = 0;
	if (!intake->accused)
		log_warn("dropped proposals that make no sense", LOG_UNSIGNED("slot", slot),
				 LOG_INTEGER("pid", atomic_load(&consensus->shm->heads[slot].pid)));
	intake->accused = true;
	consensus->did_something = true;
	return DRAIN_EMPTY;
}

static void
refuse(Consensus *consensus, uint32_t slot, const Intake *intake, uint64_t sequence, Status status)
{
	intake_answer(consensus, slot, intake->generation, sequence, status, 0);
}

void
intake_answer(Consensus *consensus, uint32_t slot, uint32_t generation, uint64_t sequence,
			  Status status, uint64_t value)
{
	Shm *shm = consensus->shm;
	Reply reply = {
		.sequence = sequence, .generation = generation, .status = status, .value = value};

	if (FAULT(answer_to_successor))
		reply.generation = atomic_load(&shm->heads[slot].generation);
	reply_put(shm, shm->raft_replies, slot, &reply);
	reply_wake(shm, slot);
	consensus->did_something = true;
}

void
intake_count(Consensus *consensus, uint32_t slot, uint32_t generation, int32_t more)
{
	Intake *intake = &consensus->intakes[slot];

	if (slot != OWN_SLOT && intake->generation == generation)
		intake->outstanding += (uint32_t) more;
}

/* Takes memory back from backends that sit on it while others wait for it. */
void
intake_tick(Consensus *consensus)
{
	if (!consensus->collect_short)
		return;
	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < consensus->shm->layout.slot_count; slot++)
	{
		Intake *intake = &consensus->intakes[slot];
		uint32_t received = intake->received;

		if (intake->buffer == NULL || received == intake->first.total_length ||
			consensus->now_ns - intake->touched_ns < consensus->election_ns)
			continue;
		stop_collecting(consensus, intake);
		intake->received = received;
		intake->skip = intake->first.total_length - received;
		refuse(consensus, slot, intake, intake->first.sequence, RUSD_TOO_MANY_REQUESTS);
	}
}

void
intake_forget_slot(void *arg, uint32_t slot)
{
	Consensus *consensus = arg;

	stop_collecting(consensus, &consensus->intakes[slot]);
	requests_forget_slot(consensus, slot);
	reads_forget_slot(consensus, slot);
	memset(&consensus->intakes[slot], 0, sizeof(consensus->intakes[slot]));
	consensus->todo[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}
