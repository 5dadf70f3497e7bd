/*
 * net_peer.h
 *	A client of a NetSession, in memory: nghttp2's client session, what it has seen, and the pump
 *	  between the two.
 *
 * test/unit/net_peer.h
 */
#ifndef NET_PEER_H
#define NET_PEER_H

#include <nghttp2/nghttp2.h>

#include "net/net.h"

#define PEER_STREAMS 4096
#define PEER_CALLS 64

/* What the client has seen of a stream. */
typedef struct PeerStream
{
	int32_t id;
	char status[8];
	char content_type[64];
	char http_header[8]; /* x-y, of an answer that is no gRPC */
	char encoding[16];   /* grpc-encoding */
	char grpc_status[8];
	char grpc_message[600];
	bool has_message; /* grpc-message was there */
	unsigned header_blocks;
	uint8_t *body;
	size_t length;
	bool ended; /* END_STREAM seen */
	bool was_reset;
	uint32_t reset_code;
	bool closed;
	unsigned closed_order; /* the how manieth to close */
} PeerStream;

/* A budget that counts, and can say no. */
typedef struct TestBudget
{
	MemoryBudget budget;
	size_t used;
	size_t most;
	size_t limit;
	unsigned refusals;
} TestBudget;

typedef struct Peer Peer;
struct Peer
{
	NetSession *server;
	nghttp2_session *client;
	TestBudget budget;
	uint64_t now_ns;
	Status status;       /* of the last receive */
	size_t chunk;        /* bytes given to the server at once; 0: all */
	size_t send_max;     /* buffer for net_session_send */
	bool deaf;           /* the client takes nothing */
	size_t server_bytes; /* sent by it */

	PeerStream streams[PEER_STREAMS]; /* by (id - 1) / 2 */
	unsigned closed_count;
	unsigned goaways;
	uint32_t goaway_code;
	int32_t goaway_last;
	char goaway_text[64];
	unsigned pings; /* from the server, not ACK */
	unsigned ping_acks;
	uint32_t announced_streams; /* SETTINGS_MAX_CONCURRENT_STREAMS; UINT32_MAX: was not there */

	/* the server's side: a handler that does what the test says */
	void (*on_call)(Peer *peer, NetCall *call); /* NULL: echoes the message */
	NetCall *calls[PEER_CALLS];                 /* dispatched and not closed */
	unsigned dispatched;
	unsigned closed_calls;
	unsigned http_open;  /* HTTP requests that the handlers have */
	unsigned find_count; /* of find_method */
	bool no_find_method;
};

typedef struct PeerRequest
{
	const char *path; /* NULL: /test.Echo/Unary */
	const char *method;
	const char *content_type; /* NULL: application/grpc; "": none */
	nghttp2_nv more[6];
	size_t more_count;
	const uint8_t *body; /* raw, with prefixes */
	size_t length;
	size_t piece;   /* bytes of a DATA frame; 0: as many as go */
	bool keep_open; /* no END_STREAM */
	/* private */
	size_t sent;
} PeerRequest;

extern void peer_init(Peer *peer, const NetLimits *limits);
extern void peer_destroy(Peer *peer);
extern NetLimits peer_limits(void);
extern nghttp2_nv peer_header(const char *name, const char *value);
/* The request must live until it is sent. */
extern PeerStream *peer_submit(Peer *peer, PeerRequest *request);
/* Until neither has anything to say. */
extern void peer_pump(Peer *peer);
/* A request with one message, pumped; fresh memory for the body is not needed. */
extern PeerStream *peer_unary(Peer *peer, const char *message, size_t length);
/* Raw bytes to the server. */
extern void peer_raw(Peer *peer, const void *data, size_t length);
/* What the server sends, to nobody. */
extern size_t peer_discard(Peer *peer);
extern size_t peer_frame(uint8_t *frame, const uint8_t *message, size_t length);
extern void budget_init(TestBudget *budget, size_t limit);

#endif /* NET_PEER_H */
