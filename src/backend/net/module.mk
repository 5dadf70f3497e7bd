SERVER_OBJS += src/backend/net/grpc.o
SERVER_OBJS += src/backend/net/gzip.o
SERVER_OBJS += src/backend/net/h2.o
SERVER_OBJS += src/backend/net/h2_send.o
SERVER_OBJS += src/backend/net/http1.o
SERVER_OBJS += src/backend/net/mem.o
SERVER_OBJS += src/backend/net/net.o
SERVER_OBJS += src/backend/net/link.o
