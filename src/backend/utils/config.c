/*
 * config.c
 *	  Reads parameters: flags as Go's flag package does, then variables, or the file of
 *	  --config-file in their place; then the file of --config-reload; SIGHUP.
 *
 * Runs in the postmaster.  Texts that tools and people know from etcd are etcd's.
 *
 * src/backend/utils/config.c
 */
#include "rusd.h"

#include <stdarg.h>

#include "config_int.h"
#include "utils/log.h"

#define VARIABLE_SIZE 80
#define MAX_PARAMS 256
#define MAX_IGNORED 32

/* Exit statuses, and the one for "go on". */
#define GO_ON (-1)
#define EXIT_REFUSED 1
#define EXIT_USAGE 2

extern char **environ;

Config config;

static uint8_t sources[MAX_PARAMS];
static bool ignored_given[MAX_IGNORED];

ParamSource
config_source(const Param *param)
{
	return (ParamSource) sources[param - params];
}

bool
config_is_set(const char *flag)
{
	const Param *param = param_find(flag, strlen(flag));

	Check(param != NULL);
	return config_source(param) != SOURCE_DEFAULT;
}

bool
config_take(const Param *param, const char *value, ParamSource source,
			char error[CONFIG_ERROR_SIZE])
{
	if (!param_set(param, &config, value, error))
		return false;
	sources[param - params] = (uint8_t) source;
	return true;
}

/* ---- flags ---- */

printf_like(1, 2) static int usage_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void) vfprintf(stderr, format, args);
	va_end(args);
	(void) fputc('\n', stderr);
	config_print_usage(stderr);
	return EXIT_USAGE;
}

/* Of "rusd gateway" and other words that are not flags, and of all that is refused by checks. */
static int
refuse(const char *error)
{
	log_warn("failed to verify flags", LOG_TEXT("error", error));
	return EXIT_REFUSED;
}

static int
set_from_flag(const Param *param, const char *value)
{
	char error[CONFIG_ERROR_SIZE];

	if (config_take(param, value, SOURCE_FLAG, error))
		return GO_ON;
	if (param->type == PARAM_BOOL)
		return usage_error("invalid boolean value \"%s\" for -%s: %s", value, param->flag, error);
	return usage_error("invalid value \"%s\" for flag -%s: %s", value, param->flag, error);
}

/* A flag that etcd still takes, as a boolean, and that means nothing; -1 if it is none. */
static int
find_ignored(const char *name, size_t length)
{
	for (int i = 0; i < ignored_flag_count; i++)
	{
		if (strlen(ignored_flags[i]) == length && memcmp(ignored_flags[i], name, length) == 0)
			return i;
	}
	return -1;
}

static int
take_ignored(int which, const char *value)
{
	static const char *const bools[] = {"1", "t", "T", "true",  "TRUE",  "True",
										"0", "f", "F", "false", "FALSE", "False"};

	for (size_t i = 0; i < lengthof(bools); i++)
	{
		if (strcmp(value, bools[i]) == 0)
		{
			ignored_given[which] = true;
			return GO_ON;
		}
	}
	return usage_error("invalid boolean value \"%s\" for -%s: parse error", value,
					   ignored_flags[which]);
}

/* The flag at argv[*at], and its value where that is the next argument; moves *at behind them. */
static int
take_flag(int argc, char **argv, int *at)
{
	const char *argument = argv[(*at)++];
	const char *name = argument + (argument[1] == '-' ? 2 : 1);
	size_t length = strcspn(name, "=");
	const char *value = name[length] == '=' ? name + length + 1 : NULL;
	const Param *param = param_find(name, length);
	int which = find_ignored(name, length);

	if (*name == '\0' || *name == '-' || *name == '=')
		return usage_error("bad flag syntax: %s", argument);
	if (which >= 0)
		return take_ignored(which, value == NULL ? "true" : value);
	if (param == NULL &&
		((length == 4 && strncmp(name, "help", 4) == 0) || (length == 1 && *name == 'h')))
	{
		config_print_help();
		return 0;
	}
	if (param == NULL)
		return usage_error("flag provided but not defined: -%.*s", (int) length, name);
	if (value == NULL && param->type == PARAM_BOOL)
		value = "true";
	if (value == NULL && *at == argc)
		return usage_error("flag needs an argument: -%s", param->flag);
	return set_from_flag(param, value != NULL ? value : argv[(*at)++]);
}

