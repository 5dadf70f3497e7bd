SERVER_OBJS += src/backend/cluster/ids.o
