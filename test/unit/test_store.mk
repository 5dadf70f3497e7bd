# The store's tests share a fixture, a model and the modules below the store.
STORE_TESTS := test_store test_range test_txn test_compact test_hash
UNIT_TESTS += $(STORE_TESTS)
STORE_TEST_OBJS := $(patsubst %.c,%.o,$(wildcard src/backend/store/*.c src/backend/btree/*.c \
	src/backend/pagecache/*.c src/backend/ipc/*.c src/backend/utils/*.c src/backend/port/*.c \
	src/backend/format/*.c))
$(foreach test,$(STORE_TESTS),$(eval $(test)_OBJS := $(STORE_TEST_OBJS)) \
	$(eval $(test)_EXTRA := test/unit/store_fixture.o))

# Not a test: what it costs.  make build/gcc/test/unit/bench_store
$(BUILD)/test/unit/bench_store: $(BUILD)/test/unit/bench_store.o \
	$(addprefix $(BUILD)/,$(STORE_TEST_OBJS)) $(BUILD)/test/unit/store_fixture.o
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(SERVER_LIBS) $(TEST_LIBS)
