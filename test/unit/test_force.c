/*
 * test_force.c
 *	  --force-new-cluster: what a member that was one of several is after it.
 *
 * test/unit/test_force.c
 */
#include "rusd.h"

#include "../sim/simdisk.h"
#include "format/entry.h"
#include "raft/change.h"
#include "startup/startup.h"

#include "cmocka_all.h"

#define CLUSTER 77
#define SEGMENT (1024 * 1024)

typedef struct Add
{
	alignas(8) uint8_t payload[sizeof(EntryHeader) + sizeof(EntryMember) + sizeof(uint32_t)];
} Add;

/* A member that begins with these others, in a cluster of voters but for the learner. */
static SimDisk *
make_member(Shm *shm, const uint64_t *ids, uint32_t count, uint64_t own, uint64_t learner)
{
	SimDisk *disk = sim_disk_create(own);
	NodeBootstrap bootstrap = {.cluster_id = CLUSTER, .member_id = own, .entry_count = count};
	Add adds[8];
	InitialEntry entries[8];
	char message[256] = "";

	for (uint32_t i = 0; i < count; i++)
	{
		EntryMember member = {.member_id = ids[i],
							  .action = MEMBER_ADD,
							  .is_learner = ids[i] == learner,
							  .max_learners = 1,
							  .judged_at = i};

		memset(&adds[i], 0, sizeof(adds[i]));
		memcpy(adds[i].payload + sizeof(EntryHeader), &member, sizeof(member));
		entries[i] = (InitialEntry){ENTRY_MEMBER, {adds[i].payload, sizeof(adds[i].payload)}};
	}
	bootstrap.entries = entries;
	assert_int_equal(node_start(shm, &disk->ops, &bootstrap, message, sizeof(message)), RUSD_OK);
	assert_int_equal(shm->recovered->configuration.member_count, count);
	return disk;
}

static Shm *
make_shm(void)
{
	static const ShmLayout layout = {.slot_count = PROC_ESSENTIAL_COUNT + 1,
									 .wal_buffer_bytes = 512 * 1024,
									 .wal_segment_bytes = SEGMENT,
									 .frame_count = 64};
	Shm *shm;

	assert_int_equal(shm_create(&layout, false, &shm), RUSD_OK);
	return shm;
}

static void
expect_alone(const NodeRecovered *found, uint64_t own, uint64_t last_index)
{
	assert_int_equal(found->cluster_id, CLUSTER);
	assert_int_equal(found->member_id, own);
	assert_int_equal(found->configuration.member_count, 1);
	assert_int_equal(found->configuration.members[0].id, own);
	assert_int_equal(found->configuration.members[0].is_learner, 0);
	assert_int_equal(found->change_count, 0);
	assert_int_equal(found->last_index, last_index);
	assert_int_equal(found->hard_state.commit_index, last_index);
}

/* BOOT-37 */
static void
one_of_several_is_alone(void **state)
{
	static const uint64_t ids[] = {3, 5, 9, 11};
	Shm *shm = make_shm();
	char message[256] = "";
	uint32_t removed;

	(void) state;
	for (uint32_t own = 0; own < lengthof(ids); own++)
	{
		SimDisk *disk = make_member(shm, ids, lengthof(ids), ids[own], 9);
		uint64_t term = shm->recovered->hard_state.term;
		/* The learner is made a voter first. */
		uint64_t entries = 3 + (ids[own] == 9);

		assert_int_equal(node_force_single(shm, &disk->ops, &removed, message, sizeof(message)),
						 RUSD_OK);
		assert_int_equal(removed, 3);
		expect_alone(shm->recovered, ids[own], lengthof(ids) + entries);
		assert_true(shm->recovered->hard_state.term > term);
		/* A restart finds the same; the flag does nothing more. */
		sim_disk_power_cut(disk);
		assert_int_equal(node_start(shm, &disk->ops, NULL, message, sizeof(message)), RUSD_OK);
		assert_int_equal(node_force_single(shm, &disk->ops, &removed, message, sizeof(message)),
						 RUSD_OK);
		assert_int_equal(removed, 0);
		expect_alone(shm->recovered, ids[own], lengthof(ids) + entries);
		sim_disk_destroy(disk);
	}
	shm_destroy(shm);
}

/* All of its log counts, also what it does not know to be committed: a change of members there is done, then undone. */
static void
what_is_not_known_to_be_committed_counts(void **state)
{
	static const uint64_t ids[] = {3, 5};
	Shm *shm = make_shm();
	SimDisk *disk = make_member(shm, ids, lengthof(ids), 3, 0);
	EntryMember member = {.member_id = 6, .action = MEMBER_ADD, .max_learners = 1, .judged_at = 2};
	HardState hard_state = {.term = 4};
	Add add = {{0}};
	InitialEntry entry = {ENTRY_MEMBER, {add.payload, sizeof(add.payload)}};
	char message[256] = "";
	uint32_t removed;

	(void) state;
	memcpy(add.payload + sizeof(EntryHeader), &member, sizeof(member));
	assert_int_equal(wal_extend(&disk->ops, shm->recovered, &hard_state, &entry, 1), RUSD_OK);
	assert_int_equal(node_start(shm, &disk->ops, NULL, message, sizeof(message)), RUSD_OK);
	/* As if that were not committed. */
	shm->recovered->configuration.member_count = 2;
	shm->recovered->configuration.index = 2;
	shm->recovered->changes[0] = raft_change_of_entry(3, add.payload);
	shm->recovered->change_count = 1;
	shm->recovered->hard_state.commit_index = 2;
	assert_int_equal(node_force_single(shm, &disk->ops, &removed, message, sizeof(message)),
					 RUSD_OK);
	assert_int_equal(removed, 2);
	expect_alone(shm->recovered, 3, 5);
	assert_int_equal(shm->recovered->last_term, 5);
	sim_disk_destroy(disk);
	shm_destroy(shm);
}

static void
who_is_no_member_is_refused(void **state)
{
	static const uint64_t ids[] = {3, 5};
	Shm *shm = make_shm();
	SimDisk *disk = make_member(shm, ids, lengthof(ids), 4, 0);
	char message[256] = "";
	uint32_t removed;

	(void) state;
	assert_int_equal(node_force_single(shm, &disk->ops, &removed, message, sizeof(message)),
					 RUSD_INVALID);
	assert_non_null(strstr(message, "is not among the members"));
	sim_disk_destroy(disk);
	shm_destroy(shm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_of_several_is_alone),
		cmocka_unit_test(what_is_not_known_to_be_committed_counts),
		cmocka_unit_test(who_is_no_member_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