static int
read_flags(int argc, char **argv)
{
	int at = 1;

	while (at < argc && argv[at][0] == '-' && argv[at][1] != '\0')
	{
		int result;

		if (strcmp(argv[at], "--") == 0)
		{
			at++;
			break;
		}
		result = take_flag(argc, argv, &at);
		if (result != GO_ON)
			return result;
	}
	if (at < argc)
	{
		char error[CONFIG_ERROR_SIZE];

		(void) snprintf(error, sizeof(error), "\"%s\" is not a valid flag", argv[at]);
		return refuse(error);
	}
	if (config.version)
	{
		config_print_version();
		return 0;
	}
	return GO_ON;
}

/* ---- variables ---- */

/* An empty variable counts as none. */
static const char *
variable_value(const Param *param, const char *prefix, char variable[VARIABLE_SIZE])
{
	const char *value;

	param_variable(param, prefix, variable, VARIABLE_SIZE);
	value = getenv(variable);
	return value == NULL || *value == '\0' ? NULL : value;
}

/* A flag and a variable for the same thing are a mistake that etcd does not start with. */
static int
read_variable(const Param *param, const char *prefix, ParamSource source)
{
	char variable[VARIABLE_SIZE];
	const char *value = variable_value(param, prefix, variable);
	char reason[CONFIG_ERROR_SIZE];
	char error[CONFIG_ERROR_SIZE];

	/* etcd drops ETCD_VERSION, which packages set for themselves. */
	if (value == NULL || strcmp(param->flag, "version") == 0)
		return GO_ON;
	if (config_source(param) == SOURCE_FLAG)
	{
		log_write(LOG_ERROR, __FILE__, __LINE__,
				  "conflicting environment variable is shadowed by corresponding command-line flag "
				  "(either unset environment variable or disable flag))",
				  &LOG_TEXT("environment-variable", variable), 1);
		return EXIT_REFUSED;
	}
	if (config_take(param, value, source, reason))
		return GO_ON;
	(void) snprintf(error, sizeof(error), "invalid value \"%.300s\" for %s: %.500s", value,
					variable, reason);
	return refuse(error);
}

static int
read_variables(void)
{
	for (int i = 0; i < param_count; i++)
	{
		int result = GO_ON;

		if (!param_section(&params[i])->own)
			result = read_variable(&params[i], "ETCD_", SOURCE_ETCD_VARIABLE);
		if (result == GO_ON)
			result = read_variable(&params[i], "RUSD_", SOURCE_RUSD_VARIABLE);
		if (result != GO_ON)
			return result;
	}
	return GO_ON;
}

/* ---- the file of --config-file ---- */

static void
set_defaults(void)
{
	params_set_defaults(&config);
	memset(sources, SOURCE_DEFAULT, sizeof(sources));
}

/* Its name, by the flag or a variable; NULL: there is none. */
static const char *
config_file_name(void)
{
	const Param *param = param_find("config-file", strlen("config-file"));
	char variable[VARIABLE_SIZE];
	const char *name = config.config_file;

	if (*name == '\0')
		name = variable_value(param, "RUSD_", variable);
	if (name == NULL)
		name = variable_value(param, "ETCD_", variable);
	return name;
}

/* BOOT-1: the file, and nothing of what else was given. */
static int
read_config_file(const char *name)
{
	const char *kept = config_keep_text(name);
	char error[CONFIG_ERROR_SIZE];

	set_defaults();
	config.config_file = kept;
	return config_file_read(kept, error) ? GO_ON : refuse(error);
}

/* ---- the file of --config-reload ---- */

/* One line: name=value, a comment, or nothing but blanks. */
static bool
take_line(char *line, Config *into, char error[CONFIG_ERROR_SIZE])
{
	char reason[CONFIG_ERROR_SIZE];
	size_t length;
	const Param *param;

	line[strcspn(line, "\r\n")] = '\0';
	line += strspn(line, " \t");
	if (*line == '\0' || *line == '#')
		return true;
	length = strcspn(line, "=");
	param = param_find(line, length);
	if (line[length] != '=' || param == NULL)
		(void) snprintf(error, CONFIG_ERROR_SIZE, "not a parameter and its value: %.200s", line);
	else if (!param->reload)
		(void) snprintf(error, CONFIG_ERROR_SIZE, "%s cannot be changed while the node runs",
						param->flag);
	else if (!param_set(param, into, line + length + 1, reason))
		(void) snprintf(error, CONFIG_ERROR_SIZE, "invalid value for %s: %.500s", param->flag,
						reason);
	else
	{
		sources[param - params] = SOURCE_FILE;
		return true;
	}
	return false;
}

