/*
 * discovery.c
 *	  Endpoints from SRV records, as etcd's client finds them.
 *
 * src/bin/rusdctl/discovery.c
 */
#include "rusd_fe.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>

#include "ctl.h"
#include "discovery.h"

typedef struct Found
{
	char **endpoints;
	size_t count;
	size_t room;
} Found;

static void
add(Found *f, char *endpoint)
{
	if (f->count == f->room)
	{
		char **larger = ctl_alloc((f->room * 2 + 8) * sizeof(*larger));

		if (f->count > 0)
			memcpy(larger, f->endpoints, f->count * sizeof(*larger));
		f->endpoints = larger;
		f->room = f->room * 2 + 8;
	}
	f->endpoints[f->count++] = endpoint;
}

/* Adds what the records of one answer name.  Returns false if the answer is malformed. */
static bool
take_answer(const unsigned char *answer, int length, const char *scheme, Found *f)
{
	ns_msg message;

	if (ns_initparse(answer, length, &message) != 0)
		return false;
	for (int i = 0; i < ns_msg_count(message, ns_s_an); i++)
	{
		char target[NS_MAXDNAME];
		size_t n;
		ns_rr record;

		if (ns_parserr(&message, ns_s_an, i, &record) != 0)
			return false;
		if (ns_rr_type(record) != ns_t_srv)
			continue;
		/* priority, weight, port, target */
		if (ns_rr_rdlen(record) < 7 ||
			ns_name_uncompress(answer, answer + length, ns_rr_rdata(record) + 6, target,
							   sizeof(target)) < 0)
			return false;
		n = strlen(target);
		if (n > 0 && target[n - 1] == '.')
			target[n - 1] = '\0';
		add(f, ctl_printf("%s://%s:%u", scheme, target, ns_get16(ns_rr_rdata(record) + 4)));
	}
	return true;
}

/* Returns NULL or what was wrong. */
static const char *
look_up(const char *name, const char *scheme, Found *f)
{
	static unsigned char answer[NS_MAXMSG];
	size_t before = f->count;
	int length = res_query(name, ns_c_in, ns_t_srv, answer, sizeof(answer));

	if (length < 0)
		return ctl_printf("lookup %s: %s", name,
						  h_errno == HOST_NOT_FOUND || h_errno == NO_DATA ? "no such host"
																		  : hstrerror(h_errno));
	if (!take_answer(answer, Min(length, (int) sizeof(answer)), scheme, f))
		return ctl_printf("lookup %s: malformed answer", name);
	return f->count > before ? NULL : ctl_printf("lookup %s: no such host", name);
}

char **
discover_endpoints(const char *domain, const char *suffix, size_t *count, const char **error)
{
	const char *dash = *suffix != '\0' ? "-" : "";
	Found f = {0};
	const char *why_tls =
		look_up(ctl_printf("_etcd-client-ssl%s%s._tcp.%s", dash, suffix, domain), "https", &f);
	const char *why_plain =
		look_up(ctl_printf("_etcd-client%s%s._tcp.%s", dash, suffix, domain), "http", &f);

	*count = f.count;
	if (f.count > 0)
		return f.endpoints;
	*error = ctl_printf("dns lookup errors: %s and %s", why_tls, why_plain);
	return NULL;
}
