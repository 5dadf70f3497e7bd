/*
 * peer_int.h
 *	  What the files of peer/ share.
 *
 *	  sender.c	a link that this member makes: messages from raft to the wire
 *	  held.c	messages that wait for a flush
 *	  entries.c	the entries of an APPEND, from the log
 *	  accept.c	a link that another member has made: messages from the wire to raft
 *	  serve.c	sends the state of this member to another
 *	  fetch.c	fetches the state of another member
 *	  hello.c	what is said at the beginning of a link
 *	  standing.c	who has no place in the cluster any more
 *	  dial.c	finds and connects another member
 *	  wire.c	bytes between a NetLink and its socket
 *
 * src/backend/peer/peer_int.h
 */
#ifndef PEER_INT_H
#define PEER_INT_H

#include "consensus/peerframe.h"
#include "ipc/process.h"
#include "net/link.h"
#include "pagecache/page.h"
#include "snapshot/snapshot.h"
#include "tls/stream.h"
#include "wal/wal.h"

#define NS_PER_MS UINT64_C(1000000)
/* Of a state that is sent; a message each. */
#define PEER_CHUNK_BYTES (256 * 1024)

/* ---- wire.c: a connection ---- */
typedef struct PeerWire
{
	int socket;
	Stream stream; /* of that socket */
	NetLink *link;
	uint64_t heard_ns; /* when something came last */
	uint64_t pinged_ns;
	uint64_t pongs;
	uint64_t round_trip_ns; /* of the last ping that was answered; 0: taken */
	uint64_t
		renew_ns; /* dialled: monotonic: another connection is to take its place, before a certificate of this one ends */
	bool is_lost; /* to be closed */
} PeerWire;

extern void peer_wire_set_up(int socket);
/* Sleeps until the latch is set or something comes, which is read: the link's handlers are called.  Resets the latch.  is_blocked: or
 * until the socket takes more. */
extern void peer_wire_wait(PeerWire *wire, bool is_blocked, int limit_ms, WaitEvent event);
/* Writes until nothing is left or the socket takes no more; true: something is left. */
extern bool peer_wire_flush(PeerWire *wire);
/* Asks the other side for a sign of life, once a second; true: it has not answered, and is not there. */
extern bool peer_wire_is_silent(PeerWire *wire, uint64_t now_ns);
/* How long to sleep at most, so that peer_wire_is_silent is called in time. */
#define PEER_WIRE_SLEEP_MS 1000
extern void peer_wire_close(PeerWire *wire);

/* ---- hello.c ---- */
typedef struct PeerHello
{
	uint64_t cluster_id;
	uint64_t from;
	uint64_t to;
	uint32_t protocol;
	uint64_t log_term; /* of the last entry of from's log */
	SnapshotBase base; /* what from has of the state that it asks for */
	char version[32];
	char urls[LINK_URLS_BYTES]; /* of from */
} PeerHello;

#define PEER_PATH_CONTROL "/rusd.raft.v1.Link/Control"
#define PEER_PATH_ENTRIES "/rusd.raft.v1.Link/Entries"
#define PEER_PATH_SNAPSHOT "/rusd.raft.v1.Link/Snapshot"

typedef struct PeerHelloText
{
	char texts[8][LINK_URLS_BYTES];
	NetLinkField fields[8];
} PeerHelloText;

/* Of the last entry of this member's log, as raft has told it (tell_control). */
extern uint64_t peer_log_term(void);
/* What this member says to another; PeerHelloText.fields are for net_link_dial.  base: as in peer_connect. */
extern void peer_hello_make(PeerHelloText *text, uint64_t to, const char *urls,
							const SnapshotBase *base);
/* RUSD_INVALID: fields are missing or make no sense. */
extern Status peer_hello_read(const NetLinkField *fields, uint32_t count, PeerHello *hello);
/* NULL, or why this member has nothing to do with who says so. */
extern const char *peer_hello_refusal(const PeerHello *hello);

/* ---- standing.c ---- */
/* gRPC codes of refusals by which a member ends. */
#define PEER_CODE_REMOVED 7      /* PERMISSION_DENIED */
#define PEER_CODE_BOOTSTRAPPED 6 /* ALREADY_EXISTS */

/* 0, or one of these codes: with it the connection of whoever says so is to be refused. */
extern int peer_standing(PageAccess *access, const PeerHello *hello);
/* What is said with it; the other side knows by these words that it was a member who said so. */
extern const char *peer_standing_text(int code);

/* ---- dial.c ---- */
/*
 * Connects to a member, by the peer URL whose turn it is with that attempt, and opens the stream, whose answer comes to
 * handlers.  base: what is here of the state that is asked for; all 0 by other paths.  Takes no longer than --raft-write-timeout for each address.  RUSD_NOT_FOUND: no URL is known, neither from the store nor from
 * the member itself, when it made a link to this one.  RUSD_IO, RUSD_NO_MEMORY: *error says why; *wire is to be closed in any
 * case.
 */
extern Status peer_connect(PageAccess *access, uint64_t to, uint32_t attempt, const char *path,
						   const SnapshotBase *base, const NetLinkHandlers *handlers,
						   uint32_t message_max, PeerWire *wire, const char **error);
/* How many links that member has made to this one, and are there. */
extern uint32_t peer_links_from(const Shm *shm, uint64_t member_id);
/* A member has made a link to this one: those to it need not wait any longer. */
extern void peer_wake_links_to(Shm *shm, uint64_t member_id);
/* Between half of ms and all of it, never twice the same for long: for pauses. */
extern uint32_t peer_jitter(uint32_t ms);

/* ---- entries.c ---- */
typedef struct PeerEntries PeerEntries;

extern PeerEntries *peer_entries_create(Shm *shm, FileOps *fs);
/*
 * Sends the APPEND with its entries, in as many frames as its bytes need; where may_be_cut, in one, which has fewer.  Sends nothing more when an
 * entry cannot be had: the message counts as lost.
 */
extern void peer_entries_send(PeerEntries *entries, const RaftMessage *message, NetLink *link);

/* ---- held.c: messages that wait for a flush ---- */
typedef struct PeerHeld PeerHeld;

extern PeerHeld *peer_held_create(void);
/* Takes a copy; the oldest goes where there are too many. */
extern void peer_held_add(PeerHeld *held, uint64_t depends_on, const uint8_t *bytes,
						  uint32_t length);
/* The next one that depends on no more than flushed; NULL: none.  Valid until the next call. */
extern const uint8_t *peer_held_next(PeerHeld *held, uint64_t flushed, uint32_t *length);
extern bool peer_held_is_empty(const PeerHeld *held);
extern void peer_held_clear(PeerHeld *held);

/* ---- serve.c ---- */
/* Sends the state of this member by a stream that was accepted, to the member that has said hello; received: set by on_message when the other side says that it
 * has all of it.  Returns when it is over; raft is told what became of it. */
extern void peer_serve(PeerWire *wire, const PeerHello *hello, const bool *received,
					   const bool *has_ended);

/* A report to raft, by the ring of this process. */
extern void peer_report(const PeerFrame *report, Bytes body);

#endif /* PEER_INT_H */
