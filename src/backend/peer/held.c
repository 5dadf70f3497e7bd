/*
 * held.c
 *	  Messages that may not leave before the log is flushed up to what they depend on.  Processes peer.
 *
 * Few, and small: what depends on a flush are answers and votes.  Where a disk stands still they gather, and the
 * oldest go: a lost answer is asked for again.
 *
 * src/backend/peer/held.c
 */
#include "rusd.h"

#include "peer_int.h"

#define HELD_MAX 1024

typedef struct Held
{
	uint64_t depends_on;
	uint32_t length;
	uint8_t *bytes;
} Held;

struct PeerHeld
{
	Held list[HELD_MAX];
	uint32_t count;
	uint8_t *given;
};

PeerHeld *
peer_held_create(void)
{
	PeerHeld *held = calloc(1, sizeof(*held));

	Check(held != NULL);
	return held;
}

static void
remove_at(PeerHeld *held, uint32_t i)
{
	held->count--;
	memmove(&held->list[i], &held->list[i + 1], (held->count - i) * sizeof(Held));
}

void
peer_held_add(PeerHeld *held, uint64_t depends_on, const uint8_t *bytes, uint32_t length)
{
	uint8_t *copy = malloc(length);

	if (copy == NULL)
		return;
	memcpy(copy, bytes, length);
	if (held->count == HELD_MAX)
	{
		free(held->list[0].bytes);
		remove_at(held, 0);
	}
	held->list[held->count++] = (Held){depends_on, length, copy};
}

const uint8_t *
peer_held_next(PeerHeld *held, uint64_t flushed, uint32_t *length)
{
	free(held->given);
	held->given = NULL;
	for (uint32_t i = 0; i < held->count; i++)
	{
		if (held->list[i].depends_on > flushed)
			continue;
		held->given = held->list[i].bytes;
		*length = held->list[i].length;
		remove_at(held, i);
		return held->given;
	}
	return NULL;
}

bool
peer_held_is_empty(const PeerHeld *held)
{
	return held->count == 0;
}

void
peer_held_clear(PeerHeld *held)
{
	while (held->count > 0)
		free(held->list[--held->count].bytes);
}
