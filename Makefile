# make study: environment, data, the quick dropout ablation.   make test: environment, every check.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest --numprocesses auto
# Outside tests/faults, the tests of which `make test` runs a part.
SHORTENED := tests/test_installation.py tests/measuring/test_peers.py

.PHONY: study studies answers test faults gpu calibration check data ui pictures lock clean

study: .venv/installed data
	$(BIN)/python -m fashion_hpo.study dropout_ablation --budget quick
	@echo 'next      type `. $(BIN)/activate` once; then these commands and those of README work'

# Every study under the quick budget: that all of them run, and how long they take.
studies: .venv/installed data
	for file in studies/[a-z]*.py; do \
	  $(BIN)/python -m fashion_hpo.study "$$(basename "$$file" .py)" --budget quick || exit 1; \
	done
	$(BIN)/python -m fashion_hpo.claims

# Every claim of the reports under its full budget, cheapest first: days on two CPU cores.  Each study
# goes on from answers/NAME.zip, and is kept there.
answers: .venv/installed data
	set -e; for name in $$($(BIN)/python -m fashion_hpo.claims --studies | cut -d ' ' -f 1); do \
	  kept=answers/$$name.zip; \
	  if [ -e $$kept ]; then $(BIN)/python -m fashion_hpo.store import $$kept; fi; \
	  $(BIN)/python -m fashion_hpo.study $$name --budget full; \
	  $(BIN)/python -m fashion_hpo.store export $$name --budget full --to $$kept; \
	done; $(BIN)/python -m fashion_hpo.claims --budget full

# The faults go alone: what they wait for must happen within bounds.
test: check
	$(PYTEST) --ignore tests/faults --dist loadfile --no-loadscope-reorder
	$(PYTEST) tests/faults --dist worksteal

# Every fault, at every write and at many random times; `make test` runs a part of these.
faults: .venv/installed data
	$(PYTEST) tests/faults $(SHORTENED) --dist worksteal --faults all

# Threads that wait must not spin: tests side by side share the cores.
test faults: export OMP_WAIT_POLICY = passive

# Tests and speeds of a GPU, from a bare checkout: a Python with torch and pytest is enough.
gpu: PYTHON := $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))
gpu: export PYTHONPATH := $(CURDIR)
gpu:
	@has_gpu=$$($(PYTHON) -c 'import torch; print(torch.cuda.is_available())') || exit 1; \
	if [ "$$has_gpu" = False ]; then echo 'There is no GPU here, so nothing was tested.'; exit 0; fi; \
	$(PYTHON) -m pytest tests/gpu -m gpu --confcutdir tests/gpu -p no:cacheprovider && \
	$(PYTHON) -m fashion_hpo.bench gpu --markdown

# Intervals and verdicts, held against thousands of simulated studies.
calibration: .venv/installed
	$(BIN)/python -m fashion_hpo.calibration

check: .venv/installed data
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# The pictures in docs/, of the store that `make study` left in mlruns/; needs Chromium.
pictures: .venv/installed
	$(BIN)/python -m tests.pictures

ui: .venv/installed
	$(BIN)/python -m fashion_hpo.ui

# The environment: exactly what the lock file pins.  Made again only if that or pyproject changes.
.venv/installed: requirements.lock pyproject.toml setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# The data: if they are nowhere, Debian's package where we may install it; else the first study
# downloads them from the official mirrors.
data: .venv/installed
	@$(BIN)/python -m fashion_hpo.training.sources > /dev/null 2>&1 || \
	  if command -v apt-get > /dev/null && [ "$$(id -u)" = 0 ]; then \
	    apt-get install -y -qq dataset-fashion-mnist || \
	    { apt-get update -qq && apt-get install -y -qq dataset-fashion-mnist; }; \
	  fi

# Pin anew what is tested, for every platform.
lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-emit-index-url \
	  --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
	  pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
