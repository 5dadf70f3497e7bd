/*
 * discovery.c
 *	  --discovery-srv: SRV records of DNS say who founds the cluster, in the place of --initial-cluster.  Startup process.
 *
 * Each member finds itself among them by where its peer URLs lead; the others get names of no meaning, for ids follow
 * from URLs alone.
 *
 * src/backend/postmaster/discovery.c
 */
#include "rusd.h"

#include "port/srv.h"
#include "postmaster_int.h"
#include "utils/config.h"
#include "utils/log.h"

#define LIST_BYTES (CONFIG_INITIAL_MEMBERS_MAX * (SRV_TARGET_BYTES + 64))

typedef struct Discovery
{
	char list[LIST_BYTES]; /* as --initial-cluster */
	size_t used;
	unsigned others;
	bool found_own;
	ConfigUrl own[CONFIG_URLS_MAX];
	int own_count;
} Discovery;

/* The URL of this member that leads to the same place, whatever its scheme; NULL: it is another member's. */
static const ConfigUrl *
find_own(const Discovery *discovery, const ConfigUrl *url)
{
	for (int i = 0; i < discovery->own_count; i++)
	{
		ConfigUrl other = *url;

		snprintf(other.scheme, sizeof(other.scheme), "%s", discovery->own[i].scheme);
		if (config_urls_equal(&other, &discovery->own[i]))
			return &discovery->own[i];
	}
	return NULL;
}

static void
add(Discovery *discovery, const char *name, const char *url)
{
	int length = snprintf(discovery->list + discovery->used, LIST_BYTES - discovery->used,
						  "%s%s=%s", discovery->used == 0 ? "" : ",", name, url);

	Check(length > 0 && (size_t) length < LIST_BYTES - discovery->used);
	discovery->used += (size_t) length;
}

static void
take(Discovery *discovery, const char *scheme, const SrvRecord *record)
{
	ConfigUrl url;
	char text[SRV_TARGET_BYTES + 32];
	const ConfigUrl *own;
	char name[16];

	snprintf(text, sizeof(text), "%.8s://%.255s:%u", scheme, record->target, record->port);
	if (config_urls(text, &url, 1) != 1)
	{
		log_warn("an SRV record names no place", LOG_TEXT("url", text));
		return;
	}
	own = find_own(discovery, &url);
	if (own != NULL && strcmp(own->scheme, scheme) != 0)
	{
		log_warn("an SRV record has another scheme than this member's peer URL",
				 LOG_TEXT("record", text), LOG_TEXT("peer-url", own->text));
		return;
	}
	discovery->found_own |= own != NULL;
	snprintf(name, sizeof(name), "%u", own != NULL ? 0 : discovery->others++);
	add(discovery, own != NULL ? config.name : name, text);
	log_info("got a member from SRV records", LOG_TEXT("url", text),
			 LOG_BOOL("is-this-one", own != NULL));
}

static bool
look_up(Discovery *discovery, const char *scheme, const char *service, char error[SRV_ERROR_BYTES])
{
	static SrvRecord records[CONFIG_INITIAL_MEMBERS_MAX / 2];
	const char *suffix = config.discovery_srv_name;
	char name[512];
	int count;

	snprintf(name, sizeof(name), "_%s%s%s._tcp.%s", service, *suffix == '\0' ? "" : "-", suffix,
			 config.discovery_srv);
	count = srv_lookup(name, records, lengthof(records), error);
	for (int i = 0; i < count; i++)
		take(discovery, scheme, &records[i]);
	return count > 0;
}

Status
discover_initial_cluster(void)
{
	static Discovery discovery;
	char no_tls[SRV_ERROR_BYTES], no_plain[SRV_ERROR_BYTES], error[SRV_ERROR_BYTES * 2 + 64] = "";
	bool found;

	discovery.own_count =
		config_urls(config.initial_advertise_peer_urls, discovery.own, CONFIG_URLS_MAX);
	found = look_up(&discovery, "https", "etcd-server-ssl", no_tls);
	found |= look_up(&discovery, "http", "etcd-server", no_plain);
	if (!found)
		snprintf(error, sizeof(error), "error querying DNS SRV records: %s; %s", no_tls, no_plain);
	else if (!discovery.found_own)
		snprintf(error, sizeof(error), "cannot find local etcd member \"%.200s\" in SRV records",
				 config.name);
	if (*error != '\0')
	{
		log_error("failed to bootstrap", LOG_TEXT("error", error));
		return RUSD_INVALID;
	}
	config.initial_cluster = discovery.list;
	return RUSD_OK;
}
