# Every target prepares what it needs; the second call finds it ready. `make` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
READY := .venv/.ready
ARGS ?=
# Compiled modules are kept even where the machine says otherwise: a crashed exam-client that must be
# compiled anew comes back seconds later.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo demo-samples demo-cluster test check bench bench-cluster coverage cluster-up cluster-down test-cluster test-cluster-full lock format clean

help: ## List the targets
	@echo 'MedXamion: make TARGET [ARGS="..."]'
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/\1|\2/p' $(MAKEFILE_LIST) \
		| while IFS='|' read -r name text; do printf '  %-17s %s\n' "$$name" "$$text"; done

demo: $(READY) ## Sit a whole exam on this machine, crashes included (ARGS go to examctl demo)
	@.venv/bin/examctl demo $(ARGS)

demo-samples: $(READY) ## The demo on every CSV of MEDXAMION_SAMPLE_DATA=folder
	@scripts/demo-samples.sh $(ARGS)

test: $(READY) ## Run all tests: real PostgreSQL, SQLCipher and Chromium (ARGS go to pytest)
	@scripts/test.sh $(ARGS)

check: $(READY) ## The fast gate: format, lint, types, imports, drift
	@scripts/check.sh

bench: $(READY) ## Measure answers per second, latencies and memory on this machine
	@$(PY) -m bench $(ARGS)

bench-cluster: $(READY) ## Measure the operator at scale: bursts, a stream, 1,500 live deliveries
	@scripts/cluster.sh prepare
	@$(PY) -m bench --only operator $(ARGS)

coverage: $(READY) ## Branch coverage of the cores and the contract by the unit tests
	@$(PY) -m coverage run -m pytest -q tests/unit tests/contract $(ARGS)
	@$(PY) -m coverage report

cluster-up: ## A Kubernetes cluster: yours, kind where Docker runs, else one real node from source
	@scripts/cluster.sh up

cluster-down: ## Take away what cluster-up made
	@scripts/cluster.sh down

test-cluster: $(READY) ## The tests that need a real cluster (ARGS go to pytest)
	@scripts/test-cluster.sh $(ARGS)

test-cluster-full: $(READY) ## Recovery with the counts of a proof; writes docs/proof/recovery.*
	@MEDXAMION_E2E_KILLS=20 MEDXAMION_E2E_POD_DELETES=5 MEDXAMION_E2E_OPERATOR_RESTARTS=50 MEDXAMION_E2E_TRANSFER_STATES=all MEDXAMION_E2E_APPLIES=20 \
		MEDXAMION_PROOF=docs/proof scripts/test-cluster.sh -k 'test_recovery or test_readiness or test_troubles' $(ARGS)

demo-cluster: $(READY) ## The demo on a real cluster, a pod deleted in the middle (ARGS=--exit)
	@$(PY) -m tests.support.cluster.demo $(ARGS)

lock: $(READY) ## Recompile requirements/*.lock (ARGS=--upgrade for newer versions)
	@scripts/lock.sh $(ARGS)

format: $(READY) ## Format the code and mend what lint can mend
	@$(PY) -m ruff format --quiet .
	@$(PY) -m ruff check --fix .

clean: ## Remove the virtual environment and caches (never data of an exam)
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage* dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements/bootstrap.lock requirements/dev.lock pyproject.toml scripts/bootstrap.sh
	@scripts/bootstrap.sh
