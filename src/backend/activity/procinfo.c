/*
 * procinfo.c
 *	  Memory, processor time and descriptors of a process, from /proc.
 *
 * Any process; used by /metrics only.
 *
 * src/backend/activity/procinfo.c
 */
#include "rusd.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "activity/procinfo.h"

/* A small file of /proc as text; false if it is not there. */
static bool
read_proc(pid_t pid, const char *name, char *buffer, size_t size)
{
	char path[64];
	ssize_t length;
	int file;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, name);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	length = read(file, buffer, size - 1);
	close(file);
	if (length <= 0)
		return false;
	buffer[length] = '\0';
	return true;
}

/* A line "Name:   123 kB" in bytes, 0 if there is none. */
static uint64_t
kilobytes(const char *text, const char *name)
{
	const char *line = strstr(text, name);

	return line == NULL ? 0 : strtoull(line + strlen(name), NULL, 10) * 1024;
}

static void
add_memory(ProcInfo *info, pid_t pid)
{
	char text[4096];
	uint64_t bytes;

	if (!read_proc(pid, "status", text, sizeof(text)))
		return;
	info->private_bytes += kilobytes(text, "\nRssAnon:");
	bytes = kilobytes(text, "\nRssShmem:");
	info->shared_bytes = Max(info->shared_bytes, bytes);
	bytes = kilobytes(text, "\nVmSize:");
	info->virtual_bytes = Max(info->virtual_bytes, bytes);
}

static void
add_time(ProcInfo *info, pid_t pid, bool with_children)
{
	char text[1024];
	const char *fields;
	unsigned long user, system;
	long children_user, children_system;

	if (!read_proc(pid, "stat", text, sizeof(text)))
		return;
	/* The name, in brackets, may have blanks and brackets itself. */
	fields = strrchr(text, ')');
	if (fields == NULL ||
		sscanf(fields, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld", &user,
			   &system, &children_user, &children_system) != 4)
		return;
	info->cpu_seconds += (double) (user + system) / (double) sysconf(_SC_CLK_TCK);
	if (with_children)
		info->cpu_seconds +=
			(double) (children_user + children_system) / (double) sysconf(_SC_CLK_TCK);
}

static void
add_descriptors(ProcInfo *info, pid_t pid)
{
	char path[64];
	DIR *directory;
	const struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int) pid);
	directory = opendir(path);
	if (directory == NULL)
		return;
	while ((entry = readdir(directory)) != NULL)
		info->open_fds += entry->d_name[0] != '.';
	closedir(directory);
}

void
procinfo_add(ProcInfo *info, pid_t pid, bool with_children)
{
	if (pid <= 0)
		return;
	add_memory(info, pid);
	add_time(info, pid, with_children);
	add_descriptors(info, pid);
}
