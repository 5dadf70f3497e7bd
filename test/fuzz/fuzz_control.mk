FUZZ_TARGETS += fuzz_control
fuzz_control_OBJS := test/fuzz/one_file.o src/backend/pagecache/control.o src/backend/pagecache/files.o \
	src/backend/pagecache/map.o \
	src/backend/port/crc32c.o src/backend/port/fs_os.o test/unit/check_failed.o
