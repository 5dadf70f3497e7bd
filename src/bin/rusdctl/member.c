/*
 * member.c
 *	  member list, add, remove, update, promote.
 *
 * src/bin/rusdctl/member.c
 */
#include "rusd_fe.h"

#include "ctl.h"

static const char *consistency = "l";
static const char *peer_urls_text = "";
static bool as_learner;

static Flag list_flags[] = {{"consistency", 0, FLAG_TEXT, &consistency, "\"l\"",
							 "linearizable (l) or serializable (s)", "l s", false},
							{0}};
static Flag add_flags[] = {{"learner", 0, FLAG_BOOL, &as_learner, NULL,
							"the new member does not vote until it is promoted", NULL, false},
						   {"peer-urls", 0, FLAG_TEXT, &peer_urls_text, NULL,
							"comma-separated URLs at which the others reach the member", NULL,
							false},
						   {0}};
static Flag update_flags[] = {{"peer-urls", 0, FLAG_TEXT, &peer_urls_text, NULL,
							   "comma-separated URLs that take the place of those it has", NULL,
							   false},
							  {0}};

/* ---- arguments ---- */

static uint64_t
member_id(int argc, char **argv)
{
	const char *why;
	uint64_t id;

	if (argc != 1)
		ctl_fail(EXIT_BAD_ARGS, "member ID is not provided");
	if (!parse_id(argv[0], &id, &why))
		ctl_fail(EXIT_BAD_ARGS, "bad member ID arg (%s), expecting ID in Hex", why);
	return id;
}

/* What etcd's client refuses to send, with its words; the server looks again (CLUSTER-20). */
static void
check_url(const char *url)
{
	static const char *const schemes[] = {"http://", "https://", "unix://", "unixs://"};
	const char *rest = NULL;

	for (size_t i = 0; i < lengthof(schemes); i++)
	{
		if (strncmp(url, schemes[i], strlen(schemes[i])) == 0)
			rest = url + strlen(schemes[i]);
	}
	if (rest == NULL)
		ctl_fail(EXIT_ERROR, "URL scheme must be http, https, unix, or unixs: %s", url);
	if (*url == 'u')
		return;
	if (strchr(rest, '/') != NULL)
		ctl_fail(EXIT_ERROR, "URL must not contain a path: %s", url);
	if (strrchr(rest, ':') == NULL || strrchr(rest, ':')[1] == '\0')
		ctl_fail(EXIT_ERROR, "URL address does not have the form \"host:port\": %s", url);
}

static char **
peer_urls(size_t *count)
{
	char *text = ctl_printf("%s", peer_urls_text);
	char **urls;
	size_t n = 1;

	if (*text == '\0')
		ctl_fail(EXIT_BAD_ARGS, "member peer urls not provided");
	for (const char *at = text; *at != '\0'; at++)
		n += *at == ',';
	urls = ctl_alloc(n * sizeof(*urls));
	*count = 0;
	for (char *one; (one = strsep(&text, ",")) != NULL;)
	{
		check_url(one);
		urls[(*count)++] = one;
	}
	return urls;
}

/* ---- output ---- */

static void
print_url_fields(const char *name, char *const *urls, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		printf("\"%s\" : ", name);
		print_quoted(urls[i], strlen(urls[i]));
		putchar('\n');
	}
}

static void
print_member_fields(const Etcdserverpb__Member *m)
{
	print_id_field("ID", m->id);
	printf("\"Name\" : ");
	print_quoted(m->name, strlen(m->name));
	putchar('\n');
	print_url_fields("PeerURL", m->peerurls, m->n_peerurls);
	print_url_fields("ClientURL", m->clienturls, m->n_clienturls);
	printf("\"IsLearner\" : %s\n\n", yes_no(m->islearner));
}

/* Simple, fields and table of a list of members; json and protobuf of the answer that it is in. */
static void
print_members(const ProtobufCMessage *reply, const Etcdserverpb__ResponseHeader *header,
			  Etcdserverpb__Member *const *members, size_t count)
{
	static const char *const head[] = {"ID",         "STATUS",       "NAME",
									   "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER"};
	Table table = table_begin(head, lengthof(head));

	if (print_encoded(reply))
		return;
	if (ctl.format == OUTPUT_FIELDS)
		print_header_fields(header);
	for (size_t i = 0; i < count; i++)
	{
		const Etcdserverpb__Member *m = members[i];

		if (ctl.format == OUTPUT_FIELDS)
			print_member_fields(m);
		table_add(&table, (const char *const[]){
							  hex_id(m->id), *m->name != '\0' ? "started" : "unstarted", m->name,
							  joined(m->peerurls, m->n_peerurls, ","),
							  joined(m->clienturls, m->n_clienturls, ","), yes_no(m->islearner)});
	}
	if (ctl.format == OUTPUT_TABLE)
		print_table(&table);
	else if (ctl.format == OUTPUT_SIMPLE)
		print_rows(&table);
}

/* "Member ID removed from cluster ID", else the list as it is now. */
static void
print_change(const ProtobufCMessage *reply, const Etcdserverpb__ResponseHeader *header,
			 Etcdserverpb__Member *const *members, size_t count, uint64_t id, const char *done)
{
	if (ctl.format == OUTPUT_SIMPLE)
		printf("Member %16" PRIx64 " %s cluster %16" PRIx64 "\n", id, done,
			   header != NULL ? header->cluster_id : 0);
	else
		print_members(reply, header, members, count);
}

