package test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

const oidcPath, oauthPath = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"

func TestMetadataIsServedInEveryForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, issuerPath, upstreamPath string
		documents                      []string // where the upstream has one
		served, absent                 []string
	}{
		{"OpenID Connect only", "", "", []string{oidcPath}, []string{oidcPath, oauthPath}, nil},
		{"OAuth only", "", "", []string{oauthPath}, []string{oauthPath}, []string{oidcPath}},
		{"both", "", "", []string{oidcPath, oauthPath}, []string{oidcPath, oauthPath}, nil},
		{"an issuer with a path", "/realms/x", "/realms/x", []string{"/realms/x" + oidcPath},
			[]string{"/realms/x" + oidcPath, oidcPath + "/realms/x", oauthPath + "/realms/x", "/realms/x" + oauthPath}, []string{oidcPath, oauthPath}},
		{"an issuer with a path, OAuth only", "/t1", "/t1", []string{oauthPath + "/t1"}, []string{oauthPath + "/t1", "/t1" + oauthPath}, []string{oidcPath}},
		{"a trailing slash", "/", "", []string{oidcPath}, []string{oidcPath, oauthPath}, nil},
		{"Django's document", "/o", "/o/", []string{"/o" + oidcPath + "/"}, []string{"/o" + oidcPath + "/", "/o" + oidcPath, oauthPath + "/o"}, nil},
		{"another path than the issuer's", "", "/deep", []string{"/deep" + oidcPath}, []string{"/deep" + oidcPath, oidcPath, oauthPath}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := harness.Start(t, harness.Setup{
				Upstream: func(r *upstream.Recorder) {
					r.Issuer += c.issuerPath
					r.Metadata = map[string]string{}
					for _, path := range c.documents {
						r.Metadata[path] = r.Document(`,"from":"` + path + `","signed_metadata":"x.y.z"`)
					}
				},
				Options: func(o *proxy.Options) {
					o.Issuer.UpstreamURL = mustParse(o.Issuer.UpstreamURL.String() + c.upstreamPath)
				},
			})
			push := g.URL + strings.TrimSuffix(c.issuerPath, "/") + "/par"
			b := harness.NewBrowser(g.URL)
			for _, path := range c.served {
				res := b.Get(t, path)
				if res.Status != 200 || res.JSON(t)["pushed_authorization_request_endpoint"] != push || res.JSON(t)["issuer"] != g.URL+c.issuerPath || strings.Contains(res.Body, "signed_metadata") {
					t.Errorf("%s: %d %s", path, res.Status, res.Body)
				}
			}
			for _, path := range c.absent {
				if res := b.Get(t, path); res.Status != 404 {
					t.Errorf("%s: %d %s", path, res.Status, res.Body)
				}
			}
			res := b.Post(t, strings.TrimPrefix(push, g.URL), harness.Form().Encode(), asWeb)
			if res.Status != 201 {
				t.Errorf("push: %d %s", res.Status, res.Body)
			}
		})
	}
}

func TestMetadataKeepsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	const more = `,"z":1.0e3,"a":[1.50, {"é":"ü\u00fc"}],"mtls_endpoint_aliases":{"token_endpoint":"https://mtls.example/token","x":0.10}`
	g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
		r.Metadata = map[string]string{oidcPath: r.Document(more)}
	}})
	res := harness.NewBrowser(g.URL).Get(t, oidcPath)
	want := strings.TrimSuffix(g.Upstream.Document(more), "}}") + `,"pushed_authorization_request_endpoint":"` + g.URL + `/par"},"pushed_authorization_request_endpoint":"` + g.URL + `/par"}`
	if res.Body != want {
		t.Errorf("got  %s\nwant %s", res.Body, want)
	}
	if res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Access-Control-Allow-Origin") != "*" || res.Header.Get("Cache-Control") != "public, max-age=60" {
		t.Errorf("%v", res.Header)
	}
	again := harness.NewBrowser(g.URL).Get(t, oidcPath, setHeader("If-None-Match", res.Header.Get("ETag")))
	if again.Status != http.StatusNotModified || again.Body != "" {
		t.Errorf("with the ETag: %d %s", again.Status, again.Body)
	}
	if head := harness.NewBrowser(g.URL).Do(t, "HEAD", oidcPath, nil); head.Status != 200 || head.Body != "" {
		t.Errorf("HEAD: %d", head.Status)
	}
}

