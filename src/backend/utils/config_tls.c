/*
 * config_tls.c
 *	  What is refused and what is ignored of the parameters of TLS (BOOT-14, BOOT-15). The texts are
 *	  etcd's where it has one.
 *
 * Runs in the postmaster, before any fork and at SIGHUP.
 *
 * src/backend/utils/config_tls.c
 */
#include "rusd.h"

#include "config_int.h"
#include "utils/log.h"

#define MAX_URLS 16

/* The parameters that are there twice. */
typedef struct TlsFlags
{
	const char *kind; /* "client", "peer" */
	const char *urls;
	const char *cert_flag;
	const char *cert_file;
	const char *key_flag;
	const char *key_file;
	const char *auth_flag;
	bool auth;
	bool automatic;
} TlsFlags;

static void
client_and_peer(const Config *of, TlsFlags flags[2])
{
	flags[0] = (TlsFlags){.kind = "client",
						  .urls = of->listen_client_urls,
						  .cert_flag = "cert-file",
						  .cert_file = of->cert_file,
						  .key_flag = "key-file",
						  .key_file = of->key_file,
						  .auth_flag = "client-cert-auth",
						  .auth = of->client_cert_auth,
						  .automatic = of->auto_tls};
	flags[1] = (TlsFlags){.kind = "peer",
						  .urls = of->listen_peer_urls,
						  .cert_flag = "peer-cert-file",
						  .cert_file = of->peer_cert_file,
						  .key_flag = "peer-key-file",
						  .key_file = of->peer_key_file,
						  .auth_flag = "peer-client-cert-auth",
						  .auth = of->peer_client_cert_auth,
						  .automatic = of->peer_auto_tls};
}

/* BOOT-15 */
static bool
check_files(const TlsFlags *flags, char error[CONFIG_ERROR_SIZE])
{
	ConfigUrl urls[MAX_URLS];
	int count = config_urls(flags->urls, urls, MAX_URLS);

	for (int i = 0; i < count; i++)
	{
		if (!config_url_has_tls(&urls[i]))
			continue;
		if ((*flags->cert_file == '\0') != (*flags->key_file == '\0'))
			(void) snprintf(error, CONFIG_ERROR_SIZE,
							"KeyFile and CertFile must both be present[key: %.400s, cert: %.400s]",
							flags->key_file, flags->cert_file);
		else if (*flags->cert_file == '\0' && !flags->automatic)
			(void) snprintf(
				error, CONFIG_ERROR_SIZE,
				"TLS key/cert (--%s, --%s) must be provided for %s url %s with HTTPS scheme",
				flags->cert_flag, flags->key_flag, flags->kind, urls[i].text);
		else
			continue;
		return false;
	}
	return true;
}

/* BOOT-14 */
static bool
check_versions(const Config *of, char error[CONFIG_ERROR_SIZE])
{
	if (*of->tls_max_version != '\0' && strcmp(of->tls_min_version, of->tls_max_version) > 0)
	{
		(void) snprintf(error, CONFIG_ERROR_SIZE,
						"min version (%s) is greater than max version (%s)", of->tls_min_version,
						of->tls_max_version);
		return false;
	}
	if (*of->cipher_suites != '\0' && strcmp(of->tls_min_version, "TLS1.3") == 0)
	{
		(void) snprintf(error, CONFIG_ERROR_SIZE,
						"cipher suites cannot be configured when only TLS1.3 is enabled");
		return false;
	}
	return true;
}

static bool
on_list(const char *list, const char *item)
{
	size_t wanted = strlen(item);

	for (const char *at = list;; at++)
	{
		size_t length = strcspn(at, ",");

		if (length == wanted && memcmp(at, item, length) == 0)
			return true;
		at += length;
		if (*at == '\0')
			return false;
	}
}

/* HTTP/2 has one that everybody must speak. */
static bool
check_ciphers(const Config *of, char error[CONFIG_ERROR_SIZE])
{
	if (*of->cipher_suites == '\0' ||
		(strstr(of->listen_client_urls, "https://") == NULL &&
		 strstr(of->listen_client_urls, "unixs://") == NULL) ||
		on_list(of->cipher_suites, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256") ||
		on_list(of->cipher_suites, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"))
		return true;
	(void) snprintf(
		error, CONFIG_ERROR_SIZE,
		"http2: TLSConfig.CipherSuites is missing an HTTP/2-required AES_128_GCM_SHA256 "
		"cipher (need at least one of TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or "
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)");
	return false;
}

bool
tls_check(const Config *of, char error[CONFIG_ERROR_SIZE])
{
	TlsFlags flags[2];

	client_and_peer(of, flags);
	if (!check_versions(of, error) || !check_ciphers(of, error) || !check_files(&flags[0], error) ||
		!check_files(&flags[1], error))
		return false;
	if (*of->peer_cert_allowed_cn != '\0' && *of->peer_cert_allowed_hostname != '\0')
	{
		(void) snprintf(error, CONFIG_ERROR_SIZE,
						"AllowedCN and AllowedHostname are mutually exclusive (cn=\"%.300s\", "
						"hostname=\"%.300s\")",
						of->peer_cert_allowed_cn, of->peer_cert_allowed_hostname);
		return false;
	}
	if ((*of->peer_client_cert_file == '\0') != (*of->peer_client_key_file == '\0'))
	{
		(void) snprintf(error, CONFIG_ERROR_SIZE,
						"ClientKeyFile and ClientCertFile must both be present or both absent: "
						"[key: %.400s, cert: %.400s]",
						of->peer_client_key_file, of->peer_client_cert_file);
		return false;
	}
	return true;
}

void
tls_warn(const Config *of)
{
	TlsFlags flags[2];

	client_and_peer(of, flags);
	for (size_t k = 0; k < lengthof(flags); k++)
	{
		ConfigUrl urls[MAX_URLS];
		int count = config_urls(flags[k].urls, urls, MAX_URLS);

		if (flags[k].automatic && *flags[k].cert_file != '\0')
			log_warn("ignoring automatic TLS since certs given", LOG_TEXT("for", flags[k].kind));
		for (int i = 0; i < count; i++)
		{
			if (config_url_has_tls(&urls[i]))
				continue;
			if (*flags[k].cert_file != '\0')
				log_warn("scheme is HTTP while key and cert files are present; ignoring key and "
						 "cert files",
						 LOG_TEXT("url", urls[i].text));
			if (flags[k].auth)
				log_warn("scheme is HTTP while certificates are demanded; ignoring that for this "
						 "URL",
						 LOG_TEXT("url", urls[i].text), LOG_TEXT("flag", flags[k].auth_flag));
		}
	}
}
