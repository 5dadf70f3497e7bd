/*
 * status.c
 *	  endpoint status: what each endpoint says of itself, and in a table what that means.
 *
 * simple, fields and json have etcdctl's columns.  The table is for people: who leads, who lags by
 * how much, who is ill.  doc/rusdctl.md says what each state means.
 *
 * src/bin/rusdctl/status.c
 */
#include "rusd_fe.h"

#include "ctl.h"

/* A member further behind what is committed takes no writes (RAFT-40). */
#define MUCH_BEHIND 5000

/* ---- simple and fields ---- */

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

static uint64_t
member_of(const Etcdserverpb__StatusResponse *r)
{
	return r->header != NULL ? r->header->member_id : 0;
}

static void
print_status_row(const Etcdserverpb__StatusResponse *r, const char *endpoint)
{
	const char *const row[] = {
		endpoint,
		hex_id(member_of(r)),
		r->version,
		r->storageversion,
		human_bytes(r->dbsize),
		human_bytes(r->dbsizeinuse),
		ctl_printf("%d%%", r->dbsize > 0 ? (int) (100 - r->dbsizeinuse * 100 / r->dbsize) : 0),
		human_bytes(r->dbsizequota),
		yes_no(r->leader == member_of(r)),
		yes_no(r->islearner),
		decimal(r->raftterm),
		decimal(r->raftindex),
		decimal(r->raftappliedindex),
		joined(r->errors, r->n_errors, ", "),
		r->downgradeinfo != NULL ? r->downgradeinfo->targetversion : "",
		yes_no(r->downgradeinfo != NULL && r->downgradeinfo->enabled)};
	Table one = table_begin(NULL, lengthof(row));

	table_add(&one, row);
	print_rows(&one);
}

/* ---- the table ---- */

/* What the newest term is and how far its leader has come, as far as anyone told. */
typedef struct Front
{
	uint64_t term;
	uint64_t index;
} Front;

static Front
find_front(const Answers *a)
{
	Front f = {0};

	for (size_t i = 0; i < a->count; i++)
	{
		const Etcdserverpb__StatusResponse *r =
			(const Etcdserverpb__StatusResponse *) a->replies[i];

		if (r == NULL)
			continue;
		f.term = Max(f.term, r->raftterm);
		f.index = Max(f.index, r->raftindex);
	}
	return f;
}

/* Is a text of the errors about something that no other word of the state tells, and about this
 * member?  Every member shows every member's alarms. */
static bool
is_own_ailment(const char *error, uint64_t member)
{
	uint64_t whose;

	if (strcmp(error, "etcdserver: no leader") == 0)
		return false;
	return sscanf(error, "memberID:%" SCNu64, &whose) != 1 || whose == member;
}

static const char *
state_of(const Etcdserverpb__StatusResponse *r, const Front *front, uint64_t lag)
{
	char *words[4];
	size_t n = 0;
	bool ill = false;

	for (size_t i = 0; i < r->n_errors; i++)
		ill |= is_own_ailment(r->errors[i], member_of(r));
	if (r->leader == 0)
		words[n++] = ctl_printf("no leader");
	if (r->raftterm < front->term)
		words[n++] = ctl_printf("old term");
	if (lag > MUCH_BEHIND)
		words[n++] = ctl_printf("lagging");
	if (ill)
		words[n++] = ctl_printf("ill");
	return n > 0 ? joined(words, n, ", ") : "ok";
}

static void
add_silent(Table *table, const Endpoint *endpoint, const char *error)
{
	const Etcdserverpb__Member *m = endpoint->member;
	bool started = *endpoint->address != '\0';

	table_add(table, (const char *const[]){
						 started ? endpoint->address : joined(m->peerurls, m->n_peerurls, ","),
						 m != NULL ? hex_id(m->id) : "", m != NULL && m->islearner ? "learner" : "",
						 started ? "unreachable" : "not started", "", "", "", "", "", "", "",
						 error != NULL ? error : ""});
}

static void
print_status_table(const Answers *a)
{
	static const char *const head[] = {"ENDPOINT", "ID",        "ROLE",       "STATE",
									   "LAG",      "RAFT TERM", "RAFT INDEX", "VERSION",
									   "DB SIZE",  "IN USE",    "QUOTA",      "ERRORS"};
	Table table = table_begin(head, lengthof(head));
	Front front = find_front(a);

	for (size_t i = 0; i < a->count; i++)
	{
		const Etcdserverpb__StatusResponse *r =
			(const Etcdserverpb__StatusResponse *) a->replies[i];
		uint64_t lag;

		if (r == NULL)
		{
			add_silent(&table, &a->endpoints[i], a->errors[i]);
			continue;
		}
		lag = front.index - Min(front.index, r->raftappliedindex);
		table_add(&table,
				  (const char *const[]){a->endpoints[i].address, hex_id(member_of(r)),
										r->leader == member_of(r) ? "leader"
										: r->islearner            ? "learner"
																  : "follower",
										state_of(r, &front, lag), decimal(lag),
										decimal(r->raftterm), decimal(r->raftindex), r->version,
										human_bytes(r->dbsize), human_bytes(r->dbsizeinuse),
										r->dbsizequota > 0 ? human_bytes(r->dbsizequota) : "",
										joined(r->errors, r->n_errors, ", ")});
	}
	print_table(&table);
}

/* ---- the command ---- */

static int
run_status(int argc, char **argv)
{
	Etcdserverpb__StatusRequest request = ETCDSERVERPB__STATUS_REQUEST__INIT;
	const Endpoint *endpoints;
	size_t count;
	Answers a;

	(void) argv;
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "endpoint status command accepts no arguments");
	endpoints = chosen_endpoints(ctl.format == OUTPUT_TABLE, &count);
	a = ask_all(endpoints, count, &status_method, &request.base,
				ctl.format == OUTPUT_TABLE ? NULL : "status");
	if (print_answers_encoded(&a, "Status"))
		return a.failed ? EXIT_ERROR : 0;
	if (ctl.format == OUTPUT_TABLE)
		print_status_table(&a);
	for (size_t i = 0; i < count; i++)
	{
		const Etcdserverpb__StatusResponse *r = (const Etcdserverpb__StatusResponse *) a.replies[i];

		if (r != NULL && ctl.format == OUTPUT_FIELDS)
			print_status_fields(r, endpoints[i].address);
		else if (r != NULL && ctl.format == OUTPUT_SIMPLE)
			print_status_row(r, endpoints[i].address);
	}
	return a.failed ? EXIT_ERROR : 0;
}

const Command status_command = {"status",
								NULL,
								"",
								"Size, role and positions of each endpoint",
								"As a table: who leads, who lags by how many entries, who is ill.",
								cluster_flags,
								run_status,
								NULL};
