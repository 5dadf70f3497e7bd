# Other people's clients against rusd and etcd (README here). Not part of make check: needs etcd.

ETCD ?= etcd
ETCDCTL ?= etcdctl
check-clients: $(BUILD)/rusd $(BUILD)/rusdctl
	@test/run-tap -v "test/clients/clients.py --server $(BUILD)/rusd --etcd $(ETCD) --etcdctl $(ETCDCTL)" \
		"test/clients/ctl.py --server $(BUILD)/rusd --ctl $(BUILD)/rusdctl --etcd $(ETCD) --etcdctl $(ETCDCTL)"
.PHONY: check-clients
