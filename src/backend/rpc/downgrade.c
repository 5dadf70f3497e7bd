/*
 * downgrade.c
 *	  Maintenance.Downgrade (MAINT-60 to MAINT-64).
 *
 * VALIDATE answers as etcd does.  There is no older rusd that could read what this one has written, so ENABLE is refused, and
 * there is never a job that CANCEL could end.  Runs in backends.
 *
 * src/backend/rpc/downgrade.c
 */
#include "rusd.h"

#include "services.h"

#define ACTION(name) ETCDSERVERPB__DOWNGRADE_REQUEST__DOWNGRADE_ACTION__##name

typedef struct Version
{
	int64_t major;
	int64_t minor;
} Version;

/* Digits up to end or a point. */
static bool
take_number(const char **at, const char *end, int64_t *number)
{
	const char *start = *at;

	*number = 0;
	for (; *at < end && **at >= '0' && **at <= '9'; (*at)++)
		if (__builtin_mul_overflow(*number, 10, number) ||
			__builtin_add_overflow(*number, **at - '0', number))
			return false;
	return *at > start;
}

static bool
take_point(const char **at, const char *end)
{
	if (*at == end || **at != '.')
		return false;
	(*at)++;
	return true;
}

/* What may follow "X.Y.Z-": identifiers with points between them. */
static bool
is_pre_release(const char *at, const char *end)
{
	bool empty = true;

	for (; at < end; at++)
	{
		if (*at == '.' && empty)
			return false;
		if (*at != '.' && *at != '-' && !(*at >= '0' && *at <= '9') &&
			!(*at >= 'a' && *at <= 'z') && !(*at >= 'A' && *at <= 'Z'))
			return false;
		empty = *at == '.';
	}
	return !empty;
}

/* "X.Y", or a semantic version. */
static bool
parse_version(const char *text, Version *version)
{
	const char *end = text + strcspn(text, "+");
	const char *at = text;
	int64_t patch;

	if (!take_number(&at, end, &version->major) || !take_point(&at, end) ||
		!take_number(&at, end, &version->minor))
		return false;
	if (*at == '\0')
		return true;
	if (!take_point(&at, end) || !take_number(&at, end, &patch))
		return false;
	if (at == end)
		return true;
	return *at == '-' && is_pre_release(at + 1, end);
}

/* ENABLE is VALIDATE whose answer is always no.  The version was found to be one. */
static Status
judge(const Etcdserverpb__DowngradeRequest *request, const Version *cluster)
{
	Version target = {0};

	if (request->action == ACTION(CANCEL))
		return RUSD_OK;
	(void) parse_version(request->version, &target);
	if (request->action == ACTION(VALIDATE) && target.major == cluster->major &&
		target.minor == cluster->minor - 1)
		return RUSD_OK;
	return RUSD_INVALID_DOWNGRADE_TARGET;
}

static Status
answer(RpcCall *call, const Snapshot *snapshot, const ControlState *control)
{
	Etcdserverpb__DowngradeResponse response = ETCDSERVERPB__DOWNGRADE_RESPONSE__INIT;
	Etcdserverpb__ResponseHeader header;
	Version cluster;
	char text[48];
	Status status = store_cluster_version(snapshot, text, sizeof(text));

	if (status == RUSD_OK && !parse_version(text, &cluster))
		status = RUSD_CLUSTER_VERSION_UNAVAILABLE;
	if (status == RUSD_OK)
		status = judge(call->request, &cluster);
	if (status != RUSD_OK)
		return status;
	snprintf(text, sizeof(text), "%" PRId64 ".%" PRId64, cluster.major, cluster.minor);
	header_fill(&header, control, snapshot->root.revision);
	response.header = &header;
	response.version = text;
	call_reply_message(call, &response.base);
	return RUSD_OK;
}

void
maintenance_downgrade(RpcCall *call)
{
	const Etcdserverpb__DowngradeRequest *request = call->request;
	SharedSnapshot *shared;
	ControlState control;
	Version target;
	Status status;

	if (request->action != ACTION(VALIDATE) && request->action != ACTION(ENABLE) &&
		request->action != ACTION(CANCEL))
		status = RUSD_UNKNOWN_METHOD;
	else if (request->action != ACTION(CANCEL) && !parse_version(request->version, &target))
		status = RUSD_BAD_DOWNGRADE_VERSION;
	else
		status = snapshot_for_read(call, false, &control, &shared);
	if (status == RUSD_OK)
		status = answer(call, &shared->snapshot, &control);
	if (status == RUSD_AGAIN)
		call_wait(call, maintenance_downgrade);
	else if (status != RUSD_OK)
		call_fail(call, status);
}
