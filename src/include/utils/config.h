/*
 * config.h
 *	  Parameters: one list (configlist.h) drives flags, environment, --help and doc/parameters.md.
 *
 * src/include/utils/config.h
 */
#ifndef UTILS_CONFIG_H
#define UTILS_CONFIG_H

/*
 * Values in the form in which they are used: durations in nanoseconds (heartbeat_interval and
 * election_timeout in milliseconds), sizes in bytes.  Strings are never NULL.  Filled by
 * config_parse in the postmaster before any fork; constant afterwards, but for those that SIGHUP
 * may change (configlist.h says which).  data_dir and initial_cluster are never empty: their
 * defaults are put together from others.
 */
typedef struct Config
{
#define RUSD_PARAM_TEXT(field, ...) const char *field;
#define RUSD_PARAM_INT(field, ...) int64_t field;
#define RUSD_PARAM_BOOL(field, ...) bool field;
#include "utils/configlist.h"
} Config;

/* The least --page-cache-size that is not 0. */
#define PAGE_CACHE_LEAST (8 * 1024 * 1024)

extern Config config;

/*
 * Reads flags (Go syntax: -name value, --name=value, ...), then ETCD_* and RUSD_* variables.
 * Returns -1 to go on, or the exit status after having printed what there is to say: 0 for --help
 * and
 * --version, 2 for a usage error, 1 for a value or combination that is refused (BOOT-3, BOOT-10 to
 * 15).  Keeps no pointer into argv or the environment.
 */
extern int config_parse(int argc, char **argv);

/*
 * Logs what config_parse had to say without refusing: variables used and unknown, flags accepted
 * that do something else here.  Once, after log_open.
 */
extern void config_announce(void);

/*
 * SIGHUP: reads the file of --config-reload again, for the parameters that may change; opens log
 * files again.  Nothing is applied if anything is wrong, which is logged: RUSD_IO, RUSD_INVALID.
 */
extern Status config_reload(void);

/* Whether a flag or a variable has given the parameter; by flag name. */
extern bool config_is_set(const char *flag);

/* The table of doc/parameters.md, and the text of --help, to standard output. */
extern void config_print_markdown(void);
extern void config_print_help(void);

/* ---- URL lists ---- */

#define CONFIG_URL_SIZE 384

typedef struct ConfigUrl
{
	char text[CONFIG_URL_SIZE]; /* as given, without blanks around it */
	char scheme[8];             /* http, https, unix, unixs */
	char host[256];             /* without the brackets of IPv6; unix: the path */
	char port[8];               /* decimal; "" for unix */
} ConfigUrl;

/* https or unixs */
static inline bool
config_url_has_tls(const ConfigUrl *url)
{
	return url->scheme[strlen(url->scheme) - 1] == 's';
}

/*
 * Takes a comma-separated list apart, doubles left out, order kept.  Returns how many there are, or
 * -1 if one of them is no URL as etcd wants them or there are more than max.  All lists in config
 * have passed it.
 */
extern int config_urls(const char *list, ConfigUrl *urls, int max);

/* ---- the initial cluster ---- */

#define CONFIG_URLS_MAX 16
#define CONFIG_INITIAL_MEMBERS_MAX 64

/* Whether two are the same place after names are resolved. */
extern bool config_urls_equal(const ConfigUrl *left, const ConfigUrl *right);

typedef struct InitialMember
{
	const char *name; /* in config.initial_cluster, not terminated */
	size_t name_length;
	int url_count;
	ConfigUrl urls[CONFIG_URLS_MAX];
} InitialMember;

typedef struct InitialCluster
{
	InitialMember *own; /* in members */
	uint32_t count;
	InitialMember members[CONFIG_INITIAL_MEMBERS_MAX];
} InitialCluster;

/*
 * Only at bootstrap (on a restart initial-* flags mean nothing, BOOT-20): the members of --initial-cluster,
 * in the order in which they are named there, if they are a cluster that this member can found (BOOT-21).
 * Logs why not; RUSD_INVALID.  Some 700 kB: not for a stack.
 */
extern Status config_initial_cluster(InitialCluster *cluster);

#endif /* UTILS_CONFIG_H */
