/*
 * check_failed.c
 *	  What Check calls in test programs that do not link the server's log.
 *
 * test/unit/check_failed.c
 */
#include "rusd.h"

void
check_failed(const char *condition, const char *file, int line)
{
	(void) fprintf(stderr, "# check failed: %s (%s:%d)\n", condition, file, line);
	abort();
}
