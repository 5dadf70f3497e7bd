/*
 * logcheck.c
 *	  The logs, watched from outside: what each member appends, flushes and commits, against what
 *	  all the others do.
 *
 * Batches are taken from the WAL buffers right after the step that appended them, by code of its
 * own: a reader of the log with a mistake does not hide that mistake here.
 *
 * test/sim/logcheck.c
 */
#include "rusd.h"

#include "port/crc32c.h"
#include "sim.h"

#define CHUNK_BYTES (256 * 1024)

static void take_batches(World *world, Member *member);
static void take_commit(World *world, Member *member);

/* ---- memory that lives as long as a run ---- */

static const uint8_t *
keep_payload(LogCheck *check, const uint8_t *payload, uint32_t length)
{
	uint8_t *place;

	if (check->chunk_used == 0 || check->chunk_offset + length > CHUNK_BYTES)
	{
		if (check->chunk_used == check->chunk_count)
		{
			check->chunks = realloc(check->chunks, (check->chunk_count + 1) * sizeof(uint8_t *));
			Check(check->chunks != NULL);
			check->chunks[check->chunk_count] = malloc(CHUNK_BYTES);
			Check(check->chunks[check->chunk_count] != NULL);
			check->chunk_count++;
		}
		check->chunk_used++;
		check->chunk_offset = 0;
	}
	Check(length <= CHUNK_BYTES);
	place = check->chunks[check->chunk_used - 1] + check->chunk_offset;
	memcpy(place, payload, length);
	check->chunk_offset += AlignUp(length, 8);
	return place;
}

void
logcheck_reset(World *world)
{
	LogCheck *check = &world->check;

	check->count = 0;
	check->led = 0;
	check->chunk_used = 0;
	check->chunk_offset = 0;
	if (check->requests == NULL)
	{
		check->request_mask = 16384 - 1;
		check->requests = malloc((check->request_mask + 1) * sizeof(uint32_t));
		Check(check->requests != NULL);
	}
	if (check->refused == NULL)
	{
		check->refused = malloc((check->request_mask + 1) * sizeof(RequestId));
		Check(check->refused != NULL);
	}
	memset(check->requests, 0, (check->request_mask + 1) * sizeof(uint32_t));
	memset(check->refused, 0, (check->request_mask + 1) * sizeof(RequestId));
	memset(check->leader_of, 0, sizeof(check->leader_of));
	for (uint32_t i = 0; i < SIM_MEMBERS; i++)
	{
		MemberLog *log = &world->members[i].log;

		*log = (MemberLog){.records = log->records, .capacity = log->capacity};
	}
}

/* ---- requests ---- */

static uint32_t
request_place(const LogCheck *check, const RequestId *id)
{
	uint64_t mixed = (id->sequence * 0x9e3779b97f4a7c15 ^ id->incarnation) + id->slot * 7919 +
					 id->generation * 104729 + id->member_id;

	return (uint32_t) ((mixed ^ mixed >> 31) & check->request_mask);
}

bool
logcheck_same_request(const RequestId *a, const RequestId *b)
{
	return a->member_id == b->member_id && a->incarnation == b->incarnation &&
		   a->sequence == b->sequence && a->slot == b->slot && a->generation == b->generation;
}

uint64_t
logcheck_find(const World *world, const RequestId *id)
{
	const LogCheck *check = &world->check;
	uint32_t place = request_place(check, id);

	for (; check->requests[place] != 0; place = (place + 1) & check->request_mask)
	{
		if (logcheck_same_request(&check->entries[check->requests[place] - 1].id, id))
			return check->requests[place];
	}
	return 0;
}

/* Where it is in the table of refused requests, or where it would be. */
static RequestId *
refused_place(const LogCheck *check, const RequestId *id)
{
	uint32_t place = request_place(check, id);

	while (check->refused[place].member_id != 0 &&
		   !logcheck_same_request(&check->refused[place], id))
		place = (place + 1) & check->request_mask;
	return &check->refused[place];
}

void
logcheck_refused(World *world, const RequestId *id)
{
	*refused_place(&world->check, id) = *id;
}

