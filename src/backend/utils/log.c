/*
 * log.c
 *	  Where lines of the server log go, and that they never keep consensus waiting.
 *
 * Any process.  Each process writes for itself, one write(2) a line and output.  For processes that
 * must not block, log_open makes a second open file description of a pipe or terminal by way of
 * /proc/self/fd and makes that one non-blocking: O_NONBLOCK on the inherited description would be
 * seen by everybody who shares it, the shell that started us included.  Where that cannot be done
 * (no /proc, a socket) such a process asks poll first.  Files on a disk are just written.
 *
 * The level lies in a page that all processes share, so that it changes for all at once.
 *
 * src/backend/utils/log.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "logline.h"
#include "port/clock.h"

/* How long a process that may wait waits for a full non-blocking pipe, at most. */
#define PATIENCE_MS 1000

typedef struct Output
{
	int file;      /* for who may block */
	int impatient; /* same place, never blocks; -1: poll file first */
	bool regular;
	bool poll_first;     /* may block, and there is no impatient twin */
	char path[PATH_MAX]; /* "" for stderr and stdout */
} Output;

static Output outputs[LOG_MAX_OUTPUTS] = {
	{.file = STDERR_FILENO, .impatient = -1, .poll_first = true}};
static int output_count = 1;
static bool console = false;
static _Atomic int level_at_start = LOG_INFO;
static _Atomic int *shared_level = &level_at_start;
static char process_kind[32] = "";
static int process_pid = 0;
static bool must_not_block = false;
static uint64_t dropped = 0;

static int
level_of(const char *word)
{
	for (int i = 0; i <= LOG_FATAL; i++)
	{
		if (strcmp(word, logline_levels[i]) == 0)
			return i;
	}
	return -1;
}

Status
log_set_level(const char *word)
{
	int level = level_of(word);

	if (level < 0)
		return RUSD_INVALID;
	atomic_store_explicit(shared_level, level, memory_order_relaxed);
	return RUSD_OK;
}

bool
log_enabled(LogLevel level)
{
	return (int) level >= atomic_load_explicit(shared_level, memory_order_relaxed);
}

void
log_set_process(const char *kind)
{
	(void) snprintf(process_kind, sizeof(process_kind), "%s", kind);
	process_pid = getpid();
	dropped = 0;
}

void
log_set_nonblocking(bool nonblocking)
{
	must_not_block = nonblocking;
}

uint64_t
log_dropped(void)
{
	return dropped;
}

/* Finds out what kind of thing an output is, and how not to wait for it. */
static void
examine_output(Output *output)
{
	struct stat st;
	char path[64];

	output->impatient = -1;
	output->regular = fstat(output->file, &st) == 0 && S_ISREG(st.st_mode);
	if (output->regular)
		return;
	(void) snprintf(path, sizeof(path), "/proc/self/fd/%d", output->file);
	output->impatient = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	output->poll_first = output->impatient < 0;
}

/* 1 if a write would not wait. */
static bool
writable(int file, int timeout_ms)
{
	struct pollfd one = {.fd = file, .events = POLLOUT};

	return poll(&one, 1, timeout_ms) == 1 && (one.revents & POLLOUT) != 0;
}

/* false: the line is lost here. */
static bool
write_line(const Output *output, const char *line, size_t length)
{
	int file = output->file;

	if (must_not_block && !output->regular)
	{
		if (output->impatient >= 0)
			file = output->impatient;
		else if (output->poll_first && !writable(file, 0))
			return false;
	}
	for (int attempt = 0; attempt < 10; attempt++)
	{
		ssize_t written = write(file, line, length);

		if (written == (ssize_t) length)
			return true;
		if (written >= 0)
		{
			/* Part of it went out (a full disk, a terminal): the rest follows or is lost. */
			line += written;
			length -= (size_t) written;
		}
		else if (errno == EAGAIN)
		{
			/* Somebody else made our description non-blocking; it is theirs too. */
			if (must_not_block || !writable(file, PATIENCE_MS))
				return false;
		}
		else if (errno != EINTR)
			return false;
	}
	return false;
}

