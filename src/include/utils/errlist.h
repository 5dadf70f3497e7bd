/*
 * errlist.h
 *	  All statuses: RUSD_STATUS(symbol, gRPC code, text).
 *
 * The first block has the errors that etcd declares, letter for letter (ERR-1); clients match the
 * texts.  The second has raw texts with code Unknown (ERR-2, ERR-3) and those of the gRPC layer.
 * The third never reaches a client as it stands.  No include guard: expanded several times.
 *
 * src/include/utils/errlist.h
 */

/* clang-format off */
/* ---- declared by etcd ---- */
RUSD_STATUS(EMPTY_KEY, 3, "etcdserver: key is not provided")
RUSD_STATUS(KEY_NOT_FOUND, 3, "etcdserver: key not found")
RUSD_STATUS(VALUE_PROVIDED, 3, "etcdserver: value is provided")
RUSD_STATUS(LEASE_PROVIDED, 3, "etcdserver: lease is provided")
RUSD_STATUS(TOO_MANY_OPS, 3, "etcdserver: too many operations in txn request")
RUSD_STATUS(DUPLICATE_KEY, 3, "etcdserver: duplicate key given in txn request")
RUSD_STATUS(INVALID_CLIENT_API_VERSION, 3, "etcdserver: invalid client api version")
RUSD_STATUS(INVALID_SORT_OPTION, 3, "etcdserver: invalid sort option")
RUSD_STATUS(MEMBER_BAD_URLS, 3, "etcdserver: given member URLs are invalid")
RUSD_STATUS(BAD_DOWNGRADE_VERSION, 3, "etcdserver: wrong downgrade target version format")
RUSD_STATUS(INVALID_DOWNGRADE_TARGET, 3, "etcdserver: invalid downgrade target version")
RUSD_STATUS(REQUEST_TOO_LARGE, 3, "etcdserver: request is too large")
RUSD_STATUS(COMPACTED, 11, "etcdserver: mvcc: required revision has been compacted")
RUSD_STATUS(FUTURE_REV, 11, "etcdserver: mvcc: required revision is a future revision")
RUSD_STATUS(LEASE_TTL_TOO_LARGE, 11, "etcdserver: too large lease TTL")
RUSD_STATUS(NOSPACE, 8, "etcdserver: mvcc: database space exceeded")
RUSD_STATUS(LEASE_NOT_FOUND, 5, "etcdserver: requested lease not found")
RUSD_STATUS(MEMBER_NOT_FOUND, 5, "etcdserver: member not found")
RUSD_STATUS(LEASE_EXISTS, 9, "etcdserver: lease already exists")
RUSD_STATUS(MEMBER_EXISTS, 9, "etcdserver: member ID already exist")
RUSD_STATUS(PEER_URL_EXISTS, 9, "etcdserver: Peer URLs already exists")
RUSD_STATUS(MEMBER_NOT_LEARNER, 9, "etcdserver: can only promote a learner member")
RUSD_STATUS(LEARNER_NOT_READY, 9, "etcdserver: can only promote a learner member which is in sync with leader")
RUSD_STATUS(TOO_MANY_LEARNERS, 9, "etcdserver: too many learner members in cluster")
RUSD_STATUS(NOT_LEADER, 9, "etcdserver: not leader")
RUSD_STATUS(BAD_TRANSFEREE, 9, "etcdserver: bad leader transferee")
RUSD_STATUS(CLUSTER_VERSION_UNAVAILABLE, 9, "etcdserver: cluster version not found during downgrade")
RUSD_STATUS(NOT_CAPABLE, 9, "etcdserver: not capable")
RUSD_STATUS(NOT_SUPPORTED_FOR_LEARNER, 9, "etcdserver: rpc not supported for learner")
RUSD_STATUS(REQUEST_CANCELED, 1, "etcdserver: request canceled")
RUSD_STATUS(CORRUPT, 15, "etcdserver: corrupt cluster")
RUSD_STATUS(NO_LEADER, 14, "etcdserver: no leader")
RUSD_STATUS(LEADER_CHANGED, 14, "etcdserver: leader changed")
RUSD_STATUS(STOPPED, 14, "etcdserver: server stopped")
RUSD_STATUS(TIMEOUT, 14, "etcdserver: request timed out")
RUSD_STATUS(TIMEOUT_LEADER_FAIL, 14, "etcdserver: request timed out, possibly due to previous leader failure")
RUSD_STATUS(TIMEOUT_CONNECTION_LOST, 14, "etcdserver: request timed out, possibly due to connection lost")
RUSD_STATUS(TIMEOUT_WAIT_APPLIED, 14, "etcdserver: request timed out, waiting for the applied index took too long")
RUSD_STATUS(UNHEALTHY, 14, "etcdserver: unhealthy cluster")

/* ---- raw texts, and those of the gRPC layer ---- */
RUSD_STATUS(TOO_MANY_REQUESTS, 2, "etcdserver: too many requests")
RUSD_STATUS(NOT_ENOUGH_STARTED, 2, "etcdserver: re-configuration failed due to not enough started members")
RUSD_STATUS(PROPOSAL_DROPPED, 2, "raft proposal dropped")
RUSD_STATUS(STREAM_SORT, 12, "RangeStream does not support custom sort orders")
RUSD_STATUS(STREAM_FILTER, 12, "RangeStream does not support revision filters")
RUSD_STATUS(UNKNOWN_METHOD, 2, "etcdserver: unknown method")
RUSD_STATUS(TRANSFER_TIMEOUT, 2, "etcdserver: request timed out, leader transfer took too long")
RUSD_STATUS(CONTEXT_CANCELED, 1, "context canceled")
RUSD_STATUS(DEADLINE_EXCEEDED, 4, "context deadline exceeded")
RUSD_STATUS(MEMORY_EXCEEDED, 8, "rusd: out of the memory granted to requests (see --backend-memory)")
RUSD_STATUS(SNAPSHOT_ENDED, 8, "rusd: the read was ended to make room: its snapshot was the oldest")
RUSD_STATUS(ANSWER_TOO_LARGE, 8, "rusd: answer is larger than 2147483647 bytes")

/* ---- inside only ---- */
RUSD_STATUS(AGAIN, 2, "not now")					/* would have to wait; nothing was done */
RUSD_STATUS(NOT_FOUND, 2, "not found")
RUSD_STATUS(END, 2, "end")							/* of an iteration */
RUSD_STATUS(NO_MEMORY, 8, "out of memory")
RUSD_STATUS(NO_ROOM, 8, "no space left on device")	/* ENOSPC or EDQUOT */
RUSD_STATUS(IO, 13, "input/output error")			/* any other error of a file */
RUSD_STATUS(DAMAGED, 15, "stored data is damaged")	/* checksum, magic, number, birth */
RUSD_STATUS(CONNECTION_LOST, 14, "the connection is lost")
RUSD_STATUS(INVALID, 13, "invalid encoding")		/* bytes that do not decode */
