UNIT_TESTS += test_btree
test_btree_EXTRA := test/unit/pages_fixture.o
test_btree_OBJS := $(patsubst %.c,%.o,$(wildcard src/backend/btree/*.c src/backend/pagecache/*.c \
	src/backend/ipc/*.c src/backend/utils/*.c src/backend/port/*.c))
