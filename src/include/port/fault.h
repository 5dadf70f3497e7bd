/*
 * fault.h
 *	  Mistakes that can be switched into a build, so that the checkers of the simulator can be seen to
 *	  catch them.
 *
 * FAULT(name) stands where one mistake would change what the code does.  It is the constant false
 * in every build but the simulator's own (make FAULTS=1), where one of the faults of
 * port/faultlist.h can be switched on at the command line.
 *
 * src/include/port/fault.h
 */
#ifndef PORT_FAULT_H
#define PORT_FAULT_H

typedef enum Fault
{
	FAULT_NONE,
#define RUSD_FAULT(name, text) FAULT_##name,
#include "port/faultlist.h"
#undef RUSD_FAULT
	FAULT_COUNT
} Fault;

#ifdef USE_FAULTS
/* The one that is switched in; written by the simulator before a run. */
extern Fault fault_switched_in;
#define FAULT(name) unlikely(fault_switched_in == FAULT_##name)
#else
#define FAULT(name) false
#endif

#endif /* PORT_FAULT_H */
