/*
 * http.c
 *	  HTTP/1.1 on the client port: /health, /livez, /readyz, /version, /metrics (HTTP-4, HTTP-10 to
 * HTTP-21).
 *
 * A request that needs a linearizable read which cannot be had now is begun again from its start in
 * a later turn, at most until T_req has passed; so it keeps no state but its target.  Runs in
 * backends.  The peer port answers /version and nothing else.
 *
 * src/backend/rpc/http.c
 */
#include "rusd.h"

#include "rpc_int.h"

#define CORS                                                                                       \
	"Access-Control-Allow-Methods: POST, GET, OPTIONS, PUT, DELETE\r\n"                            \
	"Access-Control-Allow-Origin: *\r\n"                                                           \
	"Access-Control-Allow-Headers: accept, content-type, authorization\r\n"
#define TEXT_TYPE "Content-Type: text/plain; charset=utf-8\r\n"
#define NOSNIFF "X-Content-Type-Options: nosniff\r\n"
#define METRICS_BYTES (80 * 1024)

typedef struct HttpRequest
{
	RpcCall *call;
	NetHttp *http;
	const char *cors;  /* header lines of every answer */
	const char *query; /* behind '?', or "" */
	size_t path_length;
	bool timed_out; /* a linearizable read has not come within T_req */
	bool waits;     /* it is not there yet */
} HttpRequest;

/* ---- the target ---- */

