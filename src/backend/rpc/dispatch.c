/*
 * dispatch.c
 *	  From a path to a handler: the table of methods, decoding, the interceptors, the end of a call.
 *
 * Runs in backends; these are the handlers that net/ calls.
 *
 * src/backend/rpc/dispatch.c
 */
#include "rusd.h"

#include "services.h"
#include "utils/config.h"

/* Decoded, a request may take this much and 8 bytes for each of its own. */
#define DECODED_BASE (32 * 1024 * 1024)

/* Every service of etcd, whether anything of it is built or not (ERR-9). */
static const char *const services[] = {
	"etcdserverpb.KV",          "etcdserverpb.Watch",
	"etcdserverpb.Lease",       "etcdserverpb.Cluster",
	"etcdserverpb.Maintenance", "etcdserverpb.Auth",
	"v3electionpb.Election",    "v3lockpb.Lock",
	"grpc.health.v1.Health",
};

static const RpcMethod methods[] = {
#define RUSD_METHOD(symbol, service, method, request, handler)                                     \
	{service, method, &request##__descriptor, handler, METHOD_##symbol},
#include "rpc/methodlist.h"
#undef RUSD_METHOD
};

StaticAssert(METHOD_COUNT <= METHODS_COUNTED, "each method has its counters");

/* A path as gRPC takes it apart: at the last slash, the first one left out. */
typedef struct Path
{
	const char *service;
	int service_length;
	const char *method; /* NULL: there is no slash */
} Path;

static Path
split_path(const char *path)
{
	Path result = {.service = path[0] == '/' ? path + 1 : path};
	const char *slash = strrchr(result.service, '/');

	if (slash == NULL)
		return result;
	result.service_length = (int) (slash - result.service);
	result.method = slash + 1;
	return result;
}

static bool
is_name(const char *name, const char *text, int length)
{
	return strncmp(name, text, (size_t) length) == 0 && name[length] == '\0';
}

static const RpcMethod *
find_method(const char *path)
{
	Path parts = split_path(path);
	size_t i;

	if (parts.method == NULL)
		return NULL;
	for (i = 0; i < lengthof(methods); i++)
		if (strcmp(methods[i].method, parts.method) == 0 &&
			is_name(methods[i].service, parts.service, parts.service_length))
			return &methods[i];
	return NULL;
}

static const void *
on_find_method(void *arg, const char *path)
{
	const Rpc *rpc = arg;

	/* The peer port speaks to members, not to clients. */
	return rpc->listener == LISTENER_CLIENT ? find_method(path) : NULL;
}

/* The path in quotes, as Go's %q writes it. */
static void
quote(const char *path, char *buffer, size_t size)
{
	size_t at = (size_t) snprintf(buffer, size, "malformed method name: \"");

	for (; *path != '\0' && at + 6 < size; path++)
	{
		unsigned char byte = (unsigned char) *path;

		if (byte == '"' || byte == '\\')
			at += (size_t) snprintf(buffer + at, size - at, "\\%c", byte);
		else if (byte >= 0x20 && byte < 0x7f)
			buffer[at++] = (char) byte;
		else
			at += (size_t) snprintf(buffer + at, size - at, "\\x%02x", byte);
	}
	snprintf(buffer + at, size - at, "\"");
}

const char *
rpc_unknown_method(void *arg, const char *path, char *buffer, size_t size)
{
	const Rpc *rpc = arg;
	Path parts = split_path(path);
	size_t i;

	if (parts.method == NULL)
	{
		quote(path, buffer, size);
		return buffer;
	}
	for (i = 0; i < lengthof(services) && rpc->listener == LISTENER_CLIENT; i++)
	{
		if (!is_name(services[i], parts.service, parts.service_length))
			continue;
		if (find_method(path) != NULL)
			return NULL;
		snprintf(buffer, size, "unknown method %s for service %s", parts.method, services[i]);
		return buffer;
	}
	snprintf(buffer, size, "unknown service %.*s", parts.service_length, parts.service);
	return buffer;
}

/* ---- a call begins ---- */

static void
begin(RpcCall *call)
{
	ControlState control;
	Status status;

	shm_control_read(call->rpc->shm, &control);
	call->term = control.term;
	status = intercept(call, &control);
	if (status == RUSD_AGAIN)
		call_wait(call, begin);
	else if (status != RUSD_OK)
		call_fail(call, status);
	else
		call->method->handle(call);
}

/* A limit was passed: a transaction that is too long or too deep gets etcd's answer, anything else
 * ours. */
static Status
refusal(const RpcCall *call, const DecodeFacts *facts, const DecodeLimits *limits)
{
	if (call->method->number == METHOD_TXN &&
		(facts->depth > limits->depth_max || facts->repeated_max > (uint64_t) config.max_txn_ops))
		return RUSD_TOO_MANY_OPS;
	return RUSD_MEMORY_EXCEEDED;
}

/* True: decoded; else answered. */
static bool
decode(RpcCall *call)
{
	NetCall *net = call->net;
	/* Each level of transactions costs one operation of the limit; it is two levels of messages. */
	int64_t depth = Min(config.max_txn_ops, DECODE_DEPTH_MAX) * 2 + 1;
	DecodeLimits limits = {.depth_max = (uint32_t) Min(Max(depth, 4), DECODE_DEPTH_MAX),
						   .memory_max = DECODED_BASE + 8 * (uint64_t) net->message.length};
	ProtobufCMessage *message;
	DecodeFacts facts;
	char text[128];
	Status status;

	status =
		decode_message(call->method->request, net->message, &limits, &net->arena, &message, &facts);
	if (likely(status == RUSD_OK))
	{
		call->request = message;
		return true;
	}
	if (status == RUSD_INVALID)
	{
		snprintf(text, sizeof(text), "grpc: error unmarshalling request: proto: %s", facts.error);
		call_fail_text(call, 13, text);
	}
	else
		call_fail(call,
				  status == RUSD_AGAIN ? refusal(call, &facts, &limits) : RUSD_MEMORY_EXCEEDED);
	return false;
}

static void
on_call(void *arg, NetCall *net)
{
	Rpc *rpc = arg;
	RpcCall *call;

	rpc->now_ns = Max(rpc->now_ns, net->started_ns);
	count_started(rpc->area, ((const RpcMethod *) net->method)->number);
	call = call_create(rpc);
	net->user = call;
	if (call == NULL)
	{
		count_handled(rpc->area, ((const RpcMethod *) net->method)->number,
					  status_grpc_code(RUSD_MEMORY_EXCEEDED));
		net_call_fail(net, status_grpc_code(RUSD_MEMORY_EXCEEDED),
					  status_text(RUSD_MEMORY_EXCEEDED));
		return;
	}
	call->net = net;
	call->method = net->method;
	if (decode(call))
		begin(call);
}

/* The call is over for the client: answered and sent, cancelled, past its deadline, or the
 * connection is lost. */
static void
on_close(void *arg, NetCall *net)
{
	Rpc *rpc = arg;
	RpcCall *call = net->user;

	if (call == NULL)
		return;
	if (!call->answered)
		count_handled(rpc->area, call->method->number, call_gone_code(call));
	if (call->on_gone != NULL)
		call->on_gone(call);
	call->on_gone = NULL;
	call->answered = true;
	if (call->list == LIST_RETRY || call->list == LIST_SLICE)
		call_to_list(call, LIST_NONE);
	propose_abandon(call);
	call_drop(call, HOLD_NET);
}

static void
on_http(void *arg, NetHttp *http)
{
	http_begin(arg, http);
}

static void
on_http_close(void *arg, NetHttp *http)
{
	RpcCall *call = http->user;

	(void) arg;
	if (call == NULL)
		return;
	call_to_list(call, LIST_NONE);
	call_drop(call, HOLD_NET);
}

void
rpc_handlers(Rpc *rpc, NetHandlers *handlers)
{
	*handlers = (NetHandlers){.arg = rpc,
							  .on_call = on_call,
							  .on_close = on_close,
							  .on_http = on_http,
							  .on_http_close = on_http_close,
							  .find_method = on_find_method,
							  .unknown_method = rpc_unknown_method};
}
