# Everything that can be done with this repository. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# The same for every build but the race tests, so that the scheduler, the control plane and
# the linters share one build cache. Without version control stamps, which our own version replaces:
# they fail in a checkout that belongs to another user.
export CGO_ENABLED := 0
export GOFLAGS := $(strip -buildvcs=false $(GOFLAGS))

# Kubernetes reads from this version which release's features to offer: it has to begin with that
# release's number. A scheduler called v0.1.0 would behave like Kubernetes 0.1.
KUBERNETES := $(shell sed -n 's|^\tk8s\.io/kubernetes \(v[0-9.]*\)$$|\1|p' go.mod)
VERSION ?= $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null || echo v0.0.0-dev)
VERSION_FLAGS := $(foreach package,k8s.io/component-base/version k8s.io/client-go/pkg/version,\
	-X $(package).gitVersion=$(KUBERNETES)+tenantisolation.$(VERSION) \
	-X $(package).gitMajor=$(word 1,$(subst ., ,$(KUBERNETES:v%=%))) \
	-X $(package).gitMinor=$(word 2,$(subst ., ,$(KUBERNETES:v%=%))))

# Where the tests and the demo find etcd, kube-apiserver and the rest.
ASSETS := $(if $(KUBEBUILDER_ASSETS),$(KUBEBUILDER_ASSETS),$(CURDIR)/bin/control-plane)

# The folders of the go.mod files whose modules a target needs; what is there already costs nothing.
MODULES := . $(if $(KUBEBUILDER_ASSETS),,hack/control-plane)
verify lint fmt: MODULES += hack/tools
test test-unit verify lint release: MODULES += hack/release
test: MODULES += hack/helm hack/descheduler
e2e: MODULES += hack/release hack/helm
test-skew: MODULES := . hack/control-plane hack/skew hack/helm

.PHONY: help
help: ## List all targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: download
download: ## Download the Go modules that building needs, where they are missing
	@hack/download.sh $(MODULES)

.PHONY: build
build: download ## Build bin/scheduler and the other programs
	@hack/compile.sh build go build -v -ldflags '-s -w $(strip $(VERSION_FLAGS))' -o bin/ ./cmd/...

.PHONY: release
release: download ## Build bin/release: kubectl-isolation for six platforms, the scheduler's image, bills of materials, checksums
	go -C hack/release run . -root ../.. -out ../../bin/release -version '$(VERSION)' -ldflags '$(strip $(VERSION_FLAGS))' -epoch $$(git log -1 --format=%ct) $(if $(ONLY),-only '$(ONLY)')
	cd bin/release && find * -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum >SHA256SUMS

.PHONY: control-plane
control-plane: ## Build etcd, kube-apiserver and the rest into bin/control-plane, where they are stale
ifneq ($(KUBEBUILDER_ASSETS),)
	@echo "control plane: nothing to build, KUBEBUILDER_ASSETS is set: $(KUBEBUILDER_ASSETS)"
else
	@hack/control-plane.sh bin/control-plane
endif

.PHONY: karpenter
karpenter: ## Build the real Karpenter, which makes nodes for kwok, into bin/karpenter, where it is stale
	@hack/karpenter.sh bin/karpenter

.PHONY: demo
demo: download control-plane build $(if $(AUTOSCALER),karpenter) ## Show it on a real control plane (KEEP=1, WORKLOAD=file.yaml, AUTOSCALER=karpenter: with nodes that come and go)
	@hack/compile.sh demo go build -v -o bin/demo ./hack/demo
	@# Not through go run: it would die of a signal and leave the demo, and all that it started, behind.
	@KUBEBUILDER_ASSETS='$(ASSETS)' exec bin/demo $(if $(KEEP),-keep) $(if $(AUTOSCALER),-autoscaler '$(AUTOSCALER)') $(if $(WORKLOAD),-workload '$(WORKLOAD)') $(if $(TENANTS),-tenants '$(TENANTS)')

.PHONY: test
test: download ## Run all tests, with the race detector and a real control plane (PKG=./pkg/isolation RUN=TestX: those alone)
	@PKG='$(PKG)' RUN='$(RUN)' hack/test.sh all

.PHONY: test-unit
test-unit: download ## Run the tests that need no cluster, -short and without the race detector: seconds (PKG, RUN)
	@PKG='$(PKG)' RUN='$(RUN)' hack/test.sh unit

.PHONY: test-skew
test-skew: download ## Run the integration tests against a kube-apiserver of the oldest release that works, which is built first
	@hack/control-plane.sh bin/control-plane
	@hack/skew.sh bin/skew
	@# The left out ones compare with rights of the current release, and emulate versions that the oldest cannot.
	@KUBEBUILDER_ASSETS='$(CURDIR)/bin/skew' go test -count=1 -timeout 30m ./test/integration -skip '^Test(ManifestsRightsAreExact|SchedulerFollowsTheAPIServer)$$'

