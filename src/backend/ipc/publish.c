/*
 * publish.c
 *	  States of several words under a change count, and marks.  Any process.
 *
 * A state has one writer and any number of readers, none of whom writes anything or waits
 * for a lock. The writer makes the count odd, stores the words, makes it even.  A reader
 * loads the count, the words, the count again, and takes the words if both counts are the
 * same even number.
 *
 * In terms of C11, all of these are atomic objects, so there is no data race, and two things hold.
 *
 * The words are stored with release and loaded with acquire.  If a reader sees a word of write n,
 * that store synchronizes with its load, so the store that made the count odd (2n - 1), which is
 * sequenced before it, happens before the reader's second load of the count: that load gives
 * 2n - 1 or later, unequal to a first load that gave 2n - 2 or less.  So no word that is newer
 * than the first count goes unnoticed.
 *
 * The even count is stored with release and loaded with acquire.  If the first load gives 2n, all
 * words of write n happen before the loads of the words, which so give them or newer ones.  So no
 * word that is older than the count is taken.
 *
 * Both together: the words are exactly those of write n.  No fence is needed; on x86 each of
 * these loads and stores is a plain mov.  What the writer wrote to other memory before it is
 * visible to a reader that took the state.
 *
 * src/backend/ipc/publish.c
 */
#include "rusd.h"

#include <sched.h>

#include "ipc/shmem.h"

#define SPINS_BEFORE_YIELD 64

static void publish_words(_Atomic uint64_t *change_count, _Atomic uint64_t *words,
						  const void *state, size_t bytes);
static bool try_read_words(const _Atomic uint64_t *change_count, const _Atomic uint64_t *words,
						   void *state, size_t bytes);
static void read_words(const _Atomic uint64_t *change_count, const _Atomic uint64_t *words,
					   void *state, size_t bytes);

StaticAssert(sizeof(ControlState) % sizeof(uint64_t) == 0, "ControlState is whole words");
StaticAssert(sizeof(RaftConfiguration) % sizeof(uint64_t) == 0, "RaftConfiguration is whole words");
StaticAssert(sizeof(RootState) % sizeof(uint64_t) == 0, "RootState is whole words");

static void
publish_words(_Atomic uint64_t *change_count, _Atomic uint64_t *words, const void *state,
			  size_t bytes)
{
	uint64_t count = atomic_load_explicit(change_count, memory_order_relaxed);
	uint64_t word;

	atomic_store_explicit(change_count, count + 1, memory_order_relaxed);
	for (size_t i = 0; i < bytes / sizeof(word); i++)
	{
		memcpy(&word, (const uint8_t *) state + i * sizeof(word), sizeof(word));
		atomic_store_explicit(&words[i], word, memory_order_release);
	}
	atomic_store_explicit(change_count, count + 2, memory_order_release);
}

static bool
try_read_words(const _Atomic uint64_t *change_count, const _Atomic uint64_t *words, void *state,
			   size_t bytes)
{
	uint64_t before = atomic_load_explicit(change_count, memory_order_acquire);
	uint64_t word;

	if (before & 1)
		return false;
	for (size_t i = 0; i < bytes / sizeof(word); i++)
	{
		word = atomic_load_explicit(&words[i], memory_order_acquire);
		memcpy((uint8_t *) state + i * sizeof(word), &word, sizeof(word));
	}
	return atomic_load_explicit(change_count, memory_order_relaxed) == before;
}

static void
read_words(const _Atomic uint64_t *change_count, const _Atomic uint64_t *words, void *state,
		   size_t bytes)
{
	for (int spins = 0; !try_read_words(change_count, words, state, bytes); spins++)
		if (spins >= SPINS_BEFORE_YIELD)
			sched_yield(); /* the writer may be waiting for this very core */
}

void
shm_control_write(Shm *shm, const ControlState *state)
{
	publish_words(&shm->control->change_count, shm->control->words, state, sizeof(*state));
}

void
shm_control_read(const Shm *shm, ControlState *state)
{
	read_words(&shm->control->change_count, shm->control->words, state, sizeof(*state));
}

bool
shm_control_try_read(const Shm *shm, ControlState *state)
{
	return try_read_words(&shm->control->change_count, shm->control->words, state, sizeof(*state));
}

