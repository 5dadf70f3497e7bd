/*
 * cluster.c
 *	  endpoint, member, alarm, defrag: what concerns members rather than keys.
 *
 * src/bin/rusdctl/cluster.c
 */
#include "rusd_fe.h"

#include "ctl.h"

static const RpcMethod status_method = {"/etcdserverpb.Maintenance/Status",
										&etcdserverpb__status_response__descriptor};
static const RpcMethod hashkv_method = {"/etcdserverpb.Maintenance/HashKV",
										&etcdserverpb__hash_kvresponse__descriptor};
static const RpcMethod defragment_method = {"/etcdserverpb.Maintenance/Defragment",
											&etcdserverpb__defragment_response__descriptor};
static const RpcMethod alarm_method = {"/etcdserverpb.Maintenance/Alarm",
									   &etcdserverpb__alarm_response__descriptor};
static const RpcMethod member_list_method = {"/etcdserverpb.Cluster/MemberList",
											 &etcdserverpb__member_list_response__descriptor};
static const RpcMethod range_method = {"/etcdserverpb.KV/Range",
									   &etcdserverpb__range_response__descriptor};

static bool whole_cluster;
static int64_t hash_revision;
static const char *consistency = "l";

static Flag cluster_flags[] = {{"cluster", 0, FLAG_BOOL, &whole_cluster, NULL,
								"all endpoints that the member list names", false},
							   {0}};

static Flag hashkv_flags[] = {
	{"cluster", 0, FLAG_BOOL, &whole_cluster, NULL, "all endpoints that the member list names",
	 false},
	{"rev", 0, FLAG_INT, &hash_revision, "0: now", "the hash as of this revision", false},
	{0}};

static Flag member_list_flags[] = {{"consistency", 0, FLAG_TEXT, &consistency, "\"l\"",
									"linearizable (l) or serializable (s)", false},
								   {0}};

static const char *const alarm_names[] = {"NONE", "NOSPACE", "CORRUPT"};

/* ---- endpoints ---- */

/* --endpoints, or with --cluster what the members advertise. */
static char **
chosen_endpoints(size_t *count)
{
	Etcdserverpb__MemberListRequest request = ETCDSERVERPB__MEMBER_LIST_REQUEST__INIT;
	const Etcdserverpb__MemberListResponse *reply;
	char **list;
	size_t n = 0;

	*count = ctl.endpoint_count;
	if (!whole_cluster)
		return ctl.endpoints;
	request.linearizable = true;
	reply = ctl_call(&member_list_method, &request.base);
	for (size_t i = 0; i < reply->n_members; i++)
		n += reply->members[i]->n_clienturls;
	list = ctl_alloc((n + 1) * sizeof(*list));
	*count = n;
	n = 0;
	for (size_t i = 0; i < reply->n_members; i++)
	{
		for (size_t k = 0; k < reply->members[i]->n_clienturls; k++)
			list[n++] = reply->members[i]->clienturls[k];
	}
	return list;
}

/* One call to one endpoint on a connection of its own. */
static void *
ask(const char *endpoint, const RpcMethod *method, const ProtobufCMessage *request,
	const char **error)
{
	Client *client = ctl_open(endpoint, error);
	void *reply = client != NULL ? ctl_try(client, method, request, error) : NULL;

	client_close(client);
	return reply;
}

/*
 * Asks each endpoint, complains of those that do not answer, and hands the answers to json or
 * fields output.  What is left for table and simple is in *answers, NULL where there is none.
 */
typedef struct Answers
{
	char **endpoints;
	const ProtobufCMessage **replies;
	size_t count;
	bool failed;
} Answers;

static Answers
ask_all(const RpcMethod *method, const ProtobufCMessage *request, const char *what)
{
	Answers a = {0};
	size_t count;
	char **endpoints = chosen_endpoints(&count);

	a.endpoints = ctl_alloc((count + 1) * sizeof(*a.endpoints));
	a.replies = ctl_alloc((count + 1) * sizeof(*a.replies));
	for (size_t i = 0; i < count; i++)
	{
		const char *error;
		const ProtobufCMessage *reply = ask(endpoints[i], method, request, &error);

		if (reply == NULL)
		{
			fflush(stdout);
			fprintf(stderr, "Failed to get the %s of endpoint %s (%s)\n", what, endpoints[i],
					error);
			a.failed = true;
			continue;
		}
		a.endpoints[a.count] = endpoints[i];
		a.replies[a.count++] = reply;
	}
	return a;
}

