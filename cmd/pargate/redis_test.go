package main

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"pargate/pushstore"
	"pargate/pushstore/storetest"
	"pargate/test/harness"
	"pargate/test/upstream"
)

// redisUser is a user as pushstore.Redis asks for one: these commands, on the keys of one prefix.
var redisUser = []string{"--requirepass", "r00t", "--user", "gate", "on", ">g@te:pw", "~gate:*",
	"+get", "+set", "+mget", "+pttl", "+pexpire", "+rename", "+eval", "+evalsha", "+ping", "+info"}

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
		return status == 503 && strings.Contains(body, `"store":"pushstore: redis`) && !strings.Contains(body, "upstream")
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
