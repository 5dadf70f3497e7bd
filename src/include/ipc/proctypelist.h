/*
 * proctypelist.h
 *	  Kinds of process: RUSD_PROC(symbol, title, essential).
 *
 * The death of an essential process makes the postmaster stop the rest, make shared memory anew and
 * recover; the death of another costs its own connection.  Essential kinds have one process each and
 * the slots 0 .. PROC_ESSENTIAL_COUNT - 1, in this order; behind them come those of links (LINK_SLOTS), for peers and
 * transfers, and then those of backends.  The postmaster has no slot.  What each kind runs is in postmaster/launch.c.
 *
 * src/include/ipc/proctypelist.h
 */
RUSD_PROC(RAFT, "raft", true)
RUSD_PROC(WALWRITER, "walwriter", true)
RUSD_PROC(APPLIER, "applier", true)
RUSD_PROC(PAGER, "pager", true)
RUSD_PROC(CHECKPOINTER, "checkpointer", true)
RUSD_PROC(BACKEND, "backend", false)
RUSD_PROC(PEER, "peer", false)
RUSD_PROC(TRANSFER, "transfer", false)
