package pushstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"pargate/pushstore"
	"pargate/pushstore/storetest"
	"pargate/test/count"
)

// TestWhatHappensAtOnceHappensInSomeOrder: several browsers and gateways do things to one pushed request at once, and
// there is always an order in which they could have done them one after the other (Herlihy and Wing, 1990). Where
// replies are lost, what nobody got an answer to may have happened or not, and what was sent again may have happened
// before it happened once more: an Open, say, that finds its own flow finished. A Mark is set once all the same.
func TestWhatHappensAtOnceHappensInSomeOrder(t *testing.T) {
	t.Parallel()
	t.Run("in memory", func(t *testing.T) {
		t.Parallel()
		checkHistories(t, count.Of(100_000), 1, func() *history {
			c := newClock()
			h := newHistory(pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: modelFlowTTL, Now: func() time.Time {
				runtime.Gosched() // asked inside of an operation, so that others come meanwhile
				return c.Now()
			}}))
			if rand.N(2) == 0 {
				h.pass = c.Pass
			}
			return h
		})
	})
	t.Run("in Redis", func(t *testing.T) {
		t.Parallel()
		server := storetest.StartRedis(t)
		a, b := dialModel(t, server.URL()), dialModel(t, server.URL())
		checkHistories(t, count.Of(20_000), 4, func() *history { return newHistory(a, b) })
	})
	t.Run("in Redis, which answers not always", func(t *testing.T) {
		t.Parallel()
		server := storetest.StartRedis(t)
		p := startProxy(t, server.Addr)
		a, b := dialModel(t, server.URL()), dialModel(t, "redis://"+p.addr)
		p.decide(func(int, []string) verdict { return verdict{swallow: rand.N(4) == 0} })
		unanswered := checkHistories(t, count.Of(3_000), 8, func() *history {
			h := newHistory(a, b, b)
			h.repeats = b
			return h
		})
		if unanswered == 0 {
			t.Error("every operation was answered: are replies lost?")
		}
	})
}

// checkHistories makes n histories, some at a time, and returns how many operations nobody got an answer to.
func checkHistories(t *testing.T, n, atOnce int, begin func() *history) (unanswered int) {
	t.Helper()
	var made, overlapping, unknown atomic.Int64
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for made.Add(1) <= int64(n) && !t.Failed() {
				h := begin()
				operations, err := h.run(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if !porcupine.CheckOperations(inOrder, operations) {
					t.Errorf("history %d happened in no order:\n%s", made.Load(), describe(operations))
				}
				if overlap(operations) {
					overlapping.Add(1)
				}
				for _, o := range operations {
					if o.Output.(outcome).unknown {
						unknown.Add(1)
					}
				}
			}
		})
	}
	wg.Wait()
	if overlapping.Load() < int64(n)/4 {
		t.Errorf("in %d of %d histories something happened at once, want more", overlapping.Load(), n)
	}
	t.Logf("%d histories, in %d of them something happened at once, %d operations without an answer", n, overlapping.Load(), unknown.Load())
	return int(unknown.Load())
}

// history is what some clients do to one pushed request at once.
type history struct {
	stores  []pushstore.Store
	repeats pushstore.Store     // loses replies, and asks again; nil: none does
	pass    func(time.Duration) // nil: no time passes

	ref   pushstore.Reference
	party pushstore.Party
	clock atomic.Int64
	mu    sync.Mutex
	all   []porcupine.Operation
}

func newHistory(stores ...pushstore.Store) *history {
	return &history{stores: stores, party: client(1)}
}

const (
	clients       = 5
	callsOfClient = 5
)

func (h *history) run(ctx context.Context) ([]porcupine.Operation, error) {
	var err error
	if h.ref, err = h.stores[0].Put(ctx, h.party, pushstore.Request{Query: "state=1", RedirectURI: "https://app.example/cb", State: "1"}, historyWindow); err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for n := range clients {
		wg.Go(func() {
			<-start
			h.client(ctx, n)
		})
	}
	close(start)
	wg.Wait()
	for i, o := range h.all {
		if o.Output.(outcome).unknown {
			h.all[i].Return = h.clock.Load() + 1 // it may happen until the end
		}
	}
	return h.all, nil
}

// client makes its calls one after the other.
func (h *history) client(ctx context.Context, n int) {
	var steps [2]pushstore.Reference // that Continue has given it
	store := h.stores[n%len(h.stores)]
	for range callsOfClient {
		c := call{what: rand.N(callKinds), browser: 1 + rand.N(3), number: rand.N(2)}
		if c.what == callPass && h.pass == nil || c.what == callOpenStep && (h.pass != nil || steps[c.number] == "") {
			c.what = callOpen
		}
		if c.what == callOpenStep {
			c.ref = steps[c.number]
		}
		called := h.clock.Add(1)
		o := h.do(ctx, store, c, &steps)
		returned := h.clock.Add(1)
		h.mu.Lock()
		h.all = append(h.all, porcupine.Operation{ClientId: n, Input: c, Output: o, Call: called, Return: returned})
		if store == h.repeats && c.what != callMark {
			h.all = append(h.all, porcupine.Operation{ClientId: n, Input: c, Output: outcome{repeated: true}, Call: called, Return: returned})
		}
		h.mu.Unlock()
	}
}

// callKind is one of the operations on one request.
type callKind int

const (
	callLook callKind = iota
	callOpen
	callFlow
	callContinue
	callOpenStep
	callFinish
	callMark
	callPass
	callKinds
)

