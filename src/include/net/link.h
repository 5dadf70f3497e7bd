/*
 * link.h
 *	  A connection between two members: one gRPC stream of messages over HTTP/2, both ends.  Bytes in, bytes out.
 *
 * Who dials opens one stream with a path and some fields; who accepts looks at them and accepts or refuses.  Then
 * both may send messages, as many as they like.  Knows nothing of members, sockets and processes.
 *
 * One process each, no locks.  Handlers are called from net_link_receive only.
 *
 * src/include/net/link.h
 */
#ifndef NET_LINK_H
#define NET_LINK_H

typedef struct NetLink NetLink;

typedef struct NetLinkField
{
	const char *name; /* lower case, no pseudo-header */
	const char *value;
} NetLinkField;

#define NET_LINK_FIELDS_MAX 16
/* Code of on_end: a message of the other side was longer than message_max (RESOURCE_EXHAUSTED of gRPC). */
#define NET_LINK_TOO_LONG 8

typedef struct NetLinkHandlers
{
	void *arg;
	/* The other side has opened the stream (accepting end: path and its fields), or has accepted it (dialling
	 * end: path is NULL, its fields).  fields live as long as the call; those of HTTP and gRPC are not among them. */
	void (*on_open)(void *arg, const char *path, const NetLinkField *fields, uint32_t count);
	/* A message; 8-aligned, lives as long as the call. */
	void (*on_message)(void *arg, const uint8_t *data, size_t length);
	/* No more will come: refused, ended or reset.  text: why, as the other side says. */
	void (*on_end)(void *arg, int grpc_code, const char *text);
} NetLinkHandlers;

/*
 * The dialling end: opens the stream.  authority: host and port.  message_max: longer ones of the other side end the
 * connection.  RUSD_NO_MEMORY.
 */
extern Status net_link_dial(const char *authority, const char *path, const NetLinkField *fields,
							uint32_t count, const NetLinkHandlers *handlers, uint32_t message_max,
							NetLink **result);
/* The accepting end, from the first byte of the connection on. */
extern Status net_link_listen(const NetLinkHandlers *handlers, uint32_t message_max,
							  NetLink **result);
extern void net_link_destroy(NetLink *link);

/* Accepting end, once, in on_open or after it. */
extern void net_link_accept(NetLink *link, const NetLinkField *fields, uint32_t count);
extern void net_link_refuse(NetLink *link, int grpc_code, const char *text);

/*
 * Bytes from the socket.  RUSD_INVALID: no HTTP/2, not as it was agreed upon, or it causes more answers than it takes;
 * RUSD_NO_MEMORY: close the connection.
 */
extern Status net_link_receive(NetLink *link, const uint8_t *data, size_t length);
/*
 * A message of all parts, one behind the other; copied.  RUSD_NO_MEMORY: it was not taken.  How much is queued is for the caller to
 * bound, by net_link_unsent.
 */
extern Status net_link_put(NetLink *link, const Bytes *parts, uint32_t count);
/* Bytes of messages that were put and are not in the output yet. */
extern size_t net_link_unsent(const NetLink *link);
/* What is to be written to the socket now; empty: nothing.  The same until net_link_written. */
extern Status net_link_output(NetLink *link, Bytes *output);
extern void net_link_written(NetLink *link, size_t length);
/* A ping, which the other side answers whatever it does. */
extern void net_link_ping(NetLink *link);
/* How many of them were answered. */
extern uint64_t net_link_pongs(const NetLink *link);

#endif /* NET_LINK_H */
