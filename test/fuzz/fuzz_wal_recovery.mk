FUZZ_TARGETS += fuzz_wal_recovery
fuzz_wal_recovery_OBJS := $(patsubst %.c,%.o,$(wildcard src/backend/raft/*.c src/backend/wal/*.c src/backend/format/*.c \
	src/backend/ipc/*.c src/backend/utils/*.c src/backend/port/*.c)) test/sim/simdisk.o
fuzz_wal_recovery_LIBS := -lm $(UTILS_LIBS)
fuzz_wal_recovery_OPTIONS := -max_len=131073
