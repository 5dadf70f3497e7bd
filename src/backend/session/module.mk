SERVER_OBJS += src/backend/session/memory.o
SERVER_OBJS += src/backend/session/secure.o
SERVER_OBJS += src/backend/session/session.o
