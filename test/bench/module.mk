# Speed and memory beside etcd and nghttpd (README here).  Not a test: prints figures and ratios.

$(BUILD)/test/bench/load: $(BUILD)/test/bench/load.o $(BUILD)/src/backend/port/crc32c.o
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(NGHTTP2_LIBS) $(CRYPTO_LIBS)

# A server of net/ alone, to see what the wire costs.
$(BUILD)/test/bench/bench_net: $(BUILD)/test/bench/bench_net.o $(BUILD)/librusd.a
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(SERVER_LIBS)

BENCH ?=
bench: $(BUILD)/rusd $(BUILD)/test/bench/load
	@test/bench/bench.py --server $(BUILD)/rusd --load $(BUILD)/test/bench/load $(BENCH)
.PHONY: bench

# Wakes, rings and the start of a backend, without the rest of the node.
$(BUILD)/test/bench/bench_ipc: $(BUILD)/test/bench/bench_ipc.o $(BUILD)/librusd.a
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(SERVER_LIBS)

# Gets and puts of the tree alone: no log, no network.
$(BUILD)/test/bench/bench_btree: $(BUILD)/test/bench/bench_btree.o $(BUILD)/librusd.a
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(SERVER_LIBS)

# The consensus core alone.
$(BUILD)/test/bench/bench_raft: $(BUILD)/test/bench/bench_raft.o $(BUILD)/test/unit/check_failed.o \
		$(addprefix $(BUILD)/,$(patsubst %.c,%.o,$(wildcard src/backend/raft/*.c)))
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^
