package test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// A page that is no page, such as the upstream's JSON for a script of its own, belongs to the trip where it answers a
// request of the flow.
func TestAnAnswerToARequestOfAFlowIsKeptByNobody(t *testing.T) {
	t.Parallel()
	l := logIn(t, harness.Form(), required)
	l.Upstream.Handlers["/authorize"] = typed("application/json", "{}")
	res := l.browser.Get(t, l.short)
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Referrer-Policy") != "same-origin" {
		t.Errorf("%v", res.Header)
	}
}

// redirecting answers with a redirect to an address.
func redirecting(address string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", address)
		w.WriteHeader(http.StatusFound)
	}
}

func TestOfTwoFlowsTheOneMostAlikeIsMeantThenTheNewest(t *testing.T) {
	t.Parallel()
	for _, apart := range []time.Duration{0, 5 * time.Minute} {
		c := newClock()
		g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.PARRequired, o.Now = true, c.Now }})
		b := harness.NewBrowser(g.URL)
		for i, nonce := range []string{"first", "second"} {
			b.Open(t, "web", g.Push(t, "web", "s3cret", harness.Form("nonce", nonce, "x_tab", fmt.Sprint(i))))
			c.advance(apart)
		}
		for query, want := range map[string]string{"state=st4te": "1", "state=st4te&nonce=first": "0", "state=st4te&nonce=second": "1"} {
			b.Get(t, "/authorize?client_id=web&"+query)
			if got := g.Upstream.Last().Query().Get("x_tab"); got != want {
				t.Errorf("%v apart: %s means tab %s, want %s", apart, query, got, want)
			}
		}
	}
}

func TestARequestNamesAFlowExactlyUnlessItsClientMustPush(t *testing.T) {
	t.Parallel()
	for member, want := range map[string]string{"": "evil", `, "require_pushed_authorization_requests": true`: "n"} {
		l := logIn(t, harness.Form("nonce", "n"), func(o *proxy.Options) {
			o.Clients = harness.Registry(t, `[{"client_id": "web", "client_secret": "s3cret", "redirect_uris": ["https://app.example/cb"]`+member+`}]`)
		})
		before := len(l.Upstream.Requests())
		l.browser.Get(t, "/authorize?Client_ID=web&State=st4te&nonce=evil")
		if got := l.Upstream.Last().Query().Get("nonce"); got != want || len(l.Upstream.Requests()) != before+1 {
			t.Errorf("%q: the nonce is %q, want %q", member, got, want)
		}
	}
}

// A browser whose response got lost still has the cookie of a live flow.
func TestAFinishedFlowIsNamedByNothing(t *testing.T) {
	t.Parallel()
	l := logIn(t, harness.Form(), required)
	live := l.browser.Cookies()[0]
	l.browser.LogIn(t, l.browser.Get(t, l.short))
	l.browser.SetCookie(live)
	before := len(l.Upstream.Requests())
	wantPage(t, l.Gateway, l.browser.Get(t, "/authorize?client_id=web&state=st4te"), 400, "invalid_request")
	if len(l.Upstream.Requests()) != before {
		t.Errorf("the upstream got %v", l.Upstream.Last())
	}
}

func TestAFlowOfAClientThatIsNoLongerRegisteredGoesOnNowhere(t *testing.T) {
	t.Parallel()
	registry, change := harness.RegistryFile(t, harness.Clients)
	l := logIn(t, harness.Form(), required, func(o *proxy.Options) { o.Clients = registry })
	continued := l.echoed(t, "/login?"+harness.Form().Encode())
	change(strings.Replace(harness.Clients, `"https://app.example/cb"]},`, `"https://app.example/new"]},`, 1))
	before := len(l.Upstream.Requests())
	for _, target := range []string{l.short, continued, "/authorize?client_id=web&state=st4te"} {
		wantPage(t, l.Gateway, l.browser.Get(t, target), 400, "invalid_request_uri")
	}
	wantPage(t, l.Gateway, l.browser.Post(t, "/authorize", "client_id=web&state=st4te"), 400, "invalid_request_uri")
	if len(l.Upstream.Requests()) != before {
		t.Errorf("the upstream got %v", l.Upstream.Last())
	}
}

