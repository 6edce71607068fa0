# Everything a person or CI runs here. `make help` lists it: one line for each target, from the text after its `##`.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z][a-z-]*:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- build and test --------------------------------------------------------------

.PHONY: conformance
conformance: ## let Microsoft's own Python SDK drive the simulator (installs it into target/conformance)
	@tests/conformance/run

# ---- demo ------------------------------------------------------------------------

# ---- what the tests stand on -----------------------------------------------------

.PHONY: control-plane
control-plane: ## print a directory with etcd, kube-apiserver, kube-controller-manager and kubectl (built if need be)
	@tests/control-plane/prepare.sh

# ---- generated files -------------------------------------------------------------

.PHONY: generate
generate: ## write what is generated: crds/, docs/reasons.md, the chart's copy of the CRD, deploy/install.yaml
	cargo build --quiet --bin spotpool
	target/debug/spotpool crd >crds/spotpool.io_spotpools.yaml
	target/debug/spotpool crd --reasons >docs/reasons.md
	cp crds/spotpool.io_spotpools.yaml charts/spotpool/files/
	tests/helm/install-manifest.sh >deploy/install.yaml

.PHONY: helm
helm: ## print the path of the Helm that the tests use (built if need be)
	@tests/helm/prepare.sh
