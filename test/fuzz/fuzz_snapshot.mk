FUZZ_TARGETS += fuzz_snapshot
fuzz_snapshot_OPTIONS := -max_len=65536
