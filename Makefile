# make run     the main job: five containers, 30 s of chaos, a verdict and a report
# make test    everything that must pass
# make engine  brings a Docker engine to a Debian or Ubuntu machine that has none (as root)
# make linux   the program for nodes in containers, for other systems than Linux (ARCH=arm64)
# make cross   does coup compile for macOS and Windows?
# make toolchain RELEASE=go1.26.0  builds with another release of Go, which is fetched, and runs that
# make systems the contract for each system that needs an image (minutes; SYSTEMS=redis for one). With
#              TABLE=1, in place of it, the table of nights/*.yaml: what each promises, and where it does not
# make contract  the contract alone, also with TABLE=1
# make night   coup's own night (hours; NIGHT=nights/redis.yaml for another one)
# make bugs    reported defects of etcd, NATS, PostgreSQL and others: found where they are, not where they
#              are mended (an hour and more; ROWS='etcd*' for some of them, RUNS=1 CONTROLS=1 for a look)
# make wall    does coup see every planted bug? (long; ARGS="--runs 1" for a look)
# make wall-sim  the same on simulated machines, with the bugs that only they show
# make node RAFT=1.3.5  the bundled node with another release of hashicorp/raft
# make raft-releases  does coup find what was wrong with old releases? (minutes; SEEDS=1-20)
# make bench   what coup itself costs
# make bench-checker   the checker beside porcupine
# make stories         every sentence of counterexamples against the history it tells of
# make fuzz    the fuzz targets, FUZZTIME each

GO       ?= go
ARGS     ?=
FUZZTIME ?= 30s
# The node for simulated machines becomes part of the binary.
WASM      = cluster/sim/node/raftnode.wasm.gz
# The same with crypto/tls, a quarter larger, for runs that need that.
WASM_TLS  = cluster/sim/node/raftnode-tls.wasm.gz
# What makes simulated machines fast.
FLAGS     = $$($(GO) run ./internal/unchecked/flags bin)

.PHONY: build linux cross run engine toolchain test lint unit contract systems night wall wall-sim node raft-releases bench bench-checker fuzz clean stories bugs

build:
	@mkdir -p bin
	@$(GO) run ./internal/onethread/build bin/_onethread -o bin/raftnode.wasm ./cmd/raftnode
	@$(GO) run ./internal/onethread/build bin/_onethread -tags tls -o bin/raftnode-tls.wasm ./cmd/raftnode
	@gzip -9nc bin/raftnode.wasm > $(WASM).new && { cmp -s $(WASM).new $(WASM) && rm $(WASM).new || mv $(WASM).new $(WASM); }
	@gzip -9nc bin/raftnode-tls.wasm > $(WASM_TLS).new && { cmp -s $(WASM_TLS).new $(WASM_TLS) && rm $(WASM_TLS).new || mv $(WASM_TLS).new $(WASM_TLS); }
	@# Nodes in containers run coup's own binary in an image that holds nothing else.
	@flags="$(FLAGS)" && CGO_ENABLED=0 $(GO) build $$flags -trimpath -o bin/coup$$($(GO) env GOEXE) ./cmd/coup
	@[ "$$($(GO) env GOOS)" = linux ] || $(MAKE) --no-print-directory linux

# Nodes in containers run Linux wherever coup does, mostly on the same kind of processor.
linux:
	@flags="$(FLAGS)" && arch="$(ARCH)" && arch=$${arch:-$$($(GO) env GOARCH)} && \
	  CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(GO) build $$flags -trimpath -o bin/coup-linux-$$arch ./cmd/coup

# Without the flags of make build, so that go vet and go build compile all packages but once.
cross:
	@for at in darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do \
	  os=$${at%/*}; arch=$${at#*/}; exe=; [ $$os != windows ] || exe=.exe; \
	  echo "for $$at"; \
	  export CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch; \
	  $(GO) vet ./... && $(GO) build -o bin/cross/coup-$$os-$$arch$$exe ./cmd/coup || exit 1; \
	done

run: build
	bin/coup run $(ARGS)

engine:
	@internal/engine/start

