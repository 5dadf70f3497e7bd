/*
 * test_raft.c
 *	  The consensus core, event by event: one voter, and what members say to each other.
 *
 * test/unit/test_raft.c
 */
#include "rusd.h"

#include "raft/raft.h"

#include "cmocka_all.h"

#define ME 0x11
#define SPANS 16
#define RUNS 8
#define ELECTION 10

typedef struct World
{
	Raft raft;
	RaftSpan spans[SPANS];
	RaftRun runs[RUNS];
	RaftConfiguration configuration;
	uint32_t elapsed;  /* at the start */
	RaftUpdate update; /* of the last step */
} World;

static void
start_with(World *world, HardState hard_state, uint64_t last_index, uint64_t last_term)
{
	RaftRun known = {.first_index = 1, .term = last_term};
	RaftStart start = {.member_id = ME,
					   .options = {.election_ticks = ELECTION,
								   .ill_ticks = 2 * ELECTION,
								   .window_bytes = 4096,
								   .message_bytes = 2048},
					   .configuration = &world->configuration,
					   .changes = NULL,
					   .hard_state = hard_state,
					   .last_index = last_index,
					   .last_term = last_term,
					   .known_runs = &known,
					   .known_run_count = last_index > 0,
					   .log_end = 4096,
					   .commit_position = 4096,
					   .applied_index = hard_state.commit_index,
					   .elapsed = world->elapsed,
					   .spans = world->spans,
					   .span_capacity = SPANS,
					   .runs = world->runs,
					   .run_capacity = RUNS};

	if (world->configuration.member_count == 0)
		world->configuration =
			(RaftConfiguration){.index = 1, .member_count = 1, .members[0].id = ME};
	assert_int_equal(raft_init(&world->raft, &start), RUSD_OK);
}

