package pushstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pargate/pushstore"
	"pargate/pushstore/storetest"
	"pargate/test/redisserver"
)

func TestASentinelThatHangsHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	r := redisserver.StartReplicated(t, redisserver.ReplicatedOptions{})
	r.Sentinels[0].Stall()
	defer r.Sentinels[0].Resume()
	client, err := pushstore.DialRedis(pushstore.RedisConfig{URL: r.URL()})
	if err != nil {
		t.Fatal(err)
	}
	s := pushstore.NewRedis(client, pushstore.RedisOptions{FlowTTL: time.Hour})
	t.Cleanup(func() { s.Close() })
	newLogin(t, s)
}

// TestSentinelNamesTheNextMaster: what was told before the master died is there when the next one is, and within 2 s of
// that the store answers again.
func TestSentinelNamesTheNextMaster(t *testing.T) {
	t.Parallel()
	r := redisserver.StartReplicated(t, redisserver.ReplicatedOptions{Replicas: 2})
	client, err := pushstore.DialPatiently(pushstore.RedisConfig{URL: r.URL()})
	if err != nil {
		t.Fatal(err)
	}
	s := pushstore.NewRedis(client, pushstore.RedisOptions{FlowTTL: time.Hour, WaitReplicas: 1})
	t.Cleanup(func() { s.Close() })
	l := newLogin(t, s)
	before := r.Named(t)
	r.Master.Stop()
	storetest.WantTrouble(t, "Ping without a master", s.Ping(t.Context()))
	r.AwaitFailover(t, before)
	for start := time.Now(); ; {
		if _, err = s.Put(t.Context(), l.party, testRequest(), time.Minute); err == nil {
			break
		}
		if time.Since(start) > 2*time.Second {
			t.Fatalf("2 s after the failover: %v", err)
		}
	}
	if f, err := s.Open(t.Context(), l.party, l.step, l.flow.Owner); err != nil || f.Reference != l.flow.Reference {
		t.Errorf("the login after the failover: %v", err)
	}
	if _, err := s.Open(t.Context(), l.party, l.flow.Reference, pushstore.OwnerOf([]byte("another"))); !errors.Is(err, pushstore.ErrTaken) {
		t.Errorf("another browser after the failover: %v", err)
	}
}

