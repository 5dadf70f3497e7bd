/*
 * net_int.h
 *	  What the files of net/ share.
 *
 * net.c		the session: which protocol, and the calls of net.h that go to one of them
 * h2.c			HTTP/2: nghttp2's callbacks, flow control, pings, GOAWAY
 * h2_send.c	HTTP/2: from nghttp2's frames to one buffer for one write
 * grpc.c		gRPC: metadata, framing, answers
 * http1.c		HTTP/1.1 over http-parser
 * gzip.c		messages compressed by gzip
 * mem.c		nghttp2's allocator, accounted
 *
 * src/backend/net/net_int.h
 */
#ifndef NET_INT_H
#define NET_INT_H

#include <nghttp2/nghttp2.h>

#include "net/net.h"

#define HEADER_LIST_MAX_DEFAULT (16 * 1024 * 1024)
#define NS_PER_SECOND UINT64_C(1000000000)

/* ---- mem.c ---- */
#define MEM_CLASSES 8 /* blocks of 32 << class bytes, their headers included */

typedef struct MemBlock MemBlock;
typedef struct MemSlab MemSlab;
typedef struct NetMem
{
	nghttp2_mem table; /* what nghttp2 is given */
	MemoryBudget *budget;
	MemBlock *free[MEM_CLASSES];
	uint8_t *next; /* of the newest slab */
	uint8_t *end;
	MemSlab *slabs;
	size_t large_bytes; /* blocks above the largest class */
} NetMem;

extern void mem_init(NetMem *mem, MemoryBudget *budget);
extern void mem_destroy(NetMem *mem);
extern void *mem_alloc(NetMem *mem, size_t size);
extern void mem_free(NetMem *mem, void *block);
/* True if what a new stream needs can be had for certain. */
extern bool mem_reserve(NetMem *mem);

/* ---- streams ---- */
#define STREAM_REFS 9

typedef struct NetStream NetStream;
struct NetStream
{
	NetCall call; /* first: a NetCall * is a NetStream * */
	NetSession *session;
	NetStream *next; /* in the list of open streams, or of free ones */
	NetStream *previous;
	int32_t id;

	/* what has been seen of the request */
	uint8_t pseudo; /* pseudo-headers that have come */
	bool malformed;
	bool method_is_post;
	bool has_token;     /* "token" wins over "authorization" */
	bool remote_closed; /* END_STREAM came */
	bool dispatched;    /* on_call was called */
	bool answered;      /* one answer was begun, or the stream reset by us */
	bool too_many_messages;
	bool is_http; /* no gRPC: for on_http */
	bool gzip;    /* grpc-encoding: its messages may be compressed, and so are the answers */
	uint32_t header_bytes;
	Bytes method; /* if it is not POST */
	Bytes content_type;
	Bytes encoding_name;
	Bytes timeout_text;
	/* References to the values that are pointed to. */
	int ref_count;
	nghttp2_rcbuf *refs[STREAM_REFS];

	/* request message */
	uint8_t prefix[5];
	uint8_t prefix_have;
	bool message_complete;
	uint32_t message_length;
	uint32_t message_have;
	uint32_t message_room; /* of buffer */
	uint8_t *buffer;       /* in the arena, or large_buffer */
	uint8_t *large_buffer; /* own, accounted: message_room bytes */
	bool awaits_window;    /* in the queue for H2.large_bytes */
	uint32_t large_bytes;  /* counted there */
	NetStream *next_large; /* in that queue */
	NetStream *previous_large;

	/* answer */
	NetSource *source; /* or NULL: from memory */
	const uint8_t *reply;
	uint64_t reply_left; /* bytes of the message not yet given to nghttp2 */
	uint8_t reply_prefix[5];
	uint8_t reply_prefix_left;
	bool streaming;    /* messages come from source->next */
	bool last_message; /* the one that is sent now */
	bool deferred;

	NetHttp *http; /* is_http: as the handlers have it, once they do */
};

/* ---- sessions ---- */
typedef enum NetProtocol
{
	NET_SNIFFING,
	NET_H2,
	NET_HTTP1
} NetProtocol;

#define PATH_CACHE 4

typedef struct H2
{
	nghttp2_session *ng;
	NetStream open; /* head of the ring of open streams */
	uint32_t open_count;
	NetStream *free_streams;
	uint32_t free_count;
	NetStream *receiving; /* whose header block or DATA is being received */
	/* Known paths of this connection: the same rcbuf is the same path. */
	struct
	{
		nghttp2_rcbuf *path;
		const void *method;
	} paths[PATH_CACHE];
	unsigned next_path;

	/* Large messages: the bytes of those whose window is open, and who waits for that. */
	uint64_t large_bytes;
	NetStream *first_large;
	NetStream *last_large;

	/* pings (RPC-24) */
	uint64_t last_ping_ns;
	unsigned ping_strikes;
	bool forgive_pings; /* HEADERS or DATA were sent since the last ping */
	/* floods of SETTINGS: a bucket */
	uint64_t settings_refill_ns;
	unsigned settings_left;
	/* server's own ping */
	bool ping_is_out;
	uint64_t ping_due_ns; /* when the answer must be there */

	uint64_t first_deadline_ns; /* no open call has an earlier one */

	/* h2_send.c */
	uint8_t *out;
	size_t out_used;
	size_t out_max;
	const uint8_t *pending; /* rest of a frame that did not fit; nghttp2's memory */
	size_t pending_length;
	bool slow_trailers; /* nghttp2 has to make the next header block */
	bool settings_sent;
	bool full;    /* a DATA frame did not fit */
	bool starved; /* nghttp2 had no memory: the GOAWAY is made by hand, and then the end */
	bool closing; /* after the GOAWAY that is queued, nothing */
	bool closed;  /* it is out */
	bool shutdown_noticed;
	bool goaway_final;
} H2;

