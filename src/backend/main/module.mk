SERVER_OBJS += src/backend/main/main.o
