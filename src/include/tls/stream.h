/*
 * stream.h
 *	  The bytes of a connection, plain or through TLS, over a non-blocking socket.
 *
 * Whoever has a socket (a backend, a peer link, rusdctl) makes a Stream of it and goes on with
 * stream_read and stream_write, which behave like recv and send, whether there is TLS or not:
 *
 *		tls_accept(&stream, context, socket, "127.0.0.1:4711", 0);	or tls_connect, or stream_plain
 *		while ((status = stream_handshake(&stream)) == RUSD_AGAIN)
 *			wait for stream.read_waits for, until a deadline of your own;
 *		if (status != RUSD_OK)
 *			log stream.error; close
 *
 * and then, in a loop around one wait for the socket:
 *
 *		stream_write(...)	-1 with EAGAIN: wait for stream.write_waits, then call it again with the
 *							same bytes (they may have moved, and there may be more behind them)
 *		stream_read(...)	-1 with EAGAIN: wait for stream.read_waits; and before any wait:
 *							if stream.pending, read again instead, for nothing will wake you
 *
 * TLS may have to write in order to read, so what a read waits for is not always input. A Stream
 * belongs to one process and one thread. Nothing here logs, reads parameters or blocks, but for
 * the look-up of names that tls.h tells of; all compiles for tools too (FRONTEND; they link
 * librusd_fe.a, -lssl and -lcrypto).
 *
 * src/include/tls/stream.h
 */
#ifndef TLS_STREAM_H
#define TLS_STREAM_H

#include <sys/socket.h>

#include "tls/tls.h"

/* The values of WAIT_READABLE and WAIT_WRITABLE (ipc/latch.h). */
#define STREAM_READABLE 1
#define STREAM_WRITABLE 2

#define STREAM_ERROR_SIZE 512

struct ssl_st;

typedef struct Stream
{
	int socket;
	struct ssl_st *ssl;  /* NULL: plain */
	TlsContext *context; /* of an unfinished handshake */
	int read_waits;      /* STREAM_..., for a handshake too */
	int write_waits;
	bool pending; /* what stream_read shall give lies here and not in the socket */
	bool failed;  /* TLS is broken: nothing can be read or written any more */
	char remote[64];
	/* Why a handshake failed or a read or write gave -1; of certificates: which and why. */
	char error[STREAM_ERROR_SIZE];
} Stream;

/* socket is the caller's: none of these functions closes it. */
extern void stream_plain(Stream *stream, int socket);

/*
 * The listening side of TLS, on a connected non-blocking socket. remote is its address, "ip:port",
 * for checks and errors. listener tells listeners with one context apart: a session ticket is worth
 * something only where it was issued. RUSD_NO_MEMORY.
 */
must_check extern Status tls_accept(Stream *stream, TlsContext *context, int socket,
									const char *remote, uint32_t listener);

/*
 * The connecting side. host, a name or an address without brackets, is who the server has to be
 * by its certificate; protocol is what will be spoken, "h2" or "http/1.1" (ALPN). RUSD_NO_MEMORY.
 */
must_check extern Status tls_connect(Stream *stream, TlsContext *context, int socket,
									 const char *host, const char *protocol);

/*
 * RUSD_OK: done, certificates are checked (at once for a plain stream). RUSD_AGAIN: wait for
 * stream->read_waits and call again. Else the connection is to be closed: RUSD_END: the other side
 * has gone before it said a byte of TLS; RUSD_IO: the connection is lost; RUSD_INVALID: refused by
 * us or by them, stream->error says why. Afterwards the stream needs its context no more, and the
 * stream holds no key.
 */
must_check extern Status stream_handshake(Stream *stream);

/* "h2", "http/1.1", or "" where nothing was agreed on (or the stream is plain). */
extern const char *stream_protocol(const Stream *stream);
/* "TLSv1.3 TLS_AES_128_GCM_SHA256", and " resumed"; "" if the stream is plain. */
extern const char *stream_cipher(const Stream *stream, char *buffer, size_t size);
extern bool stream_is_resumed(const Stream *stream);
/* TLS 1.2 with a cipher that HTTP/2 forbids (RFC 9113, appendix A). */
extern bool stream_forbids_h2(const Stream *stream);
/* Common name of the verified certificate of the other side, into buffer; "" if there is none. */
extern const char *stream_peer_name(const Stream *stream, char *buffer, size_t size);
/* Seconds since 1970 when the first certificate that the other side has shown ends; INT64_MAX: it has shown none. */
extern int64_t stream_remote_expires(const Stream *stream);

extern ssize_t tls_read(Stream *stream, uint8_t *buffer, size_t max);
extern ssize_t tls_write(Stream *stream, const uint8_t *data, size_t length);

/* Like recv without flags: > 0 bytes, 0 the other side has ended, -1 with errno. */
static inline ssize_t
stream_read(Stream *stream, uint8_t *buffer, size_t max)
{
	if (likely(stream->ssl == NULL))
		return recv(stream->socket, buffer, max, 0);
	return tls_read(stream, buffer, max);
}

/* Like send with MSG_NOSIGNAL: how many bytes were taken, -1 with errno.  length > 0. */
static inline ssize_t
stream_write(Stream *stream, const uint8_t *data, size_t length)
{
	if (likely(stream->ssl == NULL))
		return send(stream->socket, data, length, MSG_NOSIGNAL);
	return tls_write(stream, data, length);
}

/* Tells the other side that nothing more comes; the socket is shut for writing. */
extern void stream_shutdown(Stream *stream);
/* Frees what the stream holds; the socket stays open. */
extern void stream_close(Stream *stream);

#endif /* TLS_STREAM_H */
