package test

import (
	"testing"

	"pargate/pushstore"
	"pargate/test/harness"
)

func TestOnlyANavigationClaimsARequest(t *testing.T) {
	t.Parallel()
	type headers map[string]string
	g := harness.Start(t, harness.Setup{})
	for _, c := range []struct {
		headers headers
		claims  bool
	}{
		{headers{"Sec-Purpose": "prefetch"}, false},
		{headers{"Sec-Purpose": "prefetch;prerender", "Sec-Fetch-Dest": "document"}, false},
		{headers{"Purpose": "prefetch"}, false},
		{headers{"X-Purpose": "preview"}, false},
		{headers{"X-Moz": "Prefetch"}, false},
		{headers{"Sec-Fetch-Dest": "image"}, false},
		{headers{"Sec-Fetch-Dest": "script"}, false},
		{headers{"Sec-Fetch-Dest": "style"}, false},
		{headers{"Sec-Fetch-Dest": "empty"}, false},
		{headers{"Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "cross-site"}, false},
		{headers{"Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}, false},
		{headers{"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}, true},
		{headers{"Sec-Fetch-Dest": "document"}, true},
		{headers{}, true},
	} {
		uri := g.Push(t, "web", "s3cret", harness.Form())
		b := harness.NewBrowser(g.URL)
		bounce := b.Get(t, harness.Short("web", uri))
		before := len(g.Upstream.Requests())
		change := allHeaders(c.headers)
		res := b.Get(t, bounce.Location, change)
		if c.claims {
			if res.Status != 302 || stateOf(t, g, uri) != pushstore.Taken {
				t.Errorf("%v: %d, state %d", c.headers, res.Status, stateOf(t, g, uri))
			}
			continue
		}
		wantPage(t, g, res, 400, "invalid_request_uri")
		if n := len(g.Upstream.Requests()) - before; n != 0 || stateOf(t, g, uri) != pushstore.Pending {
			t.Errorf("%v: %d requests upstream, state %d", c.headers, n, stateOf(t, g, uri))
		}
	}
}

func TestAScriptOfTheUpstreamsOwnPageReadsAClaimedRequestAndNoOtherDoes(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	b := harness.NewBrowser(g.URL)
	b.Open(t, "web", uri)
	for site, status := range map[string]int{"same-origin": 302, "same-site": 400, "cross-site": 400, "": 400} {
		change := allHeaders(map[string]string{"Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": site})
		if res := b.Get(t, harness.Short("web", uri), change); res.Status != status {
			t.Errorf("%q: %d, want %d", site, res.Status, status)
		}
	}
	prefetch := allHeaders(map[string]string{"Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin", "Sec-Purpose": "prefetch"})
	if res := b.Get(t, harness.Short("web", uri), prefetch); res.Status != 400 {
		t.Errorf("a prefetch: %d", res.Status)
	}
	if n := len(g.Upstream.Requests()); n != 2 {
		t.Errorf("the upstream got %d requests, want the navigation and the one fetch", n)
	}
}
