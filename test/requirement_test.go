package test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// chunked hides from net/http how long a body is, so that it is sent in chunks.
type chunked struct{ io.Reader }

var asForm = setHeader("Content-Type", "application/x-www-form-urlencoded")

// anythingAtTheEndpoint makes the stand-in take whatever comes to its authorization endpoint.
func anythingAtTheEndpoint(r *upstream.Recorder) {
	r.Handlers["/authorize"] = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }
}

func TestWhatTheUpstreamContinuesALoginWithPassesWherePARIsRequired(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Upstream: anythingAtTheEndpoint, Options: func(o *proxy.Options) { o.PARRequired = true }})
	b := harness.NewBrowser(g.URL)
	for target, status := range map[string]int{
		"/authorize/x?client_id=web&state=1": 400,
		"/authorize/x?Client_ID=web&nonce=1": 400,
		"/authorize.json?client_id=web":      400, // the endpoint, to servers that know formats
		"/authorize.css":                     200,
		"/authorize/x?state=1":               200, // Dex's own login page has one
		"/authorize/x?client_id=web":         200,
		"/authorize/3f6c":                    200,
		"/authorize?req=1&hmac=2":            200,
	} {
		if res := b.Get(t, target); res.Status != status {
			t.Errorf("GET %s: %d, want %d", target, res.Status, status)
		}
	}
	if res := b.Post(t, "/authorize/x", "client_id=web&state=1"); res.Status != 400 {
		t.Errorf("client_id and state in a form below the endpoint: %d", res.Status)
	}
	if res := b.Post(t, "/authorize/x", "state=1&username=u"); res.Status != 200 || g.Upstream.Last().Body != "state=1&username=u" {
		t.Errorf("a login form below the endpoint: %d", res.Status)
	}
	if res := b.Do(t, "POST", "/authorize", nil); res.Status != 200 {
		t.Errorf("a POST without a body: %d", res.Status)
	}
	if res := b.Do(t, "POST", "/authorize", chunked{strings.NewReader("")}); res.Status != 200 {
		t.Errorf("a chunked POST without a body: %d", res.Status)
	}
}

// A server in front of the upstream that decodes the path hands an encoded "?" on as one that begins a query.
func TestAQueryThatIsHiddenInThePathIsJudged(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.PARRequired = true }})
	b := harness.NewBrowser(g.URL)
	for target, status := range map[string]int{
		"/authorize%3Fclient_id=web&response_type=code":                           400,
		"/x/../authorize%3fclie%256et_id=web":                                     400,
		"/authorize%253fclient_id=web":                                            400,
		"/authorize%3fclient%255fid=web?x=1":                                      400,
		"/authorize/x%3Fclient_id%3Dweb%26state%3D1":                              400,
		"/authorize%3Freq=1&hmac=2":                                               200,
		"/authorize/x%3Fstate=1":                                                  200,
		"/back/https%3A%2F%2Fapp.example%2F%3Fclient_id=web&response_type%3Dcode": 200, // no spelling of the endpoint
	} {
		if res := b.Get(t, target); res.Status != status {
			t.Errorf("GET %s: %d, want %d", target, res.Status, status)
		}
	}
}

// Tomcat can be told to read a query in the charset of the body, also where there is none.
func TestACharsetInWhichNoNameIsWhatItSeemsIsRefusedWithoutABodyToo(t *testing.T) {
	t.Parallel()
	const clientID = "%83%93%89%85%95%A3%6D%89%84=%A6%85%82" // client_id=web in EBCDIC
	g := harness.Start(t, harness.Setup{Upstream: anythingAtTheEndpoint, Options: func(o *proxy.Options) { o.PARRequired = true }})
	b := harness.NewBrowser(g.URL)
	for contentType, status := range map[string]int{
		"application/x-www-form-urlencoded; charset=ibm037": 415, "text/html;charset=UTF-16": 415, "x/y; charset=ibm037; =": 415,
		"application/x-www-form-urlencoded": 200, "application/json; charset=utf-8": 200, "text/html; charset=windows-1252": 200, "nonsense;": 200,
	} {
		if res := b.Get(t, "/authorize?"+clientID, setHeader("Content-Type", contentType)); res.Status != status {
			t.Errorf("%s: %d, want %d", contentType, res.Status, status)
		}
	}
}

