//go:build compat

package compat

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// browser is a scripted browser: it has cookies, shows pages, and remembers all that it saw.
type browser struct {
	t      testing.TB
	base   string // the origin that its person believes to be the authorization server
	client *http.Client
	steps  []*step
}

func newBrowser(t testing.TB, base string) *browser {
	jar, _ := cookiejar.New(nil) // it does not fail
	return &browser{t: t, base: base, client: &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// request is what the browser sends. The zero request is none.
type request struct {
	method, url       string
	body, contentType string // a form, unless contentType says otherwise
	referer           string
	script            bool // sent by a page's script
}

// step is one request and what came back.
type step struct {
	request
	status   int
	header   http.Header
	answer   string
	location string // absolute; empty when there is none
	page     *page  // nil: the answer is no page
}

// send sends a request and reads the answer to its end.
func (b *browser) send(r request) *step {
	b.t.Helper()
	req, err := http.NewRequest(r.method, r.url, strings.NewReader(r.body))
	if err != nil {
		b.t.Fatal(err)
	}
	if r.method != http.MethodGet {
		if r.contentType == "" {
			r.contentType = "application/x-www-form-urlencoded"
		}
		req.Header.Set("Content-Type", r.contentType)
		req.Header.Set("Origin", b.base)
	}
	if len(r.referer) > 4096 { // https://www.w3.org/TR/referrer-policy/#determine-requests-referrer
		r.referer = b.base + "/"
	}
	if r.referer != "" {
		req.Header.Set("Referer", r.referer)
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	req.Header.Set("Accept-Language", "en")
	req.Header.Set("Sec-Fetch-Dest", map[bool]string{false: "document", true: "empty"}[r.script])
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	s := &step{request: r, status: res.StatusCode, header: res.Header, answer: string(text)}
	if location, err := res.Location(); err == nil {
		s.location = location.String()
	}
	if kind := res.Header.Get("Content-Type"); !r.script && (kind == "" || strings.HasPrefix(kind, "text/html")) {
		s.page = readPage(r.url, s.answer)
	}
	b.steps = append(b.steps, s)
	return s
}

// page is a page, as far as a person can act on it.
type page struct {
	url   string
	forms []*form
	links []link
}

type form struct {
	method, action string // action is absolute
	fields         []field
	buttons        []field
}

type field struct{ kind, name, value, label string }

type link struct{ href, text string }

// readPage reads the forms and links of a page.
func readPage(address, text string) *page {
	p := &page{url: address}
	base, _ := url.Parse(address)
	resolve := func(ref string) string {
		u, err := base.Parse(strings.TrimSpace(ref))
		if err != nil {
			return ref
		}
		if ref == "" || strings.HasPrefix(ref, "#") {
			u = base
		}
		u.Fragment = ""
		return u.String()
	}
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		return p
	}
	var current *form
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		a := map[string]string{}
		for _, attribute := range n.Attr {
			a[attribute.Key] = attribute.Val
		}
		switch n.Data {
		case "form":
			current = &form{method: strings.ToUpper(a["method"]), action: resolve(a["action"])}
			if current.method == "" {
				current.method = http.MethodGet
			}
			p.forms = append(p.forms, current)
		case "a":
			p.links = append(p.links, link{resolve(a["href"]), textOf(n)})
		case "input", "button":
			if current == nil || !within(n, "form") {
				continue
			}
			_, checked := a["checked"]
			kind := strings.ToLower(a["type"])
			switch {
			case n.Data == "button" && (kind == "" || kind == "submit"), kind == "submit", kind == "image":
				label := a["value"]
				if n.Data == "button" {
					label = textOf(n)
				}
				current.buttons = append(current.buttons, field{"submit", a["name"], a["value"], label})
			case n.Data == "button", kind == "button", kind == "reset", (kind == "checkbox" || kind == "radio") && !checked:
			default:
				current.fields = append(current.fields, field{kind, a["name"], a["value"], ""})
			}
		}
	}
	return p
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func within(n *html.Node, name string) bool {
	for ; n != nil; n = n.Parent {
		if n.Type == html.ElementNode && n.Data == name {
			return true
		}
	}
	return false
}

// has reports whether the form has a field of the kind.
func (f *form) has(kind string) bool {
	for _, field := range f.fields {
		if field.kind == kind {
			return true
		}
	}
	return false
}

// submit sends the form with a button pressed; fill gives the fields their values.
func (f *form) submit(page *page, pressed *field, fill func(field) string) request {
	var pairs []string
	add := func(name, value string) {
		if name != "" {
			pairs = append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(value))
		}
	}
	for _, field := range f.fields {
		add(field.name, fill(field))
	}
	if pressed != nil {
		add(pressed.name, pressed.value)
	}
	r := request{method: f.method, url: f.action, body: strings.Join(pairs, "&"), referer: page.url}
	if f.method == http.MethodGet {
		address, _, _ := strings.Cut(f.action, "?")
		r.url, r.body = address+"?"+r.body, ""
	}
	return r
}
