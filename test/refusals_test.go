package test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// The log says of a refusal why, what was seen where that is no secret, and what the operator would change.
func TestARefusalIsLoggedWithWhatWouldChangeIt(t *testing.T) {
	t.Parallel()
	clients := `[{"client_id": "web", "client_secret": "s3cret"},
		{"client_id": "picky", "client_secret": "s3cret", "redirect_uris": ["https://app.example/cb"], "scope": "openid", "response_types": ["code"]},
		{"client_id": "signed", "client_secret": "s3cret", "require_signed_request_object": true, "jwks": ` + harness.KeySet(keyCJ) + `},
		{"client_id": "strict", "client_secret": "s3cret", "require_pushed_authorization_requests": true}]`
	push := func(client string, form url.Values) func(*testing.T, *harness.Gateway) {
		return func(t *testing.T, g *harness.Gateway) {
			harness.NewBrowser(g.URL).Post(t, "/par", form.Encode(), asForm, basic(client, "s3cret"))
		}
	}
	get := func(target string) func(*testing.T, *harness.Gateway) {
		return func(t *testing.T, g *harness.Gateway) { harness.NewBrowser(g.URL).Get(t, target) }
	}
	for _, test := range []struct {
		name            string
		options         func(*proxy.Options)
		do              func(*testing.T, *harness.Gateway)
		setting, reason string
	}{
		{"a scope that is not registered", nil, push("picky", harness.Form("client_id", "picky", "scope", "openid admin")), "scope in CLIENTS_FILE", `it is "admin"`},
		{"a response_type that is not registered", nil, push("picky", harness.Form("client_id", "picky", "response_type", "code id_token")), "response_types in CLIENTS_FILE", `it is "code id_token"`},
		{"a redirect_uri that is not registered", nil, push("picky", harness.Form("client_id", "picky", "redirect_uri", "https://app.example/cb/")), "redirect_uris in CLIENTS_FILE", "its path differs from the nearest registered one, which is https://app.example/cb"},
		{"another secret", nil, func(t *testing.T, g *harness.Gateway) {
			harness.NewBrowser(g.URL).Post(t, "/par", harness.Form().Encode(), asForm, basic("web", "other"))
		}, "CLIENTS_FILE", "wrong secret"},
		{"a request that is not signed", nil, push("signed", harness.Form("client_id", "signed")), "require_signed_request_object in CLIENTS_FILE", "signed request object"},
		{"JSON", nil, func(t *testing.T, g *harness.Gateway) {
			harness.NewBrowser(g.URL).Post(t, "/par", "{}", func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })
		}, "", `it is "application/json"`},
		{"a long push", func(o *proxy.Options) { o.MaxPushBytes = 1000 }, push("web", harness.Form("state", strings.Repeat("x", 2000))), "PAR_MAX_BYTES", "more than 1000 bytes"},
		{"a request too long for the upstream", func(o *proxy.Options) { o.MaxQueryBytes = 1000 }, push("web", harness.Form("state", strings.Repeat("x", 2000))), "UPSTREAM_MAX_REQUEST", "the authorization server takes 1000"},
		{"too many pushes", func(o *proxy.Options) { o.PushRate = 0.001 }, func(t *testing.T, g *harness.Gateway) {
			for range 3 {
				push("web", harness.Form())(t, g)
			}
		}, "RATE_LIMIT", "too many pushes"},
		{"an un-pushed request", func(o *proxy.Options) { o.PARRequired = true }, get("/authorize?" + harness.Form().Encode()), "PAR_REQUIRED", "must be pushed"},
		{"an un-pushed request of a client that must push", nil, get("/authorize?" + harness.Form("client_id", "strict").Encode()), "require_pushed_authorization_requests or require_signed_request_object in CLIENTS_FILE", "this client must push"},
		{"a reference that does not exist", nil, get("/authorize?client_id=web&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A" + strings.Repeat("A", 43)), "PAR_TTL", "unknown or expired"},
		{"an upstream that does not answer", func(o *proxy.Options) { o.UpstreamTimeout = 50 * time.Millisecond }, get("/slow"), "UPSTREAM_TIMEOUT", "does not answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := harness.Start(t, harness.Setup{Clients: clients, Options: test.options, Upstream: func(r *upstream.Recorder) {
				r.Handlers["/slow"] = func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }
			}})
			test.do(t, g)
			lines := g.Logs.FilterMessage("refused").All()
			if len(lines) < 1 {
				t.Fatal("nothing is refused in the log")
			}
			fields := lines[0].ContextMap()
			if setting, _ := fields["setting"].(string); setting != test.setting || !strings.Contains(fields["reason"].(string), test.reason) {
				t.Errorf("%v\nwant setting %q and a reason with %q", fields, test.setting, test.reason)
			}
		})
	}
}