// forgetfulStore counts what is asked of a flow, and knows of none while it has forgotten.
type forgetfulStore struct {
	pushstore.Store
	asked     atomic.Int64
	forgotten atomic.Bool
}

func (s *forgetfulStore) Flow(ctx context.Context, p pushstore.Party, ref pushstore.Reference, o pushstore.Owner) (pushstore.Flow, error) {
	s.asked.Add(1)
	if s.forgotten.Load() {
		return pushstore.Flow{}, pushstore.ErrNotFound
	}
	return s.Store.Flow(ctx, p, ref, o)
}

func TestAFlowIsReadOncePerRequest(t *testing.T) {
	t.Parallel()
	store := &forgetfulStore{Store: memory()}
	_, b := inFlow(t, typed("text/html", strings.Repeat(`<a href="`+leak+`">`, 3)+`<a href="/authorize?client_id=public&state=st4te">`), func(o *proxy.Options) { o.Store = store })
	for _, forgotten := range []bool{false, true} {
		store.forgotten.Store(forgotten)
		store.asked.Store(0)
		if res := b.Get(t, "/page"); strings.Contains(res.Body, "n0nce") != forgotten || store.asked.Load() != 1 {
			t.Errorf("forgotten %t: asked %d times for %s", forgotten, store.asked.Load(), res.Body)
		}
	}
	store.asked.Store(0)
	b.Get(t, "/authorize?client_id=public&state=st4te")
	if n := store.asked.Load(); n != 0 {
		t.Errorf("another client's request costs %d operations", n)
	}
}

func TestABodyThatIsNoFormPassesAtAPageOfTheUpstreams(t *testing.T) {
	t.Parallel()
	l := logIn(t, harness.Form(), required)
	continued := l.echoed(t, "/login?"+harness.Form().Encode())
	res := l.browser.Post(t, continued, `{"state": "other"}`, setHeader("Content-Type", "application/json"))
	if got := l.Upstream.Last(); res.Status >= 400 || got.Body != `{"state": "other"}` || got.Query().Get("state") != "st4te" {
		t.Errorf("%d; the upstream got %v", res.Status, got)
	}
}

func TestByPOSTAChangedPromptStaysChanged(t *testing.T) {
	t.Parallel()
	for added, want := range map[string]string{"": "", "&prompt=consent": "consent"} {
		l := logIn(t, harness.Form("prompt", "login"), required, byPOST)
		if names := l.Logs.FilterMessageSnippet("overwritten").Len(); names != 0 {
			t.Errorf("opening a reference is logged as a change")
		}
		l.Upstream.Handlers["/done"] = redirecting("/authorize?" + harness.Form().Encode() + added)
		l.browser.Get(t, l.browser.Get(t, "/done").Location)
		for _, how := range []string{"the continuation", "the ticket"} {
			got := l.Upstream.Last()
			form, _ := url.ParseQuery(got.Body)
			if got.Method != "POST" || form.Get("prompt") != want || form.Has("prompt") != (want != "") || form.Get("state") != "st4te" {
				t.Errorf("%q, %s: the form is %s", added, how, got.Body)
			}
			l.browser.Get(t, "/authorize?client_id=web&pargate_ticket="+got.Query().Get("pargate_ticket"))
		}
	}
}

func TestByPOSTOnlyTheEndpointItselfIsPostedTo(t *testing.T) {
	t.Parallel()
	l := logIn(t, harness.Form(), required, byPOST)
	for _, target := range []string{l.echoed(t, "/login?"+harness.Form().Encode()), "/authorize/local?client_id=web&state=st4te"} {
		l.browser.Get(t, target)
		if got := l.Upstream.Last(); got.Method != "GET" || got.Query().Get("state") != "st4te" || got.Query().Has("pargate_ticket") {
			t.Errorf("%s %s", got.Method, got.Target)
		}
	}
}

