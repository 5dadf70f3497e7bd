/*
 * clock.c
 *	  The kernel's clock.
 *
 * Any process, tools too.  Both calls are answered by the vDSO: no system call.
 *
 * src/backend/port/clock.c
 */
#ifdef FRONTEND
#include "rusd_fe.h"
#else
#include "rusd.h"
#endif

#include <time.h>

#include "port/clock.h"

static uint64_t
read_clock(clockid_t clock)
{
	struct timespec now;

	Check(clock_gettime(clock, &now) == 0);
	return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

static uint64_t
os_monotonic_ns(const ClockOps *self)
{
	(void) self;
	return read_clock(CLOCK_MONOTONIC);
}

static uint64_t
os_wall_ns(const ClockOps *self)
{
	(void) self;
	return read_clock(CLOCK_REALTIME);
}

const ClockOps clock_os = {.monotonic_ns = os_monotonic_ns, .wall_ns = os_wall_ns};
