# Two commands do all set-up by themselves: `make demo` and `make test`. They need Python from 3.11 on and a package index.
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
PIP := $(BIN)/pip --disable-pip-version-check
PYTHON ?=
.DEFAULT_GOAL := help
.PHONY: help demo test services lint types imports unit format lock docs wheel picture bench-speed bench-quality bench-inspect inspect clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 # /p' $(MAKEFILE_LIST) | awk -F'#' '{printf "%-22s%s\n", $$1, $$2}'

demo: $(VENV)/runtime  ## a small world with planted campaigns, its scan, and what was found and missed
	rm -rf $(DEMO) && mkdir $(DEMO)
	$(BIN)/excise simulate --level 0-4 --exchanges 60000 --seed 7 --out $(DEMO)/world
	$(BIN)/excise scan $(DEMO)/world --out $(DEMO)/run
	@$(BIN)/python bench/demo.py $(DEMO)/run $(DEMO)/world-labels
	@echo "the page for people: $(DEMO)/run/report.html"

# All five run even if one fails, so that one call shows all there is to mend; the status is that of the worst.
test: services $(VENV)/dev  ## the gate: lint, types, layers, tests
	@$(MAKE) --keep-going --no-print-directory lint types imports inspect unit

lint: $(VENV)/dev
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .

types: $(VENV)/dev
	$(BIN)/mypy

imports: $(VENV)/dev
	$(BIN)/lint-imports

inspect: $(VENV)/dev  ## this code, as a stranger's: what an agent could exploit; accepted findings and reasons are in .ci
	$(BIN)/excise inspect . --exclude $(VENV) --exclude .git --exclude $(DEMO) --exclude dist --exclude build \
		--exclude .hypothesis --exclude .mypy_cache --exclude .pytest_cache --exclude .ruff_cache --exclude .import_linter_cache \
		--baseline .ci/inspect-accepted.json --fail-on low

unit: $(VENV)/dev  ## the tests alone
	$(BIN)/pytest -rs

services:
	@sh tools/services.sh

format: $(VENV)/dev  ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-options
lock: $(VENV)/dev  ## choose versions anew within the ranges of pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(COMPILE) --upgrade --extra build --extra dev --extra postgres \
		--output-file requirements-dev.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(COMPILE) --upgrade --extra build --constraint requirements-dev.txt \
		--output-file requirements.txt pyproject.toml

docs: $(VENV)/runtime  ## write the pages that are made of code
	$(BIN)/python tools/settings_page.py > docs/settings.md

wheel: $(VENV)/runtime  ## build dist/excise-*.whl
	$(BIN)/hatchling build -t wheel

picture: $(VENV)/runtime  ## docs/report.png, made of the demo's page by Chromium
	sh tools/picture.sh $(DEMO)/run/report.html docs/report.png

bench-speed: $(VENV)/dev  ## seconds and memory of scans, against decoding alone in the same run (WORLD=folder)
	test -n "$(WORLD)" || { rm -rf $(DEMO)/speed $(DEMO)/speed-labels; mkdir -p $(DEMO); $(BIN)/excise simulate --exchanges 200000 --out $(DEMO)/speed; }
	$(BIN)/python bench/speed.py $(or $(WORLD),$(DEMO)/speed)

bench-quality: $(VENV)/runtime  ## what is found at each level and who is accused wrongly, in simulated worlds (and WORLDS=folders)
	$(BIN)/python bench/quality.py $(WORLDS)

bench-inspect: $(VENV)/dev  ## vulnerable code told from its fix, beside bandit; false alarms, speed (SHARED=folder of the pairs)
	$(BIN)/python bench/inspection.py $(SHARED) --into $(DEMO)/inspect

# A failed install leaves no mark, so the next call goes on where it stopped.
$(VENV)/python:
	sh tools/venv.sh $(VENV) $(PYTHON)
	@touch $@

$(VENV)/runtime: $(VENV)/python requirements.txt pyproject.toml
	$(PIP) install --quiet --require-hashes -r requirements.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: $(VENV)/python requirements-dev.txt pyproject.toml
	$(PIP) install --quiet --require-hashes -r requirements-dev.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean:  ## remove the environment, the demo and what was built
	rm -rf $(VENV) $(DEMO) dist build