static void
print_answers_json(const Answers *a, const char *name)
{
	putchar('[');
	for (size_t i = 0; i < a->count; i++)
	{
		printf("%s{\"Endpoint\":", i > 0 ? "," : "");
		print_json_text(a->endpoints[i]);
		printf(",\"%s\":", name);
		print_json(a->replies[i]);
		putchar('}');
	}
	puts("]");
}

static const char *
yes_no(bool value)
{
	return value ? "true" : "false";
}

/* Texts with commas between them; nothing for none. */
static const char *
joined(char *const *texts, size_t count, const char *between)
{
	const char *all = "";

	for (size_t i = 0; i < count; i++)
		all = ctl_printf("%s%s%s", all, i > 0 ? between : "", texts[i]);
	return all;
}

static void
print_status_fields(const Etcdserverpb__StatusResponse *r, const char *endpoint)
{
	print_header_fields(r->header);
	printf("\"Version\" : ");
	print_quoted(r->version, strlen(r->version));
	printf("\n\"StorageVersion\" : ");
	print_quoted(r->storageversion, strlen(r->storageversion));
	printf("\n\"DBSize\" : %" PRId64 "\n\"DBSizeInUse\" : %" PRId64 "\n\"DBSizeQuota\" : %" PRId64
		   "\n",
		   r->dbsize, r->dbsizeinuse, r->dbsizequota);
	printf("\"Leader\" : %" PRIu64 "\n\"IsLearner\" : %s\n", r->leader, yes_no(r->islearner));
	printf("\"RaftIndex\" : %" PRIu64 "\n\"RaftTerm\" : %" PRIu64
		   "\n\"RaftAppliedIndex\" : %" PRIu64 "\n\"Errors\" : [",
		   r->raftindex, r->raftterm, r->raftappliedindex);
	for (size_t i = 0; i < r->n_errors; i++)
	{
		fputs(i > 0 ? " " : "", stdout);
		print_quoted(r->errors[i], strlen(r->errors[i]));
	}
	printf("]\n\"DowngradeTargetVersion\" : \"%s\"\n\"DowngradeEnabled\" : %s\n",
		   r->downgradeinfo != NULL ? r->downgradeinfo->targetversion : "",
		   yes_no(r->downgradeinfo != NULL && r->downgradeinfo->enabled));
	printf("\"Endpoint\" : ");
	print_quoted(endpoint, strlen(endpoint));
	fputs("\n\n", stdout);
}

static int
run_status(int argc, char **argv)
{
	static const char *const head[] = {"ENDPOINT",
									   "ID",
									   "VERSION",
									   "STORAGE VERSION",
									   "DB SIZE",
									   "IN USE",
									   "PERCENTAGE NOT IN USE",
									   "QUOTA",
									   "IS LEADER",
									   "IS LEARNER",
									   "RAFT TERM",
									   "RAFT INDEX",
									   "RAFT APPLIED INDEX",
									   "ERRORS",
									   "DOWNGRADE TARGET VERSION",
									   "DOWNGRADE ENABLED"};
	Etcdserverpb__StatusRequest request = ETCDSERVERPB__STATUS_REQUEST__INIT;
	Answers a;
	const char **cells;

	(void) argv;
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "endpoint status command accepts no arguments");
	a = ask_all(&status_method, &request.base, "status");
	cells = ctl_alloc((a.count + 1) * lengthof(head) * sizeof(*cells));
	for (size_t i = 0; i < a.count; i++)
	{
		const Etcdserverpb__StatusResponse *r = (const Etcdserverpb__StatusResponse *) a.replies[i];
		uint64_t member = r->header != NULL ? r->header->member_id : 0;
		const char *row[] = {
			a.endpoints[i],
			ctl_printf("%" PRIx64, member),
			r->version,
			r->storageversion,
			human_bytes(r->dbsize),
			human_bytes(r->dbsizeinuse),
			ctl_printf("%d%%", r->dbsize > 0 ? (int) (100 - r->dbsizeinuse * 100 / r->dbsize) : 0),
			human_bytes(r->dbsizequota),
			yes_no(r->leader == member),
			yes_no(r->islearner),
			ctl_printf("%" PRIu64, r->raftterm),
			ctl_printf("%" PRIu64, r->raftindex),
			ctl_printf("%" PRIu64, r->raftappliedindex),
			joined(r->errors, r->n_errors, ", "),
			r->downgradeinfo != NULL ? r->downgradeinfo->targetversion : "",
			yes_no(r->downgradeinfo != NULL && r->downgradeinfo->enabled)};

		memcpy(cells + i * lengthof(head), row, sizeof(row));
		if (ctl.format == OUTPUT_FIELDS)
			print_status_fields(r, a.endpoints[i]);
		else if (ctl.format == OUTPUT_PROTOBUF)
			print_protobuf(a.replies[i]);
	}
	if (ctl.format == OUTPUT_JSON)
		print_answers_json(&a, "Status");
	else if (ctl.format == OUTPUT_TABLE)
		print_table(head, lengthof(head), cells, a.count);
	else if (ctl.format == OUTPUT_SIMPLE)
		print_rows(cells, lengthof(head), a.count);
	return a.failed ? EXIT_ERROR : 0;
}

