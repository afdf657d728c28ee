package faults

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/test/count"
	"pargate/test/redisserver"
)

const (
	browsersEach = 100 // that try to open one request_uri
	atOnce       = 48  // requests
)

// Many browsers try to open each request_uri at once, at three gateways. The authorization server sees one of them, and
// of the three authorization responses that this one then asks for at once, one at each gateway, the client gets one.
func TestOneBrowserOpensARequestURI(t *testing.T) {
	attempts := count.Of(1_000_000)
	up := startJudge(t)
	redis := redisserver.Start(t)
	gateways := startGateways(t, 3, up, "REDIS_URL="+redis.URL())
	began := time.Now()

	c := &contest{t: t, addrs: addresses(gateways), form: learnForm(t, gateways[0].addr), tries: make(chan try, 2*atOnce)}
	invitations := c.invite(attempts / browsersEach)
	var trying sync.WaitGroup
	for range atOnce {
		trying.Go(c.attempt)
	}
	for i := range invitations {
		for b := range browsersEach {
			c.tries <- try{i, b}
		}
	}
	close(c.tries)
	trying.Wait()

	up.wantNoDouble(t)
	want := attempts / browsersEach
	if up.opened() != want || int(c.won.Load()) != want {
		t.Errorf("%d of %d were opened, and %d browsers are at the login", up.opened(), want, c.won.Load())
	}
	if n := int(c.made.Load()); n < attempts {
		t.Errorf("%d of %d attempts were made", n, attempts)
	}
	if n := c.secondResponses.Load(); n > 0 {
		t.Errorf("%d second responses", n)
	}
	if n := c.noResponse.Load(); n > 0 {
		t.Errorf("%d logins ended without a response", n)
	}
	t.Logf("%d attempts at %d request_uris over %d gateways: %d double openings, %d second responses (%d attempts were told to come again; %v)",
		c.made.Load(), want, len(gateways), len(up.doubles), c.secondResponses.Load(), c.again.Load(), time.Since(began).Round(time.Second))
}

// contest is one for each request_uri.
type contest struct {
	t     *testing.T
	addrs []string
	form  cookieForm
	tries chan try

	made, won, again            atomic.Int64
	secondResponses, noResponse atomic.Int64
}

type try struct {
	invitation
	browser int
}

// invite pushes n requests, not much faster than they are opened.
func (c *contest) invite(n int) <-chan invitation {
	ready := make(chan invitation, 16)
	var next atomic.Int64
	var pushing sync.WaitGroup
	for range 4 {
		pushing.Go(func() {
			at := &caller{addr: c.addrs[0]}
			defer at.close()
			for k := next.Add(1); k <= int64(n); k = next.Add(1) {
				if i, ok := c.inviteOne(at, fmt.Sprintf("state-%d", k)); ok {
					ready <- i
				}
			}
		})
	}
	go func() {
		pushing.Wait()
		close(ready)
	}()
	return ready
}

func (c *contest) inviteOne(at *caller, state string) (invitation, bool) {
	for range maxAgain {
		i, ok, err := at.push(state)
		if ok || err != nil {
			if err != nil {
				c.t.Error(err)
			}
			return i, ok
		}
		time.Sleep(againAfter)
	}
	c.t.Error("Redis is never there")
	return invitation{}, false
}

// attempt takes tries, and makes each at the next gateway.
func (c *contest) attempt() {
	at := callers(c.addrs)
	defer closeAll(at)
	for x := range c.tries {
		b := c.form.newBrowser(fmt.Sprint(x.browser))
		for tries := 1; ; tries++ {
			a, err := at[x.browser%len(at)].do(x.openAs(b))
			if err == nil && a.busy() && tries < maxAgain {
				c.again.Add(1)
				time.Sleep(againAfter)
				continue
			}
			c.made.Add(1)
			switch {
			case err == nil && a.atLogin():
				c.won.Add(1)
				c.finish(at, x.invitation, b)
			case err != nil || !a.dead():
				c.t.Errorf("%s by %s: %v %s", x.state, b.name, err, a)
			}
			break
		}
	}
}

// finish asks for the authorization response at every gateway at once.
func (c *contest) finish(at []*caller, i invitation, b browser) {
	request := get("/login/done?id="+i.state, b.name, b.cookieOf(i))
	responses, troubled := 0, false
	for _, one := range at {
		if err := one.send(request); err != nil {
			c.t.Error(err)
			return
		}
	}
	for _, one := range at {
		a, err := one.receive()
		switch {
		case err == nil && a.atClient() && strings.Contains(a.location, "state="+i.state):
			responses++
		case err == nil && a.busy():
			troubled = true
		case err != nil || a.status != 400:
			c.t.Errorf("the response: %v %s", err, a)
		}
	}
	switch {
	case responses > 1:
		c.secondResponses.Add(1)
	case responses == 0 && !troubled: // the one that won may be the one that was withheld
		c.noResponse.Add(1)
	}
}
