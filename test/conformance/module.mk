# Recorded conversations with etcd 3.7.1, replayed (README.md here).

CONFORMANCE ?=
CONFORMANCE_SERVER = $(BUILD)/rusd --data-dir {data} \
	--listen-client-urls http://127.0.0.1:{client} --advertise-client-urls http://127.0.0.1:{client} \
	--listen-peer-urls http://127.0.0.1:{peer} --initial-advertise-peer-urls http://127.0.0.1:{peer} \
	--initial-cluster default=http://127.0.0.1:{peer} --log-level=error

# Of cluster.list not yet: RangeStream and compressed requests.
CONFORMANCE_NOT_YET = kv-range-changes-nothing.json kv-stream% rpc-compressed-request.json
CONFORMANCE_CLUSTER = $(addprefix test/conformance/,$(filter-out $(CONFORMANCE_NOT_YET),$(shell cat test/conformance/cluster.list)))

check-conformance: $(BUILD)/rusd
	@test/run-tap $(if $(V),-v) "test/conformance/vectors.py replay -j 2 $(CONFORMANCE) --server '$(CONFORMANCE_SERVER)' test/conformance/node.list $(CONFORMANCE_CLUSTER)"
.PHONY: check-conformance
CHECK_TARGETS += check-conformance
