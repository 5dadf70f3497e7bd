/*
 * net.h
 *	  The server side of a client connection: HTTP/2 with gRPC framing, HTTP/1.1; bytes in, bytes
 *	  out.  Knows nothing of etcd, of sockets and of processes.
 *
 * One NetSession per connection, driven by session/: what is read from the socket goes into
 * net_session_receive, which calls the handlers; what net_session_send gives is written. Handlers
 * get a complete request message, decompressed, and answer at once or later, with exactly one of
 * the answering functions; a further answer, or one to a call that is over on the wire, is ignored.
 *
 * Two promises that make handlers simple: no answering function calls a handler, and a call (its
 * arena, message, metadata) stays valid until on_close has returned, whatever the client does.
 * on_close and NetSource.close are called from net_session_receive, _send, _timers, _cut and
 * _destroy.
 *
 * nghttp2 and http-parser are included nowhere but in net/.
 *
 * src/include/net/net.h
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "utils/arena.h"

typedef struct NetSession NetSession;
typedef struct NetCall NetCall;
typedef struct NetHttp NetHttp;

typedef struct NetLimits
{
	uint32_t message_max;      /* bytes of a received gRPC message (RPC-20) */
	uint32_t streams_max;      /* --max-concurrent-streams; UINT32_MAX: not announced */
	uint64_t keepalive_min_ns; /* RPC-24 */
	uint64_t keepalive_interval_ns;
	uint64_t keepalive_timeout_ns;
	bool pings_are_free; /* a client may ping as it likes (section 4.4: with TLS) */
	bool http_over_h2;   /* what is no gRPC goes to on_http (section 4.5: with TLS) */
	bool http1_only;     /* HTTP/2 is not answered: the connection is closed */
	uint64_t large_max;  /* bytes of large messages that may come in at once; 0: as many as there is
						   memory for */
	uint32_t header_list_max; /* bytes of names and values of one request; 0: 16 MiB */
} NetLimits;

/*
 * Where the bytes of an answer come from. pull gives up to max bytes (> 0) into buffer, or
 * RUSD_AGAIN: nothing now, net_call_resume will be called; or an error: the stream is ended with
 * RST_STREAM(INTERNAL_ERROR). Exactly the length that was announced is pulled, in pieces of at
 * most 16 KiB, in turn with the other streams. pull writes straight into what goes to the socket.
 * close is called exactly once, whatever happens.
 */
typedef struct NetSource NetSource;

/* What a source tells of a message that it begins. */
typedef struct NetMessage
{
	uint64_t length; /* of the message; at most 2^31 - 1 */
	size_t got;      /* bytes of it that are in the buffer already; pull gives the others */
	bool last;       /* no other comes after it */
} NetMessage;

struct NetSource
{
	Status (*pull)(NetSource *source, uint8_t *buffer, size_t max, size_t *got);
	void (*close)(NetSource *source);
	/*
	 * Of a stream of messages only (net_call_reply_stream): begins the next one, of which up to
	 * max bytes (0 too, where the client's window is nearly full) may be written to buffer at
	 * once. It is called when the one before was pulled whole, and not again after the last.
	 * RUSD_AGAIN: there is none now, net_call_resume will be called; RUSD_END: none comes, status
	 * OK; others: none comes, and that is the status of the call.
	 */
	Status (*next)(NetSource *source, uint8_t *buffer, size_t max, NetMessage *message);
};

/* What handlers see of a call. */
struct NetCall
{
	const char *path;     /* ":path", NUL-terminated */
	const void *method;   /* what find_method gave for it; NULL if there is no find_method */
	uint64_t deadline_ns; /* monotonic; UINT64_MAX: none (grpc-timeout) */
	bool is_late;         /* it has passed, and that is why the call is closed */
	uint64_t started_ns;  /* monotonic: when the headers had arrived */
	Bytes message;        /* the one request message */
	Arena arena;          /* freed with the call; for the handler's use too */
	/* Metadata that somebody asks for, the first value of each; data NULL: absent. */
	Bytes token; /* RPC-8: token, else authorization, as sent */
	Bytes hasleader;
	Bytes client_api_version;
	void *user; /* the handler's own */
};

/* An HTTP request that is no gRPC, complete. */
struct NetHttp
{
	const char *method; /* "GET", ... */
	const char *target; /* path and query, as sent, NUL-terminated */
	Bytes body;
	Arena arena;
	void *user;
	NetCall *call; /* net's own: the stream of HTTP/2 that it came by, or NULL */
};

