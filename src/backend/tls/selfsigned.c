/*
 * selfsigned.c
 *	  Certificates of --auto-tls: a key on P-256, signed by itself, kept in the data directory.
 *
 * Postmaster, before any fork.
 *
 * src/backend/tls/selfsigned.c
 */
#include "rusd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "port/clock.h"
#include "selfsigned.h"
#include "tls/tls.h"
#include "utils/config.h"
#include "utils/log.h"

#define NS_PER_S UINT64_C(1000000000)
#define YEARS_MAX 1000
#define SERIAL_BITS 127
#define URLS_MAX 16

static bool place(const char *kind, SelfSigned *result);
static bool make_directory(const char *path);
static bool are_good(const SelfSigned *files);
static bool make_both(const char *urls, const SelfSigned *files);
static bool fill_certificate(X509 *certificate, EVP_PKEY *key, const char *urls);
static bool add_names(X509 *certificate, const char *urls);
static bool add_extension(X509 *certificate, X509V3_CTX *context, int kind, const char *value);
static bool write_pem(const char *path, EVP_PKEY *key, X509 *certificate);

bool
selfsigned_make(const char *kind, const char *urls, SelfSigned *result)
{
	if (!place(kind, result))
		return false;
	if (are_good(result))
	{
		log_info("a certificate that was made here before is taken",
				 LOG_TEXT("cert", result->cert_file));
		return true;
	}
	if (config.self_signed_cert_validity == 0)
	{
		log_error("invalid value 0 of --self-signed-cert-validity: it must be at least one year");
		return false;
	}
	if (!make_both(urls, result))
	{
		log_error("could not make a certificate", LOG_TEXT("cert", result->cert_file),
				  LOG_TEXT("error", ERR_peek_error() != 0 ? ERR_reason_error_string(ERR_get_error())
														  : strerror(errno)));
		ERR_clear_error();
		return false;
	}
	log_warn("made a certificate that nobody vouches for", LOG_TEXT("cert", result->cert_file),
			 LOG_INTEGER("years", config.self_signed_cert_validity));
	return true;
}

static bool
place(const char *kind, SelfSigned *result)
{
	char directory[SELFSIGNED_PATH_SIZE - 16];
	int length = snprintf(directory, sizeof(directory), "%s/fixtures", config.data_dir);

	if (length < 0 || (size_t) length + strlen(kind) + 2 > sizeof(directory))
	{
		log_error("the path of the data directory is too long for --auto-tls");
		return false;
	}
	if (!make_directory(directory))
		return false;
	snprintf(directory + length, sizeof(directory) - (size_t) length, "/%s", kind);
	if (!make_directory(directory))
		return false;
	snprintf(result->cert_file, sizeof(result->cert_file), "%s/cert.pem", directory);
	snprintf(result->key_file, sizeof(result->key_file), "%s/key.pem", directory);
	return true;
}

static bool
make_directory(const char *path)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return true;
	log_error("could not make a directory", LOG_TEXT("path", path), LOG_ERRNO(errno));
	return false;
}

static bool
are_good(const SelfSigned *files)
{
	TlsOptions options = {.listens = true,
						  .cert_file = files->cert_file,
						  .key_file = files->key_file,
						  .ca_file = "",
						  .crl_file = "",
						  .allowed_cn = "",
						  .allowed_hostname = "",
						  .cipher_suites = "",
						  .min_version = "",
						  .max_version = ""};
	char message[512];
	TlsContext *context;
	bool good;

	if (access(files->cert_file, F_OK) != 0 ||
		tls_context_create(&options, &context, message, sizeof(message)) != RUSD_OK)
		return false;
	good = tls_context_expires(context) > (int64_t) (clock_os.wall_ns(&clock_os) / NS_PER_S);
	tls_context_destroy(context);
	return good;
}

static bool
make_both(const char *urls, const SelfSigned *files)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	bool done = key != NULL && certificate != NULL && fill_certificate(certificate, key, urls) &&
				write_pem(files->key_file, key, NULL) &&
				write_pem(files->cert_file, NULL, certificate);

	X509_free(certificate);
	EVP_PKEY_free(key);
	return done;
}

static bool
fill_certificate(X509 *certificate, EVP_PKEY *key, const char *urls)
{
	X509_NAME *name = X509_get_subject_name(certificate);
	time_t now = (time_t) (clock_os.wall_ns(&clock_os) / NS_PER_S);
	int64_t years = Min(config.self_signed_cert_validity, YEARS_MAX);
	BIGNUM *serial = BN_new();
	bool done = serial != NULL && BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ONE, 0) == 1 &&
				BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate)) != NULL;

	BN_free(serial);
	return done && X509_set_version(certificate, X509_VERSION_3) == 1 &&
		   X509_time_adj_ex(X509_getm_notBefore(certificate), 0, 0, &now) != NULL &&
		   X509_time_adj_ex(X509_getm_notAfter(certificate), (int) (365 * years), 0, &now) !=
			   NULL &&
		   X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const uint8_t *) "etcd", -1, -1,
									  0) == 1 &&
		   X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
		   add_names(certificate, urls) && X509_sign(certificate, key, EVP_sha256()) > 0;
}

/* What it may be used for, and the hosts of the URLs. */
static bool
add_names(X509 *certificate, const char *urls)
{
	ConfigUrl parsed[URLS_MAX];
	int count = config_urls(urls, parsed, URLS_MAX);
	char names[URLS_MAX * (sizeof(parsed[0].host) + 8)] = "";
	size_t used = 0;
	X509V3_CTX context;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	for (int i = 0; i < count; i++)
	{
		uint8_t address[16];
		bool numeric = inet_pton(AF_INET, parsed[i].host, address) == 1 ||
					   inet_pton(AF_INET6, parsed[i].host, address) == 1;

		if (parsed[i].scheme[0] != 'u')
			used += (size_t) snprintf(names + used, sizeof(names) - used, "%s%s:%s",
									  used == 0 ? "" : ",", numeric ? "IP" : "DNS", parsed[i].host);
	}
	return add_extension(certificate, &context, NID_key_usage,
						 "critical,digitalSignature,keyEncipherment") &&
		   add_extension(certificate, &context, NID_ext_key_usage, "serverAuth,clientAuth") &&
		   add_extension(certificate, &context, NID_basic_constraints, "critical,CA:FALSE") &&
		   (used == 0 || add_extension(certificate, &context, NID_subject_alt_name, names));
}

static bool
add_extension(X509 *certificate, X509V3_CTX *context, int kind, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, kind, value);
	bool done = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;

	X509_EXTENSION_free(extension);
	return done;
}

/* For the owner alone; an older one gives way. */
static bool
write_pem(const char *path, EVP_PKEY *key, X509 *certificate)
{
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	BIO *bio = file < 0 ? NULL : BIO_new_fd(file, BIO_CLOSE);
	bool done = bio != NULL &&
				(key != NULL ? PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1
							 : PEM_write_bio_X509(bio, certificate) == 1);

	if (bio == NULL && file >= 0)
		close(file);
	BIO_free(bio);
	return done;
}
