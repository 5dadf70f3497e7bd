/*
 * calls.c
 *	  How commands fail, what memory they have, how they call a server.
 *
 * src/bin/rusdctl/calls.c
 */
#include "rusd_fe.h"

#include <stdarg.h>

#include "ctl.h"

/* ---- ends ---- */

void
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
ctl_complain(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
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

	/* The server may find out first: it has the deadline too. */
	if (code == RPC_DEADLINE_EXCEEDED || strcmp(message, "context deadline exceeded") == 0)
		return "context deadline exceeded";
	if (strncmp(message, "etcdserver: ", 12) == 0 && code != RPC_UNKNOWN)
		return ctl_printf("%s", message);
	return ctl_printf("rpc error: code = %s desc = %s",
					  code >= 0 && code < (int) lengthof(names) ? names[code]
																: ctl_printf("Code(%d)", code),
					  message);
}

/* One call.  Returns the status of gRPC; *reply if it is RPC_OK, else *error. */
static int
call_once(Client *client, const RpcMethod *method, const ProtobufCMessage *request, void **reply,
		  const char **error)
{
	ProtobufCMessage *message;
	char *text;
	int code = client_call(client, method, request, ctl.command_timeout, &message, &text);

	if (ctl.debug)
		fprintf(stderr, "debug: %s: status %d%s%s\n", method->path, code, text != NULL ? ", " : "",
				text != NULL ? text : "");
	*reply = message;
	if (code == RPC_OK)
		remember(message);
	else
		*error = ctl_rpc_error(code, text != NULL ? text : "out of memory");
	free(text);
	return code;
}

void *
ctl_try(Client *client, const RpcMethod *method, const ProtobufCMessage *request,
		const char **error)
{
	void *reply;

	return call_once(client, method, request, &reply, error) == RPC_OK ? reply : NULL;
}

void *
ctl_ask(const char *endpoint, const RpcMethod *method, const ProtobufCMessage *request,
		const char **error)
{
	Client *client = ctl_open(endpoint, error);
	void *reply = client != NULL ? ctl_try(client, method, request, error) : NULL;

	client_close(client);
	return reply;
}

static bool
authenticate(Client *client, const char **error)
{
	Etcdserverpb__AuthenticateRequest request = ETCDSERVERPB__AUTHENTICATE_REQUEST__INIT;
	const Etcdserverpb__AuthenticateResponse *reply;

	request.name = (char *) (uintptr_t) ctl.user;
	request.password = (char *) (uintptr_t) ctl.password;
	reply = ctl_try(client, &authenticate_method, &request.base, error);
	if (reply == NULL)
		return strcmp(*error, "etcdserver: authentication is not enabled") == 0;
	client_set_token(client, reply->token);
	return true;
}

Client *
ctl_open(const char *endpoint, const char **error)
{
	char *text;
	Client *client = client_open(endpoint, &ctl.connect, ctl.dial_timeout, &text);

	if (ctl.debug)
		fprintf(stderr, "debug: %s: %s\n", endpoint, client != NULL ? "connected" : text);
	if (client == NULL)
	{
		*error = ctl_printf("%s", text != NULL ? text : "out of memory");
		free(text);
		return NULL;
	}
	if (ctl.jwt_token != NULL)
		client_set_token(client, ctl.jwt_token);
	else if (ctl.user != NULL && !authenticate(client, error))
	{
		client_close(client);
		return NULL;
	}
	return client;
}

/* The next endpoint that takes the connection; NULL with all that was wrong in *error. */
static Client *
next_client(size_t *endpoint, const char **error)
{
	Client *client = NULL;
	const char *why;

	while (client == NULL && *endpoint < ctl.endpoint_count)
	{
		client = ctl_open(ctl.endpoints[(*endpoint)++], &why);
		if (client == NULL)
			*error = *error != NULL ? ctl_printf("%s; %s", *error, why) : why;
	}
	return client;
}

void *
ctl_call(const RpcMethod *method, const ProtobufCMessage *request)
{
	static Client *client;
	static size_t endpoint; /* the next one to try */
	const char *error = NULL;
	void *reply = NULL;
	int code;

	if (client == NULL)
		client = next_client(&endpoint, &error);
	if (client == NULL)
		ctl_fail(EXIT_BAD_CONNECTION, "%s", error);
	/* A member that cannot serve says so; another one may.  A write is sent once (CLIENT-2). */
	while ((code = call_once(client, method, request, &reply, &error)) == RPC_UNAVAILABLE &&
		   method->repeatable && endpoint < ctl.endpoint_count)
	{
		const char *why = NULL;
		Client *other = next_client(&endpoint, &why);

		if (other == NULL)
			break;
		client_close(client);
		client = other;
	}
	if (code != RPC_OK)
		ctl_fail(EXIT_ERROR, "%s", error);
	return reply;
}
