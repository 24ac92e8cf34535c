# Everything runs in environments that these targets create; nothing has to be installed by hand.
SHELL := /bin/bash
.DEFAULT_GOAL := help

ACCOUNTS ?= 3000
HISTORY ?= 67
DAYS ?= 2
STATE ?= .segue
SEEDS ?= 50
WORKERS ?= 2

# uv comes from PyPI into a folder of the project's own when the machine has none.
UV := $(shell command -v uv 2>/dev/null || echo .segue/uv/bin/uv)
RUN := $(UV) run --locked

.PHONY: help setup browser redis node java metrics demo docs sandbox test check soak bench up down lint lint-types lint-text format

help: ## Show the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

.segue/uv/bin/uv:
	python3 -m venv .segue/uv && .segue/uv/bin/pip install --quiet uv

# Compiled once, here: where PYTHONDONTWRITEBYTECODE is set, as in many images, every process would compile
# all that it imports again (Great Expectations: 8.6 s instead of 4.1).
setup: export UV_COMPILE_BYTECODE := 1
# Tests that are run without uv find it where the checkout's own would be.
setup: openmp $(filter .segue/uv/bin/uv,$(UV)) ## Create the environments
	@$(UV) sync --locked --quiet
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/.segue/bqemulator-env $(UV) sync --locked --quiet --project local/bigquery_emulator
	@[ -e .segue/uv/bin/uv ] || { mkdir -p .segue/uv/bin && ln -sf "$(abspath $(UV))" .segue/uv/bin/uv; }

# What LightGBM is linked with; a C compiler brings it, a slim image has none.
.PHONY: openmp
openmp:
	@[ "$$(uname)" = Darwin ] || /sbin/ldconfig -p | grep -q libgomp.so.1 || bash local/install_debian.sh libgomp1

browser:
	@command -v chromium >/dev/null || bash local/install_debian.sh chromium

redis:
	@command -v redis-server >/dev/null || bash local/install_debian.sh redis-server

node:
	@command -v npm >/dev/null || bash local/install_debian.sh nodejs npm

# What clients/java/build.sh builds with: 11 MB, and a JDK of 100 MB where there is none.
java: DEBIAN := libgrpc-java libprotobuf-java libgoogle-common-protos-java libnetty-java libnetty-tcnative-java \
  libnetty-tcnative-jni libperfmark-java libgoogle-gson-java libguava-java libjsr305-java \
  libgeronimo-annotation-1.3-spec-java junit5 protobuf-compiler protobuf-compiler-grpc-java-plugin
java:
	@command -v javac >/dev/null || bash local/install_debian.sh default-jdk-headless
	@dpkg --status $(DEBIAN) >/dev/null 2>&1 || bash local/install_debian.sh $(DEBIAN)

metrics: $(filter .segue/uv/bin/uv,$(UV)) ## Make MetricFlow's environment, for local/metricflow/mf and its test
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/.segue/metricflow-env $(UV) sync --locked --quiet --project local/metricflow

demo: setup ## Build two months of marts, the last days through Airflow, and look an account up
	@GRPC_VERBOSITY=ERROR $(RUN) python -m local.demo --accounts $(ACCOUNTS) --history $(HISTORY) --days $(DAYS) --state-dir $(STATE)

sandbox: setup ## Serve a test account for each answer of the lookup service
	@$(RUN) segue sandbox

test: setup browser redis node java metrics lint ## Lint, type-check and run every test, in WORKERS processes
	@$(RUN) pytest -q -n $(WORKERS)

check: lint ## Lint, type-check and run the tests that need no emulator: for the inner loop
	@$(RUN) pytest -q -m "not emulator"

soak: setup ## Run the fault, SIGKILL, replication, landing, order and week proofs over SEEDS seeds
	@SEGUE_SOAK_SEEDS=$(SEEDS) $(RUN) pytest -q --timeout 0 tests/loaders/bigtable/test_chaos.py tests/loaders/bigtable/test_replication.py \
	  tests/loaders/warehouse/test_warehouse_chaos.py tests/loaders/landing/test_row_by_row.py \
	  tests/runs/test_publish_killed.py tests/runs/test_verdict.py tests/e2e/soak_week.py

bench: setup ## Measure on the embedded parts: ratios within one run
	@GRPC_VERBOSITY=ERROR $(RUN) segue bench load --memory-rows 200000 --memory-rows 1000000 --memory-rows 5000000
	@$(RUN) segue bench land --memory-rows 200000 --memory-rows 1000000
	@$(RUN) segue bench score --memory-accounts 200000 --memory-accounts 5000000

docs: setup ## Build the documentation site into .segue/site, reference pages from the code
	@NO_MKDOCS_2_WARNING=1 $(RUN) python -m mkdocs build --strict --quiet

up: setup ## Start the embedded platform
	@$(RUN) segue local up

down: ## Stop everything that was started
	@$(RUN) segue local down

lint: setup ## ruff, mypy, import-linter and sqlfmt, without changing anything
	@$(MAKE) --no-print-directory -j 2 lint-types lint-text

# Types take as long as everything else.
lint-types:
	@$(RUN) mypy

lint-text:
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) lint-imports --no-cache
	@$(RUN) sqlfmt --check --quiet dbt

format: setup ## Let ruff and sqlfmt rewrite the sources
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .
	@$(RUN) sqlfmt --quiet dbt