func TestAnAdditionIsBelievedInTheAnswerToNothingButAReference(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		what   string
		send   func(l login) harness.Response
		belief bool
	}{
		{"the reference", func(l login) harness.Response { return l.browser.Get(t, l.short) }, true},
		{"a first visit", func(l login) harness.Response { return l.browser.Get(t, l.short+"&pargate=1") }, true},
		{"more beside it", func(l login) harness.Response { return l.browser.Get(t, l.short+"&lang=de") }, false},
		{"a resume key beside it", func(l login) harness.Response { return l.browser.Get(t, l.short+"&g_continue") }, false},
		{"a form", func(l login) harness.Response { return l.browser.Post(t, l.short, "a=b") }, false},
		{"an empty form", func(l login) harness.Response { return l.browser.Post(t, l.short, "") }, false},
		{"a request that names the flow", func(l login) harness.Response { return l.browser.Get(t, "/authorize?client_id=web&state=st4te") }, false},
	} {
		l := logIn(t, harness.Form(), required)
		l.Upstream.Handlers["/authorize"] = redirecting("/authorize/next?" + harness.Form("claims", "{}", "x", "1").Encode())
		l.browser.Get(t, test.send(l).Location)
		if got := l.Upstream.Last().Query(); got.Has("claims") != test.belief || got.Has("x") != test.belief || got.Get("state") != "st4te" {
			t.Errorf("%s: %v", test.what, got)
		}
	}
}

// Another tab's answer says nothing of what its browser has written into this one.
func TestAnAdditionToAnotherFlowIsNotBelieved(t *testing.T) {
	t.Parallel()
	l := logIn(t, harness.Form(), required)
	l.browser.Open(t, "web", l.Push(t, "web", "s3cret", harness.Form("state", "other")))
	l.Upstream.Handlers["/authorize"] = redirecting("/authorize/next?" + harness.Form("state", "other", "claims", "{}").Encode())
	l.browser.Get(t, l.browser.Get(t, l.short).Location)
	if got := l.Upstream.Last().Query(); got.Has("claims") || got.Get("state") != "other" {
		t.Errorf("%v", got)
	}
}

func TestWhatABrowserMayHaveWrittenIsLookedForEverywhere(t *testing.T) {
	t.Parallel()
	pushed := harness.Form("prompt", "login")
	form := func(text string) func(l login) harness.Response {
		return func(l login) harness.Response { return l.browser.Post(t, "/echo", text) }
	}
	for what, test := range map[string]struct {
		send func(l login) harness.Response
		want url.Values
	}{
		"a form of a known length": {form("username=u"), harness.Form()},
		"a form of unknown length": {func(l login) harness.Response { return postStream(t, l, strings.NewReader("username=u")) }, harness.Form()},
		"a chunked one with more":  {func(l login) harness.Response { return postStream(t, l, strings.NewReader("n=%2F%3Fstate%3D1")) }, pushed},
		"a body that is no form": {func(l login) harness.Response {
			return l.browser.Post(t, "/echo", `{"next": "/a\u003fstate\u003d1"}`, setHeader("Content-Type", "application/json"))
		}, pushed},
		"the path":                   {func(l login) harness.Response { return l.browser.Get(t, "/echo/next=%2Fauthorize%3Fstate%3D1") }, pushed},
		"a path without any of it":   {func(l login) harness.Response { return l.browser.Get(t, "/echo/next") }, harness.Form()},
		"the query":                  {func(l login) harness.Response { return l.browser.Get(t, "/echo?next=%2Fauthorize%3Fstate%3D1") }, pushed},
		"a form with more in nested": {form("next=%252Fauthorize%253Fstate%253D1"), pushed},
	} {
		l := logIn(t, pushed, required)
		address := "/authorize?" + harness.Form().Encode()
		for _, path := range []string{"/echo", "/echo/next", "/echo/next=%2Fauthorize%3Fstate%3D1"} {
			l.Upstream.Handlers[path] = redirecting(address)
		}
		l.browser.Get(t, test.send(l).Location)
		l.wantPushed(t, what, test.want, "")
	}
}

