//go:build compat

package compat

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// An edit changes parameters of a request on its way.
type edit struct {
	name  string
	pairs [][2]string // an empty value takes the parameter away
}

// edits returns what somebody at the browser would like to change of a request.
func edits(a authorization) []edit {
	challenge := challengeOf("another-verifier-that-the-client-does-not-know-of")
	whole := [][2]string{{"request_uri", ""}}
	for name, values := range a.form {
		whole = append(whole, [2]string{name, values[0]})
	}
	return []edit{
		{"all of it, with other values", append(whole, [2]string{"nonce", "another"}, [2]string{"code_challenge", challenge})},
		{"other values", [][2]string{{"nonce", "another"}, {"code_challenge", challenge}}},
		{"another address", [][2]string{{"nonce", "another"}, {"code_challenge", challenge}, {"redirect_uri", otherURI}, {"state", "another"}}},
		{"without", [][2]string{{"nonce", ""}, {"code_challenge", ""}, {"code_challenge_method", ""}}},
	}
}

// apply edits a query or a form.
func (c edit) apply(text string) string {
	pairs := strings.Split(text, "&")
	for _, pair := range c.pairs {
		name, value := pair[0], pair[1]
		kept := pairs[:0]
		for _, p := range pairs {
			if n, _, _ := strings.Cut(p, "="); n != name && p != "" {
				kept = append(kept, p)
			}
		}
		if pairs = kept; value != "" {
			pairs = append(pairs, name+"="+url.QueryEscape(value))
		}
	}
	return strings.Join(pairs, "&")
}

// applyNested edits addresses that are values of a query or a form.
func (c edit) applyNested(text string) string {
	pairs := strings.Split(text, "&")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		decoded, err := url.QueryUnescape(value)
		if err != nil {
			continue
		}
		if address, query, found := strings.Cut(decoded, "?"); found && strings.Contains(query, "client_id=") {
			pairs[i] = name + "=" + url.QueryEscape(address+"?"+c.apply(query))
		}
	}
	return strings.Join(pairs, "&")
}

// places are where a request can be edited; each reports whether there was something to edit.
func (s *site) places() map[string]func(edit, *request) bool {
	return map[string]func(edit, *request) bool{
		"URL": func(c edit, r *request) bool {
			address, query, _ := strings.Cut(r.url, "?")
			if !strings.HasPrefix(address, s.public+s.authorize) && !strings.Contains(query, "client_id=") {
				return false
			}
			r.url = address + "?" + c.apply(query)
			return true
		},
		"form": func(c edit, r *request) bool {
			if r.method != http.MethodPost || r.script {
				return false
			}
			r.body = c.apply(r.body)
			return true
		},
		"nested": func(c edit, r *request) bool {
			address, query, _ := strings.Cut(r.url, "?")
			before := *r
			r.url = address + "?" + c.applyNested(query)
			if r.method == http.MethodPost && !r.script {
				r.body = c.applyNested(r.body)
			}
			if strings.TrimSuffix(r.url, "?") == before.url {
				r.url = before.url
			}
			return r.url != before.url || r.body != before.body
		},
	}
}

// changed tries every change behind the gateway: the client gets nothing, or what it pushed.
func (s *site) changed(t *testing.T) string {
	tried, obeyed := s.tryChanges(t)
	for _, what := range obeyed {
		t.Error(what)
	}
	if tried < 8 {
		t.Errorf("only %d logins were changed", tried)
	}
	return fmt.Sprintf("%d of %d", len(obeyed), tried)
}

// tryChanges changes one request of a login, each in turn, at each place, and says after which the client got
// something else than what it had asked for.
func (s *site) tryChanges(t *testing.T) (tried int, obeyed []string) {
	for place, apply := range s.places() {
		for i := range edits(authorization{}) {
			for turn := 0; ; turn++ {
				a := s.ask()
				c, seen, edited := edits(a)[i], 0, ""
				e := newBrowser(t, s.public).logIn(person{server: s.server, change: func(r *request) {
					after := *r
					if !apply(c, &after) {
						return
					}
					if seen == turn {
						edited = fmt.Sprintf("%s %.200s %.200s", after.method, after.url, after.body)
						*r = after
					}
					seen++
				}}, s.begin(t, a))
				if edited == "" {
					break
				}
				if tried++; s.obeyed(t, e, a) {
					obeyed = append(obeyed, fmt.Sprintf("%s in the %s: %s\nended in %s", c.name, place, edited, e))
				}
			}
		}
	}
	return tried, obeyed
}

// obeyed reports whether the client gets anything else than what it pushed.
func (s *site) obeyed(t *testing.T, e ending, a authorization) bool {
	switch {
	case e.params == nil:
		return false
	case e.at != redirectURI, e.params.Get("state") != a.form.Get("state"):
		return true
	case !e.params.Has("code"):
		return false
	}
	status, got := s.redeem(t, s.public, e.params.Get("code"), a.verifier)
	nonce := got.Nonce
	if s.idToken && status == http.StatusOK {
		nonce, _ = claimsOf(t, got.IDToken)["nonce"].(string)
	}
	return status != http.StatusOK || (s.idToken || nonce != "") && nonce != a.form.Get("nonce")
}
