FUZZ_TARGETS += fuzz_http2
fuzz_http2_OBJS := $(patsubst %.c,%.o,$(wildcard src/backend/net/*.c)) src/backend/utils/arena.o \
	src/backend/utils/status.o src/backend/port/clock.o test/fuzz/fuzz_net.o test/unit/check_failed.o
fuzz_http2_LIBS := -lnghttp2 -lhttp_parser -lz
fuzz_http2_OPTIONS := -max_len=16384