static RaftUpdate *
step(World *world, RaftEvent event)
{
	raft_update_reset(&world->update);
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
	World world = {0};
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

static uint32_t
ticks_until_it_campaigns(uint32_t elapsed)
{
	World world = {.elapsed = elapsed};
	uint32_t ticks = 0;

	world.configuration =
		(RaftConfiguration){.member_count = 3, .members = {{ME, 0}, {0x12, 0}, {0x13, 0}}};
	start_with(&world, (HardState){.term = 3, .commit_index = 9, .commit_term = 3}, 10, 3);
	for (; world.raft.role == ROLE_FOLLOWER && ticks < 3 * ELECTION; ticks++)
		step(&world, TICK);
	assert_int_equal(world.raft.role, ROLE_PRE_CANDIDATE);
	return ticks;
}

/* BOOT-26: ticks that count as passed before the start shorten the first timeout. */
static void
the_first_timeout_may_be_short(void **state)
{
	(void) state;
	assert_true(ticks_until_it_campaigns(0) >= ELECTION);
	assert_int_equal(ticks_until_it_campaigns(0),
					 ticks_until_it_campaigns(ELECTION - 3) + ELECTION - 3);
}

static void
its_vote_counts_only_when_it_is_durable(void **state)
{
	World world = {0};
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
	World world = {0};
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
	World world = {0};
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
	assert_int_equal(world.raft.commit_position, 7000);
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
	World world = {0};

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
	World world = {0};

	(void) state;
	start_with(&world, (HardState){.term = 3, .commit_index = 10, .commit_term = 3}, 10, 3);
	assert_int_equal(step(&world, PROPOSE)->propose_status, RUSD_NO_LEADER);
	step(&world, TICK);
	assert_int_equal(step(&world, PROPOSE)->propose_status, RUSD_NO_LEADER);
	assert_int_equal(world.raft.last_index, 10);
}

static void
too_many_batches_wait_for_a_flush(void **state)
{
	World world = {0};
	uint64_t index = 11, position = 6000;

	(void) state;
	lead(&world);
	while (step(&world, PROPOSE)->propose_status == RUSD_OK)
		step(&world, APPENDED(++index, position += 512));
	assert_int_equal(world.update.propose_status, RUSD_AGAIN);
	assert_int_equal(world.raft.span_count, SPANS);
	/* One is what was recovered, one the first entry of the term. */
	assert_int_equal(index, 11 + SPANS - 2);
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
}

static void
reads_are_local_once_the_first_entry_is_applied(void **state)
{
	World world = {0};

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
starts_that_contradict_themselves_are_refused(void **state)
{
	RaftConfiguration configuration = {.member_count = 1, .members[0].id = ME};
	RaftSpan spans[1];
	RaftRun runs[2];
	RaftRun known = {1, 1};
	const RaftStart good = {.member_id = ME,
							.options.election_ticks = ELECTION,
							.configuration = &configuration,
							.hard_state = {.term = 1, .commit_index = 4, .commit_term = 1},
							.last_index = 4,
							.last_term = 1,
							.known_runs = &known,
							.known_run_count = 1,
							.log_end = 5000,
							.commit_position = 5000,
							.spans = spans,
							.span_capacity = 1,
							.runs = runs,
							.run_capacity = 2};
	RaftStart bad;
	Raft raft;

	(void) state;
	assert_int_equal(raft_init(&raft, &good), RUSD_OK);
	bad = good;
	bad.hard_state.commit_index = 5;
	assert_int_equal(raft_init(&raft, &bad), RUSD_INVALID);
	bad = good;
	bad.commit_position = 5001;
	assert_int_equal(raft_init(&raft, &bad), RUSD_INVALID);
	bad = good;
	bad.last_term = 2;
	assert_int_equal(raft_init(&raft, &bad), RUSD_INVALID);
	bad = good;
	bad.known_run_count = 0;
	assert_int_equal(raft_init(&raft, &bad), RUSD_INVALID);
	bad = good;
	bad.options.election_ticks = 0;
	assert_int_equal(raft_init(&raft, &bad), RUSD_INVALID);
}

/* ---- three voters --------------------------------------------------------------------------- */
#define A 0x22
#define B 0x33

static void
start_three(World *world, HardState hard_state, uint64_t last_index, uint64_t last_term)
{
	world->configuration =
		(RaftConfiguration){.member_count = 3, .members = {{ME, 0}, {A, 0}, {B, 0}}};
	start_with(world, hard_state, last_index, last_term);
}

static RaftUpdate *
receive(World *world, RaftMessage message)
{
	message.to = ME;
	return step(world, (RaftEvent){.kind = RAFT_RECEIVE, .message = &message});
}

static const RaftMessage *
said(const World *world, RaftMessageKind kind, uint64_t to)
{
	for (uint32_t i = 0; i < world->update.message_count; i++)
		if (world->update.messages[i].kind == kind && world->update.messages[i].to == to)
			return &world->update.messages[i];
	return NULL;
}

static void
tick_until_it_asks(World *world)
{
	for (int i = 0; i < 2 * ELECTION && world->raft.role == ROLE_FOLLOWER; i++)
		step(world, TICK);
	assert_int_equal(world->raft.role, ROLE_PRE_CANDIDATE);
}

/* Term 4, entry 11 is the first of the term and ends at 6000; durable here. */
static void
lead_three(World *world)
{
	start_three(world, (HardState){.term = 3, .commit_index = 9, .commit_term = 3}, 10, 3);
	tick_until_it_asks(world);
	receive(world, (RaftMessage){.kind = MESSAGE_PRE_VOTE_ANSWER, .from = A, .term = 4});
	step(world, HARD_STATE_APPENDED(10, 5000));
	step(world, FLUSHED(5000));
	receive(world, (RaftMessage){.kind = MESSAGE_VOTE_ANSWER, .from = A, .term = 4});
	assert_int_equal(world->raft.role, ROLE_LEADER);
	step(world, APPENDED(11, 6000));
	step(world, FLUSHED(6000));
}

static void
a_pre_vote_changes_no_term(void **state)
{
	World world = {0};
	const RaftMessage *message;

	(void) state;
	start_three(&world, (HardState){.term = 3, .commit_index = 9, .commit_term = 3}, 10, 3);
	tick_until_it_asks(&world);
	assert_int_equal(world.update.record_count, 0);
	assert_int_equal(world.raft.hard_state.term, 3);
	message = said(&world, MESSAGE_PRE_VOTE, B);
	assert_non_null(message);
	assert_int_equal(message->term, 4);
	assert_int_equal(message->index, 10);
	assert_int_equal(message->log_term, 3);
	assert_int_equal(message->commit_index, 9);
	assert_int_equal(message->depends_on, 0);
	/* With a majority of them the election begins, and waits for its disk. */
	receive(&world, (RaftMessage){.kind = MESSAGE_PRE_VOTE_ANSWER, .from = B, .term = 4});
	assert_int_equal(world.raft.role, ROLE_CANDIDATE);
	assert_int_equal(world.update.records[0].hard_state.vote, ME);
	assert_true(said(&world, MESSAGE_VOTE, A)->depends_on == RAFT_AFTER_TURN);
}

static void
who_hears_a_leader_gives_no_vote(void **state)
{
	World world = {0};

	(void) state;
	start_three(&world, (HardState){.term = 3}, 10, 3);
	receive(&world, (RaftMessage){.kind = MESSAGE_HEARTBEAT, .from = A, .term = 3});
	assert_int_equal(world.raft.leader_id, A);
	receive(&world,
			(RaftMessage){.kind = MESSAGE_VOTE, .from = B, .term = 9, .index = 99, .log_term = 8});
	assert_int_equal(world.update.message_count, 0);
	assert_int_equal(world.raft.hard_state.term, 3);
	/* But to whom the leader sends. */
	receive(&world, (RaftMessage){.kind = MESSAGE_VOTE,
								  .from = B,
								  .term = 4,
								  .index = 99,
								  .log_term = 3,
								  .transfer = true});
	assert_false(said(&world, MESSAGE_VOTE_ANSWER, B)->reject);
	assert_true(said(&world, MESSAGE_VOTE_ANSWER, B)->depends_on == RAFT_AFTER_TURN);
	/* One vote a term. */
	receive(&world,
			(RaftMessage){.kind = MESSAGE_VOTE, .from = A, .term = 4, .index = 99, .log_term = 3});
	assert_true(said(&world, MESSAGE_VOTE_ANSWER, A)->reject);
}

static void
a_majority_of_others_commits_without_this_disk(void **state)
{
	World world = {0};

	(void) state;
	lead_three(&world);
	step(&world, PROPOSE);
	step(&world, APPENDED(12, 7000));
	assert_int_equal(world.raft.ceiling, 0); /* nobody else has even the first entry */
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = A, .term = 4, .index = 12});
	/* One more, here or there, makes a majority. */
	assert_int_equal(world.raft.ceiling, 7000);
	assert_int_equal(world.raft.commit_index, 11);
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = B, .term = 4, .index = 12});
	assert_int_equal(world.raft.commit_index, 12);
	assert_int_equal(world.raft.commit_position, 7000);
	assert_int_equal(world.raft.flushed, 6000);
}