static bool
path_is(const HttpRequest *request, const char *path)
{
	return strlen(path) == request->path_length &&
		   memcmp(request->http->target, path, request->path_length) == 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One name or value of a query, decoded; ends at one of the stop bytes or the end.  Returns behind
 * it. */
static const char *
decode_word(const char *at, const char *stop, char *word, size_t size)
{
	size_t length = 0;

	for (; *at != '\0' && strchr(stop, *at) == NULL; at++)
	{
		char byte = *at == '+' ? ' ' : *at;

		if (*at == '%' && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0)
		{
			byte = (char) (hex_digit(at[1]) << 4 | hex_digit(at[2]));
			at += 2;
		}
		if (length + 1 < size)
			word[length++] = byte;
	}
	word[length] = '\0';
	return at;
}

/* Has the query name=value?  With value NULL: name, whatever its value.  first: only the first of
 * that name counts. */
static bool
query_has(const HttpRequest *request, const char *name, const char *value, bool first)
{
	const char *at = request->query;
	char found_name[64];
	char found_value[64];

	while (*at != '\0')
	{
		at = decode_word(at, "=&", found_name, sizeof(found_name));
		found_value[0] = '\0';
		if (*at == '=')
			at = decode_word(at + 1, "&", found_value, sizeof(found_value));
		if (*at == '&')
			at++;
		if (strcmp(found_name, name) != 0)
			continue;
		if (value == NULL || strcmp(found_value, value) == 0)
			return true;
		if (first)
			return false;
	}
	return false;
}

/* ---- answers ---- */

static void
reply(const HttpRequest *request, int status, const char *headers, const char *body)
{
	char lines[512];

	snprintf(lines, sizeof(lines), "%s%s", request->cors, headers);
	net_http_reply(request->http, status, lines, (Bytes){(const uint8_t *) body, strlen(body)});
}

/* Only GET; other methods are answered here (HEAD too). */
static bool
is_get(const HttpRequest *request)
{
	if (strcmp(request->http->method, "GET") == 0)
		return true;
	reply(request, 405, "Allow: GET\r\n" TEXT_TYPE NOSNIFF, "Method Not Allowed\n");
	return false;
}

/* ---- checks: NULL is good, else the reason ---- */

static const char *
check_alarms(const HttpRequest *request, const SharedSnapshot *shared)
{
	AlarmMember alarms[64];
	uint32_t found;
	uint32_t i;

	if (shared->snapshot.root.alarms == 0)
		return NULL;
	if (store_alarms(&shared->snapshot, alarms, lengthof(alarms), &found) != RUSD_OK)
		return "ALARM UNKNOWN";
	for (i = 0; i < Min(found, lengthof(alarms)); i++)
	{
		if (alarms[i].alarm == ETCDSERVERPB__ALARM_TYPE__NOSPACE &&
			!query_has(request, "exclude", "NOSPACE", false))
			return "ALARM NOSPACE";
		if (alarms[i].alarm == ETCDSERVERPB__ALARM_TYPE__CORRUPT &&
			!query_has(request, "exclude", "CORRUPT", false))
			return "ALARM CORRUPT";
		if (alarms[i].alarm > ETCDSERVERPB__ALARM_TYPE__CORRUPT)
			return "ALARM UNKNOWN";
	}
	return NULL;
}

/* Where walwriter or applier stand still nothing is committed or applied, whatever can still be read; a leader that
 * could would have handed over. */
static bool
writes_stand_still(const ControlState *control)
{
	return control->role == ROLE_LEADER && (control->ills & (ILL_FLUSH | ILL_APPLY)) != 0;
}

/* A read of one key; sets waits if it must be tried again. */
static const char *
check_read(HttpRequest *request, bool serializable)
{
	SharedSnapshot *shared;
	ControlState control;
	RangeItem item;
	Status status;

	status = snapshot_for_read(request->call, serializable, &control, &shared);
	if (status == RUSD_AGAIN && !request->timed_out)
	{
		request->waits = true;
		return NULL;
	}
	if (status == RUSD_AGAIN || (!serializable && writes_stand_still(&control)))
		return status_text(RUSD_TIMEOUT);
	if (status == RUSD_OK)
		status = range_get(&shared->snapshot, (Bytes){(const uint8_t *) "health", 6},
						   shared->snapshot.root.revision + 1, 0, &item);
	return status == RUSD_OK || status == RUSD_NOT_FOUND ? NULL : status_text(status);
}

static const char *
check_data_corruption(HttpRequest *request)
{
	RootState root;

	shm_root_read(request->call->rpc->shm, &root);
	/* Bit 1: CORRUPT of any member. */
	return (root.alarms & 2) != 0 ? "alarm activated: CORRUPT" : NULL;
}

static const char *
check_serializable_read(HttpRequest *request)
{
	return check_read(request, true);
}

static const char *
check_linearizable_read(HttpRequest *request)
{
	return check_read(request, false);
}

static const char *
check_non_learner(HttpRequest *request)
{
	ControlState control;

	shm_control_read(request->call->rpc->shm, &control);
	return control.is_learner ? "not supported for learner" : NULL;
}

/* ---- /health ---- */

static void
serve_health(HttpRequest *request)
{
	Rpc *rpc = request->call->rpc;
	bool serializable = query_has(request, "serializable", "true", true);
	const char *reason = NULL;
	const char *error;
	SharedSnapshot *shared;
	ControlState control;
	char body[256];

	if (!is_get(request))
		return;
	if (snapshot_for_read(request->call, true, &control, &shared) != RUSD_OK)
	{
		request->waits = !request->timed_out;
		reason = "RANGE ERROR:etcdserver: request timed out";
	}
	else
		reason = check_alarms(request, shared);
	if (reason == NULL && !serializable && !leader_is_known(rpc, &control))
		reason = "RAFT NO LEADER";
	if (reason == NULL && (error = check_read(request, serializable)) != NULL)
	{
		snprintf(body, sizeof(body), "{\"health\":\"false\",\"reason\":\"RANGE ERROR:%s\"}\n",
				 error);
		reason = "";
	}
	else if (reason != NULL)
		snprintf(body, sizeof(body), "{\"health\":\"false\",\"reason\":\"%s\"}\n", reason);
	if (request->waits)
		return;
	count(rpc->area, reason == NULL ? COUNTER_HEALTH_SUCCESS : COUNTER_HEALTH_FAILURES, 1);
	if (reason == NULL)
		reply(request, 200, TEXT_TYPE, "{\"health\":\"true\",\"reason\":\"\"}");
	else
		reply(request, 503, TEXT_TYPE NOSNIFF, body);
}

/* ---- /livez, /readyz ---- */

typedef struct HealthCheck
{
	const char *path; /* where it stands alone; "" where it does not */
	const char *name;
	const char *(*check)(HttpRequest *request);
} HealthCheck;

static const HealthCheck live_checks[] = {
	{"/livez/serializable_read", "serializable_read", check_serializable_read},
};

static const HealthCheck ready_checks[] = {
	{"/readyz/data_corruption", "data_corruption", check_data_corruption},
	{"/readyz/serializable_read", "serializable_read", check_serializable_read},
	{"/readyz/linearizable_read", "linearizable_read", check_linearizable_read},
	{"/readyz/non_learner", "non_learner", check_non_learner},
};

static void
serve_checks(HttpRequest *request, const HealthCheck *checks, size_t count, bool may_exclude)
{
	char body[1024];
	size_t at = 0;
	bool good = true;
	size_t i;

	if (!is_get(request))
		return;
	for (i = 0; i < count; i++)
	{
		const char *error;

		if (may_exclude && query_has(request, "exclude", checks[i].name, false))
			continue;
		error = checks[i].check(request);
		if (request->waits)
			return;
		if (error != NULL)
			good = false;
		if (error == NULL)
			at += (size_t) snprintf(body + at, sizeof(body) - at, "[+]%s ok\n", checks[i].name);
		else
			at += (size_t) snprintf(body + at, sizeof(body) - at, "[-]%s failed: %s\n",
									checks[i].name, error);
	}
	if (!good)
	{
		snprintf(body + at, sizeof(body) - at, "\n");
		reply(request, 503, TEXT_TYPE NOSNIFF, body);
		return;
	}
	if (!query_has(request, "verbose", NULL, false))
		at = 0;
	snprintf(body + at, sizeof(body) - at, "ok\n");
	reply(request, 200, TEXT_TYPE NOSNIFF, body);
}

/* True if the path was one of these. */
static bool
serve_single_check(HttpRequest *request, const HealthCheck *checks, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (path_is(request, checks[i].path))
		{
			serve_checks(request, &checks[i], 1, false);
			return true;
		}
	return false;
}

/* ---- /version, /metrics ---- */

static void
read_cluster_version(HttpRequest *request, char *version, size_t size)
{
	SharedSnapshot *shared;

	version[0] = '\0';
	if (snapshot_current(request->call->rpc, &shared) != RUSD_OK ||
		store_cluster_version(&shared->snapshot, version, size) != RUSD_OK)
		version[0] = '\0';
}

static void
serve_version(HttpRequest *request)
{
	char version[32];
	char body[160];

	if (!is_get(request))
		return;
	read_cluster_version(request, version, sizeof(version));
	snprintf(body, sizeof(body),
			 "{\"etcdserver\":\"%s\",\"etcdcluster\":\"%s\",\"storage\":\"%s\"}",
			 ETCD_VERSION_STRING, version[0] == '\0' ? "not_decided" : version,
			 version[0] == '\0' ? "unknown" : version);
	reply(request, 200, "Content-Type: application/json\r\n", body);
}

static int64_t
count_keys(HttpRequest *request)
{
	Rpc *rpc = request->call->rpc;
	RangeSpec all = {.key = {(const uint8_t *) "", 1},
					 .range_end = {(const uint8_t *) "", 1},
					 .count_only = true};
	SharedSnapshot *shared;
	int64_t keys = 0;
	uint64_t bytes;
	bool more;

	if (snapshot_current(rpc, &shared) != RUSD_OK)
		return 0;
	all.view_main = shared->snapshot.root.revision + 1;
	return answer_measure(rpc, &shared->snapshot, &all, &keys, &bytes, &more) == RUSD_OK ? keys : 0;
}

static void
serve_metrics(HttpRequest *request)
{
	Rpc *rpc = request->call->rpc;
	Arena *arena = &request->call->arena;
	char version[32];
	MetricsOfStore store = {.cluster_version = version, .quota = quota_bytes()};
	size_t size = METRICS_BYTES;
	size_t length;
	char *buffer = arena_alloc(arena, size);
	char lines[512];

	read_cluster_version(request, version, sizeof(version));
	store.keys = count_keys(request);
	length = buffer == NULL ? 0 : metrics_text(rpc->shm, &store, buffer, size);
	if (length >= size)
	{
		/* Some more than it takes now: numbers grow. */
		size = length + 4096;
		buffer = arena_alloc(arena, size);
		length = buffer == NULL ? 0 : Min(metrics_text(rpc->shm, &store, buffer, size), size - 1);
	}
	if (buffer == NULL)
	{
		reply(request, 503, TEXT_TYPE NOSNIFF, "out of memory\n");
		return;
	}
	snprintf(lines, sizeof(lines),
			 "%sContent-Type: text/plain; version=0.0.4; charset=utf-8; escaping=underscores\r\n",
			 request->cors);
	net_http_reply(request->http, 200, lines, (Bytes){(const uint8_t *) buffer, length});
}

static void
serve_members(HttpRequest *request)
{
	ControlState control;
	char lines[128];
	Bytes body;
	Status status;

	if (!is_get(request))
		return;
	status = http_members_text(request->call, &body);
	if (status == RUSD_AGAIN)
	{
		request->waits = true;
		return;
	}
	if (status != RUSD_OK)
	{
		reply(request, 503, TEXT_TYPE NOSNIFF, "the members cannot be read\n");
		return;
	}
	shm_control_read(request->call->rpc->shm, &control);
	snprintf(lines, sizeof(lines),
			 "Content-Type: application/json\r\nX-Etcd-Cluster-ID: %" PRIx64 "\r\n",
			 control.cluster_id);
	net_http_reply(request->http, 200, lines, body);
}

/* ---- routing ---- */

static void
serve_client(HttpRequest *request)
{
	if (strcmp(request->http->method, "OPTIONS") == 0)
		reply(request, 200, "", "");
	else if (path_is(request, "/health"))
		serve_health(request);
	else if (path_is(request, "/version"))
		serve_version(request);
	else if (path_is(request, "/metrics"))
		serve_metrics(request);
	else if (path_is(request, "/livez"))
		serve_checks(request, live_checks, lengthof(live_checks), true);
	else if (path_is(request, "/readyz"))
		serve_checks(request, ready_checks, lengthof(ready_checks), true);
	else if (!serve_single_check(request, live_checks, lengthof(live_checks)) &&
			 !serve_single_check(request, ready_checks, lengthof(ready_checks)))
		reply(request, 404, TEXT_TYPE NOSNIFF, "404 page not found\n");
}

static void
serve(RpcCall *call)
{
	HttpRequest *request = call->state;

	request->waits = false;
	if (call->rpc->listener == LISTENER_CLIENT)
		serve_client(request);
	else if (path_is(request, "/version"))
		serve_version(request);
	else if (path_is(request, "/members"))
		serve_members(request);
	else
		reply(request, 404, TEXT_TYPE NOSNIFF, "404 page not found\n");
	if (request->waits)
		call_wait(call, serve);
	else
		call->answered = true;
}

void
http_begin(Rpc *rpc, NetHttp *http)
{
	const char *query = strchr(http->target, '?');
	HttpRequest *request;
	RpcCall *call;

	rpc->now_ns = clock_os.monotonic_ns(&clock_os);
	call = call_create(rpc);
	http->user = call;
	request = call == NULL ? NULL : arena_zalloc(&call->arena, sizeof(*request));
	if (request == NULL)
	{
		net_http_reply(http, 503, TEXT_TYPE NOSNIFF,
					   (Bytes){(const uint8_t *) "out of memory\n", 14});
		return;
	}
	call->http = http;
	call->state = request;
	request->call = call;
	request->http = http;
	request->cors = rpc->listener == LISTENER_CLIENT ? CORS : "";
	request->query = query == NULL ? "" : query + 1;
	request->path_length = query == NULL ? strlen(http->target) : (size_t) (query - http->target);
	serve(call);
}

void
http_timeout(RpcCall *call)
{
	HttpRequest *request = call->state;

	request->timed_out = true;
	call_to_list(call, LIST_NONE);
	serve(call);
}
