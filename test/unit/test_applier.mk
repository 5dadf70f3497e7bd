UNIT_TESTS += test_applier
test_applier_OBJS := $(patsubst %.c,%.o,$(wildcard src/backend/store/*.c src/backend/btree/*.c \
	src/backend/pagecache/*.c src/backend/ipc/*.c src/backend/utils/*.c src/backend/port/*.c \
	src/backend/format/*.c src/backend/raft/*.c src/backend/wal/*.c src/backend/snapshot/*.c)) src/backend/applier/answers.o \
	src/backend/applier/applier.o src/backend/applier/holders.o src/backend/applier/install.o \
	src/backend/applier/room.o \
	src/backend/applier/upkeep.o
