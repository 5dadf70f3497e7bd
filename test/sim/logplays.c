/*
 * logplays.c
 *	  Scenarios of the core: logs that differ, disks that stand still or have lost something.
 *
 * "Figure" is one of "In Search of an Understandable Consensus Algorithm" (2014).
 *
 * test/sim/logplays.c
 */
#include "scenario.h"

void
scenario_figure_7(Scenario *scenario)
{
	static const uint64_t logs[MEMBERS][13] = {{1, 1, 1, 4, 4, 5, 5, 6, 6, 6},
											   {1, 1, 1, 4, 4, 5, 5, 6, 6},
											   {1, 1, 1, 4},
											   {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6},
											   {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7},
											   {1, 1, 1, 4, 4, 4, 4},
											   {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3}};
	static const uint64_t terms[MEMBERS] = {7, 6, 4, 6, 7, 4, 3};

	scenario_begin(scenario, MEMBERS);
	say(scenario, "Member 1 has the log of the new leader, members 2 to 7 those of followers a to "
				  "f: with entries missing, with some too many, with both.");
	for (uint64_t id = 1; id <= MEMBERS; id++)
		give_log(scenario, id, logs[id - 1], terms[id - 1]);
	start_members(scenario, 1, MEMBERS);
	say(scenario,
		"Member 1 stands for election.  The logs of 4 and 5 are better, the others elect it.");
	elect(scenario, 1, MEMBER_IDS(2, 3, 4, 5, 6, 7));
	for (uint64_t id = 1; id <= MEMBERS; id++)
	{
		for (uint64_t index = 1; index <= 10; index++)
			REQUIRE(scenario, term_of_entry(scenario, id, index) == logs[0][index - 1]);
		REQUIRE(scenario, term_of_entry(scenario, id, 11) == 8);
		REQUIRE(scenario, core_of(scenario, id)->last_index == 11);
		REQUIRE(scenario, core_of(scenario, id)->commit_index == 11);
		/* One for each term that differs at most, not one for each entry. */
		REQUIRE(scenario, scenario->refusals[id - 1] <= 1);
	}
	say(scenario, "All have the log of member 1; each refused once at most.");
}

/* Up to the point where entry 2 of term 2 is on a majority, in term 4. */
static void
figure_8_begins(Scenario *scenario)
{
	scenario_begin(scenario, 5);
	scenario->model->carried_entries = 1;
	say(scenario, "Five members; each has entry 1 of term 1.");
	start_members(scenario, 1, 5);
	say(scenario, "(a) Member 1 leads term 2; its entry 2 reaches only member 2.");
	win(scenario, 1, MEMBER_IDS(2, 3, 4, 5));
	for (uint64_t id = 3; id <= 5; id++)
		drop(scenario, 1, id);
	deliver(scenario, 1, 2);
	say(scenario,
		"(b) It crashes.  Member 5 is elected by 3 and 4, writes another entry 2, and crashes.");
	crash(scenario, 1);
	win(scenario, 5, MEMBER_IDS(3, 4));
	for (uint64_t id = 1; id <= 4; id++)
		drop(scenario, 5, id);
	crash(scenario, 5);
	say(scenario, "(c) Member 1 is back, learns of term 3, is elected in term 4, and goes on to "
				  "replicate entry 2.");
	start(scenario, 1);
	wait_out(scenario, MEMBER_IDS(2, 3));
	stand_for_election(scenario, 1);
	deliver(scenario, 1, 3);
	deliver(scenario, 3, 1);
	drop(scenario, 1, 2);
	drop(scenario, 1, 4);
	win(scenario, 1, MEMBER_IDS(2, 3));
	drop(scenario, 1, 4);
	deliver(scenario, 1, 2);
	deliver(scenario, 2, 1);
	deliver(scenario, 1, 3);
	deliver(scenario, 3, 1);
	deliver(scenario, 1, 3);
	deliver(scenario, 3, 1);
	for (uint64_t id = 1; id <= 3; id++)
		REQUIRE(scenario, term_of_entry(scenario, id, 2) == 2);
	REQUIRE(scenario, term_of_entry(scenario, 3, 3) == 0);
	REQUIRE(scenario, core_of(scenario, 1)->commit_index == 0);
	say(scenario, "Entry 2 of term 2 is now on 1, 2 and 3, which is a majority, and the leader "
				  "knows it: it is not committed.");
}

