SERVER_OBJS += src/backend/checkpointer/checkpointer.o
