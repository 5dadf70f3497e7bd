/*
 * listen_unix.c
 *	  Listening on unix:// URLs: the file of a socket is made, found stale, and removed again.
 *
 * Runs in the postmaster.
 *
 * src/backend/postmaster/listen_unix.c
 */
#include "rusd.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "postmaster_int.h"

/* Is somebody at work behind the file?  What a killed server has left refuses connections. */
static bool
somebody_listens(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool listens;

	if (fd < 0)
		return true;
	/* EAGAIN: its queue is full. */
	listens =
		connect(fd, (const struct sockaddr *) address, sizeof(*address)) == 0 || errno == EAGAIN;
	close(fd);
	return listens;
}

/* A socket that nobody serves gives way; any other file, and a socket in use, does not. */
static bool
remove_stale(const struct sockaddr_un *address)
{
	struct stat found;

	if (lstat(address->sun_path, &found) != 0)
		return errno == ENOENT;
	if (!S_ISSOCK(found.st_mode))
	{
		errno = EEXIST;
		return false;
	}
	if (somebody_listens(address))
	{
		errno = EADDRINUSE;
		return false;
	}
	return unlink(address->sun_path) == 0 || errno == ENOENT;
}

int
listen_unix_open(const char *path, int backlog, uint64_t *inode)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat made;
	size_t length = strlen(path);
	int fd;
	int error;

	if (length == 0 || length >= sizeof(address.sun_path))
	{
		errno = length == 0 ? EINVAL : ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, length);
	fd = remove_stale(&address) ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
								: -1;
	if (fd < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *) &address, sizeof(address)) == 0 &&
		listen(fd, backlog) == 0 && lstat(path, &made) == 0)
	{
		*inode = made.st_ino;
		return fd;
	}
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

void
listen_unix_close(int fd, uint64_t inode)
{
	struct sockaddr_un address = {.sun_family = AF_UNSPEC};
	socklen_t length = sizeof(address);
	struct stat found;

	if (getsockname(fd, (struct sockaddr *) &address, &length) != 0 ||
		address.sun_family != AF_UNIX)
		return;
	/* Not what somebody else has put there meanwhile. */
	if (lstat(address.sun_path, &found) == 0 && found.st_ino == inode)
		(void) unlink(address.sun_path);
}
