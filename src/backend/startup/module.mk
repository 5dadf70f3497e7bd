SERVER_OBJS += src/backend/startup/nodestart.o
