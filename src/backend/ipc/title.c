/*
 * title.c
 *	  What ps shows of a process: the bytes of its arguments and environment, written over.
 *
 * The kernel shows the memory from argv[0] to the end of the arguments, and if the byte behind them
 * is no longer 0, goes on into the environment.  So the strings of both are copied to the heap
 * first, and then their old place, one contiguous run, belongs to the title.
 *
 * src/backend/ipc/title.c
 */
#include "rusd.h"

#include <stdarg.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ipc/process.h"

static char *copy_string(const char *text);

static char *title_area;
static size_t title_bytes;

/* Without memory so early there is no title, and no harm. */
static char *
copy_string(const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		title_area = NULL;
	return copy != NULL ? copy : (char *) (uintptr_t) text;
}

void
process_title_init(int argc, char **argv)
{
	char *end;
	int count = 0;
	char **copies;

	if (argc == 0 || argv[0] == NULL)
		return;
	title_area = argv[0];
	end = argv[0];
	for (int i = 0; i < argc; i++)
		if (argv[i] == end)
			end += strlen(argv[i]) + 1;
	for (; environ != NULL && environ[count] != NULL; count++)
		if (environ[count] == end)
			end += strlen(environ[count]) + 1;
	title_bytes = (size_t) (end - argv[0]);

	copies = calloc((size_t) count + 1, sizeof(*copies));
	if (copies == NULL)
	{
		title_area = NULL;
		return;
	}
	for (int i = 0; i < count; i++)
		copies[i] = copy_string(environ[i]);
	if (environ != NULL)
		environ = copies;
	else
		free(copies);
	for (int i = 0; i < argc; i++)
		argv[i] = copy_string(argv[i]);
}

void
process_title(const char *format, ...)
{
	char text[256];
	char name[16];
	va_list args;
	int length;

	length = snprintf(text, sizeof(text), "rusd: ");
	va_start(args, format);
	vsnprintf(text + length, sizeof(text) - (size_t) length, format, args);
	va_end(args);

	/* top and the kernel's own messages show this one: 15 bytes, so without the space. */
	snprintf(name, sizeof(name), "rusd:%.10s", text + length);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	if (title_area == NULL || title_bytes < 2)
		return;
	memset(title_area, 0, title_bytes);
	memcpy(title_area, text, Min(strlen(text), title_bytes - 1));
}
