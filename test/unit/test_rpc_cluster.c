/*
 * test_rpc_cluster.c
 *	  Members and maintenance of the cluster, as one backend sees them.
 *
 * test/unit/test_rpc_cluster.c
 */
#include "rusd.h"

#include "rpc_fixture.h"

#include "cmocka_all.h"

/* CLUSTER-20 */
static void
test_member_urls(void **state)
{
	static const struct
	{
		const char *text;
		const char *kept; /* NULL: refused */
	} cases[] = {
		{"http://127.0.0.1:9", "http://127.0.0.1:9"},
		{" HTTPS://Host:9\t", "https://Host:9"},
		{"http://[::1]:80", "http://[::1]:80"},
		{"http://:99999", "http://:99999"},
		{"http://user@host:1?x=1#y", "http://user@host:1?x=1#y"},
		{"unix:///tmp/a", "unix:///tmp/a"},
		{"unixs://a", "unixs://a"},
		{"", NULL},
		{"127.0.0.1:9", NULL},
		{"http://127.0.0.1", NULL},
		{"http://127.0.0.1:9/", NULL},
		{"http://127.0.0.1:9/path?x", NULL},
		{"http://::1:80", NULL},
		{"http://[::1:80", NULL},
		{"http://[::1]", NULL},
		{"http://a:b", NULL},
		{"http://a b:1", NULL},
		{"http:a:1", NULL},
		{"ftp://127.0.0.1:9", NULL},
		{"://", NULL},
		{"http", NULL},
		{"httpx://a:1", NULL},
		{"unix:///tmp/a b", NULL},
	};
	char two[2][16] = {"http://b:1", "http://a:1"};
	char *urls[MEMBER_URLS_MAX + 1];

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		char buffer[64];

		snprintf(buffer, sizeof(buffer), "%s", cases[i].text);
		urls[0] = buffer;
		if (cases[i].kept == NULL)
			assert_int_equal(member_urls_check(urls, 1), RUSD_MEMBER_BAD_URLS);
		else
		{
			assert_int_equal(member_urls_check(urls, 1), RUSD_OK);
			assert_string_equal(urls[0], cases[i].kept);
		}
	}
	/* CLUSTER-6 */
	urls[0] = two[0];
	urls[1] = two[1];
	assert_int_equal(member_urls_check(urls, 2), RUSD_OK);
	assert_string_equal(urls[0], "http://a:1");
	assert_int_equal(member_urls_check(urls, 0), RUSD_MEMBER_BAD_URLS);
	for (size_t i = 0; i < lengthof(urls); i++)
		urls[i] = two[0];
	assert_int_equal(member_urls_check(urls, lengthof(urls)), RUSD_MEMBER_BAD_URLS);
}

static void
add_member(uint64_t id, bool learner, const char *name)
{
	struct
	{
		EntryMember head;
		uint32_t name_length;
		char name[4];
	} entry = {.head = {.member_id = id, .action = MEMBER_ADD, .is_learner = learner}};
	size_t length = strlen(name);

	entry.head.name_length = entry.name_length = (uint32_t) length;
	memcpy(entry.name, name, length);
	(void) fixture_entry(fixture, ENTRY_MEMBER, &entry, offsetof(__typeof__(entry), name) + length);
	store_publish(fixture->store);
}

