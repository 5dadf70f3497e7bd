/*
 * logline.c
 *	  One line of the log: JSON as etcd's logger writes it, or its console form.
 *
 * Any process.  Pure: no allocation, no system call, no lock (not even the one that localtime
 * takes: times are UTC).  Whatever the texts hold, a JSON line is one valid object in UTF-8.
 *
 * src/backend/utils/logline.c
 */
#include "rusd.h"

#include <stdarg.h>

#include "logline.h"
#include "utils/units.h"

const char *const logline_levels[] = {"debug", "info", "warn", "error", "panic", "fatal"};

/* A line being built.  Nothing is written behind limit; what would be sets full. */
typedef struct Line
{
	char *next;
	char *limit;
	bool full;
	bool spaced; /* console: blanks behind ':' and ',' */
	bool first;  /* no comma before the next field */
	bool value;  /* the last quoted text began, cut or not */
} Line;

/* Room that is kept for the end of a line: closing quote, "truncated", brace, newline. */
#define LINE_RESERVE 32

static void
put(Line *line, const char *text, size_t length)
{
	/* A closing quote may stand behind the limit, so the difference may be negative. */
	if (line->full || (ptrdiff_t) length > line->limit - line->next)
	{
		line->full = true;
		return;
	}
	memcpy(line->next, text, length);
	line->next += length;
}

static void
put_text(Line *line, const char *text)
{
	put(line, text, strlen(text));
}

printf_like(2, 3) static void put_format(Line *line, const char *format, ...)
{
	char buffer[64];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(buffer, sizeof(buffer), format, args);
	va_end(args);
	put_text(line, buffer);
}

/* Length of the valid UTF-8 character at p, 0 if there is none.  The text ends with a zero byte. */
static size_t
utf8_length(const uint8_t *p)
{
	/* Ranges of the second byte exclude overlong forms, surrogates and what lies above U+10FFFF. */
	uint8_t low = 0x80;
	uint8_t high = 0xbf;
	size_t length;

	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		length = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
	{
		length = 3;
		low = p[0] == 0xe0 ? 0xa0 : 0x80;
		high = p[0] == 0xed ? 0x9f : 0xbf;
	}
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
	{
		length = 4;
		low = p[0] == 0xf0 ? 0x90 : 0x80;
		high = p[0] == 0xf4 ? 0x8f : 0xbf;
	}
	else
		return 0;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
	{
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	}
	return length;
}

/* One character, escaped; returns how many bytes of the text it was. */
static size_t
put_character(Line *line, const uint8_t *p)
{
	size_t length;

	switch (*p)
	{
		case '"':
			put(line, "\\\"", 2);
			return 1;
		case '\\':
			put(line, "\\\\", 2);
			return 1;
		case '\n':
			put(line, "\\n", 2);
			return 1;
		case '\r':
			put(line, "\\r", 2);
			return 1;
		case '\t':
			put(line, "\\t", 2);
			return 1;
		default:
			break;
	}
	if (*p < 0x20)
	{
		put_format(line, "\\u%04x", *p);
		return 1;
	}
	length = *p < 0x80 ? 1 : utf8_length(p);
	if (length == 0)
	{
		put(line, "\\ufffd", 6);
		return 1;
	}
	put(line, (const char *) p, length);
	return length;
}

/* A quoted text.  If it does not fit it is cut, and still quoted: the reserve pays for that. */
static void
put_quoted(Line *line, const char *text)
{
	if (text == NULL)
		text = "";
	put(line, "\"", 1);
	line->value = !line->full;
	if (line->full)
		return;
	for (const uint8_t *p = (const uint8_t *) text; *p != '\0' && !line->full;)
	{
		/* Runs of plain bytes at once. */
		size_t run = 0;

		while (p[run] >= 0x20 && p[run] < 0x80 && p[run] != '"' && p[run] != '\\')
			run++;
		run = Min(run, (size_t) (line->limit - line->next) + 1);
		if (run > (size_t) (line->limit - line->next))
		{
			put(line, (const char *) p, run - 1);
			line->full = true;
		}
		else if (run > 0)
		{
			put(line, (const char *) p, run);
			p += run;
		}
		else
			p += put_character(line, p);
	}
	*line->next++ = '"';
}

/* A name and what belongs before and behind it. */
static void
put_name(Line *line, const char *name)
{
	if (!line->first)
		put_text(line, line->spaced ? ", " : ",");
	line->first = false;
	put_quoted(line, name);
	put_text(line, line->spaced ? ": " : ":");
}

