SERVER_OBJS += src/backend/raft/raft.o
