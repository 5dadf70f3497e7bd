/*
 * test_raft.c
 *	  The consensus core with one voter: election, commitment by position, what it refuses.
 *
 * test/unit/test_raft.c
 */
#include "rusd.h"

#include "raft/raft.h"

#include "cmocka_all.h"

#define ME 0x11
#define SPANS 16

typedef struct World
{
	Raft raft;
	RaftSpan spans[SPANS];
	RaftConfiguration configuration;
	RaftUpdate update; /* of the last step */
} World;

static void
start_with(World *world, HardState hard_state, uint64_t last_index, uint64_t last_term)
{
	RaftStart start = {.member_id = ME,
					   .configuration = &world->configuration,
					   .hard_state = hard_state,
					   .last_index = last_index,
					   .last_term = last_term,
					   .log_end = 4096,
					   .commit_position = 4096,
					   .applied_index = hard_state.commit_index,
					   .spans = world->spans,
					   .span_capacity = SPANS};

	world->configuration = (RaftConfiguration){.index = 1, .member_count = 1, .members[0].id = ME};
	assert_int_equal(raft_init(&world->raft, &start), RUSD_OK);
}

static RaftUpdate *
step(World *world, RaftEvent event)
{
	memset(&world->update, 0, sizeof(world->update));
	raft_step(&world->raft, &event, &world->update);
	return &world->update;
}

#define TICK ((RaftEvent){.kind = RAFT_TICK})
#define PROPOSE ((RaftEvent){.kind = RAFT_PROPOSE})
#define APPENDED(i, p) ((RaftEvent){.kind = RAFT_APPENDED, .index = (i), .position = (p)})
#define HARD_STATE_APPENDED(i, p)                                                                  \
	((RaftEvent){.kind = RAFT_APPENDED, .index = (i), .position = (p), .hard_state = true})
#define FLUSHED(p) ((RaftEvent){.kind = RAFT_FLUSHED, .position = (p)})
#define APPLIED(i) ((RaftEvent){.kind = RAFT_APPLIED, .index = (i)})

/* Term 4, entry 11 is the first of the term and ends at 6000. */
static void
lead(World *world)
{
	start_with(world, (HardState){.term = 3, .vote = ME, .commit_index = 9, .commit_term = 3}, 10,
			   3);
	step(world, TICK);
	step(world, HARD_STATE_APPENDED(10, 5000));
	step(world, FLUSHED(5000));
	step(world, APPENDED(11, 6000));
	assert_int_equal(world->raft.role, ROLE_LEADER);
}

static void
the_only_voter_elects_itself_at_the_first_tick(void **state)
{
	World world;
	RaftUpdate *update;

	(void) state;
	start_with(&world, (HardState){.term = 3, .vote = 0, .commit_index = 9, .commit_term = 3}, 10,
			   3);
	assert_int_equal(world.raft.role, ROLE_FOLLOWER);
	update = step(&world, TICK);
	assert_true(update->role_changed);
	assert_int_equal(world.raft.role, ROLE_CANDIDATE);
	assert_int_equal(update->record_count, 1);
	assert_int_equal(update->records[0].kind, RAFT_RECORD_HARD_STATE);
	assert_int_equal(update->records[0].hard_state.term, 4);
	assert_int_equal(update->records[0].hard_state.vote, ME);
	assert_int_equal(update->records[0].hard_state.commit_index, 9);
	/* It does not campaign again while it waits for its disk. */
	assert_int_equal(step(&world, TICK)->record_count, 0);
	assert_int_equal(world.raft.hard_state.term, 4);
}

static void
its_vote_counts_only_when_it_is_durable(void **state)
{
	World world;
	RaftUpdate *update;

	(void) state;
	start_with(&world, (HardState){.term = 3, .commit_index = 10, .commit_term = 3}, 10, 3);
	step(&world, TICK);
	/* The log grows by something else than the hard state, and is flushed. */
	step(&world, APPENDED(10, 4608));
	step(&world, FLUSHED(4608));
	assert_int_equal(world.raft.role, ROLE_CANDIDATE);
	step(&world, HARD_STATE_APPENDED(10, 5000));
	assert_int_equal(world.raft.role, ROLE_CANDIDATE);
	step(&world, FLUSHED(4999));
	assert_int_equal(world.raft.role, ROLE_CANDIDATE);
	update = step(&world, FLUSHED(5000));
	assert_int_equal(world.raft.role, ROLE_LEADER);
	assert_int_equal(world.raft.leader_id, ME);
	assert_int_equal(update->record_count, 1);
	assert_int_equal(update->records[0].kind, RAFT_RECORD_EMPTY);
	assert_int_equal(update->records[0].index, 11);
	assert_int_equal(update->records[0].term, 4);
}

