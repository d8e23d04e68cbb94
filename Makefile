# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors

PYTHON ?= python3
export PYTHON
BOOTSTRAP := tests/output/bootstrap
PLAIN := lint docs sanity
SERVED := unit integration servers jobs molecule bench fuzz live
pip = $(1)/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes --requirement

.PHONY: help demo test matrix lock clean $(PLAIN) $(SERVED)

help: ## list the targets; `make unit ARGS="-k uri"` hands words on
	@sed -n 's/^\([a-z$$()A-Z ]*\):.* ## \(.*\)/\1\t\2/p' Makefile | expand -t 26

demo: .venv/made ## play a short example in a scratch folder
	@.venv/bin/python examples/demo/run

test: $(BOOTSTRAP)/made ## set up everything and run all checks and tests
	@sh tests/debian.sh test
	@$(BOOTSTRAP)/bin/python -B tests/run.py

$(PLAIN): $(BOOTSTRAP)/made ## the session of nox; `nox -l` lists all
	@$(BOOTSTRAP)/bin/nox -s $@ -- $(ARGS)

$(SERVED): $(BOOTSTRAP)/made ## the session of nox, for which Debian packages are installed
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
