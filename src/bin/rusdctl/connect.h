/*
 * connect.h
 *	  A byte stream to a server: TCP or a unix socket, plain or in TLS, with deadlines.
 *
 * An endpoint is [SCHEME://]HOST:PORT, or SCHEME://PATH of a socket.  http and unix are plain, https
 * and unixs are TLS; without a scheme it is TLS if ConnectOptions.tls, as in etcd's client.
 * Deadlines are nanoseconds of the monotonic clock.  All texts of errors are the caller's to free.
 *
 * src/bin/rusdctl/connect.h
 */
#ifndef RUSDCTL_CONNECT_H
#define RUSDCTL_CONNECT_H

#include "c.h"

typedef struct ConnectOptions
{
	const char *cacert; /* "": the system's */
	const char *cert;   /* "": none; key too then */
	const char *key;
	const char *server_name; /* whom the certificate must name; NULL: the host of the endpoint */
	bool skip_verify;
	bool tls; /* for endpoints without a scheme */
} ConnectOptions;

typedef struct Connection Connection;

typedef enum Transfer
{
	TRANSFER_DONE,
	TRANSFER_LATE,  /* the deadline has passed */
	TRANSFER_FAILED /* or the other side has ended it; with a text */
} Transfer;

/*
 * Reads the files that the options name; the first call decides for the whole process. Returns NULL,
 * or a text that names the file and says what is wrong with it.
 */
extern char *connection_load_files(const ConnectOptions *options);

/* NULL with a text in *error, which names the endpoint and says why. */
extern Connection *connection_open(const char *endpoint, const ConnectOptions *options,
								   int64_t deadline, char **error);
extern void connection_close(Connection *connection);

/* What ":authority" has to be: what the endpoint names, without scheme; "localhost" for a socket. */
extern const char *connection_authority(const Connection *connection);
extern bool connection_is_tls(const Connection *connection);

/* Waits until some bytes went or came: *done of at most length. */
extern Transfer connection_send(Connection *connection, const void *data, size_t length,
								int64_t deadline, size_t *done, char **error);
extern Transfer connection_receive(Connection *connection, void *buffer, size_t length,
								   int64_t deadline, size_t *done, char **error);

/* Nanoseconds of the monotonic clock. */
extern int64_t client_now(void);
/* malloc'ed; NULL only where memory is short. */
printf_like(1, 2) extern char *error_text(const char *format, ...);

#endif /* RUSDCTL_CONNECT_H */
