package harness

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// Browser sends requests to one gateway and keeps its cookies. It follows a redirect only when it is told to.
type Browser struct {
	base   string
	client *http.Client
}

// NewBrowser returns a browser without cookies.
func NewBrowser(base string) *Browser {
	jar, _ := cookiejar.New(nil) // it does not fail
	return &Browser{base: base, client: &http.Client{
		Jar:           jar,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Response is a response, read to its end.
type Response struct {
	Status   int
	Header   http.Header
	Body     string
	Location string // absolute; empty when there is none
}

// JSON decodes the body, which must be a JSON object.
func (r Response) JSON(t testing.TB) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(r.Body), &object); err != nil {
		t.Fatalf("not a JSON object: %s", r.Body)
	}
	return object
}

// Cookies returns the cookies that the browser would send to the gateway.
func (b *Browser) Cookies() []*http.Cookie {
	u, _ := url.Parse(b.base)
	return b.client.Jar.Cookies(u)
}

// SetCookie puts a cookie into the jar.
func (b *Browser) SetCookie(c *http.Cookie) {
	u, _ := url.Parse(b.base)
	b.client.Jar.SetCookies(u, []*http.Cookie{c})
}

// Get sends a GET to a path of the gateway, or to an absolute address.
func (b *Browser) Get(t testing.TB, target string, change ...func(*http.Request)) Response {
	t.Helper()
	return b.Do(t, http.MethodGet, target, nil, change...)
}

// Post sends a form.
func (b *Browser) Post(t testing.TB, target, form string, change ...func(*http.Request)) Response {
	t.Helper()
	setType := func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }
	return b.Do(t, http.MethodPost, target, strings.NewReader(form), append([]func(*http.Request){setType}, change...)...)
}

// Do sends any request.
func (b *Browser) Do(t testing.TB, method, target string, body io.Reader, change ...func(*http.Request)) Response {
	t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.base + target
	}
	req, err := http.NewRequest(method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	res, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := Response{Status: res.StatusCode, Header: res.Header, Body: string(text)}
	if location, err := res.Location(); err == nil {
		r.Location = location.String()
	}
	return r
}

// Follow follows redirects as long as they stay at the gateway, ten at most, and returns the last response.
func (b *Browser) Follow(t testing.TB, res Response) Response {
	t.Helper()
	for range 10 {
		if !strings.HasPrefix(res.Location, b.base+"/") {
			return res
		}
		res = b.Get(t, res.Location)
	}
	t.Fatal("more than ten redirects")
	return res
}

// Open opens a reference as a person does: the bounce, and then what the upstream shows.
func (b *Browser) Open(t testing.TB, client, requestURI string) Response {
	t.Helper()
	res := b.Get(t, Short(client, requestURI))
	if res.Status != http.StatusSeeOther {
		t.Fatalf("first visit = %d %s", res.Status, res.Body)
	}
	return b.Get(t, res.Location)
}

// LogIn goes through the stand-in's login, from the response that leads to it, to the authorization response.
func (b *Browser) LogIn(t testing.TB, res Response) Response {
	t.Helper()
	page := b.Follow(t, res)
	_, rest, found := strings.Cut(page.Body, `action="`)
	action, _, _ := strings.Cut(rest, `"`)
	if !found {
		t.Fatalf("no login form: %d %s", page.Status, page.Body)
	}
	return b.Follow(t, b.Post(t, action, "username=u&password=p%E4ss"))
}
