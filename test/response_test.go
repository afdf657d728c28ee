package test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// answering makes the stand-in answer authorization requests with what location makes of them.
func answering(status int, location func(url.Values) string) func(*upstream.Recorder) {
	return func(r *upstream.Recorder) {
		r.Handlers["/authorize"] = func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Location", location(req.URL.Query()))
			w.WriteHeader(status)
		}
	}
}

// isUsed reports whether the reference is used up, by what its own browser is told.
func isUsed(t *testing.T, b *harness.Browser, uri string) bool {
	t.Helper()
	return strings.Contains(b.Get(t, harness.Short("web", uri)).Body, "This sign-in has ended")
}

func TestAnAuthorizationResponseEndsItsFlowInEveryShape(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		status   int
		location string // {cb} is the redirect_uri
		want     string // {iss} is the escaped issuer; empty: it is none, and unchanged
	}{
		{"query", 302, "{cb}?code=1&state=st4te", "{cb}?code=1&state=st4te&iss={iss}"},
		{"fragment", 303, "{cb}#code=1&state=st4te", "{cb}#code=1&state=st4te&iss={iss}"},
		{"implicit", 302, "{cb}#id_token=1&state=st4te", "{cb}#id_token=1&state=st4te&iss={iss}"},
		{"error", 302, "{cb}?error=access_denied&state=st4te", "{cb}?error=access_denied&state=st4te&iss={iss}"},
		{"JARM", 302, "{cb}?response=a.b.c&state=st4te", "{cb}?response=a.b.c&state=st4te"},
		{"iss is there", 302, "{cb}?code=1&iss={iss}&state=st4te", "{cb}?code=1&iss={iss}&state=st4te"},
		{"an error status with a Location", 400, "{cb}?error=x&state=st4te", "{cb}?error=x&state=st4te&iss={iss}"},
		{"another spelling of the redirect_uri", 302, "HTTPS://APP.example:443/cb?code=1&state=st4te", "HTTPS://APP.example:443/cb?code=1&state=st4te&iss={iss}"},
		{"without state", 302, "{cb}?code=1", "{cb}?code=1&iss={iss}"},
		{"an empty state", 302, "{cb}?code=1&state=", "{cb}?code=1&state=&iss={iss}"},

		{"a login page", 302, "/login", ""},
		{"the redirect_uri without a response", 302, "{cb}?logout=1", ""},
		{"another place of the application", 302, "https://app.example/other?code=1&state=st4te", ""},
		{"another site", 302, "https://app.example.evil/cb?code=1&state=st4te", ""},
		{"a broker", 302, "https://broker.example/authorize?redirect_uri=https://app.example/cb&state=st4te&code=x", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fill := func(text, issuer string) string {
				return strings.NewReplacer("{cb}", "https://app.example/cb", "{iss}", url.QueryEscape(issuer)).Replace(text)
			}
			var issuer string
			g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
				issuer = r.Issuer
				answering(c.status, func(url.Values) string { return fill(c.location, issuer) })(r)
			}})
			uri := g.Push(t, "web", "s3cret", harness.Form())
			b := harness.NewBrowser(g.URL)
			res := b.Open(t, "web", uri)
			want := fill(c.want, issuer)
			if c.want == "" {
				want = fill(c.location, issuer)
			}
			if got := res.Header.Get("Location"); got != want || res.Status != c.status {
				t.Errorf("%d Location = %s\nwant %s", res.Status, got, want)
			}
			if used := isUsed(t, b, uri); used != (c.want != "") {
				t.Errorf("used = %t", used)
			}
		})
	}
}

func TestAResponseOfAnotherIssuerIsWithheld(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Upstream: answering(302, func(url.Values) string {
		return "https://app.example/cb?code=s3crets&state=st4te&iss=https%3A%2F%2Fevil.example"
	})})
	res := harness.NewBrowser(g.URL).Open(t, "web", g.Push(t, "web", "s3cret", harness.Form()))
	wantPage(t, g, res, 502, "server_error")
	if strings.Contains(res.Body, "s3crets") {
		t.Error("the code is on the page")
	}
}

func TestIssCanBeLeftAlone(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) { r.Instant = true },
		Options: func(o *proxy.Options) { o.AddIssuer = false }})
	if res := harness.NewBrowser(g.URL).Open(t, "web", g.Push(t, "web", "s3cret", harness.Form())); strings.Contains(res.Location, "iss=") {
		t.Errorf("Location = %s", res.Location)
	}
}