// postStream posts a form whose length is not known beforehand.
func postStream(t *testing.T, l login, body io.Reader) harness.Response {
	t.Helper()
	return l.browser.Do(t, http.MethodPost, "/echo", io.MultiReader(body), setHeader("Content-Type", "application/x-www-form-urlencoded"))
}

func TestAPageInUTF16KeepsItsBytes(t *testing.T) {
	t.Parallel()
	for _, mark := range []string{"\xff\xfe", "\xfe\xff"} {
		text := mark + `<a href="` + leak + `">` + formPost
		_, b := inFlow(t, typed("text/html", text))
		if res := b.Get(t, "/page"); res.Body != text {
			t.Errorf("%q", res.Body)
		}
	}
}

func TestAnAuthorizationResponseIsNotCollapsed(t *testing.T) {
	t.Parallel()
	location := "https://app.example/cb?code=1&state=st4te&error_uri=" + url.QueryEscape("/authorize?client_id=web&state=st4te")
	g, b := inFlow(t, redirecting(location))
	if res := b.Get(t, "/page"); res.Location != location+"&iss="+url.QueryEscape(g.URL) {
		t.Errorf("%s", res.Location)
	}
}

func TestTheEndpointsOwnQueryStaysInFrontOfWhatIsBound(t *testing.T) {
	t.Parallel()
	for _, byForm := range []bool{false, true} {
		g := harness.Start(t, harness.Setup{
			Upstream: func(r *upstream.Recorder) { r.Authorize = "/authorize?tenant=7" },
			Options:  func(o *proxy.Options) { o.AuthorizeByPOST = byForm },
		})
		b := harness.NewBrowser(g.URL)
		b.Open(t, "web", g.Push(t, "web", "s3cret", harness.Form()))
		for _, target := range []string{"", "/authorize?client_id=web&state=st4te&tenant=8"} {
			if target != "" {
				b.Get(t, target)
			}
			if got := g.Upstream.Last().Target; !strings.HasPrefix(got, "/authorize?tenant=7&") || strings.Contains(got, "tenant=8") {
				t.Errorf("by POST %t: %s", byForm, got)
			}
		}
	}
}

func TestAnAddedParameterStaysAsLongAsTheUpstreamKeepsIt(t *testing.T) {
	t.Parallel()
	l := logIn(t, harness.Form("prompt", "login"), required)
	added := harness.Form("prompt", "select_account", "x", "1")
	l.Upstream.Handlers["/authorize"] = redirecting("/authorize/next?" + added.Encode())
	l.Upstream.Handlers["/authorize/next"] = redirecting("/authorize/last?" + added.Encode())
	next := l.browser.Get(t, l.short).Location
	l.browser.Get(t, l.browser.Get(t, next).Location)
	l.wantPushed(t, "handed on", added, "")
	l.browser.Get(t, l.browser.Post(t, next, "confirm=1&state=st4te").Location)
	l.wantPushed(t, "handed on beside a form", added, "")
	l.Upstream.Handlers["/authorize/next"] = redirecting("/authorize/last?" + harness.Form("prompt", "none", "x", "2").Encode())
	l.browser.Get(t, l.browser.Post(t, next, "confirm=1&prompt=none&x=2").Location)
	l.wantPushed(t, "changed by a form", harness.Form("prompt", "login"), "")
}

