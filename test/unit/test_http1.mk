UNIT_TESTS += test_http1
test_http1_EXTRA := test/unit/check_failed.o
test_http1_OBJS := $(patsubst %.c,%.o,$(wildcard src/backend/net/*.c)) src/backend/utils/arena.o \
	src/backend/utils/status.o src/backend/port/clock.o
