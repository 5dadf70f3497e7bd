/*
 * config_check.c
 *	  Values and combinations that are refused (BOOT-10 to 15, BOOT-21), and those that are accepted
 *	  with a warning.  The texts are etcd's where it has one.
 *
 * Runs in the postmaster, before any fork and at SIGHUP; BOOT-21 in the startup process.
 *
 * src/backend/utils/config_check.c
 */
#include "rusd.h"

#include <arpa/inet.h>
#include <stdarg.h>

#include "config_int.h"
#include "utils/log.h"
#include "utils/units.h"

#define MAX_ELECTION_MS 50000
#define MAX_URLS CONFIG_URLS_MAX
#define NS_PER_MS INT64_C(1000000)

printf_like(2, 3) static bool refuse(char error[CONFIG_ERROR_SIZE], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void) vsnprintf(error, CONFIG_ERROR_SIZE, format, args);
	va_end(args);
	return false;
}

/* ---- URLs (BOOT-11, BOOT-15) ---- */

static bool
host_is_address(const char *host)
{
	uint8_t address[16];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* Links to members are TCP. */
static bool
check_scheme(const char *flag, const ConfigUrl *url, char error[CONFIG_ERROR_SIZE])
{
	if (url->scheme[0] == 'h' || strstr(flag, "peer") == NULL)
		return true;
	return refuse(error, "--%s: members do not speak over unix sockets (%s)", flag, url->text);
}

static bool
check_urls(const char *flag, const char *list, bool listened, char error[CONFIG_ERROR_SIZE])
{
	ConfigUrl urls[MAX_URLS];
	int count = config_urls_explained(list, urls, MAX_URLS, error);

	if (count <= 0)
		return count == 0 ? refuse(error, "--%s: no valid URLs given", flag) : false;
	for (int i = 0; i < count; i++)
	{
		bool local = urls[i].scheme[0] == 'u' || strcmp(urls[i].host, "localhost") == 0;

		if (listened && !local && !host_is_address(urls[i].host))
			return refuse(error, "expected IP in URL for binding (%s)", urls[i].text);
		if (!listened && urls[i].host[0] == '\0')
			return refuse(error, "--%s \"%s\" must be \"host:port\" (unexpected empty host (%s))",
						  flag, list, urls[i].text);
	}
	for (int i = 0; i < count; i++)
	{
		if (!check_scheme(flag, &urls[i], error))
			return false;
	}
	return true;
}

/* ---- combinations ---- */

/* BOOT-13 */
static bool
check_bootstrap_flags(char error[CONFIG_ERROR_SIZE])
{
	int given = config_is_set("initial-cluster") + config_is_set("discovery-endpoints") +
				config_is_set("discovery-srv");

	if (given > 1)
		return refuse(error, "multiple discovery or bootstrap flags are set. Choose one of "
							 "\"initial-cluster\", \"discovery-endpoints\" or \"discovery-srv\"");
	return true;
}

/* BOOT-10 */
static bool
check_elections(const Config *of, char error[CONFIG_ERROR_SIZE])
{
	if (of->heartbeat_interval == 0)
		return refuse(error, "--heartbeat-interval must be >0 (set to 0ms)");
	if (of->election_timeout == 0)
		return refuse(error, "--election-timeout must be >0 (set to 0ms)");
	if (of->heartbeat_interval > of->election_timeout / 5)
		return refuse(error,
					  "--election-timeout[%" PRId64 "ms] should be at least as 5 times as "
					  "--heartbeat-interval[%" PRId64 "ms]",
					  of->election_timeout, of->heartbeat_interval);
	if (of->election_timeout > MAX_ELECTION_MS)
		return refuse(error,
					  "--election-timeout[%" PRId64 "ms] is too long, and should be set less than "
					  "%dms",
					  of->election_timeout, MAX_ELECTION_MS);
	if (of->leader_stall_timeout != 0 &&
		of->leader_stall_timeout < of->election_timeout * NS_PER_MS)
		return refuse(error, "--leader-stall-timeout must be 0 or at least --election-timeout");
	return true;
}

/* Of one parameter by itself: a word that exists, a number within its bounds. */
static bool
check_value(const Param *param, const Config *of, char error[CONFIG_ERROR_SIZE])
{
	int64_t number = param_number(param, of);
	char low[UNITS_TEXT_SIZE];
	char high[UNITS_TEXT_SIZE];
	char set[UNITS_TEXT_SIZE];

	if (param->type == PARAM_WORD && !param_is_choice(param, param_text(param, of)))
		return refuse(error, "unknown %s \"%s\"", param->flag, param_text(param, of));
	if (param->default_text != NULL || (number >= param->min && number <= param->max))
		return true;
	if (param->type == PARAM_DURATION)
		return refuse(error, "--%s must be between %s and %s (set to %s)", param->flag,
					  duration_format(low, param->min), duration_format(high, param->max),
					  duration_format(set, number));
	if (param->type == PARAM_SIZE)
		return refuse(error, "--%s must be between %s and %s (set to %s)", param->flag,
					  size_format(low, param->min), size_format(high, param->max),
					  size_format(set, number));
	return refuse(error, "--%s must be between %" PRId64 " and %" PRId64 " (set to %" PRId64 ")",
				  param->flag, param->min, param->max, number);
}

static bool
check_not_yet(const Param *param, const Config *of, char error[CONFIG_ERROR_SIZE])
{
	char text[UNITS_TEXT_SIZE];

	if (param->status != PARAM_NOT_YET || param_is_default(param, of))
		return true;
	return refuse(error,
				  "--%s is not supported by this version of rusd yet: it must keep its default, "
				  "\"%s\"%s%s",
				  param->flag, param_default(param, text, sizeof(text)),
				  *param->note == '\0' ? "" : "; ", param->note);
}

static bool
check_name(const Config *of, char error[CONFIG_ERROR_SIZE])
{
	/* It stands in the name of a directory, in the member list, in initial-cluster. */
	if (strpbrk(of->name, ",=") != NULL)
		return refuse(error, "--name must not contain ',' or '=' (set to \"%s\")", of->name);
	if (strlen(of->name) > 255)
		return refuse(error, "--name must have at most 255 bytes");
	return true;
}

static bool
check_log_outputs(const Config *of, char error[CONFIG_ERROR_SIZE])
{
	int count = 0;

	for (const char *item = of->log_outputs;; item++)
	{
		size_t length = strcspn(item, ",");

		if (length == 0 || length >= PATH_MAX)
			return refuse(error, "--log-outputs: an output has no name, or too long a one");
		if (length == 15 && strncmp(item, "systemd/journal", length) == 0)
			return refuse(error, "--log-outputs: systemd/journal is not supported by this version "
								 "of rusd yet; stderr of a unit goes to the journal");
		if (++count > LOG_MAX_OUTPUTS)
			return refuse(error, "--log-outputs: more than %d outputs", LOG_MAX_OUTPUTS);
		item += length;
		if (*item == '\0')
			return true;
	}
}

bool
config_check(const Config *of, char error[CONFIG_ERROR_SIZE])
{
	for (int i = 0; i < param_count; i++)
	{
		if (!check_value(&params[i], of, error))
			return false;
	}
	if (!check_urls("listen-peer-urls", of->listen_peer_urls, true, error) ||
		!check_urls("listen-client-urls", of->listen_client_urls, true, error) ||
		!check_urls("initial-advertise-peer-urls", of->initial_advertise_peer_urls, false, error) ||
		!check_urls("advertise-client-urls", of->advertise_client_urls, false, error) ||
		!check_bootstrap_flags(error) || !check_elections(of, error))
		return false;
	/* BOOT-12; etcd does not ask for it in a file. */
	if (*of->config_file == '\0' && config_is_set("listen-client-urls") &&
		!config_is_set("advertise-client-urls"))
		return refuse(error, "--advertise-client-urls is required when --listen-client-urls is set "
							 "explicitly");
	if (of->page_cache_size != 0 && of->page_cache_size < PAGE_CACHE_LEAST)
	{
		char least[UNITS_TEXT_SIZE];
		char set[UNITS_TEXT_SIZE];

		return refuse(error, "--page-cache-size must be 0 or at least %s (set to %s)",
					  size_format(least, PAGE_CACHE_LEAST), size_format(set, of->page_cache_size));
	}
	if (of->compact_hash_check_time <= 0)
	{
		char text[UNITS_TEXT_SIZE];

		return refuse(error, "--compact-hash-check-time must be >0 (set to %s)",
					  duration_format(text, of->compact_hash_check_time));
	}
	if (!tls_check(of, error) || !check_name(of, error) || !check_log_outputs(of, error) ||
		!gates_check(of->feature_gates, error))
		return false;
	for (int i = 0; i < param_count; i++)
	{
		if (!check_not_yet(&params[i], of, error))
			return false;
	}
	return true;
}

/* ---- accepted with a warning ---- */

#define RECOMMENDED_QUOTA ((int64_t) 8 << 30)
#define RECOMMENDED_REQUEST ((int64_t) 10 << 20)

void
config_warn(const Config *of)
{
	for (int i = 0; i < param_count; i++)
	{
		if (params[i].status == PARAM_WARNED && !param_is_default(&params[i], of))
			log_warn("flag has no effect", LOG_TEXT("flag", params[i].flag),
					 LOG_TEXT("instead", params[i].note));
	}
	gates_warn(of->feature_gates);
	tls_warn(of);
	if (of->max_request_bytes > RECOMMENDED_REQUEST)
		log_warn("exceeded recommended request limit",
				 LOG_INTEGER("max-request-bytes", of->max_request_bytes),
				 LOG_INTEGER("recommended-request-bytes", RECOMMENDED_REQUEST));
	if (of->quota_backend_bytes > RECOMMENDED_QUOTA)
		log_warn("quota-backend-bytes exceeds the maximum recommended value",
				 LOG_INTEGER("quota-backend-bytes", of->quota_backend_bytes),
				 LOG_INTEGER("recommended-quota-bytes", RECOMMENDED_QUOTA));
}

/* ---- the initial cluster (BOOT-21) ---- */

/* The member of that name, made where there is none; NULL: there are too many. */
static InitialMember *
member_of_name(InitialCluster *cluster, const char *name, size_t length)
{
	InitialMember *member;

	for (uint32_t i = 0; i < cluster->count; i++)
	{
		member = &cluster->members[i];
		if (member->name_length == length && memcmp(member->name, name, length) == 0)
			return member;
	}
	if (cluster->count == CONFIG_INITIAL_MEMBERS_MAX)
		return NULL;
	member = &cluster->members[cluster->count++];
	*member = (InitialMember){.name = name, .name_length = length};
	return member;
}

static bool
parse_initial_cluster(const Config *of, InitialCluster *cluster, char error[CONFIG_ERROR_SIZE])
{
	*cluster = (InitialCluster){.count = 0};
	for (const char *item = of->initial_cluster;; item++)
	{
		size_t length = strcspn(item, ",");
		const char *equals = memchr(item, '=', length);
		InitialMember *member;
		ConfigUrl url;

		if (equals == NULL || equals + 1 == item + length)
			return refuse(error, "empty URL given for \"%.*s\"",
						  (int) (equals == NULL ? 0 : equals - item), item);
		if (!config_url_parse(equals + 1, length - (size_t) (equals + 1 - item), &url, error))
			return false;
		member = member_of_name(cluster, item, (size_t) (equals - item));
		if (member == NULL)
			return refuse(error, "more than %d members", CONFIG_INITIAL_MEMBERS_MAX);
		if (member->url_count == MAX_URLS)
			return refuse(error, "more than %d URLs for one member", MAX_URLS);
		member->urls[member->url_count++] = url;
		item += length;
		if (*item == '\0')
			break;
	}
	for (uint32_t i = 0; i < cluster->count; i++)
	{
		const InitialMember *member = &cluster->members[i];

		if (member->name_length == strlen(of->name) &&
			memcmp(member->name, of->name, member->name_length) == 0)
			cluster->own = &cluster->members[i];
	}
	return true;
}

static bool
has_duplicate_url(const InitialCluster *cluster)
{
	for (uint32_t i = 0; i < cluster->count; i++)
		for (int u = 0; u < cluster->members[i].url_count; u++)
			for (uint32_t j = 0; j <= i; j++)
			{
				int end = j == i ? u : cluster->members[j].url_count;

				for (int v = 0; v < end; v++)
					if (strcmp(cluster->members[i].urls[u].text,
							   cluster->members[j].urls[v].text) == 0)
						return true;
			}
	return false;
}

static bool
check_initial_cluster(const Config *of, const InitialCluster *cluster,
					  char error[CONFIG_ERROR_SIZE])
{
	ConfigUrl told[MAX_URLS];
	int told_count = config_urls_explained(of->initial_advertise_peer_urls, told, MAX_URLS, error);
	const InitialMember *own = cluster->own;

	if (own == NULL)
		return refuse(error, "couldn't find local name \"%s\" in the initial cluster configuration",
					  of->name);
	if (has_duplicate_url(cluster))
		return refuse(error, "initial cluster %s has duplicate url", of->initial_cluster);
	for (int i = 0; i < own->url_count; i++)
	{
		bool found = false;

		for (int j = 0; j < told_count && !found; j++)
			found = config_urls_equal(&own->urls[i], &told[j]);
		if (!found)
			return refuse(error,
						  "--initial-cluster has %s=%s but missing from "
						  "--initial-advertise-peer-urls=%s",
						  of->name, own->urls[i].text, of->initial_advertise_peer_urls);
	}
	for (int j = 0; j < told_count; j++)
	{
		bool found = false;

		for (int i = 0; i < own->url_count && !found; i++)
			found = config_urls_equal(&own->urls[i], &told[j]);
		if (!found)
			return refuse(error,
						  "--initial-advertise-peer-urls has %s but missing from "
						  "--initial-cluster=%s",
						  told[j].text, of->initial_cluster);
	}
	return true;
}

Status
config_initial_cluster(InitialCluster *cluster)
{
	char error[CONFIG_ERROR_SIZE] = "";
	bool good = parse_initial_cluster(&config, cluster, error) &&
				check_initial_cluster(&config, cluster, error);

	if (!good)
		log_error("failed to bootstrap", LOG_TEXT("error", error));
	return good ? RUSD_OK : RUSD_INVALID;
}
