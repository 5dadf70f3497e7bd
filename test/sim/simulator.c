/*
 * simulator.c
 *	  Seeds: runs them in processes side by side, counts, and cuts down those that fail.
 *
 *		simulator [--seeds N] [--first S] [--jobs J] [--fault NAME]
 *		simulator --seed S [--trace] [what cutting down has found]
 *
 * A process that dies takes one seed with it, which counts as failed.
 *
 * test/sim/simulator.c
 */
#include "rusd.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "port/fault.h"
#include "sim.h"
#include "utils/log.h"

#define CHAOS_NS (42 * SIM_SECOND)
#define JOBS_MAX 64
/* So many failing seeds are cut down; more are only named. */
#define CUT_DOWN_MAX 2
/* One seed in so many is run twice: a run must repeat itself. */
#define TWICE_EVERY 64
/* A range of so many seeds must have everything in it. */
#define COMPLETE_SEEDS 500

#ifdef USE_FAULTS
Fault fault_switched_in;
#endif

/* What a worker tells the parent: shared memory. */
typedef struct Worker
{
	pid_t pid;
	uint64_t next; /* the seed it is at, or will do next */
	uint64_t passed;
	uint64_t failed;
	uint64_t hash;
	uint64_t steps;
	uint64_t commits;
	uint64_t counts[SIM_EVENT_COUNT];
	uint64_t failing[CUT_DOWN_MAX]; /* the first seeds that failed */
} Worker;

typedef struct Range
{
	SimOptions options;
	uint64_t first;
	uint64_t seeds;
	uint64_t jobs;
	bool counts;
	bool stop_at_failure;
	const char *program;
	const char *fault;
	Worker *workers;
} Range;

/* ---- one seed ---- */

static bool
run_seed(World *world, const SimOptions *options, Worker *worker)
{
	world_run(world, options);
	if (!world->failed && options->seed % TWICE_EVERY == 0 && !options->narrate)
	{
		uint64_t hash = world->trace.hash;

		world_run(world, options);
		if (world->trace.hash != hash)
			sim_violation(world, NULL, "a seed repeats a run",
						  "hashes are %" PRIx64 " and %" PRIx64, hash, world->trace.hash);
	}
	if (world->failed)
		printf("seed %" PRIu64 ": VIOLATION of %s\n", options->seed, world->failure);
	fflush(stdout);
	if (worker == NULL)
		return !world->failed;
	worker->steps += world->steps;
	worker->commits += world->check.count;
	worker->hash += world->trace.hash;
	trace_add_counts(worker->counts, &world->trace);
	return !world->failed;
}

static int
run_single(const SimOptions *options)
{
	World *world = world_create();
	bool good = run_seed(world, options, NULL);

	if (good)
		printf("seed %" PRIu64 ": %u members, %" PRIu64 " steps, %" PRIu64 " operations, %" PRIu64
			   " entries, hash %016" PRIx64 "\n",
			   options->seed, world->member_count, world->steps, world->ops_begun,
			   world->check.count, world->trace.hash);
	world_destroy(world);
	return good ? 0 : 1;
}

/* ---- many ---- */

static void
note_failure(Worker *worker)
{
	if (worker->failed < CUT_DOWN_MAX)
		worker->failing[worker->failed] = worker->next;
	worker->failed++;
}

/* One failure is enough, whoever has found it. */
static bool
may_stop(const Range *range)
{
	bool failed = false;

	for (uint64_t i = 0; i < range->jobs; i++)
		failed |= range->workers[i].failed > 0;
	return failed && range->stop_at_failure;
}

static void
work(const Range *range, Worker *worker)
{
	World *world = world_create();
	SimOptions options = range->options;

	while (worker->next < range->first + range->seeds && !may_stop(range))
	{
		options.seed = worker->next;
		if (run_seed(world, &options, worker))
			worker->passed++;
		else
			note_failure(worker);
		worker->next += range->jobs;
	}
	world_destroy(world);
	exit(0);
}

