/*
 * metrics.h
 *	  Counters and the text of /metrics.
 *
 * src/include/activity/metrics.h
 */
#ifndef ACTIVITY_METRICS_H
#define ACTIVITY_METRICS_H

#include "ipc/process.h"

typedef enum Counter
{
#define RUSD_COUNTER(symbol, name, labels, help) COUNTER_##symbol,
#include "activity/metriclist.h"
#undef RUSD_COUNTER
	COUNTER_COUNT
} Counter;

StaticAssert(COUNTER_COUNT <= SLOT_COUNTERS, "counters fit into a slot");

/* The process itself: one store, no lock. */
static inline void
count(BackendArea *area, Counter counter, uint64_t by)
{
	atomic_store_explicit(&area->counters[counter],
						  atomic_load_explicit(&area->counters[counter], memory_order_relaxed) + by, memory_order_relaxed);
}

/* Prometheus text of everything, at most size bytes; returns its length (what it would be if it does not fit).  Any process. */
extern size_t metrics_text(const Shm *shm, char *buffer, size_t size);

#endif							/* ACTIVITY_METRICS_H */