static int
run_hashkv(int argc, char **argv)
{
	static const char *const head[] = {"ENDPOINT", "HASH", "HASH REVISION"};
	Etcdserverpb__HashKVRequest request = ETCDSERVERPB__HASH_KVREQUEST__INIT;
	Answers a;
	const char **cells;

	(void) argv;
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "endpoint hashkv command accepts no arguments");
	request.revision = hash_revision;
	a = ask_all(&hashkv_method, &request.base, "hash");
	cells = ctl_alloc((a.count + 1) * lengthof(head) * sizeof(*cells));
	for (size_t i = 0; i < a.count; i++)
	{
		const Etcdserverpb__HashKVResponse *r = (const Etcdserverpb__HashKVResponse *) a.replies[i];

		cells[i * 3] = a.endpoints[i];
		cells[i * 3 + 1] = ctl_printf("%" PRIu32, r->hash);
		cells[i * 3 + 2] = ctl_printf("%" PRId64, r->hash_revision);
		if (ctl.format == OUTPUT_FIELDS)
		{
			print_header_fields(r->header);
			printf("\"Endpoint\" : ");
			print_quoted(a.endpoints[i], strlen(a.endpoints[i]));
			printf("\n\"Hash\" : %" PRIu32 "\n\"HashRevision\" : %" PRId64 "\n\n", r->hash,
				   r->hash_revision);
		}
		else if (ctl.format == OUTPUT_PROTOBUF)
			print_protobuf(a.replies[i]);
	}
	if (ctl.format == OUTPUT_JSON)
		print_answers_json(&a, "HashKV");
	else if (ctl.format == OUTPUT_TABLE)
		print_table(head, lengthof(head), cells, a.count);
	else if (ctl.format == OUTPUT_SIMPLE)
		print_rows(cells, lengthof(head), a.count);
	return a.failed ? EXIT_ERROR : 0;
}

/* ---- health ---- */

/* What is wrong with an endpoint, NULL if nothing is.  Not being allowed to read is healthy too. */
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
		error = ctl_printf("%s%s ", error,
						   (size_t) reply->alarms[i]->alarm < lengthof(alarm_names)
							   ? alarm_names[reply->alarms[i]->alarm]
							   : "UNKNOWN");
	return error;
}

static void
print_health(const char *const *cells, size_t count)
{
	static const char *const head[] = {"ENDPOINT", "HEALTH", "TOOK", "ERROR"};

	if (ctl.format == OUTPUT_TABLE)
		print_table(head, lengthof(head), cells, count);
	else if (ctl.format == OUTPUT_JSON)
		putchar('[');
	for (size_t i = 0; i < count; i++)
	{
		const char *const *row = cells + i * lengthof(head);
		bool well = strcmp(row[1], "true") == 0;

		if (ctl.format == OUTPUT_JSON)
		{
			printf("%s{\"endpoint\":", i > 0 ? "," : "");
			print_json_text(row[0]);
			printf(",\"health\":%s,\"took\":\"%s\"", row[1], row[2]);
			if (!well)
			{
				printf(",\"error\":");
				print_json_text(row[3]);
			}
			putchar('}');
		}
		else if (ctl.format == OUTPUT_FIELDS)
			printf("\"Endpoint\" : \"%s\"\n\"Health\" : %s\n\"Took\" : %s\n\"Error\" : %s\n\n",
				   row[0], row[1], row[2], row[3]);
		else if (ctl.format == OUTPUT_SIMPLE && well)
			printf("%s is healthy: successfully committed proposal: took = %s\n", row[0], row[2]);
		else if (ctl.format == OUTPUT_SIMPLE)
		{
			fflush(stdout);
			fprintf(stderr, "%s is unhealthy: failed to commit proposal: %s\n", row[0], row[3]);
		}
	}
	if (ctl.format == OUTPUT_JSON)
		puts("]");
}

