UNIT_TESTS += test_space
test_space_EXTRA := test/unit/pages_fixture.o
test_space_OBJS := $(patsubst %.c,%.o,$(wildcard src/backend/btree/*.c src/backend/pagecache/*.c \
	src/backend/ipc/*.c src/backend/utils/*.c src/backend/port/*.c))
