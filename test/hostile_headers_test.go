package test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// speaksForOthers are the header families with which proxies, load balancers and platforms speak of a request's origin or
// of its client's certificate. From who is not trusted none of them may reach the upstream.
var speaksForOthers = []string{
	"Forwarded", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server",
	"X-Forwarded-Scheme", "X-Forwarded-Protocol", "X-Forwarded-Ssl", "X-Forwarded-Uri", "X-Forwarded-Path", "X-Forwarded-Method", "X-Forwarded-User",
	"X-Forwarded-Email", "X-Forwarded-Preferred-Username", "X-Forwarded-Groups", "X-Forwarded-Access-Token", "X-Forwarded-Client-Cert", "X-Forwarded-By",
	"X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Fastly-Client-Ip",
	"X-Original-Forwarded-For", "X-Original-Host", "X-Host", "X-Scheme", "X-Url-Scheme", "Front-End-Https", "X-Envoy-External-Address", "X-Originating-Ip",
	"X-Remote-Ip", "X-Remote-Addr", "Wl-Proxy-Client-Ip", "Proxy-Client-Ip", "X-Azure-Clientip", "X-Appengine-User-Ip",
	"Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-Client-Certificate", "X-Ssl-Client-Cert", "X-Ssl-Client-Verify", "X-Ssl-Client-S-Dn", "X-Ssl-Cert",
	"Ssl-Client-Cert", "Ssl-Client-Verify", "Ssl-Client-S-Dn", "X-Arr-Clientcert", "X-Tls-Client-Cert", "X-Client-Dn", "X-Client-Verify", "X-Amzn-Mtls-Clientcert",
	"X-Amzn-Mtls-Clientcert-Leaf", "Cf-Client-Cert-Der-Base64", "X-Request-Id",
	"Remote-User", "X-Remote-User", "X-Authenticated-User", "X-Auth-Request-User",
	"Pargate-Hop",
}

// spellings are the ways in which a name can be written so that some server takes it for the one that is meant.
var spellings = map[string]func(string) string{
	"exact":          func(n string) string { return n },
	"lower":          strings.ToLower,
	"upper":          strings.ToUpper,
	"underscores":    func(n string) string { return strings.ReplaceAll(n, "-", "_") },
	"one underscore": func(n string) string { return strings.Replace(n, "-", "_", 1) },
	"dots":           func(n string) string { return strings.ReplaceAll(n, "-", ".") },
	"upper, as CGI":  func(n string) string { return strings.ToUpper(strings.ReplaceAll(n, "-", "_")) },
}

// lines are the ways in which a field can be sent.
var lines = map[string]func(name string) string{
	"once":         func(n string) string { return n + ": canary\r\n" },
	"twice":        func(n string) string { return n + ": canary\r\n" + n + ": canary, again\r\n" },
	"in a list":    func(n string) string { return n + ": canary, 127.0.0.1\r\n" },
	"empty":        func(n string) string { return n + ":\r\n" },
	"blank inside": func(n string) string { return n + ":\tcanary \r\n" },
	"by itself":    func(n string) string { return n + ": canary\r\n" + strings.ToLower(n) + ": canary\r\n" },
}

// The upstream sees of these what the gateway says, once, and nothing of what a stranger says, on protected paths and on others.
func TestWhatStrangersSayOfThemselvesDoesNotArrive(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.ClientCertHeader = "X-Own-Cert" }})
	ours := map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": strings.TrimPrefix(g.URL, "http://")}
	d := dialogWith(t, g)
	sent := 0
	for _, family := range append([]string{"X-Own-Cert"}, speaksForOthers...) {
		for spelled, spell := range spellings {
			for written, write := range lines {
				for _, path := range []string{"/page", "/authorize/x"} {
					name := spell(family)
					d.SetDeadline(time.Now().Add(10 * time.Second))
					io.WriteString(d, "GET "+path+" HTTP/1.1\r\nHost: x\r\n"+write(name)+"\r\n")
					res, err := http.ReadResponse(d.Reader, nil)
					if err != nil {
						t.Fatalf("%s, %s, %s: %v", family, spelled, written, err)
					}
					io.Copy(io.Discard, res.Body)
					sent++
					got := g.Upstream.Last()
					if res.StatusCode != 200 || got.Path() != path {
						t.Fatalf("%s, %s, %s: %d, the upstream got %s", family, spelled, written, res.StatusCode, got.Path())
					}
					for seen, values := range got.Header {
						if strings.Contains(fmt.Sprint(values), "canary") {
							t.Errorf("%s, %s, %s: %s: %q arrived", family, spelled, written, seen, values)
						}
						if foldName(seen) == foldName(family) && !isOurs(seen, values, ours, res.Header.Get("X-Request-Id")) {
							t.Errorf("%s, %s, %s: %s: %q arrived", family, spelled, written, seen, values)
						}
					}
					for name, want := range ours {
						if fmt.Sprint(got.Header[name]) != "["+want+"]" {
							t.Errorf("%s, %s, %s: %s is %q", family, spelled, written, name, got.Header[name])
						}
					}
				}
			}
		}
	}
	if want := 2 * len(lines) * len(spellings) * (1 + len(speaksForOthers)); sent != want {
		t.Errorf("%d requests, want %d", sent, want)
	}
}

