package test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream"
)

func required(o *proxy.Options) { o.PARRequired = true }

func byPOST(o *proxy.Options) { o.AuthorizeByPOST = true }

// login is a gateway with a browser in the middle of its login.
type login struct {
	*harness.Gateway
	browser *harness.Browser
	short   string // the address by reference
}

// logIn opens a push in a new browser; answer is what the stand-in's /echo and /authorize then answer with, if not nil.
func logIn(t *testing.T, form url.Values, change ...func(*proxy.Options)) login {
	t.Helper()
	g := harness.Start(t, harness.Setup{
		Upstream: func(r *upstream.Recorder) {
			r.Handlers["/echo"] = func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Location", req.URL.Query().Get("to"))
				w.WriteHeader(http.StatusFound)
			}
		},
		Options: func(o *proxy.Options) {
			for _, f := range change {
				f(o)
			}
		},
	})
	uri := g.Push(t, "web", "s3cret", form)
	l := login{g, harness.NewBrowser(g.URL), harness.Short("web", uri)}
	l.browser.Open(t, "web", uri)
	return l
}

// echoed makes the upstream redirect to an address, and returns what the browser gets of it.
func (l login) echoed(t *testing.T, address string) string {
	t.Helper()
	res := l.browser.Get(t, "/echo?to="+url.QueryEscape(address))
	return strings.TrimPrefix(res.Location, l.URL)
}

