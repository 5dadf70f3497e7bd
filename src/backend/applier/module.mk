SERVER_OBJS += src/backend/applier/answers.o
SERVER_OBJS += src/backend/applier/holders.o
SERVER_OBJS += src/backend/applier/install.o
SERVER_OBJS += src/backend/applier/room.o
SERVER_OBJS += src/backend/applier/applier.o
SERVER_OBJS += src/backend/applier/appliermain.o
SERVER_OBJS += src/backend/applier/upkeep.o
