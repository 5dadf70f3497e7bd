UNIT_TESTS += test_node_crash
test_node_crash_EXTRA := test/sim/simdisk.o test/unit/node_fixture.o
