# Fuzz targets.  A target is test/fuzz/fuzz_<x>.c, which defines LLVMFuzzerTestOneInput, and its own
# test/fuzz/fuzz_<x>.mk:
#
#	FUZZ_TARGETS += fuzz_entry
#	fuzz_entry_OBJS := src/backend/format/entry.o ...   # what it links (below $(BUILD)); without it librusd.a
#	fuzz_entry_LIBS := -lnghttp2                        # libraries, if any; with librusd.a SERVER_LIBS come by themselves
#	fuzz_entry_OPTIONS := -max_len=65536                # for libFuzzer, if any
#
# and a small corpus in test/fuzz/corpus/<target>/ (what a fuzzer has found goes there too, named for
# what it broke).  test/fuzz/make-corpus writes seeds for the formats that need checksums.
#
#	make check-fuzz-corpus              plain build: each file of each corpus once, TAP
#	make fuzz SECONDS=60                clang and libFuzzer, that long for each target
#	make fuzz FUZZ_ONLY="fuzz_entry"    these only
#
# New inputs of "make fuzz" are kept in build/fuzz-corpus/<target>, findings in build/fuzz-findings.

FUZZ_TARGETS :=
-include $(wildcard test/fuzz/fuzz_*.mk)
FUZZ_ONLY ?= $(FUZZ_TARGETS)
SECONDS ?= 60

fuzz_objects = $(if $($(1)_OBJS),$(addprefix $(BUILD)/,$($(1)_OBJS)),$(BUILD)/librusd.a)
fuzz_libs = $($(1)_LIBS) $(if $($(1)_OBJS),,$(SERVER_LIBS))

define FUZZ_RULES
$(BUILD)/test/fuzz/$(1): $(BUILD)/test/fuzz/$(1).o $(BUILD)/test/fuzz/replay.o $(call fuzz_objects,$(1))
	$$(CC) $$(SANITIZE) $$(LDFLAGS) -o $$@ $$^ $(call fuzz_libs,$(1))

$(BUILD)/test/fuzz/$(1)-libfuzzer: $(BUILD)/test/fuzz/$(1).o $(call fuzz_objects,$(1))
	$$(CC) $$(SANITIZE) -fsanitize=fuzzer $$(LDFLAGS) -o $$@ $$^ $(call fuzz_libs,$(1))
endef
$(foreach target,$(FUZZ_TARGETS),$(eval $(call FUZZ_RULES,$(target))))

check-fuzz-corpus: $(addprefix $(BUILD)/test/fuzz/,$(FUZZ_ONLY))
	@test/run-tap $(foreach target,$(FUZZ_ONLY),"$(BUILD)/test/fuzz/$(target) test/fuzz/corpus/$(target)")

# The libFuzzer programs are a build of their own: clang, sanitizers, coverage of edges.
fuzz:
	@$(MAKE) CC=clang ASAN=1 FUZZ=1 fuzz-run

fuzz-run: $(addprefix $(BUILD)/test/fuzz/,$(addsuffix -libfuzzer,$(FUZZ_ONLY)))
	@mkdir -p build/fuzz-findings
	@set -e; $(foreach target,$(FUZZ_ONLY),mkdir -p build/fuzz-corpus/$(target); \
		echo "# $(target), $(SECONDS) s"; \
		$(BUILD)/test/fuzz/$(target)-libfuzzer -max_total_time=$(SECONDS) -print_final_stats=0 -verbosity=0 \
			-artifact_prefix=build/fuzz-findings/$(target)- $($(target)_OPTIONS) \
			build/fuzz-corpus/$(target) test/fuzz/corpus/$(target);) echo "all targets ran"

.PHONY: check-fuzz-corpus fuzz fuzz-run
CHECK_TARGETS += check-fuzz-corpus
CHECK_LONG_TARGETS += fuzz
