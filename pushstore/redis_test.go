package pushstore_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pargate/pushstore"
	"pargate/pushstore/storetest"
	"pargate/test/redisserver"
)

func TestRedis(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, flowTTL time.Duration) storetest.Subject {
		server := storetest.StartRedis(t)
		client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: server.URL()})
		if err != nil {
			t.Fatal(err)
		}
		r := pushstore.NewRedis(client, pushstore.RedisOptions{FlowTTL: flowTTL})
		t.Cleanup(func() { r.Close() })
		return storetest.Subject{Store: r, Pass: time.Sleep, Down: server.Stop}
	})
}

// TestRedisBefore7 runs the suite against a server that cannot compile what it does not know.
func TestRedisBefore7(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, flowTTL time.Duration) storetest.Subject {
		server := storetest.StartRedis(t)
		p := startProxy(t, server.Addr)
		p.decide(refuseShebang)
		client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: "redis://" + p.addr})
		if err != nil {
			t.Fatal(err)
		}
		r := pushstore.NewRedis(client, pushstore.RedisOptions{FlowTTL: flowTTL})
		t.Cleanup(func() { r.Close() })
		return storetest.Subject{Store: r, Pass: time.Sleep, Down: server.Stop}
	})
}

// refuseShebang answers a flagged script as Redis 6.2 does.
func refuseShebang(_ int, command []string) verdict {
	if strings.EqualFold(command[0], "eval") && strings.HasPrefix(command[1], "#!") {
		return verdict{reply: "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '#' \r\n"}
	}
	return verdict{}
}

func TestRedisRemembersThatTheServerIsOld(t *testing.T) {
	t.Parallel()
	p := startProxy(t, storetest.StartRedis(t).Addr)
	p.decide(refuseShebang)
	r := dial(t, pushstore.RedisConfig{URL: "redis://" + p.addr})
	l := newLogin(t, r)
	p.decide(func(_ int, command []string) verdict {
		if len(command) > 1 && strings.HasPrefix(command[1], "#!") {
			t.Errorf("sent again: %q", command[1])
		}
		return verdict{}
	})
	if _, err := r.Open(t.Context(), l.party, l.flow.Reference, l.flow.Owner); err != nil {
		t.Error(err)
	}
}

// login is one opened request, one continuation of it and one pending request.
type login struct {
	party   pushstore.Party
	secret  []byte
	flow    pushstore.Flow
	step    pushstore.Reference
	pending pushstore.Reference
}

func newLogin(t *testing.T, s pushstore.Store) login {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	l := login{party: client(1), secret: []byte("a secret")}
	ref, err := s.Put(t.Context(), l.party, testRequest(), time.Hour)
	must(err)
	l.flow, err = s.Open(t.Context(), l.party, ref, pushstore.OwnerOf(l.secret))
	must(err)
	l.step, err = s.Continue(t.Context(), l.flow, l.secret, "step=1")
	must(err)
	l.pending, err = s.Put(t.Context(), l.party, testRequest(), time.Hour)
	must(err)
	return l
}

// admin is a client beside the store, for looking into Redis.
func admin(t *testing.T, server *storetest.RedisServer) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { c.Close() })
	return c
}

func keys(t *testing.T, c *redis.Client) []string {
	t.Helper()
	all, err := c.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func TestRedisGuessesWriteNothing(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	r, c := dial(t, pushstore.RedisConfig{URL: server.URL()}), admin(t, server)
	l := newLogin(t, r)
	changes := func() string { // every write that changes something
		info, err := c.Info(t.Context(), "persistence").Result()
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`rdb_changes_since_last_save:\d+`).FindString(info)
	}
	before, size := changes(), c.DBSize(t.Context()).Val()
	for n := range 20 {
		guess := pushstore.Reference(fmt.Sprintf("%043d", n))
		for _, p := range []pushstore.Party{l.party, client(2)} {
			f := pushstore.Flow{Reference: guess, Party: p, Owner: l.flow.Owner, Request: testRequest()}
			r.Look(t.Context(), p, guess)
			r.Open(t.Context(), p, guess, f.Owner)
			r.Flow(t.Context(), p, guess, f.Owner)
			r.Continue(t.Context(), f, l.secret, "a=b")
			r.Finish(t.Context(), f, "r")
		}
		r.Open(t.Context(), client(2), l.pending, l.flow.Owner) // the right reference, another client
		r.Open(t.Context(), l.party, l.flow.Reference, pushstore.OwnerOf([]byte("another")))
		r.Open(t.Context(), l.party, l.step, pushstore.OwnerOf([]byte("another")))
		r.Look(t.Context(), l.party, l.pending)
	}
	// Nor do repetitions of what has happened.
	r.Open(t.Context(), l.party, l.flow.Reference, l.flow.Owner)
	r.Continue(t.Context(), l.flow, l.secret, "step=1")
	if got := c.DBSize(t.Context()).Val(); got != size {
		t.Errorf("%d keys, want %d", got, size)
	}
	if got := changes(); got != before {
		t.Errorf("%s, want %s", got, before)
	}
}

