package test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// hops makes the stand-in show a page at its authorization endpoint and redirect from /hop to what the query says;
// from the authorization endpoint too while instant holds a location.
func hops(instant *atomic.Value) func(*upstream.Recorder) {
	return func(r *upstream.Recorder) {
		r.Handlers["/authorize"] = func(w http.ResponseWriter, _ *http.Request) {
			if to, _ := instant.Load().(string); to != "" {
				w.Header().Set("Location", to)
				w.WriteHeader(http.StatusFound)
				return
			}
			io.WriteString(w, "a login page")
		}
		r.Handlers["/hop"] = func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Location", req.URL.Query().Get("to"))
			w.WriteHeader(http.StatusFound)
		}
	}
}

func hop(to string) string { return "/hop?to=" + url.QueryEscape(to) }

func TestAResponseIsKnownByWhereItLeads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, redirectURI, location string // {issuer} is the gateway
		ended                       bool
	}{
		{"access_token alone", "https://app.example/cb", "https://app.example/cb#access_token=1&state=st4te", true},
		{"another port", "https://app.example/cb", "https://app.example:8443/cb?code=1&state=st4te", false},
		{"another scheme", "https://app.example/cb", "http://app.example/cb?code=1&state=st4te", false},
		{"another state", "https://app.example/cb", "https://app.example/cb?code=1&state=other", false},
		{"with the redirect_uri's own query", "https://app.example/cb?tenant=7", "https://app.example/cb?code=1&tenant=7&state=st4te", true},
		{"without it", "https://app.example/cb?tenant=7", "https://app.example/cb?code=1&state=st4te", false},
		{"with another one", "https://app.example/cb?tenant=7", "https://app.example/cb?tenant=8&code=1&state=st4te", false},
		{"without a scheme", "http://app.example/cb", "//app.example/cb?code=1&state=st4te", true},
		{"relative", "{issuer}/app/cb", "/app/cb?code=1&state=st4te", true},
		{"relative to the path", "{issuer}/app/cb", "app/cb?code=1&state=st4te", true},
		{"relative, elsewhere", "{issuer}/app/cb", "/app/other?code=1&state=st4te", false},
		{"an application's own scheme", "app.example:/cb", "app.example:/cb?code=1&state=st4te", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var issuer string
			g := harness.Start(t, harness.Setup{
				Upstream: func(r *upstream.Recorder) {
					issuer = r.Issuer
					hops(new(atomic.Value))(r)
				},
				Options: func(o *proxy.Options) {
					o.Clients = harness.Registry(t, `[{"client_id": "web", "client_secret": "s3cret", "redirect_uris": ["`+strings.ReplaceAll(c.redirectURI, "{issuer}", issuer)+`"]}]`)
				},
			})
			uri := g.Push(t, "web", "s3cret", harness.Form("redirect_uri", strings.ReplaceAll(c.redirectURI, "{issuer}", issuer)))
			b := harness.NewBrowser(g.URL)
			b.Open(t, "web", uri)
			res := b.Get(t, hop(c.location))
			if res.Status != 302 || c.ended && !strings.Contains(res.Header.Get("Location"), "iss="+url.QueryEscape(issuer)) {
				t.Errorf("%d Location = %s", res.Status, res.Header.Get("Location"))
			}
			if used := isUsed(t, b, uri); used != c.ended {
				t.Errorf("used = %t", used)
			}
		})
	}
}

func TestTwoFlowsWithOneStateAreToldApartByTheReference(t *testing.T) {
	t.Parallel()
	var instant atomic.Value
	g := harness.Start(t, harness.Setup{Upstream: hops(&instant)})
	b := harness.NewBrowser(g.URL)
	first, second := g.Push(t, "web", "s3cret", harness.Form()), g.Push(t, "web", "s3cret", harness.Form())
	b.Open(t, "web", first)
	b.Open(t, "web", second)
	const response = "https://app.example/cb?code=1&state=st4te"
	instant.Store(response)
	if res := b.Get(t, harness.Short("web", first)); !strings.HasPrefix(res.Location, response) {
		t.Errorf("%d %s", res.Status, res.Location)
	}
	instant.Store("")
	if !isUsed(t, b, first) || isUsed(t, b, second) {
		t.Error("the wrong one has ended")
	}
}

// Where nothing tells which of two it was, one of them ends, the newer one: two pushes have two responses.
func TestTwoFlowsWithOneStateHaveTwoResponses(t *testing.T) {
	t.Parallel()
	var instant atomic.Value
	g := harness.Start(t, harness.Setup{Upstream: hops(&instant), Options: required})
	b := harness.NewBrowser(g.URL)
	first, second := g.Push(t, "web", "s3cret", harness.Form()), g.Push(t, "web", "s3cret", harness.Form())
	b.Open(t, "web", first)
	b.Open(t, "web", second)
	const response = "https://app.example/cb?code=1&state=st4te"
	if res := b.Get(t, hop(response)); res.Status != 302 {
		t.Errorf("the first response: %d", res.Status)
	}
	if isUsed(t, b, first) || !isUsed(t, b, second) {
		t.Error("the newer one has not ended")
	}
	if res := b.Get(t, hop(response)); res.Status != 302 {
		t.Errorf("the second response: %d", res.Status)
	}
	if res := b.Get(t, hop(response)); res.Status != 400 {
		t.Errorf("a third response: %d", res.Status)
	}
}

func TestAnErrorWithoutStateAndReferenceEndsNoFlow(t *testing.T) {
	t.Parallel()
	for response, ended := range map[string]bool{"https://app.example/cb?error=access_denied": false, "https://app.example/cb?code=1": true} {
		g := harness.Start(t, harness.Setup{Upstream: hops(new(atomic.Value))})
		b := harness.NewBrowser(g.URL)
		uri := g.Push(t, "web", "s3cret", harness.Form("state", ""))
		b.Open(t, "web", uri)
		if res := b.Get(t, hop(response)); !strings.HasPrefix(res.Location, response+"&iss=") {
			t.Errorf("%s: %d %s", response, res.Status, res.Location)
		}
		if used := isUsed(t, b, uri); used != ended {
			t.Errorf("%s: used = %t", response, used)
		}
	}
}
