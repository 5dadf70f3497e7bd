/*
 * rusdctl.c
 *	  Command line of rusd: global options, choice of the command, help, connection, ends.
 *
 * Speaks to rusd and to etcd alike; commands, options, output and exit statuses are etcdctl's.
 *
 * src/bin/rusdctl/rusdctl.c
 */
#include "rusd_fe.h"

#include <signal.h>
#include <stdarg.h>
#include <termios.h>
#include <unistd.h>

#include "ctl.h"

#define NS_PER_S 1000000000

Ctl ctl;

static const Command *const commands[] = {
	&alarm_command, &compaction_command, &defrag_command, &del_command, &endpoint_command,
	&get_command,   &member_command,     &put_command,    &txn_command, NULL};

/* ---- global flags ---- */

static const char *endpoints_text = "127.0.0.1:2379";
static const char *format_text = "simple";
static const char *user_text = "";
static const char *password_text = "";
static const char *cert = "", *key = "", *cacert = "", *jwt_token = "", *discovery = "",
				  *discovery_name = "";
static int64_t keepalive_time, keepalive_timeout, max_request_bytes, max_recv_bytes;
static bool insecure_transport = true, insecure_discovery, skip_verify, help, version;

static Flag global_flags[] = {
	{"auth-jwt-token", 0, FLAG_TEXT, &jwt_token, NULL, "token to send with each request", false},
	{"cacert", 0, FLAG_TEXT, &cacert, NULL, "not built yet (TLS)", false},
	{"cert", 0, FLAG_TEXT, &cert, NULL, "not built yet (TLS)", false},
	{"command-timeout", 0, FLAG_DURATION, &ctl.command_timeout, "5s",
	 "time for each request, connecting not counted", false},
	{"debug", 0, FLAG_BOOL, &ctl.debug, NULL,
	 "say on standard error what is called and what it answers", false},
	{"dial-timeout", 0, FLAG_DURATION, &ctl.dial_timeout, "2s",
	 "time for connecting to an endpoint", false},
	{"discovery-srv", 'd', FLAG_TEXT, &discovery, NULL, "not built yet", false},
	{"discovery-srv-name", 0, FLAG_TEXT, &discovery_name, NULL, "not built yet", false},
	{"endpoints", 0, FLAG_TEXT, &endpoints_text, "127.0.0.1:2379",
	 "comma-separated; the first that takes the connection is used", false},
	{"help", 'h', FLAG_BOOL, &help, NULL, "this page, or that of a command", false},
	{"hex", 0, FLAG_BOOL, &ctl.hex, NULL,
	 "keys and values as \\xNN; in json and fields, ids in hexadecimal", false},
	{"insecure-discovery", 0, FLAG_BOOL, &insecure_discovery, NULL, "accepted, without effect",
	 false},
	{"insecure-skip-tls-verify", 0, FLAG_BOOL, &skip_verify, NULL, "accepted, without effect",
	 false},
	{"insecure-transport", 0, FLAG_BOOL, &insecure_transport, NULL, "accepted, without effect",
	 false},
	{"keepalive-time", 0, FLAG_DURATION, &keepalive_time, NULL, "accepted, without effect", false},
	{"keepalive-timeout", 0, FLAG_DURATION, &keepalive_timeout, NULL, "accepted, without effect",
	 false},
	{"key", 0, FLAG_TEXT, &key, NULL, "not built yet (TLS)", false},
	{"max-recv-bytes", 0, FLAG_INT, &max_recv_bytes, NULL, "accepted, without effect", false},
	{"max-request-bytes", 0, FLAG_INT, &max_request_bytes, NULL, "accepted, without effect", false},
	{"password", 0, FLAG_TEXT, &password_text, NULL, "password of --user", false},
	{"user", 0, FLAG_TEXT, &user_text, NULL, "NAME[:PASSWORD]; asked for where it is missing",
	 false},
	{"version", 0, FLAG_BOOL, &version, NULL, "the version of this program", false},
	{"write-out", 'w', FLAG_TEXT, &format_text, "simple", "simple, fields, json, protobuf or table",
	 false},
	{0}};

/* ---- ends ---- */

/* Ends the program, not without looking whether what was printed got out. */
does_not_return static void
leave(int status)
{
	if (fflush(stdout) != 0 || ferror(stdout))
	{
		fprintf(stderr, "Error: could not write to standard output: %s\n", strerror(errno));
		exit(EXIT_IO);
	}
	exit(status);
}

