UNIT_TESTS += test_rpc
test_rpc_EXTRA := test/unit/rpc_fixture.o test/unit/store_fixture.o