func TestRedisDumpShowsNothing(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	r, c := dial(t, pushstore.RedisConfig{URL: server.URL()}), admin(t, server)
	p := pushstore.Party{Issuer: "https://canary-issuer.example", ClientID: "canary-client{}\r\n*"}
	request := pushstore.Request{Query: "scope=canary-query", RedirectURI: "https://canary-redirect.example/", State: "canary-state"}
	secret := []byte("canary-secret")
	var refs []string
	for n := range 3 {
		ref, err := r.Put(t.Context(), p, request, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, string(ref))
		if n == 0 {
			continue
		}
		f, err := r.Open(t.Context(), p, ref, pushstore.OwnerOf(secret))
		if err != nil {
			t.Fatal(err)
		}
		step, err := r.Continue(t.Context(), f, secret, "canary-difference")
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, string(step))
		if n == 2 {
			if _, err := r.Finish(t.Context(), f, "canary-response"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := r.Mark(t.Context(), "holder", "canary-mark", time.Hour); err != nil {
		t.Fatal(err)
	}

	owner := pushstore.OwnerOf(secret)
	canaries := append([]string{"canary", "scope", "https:", string(owner[:])}, refs...)
	alphabet := regexp.MustCompile(`^pargate:\{[A-Za-z0-9_-]{24}\}:(push|flow|claim|steps|step|mark)$`)
	names := map[string]bool{}
	for _, key := range keys(t, c) {
		m := alphabet.FindStringSubmatch(key)
		if m == nil {
			t.Errorf("key %q is outside the alphabet", key)
			continue
		}
		names[m[1]] = true
		value, err := c.Get(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		if ttl := c.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > time.Hour+time.Second {
			t.Errorf("%s lives for %v", key, ttl)
		}
		for _, canary := range canaries {
			if strings.Contains(key+"\n"+value, canary) {
				t.Errorf("%s shows %q", key, canary)
			}
		}
	}
	if len(names) != 6 {
		t.Errorf("saw the keys %v, want every kind", names)
	}
}

func TestRedisDescribes(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t, "--maxmemory-policy", "allkeys-lru")
	info, err := dial(t, pushstore.RedisConfig{URL: server.URL()}).Describe(t.Context())
	if err != nil || info.Server == "" || info.Version == "" || info.MaxMemoryPolicy != "allkeys-lru" || info.Masters != 1 || !info.HasClock ||
		info.Persistence != pushstore.PersistsNothing {
		t.Errorf("got %+v, %v", info, err)
	}
}

func TestRedisPresentsItsCertificates(t *testing.T) {
	t.Parallel()
	a := redisserver.NewAuthority(t)
	server := a.StartTLS(t, []string{"127.0.0.1"})
	gone := redisserver.Start(t)
	gone.Stop()
	for name, c := range map[string]pushstore.RedisConfig{"trusted": {URL: server.URL(), TLS: a.Config(t, "", "")}, "not trusted": {URL: server.URL()}} {
		shown := c.Presented(t.Context())
		if len(shown) != 1 || shown[0].Addr != server.Addr || len(shown[0].Chain) == 0 || shown[0].Chain[0].Subject.CommonName != "test" {
			t.Errorf("%s: %+v", name, shown)
		}
	}
	if shown := (pushstore.RedisConfig{URL: gone.URL()}).Presented(t.Context()); shown != nil {
		t.Errorf("without TLS: %+v", shown)
	}
	if shown := (pushstore.RedisConfig{URL: "rediss://" + gone.Addr}).Presented(t.Context()); len(shown) != 1 || shown[0].Chain != nil {
		t.Errorf("of nobody: %+v", shown)
	}
	for url, want := range map[string]string{
		"redis://gate:hunter2@r/3": "standalone at r:6379", "rediss://gate:hunter2@s?master_name=m&addr=t": "sentinel at s:26379, t:26379, master m, by TLS",
		"redis://r?addr=s": "cluster at r:6379, s:6379", "unix://:hunter2@/run/r.sock": "standalone at /run/r.sock", "nonsense": "",
	} {
		if got := (pushstore.RedisConfig{URL: url}).Topology(); got != want {
			t.Errorf("%s: %q", url, got)
		}
	}
}

// TestRedisShedsPushesAtMaxmemory: a full Redis refuses what is new and lets go on what has begun.
func TestRedisShedsPushesAtMaxmemory(t *testing.T) {
	t.Parallel()
	for _, old := range []bool{false, true} {
		t.Run(fmt.Sprint("old=", old), func(t *testing.T) {
			t.Parallel()
			server := storetest.StartRedis(t, "--maxmemory-policy", "noeviction")
			p := startProxy(t, server.Addr)
			if old {
				p.decide(refuseShebang)
			}
			r := dial(t, pushstore.RedisConfig{URL: "redis://" + p.addr})
			l := newLogin(t, r)
			if err := admin(t, server).ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
				t.Fatal(err)
			}
			_, err := r.Put(t.Context(), client(3), testRequest(), time.Hour)
			storetest.WantTrouble(t, "Put at maxmemory", err)
			if !redis.IsOOMError(err) {
				t.Errorf("got %v, want Redis' own error inside", err)
			}
			if _, err := r.Open(t.Context(), l.party, l.pending, l.flow.Owner); err != nil {
				t.Errorf("Open at maxmemory: %v", err)
			}
			if _, err := r.Flow(t.Context(), l.party, l.pending, l.flow.Owner); err != nil {
				t.Errorf("Flow at maxmemory: %v", err)
			}
			_, err = r.Continue(t.Context(), l.flow, l.secret, "step=2")
			if old {
				storetest.WantTrouble(t, "Continue at maxmemory of an old Redis", err)
			} else if err != nil {
				t.Errorf("Continue at maxmemory: %v", err)
			}
			if won, err := r.Finish(t.Context(), l.flow, "r"); err != nil || !won {
				t.Errorf("Finish at maxmemory: %v, %v", won, err)
			}
			_, err = r.Mark(t.Context(), "holder", "id", time.Hour)
			storetest.WantTrouble(t, "Mark at maxmemory", err)
		})
	}
}

// Not parallel: it measures time.
func TestRedisAnswersInTimeWhenItStalls(t *testing.T) {
	server := storetest.StartRedis(t)
	client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	r := pushstore.NewRedis(client, pushstore.RedisOptions{FlowTTL: time.Hour})
	t.Cleanup(func() { r.Close() })
	l := newLogin(t, r)
	server.Stall()
	defer server.Resume()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a caller that has gone away changes nothing
	operations := map[string]func() error{
		"Put":      func() error { _, err := r.Put(ctx, l.party, testRequest(), time.Hour); return err },
		"Look":     func() error { _, err := r.Look(ctx, l.party, l.pending); return err },
		"Open":     func() error { _, err := r.Open(ctx, l.party, l.step, l.flow.Owner); return err },
		"Flow":     func() error { _, err := r.Flow(ctx, l.party, l.step, l.flow.Owner); return err },
		"Continue": func() error { _, err := r.Continue(ctx, l.flow, l.secret, "a=b"); return err },
		"Finish":   func() error { _, err := r.Finish(ctx, l.flow, "r"); return err },
		"Mark":     func() error { _, err := r.Mark(ctx, "holder", "id", time.Hour); return err },
		"Ping":     func() error { return r.Ping(ctx) },
	}
	var wg sync.WaitGroup
	for name, run := range operations {
		wg.Go(func() {
			start := time.Now()
			storetest.WantTrouble(t, name, run())
			took := time.Since(start)
			if took > time.Second {
				t.Errorf("%s took %v, want an answer within 1 s", name, took)
			}
			if took < 300*time.Millisecond {
				t.Errorf("%s took %v: it gave up with its caller", name, took)
			}
		})
	}
	wg.Wait()
}

// TestRedisNeverGivesARequestTwice: not when a push that was sent twice arrives late, and not when Redis evicts.
func TestRedisNeverGivesARequestTwice(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	p := startProxy(t, server.Addr)
	r, c := dial(t, pushstore.RedisConfig{URL: "redis://" + p.addr}), admin(t, server)
	mine, other := pushstore.OwnerOf([]byte("mine")), pushstore.OwnerOf([]byte("another"))
	var push []string
	p.decide(func(_ int, command []string) verdict {
		if strings.EqualFold(command[0], "set") {
			push = command
		}
		return verdict{}
	})
	ref, err := r.Put(t.Context(), client(1), testRequest(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	again := make([]any, len(push))
	for i, word := range push {
		again[i] = word
	}
	f, err := r.Open(t.Context(), client(1), ref, mine)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Do(t.Context(), again...).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(t.Context(), client(1), ref, other); !errors.Is(err, pushstore.ErrTaken) {
		t.Errorf("another browser, after a late duplicate: %v, want ErrTaken", err)
	}
	if got, err := r.Open(t.Context(), client(1), ref, mine); err != nil || got != f {
		t.Errorf("the owner, after a late duplicate: %v", err)
	}
	if won, err := r.Finish(t.Context(), f, "r"); err != nil || !won {
		t.Errorf("Finish, after a late duplicate: %v, %v", won, err)
	}

	ref, err = r.Put(t.Context(), client(1), testRequest(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	before := keys(t, c)
	if _, err := r.Open(t.Context(), client(1), ref, mine); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys(t, c) {
		if strings.HasSuffix(key, ":claim") && !slices.Contains(before, key) {
			c.Del(t.Context(), key)
		}
	}
	if _, err := r.Open(t.Context(), client(1), ref, other); !errors.Is(err, pushstore.ErrNotFound) {
		t.Errorf("another browser, once the claim is evicted: %v, want ErrNotFound", err)
	}
}

// TestRedisComesBack: connections that died with the server are no trouble once it is there again.
func TestRedisComesBack(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	r := dial(t, pushstore.RedisConfig{URL: server.URL()})
	newLogin(t, r)
	server.Stop()
	storetest.WantTrouble(t, "Ping", r.Ping(t.Context()))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	newLogin(t, r)
}

// TestAClockThatIsFarOffIsNotReady also after it was right, until it is right again.
func TestAClockThatIsFarOffIsNotReady(t *testing.T) {
	t.Parallel()
	p := startProxy(t, storetest.StartRedis(t).Addr)
	s := dial(t, pushstore.RedisConfig{URL: "redis://" + p.addr})
	for _, c := range []struct {
		ahead time.Duration
		ready bool
	}{{0, true}, {25 * time.Second, true}, {40 * time.Second, false}, {-40 * time.Second, false}, {0, true}} {
		p.decide(func(_ int, command []string) verdict {
			if c.ahead == 0 || !strings.EqualFold(command[0], "time") {
				return verdict{}
			}
			return verdict{reply: fmt.Sprintf("*2\r\n$10\r\n%d\r\n$1\r\n0\r\n", time.Now().Add(c.ahead).Unix())}
		})
		info, err := s.Describe(t.Context())
		if err != nil || (info.ClockAhead-c.ahead).Abs() > 3*time.Second || c.ahead == 0 && info.ClockAhead != 0 {
			t.Errorf("%v ahead: got %+v, %v", c.ahead, info, err)
		}
		if err := s.Ping(t.Context()); (err == nil) != c.ready {
			t.Errorf("%v ahead: Ping says %v", c.ahead, err)
		}
	}
}

func TestRedisDescribesWhoFollowsIt(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	s := dial(t, pushstore.RedisConfig{URL: server.URL()})
	want := func(replicas int, guarded bool) {
		t.Helper()
		if info, err := s.Describe(t.Context()); err != nil || !info.HasReplicas || info.Replicas != replicas || info.Guarded != guarded {
			t.Errorf("got %+v, %v", info, err)
		}
	}
	want(0, false)
	redisserver.StartReplica(t, server.Addr)
	want(1, false)
	if err := admin(t, server).ConfigSet(t.Context(), "min-replicas-to-write", "1").Err(); err != nil {
		t.Fatal(err)
	}
	want(1, true)
}

// TestRedisDescribesTheWorstOfACluster: one node that forgets is enough to be warned of.
func TestRedisDescribesTheWorstOfACluster(t *testing.T) {
	t.Parallel()
	c := redisserver.StartCluster(t, 3, 0)
	s := dial(t, pushstore.RedisConfig{URL: c.URL()})
	newLogin(t, s)
	if info, err := s.Describe(t.Context()); err != nil || info.MaxMemoryPolicy != "noeviction" || info.Masters != 3 || !info.HasClock {
		t.Errorf("got %+v, %v", info, err)
	}
	if err := admin(t, c.Masters[2]).ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err(); err != nil {
		t.Fatal(err)
	}
	if info, err := s.Describe(t.Context()); err != nil || info.MaxMemoryPolicy != "allkeys-lru" {
		t.Errorf("got %+v, %v", info, err)
	}
}
