/*
 * session.h
 *	  Process backend: one client connection, its streams, its share of memory.
 *
 * src/include/session/session.h
 */
#ifndef SESSION_H
#define SESSION_H

/* socket is the accepted connection (non-blocking), peer its address for titles and logs. */
does_not_return extern void session_main(int socket, const char *peer);

#endif /* SESSION_H */