func TestAPageIsReadWithItsBase(t *testing.T) {
	t.Parallel()
	_, query, _ := strings.Cut(leak, "?")
	_, b := inFlow(t, typed("text/html", `<base href="https://app.example/"><a href="?`+query+`">`))
	if res := b.Get(t, "/page"); strings.Contains(res.Body, "request_uri") {
		t.Errorf("an address of somebody else's: %s", res.Body)
	}
	_, b = inFlow(t, typed("text/html", `<base href="/a/"><a href="../authorize?`+query+`">`))
	if res := b.Get(t, "/page"); strings.Contains(res.Body, "st4te") || !strings.Contains(res.Body, `"../authorize?client_id=web`) {
		t.Errorf("%s", res.Body)
	}
}

// Without the store nobody knows whether an address carries a flow's request: nothing of the answer goes out.
func TestWithoutTheStoreNothingIsLeftInAnAnswer(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"a page": typed("text/html", `<a href="`+leak+`"><a href="`+leak+`">`), "a redirect": redirecting(leak),
		"a refresh": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Refresh", "0;url="+leak) },
	} {
		store := &brokenStore{Store: memory()}
		g, b := inFlow(t, handler, func(o *proxy.Options) { o.Store = store })
		store.broken.Store(true)
		res := b.Get(t, "/page")
		wantPage(t, g, res, 503, "temporarily_unavailable")
		if strings.Contains(fmt.Sprint(res.Header, res.Body), "st4te") || !strings.Contains(res.Body, "request_uri=") {
			t.Errorf("%s: %v %s", name, res.Header, res.Body)
		}
	}
}

func TestWhatNamesNoRequestKeepsItsBodyAndItsDigests(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		status         int
		location, text string
		change         func(*http.Request)
	}{
		"another redirect":  {302, "/login", "see /login", setHeader("Accept", "text/html")},
		"a page without it": {200, "", `<a href="/login">`, setHeader("Accept", "text/html")},
	} {
		_, b := inFlow(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("ETag", `"1"`)
			if test.location != "" {
				w.Header().Set("Location", test.location)
			}
			w.WriteHeader(test.status)
			io.WriteString(w, test.text)
		})
		if res := b.Get(t, "/page", test.change); res.Body != test.text || res.Header.Get("ETag") != `"1"` || res.Header.Get("Content-Type") != "text/html" {
			t.Errorf("%s: %v %q", what, res.Header, res.Body)
		}
	}
}

func TestAChangedPageHasNoDigestOfWhatItWas(t *testing.T) {
	t.Parallel()
	_, b := inFlow(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			t.Errorf("a part is asked for: %v", r.Header)
		}
		for _, name := range []string{"ETag", "Digest", "Content-Digest", "Content-MD5", "Accept-Ranges"} {
			w.Header().Set(name, "x")
		}
		typed("text/html", `<a href="`+leak+`">`)(w, r)
	})
	res := b.Get(t, "/page", setHeader("Range", "bytes=0-9"))
	for _, name := range []string{"ETag", "Digest", "Content-Digest", "Content-MD5", "Accept-Ranges"} {
		if res.Header.Get(name) != "" {
			t.Errorf("%s = %s", name, res.Header.Get(name))
		}
	}
}

func TestAHEADOfAPageIsLeftAlone(t *testing.T) {
	t.Parallel()
	_, b := inFlow(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", "1234")
		w.Header().Set("Content-Encoding", "br")
	})
	if res := b.Do(t, http.MethodHead, "/page", nil); res.Status != 200 || res.Header.Get("Content-Length") != "1234" {
		t.Errorf("%d %v", res.Status, res.Header)
	}
}

