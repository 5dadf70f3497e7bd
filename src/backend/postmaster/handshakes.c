/*
 * handshakes.c
 *	  How many TLS connections are in their handshake.
 *
 * Postmaster.  A handshake costs a processor a thousand times what it costs the client to ask for it,
 * and who has not finished one is nobody; so they have a limit of their own beside
 * --max-connections.  A backend says itself that its handshake is over; one that lies has a
 * connection either way.
 *
 * src/backend/postmaster/handshakes.c
 */
#include "rusd.h"

#include "postmaster_int.h"
#include "utils/config.h"

#define HANDSHAKES_MAX MAX_SLOTS

typedef struct Handshake
{
	uint32_t slot;
	uint32_t generation;
} Handshake;

/* Those that were not over at the last look. */
static Handshake handshakes[HANDSHAKES_MAX];
static uint32_t handshake_count;

static bool is_over(const Shm *shm, const Handshake *handshake);

bool
handshakes_have_room(const Shm *shm)
{
	uint32_t kept = 0;
	uint32_t limit = (uint32_t) Min(config.max_handshakes, HANDSHAKES_MAX);

	/* Nobody is looked at before they are too many. */
	if (handshake_count < limit)
		return true;
	for (uint32_t i = 0; i < handshake_count; i++)
	{
		if (!is_over(shm, &handshakes[i]))
			handshakes[kept++] = handshakes[i];
	}
	handshake_count = kept;
	return kept < limit;
}

void
handshake_began(const Shm *shm, uint32_t slot)
{
	handshakes[handshake_count++] = (Handshake){
		.slot = slot,
		.generation = atomic_load_explicit(&shm->heads[slot].generation, memory_order_relaxed)};
}

void
handshakes_forget(void)
{
	handshake_count = 0;
}

static bool
is_over(const Shm *shm, const Handshake *handshake)
{
	const SlotHead *head = &shm->heads[handshake->slot];

	return atomic_load_explicit(&head->generation, memory_order_relaxed) != handshake->generation ||
		   atomic_load_explicit(&head->state, memory_order_relaxed) != SLOT_LIVE ||
		   atomic_load_explicit(&shm->areas[handshake->slot]->established, memory_order_relaxed) ==
			   handshake->generation;
}
