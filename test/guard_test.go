package test

import (
	"net/http"
	"net/url"
	"testing"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

func TestTheGuardLetsNoCodeOutThatBelongsToNoFlow(t *testing.T) {
	t.Parallel()
	start := func(required bool) (*harness.Gateway, *harness.Browser) {
		g := harness.Start(t, harness.Setup{
			Options: func(o *proxy.Options) { o.PARRequired = required },
			Upstream: func(r *upstream.Recorder) {
				r.Handlers["/hole"] = func(w http.ResponseWriter, req *http.Request) {
					w.Header().Set("Location", req.URL.Query().Get("to"))
					w.WriteHeader(http.StatusFound)
				}
			},
		})
		b := harness.NewBrowser(g.URL)
		b.LogIn(t, b.Open(t, "web", g.Push(t, "web", "s3cret", harness.Form())))
		return g, b
	}
	g, b := start(true)
	wantPage(t, g, b.Get(t, "/login/done?id=1"), 400, "invalid_request") // the last hop, asked for again
	for to, status := range map[string]int{
		"https://app.example/cb?code=1": 400, "https://app.example/cb#access_token=1": 400, "app:/cb?response=x": 400, "//app.example/cb?id_token=x": 400,
		"https://app.example/cb?error=x": 302, "https://broker.example/authorize?response_type=code": 302, "/login?code=1": 302, g.URL + "/callback?code=1": 302,
	} {
		if res := b.Get(t, "/hole?to="+url.QueryEscape(to)); res.Status != status {
			t.Errorf("%s: %d, want %d", to, res.Status, status)
		}
	}
	_, b = start(false)
	if res := b.Get(t, "/login/done?id=1"); res.Status != 302 {
		t.Errorf("where PAR is not required: %d", res.Status)
	}
}

func TestTheGuardTellsAFlowsResponseFromAnotherWithItsRedirectURI(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]int{
		"https://app.example/cb?code=1&state=st4te": 302, "https://app.example/cb?code=1": 302, "https://app.example/cb?error=x&state=other": 302,
		"https://app.example/cb?code=1&state=other": 400,
	} {
		g := harness.Start(t, harness.Setup{
			Options:  func(o *proxy.Options) { o.PARRequired = true },
			Upstream: answering(302, func(url.Values) string { return location }),
		})
		b := harness.NewBrowser(g.URL)
		uri := g.Push(t, "web", "s3cret", harness.Form())
		if res := b.Open(t, "web", uri); res.Status != want {
			t.Errorf("%s: %d, want %d", location, res.Status, want)
		}
	}
}

func TestTheGuardReadsALocationAsBrowsersDo(t *testing.T) {
	t.Parallel()
	var location string
	g := harness.Start(t, harness.Setup{
		Options: func(o *proxy.Options) { o.PARRequired = true },
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/hole"] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", location)
				w.WriteHeader(http.StatusFound)
			}
		},
	})
	b := harness.NewBrowser(g.URL)
	for _, location = range []string{`/\evil.example/cb?code=1`, `\\evil.example/cb?code=1`, "/\t/app.example/cb?code=1", "///app.example/cb?code=1",
		"https://app.example/cb%zz?code=1", "com.app:/cb%zz?code=1", "https://us er@app.example/cb?code=1", "https://%61pp.example/cb?code=1", "https://app.example/cb?error=x#code=1"} {
		if res := b.Get(t, "/hole"); res.Status != 400 {
			t.Errorf("%q: %d", location, res.Status)
		}
	}
}