func TestTheMetadataAdvertisesIssOnlyWhereItIsAdded(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ add, advertise, want bool }{{true, true, true}, {true, false, false}, {false, true, false}, {false, false, false}} {
		g := harness.Start(t, harness.Setup{Options: func(o *proxy.Options) { o.AddIssuer, o.Advertise = test.add, test.advertise }})
		document := harness.NewBrowser(g.URL).Get(t, oidcPath).JSON(t)
		if got := document["authorization_response_iss_parameter_supported"] == true; got != test.want {
			t.Errorf("%+v: %v", test, document)
		}
	}
}

// Two forms of a page, and one of them leads elsewhere: nobody can tell which one the browser will send.
func TestAPageWithResponsesToTwoAddressesIsWithheld(t *testing.T) {
	t.Parallel()
	other := strings.Replace(formPost, "https://app.example/cb", "https://app.example/cb?tenant=8", 1)
	_, b := inFlow(t, typed("text/html", formPost+other))
	if res := b.Get(t, "/page"); res.Status != 502 || strings.Contains(res.Body, "c0de") {
		t.Errorf("%d %s", res.Status, res.Body)
	}
}

// A page that is late with its last bytes is waited for when a response is on it.
func TestASlowResponseIsSeenToItsEnd(t *testing.T) {
	t.Parallel()
	_, b := inFlow(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, strings.TrimSuffix(formPost, "</form></body></html>"))
		http.NewResponseController(w).Flush()
		time.Sleep(4 * time.Second)
		io.WriteString(w, "</form></body></html>")
	}, required)
	if res := b.Get(t, "/page"); res.Status != 200 || strings.Count(res.Body, `name="iss"`) != 1 || !strings.HasSuffix(res.Body, "</html>") {
		t.Errorf("%d %s", res.Status, res.Body)
	}
	if res := b.Get(t, "/page"); res.Status != 400 || strings.Contains(res.Body, "c0de") {
		t.Errorf("a second time: %d %s", res.Status, res.Body)
	}
}

// The upstream hears at once that nobody reads its page any more.
func TestAStreamedPageEndsWithItsBrowser(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	g, b := inFlow(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for r.Context().Err() == nil {
			io.WriteString(w, strings.Repeat("x", 64<<10))
		}
		close(ended)
	})
	req, _ := http.NewRequest(http.MethodGet, g.URL+"/page", nil)
	for _, c := range b.Cookies() {
		req.AddCookie(c)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.CopyN(io.Discard, res.Body, 2<<20)
	res.Body.Close()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the upstream still sends")
	}
}

func TestWhatStaysBesideAReferenceIsLookedIntoToo(t *testing.T) {
	t.Parallel()
	pushed := harness.Form()
	l := logIn(t, pushed, required)
	short := l.echoed(t, "/login?lang=de&"+pushed.Encode()+"&next="+url.QueryEscape("/authorize?"+pushed.Encode()))
	address, err := url.Parse(short)
	if err != nil || strings.Contains(short, "st4te") || !strings.HasPrefix(address.Query().Get("next"), "/authorize?client_id=web&request_uri=urn") {
		t.Fatalf("%s, %v", short, err)
	}
	l.browser.Get(t, address.Query().Get("next"))
	l.wantPushed(t, "next", pushed, "")
	l.browser.Get(t, short)
	if got := l.Upstream.Last().Query(); got.Get("state") != "st4te" || got.Get("lang") != "de" || got.Get("next") != address.Query().Get("next") {
		t.Errorf("%v", got)
	}
}

// A password that was posted in a login is not posted again to where the login goes next, if that is another's.
func TestAPostedFormStaysAtItsOrigin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, location string
		status, want     int
	}{
		{"POST", "https://broker.example/login", 307, 303}, {"POST", "https://broker.example/login", 308, 303}, {"POST", "//broker.example/", 307, 303},
		{"POST", "https://app.example/cb?code=1&state=st4te", 307, 303},
		{"POST", "/login", 307, 307}, {"POST", "{gateway}/login", 308, 308}, {"GET", "https://broker.example/login", 307, 307}, {"POST", "https://broker.example/", 302, 302},
	} {
		var g *harness.Gateway
		g, b := inFlow(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", expandNames(test.location, g))
			w.WriteHeader(test.status)
		})
		res := b.Do(t, test.method, "/page", strings.NewReader("password=x"), setHeader("Content-Type", "application/x-www-form-urlencoded"))
		if res.Status != test.want || !strings.HasPrefix(res.Header.Get("Location"), expandNames(test.location, g)) {
			t.Errorf("%+v: %d %s", test, res.Status, res.Header.Get("Location"))
		}
	}
}

