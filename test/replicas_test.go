package test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/pushstore/storetest"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// replicaStore is a store of one more gateway in the same Redis.
func replicaStore(t *testing.T, server *storetest.RedisServer) pushstore.Store {
	t.Helper()
	client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	store := pushstore.NewRedis(client, pushstore.RedisOptions{})
	t.Cleanup(func() { store.Close() })
	return store
}

func TestTwoGatewaysWithOneRedisAreOne(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	a := harness.Start(t, harness.Setup{Store: replicaStore(t, server)})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := harness.InFrontOf(t, listener, a.Upstream.URL, harness.Setup{Store: replicaStore(t, server)})
	at := func(g *harness.Gateway, location string) string { return g.URL + strings.TrimPrefix(location, a.URL) }

	uri := a.Push(t, "web", "s3cret", harness.Form())
	short := harness.Short("web", uri)
	browser, late := harness.NewBrowser(b.URL), harness.NewBrowser(a.URL)
	bounce := browser.Get(t, short)
	early := late.Get(t, short) // nobody has opened it yet
	if bounce.Status != 303 || early.Status != 303 {
		t.Fatalf("first visits: %d and %d", bounce.Status, early.Status)
	}
	if res := browser.Get(t, at(b, bounce.Location)); res.Status != 302 || a.Upstream.Last().Query().Encode() != harness.Form().Encode() {
		t.Fatalf("opened at the other gateway: %d %s", res.Status, a.Upstream.Last().Target)
	}
	wantPage(t, a, late.Get(t, early.Location), 400, "invalid_request_uri")
	wantPage(t, a, harness.NewBrowser(a.URL).Get(t, short), 400, "invalid_request_uri")
	if n := len(a.Upstream.Requests()); n != 1 {
		t.Errorf("the upstream got %d requests", n)
	}
	// The flow goes on at the first gateway, ends there, and has ended at both.
	if res := browser.Get(t, at(a, "/login/done?id=1")); !strings.Contains(res.Location, "code=c0de") || !strings.Contains(res.Location, "iss=") {
		t.Errorf("the response: %d %s", res.Status, res.Location)
	}
	if !isUsed(t, browser, uri) || !strings.Contains(browser.Get(t, at(a, short)).Body, "This sign-in has ended") {
		t.Error("the flow has not ended at both")
	}
}

func TestThePushEndpointIsKnownByItsPathAlone(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	res := pushOf(t, g, harness.Form().Encode(), asWeb, func(r *http.Request) { r.Host = "evil.example" },
		setHeader("X-Forwarded-Host", "evil.example"), setHeader("X-Forwarded-Proto", "gopher"), setHeader("Forwarded", "host=evil.example"))
	if res.Status != 201 || strings.Contains(res.Body, "evil") {
		t.Fatalf("%d %s", res.Status, res.Body)
	}
	if res := harness.NewBrowser(g.URL).Open(t, "web", res.JSON(t)["request_uri"].(string)); res.Status != 302 {
		t.Errorf("opened: %d", res.Status)
	}
}

func TestAFullRequestAtTheMetadataIsRefusedWherePARIsRequired(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.PARRequired = true }, Upstream: func(r *upstream.Recorder) {
		r.Metadata = map[string]string{oidcPath: r.Document(), oauthPath: r.Document()}
	}})
	b := harness.NewBrowser(g.URL)
	for _, path := range []string{oidcPath, oauthPath} {
		for _, method := range []string{"POST", "PUT", "OPTIONS"} {
			if res := b.Do(t, method, path+"?"+harness.Form().Encode(), nil); res.Status != 400 {
				t.Errorf("%s %s: %d", method, path, res.Status)
			}
		}
		if res := b.Get(t, path+"?"+harness.Form().Encode()); res.Status != 200 || res.JSON(t)["issuer"] != g.URL {
			t.Errorf("GET %s: %d", path, res.Status)
		}
	}
}
