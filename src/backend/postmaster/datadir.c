/*
 * datadir.c
 *	  The data directory: made, checked, locked.
 *
 * Two locks, so that two questions have two answers.  A record lock (fcntl) on postmaster.pid
 * belongs to the postmaster's process alone: while it is held a node lives here, and a second one
 * fails at once.  A lock on the open file postmaster.lock (flock) is shared by all processes of the
 * node through the inherited descriptor: it is free only when the last of them has gone, and a new
 * start waits for that, for a walwriter that is still dying must not write beside its successor.
 *
 * src/backend/postmaster/datadir.c
 */
#include "rusd.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "postmaster_int.h"
#include "utils/log.h"

#define VERSION_FILE "RUSD_VERSION"
#define VERSION_TEXT "1\n"
#define PID_FILE "postmaster.pid"
#define LOCK_FILE "postmaster.lock"
#define PREDECESSOR_WAIT_S 30

static bool make_directory(const char *path);
static bool check_contents(int directory, const char *path);
static bool is_of_others(int directory);
static bool set_mode(int directory, const char *path);
static bool check_version(int directory, const char *path);
static bool write_version(int directory);
static bool lock_alone(int directory, const char *path);
static bool lock_shared(int directory, const char *path);

static int pid_file = -1;  /* closing it would release the record lock */
static int lock_file = -1; /* inherited by every child, on purpose */

bool
datadir_open(const char *path)
{
	int directory;
	bool good;

	if (!make_directory(path))
		return false;
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
	{
		log_error("could not open data directory", LOG_TEXT("path", path), LOG_ERRNO(errno));
		return false;
	}
	/* Locked before anything in it is judged: a node that is just making it must not be taken for a
	 * stranger's. */
	good = check_contents(directory, path) && set_mode(directory, path) &&
		   lock_alone(directory, path) && lock_shared(directory, path) &&
		   check_version(directory, path);
	close(directory);
	return good;
}

void
datadir_close_in_backend(void)
{
	/* The record lock is the postmaster's own: closing our copy takes nothing from it. */
	close(pid_file);
	fs_os_close(my_fs);
	my_fs = NULL;
}

void
datadir_write_pid(void)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%d\n", (int) getpid());

	if (ftruncate(pid_file, 0) != 0 || pwrite(pid_file, text, (size_t) length, 0) != length)
		log_warn("could not write postmaster.pid", LOG_ERRNO(errno));
}

/* Makes all missing parts of path. */
static bool
make_directory(const char *path)
{
	char partial[PATH_MAX];
	struct stat status;

	if (snprintf(partial, sizeof(partial), "%s", path) >= (int) sizeof(partial))
	{
		log_error("path of the data directory is too long", LOG_TEXT("path", path));
		return false;
	}
	for (char *slash = partial + 1; *slash != '\0'; slash++)
	{
		if (*slash != '/')
			continue;
		*slash = '\0';
		/* Parts that are there, or that another made meanwhile, are fine; others show at the last
		 * one. */
		(void) mkdir(partial, 0700);
		*slash = '/';
	}
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
	{
		log_error("could not create data directory", LOG_TEXT("path", path), LOG_ERRNO(errno));
		return false;
	}
	if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
	{
		log_error("data directory is not a directory", LOG_TEXT("path", path));
		return false;
	}
	return true;
}

static bool
check_contents(int directory, const char *path)
{
	if (faccessat(directory, VERSION_FILE, F_OK, 0) == 0)
		return true;
	if (faccessat(directory, "member", F_OK, 0) == 0)
	{
		log_error("this is a data directory of etcd, which rusd cannot read; give rusd a directory "
				  "of its own and copy the keys "
				  "through a client",
				  LOG_TEXT("path", path));
		return false;
	}
	if (faccessat(directory, "wal", F_OK, 0) == 0 || faccessat(directory, "control", F_OK, 0) == 0)
	{
		log_error("the data directory has a log or a control record but no RUSD_VERSION",
				  LOG_TEXT("path", path));
		return false;
	}
	return true;
}

