/*
 * files.c
 *	  Certificates, keys and revocation lists from files.
 *
 * Postmaster and tools; peer processes. The bytes of a file are erased before they are freed: one
 * of them is a key.
 *
 * src/backend/tls/files.c
 */
#include "rusd.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "tls_int.h"

#define FILE_MAX_BYTES (64 * 1024 * 1024)

/* While a key is parsed: OpenSSL frees pieces of it that it has not erased. */
static bool erasing;

static void *take_memory(size_t size, const char *file, int line);
static void *resize_memory(void *memory, size_t size, const char *file, int line);
static void give_memory(void *memory, const char *file, int line);
static BIO *read_file(const char *path, uint8_t **bytes, size_t *length, char *message,
					  size_t size);
static void forget_file(BIO *bio, uint8_t *bytes, size_t length);
static bool fill(int file, uint8_t *bytes, size_t length);
static bool end_of_pem(void);
static Status refuse_file(const char *path, const char *why, char *message, size_t size);
static int no_password(char *buffer, int size, int writing, void *arg);

void
tls_set_up_memory(void)
{
	/* Refused once something is allocated: then it was set up before. */
	(void) CRYPTO_set_mem_functions(take_memory, resize_memory, give_memory);
}

const char *
tls_library_error(void)
{
	unsigned long error = ERR_get_error();
	const char *reason = ERR_reason_error_string(error);

	ERR_clear_error();
	return reason == NULL ? "unknown error" : reason;
}

