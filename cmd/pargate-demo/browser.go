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

// browser stands in for a person with a browser: it follows redirects one by one, keeps cookies, fills in a login form
// and submits it.
type browser struct {
	http *http.Client
	tap  *tap
	end  string // the page where it stops, without query
}

// newBrowser returns a browser without cookies that stops at the page end.
func newBrowser(transport http.RoundTripper, end string) *browser {
	b := &browser{tap: &tap{}, end: end}
	jar, _ := cookiejar.New(nil) // never fails
	b.http = &http.Client{Jar: jar, Transport: b.tap.inFrontOf(transport),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return b
}

// visit opens address and goes on until there is a page without login form, or the end. It returns the last exchange.
func (b *browser) visit(ctx context.Context, address string) (last exchange, err error) {
	next, form := address, url.Values(nil)
	for range maxHops {
		if last, err = b.load(ctx, next, form); err != nil {
			return last, err
		}
		if before, _, _ := strings.Cut(last.url.String(), "?"); before == b.end {
			return last, nil
		}
		if to := last.location(); to != nil {
			next, form = to.String(), nil
			continue
		}
		action, fields := loginForm(last)
		if action == nil || last.status != http.StatusOK {
			return last, nil
		}
		if form != nil {
			return last, errors.New("the login page has not accepted name and password")
		}
		next, form = action.String(), fields
	}
	return last, fmt.Errorf("more than %d redirects", maxHops)
}

// load makes one request: a GET, or the POST of a form.
func (b *browser) load(ctx context.Context, address string, form url.Values) (exchange, error) {
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return exchange{}, err
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := b.http.Do(r)
	if err != nil {
		return exchange{}, err
	}
	response.Body.Close()
	seen := b.tap.all(nil)
	return seen[len(seen)-1], nil
}

// loginForm finds the form with a password field on a page and fills it in; its action is nil when there is none.
func loginForm(page exchange) (action *url.URL, fields url.Values) {
	if !strings.HasPrefix(page.answerHeader.Get("Content-Type"), "text/html") {
		return nil, nil
	}
	root, err := html.Parse(strings.NewReader(string(page.answer)))
	if err != nil {
		return nil, nil
	}
	for form := range root.Descendants() {
		if form.Data != "form" {
			continue
		}
		fields, isLogin := fill(form)
		to, err := page.url.Parse(attribute(form, "action"))
		if isLogin && err == nil {
			return to, fields
		}
	}
	return nil, nil
}

// fill returns the fields of a form as a person submits it, and reports whether it asks for a password.
func fill(form *html.Node) (fields url.Values, isLogin bool) {
	fields = url.Values{}
	for input := range form.Descendants() {
		name := attribute(input, "name")
		switch {
		case input.Data != "input" || name == "":
		case attribute(input, "type") == "password":
			fields.Set(name, password)
			isLogin = true
		case attribute(input, "type") == "hidden":
			fields.Add(name, attribute(input, "value"))
		case attribute(input, "autocomplete") == "username":
			fields.Set(name, userName)
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