void
ctl_fail(int status, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("Error: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

void
check_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "rusdctl: check failed: %s (%s:%d)\n", condition, file, line);
	abort();
}

/* ---- memory: kept in a list to the end ---- */

typedef struct Kept
{
	struct Kept *next;
	max_align_t data[];
} Kept;

static Kept *kept;

void *
ctl_alloc(size_t size)
{
	Kept *k = calloc(1, sizeof(Kept) + size);

	if (k == NULL)
		ctl_fail(EXIT_ERROR, "out of memory");
	k->next = kept;
	kept = k;
	return k->data;
}

char *
ctl_printf(const char *format, ...)
{
	va_list args;
	int length;
	char *text;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = ctl_alloc((size_t) length + 1);
	va_start(args, format);
	vsnprintf(text, (size_t) length + 1, format, args);
	va_end(args);
	return text;
}

/* Answers are the library's own allocations: only remembered. */
static void
remember(void *pointer)
{
	void **place = ctl_alloc(sizeof(*place));

	*place = pointer;
}

/* ---- calls ---- */

const char *
ctl_rpc_error(int code, const char *message)
{
	static const char *const names[] = {
		"OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
		"NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
		"Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
		"DataLoss", "Unauthenticated"};

	if (code == RPC_DEADLINE_EXCEEDED)
		return "context deadline exceeded";
	if (strncmp(message, "etcdserver: ", 12) == 0 && code != RPC_UNKNOWN)
		return ctl_printf("%s", message);
	return ctl_printf("rpc error: code = %s desc = %s",
					  code >= 0 && code < (int) lengthof(names) ? names[code]
																: ctl_printf("Code(%d)", code),
					  message);
}

void *
ctl_try(Client *client, const RpcMethod *method, const ProtobufCMessage *request,
		const char **error)
{
	ProtobufCMessage *reply;
	char *text;
	int code = client_call(client, method, request, ctl.command_timeout, &reply, &text);

	if (ctl.debug)
		fprintf(stderr, "debug: %s: status %d%s%s\n", method->path, code, text != NULL ? ", " : "",
				text != NULL ? text : "");
	if (code == RPC_OK)
	{
		remember(reply);
		return reply;
	}
	*error = ctl_rpc_error(code, text != NULL ? text : "out of memory");
	free(text);
	return NULL;
}

static bool
authenticate(Client *client, const char **error)
{
	static const RpcMethod method = {"/etcdserverpb.Auth/Authenticate",
									 &etcdserverpb__authenticate_response__descriptor};
	Etcdserverpb__AuthenticateRequest request = ETCDSERVERPB__AUTHENTICATE_REQUEST__INIT;
	const Etcdserverpb__AuthenticateResponse *reply;

	request.name = (char *) (uintptr_t) ctl.user;
	request.password = (char *) (uintptr_t) ctl.password;
	reply = ctl_try(client, &method, &request.base, error);
	if (reply == NULL)
		return strcmp(*error, "etcdserver: authentication is not enabled") == 0;
	client_set_token(client, reply->token);
	return true;
}

Client *
ctl_open(const char *endpoint, const char **error)
{
	char *text;
	Client *client = client_open(endpoint, ctl.dial_timeout, &text);

	if (ctl.debug)
		fprintf(stderr, "debug: %s: %s\n", endpoint, client != NULL ? "connected" : text);
	if (client == NULL)
	{
		*error = ctl_printf("%s", text != NULL ? text : "out of memory");
		free(text);
		return NULL;
	}
	if (*jwt_token != '\0')
		client_set_token(client, jwt_token);
	else if (ctl.user != NULL && !authenticate(client, error))
	{
		client_close(client);
		return NULL;
	}
	return client;
}

void *
ctl_call(const RpcMethod *method, const ProtobufCMessage *request)
{
	static Client *client;
	const char *error = "no endpoint";
	void *reply;

	for (size_t i = 0; client == NULL && i < ctl.endpoint_count; i++)
		client = ctl_open(ctl.endpoints[i], &error);
	if (client == NULL)
		ctl_fail(EXIT_BAD_CONNECTION, "%s", error);
	reply = ctl_try(client, method, request, &error);
	if (reply == NULL)
		ctl_fail(EXIT_ERROR, "%s", error);
	return reply;
}

/* ---- global options into what is used ---- */

