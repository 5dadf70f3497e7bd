/*
 * discovery.h
 *	  Endpoints from SRV records.
 *
 * src/bin/rusdctl/discovery.h
 */
#ifndef RUSDCTL_DISCOVERY_H
#define RUSDCTL_DISCOVERY_H

#include "c.h"

/*
 * The endpoints that _etcd-client-ssl._tcp.DOMAIN (https) and _etcd-client._tcp.DOMAIN (http) name,
 * in this order; with a suffix, _etcd-client-ssl-SUFFIX and _etcd-client-SUFFIX.  Returns NULL with
 * a text in *error if there is none.  What it returns lives as long as the program.
 */
extern char **discover_endpoints(const char *domain, const char *suffix, size_t *count,
								 const char **error);

#endif /* RUSDCTL_DISCOVERY_H */
