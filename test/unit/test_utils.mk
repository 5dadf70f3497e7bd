UNIT_TESTS += test_utils
test_utils_OBJS := $(addprefix src/backend/utils/,arena.o log.o logline.o status.o units.o)
test_utils_LIBS := -Wl,--wrap=malloc
