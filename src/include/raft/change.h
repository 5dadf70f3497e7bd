/*
 * change.h
 *	  From an entry of the log to the change of the configuration that it asks for.
 *
 * Recovery, core and applier judge a committed change by raft_configuration_change; this is the one way to
 * what they hand to it.
 *
 * src/include/raft/change.h
 */
#ifndef RAFT_CHANGE_H
#define RAFT_CHANGE_H

#include "format/entry.h"
#include "raft/raft.h"

/* The change in an entry of kind ENTRY_MEMBER with that index; payload with its EntryHeader, and it has passed entry_check. */
extern RaftChange raft_change_of_entry(uint64_t index, const uint8_t *payload);

#endif /* RAFT_CHANGE_H */
