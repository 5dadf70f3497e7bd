UNIT_TESTS += test_rpc_stream
test_rpc_stream_EXTRA := test/unit/rpc_fixture.o test/unit/store_fixture.o
