package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// person is a browser that does what a test says, on one page.
type person struct {
	*browser
	t *testing.T
}

func (v *visitor) person(t *testing.T, k *take) person {
	transport := newTransport()
	t.Cleanup(transport.CloseIdleConnections)
	return person{newBrowser(transport, k.demo), t}
}

// until goes on from a move to a page as wanted; nil: to the end.
func (p person) until(next move, wanted func(*pageForm) bool) (exchange, *pageForm) {
	p.t.Helper()
	x, err := p.walk(p.t.Context(), next, func(x exchange) bool {
		f := p.formOn(x)
		return wanted != nil && f != nil && wanted(f)
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return x, p.formOn(x)
}

// compared is what a summary says after a sign-in.
const compared = "The same sign-in was done again without PAR"

func consents(f *pageForm) bool { return !f.login }

// Whoever says no is told so on the page: it ends, and can be begun again with the same choices.
func TestARefusalEndsThePicture(t *testing.T) {
	p, v := startPicture(t, setup{})
	for i, server := range []string{"django", "doorkeeper", "hydra"} {
		page := v.post(t, "/runs", "request=small&server="+server)
		k := p.takes[len(p.takes)-1]
		who := v.person(t, k)
		asked, form := who.until(move{address: k.Begins()}, consents)
		if server == "doorkeeper" { // its Deny is a form of its own
			form.fields = append(params{{"_method", "delete"}}, form.fields...)
		} else {
			form.fields = append(params{{"deny", "yes"}}, form.fields.without("allow")...)
		}
		end, _ := who.until(form.move(asked), nil)
		if end.status != http.StatusOK && !strings.Contains(string(end.answer), "access_denied") {
			t.Errorf("%s: the client says %d %s", server, end.status, end.answer)
		}
		stream := v.get(t, page.at+"/events?after=0")
		for _, want := range []string{"event: summary", "event: state", "access_denied", "Nobody was signed in", "pargate has marked it as finished", "Start the same again"} {
			if !strings.Contains(stream.text, want) {
				t.Errorf("%s: no %q in the stream", server, want)
			}
		}
		for _, e := range k.film.all() { // the last arrows too, though the end is told at once
			if !strings.Contains(stream.text, `"id":"`+e.Anchor()+`"`) {
				t.Errorf("%s: the stream has no %s, step %d, %s → %s %s", server, e.Anchor(), e.Step, e.From, e.To, e.Title)
			}
		}
		ended := v.get(t, page.at).text
		if strings.Contains(ended, "http-equiv") || strings.Contains(ended, "data-stream") || strings.Contains(ended, "without PAR</th>") || !strings.Contains(ended, "Nobody was signed in") {
			t.Errorf("%s: the page goes on, or compares", server)
		}
		again := v.post(t, "/runs", formNamed(t, ended, "Start the same again"))
		if next := p.takes[len(p.takes)-1]; again.at == page.at || next.Server != k.Server || next.Request != k.Request || next.Begun() || len(p.takes) != 2*i+2 {
			t.Errorf("%s: the same again leads to %s with %s", server, again.at, next.Server.Key)
		}
	}
}

// formNamed is what the form with the button has in its hidden fields.
func formNamed(t *testing.T, page, button string) string {
	t.Helper()
	before, _, found := strings.Cut(page, "<button>"+button+"</button>")
	if !found {
		t.Fatalf("no button %s", button)
	}
	form := url.Values{}
	for field := range strings.SplitSeq(before[strings.LastIndex(before, "<form"):], "<input") {
		if _, rest, found := strings.Cut(field, ` name="`); found {
			name, rest, _ := strings.Cut(rest, `" value="`)
			value, _, _ := strings.Cut(rest, `"`)
			form.Set(name, value)
		}
	}
	return form.Encode()
}

// without returns a copy that has no parameter of the name.
func (p params) without(name string) (rest params) {
	for _, one := range p {
		if one.name != name {
			rest = append(rest, one)
		}
	}
	return rest
}

// A push that is refused, and a code that cannot be redeemed, end it too, with what was said; a stranger's answer does not.
func TestWhatGoesWrongIsTold(t *testing.T) {
	t.Run("a push that is refused", func(t *testing.T) {
		refuses := func(_ *demo, next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/par" {
					http.Error(w, `{"error":"invalid_request"}`, http.StatusBadRequest)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
		p, v := startPicture(t, setup{front: refuses})
		page := v.post(t, "/runs", "request=small&server=express")
		who := v.person(t, p.takes[0])
		who.until(move{address: p.takes[0].Begins()}, nil)
		wantTold(t, v, page, "pushing: 400", "pargate has seen no response")
	})
	t.Run("a code that is not redeemed", func(t *testing.T) {
		p, v := startPicture(t, setup{meddle: breakToken})
		page := v.post(t, "/runs", "request=small&server=zitadel")
		v.post(t, page.at+"/sign-in", "")
		wantTold(t, v, page, "redeeming the code", "pargate has marked it as finished")
		if e := p.takes[0].outcome(); e.Problem != "" || e.Refused == "" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("a stranger's answer", func(t *testing.T) {
		p, v := startPicture(t, setup{})
		page := v.post(t, "/runs", "request=small&server=django")
		who := v.person(t, p.takes[0])
		login, form := who.until(move{address: p.takes[0].Begins()}, asksForPassword)
		for _, b := range []person{who, v.person(t, p.takes[0])} {
			b.until(move{address: p.takes[0].demo.client.oauth.RedirectURL + "?error=%3Cb%3Emine&state=guessed"}, nil)
		}
		if e := p.takes[0].outcome(); e.Known() {
			t.Errorf("it has ended with %+v", e)
		}
		who.until(form.move(login), nil)
		v.get(t, page.at+"/events?after=0")
		if text := v.get(t, page.at).text; !strings.Contains(text, compared) || strings.Contains(text, "<b>mine") || !strings.Contains(text, "&lt;b&gt;mine") {
			t.Errorf("%+v", p.takes[0].outcome())
		}
	})
}

func wantTold(t *testing.T, v *visitor, page sight, wants ...string) {
	t.Helper()
	stream := v.get(t, page.at+"/events?after=0")
	for _, want := range append(wants, "event: summary", "Nobody was signed in", "Start the same again") {
		if !strings.Contains(stream.text, want) {
			t.Errorf("no %q in the stream", want)
		}
	}
}

// Who mistypes the password, or goes back and signs in from there, ends as everybody does, and all of it is drawn.
func TestAWrongPasswordAndTheWayBack(t *testing.T) {
	p, v := startPicture(t, setup{})
	for _, server := range serverKinds {
		t.Run(server.Key, func(t *testing.T) {
			page := v.post(t, "/runs", "request=small&server="+server.Key)
			k := p.takes[len(p.takes)-1]
			who := v.person(t, k)
			first, form := who.until(move{address: k.Begins()}, asksForPassword)
			wrong := *form
			wrong.fields = form.fields.with("password", "mistyped")
			second, again := who.until(wrong.move(first), asksForPassword)
			if again == nil || second.status != http.StatusOK {
				t.Fatalf("a wrong password leads to %d %s", second.status, second.answer)
			}
			if end, _ := who.until(form.move(first), nil); !who.signedIn(end) { // from the page before
				t.Errorf("the way back ends with %d %s", end.status, end.answer)
			}
			stream := v.get(t, page.at+"/events?after=0")
			if !strings.Contains(stream.text, compared) {
				t.Errorf("no comparison: %+v", k.outcome())
			}
			posts := 0
			for _, e := range k.film.all() {
				if e.Step == 8 && e.From == atBrowser && strings.HasPrefix(e.Title, "POST ") {
					posts++
				}
			}
			if posts < 2 {
				t.Errorf("%d forms are drawn in step 8", posts)
			}
		})
	}
}

// Only the page's own link begins its sign-in, once; what else asks the client's port begins nothing and is not drawn in the steps.
func TestOnlyThePagesOwnLinkBegins(t *testing.T) {
	p, v := startPicture(t, setup{})
	page := v.post(t, "/runs", "request=small&server=express")
	k := p.takes[0]
	ask := func(method, address string, header map[string]string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range header {
			r.Header.Set(name, value)
		}
		response, err := (&http.Client{Transport: v.http.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	for name, request := range map[string]struct {
		method, address string
		header          map[string]string
	}{
		"the bare port":         {"GET", k.demo.clientSite.String() + "/", nil},
		"a guess":               {"GET", k.demo.clientSite.String() + "/?page=GUESSED", nil},
		"HEAD":                  {"HEAD", k.Begins(), nil},
		"an image":              {"GET", k.Begins(), map[string]string{"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors"}},
		"a frame":               {"GET", k.Begins(), map[string]string{"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}},
		"a script":              {"GET", k.Begins(), map[string]string{"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}},
		"a prefetch":            {"GET", k.Begins(), map[string]string{"Sec-Purpose": "prefetch", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}},
		"an icon":               {"GET", k.demo.clientSite.String() + "/favicon.ico", nil},
		"another page's answer": {"GET", k.demo.client.oauth.RedirectURL + "?error=x&state=y", nil},
	} {
		if status := ask(request.method, request.address, request.header); status < 400 {
			t.Errorf("%s: %d", name, status)
		}
		if k.Begun() || k.Ended() {
			t.Fatalf("%s has begun the sign-in", name)
		}
	}
	if !strings.Contains(v.get(t, page.at).text, "Sign in yourself") {
		t.Error("the page says that it has begun")
	}
	if status := ask("GET", k.Begins(), nil); status != http.StatusFound || !k.Begun() {
		t.Errorf("the page's own link: %d", status)
	}
	if status := ask("GET", k.Begins(), nil); status < 400 {
		t.Errorf("the page's own link again: %d", status)
	}
	for _, e := range k.film.all() {
		if e.Step > 0 && (e.From == atBrowser || e.To == atBrowser) && e.seen.status != http.StatusFound && e.answer {
			t.Errorf("step %d has %s", e.Step, e.Title)
		}
	}
}
