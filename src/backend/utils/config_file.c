/*
 * config_file.c
 *	  The file of --config-file: YAML or JSON with etcd's names and nesting (BOOT-2).
 *
 * libyaml makes a tree of the first document; from it each value goes, as a text, the way that the
 * value of a flag goes.  Types are those of etcd: what it does not take as a value of that key is
 * refused here too, with the line.  Runs in the postmaster, before any fork.
 *
 * src/backend/utils/config_file.c
 */
#include "rusd.h"

#include <ctype.h>
#include <stdarg.h>
#include <yaml.h>

#include "config_int.h"
#include "utils/log.h"

#define FILE_MAX (1024 * 1024)
#define PATH_SIZE 128
#define VALUE_SIZE 8192
#define UNKNOWN_MAX 32

/* Keys that are not the name of their flag. */
static const struct
{
	const char *path;
	const char *flag; /* NULL: what it says cannot be had yet, and may not be passed over */
} renamed[] = {
	{"socket-options.reuse-port", "socket-reuse-port"},
	{"socket-options.reuse-address", "socket-reuse-address"},
	{"client-transport-security.cert-file", "cert-file"},
	{"client-transport-security.key-file", "key-file"},
	{"client-transport-security.client-cert-file", "client-cert-file"},
	{"client-transport-security.client-key-file", "client-key-file"},
	{"client-transport-security.client-cert-auth", "client-cert-auth"},
	{"client-transport-security.trusted-ca-file", "trusted-ca-file"},
	{"client-transport-security.auto-tls", "auto-tls"},
	{"client-transport-security.allowed-cn", NULL},
	{"client-transport-security.allowed-hostname", "client-cert-allowed-hostname"},
	{"peer-transport-security.cert-file", "peer-cert-file"},
	{"peer-transport-security.key-file", "peer-key-file"},
	{"peer-transport-security.client-cert-file", "peer-client-cert-file"},
	{"peer-transport-security.client-key-file", "peer-client-key-file"},
	{"peer-transport-security.client-cert-auth", "peer-client-cert-auth"},
	{"peer-transport-security.trusted-ca-file", "peer-trusted-ca-file"},
	{"peer-transport-security.auto-tls", "peer-auto-tls"},
	{"peer-transport-security.allowed-cn", "peer-cert-allowed-cn"},
	{"peer-transport-security.allowed-hostname", "peer-cert-allowed-hostname"},
	{"peer-transport-security.skip-client-san-verification", "peer-skip-client-san-verification"},
	{"discovery-config.token", "discovery-token"},
	{"discovery-config.client.endpoints", "discovery-endpoints"},
	{"discovery-config.client.dial-timeout", "discovery-dial-timeout"},
	{"discovery-config.client.request-timeout", "discovery-request-timeout"},
	{"discovery-config.client.keepalive-time", "discovery-keepalive-time"},
	{"discovery-config.client.keepalive-timeout", "discovery-keepalive-timeout"},
	{"discovery-config.client.secure.insecure-transport", "discovery-insecure-transport"},
	{"discovery-config.client.secure.insecure-skip-tls-verify",
	 "discovery-insecure-skip-tls-verify"},
	{"discovery-config.client.secure.cert", "discovery-cert"},
	{"discovery-config.client.secure.key", "discovery-key"},
	{"discovery-config.client.secure.cacert", "discovery-cacert"},
	{"discovery-config.client.auth.username", "discovery-user"},
	{"discovery-config.client.auth.password", "discovery-password"},
};

/* What a node of the tree is to etcd (YAML 1.1). */
typedef enum NodeKind
{
	NODE_NULL,
	NODE_BOOL,
	NODE_INT,
	NODE_FLOAT,
	NODE_TEXT,
	NODE_LIST,
	NODE_MAP
} NodeKind;

typedef struct Walk
{
	yaml_document_t document;
	char *error; /* CONFIG_ERROR_SIZE bytes */
} Walk;

typedef struct UnknownKey
{
	const char *path;
	int line;
	const char *instead; /* where it belongs, or NULL */
} UnknownKey;

static UnknownKey unknown[UNKNOWN_MAX];
static int unknown_count;

static bool take_map(Walk *walk, yaml_node_t *map, const char *prefix);

