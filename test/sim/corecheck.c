/*
 * corecheck.c
 *	  What must hold in the core's model, whatever happens.
 *
 * test/sim/corecheck.c
 */
#include "coremodel.h"

/* What leaves a member is true by what is durable there. */
void
check_packet(Model *model, Member *member, const Packet *packet)
{
	const RaftMessage *message = &packet->message;
	uint64_t *vote = &member->votes[message->term];

	Check(message->term < INDEX_MAX);
	if ((message->kind == MESSAGE_VOTE_ANSWER && !message->reject) || message->kind == MESSAGE_VOTE)
	{
		uint64_t candidate = message->kind == MESSAGE_VOTE ? member->id : message->to;

		if (*vote != 0 && *vote != candidate)
			MODEL_FAIL(model,
					   "member %" PRIu64 " votes for %" PRIu64 " and %" PRIu64 " in term %" PRIu64,
					   member->id, *vote, candidate, message->term);
		*vote = candidate;
	}
	if (message->kind == MESSAGE_APPEND_ANSWER && !message->reject &&
		message->index > member->base_index &&
		!core_log_held(member, core_log_records(member, member->flushed), message->index,
					   &packet->acknowledged))
		MODEL_FAIL(model, "member %" PRIu64 " acknowledges entry %" PRIu64 ", which is not durable",
				   member->id, message->index);
}

void
check_leader(Model *model, Member *member)
{
	uint64_t term = member->raft.hard_state.term;

	if (member->raft.role != ROLE_LEADER)
		return;
	Check(term < INDEX_MAX);
	if (model->leader_of_term[term] == member->id)
		return;
	if (model->leader_of_term[term] != 0)
		MODEL_FAIL(model, "members %" PRIu64 " and %" PRIu64 " lead term %" PRIu64,
				   model->leader_of_term[term], member->id, term);
	model->leader_of_term[term] = member->id;
	model->counts.leaders++;
	for (uint64_t index = member->base_index + 1; index <= model->committed_count; index++)
	{
		Entry entry;

		/* It may have been elected, by late answers, when there was a leader of a later term already. */
		if (model->committed_by_term[index] <= term &&
			(!core_log_entry(member, member->count, index, &entry) ||
			 entry.value != model->committed[index].value))
			MODEL_FAIL(model,
					   "member %" PRIu64 " leads term %" PRIu64 " without committed entry %" PRIu64,
					   member->id, term, index);
	}
}

/* What was acknowledged to be durable is not thrown away with the log that a state replaces. */
void
check_discarded(Model *model, const Member *member, const Installation *installation)
{
	Entry entry;

	if (member->last > installation->index &&
		core_log_entry(member, member->count, installation->index, &entry) &&
		entry.term == installation->term)
		MODEL_FAIL(model,
				   "member %" PRIu64 " installs a state as of entry %" PRIu64
				   " and loses entries up to %" PRIu64 " behind it",
				   member->id, installation->index, member->last);
}

void
check_reads(Model *model, Member *member)
{
	for (uint32_t i = 0; i < model->update.read_count; i++)
	{
		const RaftReadReady *ready = &model->update.reads[i];

		for (uint32_t r = 0; r < READS; r++)
		{
			if (member->reads[r].id != ready->read_id || ready->index == 0)
				continue;
			model->counts.reads++;
			if (ready->index < member->reads[r].needed)
				MODEL_FAIL(model,
						   "member %" PRIu64 " reads at %" PRIu64 " what was %" PRIu64
						   " before it asked",
						   member->id, ready->index, member->reads[r].needed);
			member->reads[r].id = 0;
		}
	}
}

void
check_committed(Model *model, const Member *member, uint64_t index, const Entry *entry)
{
	const Entry *known = &model->committed[index];

	if (index > model->committed_count)
	{
		Check(index < INDEX_MAX);
		model->committed[index] = *entry;
		model->committed_by_term[index] = member->raft.hard_state.term;
		model->committed_count = index;
		if (entry->change.kind != 0)
			model->committed_changes[model->committed_change_count++] = index;
		model->counts.commits++;
		lease_committed(model, index);
	}
	else if (known->term != entry->term || known->value != entry->value)
		MODEL_FAIL(model,
				   "member %" PRIu64 " applies another entry %" PRIu64 ": term %" PRIu64
				   ", not %" PRIu64,
				   member->id, index, entry->term, known->term);
}

void
check_lost_log(Model *model, Member *leader)
{
	leader->finds_lost = model->update.member_lost_log;
	tell(model, "member %" PRIu64 " sees that member %" PRIu64 " has lost what it had acknowledged",
		 leader->id, leader->finds_lost);
	if (!model->logs_may_be_lost)
		MODEL_FAIL(model, "member %" PRIu64 " says that member %" PRIu64 " has lost its log",
				   leader->id, leader->finds_lost);
}
