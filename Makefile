# Every task of the project. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NATIVE := CMakeLists.txt $(shell find native -type f)

SPARK := build/spark
OUTSIDE := build/outside
MEASURED := seal job attestation oblivious.kernels oblivious.sorts oblivious.queries \
            xgboost.encrypted xgboost.oblivious xgboost.workers sql.memory spark.skew

.PHONY: help setup demo test slow check format lint type layers tcb vectors openapi prove fuzz bench clean

help:  ## list the tasks
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(STAMP)  ## system packages, .venv, Python packages, native build

$(VENV)/.packages: constraints.txt tools/system-packages.sh
	@tools/system-packages.sh
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mc2 needs Python 3.11 or newer; set PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned Python packages (a minute or two, once)..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@touch $@

$(STAMP): $(VENV)/.packages pyproject.toml $(NATIVE)
	@echo "Building the native kernels..." >&2
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

# Spark itself, for its tests: beside the main environment, whose package `pyspark` is the client alone.
$(SPARK)/.installed: constraints-spark.txt $(VENV)/.packages
	@echo "Installing Apache Spark for its tests (450 MB, a minute or two, once)..." >&2
	@rm -rf $(SPARK)
	@$(BIN)/python -m venv $(SPARK)
	@$(SPARK)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints-spark.txt
	@echo "import site; site.addsitedir('$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
	    > $$($(SPARK)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/mc2-environment.pth
	@touch $@

# A server of S3's protocol and Kubernetes' schemas, for the slow tests; Spark and mc2 are there as well.
$(OUTSIDE)/.installed: constraints-outside.txt $(SPARK)/.installed
	@echo "Installing what stands for the outside world in slow tests (150 MB, once)..." >&2
	@rm -rf $(OUTSIDE)
	@$(BIN)/python -m venv $(OUTSIDE)
	@$(OUTSIDE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints-outside.txt
	@purelib='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	    echo "import site; site.addsitedir('$$($(SPARK)/bin/python -c "$$purelib")')" \
	    > $$($(OUTSIDE)/bin/python -c "$$purelib")/mc2-environment.pth
	@touch $@

demo: setup  ## three parties, real data, one report and one model (under a minute after the set-up)
	@$(BIN)/mc2 demo

test: setup $(SPARK)/.installed  ## all tests and checks (CI calls this)
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

slow: setup $(SPARK)/.installed $(OUTSIDE)/.installed  ## the long tests, new random examples, fuzzing
	@tools/system-packages.sh slow
	@$(BIN)/python -m pytest -m slow --timeout 3600
	@$(BIN)/python -m pytest -n 2 -m "not slow" --hypothesis-profile new tests/property tests/unit/formats tests/unit/engine
	@$(MAKE) --no-print-directory fuzz

check: setup format lint type layers tcb vectors openapi  ## everything but the tests

format: setup
	@$(BIN)/ruff format --check . >&2 || { echo "run: $(BIN)/ruff format ." >&2; exit 1; }

lint: setup
	@$(BIN)/ruff check --quiet .

type: setup
	@$(BIN)/mypy

layers: setup
	@$(BIN)/lint-imports --no-cache > .layers.log 2>&1 || { cat .layers.log; exit 1; }; rm -f .layers.log

tcb: setup  ## what the enclave reaches: fails when it differs from docs/reference/tcb.txt
	@$(BIN)/python tools/tcb.py --check

vectors: setup
	@$(BIN)/python tools/gen_vectors.py --check

openapi: setup
	@$(BIN)/python -m mc2.coordinator --openapi | cmp - docs/openapi.json || { echo "run: $(BIN)/python -m mc2.coordinator --openapi > docs/openapi.json" >&2; exit 1; }

prove: setup  ## every gate on the compiled kernels; writes obliviousness-report.json
	@$(BIN)/python -m tools.prove

fuzz: setup  ## coverage-guided fuzzing of every parser (FUZZ_SECONDS each, default 30)
	@$(BIN)/python fuzz/run.py --seconds $${FUZZ_SECONDS:-30}

bench: setup $(SPARK)/.installed  ## all measurements, as tables on standard output (hours)
	@for part in $(MEASURED); do echo "## bench.$$part" >&2; $(BIN)/python -m bench.$$part || exit 1; done
	@echo "## bench.sql.run" >&2; $(BIN)/python -m bench.sql.run --scale 1 --worker --spark $(SPARK)/bin/python
	@echo "## bench.sql.workers" >&2; $(BIN)/python -m bench.sql.workers
	@echo "## bench.spark.run" >&2; $(SPARK)/bin/python -m bench.spark.run

clean:  ## remove everything that can be made again
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo-run