static void
note_request(World *world, Member *member, uint64_t index)
{
	LogCheck *check = &world->check;
	const RequestId *id = &check->entries[index - 1].id;
	uint32_t place = request_place(check, id);

	if (id->member_id == 0)
		return;
	for (; check->requests[place] != 0; place = (place + 1) & check->request_mask)
	{
		if (logcheck_same_request(&check->entries[check->requests[place] - 1].id, id))
			sim_violation(world, member, "no request executed twice",
						  "request %" PRIu64 " of slot %u is entry %u and entry %" PRIu64,
						  id->sequence, id->slot, check->requests[place], index);
	}
	if (refused_place(check, id)->member_id != 0)
		sim_violation(world, member, "what was refused is not executed",
					  "request %" PRIu64 " of slot %u was refused, and is entry %" PRIu64,
					  id->sequence, id->slot, index);
	Check(check->count <= check->request_mask / 2);
	check->requests[place] = (uint32_t) index;
}

/* ---- what was appended ---- */

/* Changes of the configuration at the end of the log: a later record voids those from its index on. */
static void
note_change(World *world, Member *member, const LogRecord *record)
{
	MemberLog *log = &member->log;

	while (log->change_count > 0 && log->changes[log->change_count - 1] >= record->index)
		log->change_count--;
	if (record->kind != ENTRY_MEMBER || record->index <= world->first_members)
		return;
	if (log->change_count == lengthof(log->changes))
	{
		memmove(log->changes, log->changes + 1, sizeof(log->changes) - sizeof(log->changes[0]));
		log->change_count--;
	}
	log->changes[log->change_count++] = record->index;
}

/* The configuration in use is that of the entries known to be committed, no other. */
void
logcheck_configuration(World *world, Member *member)
{
	const ControlState *control = &member->control;
	uint64_t right;

	if (control->commit_index == 0 || control->commit_index > world->check.count)
		return;
	right = world->check.entries[control->commit_index - 1].configuration;
	if (control->configuration_index != right)
		sim_violation(world, member, "configurations come by commitment",
					  "configuration %" PRIu64 " is in use with commit index %" PRIu64
					  ", which has %" PRIu64,
					  control->configuration_index, control->commit_index, right);
}

/* Whoever has a change in its log uses the one before (that is why neighbours share a majority). */
void
logcheck_changes(World *world, Member *member, uint64_t commit_index)
{
	const MemberLog *log = &member->log;

	if (log->change_count >= 2 && log->changes[log->change_count - 2] > commit_index)
		sim_violation(world, member, "one change at a time",
					  "changes %" PRIu64 " and %" PRIu64
					  " are in its log, and it knows entry %" PRIu64 " to be committed",
					  log->changes[log->change_count - 2], log->changes[log->change_count - 1],
					  commit_index);
}

static void
push_record(World *world, Member *member, LogRecord record, const uint8_t *payload)
{
	MemberLog *log = &member->log;

	if (log->count == log->capacity)
	{
		log->capacity = Max(2 * log->capacity, 1024);
		log->records = realloc(log->records, log->capacity * sizeof(LogRecord));
		Check(log->records != NULL);
	}
	record.hash = (uint64_t) crc32c(record.kind, payload, record.length) << 32 | record.length;
	record.payload = keep_payload(&world->check, payload, record.length);
	if (record.length >= sizeof(EntryHeader))
		memcpy(&record.id, payload, sizeof(record.id));
	if (log->count == 0 || log->records[log->count - 1].term != record.term)
		log->term_first_end = record.position_end;
	log->records[log->count++] = record;
	log->last_index = record.index;
	note_change(world, member, &record);
}

static void
add_record(World *world, Member *member, const WalBatchHeader *batch, const WalRecordHeader *record)
{
	MemberLog *log = &member->log;

	if (record->index == 0)
		return;
	if (record->index <= log->committed_index)
		sim_violation(world, member, "committed entries stay",
					  "entry %" PRIu64 " is appended again, but %" PRIu64 " are committed",
					  record->index, log->committed_index);
	if (record->index > log->last_index + 1)
		sim_violation(world, member, "logs have no holes",
					  "entry %" PRIu64 " follows entry %" PRIu64, record->index, log->last_index);
	if (record->index <= log->last_index)
		sim_tell(world, member, SIM_VOIDED, record->index, record->term);
	push_record(world, member,
				(LogRecord){.position = batch->position,
							.position_end = batch->position + wal_batch_sectors(batch->length),
							.index = record->index,
							.term = record->term,
							.kind = record->kind,
							.length = record->length},
				(const uint8_t *) (record + 1));
}

