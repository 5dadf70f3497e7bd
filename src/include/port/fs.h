/*
 * fs.h
 *	  Files, as a table of functions: the one way to the disk for the log, the data file and the
 *	  control record.  The kernel's table is fs_os_open(); tests and the simulator bring their own,
 *	  which loses unsynced sectors, tears writes, fills up, fails and stalls.
 *
 * Names are relative to the table's directory, without "..".  Every function returns 0 (or a
 * handle, or a count) on success and -errno on failure; EINTR and short transfers are handled
 * inside, so that a positive count smaller than asked for means end of file (pread) and does not
 * happen for pwrite.
 *
 * src/include/port/fs.h
 */
#ifndef FS_H
#define FS_H

typedef struct FileOps FileOps;
struct FileOps
{
	/* flags are O_RDONLY or O_RDWR with O_CREAT, O_EXCL, O_TRUNC; mode is 0600.  A handle >= 0. */
	int (*open)(FileOps *self, const char *name, int flags);
	void (*close)(FileOps *self, int file);
	ssize_t (*pread)(FileOps *self, int file, void *buffer, size_t length, uint64_t offset);
	ssize_t (*pwrite)(FileOps *self, int file, const void *buffer, size_t length, uint64_t offset);
	/* Data and the size of the file. */
	int (*sync)(FileOps *self, int file);
	int64_t (*size)(FileOps *self, int file);
	int (*truncate)(FileOps *self, int file, uint64_t length);
	/* Blocks for that range, the file growing over it; contents stay.  May be NULL. */
	int (*allocate)(FileOps *self, int file, uint64_t offset, uint64_t length);
	int (*rename)(FileOps *self, const char *from, const char *to);
	int (*unlink)(FileOps *self, const char *name);
	int (*mkdir)(FileOps *self, const char *name);
	/* Makes creation, rename and removal in a directory durable; "." is the table's own. */
	int (*sync_dir)(FileOps *self, const char *name);
	/* Calls visit for each name in a directory but "." and "..", in no order. */
	int (*list)(FileOps *self, const char *name, void (*visit)(void *arg, const char *entry),
				void *arg);
};

/* The kernel's files below directory, which must exist.  NULL with errno set on failure. */
extern FileOps *fs_os_open(const char *directory);
extern void fs_os_close(FileOps *fs);

/* ENOSPC and EDQUOT become RUSD_NO_ROOM, 0 RUSD_OK, all else RUSD_IO.  Takes what the functions
 * return. */
extern Status fs_status(int64_t result);

#endif /* FS_H */
