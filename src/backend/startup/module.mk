SERVER_OBJS += src/backend/startup/forcesingle.o
SERVER_OBJS += src/backend/startup/nodestart.o