static void
nothing_is_committed_below_the_terms_first_entry(void **state)
{
	World world;
	RaftUpdate *update;

	(void) state;
	start_with(&world, (HardState){.term = 3, .commit_index = 7, .commit_term = 2}, 10, 3);
	step(&world, TICK);
	step(&world, HARD_STATE_APPENDED(10, 5000));
	update = step(&world, FLUSHED(5000));
	/* Entries 8 to 10 of an old term are durable on a majority, and not committed by that. */
	assert_false(update->committed);
	assert_int_equal(world.raft.commit_index, 7);
	assert_int_equal(world.raft.ceiling, 0);
	assert_int_equal(world.raft.floor, 0);

	update = step(&world, APPENDED(11, 6000));
	assert_true(update->bounds_changed);
	assert_int_equal(world.raft.ceiling, 6000);
	assert_int_equal(world.raft.floor, 6000);
	step(&world, FLUSHED(5999));
	assert_int_equal(world.raft.commit_index, 7);
	update = step(&world, FLUSHED(6000));
	assert_true(update->committed);
	assert_int_equal(world.raft.commit_index, 11);
	assert_int_equal(world.raft.commit_term, 4);
	assert_int_equal(world.raft.commit_position, 6000);
}

static void
entries_are_committed_by_batches(void **state)
{
	World world;
	RaftUpdate *update;

	(void) state;
	lead(&world);
	for (uint64_t n = 12; n <= 20; n++)
	{
		update = step(&world, PROPOSE);
		assert_int_equal(update->propose_status, RUSD_OK);
		assert_int_equal(update->propose_index, n);
		assert_int_equal(update->propose_term, 4);
	}
	step(&world, APPENDED(15, 7000));
	step(&world, APPENDED(20, 8000));
	assert_int_equal(world.raft.ceiling, 8000);
	assert_int_equal(world.raft.floor, 6000);
	step(&world, FLUSHED(7500));
	assert_int_equal(world.raft.commit_index, 15);
	assert_int_equal(world.raft.commit_position, 7500);
	step(&world, FLUSHED(8000));
	assert_int_equal(world.raft.commit_index, 20);
	/* An idle mark moves positions and no index. */
	step(&world, APPENDED(20, 8512));
	update = step(&world, FLUSHED(8512));
	assert_int_equal(world.raft.commit_index, 20);
	assert_int_equal(world.raft.commit_position, 8512);
	/* A position that goes back says nothing. */
	update = step(&world, FLUSHED(8000));
	assert_false(update->committed);
	assert_int_equal(world.raft.flushed, 8512);
}

static void
a_flush_may_be_known_before_the_append_was_told(void **state)
{
	World world;

	(void) state;
	lead(&world);
	step(&world, PROPOSE);
	step(&world, FLUSHED(7000)); /* the walwriter is faster than this loop */
	assert_int_equal(world.raft.commit_position, 6000);
	step(&world, APPENDED(12, 7000));
	assert_int_equal(world.raft.commit_index, 12);
	assert_int_equal(world.raft.commit_position, 7000);
}

static void
only_a_leader_gives_out_indexes(void **state)
{
	World world;
	RaftUpdate *update;

	(void) state;
	start_with(&world, (HardState){.term = 3, .commit_index = 10, .commit_term = 3}, 10, 3);
	assert_int_equal(step(&world, PROPOSE)->propose_status, RUSD_NO_LEADER);
	step(&world, TICK);
	assert_int_equal(step(&world, PROPOSE)->propose_status, RUSD_NO_LEADER);
	assert_int_equal(world.raft.last_index, 10);

	lead(&world);
	update = step(&world, (RaftEvent){.kind = RAFT_PROPOSE, .changes_members = true});
	assert_int_equal(update->propose_status, RUSD_NOT_CAPABLE);
	assert_int_equal(world.raft.last_index, 11);
}

