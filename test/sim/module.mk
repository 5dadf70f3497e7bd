# Simulations: programs that print TAP, one seed repeats a run.
#
#	make check-sim-wal              SEEDS=1000
#	make check-sim-wal-long         200,000 seeds
#	build/<variant>/test/sim/test_wal_crash --first 4711 --seeds 1     repeats one

SEEDS ?= 1000
SIM_OBJS := $(addprefix $(BUILD)/,$(patsubst %.c,%.o,$(wildcard src/backend/wal/*.c src/backend/format/*.c \
	src/backend/ipc/*.c src/backend/utils/*.c src/backend/port/*.c)))

$(BUILD)/test/sim/test_wal_crash: $(BUILD)/test/sim/test_wal_crash.o $(BUILD)/test/sim/simdisk.o $(SIM_OBJS)
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ -lm

check-sim-wal: $(BUILD)/test/sim/test_wal_crash
	@test/run-tap -t 1800 "$< --seeds $(SEEDS)"

check-sim-wal-long: $(BUILD)/test/sim/test_wal_crash
	@test/run-tap -t 3600 "$< --seeds 200000"

.PHONY: check-sim-wal check-sim-wal-long
CHECK_TARGETS += check-sim-wal
