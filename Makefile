# Two commands do everything: `make demo` and `make test`. Both set up .venv and build first.
PYTHON ?= python3
CC ?= cc
VENV := .venv
BIN := $(VENV)/bin
SOURCES := setup.py MANIFEST.in $(wildcard srcore/src/* srcore/include/srcore/* pysr/*.p[yx]* pysr/_core/*.p[yx]* pysr/_core/*.h)

export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: demo test test-c test-sanitize test-python test-package test-exhaustive test-foreign test-threads lint bench vectors clean

demo: $(VENV)/.built
	$(BIN)/pysr info
	@echo
	@echo "Measurements of 569 cell nuclei (scikit-learn's copy of the Wisconsin breast-cancer data):"
	@$(BIN)/python tools/demo_array.py make demo-results
	$(BIN)/pysr round demo-results/cells.npy demo-results/rounded.npy --to bfloat16 --mode sr --seed 7
	$(BIN)/pysr round demo-results/cells.npy demo-results/codes.npy --to float8_e4m3fn --mode sr --seed 7 --codes --overflow saturate
	@$(BIN)/python tools/demo_array.py show demo-results
	@echo
	$(BIN)/pysr lab tall-thin --quick --html --out demo-results

test: test-c test-sanitize lint test-python test-package

# ---- environment ------------------------------------------------------------------------------------------------------

# Everything beyond this comes from PyPI, cmake and ninja too.
$(VENV)/.installed: pyproject.toml tools/check_machine.sh
	sh tools/check_machine.sh "$(PYTHON)" "$(CC)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python tools/install_requirements.py
	touch $@

$(VENV)/.built: $(VENV)/.installed $(SOURCES)
	$(BIN)/python -m pip install -qq --no-build-isolation --no-deps --editable .
	touch $@

# ---- tests ------------------------------------------------------------------------------------------------------------

test-c: $(VENV)/.installed
	cmake -S srcore -B build/c -G Ninja -DSRCORE_WERROR=ON
	cmake --build build/c
	ctest --test-dir build/c --output-on-failure --parallel 2

test-sanitize: $(VENV)/.installed
	cmake -S srcore -B build/sanitize -G Ninja -DSRCORE_WERROR=ON -DSRCORE_SANITIZE=address,undefined
	cmake --build build/sanitize
	ctest --test-dir build/sanitize --output-on-failure --parallel 2

test-python: $(VENV)/.built
	$(BIN)/python -m pytest -n auto

# On AArch64 and S/390, by cross compilers and qemu
test-foreign:
	sh tools/test_foreign.sh

# sdist -> wheel -> a new environment -> tests, from a directory without the sources
test-package: $(VENV)/.built
	$(BIN)/python tools/test_package.py

# The threads under ASan, UBSan and TSan
test-threads: $(VENV)/.built
	CC="$(CC)" $(BIN)/python tools/test_sanitized.py

test-exhaustive: $(VENV)/.built test-c test-threads
	build/c/test_sweep 0 2 & other=$$!; build/c/test_sweep 1 2; status=$$?; wait $$other && exit $$status
	$(BIN)/python -m pytest -m exhaustive tests/exhaustive
	$(BIN)/python -m pytest -m exhaustive -n auto tests/test_*.py

lint: $(VENV)/.built
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/stubtest --mypy-config-file pyproject.toml --allowlist tools/stubtest_allowlist.txt pysr
	$(BIN)/cython-lint pysr

# ---- times ------------------------------------------------------------------------------------------------------------

.PHONY: bench-readme asv

# asv, and the libraries to measure beside
$(VENV)/.bench-installed: $(VENV)/.installed
	$(BIN)/python tools/install_requirements.py bench
	touch $@

bench: $(VENV)/.built $(VENV)/.bench-installed
	cmake -S srcore -B build/bench -G Ninja -DCMAKE_BUILD_TYPE=Release -DSRCORE_TESTS=OFF --log-level=WARNING
	cmake --build build/bench --target bench -- --quiet
	build/bench/bench --turns 40 --specials
	@echo
	$(BIN)/python tools/bench_table.py

bench-readme: $(VENV)/.built $(VENV)/.bench-installed
	$(BIN)/python tools/bench_table.py --write-readme

# asv saves results only under a commit, and wants a description of the machine, in ~/.asv-machine.json.
asv: $(VENV)/.built $(VENV)/.bench-installed
	@test -x $(BIN)/asv || { echo "make asv needs asv, which could not be installed"; exit 1; }
	cd asv_bench && { test -e ~/.asv-machine.json || asv machine --yes; }
	cd asv_bench && asv run --show-stderr --set-commit-hash "$$(git rev-parse HEAD)" $(ASV_FLAGS)
	cd asv_bench && asv publish
	@echo "results in build/asv/results; build/asv/html/index.html shows them: cd asv_bench && asv preview"

vectors: $(VENV)/.built
	$(BIN)/python docs/make_vectors.py

clean:
	rm -rf build dist *.egg-info demo-results lab-results pysr/*.c pysr/*.so pysr/_core/*.c pysr/_core/*.so

# ---- embedding --------------------------------------------------------------------------------------------------------

.PHONY: amalgamation test-embedding test-clang fuzz
FUZZ_SECONDS ?= 600

# build/amalgamation/srcore_amalgamation.h: all of srcore in one file
amalgamation:
	$(PYTHON) tools/amalgamate.py

test: test-embedding

test-embedding: $(VENV)/.installed
	CC="$(CC)" $(BIN)/python tools/test_embedding.py

test-clang: $(VENV)/.installed
	$(BIN)/python tools/test_embedding.py --clang

# Corpora stay in build/fuzz, and inputs that fail.
fuzz: $(VENV)/.installed
	@command -v clang >/dev/null || { echo "missing: clang; on Debian: apt install clang" >&2; exit 1; }
	cmake -S srcore -B build/fuzz -G Ninja -DCMAKE_C_COMPILER=clang -DSRCORE_WERROR=ON -DSRCORE_LIBFUZZER=ON \
	    -DSRCORE_SANITIZE=address,undefined
	cmake --build build/fuzz --target fuzz_arrays fuzz_formats
	@for target in formats arrays; do \
	    mkdir -p build/fuzz/corpus-$$target && \
	    build/fuzz/fuzz_$$target -max_total_time=$(FUZZ_SECONDS) -max_len=1024 -verbosity=1 -print_final_stats=1 \
	        -artifact_prefix=build/fuzz/$$target- build/fuzz/corpus-$$target || exit 1; \
	done
