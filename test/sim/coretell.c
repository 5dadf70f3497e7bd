/*
 * coretell.c
 *	  What happens in the core's model, in words: a line for each thing, numbered by events.
 *
 * Heartbeats and their answers are told only where they do more than keep the peace.
 *
 * test/sim/coretell.c
 */
#include "coremodel.h"

#include <stdarg.h>

static void tell_message(Model *model, const Member *member, const RaftMessage *message,
						 const char *to);

void
tell(Model *model, const char *format, ...)
{
	va_list arguments;

	if (model->tell == NULL)
		return;
	va_start(arguments, format);
	(void) fprintf(model->tell, "%5" PRIu32 "  ", model->now);
	(void) vfprintf(model->tell, format, arguments);
	(void) fputc('\n', model->tell);
	va_end(arguments);
}

void
tell_forget(Member *member)
{
	member->told.role = member->raft.role;
	member->told.term = member->raft.hard_state.term;
	member->told.leader = member->raft.leader_id;
	member->told.commit = member->raft.commit_index;
	member->told.configuration = member->raft.configuration.index;
}

static void
tell_role(Model *model, Member *member)
{
	const Raft *raft = &member->raft;

	if (raft->role == ROLE_LEADER && member->told.role != ROLE_LEADER)
		tell(model,
			 "member %" PRIu64 " leads term %" PRIu64 " and writes its first entry, %" PRIu64,
			 member->id, raft->hard_state.term, raft->term_first_index);
	else if (raft->role == ROLE_FOLLOWER && member->told.role != ROLE_FOLLOWER &&
			 raft->leader_id == 0)
		tell(model, "member %" PRIu64 " is a follower again, in term %" PRIu64, member->id,
			 raft->hard_state.term);
	else if (raft->role == ROLE_FOLLOWER && raft->leader_id != 0 &&
			 (member->told.leader != raft->leader_id || member->told.term != raft->hard_state.term))
		tell(model, "member %" PRIu64 " follows %" PRIu64 " in term %" PRIu64, member->id,
			 raft->leader_id, raft->hard_state.term);
	member->told.role = raft->role;
	member->told.term = raft->hard_state.term;
	member->told.leader = raft->leader_id;
}

void
tell_change(char *text, size_t size, const RaftChange *change)
{
	static const char *const what[] = {"",         "adds voter", "adds learner",
									   "promotes", "removes",    "changes"};

	text[0] = '\0';
	if (change != NULL && change->kind != 0)
		(void) snprintf(text, size, " (%s %" PRIu64 ")", what[change->kind], change->member_id);
}

static void
tell_range(char *text, size_t size, uint64_t first, uint64_t last)
{
	if (first == last)
		(void) snprintf(text, size, "entry %" PRIu64, first);
	else
		(void) snprintf(text, size, "entries %" PRIu64 " to %" PRIu64, first, last);
}

static const char *
tell_void(char *text, size_t size, const Member *member, uint64_t first)
{
	Entry from = {0}, to = {0};

	tell_range(text, size, first, member->last);
	(void) core_log_entry(member, member->count, first, &from);
	(void) core_log_entry(member, member->count, member->last, &to);
	(void) snprintf(text + strlen(text), size - strlen(text),
					from.term == to.term ? " of term %" PRIu64
										 : " of terms %" PRIu64 " to %" PRIu64,
					from.term, to.term);
	return text;
}

void
tell_entries(Model *model, Member *member, uint64_t first, const Packet *packet)
{
	const RaftMessage *message = &packet->message;
	char range[64];
	char void_range[64];
	uint64_t last;

	tell_role(model, member);
	for (uint64_t index = first; index <= message->last_index; index = last + 1)
	{
		const Entry *entry = &packet->entries[index - message->index - 1];
		char change[64];

		last = index;
		tell_change(change, sizeof(change), &entry->change);
		while (last < message->last_index && change[0] == '\0' &&
			   entry[last + 1 - index].term == entry->term &&
			   entry[last + 1 - index].change.kind == 0)
			last++;
		tell_range(range, sizeof(range), index, last);
		if (index == first && first <= member->last)
			tell(model,
				 "member %" PRIu64 " voids %s and writes behind that: %s of term %" PRIu64 "%s",
				 member->id, tell_void(void_range, sizeof(void_range), member, index), range,
				 entry->term, change);
		else
			tell(model, "member %" PRIu64 " writes %s of term %" PRIu64 "%s", member->id, range,
				 entry->term, change);
	}
}

static void
tell_configuration(Model *model, const Member *member)
{
	const RaftConfiguration *configuration = &member->raft.configuration;
	char text[200] = "";
	size_t length = 0;

	for (uint32_t i = 0; i < configuration->member_count; i++)
		length += (size_t) snprintf(text + length, sizeof(text) - length, " %" PRIu64 "%s",
									configuration->members[i].id,
									configuration->members[i].is_learner ? " (learner)" : "");
	tell(model, "member %" PRIu64 " now uses the configuration of entry %" PRIu64 ":%s", member->id,
		 configuration->index, text);
}

static void
tell_state(Model *model, Member *member)
{
	const Raft *raft = &member->raft;

	tell_role(model, member);
	if (raft->commit_index > member->told.commit)
		tell(model, "member %" PRIu64 " %s up to %" PRIu64, member->id,
			 raft->role == ROLE_LEADER ? "has a majority and commits"
									   : "learns that all is committed",
			 raft->commit_index);
	if (raft->configuration.index != member->told.configuration)
		tell_configuration(model, member);
	tell_forget(member);
}

