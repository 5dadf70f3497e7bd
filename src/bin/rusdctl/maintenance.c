/*
 * maintenance.c
 *	  alarm, defrag, move-leader, downgrade.
 *
 * src/bin/rusdctl/maintenance.c
 */
#include "rusd_fe.h"

#include "ctl.h"

/* ---- alarms ---- */

const char *
alarm_name(Etcdserverpb__AlarmType alarm)
{
	static const char *const names[] = {"NONE", "NOSPACE", "CORRUPT"};

	return (size_t) alarm < lengthof(names) ? names[alarm] : ctl_printf("%d", (int) alarm);
}

static void
print_alarms(const Etcdserverpb__AlarmResponse *reply)
{
	static const char *const head[] = {"MEMBER ID", "ALARM"};
	Table table = table_begin(head, lengthof(head));

	if (print_encoded(&reply->base))
		return;
	if (ctl.format == OUTPUT_FIELDS)
		print_header_fields(reply->header);
	for (size_t i = 0; i < reply->n_alarms; i++)
	{
		const Etcdserverpb__AlarmMember *m = reply->alarms[i];

		table_add(&table, (const char *const[]){hex_id(m->memberid), alarm_name(m->alarm)});
		if (ctl.format == OUTPUT_FIELDS)
			printf("\"MemberID\" : %" PRIu64 "\n\"AlarmType\" : %d\n\n", m->memberid,
				   (int) m->alarm);
		else if (ctl.format == OUTPUT_SIMPLE)
			printf("memberID:%" PRIu64 " alarm:%s \n", m->memberid, alarm_name(m->alarm));
	}
	if (ctl.format == OUTPUT_TABLE)
		print_table(&table);
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

/*
 * What etcd's client library does: reads the alarms, then takes back one after the other, and puts
 * together an answer without a header.  (In form fields etcdctl fails for want of it.)
 */
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
	shown.alarms = ctl_alloc((active->n_alarms + 1) * sizeof(*shown.alarms));
	request.action = ETCDSERVERPB__ALARM_REQUEST__ALARM_ACTION__DEACTIVATE;
	for (size_t i = 0; i < active->n_alarms; i++)
	{
		const Etcdserverpb__AlarmResponse *reply;

		request.memberid = active->alarms[i]->memberid;
		request.alarm = active->alarms[i]->alarm;
		reply = ctl_call(&alarm_method, &request.base);
		if (ctl.format == OUTPUT_FIELDS)
			shown.header = reply->header;
		if (reply->n_alarms > 0)
			shown.alarms[shown.n_alarms++] = reply->alarms[0];
	}
	print_alarms(&shown);
	return 0;
}

/* ---- defrag ---- */

/* Prints what one endpoint answered, or says why it did not. */
static void
print_defragmented(const char *endpoint, const Etcdserverpb__DefragmentResponse *reply,
				   const char *took, const char *error)
{
	if (reply == NULL)
	{
		ctl_complain("Failed to defragment etcd member[%s]. took %s. (%s)", endpoint, took, error);
		return;
	}
	switch (ctl.format)
	{
		case OUTPUT_SIMPLE:
			printf("Finished defragmenting etcd member[%s]. took %s\n", endpoint, took);
			fflush(stdout);
			break;
		case OUTPUT_FIELDS:
			print_header_fields(reply->header);
			printf("\"Endpoint\" : ");
			print_quoted(endpoint, strlen(endpoint));
			printf("\n\"Took\" : %s\n\n", took);
			break;
		case OUTPUT_JSON: /* printed when all have answered */
		case OUTPUT_PROTOBUF:
		case OUTPUT_TABLE:
			break;
	}
}

static int
run_defrag(int argc, char **argv)
{
	static const char *const head[] = {"ENDPOINT", "DONE", "TOOK", "ERROR"};
	Etcdserverpb__DefragmentRequest request = ETCDSERVERPB__DEFRAGMENT_REQUEST__INIT;
	Table table = table_begin(head, lengthof(head));
	Answers a = {0};

	(void) argv;
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "defrag command accepts no arguments");
	a.endpoints = chosen_endpoints(false, &a.count);
	a.replies = ctl_alloc((a.count + 1) * sizeof(*a.replies));
	for (size_t i = 0; i < a.count; i++)
	{
		const char *endpoint = a.endpoints[i].address;
		int64_t began = client_now();
		const char *error = "";
		const char *took;

		a.replies[i] = ctl_ask(endpoint, &defragment_method, &request.base, &error);
		took = go_duration(client_now() - began);
		print_defragmented(endpoint, (const Etcdserverpb__DefragmentResponse *) a.replies[i], took,
						   error);
		table_add(&table,
				  (const char *const[]){endpoint, yes_no(a.replies[i] != NULL), took, error});
		a.failed |= a.replies[i] == NULL;
	}
	if (!print_answers_encoded(&a, "Defragment") && ctl.format == OUTPUT_TABLE)
		print_table(&table);
	return a.failed ? EXIT_ERROR : 0;
}

/* ---- move-leader ---- */

