# Everything a person or CI runs here. `make help` lists it: one line for each target, from the text after its `##`.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z][a-z-]*:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- build and test --------------------------------------------------------------

.PHONY: build
build: ## build the spotpool program (target/debug/spotpool)
	cargo build --bin spotpool

.PHONY: test
test: ## run all tests: laws, units, real control plane end to end (needs Rust, Go, Python 3, make; builds the rest itself)
	@tests/control-plane/prepare.sh >/dev/null
	@tests/helm/prepare.sh >/dev/null
	@rm -rf target/azure-traffic && mkdir -p target/azure-traffic
	cargo test -p spotpool-core -- --show-output
	SPOTPOOL_TRAFFIC="$(CURDIR)/target/azure-traffic" cargo test -p spotpool
	@tests/schemas/run

.PHONY: check
check: ## formatting and lints, without tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

.PHONY: laws
laws: ## the laws at length: every small world, a million random histories, all planted bugs (about twenty minutes)
	SPOTPOOL_HISTORIES=1000000 cargo test --release -p spotpool-core --test exhaustive --test histories --test unrest --test mutants -- --nocapture

.PHONY: bench
bench: ## figures: plans a second; a thousand pools at rest; how soon one eviction is answered, and 5,000 at once (half an hour)
	@tests/control-plane/prepare.sh >/dev/null
	cargo bench --bench planner --bench pools --bench reclaim

.PHONY: conformance
conformance: ## let Microsoft's own Python SDKs drive the simulator, in both modes (installs them into target/conformance)
	@tests/conformance/run

.PHONY: conformance-az
conformance-az: ## let Microsoft's own Azure CLI log in to the simulator and run it (installs 730 MB into target/conformance-az; three minutes)
	@tests/conformance-az/run

.PHONY: schemas
schemas: ## hold the traffic of the last `make test` to Microsoft's schemas (../shared/azure, or AZURE_SCHEMAS)
	@tests/schemas/run

# ---- demo ------------------------------------------------------------------------

.PHONY: demo
demo: ## watch a pool heal: real Kubernetes, simulated Azure, a third of the Spot instances evicted (KEEP=1 leaves it up)
	@echo "Building spotpool (a first build takes a few minutes on two cores) ..." >&2
	@cargo build --quiet --bin spotpool --example demo
	@tests/control-plane/prepare.sh >/dev/null
	@target/debug/examples/demo

# ---- what the tests stand on -----------------------------------------------------

.PHONY: control-plane
control-plane: ## print a directory with etcd, kube-apiserver, kube-controller-manager and kubectl (built if need be)
	@tests/control-plane/prepare.sh

# ---- generated files -------------------------------------------------------------

.PHONY: generate
generate: ## write what is generated: crds/, docs/reasons.md, docs/template.md, the chart's copy of the CRD, deploy/install.yaml
	cargo build --quiet --bin spotpool
	target/debug/spotpool crd >crds/spotpool.io_spotpools.yaml
	target/debug/spotpool crd --reasons >docs/reasons.md
	target/debug/spotpool crd --template >docs/template.md
	cp crds/spotpool.io_spotpools.yaml charts/spotpool/files/
	tests/helm/install-manifest.sh >deploy/install.yaml

.PHONY: helm
helm: ## print the path of the Helm that the tests use (built if need be)
	@tests/helm/prepare.sh
