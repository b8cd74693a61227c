# Everything that is done by hand with this repository; `make` alone lists it.

PYTHON ?= $(shell for each in python3.13 python3.12 python3.11 python3; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$each && break; done)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -p tests.costs -n 2 --dist loadgroup --no-loadscope-reorder
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
LOCK := $(BIN)/python -m uv pip compile pyproject.toml --quiet --generate-hashes --python-version 3.11 --universal \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

.DEFAULT_GOAL := help
.PHONY: help run test proof bench check demo-large shell words lock clean

help: ## List what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'

run: .venv/installed-local ## Start all of Frontdesk here, with its own PostgreSQL and Redis: http://localhost:8000
	@exec $(BIN)/python deploy/launch.py run

test: .venv/installed-dev ## Run the tests on two cores; T=bookings (or a path) for some of them, DAY=2027-01-31T23:50 for another day
	@DAY=$(DAY) $(PYTEST) -m "not proof" $(if $(wildcard tests/$(T)),tests/$(T),$(T))

proof: .venv/installed-dev ## Prove the money at length, with a new seed each time (half an hour and more; PROOF_SEED=… repeats one); SHORT=1 for a sample
ifdef SHORT
	@DAY=$(DAY) $(PYTEST) -m proof tests/proof
else
	@PROOF_EXAMPLES=$${PROOF_EXAMPLES:-500} PROOF_STEPS=$${PROOF_STEPS:-60} $(BIN)/python -m pytest -s tests/proof
endif

bench: .venv/installed-dev ## Measure what a request costs, beside stock Flask-AppBuilder on the same rows; writes docs/bench.md
	@$(BIN)/python -m bench

check: .venv/installed-dev ## Style, types, and who may import whom
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m ruff format --check
	@$(BIN)/python -m mypy
	@$(BIN)/python -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

demo-large: .venv/installed-local ## Fill the demo with ten thousand bookings (some minutes); COUNT=2000 for fewer
	@$(BIN)/python deploy/launch.py exec -- flask --app app migrate
	@$(BIN)/python deploy/launch.py exec -- flask --app app demo-large $(COUNT)

shell: .venv/installed-local ## A Python shell inside the app, beside a running Frontdesk or alone
	@exec $(BIN)/python deploy/launch.py exec -- flask --app app shell

words: .venv/installed-local ## Bring the catalogues of translations/ into step with what is said, and tell what they lack
	@$(BIN)/python deploy/launch.py exec -- flask --app app words

lock: .venv/installed-dev ## Pin every library anew from pyproject.toml; add UPGRADE=--upgrade for the newest
	@$(LOCK) $(UPGRADE) -o requirements.txt
	@$(LOCK) $(UPGRADE) --extra local -o requirements-local.txt
	@$(LOCK) $(UPGRADE) --extra local --extra dev -o requirements-dev.txt

clean: ## Remove what can be made again; ./var, where the data is, stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/installed-local: requirements-local.txt .venv/bin/python
	@echo "Installing the libraries …"
	@$(INSTALL) -r $<
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/bin/python
	@echo "Installing the libraries and tools …"
	@$(INSTALL) -r $<
	@touch $@

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found: install it, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is not Python 3.11 or newer: name another one, make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make a virtual environment: install it (Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
