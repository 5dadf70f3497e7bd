/*
 * endpoint.c
 *	  endpoint health, hashkv and the group; which endpoints are asked.
 *
 * src/bin/rusdctl/endpoint.c
 */
#include "rusd_fe.h"

#include "ctl.h"

static bool whole_cluster;
static int64_t hash_revision;

Flag cluster_flags[] = {{"cluster", 0, FLAG_BOOL, &whole_cluster, NULL,
						 "all endpoints that the member list names", NULL, false},
						{0}};

static Flag hashkv_flags[] = {
	{"cluster", 0, FLAG_BOOL, &whole_cluster, NULL, "all endpoints that the member list names",
	 NULL, false},
	{"rev", 0, FLAG_INT, &hash_revision, "0: now", "the hash as of this revision", NULL, false},
	{0}};

/* ---- endpoints ---- */

/*
 * The member list of any endpoint that answers.  Serializable, unlike etcdctl: a cluster without a
 * quorum has to be looked into too.
 */
static const Etcdserverpb__MemberListResponse *
any_member_list(void)
{
	Etcdserverpb__MemberListRequest request = ETCDSERVERPB__MEMBER_LIST_REQUEST__INIT;
	const Etcdserverpb__MemberListResponse *reply = NULL;
	const char *errors = NULL;

	for (size_t i = 0; reply == NULL && i < ctl.endpoint_count; i++)
	{
		const char *error;

		reply = ctl_ask(ctl.endpoints[i], &member_list_method, &request.base, &error);
		if (reply == NULL)
			errors = errors != NULL ? ctl_printf("%s; %s", errors, error) : error;
	}
	if (reply == NULL)
		ctl_fail(EXIT_ERROR, "failed to fetch endpoints from etcd cluster member list: %s", errors);
	return reply;
}

Endpoint *
chosen_endpoints(bool all, size_t *count)
{
	const Etcdserverpb__MemberListResponse *reply;
	Endpoint *list;
	size_t n = 0;

	if (!whole_cluster)
	{
		list = ctl_alloc(ctl.endpoint_count * sizeof(*list));
		for (; n < ctl.endpoint_count; n++)
			list[n].address = ctl.endpoints[n];
		*count = n;
		return list;
	}
	reply = any_member_list();
	for (size_t i = 0; i < reply->n_members; i++)
		n += Max(reply->members[i]->n_clienturls, 1);
	list = ctl_alloc((n + 1) * sizeof(*list));
	n = 0;
	for (size_t i = 0; i < reply->n_members; i++)
	{
		const Etcdserverpb__Member *m = reply->members[i];

		for (size_t k = 0; k < m->n_clienturls; k++)
			list[n++] = (Endpoint){m->clienturls[k], m};
		if (m->n_clienturls == 0 && all)
			list[n++] = (Endpoint){"", m};
	}
	*count = n;
	return list;
}

Answers
ask_all(const Endpoint *endpoints, size_t count, const RpcMethod *method,
		const ProtobufCMessage *request, const char *what)
{
	Answers a = {.endpoints = endpoints, .count = count};

	a.replies = ctl_alloc((count + 1) * sizeof(*a.replies));
	a.errors = ctl_alloc((count + 1) * sizeof(*a.errors));
	for (size_t i = 0; i < count; i++)
	{
		if (*endpoints[i].address == '\0')
			continue;
		a.replies[i] = ctl_ask(endpoints[i].address, method, request, &a.errors[i]);
		if (a.replies[i] != NULL)
			continue;
		if (what != NULL)
			ctl_complain("Failed to get the %s of endpoint %s (%s)", what, endpoints[i].address,
						 a.errors[i]);
		a.failed = true;
	}
	return a;
}

bool
print_answers_encoded(const Answers *a, const char *name)
{
	const char *comma = "[";

	if (ctl.format != OUTPUT_JSON && ctl.format != OUTPUT_PROTOBUF)
		return false;
	for (size_t i = 0; i < a->count; i++)
	{
		if (a->replies[i] == NULL)
			continue;
		if (ctl.format == OUTPUT_PROTOBUF)
		{
			print_protobuf_delimited(a->replies[i]);
			continue;
		}
		printf("%s{\"Endpoint\":", comma);
		print_json_text(a->endpoints[i].address);
		printf(",\"%s\":", name);
		print_json(a->replies[i]);
		putchar('}');
		comma = ",";
	}
	if (ctl.format == OUTPUT_JSON)
		puts(*comma == '[' ? "[]" : "]");
	return true;
}

/* ---- hashkv ---- */

