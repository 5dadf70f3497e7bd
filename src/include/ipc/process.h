/*
 * process.h
 *	  What every process of the node has: its slot, its latch, its place in the segment.
 *
 * Set once by the postmaster's launch code in the child; read by everyone.  Step functions
 * do not use these: they get what they need by pointer, so that the simulator can run
 * several members in one process.
 *
 * src/include/ipc/process.h
 */
#ifndef IPC_PROCESS_H
#define IPC_PROCESS_H

#include "ipc/shmem.h"
#include "port/clock.h"
#include "port/fs.h"

extern Shm *my_shm;
extern uint32_t my_slot;
extern uint32_t my_generation;
extern ProcKind my_kind;
extern Latch *my_latch;
extern BackendArea *my_area;
extern FileOps *my_fs; /* the data directory */
/*
 * Backend: which listener its connection came by.  The peer port answers /version and
 * nothing else yet.
 */
typedef enum Listener
{
	LISTENER_CLIENT,
	LISTENER_PEER
} Listener;
extern Listener my_listener;

/*
 * Child, first thing after the fork (postmaster/launch.c calls it): slot, latch, signals
 * (SIGTERM, SIGHUP set the flags below and the latch; SIGQUIT is _exit(2); SIGURG as the
 * latch needs it; SIGINT, SIGPIPE, SIGUSR2 are ignored), parent-death signal and the check
 * that the parent still lives, log name, title.
 */
extern void process_begin(ProcKind kind, uint32_t slot, uint32_t generation, pid_t parent);
/* Title of a kind, as in proctypelist.h. */
extern const char *process_kind_title(ProcKind kind);
/* Shown by ps: "rusd: " and this. */
extern void process_title(const char *format, ...) printf_like(1, 2);
/*
 * main(), once, before anything looks at the arguments or the environment: both are copied,
 * for their old place is what ps shows.
 */
extern void process_title_init(int argc, char **argv);

/* Set by handlers; looked at in every loop. */
extern volatile int stop_requested;   /* SIGTERM: leave cleanly at the next safe point */
extern volatile int reload_requested; /* SIGHUP */

#endif /* IPC_PROCESS_H */
