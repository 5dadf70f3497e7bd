# Simulations; one seed repeats a run.
#
#	make check-sim                  SEEDS=2000 FIRST=1 JOBS=2: clusters of the node's real parts (doc/simulator.md)
#	make check-sim FAULT=name       the same with a mistake switched in (src/include/port/faultlist.h)
#	make check-sim-raft             SEEDS=200 FIRST=1: the consensus core alone
#	make check-scenarios            named scenarios of the core, told and compared
#	make check-mutations-core       each mistake that lies in the core is caught there
#	make check-mutations            each mistake is caught where mutations.txt says
#	make check-mutations-unit       those of them that a unit test catches
#	make check-sim-compilers        gcc and clang give the same runs, step by step
#	make check-sim-wal              SEEDS=1000
#	make check-sim-wal-long         200,000 seeds
#	build/<variant>/test/sim/test_wal_crash --first 4711 --seeds 1     repeats one

SIM_OBJS := $(addprefix $(BUILD)/,$(patsubst %.c,%.o,$(wildcard src/backend/raft/*.c src/backend/wal/*.c src/backend/format/*.c \
	src/backend/ipc/*.c src/backend/utils/*.c src/backend/port/*.c)))

$(BUILD)/test/sim/test_wal_crash: $(BUILD)/test/sim/test_wal_crash.o $(BUILD)/test/sim/simdisk.o $(SIM_OBJS)
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(UTILS_LIBS) -lm

# ---- whole clusters: doc/simulator.md ----
SIMULATOR_OBJS := $(addprefix $(BUILD)/test/sim/,simulator.o world.o member.o observe.o client.o workload.o chaos.o model.o \
	logcheck.o said.o network.o transfer.o trace.o simdisk.o)

$(BUILD)/test/sim/simulator: $(SIMULATOR_OBJS) $(BUILD)/librusd.a
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(SERVER_LIBS)

FIRST ?= 1
JOBS ?= 2
SIMULATOR := $(if $(FAULT),$(if $(FAULTS),$(BUILD),$(BUILD)-faults),$(BUILD))/test/sim/simulator
ifndef FAULTS
$(BUILD)-faults/test/sim/simulator: FORCE
	+@$(MAKE) --no-print-directory FAULTS=1 FAULT= $@
endif

check-sim: $(SIMULATOR)
	@$< --seeds $(or $(SEEDS),2000) --first $(FIRST) --jobs $(JOBS) $(if $(FAULT),--fault $(FAULT))

CORE_OBJS := $(addprefix $(BUILD)/,test/sim/coremodel.o test/sim/corecheck.o test/sim/corelease.o test/sim/corelog.o test/sim/coretell.o \
	test/unit/check_failed.o $(patsubst %.c,%.o,$(wildcard src/backend/raft/*.c)))

$(BUILD)/test/sim/test_raft_core: $(BUILD)/test/sim/test_raft_core.o $(CORE_OBJS)
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^

check-sim-raft: $(BUILD)/test/sim/test_raft_core
	@$< --seeds $(or $(SEEDS),200) --first $(FIRST)

$(BUILD)/test/sim/test_raft_scenarios: $(addprefix $(BUILD)/test/sim/,test_raft_scenarios.o scenario.o logplays.o memberplays.o) $(CORE_OBJS)
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^

# RECORD=1 writes test/sim/expected anew.
check-scenarios: $(BUILD)/test/sim/test_raft_scenarios
	@test/run-tap "$< --expected test/sim/expected $(if $(RECORD),--record)"

CORE_MUTATIONS := $(if $(FAULTS),$(BUILD),$(BUILD)-faults)/test/sim/test_raft_core
ifndef FAULTS
$(CORE_MUTATIONS): FORCE
	+@$(MAKE) --no-print-directory FAULTS=1 FAULT= $@
endif
check-mutations-core: $(CORE_MUTATIONS)
	@test/run-tap -t 600 "$< --mutations"

MUTATIONS_BUILD := $(if $(FAULTS),$(BUILD),$(BUILD)-faults)
MUTATION_UNITS := $(addprefix $(MUTATIONS_BUILD)/test/unit/,$(sort $(shell sed -n 's/^[a-z_]* *\(test_[a-z_]*\):.*/\1/p' test/sim/mutations.txt)))
check-mutations:
	+@$(MAKE) --no-print-directory FAULTS=1 FAULT= $(MUTATIONS_BUILD)/test/sim/simulator $(MUTATION_UNITS)
	@test/sim/mutations $(MUTATIONS_BUILD) $(FAULT)

check-mutations-unit:
	+@$(MAKE) --no-print-directory FAULTS=1 FAULT= $(MUTATION_UNITS)
	@test/sim/mutations --unit $(MUTATIONS_BUILD) $(FAULT)

check-sim-compilers:
	+@$(MAKE) --no-print-directory CC=gcc build/gcc/test/sim/simulator
	+@$(MAKE) --no-print-directory CC=clang build/clang/test/sim/simulator
	@for compiler in gcc clang; do build/$$compiler/test/sim/simulator --seeds 32 --first 900001 | grep hash; done | sort | \
		uniq -c | awk '{ print } END { same = NR == 1; print same + 0 " passed, " 1 - same " failed"; exit !same }'

check-sim-long:
	+@$(MAKE) --no-print-directory check-sim SEEDS=10000

check-sim-raft-long:
	+@$(MAKE) --no-print-directory check-sim-raft SEEDS=20000

check-sim-wal: $(BUILD)/test/sim/test_wal_crash
	@test/run-tap -t 1800 "$< --seeds $(or $(SEEDS),1000)"

check-sim-wal-long: $(BUILD)/test/sim/test_wal_crash
	@test/run-tap -t 3600 "$< --seeds 200000"

.PHONY: check-sim check-sim-long check-sim-raft check-sim-raft-long check-scenarios check-mutations-core check-mutations check-mutations-unit check-sim-compilers check-sim-wal check-sim-wal-long
CHECK_LONG_TARGETS += check-sim-long check-sim-raft-long check-mutations
CHECK_TARGETS += check-sim check-sim-raft check-scenarios check-mutations-core check-mutations-unit check-sim-wal
