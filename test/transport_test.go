package test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// Not parallel: it changes the environment, which net/http reads once, when it is first asked for a proxy.
func TestNoProxyOfTheEnvironmentIsUsed(t *testing.T) {
	var asked atomic.Int64
	environment := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); w.WriteHeader(502) }))
	defer environment.Close()
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		t.Setenv(name, environment.URL)
	}
	for _, name := range []string{"NO_PROXY", "no_proxy", "REQUEST_METHOD"} {
		t.Setenv(name, "")
	}
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) {
		// A loopback address would not go through a proxy anyway; this one leads to it and is none.
		o.Issuer.UpstreamURL = mustParse(strings.Replace(o.Issuer.UpstreamURL.String(), "127.0.0.1", "0.0.0.0", 1))
	}})
	if res := harness.NewBrowser(g.URL).Get(t, "/page"); res.Status != 200 || asked.Load() != 0 {
		t.Errorf("%d, and %d requests through the proxy", res.Status, asked.Load())
	}
}

func TestTheRequestIsNotDressedUp(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	const head = "POST /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n"
	raw(t, g, head+"\r\nbody")
	for _, name := range []string{"Accept-Encoding", "User-Agent", "Content-Type", "Expect"} {
		if got := g.Upstream.Last().Header.Values(name); len(got) > 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
	raw(t, g, head+"Accept-Encoding: br;q=1, x\r\n\r\nbody")
	if got := g.Upstream.Last().Header.Get("Accept-Encoding"); got != "br;q=1, x" {
		t.Errorf("Accept-Encoding: %q", got)
	}
	d := dialogWith(t, g)
	io.WriteString(d, head+"Expect: 100-continue\r\n\r\nbody")
	if line, err := d.ReadString('\n'); err != nil {
		t.Errorf("%q %v", line, err)
	}
	harness.WaitFor(t, "the third request", func() bool { return len(g.Upstream.Requests()) == 3 })
	if got := g.Upstream.Last(); got.Body != "body" || got.Header.Get("Expect") != "" {
		t.Errorf("%q, Expect: %q", got.Body, got.Header.Get("Expect"))
	}
}

func TestRedirectsOfTheUpstreamAreTheBrowsers(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
		r.Handlers["/old"] = func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, "/new", http.StatusMovedPermanently)
		}
	}})
	if res := harness.NewBrowser(g.URL).Get(t, "/old"); res.Status != 301 || res.Location != g.URL+"/new" || len(g.Upstream.Requests()) != 1 {
		t.Errorf("%d %s, the upstream got %d requests", res.Status, res.Location, len(g.Upstream.Requests()))
	}
}

func TestMetadataThatIsNotBelieved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		document   func(w http.ResponseWriter, r *upstream.Recorder)
	}{
		{"behind a redirect", "publishes no metadata", func(w http.ResponseWriter, _ *upstream.Recorder) {
			w.Header().Set("Location", "/moved")
			w.WriteHeader(http.StatusFound)
		}},
		{"compressed without being asked", "publishes no metadata", func(w http.ResponseWriter, r *upstream.Recorder) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(gzipped(r.Document()))
		}},
		{"more than 1 MiB", "more than 1048576 bytes", func(w http.ResponseWriter, r *upstream.Recorder) {
			io.WriteString(w, r.Document(`,"x":"`+strings.Repeat("x", 1<<20)+`"`))
		}},
		{"an issuer with a query", "not a URL without query and fragment", func(w http.ResponseWriter, r *upstream.Recorder) {
			io.WriteString(w, strings.Replace(r.Document(), `"issuer":"`+r.Issuer, `"issuer":"`+r.Issuer+"/?x=1", 1))
		}},
		{"an issuer with a fragment", "not a URL without query and fragment", func(w http.ResponseWriter, r *upstream.Recorder) {
			io.WriteString(w, strings.Replace(r.Document(), `"issuer":"`+r.Issuer, `"issuer":"`+r.Issuer+"/#x", 1))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := harness.Start(t, harness.Setup{Unknown: true, Upstream: func(r *upstream.Recorder) {
				r.Handlers[oidcPath] = func(w http.ResponseWriter, _ *http.Request) { c.document(w, r) }
				r.Handlers["/moved"] = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, r.Document()) }
			}})
			harness.WaitFor(t, c.want, func() bool { return strings.Contains(g.Server.Ready(t.Context())["upstream"], c.want) })
			for _, r := range g.Upstream.Requests() {
				if r.Target == "/moved" || r.Header.Get("Accept-Encoding") != "" {
					t.Errorf("the upstream got %s, Accept-Encoding %q", r.Target, r.Header.Get("Accept-Encoding"))
				}
			}
		})
	}
}

func gzipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.Bytes()
}

func TestMetadataIsAskedForUnderThePublicName(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{
		Upstream: func(r *upstream.Recorder) {
			r.Issuer = "https://login.example"
			r.Handlers[oidcPath] = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, r.Document()) }
		},
		Options: func(o *proxy.Options) { o.Issuer.PublicURL = mustParse("https://login.example") },
	})
	first := g.Upstream.Requests()[0]
	if got := fmt.Sprintln(first.Host, first.Header["X-Forwarded-Host"], first.Header["X-Forwarded-Proto"]); got != "login.example [login.example] [https]\n" {
		t.Errorf("got %s", got)
	}
}

func TestTheOAuthDocument(t *testing.T) {
	t.Parallel()
	t.Run("of another issuer is ignored", func(t *testing.T) {
		t.Parallel()
		g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
			other := strings.ReplaceAll(r.Document(`,"pushed_authorization_request_endpoint":"https://other.example/par"`), r.Issuer, "https://other.example")
			r.Metadata = map[string]string{oidcPath: r.Document(), oauthPath: other}
		}})
		if res := harness.NewBrowser(g.URL).Get(t, oauthPath); strings.Contains(res.Body, "other.example") || res.JSON(t)["pushed_authorization_request_endpoint"] != g.URL+"/par" {
			t.Errorf("%d %s", res.Status, res.Body)
		}
		g.Push(t, "web", "s3cret", harness.Form())
	})
	t.Run("that alone has PAR says that the upstream has it", func(t *testing.T) {
		t.Parallel()
		g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
			r.Metadata = map[string]string{oidcPath: r.Document(), oauthPath: r.Document(`,"pushed_authorization_request_endpoint":"` + r.Issuer + `/as/par"`)}
		}})
		if g.Logs.FilterMessageSnippet("already offers PAR").Len() != 1 {
			t.Error("it is not said")
		}
		for _, path := range []string{oidcPath, oauthPath} {
			if res := harness.NewBrowser(g.URL).Get(t, path); strings.Contains(res.Body, g.URL+`/par"`) {
				t.Errorf("%s was changed: %s", path, res.Body)
			}
		}
	})
}

func TestTokenAndEndSessionEndpointsAreNotAuthorizationEndpoints(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) {
		o.PARRequired, o.Issuer.TokenPath = true, "/oauth/token"
	}})
	b := harness.NewBrowser(g.URL)
	for path, status := range map[string]int{"/logout": 200, "/oauth/token": 200, "/token": 200, "/oauth/token/x": 400, "/logout/x": 400} {
		target := path + "?client_id=web&redirect_uri=x&state=1"
		if res := b.Post(t, target, "grant_type=x"); res.Status != status {
			t.Errorf("%s: %d, want %d", target, res.Status, status)
		}
	}
}

func TestBodiesPassAsTheyCome(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	compressed := gzipped("a page")
	g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
		r.Handlers["/events"] = func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: 1\n\n")
			http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-req.Context().Done():
			}
			io.WriteString(w, "data: 2\n\n")
		}
		r.Handlers["/trailers"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Digest")
			io.WriteString(w, "body")
			w.Header().Set("Digest", "d1gest")
		}
		r.Handlers["/cached"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(http.StatusNotModified)
		}
		r.Handlers["/compressed"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(compressed)
		}
	}})
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	get := func(path string) *http.Response {
		t.Helper()
		res, err := client.Get(g.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	events := get("/events")
	first := make([]byte, len("data: 1\n\n"))
	if _, err := io.ReadFull(events.Body, first); err != nil || string(first) != "data: 1\n\n" {
		t.Errorf("the first event: %q %v", first, err)
	}
	close(next) // only now does the upstream go on
	if rest, err := io.ReadAll(events.Body); string(rest) != "data: 2\n\n" {
		t.Errorf("the second event: %q %v", rest, err)
	}
	trailers := get("/trailers")
	if body, _ := io.ReadAll(trailers.Body); string(body) != "body" || trailers.Trailer.Get("Digest") != "d1gest" {
		t.Errorf("%q, trailers %v", body, trailers.Trailer)
	}
	cached := get("/cached")
	if body, _ := io.ReadAll(cached.Body); cached.StatusCode != 304 || cached.Header.Get("ETag") != `"1"` || len(body) > 0 {
		t.Errorf("%d %v", cached.StatusCode, cached.Header)
	}
	page := get("/compressed")
	if body, _ := io.ReadAll(page.Body); page.Header.Get("Content-Encoding") != "gzip" || !bytes.Equal(body, compressed) || page.ContentLength != int64(len(compressed)) {
		t.Errorf("%v, %d bytes", page.Header, len(body))
	}
}
