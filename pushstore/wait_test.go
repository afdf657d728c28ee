package pushstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pargate/pushstore"
	"pargate/pushstore/storetest"
	"pargate/test/faultproxy"
	"pargate/test/redisserver"
)

// replicated is a master and one replica, whose link a test can break.
type replicated struct {
	deployment
	master, replica *redisserver.Server
	link            *faultproxy.Proxy
}

func startReplicated(t *testing.T) *replicated {
	t.Helper()
	r := &replicated{master: redisserver.Start(t)}
	r.link = faultproxy.Start(t, r.master.Addr)
	r.replica = redisserver.StartReplica(t, r.link.Addr)
	r.deployment = deployment{url: r.master.URL(), servers: []*redisserver.Server{r.master, r.replica},
		rules: append(slices.Clone(rulesAlways), rulesWait...), wait: 1}
	return r
}

// impatient is a store with the time limits of a real one.
func (r *replicated) impatient(t *testing.T) *pushstore.Redis {
	t.Helper()
	client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: r.url})
	if err != nil {
		t.Fatal(err)
	}
	s := pushstore.NewRedis(client, pushstore.RedisOptions{FlowTTL: time.Hour, WaitReplicas: 1})
	t.Cleanup(func() { s.Close() })
	return s
}

// restore lets the replica follow again, and waits until a store can write.
func (r *replicated) restore(t *testing.T, s pushstore.Store) {
	t.Helper()
	r.link.Heal()
	redisserver.Await(t, "the replica", func() bool {
		_, err := s.Put(context.Background(), client(9), testRequest(), time.Second)
		return err == nil
	})
}

// TestAPushThatIsNotAcknowledgedIsTakenAway also needs the rule +del.
func TestAPushThatIsNotAcknowledgedIsTakenAway(t *testing.T) {
	t.Parallel()
	r := startReplicated(t)
	c := admin(t, r.master)
	for _, s := range []*pushstore.Redis{r.impatient(t), func() *pushstore.Redis { s, _ := r.store(t, time.Hour, r.rules...); return s.Impatiently() }()} {
		r.restore(t, s)
		redisserver.Await(t, "an empty Redis", func() bool { return c.DBSize(t.Context()).Val() == 0 })
		r.link.BlackHole()
		start := time.Now()
		_, err := s.Put(t.Context(), client(1), testRequest(), time.Hour)
		storetest.WantTrouble(t, "Put without a replica", err)
		first, err := s.Mark(t.Context(), "holder", "id", time.Hour)
		storetest.WantTrouble(t, "Mark without a replica", err)
		if took := time.Since(start); first || took > 2*time.Second {
			t.Errorf("first %v, both took %v", first, took)
		}
		if n := c.DBSize(t.Context()).Val(); n != 0 {
			t.Errorf("%d keys are left: %v", n, keys(t, c))
		}
		r.restore(t, s)
		if first, err = s.Mark(t.Context(), "holder", "id", time.Hour); err != nil || !first {
			t.Errorf("Mark again: %v, %v", first, err)
		}
		c.FlushAll(t.Context())
	}
}

