# Scripts through rusdctl with expected output (README here).

REGRESS ?=
check-regress: $(BUILD)/rusd $(BUILD)/rusdctl
	@test/run-tap $(if $(V),-v) "test/regress/regress.py --server $(BUILD)/rusd --ctl $(BUILD)/rusdctl $(REGRESS)" \
		"test/regress/shell.py --server $(BUILD)/rusd --ctl $(BUILD)/rusdctl"
.PHONY: check-regress
CHECK_TARGETS += check-regress