/* One whose answer came so late that the batches of what it has are forgotten. */
static void
a_window_opens_when_all_in_it_is_acknowledged(void **state)
{
	World world = {0};
	const RaftMessage *message;
	uint64_t last;

	(void) state;
	lead_three(&world);
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = A, .term = 4, .index = 11});
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = B, .term = 4, .index = 11});
	/* More than the window, and more batches than there is room to remember; B keeps up. */
	for (uint64_t i = 12; i < 12 + 2 * SPANS; i++)
	{
		step(&world, PROPOSE);
		step(&world, APPENDED(i, 6000 + (i - 11) * 1000));
		step(&world, FLUSHED(6000 + (i - 11) * 1000));
		step(&world, (RaftEvent){.kind = RAFT_TURN});
		receive(&world,
				(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = B, .term = 4, .index = i});
	}
	last = world.raft.progress[1].next - 1;
	assert_true(world.raft.progress[1].id == A && last < 20);
	step(&world, (RaftEvent){.kind = RAFT_TURN});
	assert_null(said(&world, MESSAGE_APPEND, A));
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = A, .term = 4, .index = last});
	step(&world, (RaftEvent){.kind = RAFT_TURN});
	message = said(&world, MESSAGE_APPEND, A);
	assert_non_null(message);
	assert_int_equal(message->index, last);
	assert_true(message->last_index > last);
}