/* CLUSTER-21, CLUSTER-22, CLUSTER-30, CLUSTER-51, by a member that is connected to nobody. */
static void
test_strict_reconfig(void **state)
{
	static const EntryMember voter = {.action = MEMBER_ADD, .member_id = 99};
	static const EntryMember learner = {.action = MEMBER_ADD, .member_id = 99, .is_learner = 1};
	EntryMember remove = {.action = MEMBER_REMOVE};
	EntryMember promote = {.action = MEMBER_PROMOTE, .member_id = 3};
	Snapshot snapshot;

	(void) state;
#define EXPECT(change, status)                                                                     \
	do                                                                                             \
	{                                                                                              \
		snapshot = fixture_snapshot(fixture);                                                      \
		assert_int_equal(reconfig_check(rpc, &snapshot, change), status);                          \
		snapshot_unpin(&snapshot);                                                                 \
	} while (0)
	config.strict_reconfig_check = true;
	add_member(MEMBER_ID, false, "me");
	EXPECT(&voter, RUSD_OK);
	EXPECT(&learner, RUSD_OK);
	remove.member_id = MEMBER_ID;
	EXPECT(&remove, RUSD_NOT_ENOUGH_STARTED);
	add_member(3, true, "");
	remove.member_id = 3;
	EXPECT(&remove, RUSD_OK);
	EXPECT(&promote, RUSD_OK);
	add_member(1, false, "");
	EXPECT(&voter, RUSD_NOT_ENOUGH_STARTED);
	EXPECT(&learner, RUSD_UNHEALTHY);
	remove.member_id = MEMBER_ID;
	EXPECT(&remove, RUSD_NOT_ENOUGH_STARTED);
	/* Not connected: it is no part of the quorum that there is. */
	remove.member_id = 1;
	EXPECT(&remove, RUSD_OK);
	add_member(2, false, "two");
	EXPECT(&promote, RUSD_OK);
	EXPECT(&voter, RUSD_NOT_ENOUGH_STARTED);
	add_member(4, false, "");
	EXPECT(&promote, RUSD_OK);
	add_member(5, false, "");
	EXPECT(&promote, RUSD_NOT_ENOUGH_STARTED);
	config.strict_reconfig_check = false;
	EXPECT(&voter, RUSD_OK);
	EXPECT(&promote, RUSD_OK);
#undef EXPECT
}

static EntryMember
refuse_change(Status status)
{
	uint8_t bytes[PROPOSAL_PIECE_MAX];
	EntryMember entry;

	(void) refuse_proposal(ENTRY_MEMBER, status, bytes);
	memcpy(&entry, bytes + sizeof(EntryHeader), sizeof(entry));
	return entry;
}

/* CLUSTER-10 to CLUSTER-14 */
static void
test_member_changes(void **state)
{
	Etcdserverpb__MemberAddRequest add = ETCDSERVERPB__MEMBER_ADD_REQUEST__INIT;
	Etcdserverpb__MemberRemoveRequest remove = ETCDSERVERPB__MEMBER_REMOVE_REQUEST__INIT;
	Etcdserverpb__MemberAddResponse *response;
	RaftConfiguration configuration = {.index = 1, .member_count = 1};
	char first_url[] = "http://b:1";
	char second_url[] = "HTTP://a:1";
	char *urls[] = {first_url, second_url};
	EntryMember first, second;
	Client *client;

	(void) state;
	config.strict_reconfig_check = true;
	config.max_learners = 1;
	add_member(MEMBER_ID, false, "me");
	shm_configuration_write(fixture->shm, &configuration);
	add.n_peerurls = lengthof(urls);
	add.peerurls = urls;
	client = call_begin("/etcdserverpb.Cluster/MemberAdd", &add);
	first = refuse_change(RUSD_AGAIN);
	assert_int_equal(first.judged_at, 1);
	assert_int_equal(first.max_learners, 1);
	/* Judged anew, by the configuration that is there now; not before that is applied. */
	configuration.index = fixture->index + 1;
	shm_configuration_write(fixture->shm, &configuration);
	turn();
	turn();
	assert_int_equal(rpc->writer.outstanding, 0);
	(void) fixture_put(fixture, "a", "b");
	store_publish(fixture->store);
	turn();
	assert_int_equal(rpc->writer.outstanding, 1);
	second = refuse_change(RUSD_LEADER_CHANGED);
	assert_int_equal(second.judged_at, configuration.index);
	assert_true(second.member_id == first.member_id);
	/* No limit of time but the client's. */
	later(100 * SECOND);
	serve_until(client);
	assert_string_equal(client->text, "");
	response =
		etcdserverpb__member_add_response__unpack(NULL, client->reply.length, client->reply.data);
	assert_non_null(response);
	assert_int_equal(response->header->revision, 0);
	assert_true(response->member->id == first.member_id);
	assert_string_equal(response->member->peerurls[0], "http://a:1");
	assert_int_equal(response->n_members, 2);
	etcdserverpb__member_add_response__free_unpacked(response, NULL);
	call_end(client);
	/* What is judged wrong is not proposed. */
	config.strict_reconfig_check = false;
	add.n_peerurls = 1;
	expect_failure(call_begin("/etcdserverpb.Cluster/MemberAdd", &add), RUSD_PEER_URL_EXISTS);
	remove.id = 12345;
	expect_failure(call_begin("/etcdserverpb.Cluster/MemberRemove", &remove),
				   RUSD_MEMBER_NOT_FOUND);
	assert_int_equal(serve(), 0);
	/* CLUSTER-70: without a leader it waits for as long as the client does. */
	control.leader_id = 0;
	control.reads_are_local = 0;
	set_control();
	client = call_begin("/etcdserverpb.Cluster/MemberRemove", &remove);
	later(100 * SECOND);
	assert_false(client->answered);
	call_end(client);
}

