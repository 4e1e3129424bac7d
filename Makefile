# Everything is run from here, by people and by continuous integration alike. Safe with -j.

VENV     := .venv
BIN      := $(VENV)/bin
STAMP    := $(VENV)/.installed
TEMPLATE := template.yaml
# What the template becomes: for every partition, with short and long names, a folder for each Region.
RENDERED := .aws-sam/rendered
EXAMPLES := $(wildcard examples/*/*.yaml)
REGION   ?= us-east-1

# Best first. A pyenv shim may be on PATH without an interpreter behind it, so each candidate is tried.
PYTHONS := python3.13 python3.12 python3.11 python3
USABLE  := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

# The template's functions run on 3.13, and `sam build` wants that very minor version on PATH.
PYENV    := $(or $(PYENV_ROOT),$(HOME)/.pyenv)
PATHS_313 = $(abspath $(BIN)) $(wildcard $(PYENV)/versions/3.13*/bin) $(subst :, ,$(PATH))
BIN_313   = $(firstword $(foreach dir,$(PATHS_313),$(shell $(dir)/python3.13 -c "" 2>/dev/null && echo $(dir))))

# SAM must neither phone home nor need one.
SAM := SAM_CLI_TELEMETRY=0 __SAM_CLI_APP_DIR=$(abspath $(VENV))/sam $(BIN)/sam

# What one of several prints at a time stays together, where make can do that (4.0 or later).
SYNCED := $(addprefix --output-sync=,$(if $(findstring output-sync,$(.FEATURES)),target))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test check format lint types rendered template policies asl coverage unit fuzz chaos sweep mutants bench docs build deploy clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: $(STAMP)  ## make .venv with all that is needed; quick when nothing changed

$(STAMP): requirements-dev.txt functions/requirements.txt pyproject.toml
	@$(BIN)/python -c '$(USABLE)' 2>/dev/null || { \
	  found=; for python in $(PYTHONS); do \
	    if $$python -c '$(USABLE)' 2>/dev/null; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then echo "Tidegate needs Python 3.11 or later, with venv." >&2; exit 1; fi; \
	  echo "making $(VENV) with $$($$found --version)"; \
	  $$found -m venv --clear $(VENV); \
	}
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## two rollouts, one good and one bad, live in this terminal; no account needed
	$(BIN)/python -m sandbox demo

# Each check is one process, so two go at a time; what `coverage` has run is not run once more.
test: setup  ## everything that must hold before a change goes in
	@$(MAKE) --no-print-directory --jobs=2 $(SYNCED) check build
	@$(MAKE) --no-print-directory unit RUN_BEFORE="$(PURE)"

check: format lint types template policies asl coverage  ## format, lint, types, template, policies, state machine, coverage

format: setup
	$(BIN)/ruff format --check .

lint: setup
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

rendered: setup
	rm -rf $(RENDERED)
	$(BIN)/python -m tools.render $(RENDERED)

template: rendered
	$(BIN)/python -m tools.stack_name
	$(BIN)/cfn-lint --include-checks I3011 -- $(TEMPLATE) $(EXAMPLES)
	@for template in $(TEMPLATE) $(EXAMPLES); do \
	  $(SAM) validate --lint --region $(REGION) --template $$template || exit 1; \
	done
	@for folder in $(RENDERED)/*; do \
	  region=$$(basename $$folder); \
	  $(BIN)/cfn-lint --regions $$region -- $$folder/*.template.json && \
	  $(SAM) validate --lint --region $$region --template $$folder/longest.template.json || exit 1; \
	done

policies: setup
	$(BIN)/python -m pytest -n0 -q tests/contract/test_policies.py

asl: rendered
	$(BIN)/python tools/lint_asl.py $(RENDERED)/*/*.asl.json
	@if command -v npm >/dev/null; then \
	  for definition in $(RENDERED)/*/longest.asl.json; do \
	    npm_config_cache=$(abspath $(VENV))/npm npx --yes asl-validator@4.0.0 --json-path $$definition || exit 1; \
	  done; \
	else \
	  echo "skipped: asl-validator needs npm, which is not here"; \
	fi

# Of what decides, every branch but one in twenty is taken by the tests of that alone, which take no story.
PURE := analysis control ending hooks planning request

coverage: setup
	$(BIN)/coverage run -m pytest -n0 -q $(addprefix tests/unit/,$(PURE))
	$(BIN)/coverage report

unit: setup
	$(BIN)/python -m pytest $(addprefix --ignore=tests/unit/,$(RUN_BEFORE))

fuzz: setup  ## bad input at every door: N=100000 of it, SEED=7 for other input
	$(BIN)/python -m tests.fuzz --count $(or $(N),100000) $(addprefix --seed ,$(SEED))

chaos: setup  ## random rollouts under random faults: N=200 of them, SEED=7 for the same ones again, CASE=7.123 for one
	$(BIN)/python -m tests.chaos --count $(or $(N),200) $(addprefix --seed ,$(SEED)) $(addprefix --case ,$(CASE))

sweep: setup  ## hurt the canonical rollout at every call and in every state, and write docs/crash-points.md
	$(BIN)/python -m tests.chaos.sweep

mutants: setup  ## one small mistake after another in the code that moves traffic: N=20 minutes of them, SEED=7 for others
	$(BIN)/python -m tools.mutants --minutes $(or $(N),20) $(addprefix --seed ,$(SEED))

bench: setup build  ## measure everything against its limit, and write docs/figures.md: N=10 cold starts of each handler
	$(BIN)/python -m bench --write $(addprefix --repeats ,$(N))

docs: setup  ## write what the documentation repeats of the code
	$(BIN)/python -m docs.generate

build: setup  ## sam build, into .aws-sam; needs a python3.13
	@if [ -z "$(BIN_313)" ]; then \
	  echo "skipped: sam build needs python3.13, found neither on PATH nor under pyenv"; \
	else \
	  PATH="$(BIN_313):$$PATH" $(SAM) build --template $(TEMPLATE) && \
	  $(BIN_313)/python3.13 tools/bytecode.py .aws-sam/build/*Function && \
	  $(BIN)/python tools/weigh_build.py; \
	fi

deploy: named build  ## to your account, asking for each parameter first: STACK=tidegate-prod for another name
	@[ -n "$(BIN_313)" ] || { echo "nothing to deploy without a build" >&2; exit 1; }
	$(SAM) deploy --guided $(addprefix --stack-name ,$(STACK))

named: setup
	@$(BIN)/python -m tools.stack_name $(STACK)

clean:  ## remove everything that was made here
	rm -rf $(VENV) .aws-sam .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
