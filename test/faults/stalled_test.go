package faults

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/test/count"
	"pargate/test/redisserver"
)

const (
	burst        = 500             // pushes at once
	pushAnswered = time.Second     // the promise, when Redis has stalled
	generously   = 5 * time.Second // the same on a machine that has other things to do
	ratio        = 1.2             // of the times of what has nothing to do with the fault, with it and without
)

func answeredWithin() time.Duration {
	if count.Full() {
		return pushAnswered
	}
	return generously
}

// Redis has stalled: however many push at once are told within a second that they should come again, also where replicas
// are waited for, and pages pass as ever.
func TestAStalledRedisIsToldWithinASecond(t *testing.T) {
	up := startJudge(t)
	for _, c := range []struct{ what, wait string }{{"one Redis", "0"}, {"one with a replica that is waited for", "1"}} {
		redis := redisserver.Start(t)
		if c.wait != "0" {
			redisserver.StartReplica(t, redis.Addr)
		}
		g := startGateways(t, 1, up, "REDIS_URL="+redis.URL(), "REDIS_WAIT_REPLICAS="+c.wait)[0]
		pushAtOnce(t, c.what, g, redis)
		if c.wait == "0" {
			pagesPass(t, g, redis)
		}
	}
}

// pushAtOnce pushes many times at once, with a Redis that is well and then with one that has stalled.
func pushAtOnce(t *testing.T, what string, g *gateway, redis *redisserver.Server) {
	pushers := make([]*caller, burst)
	for i := range pushers {
		pushers[i] = &caller{addr: g.addr}
	}
	defer closeAll(pushers)
	for range 5 { // whatever it takes to have all connections
		pushAll(t, pushers)
	}
	well, busy, longest := pushAll(t, pushers)
	t.Logf("%s: %d of %d pushes at once are stored, within %v", what, well, burst, longest.Round(time.Millisecond))
	if count.Full() && busy > 0 {
		t.Errorf("%d pushes are not stored by a Redis that is well", busy)
	}

	// The first find connections that seem to be good, the next ones none.
	redis.Stall()
	defer redis.Resume()
	var slowest time.Duration
	for range 3 {
		well, busy, longest := pushAll(t, pushers)
		slowest = max(slowest, longest)
		if well > 0 || busy != burst {
			t.Errorf("%d pushes are stored by a Redis that has stalled, %d told to come again", well, busy)
		}
	}
	t.Logf("%s, stalled: 3 times %d pushes at once are told to come again, within %v", what, burst, slowest.Round(time.Millisecond))
	if slowest > answeredWithin() {
		t.Errorf("a push is answered after %v", slowest)
	}
	redis.Resume()
	within(t, "a push", func() bool { _, ok, err := pushers[0].push("after"); return ok && err == nil })
}

// pushAll lets all push once, and returns how many are stored, how many told to come again, and the longest wait.
func pushAll(t *testing.T, pushers []*caller) (well, busy int64, longest time.Duration) {
	var times timing
	var wells, busies atomic.Int64
	var pushing sync.WaitGroup
	for i, at := range pushers {
		pushing.Go(func() {
			began := time.Now()
			_, ok, err := at.push(fmt.Sprint("burst-", i))
			times.add(time.Since(began))
			switch {
			case err != nil:
				t.Error(err)
			case ok:
				wells.Add(1)
			default:
				busies.Add(1)
			}
		})
	}
	pushing.Wait()
	return wells.Load(), busies.Load(), times.at(1)
}

// pagesPass compares how long pages take with Redis stalled, and with Redis well.
func pagesPass(t *testing.T, g *gateway, redis *redisserver.Server) {
	n := compareTimes(t, g.addr, redis.Stall, redis.Resume)
	if n.pages.wrong+n.pagesFault.wrong > 0 || n.pushesFault.right > 0 || count.Full() && n.pushes.wrong > 0 {
		t.Errorf("with a Redis that is well: %s; stalled: %s", n.well(), n.fault())
	}
	if longest := n.pushesFault.longest; longest > answeredWithin() {
		t.Errorf("a push is answered after %v", longest)
	}
	t.Logf("99 of 100 pages pass within %v, and with Redis stalled within %v: %.2f times", n.pages.p99.Round(10*time.Microsecond), n.pagesFault.p99.Round(10*time.Microsecond), n.pagesRatio())
	if count.Full() && n.pagesRatio() > ratio {
		t.Errorf("pages take %.2f times as long", n.pagesRatio())
	}
}

