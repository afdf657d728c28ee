package pushstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pargate/pushstore"
	"pargate/pushstore/storetest"
)

// repeatable is every operation with the answer that the right caller must get, however often it is sent.
func repeatable(l login) map[string]func(*testing.T, pushstore.Store) error {
	other := pushstore.OwnerOf([]byte("another"))
	want := func(got, want any, err error) error {
		if err == nil && got != want {
			return fmt.Errorf("got %v, want %v", got, want)
		}
		return err
	}
	pending := l.flow
	pending.Reference = l.pending
	step := l.flow
	step.Difference = "step=1"
	return map[string]func(*testing.T, pushstore.Store) error{
		"Put": func(t *testing.T, s pushstore.Store) error {
			ref, err := s.Put(t.Context(), l.party, testRequest(), time.Hour)
			if err != nil {
				return err
			}
			state, err := s.Look(t.Context(), l.party, ref)
			return want(state, pushstore.Pending, err)
		},
		"Look": func(t *testing.T, s pushstore.Store) error {
			state, err := s.Look(t.Context(), l.party, l.pending)
			return want(state, pushstore.Pending, err)
		},
		"Open": func(t *testing.T, s pushstore.Store) error {
			f, err := s.Open(t.Context(), l.party, l.pending, l.flow.Owner)
			if err := want(f, pending, err); err != nil {
				return err
			}
			if _, err = s.Open(t.Context(), l.party, l.pending, other); !errors.Is(err, pushstore.ErrTaken) {
				return fmt.Errorf("another browser: %w", err)
			}
			return nil
		},
		"Open a continuation": func(t *testing.T, s pushstore.Store) error {
			f, err := s.Open(t.Context(), l.party, l.step, l.flow.Owner)
			return want(f, step, err)
		},
		"Flow": func(t *testing.T, s pushstore.Store) error {
			f, err := s.Flow(t.Context(), l.party, l.flow.Reference, l.flow.Owner)
			return want(f, l.flow, err)
		},
		"Continue": func(t *testing.T, s pushstore.Store) error {
			ref, err := s.Continue(t.Context(), l.flow, l.secret, "step=2")
			if err != nil {
				return err
			}
			f, err := s.Flow(t.Context(), l.party, ref, l.flow.Owner)
			return want(f.Difference, "step=2", err)
		},
		"Finish": func(t *testing.T, s pushstore.Store) error {
			won, err := s.Finish(t.Context(), l.flow, "r")
			if err := want(won, true, err); err != nil {
				return err
			}
			won, err = s.Finish(t.Context(), l.flow, "another")
			return want(won, false, err)
		},
		"Mark": func(t *testing.T, s pushstore.Store) error {
			first, err := s.Mark(t.Context(), "holder", string(l.pending), time.Hour)
			if err := want(first, true, err); err != nil {
				return err
			}
			first, err = s.Mark(t.Context(), "holder", string(l.pending), time.Hour)
			return want(first, false, err)
		},
		"Ping": func(t *testing.T, s pushstore.Store) error { return s.Ping(t.Context()) },
	}
}

// TestRedisSurvivesOneLostReply loses the reply to one command, each in turn: the server has run it, the store does
// not know, sends it again, and the right browser gets the right answer.
func TestRedisSurvivesOneLostReply(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	for name := range repeatable(login{}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, server.Addr)
			for lost := 0; ; lost++ {
				if lost == 20 {
					t.Fatal("no end of commands")
				}
				direct := dial(t, pushstore.RedisConfig{URL: server.URL()})
				run := repeatable(newLogin(t, direct))[name]
				admin(t, server).ScriptFlush(t.Context()) // so that every script is sent both ways
				p.decide(func(n int, _ []string) verdict { return verdict{swallow: n == lost} })
				if err := run(t, dial(t, pushstore.RedisConfig{URL: "redis://" + p.addr})); err != nil {
					t.Errorf("reply %d lost: %v", lost, err)
				}
				if p.count() <= lost {
					return
				}
			}
		})
	}
}