/* The endpoint that leads, asked one after the other; only the leader can hand over (MAINT-40). */
static const char *
find_leader(uint64_t *leader)
{
	Etcdserverpb__StatusRequest request = ETCDSERVERPB__STATUS_REQUEST__INIT;
	const char *asked = "";

	for (size_t i = 0; i < ctl.endpoint_count; i++)
	{
		const char *error = NULL;
		const Etcdserverpb__StatusResponse *r =
			ctl_ask(ctl.endpoints[i], &status_method, &request.base, &error);

		if (r == NULL)
			ctl_complain("Failed to get the status of endpoint %s (%s)", ctl.endpoints[i], error);
		if (r != NULL && r->header != NULL && r->header->member_id == r->leader)
		{
			*leader = r->leader;
			return ctl.endpoints[i];
		}
		asked = ctl_printf("%s%s%s", asked, i > 0 ? " " : "", ctl.endpoints[i]);
	}
	ctl_fail(EXIT_BAD_ARGS, "no leader endpoint given at [%s]", asked);
}

static int
run_move_leader(int argc, char **argv)
{
	static const char *const head[] = {"FROM", "TO"};
	Etcdserverpb__MoveLeaderRequest request = ETCDSERVERPB__MOVE_LEADER_REQUEST__INIT;
	Table table = table_begin(head, lengthof(head));
	const Etcdserverpb__MoveLeaderResponse *reply;
	const char *endpoint;
	const char *error;
	uint64_t leader;

	if (argc != 1)
		ctl_fail(EXIT_BAD_ARGS, "move-leader command needs 1 argument");
	if (!parse_id(argv[0], &request.targetid, &error))
		ctl_fail(EXIT_BAD_ARGS, "%s", error);
	endpoint = find_leader(&leader);
	reply = ctl_ask(endpoint, &move_leader_method, &request.base, &error);
	if (reply == NULL)
		ctl_fail(EXIT_ERROR, "%s", error);
	if (print_encoded(&reply->base))
		return 0;
	table_add(&table, (const char *const[]){hex_id(leader), hex_id(request.targetid)});
	if (ctl.format == OUTPUT_TABLE)
		print_table(&table);
	else if (ctl.format == OUTPUT_SIMPLE)
		printf("Leadership transferred from %s to %s\n", hex_id(leader), hex_id(request.targetid));
	else
	{
		print_id_field("From", leader);
		print_id_field("To", request.targetid);
	}
	return 0;
}

/* ---- downgrade ---- */

static int
downgrade(Etcdserverpb__DowngradeRequest__DowngradeAction action, const char *name,
		  const char *version)
{
	Etcdserverpb__DowngradeRequest request = ETCDSERVERPB__DOWNGRADE_REQUEST__INIT;
	const Etcdserverpb__DowngradeResponse *reply;

	request.action = action;
	request.version = (char *) (uintptr_t) version;
	reply = ctl_call(&downgrade_method, &request.base);
	if (print_encoded(&reply->base))
		return 0;
	if (ctl.format == OUTPUT_TABLE)
		print_header_table(reply->header, "CLUSTER VERSION", reply->version);
	else if (ctl.format == OUTPUT_FIELDS)
	{
		print_header_fields(reply->header);
		printf("\"Version\" : ");
		print_quoted(reply->version, strlen(reply->version));
		putchar('\n');
	}
	else
		printf("Downgrade %s success, cluster version %s\n", name, reply->version);
	return 0;
}

static const char *
target_version(int argc, char **argv)
{
	if (argc < 1)
		ctl_fail(EXIT_BAD_ARGS, "TARGET_VERSION not provided");
	if (argc > 1)
		ctl_fail(EXIT_BAD_ARGS, "too many arguments");
	if (*argv[0] == '\0')
		ctl_fail(EXIT_BAD_ARGS, "target version not provided");
	return argv[0];
}

static int
run_downgrade_validate(int argc, char **argv)
{
	return downgrade(ETCDSERVERPB__DOWNGRADE_REQUEST__DOWNGRADE_ACTION__VALIDATE, "validate",
					 target_version(argc, argv));
}

static int
run_downgrade_enable(int argc, char **argv)
{
	return downgrade(ETCDSERVERPB__DOWNGRADE_REQUEST__DOWNGRADE_ACTION__ENABLE, "enable",
					 target_version(argc, argv));
}

static int
run_downgrade_cancel(int argc, char **argv)
{
	(void) argv;
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "downgrade cancel command accepts no arguments");
	return downgrade(ETCDSERVERPB__DOWNGRADE_REQUEST__DOWNGRADE_ACTION__CANCEL, "cancel", "");
}

/* ---- the commands ---- */

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

const Command move_leader_command = {"move-leader",
									 NULL,
									 "ID",
									 "Hand leadership over to another member",
									 "One of the endpoints has to be the leader's.",
									 NULL,
									 run_move_leader,
									 NULL};

static const Command downgrade_cancel_command = {
	"cancel", NULL, "", "End a downgrade", NULL, NULL, run_downgrade_cancel, NULL};
static const Command downgrade_enable_command = {
	"enable", NULL, "VERSION", "Begin a downgrade", NULL, NULL, run_downgrade_enable, NULL};
static const Command downgrade_validate_command = {"validate",
												   NULL,
												   "VERSION",
												   "Say whether a downgrade could begin",
												   NULL,
												   NULL,
												   run_downgrade_validate,
												   NULL};
static const Command *const downgrade_group[] = {
	&downgrade_cancel_command, &downgrade_enable_command, &downgrade_validate_command, NULL};
const Command downgrade_command = {
	"downgrade", NULL, "",   "Commands about going back to an older version",
	NULL,        NULL, NULL, downgrade_group};
