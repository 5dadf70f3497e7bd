/*
 * append.c
 *	  Entries into batches of the log; pages reserved until they are applied.  Process raft.
 *
 * One batch is open from the first record of a turn to its end, so everything that waited when the
 * turn began shares one header, one checksum and one wake of walwriter.
 *
 * The two rings (the core's spans of batches not committed, reservations of batches not applied)
 * cannot overflow: a batch is in the WAL buffers until it is flushed and applied, takes a sector
 * there at least, and whenever a batch was opened the newest positions are taken in, which empties
 * both rings of what the buffers have let go.
 *
 * src/backend/consensus/append.c
 */
#include "rusd.h"

#include "consensus_int.h"
#include "ipc/inject.h"
#include "raft/change.h"
#include "wal/recovery.h"

static bool batch_is_begun(const Consensus *consensus);
static Status give_index(Consensus *consensus, uint32_t kind, const uint8_t *payload);
static uint64_t logged_commit(const Consensus *consensus);
static bool batch_has_room(const Consensus *consensus, uint64_t bytes);
static void tell_appended(Consensus *consensus, uint64_t end);
static void reserve(Consensus *consensus, uint64_t last_index, uint64_t pages);

Status
append_create(Consensus *consensus)
{
	const NodeRecovered *found = consensus->shm->recovered;
	uint64_t batches = consensus->shm->layout.wal_buffer_bytes / WAL_SECTOR + 2;
	RaftStart start;

	consensus->spans = calloc(batches, sizeof(*consensus->spans));
	consensus->reservations = calloc(batches, sizeof(*consensus->reservations));
	consensus->runs = calloc(RUNS_MAX, sizeof(*consensus->runs));
	if (consensus->spans == NULL || consensus->reservations == NULL || consensus->runs == NULL)
		return RUSD_NO_MEMORY;
	consensus->reservation_capacity = (uint32_t) batches;
	wal_appender_init(&consensus->appender, consensus->shm, found->log_end, found->previous_crc);
	start = (RaftStart){.member_id = found->member_id,
						.options = consensus->options.raft,
						.configuration = &found->configuration,
						.changes = found->changes,
						.change_count = found->change_count,
						.hard_state = found->hard_state,
						.last_index = found->last_index,
						.last_term = found->last_term,
						.known_runs = found->runs,
						.known_run_count = found->run_count,
						.log_end = found->log_end,
						.commit_position = found->commit_position,
						.applied_index = found->applied_index,
						.incarnation = consensus->shm->incarnation,
						.random = consensus->random,
						.elapsed = consensus->options.elapsed,
						.spans = consensus->spans,
						.span_capacity = (uint32_t) batches,
						.runs = consensus->runs,
						.run_capacity = RUNS_MAX};
	return raft_init(&consensus->raft, &start);
}

static bool
batch_is_begun(const Consensus *consensus)
{
	return consensus->appender.batch_length > 0;
}

static bool
batch_has_room(const Consensus *consensus, uint64_t bytes)
{
	const WalAppender *appender = &consensus->appender;

	return appender->batch_position + appender->batch_length + bytes <= appender->batch_limit;
}

bool
append_room(Consensus *consensus, uint64_t bytes)
{
	if (batch_is_begun(consensus) && batch_has_room(consensus, bytes))
		return true;
	append_finish(consensus);
	if (wal_batch_begin(&consensus->appender, bytes) != RUSD_OK)
	{
		consensus->log_full = true;
		return false;
	}
	consensus_take_in(consensus);
	return true;
}

Status
append_entry(Consensus *consensus, uint32_t kind, const RequestId *id, const uint8_t *payload,
			 uint32_t length, uint64_t pages)
{
	uint64_t index = 0;
	uint64_t term = consensus->raft.hard_state.term;
	RequestId trusted = *id;
	uint8_t *place;

	if (!judge_kind_is_local(kind))
	{
		Status status = give_index(consensus, kind, payload);

		if (status != RUSD_OK)
			return status;
		index = consensus->update.propose_index;
		term = consensus->update.propose_term;
	}
	place = wal_batch_add(&consensus->appender, kind, index, term, length);
	Check(place != NULL);
	memcpy(place, payload, length);
	/* Whose request it is, raft knows from the way it came by. */
	memcpy(place + offsetof(EntryHeader, id), &trusted, sizeof(trusted));
	if (index != 0 && trusted.member_id == consensus->raft.member_id)
		requests_logged(consensus, &trusted, index);
	consensus->batch_pages += pages;
	consensus->pages_reserved += pages;
	consensus->did_something = true;
	return RUSD_OK;
}

static Status
give_index(Consensus *consensus, uint32_t kind, const uint8_t *payload)
{
	static const RaftEvent entry = {.kind = RAFT_PROPOSE};

	if (unlikely(kind == ENTRY_MEMBER))
	{
		RaftEvent change = {.kind = RAFT_PROPOSE, .change_count = 1};

		change.changes[0] = raft_change_of_entry(0, payload);
		consensus_core(consensus, &change);
	}
	else
		consensus_core(consensus, &entry);
	return consensus->update.propose_status;
}

Status
append_proposal(Consensus *consensus, uint32_t kind, const RequestId *id, const uint8_t *payload,
				uint32_t length, uint64_t pages)
{
	Status status = kind == ENTRY_MEMBER ? judge_change(consensus, payload) : RUSD_OK;

	if (status == RUSD_OK)
		status = append_entry(consensus, kind, id, payload, length, pages);
	else
		return status;
	if (likely(status == RUSD_OK))
		return status;
	if (status == RUSD_NO_LEADER)
		return RUSD_LEADER_CHANGED;
	/* RAFT-33: it hands over.  A change waits for the one before it. */
	return kind == ENTRY_MEMBER ? status : RUSD_PROPOSAL_DROPPED;
}