printf_like(3, 4) static bool refuse(Walk *walk, const yaml_node_t *node, const char *format, ...)
{
	int used = snprintf(walk->error, CONFIG_ERROR_SIZE, "line %zu: ", node->start_mark.line + 1);
	va_list args;

	va_start(args, format);
	(void) vsnprintf(walk->error + used, CONFIG_ERROR_SIZE - (size_t) used, format, args);
	va_end(args);
	return false;
}

/* ---- kinds ---- */

static bool
is_one_of(const char *text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		if (strcmp(text, words[i]) == 0)
			return true;
	}
	return false;
}

static const char *const true_words[] = {"true", "True", "TRUE", "yes", "Yes", "YES",
										 "on",   "On",   "ON",   "y",   "Y"};
static const char *const false_words[] = {"false", "False", "FALSE", "no", "No", "NO",
										  "off",   "Off",   "OFF",   "n",  "N"};

static bool
is_float(const char *text)
{
	char *end;

	if (strspn(text, "0123456789+-.eE") != strlen(text) || strpbrk(text, "0123456789") == NULL)
		return false;
	(void) strtod(text, &end);
	return *end == '\0';
}

static bool
is_int(const char *text)
{
	const char *digits = text + (*text == '-' || *text == '+');
	int64_t number;

	return isdigit((unsigned char) *digits) && config_parse_integer(text, &number);
}

static NodeKind
kind_of(const yaml_node_t *node)
{
	static const char *const null_words[] = {"", "~", "null", "Null", "NULL"};
	const char *text = (const char *) node->data.scalar.value;

	if (node->type == YAML_SEQUENCE_NODE)
		return NODE_LIST;
	if (node->type == YAML_MAPPING_NODE)
		return NODE_MAP;
	if (node->type != YAML_SCALAR_NODE)
		return NODE_NULL;
	if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return NODE_TEXT;
	if (is_one_of(text, null_words, lengthof(null_words)))
		return NODE_NULL;
	if (is_one_of(text, true_words, lengthof(true_words)) ||
		is_one_of(text, false_words, lengthof(false_words)))
		return NODE_BOOL;
	if (is_int(text))
		return NODE_INT;
	return is_float(text) ? NODE_FLOAT : NODE_TEXT;
}

static const char *
kind_name(NodeKind kind)
{
	static const char *const names[] = {
		[NODE_NULL] = "null",     [NODE_BOOL] = "a boolean",
		[NODE_INT] = "a number",  [NODE_FLOAT] = "a fraction, or too large a number",
		[NODE_TEXT] = "a string", [NODE_LIST] = "a list",
		[NODE_MAP] = "a mapping"};

	return names[kind];
}

/* ---- values ---- */

/* Of a scalar, with what the bytes behind a NUL would hide. */
static bool
scalar_text(Walk *walk, const yaml_node_t *node, const char *path, const char **text)
{
	*text = (const char *) node->data.scalar.value;
	if (strlen(*text) == node->data.scalar.length && node->data.scalar.length < VALUE_SIZE)
		return true;
	return refuse(walk, node, "\"%s\" is too long, or has a NUL in it", path);
}

/* A list of strings, joined as a flag has them. */
static bool
join_list(Walk *walk, const yaml_node_t *list, const char *path, char value[VALUE_SIZE])
{
	size_t used = 0;

	value[0] = '\0';
	for (const yaml_node_item_t *item = list->data.sequence.items.start;
		 item < list->data.sequence.items.top; item++)
	{
		const yaml_node_t *node = yaml_document_get_node(&walk->document, *item);
		NodeKind kind = kind_of(node);
		const char *text;

		if (kind != NODE_TEXT)
			return refuse(walk, node, "\"%s\" must be a list of strings, but has %s in it", path,
						  kind_name(kind));
		if (!scalar_text(walk, node, path, &text))
			return false;
		if (strchr(text, ',') != NULL || used + strlen(text) + 2 > VALUE_SIZE)
			return refuse(walk, node, "\"%s\" has a comma in an entry, or is too long", path);
		used +=
			(size_t) snprintf(value + used, VALUE_SIZE - used, "%s%s", used == 0 ? "" : ",", text);
	}
	return true;
}

