package pushstore_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pargate/pushstore"
	"pargate/pushstore/storetest"
	"pargate/test/faultproxy"
	"pargate/test/redisserver"
)

func TestRedisOverTLSWithAClientCertificate(t *testing.T) {
	t.Parallel()
	a := redisserver.NewAuthority(t)
	server := a.StartTLS(t, []string{"127.0.0.1"})
	cert, key := a.Issue(t)
	newLogin(t, dial(t, pushstore.RedisConfig{URL: server.URL(), TLS: a.Config(t, cert, key)}))
}

// TestEachMistakeIsExplained makes the mistakes that everybody makes, and wants the sentence that helps.
func TestEachMistakeIsExplained(t *testing.T) {
	t.Parallel()
	a, stranger := redisserver.NewAuthority(t), redisserver.NewAuthority(t)
	cert, key := a.Issue(t)
	plain := redisserver.Start(t)
	secured := redisserver.Start(t, "--requirepass", "hunter2", "--user", "narrow", "on", ">hunter3", "~other:*", "+@all")
	overTLS := a.StartTLS(t, []string{"127.0.0.1"})
	otherName := a.StartTLS(t, []string{"redis.example"})
	replica := redisserver.StartReplica(t, plain.Addr)
	cluster := redisserver.StartCluster(t, 3, 0)
	sentinel := redisserver.StartSentinel(t, "mymaster", plain.Addr, 1, time.Minute)
	gone := redisserver.Start(t)
	gone.Stop()
	silent := faultproxy.Start(t, plain.Addr)
	silent.BlackHole()
	withTLS := func(s *redisserver.Server) string { return "rediss://" + s.Addr }
	without := func(s *redisserver.Server) string { return "redis://" + s.Addr }
	for _, c := range []struct {
		what   string
		config pushstore.RedisConfig
		want   string
	}{
		{"nobody there", pushstore.RedisConfig{URL: gone.URL()}, "nothing listens at that address"},
		{"no such host", pushstore.RedisConfig{URL: "redis://redis.invalid"}, "the host in REDIS_URL has no address here"},
		{"silence", pushstore.RedisConfig{URL: "redis://" + silent.Addr}, "it does not answer in time"},
		{"no such socket", pushstore.RedisConfig{URL: "unix://" + t.TempDir() + "/s"}, "the socket is not there"},
		{"TLS to a plain port", pushstore.RedisConfig{URL: withTLS(plain)}, "(TLS or not) than REDIS_URL says"},
		{"plain to a TLS port", pushstore.RedisConfig{URL: without(overTLS)}, "that port may speak TLS only"},
		{"an unknown authority", pushstore.RedisConfig{URL: withTLS(overTLS)}, "REDIS_CA_FILE"},
		{"another authority", pushstore.RedisConfig{URL: withTLS(overTLS), TLS: stranger.Config(t, "", "")}, "REDIS_CA_FILE"},
		{"another name", pushstore.RedisConfig{URL: withTLS(otherName), TLS: a.Config(t, cert, key)}, "for another name than the host in REDIS_URL"},
		{"no client certificate", pushstore.RedisConfig{URL: withTLS(overTLS), TLS: a.Config(t, "", "")}, "REDIS_CERT_FILE and REDIS_KEY_FILE"},
		{"no password", pushstore.RedisConfig{URL: secured.URL()}, "it wants a password: set REDIS_PASSWORD"},
		{"a wrong password", pushstore.RedisConfig{URL: secured.URL(), Password: "wrong"}, "it refuses the account"},
		{"another prefix", pushstore.RedisConfig{URL: secured.URL(), Username: "narrow", Password: "hunter3"}, "the rule it needs is in docs/redis.md"},
		{"a replica", pushstore.RedisConfig{URL: replica.URL()}, "it is a replica"},
		{"a cluster", pushstore.RedisConfig{URL: cluster.Masters[0].URL()}, "set REDIS_MODE=cluster"},
		{"no cluster", pushstore.RedisConfig{URL: plain.URL(), Mode: pushstore.RedisCluster}, "it is no cluster"},
		{"a Sentinel", pushstore.RedisConfig{URL: sentinel.URL()}, "a Sentinel is named with ?master_name="},
		{"another master's name", pushstore.RedisConfig{URL: sentinel.URL() + "?master_name=other"}, "do not know that master_name"},
		{"no Sentinel", pushstore.RedisConfig{URL: plain.URL() + "?master_name=mymaster"}, "it does not know Redis' commands"},
	} {
		err := dial(t, c.config).Ping(t.Context())
		storetest.WantTrouble(t, c.what, err)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: got %v, want it to say %q", c.what, err, c.want)
		}
		if err != nil && strings.Count(err.Error(), "\n") > 1 {
			t.Errorf("%s: that is more than a sentence: %v", c.what, err)
		}
	}
}