func TestAClaimCountsOnlyOnceAReplicaHasIt(t *testing.T) {
	t.Parallel()
	r := startReplicated(t)
	s := r.impatient(t)
	r.restore(t, s)
	mine, other := pushstore.OwnerOf([]byte("mine")), pushstore.OwnerOf([]byte("another"))
	ref, err := s.Put(t.Context(), client(1), testRequest(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r.link.BlackHole()
	// Again and again, from many connections, also of another gateway: there is nothing new to write, and still nobody has it.
	gateways := []*pushstore.Redis{s, r.impatient(t)}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 2 {
				_, err := gateways[i%2].Open(t.Context(), client(1), ref, mine)
				storetest.WantTrouble(t, "Open without a replica", err)
				_, err = gateways[i%2].Flow(t.Context(), client(1), ref, mine)
				storetest.WantTrouble(t, "Flow without a replica", err)
			}
		})
	}
	wg.Wait()
	if _, err := s.Open(t.Context(), client(1), ref, other); !errors.Is(err, pushstore.ErrTaken) {
		t.Errorf("another browser: %v, want ErrTaken", err)
	}
	r.restore(t, s)
	f, err := s.Open(t.Context(), client(1), ref, mine)
	if err != nil || f.Request != testRequest() {
		t.Errorf("the same browser, once there is a replica: %v", err)
	}
	if _, err := s.Open(t.Context(), client(1), ref, other); !errors.Is(err, pushstore.ErrTaken) {
		t.Errorf("another browser: %v, want ErrTaken", err)
	}
	r.link.BlackHole()
	// What a replica has is certain, and need not be waited for again where that is known.
	if got, err := s.Flow(t.Context(), client(1), ref, mine); err != nil || got != f {
		t.Errorf("Flow of a claim that is certain: %v", err)
	}
	// A gateway that does not know cannot tell.
	_, err = gateways[1].Flow(t.Context(), client(1), ref, mine)
	storetest.WantTrouble(t, "Flow by another gateway, without a replica", err)
	_, err = s.Continue(t.Context(), f, []byte("mine"), "a=b")
	storetest.WantTrouble(t, "Continue without a replica", err)
	if won, err := s.Finish(t.Context(), f, "r"); err != nil || !won {
		t.Errorf("Finish without a replica: %v, %v, want the login to end", won, err)
	}
}

func TestARepeatedClaimKeepsItsEnd(t *testing.T) {
	t.Parallel()
	r := startReplicated(t)
	s, _ := r.store(t, time.Hour, r.rules...)
	l, c := newLogin(t, s), admin(t, r.master)
	lives := func() (all []time.Duration) {
		for _, key := range keys(t, c) {
			if !strings.HasSuffix(key, ":step") { // its life is the flow's, asked for a moment later
				all = append(all, c.PExpireTime(t.Context(), key).Val().Round(10*time.Millisecond))
			}
		}
		return all
	}
	before := lives()
	for range 5 {
		if _, err := s.Open(t.Context(), l.party, l.flow.Reference, l.flow.Owner); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Continue(t.Context(), l.flow, l.secret, "step=1"); err != nil {
			t.Fatal(err)
		}
	}
	if got := lives(); !slices.Equal(got, before) {
		t.Errorf("ends %v, want %v", got, before)
	}
}

