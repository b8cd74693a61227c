# The commands for working with this repository; `make` alone lists them.

# The system's Python first: it is fully optimized, and one built by pyenv takes half as long again.
PYTHON ?= $(shell for each in /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11 python3.13 python3.12 python3.11 python3; do \
	$$each -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$each && break; done)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -p tests.costs -n 2 --dist loadgroup --no-loadscope-reorder
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
LOCK := $(BIN)/python -m uv pip compile pyproject.toml --quiet --generate-hashes --python-version 3.11 --universal \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

# Keep compiled files: compiling takes longer than starting.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test proof bench check demo-large shell words lock clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'

run: .venv/installed-local ## Start Frontdesk at http://localhost:8000 with its own PostgreSQL and Redis
	@exec $(BIN)/python deploy/launch.py run

test: .venv/installed-dev ## Run the tests on two cores; T=bookings (or a path) for a part, DAY=2027-01-31T23:50 for another day
	@DAY=$(DAY) $(PYTEST) -m "not proof" $(if $(wildcard tests/$(T)),tests/$(T),$(T))

proof: .venv/installed-dev ## Run the long checks, those of money with a new seed (30 minutes or more; PROOF_SEED=… repeats a run); SHORT=1 for a sample
ifdef SHORT
	@DAY=$(DAY) $(PYTEST) -m proof
else
	@PROOF_EXAMPLES=$${PROOF_EXAMPLES:-500} PROOF_STEPS=$${PROOF_STEPS:-60} $(BIN)/python -m pytest -s -m proof
endif

bench: .venv/installed-dev ## Benchmark requests against stock Flask-AppBuilder on the same data; writes docs/bench.md
	@$(BIN)/python -m bench

check: .venv/installed-dev ## Check style, types and imports between packages
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m ruff format --check
	@$(BIN)/python -m mypy
	@$(BIN)/python -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

demo-large: .venv/installed-local ## Add 10,000 bookings to the demo (takes several minutes); COUNT=2000 for fewer
	@$(BIN)/python deploy/launch.py exec -- flask --app app migrate
	@$(BIN)/python deploy/launch.py exec -- flask --app app demo-large $(COUNT)

shell: .venv/installed-local ## Open a Python shell inside the app, with or without a running Frontdesk
	@exec $(BIN)/python deploy/launch.py exec -- flask --app app shell

words: .venv/installed-local ## Update the catalogues in translations/ and report missing translations
	@$(BIN)/python deploy/launch.py exec -- flask --app app words

lock: .venv/installed-dev ## Pin all libraries again from pyproject.toml; UPGRADE=--upgrade for the latest versions
	@$(LOCK) $(UPGRADE) -o requirements.txt
	@$(LOCK) $(UPGRADE) --extra local -o requirements-local.txt
	@$(LOCK) $(UPGRADE) --extra local --extra dev -o requirements-dev.txt

clean: ## Remove generated files; keeps the data in ./var
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/installed-local: requirements-local.txt .venv/bin/python
	@echo "Installing the libraries…"
	@$(INSTALL) -r $<
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/bin/python
	@echo "Installing the libraries and tools…"
	@$(INSTALL) -r $<
	@touch $@

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is required and was not found. Install it, or set its path: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is not Python 3.11 or newer. Set the path of another one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot create a virtual environment. Install the venv module (Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
