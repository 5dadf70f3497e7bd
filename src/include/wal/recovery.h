/*
 * recovery.h
 *	  What the startup process does: makes a new log, or finds the end of an old one.
 *
 * src/include/wal/recovery.h
 */
#ifndef WAL_RECOVERY_H
#define WAL_RECOVERY_H

#include "port/fs.h"
#include "raft/raft.h"

#define RECOVERED_RUNS 64

/* Written by the startup process before any other is forked; read by all. */
typedef struct NodeRecovered
{
	uint64_t cluster_id;
	uint64_t member_id;
	HardState hard_state;                 /* newest term, vote, commit known on disk */
	RaftConfiguration configuration;      /* as of the commit index */
	RaftChange changes[RAFT_CHANGES_MAX]; /* in the log behind the commit index */
	uint32_t change_count;
	uint32_t run_count;
	RaftRun runs[RECOVERED_RUNS]; /* terms of the log, the newest, as RaftStart wants them */
	uint64_t last_index;          /* of the log */
	uint64_t last_term;
	uint64_t
		commit_position; /* end of the last batch up to which all entries are committed: a batch that also holds later ones than
								 * commit_index is not among them */
	uint64_t
		last_regression; /* position of the last batch with a record that voids earlier ones; 0: none was seen */
	uint64_t replay_position; /* position of a batch from which the applier must read */
	uint64_t log_end;         /* where the next batch goes: the WAL buffers begin here */
	uint32_t previous_crc;    /* of the last batch */
	uint32_t segment_salt;    /* of the segment that log_end lies in */
	uint64_t next_sequence;   /* of the next segment to prepare */
	uint64_t applied_index;   /* of the checkpoint */
	uint64_t applied_term;
	RaftConfiguration applied_configuration; /* of the checkpoint */
	LogBegin log_begin;                      /* of the checkpoint */
} NodeRecovered;

/*
 * Makes the first segment of a new log, durable when it returns.  entries: already encoded initial entries (the members of the
 * initial cluster, added one after the other), all of term 1, committed.  configuration: the one before them.
 */
#define BOOTSTRAP_TERM 1

typedef struct InitialEntry
{
	uint32_t kind;
	Bytes payload;
} InitialEntry;

extern Status wal_initialize(FileOps *fs, uint64_t segment_bytes, uint64_t cluster_id,
							 uint64_t member_id, const RaftConfiguration *configuration,
							 const InitialEntry *entries, uint32_t count);

/*
 * Finds the end of the log and copies its last segment, as far as it is valid, into a fresh file with a new salt, which takes the place of the old one once
 * it is synced.  Fills *result, whose applied_index, applied_term, applied_configuration and log_begin the caller has set from the control record (0: the log from its first
 * entry; the configuration before that one is in its first segment, and applied_configuration is set to it).  RUSD_DAMAGED with a sentence in
 * message: the log is damaged before a position that a later batch proves flushed, or does not reach from applied_index on, or not to log_begin.  RUSD_NOT_FOUND: there is no log.
 * Harmless to repeat, and to be killed in at any point.
 */
extern Status wal_recover(FileOps *fs, struct NodeRecovered *result, char *message,
						  size_t message_size);

/*
 * Behind the log that wal_recover has just found, durable when it returns: these entries, of hard_state's term, which is no
 * lower than the last entry's; all of the log and they are committed then.  wal_recover has to be called again.  Harmless to be killed in at any point.
 */
extern Status wal_extend(FileOps *fs, const NodeRecovered *found, const HardState *hard_state,
						 const InitialEntry *entries, uint32_t count);

/* Segment size that the newest segment header tells; RUSD_NOT_FOUND: no log. */
extern Status wal_segment_bytes_on_disk(FileOps *fs, uint64_t *segment_bytes);

#endif /* WAL_RECOVERY_H */
