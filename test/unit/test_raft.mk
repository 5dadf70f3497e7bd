UNIT_TESTS += test_raft
test_raft_OBJS := src/backend/raft/raft.o
test_raft_EXTRA := test/unit/check_failed.o
