UNIT_TESTS += test_descriptors
test_descriptors_OBJS := gen/proto/any.pb-c.o gen/proto/auth.pb-c.o gen/proto/health.pb-c.o gen/proto/kv.pb-c.o gen/proto/rpc.pb-c.o gen/proto/status.pb-c.o gen/proto/v3election.pb-c.o gen/proto/v3lock.pb-c.o
