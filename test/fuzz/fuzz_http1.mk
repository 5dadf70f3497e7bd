FUZZ_TARGETS += fuzz_http1
fuzz_http1_OBJS := $(patsubst %.c,%.o,$(wildcard src/backend/net/*.c)) src/backend/utils/arena.o \
	src/backend/utils/status.o src/backend/port/clock.o test/fuzz/fuzz_net.o test/unit/check_failed.o
fuzz_http1_LIBS := -lnghttp2 -lhttp_parser -lz
fuzz_http1_OPTIONS := -max_len=16384
