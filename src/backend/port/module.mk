SERVER_OBJS += src/backend/port/clock.o
SERVER_OBJS += src/backend/port/crc32c.o
SERVER_OBJS += src/backend/port/fs_os.o
SERVER_OBJS += src/backend/port/srv.o

TOOL_COMMON_OBJS += src/backend/port/clock.o
TOOL_COMMON_OBJS += src/backend/port/crc32c.o
TOOL_COMMON_OBJS += src/backend/port/fs_os.o
TOOL_COMMON_OBJS += src/backend/port/srv.o
