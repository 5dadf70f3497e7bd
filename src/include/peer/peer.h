/*
 * peer.h
 *	  Processes peer: one for each connection to or from another member.
 *
 * src/include/peer/peer.h
 */
#ifndef PEER_PEER_H
#define PEER_PEER_H

#include "session/session.h"

/* A link that this member makes (LINK_CONTROL, LINK_ENTRIES); to whom is in its SlotHead. */
does_not_return extern void peer_send_main(void);
/*
 * A connection to the port for members (LINK_ACCEPTED): a link of another member, or HTTP/1.1, which is served as a
 * backend does.
 */
does_not_return extern void peer_accept_main(const Connection *connection);

/* Process transfer (LINK_FETCH): fetches the state of the member in its SlotHead, and tells raft. */
does_not_return extern void transfer_main(void);

#endif /* PEER_PEER_H */
