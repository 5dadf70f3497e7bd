# Checks of the sources, and the references made from lists.
#
#	make lint           all checks, TAP, "N passed, N failed"
#	make docs           writes doc/{parameters,errors,waitevents,metrics}.md
#	make format         clang-format on all sources
#	make lint-update    writes the ratchets (allocations.txt, long-functions.txt) anew: review the diff

DOCS_OBJS := $(BUILD)/test/lint/docs.o $(BUILD)/src/backend/port/clock.o $(filter $(BUILD)/src/backend/utils/%,$(SERVER_OBJS))

$(BUILD)/test/lint/docs: $(DOCS_OBJS)
	$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(UTILS_LIBS)

docs: $(BUILD)/test/lint/docs
	test/lint/make-docs $<

lint: $(BUILD)/test/lint/docs
	@test/run-tap $(if $(V),-v) "test/lint/layers" "test/lint/headers '$(BASE_CFLAGS) -I$(BUILD)/gen/proto' gcc clang" \
		"test/lint/calls" "test/lint/libraries" "test/lint/length" "test/lint/style" \
		"test/lint/make-docs --check $<"

lint-update:
	test/lint/calls --update
	test/lint/length --update

format:
	find src test -name '*.[ch]' ! -name '*list.h' | xargs clang-format -i

CHECK_TARGETS += lint
.PHONY: docs lint lint-update format
