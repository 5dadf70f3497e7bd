/*
 * test_raft_scenarios.c
 *	  Named scenarios of the core, each told and compared with what is expected.
 *
 * "Figure" is one of "In Search of an Understandable Consensus Algorithm" (2014).
 *
 *		test_raft_scenarios [--expected DIRECTORY] [--record] [NAME ...]
 *
 * Prints TAP.  --record writes DIRECTORY/NAME.out anew: read what has changed.
 *
 * test/sim/test_raft_scenarios.c
 */
#include "scenario.h"

#ifdef USE_FAULTS
Fault fault_switched_in;
#endif

static const struct
{
	const char *name;
	void (*play)(Scenario *scenario);
} scenarios[] = {
	{"figure-7", scenario_figure_7},
	{"figure-8", scenario_figure_8},
	{"membership-bug", scenario_membership_bug},
	{"higher-term-shorter-log", scenario_higher_term_shorter_log},
	{"removed-member-campaigns", scenario_removed_member_campaigns},
	{"unknown-candidate", scenario_unknown_candidate},
	{"transfer-during-change", scenario_transfer_during_change},
	{"commit-travels-with-votes", scenario_commit_travels_with_votes},
	{"leader-with-stalled-disk", scenario_leader_with_stalled_disk},
	{"stalled-voter", scenario_stalled_voter},
	{"returns-with-less", scenario_returns_with_less},
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* ---- comparing -------------------------------------------------------------------------------- */

static char *
read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (file == NULL)
		return strdup("");
	if (getdelim(&text, &size, '\0', file) < 0)
		text[0] = '\0';
	(void) fclose(file);
	return text;
}

/* The first line that differs, of both. */
static void
tell_difference(const char *expected, const char *found)
{
	unsigned line = 1;

	while (*expected != '\0' || *found != '\0')
	{
		size_t e = strcspn(expected, "\n"), f = strcspn(found, "\n");

		if (e != f || strncmp(expected, found, e) != 0)
		{
			printf("# line %u\n# expected: %.*s\n# found:    %.*s\n", line, (int) e, expected,
				   (int) f, found);
			return;
		}
		expected += e + (expected[e] == '\n');
		found += f + (found[f] == '\n');
		line++;
	}
}

/* What it told, to be freed. */
static char *
play(Scenario *scenario, size_t number)
{
	char *text = NULL;
	size_t size = 0;

	scenario->failed = NULL;
	scenario->model->tell = open_memstream(&text, &size);
	Check(scenario->model->tell != NULL);
	scenarios[number].play(scenario);
	(void) fclose(scenario->model->tell);
	scenario->model->tell = NULL;
	return text;
}

static bool
run(Scenario *scenario, size_t number, const char *directory, bool record)
{
	char *path = NULL;
	char *found = play(scenario, number);
	char *expected;
	bool ok;

	Check(asprintf(&path, "%s/%s.out", directory, scenarios[number].name) > 0);
	if (record)
	{
		FILE *file = fopen(path, "w");

		Check(file != NULL && fputs(found, file) >= 0 && fclose(file) == 0);
	}
	expected = read_file(path);
	ok = scenario->failed == NULL && scenario->model->failure[0] == '\0' &&
		 strcmp(found, expected) == 0;
	printf("%sok %zu - %s\n", ok ? "" : "not ", number + 1, scenarios[number].name);
	if (scenario->failed != NULL)
		printf("# not so: %s\n", scenario->failed);
	if (scenario->model->failure[0] != '\0')
		printf("# %s\n", scenario->model->failure);
	if (!ok)
	{
		tell_difference(expected, found);
		model_print(scenario->model, stdout);
	}
	free(expected);
	free(found);
	free(path);
	return ok;
}

static bool
is_named(size_t number, int count, char **names)
{
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], scenarios[number].name) == 0)
			return true;
	return count == 0;
}

int
main(int argc, char **argv)
{
	Scenario scenario = {.model = model_new()};
	const char *directory = "test/sim/expected";
	bool record = false;
	int first = 1;
	int status = 0;

	for (; first < argc && argv[first][0] == '-'; first++)
		if (strcmp(argv[first], "--record") == 0)
			record = true;
		else if (strcmp(argv[first], "--expected") == 0 && first + 1 < argc)
			directory = argv[++first];
	for (size_t i = 0; i < SCENARIOS; i++)
		if (is_named(i, argc - first, argv + first) && !run(&scenario, i, directory, record))
			status = 1;
	model_free(scenario.model);
	return status;
}