func TestMetadataIsLeftAloneOnRequest(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.PatchMetadata = false }})
	res := harness.NewBrowser(g.URL).Get(t, oidcPath)
	if res.Body != g.Upstream.Document() {
		t.Errorf("got %s", res.Body)
	}
	g.Push(t, "web", "s3cret", harness.Form())
}

func TestAnUpstreamWithoutMetadataWorksWithPaths(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{
		Upstream: func(r *upstream.Recorder) { r.Metadata = map[string]string{} },
		Options: func(o *proxy.Options) {
			o.Issuer.AuthorizePaths, o.Issuer.TokenPath = []string{"/authorize", "/oauth/authorize"}, "/token"
			o.Issuer.PublicURL = mustParse("http://127.0.0.1:1")
			o.PARRequired = true
		},
	})
	uri := harness.NewBrowser(g.URL).Post(t, "/par", harness.Form().Encode(), asWeb).JSON(t)["request_uri"].(string)
	res := harness.NewBrowser(g.URL).Get(t, harness.Short("web", uri))
	if res.Status != 303 || !strings.HasPrefix(res.Location, "http://127.0.0.1:1/authorize?") {
		t.Errorf("%d %s", res.Status, res.Location)
	}
	if res := harness.NewBrowser(g.URL).Get(t, "/oauth/authorize?scope=x"); res.Status != 400 {
		t.Errorf("the second endpoint is not protected: %d", res.Status)
	}
}

func TestWhatKeepsTheGatewayFromBeingReadyIsSaid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		upstream   func(*upstream.Recorder)
		options    func(*proxy.Options)
	}{
		{"another origin than PUBLIC_URL", "PUBLIC_URL is https://login.example", nil, func(o *proxy.Options) { o.Issuer.PublicURL = mustParse("https://login.example") }},
		{"no metadata", "set PUBLIC_URL, AUTHORIZE_PATH, TOKEN_PATH", func(r *upstream.Recorder) { r.Metadata = map[string]string{} }, nil},
		{"a login page instead", "publishes no metadata", func(r *upstream.Recorder) { r.Metadata = map[string]string{oidcPath: "<html>"} }, nil},
		{"no authorization endpoint", "no authorization_endpoint", func(r *upstream.Recorder) {
			r.Metadata = map[string]string{oidcPath: `{"issuer":"` + r.Issuer + `"}`}
		}, nil},
		{"an authorization endpoint elsewhere", "browsers would go around", func(r *upstream.Recorder) {
			r.Metadata = map[string]string{oidcPath: `{"issuer":"` + r.Issuer + `","authorization_endpoint":"https://other.example/authorize"}`}
		}, nil},
		{"a member twice", "occurs more than once", func(r *upstream.Recorder) { r.Metadata = map[string]string{oidcPath: r.Document(`,"a":1,"a":2`)} }, nil},
		{"the path of another endpoint", "PAR_PATH /token is the path of another endpoint", nil, func(o *proxy.Options) { o.Issuer.PushPath = "/token" }},
		{"the path of metadata", "PAR_PATH /.well-known/openid-configuration is the path", nil, func(o *proxy.Options) { o.Issuer.PushPath = oidcPath }},
		{"an error", "503", func(r *upstream.Recorder) {
			r.Handlers[oidcPath] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := harness.Start(t, harness.Setup{Upstream: c.upstream, Options: c.options, Unknown: true})
			var reason string
			harness.WaitFor(t, "the reason", func() bool {
				reason = g.Server.Ready(t.Context())["upstream"]
				return !strings.Contains(reason, "not known yet")
			})
			if !strings.Contains(reason, c.want) {
				t.Errorf("reason = %q, want %q in it", reason, c.want)
			}
		})
	}
}

