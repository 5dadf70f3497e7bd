FUZZ_TARGETS += fuzz_entry
fuzz_entry_OBJS := src/backend/format/entry.o src/backend/format/entrycheck.o test/unit/check_failed.o
