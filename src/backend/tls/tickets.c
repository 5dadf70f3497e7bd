/*
 * tickets.c
 *	  Session tickets: what goes into one, and what is looked at when it comes back.
 *
 * Backends and peer processes, in a handshake. Tickets are encrypted under the keys that OpenSSL
 * has made with the context, which all backends inherit; so there is nothing to share, and a new
 * context knows none of the old tickets [tls-2]. A ticket holds the client's certificate but not
 * the chain that vouched for it: the first end of that chain goes along.
 *
 * src/backend/tls/tickets.c
 */
#include "rusd.h"

#include <openssl/rand.h>

#include "tls_int.h"

#define TICKET_KEYS_BYTES 80 /* a name, and keys for AES-256 and HMAC-SHA256 */

static int fill_ticket(SSL *ssl, void *arg);
static SSL_TICKET_RETURN look_at_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
										size_t name_length, SSL_TICKET_STATUS status, void *arg);
static bool is_still_good(SSL *ssl, SSL_SESSION *session);

bool
tls_tickets_set_up(TlsContext *context)
{
	return SSL_CTX_set_session_ticket_cb(context->ssl_context, fill_ticket, look_at_ticket,
										 context) == 1;
}

Status
tls_context_renew_tickets(TlsContext *context)
{
	uint8_t keys[TICKET_KEYS_BYTES];
	bool done = RAND_priv_bytes(keys, sizeof(keys)) == 1 &&
				SSL_CTX_set_tlsext_ticket_keys(context->ssl_context, keys, sizeof(keys)) == 1;

	OPENSSL_cleanse(keys, sizeof(keys));
	ERR_clear_error();
	return done ? RUSD_OK : RUSD_IO;
}

/* A resumed session has no chain; it keeps what its ticket said. */
static int
fill_ticket(SSL *ssl, void *arg)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	int64_t first = INT64_MAX;

	(void) arg;
	if (chain == NULL || SSL_session_reused(ssl))
		return 1;
	for (int i = 0; i < sk_X509_num(chain); i++)
	{
		struct tm end;

		if (ASN1_TIME_to_tm(X509_get0_notAfter(sk_X509_value(chain, i)), &end) != 1)
			return 0;
		first = Min(first, (int64_t) timegm(&end));
	}
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &first, sizeof(first));
}

/* One that is not good any more is not an error: the full handshake tells the client why. */
static SSL_TICKET_RETURN
look_at_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_length,
			   SSL_TICKET_STATUS status, void *arg)
{
	const TlsContext *context = arg;

	(void) name;
	(void) name_length;
	if (status == SSL_TICKET_EMPTY || status == SSL_TICKET_NO_DECRYPT)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_ABORT;
	if (context->demands && !is_still_good(ssl, session))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static bool
is_still_good(SSL *ssl, SSL_SESSION *session)
{
	X509 *certificate = SSL_SESSION_get0_peer(session);
	void *data;
	size_t length;
	int64_t end;

	if (certificate == NULL || SSL_SESSION_get0_ticket_appdata(session, &data, &length) != 1 ||
		length != sizeof(end))
		return false;
	memcpy(&end, data, sizeof(end));
	return end > tls_now() && tls_verify_resumed(tls_stream_of(ssl), certificate);
}
