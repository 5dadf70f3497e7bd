/*
 * scenario.c
 *	  Driving the core's model by hand.
 *
 * test/sim/scenario.c
 */
#include "scenario.h"

#include <stdarg.h>

void
scenario_begin(Scenario *scenario, uint32_t voters)
{
	Model *model = scenario->model;

	memset(scenario->refusals, 0, sizeof(scenario->refusals));
	model_reset(model, 4);
	model_bootstrap(model, voters);
	model->next_value = UINT64_C(1) << 40; /* values below are of logs that were given */
	model->options = (RaftOptions){.election_ticks = ELECTION_TICKS,
								   .ill_ticks = 2 * ELECTION_TICKS,
								   .window_bytes = 8192,
								   .message_bytes = 2048};
	for (uint64_t id = 1; id <= voters; id++)
		give_log(scenario, id, TERMS(1), 1);
}

void
begin_led(Scenario *scenario, uint32_t voters, uint64_t last)
{
	FILE *tells = scenario->model->tell;

	scenario->model->tell = NULL;
	scenario_begin(scenario, voters);
	start_members(scenario, 1, last);
	stand_for_election(scenario, 1);
	settle(scenario);
	scenario->model->tell = tells;
	REQUIRE(scenario, core_of(scenario, 1)->role == ROLE_LEADER);
	say(scenario,
		"Of members 1 to %" PRIu32 ", member 1 leads term 2; all have entry 2, its first one.",
		voters);
}

void
quietly(Scenario *scenario, void (*play)(Scenario *scenario))
{
	FILE *tells = scenario->model->tell;

	scenario->model->tell = NULL;
	play(scenario);
	scenario->model->tell = tells;
}

void
say(Scenario *scenario, const char *format, ...)
{
	FILE *tells = scenario->model->tell;
	va_list arguments;
	char text[400];
	size_t column = 0;

	if (tells == NULL)
		return;
	va_start(arguments, format);
	(void) vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
	{
		bool wraps = column + strlen(word) > 100;

		(void) fprintf(tells, "%s%s", column == 0 || wraps ? "\n" : " ", word);
		column = (wraps ? 0 : column) + strlen(word) + 1;
	}
	(void) fputc('\n', tells);
}

uint64_t
term_of_entry(Scenario *scenario, uint64_t id, uint64_t index)
{
	const Member *member = model_member(scenario->model, id);
	Entry entry = {0};

	(void) core_log_entry(member, member->count, index, &entry);
	return entry.term;
}

void
give_log(Scenario *scenario, uint64_t id, const uint64_t *terms, uint64_t term)
{
	Member *member = model_member(scenario->model, id);

	core_log_cut(member, 0);
	core_log_add(member, (Record){.entry.term = term, .hard_state.term = term});
	core_log_close_batch(member);
	for (uint64_t i = 0; terms[i] != 0; i++)
	{
		core_log_add(member, (Record){.index = i + 1,
									  .entry = {.term = terms[i], .value = 1000 * terms[i] + i}});
		core_log_close_batch(member);
	}
	member->flushed = member->position;
}

/* What it has to do now, its disk too. */
static void
finish(Scenario *scenario, Member *member)
{
	model_end_turn(scenario->model, member);
	while (!member->is_stalled && member->flushed < member->position)
	{
		model_flush(scenario->model, member, member->position);
		model_end_turn(scenario->model, member);
	}
}

void
start(Scenario *scenario, uint64_t id)
{
	Member *member = model_member(scenario->model, id);

	scenario->model->now++;
	while (member->inbox.count > 0)
		model_drop(member, 0);
	model_start(scenario->model, member);
	tell(scenario->model,
		 "member %" PRIu64 " starts: term %" PRIu64 ", log to %" PRIu64 " of term %" PRIu64, id,
		 core_of(scenario, id)->hard_state.term, core_of(scenario, id)->last_index,
		 core_of(scenario, id)->last_term);
}

void
start_members(Scenario *scenario, uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++)
		start(scenario, id);
}

void
crash(Scenario *scenario, uint64_t id)
{
	Member *member = model_member(scenario->model, id);

	scenario->model->now++;
	model_crash(scenario->model, member, 0);
	tell(scenario->model, "member %" PRIu64 " crashes", id);
}

void
return_with(Scenario *scenario, uint64_t id, size_t records)
{
	Member *member = model_member(scenario->model, id);

	core_log_cut(member, records);
	member->position = member->flushed = member->log[records - 1].end;
	start(scenario, id);
}

void
stall(Scenario *scenario, uint64_t id, bool stalls)
{
	Member *member = model_member(scenario->model, id);

	scenario->model->now++;
	tell(scenario->model, "the disk of member %" PRIu64 " %s", id,
		 stalls ? "stands still" : "works again");
	member->is_stalled = stalls;
	finish(scenario, member);
}

void
part(Scenario *scenario, const uint64_t *some, const uint64_t *others)
{
	for (const uint64_t *a = some; *a != 0; a++)
		for (const uint64_t *b = others; *b != 0; b++)
			scenario->model->cut[*a - 1][*b - 1] = scenario->model->cut[*b - 1][*a - 1] = true;
}

void
reunite(Scenario *scenario)
{
	memset(scenario->model->cut, 0, sizeof(scenario->model->cut));
}

