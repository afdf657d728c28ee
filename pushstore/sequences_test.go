package pushstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"pargate/pushstore"
	"pargate/pushstore/storetest"
	"pargate/test/count"
)

// TestMemoryDoesWhatTheModelDoes: whatever is done to the memory store, in any order, it answers as the model does.
func TestMemoryDoesWhatTheModelDoes(t *testing.T) {
	t.Parallel()
	count.Sequences(t, count.Of(100_000), func(rt *rapid.T) {
		c := newClock()
		var m *pushstore.Memory
		start := func() pushstore.Store {
			m = pushstore.NewMemory(pushstore.MemoryOptions{FlowTTL: modelFlowTTL, Now: c.Now})
			return m
		}
		s := newMachine(start())
		s.pass = c.Pass
		s.setBack = func(d time.Duration) {
			// A call that comes collects what has expired. Here some come before the clock is set back.
			for range 20 {
				m.Ping(context.Background())
			}
			c.Pass(-d)
		}
		s.restart = func() { s.stores[0] = start() }
		rt.Repeat(s.actions())
	})
}

// TestRedisDoesWhatTheModelDoes: the same of two gateways' stores on one Redis, of which one loses replies; its
// servers forget everything now and then, as one does that takes over without having been a replica.
func TestRedisDoesWhatTheModelDoes(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	p := startProxy(t, server.Addr)
	c := admin(t, server)
	clean := dialModel(t, server.URL())
	lossy := dialModel(t, "redis://"+p.addr)
	losses := 0
	count.Sequences(t, count.Of(4_000), func(rt *rapid.T) {
		p.decide(nil)
		do(rt, c.FlushAll(t.Context()))
		s := newMachine(clean, lossy)
		s.slack = 30 * time.Second
		s.pass = func(d time.Duration) { do(rt, moveClock.Run(t.Context(), c, nil, d.Milliseconds())) }
		s.setBack = func(d time.Duration) { s.pass(-d) }
		s.restart = func() { do(rt, c.FlushAll(t.Context())); do(rt, c.ScriptFlush(t.Context())) }
		s.put = func() func() {
			known, ttl := keys(t, c), modelFlowTTL/20
			for _, key := range known {
				if value := c.Get(t.Context(), key).Val(); strings.HasSuffix(key, ":push") && s.arrived[key] == "" {
					s.arrived[key] = value
					return func() { do(rt, c.Set(t.Context(), key, value, ttl)) }
				}
			}
			return nil
		}
		s.loseReply = func() {
			losses++
			p.decide(func(n int, _ []string) verdict { return verdict{swallow: n == 0} })
		}
		rt.Repeat(s.actions())
	})
	t.Logf("%d replies were lost", losses)
}

// moveClock lets time pass in a Redis, or sets its clock back: all that it knows of time is how long keys will live.
var moveClock = redis.NewScript(`
for _, key in ipairs(redis.call('keys', '*')) do
  redis.call('pexpire', key, redis.call('pttl', key) - ARGV[1])
end
return 1`)

func do(t interface{ Fatal(...any) }, cmd redis.Cmder) {
	if err := cmd.Err(); err != nil {
		t.Fatal(err)
	}
}

func dialModel(t *testing.T, url string) *pushstore.Redis {
	t.Helper()
	client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	o := client.(*redis.Client).Options()
	client.Close()
	o.ReadTimeout = 5 * time.Second           // a busy machine is not what is tested here
	o.MaxRetries, o.PipelinePoolSize = -1, -1 // a client has made 0 of them, which would mean more
	r := pushstore.NewRedis(redis.NewClient(o), pushstore.RedisOptions{FlowTTL: modelFlowTTL})
	t.Cleanup(func() { r.Close() })
	return r
}

const modelFlowTTL = 30 * time.Minute

// machine does the same to stores and to the model, and compares what they say.
type machine struct {
	stores []pushstore.Store // of which any may be asked
	model  *model
	slack  time.Duration // by which no end is closer to a whole minute: a real clock goes on meanwhile

	pass      func(d time.Duration) // whole minutes
	setBack   func(d time.Duration)
	restart   func() // everything is forgotten
	loseReply func() // to the next command; nil: there are none

	// put returns what lets the command that kept a push arrive once more; nil: nothing is sent twice.
	put     func() func()
	arrived map[string]string // by key
	again   map[pushstore.Reference]func()

	references []pushstore.Reference
}

