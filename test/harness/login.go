package harness

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pargate/proxy/oauth"
	"pargate/test/upstream/pattern"
)

// maxSteps is how many requests a login may take, among them three that are the same.
const maxSteps = 40

// Login is a person who signs in with a browser: follows redirects, clicks links and sends forms until the response
// is at the client's. Its fields say what the person does beside that, each once.
type Login struct {
	Browser       *Browser
	Deny          bool        // refuse what the consent page asks
	WrongPassword bool        // mistype the password first
	Back          bool        // and then go back to the page before
	Reload        bool        // reload every page
	Reopen        bool        // open the first address again when the first page is there
	Detour        bool        // take the link back to what was before the login page
	DoubleClick   bool        // click twice on the first link, and on the login form's button
	Tamper        func(*Step) // called before each request; it may change it
	Insist        bool        // send the request unchanged when the changed one was refused

	Trace Trace
	start string
	next  *Step
	end   *End
	page  *Visit          // what the browser shows, when the person has to do something
	done  map[string]bool // what the person does once
}

// Step is a request that is about to be sent.
type Step struct {
	Index  int
	Method string
	URL    string       // absolute
	Form   oauth.Params // of a POST
	JSON   string       // what a script sends instead
	Header http.Header

	latin1 bool
	again  bool      // reloaded, or gone back to
	honest bool      // not to be tampered with
	from   *Document // the page that leads there; nil: the person wrote the address
	script *PageForm // the page's script, which goes on when the answer is there
}

// IsPost reports whether the request has a form.
func (s *Step) IsPost() bool { return s.Method == http.MethodPost && s.JSON == "" }

// End is how a login has ended.
type End struct {
	URI    string     // where the response leads to, without its parameters if it is a form
	Params url.Values // of the authorization response; nil when there was none
	Mode   string     // query, fragment or form_post
	Last   Response
}

// Code is the code of the response; empty when there is none.
func (e *End) Code() string { return e.Params.Get("code") }

// From goes from an address to the end.
func (l *Login) From(t testing.TB, start string) *End {
	t.Helper()
	l.Open(start)
	return l.Finish(t)
}

// Open makes start the first address.
func (l *Login) Open(start string) {
	if strings.HasPrefix(start, "/") {
		start = l.Browser.base + start
	}
	l.start, l.done, l.end = start, map[string]bool{}, nil
	l.next = &Step{Method: http.MethodGet, URL: start}
}

// ToPage goes on until there is a page for the person to do something with, and reports whether there is one.
func (l *Login) ToPage(t testing.TB) bool {
	t.Helper()
	if l.page != nil {
		l.act()
	}
	for l.next != nil && l.end == nil {
		l.send(t)
	}
	return l.page != nil
}

// Finish goes on to the end.
func (l *Login) Finish(t testing.TB) *End {
	t.Helper()
	for l.end == nil {
		l.ToPage(t)
		if l.next == nil && l.page == nil && l.end == nil {
			l.end = &End{Last: l.Trace[len(l.Trace)-1].Response}
		}
	}
	return l.end
}

// send sends the next request, and finds out what comes after it.
func (l *Login) send(t testing.TB) {
	t.Helper()
	step := l.next
	l.next, l.page = nil, nil
	step.Index = len(l.Trace)
	step.setHeaders()
	honest := step.clone()
	if l.Tamper != nil && !step.honest {
		l.Tamper(step)
	}
	if l.DoubleClick && (step.Index == 0 || step.passwordIsIn()) && l.once("click "+step.URL) {
		twice := make(chan error)
		go func() {
			_, err := l.Browser.try(step)
			twice <- err
		}()
		defer func() { <-twice }()
	}
	res, err := l.Browser.try(step)
	if err != nil {
		t.Fatal(err)
	}
	at, _ := url.Parse(step.URL)
	visit := &Visit{Step: *step, Response: res, start: step.URL == l.start}
	if !isRedirect(res) {
		visit.Page = parseDocument(at, res)
	}
	l.Trace = append(l.Trace, visit)
	if len(l.Trace) == maxSteps || l.Trace.count(step) > 3 {
		l.end = &End{Last: res}
		return
	}
	if l.Insist && res.Status >= 400 && res.Status != http.StatusUnauthorized && !step.equal(honest) {
		honest.Header, honest.honest = nil, true
		l.next = honest
		return
	}
	l.after(visit, at)
}

