package test

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"pargate/proxy"
	"pargate/proxy/oauth"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream/pattern"
)

// cell is a gateway in front of a stand-in: one of the ways in which they can be put together.
type cell struct {
	*pattern.Server
	gateway   *harness.Gateway
	uri       string // the registered redirect_uri
	transport *http.Transport
	way
}

// way is how the gateway is set up.
type way struct {
	post     bool // parameters go upstream in a body
	required bool // every client must push
	store    string
}

func (w way) String() string {
	text := "GET"
	if w.post {
		text = "POST"
	}
	if w.required {
		text += " required"
	} else {
		text += " optional"
	}
	return text + " " + w.store
}

var matrixClients = strings.NewReplacer("URIS", `["REGISTERED", "`+otherURI+`"]`).Replace(`[
	{"client_id": "web", "client_secret": "s3cret", "redirect_uris": URIS},
	{"client_id": "other", "client_secret": "0ther", "redirect_uris": URIS}]`)

// eachCell runs a test for every pattern, method, policy and store, in parallel.
func eachCell(t *testing.T, run func(*testing.T, *cell)) { eachCellOf(t, nil, run) }

// eachCellInShort is the same with fewer ways for each pattern, for what depends neither on policy nor on store; with
// all of them when MATRIX=full is in the environment.
func eachCellInShort(t *testing.T, run func(*testing.T, *cell)) {
	eachCellOf(t, func(_ pattern.Pattern, w way) bool {
		return full() || w.required && w.store == "memory" || !w.required && !w.post && w.store == "redis"
	}, run)
}

func full() bool { return os.Getenv("MATRIX") == "full" }

func eachCellOf(t *testing.T, sensible func(pattern.Pattern, way) bool, run func(*testing.T, *cell)) {
	t.Parallel()
	for _, store := range []string{"memory", "redis"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			open := memory
			if store == "redis" {
				shared := redisStore(t)
				open = func() pushstore.Store { return shared }
			}
			for _, p := range pattern.All() {
				for _, w := range []way{{false, true, store}, {false, false, store}, {true, true, store}, {true, false, store}} {
					if w.post && !p.POST || sensible != nil && !sensible(p, w) {
						continue
					}
					t.Run(strings.ReplaceAll(p.Name+" "+w.String(), " ", "_"), func(t *testing.T) {
						t.Parallel()
						run(t, newCell(t, p, w, open()))
					})
				}
			}
		})
	}
}