/* MAINT-40 to MAINT-42 */
static void
test_move_leader(void **state)
{
	Etcdserverpb__MoveLeaderRequest request = ETCDSERVERPB__MOVE_LEADER_REQUEST__INIT;
	static const char path[] = "/etcdserverpb.Maintenance/MoveLeader";
	Client *clients[3];

	(void) state;
	request.targetid = 8;
	for (int i = 0; i < 3; i++)
	{
		uint8_t bytes[PROPOSAL_PIECE_MAX];
		EntryTransfer transfer;
		ProposalPiece piece;
		Reply reply;

		clients[i] = call_begin(path, &request);
		assert_int_equal(proposal_take(fixture->shm, fixture->slot, &piece, bytes), RUSD_OK);
		assert_int_equal(piece.kind, ENTRY_TRANSFER);
		memcpy(&transfer, bytes + sizeof(EntryHeader), sizeof(transfer));
		assert_int_equal(transfer.target, 8);
		reply = (Reply){.sequence = piece.sequence,
						.generation = atomic_load_explicit(
							&fixture->shm->heads[fixture->slot].generation, memory_order_relaxed),
						.status = i == 0 ? RUSD_BAD_TRANSFEREE : RUSD_OK};
		reply_put(fixture->shm, fixture->shm->raft_replies, fixture->slot, &reply);
		turn();
	}
	expect_failure(clients[0], RUSD_BAD_TRANSFEREE);
	clients[1]->call.deadline_ns = now_ns + 10 * SECOND;
	later(10 * SECOND);
	expect_failure(clients[1], RUSD_TRANSFER_TIMEOUT);
	assert_false(clients[2]->answered);
	control.leader_id = 8;
	control.role = ROLE_FOLLOWER;
	set_control();
	turn();
	assert_true(clients[2]->answered);
	assert_int_equal(clients[2]->reply.length, 0);
	call_end(clients[2]);
	expect_failure(call_begin(path, &request), RUSD_NOT_LEADER);
}

/* MAINT-60, MAINT-61, MAINT-64 */
static void
test_downgrade(void **state)
{
	static const char *const good[] = {"3.6",        "3.6.0",   "03.6.99",
									   "3.6.0-rc.1", "3.6.0+x", "3.6.0-a-b+x"};
	static const char *const other[] = {"3.7", "3.5", "4.0", "2.6.0", "3.9223372036854775807"};
	static const char *const bad[] = {
		"",      "3",      "3.",     "3.x",     "v3.6",
		"3.6 ",  "3.6.",   "3.6.x",  "3.6.0.0", "-3.6",
		"3.6+x", "3.6-rc", "3.6.0-", "3.6.0-.", "3.9223372036854775808"};
	Etcdserverpb__DowngradeRequest request = ETCDSERVERPB__DOWNGRADE_REQUEST__INIT;
	static const char path[] = "/etcdserverpb.Maintenance/Downgrade";
	Client *client;

	(void) state;
	for (size_t i = 0; i < lengthof(good); i++)
	{
		request.version = (char *) (uintptr_t) good[i];
		client = call_begin(path, &request);
		assert_true(client->answered);
		assert_string_equal(client->text, "");
		call_end(client);
	}
	for (size_t i = 0; i < lengthof(other); i++)
	{
		request.version = (char *) (uintptr_t) other[i];
		expect_failure(call_begin(path, &request), RUSD_INVALID_DOWNGRADE_TARGET);
	}
	for (size_t i = 0; i < lengthof(bad); i++)
	{
		request.version = (char *) (uintptr_t) bad[i];
		expect_failure(call_begin(path, &request), RUSD_BAD_DOWNGRADE_VERSION);
	}
	request.action = ETCDSERVERPB__DOWNGRADE_REQUEST__DOWNGRADE_ACTION__ENABLE;
	request.version = (char *) (uintptr_t) good[0];
	expect_failure(call_begin(path, &request), RUSD_INVALID_DOWNGRADE_TARGET);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_member_urls), TEST(test_strict_reconfig), TEST(test_member_changes),
		TEST(test_move_leader), TEST(test_downgrade),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
