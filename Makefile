# `make film` and `make test` set up all that they need in .venv, and again when pyproject.toml has changed.

PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 2)
ROUNDS ?= 10
BIN := .venv/bin

.PHONY: film test check soak bench clean

film: .venv/film.installed
	$(BIN)/snakemake --cores $(CORES)

test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder

check: .venv/test.installed
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow/rules workflow/starter workflow/starter/Snakefile
	$(BIN)/lint-imports
	$(BIN)/snakemake --lint

soak: .venv/test.installed
	$(BIN)/python -m tests.soak $(ROUNDS)

bench: .venv/bench.installed
	$(BIN)/songreel bench

.venv/film.installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/bench.installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

.venv/test.installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "songreel: $(PYTHON) is not Python 3.11, 3.12 or 3.13; name one with make PYTHON=python3.12." >&2; exit 1; }
	$(PYTHON) -m venv .venv

clean:
	rm -rf .venv results .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
