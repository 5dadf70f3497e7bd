# Pages: frames, places in the data file, checkpoints.
SERVER_OBJS += src/backend/pagecache/bitmap.o
SERVER_OBJS += src/backend/pagecache/checkpoint.o
SERVER_OBJS += src/backend/pagecache/control.o
SERVER_OBJS += src/backend/pagecache/files.o
SERVER_OBJS += src/backend/pagecache/map.o
SERVER_OBJS += src/backend/pagecache/page.o
SERVER_OBJS += src/backend/pagecache/pinset.o
SERVER_OBJS += src/backend/pagecache/space.o

TOOL_COMMON_OBJS += src/backend/pagecache/control.o
