package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// maxHops is when a browser says that it is being redirected in circles.
const maxHops = 20

// browser stands in for a person with a browser: it follows redirects one by one, keeps cookies, says where it comes from as
// browsers do, fills in a login form and agrees to what a consent form asks.
type browser struct {
	http           *http.Client
	tap            *tap
	end            string // the page where it stops, without query
	user, password string
}

// newBrowser returns a browser without cookies, of a person with an account at the server, that stops at the client's end.
func newBrowser(transport http.RoundTripper, d *demo) *browser {
	b := &browser{tap: &tap{film: d.film, at: atBrowser}, end: d.clientSite.String() + callbackPath, user: d.server.User, password: d.server.Password}
	jar, _ := cookiejar.New(nil) // never fails
	b.http = &http.Client{Jar: jar, Transport: b.tap.inFrontOf(transport),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return b
}

// move is a request that a browser is about to make.
type move struct {
	address string
	form    params    // of a POST; nil: a GET
	from    *exchange // the page that leads there; nil: the person wrote the address
}

// visit opens address and goes on until there is a page without a form, or the end. It returns the last exchange.
func (b *browser) visit(ctx context.Context, address string) (exchange, error) {
	return b.walk(ctx, move{address: address}, nil)
}

// walk goes on from a move; until a page for which stop returns true, if it is not nil.
func (b *browser) walk(ctx context.Context, next move, stop func(exchange) bool) (last exchange, err error) {
	typed := false // the password, since the last page
	for range maxHops {
		if last, err = b.load(ctx, next); err != nil {
			return last, err
		}
		if before, _, _ := strings.Cut(last.url.String(), "?"); before == b.end {
			return last, nil
		}
		if to := last.location(); to != nil {
			next = move{address: to.String(), from: next.from}
			continue
		}
		if stop != nil && stop(last) {
			return last, nil
		}
		f := b.formOn(last)
		switch {
		case f == nil || last.status != http.StatusOK:
			return last, nil
		case f.login && typed:
			return last, errors.New("the login page has not accepted name and password")
		}
		typed = typed || f.login
		next = f.move(last)
	}
	return last, fmt.Errorf("more than %d redirects", maxHops)
}

// load makes one request: a GET, or the POST of a form.
func (b *browser) load(ctx context.Context, m move) (exchange, error) {
	method := http.MethodGet
	if m.form != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, m.address, strings.NewReader(m.form.encode()))
	if err != nil {
		return exchange{}, err
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	referer, origin := m.comesFrom(r.URL)
	if referer != "" {
		r.Header.Set("Referer", referer)
	}
	if m.form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", origin)
	}
	response, err := b.http.Do(r)
	if err != nil {
		return exchange{}, err
	}
	response.Body.Close()
	if !b.tap.hasAll() {
		return exchange{}, errors.New("more requests than a tap keeps")
	}
	seen := b.tap.all(nil)
	return seen[len(seen)-1], nil
}

// comesFrom is what a browser says of the page that leads to an address, by the page's Referrer-Policy (W3C Referrer Policy §8.3).
func (m move) comesFrom(to *url.URL) (referer, origin string) {
	if m.from == nil {
		return "", "null"
	}
	own := m.from.url.Scheme + "://" + m.from.url.Host
	same := own == to.Scheme+"://"+to.Host
	switch policy := m.from.answerHeader.Get("Referrer-Policy"); {
	case policy == "no-referrer", policy == "same-origin" && !same:
		return "", "null"
	case !same:
		return own + "/", own
	}
	return m.from.url.String(), own
}

// pageForm is a form as a person sends it.
type pageForm struct {
	action *url.URL
	fields params
	login  bool // it asks for a password
}

func (f *pageForm) move(page exchange) move {
	return move{address: f.action.String(), form: f.fields, from: &page}
}

// formOn finds the form that a person sends on a page, and fills it in: one that asks for a password, or the first one that does
// not deny; nil when there is none.
func (b *browser) formOn(page exchange) *pageForm {
	if !strings.HasPrefix(page.answerHeader.Get("Content-Type"), "text/html") {
		return nil
	}
	root, err := html.Parse(strings.NewReader(string(page.answer)))
	if err != nil {
		return nil
	}
	var found *pageForm
	for node := range root.Descendants() {
		if node.Data != "form" || !strings.EqualFold(attribute(node, "method"), "post") {
			continue
		}
		to, err := page.url.Parse(attribute(node, "action"))
		if err != nil {
			continue
		}
		to.Fragment = ""
		f := &pageForm{action: to}
		f.fields, f.login = b.fill(node)
		if f.login {
			return f
		}
		if found == nil {
			found = f
		}
	}
	return found
}

// fill returns the fields of a form as a person submits it, with its first button, and reports whether it asks for a password.
func (b *browser) fill(form *html.Node) (fields params, isLogin bool) {
	fields = params{}
	clicked := false
	for n := range form.Descendants() {
		name := attribute(n, "name")
		switch {
		case n.Data == "button" && name != "" && !clicked:
			fields, clicked = append(fields, param{name, attribute(n, "value")}), true
		case n.Data != "input" || name == "":
		case attribute(n, "type") == "password":
			fields, isLogin = append(fields, param{name, b.password}), true
		case attribute(n, "type") == "hidden":
			fields = append(fields, param{name, attribute(n, "value")})
		case attribute(n, "autocomplete") == "username", name == "username":
			fields = append(fields, param{name, b.user})
		}
	}
	return fields, isLogin
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