// TestARepetitionWritesWhereReplicasAreWaitedFor: Redis 7.0, unlike later ones, would wait for any command, so that the
// WAIT itself does not show it.
func TestARepetitionWritesWhereReplicasAreWaitedFor(t *testing.T) {
	t.Parallel()
	r := startReplicated(t)
	s, _ := r.store(t, time.Hour, r.rules...)
	l := newLogin(t, s)
	id := "id"
	for name, repeat := range map[string]func(s *pushstore.Redis) error{
		"Open": func(s *pushstore.Redis) error {
			_, err := s.Open(t.Context(), l.party, l.flow.Reference, l.flow.Owner)
			return err
		},
		"Continue": func(s *pushstore.Redis) error {
			_, err := s.Continue(t.Context(), l.flow, l.secret, "step=1")
			return err
		},
		"Flow, by a gateway that has not seen the claim": func(s *pushstore.Redis) error {
			other, err := pushstore.DialPatiently(pushstore.RedisConfig{URL: r.url})
			if err != nil {
				return err
			}
			o := pushstore.NewRedis(other, pushstore.RedisOptions{FlowTTL: time.Hour, Prefix: "user1:", WaitReplicas: 1}).Patiently()
			defer o.Close()
			_, err = o.Flow(t.Context(), l.party, l.flow.Reference, l.flow.Owner)
			return err
		},
		"Mark, once more after a lost reply": func(s *pushstore.Redis) error {
			p := startProxy(t, r.master.Addr)
			other := dial(t, pushstore.RedisConfig{URL: "redis://" + p.addr})
			lost := false
			p.decide(func(_ int, command []string) verdict {
				again := strings.EqualFold(command[0], "wait")
				verdict := verdict{swallow: again && !lost}
				lost = lost || again
				return verdict
			})
			w := other.WaitFor(1)
			before := changes(t, r.master)
			first, err := w.Mark(t.Context(), "holder", id, time.Hour)
			if got := changes(t, r.master) - before; got != 2 || !first {
				t.Errorf("a mark that was sent twice: first %v, written %d times", first, got)
			}
			return err
		},
	} {
		before := changes(t, r.master)
		if err := repeat(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if changes(t, r.master) == before {
			t.Errorf("%s writes nothing", name)
		}
	}
}

// changes counts the writes that have changed something.
func changes(t *testing.T, server *redisserver.Server) int {
	t.Helper()
	info := admin(t, server).Info(t.Context(), "persistence").Val()
	_, rest, _ := strings.Cut(info, "rdb_changes_since_last_save:")
	n, err := strconv.Atoi(rest[:strings.IndexByte(rest, '\r')])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAFailoverLosesNothingThatWasTold promotes the replica while the link is broken: what was told is there, and what
// was not is nobody's.
func TestAFailoverLosesNothingThatWasTold(t *testing.T) {
	t.Parallel()
	r := startReplicated(t)
	s := r.impatient(t)
	r.restore(t, s)
	type pushed struct {
		ref    pushstore.Reference
		owner  pushstore.Owner
		opened bool
	}
	var mu sync.Mutex
	var told []pushed
	var wg sync.WaitGroup
	broken := make(chan struct{})
	for i := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-broken:
					return
				default:
				}
				p := pushed{owner: pushstore.OwnerOf(fmt.Append(nil, i, n))}
				var err error
				if p.ref, err = s.Put(context.Background(), client(1), testRequest(), time.Hour); err != nil {
					continue
				}
				if n%2 == 0 {
					_, err = s.Open(context.Background(), client(1), p.ref, p.owner)
					p.opened = err == nil
				}
				mu.Lock()
				told = append(told, p)
				mu.Unlock()
			}
		})
	}
	redisserver.Await(t, "some logins", func() bool { mu.Lock(); defer mu.Unlock(); return len(told) > 300 })
	r.link.BlackHole()
	time.Sleep(200 * time.Millisecond) // what is written now reaches nobody
	close(broken)
	r.master.Stop()
	wg.Wait()
	if err := admin(t, r.replica).ReplicaOf(t.Context(), "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	after := dial(t, pushstore.RedisConfig{URL: r.replica.URL()})
	opened := 0
	for _, p := range told {
		_, err := after.Open(t.Context(), client(1), p.ref, pushstore.OwnerOf([]byte("another")))
		switch {
		case errors.Is(err, pushstore.ErrNotFound):
			t.Fatal("a push that was told of is lost")
		case p.opened && !errors.Is(err, pushstore.ErrTaken):
			t.Fatalf("a request that a browser had opened: %v for another", err)
		}
		if p.opened {
			opened++
		}
	}
	if opened < 50 {
		t.Errorf("only %d of %d were opened", opened, len(told))
	}
}

// TestWhatIsTakenAwayCostsNoFurtherTime: with a Redis that has stalled, a push or a mark that waits for replicas is told
// within the 800 ms of any other operation, the try to take it away included. The shortest of some, as the machine may
// have other things to do.
func TestWhatIsTakenAwayCostsNoFurtherTime(t *testing.T) {
	t.Parallel()
	r := startReplicated(t)
	s := r.impatient(t)
	r.restore(t, s)
	r.master.Stall()
	defer r.master.Resume()
	for name, operation := range map[string]func() error{
		"push": func() error { _, err := s.Put(t.Context(), client(1), testRequest(), time.Hour); return err },
		"mark": func() error { _, err := s.Mark(t.Context(), "holder", "id", time.Hour); return err },
	} {
		shortest := time.Hour
		for range 10 {
			began := time.Now()
			storetest.WantTrouble(t, name, operation())
			if shortest = min(shortest, time.Since(began)); shortest < 850*time.Millisecond {
				break
			}
		}
		if shortest >= 850*time.Millisecond {
			t.Errorf("%s: %v", name, shortest)
		}
	}
}
