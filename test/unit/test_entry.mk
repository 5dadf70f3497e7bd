UNIT_TESTS += test_entry
test_entry_OBJS := src/backend/format/entry.o src/backend/format/entrycheck.o
test_entry_EXTRA := test/unit/check_failed.o