static void
set_endpoints(void)
{
	char *text = ctl_printf("%s", endpoints_text);
	size_t count = 1;

	for (const char *at = text; *at != '\0'; at++)
		count += *at == ',';
	ctl.endpoints = ctl_alloc(count * sizeof(*ctl.endpoints));
	for (char *one; (one = strsep(&text, ",")) != NULL;)
	{
		one += strspn(one, " ");
		one[strcspn(one, " ")] = '\0';
		if (*one != '\0')
			ctl.endpoints[ctl.endpoint_count++] = one;
	}
	if (ctl.endpoint_count == 0)
		ctl_fail(EXIT_BAD_ARGS, "no endpoints given");
}

/* Asks at the terminal, without echo. */
static const char *
ask_password(void)
{
	FILE *tty = fopen("/dev/tty", "r+");
	struct termios before;
	struct termios silent;
	char line[512];

	if (tty == NULL)
		ctl_fail(EXIT_BAD_ARGS, "--user without a password, and no terminal to ask at");
	if (tcgetattr(fileno(tty), &before) != 0)
		ctl_fail(EXIT_ERROR, "could not ask for the password: %s", strerror(errno));
	silent = before;
	silent.c_lflag &= (tcflag_t) ~ECHO;
	fputs("Password: ", tty);
	fflush(tty);
	(void) tcsetattr(fileno(tty), TCSAFLUSH, &silent); /* at worst it is seen */
	if (fgets(line, sizeof(line), tty) == NULL)
		line[0] = '\0';
	(void) tcsetattr(fileno(tty), TCSAFLUSH, &before);
	fputc('\n', tty);
	fclose(tty);
	line[strcspn(line, "\n")] = '\0';
	return ctl_printf("%s", line);
}

static void
set_user(void)
{
	size_t length = strcspn(user_text, ":");

	if (*user_text == '\0')
		return;
	ctl.user = ctl_printf("%.*s", (int) length, user_text);
	if (*password_text != '\0' && user_text[length] == ':')
		ctl_fail(EXIT_BAD_ARGS, "the password is given by --user and by --password");
	if (*password_text != '\0')
		ctl.password = password_text;
	else if (user_text[length] == ':')
		ctl.password = user_text + length + 1;
	else
		ctl.password = ask_password();
}

static void
set_globals(void)
{
	/* in the order of OutputFormat */
	static const char *const formats[] = {"simple", "fields", "json", "protobuf", "table"};
	size_t f = 0;

	while (f < lengthof(formats) && strcmp(format_text, formats[f]) != 0)
		f++;
	if (f == lengthof(formats))
		ctl_fail(EXIT_UNSUPPORTED, "unsupported output format");
	ctl.format = (OutputFormat) f;
	if (*cert != '\0' || *key != '\0' || *cacert != '\0')
		ctl_fail(EXIT_BAD_ARGS, "TLS is not built yet: --cert, --key and --cacert cannot be used");
	if (*discovery != '\0' || *discovery_name != '\0')
		ctl_fail(EXIT_BAD_ARGS, "discovery is not built yet: --discovery-srv cannot be used");
	set_endpoints();
	set_user();
}

/* ---- help ---- */

static void
print_commands(const Command *const *list)
{
	for (; *list != NULL; list++)
		printf("  %-12s  %s\n", (*list)->name, (*list)->summary);
}

static void
print_general_help(void)
{
	puts("rusdctl speaks to rusd, and to any server of the etcd v3 API.\n\n"
		 "Usage:\n  rusdctl [OPTIONS] COMMAND [ARGUMENTS]\n\nCommands:");
	print_commands(commands);
	puts("  version       Print the version of this program\n\nOptions:");
	options_print(global_flags);
	puts("\nEach option can also be set by a variable: RUSDCTL_ENDPOINTS, or ETCDCTL_ENDPOINTS, "
		 "stands for\n"
		 "--endpoints.  Exit status: 0 done, 1 the server said no, 2 no connection, 3 malformed "
		 "transaction,\n"
		 "4 no such choice, 6 input or output failed, 128 wrong arguments.  See rusdctl(1).");
}

