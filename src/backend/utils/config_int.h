/*
 * config_int.h
 *	  What the files of the configuration share.
 *
 * src/backend/utils/config_int.h
 */
#ifndef CONFIG_INT_H
#define CONFIG_INT_H

#include "utils/config.h"

typedef enum ParamType
{
	PARAM_BOOL,
	PARAM_STRING,
	PARAM_STRINGS,
	PARAM_URLS,
	PARAM_ORIGINS,
	PARAM_ENUM,
	PARAM_WORD,
	PARAM_GATES,
	PARAM_INT,
	PARAM_INT64,
	PARAM_UINT,
	PARAM_UINT32,
	PARAM_UINT64,
	PARAM_DURATION,
	PARAM_SIZE
} ParamType;

typedef enum ParamStatus
{
	PARAM_HONOURED,
	PARAM_WARNED,
	PARAM_NOT_YET
} ParamStatus;

typedef enum ParamSource
{
	SOURCE_DEFAULT,
	SOURCE_FLAG,
	SOURCE_ETCD_VARIABLE,
	SOURCE_RUSD_VARIABLE,
	SOURCE_CONFIG_FILE, /* in the place of all others */
	SOURCE_FILE         /* of --config-reload */
} ParamSource;

typedef struct Param
{
	const char *flag;
	ParamType type;
	ParamStatus status;
	bool reload;
	int line;      /* in configlist.h: tells the section */
	size_t offset; /* in Config */
	const char *default_text;
	int64_t default_number; /* bools too */
	int64_t min;
	int64_t max;
	const char *choices; /* separated by | */
	const char *sentence;
	const char *note;
} Param;

typedef struct ParamSection
{
	const char *title;
	bool own; /* rusd's: there are no ETCD_ variables */
	int line;
} ParamSection;

/* ---- config_params.c: the table, and values in a Config ---- */
extern const Param params[];
extern const int param_count;

#define CONFIG_ERROR_SIZE 1024

extern const char *const ignored_flags[];
extern const int ignored_flag_count;

extern const ParamSection *param_section(const Param *param);
/* Length-limited, because it is cut out of "name=value"; NULL if there is none. */
extern const Param *param_find(const char *flag, size_t length);
extern void params_set_defaults(Config *into);
/* Takes a value as Go would; false with the reason ("parse error") in error. */
extern bool param_set(const Param *param, Config *into, const char *value,
					  char error[CONFIG_ERROR_SIZE]);
/* Whether value is one of those that a parameter with choices may have. */
extern bool param_is_choice(const Param *param, const char *value);
extern bool param_is_default(const Param *param, const Config *from);
extern const char *param_text(const Param *param, const Config *from);
extern int64_t param_number(const Param *param, const Config *from);
/* A copy that lives as long as the process. */
extern const char *config_keep_text(const char *text);
/* Variable of a parameter: prefix, then the flag in capitals. */
extern void param_variable(const Param *param, const char *prefix, char *buffer, size_t size);
extern const char *param_type_name(const Param *param);
/* The default as one would write it on the command line. */
extern const char *param_default(const Param *param, char *buffer, size_t size);

/* An integer as Go's ParseInt reads it with base 0: false if it is none, or too large. */
extern bool config_parse_integer(const char *text, int64_t *number);

/* ---- config.c ---- */
/* Sets a parameter and notes where its value came from; false with the reason in error. */
extern bool config_take(const Param *param, const char *value, ParamSource source,
						char error[CONFIG_ERROR_SIZE]);
extern ParamSource config_source(const Param *param);

/* ---- config_file.c: the file of --config-file ---- */
/* Sets all parameters that it gives; false with file, line and reason in error. */
extern bool config_file_read(const char *path, char error[CONFIG_ERROR_SIZE]);
/* The same of a text, without the file's name in error. */
extern bool config_file_parse(const char *text, size_t length, char error[CONFIG_ERROR_SIZE]);
/* Logs that the file counts, and the keys that were passed over. */
extern void config_file_announce(const char *path);

/* ---- config_derive.c: defaults made of other parameters ---- */
extern bool config_derive(Config *of, char error[CONFIG_ERROR_SIZE]);

/* ---- config_check.c: BOOT-10 to 15, and what cannot be done yet ---- */
extern bool config_check(const Config *of, char error[CONFIG_ERROR_SIZE]);
/* Logs what differs from the default and is accepted with a warning. */
extern void config_warn(const Config *of);

/* ---- config_gates.c ---- */
extern bool gates_parse(const char *list, char error[CONFIG_ERROR_SIZE]);
extern bool gates_check(const char *list, char error[CONFIG_ERROR_SIZE]);
extern void gates_warn(const char *list);

/* ---- config_tls.c ---- */
extern bool tls_check(const Config *of, char error[CONFIG_ERROR_SIZE]);
extern void tls_warn(const Config *of);

/* ---- config_urls.c ---- */
/* Like config_urls, with the reason in error. */
extern int config_urls_explained(const char *list, ConfigUrl *urls, int max,
								 char error[CONFIG_ERROR_SIZE]);
/* Checks one by one, without an array. */
extern bool config_url_parse(const char *text, size_t length, ConfigUrl *url,
							 char error[CONFIG_ERROR_SIZE]);

/* ---- config_help.c ---- */
extern void config_print_usage(FILE *to);
extern void config_print_version(void);

#endif /* CONFIG_INT_H */