func TestAPasswordFileIsReadForEveryNewConnection(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := redisserver.StartReplicated(t, redisserver.ReplicatedOptions{Sentinels: 1})
	c := redisserver.StartCluster(t, 3, 0)
	for mode, d := range map[string]*deployment{"standalone": {url: r.Master.URL(), servers: r.All()}, "sentinel": {url: r.URL(), servers: r.All()}, "cluster": {url: c.URL(), servers: c.All()}} {
		rotate := func(rules ...any) {
			t.Helper()
			for _, server := range d.servers {
				client := server.Client(t)
				if err := client.Do(t.Context(), append([]any{"acl", "setuser", "gate"}, rules...)...).Err(); err != nil {
					t.Fatal(err)
				}
				client.Do(t.Context(), "client", "kill", "user", "gate")
			}
		}
		rotate("reset", "on", "~*", "+@all", ">old")
		write("old\r\n")
		s := dial(t, pushstore.RedisConfig{URL: d.url, Username: "gate", Password: "beside", PasswordFile: path})
		newLogin(t, s)
		write("new\n")
		rotate("resetpass", ">new")
		newLogin(t, s)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		rotate()
		newLogin(t, s) // with the one read before
		rotate("resetpass", ">newer")
		err := s.Ping(t.Context())
		storetest.WantTrouble(t, mode+": the wrong password", err)
		write("newer")
		newLogin(t, s)
	}
}

// TestAStalledRedisHoldsNobodyUp: many at once are all answered as soon as one is, and with few connections. So there is
// no breaker.
func TestAStalledRedisHoldsNobodyUp(t *testing.T) {
	server := redisserver.Start(t)
	client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	s := pushstore.NewRedis(client, pushstore.RedisOptions{})
	t.Cleanup(func() { s.Close() })
	var slowest time.Duration
	many := func(n int, want func(error)) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		slowest = 0
		for range n {
			wg.Go(func() {
				start := time.Now()
				_, err := s.Put(t.Context(), clientParty, testRequest(), time.Minute)
				mu.Lock()
				defer mu.Unlock()
				slowest = max(slowest, time.Since(start))
				want(err)
			})
		}
		wg.Wait()
	}
	many(20, func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
	server.Stall()
	many(200, func(err error) { storetest.WantTrouble(t, "Put", err) })
	if slowest > 2*time.Second { // it is one second on a machine that does nothing else
		t.Errorf("the slowest of 200 took %v", slowest)
	}
	server.Resume()
	redisserver.Await(t, "an answer", func() bool { return s.Ping(context.Background()) == nil })
	if n := strings.Count(admin(t, server).ClientList(t.Context()).Val(), "\n"); n > 33 {
		t.Errorf("%d connections", n)
	}
}

var clientParty = client(1)

func TestPingAsksEveryPartOfACluster(t *testing.T) {
	t.Parallel()
	c := redisserver.StartCluster(t, 3, 0, "--cluster-require-full-coverage", "no")
	s := dial(t, pushstore.RedisConfig{URL: c.URL()})
	for i := range c.Masters {
		if err := s.Ping(t.Context()); err != nil {
			t.Fatalf("with %d of 3 gone: %v", i, err)
		}
		if i == 2 {
			return
		}
		c.Masters[i].Stop()
	}
}

func TestTheClientsOwnLogGoesWhereItIsSent(t *testing.T) {
	// Not parallel: it is a setting of the process.
	var mu sync.Mutex
	var lines []string
	pushstore.LogRedis(func(message string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, message)
	})
	defer pushstore.LogRedis(func(string) {})
	stderr, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func(before *os.File) { os.Stderr = before }(os.Stderr)
	os.Stderr = stderr
	server := redisserver.Start(t)
	client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: "redis://u:hunter2@" + server.Addr})
	if err != nil {
		t.Fatal(err)
	}
	s := pushstore.NewRedis(client, pushstore.RedisOptions{})
	defer s.Close()
	s.Ping(t.Context())
	server.Stop()
	for range 40 { // more failures than the pool has connections
		s.Ping(t.Context())
	}
	redis.NewClient(&redis.Options{Addr: server.Addr, MinIdleConns: 1, DialerRetries: 1}).Close()
	text, err := os.ReadFile(stderr.Name())
	if err != nil || len(text) > 0 {
		t.Errorf("standard error: %s, %v", text, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if strings.Contains(strings.Join(lines, "\n"), "hunter2") {
		t.Errorf("a password: %q", lines)
	}
	t.Logf("%d lines", len(lines))
}
