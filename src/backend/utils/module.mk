SERVER_OBJS += src/backend/utils/arena.o
SERVER_OBJS += src/backend/utils/config.o
SERVER_OBJS += src/backend/utils/log.o
SERVER_OBJS += src/backend/utils/logline.o
SERVER_OBJS += src/backend/utils/status.o
SERVER_OBJS += src/backend/utils/units.o

TOOL_COMMON_OBJS += src/backend/utils/status.o
TOOL_COMMON_OBJS += src/backend/utils/units.o
