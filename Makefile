# Every target sets up .venv by itself: all that is needed is Python 3.11 or later, and make.
.DEFAULT_GOAL := help
.PHONY: help demo test test-long faults parity lint format bench lock clean

# The first interpreter that really runs and is new enough; override with `make PYTHON=/path/to/python`.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$p" && break; done)
BIN := .venv/bin
# Files of tests side by side, each process with a Kafka and Redis of its own: much of a test's time is waiting.
AT_ONCE ?= -n 4 --dist loadfile

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-9s %s\n", $$1, $$2 }'

.venv/ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "wirewatch needs Python 3.11 or later with venv: install it, or run make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Setting up .venv with $(PYTHON) (once, about half a minute) ..."
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# What only developers need is installed when they need it: the demo is to be up soon.
.venv/dev: .venv/ready requirements-dev.lock
	@echo "Adding what tests and benches need to .venv (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dev.lock
	@touch $@

demo: .venv/ready ## Run the main job: a ticker in, alerts out, on embedded Kafka and Redis
	@$(BIN)/wirewatch demo

test: .venv/dev ## Run the tests on real Kafka and Redis
	@$(BIN)/python -m pytest $(AT_ONCE) $(ARGS)

test-long: .venv/dev ## Run the further cases that `make test` leaves out
	@$(BIN)/python -m pytest -m long $(AT_ONCE) $(ARGS)

faults: .venv/dev ## Break things at random for some minutes, and check that nothing is lost (ARGS="--minutes 5 --brokers 3")
	@$(BIN)/python -m tests.faults $(ARGS)

parity: .venv/dev ## Compare what two live workers decide with what a replay of it decides (ARGS="--headlines 5000")
	@$(BIN)/python -m tests.parity $(ARGS)

lint: .venv/dev ## Check style, types and the directions of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/dev ## Format the code and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: .venv/dev ## Measure, each figure beside a peer's (ONLY=name for one)
	@$(BIN)/python -m benchmarks $(ONLY)

lock: ## Resolve the dependencies anew into requirements.lock (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --extra embedded --extra report --group build --output-file requirements.lock pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --extra embedded --extra apprise --extra cluster --extra parquet --extra report --group build --group dev \
		--constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

clean: ## Remove what the targets above made
	rm -rf .venv dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
