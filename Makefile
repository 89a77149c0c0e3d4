# `make train` or `make test` is the one command to type after cloning: each makes .venv first.
# `make help` lists the rest.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help train test lint type format results bench clean
.DEFAULT_GOAL := help

help:  ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(BIN)/tinynet: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(BIN)/pytest: $(BIN)/tinynet
	$(BIN)/pip install --quiet --editable ".[dev]"
	@touch $@

train: $(BIN)/tinynet  ## train a small CNN on handwritten digits
	$(BIN)/tinynet train

test: $(BIN)/pytest  ## run the tests
	$(BIN)/python -m pytest -n auto

lint: $(BIN)/pytest  ## look for mistakes in style and in the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

type: $(BIN)/pytest  ## check the types
	$(BIN)/mypy

format: $(BIN)/pytest  ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

results: $(BIN)/pytest  ## make every figure of the README again (needs MNIST; see TINYNET_DATA)
	$(BIN)/python -m benchmarks.results

bench: $(BIN)/pytest  ## measure the speed, short form; writes benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

clean:  ## remove the environment and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
