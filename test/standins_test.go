package test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pargate/test/harness"
	"pargate/test/upstream/pattern"
)

// standIn is a stand-in without a gateway in front of it, and what is asked of it.
type standIn struct {
	*pattern.Server
	request harness.AuthorizationRequest
}

// otherURI is a second redirect_uri of every client.
const otherURI = "https://app.example/other"

func registered(uri string) map[string][]string {
	return map[string][]string{"web": {uri, otherURI}, "other": {uri, otherURI}}
}

func native(t *testing.T, p pattern.Pattern, changes ...string) standIn {
	uri := harness.CanaryURI()
	return standIn{harness.StandIn(t, p, registered(uri)), harness.NewAuthorizationRequest(uri, changes...)}
}

// address is the request in full.
func (s standIn) address() string { return s.Authorize + "?" + s.request.Params.Encode() }

// login is a person at the stand-in.
func (s standIn) login() *harness.Login {
	return &harness.Login{Browser: harness.NewBrowser(s.URL)}
}

// differences says how what a code stands for differs from the request, but for what this pattern is known to lose or
// to change.
func (s standIn) differences(t *testing.T, l *harness.Login, end *harness.End) []string {
	t.Helper()
	believed, ok := s.Believed(end.Code())
	if !ok {
		t.Fatalf("no code: %d\n%s", end.Last.Status, l.Trace)
	}
	return slices.DeleteFunc(s.request.Differences(believed), func(difference string) bool {
		name, _, _ := strings.Cut(difference, " ")
		return s.Reencodes && blank(believed[name]) == blank(s.request.Get(name)) ||
			slices.Contains(s.Loses, name) && believed[name] == ""
	})
}

func blank(s string) string { return strings.ReplaceAll(s, "+", " ") }

// wantOwn checks that the login has ended with a code for the request, and the state of the request.
func (s standIn) wantOwn(t *testing.T, l *harness.Login, end *harness.End) {
	t.Helper()
	if found := s.differences(t, l, end); len(found) > 0 {
		t.Errorf("the code stands for another request: %v\n%s", found, l.Trace)
	}
	if got, want := end.Params.Get("state"), s.request.Get("state"); got != want && !(s.Reencodes && blank(got) == blank(want)) {
		t.Errorf("state = %q, want %q", got, want)
	}
}

// eachNatively runs a test at every pattern for which it makes sense.
func eachNatively(t *testing.T, sensible func(pattern.Pattern) bool, run func(*testing.T, pattern.Pattern)) {
	t.Parallel()
	for _, p := range pattern.All() {
		if sensible == nil || sensible(p) {
			t.Run(p.Name, func(t *testing.T) {
				t.Parallel()
				run(t, p)
			})
		}
	}
}

func asksForPassword(p pattern.Pattern) bool { return !p.NoPassword }

func TestStandInsGiveACodeForWhatTheyWereAsked(t *testing.T) {
	eachNatively(t, nil, func(t *testing.T, p pattern.Pattern) {
		s := native(t, p)
		l := s.login()
		end := l.From(t, s.address())
		s.wantOwn(t, l, end)
		answer := s.request.Redeem(t, s.URL+"/token", end.Code())
		if nonce := answer["nonce"]; nonce != s.request.Get("nonce") && !slices.Contains(p.Loses, "nonce") {
			t.Errorf("nonce = %q", nonce)
		}
		if _, ok := answer["request"].(map[string]any); !ok {
			t.Errorf("the token endpoint does not tell the request: %v", answer)
		}
		if got, want := end.Params.Get("iss"), map[string]string{"interaction": s.URL}[p.Name]; got != want {
			t.Errorf("iss = %q, want %q", got, want)
		}
	})
}

func TestStandInsTakeTheRequestInABody(t *testing.T) {
	eachNatively(t, func(p pattern.Pattern) bool { return p.POST }, func(t *testing.T, p pattern.Pattern) {
		s := native(t, p)
		res := harness.NewBrowser(s.URL).Post(t, p.Authorize, s.request.Params.Encode())
		if res.Status >= 400 && res.Status != http.StatusUnauthorized {
			t.Errorf("%d %s", res.Status, res.Body)
		}
	})
}

func TestStandInsRedeemACodeOnceWithItsVerifier(t *testing.T) {
	t.Parallel()
	s := native(t, pattern.All()[0])
	redeem := func(code, verifier, uri, client string) int {
		form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {uri}, "code_verifier": {verifier}, "client_id": {client}}
		return harness.NewBrowser(s.URL).Post(t, "/token", form.Encode()).Status
	}
	code := func() string { return s.login().From(t, s.address()).Code() }
	uri, verifier := s.request.Get("redirect_uri"), s.request.Verifier
	for what, status := range map[string]int{
		"another verifier":     redeem(code(), verifier+"x", uri, "web"),
		"no verifier":          redeem(code(), "", uri, "web"),
		"another redirect_uri": redeem(code(), verifier, otherURI, "web"),
		"another client":       redeem(code(), verifier, uri, "other"),
		"no code":              redeem("", verifier, uri, "web"),
	} {
		if status != http.StatusBadRequest {
			t.Errorf("%s: %d", what, status)
		}
	}
	once := code()
	if first, second := redeem(once, verifier, uri, "web"), redeem(once, verifier, uri, "web"); first != 200 || second != 400 {
		t.Errorf("the same code twice: %d, %d", first, second)
	}
}