func TestAResponseEndsTheFlowOfItsState(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	b := harness.NewBrowser(g.URL)
	first := g.Push(t, "web", "s3cret", harness.Form("state", "first"))
	second := g.Push(t, "web", "s3cret", harness.Form("state", "second"))
	b.Open(t, "web", first)
	b.Open(t, "web", second)
	// The answer to the second tab comes first, on a path that says nothing about either.
	if res := b.Get(t, "/login/done?id=2"); !strings.Contains(res.Location, "state=second") {
		t.Fatalf("%d %s", res.Status, res.Location)
	}
	if isUsed(t, b, first) || !isUsed(t, b, second) {
		t.Error("the wrong flow has ended")
	}
	if res := b.Get(t, "/login/done?id=1"); !strings.Contains(res.Location, "state=first") || !isUsed(t, b, first) {
		t.Errorf("%d %s", res.Status, res.Location)
	}
}

func TestAResponseWithoutStateThatCouldBeTwoFlowsEndsNone(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: required})
	b := harness.NewBrowser(g.URL)
	first := g.Push(t, "web", "s3cret", harness.Form("state", ""))
	second := g.Push(t, "web", "s3cret", harness.Form("state", ""))
	b.Open(t, "web", first)
	b.Open(t, "web", second)
	if res := b.Get(t, "/login/done?id=1"); !strings.Contains(res.Location, "code=c0de") || !strings.Contains(res.Location, "iss=") {
		t.Errorf("%d %s", res.Status, res.Location)
	}
	if isUsed(t, b, first) || isUsed(t, b, second) {
		t.Error("one has ended")
	}
}

func TestABrowserWithoutAFlowCostsNothing(t *testing.T) {
	t.Parallel()
	store := &countingStore{Store: pushstore.NewMemory(pushstore.MemoryOptions{})}
	g := harness.Start(t, harness.Setup{Store: store, Upstream: func(r *upstream.Recorder) {
		r.Instant = true
		r.Handlers["/page"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			w.Header().Set("Cache-Control", "max-age=1")
			io.WriteString(w, "<html>")
		}
	}})
	b := harness.NewBrowser(g.URL)
	res := b.Get(t, "/authorize?"+harness.Form().Encode())
	if strings.Contains(res.Location, "iss=") || res.Header.Get("Cache-Control") != "" {
		t.Errorf("%s %v", res.Location, res.Header)
	}
	if res := b.Get(t, "/page"); res.Header.Get("Cache-Control") != "max-age=1" || res.Header.Get("Referrer-Policy") != "" || res.Header.Get("Content-Type") != "" {
		t.Errorf("%v", res.Header)
	}
	if n := store.operations.Load(); n != 0 {
		t.Errorf("%d store operations", n)
	}
	// Nor does one whose flow is finished, until its own reference arrives.
	uri := g.Push(t, "web", "s3cret", harness.Form())
	b.Open(t, "web", uri)
	store.operations.Store(0)
	b.Get(t, "/authorize?"+harness.Form().Encode())
	b.Get(t, "/page")
	if n := store.operations.Load(); n != 0 {
		t.Errorf("%d store operations after the end of the flow", n)
	}
}

type countingStore struct {
	pushstore.Store
	operations atomic.Int64
}

func (s *countingStore) Flow(ctx context.Context, p pushstore.Party, ref pushstore.Reference, o pushstore.Owner) (pushstore.Flow, error) {
	s.operations.Add(1)
	return s.Store.Flow(ctx, p, ref, o)
}

func (s *countingStore) Look(ctx context.Context, p pushstore.Party, ref pushstore.Reference) (pushstore.State, error) {
	s.operations.Add(1)
	return s.Store.Look(ctx, p, ref)
}

func (s *countingStore) Open(ctx context.Context, p pushstore.Party, ref pushstore.Reference, o pushstore.Owner) (pushstore.Flow, error) {
	s.operations.Add(1)
	return s.Store.Open(ctx, p, ref, o)
}

func (s *countingStore) Finish(ctx context.Context, f pushstore.Flow, response string) (bool, error) {
	s.operations.Add(1)
	return s.Store.Finish(ctx, f, response)
}

