FUZZ_TARGETS += fuzz_config_file
fuzz_config_file_OPTIONS := -max_len=4096