// TestRedisErrors answers commands with each error of Redis: what passes is tried again, nothing is tried for long,
// and nothing is mistaken for an answer of the contract.
func TestRedisErrors(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	for _, c := range []struct {
		reply string
		again bool
	}{
		{"-LOADING Redis is loading the dataset in memory", true},
		{"-READONLY You can't write against a read only replica.", true},
		{"-MASTERDOWN Link with MASTER is down", true},
		{"-CLUSTERDOWN The cluster is down", true},
		{"-TRYAGAIN Multiple keys request during rehashing of slot", true},
		{"-NOREPLICAS Not enough good replicas to write.", true},
		{"-ERR max number of clients reached", true},
		{"-OOM command not allowed when used memory > 'maxmemory'.", false},
		{"-NOPERM this user has no permissions to run the command", false},
		{"-NOAUTH Authentication required.", false},
		{"-WRONGTYPE Operation against a key holding the wrong kind of value", false},
		{"-MOVED 1 127.0.0.1:1", false},
		{"-MISCONF Redis is configured to save RDB snapshots", false},
		{"-ERR something else", false},
		{"$-1", false},
		{"+QUEUED", false},
		{":7", false},
		{"*0", false},
	} {
		t.Run(c.reply, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, server.Addr)
			r := dial(t, pushstore.RedisConfig{URL: "redis://" + p.addr})
			l := newLogin(t, r)
			sent := 0 // but for the greeting of a new connection
			answered := func(times int) func(int, []string) verdict {
				sent = 0
				return func(_ int, command []string) verdict {
					if strings.EqualFold(command[0], "hello") {
						return verdict{}
					}
					if sent++; sent <= times {
						return verdict{reply: c.reply + "\r\n"}
					}
					return verdict{}
				}
			}
			one := map[string]func() error{
				"Put":  func() error { _, err := r.Put(t.Context(), l.party, testRequest(), time.Hour); return err },
				"Look": func() error { _, err := r.Look(t.Context(), l.party, l.pending); return err },
				"Open": func() error { _, err := r.Open(t.Context(), l.party, l.pending, l.flow.Owner); return err },
				"Flow": func() error { _, err := r.Flow(t.Context(), l.party, l.flow.Reference, l.flow.Owner); return err },
				"Continue": func() error {
					_, err := r.Continue(t.Context(), l.flow, l.secret, "step=1")
					return err
				},
				"Finish": func() error { _, err := r.Finish(t.Context(), l.flow, "r"); return err },
				"Mark":   func() error { _, err := r.Mark(t.Context(), "holder", c.reply, time.Hour); return err },
			}
			for _, name := range []string{"Put", "Look", "Open", "Flow", "Continue", "Mark", "Finish"} {
				p.decide(answered(100))
				storetest.WantTrouble(t, name, one[name]())
				switch {
				case sent > 3, c.again && sent < 3:
					t.Errorf("%s was sent %d times, want 3", name, sent)
				case strings.HasPrefix(c.reply, "-") && !c.again && sent != 1:
					t.Errorf("%s was sent %d times, want 1", name, sent)
				}
				p.decide(answered(2))
				if err := one[name](); c.again && err != nil {
					t.Errorf("%s, third time lucky: %v", name, err)
				}
			}
		})
	}
}

