SERVER_OBJS += src/backend/pager/pager.o