static void
print_command_help(const char *group, const Command *command)
{
	if (command->details != NULL)
		printf("%s.\n%s\n", command->summary, command->details);
	else
		printf("%s.\n", command->summary);
	printf("\nUsage:\n  rusdctl %s%s%s", group, *group != '\0' ? " " : "", command->name);
	printf("%s%s%s\n", command->group != NULL ? " COMMAND" : " [OPTIONS]",
		   command->arguments[0] != '\0' ? " " : "", command->arguments);
	if (command->alias != NULL)
		printf("\nAlso known as: %s\n", command->alias);
	if (command->group != NULL)
	{
		puts("\nCommands:");
		print_commands(command->group);
	}
	if (command->flags != NULL)
	{
		puts("\nOptions:");
		options_print(command->flags);
	}
	puts("\nOptions of all commands: see rusdctl --help.");
}

static int
print_version(void)
{
	puts("rusdctl version: " RUSD_VERSION_STRING "\nAPI version: 3.7");
	return 0;
}

/* ---- choice of the command ---- */

static const Command *
find_command(const Command *const *list, const char *name)
{
	for (; *list != NULL; list++)
	{
		if (strcmp((*list)->name, name) == 0 ||
			((*list)->alias != NULL && strcmp((*list)->alias, name) == 0))
			return *list;
	}
	return NULL;
}

does_not_return static void
usage_error(const char *group, const Command *command, const char *error)
{
	fflush(stdout);
	fprintf(stderr, "Error: %s\nRun 'rusdctl %s%s%s --help' for usage.\n", error, group,
			*group != '\0' ? " " : "", command->name);
	exit(EXIT_ERROR);
}

does_not_return static void
unknown_command(const char *name, const char *within, const char *group)
{
	fflush(stdout);
	fprintf(stderr,
			"Error: unknown command \"%s\" for \"%s\"\nRun 'rusdctl %s%s--help' for usage.\n", name,
			within, group, *group != '\0' ? " " : "");
	exit(EXIT_ERROR);
}

/* Runs a command of a list, descending into groups. */
static int
run(const Command *const *list, const char *group, int argc, char **argv)
{
	const char *within = *group != '\0' ? ctl_printf("rusdctl %s", group) : "rusdctl";
	const Command *command = find_command(list, argv[0]);
	const char *error;

	if (command == NULL)
		unknown_command(argv[0], within, group);
	argc--;
	argv++;
	if (!options_parse(&argc, argv, command->flags, global_flags, command->group != NULL, &error))
		usage_error(group, command, error);
	if (command->group != NULL && argc > 0 && !help)
		return run(command->group, command->name, argc, argv);
	if (help && command->group != NULL && argc > 0)
	{
		const Command *inner = find_command(command->group, argv[0]);

		if (inner != NULL)
		{
			print_command_help(command->name, inner);
			return 0;
		}
	}
	if (help || command->group != NULL)
	{
		print_command_help(group, command);
		return 0;
	}
	if (!options_environment(global_flags, &error))
		ctl_fail(EXIT_ERROR, "%s", error);
	set_globals();
	return command->run(argc, argv);
}

/* help, help get, help endpoint status */
static int
run_help(int argc, char **argv)
{
	const Command *const *list = commands;
	const char *group = "";

	if (argc == 0)
	{
		print_general_help();
		return 0;
	}
	for (int i = 0;; i++)
	{
		const Command *command = find_command(list, argv[i]);

		if (command == NULL)
			unknown_command(argv[i], *group != '\0' ? ctl_printf("rusdctl %s", group) : "rusdctl",
							group);
		if (i + 1 == argc || command->group == NULL)
		{
			print_command_help(group, command);
			return 0;
		}
		list = command->group;
		group = command->name;
	}
}

int
main(int argc, char **argv)
{
	const char *error;

	signal(SIGPIPE, SIG_IGN);
	ctl.dial_timeout = (int64_t) 2 * NS_PER_S;
	ctl.command_timeout = (int64_t) 5 * NS_PER_S;
	reset_kv_flags();
	argc--;
	argv++;
	if (!options_parse(&argc, argv, NULL, global_flags, true, &error))
	{
		fprintf(stderr, "Error: %s\nRun 'rusdctl --help' for usage.\n", error);
		return EXIT_ERROR;
	}
	if (version || (argc > 0 && strcmp(argv[0], "version") == 0))
		leave(print_version());
	if (argc > 0 && strcmp(argv[0], "help") == 0)
		leave(run_help(argc - 1, argv + 1));
	if (argc == 0 || (help && find_command(commands, argv[0]) == NULL))
	{
		print_general_help();
		leave(0);
	}
	leave(run(commands, "", argc, argv));
}
