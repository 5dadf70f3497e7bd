/*
 * corelog.c
 *	  A member's log in the core's model: a list of records, of which later ones void earlier ones.
 *
 * test/sim/corelog.c
 */
#include "coremodel.h"

/* The record stands at the end of the list: what it voids, and where it is found. */
static void
note_record(Member *member, uint32_t at)
{
	Record *record = &member->log[at];

	record->before = 0;
	record->void_at = RECORD_NONE;
	if (record->index == 0)
		return;
	Check(record->index < INDEX_MAX);
	for (uint64_t index = record->index; index <= member->last; index++)
		if (member->place[index] > 0)
			member->log[member->place[index] - 1].void_at = at;
	record->before = member->place[record->index];
	member->place[record->index] = at + 1;
	member->last = record->index;
	member->highest = Max(member->highest, record->index);
}

static void
forget_places(Member *member)
{
	memset(member->place, 0, (member->highest + 1) * sizeof(member->place[0]));
	member->highest = 0;
	member->last = 0;
}

void
core_log_add(Member *member, Record record)
{
	Check(member->count < LOG_MAX);
	record.end = 0;
	member->log[member->count] = record;
	note_record(member, (uint32_t) member->count++);
}

bool
core_log_entry(const Member *member, size_t records, uint64_t index, Entry *entry)
{
	uint32_t place = index <= member->highest ? member->place[index] : 0;

	while (place > 0 && place > records)
		place = member->log[place - 1].before;
	if (place == 0 || member->log[place - 1].void_at < records)
		return false;
	*entry = member->log[place - 1].entry;
	return true;
}

bool
core_log_held(const Member *member, size_t records, uint64_t index, const Entry *entry)
{
	uint32_t place = index <= member->highest ? member->place[index] : 0;

	while (place > 0 && (place > records || member->log[place - 1].entry.value != entry->value))
		place = member->log[place - 1].before;
	return place > 0;
}

size_t
core_log_records(const Member *member, uint64_t position)
{
	size_t low = 0, high = member->batch;

	if (high > 0 && member->log[high - 1].end <= position)
		return high;
	while (low < high)
	{
		size_t middle = (low + high) / 2;

		if (member->log[middle].end <= position)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A batch takes a sector. */
void
core_log_close_batch(Member *member)
{
	member->position += 512;
	for (size_t i = member->batch; i < member->count; i++)
	{
		member->log[i].end = member->position;
		member->log[i].commit_index = member->raft.commit_index;
		member->log[i].commit_term = member->raft.commit_term;
	}
	member->batch = member->count;
	member->batch_hard_state = false;
}

void
core_log_cut(Member *member, size_t records)
{
	Check(records >= member->base_record);
	forget_places(member);
	member->count = member->batch = records;
	for (size_t i = member->base_record; i < records; i++)
		note_record(member, (uint32_t) i);
}

void
core_log_begin(Member *member, uint64_t index, uint64_t term)
{
	forget_places(member);
	member->base_index = index;
	member->base_term = term;
	member->base_record = member->count;
}

/* The end of the last batch with nothing behind the commit index, and nothing that a later one voids. */
static uint64_t
commit_position(const Member *member, uint64_t commit_index)
{
	static RaftSpan spans[LOG_MAX];
	size_t count = 0;

	for (size_t i = member->base_record; i < member->count; i++)
	{
		const Record *record = &member->log[i];

		if (record->index == 0)
			continue;
		while (count > 0 && spans[count - 1].last_index >= record->index)
			count--;
		/* One for each entry; those of a batch but the last are no end of it. */
		if (count > 0 && spans[count - 1].end == record->end)
			count--;
		spans[count++] = (RaftSpan){.end = record->end, .last_index = record->index};
	}
	while (count > 0 && spans[count - 1].last_index > commit_index)
		count--;
	return count == 0 ? 0 : spans[count - 1].end;
}

static void
take_commit(HardState *hard_state, uint64_t index, uint64_t term)
{
	if (index <= hard_state->commit_index)
		return;
	hard_state->commit_index = index;
	hard_state->commit_term = term;
}

void
core_log_recover(const Member *member, RaftStart *start, RaftRun *known)
{
	start->last_index = member->base_index;
	start->last_term = member->base_term;
	start->hard_state.commit_index = member->base_index;
	start->hard_state.commit_term = member->base_term;
	if (member->base_index > 0)
		known[start->known_run_count++] = (RaftRun){member->base_index, member->base_term};
	for (size_t i = 0; i < member->count; i++)
	{
		const Record *record = &member->log[i];

		take_commit(&start->hard_state, record->commit_index, record->commit_term);
		if (record->index == 0)
		{
			start->hard_state.term = record->hard_state.term;
			start->hard_state.vote = record->hard_state.vote;
			take_commit(&start->hard_state, record->hard_state.commit_index,
						record->hard_state.commit_term);
			continue;
		}
		if (i < member->base_record)
			continue;
		while (start->known_run_count > 0 &&
			   known[start->known_run_count - 1].first_index >= record->index)
			start->known_run_count--;
		if (start->known_run_count == 0 ||
			known[start->known_run_count - 1].term != record->entry.term)
			known[start->known_run_count++] = (RaftRun){record->index, record->entry.term};
		start->last_index = record->index;
		start->last_term = record->entry.term;
	}
	start->hard_state.term = Max(start->hard_state.term, start->last_term);
	start->log_end = member->position;
	start->commit_position = commit_position(member, start->hard_state.commit_index);
}
