UNIT_TESTS += test_utils
test_utils_OBJS := $(addprefix src/backend/utils/,arena.o log.o logline.o status.o units.o) src/backend/port/clock.o
test_utils_LIBS := -Wl,--wrap=malloc
