/*
 * listen.c
 *	  The listen sockets of clients and peers: opened once, owned by the postmaster, closed in every
 * child.
 *
 * src/backend/postmaster/listen.c
 */
#include "rusd.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

#include "postmaster_int.h"
#include "utils/config.h"
#include "utils/log.h"

#define BACKLOG 1024

ListenSocket listen_sockets[LISTEN_MAX];
int listen_count;

static bool open_list(const char *list, Listener listener);
static bool open_url(const ConfigUrl *url, Listener listener, Transport transport);
static bool open_unix(const ConfigUrl *url, Listener listener, Transport transport);
static void keep_socket(int fd, const ConfigUrl *url, Listener listener, Transport transport);
static Transport transport_of(const ConfigUrl *urls, int count, int number);
static bool opened_before(const ConfigUrl *urls, int number);
static bool same_place(const ConfigUrl *left, const ConfigUrl *right);
static int open_address(const struct addrinfo *address);

bool
listen_open(void)
{
	return open_list(config.listen_peer_urls, LISTENER_PEER) &&
		   open_list(config.listen_client_urls, LISTENER_CLIENT);
}

void
listen_close(void)
{
	for (int i = 0; i < listen_count; i++)
	{
		listen_unix_close(listen_sockets[i].fd, listen_sockets[i].inode);
		close(listen_sockets[i].fd);
	}
	listen_count = 0;
}

void
listen_peer_name(const struct sockaddr_storage *address, char *buffer, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->ss_family == AF_INET)
	{
		const struct sockaddr_in *in = (const struct sockaddr_in *) address;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(buffer, size, "%s:%u", host, ntohs(in->sin_port));
	}
	else if (address->ss_family == AF_INET6)
	{
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) address;

		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(buffer, size, "[%s]:%u", host, ntohs(in6->sin6_port));
	}
	else
		snprintf(buffer, size, "%s", address->ss_family == AF_UNIX ? "unix" : "?");
}

static bool
open_list(const char *list, Listener listener)
{
	ConfigUrl urls[LISTEN_MAX];
	int count = config_urls(list, urls, LISTEN_MAX);

	Check(count >= 0); /* config_parse has looked at it */
	for (int i = 0; i < count; i++)
	{
		Transport transport = transport_of(urls, count, i);
		bool local = urls[i].scheme[0] == 'u';

		if (!opened_before(urls, i) && !(local ? open_unix(&urls[i], listener, transport)
											   : open_url(&urls[i], listener, transport)))
			return false;
	}
	return true;
}

/* One address with and without TLS is one socket. */
static Transport
transport_of(const ConfigUrl *urls, int count, int number)
{
	for (int i = 0; i < count; i++)
	{
		if (i != number && same_place(&urls[i], &urls[number]))
			return TRANSPORT_EITHER;
	}
	return config_url_has_tls(&urls[number]) ? TRANSPORT_TLS : TRANSPORT_PLAIN;
}

static bool
opened_before(const ConfigUrl *urls, int number)
{
	for (int i = 0; i < number; i++)
	{
		if (same_place(&urls[i], &urls[number]))
			return true;
	}
	return false;
}

static bool
same_place(const ConfigUrl *left, const ConfigUrl *right)
{
	return strcmp(left->scheme, right->scheme) != 0 && strcmp(left->host, right->host) == 0 &&
		   strcmp(left->port, right->port) == 0;
}

static bool
open_unix(const ConfigUrl *url, Listener listener, Transport transport)
{
	uint64_t inode = 0;
	int fd = listen_count < LISTEN_MAX ? listen_unix_open(url->host, BACKLOG, &inode) : -1;

	if (fd < 0)
	{
		log_error("could not listen", LOG_TEXT("url", url->text), LOG_ERRNO(errno));
		return false;
	}
	keep_socket(fd, url, listener, transport);
	listen_sockets[listen_count - 1].inode = inode;
	return true;
}

static void
keep_socket(int fd, const ConfigUrl *url, Listener listener, Transport transport)
{
	ListenSocket *socket = &listen_sockets[listen_count++];

	*socket = (ListenSocket){.fd = fd, .listener = listener, .transport = transport};
	/* Only told of, so a long one may be cut. */
	snprintf(socket->address, sizeof(socket->address), "%.*s", (int) sizeof(socket->address) - 1,
			 url->text);
}

/* Every address that the host of url has: "localhost" listens on both families. */
static bool
open_url(const ConfigUrl *url, Listener listener, Transport transport)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
							 .ai_socktype = SOCK_STREAM,
							 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found;
	/* No host means loopback: asked for so, it is found on a machine without a hosts file too. */
	const char *host = strcmp(url->host, "localhost") == 0 ? NULL : url->host;
	int opened = 0;
	int error = getaddrinfo(host, url->port, &hints, &found);

	if (error != 0)
	{
		log_error("could not resolve the address to listen on", LOG_TEXT("url", url->text),
				  LOG_TEXT("error", gai_strerror(error)));
		return false;
	}
	for (const struct addrinfo *address = found; address != NULL && listen_count < LISTEN_MAX;
		 address = address->ai_next)
	{
		int fd = open_address(address);

		/* A machine without IPv6 has a localhost of one family: one address is enough. */
		if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) &&
			(opened > 0 || address->ai_next != NULL))
			continue;
		if (fd < 0)
		{
			log_error("could not listen", LOG_TEXT("url", url->text), LOG_ERRNO(errno));
			freeaddrinfo(found);
			return false;
		}
		keep_socket(fd, url, listener, transport);
		opened++;
	}
	freeaddrinfo(found);
	return opened > 0;
}

static int
open_address(const struct addrinfo *address)
{
	int on = 1;
	int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
					address->ai_protocol);
	int error;

	if (fd < 0)
		return -1;
	/* A new start right after a kill finds connections of its predecessor in TIME_WAIT. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		(!config.socket_reuse_port ||
		 setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
		(address->ai_family != AF_INET6 ||
		 setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
		bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}
