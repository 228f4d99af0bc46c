# The two commands are `make demo` and `make test`; each does all its own set-up. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/sh
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
RELEASE := build/release
DEV := build/dev
PYTHON := python3

.PHONY: help demo test check build bench lint format test-asan test-tsan fuzz test-aarch64 test-armhf test-qemu test-bugs test-engines test-torch test-transformers test-sklearn demo-transformers bench-monitors archive install clean

help: ## this list
	@echo "make TARGET, where TARGET is one of"
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## set up, build, run a synthetic 100M model and say what every prompt cost; then hold it against known joules
	@tools/demo.sh

test: ## set up and run every test; the last line counts them
	@tools/setup.sh core demo test qemu
	@$(PYTHON) tools/run_tests.py

check: ## the everyday loop: build, unit tests, include table (under a minute when warm)
	@$(PYTHON) tools/run_tests.py --stages house,unit

build: ## an optimised build in build/release
	@tools/setup.sh core
	@[ -f $(RELEASE)/build.ninja ] || cmake --preset release
	@cmake --build $(RELEASE) -j$(JOBS)

bench: ## measure what Prony itself costs; rewrites the table in docs/performance.md
	@tools/setup.sh core bench
	@[ -f build/bench/build.ninja ] || cmake --preset bench
	@cmake --build build/bench -j$(JOBS)
	@$(PYTHON) bench/run.py build/bench

bench-monitors: ## what monitors cost and how many joules they count, beside others; rewrites the table in docs/monitor.md
	@tools/setup.sh core demo bench
	@[ -f build/dev/build.ninja ] || cmake --preset dev
	@cmake --build build/dev -j$(JOBS) --target prony fakesysfs
	@[ -x build/deps/monitors/bin/python ] || $(PYTHON) -m venv build/deps/monitors
	@build/deps/monitors/bin/python -m pip install -q codecarbon==3.3.2 heflwr==0.1.91
	@$(PYTHON) bench/monitors.py build/dev

lint: ## include table, rules of the house, formatting, clang-tidy
	@$(PYTHON) tools/run_tests.py --stages house,format,types,tidy

format: ## rewrite the sources as .clang-format says
	@git ls-files '*.cpp' '*.hpp' '*.c' '*.h' | xargs clang-format-19 -i

test-asan: ## unit tests under the address and undefined-behaviour sanitizers
	@$(PYTHON) tools/run_tests.py --stages asan

test-tsan: ## sampler, client, store and process tests under the thread sanitizer
	@$(PYTHON) tools/run_tests.py --stages tsan

fuzz: ## every fuzz target for SECONDS (default 60) each
	@$(PYTHON) tools/run_tests.py --stages fuzz --fuzz-seconds $(or $(SECONDS),60)

test-aarch64: ## cross-build for aarch64 and run the unit tests under qemu-user
	@$(PYTHON) tools/run_tests.py --stages aarch64

test-bugs: ## plant each bug of tests/bugs in a copy of the sources: the tests must see it
	@$(PYTHON) tools/run_tests.py --stages bugs

test-armhf: ## cross-build for 32-bit ARM and run the unit tests under qemu-user
	@$(PYTHON) tools/run_tests.py --stages armhf

test-qemu: ## boot guests whose kernel drivers Prony measures, and hold it against what was written into them
	@tools/setup.sh core qemu
	@$(PYTHON) tools/run_tests.py --stages qemu

archive: ## Prony and its libraries for an aarch64 board whose compiler is too old: build/archive/prony-*.tar.gz
	@tools/setup.sh core test
	@$(PYTHON) tools/make_archive.py aarch64

test-engines: ## prony llm against a real llama-server, built once, and a real Ollama
	@tools/setup.sh core demo test
	@$(PYTHON) tools/run_tests.py --stages engines

test-torch: ## the hooks for PyTorch and transformers, with PyTorch itself (PRONY_TORCH_PYTHON: an interpreter that has one)
	@[ -n "$(PRONY_TORCH_PYTHON)" ] && tools/setup.sh core || tools/setup.sh core torch
	@$(PYTHON) tools/run_tests.py --stages torch

test-transformers: ## the worker for Hugging Face's transformers, with PyTorch itself, alone and as two ranks
	@[ -n "$(PRONY_TORCH_PYTHON)" ] && tools/setup.sh core || tools/setup.sh core torch
	@$(PYTHON) tools/run_tests.py --stages transformers

demo-transformers: ## a small Llama of random weights in PyTorch on this machine, and what every prompt cost
	@tools/demo_transformers.sh

test-sklearn: ## the Lasso against scikit-learn itself (PRONY_SKLEARN_PYTHON: an interpreter that has one)
	@tools/setup.sh core
	@$(PYTHON) tools/run_tests.py --stages sklearn

install: build ## install into PREFIX (default /usr/local)
	@cmake --install $(RELEASE) $(if $(PREFIX),--prefix $(PREFIX))

clean: ## remove everything that was built (not what was fetched)
	@rm -rf build/release build/dev build/bench build/asan build/tsan build/clang build/fuzz build/aarch64 build/armhf build/qemu build/demo build/mutations