static int
run_hashkv(int argc, char **argv)
{
	static const char *const head[] = {"ENDPOINT", "HASH", "HASH REVISION"};
	Etcdserverpb__HashKVRequest request = ETCDSERVERPB__HASH_KVREQUEST__INIT;
	Table table = table_begin(head, lengthof(head));
	const Endpoint *endpoints;
	const char *error = NULL; /* the last one */
	size_t count;
	Answers a;

	(void) argv;
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "endpoint hashkv command accepts no arguments");
	request.revision = hash_revision;
	endpoints = chosen_endpoints(false, &count);
	a = ask_all(endpoints, count, &hashkv_method, &request.base, "hash");
	print_answers_encoded(&a, "HashKV");
	for (size_t i = 0; i < count; i++)
	{
		const Etcdserverpb__HashKVResponse *r = (const Etcdserverpb__HashKVResponse *) a.replies[i];

		error = a.errors[i] != NULL ? a.errors[i] : error;
		if (r == NULL)
			continue;
		table_add(&table, (const char *const[]){endpoints[i].address, decimal(r->hash),
												ctl_printf("%" PRId64, r->hash_revision)});
		if (ctl.format != OUTPUT_FIELDS)
			continue;
		print_header_fields(r->header);
		printf("\"Endpoint\" : ");
		print_quoted(endpoints[i].address, strlen(endpoints[i].address));
		printf("\n\"Hash\" : %" PRIu32 "\n\"HashRevision\" : %" PRId64 "\n\n", r->hash,
			   r->hash_revision);
	}
	if (ctl.format == OUTPUT_TABLE)
		print_table(&table);
	else if (ctl.format == OUTPUT_SIMPLE)
		print_rows(&table);
	if (error != NULL)
		ctl_fail(EXIT_ERROR, "%s", error);
	return 0;
}

/* ---- health ---- */

/* What is wrong with an endpoint, NULL if nothing is.  Not being allowed to read is healthy too
 * (CLIENT-40). */
static const char *
ailment(const char *endpoint)
{
	Etcdserverpb__RangeRequest read = ETCDSERVERPB__RANGE_REQUEST__INIT;
	Etcdserverpb__AlarmRequest alarms = ETCDSERVERPB__ALARM_REQUEST__INIT;
	const Etcdserverpb__AlarmResponse *reply;
	const char *error;
	Client *client = ctl_open(endpoint, &error);

	if (client == NULL)
		return error;
	read.key = (ProtobufCBinaryData){6, (uint8_t *) (uintptr_t) "health"};
	if (ctl_try(client, &range_method, &read.base, &error) == NULL &&
		strcmp(error, "etcdserver: permission denied") != 0)
	{
		client_close(client);
		return error;
	}
	reply = ctl_try(client, &alarm_method, &alarms.base, &error);
	client_close(client);
	if (reply == NULL)
		return "Unable to fetch the alarm list";
	if (reply->n_alarms == 0)
		return NULL;
	error = "Active Alarm(s): ";
	for (size_t i = 0; i < reply->n_alarms; i++)
		error = ctl_printf("%s%s ", error, alarm_name(reply->alarms[i]->alarm));
	return error;
}

/* row: endpoint, health, time, error */
static void
print_health_row(const char *const *row, bool first)
{
	bool well = *row[3] == '\0';

	switch (ctl.format)
	{
		case OUTPUT_JSON:
			printf("%s{\"endpoint\":", first ? "[" : ",");
			print_json_text(row[0]);
			printf(",\"health\":%s,\"took\":\"%s\"", row[1], row[2]);
			if (!well)
			{
				printf(",\"error\":");
				print_json_text(row[3]);
			}
			putchar('}');
			break;
		case OUTPUT_FIELDS:
			printf("\"Endpoint\" : \"%s\"\n\"Health\" : %s\n\"Took\" : %s\n\"Error\" : %s\n\n",
				   row[0], row[1], row[2], row[3]);
			break;
		case OUTPUT_SIMPLE:
			if (well)
				printf("%s is healthy: successfully committed proposal: took = %s\n", row[0],
					   row[2]);
			else
				ctl_complain("%s is unhealthy: failed to commit proposal: %s", row[0], row[3]);
			break;
		case OUTPUT_TABLE: /* printed when all rows are known */
		case OUTPUT_PROTOBUF:
			break;
	}
}

static int
run_health(int argc, char **argv)
{
	static const char *const head[] = {"ENDPOINT", "HEALTH", "TOOK", "ERROR"};
	Table table = table_begin(head, lengthof(head));
	const Endpoint *endpoints;
	size_t count;
	bool ill = false;

	(void) argv;
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "endpoint health command accepts no arguments");
	if (ctl.format == OUTPUT_PROTOBUF)
		ctl_fail(EXIT_UNSUPPORTED,
				 "protobuf not supported as output format: there is no message of health");
	endpoints = chosen_endpoints(false, &count);
	for (size_t i = 0; i < count; i++)
	{
		int64_t began = client_now();
		const char *wrong = ailment(endpoints[i].address);
		const char *const row[] = {endpoints[i].address, yes_no(wrong == NULL),
								   go_duration(client_now() - began), wrong != NULL ? wrong : ""};

		table_add(&table, row);
		print_health_row(row, i == 0);
		ill |= wrong != NULL;
	}
	if (ctl.format == OUTPUT_TABLE)
		print_table(&table);
	else if (ctl.format == OUTPUT_JSON)
		puts(count > 0 ? "]" : "[]");
	if (ill)
		ctl_fail(EXIT_ERROR, "unhealthy cluster");
	return 0;
}

/* ---- the group ---- */

static const Command health_command = {"health",
									   NULL,
									   "",
									   "Say whether each endpoint answers a read and has no alarm",
									   "Exits with 1 if one is not healthy.",
									   cluster_flags,
									   run_health,
									   NULL};
static const Command hashkv_command = {
	"hashkv", NULL,         "",         "Hash of the history of keys of each endpoint",
	NULL,     hashkv_flags, run_hashkv, NULL};
static const Command *const endpoint_group[] = {&hashkv_command, &health_command, &status_command,
												NULL};
const Command endpoint_command = {
	"endpoint", NULL,          "",   "Commands about the endpoints of --endpoints",
	NULL,       cluster_flags, NULL, endpoint_group};
