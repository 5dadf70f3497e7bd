/*
 * reads.c
 *	  Read indexes for backends.  Process raft.
 *
 * All that ask share an attempt (RAFT-22): those that come while one is under way wait for the next.  An
 * attempt without an answer is replaced, with an id of its own, after half an election timeout (RAFT-23); one that the core
 * has refused (no leader, nothing committed in its term) when something has changed.
 *
 * src/backend/consensus/reads.c
 */
#include "rusd.h"

#include "consensus_int.h"

static void add(Waiters *waiters, const Waiter *waiter);
static void forget_slot(Waiters *waiters, uint32_t slot);

void
reads_destroy(Consensus *consensus)
{
	free(consensus->asked.list);
	free(consensus->waiting.list);
}

/* A backend has no more open than it has places for answers. */
static void
add(Waiters *waiters, const Waiter *waiter)
{
	if (waiters->count == waiters->capacity)
	{
		uint32_t capacity = Max(2 * waiters->capacity, 64);
		Waiter *grown = realloc(waiters->list, capacity * sizeof(*grown));

		Check(grown != NULL);
		waiters->list = grown;
		waiters->capacity = capacity;
	}
	waiters->list[waiters->count++] = *waiter;
}

void
reads_add(Consensus *consensus, const Waiter *waiter)
{
	add(&consensus->waiting, waiter);
	intake_count(consensus, waiter->slot, waiter->generation, 1);
}

/* Begins an attempt, if one is due. */
void
reads_step(Consensus *consensus)
{
	bool again = consensus->asked.count > 0;
	RaftEvent event = {.kind = RAFT_READ};

	if (consensus->waiting.count == 0 && !again)
		return;
	if ((again && !consensus->ask_again) || !consensus_has_leader(consensus))
		return;
	for (uint32_t i = 0; i < consensus->waiting.count; i++)
		add(&consensus->asked, &consensus->waiting.list[i]);
	consensus->waiting.count = 0;
	consensus->ask_again = false;
	consensus->asked_in_vain = false;
	consensus->asked_ns = consensus->now_ns;
	event.read_id = again ? consensus->read_attempt : 0;
	consensus_core(consensus, &event);
	consensus->did_something = true;
}

/* What the last event has answered. */
void
reads_take(Consensus *consensus)
{
	const RaftUpdate *update = &consensus->update;
	Waiters *asked = &consensus->asked;

	for (uint32_t i = 0; i < update->read_count; i++)
	{
		const RaftReadReady *read = &update->reads[i];

		if (read->read_id != consensus->read_attempt || asked->count == 0)
			continue;
		if (read->index == 0)
		{
			consensus->asked_in_vain = true;
			continue;
		}
		for (uint32_t n = 0; n < asked->count; n++)
		{
			const Waiter *waiter = &asked->list[n];

			intake_count(consensus, waiter->slot, waiter->generation, -1);
			intake_answer(consensus, waiter->slot, waiter->generation, waiter->sequence, RUSD_OK,
						  read->index);
		}
		asked->count = 0;
	}
}

void
reads_tick(Consensus *consensus)
{
	if (consensus->asked.count > 0 &&
		(consensus->asked_in_vain ||
		 consensus->now_ns - consensus->asked_ns >= consensus->election_ns / 2))
		consensus->ask_again = true;
}

static void
forget_slot(Waiters *waiters, uint32_t slot)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < waiters->count; i++)
		if (waiters->list[i].slot != slot || FAULT(answer_to_successor))
			waiters->list[kept++] = waiters->list[i];
	waiters->count = kept;
}

void
reads_forget_slot(Consensus *consensus, uint32_t slot)
{
	forget_slot(&consensus->asked, slot);
	forget_slot(&consensus->waiting, slot);
}
