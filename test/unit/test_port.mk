UNIT_TESTS += test_port
test_port_OBJS := src/backend/port/clock.o src/backend/port/crc32c.o src/backend/port/fs_os.o
test_port_EXTRA := test/unit/check_failed.o
