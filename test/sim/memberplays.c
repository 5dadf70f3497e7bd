/*
 * memberplays.c
 *	  Scenarios of the core: changes of members.
 *
 * test/sim/memberplays.c
 */
#include "scenario.h"

static bool
has_member(Scenario *scenario, uint64_t id, uint64_t member_id)
{
	const RaftConfiguration *configuration = &core_of(scenario, id)->configuration;

	return raft_configuration_find(configuration, member_id) < configuration->member_count;
}

/*
 * "bug in single-server membership changes" (Ongaro, raft-dev, 2015): two leaders with changes of
 * different parents, whose majorities do not meet.
 */
void
scenario_membership_bug(Scenario *scenario)
{
	begin_led(scenario, 4, 5);
	say(scenario,
		"Member 1, cut off from 2, 3 and 4, adds member 5 in its log.  With the algorithm as it "
		"was published, it would count by that configuration from now on.");
	part(scenario, MEMBER_IDS(1, 5), MEMBER_IDS(2, 3, 4));
	REQUIRE(scenario, propose_change(scenario, 1, CHANGE_ADD_VOTER, 5) == RUSD_OK);
	settle(scenario);
	REQUIRE(scenario, !has_member(scenario, 1, 5));
	say(scenario, "Member 2 leads term 3, and is to remove member 1 at once.  Then the majority of "
				  "2, 3 and 4 would not meet that of 1, 4 and 5.  It refuses until an entry of its "
				  "term is committed.");
	wait_out(scenario, MEMBER_IDS(3, 4));
	win(scenario, 2, MEMBER_IDS(3, 4));
	REQUIRE(scenario, propose_change(scenario, 2, CHANGE_REMOVE, 1) == RUSD_AGAIN);
	settle(scenario);
	say(scenario, "Now member 4, too, has an entry of term 3.");
	REQUIRE(scenario, propose_change(scenario, 2, CHANGE_REMOVE, 1) == RUSD_OK);
	settle(scenario);
	REQUIRE(scenario, !has_member(scenario, 2, 1));
	say(scenario, "Member 1 has noticed that it is alone.  It reaches 4 and 5 and stands for "
				  "election, twice: member 4 has the better log.");
	tick(scenario, 1, 2 * ELECTION_TICKS);
	reunite(scenario);
	part(scenario, MEMBER_IDS(1, 4, 5), MEMBER_IDS(2, 3));
	wait_out(scenario, MEMBER_IDS(4));
	for (int i = 0; i < 2; i++)
	{
		stand_for_election(scenario, 1);
		settle(scenario);
		REQUIRE(scenario, core_of(scenario, 1)->role != ROLE_LEADER);
	}
	say(scenario, "Once all is whole again, member 2 leads on.");
	reunite(scenario);
	propose(scenario, 2, 1);
	settle(scenario);
	for (uint64_t id = 2; id <= 4; id++)
	{
		REQUIRE(scenario, term_of_entry(scenario, id, 3) == 3);
		REQUIRE(scenario, !has_member(scenario, id, 5) && !has_member(scenario, id, 1));
	}
}

void
scenario_removed_member_campaigns(Scenario *scenario)
{
	begin_led(scenario, 3, 3);
	say(scenario, "Member 3 is removed while it is cut off: it does not learn of it.");
	part(scenario, MEMBER_IDS(3), MEMBER_IDS(1, 2));
	REQUIRE(scenario, propose_change(scenario, 1, CHANGE_REMOVE, 3) == RUSD_OK);
	settle(scenario);
	REQUIRE(scenario, !has_member(scenario, 1, 3) && has_member(scenario, 3, 3));
	say(scenario, "It can be reached again, hears no leader, and asks for votes, time and again.");
	reunite(scenario);
	for (int i = 0; i < 4; i++)
	{
		stand_for_election(scenario, 3);
		settle(scenario);
		tick(scenario, 1, 1);
		settle(scenario);
	}
	for (uint64_t id = 1; id <= 3; id++)
		REQUIRE(scenario, core_of(scenario, id)->hard_state.term == 2);
	REQUIRE(scenario, core_of(scenario, 1)->role == ROLE_LEADER);
	say(scenario, "Without a leader that is heard, its log is too short.");
	crash(scenario, 1);
	wait_out(scenario, MEMBER_IDS(2));
	stand_for_election(scenario, 3);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 3)->role != ROLE_LEADER);
	REQUIRE(scenario, core_of(scenario, 2)->hard_state.term == 2);
	start(scenario, 1);
	elect(scenario, 2, MEMBER_IDS(1));
}

void
scenario_unknown_candidate(Scenario *scenario)
{
	begin_led(scenario, 3, 4);
	say(scenario, "Member 4 is added while 2 is cut off.");
	part(scenario, MEMBER_IDS(2), MEMBER_IDS(1, 3, 4));
	REQUIRE(scenario, propose_change(scenario, 1, CHANGE_ADD_VOTER, 4) == RUSD_OK);
	settle(scenario);
	tick(scenario, 1, 1);
	settle(scenario);
	REQUIRE(scenario, has_member(scenario, 4, 4));
	say(scenario, "The leader crashes.  Of four voters three are needed: 4 must have the vote of "
				  "2, which has never heard of it.");
	crash(scenario, 1);
	reunite(scenario);
	wait_out(scenario, MEMBER_IDS(2, 3));
	stand_for_election(scenario, 4);
	REQUIRE(scenario, !has_member(scenario, 2, 4));
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 4)->role == ROLE_LEADER);
	REQUIRE(scenario, has_member(scenario, 2, 4));
}

