package faults

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/test/count"
	"pargate/test/harness"
	"pargate/test/redisserver"
)

const (
	downFor      = 10_000          // milliseconds
	recovery     = 2 * time.Second // until pushes are stored again
	watched      = 2 * time.Second // after Redis is back
	storm        = 1.1             // commands for one push or reference
	poolSize     = 32              // connections of one gateway
	downGateways = 2
	downRate     = 150 // requests a second at each
)

// Redis is gone for ten seconds under load. Nothing that was not pushed passes meanwhile, pages do, and pushes and
// references are told to come again. When it is back they are served again at once, and Redis gets no more commands than
// there are requests.
func TestARedisThatIsGoneLetsNothingPast(t *testing.T) {
	up := startJudge(t)
	redis := redisserver.Start(t)
	gateways := startGateways(t, downGateways, up, "REDIS_URL="+redis.URL())
	o := &outage{t: t, form: learnForm(t, gateways[0].addr)}
	quit := make(chan struct{})
	var sending sync.WaitGroup
	for _, g := range gateways {
		sending.Go(func() { steadily(quit, downRate, g.addr, o.request) })
	}
	end := sync.OnceFunc(func() { close(quit); sending.Wait() })
	defer end()

	within(t, "pushes", func() bool { return o.stored.Load() >= 20 })
	o.phase.Store(wellOrNot) // those in flight may be either
	redis.Stop()
	o.phase.Store(goneNow)
	gone := time.Now()
	time.Sleep(time.Duration(count.Of(downFor)) * time.Millisecond)
	o.phase.Store(wellOrNot)
	askedBefore, claimedBefore := o.asked(), o.claimed.Load()
	if err := redis.Start(); err != nil {
		t.Fatal(err)
	}
	back, wasGone := time.Now(), time.Since(gone)
	time.Sleep(time.Until(back.Add(watched)))
	commands, connections := stats(t, redis)
	commands -= o.claimed.Load() - claimedBefore // a script that claims runs a SET of its own
	asked := o.asked() - askedBefore
	o.phase.Store(wellNow)
	within(t, "pushes when all is well", func() bool { return o.storedWell.Load() >= 50 })
	end()

	up.wantNoDouble(t)
	if o.unpushed.Load() == 0 || o.refused.Load() == 0 || o.pages.Load() == 0 {
		t.Errorf("there was no load: %d un-pushed requests, %d pushes refused, %d pages", o.unpushed.Load(), o.refused.Load(), o.pages.Load())
	}
	took := o.untilWell(back)
	t.Logf("Redis was gone for %v: %d un-pushed requests, 0 passed; %d pushes and references were told to come again; the last %v after it was back; in the %v since then %d pushes and references made %d commands on %d connections",
		wasGone.Round(time.Millisecond), o.unpushed.Load(), o.refused.Load(), took.Round(time.Millisecond), watched, asked, commands, connections)
	if count.Full() && took > recovery {
		t.Errorf("pushes are still refused %v after Redis is back", took)
	}
	// Those who were waiting when it came back come on top, as many as have a connection.
	if limit := int64(storm*float64(asked)) + downGateways*poolSize; commands > limit {
		t.Errorf("%d commands for %d pushes and references", commands, asked)
	}
	if connections > 4*downGateways*poolSize {
		t.Errorf("%d connections", connections)
	}
}

// What Redis is at the time.
const (
	wellNow = iota
	goneNow
	wellOrNot
)

// outage is what clients and browsers see meanwhile.
type outage struct {
	t     *testing.T
	form  cookieForm
	phase atomic.Int64

	pages, unpushed, pushes, references, claimed, stored, storedWell, refused atomic.Int64

	mu   sync.Mutex
	last time.Time // when a push was refused last
	ref  invitation
}

// asked is how many requests need Redis.
func (o *outage) asked() int64 { return o.pushes.Load() + o.references.Load() }

// request sends one request: a page, an authorization request that nobody has pushed, a push, or one by reference.
func (o *outage) request(at *caller, n int, _ time.Time) {
	phase := o.phase.Load()
	switch n % 4 {
	case 0:
		if a, err := at.do(get("/page", "someone", "")); err != nil || a.status != 200 {
			o.t.Errorf("a page: %v %s", err, a)
		}
		o.pages.Add(1)
	case 1:
		o.sendUnpushed(at, n)
	case 2:
		o.push(at, fmt.Sprint(at.addr, "-", n), phase)
	case 3:
		o.open(at, n, phase)
	}
}

// sendUnpushed sends what must never pass, whatever Redis is.
func (o *outage) sendUnpushed(at *caller, n int) {
	form := harness.Form("state", fmt.Sprint(unpushedState, n)).Encode()
	request := get("/authorize?"+form, "someone", "")
	if n%8 == 1 {
		request = post("/authorize", "", form)
	}
	a, err := at.do(request)
	if err != nil || a.status != 400 && !a.busy() {
		o.t.Errorf("a request that nobody has pushed: %v %s", err, a)
	}
	o.unpushed.Add(1)
}

func (o *outage) push(at *caller, state string, phase int64) {
	o.pushes.Add(1)
	i, ok, err := at.push(state)
	switch {
	case err != nil:
		o.t.Errorf("a push: %v", err)
	case !ok:
		o.refused.Add(1)
		o.mu.Lock()
		o.last = time.Now()
		o.mu.Unlock()
		if phase == wellNow && count.Full() {
			o.t.Error("a push is refused by a Redis that is well")
		}
	default:
		o.stored.Add(1)
		if phase == wellNow {
			o.storedWell.Add(1)
		}
		o.mu.Lock()
		o.ref = i
		o.mu.Unlock()
	}
}

// open opens what was pushed last. A Redis that has come back is empty, so that it may be unknown then.
func (o *outage) open(at *caller, n int, phase int64) {
	o.mu.Lock()
	i := o.ref
	o.ref = invitation{}
	o.mu.Unlock()
	if i.state == "" {
		i = invitation{"unknown", "urn:ietf:params:oauth:request_uri:" + strings.Repeat("A", 43)}
	}
	o.references.Add(1)
	a, err := at.do(i.openAs(o.form.newBrowser(fmt.Sprint(n))))
	switch {
	case err == nil && a.atLogin():
		o.claimed.Add(1)
	case err == nil && a.busy():
		o.refused.Add(1)
	case err != nil || !a.dead() || phase == goneNow && o.phase.Load() == goneNow:
		o.t.Errorf("a reference: %v %s", err, a)
	}
}

// untilWell is how long after since pushes were still refused.
func (o *outage) untilWell(since time.Time) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return max(0, o.last.Sub(since))
}

// stats are how many commands of pushes and references Redis has been sent since it has started, and how many connections
// it has got.
func stats(t *testing.T, s *redisserver.Server) (commands, connections int64) {
	t.Helper()
	c := s.Client(t)
	defer c.Close()
	for _, section := range []string{"commandstats", "stats"} {
		for line := range strings.Lines(c.Info(context.Background(), section).Val()) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			switch name {
			case "cmdstat_set", "cmdstat_eval", "cmdstat_evalsha":
				value, _, _ = strings.Cut(strings.TrimPrefix(value, "calls="), ",")
				n, _ := strconv.ParseInt(value, 10, 64)
				commands += n
			case "total_connections_received":
				connections, _ = strconv.ParseInt(value, 10, 64)
			}
		}
	}
	if commands == 0 {
		t.Error("Redis does not tell how many commands it has got")
	}
	return commands, connections
}