void
tick(Scenario *scenario, uint64_t id, uint32_t ticks)
{
	for (uint32_t i = 0; i < ticks; i++)
	{
		scenario->model->now++;
		model_step(scenario->model, model_member(scenario->model, id),
				   &(RaftEvent){.kind = RAFT_TICK});
		finish(scenario, model_member(scenario->model, id));
	}
}

void
wait_out(Scenario *scenario, const uint64_t *ids)
{
	for (; *ids != 0; ids++)
	{
		const Raft *raft = core_of(scenario, *ids);
		RaftRole role = raft->role;

		while (raft->role == ROLE_FOLLOWER && raft->leader_id != 0 &&
			   raft->elapsed < ELECTION_TICKS)
			tick(scenario, *ids, 1);
		REQUIRE(scenario, raft->role == role);
	}
}

void
stand_for_election(Scenario *scenario, uint64_t id)
{
	const Raft *raft = core_of(scenario, id);

	do
		tick(scenario, id, 1);
	while (raft->elapsed != 0 && raft->elapsed < 2 * ELECTION_TICKS);
	REQUIRE(scenario, core_of(scenario, id)->elapsed == 0);
}

void
elect(Scenario *scenario, uint64_t id, const uint64_t *voters)
{
	wait_out(scenario, voters);
	stand_for_election(scenario, id);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, id)->role == ROLE_LEADER);
}

void
win(Scenario *scenario, uint64_t id, const uint64_t *voters)
{
	stand_for_election(scenario, id);
	for (int round = 0; round < 2; round++)
	{
		for (const uint64_t *voter = voters; *voter != 0; voter++)
			deliver(scenario, id, *voter);
		for (const uint64_t *voter = voters; *voter != 0; voter++)
			deliver(scenario, *voter, id);
	}
	REQUIRE(scenario, core_of(scenario, id)->role == ROLE_LEADER);
}

static void
deliver_place(Scenario *scenario, Member *member, size_t place)
{
	const RaftMessage *message = &member->inbox.packets[place]->message;

	if (message->kind == MESSAGE_APPEND_ANSWER && message->reject)
		scenario->refusals[message->from - 1]++;
	scenario->model->now++;
	model_receive(scenario->model, member, place);
	finish(scenario, member);
}

/* The place of the oldest message from there, or the number of all. */
static size_t
oldest_from(const Member *member, uint64_t from)
{
	size_t place = 0;

	while (place < member->inbox.count && member->inbox.packets[place]->message.from != from)
		place++;
	return place;
}

void
deliver(Scenario *scenario, uint64_t from, uint64_t to)
{
	Member *member = model_member(scenario->model, to);
	size_t place = oldest_from(member, from);

	REQUIRE(scenario, place < member->inbox.count);
	if (place < member->inbox.count)
		deliver_place(scenario, member, place);
}

void
drop(Scenario *scenario, uint64_t from, uint64_t to)
{
	Member *member = model_member(scenario->model, to);

	for (size_t place; (place = oldest_from(member, from)) < member->inbox.count;)
	{
		tell_lost(scenario->model, &member->inbox.packets[place]->message);
		model_drop(member, place);
	}
}

/* False: nothing can be delivered to it. */
static bool
deliver_next(Scenario *scenario, Member *member)
{
	if (!member->is_alive || member->inbox.count == 0)
		return false;
	deliver_place(scenario, member, 0);
	return true;
}

void
settle(Scenario *scenario)
{
	bool any = true;

	for (unsigned round = 0; any; round++)
	{
		REQUIRE(scenario, round < 1000);
		if (scenario->failed != NULL)
			return;
		any = false;
		for (uint64_t id = 1; id <= MEMBERS; id++)
			any |= deliver_next(scenario, model_member(scenario->model, id));
	}
}

void
propose(Scenario *scenario, uint64_t id, uint32_t count)
{
	Member *member = model_member(scenario->model, id);

	for (uint32_t i = 0; i < count; i++)
	{
		scenario->model->now++;
		REQUIRE(scenario, model_propose(scenario->model, member, NULL) == RUSD_OK);
		finish(scenario, member);
	}
}

Status
propose_change(Scenario *scenario, uint64_t id, RaftChangeKind kind, uint64_t member_id)
{
	Member *member = model_member(scenario->model, id);
	RaftChange change = {
		.kind = kind, .member_id = member_id, .judged_at = member->raft.configuration.index};
	char text[64];
	Status status;

	scenario->model->now++;
	status = model_propose(scenario->model, member, &change);
	tell_change(text, sizeof(text), &change);
	if (status != RUSD_OK)
		tell(scenario->model, "member %" PRIu64 " refuses a change%s: %s", id, text,
			 status == RUSD_AGAIN ? "not now" : "it is not allowed");
	finish(scenario, member);
	return status;
}

Status
transfer(Scenario *scenario, uint64_t id, uint64_t to)
{
	Member *member = model_member(scenario->model, id);
	Status status;

	scenario->model->now++;
	tell(scenario->model, "member %" PRIu64 " is asked to hand over to %" PRIu64, id, to);
	model_step(scenario->model, member, &(RaftEvent){.kind = RAFT_TRANSFER, .member = to});
	status = scenario->model->update.propose_status;
	finish(scenario, member);
	return status;
}
