UNIT_TESTS += test_rpc_txn
test_rpc_txn_EXTRA := test/unit/rpc_fixture.o test/unit/store_fixture.o
