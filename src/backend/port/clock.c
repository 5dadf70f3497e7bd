/*
 * clock.c
 *	  The kernel's clock; in builds for tests, bent.
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

#ifdef RUSD_INJECT
#include <sys/mman.h>
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

#ifdef RUSD_INJECT

/* From the machine's time since_ns on, which is shown as shown_ns, time runs at this rate. */
typedef struct ClockWarp
{
	_Atomic uint32_t change; /* odd while the postmaster writes */
	_Atomic uint32_t rate_permille;
	_Atomic uint64_t since_ns;
	_Atomic uint64_t shown_ns;
} ClockWarp;

static ClockWarp *warp;

static uint64_t
bent(uint64_t now_ns)
{
	uint32_t change;
	uint64_t since_ns, shown_ns, rate;

	if (warp == NULL)
		return now_ns;
	do
	{
		do
			change = atomic_load(&warp->change);
		while ((change & 1) != 0);
		since_ns = atomic_load(&warp->since_ns);
		shown_ns = atomic_load(&warp->shown_ns);
		rate = atomic_load(&warp->rate_permille);
	} while (atomic_load(&warp->change) != change);
	/* The machine's time was read before the change that we saw. */
	if (now_ns < since_ns)
		return shown_ns;
	return shown_ns + (now_ns - since_ns) * rate / 1000;
}

void
clock_warp(uint64_t ahead_ns, uint32_t rate_permille)
{
	static uint64_t jumped_ns;
	uint64_t now_ns = read_clock(CLOCK_MONOTONIC);
	uint64_t shown_ns = bent(now_ns);

	if (warp == NULL)
	{
		warp = mmap(NULL, sizeof(*warp), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		Check(warp != MAP_FAILED);
	}
	if (ahead_ns > jumped_ns)
	{
		shown_ns += ahead_ns - jumped_ns;
		jumped_ns = ahead_ns;
	}
	atomic_fetch_add(&warp->change, 1);
	atomic_store(&warp->since_ns, now_ns);
	atomic_store(&warp->shown_ns, shown_ns);
	atomic_store(&warp->rate_permille, rate_permille);
	atomic_fetch_add(&warp->change, 1);
}

static uint64_t
os_monotonic_ns(const ClockOps *self)
{
	(void) self;
	return bent(read_clock(CLOCK_MONOTONIC));
}

static uint64_t
os_wall_ns(const ClockOps *self)
{
	uint64_t now_ns = read_clock(CLOCK_MONOTONIC);

	(void) self;
	return read_clock(CLOCK_REALTIME) + (bent(now_ns) - now_ns);
}

#else

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

#endif

const ClockOps clock_os = {.monotonic_ns = os_monotonic_ns, .wall_ns = os_wall_ns};
