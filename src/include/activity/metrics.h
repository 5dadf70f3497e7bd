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

/*
 * Behind the listed counters: for each method of rpc/methodlist.h how many calls began, then one
 * place for each gRPC code that they ended with.
 */
#define GRPC_CODES 17
#define METHODS_COUNTED 26
#define COUNTER_METHODS COUNTER_COUNT

StaticAssert(COUNTER_METHODS + METHODS_COUNTED * (1 + GRPC_CODES) <= SLOT_COUNTERS,
			 "counters fit into a slot");

/* The process itself: one store, no lock. */
static inline void
count(BackendArea *area, Counter counter, uint64_t by)
{
	atomic_store_explicit(&area->counters[counter],
						  atomic_load_explicit(&area->counters[counter], memory_order_relaxed) + by,
						  memory_order_relaxed);
}

static inline void
count_started(BackendArea *area, uint32_t method)
{
	count(area, (Counter) (COUNTER_METHODS + method * (1 + GRPC_CODES)), 1);
}

static inline void
count_handled(BackendArea *area, uint32_t method, int grpc_code)
{
	count(area, (Counter) (COUNTER_METHODS + method * (1 + GRPC_CODES) + 1 + (uint32_t) grpc_code),
		  1);
}

/* What only somebody with a snapshot of the store knows. */
typedef struct MetricsOfStore
{
	const char *cluster_version; /* "3.7.0", "" while undecided */
	int64_t keys;
	uint64_t quota;
} MetricsOfStore;

/*
 * Prometheus text of everything, at most size bytes; returns its length (what it would be if it
 * does not fit).  Any process; process_* are of all processes of the node, of which the caller's
 * parent is the postmaster.
 */
extern size_t metrics_text(const Shm *shm, const MetricsOfStore *store, char *buffer, size_t size);

#endif /* ACTIVITY_METRICS_H */