func TestStandInsAskAgainAfterAWrongPassword(t *testing.T) {
	eachNatively(t, asksForPassword, func(t *testing.T, p pattern.Pattern) {
		s := native(t, p)
		l := s.login()
		l.WrongPassword = true
		s.wantOwn(t, l, l.From(t, s.address()))
	})
}

func TestStandInsTellTheClientOfADenial(t *testing.T) {
	eachNatively(t, func(p pattern.Pattern) bool { return p.Consent }, func(t *testing.T, p pattern.Pattern) {
		s := native(t, p)
		l := s.login()
		l.Deny = true
		end := l.From(t, s.address())
		if end.Params.Get("error") != "access_denied" || blank(end.Params.Get("state")) != blank(s.request.Get("state")) || end.Params.Has("code") {
			t.Errorf("%v\n%s", end.Params, l.Trace)
		}
	})
}

func TestStandInsTellTheClientOfAnError(t *testing.T) {
	eachNatively(t, nil, func(t *testing.T, p pattern.Pattern) {
		s := native(t, p, "scope", "openid forbidden")
		l := s.login()
		end := l.From(t, s.address())
		if isRedirect := end.Last.Status < 400; end.Params.Get("error") != "invalid_scope" || isRedirect == (p.Name == "carried URL") {
			t.Errorf("%d %v\n%s", end.Last.Status, end.Params, l.Trace)
		}
		s = native(t, p, "redirect_uri", "https://evil.example/")
		l = s.login()
		if end := l.From(t, s.address()); end.Params != nil || end.Last.Status != 400 {
			t.Errorf("unregistered redirect_uri: %v\n%s", end.Params, l.Trace)
		}
	})
}

func TestStandInsAnswerInTheModesThatTheyKnow(t *testing.T) {
	eachNatively(t, nil, func(t *testing.T, p pattern.Pattern) {
		for _, mode := range []string{"form_post", "fragment"} {
			want := mode
			if !slices.Contains(p.Modes, mode) {
				want = "query"
			}
			s := native(t, p, "response_mode", mode)
			l := s.login()
			end := l.From(t, s.address())
			s.wantOwn(t, l, end)
			if end.Mode != want || !strings.HasPrefix(end.URI, s.request.Get("redirect_uri")) {
				t.Errorf("asked for %s, got %s at %s", mode, end.Mode, end.URI)
			}
			if typed := end.Last.Header.Get("Content-Type") != ""; end.Mode == "form_post" && typed == (p.Name == "callback app") {
				t.Errorf("Content-Type of the form_post page: %q", end.Last.Header.Get("Content-Type"))
			}
		}
	})
}

func TestStandInsKnowTheirUsersAgain(t *testing.T) {
	eachNatively(t, asksForPassword, func(t *testing.T, p pattern.Pattern) {
		s := native(t, p)
		b := harness.NewBrowser(s.URL)
		for n := range 2 {
			l := &harness.Login{Browser: b}
			s.wantOwn(t, l, l.From(t, s.address()))
			asked := slices.ContainsFunc(l.Trace, func(v *harness.Visit) bool { return v.Sends("password") })
			if want := n == 0 || !p.Session; asked != want {
				t.Errorf("login %d: a password was asked for: %v\n%s", n+1, asked, l.Trace)
			}
		}
		if !p.Login {
			return
		}
		s.request = harness.NewAuthorizationRequest(s.request.Get("redirect_uri"), "prompt", "login")
		l := &harness.Login{Browser: b}
		s.wantOwn(t, l, l.From(t, s.address()))
		if !slices.ContainsFunc(l.Trace, func(v *harness.Visit) bool { return v.Sends("password") }) {
			t.Errorf("prompt=login is not obeyed\n%s", l.Trace)
		}
	})
}

func TestStandInsBearWhatPeopleDo(t *testing.T) {
	for what, does := range map[string]func(*harness.Login){
		"reload":       func(l *harness.Login) { l.Reload = true },
		"reopen":       func(l *harness.Login) { l.Reopen = true },
		"back":         func(l *harness.Login) { l.WrongPassword, l.Back = true, true },
		"double click": func(l *harness.Login) { l.DoubleClick = true },
	} {
		t.Run(what, func(t *testing.T) {
			eachNatively(t, nil, func(t *testing.T, p pattern.Pattern) {
				s := native(t, p)
				l := s.login()
				does(l)
				s.wantOwn(t, l, l.From(t, s.address()))
			})
		})
	}
}

