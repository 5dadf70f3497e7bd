/*
 * tls_int.h
 *	  What the files of tls share.
 *
 * src/backend/tls/tls_int.h
 */
#ifndef TLS_INT_H
#define TLS_INT_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tls/stream.h"

struct TlsContext
{
	SSL_CTX *ssl_context; /* holds no key: each stream is given it for its handshake */
	bool listens;
	bool demands; /* a certificate of the other side */
	bool check_address;
	X509 *certificate; /* NULL: none, connecting */
	EVP_PKEY *key;
	STACK_OF(X509) * chain; /* behind the certificate */
	STACK_OF(X509_CRL) * revoked;
	char *allowed_cn; /* lists; "": any */
	char *allowed_hostname;
};

/* ---- context.c ---- */
/* Seconds since 1970 when it ends, or the first of them; INT64_MAX: never. */
extern int64_t certificate_expires(const X509 *certificate);
extern int64_t chain_expires(const STACK_OF(X509) * chain);

/* ---- files.c: all say in message which file and why ---- */
must_check extern Status tls_load_certificates(const char *path, STACK_OF(X509) * *result,
											   char *message, size_t size);
must_check extern Status tls_load_key(const char *path, EVP_PKEY **result, char *message,
									  size_t size);
/* Lists that are sorted, for the first look-up would sort them in every process. */
must_check extern Status tls_load_crls(const char *path, STACK_OF(X509_CRL) * *result,
									   char *message, size_t size);
/* Before anything else of OpenSSL, so that what it frees of keys can be erased. */
extern void tls_set_up_memory(void);
/* The reason of the oldest error of OpenSSL's queue, which is emptied. */
extern const char *tls_library_error(void);

/* ---- verify.c ---- */
/* OpenSSL's, for each certificate of a chain; the own checks run with the last, which is the leaf. */
extern int tls_verify_callback(int good, X509_STORE_CTX *store_context);
/* The same checks of a certificate that comes out of a ticket. */
extern bool tls_verify_resumed(Stream *stream, X509 *certificate);
/* "CN=x" and the like, cut where it does not fit. */
extern const char *tls_subject(const X509 *certificate, char *buffer, size_t size);

/* ---- tickets.c ---- */
extern bool tls_tickets_set_up(TlsContext *context);

/* ---- stream.c ---- */
/* Seconds since 1970. */
extern int64_t tls_now(void);
/* The stream that an SSL belongs to. */
extern Stream *tls_stream_of(const SSL *ssl);

#endif /* TLS_INT_H */
