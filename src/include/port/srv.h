/*
 * srv.h
 *	  SRV records of DNS.
 *
 * Startup process and tools: the resolver may block for as long as its configuration says.
 *
 * src/include/port/srv.h
 */
#ifndef PORT_SRV_H
#define PORT_SRV_H

#define SRV_TARGET_BYTES 256
#define SRV_ERROR_BYTES 512

typedef struct SrvRecord
{
	char target[SRV_TARGET_BYTES]; /* without the dot at its end */
	uint16_t port;
} SrvRecord;

/*
 * The records of a name, in the order of the answer.  Returns how many, or -1, and *error tells why: there are
 * none, no server has answered, the answer is malformed, or there are more than max.
 */
extern int srv_lookup(const char *name, SrvRecord *records, int max, char error[SRV_ERROR_BYTES]);

#endif /* PORT_SRV_H */