func newCell(t *testing.T, p pattern.Pattern, w way, store pushstore.Store, options ...func(*proxy.Options)) *cell {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cell{way: w, uri: harness.CanaryURI(), transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	t.Cleanup(c.transport.CloseIdleConnections)
	c.Server = harness.StandIn(t, p, registered(c.uri))
	c.SetIssuer("http://" + listener.Addr().String())
	c.gateway = harness.InFrontOf(t, listener, c.URL, harness.Setup{
		Store:   store,
		Clients: strings.ReplaceAll(matrixClients, "REGISTERED", c.uri),
		Options: func(o *proxy.Options) {
			o.PARRequired, o.AuthorizeByPOST = w.required, w.post
			for _, change := range options {
				change(o)
			}
		},
	})
	return c
}

func (c *cell) browser() *harness.Browser {
	return harness.NewBrowser(c.gateway.URL).KeepingAlive(c.transport)
}

// pushed makes a request and pushes it; start is where a browser opens it.
func (c *cell) pushed(t *testing.T, changes ...string) (a harness.AuthorizationRequest, start string) {
	t.Helper()
	a = harness.NewAuthorizationRequest(c.uri, changes...)
	res := c.browser().Post(t, "/par", a.Params.Encode(), basic("web", "s3cret"))
	uri, _ := res.JSON(t)["request_uri"].(string)
	return a, c.short("web", uri)
}

func (c *cell) short(client, requestURI string) string {
	return c.gateway.URL + c.Authorize + "?client_id=" + client + "&request_uri=" + oauth.Escape(requestURI)
}

// wantPushed checks that a login has ended with a code for just what was pushed, and that nobody has seen it on the
// way. A prompt that the server takes out of its own address may be missing.
func (c *cell) wantPushed(t *testing.T, a harness.AuthorizationRequest, l *harness.Login, end *harness.End) {
	t.Helper()
	believed, ok := c.Believed(end.Code())
	if !ok {
		t.Errorf("no code: %d %v\n%s", end.Last.Status, end.Params, l.Trace)
		return
	}
	differences := slices.DeleteFunc(a.Differences(believed), func(d string) bool {
		return d == "prompt is gone" && slices.Contains(c.Loses, "prompt")
	})
	if len(differences) > 0 {
		t.Errorf("the code stands for another request: %v\n%s", differences, l.Trace)
	}
	c.wantResponse(t, a, l, end)
}

// wantResponse checks what every authorization response has, and what was seen before it.
func (c *cell) wantResponse(t *testing.T, a harness.AuthorizationRequest, l *harness.Login, end *harness.End) {
	t.Helper()
	mode := a.Get("response_mode")
	if !slices.Contains(c.Modes, mode) {
		mode = "query"
	}
	if got := end.Params["state"]; !slices.Equal(got, []string{a.Get("state")}) {
		t.Errorf("state = %q, want %q", got, a.Get("state"))
	}
	if got := end.Params["iss"]; !slices.Equal(got, []string{c.gateway.URL}) {
		t.Errorf("iss = %q, want %q\n%s", got, c.gateway.URL, l.Trace)
	}
	if !strings.HasPrefix(end.URI, a.Get("redirect_uri")) || end.Mode != mode {
		t.Errorf("the response went to %s by %s, want %s by %s", end.URI, end.Mode, a.Get("redirect_uri"), mode)
	}
	// The gateway is not asked when the foreign application sends the browser back with the request in a query.
	if leaks := l.Trace.Leaks(a); len(leaks) > 0 && !(c.Application != "" && !c.post) {
		t.Errorf("seen before the response:\n%s\n%s", strings.Join(leaks, "\n"), l.Trace)
	}
	for _, name := range l.Trace.Hidden(a) {
		if !slices.Contains(c.Hidden, name) {
			t.Errorf("%s is in a hidden field", name)
		}
	}
}

// wantNoCode checks that whoever goes there gets no code.
func (c *cell) wantNoCode(t *testing.T, what string, b *harness.Browser, address string) {
	t.Helper()
	l := &harness.Login{Browser: b}
	if end := l.From(t, address); end.Code() != "" {
		t.Errorf("%s got a code\n%s", what, l.Trace)
	}
}

// wantRefused checks that the gateway refuses the address at once.
func (c *cell) wantRefused(t *testing.T, what string, b *harness.Browser, address string) {
	t.Helper()
	l := &harness.Login{Browser: b}
	end := l.From(t, address)
	if end.Code() != "" || end.Last.Status != http.StatusBadRequest || len(l.Trace) > 2 {
		t.Errorf("%s is not refused\n%s", what, l.Trace)
	}
}

func TestEveryLoginEndsWithTheRequestThatWasPushed(t *testing.T) {
	eachCell(t, func(t *testing.T, c *cell) {
		b := c.browser()
		a, start := c.pushed(t)
		l := &harness.Login{Browser: b}
		end := l.From(t, start)
		c.wantPushed(t, a, l, end)
		if end.Code() != "" {
			if nonce := a.Redeem(t, c.gateway.URL+"/token", end.Code())["nonce"]; nonce != a.Get("nonce") {
				t.Errorf("nonce = %q, want %q", nonce, a.Get("nonce"))
			}
		}
		c.wantRefused(t, "a finished flow", b, start)
		for _, address := range referencesIn(l.Trace) {
			c.wantNoCode(t, "a finished flow", b, address)
			c.wantNoCode(t, "another browser", c.browser(), address)
		}
		if last := l.Trace[len(l.Trace)-1].Step; c.required {
			again := b.Do(t, last.Method, last.URL, strings.NewReader(last.Form.Encode()), asForm)
			if strings.Contains(again.Location+again.Body, "code=") {
				t.Errorf("the last hop gives a second code: %d %s", again.Status, again.Location)
			}
		}
	})
}

func TestEveryLoginAnswersInTheModeThatWasPushed(t *testing.T) {
	eachCellInShort(t, func(t *testing.T, c *cell) {
		for _, mode := range []string{"form_post", "fragment"} {
			b := c.browser()
			a, start := c.pushed(t, "response_mode", mode)
			l := &harness.Login{Browser: b}
			c.wantPushed(t, a, l, l.From(t, start))
			c.wantRefused(t, "a finished flow", b, start)
		}
	})
}

func TestEveryLoginTellsTheClientWhatWentWrong(t *testing.T) {
	eachCellInShort(t, func(t *testing.T, c *cell) {
		for code, l := range map[string]*harness.Login{"invalid_scope": {}, "access_denied": {Deny: true}} {
			if code == "access_denied" && !c.Consent {
				continue
			}
			var changes []string
			if code == "invalid_scope" {
				changes = []string{"scope", "openid forbidden"}
			}
			a, start := c.pushed(t, changes...)
			l.Browser = c.browser()
			end := l.From(t, start)
			if end.Params.Get("error") != code || end.Params.Has("code") {
				t.Errorf("%v, want %s\n%s", end.Params, code, l.Trace)
				continue
			}
			c.wantResponse(t, a, l, end)
			c.wantRefused(t, "a flow finished by an error", l.Browser, start)
		}
	})
}

func TestNobodyElseGetsACode(t *testing.T) {
	eachCell(t, func(t *testing.T, c *cell) {
		a, start := c.pushed(t)
		l := &harness.Login{Browser: c.browser()}
		l.Open(start)
		if !l.ToPage(t) && !c.NoPassword {
			t.Fatalf("no page\n%s", l.Trace)
		}
		if !c.NoPassword {
			for _, address := range referencesIn(l.Trace) {
				c.wantNoCode(t, "another browser", c.browser(), address)
			}
			c.wantRefused(t, "another browser", c.browser(), start)
			c.wantRefused(t, "another client", l.Browser, strings.Replace(start, "client_id=web", "client_id=other", 1))
		}
		c.wantPushed(t, a, l, l.Finish(t))

		a, start = c.pushed(t)
		c.wantRefused(t, "another client", c.browser(), strings.Replace(start, "client_id=web", "client_id=other", 1))
		l = &harness.Login{Browser: c.browser()}
		c.wantPushed(t, a, l, l.From(t, start))
	})
}

func TestARequestThatWasNotPushedIsRefusedOrLeftAlone(t *testing.T) {
	eachCell(t, func(t *testing.T, c *cell) {
		a := harness.NewAuthorizationRequest(c.uri)
		l := &harness.Login{Browser: c.browser()}
		_, start := c.pushed(t)
		pushed := &harness.Login{Browser: l.Browser}
		if pushed.Open(start); !c.NoPassword {
			pushed.ToPage(t)
		}
		end := l.From(t, c.Authorize+"?"+a.Params.Encode())
		if c.required {
			if end.Code() != "" || end.Last.Status != http.StatusBadRequest {
				t.Errorf("not refused\n%s", l.Trace)
			}
			return
		}
		s := standIn{c.Server, a}
		s.wantOwn(t, l, end)
	})
}

// referencesIn are the addresses with a reference of the gateway's that a browser has been at.
func referencesIn(trace harness.Trace) []string {
	var all []string
	for _, v := range trace {
		if u, err := url.Parse(v.Step.URL); err == nil && isReference(u.Query()) && !slices.Contains(all, v.Step.URL) {
			all = append(all, v.Step.URL)
		}
	}
	return all
}

func isReference(params url.Values) bool {
	return params.Has("request_uri") || params.Has("pargate_ticket")
}
