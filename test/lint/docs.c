/*
 * docs.c
 *	  Prints the references of doc/ that are made from lists: docs
 * parameters|errors|waitevents|metrics.
 *
 * A program of its own, so that the server needs no hidden option; run by test/lint/make-docs.
 *
 * test/lint/docs.c
 */
#include "rusd.h"

#include "ipc/waitevent.h"
#include "utils/config.h"

typedef struct ErrorRow
{
	const char *symbol;
	int code;
	const char *text;
} ErrorRow;

static const ErrorRow errors[] = {
#define RUSD_STATUS(symbol, code, text) {#symbol, code, text},
#include "utils/errlist.h"
#undef RUSD_STATUS
};

static const char *const codes[] = {
	"OK",       "Canceled",        "Unknown",          "InvalidArgument",   "DeadlineExceeded",
	"NotFound", "AlreadyExists",   "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
	"Aborted",  "OutOfRange",      "Unimplemented",    "Internal",          "Unavailable",
	"DataLoss", "Unauthenticated",
};

static void
print_errors_between(Status first, Status end, const char *title)
{
	printf("\n## %s\n\n| symbol | gRPC code | text |\n|---|---|---|\n", title);
	for (int i = (int) first; i < (int) end; i++)
		printf("| `%s` | %d %s | `%s` |\n", errors[i - 1].symbol, errors[i - 1].code,
			   codes[errors[i - 1].code], errors[i - 1].text);
}

static void
print_errors(void)
{
	printf("# Errors\n\nMade from `src/include/utils/errlist.h` by `make docs`; do not edit.\n");
	print_errors_between((Status) 1, RUSD_TOO_MANY_REQUESTS, "Declared by etcd");
	print_errors_between(RUSD_TOO_MANY_REQUESTS, RUSD_AGAIN,
						 "Raw texts, and those of the gRPC layer");
	print_errors_between(RUSD_AGAIN, RUSD_STATUS_COUNT, "Inside only");
}

static void
print_wait_events(void)
{
	printf("# Wait events\n\nMade from `src/include/ipc/waiteventlist.h` by `make docs`; do not "
		   "edit.\n"
		   "What a process waits for, as the activity view shows it.\n\n"
		   "| name | meaning |\n|---|---|\n");
#define RUSD_WAIT(symbol, name, sentence) printf("| `%s` | %s |\n", name, sentence);
#include "ipc/waiteventlist.h"
#undef RUSD_WAIT
}

static void
print_metrics(void)
{
	printf("# Metrics\n\nMade from `src/include/activity/metriclist.h` and "
		   "`src/backend/activity/metrics.c` by `make docs`; do not edit.\n\n"
		   "## Counters of processes\n\n| name | labels | meaning |\n|---|---|---|\n");
#define RUSD_COUNTER(symbol, name, labels, help) printf("| `%s` | %s | %s |\n", name, labels, help);
#include "activity/metriclist.h"
	printf("\n## Histograms\n\nEach bound is twice the one before it.\n\n"
		   "| name | first bound | bounds | meaning |\n|---|---|---|---|\n");
#define RUSD_HISTOGRAM(symbol, name, first_ns, bounds, help)                                       \
	printf("| `%s` | %g s | %d | %s |\n", name, first_ns / 1e9, bounds, help);
#include "activity/metriclist.h"
	printf("\n## Of each other member\n\nLabels are member ids in hexadecimal; with `Remote` comes "
		   "`Local`.\n\n| name | label | meaning |\n|---|---|---|\n");
#define RUSD_PEER_COUNTER(symbol, name, labels, help)                                              \
	if (name[0] != '\0')                                                                           \
		printf("| `%s` | %s | %s |\n", name, labels, help);
#include "activity/metriclist.h"
#define RUSD_PEER_HISTOGRAM(symbol, name, labels, first_ns, bounds, help)                          \
	printf("| `%s` | %s | Histogram, %d bounds from %g s. %s |\n", name, labels, bounds,           \
		   first_ns / 1e9, help);
#include "activity/metriclist.h"
}

int
main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (strcmp(what, "parameters") == 0)
		config_print_markdown();
	else if (strcmp(what, "errors") == 0)
		print_errors();
	else if (strcmp(what, "waitevents") == 0)
		print_wait_events();
	else if (strcmp(what, "metrics") == 0)
		print_metrics();
	else
	{
		(void) fprintf(stderr, "usage: docs parameters|errors|waitevents|metrics\n");
		return 2;
	}
	return 0;
}
