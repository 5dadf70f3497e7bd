/*
 * ids.c
 *	  Member and cluster ids as etcd derives them (CLUSTER-1, CLUSTER-2).
 *
 * src/backend/cluster/ids.c
 */
#include "rusd.h"

#include <openssl/evp.h>

#include "cluster/ids.h"

static int compare_urls(const void *left, const void *right);
static int compare_ids(const void *left, const void *right);
static uint64_t first_eight(EVP_MD_CTX *context);
static void add_id(EVP_MD_CTX *context, uint64_t id);

uint64_t
member_id_compute(char *const *urls, uint32_t count, const char *token)
{
	char **sorted = calloc(count, sizeof(char *));
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	Check(sorted != NULL && context != NULL);
	Check(EVP_DigestInit_ex(context, EVP_sha1(), NULL) == 1);
	memcpy(sorted, urls, count * sizeof(char *));
	qsort(sorted, count, sizeof(char *), compare_urls);
	for (uint32_t i = 0; i < count; i++)
		Check(EVP_DigestUpdate(context, sorted[i], strlen(sorted[i])) == 1);
	Check(EVP_DigestUpdate(context, token, strlen(token)) == 1);
	free(sorted);
	return first_eight(context);
}

uint64_t
cluster_id_compute(const uint64_t *ids, uint32_t count)
{
	uint64_t *sorted = calloc(count, sizeof(uint64_t));
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	Check(sorted != NULL && context != NULL);
	Check(EVP_DigestInit_ex(context, EVP_sha1(), NULL) == 1);
	memcpy(sorted, ids, count * sizeof(uint64_t));
	qsort(sorted, count, sizeof(uint64_t), compare_ids);
	for (uint32_t i = 0; i < count; i++)
		add_id(context, sorted[i]);
	free(sorted);
	return first_eight(context);
}

static int
compare_urls(const void *left, const void *right)
{
	return strcmp(*(char *const *) left, *(char *const *) right);
}

static int
compare_ids(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *) left;
	uint64_t b = *(const uint64_t *) right;

	return (a > b) - (a < b);
}

static void
add_id(EVP_MD_CTX *context, uint64_t id)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t) (id >> (56 - 8 * i));
	Check(EVP_DigestUpdate(context, bytes, sizeof(bytes)) == 1);
}

/* Ends the digest; its first eight bytes, big-endian. */
static uint64_t
first_eight(EVP_MD_CTX *context)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int length;
	uint64_t id = 0;

	Check(EVP_DigestFinal_ex(context, digest, &length) == 1 && length >= 8);
	EVP_MD_CTX_free(context);
	for (int i = 0; i < 8; i++)
		id = id << 8 | digest[i];
	return id;
}