// The authorization endpoint has stalled, and two hundred browsers wait for it. Pushes and pages go on.
func TestAStalledUpstreamIsNotFeltByPushes(t *testing.T) {
	up := startJudge(t)
	redis := redisserver.Start(t)
	g := startGateways(t, 1, up, "REDIS_URL="+redis.URL())[0]
	form := learnForm(t, g.addr)
	var waiting []*caller
	stall := func() {
		up.stalled.Store(true)
		for n := range 200 {
			at := &caller{addr: g.addr}
			i, ok, err := at.push(fmt.Sprint("waits-", len(waiting)))
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				continue
			}
			if err := at.send(i.openAs(form.newBrowser(fmt.Sprint(n)))); err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, at)
		}
		within(t, "the browsers", func() bool { return up.waiting.Load() >= 190 })
	}
	resume := func() {
		closeAll(waiting)
		waiting = nil
		up.stalled.Store(false)
		within(t, "the browsers to leave", func() bool { return up.waiting.Load() == 0 })
	}
	defer resume()
	n := compareTimes(t, g.addr, stall, resume)
	if n.pages.wrong+n.pagesFault.wrong > 0 || count.Full() && n.pushes.wrong+n.pushesFault.wrong > 0 {
		t.Errorf("with an upstream that is well: %s; stalled: %s", n.well(), n.fault())
	}
	t.Logf("99 of 100 pushes are stored within %v, and with the upstream stalled within %v; pages pass within %v and %v",
		n.pushes.p99.Round(10*time.Microsecond), n.pushesFault.p99.Round(10*time.Microsecond), n.pages.p99.Round(10*time.Microsecond), n.pagesFault.p99.Round(10*time.Microsecond))
	if longest := n.pushesFault.longest; longest > answeredWithin() {
		t.Errorf("a push is answered after %v", longest)
	}
	if p := n.pushesFault.p99; count.Full() && p > 50*time.Millisecond {
		t.Errorf("99 of 100 pushes take up to %v", p)
	}
}

// windows are how often the times with and without a fault are taken, in turn, of one second each.
const windows = 20

// times are the medians over windows of what is seen in one.
type times struct {
	p99, longest time.Duration
	right, wrong int64 // answers in all
}

type comparison struct{ pages, pushes, pagesFault, pushesFault times }

func (c comparison) pagesRatio() float64 { return float64(c.pagesFault.p99) / float64(c.pages.p99) }

func (c comparison) well() string {
	return fmt.Sprintf("%d pages, %d wrong; %d pushes, %d wrong", c.pages.right, c.pages.wrong, c.pushes.right, c.pushes.wrong)
}

func (c comparison) fault() string {
	return fmt.Sprintf("%d pages, %d wrong; %d pushes, %d wrong", c.pagesFault.right, c.pagesFault.wrong, c.pushesFault.right, c.pushesFault.wrong)
}

// compareTimes asks for pages and pushes at a steady rate, with the fault and without it in turn.
func compareTimes(t *testing.T, addr string, begin, end func()) (c comparison) {
	t.Helper()
	var pages, pushes, pagesFault, pushesFault []times
	for range count.Of(windows) {
		a, b := oneWindow(t, addr)
		pages, pushes = append(pages, a), append(pushes, b)
		begin()
		a, b = oneWindow(t, addr)
		pagesFault, pushesFault = append(pagesFault, a), append(pushesFault, b)
		end()
		within(t, "a push after the fault", func() bool {
			at := &caller{addr: addr}
			defer at.close()
			_, ok, err := at.push("after")
			return ok && err == nil
		})
	}
	return comparison{overall(pages), overall(pushes), overall(pagesFault), overall(pushesFault)}
}

// overall is the median of the shares, the longest of all, and the sum of the answers.
func overall(all []times) (o times) {
	var p99 []time.Duration
	for _, w := range all {
		p99 = append(p99, w.p99)
		o.longest = max(o.longest, w.longest)
		o.right += w.right
		o.wrong += w.wrong
	}
	slices.Sort(p99)
	o.p99 = p99[len(p99)/2]
	return o
}

// oneWindow asks for 200 pages and makes 50 pushes in a second. They do not share their connections, so that pages do not
// wait for pushes here.
func oneWindow(t *testing.T, addr string) (pages, pushes times) {
	quit := make(chan struct{})
	timer := time.AfterFunc(time.Second, func() { close(quit) })
	defer timer.Stop()
	var asking sync.WaitGroup
	asking.Go(func() {
		pages = timesOf(t, quit, addr, 200, 200, func(int) string { return get("/page", "someone", "") })
	})
	asking.Go(func() {
		pushes = timesOf(t, quit, addr, 50, 201, func(k int) string { return pushOf(fmt.Sprint("state-", k)) })
	})
	asking.Wait()
	return pages, pushes
}

// timesOf sends a request so many times a second until quit. The answer has that status, or tells to come again.
func timesOf(t *testing.T, quit <-chan struct{}, addr string, perSecond, status int, request func(k int) string) times {
	var all timing
	var right, wrong atomic.Int64
	steadily(quit, perSecond, addr, func(at *caller, k int, due time.Time) {
		a, err := at.do(request(k))
		all.add(time.Since(due))
		switch {
		case err == nil && a.status == status:
			right.Add(1)
		case err == nil && a.busy():
			wrong.Add(1)
		default:
			t.Errorf("%v %s", err, a)
		}
	})
	return times{all.at(0.99), all.at(1), right.Load(), wrong.Load()}
}
