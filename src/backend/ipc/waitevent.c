/*
 * waitevent.c
 *	  Names of wait events, and showing the one that a process is in.  Any process.
 *
 * src/backend/ipc/waitevent.c
 */
#include "rusd.h"

#include <time.h>

#include "ipc/process.h"
#include "ipc/waitevent.h"

static void show(uint32_t event);

static const struct
{
	const char *name;
	const char *sentence;
} events[] = {
#define RUSD_WAIT(symbol, name, sentence) {name, sentence},
#include "ipc/waiteventlist.h"
#undef RUSD_WAIT
};

StaticAssert(lengthof(events) == WAIT_EVENT_COUNT, "a wait event is missing");

const char *
wait_event_name(uint32_t event)
{
	return event < WAIT_EVENT_COUNT ? events[event].name : "unknown";
}

const char *
wait_event_sentence(uint32_t event)
{
	return event < WAIT_EVENT_COUNT ? events[event].sentence : "Unknown.";
}

uint32_t
wait_event_begin(WaitEvent event)
{
	uint32_t before;

	if (my_area == NULL)
		return WAIT_EVENT_NONE;
	before = atomic_load_explicit(&my_area->wait_event, memory_order_relaxed);
	show(event);
	return before;
}

void
wait_event_end(uint32_t before)
{
	if (my_area != NULL)
		show(before);
}

/* The coarse clock is a load from the vDSO's page: exact to some milliseconds, which is enough
 * here. */
static void
show(uint32_t event)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	atomic_store_explicit(&my_area->state_since_ns,
						  (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec,
						  memory_order_relaxed);
	atomic_store_explicit(&my_area->wait_event, event, memory_order_relaxed);
}
