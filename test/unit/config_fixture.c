/*
 * config_fixture.c
 *	  config_parse with what it prints caught.
 *
 * test/unit/config_fixture.c
 */
#include "rusd.h"

#include <jansson.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "config_fixture.h"
#include "utils/config.h"

extern char **environ;

/* ---- running config_parse with its output caught ---- */

char output[1 << 17];
char errors[1 << 17];

int
catch_fd(int fd, FILE *into)
{
	int saved = dup(fd);

	(void) fflush(NULL);
	assert_true(saved >= 0);
	assert_true(dup2(fileno(into), fd) >= 0);
	return saved;
}

void
release_fd(int fd, int saved, FILE *from, char *text, size_t size)
{
	size_t got;

	(void) fflush(NULL);
	assert_true(dup2(saved, fd) >= 0);
	(void) close(saved);
	rewind(from);
	got = fread(text, 1, size - 1, from);
	assert_true(got < size - 1);
	text[got] = '\0';
	(void) fclose(from);
}

int
parse(const char *arguments)
{
	static char copy[8192];
	static char program[] = "rusd";
	char *argv[64] = {program};
	int argc = 1;
	FILE *out = tmpfile();
	FILE *err = tmpfile();
	int saved_out;
	int saved_err;
	int result;

	assert_non_null(out);
	assert_non_null(err);
	assert_true((size_t) snprintf(copy, sizeof(copy), "%s", arguments) < sizeof(copy));
	for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
	{
		if (strcmp(word, "{}") == 0)
			*word = '\0';
		argv[argc++] = word;
	}
	saved_out = catch_fd(STDOUT_FILENO, out);
	saved_err = catch_fd(STDERR_FILENO, err);
	result = config_parse(argc, argv);
	if (result == -1)
		config_announce();
	release_fd(STDERR_FILENO, saved_err, err, errors, sizeof(errors));
	release_fd(STDOUT_FILENO, saved_out, out, output, sizeof(output));
	return result;
}

void
refused(const char *arguments, const char *want)
{
	json_t *line;
	const char *text;

	assert_int_equal(parse(arguments), 1);
	line = json_loads(errors, 0, NULL);
	if (line == NULL)
		fail_msg("not one log line: %s", errors);
	assert_string_equal(json_string_value(json_object_get(line, "msg")), "failed to verify flags");
	text = json_string_value(json_object_get(line, "error"));
	if (strcmp(text, want) != 0)
		fail_msg("%s: \"%s\" is not \"%s\"", arguments, text, want);
	json_decref(line);
}

void
usage_error(const char *arguments, const char *want)
{
	size_t length = strlen(want);

	assert_int_equal(parse(arguments), 2);
	if (strncmp(errors, want, length) != 0 || strncmp(errors + length, "\nUsage:\n", 8) != 0)
		fail_msg("%s: %s is not \"%s\"", arguments, errors, want);
	assert_string_equal(output, "");
}

void
accepted(const char *arguments)
{
	int result = parse(arguments);

	if (result != -1)
		fail_msg("%s: status %d, %s", arguments, result, errors);
}

/* Not clearenv: the test library has variables too. */
int
clear_environment(void **state)
{
	(void) state;
	for (int i = 0; environ[i] != NULL;)
	{
		char name[128];

		(void) snprintf(name, sizeof(name), "%.*s", (int) strcspn(environ[i], "="), environ[i]);
		if (strncmp(name, "ETCD", 4) == 0 || strncmp(name, "RUSD", 4) == 0)
			(void) unsetenv(name);
		else
			i++;
	}
	return 0;
}
