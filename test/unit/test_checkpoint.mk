UNIT_TESTS += test_checkpoint
test_checkpoint_EXTRA := test/unit/pages_fixture.o test/unit/memory_files.o
test_checkpoint_OBJS = $(test_btree_OBJS)