static void
a_conflict_is_void_and_what_replaces_it_is_acknowledged_by_position(void **state)
{
	World world = {0};
	RaftMessage append = {.kind = MESSAGE_APPEND,
						  .from = A,
						  .term = 5,
						  .index = 8,
						  .log_term = 3,
						  .last_index = 9,
						  .runs = {{9, 5}},
						  .run_count = 1,
						  .commit_index = 8,
						  .commit_term = 3};

	(void) state;
	start_three(&world, (HardState){.term = 3, .commit_index = 7, .commit_term = 3}, 10, 3);
	receive(&world, append);
	assert_int_equal(world.update.append_first, 9);
	assert_int_equal(world.update.append_count, 1);
	assert_int_equal(world.raft.last_index, 9);
	assert_int_equal(world.raft.last_term, 5);
	assert_int_equal(world.raft.commit_index, 8);
	assert_null(said(&world, MESSAGE_APPEND_ANSWER, A));
	step(&world, HARD_STATE_APPENDED(9, 4608));
	assert_int_equal(said(&world, MESSAGE_APPEND_ANSWER, A)->index, 9);
	assert_int_equal(said(&world, MESSAGE_APPEND_ANSWER, A)->depends_on, 4608);
	/* Again: nothing is written twice, and the answer waits for the same position. */
	receive(&world, append);
	assert_int_equal(world.update.append_count, 0);
	assert_int_equal(said(&world, MESSAGE_APPEND_ANSWER, A)->depends_on, 4608);
	/* What does not fit is refused, with the end of the term before. */
	append.index = 20;
	append.last_index = 20;
	append.log_term = 5;
	receive(&world, append);
	assert_true(said(&world, MESSAGE_APPEND_ANSWER, A)->reject);
	assert_int_equal(said(&world, MESSAGE_APPEND_ANSWER, A)->index, 9);
	assert_int_equal(said(&world, MESSAGE_APPEND_ANSWER, A)->refused_at, 20);
}

static void
a_conflict_with_the_first_term_that_is_known_needs_the_state(void **state)
{
	World world = {0};

	(void) state;
	lead_three(&world);
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = A, .term = 4, .index = 11});
	step(&world, APPLIED(11));
	step(&world, (RaftEvent){.kind = RAFT_COMPACTED, .index = 10});
	/* Its entry 10 is of term 2: what the logs share lies before this one. */
	receive(&world, (RaftMessage){.kind = MESSAGE_APPEND_ANSWER,
								  .from = B,
								  .term = 4,
								  .reject = true,
								  .refused_at = 10,
								  .index = 10,
								  .log_term = 2});
	step(&world, (RaftEvent){.kind = RAFT_TURN});
	assert_null(said(&world, MESSAGE_APPEND, B));
	assert_int_equal(said(&world, MESSAGE_SNAPSHOT, B)->index, 11);
}

static void
who_is_ill_does_not_stand_for_election(void **state)
{
	static const RaftEvent ill_tick = {.kind = RAFT_TICK, .is_ill = true};
	World world = {0};

	(void) state;
	lead_three(&world);
	receive(&world, (RaftMessage){.kind = MESSAGE_HEARTBEAT, .from = A, .term = 5});
	for (int i = 0; i < 3 * ELECTION; i++)
		step(&world, ill_tick);
	assert_int_equal(world.raft.role, ROLE_FOLLOWER);
	receive(&world, (RaftMessage){.kind = MESSAGE_TIMEOUT_NOW, .from = A, .term = 5});
	assert_int_equal(world.raft.role, ROLE_FOLLOWER);
	step(&world, TICK);
	assert_int_equal(world.raft.role, ROLE_PRE_CANDIDATE);
}

