package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// visitor looks at the page without a script.
type visitor struct {
	http *http.Client
	base string
}

func newVisitor(t *testing.T, base string) *visitor {
	transport := newTransport()
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{&http.Client{Transport: transport}, base}
}

// sight is a page as the visitor has it.
type sight struct {
	at     string // its path
	status int
	text   string
}

func (v *visitor) open(t *testing.T, target string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.base+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := v.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func (v *visitor) get(t *testing.T, target string) sight {
	t.Helper()
	return read(t, v.open(t, target))
}

func (v *visitor) post(t *testing.T, target, form string) sight {
	t.Helper()
	response, err := v.http.Post(v.base+target, "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	return read(t, response)
}

func read(t *testing.T, response *http.Response) sight {
	t.Helper()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return sight{response.Request.URL.Path, response.StatusCode, string(text)}
}

// startPicture starts the page for a test.
func startPicture(t *testing.T, s setup) (*picture, *visitor) {
	t.Helper()
	leavesNothing(t)
	s.log = io.Discard
	p, err := newPicture(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p, newVisitor(t, p.site.String())
}

// At every server that can be chosen, with every request, the stand-in signs in, every step has an arrow, and the comparison is
// there: the stream ends with it.
func TestEveryChoiceIsDrawn(t *testing.T) {
	p, v := startPicture(t, setup{})
	for _, server := range serverKinds {
		for _, request := range requestKinds {
			t.Run(server.Key+" "+string(request.Key), func(t *testing.T) {
				page := v.post(t, "/runs", url.Values{"server": {server.Key}, "request": {string(request.Key)}}.Encode())
				if page.status != http.StatusOK || !strings.Contains(page.text, "Sign in yourself") {
					t.Fatalf("%d %s", page.status, page.text)
				}
				v.post(t, page.at+"/sign-in", "")
				stream := v.get(t, page.at+"/events?after=0")
				if !strings.Contains(stream.text, "event: summary") {
					t.Fatalf("the stream ends without a summary: %s", stream.text)
				}
				drawn := v.get(t, page.at)
				for n := range steps {
					_, rest, _ := strings.Cut(drawn.text, `id="step-`+stepNumber(n)+`"`)
					if arrows, _, _ := strings.Cut(rest, "</ol>"); !strings.Contains(arrows, "<details>") {
						t.Errorf("step %d has no arrow", n+1)
					}
				}
				if !strings.Contains(drawn.text, "without PAR</th>") {
					_, text, _ := strings.Cut(drawn.text, `id="summary"`)
					t.Fatalf("no comparison: %.300s", text)
				}
				c := p.takes[len(p.takes)-1].outcome().Summary
				if c.Without.InHistory != c.Names || c.Without.Parameters < 7 || c.With.Parameters != 2 || c.With.InReferer != "" {
					t.Errorf("%+v", c)
				}
				if hidden, hides := c.With.InHistory == "", server.Key != "hydra"; hidden != hides { // and the page says so
					t.Errorf("in the history of the browser: %s", c.With.InHistory)
				}
				if says := strings.Contains(drawn.text, "Not hidden in front of this server"); says != (server.Key == "hydra") {
					t.Errorf("the page says %t that something is not hidden", says)
				}
			})
		}
	}
}

func stepNumber(i int) string { return strconv.Itoa(i + 1) }

// Every button does what it says, at every server, and pargate does what is expected.
func TestEveryAttackFails(t *testing.T) {
	_, v := startPicture(t, setup{})
	for _, server := range []string{"zitadel", "go-oauth2", "django"} {
		page := v.post(t, "/runs", "request=big&server="+server)
		for _, a := range attacks {
			if a.lifetime > 0 {
				continue // TestAPersonCannotBreakIt waits for it
			}
			t.Run(server+" "+a.Key, func(t *testing.T) {
				part := v.attack(t, page, a)
				if !strings.Contains(part, "It did not work") || strings.Contains(part, "✗") || !strings.Contains(part, "<details>") {
					t.Errorf("%.3000s", part)
				}
			})
		}
	}
}

// attack presses a button, and returns what is shown there.
func (v *visitor) attack(t *testing.T, page sight, a *attack) string {
	t.Helper()
	_, rest, _ := strings.Cut(v.post(t, page.at+"/break/"+a.Key, "").text, `id="break-`+a.Key+`"`)
	part, _, _ := strings.Cut(rest, `id="break-`)
	return part
}

// Every arrow of the stand-in's sign-in was seen at both of its ends. What one side has sent is what the other has received, to the
// byte; nothing on the way counts or changes it.
func TestBothSidesHaveTheSame(t *testing.T) {
	p, v := startPicture(t, setup{})
	for i, server := range []string{"zitadel", "dex"} {
		page := v.post(t, "/runs", "request=big&server="+server)
		v.post(t, page.at+"/sign-in", "")
		v.get(t, page.at+"/events?after=0")
		between := map[string]int{}
		for _, e := range p.takes[i].film.all() {
			if e.To == atStore {
				continue
			}
			one, other := e.Sides[max(len(e.Sides)-2, 0)], e.Sides[len(e.Sides)-1] // step 6 has two more before them
			if !strings.HasPrefix(one.Title, "What "+e.From.said()) || !strings.HasPrefix(other.Title, "What "+e.To.said()) {
				t.Errorf("%s: %s → %s %s: the sides are %q and %q", server, e.From, e.To, e.Title, one.Title, other.Title)
			}
			one.Title, other.Title = "", ""
			if !reflect.DeepEqual(one, other) {
				t.Errorf("%s: %s → %s %s:\n%+v\n%+v", server, e.From, e.To, e.Title, one, other)
			}
			between[e.From.String()+" to "+e.To.String()]++
		}
		for _, way := range []string{"browser to pargate", "pargate to browser", "pargate to server", "server to pargate", "client to pargate"} {
			if between[way] == 0 {
				t.Errorf("%s: no arrow from %s: %v", server, way, between)
			}
		}
	}
}

// What is secret elsewhere is shown, and is said to be one.
func TestSecretsAreMarked(t *testing.T) {
	p, v := startPicture(t, setup{})
	page := v.post(t, "/runs", "request=small&server=zitadel")
	v.post(t, page.at+"/sign-in", "")
	v.get(t, page.at+"/events?after=0")
	marked := map[string]bool{}
	for _, e := range p.takes[0].film.all() {
		for _, s := range e.Sides {
			for _, l := range append(s.Lines, s.Params...) {
				marked[l.Name] = marked[l.Name] || l.Secret
				if secret := p.takes[0].demo.client.oauth.ClientSecret; strings.Contains(l.Value, secret) && !l.Secret {
					t.Errorf("%s has the client_secret and is not marked", l.Name)
				}
			}
			if strings.Contains(s.Body+s.First, "eyJ") {
				marked["body"] = true
				if !s.Secret {
					t.Errorf("%s: tokens are not marked: %s %s", e.Title, s.First, s.Body)
				}
			}
		}
	}
	for _, name := range []string{"Authorization", "Cookie", "Set-Cookie", "Location", "password", "code", "code_verifier", "body"} {
		if !marked[name] {
			t.Errorf("%s is not marked, or not there", name)
		}
	}
	if text := v.get(t, page.at).text; !strings.Contains(text, "a secret, made up") || !strings.Contains(text, "with secrets, made up") {
		t.Error("the page does not say so")
	}
}

// Two pages at once have servers of their own, and neither draws what belongs to the other.
func TestTabsDoNotMix(t *testing.T) {
	p, v := startPicture(t, setup{})
	one, two := v.post(t, "/runs", "request=big&server=zitadel"), v.post(t, "/runs", "request=small&server=express")
	v.post(t, one.at+"/sign-in", "")
	v.get(t, one.at+"/events?after=0")
	if begun := p.takes[1].film.hasBegun(); begun {
		t.Error("the second page draws the first one's sign-in")
	}
	if text := v.get(t, two.at).text; strings.Contains(text, "authorization_details") || !strings.Contains(text, "Sign in yourself") {
		t.Error("the second page is not as it was")
	}
	// A sign-in that is drawn does not begin again: a reload at the client's cannot draw into it.
	again := read(t, func() *http.Response {
		response, err := v.http.Get(p.takes[0].demo.begins())
		if err != nil {
			t.Fatal(err)
		}
		return response
	}())
	if again.status == http.StatusOK || !strings.Contains(again.text, "one picture has one sign-in") {
		t.Errorf("%d %s", again.status, again.text)
	}
}

// Only the last pages are kept, and what is not kept has ended.
func TestTheOldestPageGoes(t *testing.T) {
	p, v := startPicture(t, setup{})
	first := v.post(t, "/runs", "request=small&server=express")
	gone := p.takes[0].demo.clientSite.String()
	for range maxTakes {
		v.post(t, "/runs", "request=small&server=express")
	}
	if got := v.get(t, first.at); got.status != http.StatusNotFound || len(p.takes) != maxTakes {
		t.Errorf("%d, and %d are kept", got.status, len(p.takes))
	}
	if response, err := v.http.Get(gone); err == nil {
		response.Body.Close()
		t.Error("its client still listens")
	}
}

// Nothing of the demo, its servers with built-in passwords first, is in the program.
func TestNothingOfItIsInTheProgram(t *testing.T) {
	text, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "pargate/cmd/pargate").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "pargate/proxy\n") {
		t.Fatalf("this is no list of packages: %s", text)
	}
	for _, part := range []string{"pargate/test/", "pargate-demo", "zitadel", "go-oauth2", "chromedp", "go-oidc"} {
		if strings.Contains(string(text), part) {
			t.Errorf("the program links %s", part)
		}
	}
}

// The page is for who asks for it by its own name, and its forms are sent by it alone.
func TestThePageIsForThisMachine(t *testing.T) {
	p, v := startPicture(t, setup{})
	for name, change := range map[string]func(*http.Request){
		"another name":          func(r *http.Request) { r.Host = "attacker.example:" + p.site.url.Port() },
		"another site's button": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"another origin":        func(r *http.Request) { r.Header.Set("Origin", "http://attacker.example") },
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.base+"/runs", strings.NewReader("request=small&server=express"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		change(r)
		response, err := v.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode < 400 || len(p.takes) > 0 {
			t.Errorf("%s: %d, and %d pages", name, response.StatusCode, len(p.takes))
		}
	}
	if !p.site.url.IsAbs() || !strings.HasPrefix(p.site.url.Host, "127.0.0.1:") {
		t.Errorf("it listens at %s", p.site)
	}
	if got := v.post(t, "/runs", "request=small&server=elsewhere"); got.status != http.StatusBadRequest || !strings.Contains(got.text, "must be among") {
		t.Errorf("an unknown server: %d %s", got.status, got.text)
	}
}

// Whoever asks a port of the demo again and again does not fill its memory, be it with large bodies or with many requests.
func TestTapsAndFilmsKeepNoMoreThanTheyMay(t *testing.T) {
	film := newFilm("http://client.example" + callbackPath)
	seen := &tap{film: film, at: atServer}
	handler := seen.around(http.NotFoundHandler())
	ask := func(size int) int {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", size))))
		return answer.Code
	}
	for size, want := range map[int]int{maxBody: http.StatusNotFound, maxBody + 1: http.StatusRequestEntityTooLarge} {
		if got := ask(size); got != want {
			t.Errorf("%d bytes: %d, want %d", size, got, want)
		}
	}
	if kept := seen.all(nil); len(kept) != 1 || len(kept[0].body) != maxBody || !seen.hasAll() {
		t.Errorf("it keeps %d requests, and all of them: %t", len(kept), seen.hasAll())
	}
	for range 2 * maxKept / maxBody {
		ask(maxBody)
	}
	if seen.bytes > maxKept || seen.bytes < maxKept-maxBody-100 || seen.hasAll() || film.bytes > maxFilm {
		t.Errorf("the tap keeps %d bytes, and all of them: %t; the film %d", seen.bytes, seen.hasAll(), film.bytes)
	}
	for range 2 * maxSeen {
		ask(0)
	}
	if n, events := len(seen.all(nil)), len(film.all()); n > maxSeen || events > maxEvents || len(film.announced)+len(film.answers)+len(film.leaked) > 3*maxEvents {
		t.Errorf("the tap keeps %d requests, the film %d arrows, %d, %d and %d beside", n, events, len(film.announced), len(film.answers), len(film.leaked))
	}
}

// Two answers that are on their way at once are not taken for one another.
func TestWhatIsTakenOutBelongsToItsAnswer(t *testing.T) {
	f := newFilm("http://client.example" + callbackPath)
	f.step, f.request = 7, params{{"state", "st4te"}, {"nonce", "n0nce"}}
	answers := func(connection string, from, to lane, id, text string) {
		x := exchange{method: http.MethodGet, url: &url.URL{Path: "/login"}, header: http.Header{requestID: {id}}}
		x.status, x.answerHeader, x.answer = http.StatusOK, http.Header{requestID: {id}}, []byte(text)
		f.answered(arrival{connection: connection, from: to, to: from}, x)
	}
	answers("a", atServer, atGateway, "one", "st4te")
	answers("b", atServer, atGateway, "two", "n0nce")
	answers("c", atGateway, atBrowser, "one", "")
	answers("d", atGateway, atBrowser, "two", "")
	answers("e", atGateway, atBrowser, "three", "")
	var got []string
	for _, e := range f.all()[2:] {
		got = append(got, e.TakenOut)
	}
	if want := []string{"state", "nonce", ""}; !slices.Equal(got, want) {
		t.Errorf("taken out are %q, want %q", got, want)
	}
}
