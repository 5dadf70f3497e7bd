/*
 * memberurl.c
 *	  Peer URLs of a member that is to be added, as etcd takes them apart (CLUSTER-20).
 *
 * Less is asked than of the URLs in parameters: whoever is added is reached from other machines, by names that this one may
 * not know.  Runs in backends.
 *
 * src/backend/rpc/memberurl.c
 */
#include "rusd.h"

#include "rpc_int.h"

/* What Go takes in no part of a URL that is used here. */
static bool
is_bad(char c)
{
	unsigned char byte = (unsigned char) c;

	return byte <= 0x20 || byte == 0x7f || strchr("\"<>\\^`{|}%", c) != NULL;
}

static bool
has_bad(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (is_bad(text[i]))
			return true;
	return false;
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* "host:port", the host in brackets if it has a colon itself; either may be empty. */
static bool
is_host_and_port(const char *text, size_t length)
{
	const char *colon = memrchr(text, ':', length);
	size_t host;
	size_t port;

	if (colon == NULL)
		return false;
	host = (size_t) (colon - text);
	port = length - host - 1;
	if (strspn(colon + 1, "0123456789") < port)
		return false;
	if (host > 0 && text[0] == '[')
		return text[host - 1] == ']' && memchr(text + 1, '[', host - 1) == NULL &&
			   memchr(text, ']', host - 1) == NULL;
	return memchr(text, ':', host) == NULL && memchr(text, '[', host) == NULL &&
		   memchr(text, ']', host) == NULL;
}

/* What follows the scheme; no path, for two members at one address are one too many. */
static bool
is_address(const char *rest)
{
	size_t length;
	const char *at;

	if (strncmp(rest, "//", 2) != 0)
		return false;
	rest += 2;
	length = strcspn(rest, "/?#");
	if (rest[length] == '/' || has_bad(rest, length))
		return false;
	at = memrchr(rest, '@', length);
	if (at != NULL)
	{
		length -= (size_t) (at + 1 - rest);
		rest = at + 1;
	}
	return is_host_and_port(rest, length);
}

/* In place: without blanks around it, its scheme in lower case. */
static bool
check_url(char **url)
{
	static const char *const schemes[] = {"http", "https", "unix", "unixs"};
	char *text = *url;
	size_t length;

	while (is_blank(*text))
		text++;
	length = strlen(text);
	while (length > 0 && is_blank(text[length - 1]))
		text[--length] = '\0';
	*url = text;
	for (size_t i = 0; i < lengthof(schemes); i++)
	{
		size_t scheme = strlen(schemes[i]);

		if (strncasecmp(text, schemes[i], scheme) != 0 || text[scheme] != ':')
			continue;
		memcpy(text, schemes[i], scheme);
		text += scheme + 1;
		return schemes[i][0] == 'u' ? !has_bad(text, strlen(text)) : is_address(text);
	}
	return false;
}

static int
compare(const void *left, const void *right)
{
	return strcmp(*(char *const *) left, *(char *const *) right);
}

Status
member_urls_check(char **urls, size_t count)
{
	if (count == 0 || count > MEMBER_URLS_MAX)
		return RUSD_MEMBER_BAD_URLS;
	for (size_t i = 0; i < count; i++)
		if (!check_url(&urls[i]))
			return RUSD_MEMBER_BAD_URLS;
	qsort(urls, count, sizeof(urls[0]), compare);
	return RUSD_OK;
}
