/*
 * health.c
 *	  grpc.health.v1.Health: Check and List.  The one service known is "", the whole server.
 *
 * Runs in backends.
 *
 * src/backend/rpc/health.c
 */
#include "rusd.h"

#include "services.h"

#define SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_FOUND_CODE 5

void
health_check(RpcCall *call)
{
	const Grpc__Health__V1__HealthCheckRequest *request = call->request;
	Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

	if (request->service[0] != '\0')
	{
		call_fail_text(call, NOT_FOUND_CODE, "unknown service");
		return;
	}
	response.status = SERVING;
	call_reply_message(call, &response.base);
}

void
health_list(RpcCall *call)
{
	Grpc__Health__V1__HealthListResponse response = GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__INIT;
	Grpc__Health__V1__HealthListResponse__StatusesEntry entry =
		GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__STATUSES_ENTRY__INIT;
	Grpc__Health__V1__HealthCheckResponse check = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	Grpc__Health__V1__HealthListResponse__StatusesEntry *entries[] = {&entry};

	check.status = SERVING;
	entry.value = &check;
	response.n_statuses = lengthof(entries);
	response.statuses = entries;
	call_reply_message(call, &response.base);
}
