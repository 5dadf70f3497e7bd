/*
 * applier.h
 *	  Process applier: applies committed entries to the store, publishes the root, answers.
 *
 * src/include/applier/applier.h
 */
#ifndef APPLIER_APPLIER_H
#define APPLIER_APPLIER_H

#include "pagecache/page.h"
#include "port/clock.h"
#include "port/fs.h"

typedef struct Applier Applier;

/*
 * Takes up from shm->recovered and the control record: reads the map of used pages, makes the
 * store, sets the reader of the log at the replay position.  access: how this process reads pages.
 */
extern Status applier_create(Shm *shm, FileOps *fs, const ClockOps *clock, PageAccess access,
							 int64_t quota, Applier **result);
/*
 * One turn: applies what is committed (a batch of at most some hundred entries or a few MiB),
 * publishes root, then applied, then replies; serves a checkpointer that wants a root; else one
 * slice of background work.  RUSD_OK: did something; RUSD_AGAIN: nothing to do; else the node must
 * stop.
 */
extern Status applier_step(Applier *applier);

extern void applier_destroy(Applier *applier);
/* Entries that take longer are logged (--warning-apply-duration); 0: none. */
extern void applier_warn_after(Applier *applier, uint64_t ns);

does_not_return extern void applier_main(void);

#endif /* APPLIER_APPLIER_H */
