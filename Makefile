# Everything a developer or CI does. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
export PATH := $(CURDIR)/$(TOOLS)/bin:$(PATH)

.PHONY: help setup dev tools demo play test check unit contract simulate bench bench-verdicts lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml
	@echo "Setting up $(VENV) with pinned dependencies"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "GitMesh needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V). Set PYTHON=python3.x"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): $(STAMP) requirements-dev.lock
	@echo "Adding the development tools"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(STAMP) ## Create .venv with the pinned dependencies

dev: $(DEV_STAMP) ## The same, with linters and test tools

tools: $(STAMP) ## Put kubectl, prometheus, promtool and sshd (Debian's packages) into .tools/, without root
	@$(BIN)/python tests/tools.py $(TOOLS)

demo: setup ## Run the whole story: push, ramp, bad version, rollback, broken YAML
	@$(BIN)/gitmesh demo

play: setup ## Start the playground and leave it running until Ctrl-C
	@$(BIN)/gitmesh play

check: dev ## Format, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

unit: dev ## The fast tests only (no Envoy, kubectl or Prometheus)
	@$(BIN)/pytest -q -m "not real"

test: dev tools check ## Everything that CI runs
	@$(BIN)/pytest --seeds 500

# Only a KUBECONFIG of the command line counts: that of the environment may be of a cluster that matters.
GIVEN = $(if $(filter command line,$(origin KUBECONFIG)),--kubeconfig=$(KUBECONFIG) $(if $(CONTEXT),--context=$(CONTEXT)))

contract: dev tools ## Hold the playground's API server, and that of KUBECONFIG=... [CONTEXT=...], to the contract
	@$(BIN)/pytest -q tests/contract $(GIVEN)

SEEDS ?= 1000
FIRST ?= 0

simulate: dev ## Play simulated worlds: SEEDS=100000, or SEED=7 to see one that failed
	@$(BIN)/python tests/simulation/play.py $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --first $(FIRST))

bench: dev ## Measure speed and memory
	@$(BIN)/python -m benchmarks

bench-verdicts: dev ## Compare verdicts with those of Flagger and Argo Rollouts: table, and docs/verdicts.png
	@$(BIN)/python -m benchmarks.verdicts

lock: ## Compile the lock files again from pyproject.toml
	@$(PYTHON) -m venv $(TOOLS)/uv && $(TOOLS)/uv/bin/pip install --quiet uv
	@$(TOOLS)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url --custom-compile-command 'make lock' --extra playground --extra notify --extra otel --group build pyproject.toml -o requirements.lock
	@$(TOOLS)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url --custom-compile-command 'make lock' -c requirements.lock --group dev -o requirements-dev.lock

clean: ## Remove everything that these targets made
	@rm -rf $(VENV) $(TOOLS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