typedef struct NetHandlers
{
	void *arg;
	/* A request message is there and the client has half-closed.  Answer now or later. */
	void (*on_call)(void *arg, NetCall *call);
	/*
	 * Called exactly once for each on_call, when the call is over: answered and sent, reset by
	 * the client, deadline passed (net has answered), connection lost. After it the call is gone.
	 */
	void (*on_close)(void *arg, NetCall *call);
	void (*on_http)(void *arg, NetHttp *http);
	void (*on_http_close)(void *arg, NetHttp *http);
	/*
	 * Called when headers are complete, before any message: what NetCall.method shall be, NULL:
	 * no such method. The answer is remembered for the next calls of the same path on this
	 * connection. May be NULL itself.
	 */
	const void *(*find_method)(void *arg, const char *path);
	/*
	 * Text of the UNIMPLEMENTED answer to a path that is not known, in buffer or static. Without
	 * a find_method it is asked for each call and says NULL for a known path.
	 */
	const char *(*unknown_method)(void *arg, const char *path, char *buffer, size_t size);
} NetHandlers;

/* handlers and limits are copied.  budget accounts all that the session takes. */
extern Status net_session_create(const NetLimits *limits, const NetHandlers *handlers,
								 MemoryBudget *budget, uint64_t now_ns, NetSession **result);
extern void net_session_destroy(NetSession *session);

/*
 * Bytes from the socket. RUSD_END: the connection is to be closed once all is sent. Others
 * (RUSD_INVALID, RUSD_NO_MEMORY): close now.
 */
extern Status net_session_receive(NetSession *session, const uint8_t *data, size_t length,
								  uint64_t now_ns);
/*
 * The client has closed its side. True: close the connection now; false: an answer to what it had
 * asked before is still to be sent (HTTP/1.1), net_session_is_done tells when.
 */
extern bool net_session_eof(NetSession *session);
/* False: do not read from the socket now (a pipelined HTTP/1.1 request waits for its turn). */
extern bool net_session_wants_read(const NetSession *session);
/* A good size of the buffer for net_session_send is 64 KiB; it must be at least this. */
#define NET_SEND_MIN 1024
/* Bytes to be written, 0: nothing now.  Call until it gives 0 or the socket takes no more. */
extern size_t net_session_send(NetSession *session, uint8_t *buffer, size_t max);
/* All is answered and sent and there will be no more: the connection is to be closed. */
extern bool net_session_is_done(const NetSession *session);
/*
 * Deadlines of calls and keepalive: what is due is done. Returns when to call again (monotonic
 * ns; UINT64_MAX: never); cheap if nothing is due. Send afterwards.
 */
extern uint64_t net_session_timers(NetSession *session, uint64_t now_ns);
/*
 * Graceful stop: GOAWAY, running calls may finish. net_session_cut: all streams are ended now.
 */
extern void net_session_drain(NetSession *session);
extern void net_session_cut(NetSession *session);
extern uint32_t net_session_streams(const NetSession *session);
/* "h2", "http/1.1", or "" before the first bytes; for titles and logs. */
extern const char *net_session_protocol(const NetSession *session);
/* Why the session ended by itself, for the log; "" if it did not. */
extern const char *net_session_end_reason(const NetSession *session);

/* ---- answering ---- */
/* One message of `length` bytes from source, then status OK.  length is at most 2^31 - 1. */
extern void net_call_reply(NetCall *call, uint64_t length, NetSource *source);
/*
 * As many messages as source->next gives, then their status. An error of pull, which is in the
 * middle of a message, is told in the same way.
 */
extern void net_call_reply_stream(NetCall *call, NetSource *source);
/* One message from memory (copied), then status OK. */
extern void net_call_reply_bytes(NetCall *call, const uint8_t *data, size_t length);
/* The same, not copied: data lies in call->arena, or lives as long as the call. */
extern void net_call_reply_arena(NetCall *call, const uint8_t *data, size_t length);
/* Status only.  text is copied and percent-encoded as needed. */
extern void net_call_fail(NetCall *call, int grpc_code, const char *text);
/* After a source said RUSD_AGAIN. */
extern void net_call_resume(NetCall *call);

/*
 * headers: lines "Name: value\r\n" beyond Date, Content-Length and Connection, or NULL; all is
 * copied.
 */
extern void net_http_reply(NetHttp *http, int status, const char *headers, Bytes body);
/*
 * First value of a header of the request (name in lower case); data NULL: absent. Over HTTP/2 only
 * authorization and content-type are kept.
 */
extern Bytes net_http_header(const NetHttp *http, const char *name);

#endif /* NET_NET_H */