// wantPushed checks that what reached the upstream last is the form: each name is in the query, in the body or in both, once
// and with its value, and nothing else is but others.
func (l login) wantPushed(t *testing.T, what string, form url.Values, others string) {
	t.Helper()
	got := l.Upstream.Last()
	body, err := url.ParseQuery(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	query := got.Query()
	extra, _ := url.ParseQuery(others)
	for name, values := range extra {
		if fmt.Sprint(append(query[name], body[name]...)) != fmt.Sprint(values) {
			t.Errorf("%s: %s = %q and %q, want %q", what, name, query[name], body[name], values)
		}
		query.Del(name)
		body.Del(name)
	}
	for name, want := range form {
		for _, part := range []url.Values{query, body} {
			if values, there := part[name]; there && fmt.Sprint(values) != fmt.Sprint(want) {
				t.Errorf("%s: %s = %q, want %q", what, name, values, want)
			}
		}
		if len(query[name])+len(body[name]) == 0 {
			t.Errorf("%s: no %s in %s, %s", what, name, got.Target, got.Body)
		}
		query.Del(name)
		body.Del(name)
	}
	if len(query)+len(body) > 0 {
		t.Errorf("%s: more than was pushed: %v %v", what, query, body)
	}
}

const evil = "nonce=evil&code_challenge=evil&redirect_uri=https://evil.example&scope=admin&claims=evil&response_mode=fragment&x_ticket=evil"

func TestWhatNamesAFlowIsBoundToIt(t *testing.T) {
	t.Parallel()
	pushed := harness.Form("nonce", "n", "x_ticket", "pushed")
	l := logIn(t, pushed, required)
	post := func(target, form string) func() { return func() { l.browser.Post(t, target, form) } }
	get := func(target string) func() { return func() { l.browser.Get(t, target) } }
	for name, test := range map[string]struct {
		send   func()
		others string
	}{
		"a URL":                         {get("/authorize?client_id=web&state=st4te&" + evil), ""},
		"a URL with a resume key":       {get("/authorize?login_verifier=1&client_id=web&state=st4te&lang=de"), "login_verifier=1"},
		"a URL below the endpoint":      {get("/authorize/local?client_id=web&state=st4te&" + evil), ""},
		"a near miss":                   {get("//authorize?client_id=web&nonce=n&" + evil), ""},
		"a form":                        {post("/authorize", "csrf=1&client_id=web&state=st4te&"+evil), "csrf=1"},
		"a form that denies":            {post("/authorize", "_method=delete&client_id=web&state=st4te"), "_method=delete"},
		"a form beside its URL":         {post("/authorize?client_id=web&state=st4te", "confirm=1&"+evil), "confirm=1"},
		"a form beside a URL of others": {post("/authorize?lang=de", "client_id=web&state=st4te&"+evil), "lang=de"},
		"a form beside the reference":   {post(l.short, "confirm=1&client_id=other&"+evil), "confirm=1"},
		"a login form":                  {post(l.short, "password=p%C3%A4ss"), "password=päss"},
		"a form to the continuation":    {post(l.echoed(t, "/authorize?client_id=web&state=st4te"), "confirm=1&"+evil), "confirm=1"},
		"a reference and more":          {get(l.short + "&state=evil&" + evil + "&lang=de"), ""},
	} {
		test.send()
		l.wantPushed(t, name, pushed, test.others)
	}
}

func TestAFormMayAskForLessScope(t *testing.T) {
	t.Parallel()
	l := logIn(t, harness.Form("scope", "openid email phone"), required)
	for form, want := range map[string]string{
		"scope=openid+phone": "openid phone", "scope=phone": "openid email phone", "scope=openid+admin": "openid email phone", "scope=": "openid email phone",
	} {
		l.browser.Post(t, l.short, form)
		got := l.Upstream.Last()
		if body, _ := url.ParseQuery(got.Body); body.Get("scope") != want || got.Query().Get("scope") != "openid email phone" {
			t.Errorf("%s: %s, %s", form, got.Target, got.Body)
		}
		l.browser.Post(t, "/authorize", "client_id=web&state=st4te&"+form)
		l.wantPushed(t, form, harness.Form("scope", want), "")
	}
}

func TestAFormOfAnotherKindIsRefusedInAFlow(t *testing.T) {
	t.Parallel()
	l := logIn(t, harness.Form(), required)
	before := len(l.Upstream.Requests())
	for _, target := range []string{l.short, "/authorize?client_id=web&state=st4te", "/authorize"} {
		if res := l.browser.Post(t, target, "{}", setHeader("Content-Type", "application/json")); res.Status != 415 {
			t.Errorf("%s: %d", target, res.Status)
		}
		if res := l.browser.Post(t, target, strings.Repeat("a", 65<<10)); res.Status != 413 {
			t.Errorf("%s: %d", target, res.Status)
		}
	}
	if len(l.Upstream.Requests()) != before {
		t.Errorf("the upstream got %v", l.Upstream.Last())
	}
}

func TestRequestsOfAnotherKindAreNotBound(t *testing.T) {
	t.Parallel()
	l := logIn(t, harness.Form("nonce", "n"))
	for _, target := range []string{
		"/authorize?client_id=web&state=st4te&nonce=other", "/authorize?client_id=public&state=st4te", "/authorize?client_id=web&state=st4te&client_id=x",
		"/authorize?state=st4te", "/authorize", "//authorize?req=1&hmac=2", "/other?client_id=web&state=st4te&nonce=n",
	} {
		l.browser.Get(t, target)
		if got := l.Upstream.Last().Target; got != target {
			t.Errorf("%s arrives as %s", target, got)
		}
	}
	l = logIn(t, harness.Form("nonce", "n"), required)
	for target, status := range map[string]int{
		"/authorize?client_id=web&state=other": 400, "/authorize?client_id=public&state=st4te": 400, "/authorize?state=st4te": 400,
		"/other?client_id=web&state=st4te&redirect_uri=x": 400, "/authorize/x?client_id=web&scope=x": 400, "/authorize": 400, // the stand-in's own 400
		"//authorize?req=1&hmac=2": 200, "/authorize/x?state=1": 200,
	} {
		before := len(l.Upstream.Requests())
		res := l.browser.Get(t, target)
		if passed := len(l.Upstream.Requests()) > before; res.Status != status || passed != (status == 200 || target == "/authorize") {
			t.Errorf("%s: %d, passed %t", target, res.Status, passed)
		}
	}
	if res := harness.NewBrowser(l.URL).Get(t, "/authorize?client_id=web&state=st4te&nonce=n"); res.Status != 400 {
		t.Errorf("another browser: %d", res.Status)
	}
}

func TestAContinuationIsTheFlowsOnAnyPath(t *testing.T) {
	t.Parallel()
	pushed := harness.Form("nonce", "n")
	l := logIn(t, pushed, required)
	for address, others := range map[string]string{
		"/authorize?" + pushed.Encode(): "", "/authorize/local?" + pushed.Encode(): "", l.URL + "//authorize?client_id=web&state=st4te": "",
		"/login?" + pushed.Encode(): "", "/login?lang=de&" + pushed.Encode() + "&a[]=1&a[]=2": "lang=de&a[]=1&a[]=2", "/authorize?g_continue&" + pushed.Encode(): "g_continue",
		"/authorize?client_id=web&state=st4te&" + evil: "",
	} {
		short := l.echoed(t, address)
		if path, _, _ := strings.Cut(strings.TrimPrefix(address, l.URL), "?"); !strings.HasPrefix(short, path+"?client_id=web&request_uri=urn") || strings.Contains(short, "st4te") {
			t.Errorf("%s becomes %s", address, short)
		}
		l.browser.Get(t, short)
		l.wantPushed(t, address, pushed, others)
	}
	short := l.echoed(t, "/authorize?"+pushed.Encode())
	if again := l.echoed(t, "/authorize?"+pushed.Encode()); again != short {
		t.Errorf("the same address becomes %s and %s", short, again)
	}
	if again := l.echoed(t, short); again != short {
		t.Errorf("a short address becomes %s", again)
	}
	if again := l.echoed(t, short+"&state=st4te&lang=de"); again != short {
		t.Errorf("a reference with a part of the request beside it becomes %s", again)
	}
	if again := l.echoed(t, short+"&scope=x&lang=de"); again != short+"&lang=de" {
		t.Errorf("a reference with a parameter of requests beside it becomes %s", again)
	}
	for name, res := range map[string]harness.Response{
		"another browser":   harness.NewBrowser(l.URL).Get(t, short),
		"another client":    l.browser.Get(t, strings.Replace(short, "client_id=web", "client_id=both", 1)),
		"a push elsewhere":  l.browser.Get(t, strings.Replace(l.short, "/authorize", "/login", 1)),
		"a picture":         l.browser.Get(t, short, setHeader("Sec-Fetch-Dest", "image")),
		"a misspelt one":    l.browser.Get(t, short[:len(short)-1]),
		"an invented one":   l.browser.Get(t, short[:len(short)-43]+strings.Repeat("A", 43)),
		"one with a double": l.browser.Get(t, short+"&client_id=web"),
	} {
		if res.Status != 400 {
			t.Errorf("%s: %d", name, res.Status)
		}
	}
	// After the response nothing of it opens any more.
	if end := l.browser.LogIn(t, l.browser.Get(t, l.short)); !strings.HasPrefix(end.Location, "https://app.example/cb?code=") {
		t.Fatalf("%d %s", end.Status, end.Location)
	}
	wantPage(t, l.Gateway, l.browser.Get(t, short), 400, "invalid_request_uri")
	wantPage(t, l.Gateway, l.browser.Get(t, "/authorize?"+pushed.Encode()), 400, "invalid_request")
}

func TestAContinuationKeepsWhatOnlyTheUpstreamCanHaveAdded(t *testing.T) {
	t.Parallel()
	pushed := harness.Form("prompt", "login", "max_age", "9")
	withoutPrompt := harness.Form().Encode()
	for name, test := range map[string]struct {
		address string // that the upstream redirects to
		request string // the browser's, whose answer that is: empty for the reference itself
		referer string
		want    url.Values
	}{
		"an addition to a pure request":          {"?" + pushed.Encode() + "&display=page&x=1", "", "", harness.Form("prompt", "login", "max_age", "9", "display", "page", "x", "1")},
		"an echo":                                {"?" + pushed.Encode() + "&display=page&x=1", "/echo?x=1", "", pushed},
		"a resume key":                           {"?" + pushed.Encode() + "&g_continue=1", "/echo?x=1", "", harness.Form("prompt", "login", "max_age", "9", "g_continue", "1")},
		"a prompt taken out":                     {"?" + withoutPrompt, "/echo?x=1", "", harness.Form()},
		"a prompt changed":                       {"?" + withoutPrompt + "&prompt=consent&max_age=9", "", "", harness.Form("prompt", "consent", "max_age", "9")},
		"a prompt that the browser left out":     {"?" + withoutPrompt, "/echo?next=" + url.QueryEscape("/authorize?"+withoutPrompt), "", pushed},
		"a prompt that the page before left out": {"?" + withoutPrompt, "/echo?x=1", "/login?next=" + url.QueryEscape("/authorize?"+withoutPrompt), pushed},
		"nothing else taken out":                 {"?client_id=web&state=st4te&prompt=login&max_age=9", "/echo?x=1", "", pushed},
	} {
		l := logIn(t, pushed, required)
		answer := func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/authorize/next"+test.address)
			w.WriteHeader(http.StatusFound)
		}
		l.Upstream.Handlers["/authorize"], l.Upstream.Handlers["/echo"] = answer, answer
		request := test.request
		if request == "" {
			request = l.short
		}
		res := l.browser.Get(t, request, setHeader("Referer", l.URL+test.referer))
		l.browser.Get(t, res.Location)
		l.wantPushed(t, name, test.want, "")
	}
}

