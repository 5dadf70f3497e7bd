# State snapshots between members.
SERVER_OBJS += src/backend/snapshot/incoming.o
SERVER_OBJS += src/backend/snapshot/receive.o
SERVER_OBJS += src/backend/snapshot/send.o
SERVER_OBJS += src/backend/snapshot/pack.o
