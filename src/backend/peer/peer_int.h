/*
 * peer_int.h
 *	  What the files of peer/ share.
 *
 *	  sender.c	a link that this member makes: messages from raft to the wire
 *	  held.c	messages that wait for a flush
 *	  entries.c	the entries of an APPEND, from the log
 *	  accept.c	a link that another member has made: messages from the wire to raft
 *	  hello.c	what is said at the beginning of a link
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
#include "tls/stream.h"
#include "wal/wal.h"

#define NS_PER_MS UINT64_C(1000000)

/* ---- wire.c: a connection ---- */
typedef struct PeerWire
{
	int socket;
	Stream stream; /* of that socket */
	NetLink *link;
	uint64_t heard_ns; /* when something came last */
	uint64_t pinged_ns;
	bool is_lost; /* to be closed */
} PeerWire;

extern void peer_wire_set_up(int socket);
/* Reads what there is, once; the link's handlers are called. */
extern void peer_wire_receive(PeerWire *wire, uint64_t now_ns);
/* Writes until nothing is left or the socket takes no more; true: something is left. */
extern bool peer_wire_flush(PeerWire *wire);
extern void peer_wire_close(PeerWire *wire);

/* ---- hello.c ---- */
typedef struct PeerHello
{
	uint64_t cluster_id;
	uint64_t from;
	uint64_t to;
	uint32_t protocol;
	char version[32];
	char urls[LINK_URLS_BYTES]; /* of from */
} PeerHello;

#define PEER_PATH_CONTROL "/rusd.raft.v1.Link/Control"
#define PEER_PATH_ENTRIES "/rusd.raft.v1.Link/Entries"
#define PEER_PATH_SNAPSHOT "/rusd.raft.v1.Link/Snapshot"

typedef struct PeerHelloText
{
	char texts[6][LINK_URLS_BYTES];
	NetLinkField fields[6];
} PeerHelloText;

/* What this member says to another; PeerHelloText.fields are for net_link_dial. */
extern void peer_hello_make(PeerHelloText *text, uint64_t to, const char *urls);
/* RUSD_INVALID: fields are missing or make no sense. */
extern Status peer_hello_read(const NetLinkField *fields, uint32_t count, PeerHello *hello);
/* NULL, or why this member has nothing to do with who says so. */
extern const char *peer_hello_refusal(const PeerHello *hello);

/* ---- dial.c ---- */
/* The member's peer URLs, separated by commas: as the store has them, else as it has said itself when it made a link to this member.
 * RUSD_NOT_FOUND: neither is known yet. */
extern Status peer_find_urls(PageAccess *access, uint64_t member_id, char urls[LINK_URLS_BYTES]);
/*
 * Connects to one of the URLs, beginning with the one of that number; waits no longer than timeout_ms for each address.  The socket, or
 * -1 with the reason in error.  authority: host and port.
 */
extern int peer_dial(const char *urls, uint32_t number, int timeout_ms, char authority[320],
					 const char **error);

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

#endif /* PEER_INT_H */
