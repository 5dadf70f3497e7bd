/*
 * test_raft_core.c
 *	  The core alone, in clusters of up to seven: everything around it as bad as allowed, by seeds.
 *
 * The simulator runs whole members.  Here a member is the core and a list of records that stands for
 * its log (coremodel.h), so a seed takes milliseconds, and a mistake of the core is found without the
 * rest.  Beside what the model checks at each step: progress once everything is healed.
 *
 *		test_raft_core [--seeds N] [--first S] [--fault NAME] [--tell]
 *		test_raft_core --mutations		each fault of the core is caught within its seeds
 *
 * test/sim/test_raft_core.c
 */
#include "coremodel.h"

#include <sys/wait.h>
#include <unistd.h>

#define SPELLS 3
#define STEPS 5000
#define HEAL_STEPS 10000

/* What a seed is bad at. */
typedef struct Mood
{
	uint32_t trouble; /* in 400 steps */
	uint32_t ticks;   /* percent of steps that are ticks: how fast time goes beside messages */
	uint32_t doom; /* percent of leaders and voters that crash soon after they have become that */
	uint32_t life; /* of a leader that is doomed, in what it does */
	/* For all of a seed: one leader after the other dies with a part of its entries sent, one at a time. */
	bool brief_leaders;
	bool healing;
	struct
	{
		uint32_t doom; /* acts until it crashes; 0: it does not */
		bool slow;     /* its clock stands still */
	} members[MEMBERS];
	uint64_t transfers;
} Mood;

#ifdef USE_FAULTS
Fault fault_switched_in;
#endif

static void
crash_some(Model *model, Mood *mood, Member *member)
{
	SimRandom *random = &model->random;

	model_crash(model, member, sim_percent(random, 50) ? sim_below(random, 60) : 0);
	mood->members[member->id - 1].doom = 0;
}

/* ---- what a member does ----------------------------------------------------------------------- */

static void
flush_some(Model *model, Member *member)
{
	uint64_t sectors = (member->position - member->flushed) / 512;
	uint64_t more =
		sim_percent(&model->random, 70) ? sectors : 1 + sim_below(&model->random, sectors);

	model_flush(model, member, member->flushed + 512 * more);
}

static void
propose_some(Model *model, const Mood *mood, Member *member)
{
	SimRandom *random = &model->random;
	RaftChange change = {.judged_at = member->raft.configuration.index};
	bool is_change = !mood->healing && sim_percent(random, 8);
	Status status;

	change.member_id = 1 + sim_below(random, MEMBERS);
	change.kind = (RaftChangeKind) (1 + sim_below(random, 4));
	status = model_propose(model, member, is_change ? &change : NULL);
	if (status != RUSD_OK && member->raft.role == ROLE_LEADER && !is_change &&
		member->raft.transfer_to == 0)
		MODEL_FAIL(model, "leader %" PRIu64 " takes no proposal", member->id);
}

static void
do_one_thing(Model *model, Mood *mood, Member *member)
{
	SimRandom *random = &model->random;
	uint64_t what = sim_below(random, 100);

	if (what < (mood->healing ? 25 : mood->ticks))
	{
		if (!mood->members[member->id - 1].slow)
			model_step(model, member,
					   &(RaftEvent){.kind = RAFT_TICK, .random = sim_random(random)});
	}
	else if (what < 65)
		propose_some(model, mood, member);
	else if (what < 75)
		model_read(model, member, sim_percent(random, 50));
	else if (what < 77 && !mood->healing)
	{
		model_step(model, member,
				   &(RaftEvent){.kind = RAFT_TRANSFER, .member = sim_below(random, MEMBERS + 1)});
		mood->transfers++;
	}
	else if (what < 79 && member->applied_index > 20 && member->flushed == member->position)
		model_step(model, member,
				   &(RaftEvent){.kind = RAFT_COMPACTED,
								.index = member->applied_index - sim_below(random, 20)});
	else if (what < 90)
	{
		if (sim_percent(random, 50))
			(void) model_begin_snapshot(model, member);
		else
			(void) model_end_snapshot(model, member, !mood->healing && sim_percent(random, 10));
	}
	else if (what < 94)
		lease_ask(model, member, sim_percent(random, 30));
	else if (what < 95)
		lease_revoke(model, member);
}

