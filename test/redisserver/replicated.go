package redisserver

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// StartReplica starts a replica of the server at master, and waits until it has what the master has. args may say more
// about it, like "--masterauth", "secret".
func StartReplica(t testing.TB, master string, args ...string) *Server {
	t.Helper()
	host, port, err := net.SplitHostPort(master)
	if err != nil {
		t.Fatal(err)
	}
	s := Start(t, append([]string{"--replicaof", host + " " + port}, args...)...)
	s.Await(t, "the link to its master", "replication", "master_link_status:up")
	return s
}

// Await waits until that section of INFO has text.
func (s *Server) Await(t testing.TB, what, section, text string) {
	t.Helper()
	c := s.Client(t)
	Await(t, what, func() bool {
		return strings.Contains(c.Info(context.Background(), section).Val(), text)
	})
}

// Await waits until done, for half a minute at most.
func Await(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within half a minute", what)
		}
	}
}

// Client is a client beside what is tested, as the user that needs no password. It is closed with the test.
func (s *Server) Client(t testing.TB) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.Addr, DisableIdentity: true})
	t.Cleanup(func() { c.Close() })
	return c
}

// Replicated is a master, its replicas and the Sentinels that watch them.
type Replicated struct {
	Name      string // the master's, for the Sentinels
	Master    *Server
	Replicas  []*Server
	Sentinels []*Server
}

// ReplicatedOptions says how many servers StartReplicated starts.
type ReplicatedOptions struct {
	Replicas  int           // zero means 1
	Sentinels int           // zero means 3
	DownAfter time.Duration // after which a Sentinel takes a silent server for dead; zero means 1 s
	Args      []string      // of master and replicas
	Sentinel  []string      // further lines of the Sentinels' configuration
}

// StartReplicated starts a master with replicas and Sentinels, and returns when the Sentinels know all of it.
func StartReplicated(t testing.TB, o ReplicatedOptions) *Replicated {
	t.Helper()
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.Sentinels == 0 {
		o.Sentinels = 3
	}
	if o.DownAfter == 0 {
		o.DownAfter = time.Second
	}
	r := &Replicated{Name: "mymaster", Master: Start(t, o.Args...)}
	for range o.Replicas {
		r.Replicas = append(r.Replicas, StartReplica(t, r.Master.Addr, o.Args...))
	}
	for range o.Sentinels {
		r.Sentinels = append(r.Sentinels, StartSentinel(t, r.Name, r.Master.Addr, o.Sentinels/2+1, o.DownAfter, o.Sentinel...))
	}
	for _, s := range r.Sentinels {
		s.Await(t, "a Sentinel that knows the others", "sentinel",
			fmt.Sprintf("status=ok,address=%s,slaves=%d,sentinels=%d", r.Master.Addr, o.Replicas, o.Sentinels))
	}
	return r
}

// StartSentinel starts one Sentinel for the master at that address.
func StartSentinel(t testing.TB, name, master string, quorum int, downAfter time.Duration, lines ...string) *Server {
	t.Helper()
	host, port, err := net.SplitHostPort(master)
	if err != nil {
		t.Fatal(err)
	}
	config := []string{
		fmt.Sprintf("sentinel monitor %s %s %s %d", name, host, port, quorum),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", name, downAfter.Milliseconds()),
		fmt.Sprintf("sentinel failover-timeout %s %d", name, 4*downAfter.Milliseconds()),
	}
	text := strings.Join(append(config, lines...), "\n") + "\n"
	return started(t, func() (*Server, error) {
		return launch(func() (*Server, error) { return &Server{sentinel: text}, nil })
	})
}

// URL names all Sentinels, as a configuration has it.
func (r *Replicated) URL() string {
	url := "redis://" + r.Sentinels[0].Addr + "?master_name=" + r.Name
	for _, s := range r.Sentinels[1:] {
		url += "&addr=" + s.Addr
	}
	return url
}

// All are the servers that hold data.
func (r *Replicated) All() []*Server { return append([]*Server{r.Master}, r.Replicas...) }

// Failover makes the Sentinels promote a replica, whether or not the master is well, and returns when they all say so.
func (r *Replicated) Failover(t testing.TB) {
	t.Helper()
	before := r.Named(t)
	first := r.Sentinels[0].Client(t)
	Await(t, "a Sentinel that begins a failover", func() bool {
		return first.Do(context.Background(), "sentinel", "failover", r.Name).Err() == nil
	})
	r.AwaitFailover(t, before)
}

// AwaitFailover returns when every Sentinel names another master than before.
func (r *Replicated) AwaitFailover(t testing.TB, before string) {
	t.Helper()
	for _, s := range r.Sentinels {
		c := s.Client(t)
		Await(t, "the failover", func() bool {
			now := named(c, r.Name)
			return now != "" && now != before
		})
	}
}

// Named is the address of the master that the first Sentinel names.
func (r *Replicated) Named(t testing.TB) string {
	t.Helper()
	return named(r.Sentinels[0].Client(t), r.Name)
}

func named(c *redis.Client, name string) string {
	addr, err := c.Do(context.Background(), "sentinel", "get-master-addr-by-name", name).StringSlice()
	if err != nil || len(addr) != 2 {
		return ""
	}
	return net.JoinHostPort(addr[0], addr[1])
}