static void
a_read_waits_for_a_round_of_its_own(void **state)
{
	World world = {0};
	uint64_t id, round;

	(void) state;
	lead_three(&world);
	/* Not before an entry of the term is committed. */
	step(&world, (RaftEvent){.kind = RAFT_READ});
	assert_int_equal(world.update.read_count, 1);
	assert_int_equal(world.update.reads[0].index, 0);
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = A, .term = 4, .index = 11});
	assert_int_equal(world.raft.commit_index, 11);
	step(&world, TICK);
	round = said(&world, MESSAGE_HEARTBEAT, A)->round;
	id = step(&world, (RaftEvent){.kind = RAFT_READ})->read_id;
	/* The answer to an earlier round says nothing of now. */
	receive(
		&world,
		(RaftMessage){
			.kind = MESSAGE_HEARTBEAT_ANSWER, .from = A, .term = 4, .round = round, .index = 11});
	assert_int_equal(world.update.read_count, 0);
	step(&world, (RaftEvent){.kind = RAFT_TURN});
	assert_int_equal(said(&world, MESSAGE_HEARTBEAT, A)->round, round + 1);
	receive(&world, (RaftMessage){.kind = MESSAGE_HEARTBEAT_ANSWER,
								  .from = A,
								  .term = 4,
								  .round = round + 1,
								  .index = 11});
	assert_int_equal(world.update.read_count, 1);
	assert_int_equal(world.update.reads[0].read_id, id);
	assert_int_equal(world.update.reads[0].index, 11);
}

/* LEASE-23, LEASE-33 */
static void
a_leader_confirms_before_it_speaks_of_leases(void **state)
{
	World world = {0};
	uint64_t id;

	(void) state;
	lead_three(&world);
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = A, .term = 4, .index = 11});
	id = step(&world, (RaftEvent){.kind = RAFT_CONFIRM})->read_id;
	assert_int_equal(world.update.read_count, 0);
	step(&world, (RaftEvent){.kind = RAFT_TURN});
	receive(&world, (RaftMessage){.kind = MESSAGE_HEARTBEAT_ANSWER,
								  .from = A,
								  .term = 4,
								  .round = world.raft.round,
								  .index = 11});
	assert_int_equal(world.update.read_count, 1);
	assert_int_equal(world.update.reads[0].read_id, id);
	assert_int_equal(world.update.reads[0].index, 11);
	/* Deposed before it was confirmed. */
	id = step(&world, (RaftEvent){.kind = RAFT_CONFIRM})->read_id;
	receive(&world, (RaftMessage){.kind = MESSAGE_HEARTBEAT, .from = A, .term = 5});
	assert_int_equal(world.update.read_count, 1);
	assert_int_equal(world.update.reads[0].read_id, id);
	assert_int_equal(world.update.reads[0].index, 0);
	/* A follower asks nobody: the answer would be another's. */
	step(&world, (RaftEvent){.kind = RAFT_CONFIRM});
	assert_int_equal(world.update.reads[0].index, 0);
	assert_int_equal(world.update.message_count, 0);
}

static void
what_a_leader_decided_gets_an_index_in_its_term_or_none(void **state)
{
	World world = {0};

	(void) state;
	lead_three(&world);
	step(&world, (RaftEvent){.kind = RAFT_PROPOSE, .term = 3});
	assert_int_equal(world.update.propose_status, RUSD_NO_LEADER);
	assert_int_equal(world.raft.last_index, 11);
	step(&world, (RaftEvent){.kind = RAFT_PROPOSE, .term = 4});
	assert_int_equal(world.update.propose_status, RUSD_OK);
	assert_int_equal(world.update.propose_index, 12);
}