func newMachine(stores ...pushstore.Store) *machine {
	return &machine{stores: stores, model: newModel(modelFlowTTL),
		arrived: map[string]string{}, again: map[pushstore.Reference]func(){}, references: []pushstore.Reference{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}
}

func (s *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"Put": s.doPut, "PutOnceMore": s.doPut, "Look": s.doLook,
		"Open": s.doOpen, "OpenOnceMore": s.doOpen, "Flow": s.doFlow,
		"Continue": s.doContinue, "ContinueToTheLimit": s.doContinueToTheLimit,
		"Finish": s.doFinish, "FinishOnceMore": s.doFinish, "Mark": s.doMark, "PutArrivesLate": s.doArriveLate,
		"Pass": s.doPass, "SetBack": s.doSetBack, "Restart": s.doRestart,
	}
}

var modelParties = []pushstore.Party{
	{Issuer: "https://as.example", ClientID: "web"}, {Issuer: "https://as.examplew", ClientID: "eb"}, {Issuer: "https://as.example", ClientID: "we"},
}

// store is the one that is asked next.
func (s *machine) store(t *rapid.T) pushstore.Store {
	i := rapid.IntRange(0, len(s.stores)-1).Draw(t, "store")
	if s.loseReply != nil && rapid.IntRange(0, 15).Draw(t, "lost") == 15 {
		s.loseReply()
	}
	return s.stores[i]
}

// reference draws one that there is, or a guess, and the party that asks for it, mostly the right one.
func (s *machine) reference(t *rapid.T) (pushstore.Party, pushstore.Reference) {
	ref := rapid.SampledFrom(s.references).Draw(t, "reference")
	party := modelParties[0]
	if p := s.model.pushes[ref]; p != nil {
		party = p.party
	} else if st := s.model.steps[ref]; st != nil {
		party = st.party
	}
	if rapid.IntRange(0, 9).Draw(t, "party") == 9 {
		party = rapid.SampledFrom(modelParties).Draw(t, "another party")
	}
	return party, ref
}

func browser(t *rapid.T) int { return rapid.IntRange(1, 3).Draw(t, "browser") }

func (s *machine) doPut(t *rapid.T) {
	party := rapid.SampledFrom(modelParties).Draw(t, "party")
	n := len(s.references)
	r := pushstore.Request{Query: fmt.Sprint("state=", n), RedirectURI: "https://app.example/cb", State: fmt.Sprint(n), Listed: n%2 == 0}
	window := time.Duration(rapid.IntRange(1, 5).Draw(t, "window"))*time.Minute + s.slack
	ref, err := s.store(t).Put(t.Context(), party, r, window)
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	if s.model.pushes[ref] != nil {
		t.Fatalf("Put returned a reference twice")
	}
	s.model.put(ref, party, r, window)
	if s.put != nil {
		s.again[ref] = s.put()
	}
	s.references = append(s.references, ref)
}

// doArriveLate is a push that was sent a second time, for want of a reply, and arrives when a browser has been there.
func (s *machine) doArriveLate(t *rapid.T) {
	ref := rapid.SampledFrom(s.references).Draw(t, "reference")
	p := s.model.pushes[ref]
	if s.again[ref] == nil || p == nil || p.browser == 0 || p.ends-s.model.now < modelFlowTTL/2 {
		return // it would be another push
	}
	s.again[ref]()
}

func (s *machine) doLook(t *rapid.T) {
	party, ref := s.reference(t)
	got, err := s.store(t).Look(t.Context(), party, ref)
	if want := s.model.look(party, ref); err != nil || got != want {
		t.Fatalf("Look: got %v, %v, want %v", got, err, want)
	}
}

func (s *machine) doOpen(t *rapid.T) {
	party, ref := s.reference(t)
	who := browser(t)
	got, err := s.store(t).Open(t.Context(), party, ref, pushstore.OwnerOf(secretOf(who)))
	want, wantErr := s.model.open(party, ref, who)
	sameAnswer(t, "Open", got, err, want, wantErr)
}

