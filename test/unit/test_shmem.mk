UNIT_TESTS += test_shmem test_latch test_ring test_publish
IPC_TEST_OBJS := $(addprefix src/backend/ipc/,shmem.o shmrestrict.o publish.o slot.o latch.o \
	waitevent.o ring.o link.o process.o title.o inject.o) \
	src/backend/utils/log.o src/backend/utils/logline.o src/backend/utils/status.o \
	src/backend/utils/units.o src/backend/port/clock.o
test_shmem_OBJS := $(IPC_TEST_OBJS)
test_latch_OBJS := $(IPC_TEST_OBJS)
test_ring_OBJS := $(IPC_TEST_OBJS)
test_publish_OBJS := $(IPC_TEST_OBJS)
test_shmem_EXTRA := test/unit/ipc_fixture.o
test_latch_EXTRA := test/unit/ipc_fixture.o
test_ring_EXTRA := test/unit/ipc_fixture.o
test_publish_EXTRA := test/unit/ipc_fixture.o
test_latch_LIBS := -pthread
test_ring_LIBS := -pthread
test_publish_LIBS := -pthread

# Rings, latches and published states between threads, under the thread sanitizer.
check-tsan:
	$(MAKE) --no-print-directory TSAN=1 check-unit UNIT="test_publish test_latch test_ring"
.PHONY: check-tsan
