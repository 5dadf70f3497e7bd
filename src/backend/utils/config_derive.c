/*
 * config_derive.c
 *	  Defaults that are made of other parameters and of the machine's address.
 *
 * Runs in the postmaster, before any fork.
 *
 * src/backend/utils/config_derive.c
 */
#include "rusd.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config_int.h"

/*
 * The address that packets to the rest of the world are sent from, as etcd takes that of the
 * default route.  Connecting a datagram socket asks the routing table and sends nothing.
 */
static bool
default_route_address(char *buffer, size_t size)
{
	struct sockaddr_in far = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct sockaddr_in near = {0};
	socklen_t length = sizeof(near);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool found;

	if (fd < 0)
		return false;
	/* 192.0.2.1, of the block for documentation: it is nowhere, so the default route leads there.
	 */
	far.sin_addr.s_addr = htonl(0xc0000201);
	found = connect(fd, (struct sockaddr *) &far, sizeof(far)) == 0 &&
			getsockname(fd, (struct sockaddr *) &near, &length) == 0 &&
			inet_ntop(AF_INET, &near.sin_addr, buffer, (socklen_t) size) != NULL;
	(void) close(fd);
	return found;
}

printf_like(1, 2) static const char *keep_formatted(const char *format, ...)
{
	char buffer[8192];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(buffer, sizeof(buffer), format, args);
	va_end(args);
	return length < 0 || (size_t) length >= sizeof(buffer) ? NULL : config_keep_text(buffer);
}

/*
 * Who listens on 0.0.0.0 and says no more would advertise localhost, where nobody else finds him:
 * the machine's address takes its place.
 */
static const char *
advertised(const char *listened, const char *told, const char *by_default)
{
	ConfigUrl listen;
	ConfigUrl tell;
	char error[CONFIG_ERROR_SIZE];
	char address[INET_ADDRSTRLEN];

	if (strcmp(told, by_default) != 0 ||
		!config_url_parse(listened, strcspn(listened, ","), &listen, error) ||
		!config_url_parse(told, strcspn(told, ","), &tell, error) ||
		strcmp(listen.host, "0.0.0.0") != 0 || !default_route_address(address, sizeof(address)))
		return told;
	return keep_formatted("%s://%s:%s", tell.scheme, address, listen.port);
}

/* "name=url,name=url": this member alone. */
static const char *
cluster_of_one(const char *name, const char *urls)
{
	const char *cluster = "";

	for (;;)
	{
		size_t length = strcspn(urls, ",");

		cluster = keep_formatted("%s%s%s=%.*s", cluster, *cluster == '\0' ? "" : ",", name,
								 (int) length, urls);
		if (cluster == NULL || urls[length] == '\0')
			return cluster;
		urls += length + 1;
	}
}

static const char *
default_of(const char *flag)
{
	return param_find(flag, strlen(flag))->default_text;
}

bool
config_derive(Config *of, char error[CONFIG_ERROR_SIZE])
{
	of->initial_advertise_peer_urls =
		advertised(of->listen_peer_urls, of->initial_advertise_peer_urls,
				   default_of("initial-advertise-peer-urls"));
	of->advertise_client_urls = advertised(of->listen_client_urls, of->advertise_client_urls,
										   default_of("advertise-client-urls"));
	if (*of->data_dir == '\0')
		of->data_dir = keep_formatted("%s.etcd", of->name);
	if (*of->initial_cluster == '\0')
		of->initial_cluster = cluster_of_one(of->name, of->initial_advertise_peer_urls);
	if (of->data_dir == NULL || of->initial_cluster == NULL)
	{
		(void) snprintf(error, CONFIG_ERROR_SIZE,
						"--name or --initial-advertise-peer-urls is too long");
		return false;
	}
	return true;
}
