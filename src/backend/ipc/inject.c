/*
 * inject.c
 *	  Injection points of builds with RUSD_INJECT; nothing in others.  Postmaster configures, any
 *	  process passes.
 *
 * src/backend/ipc/inject.c
 */
#include "rusd.h"

#include <ctype.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "ipc/inject.h"
#include "port/clock.h"

#ifdef RUSD_INJECT

typedef enum InjectAction
{
	INJECT_OFF,
	INJECT_KILL,
	INJECT_WAIT,
	INJECT_PLAY_ERROR
} InjectAction;

#define WAIT_LOOK_NS 1000000 /* how often a held process looks whether it may go on */

/* What the lines of one text say about the clocks. */
typedef struct ClockLines
{
	uint64_t ahead_ms;
	uint32_t rate_permille;
} ClockLines;

static int find_point(InjectTable *table, const char *point);
static void configure_line(InjectTable *table, char *line, bool *named, ClockLines *clock);
static bool clock_line(const char *name, const char *value, ClockLines *clock);
static InjectAction action_of(const char *text);

static InjectTable *attached;

void
inject_attach(InjectTable *table)
{
	attached = table;
}

void
inject_configure(InjectTable *table, const char *text)
{
	bool named[INJECT_POINTS] = {false};
	ClockLines clock = {.rate_permille = 1000};
	char *copy = strdup(text);
	char *rest = NULL;

	if (copy == NULL)
		return;
	for (char *line = strtok_r(copy, "\n,;", &rest); line != NULL;
		 line = strtok_r(NULL, "\n,;", &rest))
		configure_line(table, line, named, &clock);
	for (int i = 0; i < INJECT_POINTS; i++)
		if (!named[i])
			atomic_store(&table->points[i].action, INJECT_OFF);
	clock_warp(clock.ahead_ms * 1000000, clock.rate_permille);
	free(copy);
}

/* point=action[:count] */
static void
configure_line(InjectTable *table, char *line, bool *named, ClockLines *clock)
{
	char *action;
	char *count;
	int at;

	while (isspace((unsigned char) *line))
		line++;
	action = strchr(line, '=');
	if (action == NULL)
		return;
	*action++ = '\0';
	action[strcspn(action, " \t\r")] = '\0';
	if (clock_line(line, action, clock))
		return;
	count = strchr(action, ':');
	if (count != NULL)
		*count++ = '\0';

	at = find_point(table, line);
	for (int i = 0; at < 0 && i < INJECT_POINTS; i++)
		if (table->points[i].name[0] == '\0')
		{
			/* The action is OFF until the name is whole. */
			snprintf(table->points[i].name, INJECT_NAME_BYTES, "%s", line);
			at = i;
		}
	if (at < 0)
		return;
	named[at] = true;
	atomic_store(&table->points[at].passes,
				 count != NULL ? (uint32_t) strtoul(count, NULL, 10) : 0);
	atomic_store(&table->points[at].action, action_of(action));
}

/* Whether the line is about the clocks; takes it then. */
static bool
clock_line(const char *name, const char *value, ClockLines *clock)
{
	if (strcmp(name, "clock-ahead") == 0)
		clock->ahead_ms = strtoull(value, NULL, 10);
	else if (strcmp(name, "clock-rate") == 0)
		clock->rate_permille = (uint32_t) strtoul(value, NULL, 10);
	else
		return false;
	return true;
}

static InjectAction
action_of(const char *text)
{
	static const char *const names[] = {"off", "kill", "wait", "error"};

	for (int i = 0; i < (int) lengthof(names); i++)
		if (strcmp(text, names[i]) == 0)
			return (InjectAction) i;
	return INJECT_OFF;
}

static int
find_point(InjectTable *table, const char *point)
{
	for (int i = 0; i < INJECT_POINTS; i++)
		if (strncmp(table->points[i].name, point, INJECT_NAME_BYTES) == 0)
			return i;
	return -1;
}

bool
inject_hit(const char *point)
{
	uint32_t passes;
	int at = attached != NULL ? find_point(attached, point) : -1;

	if (at < 0 || atomic_load(&attached->points[at].action) == INJECT_OFF)
		return false;
	passes = atomic_load(&attached->points[at].passes);
	while (passes > 0)
		if (atomic_compare_exchange_weak(&attached->points[at].passes, &passes, passes - 1))
			return false;
	switch (atomic_load(&attached->points[at].action))
	{
		case INJECT_KILL:
			kill(getpid(), SIGKILL);
			return false;
		case INJECT_PLAY_ERROR:
			return true;
		case INJECT_WAIT:
			while (atomic_load(&attached->points[at].action) == INJECT_WAIT)
				nanosleep(&(struct timespec){.tv_nsec = WAIT_LOOK_NS}, NULL);
			return atomic_load(&attached->points[at].action) == INJECT_PLAY_ERROR;
		default:
			return false;
	}
}

#endif /* RUSD_INJECT */
