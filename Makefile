# Two commands do all set-up by themselves: `make demo` and `make test`. They need Python 3.11 and a package index.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo test lint types imports unit services lock bench bench-speed clean

demo: $(VENV)/runtime
	rm -rf $(DEMO)
	mkdir -p $(DEMO)
	$(BIN)/excise simulate --level 0-4 --exchanges 60000 --seed 7 --out $(DEMO)/world
	$(BIN)/excise scan $(DEMO)/world --out $(DEMO)/run
	$(BIN)/python bench/demo.py $(DEMO)/run $(DEMO)/world-labels
	@echo "The report: $(DEMO)/run/report.html"

test: services lint types imports unit

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev
	$(BIN)/mypy

imports: $(VENV)/dev
	$(BIN)/lint-imports

unit: $(VENV)/dev
	$(BIN)/pytest

services:
	sh tools/services.sh

lock: $(VENV)/dev
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-options --no-emit-find-links --allow-unsafe --output-file requirements.txt --extra build pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-options --no-emit-find-links --allow-unsafe --output-file requirements-dev.txt --extra build --extra dev --extra postgres pyproject.toml

bench-speed: $(VENV)/dev
	$(BIN)/python bench/speed.py

$(VENV)/python:
	$(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	touch $@

$(VENV)/runtime: $(VENV)/python requirements.txt pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/dev: $(VENV)/python requirements-dev.txt pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) $(DEMO) dist build