static void
start_worker(const Range *range, Worker *worker)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	Check(pid >= 0);
	if (pid == 0)
		work(range, worker);
	worker->pid = pid;
}

/* Waits for all; a worker that died goes on behind the seed that killed it. */
static void
watch(const Range *range)
{
	uint64_t running = range->jobs;

	while (running > 0)
	{
		int status;
		pid_t pid = waitpid(-1, &status, 0);
		Worker *worker = range->workers;

		Check(pid > 0);
		while (worker->pid != pid)
			worker++;
		running--;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			continue;
		printf("seed %" PRIu64 ": VIOLATION: the simulator itself dies (%s %d)\n", worker->next,
			   WIFSIGNALED(status) ? "signal" : "status",
			   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		note_failure(worker);
		worker->next += range->jobs;
		start_worker(range, worker);
		running++;
	}
}

/* ---- cutting down ---- */

/* Does it fail with these options?  In a process of its own, for it may die. */
static bool
fails(const SimOptions *options)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	Check(pid >= 0);
	if (pid == 0)
	{
		World *world = world_create();

		world_run(world, options);
		_exit(world->failed ? 1 : 0);
	}
	Check(waitpid(pid, &status, 0) == pid);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
cut_down(const Range *range, uint64_t seed)
{
	SimOptions options = range->options;

	options.seed = seed;
	for (int class = 0; class < CHAOS_CLASS_COUNT; class ++)
	{
		SimOptions trial = options;

		trial.without |= 1u << class;
		if (fails(&trial))
			options = trial;
	}
	for (uint32_t limit = 0; limit < SIM_FAULTS; limit++)
	{
		SimOptions trial = options;

		trial.fault_limit = limit;
		if (!fails(&trial))
			continue;
		options = trial;
		break;
	}
	for (uint32_t percent = 5; percent < options.op_percent; percent *= 2)
	{
		SimOptions trial = options;

		trial.op_percent = percent;
		if (!fails(&trial))
			continue;
		options = trial;
		break;
	}
	printf("repeat: %s --seed %" PRIu64 " --faults %u --ops %u", range->program, seed,
		   options.fault_limit, options.op_percent);
	for (int class = 0; class < CHAOS_CLASS_COUNT; class ++)
	{
		if (options.without >> class & 1)
			printf(" --without %s", chaos_class_name((FaultClass) class));
	}
	if (range->fault != NULL)
		printf(" --fault %s", range->fault);
	printf(" --trace\n");
}

/* ---- the whole ---- */

static void
cut_down_failures(const Range *range)
{
	for (uint64_t i = 0; i < range->jobs; i++)
	{
		const Worker *worker = &range->workers[i];

		for (uint64_t n = 0; n < Min(worker->failed, CUT_DOWN_MAX); n++)
			cut_down(range, worker->failing[n]);
	}
}

/* What all have done together, in the first one. */
static void
add_up(const Range *range)
{
	Worker *sum = range->workers;

	for (uint64_t i = 1; i < range->jobs; i++)
	{
		const Worker *worker = &range->workers[i];

		sum->passed += worker->passed;
		sum->failed += worker->failed;
		sum->hash += worker->hash;
		sum->steps += worker->steps;
		sum->commits += worker->commits;
		for (int kind = 0; kind < SIM_EVENT_COUNT; kind++)
			sum->counts[kind] += worker->counts[kind];
	}
}

static int
run_range(Range *range)
{
	const Worker *sum;
	uint32_t missing = 0;

	range->workers = mmap(NULL, range->jobs * sizeof(Worker), PROT_READ | PROT_WRITE,
						  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	Check(range->workers != MAP_FAILED);
	sum = range->workers;
	for (uint64_t i = 0; i < range->jobs; i++)
	{
		range->workers[i].next = range->first + i;
		start_worker(range, &range->workers[i]);
	}
	watch(range);
	if (!range->stop_at_failure)
		cut_down_failures(range);
	add_up(range);
	if (range->counts)
		trace_print_counts(sum->counts);
	if (range->seeds >= COMPLETE_SEEDS && range->fault == NULL)
		missing = trace_missing(sum->counts);
	printf("# %" PRIu64 " steps, %" PRIu64 " entries committed, hash %016" PRIx64 "\n", sum->steps,
		   sum->commits, sum->hash);
	printf("%" PRIu64 " passed, %" PRIu64 " failed\n", sum->passed, sum->failed + missing);
	return sum->failed + missing == 0 ? 0 : 1;
}

static uint32_t
class_bit(const char *name)
{
	for (int class = 0; class < CHAOS_CLASS_COUNT; class ++)
	{
		if (strcmp(name, chaos_class_name((FaultClass) class)) == 0)
			return 1u << class;
	}
	fprintf(stderr, "there is no class of faults %s\n", name);
	exit(2);
}

static void
switch_fault(const char *name)
{
	static const char *const names[] = {
		"none",
#define RUSD_FAULT(name, text) #name,
#include "port/faultlist.h"
#undef RUSD_FAULT
	};

	for (size_t i = 0; i < lengthof(names); i++)
	{
		if (strcmp(name, names[i]) != 0)
			continue;
#ifdef USE_FAULTS
		fault_switched_in = (Fault) i;
		return;
#endif
	}
	fprintf(stderr, "fault %s is not in this build\n", name);
	exit(2);
}

/* What the command line says. */
typedef struct Command
{
	Range range;
	bool single;
	bool cut_down;
} Command;

static bool
take_option(Command *command, int option, const char *text)
{
	uint64_t number = text == NULL ? 0 : strtoull(text, NULL, 10);
	Range *range = &command->range;

	switch (option)
	{
		case 'n':
			range->seeds = number;
			break;
		case 'f':
			range->first = number;
			break;
		case 'j':
			range->jobs = Max(Min(number, JOBS_MAX), 1);
			break;
		case 's':
			range->options.seed = number;
			command->single = true;
			break;
		case 't':
			range->options.narrate = true;
			break;
		case 'F':
			range->fault = text;
			switch_fault(text);
			break;
		case 'w':
			range->options.without |= class_bit(text);
			break;
		case 'l':
			range->options.fault_limit = (uint32_t) number;
			break;
		case 'o':
			range->options.op_percent = (uint32_t) Max(number, 1);
			break;
		case 'm':
			range->options.members = (uint32_t) Min(number, 7);
			break;
		case 'c':
			range->counts = true;
			break;
		case 'C':
			command->cut_down = true;
			break;
		case '1':
			range->stop_at_failure = true;
			break;
		default:
			return false;
	}
	return true;
}

int
main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"seeds", required_argument, NULL, 'n'},   {"first", required_argument, NULL, 'f'},
		{"jobs", required_argument, NULL, 'j'},    {"seed", required_argument, NULL, 's'},
		{"trace", no_argument, NULL, 't'},         {"fault", required_argument, NULL, 'F'},
		{"without", required_argument, NULL, 'w'}, {"faults", required_argument, NULL, 'l'},
		{"ops", required_argument, NULL, 'o'},     {"members", required_argument, NULL, 'm'},
		{"counts", no_argument, NULL, 'c'},        {"cut-down", no_argument, NULL, 'C'},
		{"first-failure", no_argument, NULL, '1'}, {NULL, 0, NULL, 0}};
	Command command = {
		.range = {.options = {.chaos_ns = CHAOS_NS, .fault_limit = SIM_FAULTS, .op_percent = 100},
				  .first = 1,
				  .seeds = 100,
				  .jobs = 2,
				  .program = argv[0]}};
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
	{
		if (!take_option(&command, option, optarg))
			return 2;
	}
	/* What one seed frees the next one takes: giving it back to the kernel between them costs more
	 * than the seeds themselves. */
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	mallopt(M_MMAP_THRESHOLD, 64 * 1024 * 1024);
	Check(log_set_level("panic") == RUSD_OK);
	if (!command.single)
		return run_range(&command.range);
	if (!command.cut_down)
		return run_single(&command.range.options);
	cut_down(&command.range, command.range.options.seed);
	return 0;
}
