/*
 * log.h
 *	  The server log: one event a line, JSON in etcd's shape or console, one write(2) a line.
 *
 *		log_info("ready to serve client requests",
 *				 LOG_TEXT("address", address), LOG_INTEGER("connections", n));
 *
 * A message is a fixed text (etcd's where a tool waits for it); what varies are fields.  Lines are
 * built in a fixed buffer and never allocate; a line has at most LOG_LINE_SIZE bytes, which is what
 * a pipe takes as a whole, so lines of different processes never mix.  What does not fit is cut and
 * the line says "truncated".  In processes that must not block (log_set_nonblocking) a line that
 * does not go out at once is dropped and counted; the count is told with the next line that does.
 *
 * src/include/utils/log.h
 */
#ifndef UTILS_LOG_H
#define UTILS_LOG_H

typedef enum LogLevel
{
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARN,
	LOG_ERROR,
	LOG_PANIC, /* the process ends by abort() */
	LOG_FATAL  /* the process ends with exit status 1 */
} LogLevel;

typedef enum LogFieldType
{
	LOG_FIELD_TEXT,
	LOG_FIELD_INT,
	LOG_FIELD_UINT,
	LOG_FIELD_HEX, /* ids: lower-case hexadecimal text, as etcd shows them */
	LOG_FIELD_BOOL,
	LOG_FIELD_DURATION /* nanoseconds, shown like 1.5s */
} LogFieldType;

typedef struct LogField
{
	const char *name;
	LogFieldType type;
	const char *text;
	int64_t number;
} LogField;

#define LOG_TEXT(n, v) ((LogField){.name = (n), .type = LOG_FIELD_TEXT, .text = (v)})
#define LOG_INTEGER(n, v) ((LogField){.name = (n), .type = LOG_FIELD_INT, .number = (int64_t) (v)})
#define LOG_UNSIGNED(n, v)                                                                         \
	((LogField){.name = (n), .type = LOG_FIELD_UINT, .number = (int64_t) (v)})
#define LOG_ID(n, v) ((LogField){.name = (n), .type = LOG_FIELD_HEX, .number = (int64_t) (v)})
#define LOG_BOOL(n, v) ((LogField){.name = (n), .type = LOG_FIELD_BOOL, .number = (v)})
#define LOG_TIME(n, v)                                                                             \
	((LogField){.name = (n), .type = LOG_FIELD_DURATION, .number = (int64_t) (v)})
/* strerror of an errno value, given as it is or negative */
#define LOG_ERRNO(v)                                                                               \
	((LogField){.name = "error", .type = LOG_FIELD_TEXT, .text = strerror((v) < 0 ? -(v) : (v))})

#define log_at(level, message, ...)                                                                \
	do                                                                                             \
	{                                                                                              \
		if (log_enabled(level))                                                                    \
		{                                                                                          \
			const LogField log_fields_[] = {{.name = NULL}, ##__VA_ARGS__};                        \
			log_write(level, __FILE__, __LINE__, message, log_fields_ + 1,                         \
					  (int) lengthof(log_fields_) - 1);                                            \
		}                                                                                          \
	} while (0)
#define log_debug(message, ...) log_at(LOG_DEBUG, message, ##__VA_ARGS__)
#define log_info(message, ...) log_at(LOG_INFO, message, ##__VA_ARGS__)
#define log_warn(message, ...) log_at(LOG_WARN, message, ##__VA_ARGS__)
#define log_error(message, ...) log_at(LOG_ERROR, message, ##__VA_ARGS__)
/* The node must end: logs and leaves this process with EXIT_STOP, which the postmaster takes as "do
 * not restart". */
#define log_stop(message, ...)                                                                     \
	do                                                                                             \
	{                                                                                              \
		log_at(LOG_ERROR, message, ##__VA_ARGS__);                                                 \
		_Exit(EXIT_STOP);                                                                          \
	} while (0)

#define EXIT_STOP 3 /* exit status of a child: end the node, do not recover */
#define EXIT_REMOVED                                                                               \
	5 /* the same, with status 0: this member has no place in its cluster any more */

#define LOG_LINE_SIZE 4096
#define LOG_MAX_OUTPUTS 8

extern bool log_enabled(LogLevel level);
/* Writes one line; then LOG_PANIC aborts and LOG_FATAL leaves the process.  Keeps errno. */
extern void log_write(LogLevel level, const char *file, int line, const char *message,
					  const LogField *fields, int count);

/*
 * Postmaster, before any fork.  level debug, info, warn, error, panic or fatal; format json or
 * console; outputs: a comma-separated list of default, stderr, stdout and files, which are opened
 * for appending.  Before it, lines go to stderr as JSON from level info.  RUSD_INVALID for a word
 * that is not one of these, else the status of opening (after a line that names the file).
 */
extern Status log_open(const char *level, const char *format, const char *outputs);
/* Opens the files again, after somebody has moved them away.  Only this process; keeps the old one
 * if it fails. */
extern void log_reopen(void);
/* Changes the level of all processes of the node at once.  RUSD_INVALID for an unknown word. */
extern Status log_set_level(const char *level);
/* What the lines say of this process: its kind.  After each fork. */
extern void log_set_process(const char *kind);
/* For this process, and those that it forks until they say otherwise: all but backends, once the node starts. */
extern void log_set_nonblocking(bool nonblocking);
/* Lines that this process dropped and has not yet told of. */
extern uint64_t log_dropped(void);

#endif /* UTILS_LOG_H */
