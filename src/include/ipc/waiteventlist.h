/*
 * waiteventlist.h
 *	  What a process may wait for: RUSD_WAIT(symbol, name, sentence).
 *
 * src/include/ipc/waiteventlist.h
 */
RUSD_WAIT(NONE, "none", "Running.")
RUSD_WAIT(RAFT_MAIN, "raft-main", "raft waits for proposals, flushes or the next tick.")
RUSD_WAIT(WALWRITER_MAIN, "walwriter-main", "walwriter waits for log to write.")
RUSD_WAIT(WAL_WRITE, "wal-write", "A write to a log segment.")
RUSD_WAIT(WAL_SYNC, "wal-sync", "fdatasync of a log segment.")
RUSD_WAIT(WAL_PREALLOCATE, "wal-preallocate", "A new log segment is filled and synced.")
RUSD_WAIT(APPLIER_MAIN, "applier-main", "applier waits for committed entries.")
RUSD_WAIT(PAGER_MAIN, "pager-main", "pager waits for a page to be asked for.")
RUSD_WAIT(PAGE_READ, "page-read", "A read of the data file.")
RUSD_WAIT(PAGE_WANTED, "page-wanted", "Waits until the pager has read a page.")
RUSD_WAIT(CHECKPOINTER_MAIN, "checkpointer-main", "checkpointer waits until a checkpoint is due.")
RUSD_WAIT(CHECKPOINT_ROOT, "checkpoint-root", "checkpointer waits until the applier has handed it a root.")
RUSD_WAIT(CHECKPOINT_WRITE, "checkpoint-write", "A write to the data file.")
RUSD_WAIT(CHECKPOINT_SYNC, "checkpoint-sync", "A sync of the data file.")
RUSD_WAIT(CHECKPOINT_FLUSH, "checkpoint-flush", "checkpointer waits until the log covers its root.")
RUSD_WAIT(CONTROL_SYNC, "control-sync", "The control record is written and synced.")
RUSD_WAIT(HANDSHAKE, "handshake", "A backend waits for its client to go on with the TLS handshake.")
RUSD_WAIT(CLIENT, "client", "A backend waits for its client, or for an answer to a proposal.")
RUSD_WAIT(PEER_CONNECT, "peer-connect", "A peer waits until its connection to another member is made.")
RUSD_WAIT(PEER_PAUSE, "peer-pause", "A peer waits before it tries to connect again.")
RUSD_WAIT(PEER_SEND, "peer-send", "A peer waits for messages of raft, for a flush, or for its socket.")
RUSD_WAIT(PEER_RECEIVE, "peer-receive", "A peer waits for messages of another member.")
RUSD_WAIT(PEER_RING, "peer-ring", "A peer waits until raft has taken messages.")
RUSD_WAIT(TRANSFER_SEND, "transfer-send", "The state of this member is sent to another.")
RUSD_WAIT(TRANSFER_RECEIVE, "transfer-receive", "The state of another member is fetched.")