type call struct {
	what    callKind
	browser int
	number  int                 // of a continuation, a response, or of how much time passes
	ref     pushstore.Reference // of the continuation that is opened
}

// outcome is what a call returned.
type outcome struct {
	unknown  bool  // there is no answer
	repeated bool  // nor to this: it is what was sent before it was sent again
	err      error // one of the sentinels
	state    pushstore.State
	finished bool // of a flow
	yes      bool // won, or first
}

func (h *history) do(ctx context.Context, store pushstore.Store, c call, steps *[2]pushstore.Reference) (o outcome) {
	owner := pushstore.OwnerOf(secretOf(c.browser))
	flow := pushstore.Flow{Reference: h.ref, Party: h.party, Owner: owner, Request: pushstore.Request{State: "1"}}
	var err error
	switch c.what {
	case callLook:
		o.state, err = store.Look(ctx, h.party, h.ref)
	case callOpen:
		var f pushstore.Flow
		f, err = store.Open(ctx, h.party, h.ref, owner)
		o.finished = f.Finished
	case callFlow:
		var f pushstore.Flow
		f, err = store.Flow(ctx, h.party, h.ref, owner)
		o.finished = f.Finished
	case callContinue:
		var ref pushstore.Reference
		if ref, err = store.Continue(ctx, flow, secretOf(c.browser), fmt.Sprint("d=", c.number)); err == nil {
			steps[c.number] = ref
		}
	case callOpenStep:
		var f pushstore.Flow
		f, err = store.Open(ctx, h.party, c.ref, owner)
		o.finished = f.Finished
	case callFinish:
		o.yes, err = store.Finish(ctx, flow, fmt.Sprint("response ", c.number))
	case callMark:
		o.yes, err = store.Mark(ctx, "holder", string(h.ref), historyPass(2))
	case callPass:
		h.pass(historyPass(c.number))
	}
	for _, answer := range []error{pushstore.ErrNotFound, pushstore.ErrTaken, pushstore.ErrFull} {
		if errors.Is(err, answer) {
			o.err = answer
		}
	}
	o.unknown = err != nil && o.err == nil
	return o
}

const historyWindow = 2 * time.Minute

// historyPass is one minute, which is not the end of a request yet, or as long as a login may take.
func historyPass(number int) time.Duration {
	return []time.Duration{time.Minute, modelFlowTTL, time.Hour}[number]
}

// life is what the model knows of one request.
type life struct {
	now, ends, markEnds time.Duration
	browser             int
	response            int // 1 and up; 0: not finished
}

// inOrder is what may happen to one request when everything happens one after the other.
var inOrder = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{life{ends: historyWindow}} },
	Step: func(state, input, output any) []any {
		before, got := state.(life), output.(outcome)
		after, want := before.after(input.(call))
		switch {
		case got.unknown, got.repeated:
			return []any{before, after}
		case got == want:
			return []any{after}
		}
		return nil
	},
}).ToModel()

// after returns what is after the call, and what it answers.
func (l life) after(c call) (life, outcome) {
	gone := l.now >= l.ends
	foreign := outcome{}
	switch {
	case gone || l.browser == 0:
		foreign.err = pushstore.ErrNotFound
	case l.browser != c.browser:
		foreign.err = pushstore.ErrTaken
	}
	switch c.what {
	case callLook:
		switch {
		case gone:
			return l, outcome{state: pushstore.Absent}
		case l.response != 0:
			return l, outcome{state: pushstore.Finished}
		case l.browser != 0:
			return l, outcome{state: pushstore.Taken}
		}
		return l, outcome{state: pushstore.Pending}
	case callOpen:
		if !gone && l.browser == 0 {
			l.browser, l.ends = c.browser, l.now+modelFlowTTL
			return l, outcome{}
		}
		fallthrough
	case callFlow, callOpenStep:
		if foreign.err != nil {
			return l, foreign
		}
		return l, outcome{finished: l.response != 0}
	case callContinue:
		if foreign.err == nil && l.response != 0 {
			foreign.err = pushstore.ErrNotFound
		}
		return l, foreign
	case callFinish:
		if foreign.err != nil {
			return l, foreign
		}
		if l.response == 0 {
			l.response, l.ends = 1+c.number, l.now+modelFlowTTL
		}
		return l, outcome{yes: l.response == 1+c.number}
	case callMark:
		first := l.now >= l.markEnds
		if first {
			l.markEnds = l.now + historyPass(2)
		}
		return l, outcome{yes: first}
	}
	l.now += historyPass(c.number)
	return l, outcome{}
}

// overlap reports whether two operations were under way at once.
func overlap(operations []porcupine.Operation) bool {
	for i, a := range operations {
		for _, b := range operations[:i] {
			if a.Call < b.Return && b.Call < a.Return {
				return true
			}
		}
	}
	return false
}

func describe(operations []porcupine.Operation) string {
	var b strings.Builder
	names := [...]string{"Look", "Open", "Flow", "Continue", "Open a continuation", "Finish", "Mark", "time passes"}
	for _, o := range operations {
		c, got := o.Input.(call), o.Output.(outcome)
		fmt.Fprintf(&b, "  %3d to %3d, client %d: %s by browser %d, number %d: %+v\n", o.Call, o.Return, o.ClientId, names[c.what], c.browser, c.number, got)
	}
	return b.String()
}