.PHONY: fuzz
fuzz: download ## Run every fuzz target, each for TIME=1m
	@hack/fuzz.sh '$(or $(TIME),1m)'

.PHONY: golden
golden: download ## Write the golden files anew; read what has changed before you commit it
	go test -run Golden $$(go list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' ./... | awk '/[[ ]tenantisolation.dev\/scheduler\/internal\/goldentest[] ]/ { print $$1 }') -update

.PHONY: verify
verify: download control-plane ## Check formatting, linters, generated files, docs, modules and manifests; changes nothing
	KUBECTL='$(ASSETS)/kubectl' hack/verify.sh

.PHONY: lint
lint: download ## Run the linters
	$$(hack/tools.sh golangci-lint) run ./...
	cd hack/release && $$(../tools.sh golangci-lint) run ./...

.PHONY: vulncheck
vulncheck: download ## Look up known weaknesses of what is shipped, in the public database of Go modules
	$$(hack/tools.sh govulncheck) ./cmd/...

.PHONY: fmt
fmt: download ## Format the code and order its imports
	$$(hack/tools.sh golangci-lint) fmt ./...

.PHONY: generate
generate: download ## Write the generated files anew: deep copies, conversions, reference pages, plots
	go generate ./...
	go run ./hack/docs/policydoc
	go run ./hack/docs/kubectldoc
	go run ./hack/docs/metricsdoc
	go run ./hack/plots

.PHONY: bench
bench: download ## Measure it beside the stock scheduler into docs/benchmarks.md (QUICK=1: five minutes; hack/bench/main.go has more)
	@# Standard output is for the figures alone.
	@$(if $(KUBEBUILDER_ASSETS),:,hack/control-plane.sh bin/control-plane) >&2
	@hack/compile.sh bench go test -v -c -tags performance -o bin/performance.test ./test/performance
	@hack/compile.sh bench go build -v -o bin/bench ./hack/bench
	@KUBEBUILDER_ASSETS='$(ASSETS)' BENCH_PROGRAM=bin/performance.test exec bin/bench

.PHONY: simulate
simulate: download ## Compare ways to isolate on a cluster given as files (CLUSTER=folder TENANTS= PODS= NODES= SEED= OUT=.json HTML=.html)
	@hack/compile.sh simulate go build -v -ldflags '$(strip $(VERSION_FLAGS))' -o bin/simulate ./hack/simulate
	@exec bin/simulate $(if $(CLUSTER),-cluster '$(CLUSTER)') $(if $(TENANTS),-tenants '$(TENANTS)') \
		$(if $(PODS),-pods '$(PODS)') $(if $(NODES),-nodes '$(NODES)') $(if $(SEED),-seed '$(SEED)') $(if $(SMALL),-small '$(SMALL)') \
		$(if $(OUT),-out '$(OUT)') $(if $(FORMAT),-o '$(FORMAT)') -html '$(or $(HTML),bin/simulation.html)'

.PHONY: failover
failover: download control-plane build ## Kill and pause leaders in a burst of 1,300 pods, count the writes, look at every state of the model (SEED=n)
	@go test -count=1 -v -timeout 30m ./test/model -full
	@KUBEBUILDER_ASSETS='$(ASSETS)' go test -count=1 -v -timeout 40m ./test/failover -full $(if $(SEED),-seed '$(SEED)')

.PHONY: e2e
e2e: ## Run it on real nodes: kubelets, containerd, gVisor and virtual machines on this machine (Linux, root; RUN=part)
	@hack/nodes.sh bin/nodes
	@hack/download.sh $(MODULES)
	@$(if $(KUBEBUILDER_ASSETS),:,hack/control-plane.sh bin/control-plane)
	@hack/tools.sh helm hack/helm >/dev/null
	@hack/compile.sh release nice go -C hack/release run . -root ../.. -out ../../bin/nodes/release -local -only linux-amd64 -version v0.0.0-e2e -ldflags '$(strip $(VERSION_FLAGS))' -epoch 0
	@hack/compile.sh e2e nice go test -v -c -tags e2e -o bin/e2e.test ./test/e2e
	@hack/compile.sh e2e nice go test -v -c -tags e2e -o bin/realnode.test ./internal/realnode
	@bin/realnode.test -test.v
	@# Not through go test: it would die of a signal before what it started is gone.
	@cd test/e2e && NODE_PROGRAMS='$(CURDIR)/bin/nodes' KUBEBUILDER_ASSETS='$(ASSETS)' exec ../../bin/e2e.test -test.v -test.timeout=30m $(if $(RUN),-test.run '$(RUN)')

.PHONY: clean
clean: ## Remove what was built; the next control plane comes from the build cache
	rm -rf bin
