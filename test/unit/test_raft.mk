UNIT_TESTS += test_raft
test_raft_OBJS := $(patsubst %.c,%.o,$(wildcard src/backend/raft/*.c))
test_raft_EXTRA := test/unit/check_failed.o