void
scenario_figure_8(Scenario *scenario)
{
	figure_8_begins(scenario);
	say(scenario,
		"(d) Member 1 crashes.  Member 5 is back, and 3 and 4 elect it: entry 2 of term 2 goes.");
	crash(scenario, 1);
	for (uint64_t id = 2; id <= 4; id++)
		drop(scenario, 1, id);
	start(scenario, 5);
	wait_out(scenario, MEMBER_IDS(2, 3));
	stand_for_election(scenario, 5);
	settle(scenario);
	elect(scenario, 5, MEMBER_IDS(3, 4));
	for (uint64_t id = 2; id <= 5; id++)
		REQUIRE(scenario, term_of_entry(scenario, id, 2) == 3);
	REQUIRE(scenario, core_of(scenario, 5)->commit_index == 3);

	quietly(scenario, figure_8_begins);
	say(scenario, "(e) Or else, after (c), entry 3, of its own term, reaches member 3 too: with "
				  "it, all before is committed.");
	deliver(scenario, 1, 3);
	deliver(scenario, 3, 1);
	REQUIRE(scenario, core_of(scenario, 1)->commit_index == 3);
	say(scenario, "Member 1 crashes.  Member 5 is back, but can no longer be elected.");
	crash(scenario, 1);
	start(scenario, 5);
	wait_out(scenario, MEMBER_IDS(2, 3));
	stand_for_election(scenario, 5);
	settle(scenario);
	stand_for_election(scenario, 5);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 5)->role != ROLE_LEADER);
	say(scenario, "Member 3 can.");
	elect(scenario, 3, MEMBER_IDS(2, 4, 5));
	for (uint64_t id = 2; id <= 5; id++)
		REQUIRE(scenario, term_of_entry(scenario, id, 2) == 2);
}

void
scenario_higher_term_shorter_log(Scenario *scenario)
{
	scenario_begin(scenario, 3);
	say(scenario, "Member 3 has seen term 9, but its log is shorter; members 1 and 2 know nothing "
				  "of that term.");
	give_log(scenario, 1, TERMS(1, 1, 2, 2), 3);
	give_log(scenario, 2, TERMS(1, 1, 2, 2), 3);
	give_log(scenario, 3, TERMS(1, 1), 9);
	start_members(scenario, 1, 3);
	part(scenario, MEMBER_IDS(3), MEMBER_IDS(1, 2));
	elect(scenario, 1, MEMBER_IDS(2));
	say(scenario, "Member 3 is reached again.  It cannot follow a leader of term 4, and says so; a "
				  "leader of a higher term is elected.");
	reunite(scenario);
	tick(scenario, 1, 1);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 1)->role == ROLE_FOLLOWER);
	elect(scenario, 1, MEMBER_IDS(2, 3));
	REQUIRE(scenario, core_of(scenario, 1)->hard_state.term == 10);
	REQUIRE(scenario, core_of(scenario, 3)->commit_index == core_of(scenario, 1)->commit_index);
	say(scenario, "Member 3 is cut off once more, for five election timeouts: it asks in vain, and "
				  "its term stays.");
	part(scenario, MEMBER_IDS(3), MEMBER_IDS(1, 2));
	for (int i = 0; i < 5; i++)
		stand_for_election(scenario, 3);
	propose(scenario, 1, 1);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 3)->hard_state.term == 10);
	say(scenario,
		"It is reached again and asks once more: who hears a leader does not even answer.");
	reunite(scenario);
	stand_for_election(scenario, 3);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 1)->role == ROLE_LEADER);
	say(scenario, "A tick later it follows.");
	tick(scenario, 1, 1);
	settle(scenario);
	tick(scenario, 1, 3);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 1)->hard_state.term == 10);
	REQUIRE(scenario, core_of(scenario, 3)->leader_id == 1);
	REQUIRE(scenario, core_of(scenario, 3)->commit_index == core_of(scenario, 1)->commit_index);
}

void
scenario_leader_with_stalled_disk(Scenario *scenario)
{
	const Raft *leader = core_of(scenario, 1);

	begin_led(scenario, 3, 3);
	say(scenario, "The leader's disk stands still.  It commits with the disks of the others.");
	stall(scenario, 1, true);
	propose(scenario, 1, 2);
	settle(scenario);
	REQUIRE(scenario, leader->commit_index == 4);
	REQUIRE(scenario, leader->commit_position > leader->flushed);
	say(scenario, "More than an election timeout passes; its heartbeats go on, so nobody stands "
				  "for election.");
	for (uint32_t i = 0; i < ELECTION_TICKS + 5; i++)
	{
		for (uint64_t id = 1; id <= 3; id++)
			tick(scenario, id, 1);
		settle(scenario);
	}
	REQUIRE(scenario, leader->role == ROLE_LEADER && leader->hard_state.term == 2);
	propose(scenario, 1, 1);
	settle(scenario);
	REQUIRE(scenario, leader->commit_index == 5);
	say(scenario, "Twenty ticks without a flush: it hands over.");
	for (uint32_t i = 0; i < 2 * ELECTION_TICKS && leader->role == ROLE_LEADER; i++)
	{
		tick(scenario, 1, 1);
		settle(scenario);
	}
	REQUIRE(scenario, leader->role == ROLE_FOLLOWER);
	REQUIRE(scenario, core_of(scenario, 2)->role == ROLE_LEADER);
	say(scenario, "The new leader goes on with 3; what 1 would acknowledge waits for its disk.");
	propose(scenario, 2, 1);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 2)->commit_index == 7);
	REQUIRE(scenario, core_of(scenario, 2)->progress[0].match == 0);
	stall(scenario, 1, false);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 2)->progress[0].match == 7);
}

