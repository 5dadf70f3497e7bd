UNIT_TESTS += test_decode
test_decode_OBJS := src/backend/rpc/decode.o src/backend/utils/arena.o src/backend/utils/status.o gen/proto/auth.pb-c.o gen/proto/kv.pb-c.o gen/proto/rpc.pb-c.o