func foldName(name string) string {
	return strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
}

// isOurs reports whether a field is one that the gateway has set.
func isOurs(name string, values []string, ours map[string]string, id string) bool {
	switch name {
	case "X-Request-Id":
		return len(values) == 1 && values[0] == id
	case "Pargate-Hop":
		return len(values) == 1
	}
	return len(values) == 1 && values[0] != "" && values[0] == ours[name]
}

// A proxy that signs users in says who they are; from others the same is dropped.
func TestOnlyATrustedProxySaysWhoTheUserIs(t *testing.T) {
	t.Parallel()
	for _, trusted := range []bool{true, false} {
		g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) {
			if trusted {
				o.TrustedProxies = append(o.TrustedProxies, loopback)
			}
		}})
		for _, name := range []string{"Remote-User", "Remote_user", "X-Remote-User", "X-Auth-Request-User"} {
			harness.NewBrowser(g.URL).Get(t, "/page", func(r *http.Request) { r.Header[name] = []string{"alice"} })
			if got := strings.Contains(fmt.Sprint(g.Upstream.Last().Header), "alice"); got != trusted {
				t.Errorf("%s, trusted %t: passed %t", name, trusted, got)
			}
		}
	}
}

// A field that the Connection header lists would not reach the upstream, though the gateway has decided by it.
func TestTheConnectionHeaderTakesNothingFromTheMessage(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	for _, path := range []string{"/page", "/authorize", "/par", "/token"} {
		for _, value := range []string{"Content-Type", "close, Authorization", "Cookie", "X-Forwarded-For, close", "keep-alive,,x-anything", "Host", "Content-Length", "close;x"} {
			before := len(g.Upstream.Requests())
			got := raw(t, g, "POST "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nConnection: "+value+"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b")
			if !strings.HasPrefix(got, "400 ") || len(g.Upstream.Requests()) != before {
				t.Errorf("%s, Connection: %s: %s", path, value, got)
			}
		}
	}
	// What clients and proxies in use send.
	for _, value := range []string{"close", "Keep-Alive", "close, TE", "TE, close", "Upgrade, HTTP2-Settings", "keep-alive, Upgrade", "Proxy-Connection, Keep-Alive",
		"Transfer-Encoding", "trailers", "", ", close ,"} {
		if got := raw(t, g, "GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\nConnection: "+value+"\r\nTE: trailers\r\n\r\n"); !strings.HasPrefix(got, "200 ") {
			t.Errorf("Connection: %s: %s", value, got)
		}
	}
}

func TestFieldsThatFrameAMessageHaveOneName(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	raw(t, g, "POST /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer_Encoding: chunked\r\nContent_Length: 0\r\nContent.Length: 0\r\nContent-Length: 4\r\n\r\nbody")
	got := g.Upstream.Last()
	for name := range got.Header {
		if folded := foldName(name); folded != strings.ToLower(name) && slices.Contains([]string{"transfer-encoding", "content-length"}, folded) {
			t.Errorf("%s arrived", name)
		}
	}
	if got.Body != "body" {
		t.Errorf("%q", got.Body)
	}
}

func TestARequestHasNotAnyNumberOfFields(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{})
	for n, status := range map[int]string{100: "200 ", 250: "200 ", 300: "431 ", 5000: "431 "} {
		var fields strings.Builder
		for i := range n {
			fmt.Fprintf(&fields, "x%x: 1\r\n", i)
		}
		for _, path := range []string{"/page", "/par"} {
			got := raw(t, g, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+fields.String()+"\r\n")
			if want := strings.HasPrefix(got, status) || path == "/par" && status == "200 " && strings.HasPrefix(got, "405 "); !want {
				t.Errorf("%d fields at %s: %.40s", n, path, got)
			}
		}
	}
}