static void
take_batches(World *world, Member *member)
{
	const Shm *shm = member->shm;
	MemberLog *log = &member->log;
	uint64_t appended = atomic_load(&shm->positions->appended);
	uint64_t segment_bytes = shm->layout.wal_segment_bytes;

	while (log->end < appended)
	{
		const WalBatchHeader *batch =
			(const WalBatchHeader *) (const void *) (shm->wal_buffers +
													 log->end % shm->layout.wal_buffer_bytes);
		const WalRecordHeader *record = wal_batch_first_record(batch);

		/* What is left of a segment is skipped when the next batch does not fit. */
		if (log->end % segment_bytes == 0 || batch->magic != WAL_BATCH_MAGIC ||
			batch->position != log->end)
		{
			log->end = log->end / segment_bytes * segment_bytes + WAL_HEADER_BYTES +
					   (log->end % segment_bytes == 0 ? 0 : segment_bytes);
			continue;
		}
		for (uint32_t i = 0; i < batch->record_count; i++, record = wal_record_next(record))
			add_record(world, member, batch, record);
		log->end += wal_batch_sectors(batch->length);
	}
}

/* ---- what was committed ---- */

/* The member has this entry committed: it is the first, or it must be what the first one had. */
static void
commit_record(World *world, Member *member, const LogRecord *record)
{
	LogCheck *check = &world->check;
	Committed *entry;

	if (record->index > check->count + 1)
	{
		sim_violation(world, member, "commitment goes forward",
					  "entry %" PRIu64 " is committed, but only %" PRIu64 " were before",
					  record->index, check->count);
		return;
	}
	if (record->index <= check->count)
	{
		entry = &check->entries[record->index - 1];
		if (entry->term != record->term || entry->hash != record->hash)
			sim_violation(world, member, "state machine safety",
						  "entry %" PRIu64 " is committed with term %" PRIu64
						  ", elsewhere with term %" PRIu64,
						  record->index, record->term, entry->term);
		return;
	}
	if (check->count == check->capacity)
	{
		check->capacity = Max(2 * check->capacity, 1024);
		check->entries = realloc(check->entries, check->capacity * sizeof(Committed));
		Check(check->entries != NULL);
	}
	entry = &check->entries[check->count++];
	*entry = (Committed){.term = record->term,
						 .seen_term = Max(member->control.term, record->term),
						 .hash = record->hash,
						 .id = record->id,
						 .kind = record->kind};
	model_apply(world, entry, record->index, record->payload, record->length);
	note_request(world, member, record->index);
}

/* Of which term is it leader, or was until this step, in which it may have lost its office?  0: none */
static uint64_t
led_term(const Member *member)
{
	const ControlState *now = &member->control;
	const ControlState *before = &member->control_before;

	if (now->role == ROLE_LEADER)
		return now->term;
	return before->role == ROLE_LEADER ? before->term : 0;
}

/* A leader may find entries to be committed in the midst of a batch, and others come to apply them first. */
void
logcheck_leader(World *world, Member *member)
{
	const MemberLog *log = &member->log;
	uint64_t term = led_term(member);
	uint64_t index = member->control.commit_index;
	uint32_t at = log->count;

	if (term == 0 || index <= world->check.led)
		return;
	while (at > 0 && log->records[at - 1].index != index)
		at--;
	if (at > 0 && log->records[at - 1].term == term)
		world->check.led = index;
}

/* The first who commits an entry is a leader, and the last entry that it commits is of its own term
 * (Raft 3.6.2). */
static void
check_first_commit(World *world, Member *member)
{
	uint64_t term = world->check.entries[world->check.count - 1].term;

	if (world->check.count <= world->check.led || led_term(member) == term)
		return;
	sim_violation(world, member, "leaders commit by their own term",
				  "entry %" PRIu64 " of term %" PRIu64 " is committed by who does not lead it",
				  world->check.count, term);
}

