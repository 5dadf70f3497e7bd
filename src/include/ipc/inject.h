/*
 * inject.h
 *	  Injection points: INJECT("wal-before-sync") is nothing unless the build has RUSD_INJECT.
 *
 * A test attaches an action to a point, by the variable RUSD_INJECT at start or by the file
 * inject in the data directory, which the postmaster reads again at SIGUSR2: lines
 * "point=action[:count]", count being how many passes go by first.  Actions: kill (SIGKILL
 * to self), wait (until the action is changed), error (INJECT_ERROR gives true), off.
 *
 * Two lines are no points but bend the clocks of the node (port/clock.h): "clock-ahead=ms", the
 * sum of all jumps so far, and "clock-rate=permille", which is the machine's where it is not named.
 *
 * src/include/ipc/inject.h
 */
#ifndef IPC_INJECT_H
#define IPC_INJECT_H

#define INJECT_POINTS 64
#define INJECT_NAME_BYTES 40

typedef struct InjectTable
{
	struct
	{
		char name[INJECT_NAME_BYTES];
		_Atomic uint32_t action;
		_Atomic uint32_t passes; /* to let by first */
	} points[INJECT_POINTS];
} InjectTable;

#ifdef RUSD_INJECT
extern void inject_attach(InjectTable *table);
/* Postmaster: text of lines as above; a point not named is turned off. */
extern void inject_configure(InjectTable *table, const char *text);
/* Returns true if an error is to be played. */
extern bool inject_hit(const char *point);
#define INJECT(point) ((void) inject_hit(point))
#define INJECT_ERROR(point) inject_hit(point)
#else
#define inject_attach(table) ((void) (table))
#define INJECT(point) ((void) 0)
#define INJECT_ERROR(point) false
#endif

#endif /* IPC_INJECT_H */
