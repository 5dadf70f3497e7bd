UNIT_TESTS += test_config_file
test_config_file_OBJS := $(test_config_OBJS)
test_config_file_EXTRA := test/unit/config_fixture.o
