# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors

# The system's Python, which is faster than one that pyenv has compiled, unless it is too old.
PYTHON ?= $(shell /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>&- && echo /usr/bin/)python3
export PYTHON
BOOTSTRAP := tests/output/bootstrap
CORES := 2.18 2.19 2.20 2.21 2.22 devel
# Those that talk to no servers.
PLAIN := lint ansible-lint docs build-import-check sanity $(CORES:%=sanity-%) fuzz
SERVED := unit integration servers jobs molecule bench live $(CORES:%=unit-%) $(CORES:%=integration-%) servers-2.18 servers-2.22
pip = $(1)/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes --requirement

.PHONY: help demo test applications matrix lock clean $(PLAIN) $(SERVED)

help: ## list the targets
	@sed -n 's/^\([a-z]*\): .*## \(.*\)/\1\t\2/p' Makefile | expand -t 14
	@echo 'Also, as sessions of nox, with words for the tool behind them in ARGS:'
	@echo '$(PLAIN) $(SERVED)' | fold --spaces --width 100

demo: .venv/made ## play a short example in a scratch folder
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python examples/demo/run

test: $(BOOTSTRAP)/made ## set up everything and run all checks and tests
	@sh tests/debian.sh test
	@$(BOOTSTRAP)/bin/python -B tests/run.py

applications: $(BOOTSTRAP)/made ## test with large programs that use the collection, and the scenarios of the roles
	@sh tests/debian.sh test applications
	@$(BOOTSTRAP)/bin/python -B tests/run.py applications molecule

$(PLAIN): $(BOOTSTRAP)/made
	@$(BOOTSTRAP)/bin/nox -s $@ -- $(ARGS)

$(SERVED): $(BOOTSTRAP)/made
	@sh tests/debian.sh test
	@$(BOOTSTRAP)/bin/nox -s $@ -- $(ARGS)

matrix: $(BOOTSTRAP)/made ## sanity, unit and integration tests on every supported ansible-core
	@sh tests/debian.sh test
	@$(BOOTSTRAP)/bin/nox -t matrix

lock: $(BOOTSTRAP)/made ## renew the pinned versions of the Python packages
	@$(BOOTSTRAP)/bin/nox -s lock

.venv/made: examples/ci/requirements.txt
	@sh tests/debian.sh demo
	@$(PYTHON) -m venv --clear .venv
	@$(call pip,.venv) $<
	@touch $@

$(BOOTSTRAP)/made: tests/requirements/nox.txt
	@sh tests/debian.sh demo
	@$(PYTHON) -m venv --clear $(BOOTSTRAP)
	@$(call pip,$(BOOTSTRAP)) $<
	@touch $@

clean: ## remove everything that make has left behind
	rm -rf .venv .ansible .nox tests/output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