static void
stalled_before(Scenario *scenario)
{
	begin_led(scenario, 3, 3);
	say(scenario, "The disk of member 3 stands still, for more than an election timeout, with "
				  "entry 3 unwritten.");
	stall(scenario, 3, true);
	propose(scenario, 1, 1);
	settle(scenario);
	for (uint32_t i = 0; i <= ELECTION_TICKS; i++)
	{
		tick(scenario, 1, 1);
		settle(scenario);
		tick(scenario, 3, 1);
	}
	say(scenario, "The leader crashes.  Member 2 would need the vote of 3, which could not make it "
				  "durable: no pre-vote, so no term is spent on an election that cannot succeed.");
	crash(scenario, 1);
	wait_out(scenario, MEMBER_IDS(3));
	stand_for_election(scenario, 2);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 2)->hard_state.term == 2);
	REQUIRE(scenario, core_of(scenario, 3)->hard_state.term == 2);
	say(scenario, "The disk works again, as it notices at its next tick.");
	stall(scenario, 3, false);
	tick(scenario, 3, 1);
	stand_for_election(scenario, 2);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 2)->role == ROLE_LEADER);
}

void
scenario_stalled_voter(Scenario *scenario)
{
	stalled_before(scenario);
	say(scenario,
		"Another time, the disk of member 3 stands still in the moment when it is asked to vote.");
	begin_led(scenario, 3, 3);
	crash(scenario, 1);
	wait_out(scenario, MEMBER_IDS(3));
	stand_for_election(scenario, 2);
	deliver(scenario, 2, 3);
	deliver(scenario, 3, 2);
	stall(scenario, 3, true);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 3)->hard_state.vote == 2);
	REQUIRE(scenario, core_of(scenario, 2)->role == ROLE_CANDIDATE);
	say(scenario, "It crashes, and does not know that it voted; nobody was told that it had.");
	crash(scenario, 3);
	start(scenario, 3);
	REQUIRE(scenario, core_of(scenario, 3)->hard_state.term == 2);
	say(scenario, "Member 2 asks again.");
	elect(scenario, 2, MEMBER_IDS(3));
	REQUIRE(scenario, core_of(scenario, 2)->hard_state.term == 4);
}

/* Entries 3 and 4 are committed by 1 and 2; then 2 has only entry 1. */
static void
loses_its_log(Scenario *scenario)
{
	begin_led(scenario, 3, 3);
	scenario->model->logs_may_be_lost = true;
	say(scenario, "Members 1 and 2 commit two entries without 3.");
	part(scenario, MEMBER_IDS(3), MEMBER_IDS(1, 2));
	propose(scenario, 1, 2);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 1)->commit_index == 4);
	say(scenario, "Member 2 comes back with an older copy of its disk.");
	crash(scenario, 2);
}

void
scenario_returns_with_less(Scenario *scenario)
{
	loses_its_log(scenario);
	return_with(scenario, 2, 2);
	tick(scenario, 1, 1);
	settle(scenario);
	REQUIRE(scenario, model_member(scenario->model, 1)->finds_lost == 2);
	say(scenario, "Its leader knows better, and counts nothing that it says.");
	propose(scenario, 1, 1);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 1)->commit_index == 4);
	say(scenario, "With member 3, there is a majority of members that have kept their word.");
	reunite(scenario);
	tick(scenario, 1, 1);
	settle(scenario);
	for (int i = 0; i < 5; i++)
	{
		tick(scenario, 1, 1);
		settle(scenario);
	}
	REQUIRE(scenario, core_of(scenario, 1)->commit_index == 5);
	REQUIRE(scenario, core_of(scenario, 3)->commit_index == 5);

	say(scenario, "Another time the leader crashes as well, before it has heard of it.  Members 2 "
				  "and 3 cannot know what 2 had acknowledged: no algorithm that relies on a "
				  "majority of disks survives that.");
	quietly(scenario, loses_its_log);
	crash(scenario, 1);
	return_with(scenario, 2, 2);
	reunite(scenario);
	elect(scenario, 3, MEMBER_IDS(2));
	say(scenario, "The checker: %s.", scenario->model->failure);
	REQUIRE(scenario, strstr(scenario->model->failure, "without committed entry") != NULL);
	scenario->model->failure[0] = '\0';
}
