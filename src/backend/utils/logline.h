/*
 * logline.h
 *	  Building one line of the log in a fixed buffer.  Of utils/ alone.
 *
 * src/backend/utils/logline.h
 */
#ifndef LOGLINE_H
#define LOGLINE_H

#include "utils/log.h"

typedef struct LogEvent
{
	LogLevel level;
	uint64_t wall_ns;
	const char *file;
	int line;
	const char *message;
	const char *process; /* "": not told */
	int pid;
	uint64_t dropped; /* lines lost before this one */
	const LogField *fields;
	int count;
} LogEvent;

/* Both return the length, newline included, at most LOG_LINE_SIZE. */
extern size_t logline_json(char buffer[LOG_LINE_SIZE], const LogEvent *event);
extern size_t logline_console(char buffer[LOG_LINE_SIZE], const LogEvent *event);

extern const char *const logline_levels[];

#endif /* LOGLINE_H */
