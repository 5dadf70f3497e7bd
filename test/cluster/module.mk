# Real processes: killed, signalled, starved (README here).
# Points are compiled in by INJECT=1: targets that need them build that variant and run its server.

INJECT_SERVER := $(if $(INJECT),$(BUILD),$(BUILD)-inject)/rusd
inject-build:
	+@$(MAKE) --no-print-directory INJECT=1 $(INJECT_SERVER)
.PHONY: inject-build

# Counts: ROUNDS and KILLS of make check; make check-asan takes a tenth, check-long the full ones.
ROUNDS ?= 50
KILLS ?= 300
SEED ?=
seed = $(if $(SEED),--seed $(SEED))

check-crash: inject-build
	@test/run-tap $(if $(V),-v) -t 3000 "test/cluster/torture.py --server $(INJECT_SERVER) --rounds $(ROUNDS) $(seed)" \
		"test/cluster/sync.py --server $(INJECT_SERVER)"

check-backends: $(BUILD)/rusd
	@test/run-tap $(if $(V),-v) -t 3000 "test/cluster/backends.py --server $(BUILD)/rusd --kills $(KILLS) $(seed)"

check-processes: $(BUILD)/rusd $(BUILD)/rusd_waldump $(BUILD)/rusdctl
	@test/run-tap $(if $(V),-v) "test/cluster/processes.py --server $(BUILD)/rusd" "test/cluster/disk_full.py --server $(BUILD)/rusd" \
		"test/cluster/full_cache.py --server $(BUILD)/rusd" "test/cluster/large_answer.py --server $(BUILD)/rusd" \
		"test/cluster/large_requests.py --server $(BUILD)/rusd" \
		"test/cluster/unix.py --server $(BUILD)/rusd --ctl $(BUILD)/rusdctl" "test/cluster/membership.py --server $(BUILD)/rusd" \
		"test/cluster/growing.py --server $(BUILD)/rusd" \
		"test/cluster/operators.py --server $(BUILD)/rusd --ctl $(BUILD)/rusdctl" "test/cluster/discovery.py --server $(BUILD)/rusd" \
		"test/cluster/waldump.py --server $(BUILD)/rusd --waldump $(BUILD)/rusd_waldump"

check-alerts: inject-build
	@test/run-tap $(if $(V),-v) "test/cluster/alerts.py --server $(INJECT_SERVER)"
.PHONY: check-alerts
CHECK_TARGETS += check-alerts

check-members: $(BUILD)/rusd
	@test/run-tap $(if $(V),-v) "test/cluster/members.py --server $(BUILD)/rusd" "test/cluster/transfer.py --server $(BUILD)/rusd"
.PHONY: check-members
CHECK_TARGETS += check-members

# Seconds of faults; every kind comes at least once, however long that takes.
CHAOS ?= 60
check-chaos: inject-build $(BUILD)/rusd_waldump
	@test/run-tap $(if $(V),-v) -t 3600 "test/cluster/chaos.py --server $(INJECT_SERVER) --waldump $(BUILD)/rusd_waldump --seconds $(CHAOS) $(seed)"
check-chaos-long:
	+@$(MAKE) --no-print-directory check-chaos CHAOS=1800
.PHONY: check-chaos check-chaos-long
CHECK_TARGETS += check-chaos
CHECK_LONG_TARGETS += check-chaos-long
CHECK_LONG_BESIDE += check-chaos-long check-crash-long

# The checkers of histories that chaos.py believes.
check-histories:
	@test/run-tap $(if $(V),-v) "test/cluster/checkers.py $(seed)"
check-histories-long:
	@test/run-tap $(if $(V),-v) "test/cluster/checkers.py --histories 20000 $(seed)"
.PHONY: check-histories check-histories-long
CHECK_TARGETS += check-histories
CHECK_LONG_TARGETS += check-histories-long

check-tls: $(BUILD)/rusd
	@test/run-tap $(if $(V),-v) "test/cluster/tls.py --server $(BUILD)/rusd"

check-crash-long:
	+@$(MAKE) --no-print-directory check-crash ROUNDS=1000
check-backends-long:
	+@$(MAKE) --no-print-directory check-backends KILLS=10000
.PHONY: check-tls check-crash check-backends check-processes check-crash-long check-backends-long
CHECK_TARGETS += check-tls check-crash check-backends check-processes
CHECK_LONG_TARGETS += check-crash-long check-backends-long

# They mostly wait.
CHECK_BESIDE += check-chaos check-members check-alerts check-tls