/* Files that no node has left, in a directory that no node has made: /tmp, or a home. */
static bool
is_of_others(int directory)
{
	static const char *const ours[] = {".",      "..",      "lost+found",
									   PID_FILE, LOCK_FILE, VERSION_FILE ".new"};
	int file = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = file < 0 ? NULL : fdopendir(file);
	const struct dirent *entry;
	bool found = false;

	if (list == NULL)
		return true;
	while (!found && (entry = readdir(list)) != NULL)
	{
		found = true;
		for (size_t i = 0; found && i < lengthof(ours); i++)
			found = strcmp(entry->d_name, ours[i]) != 0;
	}
	closedir(list);
	return found && faccessat(directory, VERSION_FILE, F_OK, 0) != 0;
}

/* 0700 whoever made it (BOOT-35); but a slip of the pen in --data-dir shall not close a directory that others use. */
static bool
set_mode(int directory, const char *path)
{
	struct stat status;

	if (fstat(directory, &status) != 0 || (status.st_mode & 0777) != 0700)
	{
		if (is_of_others(directory))
		{
			log_error(
				"the data directory is open to others and has files in it that are not rusd's: "
				"name an empty one, or one of rusd's",
				LOG_TEXT("path", path));
			return false;
		}
		if (fchmod(directory, 0700) != 0)
		{
			log_error("could not set the mode of the data directory to 0700",
					  LOG_TEXT("path", path), LOG_ERRNO(errno));
			return false;
		}
		log_warn("the mode of the data directory has been set to 0700", LOG_TEXT("path", path));
	}
	if (access(path, W_OK | X_OK) != 0)
	{
		log_error("cannot write to data directory", LOG_TEXT("path", path), LOG_ERRNO(errno));
		return false;
	}
	return true;
}

static bool
check_version(int directory, const char *path)
{
	char text[16] = "";
	int file = openat(directory, VERSION_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (file < 0 && errno == ENOENT)
	{
		if (write_version(directory))
			return true;
		log_error("could not write RUSD_VERSION", LOG_TEXT("path", path), LOG_ERRNO(errno));
		return false;
	}
	got = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
	if (file >= 0)
		close(file);
	if (got < 0)
	{
		log_error("could not read RUSD_VERSION", LOG_TEXT("path", path), LOG_ERRNO(errno));
		return false;
	}
	if (strcmp(text, VERSION_TEXT) != 0)
	{
		text[strcspn(text, "\n")] = '\0';
		log_error("the data directory was made by a version of rusd that this one does not know",
				  LOG_TEXT("path", path), LOG_TEXT("found", text), LOG_TEXT("known", "1"));
		return false;
	}
	return true;
}

/* Durable, and whole or absent: written beside and renamed. */
static bool
write_version(int directory)
{
	const char *beside = VERSION_FILE ".new";
	int file = openat(directory, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool good;

	if (file < 0)
		return false;
	good = write(file, VERSION_TEXT, strlen(VERSION_TEXT)) == (ssize_t) strlen(VERSION_TEXT) &&
		   fsync(file) == 0;
	close(file);
	return good && renameat(directory, beside, directory, VERSION_FILE) == 0 &&
		   fsync(directory) == 0;
}

static bool
lock_alone(int directory, const char *path)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	pid_file = openat(directory, PID_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (pid_file < 0)
	{
		log_error("could not open postmaster.pid", LOG_TEXT("path", path), LOG_ERRNO(errno));
		return false;
	}
	if (fcntl(pid_file, F_SETLK, &lock) == 0)
		return true;
	if (fcntl(pid_file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		log_error("another rusd runs on this data directory", LOG_TEXT("path", path),
				  LOG_INTEGER("pid", lock.l_pid));
	else
		log_error("could not lock the data directory", LOG_TEXT("path", path), LOG_ERRNO(errno));
	return false;
}

static bool
lock_shared(int directory, const char *path)
{
	lock_file = openat(directory, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock_file < 0)
	{
		log_error("could not open postmaster.lock", LOG_TEXT("path", path), LOG_ERRNO(errno));
		return false;
	}
	if (flock(lock_file, LOCK_EX | LOCK_NB) == 0)
		return true;
	log_info("waiting for processes of an earlier node on this data directory to end",
			 LOG_TEXT("path", path));
	for (int tries = 0; tries < PREDECESSOR_WAIT_S * 100; tries++)
	{
		(void) poll(NULL, 0, 10);
		if (flock(lock_file, LOCK_EX | LOCK_NB) == 0)
			return true;
	}
	log_error("processes of an earlier node on this data directory do not end",
			  LOG_TEXT("path", path));
	return false;
}
