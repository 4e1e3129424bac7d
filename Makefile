# Everything is run from here, by people and by continuous integration alike. Safe with -j.

VENV     := .venv
BIN      := $(VENV)/bin
STAMP    := $(VENV)/.installed
TEMPLATE := template.yaml
# What the template becomes: for every partition, with short and long names, a folder for each Region.
RENDERED := .aws-sam/rendered
REGIONS  := us-east-1 cn-north-1 us-gov-west-1
EXAMPLES := $(wildcard examples/*/*.yaml)
REGION   ?= us-east-1

# Best first, wherever on PATH. A pyenv shim may be there without an interpreter behind it, so each candidate is tried.
PYTHONS := python3.13 python3.12 python3.11 python3
USABLE  := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
# Everything runs a quarter faster where Python was compiled for speed: by a distribution, or by whoever asked for it.
# pyenv does not unless told, so one of its own comes after an older one of the system's.
FAST    := import sys, sysconfig; asked = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""); \
           sys.exit(not asked and sys.base_prefix != "/usr")

# What is compiled once, the many processes of the tests and the linters need not compile again.
unexport PYTHONDONTWRITEBYTECODE

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
.PHONY: help setup demo test check format lint types rendered template sam $(REGIONS) policies asl \
  coverage unit fuzz chaos sweep mutants bench docs build deploy named clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: $(STAMP)  ## make .venv with all that is needed; quick when nothing changed

$(STAMP): requirements-dev.txt functions/requirements.txt pyproject.toml
	@$(BIN)/python -c '$(USABLE)' 2>/dev/null || { \
	  found=; fast=; for name in $(PYTHONS); do for python in $$(which -a $$name 2>/dev/null || echo $$name); do \
	    if [ -z "$$fast" ] && $$python -c '$(USABLE)' 2>/dev/null; then \
	      found=$${found:-$$python}; if $$python -c '$(FAST)'; then fast=$$python; fi; \
	    fi; \
	  done; done; \
	  found=$${fast:-$$found}; \
	  if [ -z "$$found" ]; then echo "Tidegate needs Python 3.11 or later, with venv." >&2; exit 1; fi; \
	  echo "making $(VENV) with $$($$found --version)"; \
	  $$found -m venv --clear $(VENV); \
	}
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## two rollouts, one good and one bad, live in this terminal; no account needed
	$(BIN)/python -m sandbox demo

# Each check is one process, so two go at a time; what `coverage` and `policies` have run is not run once more.
test: setup  ## everything that must hold before a change goes in
	@$(MAKE) --no-print-directory --jobs=2 $(SYNCED) check build
	@$(MAKE) --no-print-directory unit RUN_BEFORE="$(PURE) $(POLICIES)"

# The longest ones first, so that neither of two cores waits for the other at the end.
check: format lint coverage types template policies asl  ## format, lint, types, template, policies, state machine, coverage

format: setup
	$(BIN)/ruff format --check .

lint: setup
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

rendered: setup
	rm -rf $(RENDERED)
	$(BIN)/python -m tools.render $(RENDERED)

# Names of every length are looked at in one Region, and the longest ones in a Region of each other partition. What
# `sam validate --lint` does is the same once more, cfn-lint after the SAM transform, by SAM's own reading of the file.
template: named sam $(REGIONS)

sam: setup
	$(SAM) validate --lint --region $(REGION) --template $(TEMPLATE)

us-east-1: rendered
	$(BIN)/cfn-lint --regions $@ --include-checks I3011 -- $(TEMPLATE) $(EXAMPLES) $(RENDERED)/$@/*.template.json

$(filter-out us-east-1,$(REGIONS)): rendered
	$(BIN)/cfn-lint --regions $@ -- $(RENDERED)/$@/longest.template.json

POLICIES := tests/contract/test_policies.py

policies: setup
	$(BIN)/python -m pytest -n0 -q $(POLICIES)

asl: rendered
	$(BIN)/python tools/lint_asl.py $(RENDERED)/*/*.asl.json
	@if command -v npm >/dev/null; then \
	  npm_config_cache=$(abspath $(VENV))/npm npx --yes asl-validator@4.0.0 \
	    $(foreach region,$(REGIONS),--json-path $(RENDERED)/$(region)/longest.asl.json); \
	else \
	  echo "skipped: asl-validator needs npm, which is not here"; \
	fi

# Of what decides, every branch but one in twenty is taken by the tests of that alone, which take no story.
PURE := $(addprefix tests/unit/,analysis control ending hooks planning request)

coverage: setup
	$(BIN)/coverage run -m pytest -n0 -q $(PURE)
	$(BIN)/coverage report

unit: setup
	$(BIN)/python -m pytest $(addprefix --ignore=,$(RUN_BEFORE))

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