void
scenario_transfer_during_change(Scenario *scenario)
{
	begin_led(scenario, 3, 4);
	say(scenario, "Member 1 has a change in its log that nobody else has, when it is asked to hand "
				  "over.  No further change begins.");
	REQUIRE(scenario, propose_change(scenario, 1, CHANGE_ADD_LEARNER, 4) == RUSD_OK);
	REQUIRE(scenario, transfer(scenario, 1, 2) == RUSD_OK);
	REQUIRE(scenario, propose_change(scenario, 1, CHANGE_REMOVE, 3) == RUSD_AGAIN);
	say(scenario, "Member 2 first gets the whole log; with the word that it shall stand for "
				  "election it learns what is committed, so it counts votes by the same members.");
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 2)->role == ROLE_LEADER);
	REQUIRE(scenario, has_member(scenario, 1, 4) && has_member(scenario, 2, 4));
	say(scenario, "Member 2 is to hand over to 3, whose removal is in its log.");
	REQUIRE(scenario, propose_change(scenario, 2, CHANGE_REMOVE, 3) == RUSD_OK);
	drop(scenario, 2, 3);
	REQUIRE(scenario, transfer(scenario, 2, 3) == RUSD_OK);
	REQUIRE(scenario, core_of(scenario, 2)->transfer_to == 3);
	say(scenario, "When 3 is no member any more, nothing is handed over.");
	deliver(scenario, 2, 1);
	deliver(scenario, 1, 2);
	REQUIRE(scenario, !has_member(scenario, 2, 3));
	REQUIRE(scenario, core_of(scenario, 2)->transfer_to == 0);
	propose(scenario, 2, 1);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 2)->role == ROLE_LEADER);
	REQUIRE(scenario, core_of(scenario, 1)->commit_index == core_of(scenario, 2)->last_index);
}

/* Member 4 is removed; 3 knows that this is committed and 2 does not, but 2 has the longer log. */
static void
removal_half_known(Scenario *scenario)
{
	begin_led(scenario, 4, 4);
	say(scenario, "Member 4 is gone for ever, and is removed.  2 and 3 have the entry, and 2 "
				  "another one behind it.");
	crash(scenario, 4);
	REQUIRE(scenario, propose_change(scenario, 1, CHANGE_REMOVE, 4) == RUSD_OK);
	deliver(scenario, 1, 2);
	deliver(scenario, 1, 3);
	propose(scenario, 1, 1);
	deliver(scenario, 1, 2);
	drop(scenario, 1, 3);
	deliver(scenario, 2, 1);
	drop(scenario, 2, 1);
	deliver(scenario, 3, 1);
	REQUIRE(scenario, core_of(scenario, 1)->configuration.index == 3);
	say(scenario,
		"Of members 2 and 3 only 3 hears that the removal is committed.  Then the leader crashes.");
	drop(scenario, 1, 2);
	drop(scenario, 1, 3);
	tick(scenario, 1, 1);
	drop(scenario, 1, 2);
	deliver(scenario, 1, 3);
	crash(scenario, 1);
	REQUIRE(scenario, core_of(scenario, 3)->configuration.index == 3);
	REQUIRE(scenario, core_of(scenario, 2)->configuration.index == 0);
}

void
scenario_commit_travels_with_votes(Scenario *scenario)
{
	removal_half_known(scenario);
	say(scenario, "Members 2 and 3 are a majority of three.  3 cannot be elected, for the log of 2 "
				  "is longer.");
	wait_out(scenario, MEMBER_IDS(2, 3));
	stand_for_election(scenario, 3);
	deliver(scenario, 3, 2);
	deliver(scenario, 2, 3);
	REQUIRE(scenario, core_of(scenario, 3)->role != ROLE_CANDIDATE);
	say(scenario, "Had the question of member 3 been lost, 2 would know nothing still, and need "
				  "three votes of four.");
	quietly(scenario, removal_half_known);
	wait_out(scenario, MEMBER_IDS(3));
	stand_for_election(scenario, 2);
	deliver(scenario, 2, 3);
	REQUIRE(scenario, core_of(scenario, 2)->configuration.index == 0);
	say(scenario,
		"The answer of 3 tells it what is committed, and so of how many a majority is needed.");
	deliver(scenario, 3, 2);
	REQUIRE(scenario, core_of(scenario, 2)->configuration.index == 3);
	REQUIRE(scenario, core_of(scenario, 2)->role == ROLE_FOLLOWER);
	stand_for_election(scenario, 2);
	settle(scenario);
	REQUIRE(scenario, core_of(scenario, 2)->role == ROLE_LEADER);
	REQUIRE(scenario, core_of(scenario, 3)->commit_index == 5);
}
