# Every habit of this repository in one place. The two that matter: `make demo`, `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Cargo's profile: dev (dependencies optimised) or release.
PROFILE ?= dev
# libvirt's address for the demo.
URI ?= qemu:///session
# Seconds of each fuzz target, and cases of each property test, under `make fuzz`.
EACH ?= 60
CASES ?= 20000
PREFIX ?= /usr/local
DESTDIR ?=

TARGET := $(or $(CARGO_TARGET_DIR),target)
DIST := $(abspath $(TARGET))/dist$(if $(filter-out dev,$(PROFILE)),-$(PROFILE))
CARGO := scripts/cargo
# A machine builds what was committed; a person may change dependencies.
LOCKED := $(if $(CI),--locked)

# Drivers are the folders of guests/ that have a policy; hostile ones are built for the tests only.
DRIVERS := $(sort $(patsubst guests/%/policy.toml,%,$(wildcard guests/*/policy.toml)))
HOSTILE := $(if $(wildcard tests/containment/guests/Cargo.toml),containment-guests)

# Where `make setup` unpacks the kernel of the machine that drivers are tried in.
KERNEL := $(abspath $(TARGET))/kernel

.PHONY: help setup build demo test test-kernel bench lint fuzz install clean hostile

help: ## Lists what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Brings a Debian 12 to where everything builds and tests (root or sudo)
	@scripts/setup

build: ## Builds the programs and drivers into target/dist (PROFILE=release: target/dist-release)
	@$(CARGO) guest $(LOCKED) $(DRIVERS:%=-p %)
	@$(CARGO) build --profile $(PROFILE) $(LOCKED) -p remotes -p remotes-libvirt -p remotes-net
# Apart from the others: together with them it would be linked with the compiler, for which it must not pay.
	@$(CARGO) build --profile $(PROFILE) $(LOCKED) -p remotes-action
	@scripts/stage $(DIST) $(PROFILE) $(DRIVERS)

demo: setup ## The life of a real virtual machine through the remotes tree (URI=qemu:///session)
	@$(MAKE) build
	@REMOTES_DIST=$(DIST) $(CARGO) run --quiet --profile $(PROFILE) $(LOCKED) -p remotes-demo -- --uri '$(URI)'

hostile:
	@$(if $(HOSTILE),$(CARGO) guest $(LOCKED) -p $(HOSTILE) --examples)

test: setup ## All tests; real QEMU guests on a private libvirtd included
	@$(MAKE) build hostile
	@REMOTES_DIST=$(DIST) REMOTES_KERNEL=$(KERNEL) scripts/test --profile $(PROFILE) $(LOCKED)

test-kernel: setup ## Network drivers on a Debian kernel, in a machine that QEMU emulates (part of `make test`)
	@$(MAKE) build
	@REMOTES_DIST=$(DIST) REMOTES_KERNEL=$(KERNEL) $(CARGO) test --profile $(PROFILE) $(LOCKED) -p remotes-kernel-tests

bench: setup ## Measures speed and memory, as a table and as JSON (STOCK_REMOTES=DIR: stock scripts, too)
	@$(MAKE) build PROFILE=release
	@$(CARGO) build --release $(LOCKED) -p remotes-bench -p remotes-integration -p remotes-test-support --bins
	@REMOTES_DIST=$(abspath $(TARGET))/dist-release $(CARGO) run --quiet --release $(LOCKED) -p remotes-bench

lint: setup ## Format, clippy, licences, bans, advisories
	@scripts/setup lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets $(LOCKED) -- -D warnings
	@scripts/deny

fuzz: setup ## Runs each fuzz target for EACH=60 seconds, guided by coverage, and CASES=20000 cases of each property test
	@scripts/fuzz $(EACH)
	@for package in $$(scripts/members-with proptest); do \
	    PROPTEST_CASES=$(CASES) $(CARGO) test --profile $(PROFILE) $(LOCKED) -p $$package; \
	done

# As root, after `make build PROFILE=release`, nothing is built here.
install: ## Installs programs, drivers, man pages and completions (DESTDIR=, PREFIX=/usr/local)
	@$(if $(SUDO_USER),,$(MAKE) build PROFILE=release)
	@scripts/install $(abspath $(TARGET))/dist-release '$(DESTDIR)' '$(PREFIX)'

clean: ## Removes everything that was built
	@$(CARGO) clean
