package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"pargate/pushstore"
	"pargate/pushstore/storetest"
	"pargate/test/harness"
	"pargate/test/redisserver"
	"pargate/test/upstream"
)

// redisUser is a user as pushstore.Redis asks for one: these commands, on the keys of one prefix.
var redisUser = []string{"--requirepass", "r00t", "--user", "gate", "on", ">g@te:pw", "~gate:*",
	"+get", "+set", "+mget", "+pttl", "+pexpire", "+rename", "+eval", "+evalsha", "+info", "+time"}

func TestRedisIsReachedAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t, redisUser...)
	admin := redisAdmin(t, server, "r00t")
	for _, environ := range [][]string{
		{"REDIS_URL=redis://gate:g%40te%3Apw@ADDR"},
		{"REDIS_URL=redis://ADDR", "REDIS_USERNAME=gate", "REDIS_PASSWORD=g@te:pw"},
		{"REDIS_URL=redis://nobody:wrong@ADDR", "REDIS_USERNAME=gate", "REDIS_PASSWORD=g@te:pw"},
		{"REDIS_URL=redis://gate@ADDR", "REDIS_PASSWORD_FILE=" + writeFile(t, "g@te:pw\n")},
		{"REDIS_URL_FILE=" + writeFile(t, "redis://gate:g%40te%3Apw@"+server.Addr)},
	} {
		admin.FlushAll(t.Context())
		g, err := build(load(t, append([]string{"UPSTREAM_URL=http://127.0.0.1:1", "REDIS_KEY_PREFIX=gate:7:", "FLOW_TTL=7m"}, at(server, environ)...)...), zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		if err := openFlow(t, g.server.Store)(); err != nil {
			t.Errorf("%v: %v", environ, err)
		}
		keys := admin.Keys(t.Context(), "*").Val()
		if len(keys) == 0 {
			t.Errorf("%v: no keys", environ)
		}
		for _, key := range keys {
			if !strings.HasPrefix(key, "gate:7:{") {
				t.Errorf("%v: key %s", environ, key)
			}
			// A claim is kept a second longer than its flow.
			if life := admin.PTTL(t.Context(), key).Val(); life < 6*time.Minute || life > 7*time.Minute+time.Second {
				t.Errorf("%v: %s lives for %v", environ, key, life)
			}
		}
		g.server.Store.Close()
	}
}

func TestRedisIsNotReachedOtherwise(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t, redisUser...)
	for _, environ := range [][]string{
		{"REDIS_URL=redis://ADDR"},
		{"REDIS_URL=redis://gate:hunter2@ADDR"},
		{"REDIS_URL=redis://gate:g%40te%3Apw@ADDR", "REDIS_PASSWORD=hunter2"},
		{"REDIS_URL=redis://gate:g%40te%3Apw@ADDR", "REDIS_USERNAME=nobody"},
	} {
		environ := append([]string{"UPSTREAM_URL=http://127.0.0.1:1"}, at(server, environ)...)
		code, stdout, stderr := call(t, environ, "check", "--connect")
		if code != exitFailure || !matchLines(stdout, "^fail  .*redis") {
			t.Errorf("%v: %d %s%s", environ, code, stdout, stderr)
		}
		for _, secret := range []string{"hunter2", "g@te", "g%40te"} {
			if strings.Contains(stdout+stderr, secret) {
				t.Errorf("%v: a password is shown: %s%s", environ, stdout, stderr)
			}
		}
	}
}

