FUZZ_TARGETS += fuzz_page
fuzz_page_OBJS := test/fuzz/one_file.o $(patsubst %.c,%.o,$(wildcard src/backend/btree/*.c \
	src/backend/pagecache/*.c src/backend/ipc/*.c src/backend/utils/*.c src/backend/port/*.c))
fuzz_page_OPTIONS := -max_len=65536
fuzz_page_LIBS := $(UTILS_LIBS)
