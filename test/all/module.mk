# What is run all together.  A folder of tests registers its target with CHECK_TARGETS +=, what takes
# longer with CHECK_LONG_TARGETS +=; CHECK_BESIDE and CHECK_LONG_BESIDE name those of them that mostly wait and run beside
# the others.  Run by recipes, so the lists are whole by then.

# make check: everything that needs no network, in the plain build.
check: all inject-build
	@test/all/run-targets $(addprefix -b ,$(CHECK_BESIDE)) $(sort $(filter-out $(CHECK_BESIDE),$(CHECK_TARGETS)) check-unit)

# The same in a build with sanitizers and injection points, at a tenth of the counts; conversations with one node only,
# no mistakes switched in.
check-asan:
	+@$(MAKE) --no-print-directory ASAN=1 INJECT=1 all
	@ASAN_OPTIONS=detect_leaks=1:$$ASAN_OPTIONS \
		test/all/run-targets $(addprefix -b ,$(CHECK_BESIDE)) ASAN=1 INJECT=1 ROUNDS=5 KILLS=30 SEEDS=100 CHAOS=6 \
		$(sort $(filter-out lint check-lint check-conformance-follower check-mutations-% $(CHECK_BESIDE),$(CHECK_TARGETS)) check-unit)

# The full counts: at most an hour.  What has a target of its own with -long is not run twice.
check-long: all inject-build
	@test/all/run-targets $(addprefix -b ,$(CHECK_LONG_BESIDE)) SEEDS=200000 \
		$(sort $(filter-out $(CHECK_LONG_TARGETS:-long=),$(CHECK_TARGETS)) check-unit) $(sort $(filter-out $(CHECK_LONG_BESIDE),$(CHECK_LONG_TARGETS)))

# README's two commands in a debootstrapped Debian 12; needs root and the network.
check-fresh:
	@test/run-tap -v -t 3000 test/all/check-fresh

.PHONY: check check-asan check-long check-fresh
