package test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/test/harness"
)

// allHeaders sets the headers that are not empty.
func allHeaders(headers map[string]string) func(*http.Request) {
	return func(r *http.Request) {
		for name, value := range headers {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
	}
}

func TestACookieOfAnotherClientOrReferenceOpensNothing(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	first := harness.NewBrowser(g.URL)
	first.Get(t, harness.Short("web", uri))
	live := first.Cookies()[0]
	parts := strings.Split(live.Value, ".")
	for name, i := range map[string]int{"another client_id": 4, "another reference": 2} {
		forged := strings.Split(live.Value, ".")
		forged[i] = map[int]string{2: strings.Repeat("A", 43), 4: base64.RawURLEncoding.EncodeToString([]byte("post"))}[i]
		b := harness.NewBrowser(g.URL)
		b.SetCookie(&http.Cookie{Name: live.Name, Value: strings.Join(forged, "."), Path: "/"})
		res := b.Get(t, harness.Short("web", uri))
		if res.Status != http.StatusSeeOther || res.Header.Get("Set-Cookie") == "" || strings.Contains(res.Header.Get("Set-Cookie"), parts[3]) {
			t.Errorf("%s: %d %v, want the bounce with a cookie of its own", name, res.Status, res.Header)
		}
		if state := stateOf(t, g, uri); state != pushstore.Pending {
			t.Errorf("%s: state %d", name, state)
		}
	}
	wantUntouched(t, g)
	if res := first.Get(t, harness.Short("web", uri)); res.Status != 302 {
		t.Errorf("the true cookie: %d", res.Status)
	}
}

func TestASixthFlowOfABrowserEndsItsOldest(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.Now = c.Now }})
	b := harness.NewBrowser(g.URL)
	var uris []string
	for i := range 6 {
		uri := g.Push(t, "web", "s3cret", harness.Form("state", fmt.Sprint(i)))
		b.Open(t, "web", uri)
		uris = append(uris, uri)
		c.advance(time.Minute)
	}
	if cookies := b.Cookies(); len(cookies) != 5 {
		t.Errorf("%d live cookies", len(cookies))
	}
	for i, uri := range uris {
		want := 302
		if i == 0 {
			want = 400
		}
		if res := b.Get(t, harness.Short("web", uri)); res.Status != want {
			t.Errorf("flow %d: %d, want %d", i, res.Status, want)
		}
	}
}

func TestTheBounceIsKeptByNobody(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	for _, res := range []harness.Response{
		harness.NewBrowser(g.URL).Get(t, harness.Short("web", uri)),
		harness.NewBrowser(g.URL).Post(t, "/authorize", strings.TrimPrefix(harness.Short("web", uri), "/authorize?")),
	} {
		if res.Status != 303 || !strings.Contains(res.Header.Get("Cache-Control"), "no-store") || res.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%d %v", res.Status, res.Header)
		}
	}
}

func TestNamesDroppedBesideAReferenceAreLoggedWithoutTheirValues(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	b := harness.NewBrowser(g.URL)
	b.Open(t, "web", uri)
	if n := g.Logs.FilterMessageSnippet("RESUME_PARAMS").Len(); n != 0 {
		t.Errorf("%d lines where nothing was dropped", n)
	}
	b.Get(t, harness.Short("web", uri)+"&wizard=leak8&login_verifier=1")
	lines := g.Logs.FilterMessageSnippet("RESUME_PARAMS").All()
	if len(lines) != 1 || fmt.Sprint(lines[0].ContextMap()["names"]) != "[wizard]" {
		t.Fatalf("%v", lines)
	}
	if strings.Contains(fmt.Sprint(lines[0].ContextMap()), "leak8") {
		t.Errorf("a value is in the log: %v", lines[0])
	}
}
