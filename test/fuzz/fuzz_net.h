/*
 * fuzz_net.h
 *	  A NetSession for fuzz targets: handlers that answer in every way there is, and a budget.
 *
 * test/fuzz/fuzz_net.h
 */
#ifndef FUZZ_NET_H
#define FUZZ_NET_H

#include "net/net.h"

extern NetSession *fuzz_session(void);
/*
 * Bytes to the session, in pieces whose ends the bytes themselves choose; then all that it has to
 * say is thrown away.  False: it wants no more.
 */
extern bool fuzz_receive(NetSession *session, const uint8_t *data, size_t size);
/* Time passes, the node stops, the session goes; memory must have gone back. */
extern void fuzz_end(NetSession *session);

#endif /* FUZZ_NET_H */