/* What the value of a key must be, in words; NULL: it is that. */
static const char *
wrong_kind(const Param *param, NodeKind kind)
{
	bool own = param_section(param)->own;

	switch (param->type)
	{
		case PARAM_BOOL:
			return kind == NODE_BOOL ? NULL : "true or false";
		case PARAM_DURATION:
			if (kind == NODE_INT || (own && kind == NODE_TEXT))
				return NULL;
			return own ? "a time, such as 30s" : "a whole number of nanoseconds";
		case PARAM_SIZE:
			return kind == NODE_INT || kind == NODE_TEXT ? NULL : "a size, such as 64MiB";
		case PARAM_STRINGS:
			/* The only one of them that etcd wants as one string. */
			if (strcmp(param->flag, "host-whitelist") == 0)
				return kind == NODE_TEXT ? NULL : "one string, with commas";
			return kind == NODE_LIST ? NULL : "a list of strings";
		case PARAM_URLS:
		case PARAM_ORIGINS:
		case PARAM_GATES:
			return kind == NODE_TEXT ? NULL : "one string, with commas";
		case PARAM_STRING:
		case PARAM_ENUM:
		case PARAM_WORD:
			return kind == NODE_TEXT ? NULL
									 : "a string (in quotes if it looks like something else)";
		default:
			return kind == NODE_INT ? NULL : "a whole number";
	}
}

static bool
take_value(Walk *walk, const Param *param, const yaml_node_t *node, const char *path)
{
	NodeKind kind = kind_of(node);
	const char *wanted = wrong_kind(param, kind);
	char value[VALUE_SIZE];
	char reason[CONFIG_ERROR_SIZE];
	const char *text = value;
	int64_t number;

	if (kind == NODE_NULL)
		return true; /* the default */
	if (wanted != NULL)
		return refuse(walk, node, "\"%s\" must be %s, but is %s", path, wanted, kind_name(kind));
	if (kind == NODE_LIST ? !join_list(walk, node, path, value)
						  : !scalar_text(walk, node, path, &text))
		return false;
	if (kind == NODE_BOOL)
		text = is_one_of(text, true_words, lengthof(true_words)) ? "true" : "false";
	if (kind == NODE_INT && config_parse_integer(text, &number))
	{
		(void) snprintf(value, sizeof(value), "%" PRId64 "%s", number,
						param->type == PARAM_DURATION ? "ns" : "");
		text = value;
	}
	if (config_take(param, text, SOURCE_CONFIG_FILE, reason))
		return true;
	return refuse(walk, node, "invalid value \"%.200s\" of \"%s\": %.500s", text, path, reason);
}

/* ---- keys ---- */

static bool
is_section(const char *path)
{
	size_t length = strlen(path);

	for (size_t i = 0; i < lengthof(renamed); i++)
	{
		if (strncmp(renamed[i].path, path, length) == 0 && renamed[i].path[length] == '.')
			return true;
	}
	return false;
}

/* Where the value of a flag stands in a file; NULL: at the top, by its own name. */
static const char *
place_of(const char *flag)
{
	for (size_t i = 0; i < lengthof(renamed); i++)
	{
		if (renamed[i].flag != NULL && strcmp(renamed[i].flag, flag) == 0)
			return renamed[i].path;
	}
	return NULL;
}

/* As etcd does it: passed over, and told of when there is a log. */
static void
pass_over(const char *path, const yaml_node_t *key)
{
	if (unknown_count < UNKNOWN_MAX)
		unknown[unknown_count++] = (UnknownKey){.path = config_keep_text(path),
												.line = (int) key->start_mark.line + 1,
												.instead = place_of(path)};
}

static bool
take_key(Walk *walk, const yaml_node_t *key, yaml_node_t *value, const char *path)
{
	const Param *param = NULL;

	if (is_section(path))
	{
		NodeKind kind = kind_of(value);

		if (kind == NODE_MAP)
			return take_map(walk, value, path);
		return kind == NODE_NULL ||
			   refuse(walk, value, "\"%s\" must be a mapping, but is %s", path, kind_name(kind));
	}
	for (size_t i = 0; i < lengthof(renamed) && param == NULL; i++)
	{
		if (strcmp(renamed[i].path, path) != 0)
			continue;
		if (renamed[i].flag == NULL)
			return refuse(walk, key, "\"%s\" is not supported by this version of rusd yet", path);
		param = param_find(renamed[i].flag, strlen(renamed[i].flag));
	}
	if (param == NULL && strcmp(path, "config-file") != 0 && strcmp(path, "version") != 0 &&
		place_of(path) == NULL)
		param = param_find(path, strlen(path));
	if (param != NULL)
		return take_value(walk, param, value, path);
	pass_over(path, key);
	return true;
}

