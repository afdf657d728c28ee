//go:build compat

package compat

import (
	"net/http"
	"strings"
	"testing"

	"pargate/proxy"
)

// TestBehindPargate tries everything that the table tells, at every server.
func TestBehindPargate(t *testing.T) {
	for _, s := range servers() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.need(t)
			here := s.behindPargate(t, nil)
			for _, c := range columns {
				t.Run(c.name, func(t *testing.T) {
					written.set(s.name, c.name, c.try(here, t))
				})
			}
		})
	}
}

// TestByPOST tries the servers whose authorization endpoint takes a form with UPSTREAM_AUTHORIZE_METHOD=POST.
func TestByPOST(t *testing.T) {
	for _, s := range servers() {
		if !s.takesPOST {
			written.set(s.name, byPOST, "")
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.need(t)
			here := s.behindPargate(t, func(o *proxy.Options) { o.AuthorizeByPOST = true })
			t.Run("login", func(t *testing.T) {
				a := here.ask()
				b := newBrowser(t, here.public)
				here.wantCode(t, b.logIn(person{server: s, reloads: true}, here.begin(t, a)), a)
				here.wantUnseen(t, b.saw(a))
			})
			t.Run("changed", func(t *testing.T) { here.changed(t) })
			written.set(s.name, byPOST, ok)
		})
	}
}

// column is something that is tried at every server, and returns what is to stand in the table.
type column struct {
	name string
	try  func(*site, *testing.T) string
}

var columns = []column{
	{"Login", (*site).login},
	{"Deny", (*site).deny},
	{"Wrong password", (*site).wrongPassword},
	{"Second login", (*site).secondLogin},
	{"Reload", (*site).reload},
	{"Other browser", (*site).otherBrowser},
	{"Used again", (*site).usedAgain},
	{"Not pushed", (*site).notPushed},
	{"form_post", (*site).formPostMode},
	{"fragment", (*site).fragmentMode},
	{"Changed", (*site).changed},
}

const ok = "ok"

func (s *site) login(t *testing.T) string {
	a := s.ask()
	b := newBrowser(t, s.public)
	e := b.logIn(person{server: s.server}, s.begin(t, a))
	s.wantCode(t, e, a)
	seen := b.saw(a)
	s.wantUnseen(t, seen)
	written.set(s.name, sizeColumn, kilobytes(len(a.form.Encode())))
	written.set(s.name, inHiddenField, strings.Join(seen.names(inHiddenField), ", "))
	written.set(s.name, inText, strings.Join(seen.names(inText), ", "))
	return ok
}

func (s *site) deny(t *testing.T) string {
	if s.noDeny != "" {
		return "–"
	}
	a := s.ask()
	e := newBrowser(t, s.public).logIn(person{server: s.server, deny: true}, s.begin(t, a))
	s.wantResponse(t, e, a)
	if e.params.Get("error") == "" || e.params.Has("code") {
		t.Fatal(e)
	}
	return "`" + e.params.Get("error") + "`"
}

func (s *site) wrongPassword(t *testing.T) string {
	if s.noWrong != "" {
		return "–"
	}
	a := s.ask()
	e := newBrowser(t, s.public).logIn(person{server: s.server, wrongPassword: true}, s.begin(t, a))
	s.wantCode(t, e, a)
	if e.logins == 1 {
		t.Errorf("%d login pages", e.logins)
	}
	return ok
}

func (s *site) secondLogin(t *testing.T) string {
	b := newBrowser(t, s.public)
	a := s.ask()
	s.wantCode(t, b.logIn(person{server: s.server}, s.begin(t, a)), a)
	a = s.ask()
	b.steps = nil
	e := b.logIn(person{server: s.server}, s.begin(t, a))
	s.wantCode(t, e, a)
	switch {
	case e.logins > 0:
		return "logs in again"
	case e.pages > 0:
		return "consent"
	}
	return "no page"
}

func (s *site) reload(t *testing.T) string {
	a := s.ask()
	e := newBrowser(t, s.public).logIn(person{server: s.server, reloads: true}, s.begin(t, a))
	s.wantCode(t, e, a)
	return ok
}

func (s *site) otherBrowser(t *testing.T) string {
	a := s.ask()
	first := s.begin(t, a)
	paused := false
	e := newBrowser(t, s.public).logIn(person{server: s.server, pause: func() {
		paused = true
		other := newBrowser(t, s.public)
		wantRefusal(t, "another browser", other.follow(other.send(first)))
	}}, first)
	s.wantCode(t, e, a)
	if !paused {
		t.Error("there was no page")
	}
	return "refused"
}

func (s *site) usedAgain(t *testing.T) string {
	a := s.ask()
	first := s.begin(t, a)
	b := newBrowser(t, s.public)
	e := b.logIn(person{server: s.server}, first)
	wantRefusal(t, "the same browser", b.follow(b.send(first)))
	other := newBrowser(t, s.public)
	wantRefusal(t, "another browser", other.follow(other.send(first)))
	s.wantCode(t, e, a)
	return "refused"
}

func (s *site) notPushed(t *testing.T) string {
	a := s.ask()
	loggedIn := newBrowser(t, s.public)
	s.wantCode(t, loggedIn.logIn(person{server: s.server}, s.begin(t, a)), a)
	query := s.ask().form.Encode()
	for name, b := range map[string]*browser{"a new browser": newBrowser(t, s.public), "a browser that is logged in": loggedIn} {
		wantRefusal(t, name, b.follow(b.send(request{method: http.MethodGet, url: s.public + s.authorize + "?" + query})))
		wantRefusal(t, name+", by POST", b.follow(b.send(request{method: http.MethodPost, url: s.public + s.authorize, body: query})))
	}
	return "refused"
}

func (s *site) formPostMode(t *testing.T) string { return s.responseMode(t, "form_post", s.formPost) }

func (s *site) fragmentMode(t *testing.T) string { return s.responseMode(t, "fragment", s.fragment) }

func (s *site) responseMode(t *testing.T, mode string, supported bool) string {
	a := s.ask().with("response_mode", mode)
	if s.escapesState {
		a = a.with("state", a.canaries["state"])
	}
	e := newBrowser(t, s.public).logIn(person{server: s.server}, s.begin(t, a))
	s.wantCode(t, e, a)
	if (e.mode == mode) != supported {
		t.Errorf("the response came in the %s", e.mode)
	}
	if !supported {
		return "ignored"
	}
	return ok
}