static void
too_many_batches_wait_for_a_flush(void **state)
{
	World world;
	uint64_t index = 11, position = 6000;

	(void) state;
	lead(&world);
	while (step(&world, PROPOSE)->propose_status == RUSD_OK)
		step(&world, APPENDED(++index, position += 512));
	assert_int_equal(world.update.propose_status, RUSD_AGAIN);
	assert_int_equal(world.raft.span_count, SPANS);
	assert_int_equal(index, 11 + SPANS - 1); /* the first entry of the term has one */
	/* Round and round the ring. */
	for (int i = 0; i < 3 * SPANS; i++)
	{
		step(&world, FLUSHED(position - (SPANS - 2) * 512));
		assert_int_equal(step(&world, PROPOSE)->propose_status, RUSD_OK);
		step(&world, APPENDED(++index, position += 512));
		assert_true(world.raft.commit_index < index);
	}
	step(&world, FLUSHED(position));
	assert_int_equal(world.raft.commit_index, index);
	assert_int_equal(world.raft.span_count, 0);
}

static void
reads_are_local_once_the_first_entry_is_applied(void **state)
{
	World world;

	(void) state;
	lead(&world);
	assert_false(raft_reads_are_local(&world.raft));
	step(&world, FLUSHED(6000));
	step(&world, APPLIED(10));
	assert_false(raft_reads_are_local(&world.raft));
	step(&world, APPLIED(11));
	assert_true(raft_reads_are_local(&world.raft));
	step(&world, APPLIED(9)); /* never back */
	assert_true(raft_reads_are_local(&world.raft));
	/* The entry that made it the only voter is not applied. */
	world.raft.configuration.index = 12;
	assert_false(raft_reads_are_local(&world.raft));
}

static void
other_configurations_are_refused(void **state)
{
	static const struct
	{
		uint32_t count;
		uint64_t ids[3];
		bool learner[3];
		Status status;
	} cases[] = {
		{1, {ME}, {false}, RUSD_OK},
		{2, {ME, 0x22}, {false, true}, RUSD_OK},
		{2, {ME, 0x22}, {false, false}, RUSD_NOT_CAPABLE},
		{3, {0x22, 0x33, ME}, {false, false, false}, RUSD_NOT_CAPABLE},
		{1, {0x22}, {false}, RUSD_NOT_CAPABLE},
		{2, {0x22, ME}, {false, true}, RUSD_NOT_CAPABLE},
		{1, {ME}, {true}, RUSD_NOT_CAPABLE},
		{0, {0}, {false}, RUSD_INVALID},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		RaftConfiguration configuration = {.member_count = cases[i].count};
		RaftSpan spans[1];
		RaftStart start = {
			.member_id = ME, .configuration = &configuration, .spans = spans, .span_capacity = 1};
		Raft raft;

		for (uint32_t m = 0; m < cases[i].count; m++)
		{
			configuration.members[m].id = cases[i].ids[m];
			configuration.members[m].is_learner = cases[i].learner[m];
		}
		assert_int_equal(raft_init(&raft, &start), cases[i].status);
		/* Starts that contradict themselves. */
		start.hard_state.commit_index = 5;
		start.last_index = 4;
		assert_int_equal(raft_init(&raft, &start), RUSD_INVALID);
	}
}

static void
the_same_events_give_the_same_state(void **state)
{
	World a, b;

	(void) state;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	lead(&a);
	lead(&b);
	a.raft.spans = b.raft.spans = NULL;
	assert_memory_equal(&a.raft, &b.raft, sizeof(a.raft));
	assert_memory_equal(a.spans, b.spans, sizeof(a.spans));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_only_voter_elects_itself_at_the_first_tick),
		cmocka_unit_test(its_vote_counts_only_when_it_is_durable),
		cmocka_unit_test(nothing_is_committed_below_the_terms_first_entry),
		cmocka_unit_test(entries_are_committed_by_batches),
		cmocka_unit_test(a_flush_may_be_known_before_the_append_was_told),
		cmocka_unit_test(only_a_leader_gives_out_indexes),
		cmocka_unit_test(too_many_batches_wait_for_a_flush),
		cmocka_unit_test(reads_are_local_once_the_first_entry_is_applied),
		cmocka_unit_test(other_configurations_are_refused),
		cmocka_unit_test(the_same_events_give_the_same_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
