/*
 * status.h
 *	  How failure travels: a Status is returned, out-parameters are valid only on RUSD_OK.
 *	  Nothing in rusd unwinds (doc/decisions/0001).
 *
 * src/include/utils/status.h
 */
#ifndef STATUS_H
#define STATUS_H

typedef enum Status
{
	RUSD_OK = 0,
#define RUSD_STATUS(symbol, code, text) RUSD_##symbol,
#include "utils/errlist.h"
#undef RUSD_STATUS
	RUSD_STATUS_COUNT
} Status;

/* Text as a client sees it.  Any process; never NULL, whatever the number. */
extern const char *status_text(Status status);

/* gRPC code, 0 to 16.  Any process; an unknown number gives 2 (UNKNOWN). */
extern int status_grpc_code(Status status);

/* Symbol without RUSD_, for logs. */
extern const char *status_name(Status status);

#endif /* STATUS_H */
