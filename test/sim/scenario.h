/*
 * scenario.h
 *	  Named scenarios of the core: its model, driven by hand.
 *
 * Nothing happens by itself.  After whatever a member does, its disk writes what it has, unless it stalls, and
 * what waited for that leaves.  Messages lie in front of their receiver until they are delivered.
 *
 * test/sim/scenario.h
 */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "coremodel.h"

typedef struct Scenario
{
	Model *model;
	uint32_t refusals[MEMBERS]; /* of appends, that were delivered, by the one that refused */
	const char *failed;         /* the condition that did not hold first */
} Scenario;

/* What a scenario is to show, besides its text. */
#define REQUIRE(scenario, condition)                                                               \
	do                                                                                             \
	{                                                                                              \
		if ((scenario)->failed == NULL && !(condition))                                            \
			(scenario)->failed = #condition;                                                       \
	} while (0)

#define MEMBER_IDS(...) ((const uint64_t[]){__VA_ARGS__, 0})
#define TERMS(...) ((const uint64_t[]){__VA_ARGS__, 0})
#define ELECTION_TICKS 10

/* So many voters, each with one entry of term 1, not started. */
extern void scenario_begin(Scenario *scenario, uint32_t voters);
/* The same with members started, up to last, and member 1 the leader of term 2; only this is told. */
extern void begin_led(Scenario *scenario, uint32_t voters, uint64_t last);
/* What was told before, without telling it again. */
extern void quietly(Scenario *scenario, void (*play)(Scenario *scenario));
/* A line of the narrator. */
extern void say(Scenario *scenario, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline Raft *
core_of(Scenario *scenario, uint64_t id)
{
	return &model_member(scenario->model, id)->raft;
}
extern uint64_t term_of_entry(Scenario *scenario, uint64_t id, uint64_t index);

/* Its log before it starts: terms of entries 1 to n, up to a 0; and the term that it knows of. */
extern void give_log(Scenario *scenario, uint64_t id, const uint64_t *terms, uint64_t term);
extern void start(Scenario *scenario, uint64_t id);
extern void start_members(Scenario *scenario, uint64_t first, uint64_t last);
/* What was not flushed is lost. */
extern void crash(Scenario *scenario, uint64_t id);
/* It comes back with the first records of its log, as if its disk were an older copy. */
extern void return_with(Scenario *scenario, uint64_t id, size_t records);
extern void stall(Scenario *scenario, uint64_t id, bool stalls);
/* Messages between the groups are lost; up to a 0. */
extern void part(Scenario *scenario, const uint64_t *some, const uint64_t *others);
extern void reunite(Scenario *scenario);

extern void tick(Scenario *scenario, uint64_t id, uint32_t ticks);
/* Whoever of them follows a leader does not hear it for an election timeout; none stands for election in it. */
extern void wait_out(Scenario *scenario, const uint64_t *ids);
/* Time passes for it until it does. */
extern void stand_for_election(Scenario *scenario, uint64_t id);
/* Nobody else hears a leader; it stands, and everything is delivered. */
extern void elect(Scenario *scenario, uint64_t id, const uint64_t *voters);
extern void deliver(Scenario *scenario, uint64_t from, uint64_t to);
extern void drop(Scenario *scenario, uint64_t from, uint64_t to);
/* Everything that can be delivered is, and what follows from it. */
extern void settle(Scenario *scenario);
extern void propose(Scenario *scenario, uint64_t id, uint32_t count);
extern Status propose_change(Scenario *scenario, uint64_t id, RaftChangeKind kind,
							 uint64_t member_id);
extern Status transfer(Scenario *scenario, uint64_t id, uint64_t to);

/* It stands, and only those answer, both times; it leads then, and what it says next lies there. */
extern void win(Scenario *scenario, uint64_t id, const uint64_t *voters);

/* ---- logplays.c: logs and disks ---------------------------------------------------------------- */
extern void scenario_figure_7(Scenario *scenario);
extern void scenario_figure_8(Scenario *scenario);
extern void scenario_higher_term_shorter_log(Scenario *scenario);
extern void scenario_leader_with_stalled_disk(Scenario *scenario);
extern void scenario_stalled_voter(Scenario *scenario);
extern void scenario_returns_with_less(Scenario *scenario);

/* ---- memberplays.c: changes of members ---------------------------------------------------------- */
extern void scenario_membership_bug(Scenario *scenario);
extern void scenario_removed_member_campaigns(Scenario *scenario);
extern void scenario_unknown_candidate(Scenario *scenario);
extern void scenario_transfer_during_change(Scenario *scenario);
extern void scenario_commit_travels_with_votes(Scenario *scenario);

#endif /* SCENARIO_H */
