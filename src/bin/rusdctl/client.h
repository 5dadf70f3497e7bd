/*
 * client.h
 *	  One connection to a server, and one call at a time on it.
 *
 * src/bin/rusdctl/client.h
 */
#ifndef RUSDCTL_CLIENT_H
#define RUSDCTL_CLIENT_H

#include <protobuf-c/protobuf-c.h>

#include "connect.h"

/* Statuses of gRPC that the client gives by itself. */
#define RPC_OK 0
#define RPC_UNKNOWN 2
#define RPC_DEADLINE_EXCEEDED 4
#define RPC_RESOURCE_EXHAUSTED 8
#define RPC_INTERNAL 13
#define RPC_UNAVAILABLE 14

typedef struct Client Client;

/* One method: its path, what it answers, and whether it may be asked of another member too when
 * one says that it cannot serve: it changes nothing. */
typedef struct RpcMethod
{
	const char *path;
	const ProtobufCMessageDescriptor *reply;
	bool repeatable;
} RpcMethod;

/*
 * Connects to an endpoint (connect.h says what that is) within timeout_ns.  Returns NULL and a text
 * in *error, which the caller frees.
 */
extern Client *client_open(const char *endpoint, const ConnectOptions *options, int64_t timeout_ns,
						   char **error);
extern void client_close(Client *client);

/* The token sent with every later call; NULL for none.  Not copied. */
extern void client_set_token(Client *client, const char *token);

/*
 * One unary call.  Returns the status of gRPC.  With RPC_OK *reply is the answer, which the caller
 * frees with protobuf_c_message_free_unpacked; otherwise *error is the text, which the caller
 * frees.
 */
extern int client_call(Client *client, const RpcMethod *method, const ProtobufCMessage *request,
					   int64_t timeout_ns, ProtobufCMessage **reply, char **error);

#endif /* RUSDCTL_CLIENT_H */