func TestStandInsTellTwoTabsApart(t *testing.T) {
	eachNatively(t, func(p pattern.Pattern) bool { return !p.Single }, func(t *testing.T, p pattern.Pattern) {
		s := native(t, p)
		b := harness.NewBrowser(s.URL)
		one, two := &harness.Login{Browser: b}, &harness.Login{Browser: b}
		one.Open(s.address())
		one.ToPage(t)
		second := standIn{s.Server, harness.NewAuthorizationRequest(s.request.Get("redirect_uri"))}
		second.wantOwn(t, two, two.From(t, second.address()))
		s.wantOwn(t, one, one.Finish(t))
	})
}

// discreet are the patterns that show nothing of a request once it has reached them.
var discreet = []string{"opaque id", "interaction", "same address", "session form", "negotiate", "in-place form"}

func TestStandInsShowTheRequestToTheBrowser(t *testing.T) {
	eachNatively(t, nil, func(t *testing.T, p pattern.Pattern) {
		s := native(t, p)
		l := s.login()
		s.wantOwn(t, l, l.From(t, s.address()))
		all := []string{"authorization_details", "claims", "code_challenge", "id_token_hint", "nonce", "redirect_uri", "state", "x_ticket"}
		if slices.Contains(discreet, p.Name) {
			all = nil
		}
		if got := l.Trace.LeakedNames(s.request); !slices.Equal(got, all) {
			t.Errorf("seen: %v, want %v\n%s", got, all, strings.Join(l.Trace.Leaks(s.request), "\n"))
		}
		hidden := slices.Sorted(slices.Values(slices.DeleteFunc(slices.Clone(p.Hidden), func(name string) bool {
			return len(s.request.In(s.request.Get(name))) == 0 || slices.Contains(p.Loses, name)
		})))
		if got := l.Trace.Hidden(s.request); !slices.Equal(got, hidden) {
			t.Errorf("in hidden fields: %v, want %v", got, hidden)
		}
	})
}

// trusting says where a pattern believes what the browser changes on the way.
var trusting = map[string]string{
	"connector hop": "url", "connector page": "url", "foreign login": "url", "remembered URL": "url", "carried URL": "url",
	"next field": "url form nested", "absolute address": "url form nested", "same address": "url form", "body-only consent": "url form",
	"return_to": "url form nested", "callback app": "url nested", "in-place form": "url form", "negotiate": "url",
}

func TestStandInsBelieveWhatTheBrowserMakesOfTheRequest(t *testing.T) {
	eachNatively(t, nil, func(t *testing.T, p pattern.Pattern) {
		for _, where := range []string{"url", "form", "nested"} {
			name := "nonce"
			if slices.Contains(p.Loses, name) {
				name = "state"
			}
			s := native(t, p)
			l := s.login()
			l.Tamper = func(step *harness.Step) {
				if step.Index > 0 {
					tampering{how: "change", name: name, where: where}.apply(step)
				}
			}
			end := l.From(t, s.address())
			believed, _ := s.Believed(end.Code())
			if got, want := believed[name] == "evil", strings.Contains(trusting[p.Name], where); got != want {
				t.Errorf("%s changed in %s: believed: %v, want %v\n%s", name, where, got, want, l.Trace)
			}
		}
	})
}

func TestTheWayBackToTheConnectorsHasMoreInIt(t *testing.T) {
	t.Parallel()
	for _, p := range pattern.All() {
		if p.Name != "connector page" {
			continue
		}
		s := native(t, p)
		l := s.login()
		l.Detour = true
		if found := s.differences(t, l, l.From(t, s.address())); !slices.Equal(found, []string{`prompt is there, "select_account"`}) {
			t.Errorf("%v\n%s", found, l.Trace)
		}
	}
}

func TestALastHopGivesASecondCodeWhenRepeated(t *testing.T) {
	t.Parallel()
	s := native(t, pattern.All()[0])
	l := s.login()
	l.From(t, s.address())
	last := l.Trace[len(l.Trace)-1]
	if res := l.Browser.Get(t, last.Step.URL); !strings.Contains(res.Location, "code=") || res.Location == last.Response.Location {
		t.Errorf("%d %s", res.Status, res.Location)
	}
}

func TestAFormOfAnotherSiteIsRefusedByTheStandInsThatCheck(t *testing.T) {
	t.Parallel()
	for _, p := range pattern.All() {
		header, status := "Origin", http.StatusUnprocessableEntity
		switch p.Name {
		case "next field":
			header, status = "Referer", http.StatusForbidden
		case "body-only consent", "return_to":
		default:
			continue
		}
		s := native(t, p)
		l := s.login()
		l.Tamper = func(step *harness.Step) {
			if step.IsPost() {
				step.Header.Set(header, "https://evil.example")
			}
		}
		if end := l.From(t, s.address()); end.Last.Status != status {
			t.Errorf("%s: a POST with another %s: %d\n%s", p.Name, header, end.Last.Status, l.Trace)
		}
	}
}
