/*
 * verify.c
 *	  What is demanded of the other side's certificate beside a chain to an authority, and the
 *	  reasons of a refusal.
 *
 * Backends, peer processes and tools, in a handshake; once for a full one, and for the certificate
 * in a ticket. The rules are etcd's: a certificate is revoked when its serial number is in the list,
 * whoever issued the list, and whether or not the list has ended.
 *
 * src/backend/tls/verify.c
 */
#include "rusd.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <strings.h>

#include "tls_int.h"

#define HOST_FLAGS (X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)
#define NAME_SIZE 256

/* The host names of a certificate. */
typedef struct Names
{
	GENERAL_NAMES *all;
	int next;
} Names;

static bool is_acceptable(Stream *stream, X509 *certificate);
static bool is_allowed(Stream *stream, X509 *certificate);
static bool comes_from_its_address(Stream *stream, X509 *certificate);
static bool is_revoked(const TlsContext *context, X509 *certificate);
static bool on_list(const char *list, X509 *certificate,
					bool (*matches)(X509 *certificate, const char *item));
static bool has_common_name(X509 *certificate, const char *name);
static bool has_host_name(X509 *certificate, const char *name);
static bool next_name(Names *names, char *buffer, size_t size);
static bool leads_to(const char *name, const char *host);
static void split_remote(const char *remote, char *host, size_t size);
static bool refuse(Stream *stream, const X509 *certificate, const char *why);

const char *
tls_subject(const X509 *certificate, char *buffer, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int length = 0;

	if (bio != NULL &&
		X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0)
		length = BIO_read(bio, buffer, (int) size - 1);
	buffer[Max(length, 0)] = '\0';
	BIO_free(bio);
	return buffer;
}

int
tls_verify_callback(int good, X509_STORE_CTX *store_context)
{
	const SSL *ssl =
		X509_STORE_CTX_get_ex_data(store_context, SSL_get_ex_data_X509_STORE_CTX_idx());
	Stream *stream = tls_stream_of(ssl);
	X509 *certificate = X509_STORE_CTX_get_current_cert(store_context);
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store_context);

	if (good != 1)
	{
		int error = X509_STORE_CTX_get_error(store_context);

		if (certificate == NULL)
			snprintf(stream->error, sizeof(stream->error), "%s",
					 X509_verify_cert_error_string(error));
		else
			(void) refuse(stream, certificate, X509_verify_cert_error_string(error));
		return 0;
	}
	/* The last of a good chain is the leaf: then all have their signatures and times. */
	if (X509_STORE_CTX_get_error_depth(store_context) != 0)
		return 1;
	for (int i = 0; i < sk_X509_num(chain); i++)
	{
		if (is_revoked(stream->context, sk_X509_value(chain, i)))
		{
			X509_STORE_CTX_set_error(store_context, X509_V_ERR_CERT_REVOKED);
			return refuse(stream, sk_X509_value(chain, i), "certificate revoked");
		}
	}
	if (is_acceptable(stream, certificate))
		return 1;
	X509_STORE_CTX_set_error(store_context, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

bool
tls_verify_resumed(Stream *stream, X509 *certificate)
{
	if (is_revoked(stream->context, certificate))
		return refuse(stream, certificate, "certificate revoked");
	return is_acceptable(stream, certificate);
}

static bool
is_acceptable(Stream *stream, X509 *certificate)
{
	return is_allowed(stream, certificate) &&
		   (!stream->context->check_address || comes_from_its_address(stream, certificate));
}

static bool
is_allowed(Stream *stream, X509 *certificate)
{
	const TlsContext *context = stream->context;

	if (*context->allowed_cn != '\0' && !on_list(context->allowed_cn, certificate, has_common_name))
		return refuse(stream, certificate, "its common name is not on the list of allowed ones");
	if (*context->allowed_hostname != '\0' &&
		!on_list(context->allowed_hostname, certificate, has_host_name))
		return refuse(stream, certificate, "none of its host names is on the list of allowed ones");
	return true;
}

static bool
on_list(const char *list, X509 *certificate, bool (*matches)(X509 *certificate, const char *item))
{
	for (const char *at = list;; at++)
	{
		size_t length = strcspn(at, ",");
		char item[NAME_SIZE];

		if (length > 0 && length < sizeof(item))
		{
			memcpy(item, at, length);
			item[length] = '\0';
			if (matches(certificate, item))
				return true;
		}
		at += length;
		if (*at == '\0')
			return false;
	}
}

static bool
has_common_name(X509 *certificate, const char *name)
{
	char text[NAME_SIZE];
	int length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text,
										   sizeof(text));

	/* The length too: a name may have a NUL in it. */
	return length == (int) strlen(name) && memcmp(text, name, (size_t) length) == 0;
}

