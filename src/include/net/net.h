/*
 * net.h
 *	  The server side of a client connection: HTTP/2 with gRPC framing, HTTP/1.1; bytes in, bytes out.  Knows nothing of etcd.
 *
 * One NetSession per connection, driven by session/: it reads from the socket into net_session_receive, which calls the handlers, and writes what
 * net_session_send gives.  Handlers are called with complete unary messages and may answer at once or later.  No handler may free
 * the call that it was given; net does that after on_close.
 *
 * nghttp2 is included nowhere but in net/.
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
	uint32_t	message_max;	/* bytes of a received gRPC message (RPC-20) */
	uint32_t	streams_max;	/* HTTP/2 SETTINGS_MAX_CONCURRENT_STREAMS; UINT32_MAX: not announced */
	uint64_t	keepalive_min_ns;	/* RPC-24 */
	uint64_t	keepalive_interval_ns;
	uint64_t	keepalive_timeout_ns;
	uint32_t	header_list_max;
	uint32_t	unsent_max;		/* bytes that may wait in the socket: 64 KiB */
} NetLimits;

/*
 * Where the bytes of an answer come from.  pull gives up to max bytes (>0), or RUSD_AGAIN: nothing now, net_call_resume will be called; or an error after the first byte: the
 * stream is ended with RST_STREAM(INTERNAL_ERROR).  Exactly `length` bytes are pulled.  close is called exactly once, whatever happens.
 */
typedef struct NetSource
{
	Status		(*pull) (struct NetSource *source, uint8_t *buffer, size_t max, size_t *got);
	void		(*close) (struct NetSource *source);
} NetSource;

/* What handlers see of a call. */
struct NetCall
{
	const char *path;			/* ":path", NUL-terminated */
	uint64_t	deadline_ns;	/* monotonic; UINT64_MAX: none (grpc-timeout) */
	Bytes		message;		/* the one request message, decompressed */
	Arena		arena;			/* freed with the call; message lies in it */
	/* metadata that somebody asks for; length 0 and data NULL: absent */
	Bytes		token;			/* RPC-8: token, else authorization */
	Bytes		hasleader;
	Bytes		client_api_version;
	void	   *user;			/* the handler's own */
};

struct NetHttp					/* an HTTP/1.1 request, complete */
{
	const char *method;
	const char *target;			/* path and query */
	Bytes		body;
	Arena		arena;
	void	   *user;
};

typedef struct NetHandlers
{
	void	   *arg;
	/* A request message is there and the client has half-closed.  Answer now or later. */
	void		(*on_call) (void *arg, NetCall *call);
	/* Called exactly once for each on_call, when the call is over: answered, reset, connection lost, deadline passed.  After it the call is gone. */
	void		(*on_close) (void *arg, NetCall *call);
	/* The deadline has passed with no answer begun: answer (DEADLINE_EXCEEDED) or let net do it by returning. */
	void		(*on_http) (void *arg, NetHttp *http);
	void		(*on_http_close) (void *arg, NetHttp *http);
	/* Would this method be known?  grpc code 12 otherwise, with the text that is returned (NULL: known). Called when the headers are complete. */
	const char *(*unknown_method) (void *arg, const char *path, char *buffer, size_t size);
} NetHandlers;

extern Status net_session_create(const NetLimits *limits, const NetHandlers *handlers, MemoryBudget *budget, NetSession **result);
extern void net_session_destroy(NetSession *session);

/* Bytes from the socket.  RUSD_END: the connection is to be closed once all is sent.  Errors: close now. */
extern Status net_session_receive(NetSession *session, const uint8_t *data, size_t length, uint64_t now_ns);
/* Up to max bytes to be written, 0: nothing.  Called until it gives less than max. */
extern size_t net_session_send(NetSession *session, uint8_t *buffer, size_t max);
extern bool net_session_wants_write(const NetSession *session);
/* Closes when all is answered and sent. */
extern bool net_session_is_done(const NetSession *session);
/* Deadlines of calls and keepalive: what is due is done; returns when to call again (monotonic ns, UINT64_MAX: never). */
extern uint64_t net_session_timers(NetSession *session, uint64_t now_ns);
/* Graceful stop: GOAWAY, running calls may finish.  net_session_cut: all streams are ended now. */
extern void net_session_drain(NetSession *session);
extern void net_session_cut(NetSession *session);
extern uint32_t net_session_streams(const NetSession *session);

/* ---- answering ---- */
/* One message of `length` bytes from source, then status OK. */
extern void net_call_reply(NetCall *call, uint64_t length, NetSource *source);
/* The same from memory (copied). */
extern void net_call_reply_bytes(NetCall *call, const uint8_t *data, size_t length);
/* Status only.  text is percent-encoded as needed. */
extern void net_call_fail(NetCall *call, int grpc_code, const char *text);
/* After a source said RUSD_AGAIN. */
extern void net_call_resume(NetCall *call);
/* headers: lines "Name: value\r\n" beyond Content-Length and Date; body is copied. */
extern void net_http_reply(NetHttp *http, int status, const char *headers, Bytes body);

#endif							/* NET_NET_H */
