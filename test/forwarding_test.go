package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

func TestHeadersThatNameAnotherPathAreDroppedWherePARIsRequired(t *testing.T) {
	t.Parallel()
	for _, required := range []bool{true, false} {
		g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.PARRequired = required }})
		for _, name := range []string{"X-Original-URL", "X-Rewrite-Url", "X_Original_Url", "X-Original-Uri"} {
			harness.NewBrowser(g.URL).Get(t, "/page", setHeader(name, "/authorize?client_id=web"))
			if passed := strings.Contains(fmt.Sprint(g.Upstream.Last().Header), "client_id"); passed == required {
				t.Errorf("required %t, %s: passed %t", required, name, passed)
			}
		}
	}
}

func TestAGatewayInFrontOfItselfSaysSo(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	g := harness.InFrontOf(t, listener, "http://"+listener.Addr().String(), harness.Setup{Unknown: true})
	harness.WaitFor(t, "the reason", func() bool {
		return strings.Contains(g.Server.Ready(t.Context())["upstream"], "leads back to this gateway")
	})
	if res := harness.NewBrowser(g.URL).Get(t, "/page"); res.Status != http.StatusLoopDetected {
		t.Errorf("%d %s", res.Status, res.Body)
	}
}

func TestAPOSTIsNeverSentTwice(t *testing.T) {
	t.Parallel()
	posts := make(chan string, 10)
	g := inFrontOfRaw(t, func(c net.Conn) { // the first request of a connection is answered, the second one is cut off
		reader := bufio.NewReader(c)
		for first := true; ; first = false {
			req, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			if req.Method == http.MethodPost {
				posts <- req.URL.Path
				return
			}
			if !first {
				return
			}
			io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		}
	})
	b := harness.NewBrowser(g.URL)
	b.Get(t, "/warm")
	if res := b.Do(t, "POST", "/once", nil, setHeader("Idempotency-Key", "1")); res.Status != 502 {
		t.Errorf("%d", res.Status)
	}
	if n := len(posts); n != 1 {
		t.Errorf("the upstream got %d POSTs", n)
	}
}

func TestRedirectsPassBeforeTheUpstreamIsKnown(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Unknown: true, Upstream: func(r *upstream.Recorder) {
		r.Metadata = map[string]string{}
		r.Handlers["/rel"] = func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, "/login", http.StatusFound) }
	}})
	if res := harness.NewBrowser(g.URL).Get(t, "/rel"); res.Status != 302 || res.Header.Get("Location") != "/login" {
		t.Errorf("%d %s", res.Status, res.Header.Get("Location"))
	}
}

func TestTheUpstreamsOwnReferencesAreRefusedWherePARIsRequiredHere(t *testing.T) {
	t.Parallel()
	for _, required := range []bool{true, false} {
		g := harness.Start(t, harness.Setup{
			Options: func(o *proxy.Options) { o.PARRequired = required },
			Upstream: func(r *upstream.Recorder) {
				r.Metadata = map[string]string{oidcPath: r.Document(`,"pushed_authorization_request_endpoint":"` + r.Issuer + `/as/par"`)}
			},
		})
		b := harness.NewBrowser(g.URL)
		for _, ref := range []string{"short", strings.Repeat("A", 43)} {
			short := harness.Short("web", "urn:ietf:params:oauth:request_uri:"+ref)
			b.Get(t, short)
			b.Get(t, short, setHeader("Sec-Fetch-Dest", "empty"))
			b.Post(t, short, "username=u")
			b.Post(t, short, "redirect_uri=https://evil.example/&pad="+strings.Repeat("x", 70<<10))
			b.Post(t, "/authorize", strings.TrimPrefix(short, "/authorize?"))
		}
		if n := len(g.Upstream.Requests()); required && n != 0 || !required && n != 10 {
			t.Errorf("required %t: %d requests reached the upstream", required, n)
		}
	}
}
