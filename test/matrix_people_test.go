package test

import (
	"slices"
	"testing"
	"time"

	"pargate/proxy"
	"pargate/pushstore"
	"pargate/test/harness"
	"pargate/test/upstream/pattern"
)

func TestEveryLoginBearsWhatPeopleDo(t *testing.T) {
	eachCellInShort(t, func(t *testing.T, c *cell) {
		for what, l := range map[string]*harness.Login{
			"wrong password": {WrongPassword: true},
			"back":           {WrongPassword: true, Back: true},
			"reload":         {Reload: true},
			"reopen":         {Reopen: true},
			"double click":   {DoubleClick: true},
		} {
			a, start := c.pushed(t)
			l.Browser = c.browser()
			if what == "double click" && c.Name == "in-place form" {
				continue // its second answer is a second code, and withheld
			}
			if end := l.From(t, start); end.Code() == "" {
				t.Errorf("%s: no code: %d %v\n%s", what, end.Last.Status, end.Params, l.Trace)
			} else {
				c.wantPushed(t, a, l, end)
			}
		}
	})
}

func TestEveryLoginKnowsItsUsersAgain(t *testing.T) {
	eachCellInShort(t, func(t *testing.T, c *cell) {
		b := c.browser()
		for n, prompt := range []string{"", "", "login", "login"} {
			a, start := c.pushed(t, "prompt", prompt)
			l := &harness.Login{Browser: b}
			c.wantPushed(t, a, l, l.From(t, start))
			asked := slices.ContainsFunc(l.Trace, func(v *harness.Visit) bool { return v.Sends("password") })
			if want := !c.NoPassword && (n == 0 || !c.Session || prompt != "" && c.Login); asked != want {
				t.Errorf("login %d with prompt=%s: a password was asked for: %v\n%s", n+1, prompt, asked, l.Trace)
			}
		}
	})
}

func TestEveryLoginHasTwoTabs(t *testing.T) {
	// Other servers mix them up themselves, or have nothing to wait for.
	canTell := func(p pattern.Pattern, _ way) bool { return !p.Single && !p.NoPassword }
	eachCellOf(t, canTell, func(t *testing.T, c *cell) {
		b := c.browser()
		a, start := c.pushed(t)
		one, two := &harness.Login{Browser: b}, &harness.Login{Browser: b}
		one.Open(start)
		one.ToPage(t)
		second, start := c.pushed(t)
		c.wantPushed(t, second, two, two.From(t, start))
		c.wantPushed(t, a, one, one.Finish(t))
	})
}

func TestTheWayBackToTheConnectorsLeadsToThePushedRequest(t *testing.T) {
	only := func(p pattern.Pattern, _ way) bool { return p.Name == "connector page" }
	eachCellOf(t, only, func(t *testing.T, c *cell) {
		a, start := c.pushed(t)
		l := &harness.Login{Browser: c.browser(), Detour: true}
		end := l.From(t, start)
		believed, ok := c.Believed(end.Code())
		differences := a.Differences(believed)
		if !ok || len(differences) > 0 && !slices.Equal(differences, []string{`prompt is there, "select_account"`}) {
			t.Errorf("%v\n%s", differences, l.Trace)
		}
		c.wantResponse(t, a, l, end)
	})
}

func TestALoginMayTakeLongerThanARequestMayWait(t *testing.T) {
	t.Parallel()
	for _, p := range pattern.All() {
		for _, w := range []way{{false, true, "memory"}, {true, true, "memory"}} {
			if p.NoPassword || w.post && !p.POST {
				continue
			}
			t.Run(p.Name+" "+w.String(), func(t *testing.T) {
				t.Parallel()
				clock := newClock()
				store := pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: 30 * time.Minute, Now: clock.Now})
				c := newCell(t, p, w, store, func(o *proxy.Options) { o.Now = clock.Now })
				_, lateStart := c.pushed(t)
				a, start := c.pushed(t)
				l := &harness.Login{Browser: c.browser()}
				l.Open(start)
				l.ToPage(t)
				clock.advance(20 * time.Minute)
				c.wantPushed(t, a, l, l.Finish(t))
				c.wantRefused(t, "a request that nobody has opened", c.browser(), lateStart)

				_, lateStart = c.pushed(t)
				l = &harness.Login{Browser: c.browser()}
				l.Open(lateStart)
				l.ToPage(t)
				clock.advance(31 * time.Minute)
				if end := l.Finish(t); end.Code() != "" {
					t.Errorf("a flow that has ended gives a code\n%s", l.Trace)
				}
				c.wantRefused(t, "a flow that has ended", l.Browser, lateStart)
			})
		}
	}
}