func TestWithoutTheStoreAResponseIsWithheldAndCanBeHadAgain(t *testing.T) {
	t.Parallel()
	store := &brokenStore{Store: pushstore.NewMemory(pushstore.MemoryOptions{})}
	g := harness.Start(t, harness.Setup{Store: store, Upstream: func(r *upstream.Recorder) {
		r.Handlers["/authorize"] = func(w http.ResponseWriter, req *http.Request) {
			store.broken.Store(true)
			http.Redirect(w, req, "https://app.example/cb?code=s3crets&state=st4te", http.StatusFound)
		}
	}})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	b := harness.NewBrowser(g.URL)
	res := b.Open(t, "web", uri)
	wantPage(t, g, res, 503, "temporarily_unavailable")
	if strings.Contains(res.Body+res.Header.Get("Location"), "s3crets") {
		t.Error("the code got out")
	}
	short := strings.ReplaceAll(g.URL+harness.Short("web", uri), "&", "&amp;")
	if !strings.Contains(res.Body, `href="`+short+`"`) {
		t.Errorf("no link to the same request: %s", res.Body)
	}
	if page := b.Get(t, "/elsewhere"); page.Status != 200 {
		t.Errorf("what needs no store: %d", page.Status)
	}
}

func TestCookiesOfOursNeverReachTheUpstreamNorComeFromIt(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
		r.Handlers["/page"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Add("Set-Cookie", "session=1; Path=/")
			w.Header().Add("Set-Cookie", "pargate-AAAAAAAA=1; Path=/")
		}
	}})
	b := harness.NewBrowser(g.URL)
	b.SetCookie(&http.Cookie{Name: "theirs", Value: "1", Path: "/"})
	b.Open(t, "web", g.Push(t, "web", "s3cret", harness.Form()))
	res := b.Get(t, "/page")
	if got := fmt.Sprint(res.Header.Values("Set-Cookie")); got != "[session=1; Path=/]" {
		t.Errorf("Set-Cookie: %s", got)
	}
	if got := g.Upstream.Last().Header.Get("Cookie"); got != "theirs=1" {
		t.Errorf("Cookie: %s", got)
	}
}

func TestHeadersThatSpeakForTheCallerAreReplaced(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	names := []string{"X-Forwarded-For", "x_forwarded_for", "X-Forwarded-Host", "X-FORWARDED_PROTO", "Forwarded", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Real-Ip",
		"Client-Cert", "X-Client-Cert", "X-SSL-Client-Verify", "SSL_CLIENT_CERT", "X-Forwarded-Client-Cert", "True-Client-IP", "X-Request-Id"}
	b := harness.NewBrowser(g.URL)
	b.Get(t, "/page", func(r *http.Request) {
		for _, name := range names {
			r.Header[name] = []string{"evil"}
		}
	})
	got := g.Upstream.Last()
	for name, values := range got.Header {
		if strings.Contains(fmt.Sprint(values), "evil") {
			t.Errorf("%s: %s", name, values)
		}
	}
	for name, want := range map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": strings.TrimPrefix(g.URL, "http://")} {
		if fmt.Sprint(got.Header[name]) != "["+want+"]" {
			t.Errorf("%s = %q, want %q", name, got.Header[name], want)
		}
	}
	// Override headers are dropped where they could make another request of it, and only there.
	override := setHeader("X-HTTP-Method-Override", "DELETE")
	if b.Get(t, "/page", override); g.Upstream.Last().Header.Get("X-HTTP-Method-Override") == "" {
		t.Error("an override header elsewhere was dropped")
	}
	if b.Get(t, "/authorize/x", override); g.Upstream.Last().Header.Get("X-HTTP-Method-Override") != "" {
		t.Error("an override header on a protected path was passed")
	}
	// Host is the caller's, but for protected paths.
	evil := func(r *http.Request) { r.Host = "evil.example" }
	if b.Get(t, "/page", evil); g.Upstream.Last().Host != "evil.example" {
		t.Errorf("Host = %s", g.Upstream.Last().Host)
	}
	if b.Get(t, "/authorize/x", evil); "http://"+g.Upstream.Last().Host != g.URL {
		t.Errorf("Host on a protected path = %s", g.Upstream.Last().Host)
	}
}

