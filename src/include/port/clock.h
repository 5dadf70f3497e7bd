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

#endif /* CLOCK_H */
