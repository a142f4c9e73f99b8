# SPDX-License-Identifier: MIT
# The short way to everything. Meson does the work, in build/; scripts/setup installs what is missing on Debian 12.

BUILD = build
TESTS = meson test -C $(BUILD) --print-errorlogs --timeout-multiplier 4
# ONLY=word measures those pairs whose class/name holds it, with what is kept of the peers; all pairs are measured anew and documented.
SECONDS = 2400
BENCH = $(if $(ONLY),--only "$(ONLY)",--fresh --out docs/benchmarks.md --svg docs/benchmarks.svg)

.PHONY: all demo test test-long bench cross qemu powerloss mutants format format-check install clean

all:
	scripts/setup build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD)
	ninja -C $(BUILD)

demo:
	scripts/setup build demo
	$(MAKE) --no-print-directory all
	scripts/demo --build $(BUILD) $(DEMO)

test:
	scripts/setup build test
	scripts/firmware --small
	$(MAKE) --no-print-directory all
	$(TESTS) --no-suite long

test-long:
	scripts/setup build test
	scripts/firmware --small
	$(MAKE) --no-print-directory all
	$(TESTS) --suite long

bench:
	scripts/setup build bench
	$(MAKE) --no-print-directory all
	folder=$$(bench/data) && bench/run.py --dfota $(BUILD)/src/cli/dfota --decoder $(BUILD)/bench/decode $(BENCH) "$$folder"

cross:
	scripts/setup build cross
	tests/compat/cross

# ONLY=block, mtd, ... for one of the media; at most SECONDS in all.
qemu:
	scripts/setup build qemu
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD)
	tests/qemu/run --build $(BUILD) --seconds $(SECONDS) $(addprefix --backend ,$(ONLY))
	tests/qemu/run --build $(BUILD) --control $(addprefix --backend ,$(filter-out boot,$(ONLY)))

powerloss: all
	$(BUILD)/tests/powerloss/campaign --full

mutants: all
	tests/powerloss/mutants $(BUILD)

format:
	git ls-files '*.[ch]' | xargs clang-format -i

format-check:
	git ls-files '*.[ch]' | xargs clang-format --dry-run --Werror

install: all
	meson install -C $(BUILD)

clean:
	rm -rf $(BUILD)
