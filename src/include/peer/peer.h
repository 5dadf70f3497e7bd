/*
 * peer.h
 *	  Processes peer: one for each connection to or from another member.
 *
 * src/include/peer/peer.h
 */
#ifndef PEER_PEER_H
#define PEER_PEER_H

/* A link that this member makes (LINK_CONTROL, LINK_ENTRIES); to whom is in its SlotHead. */
does_not_return extern void peer_send_main(void);
/*
 * A connection to the port for members (LINK_ACCEPTED): a link of another member, or HTTP/1.1, which is served as a
 * backend does.  socket is non-blocking; address is for titles and logs.
 */
does_not_return extern void peer_accept_main(int socket, const char *address);

#endif /* PEER_PEER_H */