func TestATrustedProxyIsBelieved(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.TrustedProxies = append(o.TrustedProxies, loopback) }})
	res := harness.NewBrowser(g.URL).Get(t, "/page", setHeader("X-Forwarded-For", "198.51.100.7"), setHeader("X-Request-Id", "from-the-edge-1"), setHeader("X-Forwarded-Proto", "gopher"))
	got := g.Upstream.Last().Header
	if got.Get("X-Forwarded-For") != "198.51.100.7, 127.0.0.1" || got.Get("X-Request-Id") != "from-the-edge-1" || got.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("%v", got)
	}
	if res.Header.Get("X-Request-Id") != "from-the-edge-1" {
		t.Errorf("X-Request-Id = %s", res.Header.Get("X-Request-Id"))
	}
}

func TestAnUpstreamThatFailsIsAPageAndNoAddress(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	g := harness.Start(t, harness.Setup{
		Options: func(o *proxy.Options) { o.UpstreamTimeout = 200 * time.Millisecond },
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/cut"] = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
			r.Handlers["/token"] = r.Handlers["/cut"]
			r.Handlers["/slow"] = func(_ http.ResponseWriter, req *http.Request) {
				select {
				case <-release:
				case <-req.Context().Done():
				}
			}
		},
	})
	b := harness.NewBrowser(g.URL)
	wantPage(t, g, b.Get(t, "/cut?secret"), 502, "temporarily_unavailable")
	wantPage(t, g, b.Get(t, "/slow?secret"), 504, "temporarily_unavailable")
	wantPushError(t, b.Post(t, "/token", "grant_type=x"), 502, "temporarily_unavailable")
	for _, entry := range g.Logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, "secret") {
			t.Errorf("the log has a query: %s", text)
		}
	}
}

// raw sends bytes and returns the one response to them, as text.
func raw(t *testing.T, g *harness.Gateway, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(c)
	res, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("%v for %q", err, request)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return fmt.Sprint(res.Status, res.Header, string(body))
}

func TestNoTunnelsAndNoInterimResponses(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
		r.Handlers["/hints"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "<https://app.example/?state=canary>")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			io.WriteString(w, "ok")
		}
	}})
	host := strings.TrimPrefix(g.URL, "http://")
	got := raw(t, g, "GET /hints HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(got, "200 OK") || strings.Contains(got, "canary") || !strings.Contains(got, "X-Request-Id") {
		t.Errorf("got %s", got)
	}
	for _, protocol := range []string{"websocket", "h2c", "anything"} {
		got := raw(t, g, "GET /page HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade, close\r\nUpgrade: "+protocol+"\r\n\r\n")
		if !strings.HasPrefix(got, "200 OK") || g.Upstream.Last().Header.Get("Upgrade") != "" || g.Upstream.Last().Header.Get("Connection") != "" {
			t.Errorf("%s: %s, upstream got %v", protocol, got, g.Upstream.Last().Header)
		}
	}
	for _, request := range []string{"CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n", "TRACE /authorize HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"} {
		if got := raw(t, g, request); !strings.HasPrefix(got, "405 ") {
			t.Errorf("%q: %s", request, got)
		}
	}
	if got := raw(t, g, "GET http://evil.example/authorize?request_uri=urn:ietf:params:oauth:request_uri:x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "400 ") {
		t.Errorf("absolute form: %s", got)
	}
}

func TestAnUpstreamThatSwitchesProtocolsUnasked(t *testing.T) {
	t.Parallel()
	g := inFrontOfRaw(t, func(c net.Conn) {
		textproto.NewReader(bufio.NewReader(c)).ReadMIMEHeader()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nleak")
	})
	if res := harness.NewBrowser(g.URL).Get(t, "/page"); res.Status != 502 {
		t.Errorf("%d %s", res.Status, res.Body)
	}
}

func TestAHundredBrowsersOneWinner(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	for range 20 {
		uri := g.Push(t, "web", "s3cret", harness.Form())
		before := len(g.Upstream.Requests())
		var wait sync.WaitGroup
		var won atomic.Int64
		for range 100 {
			wait.Go(func() {
				b := harness.NewBrowser(g.URL)
				res := b.Get(t, harness.Short("web", uri))
				if res.Status == 303 {
					res = b.Get(t, res.Location)
				}
				if res.Status == 302 {
					won.Add(1)
				}
			})
		}
		wait.Wait()
		if n := len(g.Upstream.Requests()) - before; won.Load() != 1 || n != 1 {
			t.Fatalf("%d browsers opened it, the upstream saw %d", won.Load(), n)
		}
	}
}