// TestAReplicaIsNeverRead: not when a Sentinel names one, and not when a master becomes one under its connections.
func TestAReplicaIsNeverRead(t *testing.T) {
	t.Parallel()
	master := redisserver.Start(t)
	replica := redisserver.StartReplica(t, master.Addr)
	sentinel := startProxy(t, redisserver.StartSentinel(t, "mymaster", master.Addr, 1, time.Minute).Addr)
	name := func(server *redisserver.Server) func(int, []string) verdict {
		return func(_ int, command []string) verdict {
			if strings.EqualFold(command[0], "sentinel") {
				return verdict{reply: fmt.Sprintf("*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", len(server.Port()), server.Port())}
			}
			return verdict{}
		}
	}
	for _, old := range []bool{false, true} {
		sentinel.decide(name(replica))
		s := dial(t, pushstore.RedisConfig{URL: "redis://" + sentinel.addr + "?master_name=mymaster"})
		err := s.Ping(t.Context())
		storetest.WantTrouble(t, "Ping of a replica", err)
		if err == nil || !strings.Contains(err.Error(), "it is a replica") {
			t.Errorf("got %v", err)
		}
		sentinel.decide(name(master))
		newLogin(t, s)
		if old {
			break
		}
	}
	s := dial(t, pushstore.RedisConfig{URL: master.URL()})
	l := newLogin(t, s)
	host, port, _ := net.SplitHostPort(replica.Addr)
	if err := admin(t, replica).ReplicaOf(t.Context(), "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin(t, master).ReplicaOf(t.Context(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Look(t.Context(), l.party, l.pending)
	storetest.WantTrouble(t, "Look at a master that became a replica", err)
}

// move begins or ends the move of a slot.
func move(t *testing.T, c *redis.Client, slot int64, what string, node *redisserver.Server) {
	t.Helper()
	if err := c.Do(t.Context(), "cluster", "setslot", slot, what, redisserver.NodeID(t, node)).Err(); err != nil {
		t.Fatal(err)
	}
}

// TestASlotThatMoves: a key goes where the slot is going, also to a node that has no slot yet, and is found there, by a
// user who has the rule +asking.
func TestASlotThatMoves(t *testing.T) {
	t.Parallel()
	c := redisserver.StartCluster(t, 3, 0)
	next := c.StartNode(t)
	d := &deployment{url: c.URL(), servers: c.All(), rules: append(slices.Clone(rulesAlways), rulesCluster...)}
	s, _ := d.store(t, time.Hour, append(slices.Clone(d.rules), "+wait", "+del")...)
	for _, wait := range []int{-1, 0} { // 0: with a WAIT in the pipeline that nobody has to answer
		s.WaitFor(wait)
		id := fmt.Sprint("id", wait)
		if first, err := s.Mark(t.Context(), "holder", id, time.Hour); err != nil || !first {
			t.Fatalf("Mark: %v, %v", first, err)
		}
		var from *redisserver.Server
		var key string
		for _, node := range c.Masters[:3] {
			if all := keys(t, node.Client(t)); len(all) > 0 {
				from, key = node, all[0]
			}
		}
		there, here := next.Client(t), from.Client(t)
		slot := here.ClusterKeySlot(t.Context(), key).Val()
		here.Del(t.Context(), key)
		move(t, there, slot, "importing", from)
		move(t, here, slot, "migrating", next)
		if first, err := s.Mark(t.Context(), "holder", id, time.Hour); err != nil || !first {
			t.Errorf("while the slot moves: %v, %v", first, err)
		}
		if first, err := s.Mark(t.Context(), "holder", id, time.Hour); err != nil || first {
			t.Errorf("again: %v, %v", first, err)
		}
		if n := len(keys(t, there)); n != 1 {
			t.Fatalf("%d keys where the slot goes", n)
		}
		for _, node := range []*redis.Client{there, here} {
			move(t, node, slot, "node", next)
		}
		if first, err := s.Mark(t.Context(), "holder", id, time.Hour); err != nil || first {
			t.Errorf("once it has moved: %v, %v", first, err)
		}
		there.Do(t.Context(), "flushall")
	}
	s.WaitFor(-1)
	narrow, _ := d.store(t, time.Hour, rulesAlways[0], rulesAlways[1])
	storetest.WantTrouble(t, "a user who may not ask for the slots", narrow.Ping(t.Context()))
}

func TestAClusterGoesOnWithTheReplica(t *testing.T) {
	t.Parallel()
	c := redisserver.StartCluster(t, 3, 1)
	client, err := pushstore.DialPatiently(pushstore.RedisConfig{URL: c.URL()})
	if err != nil {
		t.Fatal(err)
	}
	s := pushstore.NewRedis(client, pushstore.RedisOptions{FlowTTL: time.Hour, WaitReplicas: 1}).Patiently()
	t.Cleanup(func() { s.Close() })
	var logins []login
	for range 8 { // in every part of the cluster, most likely
		logins = append(logins, newLogin(t, s))
	}
	s.Impatiently().WaitFor(-1) // one master has no replica then
	c.Masters[1].Stop()
	for i, l := range logins {
		redisserver.Await(t, "a login after the failover", func() bool {
			f, err := s.Open(context.Background(), l.party, l.flow.Reference, l.flow.Owner)
			if errors.Is(err, pushstore.ErrNotFound) || errors.Is(err, pushstore.ErrTaken) {
				t.Fatalf("login %d: %v", i, err)
			}
			return err == nil && f == l.flow
		})
	}
}