func TestTheRequirementOfOneClientInForms(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Upstream: anythingAtTheEndpoint, Clients: `[
		{"client_id": "strict", "client_secret": "s", "require_pushed_authorization_requests": true},
		{"client_id": "web", "client_secret": "s3cret"}]`})
	b := harness.NewBrowser(g.URL)
	full := func(client string) string { return harness.Form("client_id", client).Encode() }
	for _, c := range []struct {
		name, target, body string
		status             int
	}{
		{"another client", "/authorize", full("web") + "&x=%e4;y&&z", 200},
		{"a client that nobody knows", "/authorize", full("mobile"), 200},
		{"the strict client", "/authorize", full("strict"), 400},
		{"the strict client in capitals", "/authorize", full("STRICT"), 400},
		{"the strict client below the endpoint", "/authorize/x", "client_id=strict&state=1", 400},
		{"no client", "/authorize", full(""), 400},
		{"no client in the query", "/authorize?response_type=code", "", 400},
		{"one in the query and one in the form", "/authorize?client_id=web", full("strict"), 400},
		{"the same in the query and in the form", "/authorize?client_id=web", full("web"), 400},
		{"a login form", "/authorize", "username=u&password=p%E4ss;%zz", 200},
	} {
		before := len(g.Upstream.Requests())
		res := b.Post(t, c.target, c.body)
		if res.Status != c.status {
			t.Errorf("%s: %d, want %d", c.name, res.Status, c.status)
		}
		switch got := g.Upstream.Requests()[before:]; {
		case c.status == 400 && len(got) > 0:
			t.Errorf("%s: the upstream got %s %s", c.name, got[0].Target, got[0].Body)
		case c.status == 200 && (len(got) != 1 || got[0].Body != c.body || got[0].Target != c.target):
			t.Errorf("%s: the upstream got %v", c.name, got)
		}
	}
}

func TestBeforeTheEndpointsAreKnownNothingPassesWhereOneClientMustPush(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Setup{Unknown: true, Clients: `[{"client_id": "strict", "client_secret": "s", "require_pushed_authorization_requests": true}]`,
		Upstream: func(r *upstream.Recorder) {
			r.Handlers[oidcPath] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
		}})
	b := harness.NewBrowser(g.URL)
	for _, target := range []string{"/", "/anything", "/token", "/authorize?client_id=web", oauthPath} {
		for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS"} {
			if res := b.Do(t, method, target, nil); res.Status != 503 {
				t.Errorf("%s %s: %d", method, target, res.Status)
			}
		}
	}
	for _, r := range g.Upstream.Requests() {
		if !strings.Contains(r.Target, "/.well-known/") || r.Method != "GET" {
			t.Errorf("the upstream got %s %s", r.Method, r.Target)
		}
	}
}

func TestALongFormIsRefusedWhereItMustBeJudgedAndElsewherePasses(t *testing.T) {
	t.Parallel()
	const timeout = 500 * time.Millisecond
	long := "x=" + strings.Repeat("0123456789abcdef", 5000) + "&client_id=%zz;y"
	start := func(required bool) (*harness.Gateway, *harness.Browser) {
		g := harness.Start(t, harness.Setup{Upstream: anythingAtTheEndpoint, Options: func(o *proxy.Options) {
			o.PARRequired, o.BodyTimeout = required, timeout
		}})
		return g, harness.NewBrowser(g.URL)
	}
	g, _ := start(true)
	// It is refused as soon as it is one byte too long, whatever else might come.
	d := dialogWith(t, g)
	io.WriteString(d, "POST /authorize HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n10001\r\n"+long[:0x10001])
	if line, err := d.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 413 ") {
		t.Errorf("required: %q %v", line, err)
	}
	wantUntouched(t, g)

	g, b := start(false)
	for name, body := range map[string]io.Reader{"with its length": strings.NewReader(long), "in chunks": chunked{strings.NewReader(long)}} {
		if res := b.Do(t, "POST", "/authorize", body, asForm); res.Status != 200 || g.Upstream.Last().Body != long {
			t.Errorf("%s: %d, %d of %d bytes", name, res.Status, len(g.Upstream.Last().Body), len(long))
		}
	}
	// And nobody but the upstream says how long it may take to arrive.
	read, write := io.Pipe()
	go func() {
		defer write.Close()
		io.WriteString(write, "slow=1&"+long)
		harness.WaitFor(t, "the first part upstream", func() bool { return strings.Contains(g.Upstream.Raw(), "slow=1&") })
		time.Sleep(2 * timeout)
		io.WriteString(write, "&end=1")
	}()
	if res := b.Do(t, "POST", "/authorize", chunked{read}, asForm); res.Status != 200 || g.Upstream.Last().Body != "slow=1&"+long+"&end=1" {
		t.Errorf("slowly: %d, %d bytes", res.Status, len(g.Upstream.Last().Body))
	}
}
