/*
 * contexts.h
 *	  The TLS contexts of a node: made of the parameters, made anew when their files change.
 *
 * The postmaster makes them before its first fork and looks at the files at each TLS connection, at
 * SIGHUP and every few seconds; a child inherits what was newest. A child that lives longer than
 * one handshake (a peer link) may look itself before it connects.
 *
 * src/include/tls/contexts.h
 */
#ifndef TLS_CONTEXTS_H
#define TLS_CONTEXTS_H

#include "tls/tls.h"

typedef enum TlsSide
{
	TLS_CLIENTS,  /* listening for clients */
	TLS_PEERS,    /* listening for other members */
	TLS_TO_PEERS, /* connecting to other members */
	TLS_SIDE_COUNT,
	TLS_NO_SIDE = TLS_SIDE_COUNT
} TlsSide;

/* How long a handshake may take; for whoever runs one. */
#define TLS_HANDSHAKE_NS (UINT64_C(10) * 1000 * 1000 * 1000)

/*
 * Postmaster, once the data directory is there and before any fork: the contexts of all sides that
 * have an https or unixs URL; certificates of --auto-tls and --peer-auto-tls are made. Returns
 * false, having logged which file and why.
 */
extern bool tls_contexts_open(void);
/*
 * Makes anew each context of which a file has changed; logs it, or why the old one stays. Warns of
 * certificates that end soon, once a day. Costs a stat for each file. Postmaster, and children that
 * keep a side. Returns whether a context has been replaced.
 */
extern bool tls_contexts_look(void);
/* Whether there is any TLS to look after.  Any process. */
extern bool tls_in_use(void);
/* NULL: nothing of that side speaks TLS. Valid until tls_contexts_look or tls_contexts_keep. */
extern TlsContext *tls_contexts_get(TlsSide side);
/*
 * A child: erases the keys of all sides but one, or of all (TLS_NO_SIDE), and stops looking at
 * their files. A backend calls it again, with TLS_NO_SIDE, when its handshake is over.
 */
extern void tls_contexts_keep(TlsSide side);

#endif /* TLS_CONTEXTS_H */
