# Other people's clients against rusd and etcd (README here). Not part of make check: needs etcd, and the network the first time, for what the Go and npm
# programs are made of.

ETCD ?= etcd
ETCDCTL ?= etcdctl
GO ?= $(shell command -v go)
NPM ?= $(shell command -v npm)
CLIENTS := build/clients

$(CLIENTS)/survive: $(wildcard test/clients/go/*)
	@mkdir -p $(@D)
	cd test/clients/go && $(GO) build -mod=readonly -o $(abspath $@) .

$(CLIENTS)/npm/survive.js: $(wildcard test/clients/npm/*)
	@mkdir -p $(@D)
	cp $^ $(@D) && cd $(@D) && $(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

check-clients: $(BUILD)/rusd $(BUILD)/rusdctl $(if $(GO),$(CLIENTS)/survive) $(if $(NPM),$(CLIENTS)/npm/survive.js)
	@test/run-tap -v "test/clients/clients.py --server $(BUILD)/rusd --etcd $(ETCD) --etcdctl $(ETCDCTL)" \
		"test/clients/ctl.py --server $(BUILD)/rusd --ctl $(BUILD)/rusdctl --etcd $(ETCD) --etcdctl $(ETCDCTL)" \
		"test/clients/survive.py --server $(BUILD)/rusd --etcdctl $(ETCDCTL) \
			$(if $(GO),--go $(CLIENTS)/survive) $(if $(NPM),--npm $(CLIENTS)/npm)"
.PHONY: check-clients
