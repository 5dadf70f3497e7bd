/*
 * test_ids.c
 *	  Ids of members and clusters are those that etcd derives.
 *
 * test/unit/test_ids.c
 */
#include "rusd.h"

#include "cluster/ids.h"

#include "cmocka_all.h"

/* CLUSTER-1, CLUSTER-2: what etcd shows when it is started without any flag. */
static void
test_default_member(void **state)
{
	char url[] = "http://localhost:2380";
	char *urls[] = {url};
	uint64_t id = member_id_compute(urls, 1, "etcd-cluster");

	(void) state;
	assert_true(id == UINT64_C(0x8e9e05c52164694d));
	assert_true(cluster_id_compute(&id, 1) == UINT64_C(0xcdf818194e3a8c32));
	assert_true(member_id_compute(urls, 1, "") != id);
}

static void
test_order_does_not_matter(void **state)
{
	char a[] = "http://a:1";
	char b[] = "http://b:1";
	char *urls[] = {a, b};
	char *turned[] = {urls[1], urls[0]};
	uint64_t ids[] = {1, UINT64_MAX, 77};
	uint64_t turned_ids[] = {77, 1, UINT64_MAX};

	(void) state;
	assert_true(member_id_compute(urls, 2, "t") == member_id_compute(turned, 2, "t"));
	assert_true(member_id_compute(urls, 2, "t") != member_id_compute(urls, 1, "t"));
	assert_true(cluster_id_compute(ids, 3) == cluster_id_compute(turned_ids, 3));
	assert_true(cluster_id_compute(ids, 3) != cluster_id_compute(ids, 2));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_default_member),
									   cmocka_unit_test(test_order_does_not_matter)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