// TestRedisOnAConnectionThatLostCount: when every reply belongs to the command before, there are errors and right
// answers, but never another request's.
func TestRedisOnAConnectionThatLostCount(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	a := newLogin(t, dial(t, pushstore.RedisConfig{URL: server.URL()}))
	b := newLogin(t, dial(t, pushstore.RedisConfig{URL: server.URL()}))
	nobody := pushstore.Reference(strings.Repeat("A", 43))
	p := startProxy(t, server.Addr)
	r := dial(t, pushstore.RedisConfig{URL: "redis://" + p.addr})
	if _, err := r.Look(t.Context(), a.party, nobody); err != nil {
		t.Fatal(err)
	}
	p.decide(func(int, []string) verdict { return verdict{shift: true} })
	troubles := 0
	check := func(what string, err error, right bool) {
		t.Helper()
		if err == nil && right {
			return // the reply to its own first try
		}
		troubles++
		storetest.WantTrouble(t, what, err)
	}
	for range 5 {
		for _, l := range []login{a, b} {
			// Each of these follows one that had "nothing there", or another login's record, for a reply.
			f, err := r.Flow(t.Context(), l.party, l.flow.Reference, l.flow.Owner)
			check("Flow", err, f == l.flow)
			state, err := r.Look(t.Context(), l.party, nobody)
			check("Look for nothing", err, state == pushstore.Absent)
			state, err = r.Look(t.Context(), l.party, l.pending)
			check("Look", err, state == pushstore.Pending)
			f, err = r.Open(t.Context(), l.party, l.step, l.flow.Owner)
			check("Open", err, f.Reference == l.flow.Reference && f.Request == l.flow.Request)
			ref, err := r.Continue(t.Context(), l.flow, l.secret, "step=1")
			check("Continue", err, ref == l.step)
			_, err = r.Mark(t.Context(), "holder", "id", time.Hour)
			check("Mark", err, true)
		}
	}
	if troubles < 10 {
		t.Errorf("%d operations failed, want most: is the connection shifted?", troubles)
	}
}

// TestRedisThatSomebodyWroteTo flips every byte of every value in turn.
func TestRedisThatSomebodyWroteTo(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	r, c := dial(t, pushstore.RedisConfig{URL: server.URL()}), admin(t, server)
	l := newLogin(t, r)
	for _, key := range keys(t, c) {
		if strings.HasSuffix(key, ":steps") {
			continue // only counts
		}
		good := c.Get(t.Context(), key).Val()
		for i := range good {
			bad := []byte(good)
			bad[i] ^= 1
			set(t, c, key, string(bad))
			wantTampered(t, r, l, fmt.Sprintf("%s, byte %d", key, i))
		}
		// An empty value is as good as a deleted one, which nobody can notice.
		for _, bad := range []string{"x", good[:len(good)-1], good + "x", good + good} {
			set(t, c, key, bad)
			wantTampered(t, r, l, fmt.Sprintf("%s, %d bytes", key, len(bad)))
		}
		set(t, c, key, good)
	}
	if f, err := r.Flow(t.Context(), l.party, l.step, l.flow.Owner); err != nil || f.Request != l.flow.Request {
		t.Errorf("once everything is right again: %v", err)
	}
}

// TestRedisThatSomebodySwapped puts values where others belong.
func TestRedisThatSomebodySwapped(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	r, c := dial(t, pushstore.RedisConfig{URL: server.URL()}), admin(t, server)
	l, other := newLogin(t, r), newLogin(t, r)
	if _, err := r.Finish(t.Context(), other.flow, "r"); err != nil {
		t.Fatal(err)
	}
	all := keys(t, c)
	for i, a := range all {
		for _, b := range all[i+1:] {
			if strings.HasSuffix(a, ":steps") || strings.HasSuffix(b, ":steps") {
				continue
			}
			va, vb := c.Get(t.Context(), a).Val(), c.Get(t.Context(), b).Val()
			set(t, c, a, vb)
			set(t, c, b, va)
			_, errA := r.Look(t.Context(), l.party, l.flow.Reference)
			_, errB := r.Look(t.Context(), l.party, l.pending)
			_, errC := r.Look(t.Context(), l.party, l.step)
			_, errD := r.Look(t.Context(), l.party, other.flow.Reference)
			_, errE := r.Look(t.Context(), l.party, other.pending)
			_, errF := r.Look(t.Context(), l.party, other.step)
			err := errors.Join(errA, errB, errC, errD, errE, errF)
			storetest.WantTrouble(t, a+" and "+b, err)
			set(t, c, a, va)
			set(t, c, b, vb)
		}
	}
}

