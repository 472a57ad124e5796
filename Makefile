# Each target is one line that calls a real command; `make help` lists them.
PYTHON ?= python3
VENV := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup demo test check unit scenarios format generate golden lock bill bench bench-gateway bench-judgement train-injection goals images cluster cluster-down clean

help:          ## Show this list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 26

setup:         ## Make the virtual environment and install what is missing
	@$(PYTHON) -m tools.setup

demo: setup    ## Watch an LLMDeployment become a running LLM service on a real Kubernetes
	@$(VENV)/python -m e2e demo

test: check unit scenarios ## Run every check and test

check: setup   ## Lint, types, import contracts
	@$(VENV)/python -m tools.check

unit: setup    ## The tests that need no cluster (a real Triton included)
	@$(PYTHON) -m e2e.cluster build helm > /dev/null && $(VENV)/python -m tools.unit $(ARGS)

scenarios: setup ## The tests on a real Kubernetes
	@$(VENV)/python -m e2e test $(ARGS)

format: setup  ## Format the code
	@$(VENV)/ruff format . && $(VENV)/ruff check --fix-only --quiet .

generate: setup ## Write crds/ and charts/llmops-crds from the models
	@$(VENV)/python -m llmops_operator crds

golden: setup  ## Rewrite the golden files of the tests
	@$(VENV)/python -m pytest tests/operator_ --update-golden

lock: setup    ## Write the lock files after a change of the dependencies
	@$(VENV)/python -m tools.lock

bill: setup    ## Write the images' bills of materials, in CycloneDX, to dist/
	@$(VENV)/python -m tools.bill

bench: setup   ## Run the benchmarks on a real Kubernetes; results in bench/results
	@$(VENV)/python -m e2e bench

bench-gateway: setup ## Measure the request path beside other gateways, 15 minutes; ARGS="--quick --only ours"
	@$(VENV)/python -m bench.gateway $(ARGS)

bench-judgement: setup ## Measure how well the guard's rules judge, on texts that nothing was tuned on, 3 minutes
	@$(VENV)/python -m bench.judgement

train-injection: setup ## Train the classifier of the rule injection again, 4 minutes
	@OPENBLAS_NUM_THREADS=1 OPENBLAS_CORETYPE=Haswell $(VENV)/python -m tools.injection.train

goals: setup   ## Show the goals of all benchmarks, unmet first
	@$(VENV)/python -m tools.goals

images: setup  ## Build the images and print their sizes
	@$(PYTHON) -m e2e.cluster image operator sidecar triton-cpu

cluster: setup ## Start the embedded Kubernetes
	@$(PYTHON) -m e2e.cluster up

cluster-down:  ## Take the embedded Kubernetes down
	@$(PYTHON) -m e2e.cluster down

clean:         ## Remove the virtual environment and caches of this checkout
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