// after decides what a browser does with a response.
func (l *Login) after(v *Visit, at *url.URL) {
	res := v.Response
	switch target := refreshTarget(res.Header.Get("Refresh")); {
	case res.Location != "" && !isLoopback(res.Location):
		l.finish(v, endAt(res))
	case isRedirect(res):
		l.redirected(v)
	case res.Status == http.StatusUnauthorized && res.Header.Get("WWW-Authenticate") == "Negotiate" && v.Step.Header.Get("Authorization") == "":
		again := v.Step
		again.Header = http.Header{"Authorization": {"Negotiate YII="}}
		l.next = &again
	case v.Step.script != nil:
		l.scripted(v)
	case target != "":
		l.follow(v.Page, resolve(at, target))
	case v.Page != nil && v.Page.refresh != "":
		l.follow(v.Page, v.Page.resolve(v.Page.refresh).String())
	case v.Page != nil && l.responseForm(v):
	case v.Page != nil && (len(v.Page.Forms) > 0 || v.Page.link("connector") != ""):
		l.page = v
	}
}

func (l *Login) follow(from *Document, address string) {
	l.next = &Step{Method: http.MethodGet, URL: address, from: from}
}

// redirected follows a redirect as browsers do: with a GET, but for 307 and 308.
func (l *Login) redirected(v *Visit) {
	next := v.Step
	next.URL, next.Header, next.script, next.again, next.honest = resolve(nil, v.Response.Location), nil, nil, false, false
	if v.Response.Status != http.StatusTemporaryRedirect && v.Response.Status != http.StatusPermanentRedirect {
		next.Method, next.Form, next.JSON = http.MethodGet, nil, ""
	}
	if policy := v.Response.Header.Get("Referrer-Policy"); policy != "" && next.from != nil {
		from := *next.from
		from.policy = policy
		next.from = &from
	}
	l.next = &next
}

// scripted is what the page's script does with the answer to what it has sent.
func (l *Login) scripted(v *Visit) {
	script, page := v.Step.script, v.Step.from
	if v.Response.Status != http.StatusOK {
		l.page = &Visit{Page: page}
		return
	}
	l.follow(page, page.URL.Query().Get(script.script["data-callback"])+script.script["data-suffix"])
}

// responseForm ends the login with a form that leads to the client.
func (l *Login) responseForm(v *Visit) bool {
	for _, f := range v.Page.Forms {
		if !isLoopback(f.Action) {
			params := url.Values{}
			for _, p := range f.inputs {
				params.Add(p.Name, p.Value)
			}
			l.finish(v, &End{URI: f.Action, Params: params, Mode: "form_post", Last: v.Response})
			return true
		}
	}
	return false
}

func (l *Login) finish(v *Visit, end *End) { v.last, l.end = true, end }

// act is what the person does with the page.
func (l *Login) act() {
	v := l.page
	l.page = nil
	switch connector, back := v.Page.link("connector"), v.Page.link("back"); {
	case l.Reopen && l.once("reopen"):
		l.next = &Step{Method: http.MethodGet, URL: l.start}
		return
	case l.Reload && !v.Step.again && v.Step.Method != "":
		l.repeat(v)
		return
	case l.Detour && back != "" && l.once("detour"):
		l.follow(v.Page, back)
		return
	case l.Back && l.done["wrong"] && l.once("back"):
		for _, earlier := range slices.Backward(l.Trace) {
			if earlier.Step.Method == http.MethodGet && earlier.Page != nil && earlier.Page.hasPassword() {
				l.repeat(earlier)
				return
			}
		}
	case connector != "":
		l.follow(v.Page, connector)
		return
	}
	l.submit(v.Page)
}

// repeat makes the request of a visit the next one.
func (l *Login) repeat(v *Visit) {
	again := v.Step
	again.Header, again.again = nil, true
	l.next = &again
}

