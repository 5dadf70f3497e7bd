UNIT_TESTS += test_snapshot
test_snapshot_EXTRA := test/sim/simdisk.o test/unit/node_fixture.o
