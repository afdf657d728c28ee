package pushstore_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pargate/pushstore"
	"pargate/pushstore/storetest"
	"pargate/test/redisserver"
)

// What the user needs, as docs/redis.md has it.
var (
	rulesAlways   = []string{"+get", "+set", "+mget", "+pttl", "+pexpire", "+rename", "+eval", "+evalsha"}
	rulesWait     = []string{"+wait", "+del"}
	rulesSentinel = []string{"+role"}
	rulesCluster  = []string{"+cluster|slots", "+asking"}
	rulesWarnings = []string{"+info", "+time"}

	rulesOnSentinels = []string{"+sentinel|get-master-addr-by-name"}
)

func TestTheDocumentedRulesAreTheTestedOnes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"    ACL SETUSER pargate on >PASSWORD ~pargate:* " + strings.Join(rulesAlways, " "),
		"    ACL SETUSER pargate on >PASSWORD " + strings.Join(rulesOnSentinels, " "),
		"| `REDIS_WAIT_REPLICAS` | `" + strings.Join(rulesWait, " ") + "` |",
		"| Sentinel | `" + strings.Join(rulesSentinel, " ") + "` |",
		"| Cluster | `" + strings.ReplaceAll(strings.Join(rulesCluster, " "), "|", `\|`) + "` |",
		"| warnings at start | `" + strings.Join(rulesWarnings, " ") + "` |",
	} {
		if !slices.ContainsFunc(strings.Split(string(text), "\n"), func(l string) bool { return strings.HasPrefix(l, line) }) {
			t.Errorf("docs/redis.md has no line that begins with:\n%s", line)
		}
	}
}

// deployment is a Redis of some kind that several tests share, each as a user of its own with keys of its own.
type deployment struct {
	url     string
	servers []*redisserver.Server
	rules   []string
	wait    int
	users   atomic.Int64
}

// store returns a store as a new user with the given rules. down locks that user out.
func (d *deployment) store(t *testing.T, flowTTL time.Duration, rules ...string) (s *pushstore.Redis, down func()) {
	t.Helper()
	user := fmt.Sprint("user", d.users.Add(1))
	args := []any{"acl", "setuser", user, "reset", "on", ">s3cret", "~" + user + ":*"}
	for _, rule := range rules {
		args = append(args, rule)
	}
	onAll := func(args ...any) {
		t.Helper()
		for _, server := range d.servers {
			if err := server.Client(t).Do(t.Context(), args...).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	onAll(args...)
	client, err := pushstore.DialPatiently(pushstore.RedisConfig{URL: d.url, Username: user, Password: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	s = pushstore.NewRedis(client, pushstore.RedisOptions{FlowTTL: flowTTL, Prefix: user + ":", WaitReplicas: d.wait}).Patiently()
	t.Cleanup(func() { s.Close() })
	return s, func() {
		onAll("acl", "setuser", user, "off")
		onAll("client", "kill", "user", user)
	}
}

func (d *deployment) run(t *testing.T) {
	storetest.Run(t, func(t *testing.T, flowTTL time.Duration) storetest.Subject {
		s, down := d.store(t, flowTTL, d.rules...)
		return storetest.Subject{Store: s, Pass: time.Sleep, Down: down}
	})
}

// TestRedisOfEveryKind runs the suite on real servers of each kind, with and without waiting for replicas, always as
// the smallest user.
func TestRedisOfEveryKind(t *testing.T) {
	t.Parallel()
	for _, wait := range []int{0, 1} {
		rules := slices.Clone(rulesAlways)
		if wait > 0 {
			rules = append(rules, rulesWait...)
		}
		t.Run(fmt.Sprintf("Standalone/wait=%d", wait), func(t *testing.T) {
			t.Parallel()
			server := redisserver.Start(t)
			for range wait {
				redisserver.StartReplica(t, server.Addr)
			}
			d := &deployment{url: server.URL(), servers: []*redisserver.Server{server}, rules: rules, wait: wait}
			d.run(t)
			d.needsEach(t)
		})
		t.Run(fmt.Sprintf("Sentinel/wait=%d", wait), func(t *testing.T) {
			t.Parallel()
			r := redisserver.StartReplicated(t, redisserver.ReplicatedOptions{})
			d := &deployment{url: r.URL(), servers: r.All(), rules: append(slices.Clone(rules), rulesSentinel...), wait: wait}
			d.run(t)
			d.needsEach(t)
		})
		t.Run(fmt.Sprintf("Cluster/wait=%d", wait), func(t *testing.T) {
			t.Parallel()
			c := redisserver.StartCluster(t, 3, wait)
			d := &deployment{url: c.URL(), servers: c.All(), rules: append(slices.Clone(rules), rulesCluster...), wait: wait}
			d.run(t)
			d.needsEach(t)
		})
	}
}

// needsEach takes each rule away in turn: something must then fail.
func (d *deployment) needsEach(t *testing.T) {
	t.Run("EachRuleIsNeeded", func(t *testing.T) {
		t.Parallel()
		for i, missing := range d.rules {
			if missing == "+del" || missing == "+asking" {
				continue // TestAPushThatIsNotAcknowledgedIsTakenAway and TestASlotThatMoves need them
			}
			for _, server := range d.servers {
				server.Client(t).ScriptFlush(t.Context()) // or nothing would need +eval
			}
			s, _ := d.store(t, time.Hour, slices.Delete(slices.Clone(d.rules), i, i+1)...)
			if errs := d.everything(t, s); !slices.ContainsFunc(errs, func(err error) bool { return err != nil }) && (missing != "+evalsha" || d.wait == 0) {
				t.Errorf("nothing needs %s", missing)
			}
		}
		s, _ := d.store(t, time.Hour, d.rules...)
		for _, err := range d.everything(t, s) {
			if err != nil {
				t.Error(err)
			}
		}
		if info, err := s.Describe(t.Context()); err != nil || info != (pushstore.RedisInfo{}) {
			t.Errorf("Describe without the rules for warnings: got %+v, %v, want nothing", info, err)
		}
		curious, _ := d.store(t, time.Hour, append(slices.Clone(d.rules), rulesWarnings...)...)
		info, err := curious.Describe(t.Context())
		if err != nil || info.Version == "" || info.MaxMemoryPolicy != "noeviction" || !info.HasReplicas || info.Replicas < d.wait {
			t.Errorf("Describe: got %+v, %v", info, err)
		}
	})
}

// everything runs every operation once and returns its errors.
func (d *deployment) everything(t *testing.T, r *pushstore.Redis) (errs []error) {
	ctx, secret := t.Context(), []byte("secret")
	add := func(err error) { errs = append(errs, err) }
	ref, err := r.Put(ctx, client(1), testRequest(), time.Hour)
	add(err)
	_, err = r.Look(ctx, client(1), ref)
	add(err)
	f, err := r.Open(ctx, client(1), ref, pushstore.OwnerOf(secret))
	add(err)
	_, err = r.Continue(ctx, f, secret, "a=b")
	add(err)
	_, err = r.Finish(ctx, f, "r")
	add(err)
	_, err = r.Mark(ctx, "holder", string(ref), time.Hour)
	add(err)
	add(r.Ping(ctx))
	return errs
}