func TestRedisModeIsWhatTheSettingSays(t *testing.T) {
	t.Parallel()
	c := redisserver.StartCluster(t, 3, 0)
	r := redisserver.StartReplicated(t, redisserver.ReplicatedOptions{Sentinels: 1})
	for _, row := range []struct {
		environ []string
		code    int
		want    string
	}{
		{[]string{"REDIS_URL=" + c.Masters[0].URL(), "REDIS_MODE=cluster"}, exitOK, "^ok    store answers$"},
		{[]string{"REDIS_URL=" + c.URL()}, exitOK, "^ok    store answers$"},
		{[]string{"REDIS_URL=" + c.Masters[0].URL()}, exitFailure, "^fail  .*set REDIS_MODE=cluster$"},
		{[]string{"REDIS_URL=" + r.URL(), "REDIS_MODE=sentinel"}, exitOK, "^ok    store answers$"},
		{[]string{"REDIS_URL=" + r.URL()}, exitOK, "^warn  store: A failover .* set REDIS_WAIT_REPLICAS=1"},
		{[]string{"REDIS_URL=" + r.URL(), "REDIS_WAIT_REPLICAS=2"}, exitFailure, "^fail  store: Redis has fewer replicas than REDIS_WAIT_REPLICAS"},
		{[]string{"REDIS_URL=" + r.Master.URL(), "REDIS_MODE=standalone", "REDIS_WAIT_REPLICAS=1"}, exitOK, "^ok    store: redis "},
		{[]string{"REDIS_URL=" + r.Master.URL(), "REDIS_MODE=sentinel"}, exitConfig, "REDIS_URL: .*master_name"},
	} {
		up := upstream.New(t)
		up.SetIssuer("http://127.0.0.1:8080")
		environ := append([]string{"UPSTREAM_URL=" + up.URL, "PUBLIC_URL=http://127.0.0.1:8080"}, row.environ...)
		code, stdout, stderr := call(t, environ, "check", "--connect")
		if code != row.code || !matchLines(stdout+stderr, row.want) {
			t.Errorf("%v: %d %s%s", row.environ, code, stdout, stderr)
		}
	}
}

