# Two commands do everything: `make demo` and `make test`. Both set up .venv and build first.
PYTHON ?= python3
CC ?= cc
VENV := .venv
BIN := $(VENV)/bin
SOURCES := setup.py MANIFEST.in $(wildcard srcore/src/* srcore/include/srcore/* pysr/_core/*.p[yx]*)

export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: demo test test-c test-sanitize test-python test-package test-exhaustive lint bench vectors clean

demo: $(VENV)/.built
	$(BIN)/pysr info
	@echo
	@mkdir -p demo-results
	@echo "# Measurements of 569 tumours (scikit-learn's copy of the Wisconsin data), to bfloat16 and to 8-bit codes"
	$(BIN)/python -c "import numpy, sklearn.datasets as d; numpy.save('demo-results/cells.npy', d.load_breast_cancer().data)"
	$(BIN)/pysr round demo-results/cells.npy demo-results/cells-bfloat16.npy --to bfloat16 --mode sr --seed 7
	$(BIN)/pysr round demo-results/cells.npy demo-results/cells-codes.npy --to float8_e4m3fn --mode sr --seed 7 --codes \
	  --overflow saturate
	$(BIN)/python -c "import numpy; x, y, c = (numpy.load(f'demo-results/cells{s}.npy') for s in ('', '-bfloat16', '-codes')); \
	  print(x[0, :4], '->', y[0, :4], '->', c[0, :4]); print('mean of x', x.mean(), ' mean of bfloat16(x)', y.mean())"
	@echo
	$(BIN)/pysr lab tall-thin --out demo-results

test: test-c test-sanitize lint test-python test-package

# ---- environment ------------------------------------------------------------------------------------------------------

# Everything beyond this comes from PyPI, cmake and ninja too.
$(VENV)/.installed: pyproject.toml tools/check_machine.sh
	sh tools/check_machine.sh "$(PYTHON)" "$(CC)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python tools/install_requirements.py
	touch $@

$(VENV)/.built: $(VENV)/.installed $(SOURCES)
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	touch $@

# ---- tests ------------------------------------------------------------------------------------------------------------

test-c: $(VENV)/.installed
	cmake -S srcore -B build/c -G Ninja -DSRCORE_WERROR=ON
	cmake --build build/c
	ctest --test-dir build/c --output-on-failure

test-sanitize: $(VENV)/.installed
	cmake -S srcore -B build/sanitize -G Ninja -DSRCORE_WERROR=ON -DSRCORE_SANITIZE=address,undefined
	cmake --build build/sanitize
	ctest --test-dir build/sanitize --output-on-failure

test-python: $(VENV)/.built
	$(BIN)/python -m pytest

# sdist -> wheel -> a new environment -> tests, from a directory without the sources
test-package: $(VENV)/.built
	$(BIN)/python tools/test_package.py

test-exhaustive: $(VENV)/.built test-c
	$(BIN)/python -m pytest -m exhaustive -rA

lint: $(VENV)/.built
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cython-lint pysr

bench: $(VENV)/.built
	$(BIN)/python asv_bench/benchmarks/rounding.py

vectors: $(VENV)/.built
	$(BIN)/python docs/make_vectors.py

clean:
	rm -rf build dist *.egg-info demo-results lab-results pysr/_core/*.c pysr/_core/*.so
