package faults

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pargate/test/count"
)

const (
	failovers     = 20
	pushesEach    = 5000 // acknowledged, before each failover
	pushersAtOnce = 32
)

// While one replica hears nothing of its master, or none does, the master is killed under load and Sentinel makes another
// one, again and again. Every push that was acknowledged can be opened afterwards, what a browser had opened stays its
// own, and in between all are told to come again.
func TestAFailoverLosesNothingThatWasAcknowledged(t *testing.T) {
	rounds := count.Of(failovers)
	pushes := max(count.Of(failovers*pushesEach)/rounds, 1)
	up := startJudge(t)
	d := startDeployment(t, 2, 3)
	gateways := startGateways(t, 2, up, "REDIS_URL="+d.url(), "REDIS_WAIT_REPLICAS=1")
	began := time.Now()
	f := &failing{t: t, d: d, addrs: addresses(gateways), form: learnForm(t, gateways[0].addr)}
	for i := range rounds {
		f.round(i, pushes)
		if t.Failed() {
			t.Fatalf("in failover %d", i+1)
		}
	}
	up.wantNoDouble(t)
	t.Logf("%d failovers: %d of %d acknowledged pushes lost, %d double openings; a push was answered again at most %v after Sentinel's switch, which came at most %v after the kill; %d requests were told to come again (%v)",
		rounds, f.lost.Load(), f.acknowledged.Load(), len(up.doubles), f.slowest.Round(time.Millisecond), f.slowestSwitch.Round(time.Millisecond), f.busy.Load(), time.Since(began).Round(time.Second))
}

type failing struct {
	t     *testing.T
	d     *deployment
	addrs []string
	form  cookieForm

	acknowledged, lost, busy atomic.Int64
	slowest, slowestSwitch   time.Duration
}

// round is one failover. In every second one no replica has what is written last, in the others one has.
func (f *failing) round(i, pushes int) {
	t := f.t
	l := f.startLoad(fmt.Sprintf("round-%d", i))
	defer l.end()
	if i%2 == 1 {
		deaf := f.d.replicas()[i/2%2]
		f.d.loseReplication(deaf)
		defer func() {
			if f.d.master == deaf {
				t.Errorf("Sentinel has made the replica the master that had heard nothing")
			}
		}()
	}
	within(t, "acknowledged pushes", func() bool { return l.acknowledged() >= pushes })
	if f.d.named(t) != nil {
		t.Fatal("Sentinel has made another server the master while there was one: the machine is too busy for this test")
	}
	if i%2 == 0 {
		f.d.loseReplication(f.d.replicas()...)
		before := f.busy.Load()
		within(t, "pushes that are not acknowledged", func() bool { return f.busy.Load() > before+2*pushersAtOnce })
	}
	killed := time.Now()
	f.d.master.server.Stop()
	l.goneAt(time.Now())
	var next *node
	within(t, "another master", func() bool { next = f.d.named(t); return next != nil })
	switched := time.Now()
	within(t, "a push after the failover", func() bool { return !l.firstAgain().IsZero() })
	l.end()

	again := l.firstAgain().Sub(switched)
	f.slowest, f.slowestSwitch = max(f.slowest, again), max(f.slowestSwitch, switched.Sub(killed))
	if again > 15*time.Second { // 2 s where the machine has nothing else to do
		t.Errorf("a push is answered %v after the switch", again)
	}
	f.verify(l.openings)
	f.d.rejoin(t, next)
}

// load pushes, and opens every second request.
type load struct {
	f    *failing
	name string
	quit chan struct{}
	once sync.Once
	wg   sync.WaitGroup
	next atomic.Int64

	mu       sync.Mutex
	openings []opening
	gone     time.Time // when there was no master any more
	again    time.Time // when the first push was acknowledged that was sent since then
}

// opening is a request that was acknowledged, and who has come with it before the failover.
type opening struct {
	invitation
	by   browser // its name is empty when nobody has
	sure bool    // it was sent to the login; otherwise it was told to come again
}

func (f *failing) startLoad(name string) *load {
	l := &load{f: f, name: name, quit: make(chan struct{})}
	for w := range pushersAtOnce {
		l.wg.Go(func() { l.run(&caller{addr: f.addrs[w%len(f.addrs)]}) })
	}
	return l
}

func (l *load) end() {
	l.once.Do(func() { close(l.quit) })
	l.wg.Wait()
}

func (l *load) run(at *caller) {
	defer at.close()
	for {
		select {
		case <-l.quit:
			return
		default:
		}
		n, began := l.next.Add(1), time.Now()
		i, ok, err := at.push(fmt.Sprintf("%s-%d", l.name, n))
		switch {
		case err != nil: // every push is right
			l.f.t.Error(err)
			return
		case !ok:
			l.f.busy.Add(1)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		l.f.acknowledged.Add(1)
		o := opening{invitation: i}
		if n%2 == 0 {
			o.by = l.f.form.newBrowser("early")
			o.sure = l.f.tryOnce(at, i, o.by)
		}
		l.add(o, began)
	}
}

func (l *load) add(o opening, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.openings = append(l.openings, o)
	if l.again.IsZero() && !l.gone.IsZero() && began.After(l.gone) {
		l.again = time.Now()
	}
}

func (l *load) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.openings)
}

func (l *load) goneAt(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = at
}

func (l *load) firstAgain() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.again
}

// tryOnce lets one browser come once, and reports whether it was sent to the login.
func (f *failing) tryOnce(at *caller, i invitation, b browser) bool {
	a, err := at.do(i.openAs(b))
	switch {
	case err == nil && a.atLogin():
		return true
	case err == nil && a.busy():
		f.busy.Add(1)
	default:
		f.t.Errorf("%s: the first browser to come: %v %s", i.state, err, a)
	}
	return false
}

// verify lets two browsers come with each request that was acknowledged, at two gateways at once.
func (f *failing) verify(all []opening) {
	var verifying sync.WaitGroup
	var next atomic.Int64
	for range pushersAtOnce / 2 {
		verifying.Go(func() {
			at := callers(f.addrs)
			defer closeAll(at)
			for k := next.Add(1) - 1; k < int64(len(all)); k = next.Add(1) - 1 {
				f.verifyOne(at, all[k])
			}
		})
	}
	verifying.Wait()
}

// verifyOne lets the browser that has come before, or another one, come together with a late one.
func (f *failing) verifyOne(at []*caller, o opening) {
	browsers := []browser{o.by, f.form.newBrowser("late")}
	if o.by.name == "" {
		browsers[0] = f.form.newBrowser("second")
	}
	answers := make([]answer, len(browsers))
	for tries := 0; ; tries++ {
		busy := false
		for i, b := range browsers {
			if err := at[i].send(o.openAs(b)); err != nil {
				f.t.Error(err)
				return
			}
		}
		for i := range browsers {
			var err error
			if answers[i], err = at[i].receive(); err != nil {
				f.t.Error(err)
				return
			}
			busy = busy || answers[i].busy()
		}
		if !busy {
			break
		}
		if f.busy.Add(1); tries == 20*maxAgain {
			f.t.Errorf("%s: Redis is never there", o.state)
			return
		}
		time.Sleep(againAfter)
	}
	first, late := answers[0], answers[1]
	switch {
	case first.atLogin() && late.dead():
	case late.atLogin() && first.dead() && !o.sure:
	case first.dead() && late.dead():
		f.lost.Add(1)
		f.t.Errorf("%s is lost, or nobody's", o.state)
	default:
		f.t.Errorf("%s (opened before: %v): the first browser %s; the late one %s", o.state, o.sure, first, late)
	}
}
