/*
 * help.c
 *	  The pages of --help.
 *
 * src/bin/rusdctl/help.c
 */
#include "rusd_fe.h"

#include "ctl.h"

/* ---- help ---- */

static void
print_commands(const Command *const *list)
{
	for (; *list != NULL; list++)
		printf("  %-12s  %s\n", (*list)->name, (*list)->summary);
}

void
print_general_help(void)
{
	puts("rusdctl speaks to rusd, and to any server of the etcd v3 API.\n\n"
		 "Usage:\n  rusdctl [OPTIONS] COMMAND [ARGUMENTS]\n\nCommands:");
	print_commands(commands);
	puts("  version       Print the version of this program\n\nOptions:");
	options_print(global_flags);
	puts("\nEach option can also be set by a variable: RUSDCTL_ENDPOINTS, or ETCDCTL_ENDPOINTS, "
		 "stands for\n"
		 "--endpoints.  Exit status: 0 done, 1 the server said no, 2 no connection, 3 malformed "
		 "transaction,\n"
		 "4 no such choice, 6 input or output failed, 128 wrong arguments.  See rusdctl(1).");
}

void
print_command_help(const char *group, const Command *command)
{
	if (command->details != NULL)
		printf("%s.\n%s\n", command->summary, command->details);
	else
		printf("%s.\n", command->summary);
	printf("\nUsage:\n  rusdctl %s%s%s", group, *group != '\0' ? " " : "", command->name);
	printf("%s%s%s\n", command->group != NULL ? " COMMAND" : " [OPTIONS]",
		   command->arguments[0] != '\0' ? " " : "", command->arguments);
	if (command->alias != NULL)
		printf("\nAlso known as: %s\n", command->alias);
	if (command->group != NULL)
	{
		puts("\nCommands:");
		print_commands(command->group);
	}
	if (command->flags != NULL)
	{
		puts("\nOptions:");
		options_print(command->flags);
	}
	puts("\nOptions of all commands: see rusdctl --help.");
}

int
print_version(void)
{
	puts("rusdctl version: " RUSD_VERSION_STRING "\nAPI version: 3.7");
	return 0;
}
