# What a developer and a newcomer call. `make` alone lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

# Builds are shared by all checkouts, and survive a new clone.
CACHE := $(or $(MINIO_MANAGER_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/minio-manager)
RUST := $(shell sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
CARGO_TARGET_DIR ?= $(CACHE)/cargo/rustc-$(RUST)
export CARGO_TARGET_DIR

STACK := deploy/dev/stack
DEMO := deploy/dev/demo

# Servers that the caller's shell names are not for tests.
OWN_SERVERS := unset KUBECONFIG MINIO_ENDPOINT REDIS_URL MINIO_MANAGER_STACK

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## start everything on this machine and show what it does
	@$(DEMO) run

.PHONY: demo-stop
demo-stop: ## stop what `make demo` started; the next `make demo` goes on from there
	@$(DEMO) stop

.PHONY: demo-clean
demo-clean: ## stop it and remove its data
	@$(DEMO) stop --wipe

.PHONY: build
build: needs-cargo ## build minio-manager for development
	@cargo build --locked

.PHONY: release
release: needs-cargo ## build minio-manager for use
	@cargo build --locked --release
	echo "$(CARGO_TARGET_DIR)/release/minio-manager"

.PHONY: image-steps
image-steps: needs-cargo ## the steps of the Dockerfile, where no builder for images is
	@deploy/image/try

.PHONY: binary
binary:
	@echo "$(CARGO_TARGET_DIR)/debug/minio-manager"

.PHONY: generate
generate: needs-cargo ## write the files that follow from the code: crds/ (twice), docs/openapi.json, docs/policy-vocabulary.md
	@cargo run --locked --quiet -- crds --out crds
	cargo run --locked --quiet -- crds --out charts/minio-manager/files/crds
	cargo run --locked --quiet -- openapi --out docs/openapi.json
	cargo run --locked --quiet -- vocabulary --out docs/policy-vocabulary.md

.PHONY: chart
chart: needs-cargo ## write the files that follow from the chart, its values and the code
	@$(STACK) tools helm kubectl > /dev/null
	eval "$$($(STACK) env | grep '_BIN=')"
	MINIO_MANAGER_BLESS=1 cargo test --locked --quiet --test it -- chart::files chart::rendered::what_is_rendered

.PHONY: check
check: format lint scripts unit ## what needs no server: format, lints, unit tests, generated files

.PHONY: format
format: needs-cargo
	@cargo fmt --check

.PHONY: lint
lint: needs-cargo
	@cargo clippy --locked --all-targets --quiet -- --deny warnings

.PHONY: scripts
scripts:
	@if command -v shellcheck > /dev/null; then
	  shellcheck --external-sources $(STACK) $(DEMO) deploy/image/build deploy/image/try examples/ci/plan .ci/run
	else
	  echo "shellcheck is not installed, scripts are not checked (apt-get install shellcheck)"
	fi

# Among the unit tests are some that compare crds/, docs/openapi.json and docs/policy-vocabulary.md with the code.
.PHONY: unit
unit: needs-cargo
	@cargo test --locked --quiet --lib --bins

.PHONY: test
test: unit test-servers test-demo ## everything, on real servers of its own

.PHONY: test-servers
test-servers: needs-cargo
	@$(OWN_SERVERS)
	$(STACK) tools > /dev/null
	$(STACK) tools mc helm kubeconform glua flux-health promrules > /dev/null
	eval "$$($(STACK) env | grep '_BIN=')"
	# Each sealed answer of MinIO is opened in 64 MiB of fresh memory: in huge pages that costs a third less.
	export GLIBC_TUNABLES=$${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}
	# More at once than these keep two cores busy for nothing; some need the machine for themselves.
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-5} cargo test --locked --test it -- --skip alone::
	cargo test --locked --test it -- --test-threads 1 alone::

.PHONY: chaos
chaos: needs-cargo ## kill, stop, slow and empty everything, again and again (MINIO_MANAGER_SEED repeats a run)
	@$(OWN_SERVERS)
	$(STACK) tools > /dev/null
	eval "$$($(STACK) env | grep '_BIN=')"
	export MINIO_MANAGER_CHAOS_ROUNDS=$${MINIO_MANAGER_CHAOS_ROUNDS:-20} MINIO_MANAGER_KILLS=$${MINIO_MANAGER_KILLS:-70}
	cargo test --locked --test it -- --test-threads 1 --nocapture alone::chaos e2e::kills

.PHONY: decisions
decisions: needs-cargo ## compare what we decide with what MinIO does: COUNT requests (20000; MINIO_MANAGER_SEED repeats a run)
	@$(OWN_SERVERS)
	$(STACK) tools > /dev/null
	eval "$$($(STACK) env | grep '_BIN=')"
	export MINIO_MANAGER_DECISIONS=$(or $(COUNT),20000)
	cargo test --locked --test it -- --nocapture policies::decisions

# The inputs that it makes are kept beside the builds, and are where the next run goes on; the first one starts from those of
# long runs before.
.PHONY: fuzz
fuzz: needs-cargo ## look for input that breaks something: TIME seconds (60) on each border, or ONLY one of them
	@command -v cargo-fuzz > /dev/null || {
	  echo "error: cargo-fuzz is missing; install it and try again: cargo install cargo-fuzz" >&2
	  exit 1
	}
	mkdir -p "$(CACHE)/fuzz"
	tar -xzf fuzz/grown.tar.gz -C "$(CACHE)/fuzz" --skip-old-files
	for target in $(or $(ONLY),$(notdir $(wildcard fuzz/corpus/*))); do
	  cargo fuzz run --sanitizer none "$$target" "$(CACHE)/fuzz/$$target" "fuzz/corpus/$$target" -- \
	    -max_total_time=$(or $(TIME),60) -timeout=15 -rss_limit_mb=1500 -max_len=6000
	done

.PHONY: fuzz-corpus
fuzz-corpus: needs-cargo ## keep what `make fuzz` has made, without what adds nothing, in fuzz/grown.tar.gz
	kept=$$(mktemp -d)
	trap 'rm -rf "$$kept"' EXIT
	for target in $(notdir $(wildcard fuzz/corpus/*)); do
	  mkdir "$$kept/$$target"
	  cargo fuzz run --sanitizer none "$$target" -- -merge=1 -max_len=6000 "$$kept/$$target" "$(CACHE)/fuzz/$$target"
	done
	tar -cf - -C "$$kept" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner . | gzip -9n > fuzz/grown.tar.gz

# Twice, because a second run starts from what the first one left. It shows the program that the tests have run: `cargo build`
# would build another one, without the features of its dependencies that only tests need.
.PHONY: test-demo
test-demo: needs-cargo
	@$(OWN_SERVERS)
	cargo test --locked --quiet --no-run --test it
	export MINIO_MANAGER_BIN="$(CARGO_TARGET_DIR)/debug/minio-manager"
	state=$$(mktemp -d)
	trap '$(DEMO) --state "$$state" stop --wipe' EXIT
	$(DEMO) --state "$$state" run
	$(DEMO) --state "$$state" run

.PHONY: bench
bench: needs-cargo ## measure a release build on real servers
	@$(OWN_SERVERS)
	$(STACK) tools > /dev/null
	eval "$$($(STACK) env | grep '_BIN=')"
	# As in the image.
	export GLIBC_TUNABLES="$$(sed -n 's/^ENV GLIBC_TUNABLES=//p' Dockerfile)"
	cargo bench --locked --bench bench -- $(ONLY)

.PHONY: needs-cargo
needs-cargo:
	@command -v cargo > /dev/null || {
	  echo "error: Rust is missing; install it and try again: https://rustup.rs" >&2
	  exit 1
	}