func set(t *testing.T, c *redis.Client, key, value string) {
	t.Helper()
	if err := c.Set(t.Context(), key, value, redis.KeepTTL).Err(); err != nil {
		t.Fatal(err)
	}
}

// wantTampered wants the one value that was changed to be noticed, and nothing but right answers beside it.
func wantTampered(t *testing.T, r *pushstore.Redis, l login, what string) {
	t.Helper()
	var trouble error
	check := func(err error) { trouble = errors.Join(trouble, err) }
	flow, err := r.Flow(t.Context(), l.party, l.flow.Reference, l.flow.Owner)
	if check(err); err == nil && flow != l.flow {
		t.Errorf("%s: got the wrong flow %+v", what, flow)
	}
	step, err := r.Open(t.Context(), l.party, l.step, l.flow.Owner)
	if check(err); err == nil && step.Request != l.flow.Request {
		t.Errorf("%s: got the wrong request %+v", what, step)
	}
	state, err := r.Look(t.Context(), l.party, l.pending)
	if check(err); err == nil && state != pushstore.Pending {
		t.Errorf("%s: got the wrong state %v", what, state)
	}
	storetest.WantTrouble(t, what, trouble)
}

// TestRedisErrorsAtEachCommand answers one command with each error of Redis, each command in turn, the greeting of a
// connection and a WAIT included: there is a right answer, or there is trouble, and never a wrong answer.
func TestRedisErrorsAtEachCommand(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	for _, reply := range []string{
		"-READONLY You can't write against a read only replica.", "-LOADING Redis is loading the dataset in memory",
		"-MASTERDOWN Link with MASTER is down", "-CLUSTERDOWN The cluster is down", "-TRYAGAIN Multiple keys request during rehashing of slot",
		"-NOREPLICAS Not enough good replicas to write.", "-MOVED 1 127.0.0.1:1", "-ASK 1 127.0.0.1:1", "-NOSCRIPT No matching script.",
		"-NOAUTH Authentication required.", "-WRONGPASS invalid username-password pair", "-NOPERM this user has no permissions",
		"-WRONGTYPE Operation against a key", "-OOM command not allowed", "-MISCONF Redis is configured to save", "-CROSSSLOT Keys in request",
		"-BUSY Redis is busy running a script", "-UNBLOCKED force unblock from blocking operation", "-EXECABORT Transaction discarded",
		"-ERR max number of clients reached", "-ERR Protocol error", "$-1", "_", ":0", "+QUEUED", "*0", "*-1", "nonsense",
	} {
		t.Run(reply, func(t *testing.T) {
			t.Parallel()
			for name := range repeatable(login{}) {
				for _, wait := range []int{-1, 0} { // 0: with a WAIT that nobody has to answer
					p := startProxy(t, server.Addr)
					for at := 0; ; at++ {
						if at == 30 {
							t.Fatal("no end of commands")
						}
						run := repeatable(newLogin(t, dial(t, pushstore.RedisConfig{URL: server.URL()})))[name]
						p.decide(func(n int, _ []string) verdict {
							if n == at {
								return verdict{reply: reply + "\r\n"}
							}
							return verdict{}
						})
						s := dial(t, pushstore.RedisConfig{URL: "redis://" + p.addr}).WaitFor(wait)
						if err := run(t, s); err != nil {
							text := strings.TrimPrefix(err.Error(), "another browser: ")
							if !strings.HasPrefix(text, "pushstore: redis ") && !strings.HasPrefix(text, "pushstore: stored value") {
								t.Errorf("%s, command %d, wait %d: %v", name, at, wait, err)
							}
							storetest.WantTrouble(t, name, err)
						}
						s.Close()
						if p.count() <= at {
							break
						}
					}
				}
			}
		})
	}
}
