UNIT_TESTS += test_force
test_force_EXTRA := test/sim/simdisk.o
