# Each target is one visible command. `make` shows them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# What the operations read, from `make OPERATION NAME=VALUE`. A value is handed on as JSON: it stays one text.
OPERATION := ansible-playbook
ANSWER := CALM_ONLY_SUMMARY=1 ansible-playbook
OPERATE = $(call extra,operate_service,$(SERVICE)) $(call extra,operate_replicas,$(REPLICAS)) \
	$(call extra,operate_image,$(IMAGE)) $(call extra,operate_volumes,$(VOLUMES)) $(call extra,operate_tail,$(TAIL)) \
	$(call extra,operate_drain,$(DRAIN)) $(call extra,operate_from,$(FROM)) $(call extra,operate_database,$(DATABASE)) \
	$(call extra,operate_key,$(KEY)) $(call extra,operate_backups,$(BACKUPS)) $(call extra,operate_time,$(TIME)) \
	$(call extra,confirm,$(CONFIRM)) $(call extra,break_lock,$(BREAK_LOCK))
extra = $(if $(2),-e '{"$(1)": "$(2)"}')

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

.PHONY: test-environment
test-environment:
	@scripts/setup --with tests

.PHONY: lint
lint: test-environment ## static checks
	scripts/lint

.PHONY: test-unit
test-unit: test-environment ## the apps' own tests, against real databases and brokers
	pytest --numprocesses 2 --dist loadfile tests/unit

.PHONY: test-platform
test-platform: test-environment ## the whole platform on a fresh node in a container
	molecule test --no-command-borders