bool
shm_control_is_fresh(const Shm *shm, uint64_t now_ns, uint64_t max_age_ns)
{
	uint64_t loop_ns = atomic_load_explicit(&shm->control->loop_ns, memory_order_acquire);

	/* Stamped by another core a moment after now_ns was taken: fresh. */
	return loop_ns != 0 && (loop_ns >= now_ns || now_ns - loop_ns <= max_age_ns);
}

void
shm_root_write(Shm *shm, const RootState *state)
{
	publish_words(&shm->root->change_count, shm->root->words, state, sizeof(*state));
}

void
shm_root_read(const Shm *shm, RootState *state)
{
	read_words(&shm->root->change_count, shm->root->words, state, sizeof(*state));
}

void
shm_configuration_write(Shm *shm, const RaftConfiguration *configuration)
{
	publish_words(&shm->configuration->change_count, shm->configuration->words, configuration,
				  sizeof(*configuration));
}

bool
shm_configuration_try_read(const Shm *shm, RaftConfiguration *configuration)
{
	return try_read_words(&shm->configuration->change_count, shm->configuration->words,
						  configuration, sizeof(*configuration));
}

uint64_t
shm_configuration_read(const Shm *shm, RaftConfiguration *configuration)
{
	uint64_t count;

	do
	{
		count = atomic_load_explicit(&shm->configuration->change_count, memory_order_acquire);
		read_words(&shm->configuration->change_count, shm->configuration->words, configuration,
				   sizeof(*configuration));
	} while (count !=
			 atomic_load_explicit(&shm->configuration->change_count, memory_order_relaxed));
	return count;
}

void
shm_install_write(Shm *shm, const InstallOrder *order)
{
	publish_words(&shm->requests->install_change_count, shm->requests->install_words, order,
				  sizeof(*order));
}

void
shm_install_read(const Shm *shm, InstallOrder *order)
{
	read_words(&shm->requests->install_change_count, shm->requests->install_words, order,
			   sizeof(*order));
}

void
shm_bounds_write(Shm *shm, uint64_t ceiling, uint64_t floor)
{
	ShmPositions *positions = shm->positions;
	uint64_t count = atomic_load_explicit(&positions->bound_change_count, memory_order_relaxed);

	atomic_store_explicit(&positions->bound_change_count, count + 1, memory_order_relaxed);
	atomic_store_explicit(&positions->ceiling, ceiling, memory_order_release);
	atomic_store_explicit(&positions->floor, floor, memory_order_release);
	/* Sequentially consistent: raft looks at flushed behind it (wal_batch_end tells why). */
	atomic_store_explicit(&positions->bound_change_count, count + 2, memory_order_seq_cst);
}

void
shm_bounds_read(const Shm *shm, uint64_t *ceiling, uint64_t *floor)
{
	const ShmPositions *positions = shm->positions;
	uint64_t before;

	for (int spins = 0;; spins++)
	{
		before = atomic_load_explicit(&positions->bound_change_count, memory_order_seq_cst);
		*ceiling = atomic_load_explicit(&positions->ceiling, memory_order_acquire);
		*floor = atomic_load_explicit(&positions->floor, memory_order_acquire);
		if ((before & 1) == 0 &&
			atomic_load_explicit(&positions->bound_change_count, memory_order_relaxed) == before)
			return;
		if (spins >= SPINS_BEFORE_YIELD)
			sched_yield();
	}
}

/*
 * A bit is set after what it announces was written, and taken before that is looked at: the
 * two read-modify-writes of one word are ordered, so either the consumer takes the bit and
 * sees what was written, or the bit stays for its next turn.
 */
void
marks_set(Marks *marks, uint32_t slot)
{
	atomic_fetch_or_explicit(&marks->words[slot / 64], UINT64_C(1) << (slot % 64),
							 memory_order_seq_cst);
}

bool
marks_take(Marks *marks, uint32_t *word, uint64_t *bits)
{
	for (; *word < MARK_WORDS; (*word)++)
	{
		if (atomic_load_explicit(&marks->words[*word], memory_order_relaxed) == 0)
			continue;
		*bits = atomic_exchange_explicit(&marks->words[*word], 0, memory_order_seq_cst);
		if (*bits != 0)
			return true;
	}
	return false;
}

bool
marks_exist(const Marks *marks)
{
	for (uint32_t word = 0; word < MARK_WORDS; word++)
		if (atomic_load_explicit(&marks->words[word], memory_order_relaxed) != 0)
			return true;
	return false;
}
