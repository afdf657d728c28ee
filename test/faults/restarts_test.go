package faults

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/test/count"
	"pargate/test/redisserver"
)

const (
	restarts          = 50
	requestsPerSecond = 500
	browserComesAfter = 200 // requests, which is less than half a second
)

// Two gateways behind HAProxy are restarted in turn under load, as SIGTERM, SHUTDOWN_DELAY and /readyz are for. HAProxy
// repeats nothing, and neither do the clients: not one request fails.
func TestRollingRestartsAreNotNoticed(t *testing.T) {
	n := count.Of(restarts)
	up := startJudge(t)
	redis := redisserver.Start(t)
	check, delay := time.Second, "2s" // so that a busy machine is not taken for a gateway that has stopped
	if count.Full() {
		check, delay = 200*time.Millisecond, "1s"
	}
	gateways := startGateways(t, 2, up, "REDIS_URL="+redis.URL(), "SHUTDOWN_DELAY="+delay)
	front := startBalancer(t, gateways, check)
	s := &seen{t: t, form: learnForm(t, gateways[0].addr)}
	began := time.Now()
	quit := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() { steadily(quit, requestsPerSecond, front.addr, s.request) })
	end := sync.OnceFunc(func() { close(quit); sending.Wait() })
	defer end()
	within(t, "the load", func() bool { return s.sent.Load() >= requestsPerSecond/10 })
	for i := range n {
		s.restart.Store(int64(i + 1))
		g := i % len(gateways)
		gateways[g].terminate(t)
		front.awaitState(t, g, "DOWN")
		gateways[g].start(t)
		gateways[g].waitReady(t)
		front.awaitState(t, g, "UP")
	}
	end()
	took := time.Since(began)
	if perSecond := float64(s.sent.Load()) / took.Seconds(); perSecond < 0.9*requestsPerSecond && count.Full() {
		t.Errorf("%.0f requests a second: the machine is too slow for this test", perSecond)
	}
	up.wantNoDouble(t)
	t.Logf("%d restarts under %d requests, %.0f a second: %d failed (%v)", n, s.sent.Load(), float64(s.sent.Load())/took.Seconds(), s.failed.Load(), took.Round(time.Second))
}

// seen is what clients and browsers see meanwhile.
type seen struct {
	t       *testing.T
	form    cookieForm
	restart atomic.Int64 // the one that goes on

	sent, failed atomic.Int64
	pushed       sync.Map // the invitations that have no browser yet, by number
}

// request sends one request: a page, a form, a push, or a browser's with what was pushed before.
func (s *seen) request(at *caller, n int, _ time.Time) {
	state := fmt.Sprint("state-", n)
	var a answer
	var err error
	right := false
	switch n % 4 {
	case 0:
		a, err = at.do(get("/page", "someone", ""))
		right = a.status == 200 && string(a.body) == "page"
	case 1:
		a, err = at.do(post("/token", "", "grant_type=refresh_token&refresh_token=x"))
		right = a.status == 200 && string(a.body) == "page"
	case 2:
		a, err = at.do(pushOf(state))
		if right = a.status == 201 && a.requestURI() != ""; right {
			s.pushed.Store(n, invitation{state, a.requestURI()})
		}
	case 3:
		i, ok := s.pushed.LoadAndDelete(n - 1 - browserComesAfter)
		if !ok { // one that has failed, or in the first moments none
			return
		}
		a, err = at.do(i.(invitation).openAs(s.form.newBrowser(state)))
		right = a.atLogin()
	}
	if s.sent.Add(1); err != nil || !right {
		if s.failed.Add(1) < 10 {
			s.t.Errorf("restart %d, request %d: %v %s", s.restart.Load(), n, err, a)
		} else {
			s.t.Fail()
		}
	}
}
