FUZZ_TARGETS += fuzz_config_file
fuzz_config_file_OBJS := $(filter src/backend/utils/%,$(SERVER_OBJS))
fuzz_config_file_LIBS := $(UTILS_LIBS)
fuzz_config_file_OPTIONS := -max_len=4096
