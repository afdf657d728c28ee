package proxy

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pargate/proxy/client"
	"pargate/proxy/metrics"
	"pargate/pushstore"
)

// A gateway that is stopped in the middle of a reading does not blame the upstream for it.
func TestAReadingThatIsCutOffByTheEndSaysNothing(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	u := &upstream{issuer: Issuer{UpstreamURL: address}, client: server.Client(), log: zap.New(core), metrics: metrics.New(nil)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		u.run(ctx)
	}()
	<-asked
	cancel()
	<-ended
	if logs.Len() > 0 || u.trouble() != "" {
		t.Errorf("logged %v, trouble %q", logs.All(), u.trouble())
	}
	if got := testutil.ToFloat64(u.metrics.MetadataReads[metrics.RefreshFailed]); got != 0 {
		t.Errorf("%v readings count as failed", got)
	}
}

func TestARefreshNeverTakesProtectionAway(t *testing.T) {
	t.Parallel()
	var answer atomic.Value // func(http.ResponseWriter)
	document := func(issuer, endpoint string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q}`, issuer, "https://as.example"+endpoint)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, oidcWellKnown) {
			answer.Load().(func(http.ResponseWriter))(w)
			return
		}
		http.NotFound(w, r)
	}))
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	u := &upstream{issuer: Issuer{UpstreamURL: address}, client: server.Client(), log: zap.New(core), metrics: metrics.New(nil), policy: policy{patchMetadata: true, openedAlgorithms: func() []string { return nil }}}

	for _, step := range []struct {
		name     string
		answer   func(http.ResponseWriter)
		trouble  string // in the readiness; empty: ready
		protects string
		lines    int // logged by this step
	}{
		{"not up", func(w http.ResponseWriter) { w.WriteHeader(502) }, "502", "", 1},
		{"still not up", func(w http.ResponseWriter) { w.WriteHeader(502) }, "502", "", 0},
		{"known", document("https://as.example", "/authorize"), "", "/authorize", 1},
		{"known again", document("https://as.example", "/authorize"), "", "/authorize", 0},
		{"down afterwards", func(w http.ResponseWriter) { w.WriteHeader(500) }, "", "/authorize", 1},
		{"gone afterwards", func(w http.ResponseWriter) { w.WriteHeader(404) }, "", "/authorize", 0},
		{"another endpoint", document("https://as.example", "/auth"), "from [/authorize] to [/auth]", "/authorize", 1},
		{"another issuer", document("https://as.example/x", "/authorize"), "the issuer changed", "/authorize", 1},
		{"as before", document("https://as.example", "/authorize"), "", "/authorize", 1},
		{"a wider endpoint", document("https://as.example", "/"), "", "/authorize", 1},
		{"as wide as before", document("https://as.example", "/"), "", "/anything", 0},
	} {
		answer.Store(step.answer)
		before := logs.Len()
		u.refresh(t.Context())
		if trouble := u.trouble(); !strings.Contains(trouble, step.trouble) || (trouble == "") != (step.trouble == "") {
			t.Errorf("%s: trouble = %q", step.name, trouble)
		}
		if step.protects != "" && !u.known().places.classify(step.protects).protected() {
			t.Errorf("%s: %s is not protected", step.name, step.protects)
		}
		if n := logs.Len() - before; n != step.lines {
			t.Errorf("%s: %d log lines, want %d", step.name, n, step.lines)
		}
	}
	for result, want := range map[metrics.Refresh]float64{metrics.RefreshFailed: 4, metrics.RefreshEndpoint: 1, metrics.RefreshIssuer: 1, metrics.RefreshOK: 5} {
		if got := testutil.ToFloat64(u.metrics.MetadataReads[result]); got != want {
			t.Errorf("%v readings count as %d, want %v", got, result, want)
		}
	}
}

func TestEachRefreshSeesTheClientsThatAreThere(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, oidcWellKnown) {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, `{"issuer":"https://as.example","authorization_endpoint":"https://as.example/authorize"}`)
	}))
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "clients.json")
	write := func(clients string) {
		if err := os.WriteFile(file, []byte(clients), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`[]`)
	clients, err := client.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Issuer: Issuer{UpstreamURL: address}, Store: pushstore.NewMemory(pushstore.MemoryOptions{}), Clients: clients, PatchMetadata: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const withKeys = `[{"client_id": "a", "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example/jwks"}]`
	for _, step := range []struct {
		clients string
		opens   bool
	}{{`[]`, false}, {withKeys, true}, {`[ ]`, false}} {
		write(step.clients)
		if _, err := clients.Reload(); err != nil {
			t.Fatal(err)
		}
		s.upstream.refresh(t.Context())
		if body := string(s.upstream.known().oidc.body); strings.Contains(body, `"request_parameter_supported":true`) != step.opens {
			t.Errorf("%s: %s", step.clients, body)
		}
	}
}