static int
run_health(int argc, char **argv)
{
	size_t count;
	char **endpoints;
	const char **cells;
	bool ill = false;

	(void) argv;
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "endpoint health command accepts no arguments");
	if (ctl.format == OUTPUT_PROTOBUF)
		ctl_fail(EXIT_UNSUPPORTED, "protobuf is not a form of output of this command");
	endpoints = chosen_endpoints(&count);
	cells = ctl_alloc((count + 1) * 4 * sizeof(*cells));
	for (size_t i = 0; i < count; i++)
	{
		int64_t began = client_now();
		const char *wrong = ailment(endpoints[i]);

		cells[i * 4] = endpoints[i];
		cells[i * 4 + 1] = yes_no(wrong == NULL);
		cells[i * 4 + 2] = go_duration(client_now() - began);
		cells[i * 4 + 3] = wrong != NULL ? wrong : "";
		ill |= wrong != NULL;
	}
	print_health(cells, count);
	if (ill)
		ctl_fail(EXIT_ERROR, "unhealthy cluster");
	return 0;
}

/* ---- members ---- */

static int
run_member_list(int argc, char **argv)
{
	static const char *const head[] = {"ID",         "STATUS",       "NAME",
									   "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER"};
	Etcdserverpb__MemberListRequest request = ETCDSERVERPB__MEMBER_LIST_REQUEST__INIT;
	const Etcdserverpb__MemberListResponse *reply;
	const char **cells;

	(void) argv;
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "member list command accepts no arguments");
	if (strcmp(consistency, "l") != 0 && strcmp(consistency, "s") != 0)
		ctl_fail(EXIT_UNSUPPORTED, "unknown consistency flag \"%s\"", consistency);
	request.linearizable = *consistency == 'l';
	reply = ctl_call(&member_list_method, &request.base);
	cells = ctl_alloc((reply->n_members + 1) * lengthof(head) * sizeof(*cells));
	if (ctl.format == OUTPUT_FIELDS)
		print_header_fields(reply->header);
	for (size_t i = 0; i < reply->n_members; i++)
	{
		const Etcdserverpb__Member *m = reply->members[i];
		const char *row[] = {ctl_printf("%" PRIx64, m->id),
							 *m->name != '\0' ? "started" : "unstarted",
							 m->name,
							 joined(m->peerurls, m->n_peerurls, ","),
							 joined(m->clienturls, m->n_clienturls, ","),
							 yes_no(m->islearner)};

		memcpy(cells + i * lengthof(head), row, sizeof(row));
		if (ctl.format != OUTPUT_FIELDS)
			continue;
		if (ctl.hex)
			printf("\"ID\" : %" PRIx64 "\n", m->id);
		else
			printf("\"ID\" : %" PRIu64 "\n", m->id);
		printf("\"Name\" : \"%s\"\n", m->name);
		for (size_t k = 0; k < m->n_peerurls; k++)
			printf("\"PeerURL\" : \"%s\"\n", m->peerurls[k]);
		for (size_t k = 0; k < m->n_clienturls; k++)
			printf("\"ClientURL\" : \"%s\"\n", m->clienturls[k]);
		printf("\"IsLearner\" : %s\n\n", yes_no(m->islearner));
	}
	if (ctl.format == OUTPUT_JSON)
	{
		print_json(&reply->base);
		putchar('\n');
	}
	else if (ctl.format == OUTPUT_PROTOBUF)
		print_protobuf(&reply->base);
	else if (ctl.format == OUTPUT_TABLE)
		print_table(head, lengthof(head), cells, reply->n_members);
	else if (ctl.format == OUTPUT_SIMPLE)
		print_rows(cells, lengthof(head), reply->n_members);
	return 0;
}

/* ---- alarms ---- */

static void
print_alarms(const Etcdserverpb__AlarmResponse *reply)
{
	if (ctl.format == OUTPUT_JSON)
	{
		print_json(&reply->base);
		putchar('\n');
		return;
	}
	if (ctl.format == OUTPUT_PROTOBUF)
	{
		print_protobuf(&reply->base);
		return;
	}
	if (ctl.format == OUTPUT_TABLE)
		ctl_fail(EXIT_UNSUPPORTED, "table is not a form of output of this command");
	if (ctl.format == OUTPUT_FIELDS)
		print_header_fields(reply->header);
	for (size_t i = 0; i < reply->n_alarms; i++)
	{
		const Etcdserverpb__AlarmMember *m = reply->alarms[i];
		const char *name = (size_t) m->alarm < lengthof(alarm_names)
							   ? alarm_names[m->alarm]
							   : ctl_printf("%d", (int) m->alarm);

		if (ctl.format == OUTPUT_FIELDS)
			printf("\"MemberID\" : %" PRIu64 "\n\"AlarmType\" : %d\n\n", m->memberid,
				   (int) m->alarm);
		else
			printf("memberID:%" PRIu64 " alarm:%s \n", m->memberid, name);
	}
}

