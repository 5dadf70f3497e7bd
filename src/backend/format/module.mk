SERVER_OBJS += src/backend/format/entry.o
SERVER_OBJS += src/backend/format/entrycheck.o
SERVER_OBJS += src/backend/format/walformat.o

TOOL_COMMON_OBJS += src/backend/format/entry.o
TOOL_COMMON_OBJS += src/backend/format/entrycheck.o
TOOL_COMMON_OBJS += src/backend/format/walformat.o