func TestIssStandsInEachFormOfTheResponseAndInNoOther(t *testing.T) {
	t.Parallel()
	const stranger = `<form action="https://other.example/"><input name="code" value="1"></form>`
	g, b := inFlow(t, typed("text/html", formPost+stranger+formPost))
	with := strings.Replace(formPost, `app.example/cb">`, `app.example/cb"><input type="hidden" name="iss" value="`+g.URL+`"/>`, 1)
	if res := b.Get(t, "/page"); res.Body != with+stranger+with {
		t.Errorf("%d %s", res.Status, res.Body)
	}
}

func TestWithoutTheStoreTheLinkIsThatOfTheRequestsOwnFlow(t *testing.T) {
	t.Parallel()
	store := &brokenStore{Store: memory()}
	l := logIn(t, harness.Form(), required, func(o *proxy.Options) { o.Store = store })
	l.browser.Open(t, "web", l.Push(t, "web", "s3cret", harness.Form("state", "other")))
	l.Upstream.Handlers["/authorize"] = func(w http.ResponseWriter, r *http.Request) {
		store.broken.Store(true)
		redirecting("/login?client_id=web&state=other")(w, r)
	}
	res := l.browser.Get(t, l.short)
	if wantPage(t, l.Gateway, res, 503, "temporarily_unavailable"); !strings.Contains(res.Body, `href="`+strings.ReplaceAll(l.URL+l.short, "&", "&amp;")+`"`) {
		t.Errorf("no link to the same request: %s", res.Body)
	}
}

func TestNoOtherOriginsScriptReadsAProtectedPath(t *testing.T) {
	t.Parallel()
	g, _ := inFlow(t, nil)
	for path, want := range map[string]string{"/authorize/x": "", "//Authorize": "", "/other": "*"} {
		g.Upstream.Handlers[path] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.Header().Set("Access-Control-Allow-Credentials", "true")
		}
		res := harness.NewBrowser(g.URL).Get(t, path)
		if got := res.Header; got.Get("Access-Control-Allow-Origin") != want || (got.Get("Access-Control-Allow-Credentials") == "") != (want == "") {
			t.Errorf("%s: %v", path, got)
		}
	}
}

func TestASecondReferenceInAFormIsOneTooMany(t *testing.T) {
	t.Parallel()
	l := logIn(t, harness.Form(), required)
	_, uri, _ := strings.Cut(l.short, "request_uri=")
	for _, second := range []string{uri, "https%3A%2F%2Fevil.example%2F"} {
		wantPage(t, l.Gateway, l.browser.Post(t, l.short, "confirm=1&request_uri="+second), 400, "invalid_request")
	}
}

func TestAwayFromTheEndpointTheLinkLeadsBackToIt(t *testing.T) {
	t.Parallel()
	store := &brokenStore{Store: memory()}
	l := logIn(t, harness.Form(), required, func(o *proxy.Options) { o.Store = store })
	l.Upstream.Handlers["/page"] = redirecting("https://app.example/cb?code=1&state=st4te")
	store.broken.Store(true)
	res := l.browser.Get(t, "/page")
	if wantPage(t, l.Gateway, res, 503, "temporarily_unavailable"); !strings.Contains(res.Body, `href="`+strings.ReplaceAll(l.URL+l.short, "&", "&amp;")+`"`) {
		t.Errorf("no link to the request: %s", res.Body)
	}
}
