/*
 * clock.h
 *	  Time, as a table of functions, so that the simulator can put another one in its place.
 *
 * src/include/port/clock.h
 */
#ifndef CLOCK_H
#define CLOCK_H

typedef struct ClockOps ClockOps;
struct ClockOps
{
	/* Monotonic nanoseconds.  Never goes back. */
	uint64_t (*monotonic_ns)(const ClockOps *self);
	/* Nanoseconds since 1970, for people and logs only. */
	uint64_t (*wall_ns)(const ClockOps *self);
};

/* The kernel's clock. */
extern const ClockOps clock_os;

#ifdef RUSD_INJECT
/*
 * Builds for tests: the clocks of one node run otherwise than the machine's, alike in all its
 * processes, from now on.  rate_permille: 1000 is the machine's rate.  ahead_ns: all jumps
 * forwards since the node's start, so that the same call twice makes one jump; a smaller one than
 * before changes nothing, for the monotonic clock never goes back.  The wall clock is ahead of
 * the machine's by as much as the monotonic one.
 *
 * The postmaster alone, for the first time before it forks: the processes share one page.
 */
extern void clock_warp(uint64_t ahead_ns, uint32_t rate_permille);
#endif

#endif /* CLOCK_H */
