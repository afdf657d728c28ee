package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pargate/test/harness"
)

// stride says how many of the tamperings are tried in a cell: one in so many. Each pattern is seen with all of them,
// for each method, where PAR is required and the store is memory.
func stride(w way) int {
	if w.required && w.store == "memory" {
		return 1
	}
	return 5
}

func TestTamperingGivesNoCodeForAnotherRequest(t *testing.T) {
	eachCell(t, func(t *testing.T, c *cell) {
		hops := c.honestHops(t)
		var tried, codes, wrong int
		for i, m := range tamperings(harness.NewAuthorizationRequest(c.uri)) {
			if i%stride(c.way) != 0 || m.how == "rewrite" && !c.required {
				continue // who need not push may as well write a new request
			}
			// At every hop of one login, and at a single hop of another.
			for _, only := range []int{-1, i / stride(c.way) % hops} {
				applied, got, found := c.tamper(t, m, only)
				if !applied {
					continue
				}
				tried++
				if got {
					codes++
				}
				if found != "" {
					if wrong++; wrong <= 3 {
						t.Errorf("%s, at hop %d (-1: all): %s", m, only, found)
					}
				}
			}
		}
		if wrong > 3 {
			t.Errorf("%d more like these", wrong-3)
		}
		t.Logf("%d logins were tampered with; %d ended with a code, %d of them for another request", tried, codes, wrong)
	})
}

// honestHops counts the requests of a login that nobody tampers with.
func (c *cell) honestHops(t *testing.T) int {
	t.Helper()
	a, start := c.pushed(t)
	l := &harness.Login{Browser: c.browser()}
	if end := l.From(t, start); end.Code() == "" {
		t.Fatalf("no code for %s: %d %v\n%s", a.Get("client_id"), end.Last.Status, end.Params, l.Trace)
	}
	return len(l.Trace)
}

// tamper goes through a login and does m at the hop, or at every one. It reports whether there was something to be
// done, whether a code came, and what is wrong with that.
func (c *cell) tamper(t *testing.T, m tampering, only int) (applied, got bool, wrong string) {
	t.Helper()
	a, start := c.pushed(t)
	m.whole = a.Params
	l := &harness.Login{Browser: c.browser(), Insist: true}
	l.Tamper = func(step *harness.Step) {
		if only >= 0 && step.Index != only || !c.required && !stepCarriesReference(step) {
			return
		}
		applied = m.apply(step) || applied
	}
	end := l.From(t, start)
	if end.Code() == "" {
		return applied, false, ""
	}
	believed, _ := c.Believed(end.Code())
	differences := slices.DeleteFunc(a.Differences(believed), func(d string) bool {
		return strings.HasPrefix(d, "scope is ") && isLess(believed["scope"], a.Get("scope"))
	})
	if len(differences) > 0 || !strings.HasPrefix(end.URI, a.Get("redirect_uri")) {
		wrong = fmt.Sprintf("a code at %s for another request: %v\n%s", end.URI, differences, l.Trace)
	}
	return applied, true, wrong
}

// isLess reports whether a scope is part of another and keeps openid.
func isLess(scope, pushed string) bool {
	parts, all := strings.Fields(scope), strings.Fields(pushed)
	return slices.Contains(parts, "openid") && !slices.ContainsFunc(parts, func(part string) bool { return !slices.Contains(all, part) })
}

func stepCarriesReference(step *harness.Step) bool {
	return carriesReference(step.URL) || carriesReference(step.Form.Encode())
}
