/*
 * entries.c
 *	  The entries of an APPEND, as they hold at a position of the log: from the WAL buffers, or from segments where they
 *	  have left those.  Processes peer.
 *
 * One reader goes through the log, since what is sent next mostly lies where the last message ended.  raft does not
 * wait for it: what was copied from the buffers counts only if it was still there afterwards.
 *
 * src/backend/peer/entries.c
 */
#include "rusd.h"

#include "peer_int.h"
#include "utils/log.h"

/* A reader that is further behind does not walk there. */
#define WALK_MAX (1024 * 1024)
#define ROOM_FIRST (64 * 1024)

struct PeerEntries
{
	Shm *shm;
	FileOps *fs;
	WalReader *reader; /* NULL: none */
	bool has_record;   /* record was given by it, and not used yet */
	WalRecord record;
	uint8_t *bytes; /* of the frame that is made */
	size_t length;
	size_t capacity;
};

PeerEntries *
peer_entries_create(Shm *shm, FileOps *fs)
{
	PeerEntries *entries = calloc(1, sizeof(*entries));

	Check(entries != NULL);
	entries->shm = shm;
	entries->fs = fs;
	return entries;
}

static void
drop_reader(PeerEntries *entries)
{
	if (entries->reader != NULL)
		wal_reader_destroy(entries->reader);
	entries->reader = NULL;
	entries->has_record = false;
}

static Status
begin_at(PeerEntries *entries, uint64_t position)
{
	drop_reader(entries);
	return wal_reader_create(entries->shm, entries->fs, position, &entries->reader);
}

/* The next record of the reader becomes entries->record. */
static Status
advance(PeerEntries *entries, uint64_t limit)
{
	Status status;

	/* Where it stands may have been overwritten while nothing was sent; but as a rule it stands at the end of a batch. */
	if (!wal_reader_can_go_on(entries->reader))
	{
		status = begin_at(entries, wal_reader_position(entries->reader));
		if (status != RUSD_OK)
			return status;
	}
	status = wal_reader_next(entries->reader, limit, &entries->record);
	entries->has_record = status == RUSD_OK;
	return status;
}

/* The reader's record is the entry of that index.  RUSD_END, RUSD_NOT_FOUND: it does not lie where the reader is. */
static Status
walk_to(PeerEntries *entries, uint64_t index, uint64_t limit)
{
	while (!entries->has_record || entries->record.header.index < index)
	{
		Status status = advance(entries, limit);

		if (status != RUSD_OK)
			return status;
	}
	return entries->record.header.index == index ? RUSD_OK : RUSD_NOT_FOUND;
}

static Status
find_first(PeerEntries *entries, const RaftMessage *message)
{
	uint64_t index = message->index + 1;
	uint64_t position = message->log_begin;
	Status status = RUSD_NOT_FOUND;

	if (entries->reader != NULL &&
		(position == 0 || wal_reader_position(entries->reader) + WALK_MAX >= position))
		status = walk_to(entries, index, message->log_end);
	if (status == RUSD_OK)
		return status;
	if (position == 0)
	{
		status = wal_find_index(entries->shm, entries->fs, index, &position);
		if (status != RUSD_OK)
			return status;
	}
	status = begin_at(entries, position);
	return status == RUSD_OK ? walk_to(entries, index, message->log_end) : status;
}

static bool
make_room(PeerEntries *entries, size_t length)
{
	size_t capacity = Max(entries->capacity, (size_t) ROOM_FIRST);
	uint8_t *grown;

	while (capacity < length)
		capacity *= 2;
	if (capacity == entries->capacity)
		return true;
	grown = realloc(entries->bytes, capacity);
	if (grown == NULL)
		return false;
	entries->bytes = grown;
	entries->capacity = capacity;
	return true;
}

/* The record behind what is there already. */
static Status
copy_record(PeerEntries *entries)
{
	const WalRecord *record = &entries->record;
	size_t size = wal_record_bytes(record->header.length);
	uint8_t *at;

	if (!make_room(entries, entries->length + size))
		return RUSD_NO_MEMORY;
	at = entries->bytes + entries->length;
	memset(at + size - 8, 0, 8);
	memcpy(at, &record->header, sizeof(record->header));
	memcpy(at + sizeof(record->header), record->payload, record->header.length);
	if (!wal_reader_is_intact(entries->reader))
		return RUSD_AGAIN;
	entries->length += size;
	return RUSD_OK;
}

static uint64_t
term_of(const RaftMessage *message, uint64_t index)
{
	uint64_t term = message->log_term;

	for (uint32_t i = 0; i < message->run_count && message->runs[i].first_index <= index; i++)
		term = message->runs[i].term;
	return term;
}

/* Entries from index on, as many as fit into a frame; *next is the first one that is not among them. */
static Status
gather(PeerEntries *entries, const RaftMessage *message, uint64_t index, uint64_t *next)
{
	entries->length = 0;
	for (*next = index; *next <= message->last_index; (*next)++)
	{
		Status status = walk_to(entries, *next, message->log_end);

		if (status == RUSD_OK && entries->record.header.term != term_of(message, *next))
			status = RUSD_NOT_FOUND;
		if (status == RUSD_OK && entries->length > 0 &&
			entries->length + wal_record_bytes(entries->record.header.length) > PEER_ENTRIES_MAX)
			break;
		if (status == RUSD_OK)
			status = copy_record(entries);
		if (status != RUSD_OK)
			return status;
	}
	return RUSD_OK;
}

/* The part of the message that has entries index to last. */
static void
put_part(PeerEntries *entries, const RaftMessage *message, uint64_t index, uint64_t last,
		 NetLink *link)
{
	alignas(8) uint8_t head[PEER_FRAME_HEAD_MAX];
	PeerMessage part = {.kind = PEER_RAFT, .raft = *message};
	Bytes parts[2] = {{head, 0}, {entries->bytes, entries->length}};

	part.raft.index = index - 1;
	part.raft.log_term = term_of(message, index - 1);
	part.raft.last_index = last;
	part.raft.run_count = 0;
	for (uint32_t i = 0; i < message->run_count; i++)
	{
		const RaftRun *run = &message->runs[i];
		bool ends_before = i + 1 < message->run_count && message->runs[i + 1].first_index <= index;

		if (!ends_before && run->first_index <= last)
			part.raft.runs[part.raft.run_count++] =
				(RaftRun){Max(run->first_index, index), run->term};
	}
	parts[0].length = peer_frame_encode(&part, (uint32_t) entries->length, head);
	peer_frame_seal(head, (uint32_t) parts[0].length, parts[1]);
	(void) net_link_put(link, parts, 2);
}

void
peer_entries_send(PeerEntries *entries, const RaftMessage *message, NetLink *link)
{
	Status status = find_first(entries, message);
	uint64_t index = message->index + 1;

	while (status == RUSD_OK && index <= message->last_index)
	{
		uint64_t next;

		status = gather(entries, message, index, &next);
		if (status != RUSD_OK)
			break;
		put_part(entries, message, index, next - 1, link);
		index = next;
		if (message->may_be_cut)
			break;
	}
	if (status == RUSD_OK)
		return;
	log_debug("entries for another member are not in the log", LOG_UNSIGNED("index", index),
			  LOG_TEXT("error", status_text(status)));
	drop_reader(entries);
}
