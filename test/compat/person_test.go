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
	reloads       bool // reloads every page before acting on it

	// change edits the requests of the browser on their way; nil: none.
	change func(*request)
	// onPage is called for every page; nil: nothing.
	onPage func(*page)
}

// ending is how a login ended.
type ending struct {
	params url.Values // of the authorization response; nil: there was none
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

var (
	saysNo  = regexp.MustCompile(`(?i)^\W*(deny|cancel|refuse|abort|reject|no)\W*$`)
	isForms = regexp.MustCompile(`^(text|email|)$`)
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
		if s.page != nil && p.reloads && s.method == http.MethodGet && s.location == "" {
			s = b.send(next)
		}
		switch {
		case strings.HasPrefix(s.location, redirectURI), strings.HasPrefix(s.location, otherURI):
			e.mode, e.params = responseIn(s.location)
			return e
		case s.location != "" && s.status >= 300 && s.status < 400:
			if !strings.HasPrefix(s.location, b.base+"/") {
				e.reason = "the browser left for " + s.location
				return e
			}
			next = request{method: http.MethodGet, url: s.location, referer: s.referer}
			continue
		case s.page == nil:
			e.reason = fmt.Sprintf("%s %s = %d %.300s", s.method, s.url, s.status, s.answer)
			return e
		}
		e.pages++
		if p.onPage != nil {
			p.onPage(s.page)
		}
		if params := formPost(s.page); params != nil {
			e.pages--
			e.mode, e.params = "form_post", params
			return e
		}
		var isLogin bool
		next, isLogin = b.act(p, s.page)
		if isLogin {
			e.logins++
			p.wrongPassword = false
		}
		if next.method == "" {
			e.reason = fmt.Sprintf("nothing to do at %s %s = %d %.2000s", s.method, s.url, s.status, s.answer)
			return e
		}
	}
	e.reason = "the login does not end"
	return e
}

// act says what the person does on a page.
func (b *browser) act(p person, page *page) (next request, isLogin bool) {
	if p.server.act != nil {
		if next := p.server.act(b, p, page); next.method != "" {
			return next, true
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
			case isForms.MatchString(f.kind) && f.value == "":
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

func firstOf(buttons []field) *field {
	for i, button := range buttons {
		if !saysNo.MatchString(button.label) {
			return &buttons[i]
		}
	}
	return nil
}

// responseIn reads an authorization response out of a Location.
func responseIn(location string) (mode string, params url.Values) {
	rest, fragment, _ := strings.Cut(location, "#")
	_, query, _ := strings.Cut(rest, "?")
	mode, text := "query", query
	if strings.Contains(fragment, "=") {
		mode, text = "fragment", fragment
	}
	params, err := url.ParseQuery(text)
	if err != nil {
		params = url.Values{"unreadable": {text}}
	}
	return mode, params
}

// formPost reads an authorization response out of a page whose form goes to the client.
func formPost(p *page) url.Values {
	for _, f := range p.forms {
		if f.action != redirectURI && f.action != otherURI {
			continue
		}
		params := url.Values{}
		for _, field := range f.fields {
			params.Add(field.name, field.value)
		}
		return params
	}
	return nil
}