static void
put_field(Line *line, const LogField *field)
{
	char text[UNITS_TEXT_SIZE];
	Line before = *line;

	if (line->full)
		return;
	put_name(line, field->name);
	switch (field->type)
	{
		case LOG_FIELD_TEXT:
			put_quoted(line, field->text);
			break;
		case LOG_FIELD_INT:
			put_format(line, "%" PRId64, field->number);
			break;
		case LOG_FIELD_UINT:
			put_format(line, "%" PRIu64, (uint64_t) field->number);
			break;
		case LOG_FIELD_HEX:
			put_format(line, "\"%" PRIx64 "\"", (uint64_t) field->number);
			break;
		case LOG_FIELD_BOOL:
			put_text(line, field->number ? "true" : "false");
			break;
		case LOG_FIELD_DURATION:
			put_quoted(line, duration_format(text, field->number));
			break;
	}
	/* A text that was cut is still a text; but a name without a value would not be JSON. */
	if (line->full && (field->type != LOG_FIELD_TEXT || !line->value))
	{
		*line = before;
		line->full = true;
	}
}

/* Days since 1970 to a date, by the calendar's period of 400 years (146097 days) that begins in
 * March. */
static void
put_time(Line *line, uint64_t wall_ns)
{
	uint64_t seconds = wall_ns / 1000000000u;
	unsigned micros = (unsigned) (wall_ns % 1000000000u / 1000u);
	unsigned day_second = (unsigned) (seconds % 86400);
	unsigned days = (unsigned) (seconds / 86400) + 719468; /* since 0000-03-01 */
	unsigned era = days / 146097;
	unsigned day_of_era = days % 146097;
	unsigned year =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	unsigned day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
	unsigned shifted = (5 * day_of_year + 2) / 153; /* month, March is 0 */
	unsigned day = day_of_year - (153 * shifted + 2) / 5 + 1;
	unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;

	put_format(line, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", year + era * 400 + (month <= 2), month,
			   day, day_second / 3600, day_second / 60 % 60, day_second % 60, micros);
}

/* The last two parts of the file's path, as etcd's logger shows it. */
static void
put_caller(Line *line, const char *file, int number)
{
	const char *from = strrchr(file, '/');

	while (from != NULL && from > file && from[-1] != '/')
		from--;
	put_format(line, "%.40s:%d", from == NULL ? file : from, number);
}

/* A name twice in one object would leave it to the reader which one counts. */
static bool
has_field(const LogEvent *event, const char *name)
{
	for (int i = 0; i < event->count; i++)
	{
		if (strcmp(event->fields[i].name, name) == 0)
			return true;
	}
	return false;
}

/* All fields of an event: what was lost, its own, those of the process. */
static void
put_fields(Line *line, const LogEvent *event)
{
	if (event->dropped > 0)
		put_field(line, &LOG_UNSIGNED("dropped-lines", event->dropped));
	for (int i = 0; i < event->count; i++)
		put_field(line, &event->fields[i]);
	if (event->process[0] == '\0')
		return;
	if (!has_field(event, "process"))
		put_field(line, &LOG_TEXT("process", event->process));
	if (!has_field(event, "pid"))
		put_field(line, &LOG_INTEGER("pid", event->pid));
}

/* The end of a line has room whatever came before. */
static size_t
finish(Line *line, const char *buffer, const char *end)
{
	bool cut = line->full;

	line->full = false;
	line->limit += LINE_RESERVE - 1;
	if (cut)
		put_field(line, &LOG_BOOL("truncated", true));
	put_text(line, end);
	return (size_t) (line->next - buffer);
}

size_t
logline_json(char buffer[LOG_LINE_SIZE], const LogEvent *event)
{
	Line line = {.next = buffer, .limit = buffer + LOG_LINE_SIZE - LINE_RESERVE};

	put_text(&line, "{\"level\":\"");
	put_text(&line, logline_levels[event->level]);
	put_text(&line, "\",\"ts\":\"");
	put_time(&line, event->wall_ns);
	put_text(&line, "\",\"caller\":\"");
	put_caller(&line, event->file, event->line);
	put_text(&line, "\",\"msg\":");
	put_quoted(&line, event->message);
	put_fields(&line, event);
	return finish(&line, buffer, "}\n");
}

size_t
logline_console(char buffer[LOG_LINE_SIZE], const LogEvent *event)
{
	Line line = {.next = buffer, .limit = buffer + LOG_LINE_SIZE - LINE_RESERVE, .spaced = true};

	put_time(&line, event->wall_ns);
	put_text(&line, "\t");
	put_text(&line, logline_levels[event->level]);
	put_text(&line, "\t");
	put_caller(&line, event->file, event->line);
	put_text(&line, "\t");
	for (const uint8_t *p = (const uint8_t *) event->message; *p != '\0' && !line.full;)
		p += put_character(&line, p);
	if (event->count == 0 && event->process[0] == '\0' && event->dropped == 0 && !line.full)
		return finish(&line, buffer, "\n");
	line.first = true;
	if (line.full)
	{
		line.full = false; /* the message was cut: the reserve has room for one field */
		line.limit += 2;
		put_text(&line, "\t{");
		line.full = true;
		line.limit -= 2;
		return finish(&line, buffer, "}\n");
	}
	put_text(&line, "\t{");
	put_fields(&line, event);
	return finish(&line, buffer, "}\n");
}
