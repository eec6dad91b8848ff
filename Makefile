# Each target is one visible command. `make` shows them. A help line is also the table of its target's options: every
# NAME=… in it is one that the target takes, and scripts/make_options.py refuses all others before anything runs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(value PATH)
# Where the environment forbids it, each start of Python would compile all of Ansible again.
unexport PYTHONDONTWRITEBYTECODE
# What SSH brings from elsewhere may not exist here.
export LC_ALL := C.UTF-8

# What was given on the command line goes to the programs through the environment, as it was typed: make does not expand
# a `$$` in it, and no shell reads it.
given := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
$(foreach name,$(given),$(eval override export $(name) := $$(value $(name))))
export MAKE_GIVEN := $(given)
export MAKE_GOALS := $(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))

# A value as one word of a shell, and as the value of a program's option where it is given.
word = '$(subst ','\'',$(value $(1)))'
option = $(if $(value $(1)),--$(2) $(word))

LONG_FORMS = PLATFORM_LONG=all FUZZ_SECONDS=900

OPERATE = python3 scripts/operate.py $@
ANSWER = CALM_ONLY_SUMMARY=1 $(OPERATE)

.PHONY: options
options:
	@python3 scripts/make_options.py

$(shell sed -n 's/^\([a-z-]*\):.*## .*/\1/p' Makefile) test-environment: | options

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { sub(/ \[/, "\n                             [", $$2); printf "  make %-19s %s\n", $$1, $$2 }' Makefile

.PHONY: up
up: ## set up all that is needed and bring the platform up in a Vagrant machine [GATEWAY_PORT=3000] [MANAGEMENT_PORT=15672] [HTTPS_PORT=3443] [PROVIDER=docker] [BOX=…] [LIBVIRT_DRIVER=kvm] [DEBIAN_MIRROR=URL]
	@scripts/up

.PHONY: local
local: ## bring the platform up on this very computer instead, without Vagrant [GATEWAY_PORT=3000] [MANAGEMENT_PORT=15672]
	@scripts/up --local

.PHONY: bundle
bundle: ## write one file with all that a machine without a network needs: ./install from it brings the platform up (docs/bundle.md)
	@scripts/setup
	@scripts/bundle

.PHONY: box
box: ## build two boxes for libvirt out of Debian packages, one of them with Docker (docs/virtual-machines.md) [DEBIAN_MIRROR=URL]
	@scripts/setup --with vagrant --with libvirt
	@machine/box/build
	@machine/box/build --docker

.PHONY: sbom
sbom: ## write the bills of materials of all images into sbom/ (docs/bill-of-materials.md)
	@scripts/setup
	@python scripts/sbom.py sbom

.PHONY: audit
audit: test-environment ## ask the databases of advisories about what the bills of materials list (docs/bill-of-materials.md)
	@python scripts/audit.py sbom

.PHONY: test
test: ## all tests: lint, unit tests of the apps, and the whole platform on a fresh node [DEBIAN_MIRROR=URL]
	@scripts/test

.PHONY: test-all
test-all: ## test, and all the longer tests, one after another, with a table at the end (10 hours) [DEBIAN_MIRROR=URL]
	@scripts/test all

.PHONY: setup
setup: ## only the control-node environment, with what the tests need (.venv, Docker, Vagrant)
	@scripts/setup --with vagrant --with tests

.PHONY: test-environment
test-environment:
	@scripts/setup --with tests

.PHONY: lint
lint: test-environment ## static checks
	scripts/lint

.PHONY: test-unit
test-unit: test-environment ## the apps' own tests, against real databases and brokers
	pytest --numprocesses 4 --dist loadfile tests/unit

.PHONY: test-platform
test-platform: test-environment ## the whole platform on a fresh node in a container [LONG=yes adds what takes long] [DEBIAN_MIRROR=URL]
	$(if $(LONG),$(LONG_FORMS)) molecule test --no-command-borders

.PHONY: fuzz
fuzz: test-environment ## unforeseen input to the running platform; deletes its movies [URL=http://localhost:3000] [GATEWAY_PORT=3000] [SECONDS=900] [SEED=N] [PLATFORM_DESTRUCTIVE=1]
	python scripts/fuzz.py $(call option,URL,url) $(call option,SECONDS,seconds) $(call option,SEED,seed)

.PHONY: bench
bench: test-environment ## how fast the platform is, beside what does the same work; touches no data; 15 minutes [ON=local] [ROUNDS=3] [SECONDS=3] [KEEP=yes]
	@python -m benchmarks $(call option,ON,on) $(call option,ROUNDS,rounds) $(call option,SECONDS,seconds) $(if $(KEEP),--keep)

.PHONY: bench-plots
bench-plots: ## draw benchmarks/results.json into docs/; needs gnuplot
	@python -m benchmarks.plots

.PHONY: test-openapi
test-openapi: test-environment ## the OpenAPI document with another linter, ajv, clients generated from it, and Postman (two minutes)
	pytest tests/openapi

.PHONY: test-compose
test-compose: test-environment ## compose.yaml with a real Docker Compose, on a node of its own (docs/compose.md) [DEBIAN_MIRROR=URL]
	molecule test --no-command-borders --scenario-name compose

.PHONY: test-kubernetes
test-kubernetes: test-environment ## the manifests of deploy/kubernetes, run by podman on a node of their own (docs/kubernetes.md) [DEBIAN_MIRROR=URL]
	molecule test --no-command-borders --scenario-name kubernetes

.PHONY: test-servers
test-servers: test-environment ## several servers by SSH, each reached in another way, and the firewall (docs/servers.md) [DEBIAN_MIRROR=URL]
	molecule test --no-command-borders --scenario-name servers

.PHONY: test-cluster
test-cluster: test-environment ## three machines as one platform, on a Docker Swarm (docs/swarm.md) [LOSSES=17 loses 17 more machines, chosen at random] [DEBIAN_MIRROR=URL]
	molecule test --no-command-borders --scenario-name cluster

.PHONY: test-bundle
test-bundle: test-environment ## a bundle, made here and installed on nodes without a network (docs/bundle.md) [BUNDLE=FILE tests this one] [DEBIAN_MIRROR=URL]
	molecule test --no-command-borders --scenario-name bundle

.PHONY: test-trixie
test-trixie: test-environment ## from Debian 12 to Debian 13 with the data, and the tests there (docs/debian-13.md) [DEBIAN_MIRROR=URL]
	molecule test --no-command-borders --scenario-name trixie

.PHONY: test-vm
test-vm: test-environment ## the platform in a virtual machine of libvirt, which is made and removed (docs/virtual-machines.md)
	@scripts/test_vm

.PHONY: test-faults
test-faults: test-environment ## an hour of faults under load, on a node of its own (docs/faults.md) [MINUTES=60] [SEED=N]
	FAULTS_MINUTES=$(if $(MINUTES),$(call word,MINUTES),60) FAULTS_SEED=$(call word,SEED) molecule test -s faults --no-command-borders

.PHONY: test-faults-proof
test-faults-proof: test-environment ## that the fault suite finds what it is there to find: weaknesses are built in
	FAULTS_TESTS=faults_proof molecule test -s faults --no-command-borders

.PHONY: test-backlog
test-backlog: test-environment ## a million orders wait in the broker, and all of them are stored [ORDERS=1000000]
	FAULTS_TESTS=backlog BACKLOG_ORDERS=$(call word,ORDERS) molecule test -s faults --no-command-borders

.PHONY: test-operations
test-operations: test-environment ## everything an operator does, on a fresh node, under load (an hour or more)
	molecule test --no-command-borders --scenario-name operations

.PHONY: test-restore
test-restore: test-environment ## backups and restores on a fresh node: damaged ones, full disks, kills, a lost volume
	molecule test --no-command-borders --scenario-name restore

.PHONY: bench-backup
bench-backup: test-environment ## how long a backup and a restore of a million movies and orders take, and what others notice [ROWS=1000000]
	RESTORE_TESTS=restore_million BACKUP_ROWS=$(call word,ROWS) molecule test --no-command-borders --scenario-name restore

.PHONY: status
status: ## what runs, and its health [FORMAT=text|json]
	@$(ANSWER) ansible/status.yml

.PHONY: watch
watch: ## the same live, as the page shows it: health, queue, orders; Ctrl-C ends it [URL=http://localhost:3000] [GATEWAY_PORT=3000]
	@python scripts/watch.py $(call option,URL,url)

.PHONY: logs
logs: ## the last lines of SERVICE=NAME [TAIL=100] [FOLLOW=1 goes on showing new ones]
	@$(if $(FOLLOW),scripts/follow_logs,$(ANSWER) ansible/logs.yml)

.PHONY: stop
stop: ## stop all containers, or those of one service [SERVICE=NAME] [BREAK_LOCK=yes]
	@$(OPERATE) ansible/stop.yml

.PHONY: start
start: ## start them again, each when what it needs is healthy [SERVICE=NAME] [BREAK_LOCK=yes]
	@$(OPERATE) ansible/start.yml

.PHONY: remove
remove: ## remove the platform, or one service, but not its data [SERVICE=NAME] [VOLUMES=yes removes it too] [BACKUPS=yes] [CONFIRM=yes] [BREAK_LOCK=yes]
	@$(OPERATE) ansible/remove.yml

.PHONY: scale
scale: ## run more or fewer containers of an app: SERVICE=inventory-app REPLICAS=3 [BREAK_LOCK=yes]
	@$(OPERATE) ansible/scale.yml

.PHONY: history
history: ## the images of SERVICE=NAME that one can go back to
	@$(ANSWER) ansible/history.yml

.PHONY: rollback
rollback: ## SERVICE=NAME goes back to its previous image, or to another [IMAGE=TAG] [BREAK_LOCK=yes]
	@$(OPERATE) ansible/rollback.yml

.PHONY: backup
backup: ## back up both databases (docs/backups.md) [DRAIN=1 first waits until no order is on its way] [BREAK_LOCK=yes]
	@$(OPERATE) ansible/backup.yml

.PHONY: restore
restore: ## restore both databases, or one, FROM=BACKUP, a directory here or a date on the machine, or to TIME='2026-11-24 12:00:00+00' [DATABASE=movies] [KEY=FILE decrypts] [CONFIRM=yes] [BREAK_LOCK=yes]
	@$(OPERATE) ansible/restore.yml

.PHONY: restore-undo
restore-undo: ## put back what the databases served before the last restore [DATABASE=movies] [CONFIRM=yes] [BREAK_LOCK=yes]
	@$(OPERATE) ansible/restore_undo.yml

.PHONY: restore-discard
restore-discard: ## remove for good what restores and upgrades have kept [DATABASE=movies] [CONFIRM=yes] [BREAK_LOCK=yes]
	@$(OPERATE) ansible/restore_discard.yml

.PHONY: update-base
update-base: ## take the current Debian packages into all images, and roll them out [BREAK_LOCK=yes]
	@$(OPERATE) ansible/update_base.yml

.PHONY: upgrade-postgres
upgrade-postgres: ## the databases, or one, become what postgres_major says; the old data is kept [DATABASE=movies] [CONFIRM=yes] [BREAK_LOCK=yes]
	@$(OPERATE) ansible/upgrade_postgres.yml

.PHONY: upgrade-rabbitmq
upgrade-rabbitmq: ## the broker becomes what base_image_suite has, with all its messages [CONFIRM=yes] [BREAK_LOCK=yes]
	@$(OPERATE) ansible/upgrade_rabbitmq.yml

.PHONY: dead-letters
dead-letters: ## messages that are no orders, and why; ID=… shows one whole [REASON=CODE only those] [FORMAT=text|json]
	@$(ANSWER) ansible/dead_letters.yml operate_action=$(if $(ID),show,list)

.PHONY: dead-letters-retry
dead-letters-retry: ## put all dead letters back into the queue of orders, or some [ID=…] [REASON=CODE] [BREAK_LOCK=yes]
	@$(ANSWER) ansible/dead_letters.yml operate_action=retry

.PHONY: dead-letters-drop
dead-letters-drop: ## remove dead letters for good, by ID=… or REASON=CODE [CONFIRM=yes] [BREAK_LOCK=yes]
	@$(ANSWER) ansible/dead_letters.yml operate_action=drop

.PHONY: converge
converge: ## bring the machines of the inventory to what ansible/group_vars describes [SERVICE=NAME] [BREAK_LOCK=yes]
	@$(OPERATE) site.yml

.PHONY: halt
halt: ## stop the Vagrant machine cleanly; `make up` starts it again with its data
	vagrant halt

.PHONY: destroy
destroy: ## remove the Vagrant machine and all its data
	vagrant destroy

.PHONY: lock
lock: ## write the hashed requirements anew from the .in files
	scripts/compile_requirements

.PHONY: postman
postman: test-environment ## write the Postman collection anew from openapi.yaml
	python -m tests.openapi.postman

.PHONY: screenshots
screenshots: test-environment ## take the pictures of the page anew, from the running platform; stops billing-app for some seconds [URL=http://localhost:3000] [GATEWAY_PORT=3000]
	python scripts/screenshots.py $(call option,URL,url)

.PHONY: compose
compose: ## write compose.yaml anew from ansible/group_vars and the roles (docs/compose.md)
	@ansible-playbook ansible/compose.yml

.PHONY: kubernetes
kubernetes: ## write deploy/kubernetes anew from ansible/group_vars and the roles (docs/kubernetes.md)
	@ansible-playbook ansible/kubernetes.yml

.PHONY: kubernetes-local
kubernetes-local: ## build the images here, and write what an installation on Kubernetes has of its own: tags, and secrets out of .env
	@ansible-playbook ansible/kubernetes_local.yml

.PHONY: docs
docs: ## write docs/variables.md anew from the roles
	python scripts/generate_docs.py
