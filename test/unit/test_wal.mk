UNIT_TESTS += test_wal
test_wal_OBJS := $(patsubst %.c,%.o,$(wildcard src/backend/raft/*.c src/backend/wal/*.c src/backend/format/*.c \
	src/backend/ipc/*.c src/backend/utils/*.c src/backend/port/*.c))
test_wal_EXTRA := test/sim/simdisk.o
