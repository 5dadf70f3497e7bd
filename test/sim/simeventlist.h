/*
 * simeventlist.h
 *	  What happens in a simulated cluster: SIM_EVENT(symbol, must happen in 500 seeds, text).
 *
 * {a} and {b} are the event's two numbers, {ma} and {mb} the same as names of members, {kb} as a
 * kind of message (low byte) and an index.  No include
 * guard: expanded several times.
 *
 * test/sim/simeventlist.h
 */
/* ---- life of members ---- */
SIM_EVENT(MEMBER_NEW, true, "begins with an empty disk")
SIM_EVENT(MEMBER_STARTED, true, "has started: log up to entry {a}, committed {b}")
SIM_EVENT(MEMBER_KILLED, true, "is killed (kill -9 of all its processes)")
SIM_EVENT(PROCESS_KILLED, true, "process {a} is killed: all others end with it")
SIM_EVENT(BACKEND_KILLED, true, "the backend in slot {a} is killed")
SIM_EVENT(POWER_CUT, true, "loses its power: what was not synced is there or not")
SIM_EVENT(CUT_IN_A_CALL, true, "loses its power in the middle of a disk call")
SIM_EVENT(KILLED_IN_A_CALL, true, "is killed in the middle of a disk call: what was written stays, and is not synced")
SIM_EVENT(START_DISTURBED, true, "loses its power, or is killed, while it starts")
SIM_EVENT(NO_ROOM_TO_START, false, "cannot start: its disk is full")
SIM_EVENT(STOPPING, true, "is told to stop")
SIM_EVENT(STOPPED, true, "has stopped cleanly")
SIM_EVENT(PROCESS_PAUSED, true, "process {a} is not scheduled for {b} ms")
SIM_EVENT(MEMBER_PAUSED, true, "is not scheduled for {a} ms")
SIM_EVENT(DISK_STALLED, true, "its disk stands still for {a} ms")
SIM_EVENT(DISK_SLOW, true, "its disk is slow: {a} us a sync")
SIM_EVENT(DISK_WELL, true, "its disk is well again")
SIM_EVENT(DISK_FULL, true, "its disk is full")
SIM_EVENT(CLOCK_CHANGED, true, "its clock runs at {a} thousandths")
SIM_EVENT(HEALED, true, "all faults have ended")
/* ---- consensus ---- */
SIM_EVENT(CANDIDATE, true, "campaigns for term {a}")
SIM_EVENT(LEADER, true, "leads term {a}")
SIM_EVENT(FOLLOWS, false, "follows {ma} in term {b}")
SIM_EVENT(NO_LEADER, false, "knows no leader in term {a}")
SIM_EVENT(COMMITTED, true, "commits up to entry {a} (term {b})")
SIM_EVENT(VOIDED, false, "entry {a} of term {b} takes the place of others")
SIM_EVENT(CONFIGURED, true, "{ma} becomes a voter (1), a learner (2) or is removed (3): {b}")
/* ---- the network ---- */
SIM_EVENT(PARTITION, true, "the cluster is split: members {a} (bits) from the others")
SIM_EVENT(ISOLATION, true, "is cut off from all others")
SIM_EVENT(ONE_WAY, true, "cannot send to {ma} any more")
SIM_EVENT(LOSSY, true, "loses {b} thousandths of what it sends to {ma}")
SIM_EVENT(LATE, true, "what it sends to {ma} takes {b} ms")
SIM_EVENT(DOUBLING, true, "what it sends to {ma} comes twice, {b} thousandths of it")
SIM_EVENT(LINK_WELL, true, "that fault of the network has ended")
SIM_EVENT(SENT, true, "sends {ma} {kb}")
SIM_EVENT(FORWARDED, true, "forwards to {ma} what has number {b}, or answers it")
SIM_EVENT(LOST, true, "a message to {ma} is lost")
SIM_EVENT(DOUBLED, true, "a message to {ma} comes twice")
SIM_EVENT(NOT_IN_LOG, false, "entries {a} to {b} were to be sent, and are not in the log any more")
/* ---- state snapshots ---- */
SIM_EVENT(SNAPSHOT_WANTED, true, "wants the state of {ma}, entry {b} at least")
SIM_EVENT(SNAPSHOT_BEGUN, true, "begins to fetch the state of {ma}")
SIM_EVENT(SNAPSHOT_FETCHED, true, "has fetched the state of {ma} up to entry {b}")
SIM_EVENT(SNAPSHOT_GIVEN_UP, true, "gives up to fetch the state of {ma}")
SIM_EVENT(SNAPSHOT_INSTALLED, true, "has installed a state: entry {a}, its log begins at position {b}")
SIM_EVENT(CHUNK_LOST, true, "a chunk of {a} bytes is lost")
SIM_EVENT(CHUNK_DAMAGED, true, "a chunk of {a} bytes is damaged")
SIM_EVENT(CHUNK_TWICE, true, "a chunk of {a} bytes comes twice")
/* ---- the rest of a member ---- */
SIM_EVENT(FLUSHED, true, "log is flushed up to position {a}")
SIM_EVENT(APPLIED, true, "has applied entry {a}: revision {b}")
SIM_EVENT(CHECKPOINT, true, "checkpoint {a} is durable: entry {b}")
SIM_EVENT(SEGMENT, true, "log segment {a} is ready")
SIM_EVENT(SEGMENT_REMOVED, true, "removes a log segment; {a} are left")
SIM_EVENT(READY, true, "serves clients")
/* ---- clients ---- */
SIM_EVENT(PUT, true, "client {a}: put of value {b}")
SIM_EVENT(DELETE, true, "client {a}: delete of key {b}")
SIM_EVENT(TXN, true, "client {a}: compare and set to value {b}")
SIM_EVENT(COMPACT, true, "client {a}: compaction at revision {b}")
SIM_EVENT(ADD, true, "client {a}: {mb} is to be added")
SIM_EVENT(PROMOTE, true, "client {a}: {mb} is to be promoted")
SIM_EVENT(REMOVE, true, "client {a}: {mb} is to be removed")
SIM_EVENT(READ, true, "client {a}: linearizable read of key {b}")
SIM_EVENT(READ_LOCAL, true, "client {a}: serializable read of key {b}")
SIM_EVENT(ANSWER, true, "client {a}: is answered: revision {b}")
SIM_EVENT(REFUSED, true, "client {a}: is refused with status {b}")
SIM_EVENT(UNKNOWN, true, "client {a}: will never know what became of request {b}")
SIM_EVENT(GIVEN_UP, true, "client {a}: waits no longer for request {b}")
SIM_EVENT(VALUE_READ, true, "client {a}: has read at revision {b}")
