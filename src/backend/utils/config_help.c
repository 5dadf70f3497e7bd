/*
 * config_help.c
 *	  --help, --version, the usage line, and the text of doc/parameters.md.
 *
 * Runs in the postmaster, before any fork.
 *
 * src/backend/utils/config_help.c
 */
#include "rusd.h"

#include <sys/utsname.h>

#include "config_int.h"
#include "gitsha.h"

#define DEFAULT_SIZE 128

static const char *
status_text_of(const Param *param)
{
	switch (param->status)
	{
		case PARAM_HONOURED:
			return "";
		case PARAM_WARNED:
			return "no effect";
		case PARAM_NOT_YET:
			return "not honoured yet";
	}
	return "";
}

void
config_print_usage(FILE *to)
{
	(void) fputs("Usage:\n\n"
				 "  rusd [flags]\n"
				 "    Start a member.\n\n"
				 "  rusd --version\n"
				 "    Show the versions.\n\n"
				 "  rusd -h | --help\n"
				 "    Show all flags.\n",
				 to);
}

static void
print_flag(const Param *param)
{
	char buffer[DEFAULT_SIZE];

	printf("  --%s '%s'\n    %s", param->flag, param_default(param, buffer, sizeof(buffer)),
		   param->sentence);
	if (param->choices != NULL && *param->choices != '\0')
		printf(" One of: %s.", param->choices);
	if (param->reload)
		printf(" May be changed by SIGHUP.");
	printf("\n");
	if (param->status != PARAM_HONOURED)
		printf("    [%s%s%s]\n", status_text_of(param), *param->note == '\0' ? "" : ": ",
			   param->note);
	else if (*param->note != '\0')
		printf("    [%s]\n", param->note);
}

void
config_print_help(void)
{
	const ParamSection *section = NULL;

	config_print_usage(stdout);
	printf(
		"\nEach flag has a variable, RUSD_ and its name in capitals with '_' for '-'; etcd's have "
		"ETCD_ variables too.\n"
		"With --config-file, or its variable, the YAML or JSON file counts and no other flag or "
		"variable.\n"
		"A flag marked [not honoured yet] is accepted with its default only.\n");
	for (int i = 0; i < param_count; i++)
	{
		if (param_section(&params[i]) != section)
		{
			section = param_section(&params[i]);
			printf("\n%s:\n", section->title);
		}
		print_flag(&params[i]);
	}
	(void) fflush(stdout);
}

void
config_print_version(void)
{
	struct utsname machine = {.sysname = "unknown", .machine = "unknown"};

	(void) uname(&machine);
	/* The first line is what scripts for etcd look for. */
	printf("etcd Version: %s\n", ETCD_VERSION_STRING);
	printf("rusd Version: %s\n", RUSD_VERSION_STRING);
	printf("Git SHA: %s\n", RUSD_GIT_SHA);
	printf("Compiler: %s\n",
#ifdef __clang__
		   "clang "
#else
		   "gcc "
#endif
		   __VERSION__);
	printf("OS/Arch: %s/%s\n", machine.sysname, machine.machine);
	(void) fflush(stdout);
}

/* In a table of Markdown, a bar ends a cell. */
static void
print_cell(const char *text)
{
	for (; *text != '\0'; text++)
	{
		if (*text == '|' || *text == '<')
			putchar('\\');
		putchar(*text);
	}
}

static void
print_row(const Param *param)
{
	char buffer[DEFAULT_SIZE];
	const char *by_default = param_default(param, buffer, sizeof(buffer));

	printf("| `%s` | %s | ", param->flag, param_type_name(param));
	if (*by_default == '\0')
		printf("empty");
	else
		printf("`%s`", by_default);
	printf(" | %s | ", param->status == PARAM_HONOURED ? "honoured" : status_text_of(param));
	print_cell(param->sentence);
	if (param->choices != NULL && *param->choices != '\0')
	{
		printf(" One of: ");
		print_cell(param->choices);
		printf(".");
	}
	if (param->reload)
		printf(" May be changed by SIGHUP.");
	if (*param->note != '\0')
	{
		printf(" *Instead: ");
		print_cell(param->note);
		printf(".*");
	}
	printf(" |\n");
}

void
config_print_markdown(void)
{
	const ParamSection *section = NULL;

	printf(
		"# Parameters\n\n"
		"Made from `src/include/utils/configlist.h` by `make docs`; do not edit.\n\n"
		"Flags are written as Go's: `-name value`, `--name value`, `--name=value`; of a repeated "
		"flag the last counts.  Each has a\n"
		"variable, `RUSD_` and the name in capitals with `_` for `-`; etcd's flags have an `ETCD_` "
		"variable too.  A flag and a variable\n"
		"for the same parameter are refused; of two variables `RUSD_` wins.  Durations are Go's "
		"(`100ms`, `1h30m`), sizes bytes or\n"
		"`KiB`, `MiB`, `GiB`, `TiB`.\n\n"
		"*no effect*: another value is accepted with a warning, and rusd does what the note says. "
		" *not honoured yet*: another value stops\n"
		"the start.  With `--config-file` the file counts and nothing else (configfile.md).  The "
		"file named by `--config-reload` has lines `name=value` for those that "
		"SIGHUP may change.\n");
	for (int i = 0; i < param_count; i++)
	{
		if (param_section(&params[i]) != section)
		{
			section = param_section(&params[i]);
			printf(
				"\n## %s\n\n| flag | type | default | status | meaning |\n|---|---|---|---|---|\n",
				section->title);
		}
		print_row(&params[i]);
	}
	printf("\n## Ignored\n\nBoolean flags that etcd accepts and ignores, and so does rusd:");
	for (int i = 0; i < ignored_flag_count; i++)
		printf("%s `%s`", i == 0 ? "" : ",", ignored_flags[i]);
	printf(".\n");
	(void) fflush(stdout);
}
