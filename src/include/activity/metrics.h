/*
 * metrics.h
 *	  Counters and the text of /metrics.
 *
 * src/include/activity/metrics.h
 */
#ifndef ACTIVITY_METRICS_H
#define ACTIVITY_METRICS_H

#include "ipc/process.h"

/* A histogram has a place for each bound, one for what is above all, and one for the sum in ns. */
typedef enum Counter
{
#define RUSD_COUNTER(symbol, name, labels, help) COUNTER_##symbol,
#include "activity/metriclist.h"
	COUNTER_LISTED,
	COUNTER_LAST_LISTED = COUNTER_LISTED - 1,
#define RUSD_HISTOGRAM(symbol, name, first_ns, bounds, help)                                       \
	HISTOGRAM_##symbol, HISTOGRAM_END_##symbol = HISTOGRAM_##symbol + (bounds) + 1,
#include "activity/metriclist.h"
	COUNTER_COUNT
} Counter;

/* What is counted for each member. */
typedef enum PeerCounter
{
#define RUSD_PEER_COUNTER(symbol, name, labels, help) PEER_##symbol,
#include "activity/metriclist.h"
	PEER_LISTED,
	PEER_LAST_LISTED = PEER_LISTED - 1,
#define RUSD_PEER_HISTOGRAM(symbol, name, labels, first_ns, bounds, help)                          \
	PEER_HISTOGRAM_##symbol, PEER_HISTOGRAM_END_##symbol = PEER_HISTOGRAM_##symbol + (bounds) + 1,
#include "activity/metriclist.h"
	PEER_COUNTER_COUNT
} PeerCounter;

enum
{
#define RUSD_HISTOGRAM(symbol, name, first_ns, bounds, help)                                       \
	HISTOGRAM_FIRST_##symbol = (first_ns), HISTOGRAM_BOUNDS_##symbol = (bounds),
#define RUSD_PEER_HISTOGRAM(symbol, name, labels, first_ns, bounds, help)                          \
	PEER_HISTOGRAM_FIRST_##symbol = (first_ns), PEER_HISTOGRAM_BOUNDS_##symbol = (bounds),
#include "activity/metriclist.h"
};

StaticAssert(PEER_COUNTER_COUNT <= PEER_COUNTERS, "counters of a member fit into a slot");

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
count_peer(BackendArea *area, PeerCounter counter, uint64_t by)
{
	_Atomic uint64_t *place = &area->peer_counters[counter];

	atomic_store_explicit(place, atomic_load_explicit(place, memory_order_relaxed) + by,
						  memory_order_relaxed);
}

/* The process itself: a time into a histogram. */
static inline void
observe_time(_Atomic uint64_t *places, uint64_t first_ns, uint32_t bounds, uint64_t ns)
{
	uint32_t place = 0;

	for (uint64_t bound = first_ns; place < bounds && ns > bound; bound *= 2)
		place++;
	atomic_store_explicit(&places[place],
						  atomic_load_explicit(&places[place], memory_order_relaxed) + 1,
						  memory_order_relaxed);
	atomic_store_explicit(&places[bounds + 1],
						  atomic_load_explicit(&places[bounds + 1], memory_order_relaxed) + ns,
						  memory_order_relaxed);
}

#define observe(area, symbol, ns)                                                                  \
	observe_time(&(area)->counters[HISTOGRAM_##symbol], HISTOGRAM_FIRST_##symbol,                  \
				 HISTOGRAM_BOUNDS_##symbol, ns)
#define observe_peer(area, symbol, ns)                                                             \
	observe_time(&(area)->peer_counters[PEER_HISTOGRAM_##symbol], PEER_HISTOGRAM_FIRST_##symbol,   \
				 PEER_HISTOGRAM_BOUNDS_##symbol, ns)

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
