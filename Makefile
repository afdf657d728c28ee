# make test    everything that must hold: it installs redis-server, HAProxy, nginx, curl, Chromium and Node with some packages
#              if it can, checks the code, runs every test, and a tenth of what make soak counts
# make soak    the promises that are figures, in full: less than twenty minutes on a machine with two cores and nothing
#              else to do; writes docs/promises.md
# make compat  the login at authorization servers that others wrote, which it installs if it can; writes docs/compatibility.md
# make fuzz    every fuzz target for FUZZTIME
# make benchstat
#              what the benchmarks cost beside what they cost at the last commit, or at REVISION: those that match BENCHMARK,
#              in ROUNDS of BENCHTIME each; about two minutes where nothing else runs
# make bench   what a request costs, beside bare code, nginx and HAProxy: some minutes, on a machine with nothing else to do
# make build   the release binary, bin/pargate
# make release dist/: the release binary of every platform (or of PLATFORMS), with checksums and a list of what is in each
# make image   builds the Dockerfile without a daemon, and runs the image as a cluster would; it needs root, and installs buildah
#              and runc if it can

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
VERSION     := 0.1.0
FUZZTIME    := 60s
BINARY      := bin/pargate

.PHONY: test check tools soak compat fuzz bench benchstat build release image

test: tools check
	.ci/gotest -race ./...
	.ci/soak tenth

check:
	go mod tidy -diff
	go vet ./...
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }
	go run $(STATICCHECK) ./...

# Tests start a real redis-server themselves; only the program must be there. curl runs the README's example. Node runs
# the client libraries of test/clients, and oidc-provider. HAProxy and nginx stand in front of gateways. Chromium opens the
# pages that people see.
tools:
	@command -v redis-server >/dev/null || .ci/install redis-server
	@PATH="$$PATH:/usr/sbin" command -v haproxy >/dev/null || .ci/install haproxy
	@PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null || .ci/install nginx
	@command -v curl >/dev/null || .ci/install curl
	@command -v openssl >/dev/null || .ci/install openssl
	@command -v node >/dev/null && command -v npm >/dev/null || .ci/install nodejs npm
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || .ci/install chromium chromium-sandbox
	@.ci/npm test/clients clients

soak: tools
	.ci/soak full

# PARGATE_COMPAT_CACHE is where npm's packages are kept, outside of this tree. In CI nothing is written.
compat: export PARGATE_COMPAT_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pargate-compat
compat:
	go vet -tags compat ./test/compat
	go run $(STATICCHECK) -tags compat ./test/compat
	.ci/compat
	.ci/gotest -tags compat -timeout 9m ./test/compat $(if $(filter true,$(CI)),,-write)

fuzz:
	.ci/fuzz $(FUZZTIME)

benchstat:
	@ROUNDS='$(ROUNDS)' BENCHTIME='$(BENCHTIME)' .ci/benchstat '$(REVISION)' '$(BENCHMARK)'

bench: tools
	go test -count=1 -v -timeout 40m -run TestEverythingIsMeasured ./test/bench -measure fully

build:
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BINARY) ./cmd/pargate

release:
	.ci/release $(VERSION) $(PLATFORMS)

image:
	@command -v buildah >/dev/null || .ci/install buildah
	@PATH="$$PATH:/usr/sbin" command -v runc >/dev/null || .ci/install runc
	.ci/image $(VERSION) $(COMPARE)
