# Unit tests: one program per module, test/unit/test_<module>.c, registered in its own
# test/unit/test_<module>.mk:
#
#	UNIT_TESTS += test_wal
#	test_wal_LIBS := -lz                            # libraries beyond SERVER_LIBS, if any
#	test_wal_OBJS := src/backend/wal/writer.o ...   # instead of librusd.a: only these are linked
#	test_wal_EXTRA := test/unit/wal_fixture.o ...   # helpers of the test, linked besides
#
# Paths in _OBJS and _EXTRA are below $(BUILD).  With _OBJS, a test does not need the rest of the
# server to compile (gen/proto/<name>.pb-c.o may be named there too).
#
#	make check-unit                     all of them, "N passed, N failed"
#	make check-unit UNIT="test_wal test_pagecache"     these only
#	make check-mutations-unit           with a mistake switched in, the test that must notice it fails (test/sim/mutations.txt)
#	make build/gcc/test/unit/test_wal   builds one, to run it by hand

UNIT_TESTS :=
-include $(wildcard test/unit/test_*.mk)
UNIT ?= $(UNIT_TESTS)
UNIT_PROGRAMS := $(addprefix $(BUILD)/test/unit/,$(UNIT_TESTS))

# What a test links: its own list of objects, or the whole library.
unit_objects = $(if $(FAULTS),$(BUILD)/test/unit/fault_chosen.o) $(addprefix $(BUILD)/,$($(1)_EXTRA)) \
	$(if $($(1)_OBJS),$(addprefix $(BUILD)/,$($(1)_OBJS)),$(BUILD)/librusd.a)

define UNIT_TEST_RULE
$(BUILD)/test/unit/$(1): $(BUILD)/test/unit/$(1).o $(call unit_objects,$(1))
	$$(CC) $$(SANITIZE) $$(LDFLAGS) -o $$@ $$^ $$($(1)_LIBS) $$(SERVER_LIBS) $$(TEST_LIBS)
endef
$(foreach test,$(UNIT_TESTS),$(eval $(call UNIT_TEST_RULE,$(test))))

unit-programs: $(UNIT_PROGRAMS)
check-unit: $(addprefix $(BUILD)/test/unit/,$(UNIT))
	@test/run-tap $(if $(V),-v) $^
.PHONY: unit-programs check-unit