func TestBeforeTheEndpointsAreKnown(t *testing.T) {
	t.Parallel()
	gone := func(r *upstream.Recorder) {
		r.Handlers[oidcPath] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
	}
	const uri = "urn:ietf:params:oauth:request_uri:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, required := range []bool{false, true} {
		g := harness.Start(t, harness.Setup{Unknown: true, Upstream: gone, Options: func(o *proxy.Options) { o.PARRequired = required }})
		b := harness.NewBrowser(g.URL)
		wantPushError(t, b.Post(t, "/par", harness.Form().Encode(), asWeb), 503, "temporarily_unavailable")
		wantPage(t, g, b.Get(t, "/wherever?request_uri="+uri), 503, "temporarily_unavailable")
		wantPage(t, g, b.Post(t, "/wherever", "client_id=web&request_uri="+uri), 503, "temporarily_unavailable")
		want := 200
		if required {
			want = 503
		}
		if res := b.Get(t, "/anything?client_id=web"); res.Status != want {
			t.Errorf("required %t: %d", required, res.Status)
		}
		for _, r := range g.Upstream.Requests() {
			if strings.Contains(r.Target+r.Body, "urn:") || required && !strings.Contains(r.Target, "well-known") {
				t.Errorf("required %t: the upstream got %s %s", required, r.Method, r.Target)
			}
		}
	}
}

func TestAnUpstreamThatHasPARIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/as/par", "/par"} {
		g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
			r.Metadata = map[string]string{oidcPath: r.Document(`,"pushed_authorization_request_endpoint":"` + r.Issuer + path + `"`)}
		}})
		b := harness.NewBrowser(g.URL)
		if res := b.Get(t, oidcPath); res.JSON(t)["pushed_authorization_request_endpoint"] != g.URL+path {
			t.Errorf("%s: the metadata was changed: %s", path, res.Body)
		}
		if g.Logs.FilterMessageSnippet("already offers PAR").Len() != 1 {
			t.Errorf("%s: it is not said", path)
		}
		// Its references are its own, whatever they look like.
		for _, uri := range []string{"urn:ietf:params:oauth:request_uri:short", "urn:ietf:params:oauth:request_uri:" + strings.Repeat("A", 43)} {
			target := "/authorize?client_id=unknown&request_uri=" + url.QueryEscape(uri)
			if b.Get(t, target); g.Upstream.Last().Target != target {
				t.Errorf("%s: the upstream got %s", path, g.Upstream.Last().Target)
			}
		}
		res := b.Post(t, "/par", harness.Form().Encode(), asWeb)
		if want := map[string]int{"/as/par": 201, "/par": 200}[path]; res.Status != want {
			t.Errorf("%s: push = %d", path, res.Status)
		}
	}
}

func TestThePublicNameIsLearnedFromTheIssuer(t *testing.T) {
	t.Parallel()
	// A server that builds its URLs from Host, behind an internal name.
	g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
		issuer := r.Issuer
		r.Handlers[oidcPath] = func(w http.ResponseWriter, req *http.Request) {
			json.NewEncoder(w).Encode(map[string]string{"issuer": issuer, "authorization_endpoint": "http://" + req.Host + "/authorize"})
		}
	}})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	harness.NewBrowser(g.URL).Open(t, "web", uri)
	if got := g.Upstream.Last(); "http://"+got.Host != g.URL || got.Header.Get("X-Forwarded-Host") != got.Host {
		t.Errorf("the upstream is called %s", got.Host)
	}
}

func mustParse(address string) *url.URL {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	return u
}
