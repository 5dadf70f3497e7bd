UNIT_TESTS += test_config
test_config_OBJS := $(addprefix src/backend/utils/,arena.o config.o config_check.o config_derive.o \
	config_file.o config_gates.o config_help.o config_params.o config_tls.o config_urls.o log.o logline.o status.o units.o) \
	src/backend/port/clock.o
test_config_EXTRA := test/unit/config_fixture.o
