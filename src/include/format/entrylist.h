/*
 * entrylist.h
 *	  Kinds of log records: RUSD_ENTRY(number, symbol, name, replicated).
 *
 * Replicated ones are Raft entries with an index, applied by every member; their numbers are a disk and wire
 * format and are never used again.  The others belong to this member's log alone and have no index.
 *
 * src/include/format/entrylist.h
 */
RUSD_ENTRY(1, EMPTY, "empty", true) /* a leader's first entry of its term */
RUSD_ENTRY(2, PUT, "put", true)
RUSD_ENTRY(3, DELETE_RANGE, "delete-range", true)
RUSD_ENTRY(4, TXN, "txn", true)
RUSD_ENTRY(5, COMPACT, "compact", true)
RUSD_ENTRY(6, ALARM, "alarm", true)
RUSD_ENTRY(7, MEMBER, "member", true) /* a change of the configuration */
RUSD_ENTRY(8, MEMBER_ATTRIBUTES, "member-attributes",
		   true) /* name and client URLs, published at start */
RUSD_ENTRY(9, CLUSTER_VERSION, "cluster-version", true)
RUSD_ENTRY(64, HARD_STATE, "hard-state", false) /* term, vote, commit */
/* A Defragment call on its way from a backend's ring to this member's applier: an EntryHeader, index 0, nothing at replay (the incarnation is another). */
RUSD_ENTRY(65, DEFRAGMENT, "defragment", false)
/* A backend asks this member's raft for a read index: an EntryHeader in its ring, never in the log. */
RUSD_ENTRY(66, READ_INDEX, "read-index", false)
/* The same, that it hands over to another member: EntryTransfer. */
RUSD_ENTRY(67, TRANSFER, "transfer", false)
