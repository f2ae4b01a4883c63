# Each target makes .venv when it is missing or out of date; a second call does not install again.
# Where torch is too much to install, `make demo EXTRAS=hands` shows what runs models, and leaves out what makes them.
PYTHON ?= python3
EXTRAS ?= demo
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable

.PHONY: demo test check bench clean

demo: $(VENV)/.demo
	$(BIN)/python -m handheld.web.demo --out report $(if $(VIDEO),--video "$(VIDEO)")

test: $(VENV)/.dev
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py tests/test_exports.py

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) report

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) ".[$(EXTRAS)]"
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) ".[dev]"
	touch $@ $(VENV)/.demo

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
