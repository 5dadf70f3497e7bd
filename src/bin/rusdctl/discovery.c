/*
 * discovery.c
 *	  Endpoints from SRV records, as etcd's client finds them.
 *
 * src/bin/rusdctl/discovery.c
 */
#include "rusd_fe.h"

#include "ctl.h"
#include "discovery.h"
#include "port/srv.h"

#define RECORDS_MAX 256

/* Adds what the records of that name say.  Returns NULL or what was wrong. */
static const char *
look_up(const char *name, const char *scheme, char **endpoints, size_t *count)
{
	static SrvRecord records[RECORDS_MAX];
	char error[SRV_ERROR_BYTES];
	int found = srv_lookup(name, records, RECORDS_MAX, error);

	for (int i = 0; i < found; i++)
		endpoints[(*count)++] =
			ctl_printf("%s://%s:%u", scheme, records[i].target, records[i].port);
	return found > 0 ? NULL : ctl_printf("%s", error);
}

char **
discover_endpoints(const char *domain, const char *suffix, size_t *count, const char **error)
{
	const char *dash = *suffix != '\0' ? "-" : "";
	char **endpoints = ctl_alloc(2 * RECORDS_MAX * sizeof(*endpoints));
	const char *why_tls, *why_plain;

	*count = 0;
	why_tls = look_up(ctl_printf("_etcd-client-ssl%s%s._tcp.%s", dash, suffix, domain), "https",
					  endpoints, count);
	why_plain = look_up(ctl_printf("_etcd-client%s%s._tcp.%s", dash, suffix, domain), "http",
						endpoints, count);
	if (*count > 0)
		return endpoints;
	*error = ctl_printf("dns lookup errors: %s and %s", why_tls, why_plain);
	return NULL;
}
