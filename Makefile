# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors

PYTHON ?= python3
RUN := @$(PYTHON) -B tests/tools

.PHONY: help demo test lint sanity unit integration servers jobs molecule bench fuzz matrix lock clean live

help: ## list the targets
	@sed -n 's/^\([a-z]*\): ## \(.*\)/\1\t\2/p' Makefile | expand -t 14

demo: ## play a short example in a scratch folder
	$(RUN) demo

test: ## set up everything and run all checks and tests
	$(RUN) test

lint: ## read the code: ruff, mypy, ansible-lint, docs, licences, changelog
	$(RUN) lint

sanity: ## ansible-test sanity
	$(RUN) sanity

unit: ## unit tests
	$(RUN) unit

integration: ## integration tests
	$(RUN) integration

servers: ## tests that talk to mail servers
	$(RUN) servers

jobs: ## tests of the examples and of what AWX and pipelines run
	$(RUN) jobs

molecule: ## scenarios of the environment role
	$(RUN) molecule

bench: ## benchmarks, each beside what one would do instead
	$(RUN) bench

fuzz: ## what servers may say, made up by atheris: a minute for each target
	$(RUN) fuzz

live: ## test a real tenant, as environment variables describe it
	$(RUN) live

matrix: ## unit and integration tests on every supported ansible-core
	$(RUN) matrix

lock: ## renew the pinned versions of the Python packages
	$(RUN) lock

clean: ## remove everything that make has left behind
	rm -rf .venv .ansible tests/output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
