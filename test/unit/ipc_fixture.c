/*
 * ipc_fixture.c
 *	  Small segments for tests, and writes that are expected to fault.
 *
 * test/unit/ipc_fixture.c
 */
#include "rusd.h"

#include <setjmp.h>
#include <signal.h>

#include "ipc_fixture.h"

static sigjmp_buf fault_return;

Shm *
fixture_shm(uint32_t backends, bool sealed)
{
	ShmLayout layout = {.slot_count = PROC_ESSENTIAL_COUNT + backends,
						.wal_buffer_bytes = 1 << 20,
						.wal_segment_bytes = 1 << 22,
						.frame_count = 1024};
	Shm *shm = NULL;

	if (shm_create(&layout, sealed, &shm) != RUSD_OK)
		abort();
	return shm;
}

static void
on_fault(int number)
{
	(void) number;
	siglongjmp(fault_return, 1);
}

static bool
faults(volatile uint8_t *at, bool writes)
{
	struct sigaction action = {.sa_handler = on_fault};
	struct sigaction old_segv;
	struct sigaction old_bus;
	volatile bool faulted = false;

	sigemptyset(&action.sa_mask);
	sigaction(SIGSEGV, &action, &old_segv);
	sigaction(SIGBUS, &action, &old_bus);
	if (sigsetjmp(fault_return, 1) == 0)
	{
		uint8_t byte = *at;

		if (writes)
			*at = byte;
	}
	else
		faulted = true;
	sigaction(SIGSEGV, &old_segv, NULL);
	sigaction(SIGBUS, &old_bus, NULL);
	return faulted;
}

bool
write_faults(volatile uint8_t *at)
{
	return faults(at, true);
}

bool
read_faults(const volatile uint8_t *at)
{
	return faults((volatile uint8_t *) (uintptr_t) at, false);
}

uint64_t
fixture_hash(const uint8_t *bytes, size_t length)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

bool
fixture_flush(Shm *shm, bool disk_works)
{
	ShmPositions *positions = shm->positions;
	uint64_t appended = atomic_load(&positions->appended);
	bool did = disk_works && atomic_load(&positions->flushed) != appended;
	uint64_t ceiling, floor, commit;

	if (disk_works)
	{
		atomic_store(&positions->written, appended);
		atomic_store(&positions->flushed, appended);
	}
	shm_bounds_read(shm, &ceiling, &floor);
	commit = Min(atomic_load(&positions->flushed), ceiling);
	if (floor != 0 && commit >= floor && commit > atomic_load(&positions->committed_by_flush))
		atomic_store(&positions->committed_by_flush, commit);
	atomic_store(&shm->segments->ready_end, appended / shm->layout.wal_segment_bytes + 2);
	return did;
}

/* xorshift64* */
uint64_t
fixture_random(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * UINT64_C(0x2545f4914f6cdd1d);
}