static int
run_alarm_list(int argc, char **argv)
{
	Etcdserverpb__AlarmRequest request = ETCDSERVERPB__ALARM_REQUEST__INIT;

	(void) argv;
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "alarm list command accepts no arguments");
	request.action = ETCDSERVERPB__ALARM_REQUEST__ALARM_ACTION__GET;
	print_alarms(ctl_call(&alarm_method, &request.base));
	return 0;
}

/* What etcd's client library does: reads the alarms, then takes back one after the other. */
static int
run_alarm_disarm(int argc, char **argv)
{
	Etcdserverpb__AlarmRequest request = ETCDSERVERPB__ALARM_REQUEST__INIT;
	const Etcdserverpb__AlarmResponse *active;
	Etcdserverpb__AlarmResponse shown = ETCDSERVERPB__ALARM_RESPONSE__INIT;

	(void) argv;
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "alarm disarm command accepts no arguments");
	request.action = ETCDSERVERPB__ALARM_REQUEST__ALARM_ACTION__GET;
	active = ctl_call(&alarm_method, &request.base);
	shown.header = active->header;
	shown.alarms = ctl_alloc((active->n_alarms + 1) * sizeof(*shown.alarms));
	request.action = ETCDSERVERPB__ALARM_REQUEST__ALARM_ACTION__DEACTIVATE;
	for (size_t i = 0; i < active->n_alarms; i++)
	{
		const Etcdserverpb__AlarmResponse *reply;

		request.memberid = active->alarms[i]->memberid;
		request.alarm = active->alarms[i]->alarm;
		reply = ctl_call(&alarm_method, &request.base);
		shown.header = reply->header;
		if (reply->n_alarms > 0)
			shown.alarms[shown.n_alarms++] = reply->alarms[0];
	}
	print_alarms(&shown);
	return 0;
}

/* ---- defrag ---- */

static int
run_defrag(int argc, char **argv)
{
	Etcdserverpb__DefragmentRequest request = ETCDSERVERPB__DEFRAGMENT_REQUEST__INIT;
	size_t count;
	char **endpoints;
	int result = 0;

	(void) argv;
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "defrag command accepts no arguments");
	endpoints = chosen_endpoints(&count);
	for (size_t i = 0; i < count; i++)
	{
		int64_t began = client_now();
		const char *error;
		const void *reply = ask(endpoints[i], &defragment_method, &request.base, &error);
		const char *took = go_duration(client_now() - began);

		fflush(stdout);
		if (reply != NULL)
			printf("Finished defragmenting etcd member[%s]. took %s\n", endpoints[i], took);
		else
		{
			fprintf(stderr, "Failed to defragment etcd member[%s]. took %s. (%s)\n", endpoints[i],
					took, error);
			result = EXIT_ERROR;
		}
	}
	return result;
}

static const Command status_command = {
	"status", NULL,          "",         "Size, role and positions of each endpoint",
	NULL,     cluster_flags, run_status, NULL};
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

static const Command member_list_command = {
	"list", NULL, "", "List the members", NULL, member_list_flags, run_member_list, NULL};
static const Command *const member_group[] = {&member_list_command, NULL};
const Command member_command = {"member", NULL, "",   "Commands about the members of the cluster",
								NULL,     NULL, NULL, member_group};

static const Command alarm_list_command = {"list", NULL,           "",  "List the alarms", NULL,
										   NULL,   run_alarm_list, NULL};
static const Command alarm_disarm_command = {
	"disarm", NULL, "", "Take back all alarms", NULL, NULL, run_alarm_disarm, NULL};
static const Command *const alarm_group[] = {&alarm_disarm_command, &alarm_list_command, NULL};
const Command alarm_command = {"alarm", NULL, "",   "Commands about alarms",
							   NULL,    NULL, NULL, alarm_group};

const Command defrag_command = {
	"defrag", NULL,          "",         "Give unused space of each endpoint's data file back",
	NULL,     cluster_flags, run_defrag, NULL};