void
log_write(LogLevel level, const char *file, int line, const char *message, const LogField *fields,
		  int count)
{
	int saved_errno = errno;
	char buffer[LOG_LINE_SIZE];
	LogEvent event = {
		.level = level,
		.wall_ns = clock_os.wall_ns(&clock_os),
		.file = file,
		.line = line,
		.message = message,
		.process = process_kind,
		.pid = process_pid,
		.dropped = dropped,
		.fields = fields,
		.count = count,
	};
	size_t length = (console ? logline_console : logline_json)(buffer, &event);
	bool out = false;

	for (int i = 0; i < output_count; i++)
		out |= write_line(&outputs[i], buffer, length);
	dropped = out ? 0 : dropped + 1;
	if (level == LOG_PANIC)
		abort();
	if (level == LOG_FATAL)
		_exit(1);
	errno = saved_errno;
}

void
check_failed(const char *condition, const char *file, int line)
{
	log_write(LOG_PANIC, file, line, "check failed", &LOG_TEXT("condition", condition), 1);
	abort();
}

/* ---- opening ---- */

static Status
open_file(Output *output)
{
	output->file = open(output->path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0644);
	if (output->file < 0)
	{
		log_error("failed to open a log output", LOG_TEXT("path", output->path), LOG_ERRNO(errno));
		return RUSD_IO;
	}
	return RUSD_OK;
}

static Status
open_output(Output *output, const char *name, size_t length)
{
	*output = (Output){.file = STDERR_FILENO};
	if (length == 0 || length >= sizeof(output->path))
		return RUSD_INVALID;
	memcpy(output->path, name, length);
	if (strcmp(output->path, "default") == 0 || strcmp(output->path, "stderr") == 0)
		output->path[0] = '\0';
	else if (strcmp(output->path, "stdout") == 0)
	{
		output->path[0] = '\0';
		output->file = STDOUT_FILENO;
	}
	else
	{
		Status status = open_file(output);

		if (status != RUSD_OK)
			return status;
	}
	examine_output(output);
	return RUSD_OK;
}

static void
close_output(Output *output)
{
	if (output->path[0] != '\0')
		(void) close(output->file);
	if (output->impatient >= 0)
		(void) close(output->impatient);
}

static void
share_level(void)
{
	_Atomic int *page;

	if (shared_level != &level_at_start)
		return;
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return; /* then a later change is seen by the postmaster alone */
	atomic_init(page, LOG_INFO);
	shared_level = page;
}

Status
log_open(const char *level, const char *format, const char *list)
{
	static Output opened[LOG_MAX_OUTPUTS];
	int count = 0;
	bool as_console = strcmp(format, "console") == 0;

	if (level_of(level) < 0 || (!as_console && strcmp(format, "json") != 0))
		return RUSD_INVALID;
	for (const char *name = list;;)
	{
		size_t length = strcspn(name, ",");
		Status status = RUSD_INVALID;

		if (count < LOG_MAX_OUTPUTS)
			status = open_output(&opened[count], name, length);
		if (status != RUSD_OK)
		{
			while (count > 0)
				close_output(&opened[--count]);
			return status;
		}
		count++;
		name += length;
		if (*name++ == '\0')
			break;
	}
	for (int i = 0; i < output_count; i++)
		close_output(&outputs[i]);
	memcpy(outputs, opened, sizeof(outputs));
	output_count = count;
	console = as_console;
	share_level();
	return log_set_level(level);
}

void
log_reopen(void)
{
	for (int i = 0; i < output_count; i++)
	{
		Output fresh = outputs[i];

		if (fresh.path[0] == '\0' || open_file(&fresh) != RUSD_OK)
			continue;
		examine_output(&fresh);
		close_output(&outputs[i]);
		outputs[i] = fresh;
	}
}