func TestAFormPostedElsewhereMayMentionNoRequestEither(t *testing.T) {
	t.Parallel()
	pushed := harness.Form("prompt", "login")
	for form, want := range map[string]url.Values{
		"username=u&password=p%E4ss%25&next=/home": harness.Form(), "next=" + url.QueryEscape("/authorize?state=1"): pushed, strings.Repeat("x", 65<<10): harness.Form(),
	} {
		l := logIn(t, pushed, required)
		l.Upstream.Handlers["/echo"] = func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); string(body) != form {
				t.Errorf("%.50s arrives as %.50s", form, body)
			}
			w.Header().Set("Location", "/authorize?"+harness.Form().Encode())
			w.WriteHeader(http.StatusSeeOther)
		}
		l.browser.Get(t, l.browser.Post(t, "/echo", form).Location)
		l.wantPushed(t, form[:10], want, "")
	}
}

func TestContinuationsAreBounded(t *testing.T) {
	t.Parallel()
	l := logIn(t, harness.Form(), required)
	address := "/authorize?client_id=web&state=st4te&login_verifier="
	if res := l.browser.Get(t, "/echo?to="+url.QueryEscape(address+strings.Repeat("x", 2<<10))); res.Status != 502 || strings.Contains(res.Body, "st4te") {
		t.Errorf("a large difference: %d %s", res.Status, res.Body)
	}
	for i := range pushstore.MaxContinuations {
		if short := l.echoed(t, address+fmt.Sprint(i)); !strings.Contains(short, "request_uri") {
			t.Fatalf("%d: %s", i, short)
		}
	}
	// One more goes on without what was added.
	l.browser.Get(t, l.echoed(t, address+"more"))
	l.wantPushed(t, "one more", harness.Form(), "")
	if short := l.echoed(t, address+"3"); !strings.Contains(short, "request_uri") {
		t.Errorf("one of those: %s", short)
	}
}

