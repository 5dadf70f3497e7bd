/*
 * startup.h
 *	  How a member begins: a new log or a recovered one, the first control record, the positions
 *	  from which all processes go on.
 *
 * Everything that may block on disks or fail on damage at a start happens here.  The postmaster's
 * startup process calls it before any other process is forked, the simulator at each start of a
 * member.
 *
 * src/include/startup/startup.h
 */
#ifndef STARTUP_STARTUP_H
#define STARTUP_STARTUP_H

#include "ipc/shmem.h"
#include "port/fs.h"
#include "wal/recovery.h"

/* A member that has never run, as it begins: the same on all members but for member_id. */
typedef struct NodeBootstrap
{
	uint64_t cluster_id;
	uint64_t member_id; /* its own */
	/* What makes the members, each judged by the configuration that the one before it leaves, in the order of
	 * their indexes from 1; of term 1, committed. */
	const InitialEntry *entries;
	uint32_t entry_count;
} NodeBootstrap;

/*
 * Makes a new member where the disk holds none and bootstrap is given, else recovers the one that it
 * holds; writes the first control record where there is none; fills shm->recovered, root and
 * positions, so it may run only while nothing else uses shm.  Harmless to repeat, and to be killed
 * in at any point.
 *
 * RUSD_NOT_FOUND: the disk holds no member, and bootstrap is NULL; nothing was done.  Any other error: the
 * node must not start, and message, of message_size bytes, is a sentence that says why; nothing is
 * logged but warnings.
 */
extern Status node_start(Shm *shm, FileOps *fs, const NodeBootstrap *bootstrap, char *message,
						 size_t message_size);

/*
 * --force-new-cluster, behind a node_start that found a member (BOOT-37): makes it the only member, a voter, by entries behind its
 * log that remove all others, and starts it again.  All of its log counts as committed, for it cannot be known what of
 * it was acknowledged.  *removed: how many others there were.  Errors as of node_start; RUSD_INVALID: it is no member itself.
 */
extern Status node_force_single(Shm *shm, FileOps *fs, uint32_t *removed, char *message,
								size_t message_size);

#endif /* STARTUP_STARTUP_H */
