/*
 * tls.h
 *	  TLS contexts: certificate, key, authorities, revocation, and what is demanded of the other side.
 *
 * A context is made of files, for listening or for connecting, and does not change: where a file
 * changes another context takes its place (tls/contexts.h does so for the node). Streams are made
 * with it (tls/stream.h). It belongs to one process; after a fork the child has a copy of its own,
 * key included, so that a certificate is parsed once for any number of backends, and tickets that
 * one of them issues are good for the next.
 *
 * OpenSSL is included nowhere but in src/backend/tls. Compiles for tools too (see stream.h).
 *
 * src/include/tls/tls.h
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

typedef struct TlsContext TlsContext;

/* Strings are never NULL; "": not given. Lists are separated by commas. */
typedef struct TlsOptions
{
	bool listens;          /* else: connects */
	const char *cert_file; /* PEM, the chain behind it; a listening side must have one */
	const char *key_file;  /* PEM, not encrypted */
	const char *ca_file;   /* PEM, any number; connecting without one: those of the system */
	const char *crl_file;  /* PEM (any number) or DER */
	/* Listening: a certificate is demanded; given a ca_file it always is.  Without one: those of the
	 * system. */
	bool demand_certificate;
	/* Connecting: certificates are not looked at. */
	bool skip_verify;
	/*
	 * Of the other side's certificate: one of the common names, or one of the host names (SAN, not
	 * both lists).
	 */
	const char *allowed_cn;
	const char *allowed_hostname;
	/*
	 * Listening: a client's certificate with a SAN must name the address that it comes from, by
	 * address or by a name that the resolver gives for it or that leads to it (this look-up blocks,
	 * within the handshake).
	 */
	bool check_address;
	const char *cipher_suites; /* names of IANA, of TLS 1.2; "": the good ones */
	const char *min_version;   /* "TLS1.2", "TLS1.3"; "": TLS1.2 */
	const char *max_version;   /* the same; "": no limit */
} TlsOptions;

/*
 * Reads the files. RUSD_IO: one could not be read; RUSD_INVALID: it, or the combination, is no good;
 * message tells which and why, in one line. options and its strings are needed during the call only.
 */
must_check extern Status tls_context_create(const TlsOptions *options, TlsContext **result,
											char *message, size_t message_size);
/*
 * Erases the key: no handshake is possible any more. A backend calls it after its handshake, a
 * process that makes none at its beginning. The rest stays, in memory that is shared with the parent.
 */
extern void tls_context_forget_key(TlsContext *context);
/* Other keys for session tickets: those issued so far are worthless. Listening contexts only. */
must_check extern Status tls_context_renew_tickets(TlsContext *context);
/* Erases the key and frees all; streams that are beyond their handshake live on.  NULL is allowed. */
extern void tls_context_destroy(TlsContext *context);

/* Seconds since 1970 when the first certificate of the context's own chain ends; INT64_MAX: none. */
extern int64_t tls_context_expires(const TlsContext *context);

#endif /* TLS_TLS_H */
