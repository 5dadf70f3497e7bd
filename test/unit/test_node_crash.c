/*
 * test_node_crash.c
 *	  A node loses its power in each call that changes its disk, and is started again: what the simulator
 *	  would meet too seldom.
 *
 * test/unit/test_node_crash.c
 */
#include "rusd.h"

#include "cmocka_all.h"
#include "node_fixture.h"
#include "utils/log.h"

#define PUTS 40

static int64_t
revision_of(const Node *node)
{
	RootState root;

	shm_root_read(node->shm, &root);
	return root.revision;
}

/* The newest revision is a deletion: a compaction at it leaves no record of it. */
static void
make_deleted(Node *node, SimDisk *disk)
{
	assert_int_equal(node_begin(node, disk, 1), RUSD_OK);
	add_member(node, 1, 0);
	assert_int_equal(put_many(node, 0, PUTS, 0), RUSD_OK);
	assert_int_equal(delete_key(node, PUTS - 1), RUSD_OK);
	assert_int_equal(commit(node), RUSD_OK);
	assert_int_equal(checkpoint(node), RUSD_OK);
}

/*
 * etcd's "revision going back": a crash in a compaction that had removed the newest record, a tombstone, made the next
 * start take the revision before it for the newest (KV-2, COMPACT-6).
 */
static void
a_crash_in_compaction_takes_no_revision_back(void **state)
{
	Pair *pair = *state;
	Node *node = &pair->source;
	bool finished = false;
	int64_t revision;

	make_deleted(node, pair->disks[0]);
	revision = revision_of(node);
	assert_int_equal(revision, 1 + PUTS + 1);
	node_stop(node);
	sim_disk_kill(pair->disks[0]);
	for (uint64_t calls = 0; !finished; calls++)
	{
		SimDisk *disk = sim_disk_copy(pair->disks[0], calls + 1);

		assert_true(calls < 2000);
		assert_int_equal(node_begin(node, disk, 1), RUSD_OK);
		disk->power_left = calls;
		finished = compact(node, revision) == RUSD_OK && commit(node) == RUSD_OK &&
				   checkpoint(node) == RUSD_OK;
		assert_true(finished || disk->is_cut);
		restart(node, 1);
		assert_int_equal(revision_of(node), revision);
		assert_int_equal(put(node, 1, 1, 10), RUSD_OK);
		assert_int_equal(commit(node), RUSD_OK);
		assert_int_equal(revision_of(node), revision + 1);
		node_stop(node);
		sim_disk_destroy(disk);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_crash_in_compaction_takes_no_revision_back, pair_set_up,
										pair_tear_down),
	};

	(void) log_open("fatal", "json", "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
