UNIT_TESTS += test_session_memory
test_session_memory_EXTRA := test/unit/check_failed.o
test_session_memory_OBJS := src/backend/session/memory.o
test_session_memory_LIBS := -lpthread