.PHONY: fuzz
fuzz: ## 15 minutes of unforeseen input to the running platform; deletes its movies (URL=…, SECONDS=…)
	python scripts/fuzz.py --url $(or $(URL),http://localhost:$(or $(GATEWAY_PORT),3000)) --seconds $(or $(SECONDS),900)

.PHONY: bench
bench: ## how fast the platform is, beside what does the same work; touches no data; 4 minutes
	@python -m benchmarks

.PHONY: test-kills
test-kills: ## long: billing-app killed 20 times under a backlog of 50,000 orders, on the Vagrant machine
	PLATFORM_BACKLOG=50000 PLATFORM_KILLS=20 pytest -rP tests/recovery/test_killed_consumer.py \
	  --hosts=ssh://play-with-containers --ssh-config=.vagrant/ssh_config --sudo

.PHONY: test-openapi
test-openapi: test-environment ## the OpenAPI document with another linter, ajv, and clients generated from it (two minutes)
	pytest tests/openapi

.PHONY: test-faults
test-faults: test-environment ## an hour of faults under load, on a node of its own (MINUTES=60 SEED=…; docs/faults.md)
	FAULTS_MINUTES=$(or $(MINUTES),60) FAULTS_SEED=$(SEED) molecule test -s faults --no-command-borders

.PHONY: test-faults-proof
test-faults-proof: test-environment ## that the fault suite finds what it is there to find: weaknesses are built in
	FAULTS_TESTS=faults_proof molecule test -s faults --no-command-borders

.PHONY: test-backlog
test-backlog: test-environment ## a million orders wait in the broker, and all of them are stored (ORDERS=1000000)
	FAULTS_TESTS=backlog BACKLOG_ORDERS=$(ORDERS) molecule test -s faults --no-command-borders

.PHONY: test-operations
test-operations: test-environment ## everything an operator does, on a fresh node, under load (an hour or more)
	molecule test --no-command-borders --scenario-name operations

.PHONY: test-restore
test-restore: test-environment ## backups and restores on a fresh node: damaged ones, full disks, kills, a lost volume
	molecule test --no-command-borders --scenario-name restore

.PHONY: bench-backup
bench-backup: test-environment ## how long a backup and a restore of a million films and orders take, and what others notice (ROWS=…)
	RESTORE_TESTS=restore_million BACKUP_ROWS=$(ROWS) molecule test --no-command-borders --scenario-name restore

.PHONY: status
status: ## what runs, and its health; FORMAT=json for programs
	@$(ANSWER) ansible/status.yml -e operate_format=$(or $(FORMAT),text)

.PHONY: logs
logs: ## the last lines of SERVICE=NAME (TAIL=100 of them); FOLLOW=1 goes on showing new ones
	@$(if $(FOLLOW),scripts/follow_logs "$(SERVICE)" "$(or $(TAIL),100)",$(ANSWER) ansible/logs.yml $(OPERATE))

.PHONY: stop
stop: ## stop all containers, or SERVICE=NAME
	@$(OPERATION) ansible/stop.yml $(OPERATE)

.PHONY: start
start: ## start them again, each when what it needs is healthy; or SERVICE=NAME
	@$(OPERATION) ansible/start.yml $(OPERATE)

.PHONY: remove
remove: ## remove the platform but not its data; VOLUMES=yes removes that too; or SERVICE=NAME
	@$(OPERATION) ansible/remove.yml $(OPERATE)

.PHONY: scale
scale: ## run REPLICAS=3 containers of SERVICE=inventory-app or billing-app
	@$(OPERATION) ansible/scale.yml $(OPERATE)

.PHONY: history
history: ## the images of SERVICE=NAME that one can go back to
	@$(ANSWER) ansible/history.yml $(OPERATE)

.PHONY: rollback
rollback: ## SERVICE=NAME goes back to its previous image, or to IMAGE=TAG
	@$(OPERATION) ansible/rollback.yml $(OPERATE)

.PHONY: backup
backup: ## back up both databases; DRAIN=1 first waits until no order is on its way (docs/backups.md)
	@$(OPERATION) ansible/backup.yml $(OPERATE)

.PHONY: restore
restore: ## restore FROM=BACKUP, a directory here or a date on the machine; DATABASE=movies; KEY=FILE decrypts
	@$(OPERATION) ansible/restore.yml $(OPERATE)

.PHONY: restore-undo
restore-undo: ## put back the databases of before the last restore
	@$(OPERATION) ansible/restore_undo.yml $(OPERATE)

.PHONY: restore-discard
restore-discard: ## remove the databases of before restores for good
	@$(OPERATION) ansible/restore_discard.yml $(OPERATE)

.PHONY: update-base
update-base: ## take the current Debian packages into all images, and roll them out
	@$(OPERATION) ansible/update_base.yml $(OPERATE)

.PHONY: restore-to
restore-to: ## DATABASE=movies or orders becomes what it was at TIME='2026-11-24 12:00:00+00' (docs/point-in-time.md)
	@$(OPERATION) ansible/restore_to.yml $(OPERATE)

.PHONY: restore-to-undo
restore-to-undo: ## DATABASE=… serves again what it served before `make restore-to`
	@$(OPERATION) ansible/restore_to_undo.yml $(OPERATE)

.PHONY: restore-to-discard
restore-to-discard: ## what DATABASE=… served before `make restore-to` is removed for good
	@$(OPERATION) ansible/restore_to_discard.yml $(OPERATE)

.PHONY: upgrade-postgres
upgrade-postgres: ## the databases (or DATABASE=…) become what postgres_major says; the old data is kept
	@$(OPERATION) ansible/upgrade_postgres.yml $(OPERATE)

dead_letters = $(ANSWER) ansible/dead_letters.yml -e dead_letters_id=$(ID) -e dead_letters_reason=$(REASON)

.PHONY: dead-letters
dead-letters: ## messages that are no orders, and why; ID=… shows one whole, REASON=… some, FORMAT=json for programs
	@$(dead_letters) -e dead_letters_action=$(if $(ID),show,list) -e dead_letters_format=$(or $(FORMAT),table)

.PHONY: dead-letters-retry
dead-letters-retry: ## put all dead letters back into the queue of orders, or those with ID=… or REASON=…
	@$(dead_letters) -e dead_letters_action=retry

.PHONY: dead-letters-drop
dead-letters-drop: ## remove dead letters for good: ID=… or REASON=…, and CONFIRM=yes
	@$(dead_letters) -e dead_letters_action=drop -e dead_letters_confirm=$(or $(CONFIRM),$(confirm))

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