/* The variables that the new member has to be started with. */
static void
print_environment(const Etcdserverpb__MemberAddResponse *reply, const char *name)
{
	const char *cluster = "";

	for (size_t i = 0; i < reply->n_members; i++)
	{
		const Etcdserverpb__Member *m = reply->members[i];

		for (size_t k = 0; k < m->n_peerurls; k++)
			cluster = ctl_printf("%s%s%s=%s", cluster, *cluster != '\0' ? "," : "",
								 m->id == reply->member->id ? name : m->name, m->peerurls[k]);
	}
	printf("\nETCD_NAME=");
	print_quoted(name, strlen(name));
	printf("\nETCD_INITIAL_CLUSTER=");
	print_quoted(cluster, strlen(cluster));
	printf("\nETCD_INITIAL_ADVERTISE_PEER_URLS=");
	print_quoted(peer_urls_text, strlen(peer_urls_text));
	puts("\nETCD_INITIAL_CLUSTER_STATE=\"existing\"");
}

/* ---- commands ---- */

static int
run_list(int argc, char **argv)
{
	Etcdserverpb__MemberListRequest request = ETCDSERVERPB__MEMBER_LIST_REQUEST__INIT;
	const Etcdserverpb__MemberListResponse *reply;

	(void) argv;
	if (argc != 0)
		ctl_fail(EXIT_BAD_ARGS, "member list command accepts no arguments");
	if (strcmp(consistency, "l") != 0 && strcmp(consistency, "s") != 0)
		ctl_fail(EXIT_UNSUPPORTED, "unknown consistency flag \"%s\"", consistency);
	request.linearizable = *consistency == 'l';
	reply = ctl_call(&member_list_method, &request.base);
	print_members(&reply->base, reply->header, reply->members, reply->n_members);
	return 0;
}

static int
run_add(int argc, char **argv)
{
	Etcdserverpb__MemberAddRequest request = ETCDSERVERPB__MEMBER_ADD_REQUEST__INIT;
	const Etcdserverpb__MemberAddResponse *reply;

	if (argc < 1)
		ctl_fail(EXIT_BAD_ARGS, "member name not provided");
	if (argc > 1 && strstr(argv[1], "://") != NULL)
		ctl_fail(EXIT_BAD_ARGS, "too many arguments, did you mean --peer-urls=%s", argv[1]);
	if (argc > 1)
		ctl_fail(EXIT_BAD_ARGS, "too many arguments");
	request.peerurls = peer_urls(&request.n_peerurls);
	request.islearner = as_learner;
	reply = ctl_call(&member_add_method, &request.base);
	if (reply->member == NULL)
		ctl_fail(EXIT_ERROR, "the server's answer names no member");
	print_change(&reply->base, reply->header, reply->members, reply->n_members, reply->member->id,
				 "added to");
	if (ctl.format == OUTPUT_SIMPLE)
		print_environment(reply, argv[0]);
	return 0;
}

static int
run_remove(int argc, char **argv)
{
	Etcdserverpb__MemberRemoveRequest request = ETCDSERVERPB__MEMBER_REMOVE_REQUEST__INIT;
	const Etcdserverpb__MemberRemoveResponse *reply;

	request.id = member_id(argc, argv);
	reply = ctl_call(&member_remove_method, &request.base);
	print_change(&reply->base, reply->header, reply->members, reply->n_members, request.id,
				 "removed from");
	return 0;
}

static int
run_update(int argc, char **argv)
{
	Etcdserverpb__MemberUpdateRequest request = ETCDSERVERPB__MEMBER_UPDATE_REQUEST__INIT;
	const Etcdserverpb__MemberUpdateResponse *reply;

	request.id = member_id(argc, argv);
	request.peerurls = peer_urls(&request.n_peerurls);
	reply = ctl_call(&member_update_method, &request.base);
	print_change(&reply->base, reply->header, reply->members, reply->n_members, request.id,
				 "updated in");
	return 0;
}

static int
run_promote(int argc, char **argv)
{
	Etcdserverpb__MemberPromoteRequest request = ETCDSERVERPB__MEMBER_PROMOTE_REQUEST__INIT;
	const Etcdserverpb__MemberPromoteResponse *reply;

	request.id = member_id(argc, argv);
	reply = ctl_call(&member_promote_method, &request.base);
	print_change(&reply->base, reply->header, reply->members, reply->n_members, request.id,
				 "promoted in");
	return 0;
}

static const Command add_command = {"add",
									NULL,
									"NAME",
									"Add a member",
									"Prints what the new member has to be started with.",
									add_flags,
									run_add,
									NULL};
static const Command list_command = {"list", NULL,       "",       "List the members",
									 NULL,   list_flags, run_list, NULL};
static const Command promote_command = {"promote", NULL, "ID",        "Let a learner vote",
										NULL,      NULL, run_promote, NULL};
static const Command remove_command = {"remove", NULL, "ID",       "Remove a member for ever",
									   NULL,     NULL, run_remove, NULL};
static const Command update_command = {
	"update", NULL, "ID", "Change the peer URLs of a member", NULL, update_flags, run_update, NULL};
static const Command *const member_group[] = {&add_command,    &list_command,   &promote_command,
											  &remove_command, &update_command, NULL};
const Command member_command = {"member", NULL, "",   "Commands about the members of the cluster",
								NULL,     NULL, NULL, member_group};
