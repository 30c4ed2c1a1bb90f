# qmpemu. On a bare Debian 12 (root, python3, make, network) every target below sets up what it needs.
#
#   .venv/runtime   stamp: the virtual environment, with qmpemu and what it needs to run
#   .venv/test      stamp: the test tools as well
#   debian          the Debian packages of the real QEMU and the real libvirt, only those that are missing

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore -c constraints.txt
DEBIAN_PACKAGES := qemu-system-x86 qemu-utils qemu-guest-agent libvirt-daemon-system libvirt-clients \
    virtinst python3-libvirt dosfstools ntfs-3g bzip2 xz-utils openssl
WORKERS ?= 2
PYTEST_ARGS ?=
BENCH_ARGS ?=
CONFORM_ARGS ?=
QEMU ?= /usr/bin/qemu-system-x86_64
SESSIONS ?= 2000
SEED ?= 0
FUZZ_ARGS ?=

# Debian's maintainer scripts start services unless this file says no (policy-rc.d's exit status 101).
POLICY := /usr/sbin/policy-rc.d

# $(call apt_install,PACKAGES,WHY): install Debian packages without starting a service, or one sentence why not.
define apt_install
	[ "$$(id -u)" = 0 ] || { echo "$(2): please install as root: $(1)." >&2; exit 1; }; \
	command -v apt-get >/dev/null || { echo "$(2): please install $(1) (there is no apt-get here)." >&2; exit 1; }; \
	echo "$(2): installing the Debian packages $(1)"; \
	[ -e $(POLICY) ] || { printf '#!/bin/sh\nexit 101\n' >$(POLICY); chmod +x $(POLICY); trap 'rm -f $(POLICY)' EXIT; }; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -qq; \
	apt-get install -qq -y --no-install-recommends $(1) >/dev/null
endef

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: .venv/runtime ## a Windows guest is shut down over real QMP, then one that ignores the button
	@$(BIN)/qmpemu demo

.PHONY: test
test: .venv/test debian ## all tests, against the real QEMU and the real libvirt as well
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

.PHONY: bench
bench: .venv/test debian ## ours beside the real QEMU: start, memory, commands a second, every operation of libvirt's
	@$(BIN)/python -m compileall -q qmpemu
	@$(BIN)/python -m conformance.bench $(BENCH_ARGS)
	@$(BIN)/python -m conformance.guest_bench
	@$(BIN)/python -m conformance.libvirt --times --rounds 3

.PHONY: conformance
conformance: .venv/test debian ## the suite, 2,000 generated sessions and libvirt's scenarios on the real QEMU and on ours; any difference fails
	@$(BIN)/qmpemu conform --binary $(QEMU)
	@ln -sf qmpemu-system-x86_64 $(BIN)/qemu-system-x86_64
	@$(BIN)/qmpemu conform --binary $(BIN)/qemu-system-x86_64 $(CONFORM_ARGS)
	@$(BIN)/qmpemu conform --binary $(BIN)/qemu-system-x86_64 --beside $(QEMU) --sessions $(SESSIONS) --seed $(SEED)
	@$(BIN)/python -m conformance.libvirt --real $(QEMU)

.PHONY: fuzz
fuzz: .venv/test ## a million mutated inputs for the QMP session (FUZZ_ARGS='--seed 7 --inputs 1000')
	@$(BIN)/python tests/qmp/fuzz.py $(FUZZ_ARGS)

.PHONY: lint
lint: .venv/test ## ruff, mypy --strict and the import contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict qmpemu
	@$(BIN)/lint-imports --no-logo

.PHONY: format
format: .venv/test ## lay the code out with ruff and repair what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: clean
clean: ## remove the virtual environment, caches and built files
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "qmpemu needs Python 3.11 or newer as $(PYTHON)." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { $(call apt_install,python3-venv,$(PYTHON) cannot make a virtual environment); }
	@echo "making .venv"
	@$(PYTHON) -m venv --clear .venv
	@# Python 3.11 puts setuptools there, whose .pth file costs each start of the emulator almost a millisecond
	@$(BIN)/python -m pip uninstall --quiet --yes --root-user-action=ignore setuptools 2>/dev/null || true
	@touch $@

.venv/runtime: .venv/python pyproject.toml constraints.txt qmpemu/edge/launcher/qmpemu-system-x86_64
	@echo "installing qmpemu into .venv"
	@$(PIP) -e .
	@$(BIN)/python -m compileall -q qmpemu
	@touch $@

.venv/test: .venv/runtime
	@echo "installing the test tools into .venv"
	@$(PIP) -e '.[test]'
	@touch $@

.PHONY: debian
debian:
	@missing=; for name in $(DEBIAN_PACKAGES); do \
	    [ "$$(dpkg-query -W -f '$${db:Status-Status}' $$name 2>/dev/null)" = installed ] || missing="$$missing $$name"; \
	done; \
	[ -z "$$missing" ] || { $(call apt_install,$$missing,the tests compare with the real QEMU and libvirt); }
