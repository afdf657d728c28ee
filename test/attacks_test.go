package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pargate/proxy"
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

func TestWhatStandsBesideAReferenceIsLoggedByNameOnly(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	b := harness.NewBrowser(g.URL)
	b.Open(t, "web", uri)
	b.Get(t, harness.Short("web", uri)+"&lang=LEAK&SECRET-TICKET-12345&eyJhbGciOiJ9.LEAK")
	entries := g.Logs.FilterMessageSnippet("were dropped").All()
	if len(entries) != 1 || fmt.Sprint(entries[0].ContextMap()["names"]) != "[lang]" || entries[0].ContextMap()["others"] != int64(2) {
		t.Errorf("%v", entries)
	}
}

func TestAStalledBodyDoesNotHoldARefusedConnection(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{
		Options: func(o *proxy.Options) { o.BodyTimeout = 100 * time.Millisecond },
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/cut"] = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		},
	})
	for _, head := range []string{"HEAD /authorize", "GET /.well-known/openid-configuration", "PUT /par"} {
		c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, head+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("%s: %v", head, err)
		}
		c.Close()
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

func TestTheLogHasNothingOfAMalformedResponse(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				http.ReadRequest(bufio.NewReader(c))
				io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: https://app.example/cb?code=LEAK&state=a\x01b\r\n\r\n")
				c.Close()
			}()
		}
	}()
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := harness.InFrontOf(t, public, "http://"+listener.Addr().String(), harness.Setup{Unknown: true})
	res := harness.NewBrowser(g.URL).Get(t, "/login/done")
	if res.Status != 502 || strings.Contains(res.Body, "LEAK") {
		t.Errorf("%d %s", res.Status, res.Body)
	}
	for _, entry := range g.Logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, "LEAK") {
			t.Errorf("the log has the code: %s", text)
		}
	}
}

func TestTheLogHasNothingOfARefusedPush(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	for _, form := range []url.Values{harness.Form("redirect_uri", "https://evil.example/LEAK"), harness.Form("max_age", "LEAK"), harness.Form("claims", "LEAK"),
		harness.Form("resource", "LEAK"), harness.Form("scope", "%zzLEAK"), harness.Form("prompt", "none LEAK"), harness.Form("response_type", "LEAK")} {
		pushOf(t, g, form.Encode(), asWeb)
	}
	pushOf(t, g, "LEAK=%zz&client_secret=%zzLEAK", asWeb)
	pushOf(t, g, harness.Form().Encode(), setHeader("Authorization", "Basic LEAK"))
	for _, entry := range g.Logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, "LEAK") {
			t.Errorf("in the log: %s", text)
		}
	}
	if g.Logs.FilterMessage("refused").Len() < 8 {
		t.Errorf("%d refusals in the log", g.Logs.FilterMessage("refused").Len())
	}
}

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
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
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
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	posts := make(chan string, 10)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { // the first request of a connection is answered, the second one is cut off
				defer c.Close()
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
			}()
		}
	}()
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := harness.InFrontOf(t, public, "http://"+listener.Addr().String(), harness.Setup{Unknown: true})
	b := harness.NewBrowser(g.URL)
	b.Get(t, "/warm")
	if res := b.Do(t, "POST", "/once", nil, setHeader("Idempotency-Key", "1")); res.Status != 502 {
		t.Errorf("%d", res.Status)
	}
	if n := len(posts); n != 1 {
		t.Errorf("the upstream got %d POSTs", n)
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

func TestABodyThatDoesNotArriveIsNotWaitedForLong(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.BodyTimeout = 100 * time.Millisecond }})
	for _, head := range []string{"POST /par HTTP/1.1", "PUT /par HTTP/1.1", "POST /authorize HTTP/1.1", "GET /.well-known/openid-configuration HTTP/1.1", "HEAD /authorize HTTP/1.1", "POST /page?request_uri=urn:ietf:params:oauth:request_uri:x HTTP/1.1"} {
		t.Run(head, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(10 * time.Second))
			io.WriteString(c, head+"\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nclient_id=")
			if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
				if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
					t.Error("it waits for ever")
				}
			}
		})
	}
}
