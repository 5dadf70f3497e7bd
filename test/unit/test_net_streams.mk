UNIT_TESTS += test_net_streams
test_net_streams_EXTRA := test/unit/net_peer.o test/unit/check_failed.o
test_net_streams_OBJS := $(patsubst %.c,%.o,$(wildcard src/backend/net/*.c)) src/backend/utils/arena.o \
	src/backend/utils/status.o src/backend/port/clock.o
