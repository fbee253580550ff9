# Longmen. "make help" lists the targets; "make run" and "make test" work on a bare Debian 12
# with Go and root, and without root where the packages are there already.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help

STATICCHECK := honnef.co/go/tools/cmd/staticcheck
STATICCHECK_VERSION := v0.8.2
H2SPEC := github.com/summerwind/h2spec/cmd/h2spec
H2SPEC_VERSION := v2.2.1+incompatible
CONNECT := connectrpc.com/conformance
CONNECT_VERSION := v1.0.7

export FUZZTIME ?= 10m

# A clone that git will not read (another owner's, or no git) still builds, without its commit in the binary.
BUILDVCS := $(shell git status >/dev/null 2>&1 && echo auto || echo false)

# Everything but the black-box suites, which test the built binary and run by themselves.
unit_packages = $$(go list ./... | grep -v '^longmen/conformance')

.PHONY: help setup setup-bench run test bench conformance fuzz lint build clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: ## install what is missing: Debian packages (needs root then) and pinned Go tools
	@command -v go >/dev/null || { echo "setup: Go is missing; the version is in go.mod" >&2; exit 1; }
	@scripts/debian-packages gcc:gcc /usr/include/stdlib.h:libc6-dev /usr/include/openssl/evp.h:libssl-dev openssl:openssl curl:curl /etc/ssl/certs/ca-certificates.crt:ca-certificates setpriv:util-linux
	@scripts/go-tool .tools/bin $(STATICCHECK) $(STATICCHECK_VERSION)
	@scripts/go-tool .tools/bin $(H2SPEC) $(H2SPEC_VERSION)

setup-bench: setup ## install what the side-by-side measurements need
	@scripts/debian-packages nginx:nginx haproxy:haproxy h2o:h2o nghttpx:nghttp2-proxy h2load:nghttp2-client wrk:wrk perf:linux-perf taskset:util-linux

# Where OpenSSL's headers are missing, private keys are held in Go: slower for RSA. (Looked for when the build begins: setup may just have installed them.)
BUILDTAGS = $(shell [ -e /usr/include/openssl/evp.h ] || [ "$$(go env CGO_ENABLED)" = 0 ] || echo -tags noopenssl)

build: ## build bin/longmen
	@go build $(BUILDTAGS) -trimpath -buildvcs=$(BUILDVCS) -o bin/longmen .

run: setup build ## serve gateway.yaml in front of the demo origins; Ctrl-C ends
	@exec scripts/run

lint: setup ## formatting, vet, static analysis
	@unformatted=$$(gofmt -l $$(go list -f '{{.Dir}}' ./...)); \
		[ -z "$$unformatted" ] || { echo "not gofmt-ed:" >&2; echo "$$unformatted" >&2; exit 1; }
	go vet ./...
	.tools/bin/staticcheck ./...

test: lint build ## everything that must pass before a commit: lint, unit tests under -race, black-box suites
	go test -race -timeout 10m $(unit_packages)
	go test -count=1 -timeout 8m ./conformance/... # the binary is no input that the test cache knows

conformance: setup build ## the black-box suites in full
	@scripts/debian-packages pebble:pebble testssl:testssl.sh
	@scripts/go-tool .tools/bin $(CONNECT)/cmd/connectconformance $(CONNECT_VERSION)
	@scripts/go-tool .tools/bin $(CONNECT)/cmd/referenceserver $(CONNECT_VERSION)
	LONGMEN_CONFORMANCE=full go test -count=1 -timeout 100m -v ./conformance/... ./bench/harness

fuzz: setup ## every fuzz target, FUZZTIME each (10m); ARGS="FuzzName*" for some
	@scripts/fuzz $(ARGS)

bench: setup-bench build ## Longmen, nginx, HAProxy and others side by side; ARGS go to bench/cmd/bench
	go run ./bench/cmd/bench $(ARGS)

clean: ## remove what was built; the test cache and Debian packages stay
	rm -rf bin .tools
