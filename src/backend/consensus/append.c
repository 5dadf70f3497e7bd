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
#include "wal/recovery.h"

static bool batch_is_open(const Consensus *consensus);
static bool batch_has_room(const Consensus *consensus, uint64_t bytes);
static void tell_appended(Consensus *consensus, uint64_t end);
static void reserve(Consensus *consensus, uint64_t last_index, uint64_t pages);

Status
append_create(Consensus *consensus)
{
	const NodeRecovered *found = consensus->shm->recovered;
	uint64_t batches = consensus->shm->layout.wal_buffer_bytes / WAL_SECTOR + 2;

	consensus->spans = calloc(batches, sizeof(*consensus->spans));
	consensus->reservations = calloc(batches, sizeof(*consensus->reservations));
	if (consensus->spans == NULL || consensus->reservations == NULL)
		return RUSD_NO_MEMORY;
	consensus->reservation_capacity = (uint32_t) batches;
	wal_appender_init(&consensus->appender, consensus->shm, found->log_end, found->previous_crc);
	return raft_init(&consensus->raft, &(RaftStart){.member_id = found->member_id,
													.configuration = &found->configuration,
													.hard_state = found->hard_state,
													.last_index = found->last_index,
													.last_term = found->last_term,
													.log_end = found->log_end,
													.commit_position = found->commit_position,
													.applied_index = found->applied_index,
													.spans = consensus->spans,
													.span_capacity = (uint32_t) batches});
}

static bool
batch_is_open(const Consensus *consensus)
{
	return consensus->appender.record_count > 0;
}

static bool
batch_has_room(const Consensus *consensus, uint64_t bytes)
{
	const WalAppender *appender = &consensus->appender;

	return appender->batch_position + appender->batch_length + bytes <= appender->batch_limit;
}

bool
append_room(Consensus *consensus, uint32_t length)
{
	uint64_t bytes = wal_record_bytes(length);

	if (batch_is_open(consensus))
	{
		if (batch_has_room(consensus, bytes))
			return true;
		append_finish(consensus);
	}
	if (wal_batch_begin(&consensus->appender, bytes) != RUSD_OK)
	{
		consensus->log_full = true;
		return false;
	}
	consensus_take_in(consensus);
	return true;
}

uint64_t
append_entry(Consensus *consensus, uint32_t kind, const RequestId *id, const uint8_t *payload,
			 uint32_t length, uint64_t pages)
{
	uint64_t index = 0;
	uint64_t term = consensus->raft.hard_state.term;
	RequestId trusted = *id;
	uint8_t *place;

	if (!judge_kind_is_local(kind))
	{
		RaftUpdate update = {0};
		RaftEvent event = {.kind = RAFT_PROPOSE, .changes_members = kind == ENTRY_MEMBER};

		consensus_core(consensus, &event, &update);
		Check(update.propose_status == RUSD_OK);
		index = update.propose_index;
		term = update.propose_term;
	}
	place = wal_batch_add(&consensus->appender, kind, index, term, length);
	Check(place != NULL);
	memcpy(place, payload, length);
	/* Whose request it is, raft knows from the ring it came by. */
	memcpy(place + offsetof(EntryHeader, id), &trusted, sizeof(trusted));
	consensus->batch_pages += pages;
	consensus->pages_reserved += pages;
	consensus->did_something = true;
	return index;
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

		if (!append_room(consensus, length))
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
	if (!batch_is_open(consensus))
		return;
	INJECT("raft-before-append");
	reserve(consensus, consensus->raft.last_index, consensus->batch_pages);
	consensus->batch_pages = 0;
	consensus->last_append_ns = consensus->now_ns;
	tell_appended(consensus, wal_batch_end(&consensus->appender, consensus->raft.commit_index,
										   consensus->raft.commit_term));
	INJECT("raft-after-append");
}

void
append_mark(Consensus *consensus)
{
	if (wal_append_mark(&consensus->appender, consensus->raft.commit_index,
						consensus->raft.commit_term) != RUSD_OK)
		return; /* at a later turn */
	consensus_take_in(consensus);
	tell_appended(consensus, consensus->appender.position);
	consensus->did_something = true;
}

/*
 * The core learns where the batch ends; ceiling and floor follow.  walwriter may have flushed the
 * batch before they were published, and then has published too little: it is told to judge again.
 */
static void
tell_appended(Consensus *consensus, uint64_t end)
{
	Shm *shm = consensus->shm;
	Raft *raft = &consensus->raft;
	RaftUpdate update = {0};
	RaftEvent event = {.kind = RAFT_APPENDED,
					   .index = raft->last_index,
					   .position = end,
					   .hard_state = consensus->batch_hard_state};

	/* What was given out but waits for room (pending) is not in the log yet. */
	for (uint32_t i = 0; i < consensus->pending_count; i++)
		if (consensus->pending[i].kind == RAFT_RECORD_EMPTY)
			event.index = Min(event.index, consensus->pending[i].index - 1);
		else
			event.hard_state = false;
	consensus->batch_hard_state = false;
	consensus_core(consensus, &event, &update);
	consensus->control_dirty = true;
	if (!update.bounds_changed)
		return;
	shm_bounds_write(shm, raft->ceiling, raft->floor);
	if (atomic_load_explicit(&shm->positions->flushed, memory_order_seq_cst) >= end)
		latch_set(&shm->latches[PROC_WALWRITER]);
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
