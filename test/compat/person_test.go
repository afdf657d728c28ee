//go:build compat

package compat

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// person is who sits at the browser, and what they do there.
type person struct {
	server        *server
	deny          bool // says no when asked for consent
	wrongPassword bool // types a wrong one first
	reloads       bool // opens the first address again at the first page, and reloads every page before acting on it

	change func(*request) // edits what the browser is about to send; nil: nothing
	pause  func()         // is called at the first page; nil: nothing
}

// ending is how a login ended.
type ending struct {
	params url.Values // of the authorization response; nil: there was none
	at     string     // the redirect_uri where it arrived
	mode   string     // query, fragment or form_post
	reason string     // why there was none
	logins int        // pages that asked for a password
	pages  int        // pages in all
}

func (e ending) String() string {
	if e.params == nil {
		return "no authorization response: " + e.reason
	}
	return e.mode + " " + e.params.Encode()
}

// How buttons and links that say no are labelled, and what type a field has that a name is typed into.
var (
	saysNo = regexp.MustCompile(`(?i)^\W*(deny|cancel|refuse|abort|reject|no)\W*$`)
	isText = regexp.MustCompile(`^(text|email|)$`)
)

// logIn follows a login from its first request to the authorization response.
func (b *browser) logIn(p person, first request) ending {
	b.t.Helper()
	e := ending{}
	next := first
	for range 40 {
		if p.change != nil {
			p.change(&next)
		}
		s := b.send(next)
		if p.reloads && s.page != nil && s.method == http.MethodGet && s.location == "" {
			if e.pages == 0 {
				next = first
				s = b.follow(b.send(next))
			} else {
				s = b.send(next)
			}
		}
		switch {
		case strings.HasPrefix(s.location, "https://app.example/"):
			e.mode, e.at, e.params = responseIn(s.location)
			return e
		case s.location != "" && s.status >= 300 && s.status < 400:
			if !strings.HasPrefix(s.location, b.base+"/") {
				e.reason = "the browser left for " + s.location
				return e
			}
			next = request{method: http.MethodGet, url: s.location, referer: s.referer}
			continue
		case s.page == nil:
			e.reason = fmt.Sprintf("%s %.300s = %d %.300s", s.method, s.url, s.status, s.answer)
			return e
		}
		if at, params := formPost(s.page); params != nil {
			e.mode, e.at, e.params = "form_post", at, params
			return e
		}
		if e.pages++; e.pages == 1 && p.pause != nil {
			p.pause()
		}
		var isLogin bool
		next, isLogin = b.act(p, s.page)
		if isLogin {
			e.logins++
			p.wrongPassword = false
		}
		if next.method == "" {
			e.reason = fmt.Sprintf("nothing to do at %s %.300s = %d %.2000s", s.method, s.url, s.status, s.answer)
			return e
		}
	}
	e.reason = "the login does not end"
	return e
}

// follow follows redirects that stay at the server, ten at most.
func (b *browser) follow(s *step) *step {
	b.t.Helper()
	for range 10 {
		if s.status < 300 || s.status >= 400 || !strings.HasPrefix(s.location, b.base+"/") {
			break
		}
		s = b.send(request{method: http.MethodGet, url: s.location, referer: s.referer})
	}
	return s
}

// act says what the person does on a page.
func (b *browser) act(p person, page *page) (next request, isLogin bool) {
	if p.server.act != nil {
		if next := p.server.act(b, p, page); next.method != "" {
			return next, false
		}
	}
	asIs := func(f field) string { return f.value }
	for _, f := range page.forms {
		if !f.has("password") {
			continue
		}
		return f.submit(page, firstOf(f.buttons), func(f field) string {
			switch {
			case f.kind == "password" && p.wrongPassword:
				return "wrong"
			case f.kind == "password":
				return p.server.userPassword()
			case isText.MatchString(f.kind) && f.value == "":
				return p.server.userName()
			}
			return f.value
		}), true
	}
	if p.deny {
		for _, f := range page.forms {
			for i, button := range f.buttons {
				if saysNo.MatchString(button.label) {
					return f.submit(page, &f.buttons[i], asIs), false
				}
			}
		}
		for _, l := range page.links {
			if saysNo.MatchString(l.text) {
				return request{method: http.MethodGet, url: l.href, referer: page.url}, false
			}
		}
		return request{}, false
	}
	for _, f := range page.forms {
		if f.method == http.MethodPost {
			return f.submit(page, firstOf(f.buttons), asIs), false
		}
	}
	return request{}, false
}

// firstOf returns the first button that does not say no; nil: there is none.
func firstOf(buttons []field) *field {
	for i, button := range buttons {
		if !saysNo.MatchString(button.label) {
			return &buttons[i]
		}
	}
	return nil
}

// responseIn reads an authorization response out of a Location.
func responseIn(location string) (mode, at string, params url.Values) {
	rest, fragment, _ := strings.Cut(location, "#")
	at, query, _ := strings.Cut(rest, "?")
	mode, text := "query", query
	if strings.Contains(fragment, "=") {
		mode, text = "fragment", fragment
	}
	params, err := url.ParseQuery(text)
	if err != nil {
		params = url.Values{"unreadable": {text}}
	}
	return mode, at, params
}

// formPost reads an authorization response out of a page whose form goes to the client.
func formPost(p *page) (at string, params url.Values) {
	for _, f := range p.forms {
		if !strings.HasPrefix(f.action, "https://app.example/") {
			continue
		}
		params = url.Values{}
		for _, field := range f.fields {
			params.Add(field.name, field.value)
		}
		return f.action, params
	}
	return "", nil
}
