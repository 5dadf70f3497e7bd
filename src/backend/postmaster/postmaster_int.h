/*
 * postmaster_int.h
 *	  What the files of the postmaster share.
 *
 * src/backend/postmaster/postmaster_int.h
 */
#ifndef POSTMASTER_INT_H
#define POSTMASTER_INT_H

#include <sys/socket.h>

#include "cluster/ids.h"
#include "ipc/process.h"
#include "ipc/shmem.h"
#include "session/session.h"

/* ---- datadir.c ---- */
/*
 * Makes the data directory what it must be: there, ours, mode 0700, of a version that we know, and
 * locked.  Logs and returns false where that cannot be.  Waits for the processes of a node that
 * died here to be gone.
 */
extern bool datadir_open(const char *path);
/* Backend: closes the data directory and postmaster.pid; the shared lock must stay. */
extern void datadir_close_in_backend(void);
/* Name of the postmaster in postmaster.pid. */
extern void datadir_write_pid(void);

/* ---- discovery.c ---- */
/*
 * Startup process, at bootstrap: config.initial_cluster becomes what the SRV records of --discovery-srv say.  Logs why
 * not; RUSD_INVALID.
 */
extern Status discover_initial_cluster(void);

/* ---- sizing.c ---- */
/* Sizes of shared memory from configuration and data file; false (and a log line) if the data do
 * not fit. */
extern bool sizing_layout(ShmLayout *layout);
/* Connections over unix sockets beyond --max-connections: an operator gets in where clients have used that up. */
#define LOCAL_SLOTS 3
/* The connections that the limits of the machine allow, at most config.max_connections. */
extern uint32_t sizing_connections(void);
/* Logs what this configuration can use at most. */
extern void sizing_log_bound(const ShmLayout *layout);

/* ---- listen.c ---- */
typedef struct ListenSocket
{
	int fd;
	Listener listener;
	Transport transport;
	uint64_t inode;    /* of the file of a unix socket */
	char address[128]; /* URL, for logs */
} ListenSocket;

#define LISTEN_MAX 32
extern ListenSocket listen_sockets[LISTEN_MAX];
extern int listen_count;

extern bool listen_open(void);
extern void listen_close(void);
/* "127.0.0.1:41234" */
extern void listen_peer_name(const struct sockaddr_storage *address, char *buffer, size_t size);

/* ---- listen_unix.c ---- */
/*
 * Listens on the file at path; one that nobody serves any more gives way to it.  *inode: what
 * listen_unix_close knows it by.  -1 with errno: EADDRINUSE, EEXIST (a file that is no socket),
 * ENAMETOOLONG, and those of socket, bind and listen.
 */
extern int listen_unix_open(const char *path, int backlog, uint64_t *inode);
/* Removes the file, if fd is a unix socket and the file still its own; does not close fd. */
extern void listen_unix_close(int fd, uint64_t inode);

/* ---- links.c ---- */
/* Brings the links to other members up to date; cheap where they are.  False: some are missing, to be looked at again after a while. */
extern bool links_update(Shm *shm);
/* Before a slot of a link is taken: where few are left, the oldest connection that is no known member's is told to go [pm-7]. */
extern void links_make_room(const Shm *shm);
/* Shared memory was made anew: nothing of before counts. */
extern void links_begin(void);
/* The process of a link has ended. */
extern void links_ended(const Shm *shm, uint32_t slot);

/* ---- handshakes.c: connections that are not yet known to be anybody's ---- */
/* Whether one more TLS connection may be accepted (--max-handshakes). */
extern bool handshakes_have_room(const Shm *shm);
extern void handshake_began(const Shm *shm, uint32_t slot);
/* Shared memory is made anew: there are no connections. */
extern void handshakes_forget(void);

/* ---- startup.c ---- */
/* The startup process: bootstrap or recovery; fills shm->recovered, the root and the positions.
 * Exits 0, EXIT_STOP, or dies. */
does_not_return extern void startup_main(Shm *shm);

/* ---- child.c ---- */
typedef enum ChildKind
{
	CHILD_STARTUP = PROC_KIND_COUNT /* kinds below are ProcKind */
} ChildKind;

typedef struct Child
{
	pid_t pid;     /* 0: unused */
	int kind;      /* ProcKind or CHILD_STARTUP */
	uint32_t slot; /* UINT32_MAX: none */
	uint32_t generation;
	bool is_leaving; /* told to make room */
} Child;

extern void children_init(uint32_t slots);
/* Forks; false (logged) if that failed.  connection: of a backend, else NULL. */
extern bool child_start(Shm *shm, int kind, uint32_t slot, const Connection *connection);
/* The child with that pid, NULL if unknown. */
extern Child *child_find(pid_t pid);
/* The child of that kind (-1: any) that has this slot in this generation, NULL if it has ended. */
extern Child *child_of_slot(int kind, uint32_t slot, uint32_t generation);
/* The child that is this link; NULL: there is none. */
extern Child *child_of_link(const Shm *shm, uint64_t member_id, LinkKind kind);
extern void child_forget(Child *child);
/* Sends signal to all children of a kind (-1: all); how many there are. */
extern uint32_t children_signal(int kind, int signal);
extern uint32_t children_count(int kind);
extern const char *child_kind_name(int kind);

#endif /* POSTMASTER_INT_H */