void
append_copy(Consensus *consensus, const WalRecordHeader *record)
{
	const uint8_t *payload = (const uint8_t *) (record + 1);
	uint8_t *place = wal_batch_add(&consensus->appender, record->kind, record->index, record->term,
								   record->length);
	RequestId id;

	Check(place != NULL);
	memcpy(place, payload, record->length);
	memcpy(&id, payload + offsetof(EntryHeader, id), sizeof(id));
	if (id.member_id == consensus->raft.member_id && id.incarnation == consensus->shm->incarnation)
		requests_seen(consensus, &id, record->index);
	consensus->did_something = true;
}

/* What was reserved for them is given back with the last entry that stays: the newer ones reserve nothing here. */
void
append_void(Consensus *consensus, uint64_t index)
{
	requests_voided(consensus, index);
	for (uint32_t place = consensus->reservation_count; place > 0; place--)
	{
		Reservation *reservation =
			&consensus->reservations[(consensus->reservation_first + place - 1) %
									 consensus->reservation_capacity];

		if (reservation->last_index < index)
			break;
		reservation->last_index = index - 1;
	}
}

bool
append_pending(Consensus *consensus)
{
	while (consensus->pending_count > 0)
	{
		const RaftRecord *record = &consensus->pending[0];
		bool is_entry = record->kind == RAFT_RECORD_EMPTY;
		uint32_t length = is_entry ? sizeof(EntryHeader) : sizeof(HardState);
		uint8_t *place;

		if (!append_room(consensus, wal_record_bytes(length)))
			return false;
		place = wal_batch_add(&consensus->appender, is_entry ? ENTRY_EMPTY : ENTRY_HARD_STATE,
							  record->index, record->term, length);
		Check(place != NULL);
		if (is_entry)
			memset(place, 0, length);
		else
		{
			memcpy(place, &record->hard_state, length);
			consensus->batch_hard_state = true;
		}
		consensus->did_something = true;
		consensus->pending_count--;
		memmove(consensus->pending, consensus->pending + 1,
				consensus->pending_count * sizeof(*record));
	}
	return true;
}

void
append_finish(Consensus *consensus)
{
	if (consensus->appender.record_count == 0)
		return;
	INJECT("raft-before-append");
	reserve(consensus, consensus->raft.last_index, consensus->batch_pages);
	consensus->batch_pages = 0;
	consensus->last_append_ns = consensus->now_ns;
	tell_appended(consensus, wal_batch_end(&consensus->appender, logged_commit(consensus),
										   consensus->raft.commit_term));
	INJECT("raft-after-append");
}

void
append_mark(Consensus *consensus)
{
	if (wal_append_mark(&consensus->appender, logged_commit(consensus),
						consensus->raft.commit_term) != RUSD_OK)
		return; /* at a later turn */
	consensus_take_in(consensus);
	tell_appended(consensus, consensus->appender.position);
	consensus->did_something = true;
}

/* Every batch tells what is known to be committed: on a follower at least what came with its entries. */
static uint64_t
logged_commit(const Consensus *consensus)
{
	bool leads = consensus->raft.role == ROLE_LEADER;

	if ((leads && FAULT(own_commit_not_logged)) || (!leads && FAULT(commit_not_stored)))
		return 0;
	return consensus->raft.commit_index;
}

/* The core learns where the batch ends; ceiling and floor follow. */
static void
tell_appended(Consensus *consensus, uint64_t end)
{
	RaftEvent event = {.kind = RAFT_APPENDED,
					   .index = consensus->raft.last_index,
					   .position = end,
					   .hard_state = consensus->batch_hard_state};

	/* What was given out but waits for room (pending) is not in the log yet. */
	for (uint32_t i = 0; i < consensus->pending_count; i++)
		if (consensus->pending[i].kind == RAFT_RECORD_EMPTY)
			event.index = Min(event.index, consensus->pending[i].index - 1);
		else
			event.hard_state = false;
	consensus->batch_hard_state = false;
	consensus->control_dirty = true;
	consensus_core(consensus, &event);
}

/*
 * With the ring full (the applier may let go of log before it has applied it) the newest
 * reservation grows: what it holds is given back later, and not less.
 */
static void
reserve(Consensus *consensus, uint64_t last_index, uint64_t pages)
{
	uint32_t capacity = consensus->reservation_capacity;
	Reservation *newest;

	if (pages == 0)
		return;
	if (consensus->reservation_count < capacity)
		consensus->reservations[(consensus->reservation_first + consensus->reservation_count++) %
								capacity] = (Reservation){0};
	newest =
		&consensus->reservations[(consensus->reservation_first + consensus->reservation_count - 1) %
								 capacity];
	newest->last_index = last_index;
	newest->pages += pages;
}

void
append_release(Consensus *consensus)
{
	while (consensus->reservation_count > 0)
	{
		const Reservation *oldest = &consensus->reservations[consensus->reservation_first];

		if (oldest->last_index > consensus->root.applied_index)
			break;
		consensus->pages_reserved -= oldest->pages;
		consensus->reservation_first =
			(consensus->reservation_first + 1) % consensus->reservation_capacity;
		consensus->reservation_count--;
	}
}