/* What walwriter publishes of a leader is not below its floor, the end of the first entry of its term. */
static void
check_floor(World *world, Member *member)
{
	MemberLog *log = &member->log;
	uint64_t committed = atomic_load(&member->shm->positions->committed_by_flush);

	if (committed == log->committed_by_flush)
		return;
	log->committed_by_flush = committed;
	if (member->control.role == ROLE_LEADER && log->count > 0 &&
		log->records[log->count - 1].term == member->control.term &&
		committed < log->term_first_end)
		sim_violation(world, member, "nothing is published below the floor",
					  "position %" PRIu64 " is, and the first entry of term %" PRIu64
					  " ends at %" PRIu64,
					  committed, member->control.term, log->term_first_end);
}

/*
 * The commit position has moved: of the records up to it, those that no later one up to it voids
 * are committed.
 */
static void
take_commit(World *world, Member *member)
{
	MemberLog *log = &member->log;
	uint64_t committed = positions_committed(member->shm->positions);
	uint32_t first = log->committed_count;
	uint32_t end = first;
	uint64_t lowest = UINT64_MAX;
	uint64_t known = world->check.count;

	if (committed < log->committed)
		sim_violation(world, member, "positions never go back",
					  "the commit position falls from %" PRIu64 " to %" PRIu64, log->committed,
					  committed);
	if (committed == log->committed)
		return;
	log->committed = committed;
	while (end < log->count && log->records[end].position_end <= committed)
		end++;
	/* Backwards: what a later record voids has an index not below the lowest seen. */
	for (uint32_t i = end; i-- > first;)
	{
		log->records[i].is_void = log->records[i].index >= lowest;
		lowest = Min(lowest, log->records[i].index);
	}
	for (uint32_t i = first; i < end && !world->failed; i++)
	{
		if (log->records[i].is_void)
			continue;
		commit_record(world, member, &log->records[i]);
		log->committed_index = log->records[i].index;
	}
	log->committed_count = end;
	if (known >= world->first_members && world->check.count > known)
		check_first_commit(world, member);
	if (end > first)
		sim_tell(world, member, SIM_COMMITTED, log->committed_index,
				 log->committed_index == 0 ? 0
										   : world->check.entries[log->committed_index - 1].term);
}

void
logcheck_look(World *world, Member *member)
{
	const ShmPositions *positions = member->shm->positions;
	uint64_t flushed = atomic_load(&positions->flushed);
	uint64_t appended = atomic_load(&positions->appended);
	MemberLog *log = &member->log;

	if (log->end < appended)
		take_batches(world, member);
	if (flushed < log->flushed || flushed > appended)
		sim_violation(world, member, "positions never go back",
					  "flushed is %" PRIu64 " after %" PRIu64, flushed, log->flushed);
	if (flushed != log->flushed)
		sim_tell(world, member, SIM_FLUSHED, flushed, 0);
	log->flushed = flushed;
	check_floor(world, member);
	take_commit(world, member);
}

/* ---- a start ---- */

/* The entries that all first members begin with. */
void
logcheck_begin(World *world, Member *member, const InitialEntry *entries, uint32_t count)
{
	/* The first segment has number 1. */
	uint64_t position = member->shm->layout.wal_segment_bytes + WAL_HEADER_BYTES;

	for (uint32_t i = 0; i < count; i++)
		push_record(world, member,
					(LogRecord){.position = position,
								.position_end = position + 1,
								.index = i + 1,
								.term = 1,
								.kind = entries[i].kind,
								.length = (uint32_t) entries[i].payload.length},
					entries[i].payload.data);
}