// What the upstream says of its connection, and of other ways to reach it, stays between it and the gateway; what the
// gateway sets is there once.
func TestTheUpstreamsHeadersAreNotAddedToOurs(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
		page := func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h["Connection"] = []string{"X-Hop, Cache-Control, Referrer-Policy"}
			h["Keep-Alive"], h["Proxy-Authenticate"], h["X-Hop"] = []string{"timeout=5"}, []string{"Basic"}, []string{"1"}
			h["Alt-Svc"] = []string{`h3="upstream.internal:443"`}
			h["Cache-Control"], h["Referrer-Policy"] = []string{"public", "max-age=600"}, []string{"unsafe-url", "origin"}
			h["X-Request-Id"] = []string{"theirs", "theirs-too"}
			h["Server"], h["Strict-Transport-Security"] = []string{"legacy/1"}, []string{"max-age=1"}
			h["Access-Control-Allow-Origin"] = []string{"*", "https://evil.example"}
			h["Content-Type"] = []string{"text/html"}
			io.WriteString(w, "page")
		}
		r.Handlers["/authorize/page"], r.Handlers["/page"] = page, page
	}})
	uri := g.Push(t, "web", "s3cret", harness.Form())
	inFlow, outside := harness.NewBrowser(g.URL), harness.NewBrowser(g.URL)
	inFlow.Open(t, "web", uri)
	for name, c := range map[string]struct {
		b    *harness.Browser
		path string
		want map[string][]string
	}{
		"in a flow": {inFlow, "/authorize/page", map[string][]string{"Cache-Control": {"no-store"}, "Referrer-Policy": {"same-origin"}, "Access-Control-Allow-Origin": nil}},
		"outside":   {outside, "/page", map[string][]string{"Server": {"legacy/1"}, "Strict-Transport-Security": {"max-age=1"}}},
	} {
		res := c.b.Get(t, c.path)
		for _, gone := range []string{"X-Hop", "Keep-Alive", "Proxy-Authenticate", "Alt-Svc", "Connection"} {
			if res.Header[gone] != nil {
				t.Errorf("%s: %s: %q", name, gone, res.Header[gone])
			}
		}
		for field, want := range c.want {
			if !slices.Equal(res.Header[field], want) {
				t.Errorf("%s: %s: %q, want %q", name, field, res.Header[field], want)
			}
		}
		if id := res.Header["X-Request-Id"]; len(id) != 1 || strings.HasPrefix(id[0], "theirs") {
			t.Errorf("%s: X-Request-Id: %q", name, id)
		}
	}
}

// A request without Host, as HTTP/1.0 allows it, reaches the upstream under the public name, and not under its own.
func TestARequestWithoutHostHasThePublicOne(t *testing.T) {
	t.Parallel()
	hosts := make(chan string, 1)
	g := harness.Start(t, harness.Setup{Upstream: func(r *upstream.Recorder) {
		r.Handlers["/page"] = func(_ http.ResponseWriter, req *http.Request) { hosts <- req.Host }
	}})
	raw(t, g, "GET /page HTTP/1.0\r\n\r\n")
	if got := <-hosts; got != strings.TrimPrefix(g.URL, "http://") {
		t.Errorf("Host: %q", got)
	}
}

// Who has forgotten to name the proxy in front is told so, once.
func TestAProxyThatIsNotNamedIsToldOfOnce(t *testing.T) {
	t.Parallel()
	for _, named := range []bool{false, true} {
		g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) {
			if named {
				o.TrustedProxies = append(o.TrustedProxies, loopback)
			}
		}})
		told := func() int { return g.Logs.FilterMessageSnippet("X-Forwarded-For").Len() }
		b := harness.NewBrowser(g.URL)
		if b.Get(t, "/page"); told() != 0 {
			t.Error("told of a proxy that is not there")
		}
		for range 3 {
			b.Get(t, "/page", setHeader("X-Forwarded-For", "198.51.100.7"))
		}
		if got := told(); got != map[bool]int{false: 1, true: 0}[named] {
			t.Errorf("named %v: told %d times", named, got)
		}
	}
}
