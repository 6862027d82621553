# Two commands matter: `make run` and `make test`. Both set up what they need.
.PHONY: help setup run package deploy destroy test browser faults test-dynamodb-local rebuild-100k check format clean
.DEFAULT_GOAL := help

PYTHON ?= python3
WORKERS ?= 3
VENV := .venv
BIN := $(VENV)/bin
# Installs the locked packages; several times faster than pip at it.
UV := uv==0.13.9
STAMP := $(VENV)/.ready

help:
	@echo 'make run     three regions on this machine, a feed of commands, a verdict (ARGS=--exit ends by itself)'
	@echo 'make test    the whole test suite'
	@echo 'make browser install Chromium, without which make test skips the console in a browser (Debian, as root)'
	@echo 'make faults  every fault and pairs of them on running regions (make test plays a selection)'
	@echo 'make test-dynamodb-local  the contracts of the stores on AWS DynamoDB Local (needs Java 17 and npm)'
	@echo 'make rebuild-100k  rebuild 100,000 commits beside a feed, killed twice (minutes)'
	@echo 'make package the functions, as Lambda gets them (ARGS="--for x86_64", or --for here for antiphon up --package)'
	@echo 'make deploy FILE=antiphon.yaml  to AWS, as the file says (docs/DEPLOY.md); make destroy takes it away'
	@echo 'make check   what CI runs: format, lint, types, import rules, templates, tests'
	@echo 'make setup   only install; the command line is then $(BIN)/antiphon'
	@echo 'make format  put the code into its format'

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Antiphon needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...'; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'Installing into $(VENV) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(STAMP)

run: $(STAMP)
	@$(BIN)/antiphon run $(ARGS)

package: $(STAMP)
	@$(BIN)/antiphon package $(ARGS)

# docs/DEPLOY.md says what is in FILE.
deploy destroy: $(STAMP)
	@$(BIN)/antiphon $@ $(FILE) $(ARGS)

# Three at a time, for those of regions mostly wait; tests/conftest.py says which of them never run beside each other.
test: $(STAMP)
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadgroup $(ARGS)

# A browser is the machine's, not the project's: nothing else here installs beyond $(VENV).
browser:
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo 'install chromium and chromedriver by the means of this machine'; exit 1; fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -qq -y --no-install-recommends chromium chromium-driver >/dev/null

faults: $(STAMP)
	$(BIN)/pytest tests/faults -m '' $(ARGS)

# Fails if DynamoDB Local cannot be had: then no test is left, and the last line says why.
test-dynamodb-local: $(STAMP)
	$(BIN)/pytest tests/contract -k dynamodb-local $(ARGS)

rebuild-100k: $(STAMP)
	@$(BIN)/python -m tests.antiphon.rebuild_at_scale $(or $(COMMITS),100000)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cfn-lint infra/sam/*.yaml
	$(MAKE) --no-print-directory test

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
