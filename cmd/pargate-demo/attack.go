package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// attack is something that somebody might try, on servers of its own.
type attack struct {
	Key, Name string
	Does      string // what the button does
	Native    string // what a server with PAR of its own is expected to do
	at        []string
	lifetime  time.Duration // of a request_uri; zero means 60 s
	optional  bool          // at a gateway that does not require PAR
	run       func(*trial) error
}

// trial is one try.
type trial struct {
	*result
	ctx     context.Context
	demo    *demo
	browser *browser
	other   *browser // somebody else's
	parts   []part   // of the film, that matter
}

// part is a part of a film: the arrows after one, up to another.
type part struct {
	after, upTo int // upTo zero: to the end
}

// result is what came of it.
type result struct {
	Attack  *attack
	Server  string
	Checks  []check
	Events  []event
	Problem string // why it could not be tried; empty: it was
}

// check is what was expected and what was seen.
type check struct {
	What, Expected, Seen string
	OK                   bool
}

// OK reports whether all went as a native server would have it.
func (r *result) OK() bool {
	for _, c := range r.Checks {
		if !c.OK {
			return false
		}
	}
	return r.Problem == "" && len(r.Checks) > 0
}

// attackNamed returns the attack with the key; nil when there is none.
func attackNamed(key string) *attack {
	for _, a := range attacks {
		if a.Key == key {
			return a
		}
	}
	return nil
}

// try makes servers as s has them, or of the first kind that the attack wants, and attacks.
func (a *attack) try(ctx context.Context, s setup) *result {
	wanted := len(a.at) == 0
	for _, key := range a.at {
		wanted = wanted || key == s.server.Key
	}
	if !wanted {
		s.server = serverNamed(a.at[0])
	}
	s.lifetime, s.optional, s.whole, s.page = a.lifetime, s.optional || a.optional, true, ""
	s.log = io.Discard // being refused is logged, and expected
	t := &trial{result: &result{Attack: a, Server: s.server.Name}, ctx: ctx}
	d, err := start(ctx, s)
	if err != nil {
		t.Problem = err.Error()
		return t.result
	}
	defer d.close()
	transport := newTransport()
	defer transport.CloseIdleConnections()
	t.demo, t.browser, t.other = d, newBrowser(transport, d), newBrowser(transport, d)
	if err := a.run(t); err != nil {
		t.Problem = err.Error()
	}
	if !d.legacy.hasAll() {
		t.Problem = "there were more requests than the taps keep"
	}
	for _, e := range d.film.all() {
		if t.matters(e) {
			e.Of = a.Key
			t.Events = append(t.Events, e)
		}
	}
	return t.result
}

func (t *trial) matters(e event) bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return e.ID > p.after && (p.upTo == 0 || e.ID <= p.upTo) })
}

// begins lets the client push, and returns where it sends the browser.
func (t *trial) begins() (string, error) {
	x, err := t.browser.load(t.ctx, move{address: t.demo.begins()})
	if err != nil {
		return "", err
	}
	to := x.location()
	if to == nil {
		return "", fmt.Errorf("the client has not pushed: %d", x.status)
	}
	return to.String(), nil
}

// opensUntil goes to the page at which stop returns true.
func (t *trial) opensUntil(address string, stop func(*pageForm) bool) (exchange, *pageForm, error) {
	x, err := t.browser.walk(t.ctx, move{address: address}, func(x exchange) bool {
		f := t.browser.formOn(x)
		return f != nil && stop(f)
	})
	if err != nil {
		return x, nil, err
	}
	f := t.browser.formOn(x)
	if f == nil || !stop(f) {
		return x, nil, fmt.Errorf("the page did not come up: %d %s", x.status, title(x))
	}
	return x, f, nil
}

func asksForPassword(f *pageForm) bool { return f.login }

// now says that what comes is what matters, until meanwhile is called.
func (t *trial) now() { t.parts = append(t.parts, part{after: len(t.demo.film.all())}) }

// meanwhile says that what comes only has to happen.
func (t *trial) meanwhile() { t.parts[len(t.parts)-1].upTo = len(t.demo.film.all()) }

// kept counts what the store was given to keep, and has kept.
func (t *trial) kept() (n int) {
	for _, e := range t.demo.film.all() {
		if e.keeps {
			n++
		}
	}
	return n
}

// checks adds one.
func (t *trial) checks(what string, ok bool, expected, seen string) {
	t.Checks = append(t.Checks, check{what, orNothing(expected), orNothing(clip(seen, 200)), ok})
}

func (t *trial) same(what, expected, seen string) {
	t.checks(what, expected == seen, expected, seen)
}

// comesUp checks that a login page has come up.
func (t *trial) comesUp(what string, page exchange, err error) bool {
	if err != nil {
		t.checks(what, false, "the login page", err.Error())
	} else {
		t.checks(what, true, "the login page", "the login page, “"+title(page)+"”")
	}
	return err == nil
}

// isRefused lets a browser open an address, and checks that pargate refuses and the server does not hear of it.
func (t *trial) isRefused(what string, b *browser, address string) error {
	before := t.heard()
	x, err := b.visit(t.ctx, address)
	if err != nil {
		return err
	}
	t.refuses(what, x)
	t.checks("Requests that the server got", t.heard() == before, "0", fmt.Sprint(t.heard()-before))
	return nil
}

// refuses checks that it is pargate that has said no, with 400.
func (t *trial) refuses(what string, x exchange) {
	pargates := x.url.Host == t.demo.gatewaySite.url.Host
	seen := fmt.Sprintf("%d “%s”", x.status, title(x))
	if !pargates {
		seen += ", not pargate's"
	}
	t.checks(what, pargates && x.status == http.StatusBadRequest, "400", seen)
}

// heard counts what the server was asked, but for its metadata.
func (t *trial) heard() int {
	return len(t.demo.legacy.all(func(x exchange) bool { return !strings.HasPrefix(x.url.Path, "/.well-known/") }))
}

// signsIn goes on from a move to the client.
func (t *trial) signsIn(what string, next move) (exchange, error) {
	x, err := t.browser.walk(t.ctx, next, nil)
	if err != nil {
		return x, err
	}
	seen := fmt.Sprintf("%d “%s”", x.status, title(x))
	if t.browser.signedIn(x) {
		seen = "signed in"
	}
	t.same(what, "signed in", seen)
	return x, nil
}

// asked is what the server's authorization endpoint was asked, the first time.
func (t *trial) asked() params {
	for _, x := range t.demo.legacy.all(to(http.MethodGet, t.demo.authorizes)) {
		list, err := parse(x.url.RawQuery)
		if err == nil {
			return list
		}
	}
	return nil
}

// scope is what the client has pushed.
func (t *trial) scope() string { return strings.Join(t.demo.client.oauth.Scopes, " ") }