typedef struct Http1 Http1;

struct NetSession
{
	NetLimits limits;
	NetHandlers handlers;
	MemoryBudget *budget;
	NetProtocol protocol;
	uint64_t now_ns; /* of the latest receive or timers */
	uint64_t started_ns;
	uint64_t received_ns; /* last bytes */
	size_t sniffed;       /* bytes that were the HTTP/2 preface's so far */
	bool draining;
	bool ended; /* nothing more is received */
	const char *end_reason;
	NetMem mem;
	H2 h2;
	Http1 *http1;
};

/* ---- h2.c ---- */
extern Status h2_begin(NetSession *session);
extern void h2_destroy(NetSession *session);
extern Status h2_receive(NetSession *session, const uint8_t *data, size_t length);
extern uint64_t h2_timers(NetSession *session);
extern void h2_drain(NetSession *session);
extern void h2_cut(NetSession *session);
extern bool h2_is_done(const NetSession *session);
extern void h2_reset(NetStream *stream, uint32_t error_code);
/* A message of that length comes in: opens its window for it, now or when others have ended. */
extern void h2_want_window(NetStream *stream, uint32_t length);
/* nghttp2 found no memory for what the connection itself needs. */
extern void h2_starve(NetSession *session);
/* The stream has left nghttp2: handlers are told, memory goes back. */
extern void h2_stream_ended(NetStream *stream);

/* ---- h2_send.c ---- */
extern size_t h2_send(NetSession *session, uint8_t *buffer, size_t max);
extern void h2_send_callbacks(nghttp2_session_callbacks *callbacks);
extern ssize_t h2_read_reply(nghttp2_session *ng, int32_t stream_id, uint8_t *buffer, size_t length,
							 uint32_t *data_flags, nghttp2_data_source *source, void *arg);

/* ---- h2_http.c ---- */
extern void h2_http_data(NetStream *stream, const uint8_t *data, size_t length);
extern void h2_http_remote_end(NetStream *stream);
extern void h2_http_ended(NetStream *stream);
extern void h2_http_reply(NetHttp *http, int status, const char *lines, Bytes body);
extern Bytes h2_http_header(const NetHttp *http, const char *name);

/* ---- grpc.c ---- */
extern void grpc_header(NetStream *stream, nghttp2_rcbuf *name, nghttp2_rcbuf *value);
extern void grpc_headers_done(NetStream *stream);
extern void grpc_data(NetStream *stream, const uint8_t *data, size_t length);
extern void grpc_remote_end(NetStream *stream);
extern void grpc_fail(NetStream *stream, const char *http_status, int code, const char *text,
					  size_t length);
extern void grpc_release_message(NetStream *stream);
extern void grpc_reply_begin(NetStream *stream);

/* ---- gzip.c ---- */
/*
 * Decompresses into memory of its own: *room bytes of the budget, which free and give take back.
 * Never more than max + 1 bytes are made. RUSD_AGAIN: there are more than max; RUSD_INVALID: no
 * gzip, with *error as Go's library tells it; RUSD_NO_MEMORY.
 */
extern Status gzip_inflate(Bytes compressed, uint32_t max, MemoryBudget *budget, uint8_t **data,
						   uint32_t *length, uint32_t *room, const char **error);
/* Compresses to at most max bytes; 0 if that is too little, or if there is no memory. */
extern size_t gzip_deflate(const uint8_t *data, size_t length, uint8_t *buffer, size_t max,
						   MemoryBudget *budget);

/* ---- http1.c ---- */
#define HTTP_DATE_SIZE 40
/* Now, as the header Date says it. */
extern void http_date(char *text, size_t size);
extern Status http1_begin(NetSession *session);
extern void http1_destroy(NetSession *session);
extern Status http1_receive(NetSession *session, const uint8_t *data, size_t length);
extern size_t http1_send(NetSession *session, uint8_t *buffer, size_t max);
extern bool http1_wants_read(const NetSession *session);
extern uint64_t http1_timers(NetSession *session);
/* The client has closed its side: is there an answer to wait for? */
extern bool http1_eof(NetSession *session);
extern void http1_drain(NetSession *session);
extern void http1_cut(NetSession *session);
extern bool http1_is_done(const NetSession *session);
extern uint32_t http1_requests(const NetSession *session);

#endif /* NET_INT_H */