// submit fills the form in and sends it.
func (l *Login) submit(page *Document) {
	f, clicked := page.form(l.Deny)
	if f == nil {
		return
	}
	username, password := pattern.User, pattern.Password
	if f.password && l.WrongPassword && l.once("wrong") {
		password = "wrong"
	}
	step := &Step{Method: http.MethodPost, URL: f.Action, from: page, latin1: page.latin1}
	for _, p := range f.inputs {
		switch p.Name {
		case "username", "login":
			p.Value = username
		case "password":
			p.Value = password
		}
		step.Form = append(step.Form, p)
	}
	if clicked.name != "" {
		step.Form = append(step.Form, oauth.Param{Name: clicked.name, Value: clicked.value})
	}
	switch address := f.script["data-json"]; {
	case address != "" && f.password:
		text, _ := json.Marshal(map[string]string{"username": username, "password": password})
		step.URL, step.JSON, step.Form, step.script = page.resolve(address).String(), string(text), nil, f
	case address != "": // logged in already
		l.follow(page, page.URL.Query().Get(f.script["data-callback"])+f.script["data-suffix"])
		return
	case f.Method != http.MethodPost:
		path, _, _ := strings.Cut(step.URL, "?")
		step.Method, step.URL, step.Form = http.MethodGet, path+"?"+step.Form.Encode(), nil
	}
	l.next = step
}

// once reports whether the person has not done that yet.
func (l *Login) once(what string) bool {
	first := !l.done[what]
	l.done[what] = true
	return first
}

// setHeaders says what browsers say of where a request comes from.
func (s *Step) setHeaders() {
	if s.Header == nil {
		s.Header = http.Header{}
	}
	s.Header.Set("Sec-Fetch-Dest", "document")
	s.Header.Set("Sec-Fetch-Mode", "navigate")
	s.Header.Set("Sec-Fetch-Site", "none")
	if s.script != nil {
		s.Header.Set("Sec-Fetch-Dest", "empty")
		s.Header.Set("Sec-Fetch-Mode", "cors")
	}
	to, err := url.Parse(s.URL)
	if s.from == nil || err != nil {
		return
	}
	s.Header.Set("Sec-Fetch-Site", "same-site")
	if to.Host == s.from.URL.Host {
		s.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	referer, origin := s.from.referrer(to)
	if referer != "" {
		s.Header.Set("Referer", referer)
	}
	if s.Method == http.MethodPost {
		s.Header.Set("Origin", origin)
	}
}

func (s *Step) clone() *Step {
	c := *s
	c.Form, c.Header = slices.Clone(s.Form), s.Header.Clone()
	return &c
}

// equal reports whether the same is asked.
func (s *Step) equal(other *Step) bool {
	return s.Method == other.Method && s.URL == other.URL && s.JSON == other.JSON && slices.Equal(s.Form, other.Form)
}

func (s *Step) passwordIsIn() bool { return s.Form.Get("password") != "" }

// body is what is sent, in the page's charset.
func (s *Step) body() (text, mediaType string) {
	switch {
	case s.JSON != "":
		return s.JSON, "application/json"
	case s.Method != http.MethodPost:
		return "", ""
	case !s.latin1:
		return s.Form.Encode(), "application/x-www-form-urlencoded"
	}
	form := slices.Clone(s.Form)
	for i, p := range form {
		form[i].Value = toLatin1(p.Value)
	}
	return form.Encode(), "application/x-www-form-urlencoded"
}

func toLatin1(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

// KeepingAlive makes the browser use the connections of transport, which others may use too.
func (b *Browser) KeepingAlive(transport *http.Transport) *Browser {
	b.client.Transport = transport
	return b
}

// try sends a step.
func (b *Browser) try(s *Step) (Response, error) {
	text, mediaType := s.body()
	req, err := http.NewRequest(s.Method, s.URL, strings.NewReader(text))
	if err != nil {
		return Response{}, err
	}
	req.Header = s.Header.Clone()
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	res, err := b.client.Do(req)
	if err != nil {
		return Response{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return Response{}, err
	}
	r := Response{Status: res.StatusCode, Header: res.Header, Body: string(body)}
	if location, err := res.Location(); err == nil {
		r.Location = location.String()
	}
	return r, nil
}

// endAt is the end at a Location.
func endAt(res Response) *End {
	end := &End{URI: res.Location, Mode: "query", Last: res}
	u, err := url.Parse(res.Location)
	if err != nil {
		return end
	}
	end.Params = u.Query()
	if u.Fragment != "" {
		end.Mode = "fragment"
		end.Params, _ = url.ParseQuery(u.EscapedFragment())
	}
	return end
}

func isLoopback(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost" || u.Host == "")
}

// resolve returns an absolute address without a fragment.
func resolve(base *url.URL, address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	if base != nil {
		u = base.ResolveReference(u)
	}
	u.Fragment, u.RawFragment = "", ""
	return u.String()
}
