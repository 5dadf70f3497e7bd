/*
 * config_urls.c
 *	  Lists of URLs as etcd takes them (pkg/types: scheme, host and port, no path).
 *
 * Runs in the postmaster and the startup process.
 *
 * src/backend/utils/config_urls.c
 */
#include "rusd.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <sys/socket.h>

#include "config_int.h"

static bool
refuse(char error[CONFIG_ERROR_SIZE], const char *reason, const ConfigUrl *url)
{
	(void) snprintf(error, CONFIG_ERROR_SIZE, "%s: %s", reason, url->text);
	return false;
}

/* The text without blanks around it; false if it is too long for anything. */
static bool
take_text(const char *text, size_t length, ConfigUrl *url)
{
	while (length > 0 && isspace((unsigned char) *text))
	{
		text++;
		length--;
	}
	while (length > 0 && isspace((unsigned char) text[length - 1]))
		length--;
	if (length >= sizeof(url->text))
		return false;
	memcpy(url->text, text, length);
	url->text[length] = '\0';
	return true;
}

/* "http" in lower case and what follows "://"; NULL if there is none or etcd knows no such scheme.
 */
static const char *
take_scheme(ConfigUrl *url)
{
	static const char *const known[] = {"http", "https", "unix", "unixs"};
	const char *colon = strstr(url->text, "://");

	if (colon == NULL)
		return NULL;
	for (size_t i = 0; i < lengthof(known); i++)
	{
		size_t length = strlen(known[i]);

		if ((size_t) (colon - url->text) == length && strncasecmp(url->text, known[i], length) == 0)
		{
			memcpy(url->scheme, known[i], length + 1);
			/* Ids are hashes of the text: it is the one that Go prints. */
			memcpy(url->text, known[i], length);
			return colon + 3;
		}
	}
	return NULL;
}

static bool
take_host_and_port(const char *rest, ConfigUrl *url)
{
	size_t length = strcspn(rest, "/?#");
	const char *host = rest;
	const char *colon = NULL;
	size_t host_length;
	size_t port_length;

	for (size_t i = 0; i < length; i++)
	{
		if (rest[i] == ':')
			colon = rest + i;
	}
	if (colon == NULL)
		return false;
	host_length = (size_t) (colon - host);
	port_length = length - host_length - 1;
	if (host_length >= 2 && host[0] == '[' && host[host_length - 1] == ']')
	{
		host++;
		host_length -= 2;
	}
	else if (memchr(host, ':', host_length) != NULL || memchr(host, '[', host_length) != NULL)
		return false; /* IPv6 stands in brackets */
	if (memchr(host, '@', host_length) != NULL || memchr(host, ' ', host_length) != NULL)
		return false;
	if (host_length >= sizeof(url->host) || port_length == 0 || port_length > 5)
		return false;
	memcpy(url->host, host, host_length);
	url->host[host_length] = '\0';
	memcpy(url->port, colon + 1, port_length);
	url->port[port_length] = '\0';
	return strspn(url->port, "0123456789") == port_length && atoi(url->port) <= 65535;
}

bool
config_url_parse(const char *text, size_t length, ConfigUrl *url, char error[CONFIG_ERROR_SIZE])
{
	const char *rest;

	*url = (ConfigUrl){.text = ""};
	if (!take_text(text, length, url))
	{
		(void) snprintf(error, CONFIG_ERROR_SIZE, "URL is longer than %d bytes",
						CONFIG_URL_SIZE - 1);
		return false;
	}
	rest = take_scheme(url);
	if (rest == NULL)
		return refuse(error, "URL scheme must be http, https, unix, or unixs", url);
	if (url->scheme[0] == 'u')
	{
		if (strlen(rest) >= sizeof(url->host))
			return refuse(error, "path of a unix socket is too long", url);
		(void) snprintf(url->host, sizeof(url->host), "%s", rest);
		return true;
	}
	if (!take_host_and_port(rest, url))
		return refuse(error, "URL address does not have the form \"host:port\"", url);
	if (rest[strcspn(rest, "/?#")] != '\0')
		return refuse(error, "URL must not contain a path", url);
	return true;
}

/* Whether the first *count texts of the list, of length bytes, hold this one already. */
static bool
is_double(const char *list, const char *at, const ConfigUrl *url)
{
	char error[CONFIG_ERROR_SIZE];
	ConfigUrl before;

	while (list < at)
	{
		size_t length = strcspn(list, ",");

		if (config_url_parse(list, length, &before, error) && strcmp(before.text, url->text) == 0)
			return true;
		list += length + 1;
	}
	return false;
}

int
config_urls_explained(const char *list, ConfigUrl *urls, int max, char error[CONFIG_ERROR_SIZE])
{
	int count = 0;

	if (*list == '\0')
		return 0;
	for (const char *at = list;; at++)
	{
		size_t length = strcspn(at, ",");
		ConfigUrl url;

		if (!config_url_parse(at, length, &url, error))
			return -1;
		if (!is_double(list, at, &url))
		{
			if (urls != NULL && count == max)
			{
				(void) snprintf(error, CONFIG_ERROR_SIZE, "more than %d URLs", max);
				return -1;
			}
			if (urls != NULL)
				urls[count] = url;
			count++;
		}
		at += length;
		if (*at == '\0')
			return count;
	}
}

int
config_urls(const char *list, ConfigUrl *urls, int max)
{
	char error[CONFIG_ERROR_SIZE];

	return config_urls_explained(list, urls, max, error);
}

/* ---- the same place under another name ---- */

static bool
same_address(const struct addrinfo *left, const struct addrinfo *right)
{
	for (const struct addrinfo *l = left; l != NULL; l = l->ai_next)
	{
		for (const struct addrinfo *r = right; r != NULL; r = r->ai_next)
		{
			if (l->ai_addrlen == r->ai_addrlen &&
				memcmp(l->ai_addr, r->ai_addr, l->ai_addrlen) == 0)
				return true;
		}
	}
	return false;
}

/* NULL, which is loopback, for localhost: known without a hosts file. */
static const char *
host_of(const ConfigUrl *url)
{
	return strcmp(url->host, "localhost") == 0 ? NULL : url->host;
}

bool
config_urls_equal(const ConfigUrl *left, const ConfigUrl *right)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *l = NULL;
	struct addrinfo *r = NULL;
	bool equal;

	if (strcmp(left->text, right->text) == 0)
		return true;
	if (strcmp(left->scheme, right->scheme) != 0 || strcmp(left->port, right->port) != 0)
		return false;
	equal = getaddrinfo(host_of(left), left->port, &hints, &l) == 0 &&
			getaddrinfo(host_of(right), right->port, &hints, &r) == 0 && same_address(l, r);
	if (l != NULL)
		freeaddrinfo(l);
	if (r != NULL)
		freeaddrinfo(r);
	return equal;
}
