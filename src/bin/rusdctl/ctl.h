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
	bool help;
	bool version;
	const char *user; /* NULL: no authentication */
	const char *password;
	const char *jwt_token; /* NULL: none */
	ConnectOptions connect;
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
	endpoint_command, member_command, alarm_command, defrag_command, move_leader_command,
	downgrade_command, completion_command;

/* All of them, in the order of their names; NULL-terminated.  rusdctl.c */
extern const Command *const commands[];
/* The command of a list by name or alias; NULL if there is none. */
extern const Command *find_command(const Command *const *list, const char *name);

/* ---- globals.c ---- */

extern Flag global_flags[];
/* Options and variables into ctl; ends the program on one that is wrong.  A password may be asked
 * for. */
extern void set_globals(void);
/* --endpoints, --discovery-srv and TLS alone. */
extern void set_endpoints(void);

/* ---- help.c ---- */

extern void print_general_help(void);
/* group: name of the group that the command is in, "" for none. */
extern void print_command_help(const char *group, const Command *command);
extern int print_version(void);

/* ---- completion.c ---- */

/* What could stand in place of the last of the words; for the scripts of the shells. */
extern int run_complete(int argc, char **argv);

/* ---- calls.c: failing, memory, calls ---- */

/* Ends the program, not without looking whether what was printed got out. */
does_not_return extern void leave(int status);

/* "Error: ..." to standard error, what was printed so far to standard output, and the end. */
does_not_return printf_like(2, 3) extern void ctl_fail(int status, const char *format, ...);

/* A line to standard error, behind what was printed so far; the command goes on. */
printf_like(1, 2) extern void ctl_complain(const char *format, ...);

/* Zeroed memory that lives as long as the program; never NULL. */
extern void *ctl_alloc(size_t size);
printf_like(1, 2) extern char *ctl_printf(const char *format, ...);

/* How a failed call is shown: etcd's declared texts as they are, others with their code. */
extern const char *ctl_rpc_error(int code, const char *message);

/* A connection to this endpoint, authenticated if --user was given; NULL with a text in *error. */
extern Client *ctl_open(const char *endpoint, const char **error);

/* One call on a connection; NULL with a text in *error.  The answer lives as long as the program.
 */
extern void *ctl_try(Client *client, const RpcMethod *method, const ProtobufCMessage *request,
					 const char **error);

/* One call to one endpoint on a connection of its own; NULL with a text in *error. */
extern void *ctl_ask(const char *endpoint, const RpcMethod *method, const ProtobufCMessage *request,
					 const char **error);

/* One call to the first endpoint that takes the connection; ends the program on failure. */
extern void *ctl_call(const RpcMethod *method, const ProtobufCMessage *request);

/* ---- output.c ---- */

/* The forms that need no knowledge of the message: json and protobuf.  Returns false for others. */
extern bool print_encoded(const ProtobufCMessage *message);
extern void print_protobuf(const ProtobufCMessage *message);
/* The same with its length in front, as a varint: for more messages than one. */
extern void print_protobuf_delimited(const ProtobufCMessage *message);
/* "key" of a pair, then its value, by format simple. */
extern void print_bytes(ProtobufCBinaryData bytes);
extern void print_kv(const Mvccpb__KeyValue *kv, bool value_only);
extern void print_header_fields(const Etcdserverpb__ResponseHeader *header);
extern void print_kv_fields(const char *prefix, const Mvccpb__KeyValue *kv);
/* "name" : id, hexadecimal with --hex. */
extern void print_id_field(const char *name, uint64_t id);
/* Go's %q. */
extern void print_quoted(const void *data, size_t length);
extern const char *human_bytes(int64_t bytes);
extern const char *go_duration(int64_t ns);
extern const char *yes_no(bool value);
/* Texts with something between them; "" for none. */
extern const char *joined(char *const *texts, size_t count, const char *between);
/* %PRIx64 and %PRIu64 as text. */
extern const char *hex_id(uint64_t id);
extern const char *decimal(uint64_t number);

/* ---- json.c ---- */

extern void print_json(const ProtobufCMessage *message);
extern void print_json_text(const char *text);

/* ---- table.c ---- */

typedef struct Table
{
	const char *const *head;
	size_t columns;
	const char **cells; /* row after row */
	size_t rows;
	size_t room;
} Table;

/* The head is not copied. */
extern Table table_begin(const char *const *head, size_t columns);
/* Copies the row's pointers; as many as there are columns. */
extern void table_add(Table *table, const char *const *row);
/* With lines around it. */
extern void print_table(const Table *table);
/* The same cells, comma-separated, without the head. */
extern void print_rows(const Table *table);
/* The revision of an answer, where it comes from, and one thing more: name may be NULL. */
extern void print_header_table(const Etcdserverpb__ResponseHeader *header, const char *name,
							   const char *value);
extern void print_kv_table(Mvccpb__KeyValue *const *kvs, size_t count);

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

/* ---- endpoint.c, shared with status.c and maintenance.c ---- */

/* A place to ask, and the member that it belongs to as far as --cluster told. */
typedef struct Endpoint
{
	const char *address;                /* "" of a member that has not started */
	const Etcdserverpb__Member *member; /* NULL without --cluster */
} Endpoint;

/* What each of count endpoints said: an answer, or an error, or neither if it has no address. */
typedef struct Answers
{
	const Endpoint *endpoints;
	const ProtobufCMessage **replies;
	const char **errors;
	size_t count;
	bool failed; /* there is an error */
} Answers;

extern Flag cluster_flags[];
/* --endpoints, or with --cluster what the members advertise; with all also members that advertise
 * nothing. */
extern Endpoint *chosen_endpoints(bool all, size_t *count);
/* Complains of each endpoint that does not answer, with what in the text; not if it is NULL. */
extern Answers ask_all(const Endpoint *endpoints, size_t count, const RpcMethod *method,
					   const ProtobufCMessage *request, const char *what);
/* json (each answer under this name) and protobuf.  Returns false for the other forms. */
extern bool print_answers_encoded(const Answers *answers, const char *name);

/* ---- status.c, shared with endpoint.c ---- */

extern const Command status_command;

/* ---- maintenance.c, shared with endpoint.c ---- */

extern const char *alarm_name(Etcdserverpb__AlarmType alarm);

/* ---- methods.c ---- */

extern const RpcMethod range_method, put_method, delete_method, txn_method, compact_method,
	authenticate_method, status_method, hashkv_method, defragment_method, alarm_method,
	move_leader_method, downgrade_method, member_list_method, member_add_method,
	member_remove_method, member_update_method, member_promote_method;

#endif /* RUSDCTL_CTL_H */
