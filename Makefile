# Two commands do all set-up by themselves: `make demo` and `make test`. They need Python from 3.11 on and a package index.
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
PIP := $(BIN)/pip --disable-pip-version-check
PYTHON ?=
.DEFAULT_GOAL := help
.PHONY: help demo test test-spark services lint types imports unit format lock docs wheel picture bench-speed bench-spark bench-quality bench-null bench-stages bench-bound bench-ablation bench-detectors bench-missing bench-correlation bench-delay bench-cost bench-adversary bench-real bench-audit bench-inspect inspect clean

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

test-spark: services $(VENV)/dev  ## scans on a real Spark cluster: the same bytes as on one machine, with a worker killed too
	$(BIN)/pytest -rs tests/spark -m "cluster or not cluster"

services:
	@sh tools/services.sh

format: $(VENV)/dev  ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-options
lock: $(VENV)/dev  ## choose versions anew within the ranges of pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(COMPILE) --upgrade --extra build --extra dev --extra postgres --extra spark \
		--output-file requirements-dev.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(COMPILE) --upgrade --extra build --constraint requirements-dev.txt \
		--output-file requirements.txt pyproject.toml

docs: $(VENV)/runtime  ## write the pages that are made of code
	$(BIN)/python tools/settings_page.py > docs/settings.md

wheel: $(VENV)/runtime  ## build dist/excise-*.whl
	$(BIN)/hatchling build -t wheel

picture: $(VENV)/runtime  ## docs/report.png, made of the demo's page by Chromium
	sh tools/picture.sh $(DEMO)/run/report.html docs/report.png

bench-speed: $(VENV)/dev  ## what scans cost, beside their floor and their peers, in one run (WORLD=folder); writes docs/benchmarks/speed.md
	test -n "$(WORLD)" || { rm -rf $(DEMO)/speed $(DEMO)/speed-labels; mkdir -p $(DEMO); $(BIN)/excise simulate --exchanges 200000 --out $(DEMO)/speed; }
	$(BIN)/python bench/speed.py $(or $(WORLD),$(DEMO)/speed) --peers $(DEMO)/peers $(OPTIONS)

bench-spark: $(VENV)/dev  ## what a scan on a Spark cluster moves and costs (WORLD=folder)
	$(BIN)/python bench/spark.py $(WORLD)

bench-quality: $(VENV)/runtime  ## Excise and the baselines on the same worlds: who is found, who is accused wrongly (WORLDS=folders)
	$(BIN)/python bench/quality.py table $(WORLDS) $(OPTIONS)

bench-null: $(VENV)/runtime  ## worlds without a campaign, where every accusation is false (WORLDS=folders)
	$(BIN)/python bench/quality.py null $(WORLDS) $(OPTIONS)

bench-stages: $(VENV)/runtime  ## where accounts of campaigns are lost: linking, clusters, members (WORLDS=folders)
	$(BIN)/python bench/quality.py stages $(WORLDS) $(OPTIONS)

bench-bound: $(VENV)/bound  ## what learning from labels would reach (TRAIN=folders, TEST=folders)
	$(BIN)/python bench/bound.py --train $(TRAIN) --test $(TEST) $(OPTIONS)

bench-ablation: $(VENV)/runtime  ## scans without a layer, or without a step of linking (WORLDS=folders)
	$(BIN)/python bench/quality.py ablation $(WORLDS) $(OPTIONS)

bench-detectors: $(VENV)/runtime  ## scans without one detector (WORLDS=folders)
	$(BIN)/python bench/quality.py detectors $(WORLDS) $(OPTIONS)

bench-missing: $(VENV)/runtime  ## scans of worlds from which columns and tables were taken away (WORLDS=folders)
	$(BIN)/python bench/quality.py missing $(WORLDS) $(OPTIONS)

bench-correlation: $(VENV)/runtime  ## simulated campaigns whose layers hide more or less together
	$(BIN)/python bench/quality.py correlation $(OPTIONS)

bench-delay: $(VENV)/runtime  ## what is harvested before a campaign is known, day by day (WORLDS=folders)
	$(BIN)/python bench/quality.py delay $(WORLDS) $(OPTIONS)

bench-cost: $(VENV)/runtime  ## what a level of care costs an attacker (WORLDS=folders)
	$(BIN)/python bench/quality.py cost $(WORLDS) $(OPTIONS)

bench-adversary: $(VENV)/runtime  ## a search over what a campaign can hide, with a budget
	$(BIN)/python bench/quality.py adversary $(OPTIONS)

bench-real: $(VENV)/runtime  ## linking and templates on real data (DATA=folder of the sets; SCORER=a Python with polars)
	$(BIN)/python bench/hop.py $(DATA)/hop_airdrop $(if $(SCORER),--scorer $(SCORER))
	$(BIN)/python bench/coortweet.py $(DATA)/coortweet $(if $(SCORER),--reference $(SCORER))
	$(BIN)/python bench/benign_text.py $(DATA)

bench-audit: $(VENV)/audit  ## what an audit finds, whom it accuses wrongly, and what removes a mark; then small transformers; writes docs/benchmarks/audit.md
	$(BIN)/python bench/audit.py --out docs/benchmarks/audit.md
	$(BIN)/python bench/audit_transformer.py --work $(DEMO)/audit --out docs/benchmarks/audit.md

bench-inspect: $(VENV)/dev  ## vulnerable code told from its fix, beside bandit; false alarms, speed (SHARED=folder of the pairs); writes docs/benchmarks/inspect.md
	$(BIN)/python bench/inspection.py $(SHARED) --into $(DEMO)/inspect --out docs/benchmarks/inspect.md

# A failed install leaves no mark, so the next call goes on where it stopped.
$(VENV)/python:
	sh tools/venv.sh $(VENV) $(PYTHON)
	@touch $@

$(VENV)/runtime: $(VENV)/python requirements.txt pyproject.toml
	$(PIP) install --quiet --require-hashes -r requirements.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/audit: $(VENV)/runtime
	$(PIP) install --quiet --editable '.[audit,audit-torch]'
	@touch $@

$(VENV)/bound: $(VENV)/runtime
	$(PIP) install --quiet --editable '.[bound]'
	@touch $@

$(VENV)/dev: $(VENV)/python requirements-dev.txt pyproject.toml
	$(PIP) install --quiet --require-hashes -r requirements-dev.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean:  ## remove the environment, the demo and what was built
	rm -rf $(VENV) $(DEMO) dist build