func TestByPOSTNothingIsInTheQuery(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 20<<10)
	pushed := harness.Form("nonce", "n", "x_large", large, "prompt", "login", "x_ticket", "pushed")
	l := logIn(t, pushed, required, byPOST, func(o *proxy.Options) { o.UpstreamTimeout = 0 })
	first := l.Upstream.Last()
	query := first.Query()
	ticket := query.Get("pargate_ticket")
	if first.Method != "POST" || len(query) != 2 || query.Get("client_id") != "web" || len(ticket) != 43 || first.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Fatalf("%s %s %v", first.Method, first.Target, first.Header)
	}
	byTicket := "/authorize?client_id=web&pargate_ticket=" + ticket
	own := "client_id=web&pargate_ticket=" + ticket
	check := func(what, others string) {
		t.Helper()
		got := l.Upstream.Last()
		if got.Method != "POST" || got.Query().Get("state") != "" {
			t.Errorf("%s: %s %s", what, got.Method, got.Target)
		}
		body, _ := url.ParseQuery(got.Body)
		for name := range pushed {
			if fmt.Sprint(body[name]) != fmt.Sprint(pushed[name]) {
				t.Errorf("%s: %s = %.40q", what, name, body[name])
			}
			body.Del(name)
		}
		for name, values := range got.Query() {
			body[name] = append(body[name], values...)
		}
		if want, _ := url.ParseQuery(own + "&" + others); body.Encode() != want.Encode() {
			t.Errorf("%s: beside the push %s, want %s", what, body.Encode(), want.Encode())
		}
	}
	check("the reference", "")
	l.browser.Get(t, byTicket+"&login_verifier=v&state=evil&lang=de&"+evil)
	check("the ticket", "login_verifier=v")
	l.browser.Post(t, byTicket+"&consent_verifier=v", "confirm=1&state=evil&"+evil)
	check("a form to the ticket", "consent_verifier=v&confirm=1")
	l.browser.Get(t, "/authorize?client_id=web&state=st4te&"+evil)
	check("a request that names the flow", "")
	l.browser.Get(t, l.echoed(t, "/authorize?client_id=web&state=st4te&g_continue"))
	if got := l.Upstream.Last(); !strings.HasSuffix(got.Target, "&g_continue") || strings.Contains(got.Body, "g_continue") {
		t.Errorf("a resume key in a continuation: %s", got.Target)
	}
	for what, res := range map[string]harness.Response{
		"another browser":  harness.NewBrowser(l.URL).Get(t, byTicket),
		"another client":   l.browser.Get(t, strings.Replace(byTicket, "client_id=web", "client_id=both", 1)),
		"a ticket twice":   l.browser.Get(t, byTicket+"&pargate_ticket="+ticket),
		"another spelling": l.browser.Get(t, strings.Replace(byTicket, "pargate", "Pargate", 1)),
	} {
		if res.Status != 400 {
			t.Errorf("%s: %d", what, res.Status)
		}
	}
	// On a page of the upstream's it is the upstream's own.
	if l.browser.Get(t, "/login?client_id=web&pargate_ticket="+ticket); l.Upstream.Last().Target != "/login?client_id=web&pargate_ticket="+ticket {
		t.Errorf("%s", l.Upstream.Last().Target)
	}
}
