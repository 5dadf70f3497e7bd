# Recorded conversations with etcd 3.7.1, replayed (README.md here).

CONFORMANCE ?=
CONFORMANCE_SERVER = $(BUILD)/rusd --data-dir {data} \
	--listen-client-urls http://127.0.0.1:{client} --advertise-client-urls http://127.0.0.1:{client} \
	--listen-peer-urls http://127.0.0.1:{peer} --initial-advertise-peer-urls http://127.0.0.1:{peer} \
	--initial-cluster default=http://127.0.0.1:{peer} --log-level=error

check-conformance: $(BUILD)/rusd
	@test/run-tap $(if $(V),-v) "test/conformance/vectors.py replay -j 2 $(CONFORMANCE) --server '$(CONFORMANCE_SERVER)' test/conformance/node.list test/conformance/cluster.list"

# The same with a follower of three members.  A fifth of them takes its turn by the number of commits (FIFTH=1 to 5: that one); -long: all.
FIFTH ?= $(shell expr $$(git rev-list --count HEAD 2>/dev/null || date +%j) % 5 + 1)
FOLLOWER = test/conformance/follower.py -j 2 $(CONFORMANCE) --server $(BUILD)/rusd

check-conformance-follower: $(BUILD)/rusd
	@test/run-tap $(if $(V),-v) "$(FOLLOWER) --fifth $(FIFTH) test/conformance/node.list test/conformance/cluster.list"
check-conformance-follower-long: $(BUILD)/rusd
	@test/run-tap $(if $(V),-v) -t 3000 "$(FOLLOWER) test/conformance/node.list test/conformance/cluster.list"
.PHONY: check-conformance check-conformance-follower check-conformance-follower-long
CHECK_TARGETS += check-conformance check-conformance-follower
CHECK_LONG_TARGETS += check-conformance-follower-long