static Status
read_reload_file(Config *into, char error[CONFIG_ERROR_SIZE])
{
	char line[1024];
	FILE *file;
	Status status = RUSD_OK;

	if (*into->config_reload == '\0')
		return RUSD_OK;
	file = fopen(into->config_reload, "re");
	if (file == NULL)
	{
		(void) snprintf(error, CONFIG_ERROR_SIZE, "could not open %.700s: %s", into->config_reload,
						strerror(errno));
		return RUSD_IO;
	}
	while (status == RUSD_OK && fgets(line, sizeof(line), file) != NULL)
	{
		if (!take_line(line, into, error))
			status = RUSD_INVALID;
	}
	if (status == RUSD_OK && ferror(file))
	{
		(void) snprintf(error, CONFIG_ERROR_SIZE, "could not read %.700s", into->config_reload);
		status = RUSD_IO;
	}
	(void) fclose(file);
	return status;
}

Status
config_reload(void)
{
	Config next = config;
	char error[CONFIG_ERROR_SIZE];
	Status status = read_reload_file(&next, error);

	if (status == RUSD_OK && !config_check(&next, error))
		status = RUSD_INVALID;
	if (status != RUSD_OK)
	{
		log_warn("could not read the configuration again", LOG_TEXT("error", error));
		return status;
	}
	config = next;
	log_reopen();
	return log_set_level(config.log_level);
}

/* ---- all of it ---- */

int
config_parse(int argc, char **argv)
{
	char error[CONFIG_ERROR_SIZE] = "";
	const char *file;
	int result;

	Check(param_count <= MAX_PARAMS && ignored_flag_count <= MAX_IGNORED);
	set_defaults();
	memset(ignored_given, 0, sizeof(ignored_given));
	result = read_flags(argc, argv);
	if (result != GO_ON)
		return result;
	file = config_file_name();
	result = file != NULL ? read_config_file(file) : read_variables();
	if (result != GO_ON)
		return result;
	if (read_reload_file(&config, error) != RUSD_OK || !config_check(&config, error) ||
		!config_derive(&config, error))
		return refuse(error);
	return GO_ON;
}

/* ---- what there is to say when the log is open ---- */

static void
announce_variable(const Param *param)
{
	char variable[VARIABLE_SIZE];
	ParamSource source = config_source(param);
	const char *value;

	if (source == SOURCE_RUSD_VARIABLE && !param_section(param)->own &&
		variable_value(param, "ETCD_", variable) != NULL)
		log_warn("environment variable is shadowed by the RUSD_ variable of the same parameter",
				 LOG_TEXT("environment-variable", variable));
	if (source != SOURCE_ETCD_VARIABLE && source != SOURCE_RUSD_VARIABLE)
		return;
	value = variable_value(param, source == SOURCE_ETCD_VARIABLE ? "ETCD_" : "RUSD_", variable);
	log_info("recognized and used environment variable", LOG_TEXT("variable-name", variable),
			 LOG_TEXT("variable-value", value));
}

/* ETCD_ variables that belong to no parameter, and RUSD_ ones that look like a mistake. */
static void
announce_unknown(const char *entry)
{
	static const char *const others[] = {"ETCD_UNSUPPORTED_ARCH", "RUSD_INJECT"};
	size_t length = strcspn(entry, "=");
	char variable[VARIABLE_SIZE];
	bool etcd = strncmp(entry, "ETCD_", 5) == 0;

	if (!etcd && strncmp(entry, "RUSD_", 5) != 0)
		return;
	for (int i = 0; i < param_count; i++)
	{
		if (etcd && param_section(&params[i])->own)
			continue;
		param_variable(&params[i], etcd ? "ETCD_" : "RUSD_", variable, sizeof(variable));
		if (strlen(variable) == length && strncmp(entry, variable, length) == 0 &&
			strcmp(params[i].flag, "version") != 0)
			return;
	}
	for (size_t i = 0; i < lengthof(others); i++)
	{
		if (strlen(others[i]) == length && strncmp(entry, others[i], length) == 0)
			return;
	}
	log_warn("unrecognized environment variable", LOG_TEXT("environment-variable", entry));
}

void
config_announce(void)
{
	if (*config.config_file != '\0')
		config_file_announce(config.config_file);
	else
	{
		for (int i = 0; i < param_count; i++)
			announce_variable(&params[i]);
		for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
			announce_unknown(*entry);
	}
	for (int i = 0; i < ignored_flag_count; i++)
	{
		if (ignored_given[i])
			log_warn("flag is no longer supported - ignoring", LOG_TEXT("flag", ignored_flags[i]));
	}
	config_warn(&config);
}
