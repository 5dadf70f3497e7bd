/*
 * status.c
 *	  Texts, gRPC codes and names of all statuses, from errlist.h.
 *
 * Any process, tools too.
 *
 * src/backend/utils/status.c
 */
#ifdef FRONTEND
#include "rusd_fe.h"
#else
#include "rusd.h"
#endif

typedef struct StatusInfo
{
	int code;
	const char *name;
	const char *text;
} StatusInfo;

static const StatusInfo infos[] = {
	{0, "OK", "OK"},
#define RUSD_STATUS(symbol, code, text) {code, #symbol, text},
#include "utils/errlist.h"
#undef RUSD_STATUS
};

StaticAssert(lengthof(infos) == RUSD_STATUS_COUNT, "one row for each status");

static const StatusInfo *
info_of(Status status)
{
	static const StatusInfo unknown = {2, "UNKNOWN", "unknown status"};

	return (unsigned) status < RUSD_STATUS_COUNT ? &infos[status] : &unknown;
}

const char *
status_text(Status status)
{
	return info_of(status)->text;
}

int
status_grpc_code(Status status)
{
	return info_of(status)->code;
}

const char *
status_name(Status status)
{
	return info_of(status)->name;
}
