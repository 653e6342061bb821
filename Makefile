# Every target does all of its own set-up: Python 3.11, make and a package index are enough.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SIZE ?= demo
PAGE := $(or $(SEGUE_HOME),.segue)/reports/recommendations.html

# Without bytecode `import tensorflow` takes 26 s instead of 7, in every process.
unexport PYTHONDONTWRITEBYTECODE
export TF_USE_LEGACY_KERAS := 1
export TF_CPP_MIN_LOG_LEVEL := 2

.PHONY: help env demo services services-down test unit lint bench clean lock
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

env: $(VENV)/.ready ## install the locked environment into .venv

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python -e .
	touch $@

demo: env ## from a synthetic log to recommendations on a page: import, train, monitor, recommend
	$(BIN)/segue data import synthetic --size $(SIZE) --seed 0
	$(BIN)/segue data describe --user u00002
	$(BIN)/segue run training --config docs/example/demo.yaml
	$(BIN)/segue run monitoring
	$(BIN)/segue monitor
	$(BIN)/segue recommend -k 8 --user u00002 --user u00003 --user u00004 --page $(PAGE)
	$(BIN)/segue status

services: env ## start PostgreSQL, Valkey and an S3 server on this machine, and print the settings that use them
	$(BIN)/python -m stores.services up

services-down: env ## stop these servers; their data stays
	$(BIN)/python -m stores.services down

test: env ## every test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

unit: env ## the quick tests alone
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

lint: env ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy segue stores cli events feature_repo models workloads components pipelines serving surfaces experiments tracking monitoring rollout benchmarks

bench: env ## speed and memory beside a named peer
	$(BIN)/segue bench features
	$(BIN)/segue bench serving

lock: ## resolve anew and write requirements.lock (no addresses in it)
	test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv; }
	$(BIN)/uv lock --upgrade
	$(BIN)/uv export --quiet --frozen --no-emit-project --all-extras --no-header --no-annotate --format requirements-txt -o requirements.lock

.PHONY: kind-up kind-load kfp-install kind-demo kind-down
kind-up: ## make a cluster with kind (this and the next four need a container engine and kind)
	k8s/kind/up

kind-load: ## build the images, load them into the cluster, deploy stores and servers
	k8s/kind/load

kfp-install: ## install Kubeflow Pipelines in the cluster
	k8s/kind/kfp-install

kind-demo: env ## train on Kubeflow Pipelines and print recommendations of TF Serving
	k8s/kind/demo

kind-down: ## delete the cluster
	k8s/kind/down

clean: ## remove state, caches and the environment
	rm -rf $(VENV) .segue build *.egg-info .pytest_cache .mypy_cache .ruff_cache
