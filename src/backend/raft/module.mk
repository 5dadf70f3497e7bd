SERVER_OBJS += $(addprefix src/backend/raft/, raft.o raftlog.o election.o follower.o leader.o commit.o read.o members.o change.o)
