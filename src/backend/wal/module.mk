SERVER_OBJS += src/backend/wal/appender.o
SERVER_OBJS += src/backend/wal/build.o
SERVER_OBJS += src/backend/wal/extend.o
SERVER_OBJS += src/backend/wal/initialize.o
SERVER_OBJS += src/backend/wal/prepare.o
SERVER_OBJS += src/backend/wal/reader.o
SERVER_OBJS += src/backend/wal/recovery.o
SERVER_OBJS += src/backend/wal/rewrite.o
SERVER_OBJS += src/backend/wal/segment.o
SERVER_OBJS += src/backend/wal/writer.o

TOOL_COMMON_OBJS += src/backend/wal/segment.o
