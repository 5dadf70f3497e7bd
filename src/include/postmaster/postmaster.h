/*
 * postmaster.h
 *	  The postmaster: data directory, listen sockets, child processes, restart and shutdown.
 *
 * src/include/postmaster/postmaster.h
 */
#ifndef POSTMASTER_POSTMASTER_H
#define POSTMASTER_POSTMASTER_H

/*
 * Runs the node on the configuration that was read.  Returns the exit status of the program, or does not return: after a clean stop by a
 * signal the process ends by that same signal (BOOT-52).
 */
extern int postmaster_main(void);

#define EXIT_CRASH_LOOP 4 /* the same kind of process died three times at the same log index */

#endif /* POSTMASTER_POSTMASTER_H */
