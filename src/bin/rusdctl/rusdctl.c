/*
 * rusdctl.c
 *	  Command line of rusd: choice of the command.
 *
 * Speaks to rusd and to etcd alike; commands, options, output and exit statuses are etcdctl's.
 *
 * src/bin/rusdctl/rusdctl.c
 */
#include "rusd_fe.h"

#include <signal.h>

#include "ctl.h"

#define NS_PER_S 1000000000

const Command *const commands[] = {&alarm_command,
								   &compaction_command,
								   &completion_command,
								   &defrag_command,
								   &del_command,
								   &downgrade_command,
								   &endpoint_command,
								   &get_command,
								   &member_command,
								   &move_leader_command,
								   &put_command,
								   &txn_command,
								   NULL};

/* ---- choice of the command ---- */

const Command *
find_command(const Command *const *list, const char *name)
{
	for (; *list != NULL; list++)
	{
		if (strcmp((*list)->name, name) == 0 ||
			((*list)->alias != NULL && strcmp((*list)->alias, name) == 0))
			return *list;
	}
	return NULL;
}

does_not_return static void
usage_error(const char *group, const Command *command, const char *error)
{
	fflush(stdout);
	fprintf(stderr, "Error: %s\nRun 'rusdctl %s%s%s --help' for usage.\n", error, group,
			*group != '\0' ? " " : "", command->name);
	exit(EXIT_ERROR);
}

does_not_return static void
unknown_command(const char *name, const char *within, const char *group)
{
	fflush(stdout);
	fprintf(stderr,
			"Error: unknown command \"%s\" for \"%s\"\nRun 'rusdctl %s%s--help' for usage.\n", name,
			within, group, *group != '\0' ? " " : "");
	exit(EXIT_ERROR);
}

/* Runs a command of a list, descending into groups. */
static int
run(const Command *const *list, const char *group, int argc, char **argv)
{
	const char *within = *group != '\0' ? ctl_printf("rusdctl %s", group) : "rusdctl";
	const Command *command = find_command(list, argv[0]);
	const char *error;

	if (command == NULL)
		unknown_command(argv[0], within, group);
	argc--;
	argv++;
	if (!options_parse(&argc, argv, command->flags, global_flags, command->group != NULL, &error))
		usage_error(group, command, error);
	if (command->group != NULL && argc > 0 && !ctl.help)
		return run(command->group, command->name, argc, argv);
	if (ctl.help && command->group != NULL && argc > 0)
	{
		const Command *inner = find_command(command->group, argv[0]);

		if (inner != NULL)
		{
			print_command_help(command->name, inner);
			return 0;
		}
	}
	if (ctl.help || command->group != NULL)
	{
		print_command_help(group, command);
		return 0;
	}
	if (!options_environment(global_flags, &error))
		ctl_fail(EXIT_ERROR, "%s", error);
	set_globals();
	return command->run(argc, argv);
}

/* help, help get, help endpoint status */
static int
run_help(int argc, char **argv)
{
	const Command *const *list = commands;
	const char *group = "";

	if (argc == 0)
	{
		print_general_help();
		return 0;
	}
	for (int i = 0;; i++)
	{
		const Command *command = find_command(list, argv[i]);

		if (command == NULL)
			unknown_command(argv[i], *group != '\0' ? ctl_printf("rusdctl %s", group) : "rusdctl",
							group);
		if (i + 1 == argc || command->group == NULL)
		{
			print_command_help(group, command);
			return 0;
		}
		list = command->group;
		group = command->name;
	}
}

int
main(int argc, char **argv)
{
	const char *error;

	signal(SIGPIPE, SIG_IGN);
	ctl.dial_timeout = (int64_t) 2 * NS_PER_S;
	ctl.command_timeout = (int64_t) 5 * NS_PER_S;
	reset_kv_flags();
	argc--;
	argv++;
	if (argc > 0 && strcmp(argv[0], "__complete") == 0)
		leave(run_complete(argc - 1, argv + 1));
	if (!options_parse(&argc, argv, NULL, global_flags, true, &error))
	{
		fprintf(stderr, "Error: %s\nRun 'rusdctl --help' for usage.\n", error);
		return EXIT_ERROR;
	}
	if (ctl.version || (argc > 0 && strcmp(argv[0], "version") == 0))
		leave(print_version());
	if (argc > 0 && strcmp(argv[0], "help") == 0)
		leave(run_help(argc - 1, argv + 1));
	if (argc == 0 || (ctl.help && find_command(commands, argv[0]) == NULL))
	{
		print_general_help();
		leave(0);
	}
	leave(run(commands, "", argc, argv));
}
