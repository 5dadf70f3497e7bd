/*
 * stream.c
 *	  The bytes of a connection through TLS: handshake, read, write, end.
 *
 * Backends, peer processes and tools.
 *
 * src/backend/tls/stream.c
 */
#include "rusd.h"

#include <arpa/inet.h>

#include "tls_int.h"

#include "port/clock.h"

#define NS_PER_S 1000000000
#define HOST_FLAGS (X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)

static Status begin(Stream *stream, TlsContext *context, int socket, const char *remote);
static Status handshake_failed(Stream *stream, int error);
static ssize_t not_now(Stream *stream, int result, int *waits);

void
stream_plain(Stream *stream, int socket)
{
	*stream =
		(Stream){.socket = socket, .read_waits = STREAM_READABLE, .write_waits = STREAM_WRITABLE};
}

Status
tls_accept(Stream *stream, TlsContext *context, int socket, const char *remote, uint32_t listener)
{
	Status status = begin(stream, context, socket, remote);

	if (status != RUSD_OK)
		return status;
	if (SSL_set_session_id_context(stream->ssl, (const uint8_t *) &listener, sizeof(listener)) != 1)
		return RUSD_NO_MEMORY;
	SSL_set_accept_state(stream->ssl);
	return RUSD_OK;
}

Status
tls_connect(Stream *stream, TlsContext *context, int socket, const char *host, const char *protocol)
{
	Status status = begin(stream, context, socket, host);
	uint8_t offered[16];
	size_t length = strlen(protocol);
	uint8_t address[16];
	bool numeric =
		inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;

	if (status != RUSD_OK)
		return status;
	if (context->demands && numeric &&
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(stream->ssl), host) != 1)
		return RUSD_NO_MEMORY;
	if (context->demands && !numeric)
	{
		SSL_set_hostflags(stream->ssl, HOST_FLAGS);
		if (SSL_set1_host(stream->ssl, host) != 1)
			return RUSD_NO_MEMORY;
	}
	if (!numeric && SSL_set_tlsext_host_name(stream->ssl, host) != 1)
		return RUSD_NO_MEMORY;
	Check(length < sizeof(offered));
	offered[0] = (uint8_t) length;
	memcpy(offered + 1, protocol, length);
	/* 0 is success here. */
	if (SSL_set_alpn_protos(stream->ssl, offered, (unsigned) length + 1) != 0)
		return RUSD_NO_MEMORY;
	SSL_set_connect_state(stream->ssl);
	return RUSD_OK;
}

Status
stream_handshake(Stream *stream)
{
	int result, error;

	if (stream->ssl == NULL)
		return RUSD_OK;
	ERR_clear_error();
	result = SSL_do_handshake(stream->ssl);
	if (result == 1)
	{
		/* The key is for the handshake only [tls-1]. */
		SSL_certs_clear(stream->ssl);
		stream->context = NULL;
		stream->error[0] = '\0';
		/* What came with the last message of the handshake wakes nobody. */
		stream->pending = SSL_has_pending(stream->ssl) == 1;
		stream->read_waits = STREAM_READABLE;
		return RUSD_OK;
	}
	error = SSL_get_error(stream->ssl, result);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
	{
		stream->read_waits = error == SSL_ERROR_WANT_READ ? STREAM_READABLE : STREAM_WRITABLE;
		return RUSD_AGAIN;
	}
	return handshake_failed(stream, error);
}

const char *
stream_protocol(const Stream *stream)
{
	const unsigned char *name = NULL;
	unsigned int length = 0;

	if (stream->ssl != NULL)
		SSL_get0_alpn_selected(stream->ssl, &name, &length);
	return length == 2 ? "h2" : length == 8 ? "http/1.1" : "";
}

const char *
stream_cipher(const Stream *stream, char *buffer, size_t size)
{
	*buffer = '\0';
	if (stream->ssl != NULL)
		snprintf(buffer, size, "%s %s%s", SSL_get_version(stream->ssl),
				 SSL_get_cipher_name(stream->ssl),
				 SSL_session_reused(stream->ssl) ? " resumed" : "");
	return buffer;
}

bool
stream_is_resumed(const Stream *stream)
{
	return stream->ssl != NULL && SSL_session_reused(stream->ssl) == 1;
}

bool
stream_forbids_h2(const Stream *stream)
{
	const SSL_CIPHER *cipher = stream->ssl == NULL ? NULL : SSL_get_current_cipher(stream->ssl);

	return cipher != NULL && SSL_version(stream->ssl) == TLS1_2_VERSION &&
		   (SSL_CIPHER_is_aead(cipher) == 0 || SSL_CIPHER_get_kx_nid(cipher) != NID_kx_ecdhe);
}

const char *
stream_peer_name(const Stream *stream, char *buffer, size_t size)
{
	X509 *certificate = stream->ssl == NULL ? NULL : SSL_get0_peer_certificate(stream->ssl);
	int length = -1;

	if (certificate != NULL && SSL_get_verify_result(stream->ssl) == X509_V_OK)
		length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
										   buffer, (int) size);
	if (length < 0 || strlen(buffer) != (size_t) length)
		*buffer = '\0';
	return buffer;
}

