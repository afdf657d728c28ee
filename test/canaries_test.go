package test

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// canaries are values that nobody but the authorization server and the client may see. Each has its own text, so that
// one which is found says where it came from.
type canaries map[string]string

// of makes a canary. It has only characters that no encoding changes.
func (c canaries) of(what string) string {
	value := fmt.Sprintf("c4nary%sx%dx", strings.ReplaceAll(what, "_", ""), len(c))
	c[value] = what
	return value
}

// also marks a value that the gateway has made.
func (c canaries) also(what, value string) string {
	c[value] = what
	return value
}

// in returns what is in text.
func (c canaries) in(text string) (found []string) {
	for value, what := range c {
		if strings.Contains(text, value) {
			found = append(found, what)
		}
	}
	return found
}

// internals are what an error is told in to who has written the gateway, or has its log.
var internals = []string{"runtime", "goroutine", "panic", ".go:", "proxy.", "oauth.", "pushstore", "rewrite.", "http.", "errors.", "0xc0", "dial tcp",
	"connection refused", "EOF", "context ", "/src/", "/home/", "/tmp/", "json:", "strconv", "%!",
	errBroken.Error(), "wrong secret", "unknown client"}

// noSecrets are what a refusal may repeat in the log, so that who reads it sees what was wrong.
var noSecrets = []string{"scope", "media_type"}

// watch are the browsers of the test below: it looks at every error that they get.
type watch struct {
	t        *testing.T
	gateway  *harness.Gateway
	canaries canaries
	errors   int
}

func (w *watch) see(what string, res harness.Response) harness.Response {
	w.t.Helper()
	if res.Status < 400 {
		return res
	}
	w.errors++
	body := res.Body
	if _, rest, found := strings.Cut(body, `href="`); found { // the retry link has the request's own two values
		link, _, _ := strings.Cut(rest, `"`)
		if !strings.HasPrefix(link, w.gateway.URL+"/authorize?client_id=") || strings.Count(link, "&amp;") != 1 || !strings.Contains(link, "&amp;request_uri=urn%3A") {
			w.t.Errorf("%s: the page links to %s", what, link)
		}
		body = strings.ReplaceAll(body, link, "")
	}
	if found := w.canaries.in(body + fmt.Sprint(res.Header)); len(found) > 0 {
		w.t.Errorf("%s: the error %d has %v: %v %s", what, res.Status, found, res.Header, body)
	}
	// The reference is random, and now and then it spells one of these.
	body = strings.ReplaceAll(body, res.Header.Get("X-Request-Id"), "")
	for _, text := range append(internals, w.gateway.Upstream.URL) {
		if strings.Contains(body, text) {
			w.t.Errorf("%s: the error %d speaks of %q: %s", what, res.Status, text, body)
		}
	}
	return res
}

