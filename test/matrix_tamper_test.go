package test

import (
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"testing"

	"pargate/test/harness"
)

// isTried reports whether a cell is to see the i-th of the tamperings. It sees those that would be worst, and of the
// others one in so many, which are not the same ones in every cell; all of them when MATRIX=full is in the environment.
func (c *cell) isTried(m tampering, i int) bool {
	stride := 9
	if !c.required || c.store == "redis" {
		stride = 47
	} else if (m.name == "nonce" || m.name == "code_challenge") && (m.how == "change" || m.how == "remove") {
		return true
	}
	hash := fnv.New32()
	io.WriteString(hash, c.Name+c.way.String())
	return full() || (i+int(hash.Sum32()%47))%stride == 0
}

func TestTamperingGivesNoCodeForAnotherRequest(t *testing.T) {
	eachCell(t, func(t *testing.T, c *cell) {
		var tried, codes, wrong int
		try := func(m tampering, only int) (hops []int) {
			hops, code, found := c.tamper(t, m, only)
			if len(hops) == 0 {
				return nil
			}
			tried++
			if code {
				codes++
			}
			if found != "" {
				if wrong++; wrong <= 3 {
					t.Errorf("%s, at hops %v: %s", m, hops, found)
				}
			}
			return hops
		}
		for i, m := range tamperings(harness.NewAuthorizationRequest(c.uri)) {
			if !c.isTried(m, i) || m.how == "rewrite" && !c.required {
				continue // who need not push may as well write a new request
			}
			// At every hop of one login, and at a single hop of another.
			if hops := try(m, -1); len(hops) > 1 {
				try(m, hops[i%len(hops)])
			}
		}
		if wrong > 3 {
			t.Errorf("%d more like these", wrong-3)
		}
		t.Logf("%d logins were tampered with; %d ended with a code, %d of them for another request", tried, codes, wrong)
	})
}

// tamper goes through a login and does m at the only hop, or at every one that it can be done at when that is negative.
// It returns where it was done, whether a code came, and what is wrong with that.
func (c *cell) tamper(t *testing.T, m tampering, only int) (hops []int, code bool, wrong string) {
	t.Helper()
	a, start := c.pushed(t)
	m.whole = a.Params
	l := &harness.Login{Browser: c.browser(), Insist: true}
	hop := -1 // counts what is sent but for the second attempts
	l.Tamper = func(step *harness.Step) {
		hop++
		if only >= 0 && hop != only || !c.required && !carriesReference(step) {
			return
		}
		if m.apply(step) {
			hops = append(hops, hop)
		}
	}
	end := l.From(t, start)
	if end.Code() == "" {
		return hops, false, ""
	}
	believed, _ := c.Believed(end.Code())
	differences := slices.DeleteFunc(a.Differences(believed), func(d string) bool {
		return strings.HasPrefix(d, "scope is ") && isLess(believed["scope"], a.Get("scope"))
	})
	if len(differences) > 0 || !strings.HasPrefix(end.URI, a.Get("redirect_uri")) {
		wrong = fmt.Sprintf("a code at %.50s for another request: %v\n%s", end.URI, differences, l.Trace)
	}
	return hops, true, wrong
}

// isLess reports whether a scope is part of another and keeps openid.
func isLess(scope, pushed string) bool {
	parts, all := strings.Fields(scope), strings.Fields(pushed)
	return slices.Contains(parts, "openid") && !slices.ContainsFunc(parts, func(part string) bool { return !slices.Contains(all, part) })
}

// carriesReference reports whether a request has a reference of the gateway's in it, at whatever depth.
func carriesReference(step *harness.Step) bool {
	text := step.URL + step.Form.Encode()
	return strings.Contains(text, "request_uri") || strings.Contains(text, "pargate_ticket")
}