/* But for the receiver, and for what was sent to it alone. */
static bool
is_same(const RaftMessage *one, const RaftMessage *other)
{
	return one->kind == other->kind && one->index == other->index &&
		   one->last_index == other->last_index && one->reject == other->reject &&
		   one->term == other->term;
}

void
tell_update(Model *model, Member *member)
{
	const RaftUpdate *update = &model->update;
	bool told[RAFT_MESSAGES_MAX] = {false};

	if (model->tell == NULL)
	{
		tell_forget(member);
		return;
	}
	tell_state(model, member);
	for (uint32_t i = 0; i < update->message_count; i++)
	{
		char to[64] = "";
		size_t length = 0;

		for (uint32_t j = i; !told[i] && j < update->message_count; j++)
			if (is_same(&update->messages[i], &update->messages[j]))
			{
				if (j > i)
					told[j] = true;
				length += (size_t) snprintf(to + length, sizeof(to) - length, "%s%" PRIu64,
											length == 0 ? "" : ", ", update->messages[j].to);
			}
		if (!told[i])
			tell_message(model, member, &update->messages[i], to);
	}
}

static void
tell_append(Model *model, const Member *member, const RaftMessage *message, const char *to)
{
	char range[64];

	tell_range(range, sizeof(range), message->index + 1, message->last_index);
	if (message->last_index == message->index)
		tell(model,
			 "member %" PRIu64 " tells %s that all up to %" PRIu64
			 " is committed, and asks for entry %" PRIu64 " of term %" PRIu64,
			 member->id, to, message->commit_index, message->index, message->log_term);
	else
		tell(model, "member %" PRIu64 " sends %s %s, behind %" PRIu64 " of term %" PRIu64,
			 member->id, to, range, message->index, message->log_term);
}

static void
tell_answer(Model *model, const Member *member, const RaftMessage *message, const char *to,
			const char *waits)
{
	if (message->kind == MESSAGE_APPEND_ANSWER && !message->reject)
		tell(model, "member %" PRIu64 " acknowledges up to %" PRIu64 " to %s%s", member->id,
			 message->index, to, waits);
	else if (message->kind == MESSAGE_APPEND_ANSWER)
		tell(model,
			 "member %" PRIu64 " has not entry %" PRIu64
			 " as %s has it; their logs may be the same up "
			 "to %" PRIu64 ", here of term %" PRIu64 "%s",
			 member->id, message->refused_at, to, message->index, message->log_term, waits);
	else if (message->kind == MESSAGE_PRE_VOTE_ANSWER)
		tell(model, "member %" PRIu64 " would %svote for %s%s", member->id,
			 message->reject ? "not " : "", to, waits);
	else
		tell(model, "member %" PRIu64 " %s %s in term %" PRIu64 "%s", member->id,
			 message->reject ? "does not vote for" : "votes for", to, message->term, waits);
}

static void
tell_message(Model *model, const Member *member, const RaftMessage *message, const char *to)
{
	const char *waits = "";

	if (message->depends_on > member->flushed && member->is_stalled)
		waits = "; that waits for its disk";
	switch (message->kind)
	{
		case MESSAGE_PRE_VOTE:
		case MESSAGE_VOTE:
			tell(model,
				 "member %" PRIu64 " asks %s for %s for term %" PRIu64 " (its last entry: %" PRIu64
				 " of term %" PRIu64 ")%s%s",
				 member->id, to, message->kind == MESSAGE_VOTE ? "votes" : "pre-votes",
				 message->term, message->index, message->log_term,
				 message->transfer ? ", as the leader wants it" : "", waits);
			break;
		case MESSAGE_APPEND:
			tell_append(model, member, message, to);
			break;
		case MESSAGE_PRE_VOTE_ANSWER:
		case MESSAGE_VOTE_ANSWER:
		case MESSAGE_APPEND_ANSWER:
			tell_answer(model, member, message, to, waits);
			break;
		case MESSAGE_TIMEOUT_NOW:
			tell(model, "member %" PRIu64 " tells %s to stand for election at once", member->id,
				 to);
			break;
		case MESSAGE_SNAPSHOT:
			tell(model, "member %" PRIu64 " offers %s its state as of entry %" PRIu64, member->id,
				 to, message->index);
			break;
		case MESSAGE_HEARTBEAT_ANSWER:
			if (member->raft.leader_id != message->to)
				tell(model, "member %" PRIu64 " answers %s, which is behind, with term %" PRIu64,
					 member->id, to, message->term);
			break;
		default:
			break;
	}
}

void
tell_lost(Model *model, const RaftMessage *message)
{
	static const char *const names[] = {"question for a pre-vote",
										"answer to it",
										"question for a vote",
										"answer to it",
										"entries",
										"acknowledgement",
										"heartbeat",
										"answer to it",
										"read",
										"answer to it",
										"call to an election",
										"offer of a state"};

	if (message->kind != MESSAGE_HEARTBEAT && message->kind != MESSAGE_HEARTBEAT_ANSWER)
		tell(model, "  (lost: %" PRIu64 " to %" PRIu64 ", %s)", message->from, message->to,
			 names[message->kind]);
}
