package test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"

	"pargate/proxy"
	"pargate/proxy/client"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// tokenEndpoint knows one client, legacy with the secret l3gacy, and gives nobody a token.
func tokenEndpoint(asked *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		status, code := 401, "invalid_client"
		if id, secret, _ := r.BasicAuth(); id == "legacy" && secret == "l3gacy" {
			status, code = 400, "invalid_grant"
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, `{"error":"`+code+`"}`)
	}
}

func TestAClientThatOnlyTheUpstreamKnowsSignsItsUserIn(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	g := harness.Start(t, harness.Setup{
		Upstream: func(r *upstream.Recorder) { r.Handlers["/token"] = tokenEndpoint(&asked) },
		Options:  func(o *proxy.Options) { o.Delegation = proxy.DelegateOthers },
	})
	b := harness.NewBrowser(g.URL)
	end := b.LogIn(t, b.Open(t, "legacy", g.Push(t, "legacy", "l3gacy", harness.Form("client_id", "legacy"))))
	if !strings.HasPrefix(end.Location, "https://app.example/cb?code=") {
		t.Errorf("%d %s", end.Status, end.Location)
	}
	for _, request := range g.Upstream.Requests() {
		if strings.Contains(request.Body, "st4te") || strings.Contains(request.Target, "l3gacy") {
			t.Errorf("%v", request)
		}
	}
	before := asked.Load()
	pushAs := func(id, secret string) int {
		return harness.NewBrowser(g.URL).Post(t, "/par", harness.Form("client_id", id).Encode(), func(r *http.Request) { r.SetBasicAuth(id, secret) }).Status
	}
	if got := pushAs("web", "s3cret"); got != 201 || asked.Load() != before {
		t.Errorf("a client of the file: %d, asked %d times", got, asked.Load()-before)
	}
	for _, wrong := range [][2]string{{"web", "wrong"}, {"WEB", "s3cret"}, {"web ", "s3cret"}} {
		if got := pushAs(wrong[0], wrong[1]); got != 401 || asked.Load() != before {
			t.Errorf("%v: %d, asked %d times", wrong, got, asked.Load()-before)
		}
	}
	for _, wrong := range [][2]string{{"legacy", "wrong"}, {"nobody", "l3gacy"}} {
		if got := pushAs(wrong[0], wrong[1]); got != 401 {
			t.Errorf("%v: %d", wrong, got)
		}
	}
	if res := pushOf(t, g, harness.Form("client_id", "legacy").Encode()); res.Status != 401 {
		t.Errorf("without a secret: %d", res.Status)
	}
	if res := pushOf(t, g, harness.Form("client_id", "legacy", "redirect_uri", "").Encode(), func(r *http.Request) { r.SetBasicAuth("legacy", "l3gacy") }); res.Status != 400 {
		t.Errorf("without a redirect_uri, of which none is known: %d", res.Status)
	}
}

func TestAClientOfTheFileThatIsTakenOutIsNotServed(t *testing.T) {
	t.Parallel()
	registry, replace := harness.RegistryFile(t, harness.Clients)
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.Delegation, o.Clients = proxy.DelegateOthers, registry }})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	b := harness.NewBrowser(g.URL)
	res := b.Get(t, harness.Short("web", uri))
	replace(`[]`)
	wantPage(t, g, b.Get(t, res.Location), 400, "invalid_request_uri")
}

func TestEveryClientIsAskedAboutWhereTheFileOnlyDescribes(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	g := harness.Start(t, harness.Setup{
		Clients:  `[{"client_id": "legacy", "client_secret": "another", "redirect_uris": ["https://app.example/cb"]}]`,
		Upstream: func(r *upstream.Recorder) { r.Handlers["/token"] = tokenEndpoint(&asked) },
		Options:  func(o *proxy.Options) { o.Delegation = proxy.DelegateAll },
	})
	g.Push(t, "legacy", "l3gacy", harness.Form("client_id", "legacy"))
	for secret, form := range map[string]string{"another": harness.Form("client_id", "legacy").Encode(), "l3gacy": harness.Form("client_id", "legacy", "redirect_uri", "https://evil.example").Encode()} {
		if res := pushOf(t, g, form, func(r *http.Request) { r.SetBasicAuth("legacy", secret) }); res.Status != 401 && res.Status != 400 {
			t.Errorf("%s: %d", secret, res.Status)
		}
	}
}

func TestClientsOfZitadelPushThroughTheGateway(t *testing.T) {
	t.Parallel()
	for _, wrapped := range []bool{false, true} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		issuer := "http://" + listener.Addr().String()
		store := newZitadelStore(t, issuer)
		server := httptest.NewServer(exampleop.SetupServer(issuer, store, slog.New(slog.DiscardHandler), wrapped))
		t.Cleanup(server.Close)
		g := harness.InFrontOf(t, listener, server.URL, harness.Setup{
			Clients: "[]", Options: func(o *proxy.Options) { o.Delegation = proxy.DelegateOthers },
		})
		form := harness.Form("client_id", "web")
		for n := range 3 {
			g.Push(t, "web", "s3cret", form)
			for what, res := range map[string]harness.Response{
				"a wrong secret":       pushOf(t, g, form.Encode(), func(r *http.Request) { r.SetBasicAuth("web", "wrong") }),
				"an unknown client":    pushOf(t, g, harness.Form("client_id", "nobody").Encode(), func(r *http.Request) { r.SetBasicAuth("nobody", "s3cret") }),
				"no secret":            pushOf(t, g, form.Encode()),
				"another's client_id":  pushOf(t, g, harness.Form("client_id", "spa").Encode(), func(r *http.Request) { r.SetBasicAuth("web", "s3cret") }),
				"a secret in the form": pushOf(t, g, form.Encode()+"&client_secret=wrong"),
			} {
				if res.Status == 201 {
					t.Errorf("LegacyServer %t, time %d, %s: %d %s", wrapped, n, what, res.Status, res.Body)
				}
			}
		}
		assertion := "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=" + store.sign(t, issuer, "jwt")
		if res := pushOf(t, g, harness.Form("client_id", "jwt").Encode()+assertion); res.Status != 201 {
			t.Errorf("LegacyServer %t, an assertion: %d %s", wrapped, res.Status, res.Body)
		}
		if res := pushOf(t, g, harness.Form("client_id", "jwt").Encode()+assertion); res.Status != 401 {
			t.Errorf("LegacyServer %t, an assertion again: %d %s", wrapped, res.Status, res.Body)
		}
		findings := g.Server.ExplainDelegation(t.Context())
		if len(findings) == 0 || !hasUsable(findings) {
			t.Errorf("LegacyServer %t: %v", wrapped, findings)
		}
	}
}

func hasUsable(findings []client.Finding) bool {
	for _, f := range findings {
		if f.Usable {
			return true
		}
	}
	return false
}
