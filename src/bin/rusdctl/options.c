/*
 * options.c
 *	  Flags in the manner of etcdctl (--name=value, --name value, -w value, -wvalue), and the
 *	  variables RUSDCTL_<FLAG> and ETCDCTL_<FLAG> that stand for the global ones.
 *
 * Flags and arguments may be mixed.  The texts of errors are etcdctl's, for scripts that look.
 *
 * src/bin/rusdctl/options.c
 */
#include "rusd_fe.h"

#include <ctype.h>
#include <stdarg.h>

#include "options.h"

printf_like(2, 3) static bool fail(const char **error, const char *format, ...)
{
	static char buffer[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(buffer, sizeof(buffer), format, args);
	va_end(args);
	*error = buffer;
	return false;
}

/* ---- values ---- */

bool
parse_int(const char *text, int base, int64_t *value, const char **error)
{
	static char buffer[512];
	const char *why = NULL;
	char *end;
	const char *first = text + (*text == '-' || *text == '+');

	errno = 0;
	*value = strtoll(text, &end, base);
	/* strtoll takes blanks and 0x, Go does not */
	if (*end != '\0' || end == text || !isxdigit((unsigned char) *first) || strpbrk(text, "xX"))
		why = "invalid syntax";
	else if (errno == ERANGE)
		why = "value out of range";
	if (why == NULL)
		return true;
	snprintf(buffer, sizeof(buffer), "strconv.ParseInt: parsing \"%.300s\": %s", text, why);
	*error = buffer;
	return false;
}

bool
parse_id(const char *text, uint64_t *id, const char **error)
{
	static char buffer[512];
	const char *why = NULL;
	char *end;

	errno = 0;
	*id = strtoull(text, &end, 16);
	/* strtoull takes blanks, signs and 0x, Go does not */
	if (*end != '\0' || !isxdigit((unsigned char) *text) || strpbrk(text, "xX") != NULL)
		why = "invalid syntax";
	else if (errno == ERANGE)
		why = "value out of range";
	if (why == NULL)
		return true;
	snprintf(buffer, sizeof(buffer), "strconv.ParseUint: parsing \"%.300s\": %s", text, why);
	*error = buffer;
	return false;
}

bool
parse_duration(const char *text, int64_t *value, const char **error)
{
	static char buffer[512];
	static const struct
	{
		const char *name;
		double ns;
	} units[] = {{"ns", 1},  {"us", 1e3}, {"µs", 1e3},  {"ms", 1e6},
				 {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	const char *at = text;
	double sum = 0;

	if (strcmp(text, "0") == 0)
	{
		*value = 0;
		return true;
	}
	while (*at != '\0')
	{
		char *end;
		double number = isdigit((unsigned char) *at) || *at == '.' ? strtod(at, &end) : -1;
		size_t length;
		size_t u = 0;

		if (number < 0 || end == at)
			break;
		at = end;
		length = strcspn(at, "0123456789.");
		while (u < lengthof(units) &&
			   (strlen(units[u].name) != length || strncmp(at, units[u].name, length) != 0))
			u++;
		if (u == lengthof(units))
			break;
		sum += number * units[u].ns;
		at += length;
	}
	if (at != text && *at == '\0' && sum < 9e18)
	{
		*value = (int64_t) sum;
		return true;
	}
	snprintf(buffer, sizeof(buffer), "time: invalid duration \"%.300s\"", text);
	*error = buffer;
	return false;
}

static bool
parse_bool(const char *text, bool *value)
{
	static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
	static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};

	for (size_t i = 0; i < lengthof(yes); i++)
	{
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0)
		{
			*value = strcmp(text, yes[i]) == 0;
			return true;
		}
	}
	return false;
}

/* Returns false with Go's complaint in *why. */
static bool
assign(Flag *flag, const char *text, const char **why)
{
	static char buffer[512];

	switch (flag->kind)
	{
		case FLAG_BOOL:
			if (parse_bool(text, flag->value))
				return true;
			snprintf(buffer, sizeof(buffer),
					 "strconv.ParseBool: parsing \"%.300s\": invalid syntax", text);
			*why = buffer;
			return false;
		case FLAG_TEXT:
			*(const char **) flag->value = text;
			return true;
		case FLAG_INT:
			return parse_int(text, 10, flag->value, why);
		case FLAG_DURATION:
			return parse_duration(text, flag->value, why);
	}
	return false;
}

/* ---- command line ---- */

static Flag *
find_flag(Flag *table, const char *name, size_t length, char letter)
{
	for (; table != NULL && table->name != NULL; table++)
	{
		if (letter != '\0'
				? table->letter == letter
				: strlen(table->name) == length && strncmp(table->name, name, length) == 0)
			return table;
	}
	return NULL;
}

static bool
take(Flag *flag, const char *value, const char **error)
{
	const char *why = "";

	flag->given = true;
	if (assign(flag, value, &why))
		return true;
	if (flag->letter != '\0')
		return fail(error, "invalid argument \"%s\" for \"-%c, --%s\" flag: %s", value,
					flag->letter, flag->name, why);
	return fail(error, "invalid argument \"%s\" for \"--%s\" flag: %s", value, flag->name, why);
}

/* --name, --name=value, --name value.  *next is the argument after this one, NULL at the end; *used
 * says that it was taken. */
static bool
take_long(const char *arg, const char *next, bool *used, Flag *own, Flag *global,
		  const char **error)
{
	const char *name = arg + 2;
	size_t length = strcspn(name, "=");
	Flag *flag = find_flag(own, name, length, '\0');

	if (length == 0)
		return fail(error, "bad flag syntax: %s", arg);
	if (flag == NULL)
		flag = find_flag(global, name, length, '\0');
	if (flag == NULL)
		return fail(error, "unknown flag: --%.*s", (int) length, name);
	if (name[length] == '=')
		return take(flag, name + length + 1, error);
	if (flag->kind == FLAG_BOOL)
		return take(flag, "true", error);
	if (next == NULL)
		return fail(error, "flag needs an argument: --%s", flag->name);
	*used = true;
	return take(flag, next, error);
}

/* -i, -w json, -wjson, -w=json; several bools may stand together. */
static bool
take_short(const char *arg, const char *next, bool *used, Flag *own, Flag *global,
		   const char **error)
{
	for (const char *at = arg + 1; *at != '\0'; at++)
	{
		Flag *flag = find_flag(own, NULL, 0, *at);

		if (flag == NULL)
			flag = find_flag(global, NULL, 0, *at);
		if (flag == NULL)
			return fail(error, "unknown shorthand flag: '%c' in %s", *at, arg);
		if (at[1] == '=')
			return take(flag, at + 2, error);
		if (flag->kind == FLAG_BOOL)
		{
			if (!take(flag, "true", error))
				return false;
			continue;
		}
		if (at[1] != '\0')
			return take(flag, at + 1, error);
		if (next == NULL)
			return fail(error, "flag needs an argument: '%c' in %s", *at, arg);
		*used = true;
		return take(flag, next, error);
	}
	return true;
}

bool
options_parse(int *argc, char **argv, Flag *own, Flag *global, bool stop_at_argument,
			  const char **error)
{
	int kept = 0;
	bool only_arguments = false;

	for (int i = 0; i < *argc; i++)
	{
		char *arg = argv[i];
		const char *next = i + 1 < *argc ? argv[i + 1] : NULL;
		bool used = false;

		if (only_arguments || arg[0] != '-' || arg[1] == '\0')
		{
			argv[kept++] = arg;
			only_arguments |= stop_at_argument;
			continue;
		}
		if (strcmp(arg, "--") == 0)
		{
			only_arguments = true;
			continue;
		}
		if (!(arg[1] == '-' ? take_long(arg, next, &used, own, global, error)
							: take_short(arg, next, &used, own, global, error)))
			return false;
		i += used;
	}
	*argc = kept;
	return true;
}

/* ---- environment ---- */

static const char *
variable(const char *prefix, const char *flag, char *name, size_t room)
{
	size_t n = (size_t) snprintf(name, room, "%s", prefix);

	for (; *flag != '\0' && n + 1 < room; flag++)
		name[n++] = *flag == '-' ? '_' : (char) toupper((unsigned char) *flag);
	name[n] = '\0';
	return getenv(name);
}

bool
options_environment(Flag *global, const char **error)
{
	for (Flag *flag = global; flag->name != NULL; flag++)
	{
		char name[64];
		const char *why = "";
		const char *value = variable("RUSDCTL_", flag->name, name, sizeof(name));

		if (value == NULL || *value == '\0')
			value = variable("ETCDCTL_", flag->name, name, sizeof(name));
		if (value == NULL || *value == '\0')
			continue;
		if (flag->given)
			return fail(error,
						"conflicting environment variable \"%s\" is shadowed by corresponding "
						"command-line flag (either unset environment variable or disable flag)",
						name);
		if (!assign(flag, value, &why))
			return fail(error, "invalid value \"%s\" for environment variable \"%s\": %s", value,
						name, why);
	}
	return true;
}

/* ---- help ---- */

void
options_print(const Flag *flags)
{
	size_t widest = 0;

	for (const Flag *f = flags; f->name != NULL; f++)
		widest = Max(widest, strlen(f->name) + (f->kind == FLAG_BOOL ? 0 : 6));
	for (const Flag *f = flags; f->name != NULL; f++)
	{
		char name[64];
		static const char *const value[] = {
			[FLAG_BOOL] = "", [FLAG_TEXT] = "=TEXT", [FLAG_INT] = "=N", [FLAG_DURATION] = "=TIME"};

		snprintf(name, sizeof(name), "%s%s", f->name, value[f->kind]);
		if (f->letter != '\0')
			printf("  -%c, ", f->letter);
		else
			printf("      ");
		printf("--%-*s  %s", (int) widest, name, f->help);
		if (f->shown_default != NULL)
			printf(" (default %s)", f->shown_default);
		putchar('\n');
	}
}