Status
tls_load_certificates(const char *path, STACK_OF(X509) * *result, char *message, size_t size)
{
	uint8_t *bytes;
	size_t length;
	BIO *bio = read_file(path, &bytes, &length, message, size);
	STACK_OF(X509) *certificates = sk_X509_new_null();
	X509 *certificate;
	const char *why = NULL;

	if (bio == NULL || certificates == NULL)
	{
		sk_X509_free(certificates);
		forget_file(bio, NULL, 0);
		return bio == NULL ? RUSD_IO : RUSD_NO_MEMORY;
	}
	ERR_clear_error();
	while ((certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL)
	{
		if (sk_X509_push(certificates, certificate) == 0)
			X509_free(certificate);
	}
	if (!end_of_pem())
		why = tls_library_error();
	else if (sk_X509_num(certificates) == 0)
		why = "no certificate in PEM form is in it";
	forget_file(bio, bytes, length);
	if (why != NULL)
	{
		sk_X509_pop_free(certificates, X509_free);
		return refuse_file(path, why, message, size);
	}
	*result = certificates;
	return RUSD_OK;
}

Status
tls_load_key(const char *path, EVP_PKEY **result, char *message, size_t size)
{
	uint8_t *bytes;
	size_t length;
	BIO *bio = read_file(path, &bytes, &length, message, size);

	if (bio == NULL)
		return RUSD_IO;
	ERR_clear_error();
	erasing = true;
	*result = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	erasing = false;
	forget_file(bio, bytes, length);
	if (*result == NULL)
		return refuse_file(path, "there is no key in it that can be read: PEM, not encrypted",
						   message, size);
	return RUSD_OK;
}

Status
tls_load_crls(const char *path, STACK_OF(X509_CRL) * *result, char *message, size_t size)
{
	uint8_t *bytes;
	size_t length;
	BIO *bio = read_file(path, &bytes, &length, message, size);
	STACK_OF(X509_CRL) *lists = sk_X509_CRL_new_null();
	ASN1_INTEGER *any = ASN1_INTEGER_new();
	X509_CRL *list;

	if (bio == NULL || lists == NULL || any == NULL)
	{
		sk_X509_CRL_free(lists);
		ASN1_INTEGER_free(any);
		forget_file(bio, NULL, 0);
		return bio == NULL ? RUSD_IO : RUSD_NO_MEMORY;
	}
	ERR_clear_error();
	while ((list = PEM_read_bio_X509_CRL(bio, NULL, no_password, NULL)) != NULL)
	{
		X509_REVOKED *found;

		(void) X509_CRL_get0_by_serial(list, &found, any);
		if (sk_X509_CRL_push(lists, list) == 0)
			X509_CRL_free(list);
	}
	if (sk_X509_CRL_num(lists) == 0 && BIO_reset(bio) == 1 &&
		(list = d2i_X509_CRL_bio(bio, NULL)) != NULL)
	{
		X509_REVOKED *found;

		(void) X509_CRL_get0_by_serial(list, &found, any);
		if (sk_X509_CRL_push(lists, list) == 0)
			X509_CRL_free(list);
		ERR_clear_error();
	}
	ASN1_INTEGER_free(any);
	forget_file(bio, bytes, length);
	if (sk_X509_CRL_num(lists) == 0)
	{
		sk_X509_CRL_free(lists);
		ERR_clear_error();
		return refuse_file(path, "no revocation list is in it", message, size);
	}
	if (ERR_peek_error() != 0 && !end_of_pem())
	{
		sk_X509_CRL_pop_free(lists, X509_CRL_free);
		return refuse_file(path, tls_library_error(), message, size);
	}
	*result = lists;
	return RUSD_OK;
}

/* A BIO over the bytes of a file; NULL with a message. */
static BIO *
read_file(const char *path, uint8_t **bytes, size_t *length, char *message, size_t size)
{
	struct stat state;
	/* A pipe in its place shall not stop the node. */
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	BIO *bio = NULL;

	*bytes = NULL;
	*length = 0;
	if (file < 0 || fstat(file, &state) != 0)
		snprintf(message, size, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(state.st_mode) || state.st_size > FILE_MAX_BYTES)
		snprintf(message, size, "%s: is not a file of at most %d bytes", path, FILE_MAX_BYTES);
	else
	{
		*length = (size_t) state.st_size;
		*bytes = malloc(*length + 1);
		if (*bytes == NULL || !fill(file, *bytes, *length))
			snprintf(message, size, "%s: could not be read", path);
		else
			bio = BIO_new_mem_buf(*bytes, (int) *length);
	}
	if (file >= 0)
		close(file);
	if (bio == NULL)
	{
		free(*bytes);
		*bytes = NULL;
	}
	return bio;
}

static void
forget_file(BIO *bio, uint8_t *bytes, size_t length)
{
	BIO_free(bio);
	if (bytes != NULL)
		OPENSSL_cleanse(bytes, length);
	free(bytes);
}

static bool
fill(int file, uint8_t *bytes, size_t length)
{
	for (size_t done = 0; done < length;)
	{
		ssize_t got = read(file, bytes + done, length - done);

		if (got <= 0)
			return false; /* shorter than it was a moment ago: it is being written */
		done += (size_t) got;
	}
	return true;
}

/* Whether the queue says no more than that there is no further block; then it is emptied. */
static bool
end_of_pem(void)
{
	unsigned long error = ERR_peek_last_error();

	if (error != 0 &&
		(ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE))
		return false;
	ERR_clear_error();
	return true;
}

static Status
refuse_file(const char *path, const char *why, char *message, size_t size)
{
	ERR_clear_error();
	snprintf(message, size, "%s: %s", path, why);
	return RUSD_INVALID;
}

static void *
take_memory(size_t size, const char *file, int line)
{
	(void) file;
	(void) line;
	return malloc(size);
}

static void *
resize_memory(void *memory, size_t size, const char *file, int line)
{
	void *other;

	if (!erasing || memory == NULL)
		return realloc(memory, size);
	other = malloc(size);
	if (other != NULL)
	{
		memcpy(other, memory, Min(size, malloc_usable_size(memory)));
		give_memory(memory, file, line);
	}
	return other;
}

static void
give_memory(void *memory, const char *file, int line)
{
	(void) file;
	(void) line;
	if (erasing && memory != NULL)
		OPENSSL_cleanse(memory, malloc_usable_size(memory));
	free(memory);
}

/* OpenSSL would ask at the terminal. */
static int
no_password(char *buffer, int size, int writing, void *arg)
{
	(void) buffer;
	(void) size;
	(void) writing;
	(void) arg;
	return -1;
}
