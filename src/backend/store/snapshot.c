/*
 * snapshot.c
 *	  Holding a version of the store: snapshot pins and result pins.
 *
 * Backends (and whoever else has a BackendArea).  The writer of a pin is its process alone; the
 * applier reads pins when it looks for pages to reuse, and shares the result pin with the backend.
 *
 * Why a pin holds (a page that died at root d is reused when d is published and no pin r < d can
 * see it, [pagecache-2]):
 *
 *		reader							applier
 *		reads root R, even count c		publishes root d (count odd, words, even)
 *		P: stores pin = R				fence
 *		fence							reads all pins
 *		reads count: still c?			reuses pages that died at d
 *
 * Both fences are sequentially consistent, so they have an order.  If the reader's comes first, the
 * applier sees the pin.  If the applier's comes first, the reader's second look at the count sees
 * that publication (or a later one): it differs from c, and the reader begins again without having
 * touched a page.  So whoever goes on with R is seen.  A publication takes a batch's time and the
 * look some ten nanoseconds; a reader that is overtaken again and again gets further each time that
 * it is not.
 *
 * src/backend/store/snapshot.c
 */
#include "rusd.h"

#include "store_int.h"

#define RESULTS_MASK UINT64_C(0xffff)

static int
free_pin(const BackendArea *area)
{
	for (int pin = 0; pin < SNAPSHOT_PINS; pin++)
	{
		if (atomic_load_explicit(&area->snapshot_pins[pin], memory_order_relaxed) == 0)
			return pin;
	}
	return -1;
}

Status
snapshot_pin(PageAccess *access, Snapshot *snapshot)
{
	const ShmRoot *root = access->shm->root;
	BackendArea *area = access->area;
	int pin = free_pin(area);

	if (pin < 0)
		return RUSD_AGAIN;
	for (;;)
	{
		uint64_t count = atomic_load_explicit(&root->change_count, memory_order_acquire);

		shm_root_read(access->shm, &snapshot->root);
		atomic_store_explicit(&area->snapshot_pins[pin], snapshot->root.number,
							  memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst); /* pairs with space_reclaim */
		if (count % 2 == 0 &&
			atomic_load_explicit(&root->change_count, memory_order_relaxed) == count)
			break;
	}
	/* All of them are to go, this one too; who waits for that has stored it before its own fence. */
	if (snapshot->root.number <
		atomic_load_explicit(&root->oldest_allowed_root, memory_order_relaxed))
	{
		atomic_store_explicit(&area->snapshot_pins[pin], 0, memory_order_release);
		return RUSD_TIMEOUT_WAIT_APPLIED;
	}
	snapshot->access = access;
	snapshot->pin = pin;
	snapshot->newest_main = snapshot->root.revision;
	return RUSD_OK;
}

void
snapshot_unpin(Snapshot *snapshot)
{
	/* Release: reads of pages that went before are over. */
	if (snapshot->pin >= 0)
		atomic_store_explicit(&snapshot->access->area->snapshot_pins[snapshot->pin], 0,
							  memory_order_release);
	snapshot->pin = -1;
}

bool
snapshot_is_ended(const Snapshot *snapshot)
{
	/* What no pin of its own holds is not the kind that is kept long. */
	return snapshot->pin >= 0 &&
		   snapshot->root.number <
			   atomic_load_explicit(&snapshot->access->shm->root->oldest_allowed_root,
									memory_order_relaxed);
}

void
snapshot_of_reply(PageAccess *access, const Reply *reply, Snapshot *snapshot)
{
	shm_root_read(access->shm, &snapshot->root);
	snapshot->root.number = reply->root;
	snapshot->root.revision = reply->revision;
	snapshot->root.keys.page = reply->keys_page;
	snapshot->root.keys.birth = reply->keys_birth;
	/* The other trees of that root are not known. */
	snapshot->root.revisions.page = PAGE_NONE;
	snapshot->root.system.page = PAGE_NONE;
	snapshot->access = access;
	snapshot->pin = -1;
	/* Entries behind this one in its batch may have changed keys again before the root was
	 * published. */
	snapshot->newest_main = INT64_MAX;
}

Status
snapshot_pin_reply(PageAccess *access, const Reply *reply, Snapshot *snapshot)
{
	int pin = free_pin(access->area);

	if (pin < 0)
		return RUSD_AGAIN;
	snapshot_of_reply(access, reply, snapshot);
	/*
	 * No second look: the result pin, which is counted still, holds every page that died after its
	 * root, and that root is not above the reply's.  result_unpin comes after this store in the
	 * order of both, and the applier reads them the other way round: where it finds the result pin
	 * given up, it finds this one set.
	 */
	atomic_store_explicit(&access->area->snapshot_pins[pin], reply->root, memory_order_seq_cst);
	snapshot->pin = pin;
	return RUSD_OK;
}

void
result_unpin(BackendArea *area)
{
	uint64_t old = atomic_load_explicit(&area->result_pin, memory_order_relaxed);

	for (;;)
	{
		Check((old & RESULTS_MASK) != 0);
		if (atomic_compare_exchange_weak_explicit(&area->result_pin, &old, old - 1,
												  memory_order_seq_cst, memory_order_relaxed))
			return;
	}
}

void
result_pin(BackendArea *area, uint64_t root)
{
	uint64_t old = atomic_load_explicit(&area->result_pin, memory_order_relaxed);

	for (;;)
	{
		uint64_t count = old & RESULTS_MASK;
		uint64_t new = count == 0 ? root << 16 | 1 : old + 1;

		/* More than a backend can have outstanding: it has spoiled its own pin and has itself to
		 * blame. */
		if (count == RESULTS_MASK)
			return;
		if (atomic_compare_exchange_weak_explicit(&area->result_pin, &old, new,
												  memory_order_seq_cst, memory_order_relaxed))
			return;
	}
}