static void
a_member_that_lost_its_log_is_told_from_an_old_answer(void **state)
{
	World world = {0};
	RaftMessage answer = {.kind = MESSAGE_HEARTBEAT_ANSWER, .from = A, .term = 4, .index = 10};

	(void) state;
	lead_three(&world);
	step(&world, TICK);
	answer.round = world.raft.round;
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = A, .term = 4, .index = 11});
	/* It was sent before the acknowledgement, and came after it. */
	receive(&world, answer);
	assert_int_equal(world.update.member_lost_log, 0);
	step(&world, TICK);
	answer.round = world.raft.round;
	receive(&world, answer);
	assert_int_equal(world.update.member_lost_log, A);
	/* Nothing that it says counts from now on, and it gets nothing. */
	step(&world, PROPOSE);
	step(&world, APPENDED(12, 7000));
	step(&world, FLUSHED(7000));
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = A, .term = 4, .index = 12});
	assert_int_equal(world.raft.commit_index, 11);
	step(&world, (RaftEvent){.kind = RAFT_TURN});
	assert_null(said(&world, MESSAGE_APPEND, A));
	assert_non_null(said(&world, MESSAGE_APPEND, B));
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = B, .term = 4, .index = 12});
	assert_int_equal(world.raft.commit_index, 12);
}

/* The same for an entry in the middle of its log: it refuses what it had acknowledged. */
static void
a_member_that_refuses_what_it_had_has_lost_its_log(void **state)
{
	World world = {0};
	RaftMessage refusal = {.kind = MESSAGE_APPEND_ANSWER,
						   .from = A,
						   .term = 4,
						   .reject = true,
						   .refused_at = 11,
						   .index = 9,
						   .log_term = 3};

	(void) state;
	lead_three(&world);
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = A, .term = 4, .index = 11});
	receive(&world, refusal);
	assert_int_equal(world.update.member_lost_log, 0);
	step(&world, TICK);
	refusal.round = world.raft.round;
	receive(&world, refusal);
	assert_int_equal(world.update.member_lost_log, A);
}

static void
a_change_is_in_use_when_it_is_committed(void **state)
{
	World world = {0};
	RaftEvent add = {.kind = RAFT_PROPOSE,
					 .changes[0] = {.kind = CHANGE_ADD_LEARNER, .member_id = 0x44},
					 .change_count = 1};

	(void) state;
	lead_three(&world);
	/* An entry of this term is not committed yet. */
	assert_int_equal(step(&world, add)->propose_status, RUSD_AGAIN);
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = A, .term = 4, .index = 11});
	assert_int_equal(step(&world, add)->propose_status, RUSD_OK);
	assert_int_equal(world.update.propose_index, 12);
	assert_int_equal(world.raft.configuration.member_count, 3);
	assert_int_equal(step(&world, add)->propose_status, RUSD_AGAIN);
	step(&world, APPENDED(12, 7000));
	step(&world, FLUSHED(7000));
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = B, .term = 4, .index = 12});
	assert_true(world.update.configured);
	assert_int_equal(world.raft.configuration.member_count, 4);
	assert_int_equal(world.raft.configuration.index, 12);
	assert_int_equal(world.raft.voters_count, 3);
	/* Judged by a configuration that is not in use any more. */
	assert_int_equal(step(&world, add)->propose_status, RUSD_INVALID);
}

/* The majority may be another one behind it: walwriter must not publish by the one before (a read index would be below it). */
static void
the_ceiling_stops_at_a_change(void **state)
{
	World world = {0};
	RaftEvent add = {.kind = RAFT_PROPOSE,
					 .changes[0] = {.kind = CHANGE_ADD_VOTER, .member_id = 0x44},
					 .change_count = 1};

	(void) state;
	lead_three(&world);
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = A, .term = 4, .index = 11});
	assert_int_equal(step(&world, add)->propose_status, RUSD_OK);
	step(&world, APPENDED(12, 7000));
	step(&world, PROPOSE);
	step(&world, APPENDED(13, 8000));
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = A, .term = 4, .index = 13});
	assert_int_equal(world.raft.ceiling, 7000);
	step(&world, FLUSHED(7000));
	assert_int_equal(world.raft.configuration.member_count, 4);
	/* Two of four. */
	step(&world, FLUSHED(8000));
	assert_int_equal(world.raft.commit_index, 12);
	assert_int_equal(world.raft.ceiling, 7000);
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = B, .term = 4, .index = 13});
	assert_int_equal(world.raft.commit_index, 13);
	assert_int_equal(world.raft.ceiling, 8000);
}

