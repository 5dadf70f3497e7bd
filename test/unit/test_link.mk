UNIT_TESTS += test_link
test_link_OBJS := $(addprefix src/backend/consensus/,carrier.o peerframe.o) src/backend/net/link.o \
	$(patsubst %.c,%.o,$(wildcard src/backend/ipc/*.c src/backend/port/*.c)) \
	$(addprefix src/backend/utils/,log.o logline.o status.o units.o)
test_link_EXTRA := test/unit/ipc_fixture.o