/* Everything before it is void; what follows it lies behind it. */
void
logcheck_installed(World *world, Member *member, const LogBegin *begin, uint64_t applied)
{
	MemberLog *log = &member->log;
	uint32_t kept = 0;

	if (begin->position == log->begin.position && begin->index == log->begin.index)
		return;
	sim_tell(world, member, SIM_SNAPSHOT_INSTALLED, begin->index, begin->position);
	if (begin->index > world->check.count ||
		world->check.entries[begin->index - 1].term != begin->term)
		sim_violation(world, member, "state machine safety",
					  "a state of entry %" PRIu64 " of term %" PRIu64
					  " is installed, which is not committed",
					  begin->index, begin->term);
	if (begin->index <= applied || begin->position < log->begin.position)
		sim_violation(world, member, "states go forward",
					  "a state of entry %" PRIu64 " is installed where entry %" PRIu64
					  " is applied",
					  begin->index, applied);
	log->begin = *begin;
	for (uint32_t i = 0; i < log->count; i++)
	{
		if (log->records[i].position >= begin->position)
			log->records[kept++] = log->records[i];
	}
	log->count = kept;
	log->committed_count = 0;
	log->committed_index = begin->index;
	log->committed = Min(log->committed, begin->position);
	if (kept == 0)
		log->last_index = begin->index;
	log->change_count = 0;
	for (uint32_t i = 0; i < log->count; i++)
		note_change(world, member, &log->records[i]);
}

/* Forgets what ended behind that position; is the last entry then what recovery found? */
static bool
cut_log(MemberLog *log, uint64_t end, const NodeRecovered *found)
{
	while (log->count > 0 && log->records[log->count - 1].position_end > end)
		log->count--;
	if (log->count == 0)
	{
		log->last_index = log->begin.index;
		return found->last_index == log->begin.index;
	}
	log->last_index = log->records[log->count - 1].index;
	return log->last_index == found->last_index &&
		   log->records[log->count - 1].term == found->last_term;
}

/*
 * Recovery has cut the log somewhere: not before what was flushed.  Entries of the part that was cut
 * off are forgotten, and what they had voided is there again; so commitment, which may be known less
 * far than before, is worked out anew.
 */
void
logcheck_started(World *world, Member *member)
{
	const NodeRecovered *found = member->shm->recovered;
	MemberLog *log = &member->log;

	logcheck_installed(world, member, &found->log_begin, 0);
	if (found->log_end < log->flushed)
		sim_violation(world, member, "nothing flushed is lost",
					  "the log ends at %" PRIu64 ", but was flushed up to %" PRIu64, found->log_end,
					  log->flushed);
	/* It may have put a mark of one sector behind what it kept. */
	if (!cut_log(log, found->log_end, found) && !cut_log(log, found->log_end - WAL_SECTOR, found))
		sim_violation(world, member, "recovery finds what was written",
					  "the last entry is %" PRIu64 ", recovery says %" PRIu64, log->last_index,
					  found->last_index);
	if (found->hard_state.term < log->said_term)
		sim_violation(world, member, "no term is forgotten",
					  "it begins with term %" PRIu64 ", but has spoken in term %" PRIu64,
					  found->hard_state.term, log->said_term);
	if (found->hard_state.term == log->said_vote_term && found->hard_state.vote != log->said_vote)
		sim_violation(world, member, "no vote is forgotten",
					  "it has voted in term %" PRIu64 ", and does not know it any more",
					  log->said_vote_term);
	log->change_count = 0;
	for (uint32_t i = 0; i < log->count; i++)
		note_change(world, member, &log->records[i]);
	logcheck_changes(world, member, found->hard_state.commit_index);
	log->end = found->log_end;
	log->flushed = found->log_end;
	log->committed = 0;
	log->committed_count = 0;
	log->committed_index = log->begin.index;
	log->committed_by_flush = atomic_load(&member->shm->positions->committed_by_flush);
	take_commit(world, member);
}

void
logcheck_checkpoint(World *world, Member *member, uint64_t index)
{
	const MemberLog *log = &member->log;
	InstallOrder order;

	if (index == log->begin.index && log->flushed >= log->begin.position)
		return;
	/* That of a snapshot counts before its entries do. */
	shm_install_read(member->shm, &order);
	if (order.index == index && log->flushed >= order.log_begin)
		return;
	for (uint32_t i = log->committed_count; i-- > 0;)
	{
		const LogRecord *record = &log->records[i];

		if (record->index != index || record->is_void)
			continue;
		if (record->position_end > log->flushed)
			sim_violation(world, member, "checkpoint <= flushed",
						  "a checkpoint holds entry %" PRIu64 " that ends at %" PRIu64
						  ", flushed is %" PRIu64,
						  index, record->position_end, log->flushed);
		return;
	}
	sim_violation(world, member, "checkpoint <= flushed",
				  "a checkpoint holds entry %" PRIu64 " that is not committed here", index);
}