/* That member is alone, and all others hear each other; 0: nobody is. */
static void
isolate(Model *model, uint64_t alone)
{
	for (uint64_t id = 1; id <= MEMBERS; id++)
		for (uint64_t other = 1; other <= MEMBERS; other++)
			model->cut[id - 1][other - 1] = (id == alone) != (other == alone);
}

/* Who has become leader, or has voted, may not live long. */
static void
foretell(Model *model, Mood *mood, const Member *member, RaftRole role, uint64_t vote)
{
	uint32_t *doom = &mood->members[member->id - 1].doom;

	if (mood->healing || *doom != 0)
		return;
	if (member->raft.role == ROLE_LEADER && role != ROLE_LEADER)
	{
		if (sim_percent(&model->random, mood->doom))
			*doom = 1 + (uint32_t) sim_below(&model->random, mood->life);
		if (mood->brief_leaders)
			isolate(model, sim_percent(&model->random, 50) ? member->id : 0);
	}
	else if (member->raft.hard_state.vote != vote && member->raft.hard_state.vote != 0 &&
			 sim_percent(&model->random, mood->doom))
		*doom = 1 + (uint32_t) sim_below(&model->random, 3);
}

static void
act(Model *model, Mood *mood, Member *member)
{
	SimRandom *random = &model->random;
	uint64_t messages = sim_below(random, 6);
	RaftRole role = member->raft.role;
	uint64_t vote = member->raft.hard_state.vote;

	if (!member->is_alive || member->is_paused)
		return;
	if (!member->is_stalled && member->flushed < member->position && sim_percent(random, 60))
		flush_some(model, member);
	/* What has arrived is read before time goes on; who does not keep up is in trouble. */
	if (mood->healing)
		messages = member->inbox.count;
	for (; messages > 0 && member->inbox.count > 0; messages--)
		model_receive(model, member, mood->healing ? 0 : sim_below(random, member->inbox.count));
	do_one_thing(model, mood, member);
	model_end_turn(model, member);
	foretell(model, mood, member, role, vote);
	if (mood->members[member->id - 1].doom > 0 && --mood->members[member->id - 1].doom == 0)
	{
		crash_some(model, mood, member);
		model_start(model, member);
	}
}

/* ---- trouble ---------------------------------------------------------------------------------- */

static void
start_all(Model *model)
{
	for (uint64_t id = 1; id <= MEMBERS; id++)
		if (!model_member(model, id)->is_alive)
			model_start(model, model_member(model, id));
}

/* It may not even notice that time passes. */
static void
cut_off_leader(Model *model, Mood *mood)
{
	const Member *leader = model_leader(model);

	if (leader != NULL)
		mood->members[leader->id - 1].slow = sim_percent(&model->random, 50);

	for (uint64_t id = 1; leader != NULL && id <= MEMBERS; id++)
		model->cut[leader->id - 1][id - 1] = model->cut[id - 1][leader->id - 1] =
			id != leader->id && sim_percent(&model->random, 80);
}

static void
make_trouble(Model *model, Mood *mood)
{
	SimRandom *random = &model->random;
	Member *member = model_member(model, 1 + sim_below(random, MEMBERS));

	switch (sim_below(random, 11))
	{
		case 0:
			if (member->is_alive)
				crash_some(model, mood, member);
			break;
		case 1:
		case 8:
			start_all(model);
			break;
		case 9:
			/* and back at once */
			if (member->is_alive)
				crash_some(model, mood, member);
			model_start(model, member);
			break;
		case 10:
			cut_off_leader(model, mood);
			break;
		case 2:
			member->is_paused = !member->is_paused;
			break;
		case 3:
			member->is_stalled = !member->is_stalled;
			break;
		case 4:
			for (int i = 0; i < MEMBERS; i++)
				for (int j = 0; j < MEMBERS; j++)
					model->cut[i][j] = sim_percent(random, 30);
			break;
		case 5:
			memset(model->cut, 0, sizeof(model->cut));
			for (int i = 0; i < MEMBERS; i++)
				mood->members[i].slow = false;
			break;
		case 6:
			model->loss = (uint32_t) sim_below(random, 30);
			break;
		default:
			model->cut[member->id - 1][sim_below(random, MEMBERS)] ^= true;
			break;
	}
}