static bool
has_host_name(X509 *certificate, const char *name)
{
	uint8_t address[16];

	if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
		return X509_check_ip_asc(certificate, name, 0) == 1;
	return X509_check_host(certificate, name, 0, HOST_FLAGS, NULL) == 1;
}

static bool
is_revoked(const TlsContext *context, X509 *certificate)
{
	for (int i = 0; i < sk_X509_CRL_num(context->revoked); i++)
	{
		X509_REVOKED *found;

		if (X509_CRL_get0_by_serial(sk_X509_CRL_value(context->revoked, i), &found,
									X509_get_serialNumber(certificate)) != 0)
			return true;
	}
	return false;
}

/* ---- a certificate that names hosts comes from one of them ---- */

static bool
comes_from_its_address(Stream *stream, X509 *certificate)
{
	char host[sizeof(stream->remote)];
	char name[NAME_SIZE];
	Names names = {.all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL)};
	bool named = false, addressed = false, found;

	split_remote(stream->remote, host, sizeof(host));
	for (int i = 0; i < sk_GENERAL_NAME_num(names.all); i++)
	{
		int type = sk_GENERAL_NAME_value(names.all, i)->type;

		named |= type == GEN_DNS;
		addressed |= type == GEN_IPADD;
	}
	found = (!named && !addressed) || X509_check_ip_asc(certificate, host, 0) == 1;
	while (!found && next_name(&names, name, sizeof(name)))
		found = leads_to(name, host);
	GENERAL_NAMES_free(names.all);
	return found || refuse(stream, certificate, "it names other hosts than the one it comes from");
}

static bool
next_name(Names *names, char *buffer, size_t size)
{
	while (names->next < sk_GENERAL_NAME_num(names->all))
	{
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names->all, names->next++);
		int length;

		if (name->type != GEN_DNS)
			continue;
		length = ASN1_STRING_length(name->d.dNSName);
		if (length <= 0 || (size_t) length >= size)
			continue;
		memcpy(buffer, ASN1_STRING_get0_data(name->d.dNSName), (size_t) length);
		buffer[length] = '\0';
		if (strlen(buffer) == (size_t) length)
			return true;
	}
	return false;
}

/* By the name that the resolver has for the address, or by the addresses that it has for the name. */
static bool
leads_to(const char *name, const char *host)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *of_host = NULL, *of_name = NULL;
	char reverse[NI_MAXHOST] = "";
	bool found = false;

	hints.ai_flags = AI_NUMERICHOST;
	if (getaddrinfo(host, NULL, &hints, &of_host) != 0)
		return false;
	if (getnameinfo(of_host->ai_addr, of_host->ai_addrlen, reverse, sizeof(reverse), NULL, 0,
					NI_NAMEREQD) == 0)
	{
		size_t length = strlen(reverse), suffix = strlen(name);

		if (name[0] == '*' && name[1] == '.')
			found =
				length > suffix - 1 && strcasecmp(reverse + length - (suffix - 1), name + 1) == 0;
		else
			found = strcasecmp(reverse, name) == 0;
	}
	hints.ai_flags = 0;
	if (!found && name[0] != '*' && getaddrinfo(name, NULL, &hints, &of_name) == 0)
	{
		for (const struct addrinfo *at = of_name; at != NULL && !found; at = at->ai_next)
		{
			char address[NI_MAXHOST];

			found = getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof(address), NULL, 0,
								NI_NUMERICHOST) == 0 &&
					strcmp(address, host) == 0;
		}
		freeaddrinfo(of_name);
	}
	freeaddrinfo(of_host);
	return found;
}

/* "127.0.0.1" of "127.0.0.1:80", "::1" of "[::1]:80". */
static void
split_remote(const char *remote, char *host, size_t size)
{
	const char *colon = strrchr(remote, ':');
	size_t length = colon == NULL ? strlen(remote) : (size_t) (colon - remote);

	if (length >= 2 && remote[0] == '[' && remote[length - 1] == ']')
	{
		remote++;
		length -= 2;
	}
	snprintf(host, size, "%.*s", (int) length, remote);
}

static bool
refuse(Stream *stream, const X509 *certificate, const char *why)
{
	char subject[NAME_SIZE];

	snprintf(stream->error, sizeof(stream->error), "certificate %s: %s",
			 tls_subject(certificate, subject, sizeof(subject)), why);
	return false;
}
