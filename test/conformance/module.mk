# Recorded conversations with etcd 3.7.1, replayed (README.md here).

CONFORMANCE ?=
CONFORMANCE_SERVER = $(BUILD)/rusd --data-dir {data} \
	--listen-client-urls http://127.0.0.1:{client} --advertise-client-urls http://127.0.0.1:{client} \
	--listen-peer-urls http://127.0.0.1:{peer} --initial-advertise-peer-urls http://127.0.0.1:{peer} \
	--initial-cluster default=http://127.0.0.1:{peer} --log-level=error

check-conformance: $(BUILD)/rusd
	@test/run-tap $(if $(V),-v) "test/conformance/vectors.py replay -j 2 $(CONFORMANCE) --server '$(CONFORMANCE_SERVER)' test/conformance/node.list test/conformance/cluster.list"
.PHONY: check-conformance
CHECK_TARGETS += check-conformance
