SERVER_OBJS += src/backend/utils/arena.o
SERVER_OBJS += src/backend/utils/config.o
SERVER_OBJS += src/backend/utils/config_check.o
SERVER_OBJS += src/backend/utils/config_derive.o
SERVER_OBJS += src/backend/utils/config_file.o
SERVER_OBJS += src/backend/utils/config_gates.o
SERVER_OBJS += src/backend/utils/config_help.o
SERVER_OBJS += src/backend/utils/config_params.o
SERVER_OBJS += src/backend/utils/config_tls.o
SERVER_OBJS += src/backend/utils/config_urls.o
SERVER_OBJS += src/backend/utils/log.o
SERVER_OBJS += src/backend/utils/logline.o
SERVER_OBJS += src/backend/utils/status.o
SERVER_OBJS += src/backend/utils/units.o

TOOL_COMMON_OBJS += src/backend/utils/status.o
TOOL_COMMON_OBJS += src/backend/utils/units.o