/* B is needed for nothing: A's answer commits the removal. */
static void
who_is_removed_is_told_that_it_is(void **state)
{
	World world = {0};
	RaftEvent remove = {.kind = RAFT_PROPOSE,
						.changes[0] = {.kind = CHANGE_REMOVE, .member_id = B},
						.change_count = 1};
	const RaftMessage *message;

	(void) state;
	lead_three(&world);
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = A, .term = 4, .index = 11});
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = B, .term = 4, .index = 11});
	assert_int_equal(step(&world, remove)->propose_status, RUSD_OK);
	step(&world, APPENDED(12, 7000));
	step(&world, (RaftEvent){.kind = RAFT_TURN});
	assert_int_equal(said(&world, MESSAGE_APPEND, B)->commit_index, 11);
	step(&world, FLUSHED(7000));
	receive(&world,
			(RaftMessage){.kind = MESSAGE_APPEND_ANSWER, .from = A, .term = 4, .index = 12});
	assert_int_equal(world.raft.configuration.member_count, 2);
	message = said(&world, MESSAGE_APPEND, B);
	assert_non_null(message);
	assert_int_equal(message->commit_index, 12);
	assert_int_equal(message->last_index, 12);
	assert_int_equal(message->depends_on, 0);
	step(&world, TICK);
	step(&world, (RaftEvent){.kind = RAFT_TURN});
	assert_null(said(&world, MESSAGE_HEARTBEAT, B));
	assert_null(said(&world, MESSAGE_APPEND, B));
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
	a.raft.runs = b.raft.runs = NULL;
	assert_memory_equal(&a.raft, &b.raft, sizeof(a.raft));
	assert_memory_equal(a.spans, b.spans, sizeof(a.spans));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_only_voter_elects_itself_at_the_first_tick),
		cmocka_unit_test(the_first_timeout_may_be_short),
		cmocka_unit_test(its_vote_counts_only_when_it_is_durable),
		cmocka_unit_test(nothing_is_committed_below_the_terms_first_entry),
		cmocka_unit_test(entries_are_committed_by_batches),
		cmocka_unit_test(a_flush_may_be_known_before_the_append_was_told),
		cmocka_unit_test(only_a_leader_gives_out_indexes),
		cmocka_unit_test(too_many_batches_wait_for_a_flush),
		cmocka_unit_test(reads_are_local_once_the_first_entry_is_applied),
		cmocka_unit_test(starts_that_contradict_themselves_are_refused),
		cmocka_unit_test(a_pre_vote_changes_no_term),
		cmocka_unit_test(who_hears_a_leader_gives_no_vote),
		cmocka_unit_test(a_majority_of_others_commits_without_this_disk),
		cmocka_unit_test(a_window_opens_when_all_in_it_is_acknowledged),
		cmocka_unit_test(a_conflict_is_void_and_what_replaces_it_is_acknowledged_by_position),
		cmocka_unit_test(a_conflict_with_the_first_term_that_is_known_needs_the_state),
		cmocka_unit_test(who_is_ill_does_not_stand_for_election),
		cmocka_unit_test(a_read_waits_for_a_round_of_its_own),
		cmocka_unit_test(a_leader_confirms_before_it_speaks_of_leases),
		cmocka_unit_test(what_a_leader_decided_gets_an_index_in_its_term_or_none),
		cmocka_unit_test(a_member_that_lost_its_log_is_told_from_an_old_answer),
		cmocka_unit_test(a_member_that_refuses_what_it_had_has_lost_its_log),
		cmocka_unit_test(a_change_is_in_use_when_it_is_committed),
		cmocka_unit_test(the_ceiling_stops_at_a_change),
		cmocka_unit_test(who_is_removed_is_told_that_it_is),
		cmocka_unit_test(the_same_events_give_the_same_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
