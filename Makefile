# `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh

# The daemons of the functional tests run as users of their own, who must be able to reach the
# interpreter: so the environment stands in the checkout only where strangers may enter it.
VENV := $(shell sh contrib/dev/venv-directory)
PYTHON := $(VENV)/bin/python
# The floor: Debian's own interpreter with Debian's own packages.
FLOOR := /usr/bin/python3
SOURCES := core milter sidecar admin tests bench contrib docs

.PHONY: help setup tools demo test test-packaging check unit functional floor bench fuzz docs deb rpm \
	release-check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## one tracked mail from SMTP to a signed webhook, on this machine alone (root or sudo)
	@sh contrib/demo/run

test: tools check unit functional floor ## set up and run everything

test-packaging: ## build deb and rpm, and live with them in clean Debian systems on systemd (as root)
	@sh contrib/dev/setup $(VENV) packaging
	@$(PYTHON) -m pytest -q tests/packaging

deb: ## build the Debian packages into dist
	@sh packaging/build-deb dist

rpm: $(VENV)/ready ## build the rpm into dist
	@PYTHON=$(PYTHON) sh packaging/build-rpm dist

release-check: ## everything that a release needs, one line a fault
	@sh packaging/release-check

setup: ## install what check and unit need: Debian packages (as root), a virtual environment
	@sh contrib/dev/setup $(VENV)

tools: ## install what the functional tests need beside: browser, proxies, CAs, signers (as root)
	@sh contrib/dev/setup $(VENV) test

check: $(VENV)/ready ## format, lint, types, the house's rules, spelling
	@$(VENV)/bin/ruff format --check --quiet $(SOURCES)
	@$(VENV)/bin/ruff check --quiet $(SOURCES)
	@$(VENV)/bin/mypy --no-error-summary
	@$(PYTHON) -m pytest -q --no-header tests/unit/test_house.py tests/unit/test_docs.py tests/unit/test_readme.py
	@$(VENV)/bin/codespell

unit: $(VENV)/ready ## tests in-process: no port, no sleep
	@$(PYTHON) -m pytest -q tests/unit

functional: tools ## real Postfix, both daemons under two users (needs root, else it says so)
	@$(PYTHON) -m pytest -q tests/functional

floor: ## the unit tests and one whole flow on Debian's own python3
	@$(FLOOR) -m pytest -q tests/unit tests/functional/test_flow.py

bench: ## ratios from one interleaved run, also as JSON; installs the anchors first (as root)
	@sh contrib/dev/setup $(VENV) bench
	@$(PYTHON) bench/run.py

fuzz: ## feed the milter's core with what breaks it: TARGET=links|parts|instrument|message|tree SECONDS=600
	@sh contrib/dev/fuzz $(or $(TARGET),instrument) $(or $(SECONDS),600)

docs: $(VENV)/ready ## write the generated pages anew
	@PYTHONPATH=core:milter:sidecar:admin $(PYTHON) docs/generate.py

clean: ## remove what the targets above made
	@rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .cache build dist
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/ready:
	@sh contrib/dev/setup $(VENV)
