/*
 * session.h
 *	  Process backend: one client connection, its streams, its share of memory.
 *
 * src/include/session/session.h
 */
#ifndef SESSION_H
#define SESSION_H

#include "ipc/process.h"
#include "tls/stream.h"

/* How the connections of a listen socket speak. */
typedef enum Transport
{
	TRANSPORT_PLAIN,
	TRANSPORT_TLS,
	TRANSPORT_EITHER /* the first byte tells */
} Transport;

typedef struct Connection
{
	int socket;       /* non-blocking */
	const char *peer; /* address of the other side, for titles, logs and checks */
	Listener listener;
	Transport transport;
	uint32_t listen_number; /* of the listen socket: tickets are good on that one only */
} Connection;

/*
 * Any process that was given an accepted connection: makes stream of it, by a TLS handshake where
 * its listener has TLS, and erases the key. Waits, at most TLS_HANDSHAKE_NS. False: refused and
 * logged, or the client has gone, or the node stops.
 */
must_check extern bool session_secure(const Connection *connection, Stream *stream);

/*
 * Process backend. secured: a process peer, for a connection to the port for members that does not
 * speak as they do: what session_secure has made of it; it has given up its rights already.
 */
does_not_return extern void session_main(const Connection *connection, const Stream *secured);

#endif /* SESSION_H */
