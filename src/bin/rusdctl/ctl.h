/*
 * ctl.h
 *	  What the commands of rusdctl share: global options, the connection, how to fail, output.
 *
 * src/bin/rusdctl/ctl.h
 */
#ifndef RUSDCTL_CTL_H
#define RUSDCTL_CTL_H

#include "client.h"
#include "options.h"
#include "rpc.pb-c.h"

/* Exit statuses, as etcdctl has them. */
#define EXIT_ERROR 1
#define EXIT_BAD_CONNECTION 2
#define EXIT_INVALID_INPUT 3
#define EXIT_UNSUPPORTED 4 /* an option value that is not one of those there are */
#define EXIT_IO 6
#define EXIT_BAD_ARGS 128

typedef enum OutputFormat
{
	OUTPUT_SIMPLE,
	OUTPUT_FIELDS,
	OUTPUT_JSON,
	OUTPUT_PROTOBUF,
	OUTPUT_TABLE
} OutputFormat;

/* Global options in the form in which they are used. */
typedef struct Ctl
{
	char **endpoints;
	size_t endpoint_count;
	int64_t dial_timeout;
	int64_t command_timeout;
	OutputFormat format;
	bool hex;
	bool debug;
	const char *user; /* NULL: no authentication */
	const char *password;
} Ctl;

extern Ctl ctl;

typedef struct Command
{
	const char *name;
	const char *alias;     /* may be NULL */
	const char *arguments; /* for the usage line */
	const char *summary;
	const char *details;                /* may be NULL */
	Flag *flags;                        /* may be NULL */
	int (*run)(int argc, char **argv);  /* NULL: a group */
	const struct Command *const *group; /* NULL-terminated, of a group */
} Command;

extern const Command get_command, put_command, del_command, txn_command, compaction_command,
	endpoint_command, member_command, alarm_command, defrag_command;

/* ---- failing, memory ---- */

/* "Error: ..." to standard error, what was printed so far to standard output, and the end. */
does_not_return printf_like(2, 3) extern void ctl_fail(int status, const char *format, ...);

/* Zeroed memory that lives as long as the program; never NULL. */
extern void *ctl_alloc(size_t size);
printf_like(1, 2) extern char *ctl_printf(const char *format, ...);

/* ---- calls ---- */

/* How a failed call is shown: etcd's declared texts as they are, others with their code. */
extern const char *ctl_rpc_error(int code, const char *message);

/* A connection to this endpoint, authenticated if --user was given; NULL with a text in *error. */
extern Client *ctl_open(const char *endpoint, const char **error);

/* One call on a connection; NULL with a text in *error.  The answer lives as long as the program.
 */
extern void *ctl_try(Client *client, const RpcMethod *method, const ProtobufCMessage *request,
					 const char **error);

/* One call to the first endpoint that takes the connection; ends the program on failure. */
extern void *ctl_call(const RpcMethod *method, const ProtobufCMessage *request);

/* ---- output.c ---- */

extern void print_json(const ProtobufCMessage *message);
extern void print_json_text(const char *text);
extern void print_protobuf(const ProtobufCMessage *message);
/* "key" of a pair, then its value, by format simple. */
extern void print_bytes(ProtobufCBinaryData bytes);
extern void print_kv(const Mvccpb__KeyValue *kv, bool value_only);
extern void print_header_fields(const Etcdserverpb__ResponseHeader *header);
extern void print_kv_fields(const char *prefix, const Mvccpb__KeyValue *kv);
extern void print_quoted(const void *data, size_t length);
/* A table with a line around it; cells[row * columns + column]. */
extern void print_table(const char *const *head, size_t columns, const char *const *cells,
						size_t rows);
/* The same cells, comma-separated, without the head. */
extern void print_rows(const char *const *cells, size_t columns, size_t rows);
extern const char *human_bytes(int64_t bytes);
extern const char *go_duration(int64_t ns);

/* ---- kv.c, shared with txn.c ---- */

/* Each takes the arguments of the command; ends the program on a usage error. */
extern Etcdserverpb__RangeRequest *make_range(int argc, char **argv);
extern Etcdserverpb__PutRequest *make_put(int argc, char **argv);
extern Etcdserverpb__DeleteRangeRequest *make_delete(int argc, char **argv);
/* Sets the command's flags back to their defaults: each line of a transaction begins anew. */
extern void reset_kv_flags(void);
extern Flag range_flags[], put_flags[], delete_flags[];

extern void print_range(const Etcdserverpb__RangeResponse *r, bool value_only);
extern void print_put(const Etcdserverpb__PutResponse *r);
extern void print_delete(const Etcdserverpb__DeleteRangeResponse *r);

#endif /* RUSDCTL_CTL_H */
