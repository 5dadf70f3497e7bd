/*
 * config.h
 *	  Parameters: one list (configlist.h) drives flags, environment, --help and doc/parameters.md.
 *
 * src/include/utils/config.h
 */
#ifndef UTILS_CONFIG_H
#define UTILS_CONFIG_H

/*
 * Values in the form in which they are used.  Strings are never NULL.  Filled by config_parse in the postmaster before any fork; constant afterwards, but for those that SIGHUP may
 * change (configlist.h says which).
 */
typedef struct Config
{
#define RUSD_PARAM_TEXT(field, ...) const char *field;
#define RUSD_PARAM_INT(field, ...) int64_t field;
#define RUSD_PARAM_BOOL(field, ...) bool field;
#include "utils/configlist.h"
#undef RUSD_PARAM_TEXT
#undef RUSD_PARAM_INT
#undef RUSD_PARAM_BOOL
} Config;

extern Config config;

/*
 * Reads flags (Go syntax: -name value, --name=value, ...), then ETCD_* and RUSD_* variables.  Returns -1 to go on, or the exit status after having printed what there is to
 * say: 0 for --help and --version, 2 for a usage error, 1 for a value or combination that is refused (BOOT-3, BOOT-10 to 15).
 */
extern int	config_parse(int argc, char **argv);
/* SIGHUP: takes what may change from RUSD_CONFIG_RELOAD sources again.  Nothing is applied if anything is wrong. */
extern Status config_reload(void);
/* The table of doc/parameters.md, to standard output. */
extern void config_print_markdown(void);
extern void config_print_help(void);

#endif							/* UTILS_CONFIG_H */