int64_t
stream_remote_expires(const Stream *stream)
{
	X509 *certificate = stream->ssl == NULL ? NULL : SSL_get0_peer_certificate(stream->ssl);

	if (certificate == NULL)
		return INT64_MAX;
	return Min(certificate_expires(certificate),
			   chain_expires(SSL_get_peer_cert_chain(stream->ssl)));
}

ssize_t
tls_read(Stream *stream, uint8_t *buffer, size_t max)
{
	size_t total = 0;

	stream->pending = false;
	while (total < max && !stream->failed)
	{
		size_t got;
		int result;

		ERR_clear_error();
		result = SSL_read_ex(stream->ssl, buffer + total, max - total, &got);
		if (result == 1)
		{
			total += got;
			/* Asking again when nothing is there would be a system call for nothing. */
			if (SSL_has_pending(stream->ssl) != 1)
				return (ssize_t) total;
			continue;
		}
		if (total == 0)
			return not_now(stream, result, &stream->read_waits);
		/* What is more than "not now" is told by the next call. */
		stream->pending = SSL_get_error(stream->ssl, result) != SSL_ERROR_WANT_READ;
		return (ssize_t) total;
	}
	if (stream->failed)
	{
		errno = EPROTO;
		return -1;
	}
	stream->pending = true;
	return (ssize_t) total;
}

ssize_t
tls_write(Stream *stream, const uint8_t *data, size_t length)
{
	size_t total = 0;

	while (total < length && !stream->failed)
	{
		size_t taken;
		int result;

		ERR_clear_error();
		result = SSL_write_ex(stream->ssl, data + total, length - total, &taken);
		if (result == 1)
			total += taken;
		else if (total == 0)
			return not_now(stream, result, &stream->write_waits);
		else
			/* The record that did not go out is kept; its bytes are given again. */
			return (ssize_t) total;
	}
	if (stream->failed)
	{
		errno = EPROTO;
		return -1;
	}
	return (ssize_t) total;
}

void
stream_shutdown(Stream *stream)
{
	ERR_clear_error();
	if (stream->ssl != NULL && !stream->failed && stream->context == NULL)
		(void) SSL_shutdown(stream->ssl);
	(void) shutdown(stream->socket, SHUT_WR);
}

void
stream_close(Stream *stream)
{
	SSL_free(stream->ssl);
	stream->ssl = NULL;
	stream->failed = true;
}

Stream *
tls_stream_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

int64_t
tls_now(void)
{
	return (int64_t) (clock_os.wall_ns(&clock_os) / NS_PER_S);
}

static Status
begin(Stream *stream, TlsContext *context, int socket, const char *remote)
{
	stream_plain(stream, socket);
	stream->context = context;
	snprintf(stream->remote, sizeof(stream->remote), "%s", remote);
	stream->ssl = SSL_new(context->ssl_context);
	if (stream->ssl == NULL || SSL_set_fd(stream->ssl, socket) != 1)
		return RUSD_NO_MEMORY;
	SSL_set_app_data(stream->ssl, stream);
	X509_VERIFY_PARAM_set_time(SSL_get0_param(stream->ssl), (time_t) tls_now());
	return RUSD_OK;
}

static Status
handshake_failed(Stream *stream, int error)
{
	int system_error = errno;
	bool silent = BIO_number_read(SSL_get_rbio(stream->ssl)) == 0;

	stream->failed = true;
	if (error == SSL_ERROR_SSL && !silent)
	{
		const char *reason = tls_library_error();

		if (stream->error[0] == '\0')
			snprintf(stream->error, sizeof(stream->error), "%s", reason);
		return RUSD_INVALID;
	}
	ERR_clear_error();
	snprintf(stream->error, sizeof(stream->error), "%s",
			 error == SSL_ERROR_SYSCALL && system_error != 0 ? strerror(system_error)
															 : "the connection has ended");
	return silent ? RUSD_END : RUSD_IO;
}

/* -1, or 0 at the end, with errno; and what to wait for. */
static ssize_t
not_now(Stream *stream, int result, int *waits)
{
	int error = SSL_get_error(stream->ssl, result);

	switch (error)
	{
		case SSL_ERROR_WANT_READ:
		case SSL_ERROR_WANT_WRITE:
			*waits = error == SSL_ERROR_WANT_READ ? STREAM_READABLE : STREAM_WRITABLE;
			errno = EAGAIN;
			return -1;
		case SSL_ERROR_ZERO_RETURN:
			return 0;
		case SSL_ERROR_SYSCALL:
			stream->failed = true;
			if (errno == 0 || errno == EAGAIN)
				errno = ECONNRESET;
			snprintf(stream->error, sizeof(stream->error), "%s", strerror(errno));
			return -1;
		default:
			stream->failed = true;
			snprintf(stream->error, sizeof(stream->error), "%s", tls_library_error());
			errno = EPROTO;
			return -1;
	}
}
