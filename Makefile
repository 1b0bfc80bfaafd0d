# make run     the main job: five containers, 30 s of chaos, a verdict and a report
# make test    everything that must pass
# make engine  brings a Docker engine to a Debian or Ubuntu machine that has none (as root)
# make toolchain RELEASE=go1.26.0  builds with another release of Go, which is fetched, and runs that
# make wall    does coup see every planted bug? (long; ARGS="--runs 1" for a look)
# make wall-sim  the same on simulated machines, with the bugs that only they show
# make node RAFT=1.3.5  the bundled node with another release of hashicorp/raft
# make raft-releases  does coup find what was wrong with old releases? (minutes; SEEDS=1-20)
# make bench   what coup itself costs
# make bench-checker   the checker beside porcupine
# make fuzz    the fuzz targets, FUZZTIME each

GO       ?= go
ARGS     ?=
FUZZTIME ?= 30s
# The node for simulated machines becomes part of the binary.
WASM      = cluster/sim/node/raftnode.wasm.gz
# What makes simulated machines fast.
FLAGS     = $$($(GO) run ./internal/unchecked/flags bin)

.PHONY: build run engine toolchain test lint unit wall wall-sim node raft-releases bench bench-checker fuzz clean

build:
	@mkdir -p bin
	@$(GO) run ./internal/onethread/build bin/_onethread -o bin/raftnode.wasm ./cmd/raftnode
	@gzip -9nc bin/raftnode.wasm > $(WASM).new && { cmp -s $(WASM).new $(WASM) && rm $(WASM).new || mv $(WASM).new $(WASM); }
	@# Nodes in containers run coup's own binary in an image that holds nothing else.
	@flags="$(FLAGS)" && CGO_ENABLED=0 $(GO) build $$flags -trimpath -o bin/coup ./cmd/coup

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

# The race detector watches all packages; containers get a binary without it.
unit:
	@docker version >/dev/null 2>&1 || \
	  echo "!!! NO DOCKER ENGINE ANSWERS (see make engine): NOTHING WILL BE TESTED AGAINST CONTAINERS !!!" >&2
	@flags="$(FLAGS)" && set -x && $(GO) test $$flags -race -timeout 20m ./...

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

fuzz:
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
	  done; \
	done

clean:
	rm -rf bin runs $(WASM)
