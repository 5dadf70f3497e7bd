/*
 * raftlog.c
 *	  What the core knows of its log: terms by index, ends of batches.
 *
 * Terms are kept as runs, of which there is one for each leader that has left entries, so a few dozen
 * tell the terms of millions of entries.  Batches are kept as long as there is room: those that are not
 * committed always, older ones for the sizes of what is sent to a member that is a little behind.
 *
 * Both lists ascend strictly, by index and by position: what is void is taken away from their ends.
 *
 * src/backend/raft/raftlog.c
 */
#include "rusd.h"

#include "raft_int.h"

static RaftRun *
run_at(const Raft *raft, uint32_t place)
{
	return &raft->runs[(raft->run_first + place) % raft->run_capacity];
}

/* Number of runs that begin at or before index. */
static uint32_t
runs_up_to(const Raft *raft, uint64_t index)
{
	uint32_t count = raft->run_count;

	while (count > 0 && run_at(raft, count - 1)->first_index > index)
		count--;
	return count;
}

bool
raft_term_at(const Raft *raft, uint64_t index, uint64_t *term)
{
	uint32_t runs;

	if (likely(index == raft->last_index))
	{
		*term = raft->last_term;
		return true;
	}
	if (index == 0 && raft->first_index == 1)
	{
		*term = 0;
		return true;
	}
	if (index > raft->last_index || index + 1 < raft->first_index)
		return false;
	runs = runs_up_to(raft, index);
	if (runs == 0)
		return false;
	*term = run_at(raft, runs - 1)->term;
	return true;
}

bool
raft_has_entry(const Raft *raft, uint64_t index, uint64_t term)
{
	uint64_t found;

	return raft_term_at(raft, index, &found) && found == term;
}

uint64_t
raft_index_of_term(const Raft *raft, uint64_t index, uint64_t term)
{
	uint32_t runs;

	index = Min(index, raft->last_index);
	runs = runs_up_to(raft, index);
	while (runs > 0 && run_at(raft, runs - 1)->term > term)
	{
		index = run_at(raft, runs - 1)->first_index - 1;
		runs--;
	}
	return Max(index, raft->first_index - 1);
}

void
raft_log_add(Raft *raft, uint64_t last_index, uint64_t term)
{
	if (unlikely(raft->run_count == 0 || term != raft->last_term))
	{
		Check(term >= raft->last_term);
		if (raft->run_count == raft->run_capacity)
		{
			raft->run_first = (raft->run_first + 1) % raft->run_capacity;
			raft->run_count--;
			raft->first_index = Max(raft->first_index, run_at(raft, 0)->first_index + 1);
		}
		*run_at(raft, raft->run_count++) =
			(RaftRun){.first_index = raft->last_index + 1, .term = term};
		raft->last_term = term;
	}
	raft->last_index = last_index;
}

void
raft_log_truncate(Raft *raft, uint64_t index)
{
	while (raft->run_count > 0 && run_at(raft, raft->run_count - 1)->first_index >= index)
		raft->run_count--;
	while (raft->span_count > 0 && raft_span(raft, raft->span_count - 1)->last_index >= index)
		raft->span_count--;
	if (!FAULT(change_used_at_append))
		while (raft->change_count > 0 && raft->changes[raft->change_count - 1].index >= index)
			raft->change_count--;
	raft->last_index = index - 1;
	raft->last_term = raft->run_count == 0 ? 0 : run_at(raft, raft->run_count - 1)->term;
	raft->appended_index = Min(raft->appended_index, raft->last_index);
}

void
raft_log_compacted(Raft *raft, uint64_t index)
{
	index = Min(index, raft->commit_index);
	if (index < raft->first_index)
		return;
	raft->first_index = index + 1;
	while (raft->run_count > 1 && run_at(raft, 1)->first_index <= index)
	{
		raft->run_first = (raft->run_first + 1) % raft->run_capacity;
		raft->run_count--;
	}
}

void
raft_log_restart(Raft *raft, uint64_t index, uint64_t term)
{
	raft->run_first = 0;
	raft->run_count = 1;
	raft->runs[0] = (RaftRun){.first_index = index, .term = term};
	raft->span_first = 0;
	raft->span_count = 0;
	raft->change_count = 0;
	raft->first_index = index + 1;
	raft->last_index = index;
	raft->last_term = term;
	raft->appended_index = index;
}

bool
raft_span_room(const Raft *raft)
{
	return raft->span_count < raft->span_capacity ||
		   raft->spans[raft->span_first].last_index <= raft->commit_index;
}

void
raft_span_push(Raft *raft, uint64_t end, uint64_t last_index)
{
	Check(raft_span_room(raft));
	if (raft->span_count == raft->span_capacity)
	{
		raft->span_first = (raft->span_first + 1) % raft->span_capacity;
		raft->span_count--;
	}
	raft->spans[(raft->span_first + raft->span_count) % raft->span_capacity] =
		(RaftSpan){.end = end, .last_index = last_index};
	raft->span_count++;
}

uint32_t
raft_spans_up_to(const Raft *raft, uint64_t index)
{
	uint32_t low = 0;
	uint32_t high = raft->span_count;

	/* Nearly always it is all of them. */
	if (high > 0 && raft_span(raft, high - 1)->last_index <= index)
		return high;
	while (low < high)
	{
		uint32_t middle = low + (high - low) / 2;

		if (raft_span(raft, middle)->last_index <= index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t
raft_spans_flushed(const Raft *raft)
{
	uint32_t low = 0;
	uint32_t high = raft->span_count;

	if (high > 0 && raft_span(raft, high - 1)->end <= raft->flushed)
		return high;
	while (low < high)
	{
		uint32_t middle = low + (high - low) / 2;

		if (raft_span(raft, middle)->end <= raft->flushed)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint64_t
raft_durable_at(const Raft *raft, uint64_t index)
{
	uint32_t before = index == 0 ? 0 : raft_spans_up_to(raft, index - 1);

#ifdef USE_FAULTS
	if (FAULT(acknowledged_by_index) && index <= raft->flushed_index)
		return 0;
#endif
	if (index == 0)
		return 0;
	return before < raft->span_count ? raft_span(raft, before)->end : RAFT_AFTER_TURN;
}
