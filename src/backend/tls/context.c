/*
 * context.c
 *	  A TLS context from files and demands.
 *
 * Postmaster, peer processes, tools. SSL_CTX never sees the key: it would keep it for as long as
 * any stream lives; the stream is given it at the moment that it is needed, and gives it back.
 *
 * src/backend/tls/context.c
 */
#include "rusd.h"

#include "tls_int.h"

#define READ_BUFFER (32 * 1024)
#define CERTIFICATES_MAX (64 * 1024) /* bytes of what the other side shows */
#define TICKET_SECONDS 7200
/* Forward secret and authenticated: what HTTP/2 allows. */
#define GOOD_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK"
#define GOOD_SUITES "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"

static Status make(const TlsOptions *options, TlsContext *context, char *message, size_t size);
static Status load_identity(const TlsOptions *options, TlsContext *context, char *message,
							size_t size);
static Status set_up_library(TlsContext *context);
static Status set_versions(const TlsOptions *options, TlsContext *context, char *message,
						   size_t size);
static Status set_ciphers(const char *list, TlsContext *context, char *message, size_t size);
static Status set_authorities(const TlsOptions *options, TlsContext *context, char *message,
							  size_t size);
static Status trust_system(SSL_CTX *ssl_context, char *message, size_t size);
static int give_certificate(SSL *ssl, void *arg);
static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
						   const unsigned char *offered, unsigned int length, void *arg);

Status
tls_context_create(const TlsOptions *options, TlsContext **result, char *message,
				   size_t message_size)
{
	TlsContext *context = calloc(1, sizeof(TlsContext));
	Status status;

	tls_set_up_memory();
	*result = NULL;
	*message = '\0';
	if (context == NULL)
		return RUSD_NO_MEMORY;
	status = make(options, context, message, message_size);
	if (status != RUSD_OK)
	{
		if (*message == '\0')
			snprintf(message, message_size, "%s", tls_library_error());
		tls_context_destroy(context);
		return status;
	}
	*result = context;
	return RUSD_OK;
}

void
tls_context_forget_key(TlsContext *context)
{
	EVP_PKEY_free(context->key);
	context->key = NULL;
}

void
tls_context_destroy(TlsContext *context)
{
	if (context == NULL)
		return;
	EVP_PKEY_free(context->key);
	X509_free(context->certificate);
	sk_X509_pop_free(context->chain, X509_free);
	sk_X509_CRL_pop_free(context->revoked, X509_CRL_free);
	SSL_CTX_free(context->ssl_context);
	free(context->allowed_cn);
	free(context->allowed_hostname);
	free(context);
}

int64_t
certificate_expires(const X509 *certificate)
{
	struct tm end;

	return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1 ? (int64_t) timegm(&end)
																	   : INT64_MAX;
}

int64_t
chain_expires(const STACK_OF(X509) * chain)
{
	int64_t first = INT64_MAX;

	for (int i = 0; i < sk_X509_num(chain); i++)
		first = Min(first, certificate_expires(sk_X509_value(chain, i)));
	return first;
}

int64_t
tls_context_expires(const TlsContext *context)
{
	if (context->certificate == NULL)
		return INT64_MAX;
	return Min(certificate_expires(context->certificate), chain_expires(context->chain));
}

static Status
make(const TlsOptions *options, TlsContext *context, char *message, size_t size)
{
	Status status;

	context->listens = options->listens;
	context->demands = options->listens ? options->demand_certificate || *options->ca_file != '\0'
										: !options->skip_verify;
	context->check_address = options->check_address;
	context->allowed_cn = strdup(options->allowed_cn);
	context->allowed_hostname = strdup(options->allowed_hostname);
	context->ssl_context =
		SSL_CTX_new(options->listens ? TLS_server_method() : TLS_client_method());
	if (context->allowed_cn == NULL || context->allowed_hostname == NULL ||
		context->ssl_context == NULL)
		return RUSD_NO_MEMORY;
	status = load_identity(options, context, message, size);
	if (status == RUSD_OK)
		status = set_up_library(context);
	if (status == RUSD_OK)
		status = set_versions(options, context, message, size);
	if (status == RUSD_OK)
		status = set_ciphers(options->cipher_suites, context, message, size);
	if (status == RUSD_OK && context->demands)
		status = set_authorities(options, context, message, size);
	if (status == RUSD_OK && context->demands && *options->crl_file != '\0')
		status = tls_load_crls(options->crl_file, &context->revoked, message, size);
	return status;
}

static Status
load_identity(const TlsOptions *options, TlsContext *context, char *message, size_t size)
{
	Status status;

	if ((*options->cert_file == '\0') != (*options->key_file == '\0') ||
		(options->listens && *options->cert_file == '\0'))
	{
		snprintf(message, size, "KeyFile and CertFile must both be present[key: %s, cert: %s]",
				 options->key_file, options->cert_file);
		return RUSD_INVALID;
	}
	if (*options->cert_file == '\0')
		return RUSD_OK;
	status = tls_load_certificates(options->cert_file, &context->chain, message, size);
	if (status != RUSD_OK)
		return status;
	context->certificate = sk_X509_shift(context->chain);
	status = tls_load_key(options->key_file, &context->key, message, size);
	if (status != RUSD_OK)
		return status;
	if (X509_check_private_key(context->certificate, context->key) != 1)
	{
		ERR_clear_error();
		snprintf(message, size, "%s: is not the key of the certificate in %s", options->key_file,
				 options->cert_file);
		return RUSD_INVALID;
	}
	return RUSD_OK;
}

