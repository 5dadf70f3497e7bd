/*
 * methods.h
 *	  The methods of the API as a table: paths, request types, numbers for the counters.
 *
 * src/include/rpc/methods.h
 */
#ifndef RPC_METHODS_H
#define RPC_METHODS_H

#include <protobuf-c/protobuf-c.h>

typedef enum MethodNumber
{
#define RUSD_METHOD(symbol, service, method, request, handler) METHOD_##symbol,
#include "rpc/methodlist.h"
#undef RUSD_METHOD
	METHOD_COUNT
} MethodNumber;

struct RpcCall;

typedef struct RpcMethod
{
	const char *service;
	const char *method;
	const ProtobufCMessageDescriptor *request;
	void (*handle)(struct RpcCall *call);
	MethodNumber number;
} RpcMethod;

#endif /* RPC_METHODS_H */
