/*
 * completion.c
 *	  completion bash | zsh | fish: what a shell reads to complete command lines.
 *
 * The scripts know nothing of the commands: they ask rusdctl itself by "__complete WORD...", whose
 * last word is the one to be completed.  It prints candidates, one a line, each with a tab and a
 * description behind it.  So a script that was installed once is right for later versions too.
 *
 * src/bin/rusdctl/completion.c
 */
#include "rusd_fe.h"

#include "ctl.h"

/* ---- candidates ---- */

static bool
begins_with(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

static void
offer(const char *word, const char *candidate, const char *description)
{
	if (begins_with(candidate, word))
		printf("%s\t%s\n", candidate, description);
}

static void
offer_commands(const char *word, const Command *const *list)
{
	for (; *list != NULL; list++)
		offer(word, (*list)->name, (*list)->summary);
}

static void
offer_flags(const char *word, const Flag *flags)
{
	for (; flags != NULL && flags->name != NULL; flags++)
		offer(word, ctl_printf("--%s%s", flags->name, flags->kind == FLAG_BOOL ? "" : "="),
			  flags->help);
}

/* prefix: what stands before the value in the same word, "--order=" or nothing. */
static void
offer_choices(const char *prefix, const char *word, const Flag *flag)
{
	char *choices = ctl_printf("%s", flag->choices != NULL ? flag->choices : "");

	for (char *one; (one = strsep(&choices, " ")) != NULL;)
	{
		if (*one != '\0' && begins_with(one, word))
			printf("%s%s\t%s\n", prefix, one, flag->help);
	}
}

/* The flag that a word is, as "--name" or "-n"; NULL if it is none that there is. */
static const Flag *
flag_of(const char *word, size_t length, const Flag *own)
{
	const Flag *const tables[] = {own, global_flags};

	for (size_t i = 0; i < lengthof(tables); i++)
	{
		for (const Flag *f = tables[i]; f != NULL && f->name != NULL; f++)
		{
			if (length > 2 && strlen(f->name) == length - 2 && begins_with(word, "--") &&
				strncmp(word + 2, f->name, length - 2) == 0)
				return f;
			if (length == 2 && word[0] == '-' && f->letter != '\0' && word[1] == f->letter)
				return f;
		}
	}
	return NULL;
}

/* Does this word take the next one for its value? */
static const Flag *
takes_next(const char *word, const Flag *own)
{
	const Flag *flag = word[0] == '-' ? flag_of(word, strlen(word), own) : NULL;

	return flag != NULL && flag->kind != FLAG_BOOL ? flag : NULL;
}

static void
complete_word(const char *word, const Command *const *list, const Flag *own, const Flag *value_of)
{
	const char *equals = strchr(word, '=');
	const Flag *flag;

	if (value_of != NULL)
		offer_choices("", word, value_of);
	else if (word[0] == '-' && equals != NULL)
	{
		flag = flag_of(word, (size_t) (equals - word), own);
		if (flag != NULL)
			offer_choices(ctl_printf("%.*s", (int) (equals - word + 1), word), equals + 1, flag);
	}
	else if (word[0] == '-')
	{
		offer_flags(word, own);
		offer_flags(word, global_flags);
	}
	else if (list != NULL)
	{
		offer_commands(word, list);
		if (list == commands)
		{
			offer(word, "help", "Pages about the commands");
			offer(word, "version", "Print the version of this program");
		}
	}
}

int
run_complete(int argc, char **argv)
{
	const Command *const *list = commands; /* NULL: the words that follow are arguments */
	const Flag *own = NULL;
	const Flag *value_of = NULL;

	if (argc == 0)
		return 0;
	for (int i = 0; i + 1 < argc; i++)
	{
		const Command *command;

		if (value_of != NULL)
		{
			value_of = NULL;
			continue;
		}
		value_of = takes_next(argv[i], own);
		if (argv[i][0] == '-' || list == NULL || (list == commands && strcmp(argv[i], "help") == 0))
			continue;
		command = find_command(list, argv[i]);
		own = command != NULL ? command->flags : NULL;
		list = command != NULL ? command->group : NULL;
	}
	complete_word(argv[argc - 1], list, own, value_of);
	return 0;
}

/* ---- scripts ---- */

/* bash splits words at '=' and ':', rusdctl does not: they are put together again before it asks. */
static const char bash_script[] =
	"# rusdctl for bash: . <(rusdctl completion bash)\n"
	"_rusdctl()\n"
	"{\n"
	"    local line=${COMP_LINE:0:COMP_POINT} cur words candidate kept\n"
	"    read -r -a words <<<\"$line\"\n"
	"    cur=${words[${#words[@]}-1]}\n"
	"    case $line in *' ') words+=(''); cur= ;; esac\n"
	"    COMPREPLY=()\n"
	"    # What readline puts in place begins behind the last '=' or ':' of the word.\n"
	"    kept=${cur%\"${cur##*[=:]}\"}\n"
	"    while IFS=$'\\t' read -r candidate _; do\n"
	"        COMPREPLY+=(\"${candidate#\"$kept\"}\")\n"
	"    done < <(\"${words[0]}\" __complete \"${words[@]:1}\" 2>/dev/null)\n"
	"    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace\n"
	"    return 0\n"
	"}\n"
	"complete -o default -F _rusdctl rusdctl\n";

static const char zsh_script[] =
	"#compdef rusdctl\n"
	"# rusdctl for zsh: rusdctl completion zsh >\"${fpath[1]}/_rusdctl\"\n"
	"_rusdctl()\n"
	"{\n"
	"    local -a plain open\n"
	"    local candidate description\n"
	"    while IFS=$'\\t' read -r candidate description; do\n"
	"        candidate=${candidate//:/\\\\:}\n"
	"        case $candidate in\n"
	"        *=) open+=(\"$candidate:$description\") ;;\n"
	"        *) plain+=(\"$candidate:$description\") ;;\n"
	"        esac\n"
	"    done < <(\"${words[1]}\" __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
	"    (( ${#plain} )) && _describe rusdctl plain\n"
	"    (( ${#open} )) && _describe option open -S ''\n"
	"    (( ${#plain} + ${#open} )) || _files\n"
	"}\n"
	"# Read for the first completion, or by the user.\n"
	"if [[ $funcstack[1] == _rusdctl ]]; then _rusdctl; else compdef _rusdctl rusdctl; fi\n";

static const char fish_script[] =
	"# rusdctl for fish: rusdctl completion fish >~/.config/fish/completions/rusdctl.fish\n"
	"function __rusdctl_complete\n"
	"    set -l words (commandline -opc)\n"
	"    command $words[1] __complete $words[2..-1] (commandline -ct) 2>/dev/null\n"
	"end\n"
	"complete -c rusdctl -f -a '(__rusdctl_complete)'\n";

static int
print_script(int argc, const char *shell, const char *script)
{
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "completion %s command accepts no arguments", shell);
	fputs(script, stdout);
	return 0;
}

static int
run_bash(int argc, char **argv)
{
	(void) argv;
	return print_script(argc, "bash", bash_script);
}

static int
run_zsh(int argc, char **argv)
{
	(void) argv;
	return print_script(argc, "zsh", zsh_script);
}

static int
run_fish(int argc, char **argv)
{
	(void) argv;
	return print_script(argc, "fish", fish_script);
}

static const Command bash_command = {
	"bash", NULL, "", "For bash: . <(rusdctl completion bash)", NULL, NULL, run_bash, NULL};
static const Command zsh_command = {
	"zsh", NULL, "",      "For zsh: put it as _rusdctl into a folder of fpath",
	NULL,  NULL, run_zsh, NULL};
static const Command fish_command = {
	"fish", NULL, "",       "For fish: put it as rusdctl.fish into its completions",
	NULL,   NULL, run_fish, NULL};
static const Command *const completion_group[] = {&bash_command, &fish_command, &zsh_command, NULL};
const Command completion_command = {
	"completion", NULL, "",   "Print what a shell needs to complete command lines",
	NULL,         NULL, NULL, completion_group};
