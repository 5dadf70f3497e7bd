/*
 * fs_os.c
 *	  The kernel's files behind the table of port/fs.h.
 *
 * Whoever may block on a disk: walwriter, pager, checkpointer, the postmaster at start; tools too.
 * A handle is the file descriptor itself.  Everything is relative to the descriptor of the
 * directory, so that it does not matter when the directory is renamed or the working directory
 * changes.  EINTR and short transfers are handled here, once.
 *
 * src/backend/port/fs_os.c
 */
#ifdef FRONTEND
#include "rusd_fe.h"
#else
#include "rusd.h"
#endif

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port/fs.h"

typedef struct OsFiles
{
	FileOps ops; /* first: a FileOps * is an OsFiles * */
	int directory;
} OsFiles;

static int
directory_of(FileOps *self)
{
	return ((OsFiles *) self)->directory;
}

/* A name that would leave the directory is a mistake of ours, or somebody's attempt. */
static bool
name_is_inside(const char *name)
{
	if (name[0] == '/' || name[0] == '\0')
		return false;
	for (const char *part = name;; part++)
	{
		size_t length = strcspn(part, "/");

		if (length == 2 && part[0] == '.' && part[1] == '.')
			return false;
		part += length;
		if (*part == '\0')
			return true;
	}
}

static int
os_open(FileOps *self, const char *name, int flags)
{
	int file;

	if (!name_is_inside(name))
		return -EINVAL;
	do
		file = openat(directory_of(self), name, flags | O_CLOEXEC | O_NOCTTY, 0600);
	while (file < 0 && errno == EINTR);
	return file < 0 ? -errno : file;
}

static void
os_close(FileOps *self, int file)
{
	(void) self;
	/* Nothing to do about an error: what had to be durable has been synced, and told of errors
	 * there. */
	(void) close(file);
}

static ssize_t
os_pread(FileOps *self, int file, void *buffer, size_t length, uint64_t offset)
{
	size_t done = 0;

	(void) self;
	while (done < length)
	{
		ssize_t n = pread(file, (char *) buffer + done, length - done, (off_t) (offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t) n;
	}
	return (ssize_t) done;
}

static ssize_t
os_pwrite(FileOps *self, int file, const void *buffer, size_t length, uint64_t offset)
{
	size_t done = 0;

	(void) self;
	while (done < length)
	{
		ssize_t n =
			pwrite(file, (const char *) buffer + done, length - done, (off_t) (offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO; /* would loop for ever; no file system of Linux does it */
		done += (size_t) n;
	}
	return (ssize_t) done;
}

/* Never retried, not even after EINTR: after a failed sync the kernel may have dropped the pages.
 */
static int
os_sync(FileOps *self, int file)
{
	(void) self;
	return fdatasync(file) == 0 ? 0 : -errno;
}

static int64_t
os_size(FileOps *self, int file)
{
	struct stat st;

	(void) self;
	return fstat(file, &st) == 0 ? (int64_t) st.st_size : -errno;
}

static int
os_truncate(FileOps *self, int file, uint64_t length)
{
	int result;

	(void) self;
	do
		result = ftruncate(file, (off_t) length);
	while (result != 0 && errno == EINTR);
	return result == 0 ? 0 : -errno;
}

static int
os_allocate(FileOps *self, int file, uint64_t offset, uint64_t length)
{
	int result;

	(void) self;
	do
		result = fallocate(file, 0, (off_t) offset, (off_t) length);
	while (result != 0 && errno == EINTR);
	return result == 0 ? 0 : -errno;
}

static int
os_rename(FileOps *self, const char *from, const char *to)
{
	if (!name_is_inside(from) || !name_is_inside(to))
		return -EINVAL;
	return renameat(directory_of(self), from, directory_of(self), to) == 0 ? 0 : -errno;
}

static int
os_unlink(FileOps *self, const char *name)
{
	if (!name_is_inside(name))
		return -EINVAL;
	return unlinkat(directory_of(self), name, 0) == 0 ? 0 : -errno;
}

static int
os_mkdir(FileOps *self, const char *name)
{
	if (!name_is_inside(name))
		return -EINVAL;
	return mkdirat(directory_of(self), name, 0700) == 0 ? 0 : -errno;
}

static int
os_sync_dir(FileOps *self, const char *name)
{
	int directory = os_open(self, name, O_RDONLY | O_DIRECTORY);
	int result;

	if (directory < 0)
		return directory;
	result = fsync(directory) == 0 ? 0 : -errno;
	(void) close(directory);
	return result;
}

static int
os_list(FileOps *self, const char *name, void (*visit)(void *arg, const char *entry), void *arg)
{
	int file = os_open(self, name, O_RDONLY | O_DIRECTORY);
	DIR *directory;
	struct dirent *entry;
	int result;

	if (file < 0)
		return file;
	directory = fdopendir(file);
	if (directory == NULL)
	{
		result = -errno;
		(void) close(file);
		return result;
	}
	while (errno = 0, (entry = readdir(directory)) != NULL)
	{
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			visit(arg, entry->d_name);
	}
	result = -errno;
	(void) closedir(directory);
	return result;
}

FileOps *
fs_os_open(const char *directory)
{
	OsFiles *files = malloc(sizeof(*files));

	if (files == NULL)
	{
		errno = ENOMEM;
		return NULL;
	}
	files->ops = (FileOps){
		.open = os_open,
		.close = os_close,
		.pread = os_pread,
		.pwrite = os_pwrite,
		.sync = os_sync,
		.size = os_size,
		.truncate = os_truncate,
		.allocate = os_allocate,
		.rename = os_rename,
		.unlink = os_unlink,
		.mkdir = os_mkdir,
		.sync_dir = os_sync_dir,
		.list = os_list,
	};
	files->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (files->directory < 0)
	{
		int error = errno;

		free(files);
		errno = error;
		return NULL;
	}
	return &files->ops;
}

void
fs_os_close(FileOps *fs)
{
	if (fs == NULL)
		return;
	(void) close(directory_of(fs));
	free(fs);
}

Status
fs_status(int64_t result)
{
	if (result >= 0)
		return RUSD_OK;
	return result == -ENOSPC || result == -EDQUOT ? RUSD_NO_ROOM : RUSD_IO;
}
