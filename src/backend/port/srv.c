/*
 * srv.c
 *	  SRV records of DNS, by the resolver of the C library.
 *
 * src/backend/port/srv.c
 */
#ifdef FRONTEND
#include "rusd_fe.h"
#else
#include "rusd.h"
#endif

#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>

#include "port/srv.h"

/* priority, weight and port stand before the target */
#define PORT_AT 4
#define TARGET_AT 6

static bool
take_record(const ns_msg *message, const ns_rr *record, SrvRecord *taken)
{
	size_t length;

	if (ns_rr_rdlen(*record) <= TARGET_AT ||
		ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message),
						   ns_rr_rdata(*record) + TARGET_AT, taken->target,
						   sizeof(taken->target)) < 0)
		return false;
	length = strlen(taken->target);
	if (length > 0 && taken->target[length - 1] == '.')
		taken->target[length - 1] = '\0';
	taken->port = (uint16_t) ns_get16(ns_rr_rdata(*record) + PORT_AT);
	return true;
}

/* -1: it is malformed, or there are too many. */
static int
take_answer(const unsigned char *answer, int length, SrvRecord *records, int max)
{
	int count = 0;
	ns_msg message;

	if (ns_initparse(answer, length, &message) != 0)
		return -1;
	for (int i = 0; i < ns_msg_count(message, ns_s_an); i++)
	{
		ns_rr record;

		if (ns_parserr(&message, ns_s_an, i, &record) != 0)
			return -1;
		if (ns_rr_type(record) != ns_t_srv)
			continue;
		if (count == max || !take_record(&message, &record, &records[count]))
			return -1;
		count++;
	}
	return count;
}

int
srv_lookup(const char *name, SrvRecord *records, int max, char error[SRV_ERROR_BYTES])
{
	static unsigned char answer[NS_MAXMSG];
	int length = res_query(name, ns_c_in, ns_t_srv, answer, sizeof(answer));
	int count;

	if (length < 0 && h_errno != HOST_NOT_FOUND && h_errno != NO_DATA)
	{
		snprintf(error, SRV_ERROR_BYTES, "lookup %.200s: %s", name, hstrerror(h_errno));
		return -1;
	}
	count = length < 0 ? 0 : take_answer(answer, Min(length, (int) sizeof(answer)), records, max);
	if (count > 0)
		return count;
	snprintf(error, SRV_ERROR_BYTES, "lookup %.200s: %s", name,
			 count == 0 ? "no such host" : "malformed answer, or too many records");
	return -1;
}
