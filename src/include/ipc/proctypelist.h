/*
 * proctypelist.h
 *	  Kinds of process: RUSD_PROC(symbol, title, essential).
 *
 * The death of an essential process makes the postmaster stop the rest, make shared memory anew and
 * recover; the death of another costs its own connection.  Essential kinds have one process each and
 * the slots 0 .. PROC_ESSENTIAL_COUNT - 1, in this order; backends have the slots after them.  The
 * postmaster has no slot.  What each kind runs is in postmaster/launch.c.
 *
 * src/include/ipc/proctypelist.h
 */
RUSD_PROC(RAFT, "raft", true)
RUSD_PROC(WALWRITER, "walwriter", true)
RUSD_PROC(APPLIER, "applier", true)
RUSD_PROC(PAGER, "pager", true)
RUSD_PROC(CHECKPOINTER, "checkpointer", true)
RUSD_PROC(BACKEND, "backend", false)