toolchain:
	@test -n "$(RELEASE)" || { echo "which release of Go? make toolchain RELEASE=go1.26.0, or newest" >&2; exit 2; }
	@GO="$(GO)" internal/tested/try $(RELEASE)

test: lint unit

lint:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change: $$unformatted"; exit 1; fi
	$(GO) vet ./...
	@flags="$(FLAGS)" && set -x && $(GO) vet $$flags ./cluster/sim/...
	GOOS=wasip1 GOARCH=wasm $(GO) vet ./cluster/raftnode/... ./cluster/sim/guest ./cmd/raftnode
	$(GO) tool staticcheck ./...
	$(GO) run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 nights/ci/github.yaml

# The race detector watches all packages; containers get a binary without it.
unit:
	@docker version >/dev/null 2>&1 || \
	  echo "!!! NO DOCKER ENGINE ANSWERS (see make engine): NOTHING WILL BE TESTED AGAINST CONTAINERS !!!" >&2
	@flags="$(FLAGS)" && set -x && $(GO) test $$flags -race -timeout 20m ./...

# Images are built first where the engine has them not.
SYSTEMS ?= all
EMPTY =
CONTRACT = $(if $(filter all,$(SYSTEMS)),,/^($(subst $(EMPTY) $(EMPTY),|,$(strip $(SYSTEMS))))$$)
contract:
	@flags="$(FLAGS)" && set -x && COUP_TEST_SYSTEMS="$(SYSTEMS)" $(GO) test $$flags -count=1 -timeout 60m -v -run '^TestSystem$$$(CONTRACT)' ./cluster/conformance

# A night of the systems' files is a table: the verdict beside what was expected, operations, failovers, outages.
NIGHTS = $(if $(filter all,$(SYSTEMS)),$(filter-out nights/coup.yaml nights/bugs.yaml,$(wildcard nights/*.yaml)),nights/$(SYSTEMS).yaml)
ifdef TABLE
systems: build
	bin/coup nightly --out runs/nights/systems $(NIGHTS) $(ARGS)
else
systems: contract
endif

NIGHT ?= nights/coup.yaml
night: build
	@# The nodes of old releases that it names.
	@for r in $$(sed -n 's|.*bin/raft-\(.*\)\.wasm.*|\1|p' $(NIGHT)); do [ -e bin/raft-$$r.wasm ] || releases/build $$r || exit 1; done
	bin/coup nightly $(NIGHT) $(ARGS)

# Reported defects of other systems: are they found, and not where they are mended?
RUNS     ?= 5
CONTROLS ?= 2
bugs: build
	bin/coup bugs --runs $(RUNS) --controls $(CONTROLS) $(if $(ROWS),--rows '$(ROWS)') $(ARGS)

wall: build
	bin/coup wall $(ARGS)

wall-sim: build
	bin/coup wall --backend sim $(ARGS)

node:
	@test -n "$(RAFT)" || { echo "which release? make node RAFT=1.3.5" >&2; exit 2; }
	@releases/build $(RAFT) && echo "bin/raft-$(RAFT:v%=%).wasm: bin/coup run --node bin/raft-$(RAFT:v%=%).wasm"

raft-releases: build
	releases/check

bench: build
	@flags="$(FLAGS)" && set -x && $(GO) test $$flags -run '^$$' -bench . -benchtime 1x -timeout 30m ./...

# The checker beside porcupine under a time limit, in one run.
bench-checker:
	$(GO) test ./checker/linearizable -run TestTable -table -v -timeout 0 $(ARGS)
	$(GO) test ./checker/online ./checker/transactions -run '^$$' -bench 'ListAppend|Registers|Monitor' -benchtime 1x -timeout 30m

# The sentences of counterexamples, held against 100,000 histories of each model.
stories:
	$(GO) test ./checker/linearizable ./checker/elements -run 'Stories|Claims' -v -timeout 0 -args -histories 100000 $(ARGS)

fuzz:
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p || exit 1; \
	  done; \
	done

clean:
	rm -rf bin runs $(WASM) $(WASM_TLS)
