package test

import (
	"net/http"
	"strings"
	"testing"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream"
)

func TestASignedResponseEndsItsFlowOnAPathWithoutTheReference(t *testing.T) {
	t.Parallel()
	for _, required := range []bool{true, false} {
		g := harness.Start(t, harness.Setup{
			Options: func(o *proxy.Options) { o.PARRequired = required },
			Upstream: func(r *upstream.Recorder) {
				r.Handlers["/login/done"] = func(w http.ResponseWriter, req *http.Request) {
					http.Redirect(w, req, "https://app.example/cb?response=a.b.c", http.StatusFound)
				}
			},
		})
		b := harness.NewBrowser(g.URL)
		uri := g.Push(t, "web", "s3cret", harness.Form("response_mode", "jwt"))
		if res := b.LogIn(t, b.Open(t, "web", uri)); res.Location != "https://app.example/cb?response=a.b.c" || !isUsed(t, b, uri) {
			t.Errorf("required %t: %d %s", required, res.Status, res.Location)
		}
	}
}

func TestAHEADOfTheLastHopEndsNothing(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	b := harness.NewBrowser(g.URL)
	b.Open(t, "web", g.Push(t, "web", "s3cret", harness.Form()))
	if res := b.Do(t, "HEAD", "/login/done?id=1", nil); res.Header.Get("Location") != "" {
		t.Errorf("HEAD: %d %s", res.Status, res.Header.Get("Location"))
	}
	if res := b.Get(t, "/login/done?id=1"); !strings.Contains(res.Location, "code=c0de") {
		t.Errorf("GET: %d", res.Status)
	}
}

func TestThePageOfALoginErrorNeedsNoStore(t *testing.T) {
	t.Parallel()
	store := &brokenStore{Store: pushstore.NewMemory(pushstore.MemoryOptions{})}
	g := harness.Start(t, harness.Setup{Store: store, Upstream: func(r *upstream.Recorder) {
		r.Handlers["/login"] = func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, "/login?error=1", http.StatusFound)
		}
	}})
	b := harness.NewBrowser(g.URL)
	b.Open(t, "web", g.Push(t, "web", "s3cret", harness.Form()))
	store.broken.Store(true)
	if res := b.Post(t, "/login", "username=u&password=wrong"); res.Status != 302 {
		t.Errorf("%d %s", res.Status, res.Body)
	}
}