/* Names in any case, as Go's library has it. */
static bool
take_map(Walk *walk, yaml_node_t *map, const char *prefix)
{
	for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
		 pair < map->data.mapping.pairs.top; pair++)
	{
		const yaml_node_t *key = yaml_document_get_node(&walk->document, pair->key);
		yaml_node_t *value = yaml_document_get_node(&walk->document, pair->value);
		char path[PATH_SIZE];
		const char *name;

		if (key->type != YAML_SCALAR_NODE)
			return refuse(walk, key, "a key must be a string");
		if (!scalar_text(walk, key, "a key", &name))
			return false;
		(void) snprintf(path, sizeof(path), "%s%s%.100s", prefix, *prefix == '\0' ? "" : ".", name);
		for (char *p = path; *p != '\0'; p++)
			*p = (char) tolower((unsigned char) *p);
		if (!take_key(walk, key, value, path))
			return false;
	}
	return true;
}

/* ---- the file ---- */

bool
config_file_parse(const char *text, size_t length, char error[CONFIG_ERROR_SIZE])
{
	Walk walk = {.error = error};
	yaml_parser_t parser;
	yaml_node_t *root;
	bool fine = false;

	unknown_count = 0;
	error[0] = '\0';
	if (!yaml_parser_initialize(&parser))
	{
		(void) snprintf(error, CONFIG_ERROR_SIZE, "out of memory");
		return false;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *) text, length);
	if (!yaml_parser_load(&parser, &walk.document))
	{
		(void) snprintf(
			error, CONFIG_ERROR_SIZE, "line %zu: %.200s%s%.200s", parser.problem_mark.line + 1,
			parser.problem != NULL ? parser.problem : "out of memory",
			parser.context != NULL ? " " : "", parser.context != NULL ? parser.context : "");
		yaml_parser_delete(&parser);
		return false;
	}
	root = yaml_document_get_root_node(&walk.document);
	if (root == NULL || kind_of(root) == NODE_NULL)
		fine = true; /* empty: all defaults */
	else if (kind_of(root) != NODE_MAP)
		(void) refuse(&walk, root, "the file must be a mapping of names to values, but is %s",
					  kind_name(kind_of(root)));
	else
		fine = take_map(&walk, root, "");
	yaml_document_delete(&walk.document);
	yaml_parser_delete(&parser);
	return fine;
}

bool
config_file_read(const char *path, char error[CONFIG_ERROR_SIZE])
{
	static char text[FILE_MAX + 1];
	char reason[CONFIG_ERROR_SIZE] = "";
	FILE *file = fopen(path, "re");
	size_t length;
	bool fine;

	if (file == NULL)
	{
		(void) snprintf(error, CONFIG_ERROR_SIZE, "could not open %.700s: %s", path,
						strerror(errno));
		return false;
	}
	length = fread(text, 1, sizeof(text), file);
	if (ferror(file))
		(void) snprintf(reason, sizeof(reason), "could not be read: %s", strerror(errno));
	else if (length > FILE_MAX)
		(void) snprintf(reason, sizeof(reason), "is larger than %d bytes", FILE_MAX);
	(void) fclose(file);
	fine = reason[0] == '\0' && config_file_parse(text, length, reason);
	if (!fine)
		(void) snprintf(error, CONFIG_ERROR_SIZE, "%.300s: %.600s", path, reason);
	return fine;
}

void
config_file_announce(const char *path)
{
	log_info("loaded server configuration, other configuration command line flags and environment "
			 "variables will be ignored if provided",
			 LOG_TEXT("path", path));
	for (int i = 0; i < unknown_count; i++)
		log_warn("unknown key in the configuration file - ignoring",
				 LOG_TEXT("key", unknown[i].path), LOG_INTEGER("line", unknown[i].line),
				 LOG_TEXT("belongs-to", unknown[i].instead != NULL ? unknown[i].instead : ""));
}