static Status
set_up_library(TlsContext *context)
{
	SSL_CTX *of = context->ssl_context;

	/* An end without a farewell is an end: HTTP/2 and HTTP/1.1 know where a message ends. */
	SSL_CTX_set_options(of, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
								SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
								SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(of, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
							 SSL_MODE_RELEASE_BUFFERS);
	/* Several records by one system call. */
	SSL_CTX_set_read_ahead(of, 1);
	SSL_CTX_set_default_read_buffer_len(of, READ_BUFFER);
	SSL_CTX_set_max_cert_list(of, CERTIFICATES_MAX);
	SSL_CTX_set_session_cache_mode(of, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_cert_cb(of, give_certificate, context);
	if (!context->listens)
		return RUSD_OK;
	SSL_CTX_set_alpn_select_cb(of, choose_protocol, NULL);
	SSL_CTX_set_timeout(of, TICKET_SECONDS);
	return SSL_CTX_set_num_tickets(of, 1) == 1 && tls_tickets_set_up(context) ? RUSD_OK
																			  : RUSD_NO_MEMORY;
}

static int
version_number(const char *name)
{
	return strcmp(name, "TLS1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

static Status
set_versions(const TlsOptions *options, TlsContext *context, char *message, size_t size)
{
	int highest = *options->max_version == '\0' ? 0 : version_number(options->max_version);

	if (SSL_CTX_set_min_proto_version(context->ssl_context, version_number(options->min_version)) ==
			1 &&
		SSL_CTX_set_max_proto_version(context->ssl_context, highest) == 1)
		return RUSD_OK;
	snprintf(message, size, "versions %s to %s: %s", options->min_version, options->max_version,
			 tls_library_error());
	return RUSD_INVALID;
}

/* Names of IANA become OpenSSL's; those of TLS 1.3 are known but not chosen from, as in etcd. */
static Status
set_ciphers(const char *list, TlsContext *context, char *message, size_t size)
{
	char translated[2048] = "";
	size_t used = 0;

	if (SSL_CTX_set_ciphersuites(context->ssl_context, GOOD_SUITES) != 1)
		return RUSD_INVALID;
	if (*list == '\0')
		return SSL_CTX_set_cipher_list(context->ssl_context, GOOD_CIPHERS) == 1 ? RUSD_OK
																				: RUSD_INVALID;
	for (const char *at = list;; at++)
	{
		size_t length = strcspn(at, ",");
		char name[128];
		const char *known = NULL;

		snprintf(name, sizeof(name), "%.*s", (int) length, at);
		if (length < sizeof(name))
			known = OPENSSL_cipher_name(name);
		if (known == NULL || strcmp(known, "(NONE)") == 0 ||
			used + strlen(known) + 2 > sizeof(translated))
		{
			snprintf(message, size, "unexpected TLS cipher suite \"%s\"", name);
			return RUSD_INVALID;
		}
		if (strncmp(known, "TLS_", 4) != 0)
			used += (size_t) snprintf(translated + used, sizeof(translated) - used, "%s%s",
									  used == 0 ? "" : ":", known);
		at += length;
		if (*at == '\0')
			break;
	}
	if (SSL_CTX_set_cipher_list(context->ssl_context, translated) == 1)
		return RUSD_OK;
	ERR_clear_error();
	snprintf(message, size, "none of the cipher suites %s is available", list);
	return RUSD_INVALID;
}

static Status
set_authorities(const TlsOptions *options, TlsContext *context, char *message, size_t size)
{
	SSL_CTX *of = context->ssl_context;
	STACK_OF(X509) * authorities;
	Status status;

	/* Whoever is trusted is trusted by itself, its own issuer need not be there. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(of), X509_V_FLAG_PARTIAL_CHAIN);
	SSL_CTX_set_verify(of, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, tls_verify_callback);
	if (*options->ca_file == '\0')
		return trust_system(of, message, size);
	status = tls_load_certificates(options->ca_file, &authorities, message, size);
	if (status != RUSD_OK)
		return status;
	for (int i = 0; status == RUSD_OK && i < sk_X509_num(authorities); i++)
	{
		X509 *authority = sk_X509_value(authorities, i);

		/* The names go to clients that have several certificates to choose from. */
		if (X509_STORE_add_cert(SSL_CTX_get_cert_store(of), authority) != 1 ||
			(options->listens && SSL_CTX_add_client_CA(of, authority) != 1))
			status = RUSD_NO_MEMORY;
	}
	sk_X509_pop_free(authorities, X509_free);
	return status;
}

static Status
trust_system(SSL_CTX *ssl_context, char *message, size_t size)
{
	if (SSL_CTX_set_default_verify_paths(ssl_context) == 1)
		return RUSD_OK;
	snprintf(message, size, "authorities of the system: %s", tls_library_error());
	return RUSD_INVALID;
}

static int
give_certificate(SSL *ssl, void *arg)
{
	const TlsContext *context = arg;

	if (context->key == NULL)
		return context->certificate == NULL; /* connecting without one; or the key is forgotten */
	return SSL_use_cert_and_key(ssl, context->certificate, context->key, context->chain, 1);
}

static int
choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
				const unsigned char *offered, unsigned int length, void *arg)
{
	static const uint8_t spoken[] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
	unsigned char *found;

	(void) ssl;
	(void) arg;
	if (SSL_select_next_proto(&found, chosen_length, spoken, sizeof(spoken), offered, length) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*chosen = found;
	return SSL_TLSEXT_ERR_OK;
}
