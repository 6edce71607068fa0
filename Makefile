# Everything a person or CI runs here. `make help` lists it: one line for each target, from the text after its `##`.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z][a-z-]*:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- build and test --------------------------------------------------------------

# ---- demo ------------------------------------------------------------------------

# ---- what the tests stand on -----------------------------------------------------

.PHONY: control-plane
control-plane: ## print a directory with etcd, kube-apiserver, kube-controller-manager and kubectl (built if need be)
	@tests/control-plane/prepare.sh