func (s *machine) doFlow(t *rapid.T) {
	party, ref := s.reference(t)
	who := browser(t)
	got, err := s.store(t).Flow(t.Context(), party, ref, pushstore.OwnerOf(secretOf(who)))
	want, wantErr := s.model.flow(party, ref, who)
	sameAnswer(t, "Flow", got, err, want, wantErr)
}

func (s *machine) doContinue(t *rapid.T) {
	party, ref := s.reference(t)
	s.continues(t, party, ref, browser(t), fmt.Sprint("d=", rapid.IntRange(0, 4).Draw(t, "difference")))
}

func (s *machine) doContinueToTheLimit(t *rapid.T) {
	party, ref := s.reference(t)
	who := browser(t)
	if s.model.mayContinue(party, ref, who, "d=0") != nil || rapid.IntRange(0, 3).Draw(t, "really") > 0 {
		return
	}
	for i := range pushstore.MaxContinuations + 1 {
		s.continues(t, party, ref, who, fmt.Sprint("d=", i))
	}
}

func (s *machine) continues(t *rapid.T, party pushstore.Party, ref pushstore.Reference, who int, difference string) {
	f := pushstore.Flow{Reference: ref, Party: party, Owner: pushstore.OwnerOf(secretOf(who))}
	got, err := s.store(t).Continue(t.Context(), f, secretOf(who), difference)
	wantErr := s.model.mayContinue(party, ref, who, difference)
	sameAnswer(t, "Continue", "", err, "", wantErr)
	if err != nil {
		return
	}
	if known := s.model.steps[got]; known != nil && (known.of != ref || known.difference != difference) || s.model.pushes[got] != nil {
		t.Fatalf("Continue returned another one's reference")
	}
	if s.model.steps[got] == nil {
		s.references = append(s.references, got)
	}
	if s.model.liveStep(party, got) == nil { // a repetition writes nothing new
		s.model.continued(party, ref, got, difference)
	}
}

func (s *machine) doFinish(t *rapid.T) {
	party, ref := s.reference(t)
	who := browser(t)
	response := fmt.Sprint("response ", rapid.IntRange(1, 2).Draw(t, "response"))
	f := pushstore.Flow{Reference: ref, Party: party, Owner: pushstore.OwnerOf(secretOf(who))}
	if p := s.model.pushes[ref]; p != nil {
		f.Request = p.request
	}
	got, err := s.store(t).Finish(t.Context(), f, response)
	want, wantErr := s.model.finish(party, ref, who, response)
	sameAnswer(t, "Finish", got, err, want, wantErr)
}

func (s *machine) doMark(t *rapid.T) {
	id := rapid.SampledFrom([]string{"", "a", "{b}\r\n"}).Draw(t, "id")
	life := time.Duration(rapid.IntRange(1, 5).Draw(t, "life"))*time.Minute + s.slack
	got, err := s.store(t).Mark(t.Context(), "holder", id, life)
	if want := s.model.mark(id, life); err != nil || got != want {
		t.Fatalf("Mark: got %v, %v, want %v", got, err, want)
	}
}

func (s *machine) doPass(t *rapid.T) {
	d := time.Duration(rapid.SampledFrom([]int{1, 1, 2, 5, 29, 30, 31}).Draw(t, "minutes")) * time.Minute
	s.pass(d)
	s.model.pass(d)
}

func (s *machine) doSetBack(t *rapid.T) {
	d := time.Duration(rapid.IntRange(1, 40).Draw(t, "minutes")) * time.Minute
	s.setBack(d)
	s.model.setBack(d)
}

func (s *machine) doRestart(t *rapid.T) {
	if rapid.IntRange(0, 4).Draw(t, "really") > 0 {
		return
	}
	s.restart()
	s.model.forget()
}

func sameAnswer[T comparable](t *rapid.T, what string, got T, err error, want T, wantErr error) {
	t.Helper()
	if !errors.Is(err, wantErr) || wantErr == nil && err != nil || got != want {
		t.Fatalf("%s: got %+v, %v\nwant %+v, %v", what, got, err, want, wantErr)
	}
}
