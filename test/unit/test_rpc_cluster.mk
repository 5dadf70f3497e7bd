UNIT_TESTS += test_rpc_cluster
test_rpc_cluster_EXTRA := test/unit/rpc_fixture.o test/unit/store_fixture.o
