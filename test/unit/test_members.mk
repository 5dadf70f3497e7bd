UNIT_TESTS += test_members
test_members_OBJS := $(addprefix src/backend/consensus/,consensus.o tell.o intake.o judge.o append.o \
	inbox.o outbox.o forward.o requests.o reads.o handover.o takeover.o own.o health.o peers.o) \
	$(patsubst %.c,%.o,$(wildcard src/backend/raft/*.c src/backend/wal/*.c src/backend/format/*.c \
	src/backend/ipc/*.c src/backend/port/*.c)) $(addprefix src/backend/utils/,log.o logline.o status.o units.o)
test_members_EXTRA := test/unit/ipc_fixture.o
