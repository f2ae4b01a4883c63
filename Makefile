# Each target makes .venv when it is missing or out of date; a second call does not install again.
# Where torch is too much to install, `make demo EXTRAS=hands` shows what runs models, and leaves out what makes them.
PYTHON ?= python3
EXTRAS ?= demo
VENV := .venv
OUT := report
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable
comma := ,
# A stamp for each choice of extras, and one for each Python: another choice, or another Python, installs again.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
MADE := $(VENV)/.python-$(VERSION)
DEMO := $(VENV)/.demo-$(subst $(comma),-,$(EXTRAS))
DEV := $(VENV)/.dev
DOCS := $(VENV)/.docs

.PHONY: demo test test-free-threaded check docs bench clean

demo: $(DEMO)
	$(BIN)/python -m handheld.demo --out $(OUT) $(if $(VIDEO),--video "$(VIDEO)")

test: $(DEV)
	$(BIN)/python -m pytest

# The graph's tests on an interpreter without the global lock: make test-free-threaded PYTHON=python3.13t
# That room needs no package but its tests' own; the browser's test of the trace's page is left to `make test`.
test-free-threaded:
	$(PYTHON) -c "import sys; sys.exit(sys._is_gil_enabled() and 'this Python has the lock')"
	$(PYTHON) -m venv .venv-free-threaded
	.venv-free-threaded/bin/python -m pip install --quiet --disable-pip-version-check pytest pytest-timeout "hypothesis<6.140"
	PYTHONPATH=src .venv-free-threaded/bin/python -m pytest -p no:cacheprovider tests/graph --ignore=tests/graph/trace/test_page.py

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py tests/test_exports.py

# The theme's maker announces another program on each run; the variable is for those who have read it.
docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "site/index.html"

bench: $(DEV)
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) $(OUT) site

$(DEMO): pyproject.toml constraints.txt | $(MADE)
	$(PIP) ".[$(EXTRAS)]"
	touch $@

$(DEV): pyproject.toml constraints.txt | $(MADE)
	$(PIP) ".[dev]"
	touch $@ $(VENV)/.demo-demo $(DOCS)

$(DOCS): pyproject.toml constraints.txt | $(MADE)
	$(PIP) ".[docs]"
	touch $@

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit("handheld needs Python 3.11 or later: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	touch $@
