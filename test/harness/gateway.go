// Package harness starts a gateway for a test, in front of a stand-in or of somebody's real server, over real HTTP on
// free loopback ports.
package harness

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"pargate/proxy"
	"pargate/proxy/client"
	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/test/upstream"
)

// Clients are the clients that a gateway of the harness knows unless a test says otherwise: confidential ones for
// each method, one for both methods, and a public one.
const Clients = `[
	{"client_id": "web", "client_secret": "s3cret", "redirect_uris": ["https://app.example/cb"]},
	{"client_id": "post", "client_secret": "p0st", "token_endpoint_auth_method": "client_secret_post"},
	{"client_id": "both", "client_secret": "b0th", "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
	 "redirect_uris": ["https://app.example/cb", "http://127.0.0.1/native"], "scope": "openid profile", "response_types": ["code", "code id_token"]},
	{"client_id": "public", "token_endpoint_auth_method": "none", "redirect_uris": ["https://spa.example/cb"]}
]`

// Gateway is a running gateway.
type Gateway struct {
	URL      string
	Server   *proxy.Server
	Upstream *upstream.Recorder
	Logs     *observer.ObservedLogs
}

// Setup is what a test may say about its gateway. Zero fields mean the usual.
type Setup struct {
	Clients  string                   // the client file; empty: Clients
	Upstream func(*upstream.Recorder) // changes the stand-in before it is asked
	Options  func(*proxy.Options)     // changes the gateway's options
	Store    pushstore.Store          // nil: memory
	Unknown  bool                     // do not wait until the upstream is known
	FAPI     bool                     // the FAPI 2.0 profile, for the client file too
}

// Start starts a gateway that ends with the test, and waits until it knows its upstream.
func Start(t testing.TB, setup Setup) *Gateway {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{URL: "http://" + listener.Addr().String()}
	g.Upstream = upstream.New(t, func(r *upstream.Recorder) {
		r.Issuer = g.URL
		if setup.Upstream != nil {
			setup.Upstream(r)
		}
	})
	g.serve(t, listener, setup, parse(t, g.Upstream.URL))
	return g
}

// InFrontOf starts a gateway on the listener, in front of a server that the test has started.
func InFrontOf(t testing.TB, listener net.Listener, upstreamURL string, setup Setup) *Gateway {
	t.Helper()
	g := &Gateway{URL: "http://" + listener.Addr().String()}
	g.serve(t, listener, setup, parse(t, upstreamURL))
	return g
}

func (g *Gateway) serve(t testing.TB, listener net.Listener, setup Setup, upstreamURL *url.URL) {
	core, logs := observer.New(zap.DebugLevel)
	g.Logs = logs
	store := setup.Store
	if store == nil {
		store = pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: 30 * time.Minute})
	}
	options := proxy.Options{
		Issuer: proxy.Issuer{UpstreamURL: upstreamURL}, Store: store, Log: zap.New(core),
		Clients: registryUnder(t, setup.Clients, client.Rules{FAPI: setup.FAPI}), FAPI: setup.FAPI, PatchMetadata: true, AddIssuer: true,
	}
	if setup.Options != nil {
		setup.Options(&options)
	}
	var err error
	if g.Server, err = proxy.New(options); err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: g.Server, DisableGeneralOptionsHandler: true}}
	server.Start()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.Server.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		server.Close()
	})
	if !setup.Unknown {
		var reasons map[string]string
		t.Cleanup(func() {
			if reasons != nil {
				t.Logf("the gateway was never ready: %v", reasons)
			}
		})
		WaitFor(t, "the gateway to be ready", func() bool { reasons = g.Server.Ready(ctx); return reasons == nil })
	}
}

// Registry makes a registry out of the text of a client file.
func Registry(t testing.TB, clients string) *client.Registry {
	t.Helper()
	return registryUnder(t, clients, client.Rules{})
}

func registryUnder(t testing.TB, clients string, rules client.Rules) *client.Registry {
	t.Helper()
	if clients == "" {
		clients = Clients
	}
	registry, _ := registryFile(t, clients, rules)
	return registry
}

// RegistryFile makes a registry too, and returns with it a function that gives it another text.
func RegistryFile(t testing.TB, clients string) (*client.Registry, func(clients string)) {
	t.Helper()
	return registryFile(t, clients, client.Rules{})
}

func registryFile(t testing.TB, clients string, rules client.Rules) (*client.Registry, func(clients string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clients.json")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(clients)
	registry, err := client.LoadUnder(file, rules)
	if err != nil {
		t.Fatal(err)
	}
	return registry, func(text string) {
		write(text)
		if _, err := registry.Reload(); err != nil {
			t.Fatal(err)
		}
	}
}

// WaitFor polls until ok, for ten seconds at most.
func WaitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func parse(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Form is a correct push of the client web, with the named changes: pairs of name and value, where an empty value
// takes the parameter away.
func Form(changes ...string) url.Values {
	form := url.Values{
		"response_type": {"code"}, "client_id": {"web"}, "redirect_uri": {"https://app.example/cb"}, "scope": {"openid"},
		"state": {"st4te"}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(changes); i += 2 {
		if form.Set(changes[i], changes[i+1]); changes[i+1] == "" {
			form.Del(changes[i])
		}
	}
	return form
}

// Push pushes form as client with secret by Basic, and returns the request_uri.
func (g *Gateway) Push(t testing.TB, client, secret string, form url.Values) string {
	t.Helper()
	res := NewBrowser(g.URL).Post(t, "/par", form.Encode(), func(r *http.Request) { r.SetBasicAuth(client, secret) })
	if res.Status != http.StatusCreated {
		t.Fatalf("push = %d %s", res.Status, res.Body)
	}
	uri, _ := res.JSON(t)["request_uri"].(string)
	return uri
}

// Short is the authorization request by reference.
func Short(client, requestURI string) string {
	return "/authorize?client_id=" + oauth.Escape(client) + "&request_uri=" + oauth.Escape(requestURI)
}
