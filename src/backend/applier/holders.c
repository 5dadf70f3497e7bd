/*
 * holders.c
 *	  Backends that do not let go of pages that others want.
 *
 * Process applier.  Pins are written by backends, and one that is stopped, broken or hostile can
 * hold what died since its pin for ever.  An answer is pinned for as long as encoding takes, and a
 * snapshot that was ended for as long as noticing takes: some seconds later, with pages wanted and
 * not there, its backend is named to the postmaster, which kills it [applier-7].  One at a time, the
 * one with the oldest pin.
 *
 * What was old is told from two marks of the past, not from watching slots: nothing is looked at
 * while nobody wants pages, and nobody gains by changing pins.
 *
 * src/backend/applier/holders.c
 */
#include "rusd.h"

#include "applier_int.h"
#include "ipc/slot.h"

#define PATIENCE_NS UINT64_C(3000000000)
#define LOOK_NS UINT64_C(100000000)

static void
take_marks(Applier *applier, uint64_t now)
{
	if (applier->recent.ns != 0 && now - applier->recent.ns < PATIENCE_NS)
		return;
	applier->past = applier->recent;
	applier->recent.ns = now;
	applier->recent.root = store_root(applier->store)->number;
	applier->recent.allowed =
		atomic_load_explicit(&applier->shm->root->oldest_allowed_root, memory_order_relaxed);
}

/* The oldest root that this slot should have let go of by now; UINT64_MAX: none.  all: of any root. */
static uint64_t
overdue(const Applier *applier, uint32_t slot, bool all)
{
	const BackendArea *area = applier->shm->areas[slot];
	uint64_t results = atomic_load_explicit(&area->result_pin, memory_order_relaxed);
	uint64_t oldest = UINT64_MAX;

	/* A root that was no longer the newest then. */
	if ((results & 0xffff) != 0 && (all || results >> 16 < applier->past.root))
		oldest = results >> 16;
	for (int pin = 0; pin < SNAPSHOT_PINS; pin++)
	{
		uint64_t root = atomic_load_explicit(&area->snapshot_pins[pin], memory_order_relaxed);

		if (root != 0 && (all || root < applier->past.allowed))
			oldest = Min(oldest, root);
	}
	return oldest;
}

void
holders_step(Applier *applier, uint64_t now)
{
	Shm *shm = applier->shm;
	_Atomic uint64_t *named = &shm->requests->backend_to_kill;
	uint64_t name = atomic_load_explicit(named, memory_order_relaxed);
	uint64_t oldest = UINT64_MAX;
	bool all;

	take_marks(applier, now);
	if (name != 0 && slot_is_live(shm, (uint32_t) (name >> 32), (uint32_t) name))
		return; /* it will be */
	if (name != 0)
		atomic_store_explicit(named, 0, memory_order_relaxed);
	all = install_waits_for_readers(applier, now, PATIENCE_NS);
	if (applier->past.ns == 0 || now - applier->holders_looked_ns < LOOK_NS ||
		!(all || frames_are_short(applier)))
		return;
	applier->holders_looked_ns = now;
	name = 0;
	for (uint32_t slot = PROC_ESSENTIAL_COUNT; slot < shm->layout.slot_count; slot++)
	{
		uint32_t generation =
			atomic_load_explicit(&shm->heads[slot].generation, memory_order_acquire);
		uint64_t root;

		if (!slot_is_live(shm, slot, generation))
			continue;
		root = overdue(applier, slot, all);
		if (root >= oldest)
			continue;
		oldest = root;
		name = (uint64_t) slot << 32 | generation;
	}
	if (name != 0)
		atomic_store_explicit(named, name, memory_order_release);
}