static void
heal(Model *model, Mood *mood)
{
	mood->healing = true;
	memset(model->cut, 0, sizeof(model->cut));
	memset(mood->members, 0, sizeof(mood->members));
	model->loss = model->doubling = 0;
	model->carried_entries = 20;
	for (uint64_t id = 1; id <= MEMBERS; id++)
		model_member(model, id)->is_paused = model_member(model, id)->is_stalled = false;
	start_all(model);
}

/* NULL: twenty entries are committed, and all members have what was before; else why not. */
static const char *
lack_of_progress(Model *model, uint64_t before)
{
	const Member *leader = model_leader(model);

	if (leader == NULL)
		return "nobody leads";
	if (model->committed_count < before + 20)
		return "nothing is committed";
	for (uint32_t i = 0; i < leader->raft.configuration.member_count; i++)
		if (model_member(model, leader->raft.configuration.members[i].id)->applied_index < before)
			return "a member is left behind";
	return NULL;
}

/* Trouble, then none, until there is progress. */
static void
run_spell(Model *model, Mood *mood)
{
	SimRandom *random = &model->random;
	const char *lack = "";
	uint64_t before;

	mood->healing = false;
	mood->doom = sim_percent(random, 50) ? 0 : (uint32_t) sim_below(random, 80);
	mood->ticks = 10 + (uint32_t) sim_below(random, 50);
	mood->life = 25;
	mood->trouble = 1 + (uint32_t) sim_below(random, 40);
	model->doubling = 2;
	if (mood->brief_leaders)
	{
		model->carried_entries = 1;
		mood->doom = 90;
		mood->life = 20;
		mood->ticks = 45;
		mood->trouble = 0;
	}
	for (unsigned i = 0; i < STEPS && model->failure[0] == '\0'; i++)
	{
		act(model, mood, model_member(model, 1 + sim_below(random, MEMBERS)));
		if (sim_below(random, 400) < mood->trouble)
			make_trouble(model, mood);
	}
	heal(model, mood);
	before = model->committed_count;
	for (unsigned i = 1; i <= HEAL_STEPS && model->failure[0] == '\0' && lack != NULL; i++)
	{
		act(model, mood, model_member(model, 1 + sim_below(random, MEMBERS)));
		if (i % 100 == 0)
			lack = lack_of_progress(model, before);
	}
	if (lack != NULL)
		MODEL_FAIL(model, "no progress since all was healed: %s", lack);
}

static void
run_seed(Model *model, Mood *mood, uint64_t seed)
{
	SimRandom *random = &model->random;

	memset(mood, 0, offsetof(Mood, transfers));
	model_reset(model, seed);
	model->options.election_ticks = 5 + (uint32_t) sim_below(random, 10);
	model->options.ill_ticks = 25;
	model->options.window_bytes = UINT64_C(1024) << sim_below(random, 5);
	model->options.message_bytes = UINT64_C(512) << sim_below(random, 4);
	mood->brief_leaders = sim_percent(random, 40);
	if (mood->brief_leaders)
		model->options.message_bytes = 512;
	model_bootstrap(model, mood->brief_leaders ? 3 : 1 + (uint32_t) sim_below(random, 5));
	start_all(model);
	for (unsigned i = 0; i < SPELLS && model->failure[0] == '\0'; i++)
		run_spell(model, mood);
}

static void
print_counts(const Model *model, const Mood *mood)
{
	printf("# leaders %" PRIu64 ", commits %" PRIu64 ", snapshots %" PRIu64
		   ", configurations %" PRIu64 ", crashes %" PRIu64 ", transfers %" PRIu64
		   ", reads %" PRIu64 ", leases kept alive %" PRIu64 ", revoked %" PRIu64 "\n",
		   model->counts.leaders, model->counts.commits, model->counts.snapshots,
		   model->counts.changes, model->counts.crashes, mood->transfers, model->counts.reads,
		   model->counts.kept_alive, model->counts.revoked);
}

