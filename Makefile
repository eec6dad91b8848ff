# Each target is one visible command. `make` shows them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: up
up: ## set up everything that is needed and bring the platform up in a Vagrant machine
	@scripts/up

.PHONY: local
local: ## bring the platform up on this very computer instead, without Vagrant
	@scripts/up --local

.PHONY: test
test: ## all tests: lint, unit tests of the apps, and the whole platform on a fresh node
	@scripts/test

.PHONY: setup
setup: ## only the control-node environment (.venv, Docker, Vagrant)
	@scripts/setup --with vagrant --with tests

.PHONY: lint
lint: ## static checks
	scripts/lint

.PHONY: test-unit
test-unit: ## the apps' own tests, against real databases and brokers
	pytest tests/unit

.PHONY: test-platform
test-platform: ## the whole platform on a fresh node in a container
	molecule test --no-command-borders

.PHONY: fuzz
fuzz: ## 15 minutes of unforeseen input to the running platform; deletes its movies (URL=…, SECONDS=…)
	python scripts/fuzz.py --url $(or $(URL),http://localhost:$(or $(GATEWAY_PORT),3000)) --seconds $(or $(SECONDS),900)

.PHONY: bench
bench: ## how fast the platform is, beside what does the same work; touches no data; 4 minutes
	@python -m benchmarks

.PHONY: status
status: ## what runs, and its health
	@ansible-playbook ansible/status.yml

.PHONY: converge
converge: ## bring the machines of the inventory to what ansible/group_vars describes
	ansible-playbook site.yml

.PHONY: halt
halt: ## stop the Vagrant machine cleanly; `make up` starts it again with its data
	vagrant halt

.PHONY: destroy
destroy: ## remove the Vagrant machine and all its data
	vagrant destroy

.PHONY: lock
lock: ## write the hashed requirements anew from the .in files
	scripts/compile_requirements

.PHONY: docs
docs: ## write docs/variables.md anew from the roles
	python scripts/generate_docs.py
