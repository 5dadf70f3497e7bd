FUZZ_TARGETS += fuzz_protobuf
fuzz_protobuf_OPTIONS := -max_len=16384
