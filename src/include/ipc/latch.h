/*
 * latch.h
 *	  How a process sleeps and how another wakes it.
 *
 * The one correct loop of an owner:
 *
 *		for (;;)
 *		{
 *			latch_reset(my_latch);		before looking for work, or a wake is lost
 *			... do all the work there is ...
 *			latch_wait(...) or latch_wait_socket(...)
 *		}
 *
 * latch_set() is a store, a fence and, only if the owner says that it sleeps, one system
 * call: nobody is woken who is awake.  Essential processes have no socket and sleep in a
 * futex; backends sleep in ppoll() with their socket and are woken by SIGURG, which is
 * blocked at all other times, so no descriptor is needed per peer (doc/decisions/0002).  A
 * latch lies in a page that backends can write: a hostile one can wake anybody without
 * cause, or make a wake to itself or others be lost; so every essential process sleeps with
 * a limit (a tick) and looks at all its rings then.
 *
 * Memory order: latch_reset's exchange pairs with latch_set's; what was written before
 * latch_set is seen after latch_reset.
 *
 * src/include/ipc/latch.h
 */
#ifndef IPC_LATCH_H
#define IPC_LATCH_H

#include "ipc/waitevent.h"

typedef struct Latch
{
	cache_aligned _Atomic uint32_t word; /* 1: set.  The futex word */
	_Atomic uint32_t sleeping;           /* the owner is in, or about to enter, its wait */
	_Atomic int32_t pid; /* of the owner when it sleeps in ppoll, 0 for a futex.  A hint: SIGURG to
						  * a wrong process does nothing */
} Latch;

/*
 * Owner only, once: how this process is woken.  use_signal: by SIGURG (blocked from here
 * on), else futex.
 */
extern void latch_init(Latch *latch, bool use_signal);

/* Any process; also in a signal handler. */
extern void latch_set(Latch *latch);

/* Owner only. */
extern void latch_reset(Latch *latch);

/*
 * Owner only: sleeps until the latch is set or timeout_ms (-1: none) has passed or a signal
 * arrived.  Returns true if the latch is set.  event is shown in the activity row meanwhile.
 */
extern bool latch_wait(Latch *latch, int timeout_ms, WaitEvent event);

#define WAIT_READABLE 1
#define WAIT_WRITABLE 2
#define WAIT_LATCH 4
/*
 * Owner of a latch with use_signal: the same together with a socket; wanted is WAIT_READABLE
 * and/or WAIT_WRITABLE.  Returns what has happened (0: time-out or another signal); errors
 * and hang-up of the socket show as what was wanted of it.
 */
extern int latch_wait_socket(Latch *latch, int socket, int wanted, int timeout_ms, WaitEvent event);

#endif /* IPC_LATCH_H */
