package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream"
)

func TestAMarkOfAFinishedFlowClaimsNothing(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) { r.Instant = true }})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	b := harness.NewBrowser(g.URL)
	b.Get(t, harness.Short("web", uri))
	live := b.Cookies()[0]
	parts := strings.Split(live.Value, ".")
	forged := harness.NewBrowser(g.URL)
	forged.SetCookie(&http.Cookie{Name: live.Name, Value: "0." + parts[1] + "." + parts[3], Path: "/"})
	for range 2 {
		wantPage(t, g, forged.Get(t, harness.Short("web", uri)), 400, "invalid_request_uri")
	}
	wantUntouched(t, g)
	if res := b.Get(t, harness.Short("web", uri)); res.Status != 302 {
		t.Errorf("the true cookie: %d", res.Status)
	}
}

func TestManyForgedCookiesCostFewStoreOperations(t *testing.T) {
	t.Parallel()
	store := &countingStore{Store: pushstore.NewMemory(pushstore.MemoryOptions{})}
	g := harness.Start(t, harness.Setup{Store: store})
	b := harness.NewBrowser(g.URL)
	b.Open(t, "web", g.Push(t, "web", "s3cret", harness.Form()))
	var cookies []string
	for i := range 100 {
		ref := pushstore.Reference(fmt.Sprintf("%043d", i))
		cookies = append(cookies, "pargate-"+pushstore.Digest(ref)+"=1.1."+string(ref)+".AAAAAAAAAAAAAAAAAAAAAA.d2Vi")
	}
	store.operations.Store(0)
	b.Get(t, "/login/done?id=1", func(r *http.Request) { r.Header.Set("Cookie", strings.Join(cookies, "; ")) })
	if n := store.operations.Load(); n > 6 { // five flows, and the end of one
		t.Errorf("%d store operations", n)
	}
}

func TestTwoTabsEndWithTheCookieThatOpens(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	b := harness.NewBrowser(g.URL)
	first := b.Get(t, harness.Short("web", uri))
	winner := b.Cookies()[0].Value
	res := b.Get(t, first.Location)
	if got := res.Header.Get("Set-Cookie"); !strings.Contains(got, winner) {
		t.Errorf("Set-Cookie: %q", got)
	}
	// Later visits have nothing to settle.
	if res := b.Get(t, harness.Short("web", uri)); res.Header.Get("Set-Cookie") != "" {
		t.Errorf("Set-Cookie: %q", res.Header.Get("Set-Cookie"))
	}
}

func TestFlowCookiesNeverReachTheUpstreamBeforeItIsKnown(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Unknown: true, Upstream: func(r *upstream.Recorder) { r.Metadata = map[string]string{} }})
	harness.NewBrowser(g.URL).Get(t, "/page", setHeader("Cookie", "a=b; pargate-12345678=1; __Host-pargate-12345678=1"))
	if got := g.Upstream.Last().Header.Get("Cookie"); got != "a=b" {
		t.Errorf("Cookie: %s", got)
	}
}