/* Number of seeds that failed; if it does not go on, it ends with the first. */
static uint64_t
run_seeds(uint64_t first, uint64_t seeds, bool go_on)
{
	Model *model = model_new();
	Mood mood = {0};
	uint64_t failed = 0;

	for (uint64_t seed = first; seed < first + seeds && (go_on || failed == 0); seed++)
	{
		run_seed(model, &mood, seed);
		if (model->failure[0] == '\0')
			continue;
		printf("# seed %" PRIu64 ": %s\n", seed, model->failure);
		failed++;
		if (go_on)
			model_print(model, stdout);
	}
	if (go_on)
		print_counts(model, &mood);
	model_free(model);
	return failed;
}

#ifdef USE_FAULTS
/* Each mistake that lies in the core, and the number of seeds within which it is to be caught. */
static const struct
{
	Fault fault;
	const char *name;
	uint64_t seeds;
} mutations[] = {
#define MUTATION(name, seeds)                                                                      \
	{                                                                                              \
		FAULT_##name, #name, seeds                                                                 \
	}
	MUTATION(commit_of_an_older_term, 500),  MUTATION(vote_forgotten, 500),
	MUTATION(acknowledged_by_index, 500),    MUTATION(committed_truncated, 500),
	MUTATION(read_before_first_commit, 500), MUTATION(stale_read_after_pause, 500),
	MUTATION(read_id_reused, 500),           MUTATION(change_used_at_append, 500),
	MUTATION(second_change_early, 500),      MUTATION(older_snapshot_installed, 500),
	MUTATION(snapshots_in_succession, 500),  MUTATION(deposed_leader_revokes, 500),
#undef MUTATION
};

#define MUTATION_STEP 20

/* In a process of its own: a mistake may also be caught by the core's own Check. */
static bool
is_caught(uint64_t seed)
{
	pid_t child;
	int status = 0;

	(void) fflush(stdout);
	child = fork();
	Check(child >= 0);
	if (child == 0)
	{
		uint64_t failed = run_seeds(seed, MUTATION_STEP, false);

		(void) fflush(stdout);
		_exit(failed != 0);
	}
	Check(waitpid(child, &status, 0) == child);
	return status != 0;
}

static void
run_mutation(size_t mutation)
{
	uint64_t seed = 1;

	fault_switched_in = mutations[mutation].fault;
	while (seed <= mutations[mutation].seeds && !is_caught(seed))
		seed += MUTATION_STEP;
	printf("%sok %zu - %s is caught within %" PRIu64 " seeds\n",
		   seed <= mutations[mutation].seeds ? "" : "not ", mutation + 1, mutations[mutation].name,
		   mutations[mutation].seeds);
}
#endif

int
main(int argc, char **argv)
{
	uint64_t seeds = 500, first = 1, failed;

	for (int i = 1; i + 1 < argc; i += 2)
	{
		if (strcmp(argv[i], "--seeds") == 0)
			seeds = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--first") == 0)
			first = strtoull(argv[i + 1], NULL, 10);
#ifdef USE_FAULTS
		else if (strcmp(argv[i], "--fault") == 0)
			for (size_t m = 0; m < sizeof(mutations) / sizeof(mutations[0]); m++)
				if (strcmp(argv[i + 1], mutations[m].name) == 0)
					fault_switched_in = mutations[m].fault;
#endif
	}
#ifdef USE_FAULTS
	if (argc == 2 && strcmp(argv[1], "--mutations") == 0)
	{
		for (size_t m = 0; m < sizeof(mutations) / sizeof(mutations[0]); m++)
			run_mutation(m);
		return 0;
	}
#endif
	failed = run_seeds(first, seeds, true);
	printf("%" PRIu64 " passed, %" PRIu64 " failed\n", seeds - failed, failed);
	return failed != 0;
}
