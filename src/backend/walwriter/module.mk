SERVER_OBJS += src/backend/walwriter/walwriter.o