func TestNoCanaryIsInALogLineAMetricAnErrorOrAPage(t *testing.T) {
	t.Parallel()
	c := canaries{}
	secret, code := c.of("client_secret"), c.of("code")
	tracer, spans := tracing(t)
	store := &brokenStore{Store: memory()}
	g, m := metered(t, harness.Setup{
		Store: store,
		Clients: `[{"client_id": "web", "client_secret": "` + secret + `"}, {"client_id": "post", "client_secret": "` + secret + `", "token_endpoint_auth_method": "client_secret_post"},
			{"client_id": "picky", "client_secret": "` + secret + `", "redirect_uris": ["https://app.example/cb"], "scope": "openid", "response_types": ["code"]},
			{"client_id": "strict", "client_secret": "` + secret + `", "require_pushed_authorization_requests": true}]`,
		Options: func(o *proxy.Options) {
			tracer(o)
			o.MaxQueryBytes, o.UpstreamTimeout = 2000, 200*time.Millisecond
		},
		Upstream: func(r *upstream.Recorder) {
			redirectTo := func(make func(url.Values) string) http.HandlerFunc {
				return func(w http.ResponseWriter, req *http.Request) {
					w.Header().Set("Location", make(req.URL.Query()))
					w.WriteHeader(http.StatusFound)
				}
			}
			r.Handlers["/cut"] = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
			r.Handlers["/token"] = r.Handlers["/cut"]
			r.Handlers["/slow"] = func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }
			r.Handlers["/huge"] = func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("X-Huge", strings.Repeat(req.URL.Query().Get("x"), 1<<16))
			}
			r.Handlers["/malformed"] = func(w http.ResponseWriter, req *http.Request) {
				conn, buffer, _ := http.NewResponseController(w).Hijack()
				buffer.WriteString("HTTP/1.1 302 Found\r\nLocation: https://app.example/cb?code=" + code + "\x01\r\n\r\n")
				buffer.Flush()
				conn.Close()
			}
			r.Handlers["/done"] = redirectTo(func(q url.Values) string { return q.Get("to") })
			r.Handlers["/done/broken"] = func(w http.ResponseWriter, req *http.Request) {
				store.broken.Store(true)
				r.Handlers["/done"](w, req)
			}
		},
	})
	w := &watch{t: t, gateway: g, canaries: c}
	asClient := func(client string) func(*http.Request) {
		c.also("Basic", base64.StdEncoding.EncodeToString([]byte(client+":"+secret)))
		return basic(client, secret)
	}
	names := []string{"state", "nonce", "claims", "login_hint", "id_token_hint", "vendor"}
	form := func(client string, changes ...string) url.Values {
		f := harness.Form("client_id", client, "redirect_uri", "https://app.example/"+c.of("redirect_uri"))
		for _, name := range names {
			f.Set(name, c.of(name))
		}
		f.Set("claims", `{"id_token":{"`+c.of("claims")+`":null}}`)
		f.Set("code_challenge", c.also("code_challenge", strings.Repeat("E", 40)+fmt.Sprintf("%03d", len(c))))
		for i := 0; i+1 < len(changes); i += 2 {
			f.Set(changes[i], changes[i+1])
		}
		return f
	}
	push := func(what, form string, change ...func(*http.Request)) harness.Response {
		return w.see(what, pushOf(t, g, form, change...))
	}
	pushed := func(f url.Values) string {
		res := push("a good push", f.Encode(), asClient(f.Get("client_id")))
		if res.Status != 201 {
			t.Fatalf("push = %d %s", res.Status, res.Body)
		}
		uri := res.JSON(t)["request_uri"].(string)
		c.also("request_uri", strings.TrimPrefix(uri, "urn:ietf:params:oauth:request_uri:"))
		return uri
	}
	open := func(b *harness.Browser, client, uri string) harness.Response {
		res := b.Get(t, harness.Short(client, uri))
		for _, cookie := range b.Cookies() {
			if parts := strings.Split(cookie.Value, "."); len(parts) == 5 {
				c.also("the cookie's secret", parts[3])
			}
		}
		return w.see("an open", b.Get(t, res.Location))
	}

	// Pushes that are refused.
	for name, value := range map[string]string{"response_type": c.of("response_type"), "claims": c.of("claims"), "max_age": c.of("max_age"), "resource": c.of("resource"),
		"prompt": "none " + c.of("prompt"), "code_challenge": c.of("code_challenge"), "code_challenge_method": c.of("method"), "authorization_details": c.of("details"),
		"request": c.of("request"), "request_uri": c.of("request_uri"), "redirect_uri": "javascript:" + c.of("redirect_uri"), "pargate" + c.of("own"): "1",
		"Redirect.Uri": c.of("folded"), "long": strings.Repeat(c.of("long"), 200)} {
		push("a bad "+name, form("web", name, value).Encode(), asClient("web"))
	}
	push("an unregistered redirect_uri", form("picky").Encode(), asClient("picky"))
	push("an unregistered scope", form("picky", "redirect_uri", "https://app.example/cb", "scope", c.of("scope")).Encode(), asClient("picky"))
	for _, broken := range []string{"&" + c.of("name") + "=%zz", "&x=" + c.of("value") + "%00", "&x=" + c.of("value") + ";y", "&" + c.of("twice") + "=1&" + c.of("twice") + "=2"} {
		push("a broken form", form("web").Encode()+broken, asClient("web"))
	}
	push("a wrong secret", form("web").Encode(), basic("web", c.of("wrong_secret")))
	push("a wrong secret in the form", form("post", "client_secret", c.of("wrong_secret")).Encode())
	push("two methods", form("web", "client_secret", secret).Encode(), asClient("web"))
	push("an assertion", form("web", "client_assertion", c.of("assertion")).Encode())
	push("a broken header", form("web").Encode(), setHeader("Authorization", "Basic "+c.of("authorization")))
	push("another scheme", form("web").Encode(), setHeader("Authorization", "Bearer "+c.of("authorization")))
	push("another media type", form("web").Encode(), asClient("web"), setHeader("Content-Type", "text/"+c.of("media_type")))
	w.see("credentials in the query", harness.NewBrowser(g.URL).Post(t, "/par?client_secret="+c.of("query_secret"), form("web").Encode()))
	push("a good push in the form", form("post", "client_secret", secret).Encode())

	// Sign-ins, good and bad, and what is asked for again.
	b := harness.NewBrowser(g.URL)
	for _, client := range []string{"web", "strict"} {
		f := form(client)
		uri := pushed(f)
		w.see("a first visit without cookies", harness.NewBrowser(g.URL).Get(t, harness.Short(client, uri)+"&pargate=1"))
		res := open(b, client, uri)
		w.see("another browser", harness.NewBrowser(g.URL).Get(t, harness.Short(client, uri)))
		w.see("another client", harness.NewBrowser(g.URL).Get(t, harness.Short("picky", uri)))
		w.see("a reference elsewhere", b.Get(t, "/else?request_uri="+uri+"&state="+c.of("state")))
		w.see("names beside it", b.Get(t, harness.Short(client, uri)+"&lang="+c.of("beside")+"&scope="+c.of("scope")))
		w.see("a form beside it", b.Post(t, harness.Short(client, uri), "scope="+c.of("scope")+"&password="+c.of("password")))
		w.see("a prefetch", b.Get(t, harness.Short(client, uri), setHeader("Sec-Purpose", "prefetch")))
		if last := b.LogIn(t, res); !strings.Contains(last.Location, "state="+f.Get("state")) {
			t.Errorf("the login ends at %d %s", last.Status, last.Location)
		}
		w.see("used", b.Get(t, harness.Short(client, uri)))
		w.see("the last hop again", b.Get(t, "/login/done?id=1&x="+c.of("query")))
	}
	to := func(f url.Values, more string) string {
		return url.QueryEscape(f.Get("redirect_uri") + "?code=" + code + "&state=" + f.Get("state") + more)
	}
	f := form("web")
	open(b, "web", pushed(f))
	w.see("another issuer", b.Get(t, "/done?to="+to(f, "&iss="+c.of("iss"))))
	f = form("web")
	uri := pushed(f)
	open(b, "web", uri)
	w.see("the store breaks at the response", b.Get(t, "/done/broken?to="+to(f, "")))
	w.see("and at the reference", b.Get(t, harness.Short("web", uri)))
	push("and at a push", form("web").Encode(), asClient("web"))
	store.broken.Store(false)
	w.see("the response", b.Get(t, "/done?to="+to(f, "")))

	// Requests that were not pushed, and everything else.
	w.see("not pushed", b.Get(t, "/authorize?"+form("strict").Encode()))
	w.see("not pushed", b.Post(t, "/authorize", form("strict").Encode()))
	w.see("not pushed, by a client without a rule", b.Get(t, "/authorize?"+form("web").Encode()))
	w.see("not a form", b.Post(t, "/authorize", form("strict").Encode(), setHeader("Content-Type", "application/json; x="+c.of("media_type"))))
	w.see("another method", b.Do(t, "PUT", harness.Short("web", uri), nil))
	for _, path := range []string{"/cut", "/slow", "/huge", "/malformed", "/page", "/login", "/authorize/x"} {
		query := "?x=" + c.of("query") + "&code=" + c.of("code")
		w.see(path, b.Get(t, path+query, setHeader("Cookie", "session="+c.of("cookie")), setHeader("Authorization", "Bearer "+c.of("bearer"))))
		w.see(path, b.Get(t, path+query, setHeader("Accept", "application/json")))
	}
	w.see("the token endpoint", b.Post(t, "/token?x="+c.of("query"), "grant_type=authorization_code&code="+code+"&code_verifier="+c.of("code_verifier"), asClient("web")))
	w.see("an upstream that is gone", harness.NewBrowser(goneUpstream(t, w).URL).Get(t, "/page?x="+c.of("query")))

	if w.errors < 50 {
		t.Errorf("only %d errors were looked at", w.errors)
	}
	if n := g.Logs.Len(); n < 100 {
		t.Errorf("only %d log lines were looked at", n)
	}
	ended := spans.Ended()
	if len(ended) < 150 {
		t.Errorf("only %d spans were looked at", len(ended))
	}
	for _, span := range ended {
		text := fmt.Sprint(span.Name(), attributesOf(span), span.Status(), span.Events(), span.Links())
		if found := c.in(text); len(found) > 0 {
			t.Errorf("%v in a span: %s", found, text)
		}
	}
	for _, entry := range g.Logs.All() {
		found := c.in(fmt.Sprint(entry.Message, entry.ContextMap()))
		if entry.Message == "refused" {
			found = slices.DeleteFunc(found, func(what string) bool { return slices.Contains(noSecrets, what) })
		}
		if len(found) > 0 {
			t.Errorf("%v in the log: %s %v", found, entry.Message, entry.ContextMap())
		}
	}
	if text := m.text(t); strings.Count(text, "\n") < 1000 || len(c.in(text)) > 0 {
		t.Errorf("%v in %d lines of metrics", c.in(text), strings.Count(text, "\n"))
	}
}

// goneUpstream is a gateway whose upstream does not listen any more. Its log is looked at when the test ends.
func goneUpstream(t *testing.T, w *watch) *harness.Gateway {
	t.Helper()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := harness.InFrontOf(t, public, "http://"+gone.Addr().String(), harness.Setup{Unknown: true})
	t.Cleanup(func() {
		for _, entry := range g.Logs.All() {
			if found := w.canaries.in(fmt.Sprint(entry.Message, entry.ContextMap())); len(found) > 0 {
				t.Errorf("%v in the log: %s %v", found, entry.Message, entry.ContextMap())
			}
		}
	})
	return g
}
