/*
 * fault_chosen.c
 *	  In builds with FAULTS=1: the mistake that a unit test runs with is named by the environment, FAULT.
 *
 * test/unit/fault_chosen.c
 */
#include "rusd.h"

#include "port/fault.h"

#ifdef USE_FAULTS
Fault fault_switched_in;

__attribute__((constructor)) static void
choose(void)
{
	static const char *const names[] = {
		"",
#define RUSD_FAULT(name, text) #name,
#include "port/faultlist.h"
#undef RUSD_FAULT
	};
	const char *wanted = getenv("FAULT");

	for (int i = 1; wanted != NULL && i < FAULT_COUNT; i++)
		if (strcmp(names[i], wanted) == 0)
			fault_switched_in = (Fault) i;
	if (wanted != NULL && fault_switched_in == FAULT_NONE)
	{
		(void) fprintf(stderr, "no such fault: %s\n", wanted);
		exit(2);
	}
}
#endif
