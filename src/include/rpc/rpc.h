/*
 * rpc.h
 *	  The etcd API: one file per service; decode, check, propose or read, encode.
 *
 * Runs in backends only.  rpc_dispatch is net's on_call; a call that proposed something is finished when rpc_reply is given its answer.
 *
 * src/include/rpc/rpc.h
 */
#ifndef RPC_RPC_H
#define RPC_RPC_H

#include "ipc/ring.h"
#include "net/net.h"
#include "store/store.h"

typedef struct Rpc Rpc;

/* All of one backend's RPC state.  budget: of --backend-memory. */
extern Status rpc_create(Shm *shm, uint32_t slot, PageAccess *access, MemoryBudget *budget,
						 Rpc **result);
extern void rpc_destroy(Rpc *rpc);
extern void rpc_handlers(Rpc *rpc, NetHandlers *handlers);
/*
 * Once in each turn of the session's loop, after the latch was reset: takes replies, puts on proposals that did not fit, resumes what waited, ends what is due.
 */
extern void rpc_turn(Rpc *rpc, uint64_t now_ns);
/*
 * Last thing before the session sleeps: wakes raft for what was proposed in this turn, and lets go of the snapshot that the small reads of this turn have shared.  Without it an idle backend
 * would keep pages from being reused.
 */
extern void rpc_rest(Rpc *rpc);
/* When rpc_turn must be called again at the latest (monotonic ns; 0: at once, there is work in slices). */
extern uint64_t rpc_next_due(const Rpc *rpc);
/* True while the backend has something that must not be cut (requests in flight). */
extern bool rpc_is_busy(const Rpc *rpc);

/*
 * CLUSTER-33: what waits for anybody else fails with RUSD_STOPPED; for this member was removed, stops, and is not answered any more.
 */
extern void rpc_stop(Rpc *rpc);

/* "etcdserverpb.KV" etc: what the server answers to a path that it does not know; NULL if it is known.  ERR-9. */
extern const char *rpc_unknown_method(void *arg, const char *path, char *buffer, size_t size);

#endif /* RPC_RPC_H */