func TestRedisIsReachedOverTLS(t *testing.T) {
	t.Parallel()
	a := redisserver.NewAuthority(t)
	server := a.StartTLS(t, []string{"127.0.0.1"})
	cert, key := a.Issue(t)
	environ := []string{"REDIS_URL=" + server.URL(), "REDIS_CA_FILE=" + a.File, "REDIS_CERT_FILE=" + cert, "REDIS_KEY_FILE=" + key}
	store := func(environ []string) pushstore.Store {
		g, err := build(load(t, append([]string{"UPSTREAM_URL=http://127.0.0.1:1"}, environ...)...), zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.server.Store.Close() })
		return g.server.Store
	}
	for missing, environ := range map[string][]string{
		"REDIS_CA_FILE":                      {environ[0], environ[2], environ[3]},
		"REDIS_CERT_FILE and REDIS_KEY_FILE": environ[:2],
	} {
		if err := store(environ).Ping(t.Context()); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: %v", missing, err)
		}
	}

	// The pair is read again for every new connection, and one that does not fit is not shown.
	good := store(environ)
	again := func() error {
		server.Stop()
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		return good.Ping(t.Context())
	}
	if err := again(); err != nil {
		t.Error(err)
	}
	otherCert, otherKey := redisserver.NewAuthority(t).Issue(t)
	copyFile(t, otherCert, cert)
	if err := again(); err != nil {
		t.Errorf("while the pair does not fit: %v", err)
	}
	copyFile(t, otherKey, key)
	if err := again(); err == nil {
		t.Error("the new certificate, of an authority that Redis does not know, is not shown")
	}
	for _, environ := range [][]string{
		{"REDIS_URL=" + server.URL(), "REDIS_CA_FILE=" + writeFile(t, "no PEM")},
		{"REDIS_URL=" + server.URL(), "REDIS_CERT_FILE=" + writeFile(t, "no PEM"), "REDIS_KEY_FILE=" + key},
	} {
		setting, _, _ := strings.Cut(environ[1], "=")
		if code, _, stderr := call(t, append([]string{"UPSTREAM_URL=http://127.0.0.1:1"}, environ...), "check"); code != exitConfig || !matchLines(stderr, setting+": .") {
			t.Errorf("%v: %d %s", environ, code, stderr)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAPushIsAnsweredWhenReplicasHaveIt(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	replica := redisserver.StartReplica(t, server.Addr)
	for wait, answered := range map[string]bool{"0": true, "1": false} {
		g, err := build(load(t, "UPSTREAM_URL=http://127.0.0.1:1", "REDIS_URL="+server.URL(), "REDIS_WAIT_REPLICAS="+wait), zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		defer g.server.Store.Close()
		push := func() error {
			_, err := g.server.Store.Put(t.Context(), pushstore.Party{ClientID: "web"}, pushstore.Request{}, time.Minute)
			return err
		}
		harness.WaitFor(t, "a push with a replica, which may have been away", func() bool { return push() == nil })
		replica.Stall()
		if err := push(); (err == nil) != answered {
			t.Errorf("%s: without a replica: %v", wait, err)
		}
		replica.Resume()
	}
}

// at writes the server's address into settings.
func at(server *storetest.RedisServer, environ []string) []string {
	var all []string
	for _, setting := range environ {
		all = append(all, strings.ReplaceAll(setting, "ADDR", server.Addr))
	}
	return all
}

func redisAdmin(t *testing.T, server *storetest.RedisServer, password string) redis.UniversalClient {
	t.Helper()
	admin, err := pushstore.DialRedis(pushstore.RedisConfig{URL: server.URL(), Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	return admin
}

func TestRedisThatComesLateIsWaitedFor(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	server.Stop()
	up := upstream.New(t)
	s := start(t, "UPSTREAM_URL="+up.URL, "REDIS_URL="+server.URL())
	up.SetIssuer(s.public)
	harness.WaitFor(t, "the store to be all that is missing", func() bool {
		status, body := getText(t, s.admin+"/readyz")
		return status == 503 && strings.Contains(body, `"store":"pushstore: redis`) && strings.Contains(body, "nothing listens at that address") && !strings.Contains(body, "upstream")
	})
	harness.WaitFor(t, "one log line that says why", func() bool {
		return strings.Count(s.logs.String(), "Redis does not answer; trying again") == 1 && strings.Contains(s.logs.String(), "nothing listens at that address")
	})
	if s.logs.field("store is Redis", "version") != "" {
		t.Error("it knows a Redis that is not there")
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	s.waitReady(t)
	harness.WaitFor(t, "the log line about Redis", func() bool { return s.logs.field("store is Redis", "version") != "" })
	if code, stdout, _ := call(t, s.environ, "check", "--connect"); code != exitOK || !matchLines(stdout, "^ok    store answers$") {
		t.Errorf("check --connect: %d %s", code, stdout)
	}
}

func TestARedisThatMayForgetIsWarnedOf(t *testing.T) {
	t.Parallel()
	for policy, warned := range map[string]bool{"allkeys-lru": true, "volatile-ttl": true, "noeviction": false} {
		server := storetest.StartRedis(t, "--maxmemory-policy", policy)
		s := start(t, "UPSTREAM_URL=http://127.0.0.1:1", "REDIS_URL="+server.URL())
		harness.WaitFor(t, "the log line about Redis", func() bool { return s.logs.field("store is Redis", "server") != "" })
		s.stop(errInterrupt)
		s.wait(t) // both lines are written by then, or never
		if got := matchLines(s.logs.String(), `"level":"warn".*maxmemory-policy to noeviction.*"maxmemory_policy":"`+policy+`"`); got != warned {
			t.Errorf("%s: warned %v:\n%s", policy, got, s.logs)
		}
	}
}

func TestNoConnectionToRedisOutlastsTheProgram(t *testing.T) {
	t.Parallel()
	server := storetest.StartRedis(t)
	admin := redisAdmin(t, server, "")
	connections := func() int {
		return strings.Count(admin.ClientList(t.Context()).Val(), "\n") - 1 // without the test's own
	}
	s := start(t, "UPSTREAM_URL=http://127.0.0.1:1", "REDIS_URL="+server.URL())
	harness.WaitFor(t, "a connection", func() bool { return connections() > 0 })
	s.stop(errInterrupt)
	s.wait(t)
	// Redis hears of it at once. In ten seconds the garbage collector might have closed what the program has forgotten.
	for deadline := time.Now().Add(time.Second); connections() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("connections are left")
		}
	}
}
