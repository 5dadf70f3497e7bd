/*
 * slot.h
 *	  The life of a process slot: how it is given out, and when it may be given out again.
 *
 *	  FREE --slot_allocate--> LIVE --slot_mark_dead--> DEAD --slot_try_free--> FREE
 *
 * A slot's rings, replies and pins are used by two other processes, raft and applier, which
 * may be in the middle of that when the owner dies.  So a dead slot is given out again only
 * when both have said that they hold nothing of this generation any more: each notices a
 * death at its next turn (a counter, so looking costs one load), drops what it has, puts its
 * own ends of the slot's rings back to 0, and stores the generation as its acknowledgement.
 * Then the postmaster adds the slot's counters to ended_counters, clears the area and frees
 * it.  Nothing is locked, so it does not matter at which instruction the owner died.
 *
 * Postmaster (it is the only caller, so that nothing here races with itself):
 *
 *		slot_free_dead(shm);		whenever it has reaped, and before it allocates
 *		if (slot_allocate(shm, &slot))
 *			pid = fork();			in the child: process_begin(PROC_BACKEND, slot, ...)
 *			pid < 0 ? slot_mark_dead(shm, slot) : slot_set_pid(shm, slot, pid);
 *		... after waitpid: slot_mark_dead(shm, slot);
 *
 * src/include/ipc/slot.h
 */
#ifndef IPC_SLOT_H
#define IPC_SLOT_H

#include "ipc/shmem.h"

/* ---- postmaster ---- */
/*
 * The lowest free slot for a backend, but none of layout.local_slots: LIVE from now on, its generation raised.
 * False: none is free.
 */
extern bool slot_allocate(Shm *shm, uint32_t *slot);
/* The same for a connection over a unix socket: any. */
extern bool slot_allocate_local(Shm *shm, uint32_t *slot);
/* The same of a slot for a link to that member (LINK_ACCEPTED: 0). */
extern bool slot_allocate_link(Shm *shm, LinkKind link, uint64_t member_id, uint32_t *slot);
/* The slot of an essential process (its number is the kind's). */
extern void slot_occupy(Shm *shm, uint32_t slot);
extern void slot_set_pid(Shm *shm, uint32_t slot, pid_t pid);
/* The process was reaped.  Tells raft and applier. */
extern void slot_mark_dead(Shm *shm, uint32_t slot);
/* True if the slot was dead, both have acknowledged, and it is free now. */
extern bool slot_try_free(Shm *shm, uint32_t slot);
/*
 * slot_try_free for all; returns how many it freed.  While dead ones are left the caller
 * looks again after a while.
 */
extern uint32_t slot_free_dead(Shm *shm);

/* ---- raft, applier ---- */
/*
 * At the beginning of each turn, where nothing of any backend is held in a local variable:
 * acknowledges all slots that have died since *seen (a private counter, 0 at first); one
 * load where none has.  dropped, if not NULL, is called for each before its acknowledgement:
 * the caller forgets there what it has kept for the slot.  acks: shm->raft_acks or
 * shm->applier_acks, which also says whose ends of the rings are put back to 0.
 */
extern void slot_acknowledge_dead(Shm *shm, SlotAck *acks, uint32_t *seen,
								  void (*dropped)(void *arg, uint32_t slot), void *arg);

/* ---- any process ---- */
/* Is the slot's process still the one of that generation, and not reaped? */
static inline bool
slot_is_live(const Shm *shm, uint32_t slot, uint32_t generation)
{
	const SlotHead *head = &shm->heads[slot];

	return atomic_load_explicit(&head->state, memory_order_acquire) == SLOT_LIVE &&
		   atomic_load_explicit(&head->generation, memory_order_relaxed) == generation;
}

#endif /* IPC_SLOT_H */
