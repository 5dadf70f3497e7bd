/*
 * procinfo.h
 *	  What the kernel says of the processes of the node.
 *
 * src/include/activity/procinfo.h
 */
#ifndef ACTIVITY_PROCINFO_H
#define ACTIVITY_PROCINFO_H

typedef struct ProcInfo
{
	double cpu_seconds;     /* of all, ended children of the first one included */
	uint64_t private_bytes; /* anonymous memory of all */
	uint64_t shared_bytes;  /* resident shared memory of the one that has touched most of it */
	uint64_t virtual_bytes; /* address space of the largest one */
	uint32_t open_fds;
} ProcInfo;

/* Adds what is known of a process; one that is gone adds nothing. with_children: what its ended
 * children took too. */
extern void procinfo_add(ProcInfo *info, pid_t pid, bool with_children);

#endif /* ACTIVITY_PROCINFO_H */
