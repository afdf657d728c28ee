package faults

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"pargate/test/faultproxy"
	"pargate/test/redisserver"
)

// deployment is a master of Redis, its replicas and the Sentinels that watch them. Each server that holds data is known
// to everybody by the address of a proxy in front of it, which can lose what goes to its replicas, and nothing else.
type deployment struct {
	nodes     []*node
	sentinels []*redisserver.Server
	master    *node
}

type node struct {
	server *redisserver.Server
	proxy  *faultproxy.Proxy
}

const (
	masterName = "mymaster"
	downAfter  = 2 * time.Second // a master that is silent for that long is taken for dead
)

func startDeployment(t *testing.T, replicas, sentinels int) *deployment {
	t.Helper()
	d := &deployment{}
	for range 1 + replicas {
		s := redisserver.Start(t)
		d.nodes = append(d.nodes, &node{s, faultproxy.Start(t, s.Addr)})
	}
	d.master = d.nodes[0]
	d.master.announce(t)
	for _, n := range d.nodes[1:] {
		n.follow(t, d.master)
	}
	for range sentinels {
		d.sentinels = append(d.sentinels, redisserver.StartSentinel(t, masterName, d.master.proxy.Addr, sentinels/2+1, downAfter))
	}
	d.awaitWell(t)
	return d
}

// url names all Sentinels.
func (d *deployment) url() string {
	url := "redis://" + d.sentinels[0].Addr + "?master_name=" + masterName
	for _, s := range d.sentinels[1:] {
		url += "&addr=" + s.Addr
	}
	return url
}

func (d *deployment) replicas() []*node {
	return slices.DeleteFunc(slices.Clone(d.nodes), func(n *node) bool { return n == d.master })
}

// loseReplication loses what the master sends to those replicas.
func (d *deployment) loseReplication(to ...*node) {
	only := "psync"
	if len(to) == 1 {
		// A replica says at which port it is known before it asks for what it has missed.
		_, port, _ := net.SplitHostPort(to[0].proxy.Addr)
		only = fmt.Sprintf("listening-port\r\n$%d\r\n%s\r\n", len(port), port)
	}
	d.master.proxy.Only(only)
	d.master.proxy.BlackHole()
}

// named is the node that some Sentinel names as master; nil when it is none of them.
func (d *deployment) named(t *testing.T) *node {
	for _, s := range d.sentinels {
		c := s.Client(t)
		addr, err := c.Do(context.Background(), "sentinel", "get-master-addr-by-name", masterName).StringSlice()
		c.Close()
		if err != nil || len(addr) != 2 {
			continue
		}
		for _, n := range d.nodes {
			if n != d.master && n.proxy.Addr == net.JoinHostPort(addr[0], addr[1]) {
				return n
			}
		}
	}
	return nil
}

// rejoin starts the old master again as a replica of the new one, empty, and waits until all are well.
func (d *deployment) rejoin(t *testing.T, next *node) {
	t.Helper()
	old := d.master
	old.proxy.Heal()
	old.proxy.Only("")
	if err := old.server.Start(); err != nil {
		t.Fatal(err)
	}
	d.master = next
	old.follow(t, next)
	d.awaitWell(t)
}

// awaitWell waits until all Sentinels name the same master, its replicas have what it has, and no Sentinel sees anything
// wrong with them. On a machine with other things to do they may have made yet another one the master, and then need
// their time to tell the others.
func (d *deployment) awaitWell(t *testing.T) {
	t.Helper()
	trouble := ""
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if trouble = d.trouble(t); trouble == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the servers of Redis are never well: %s", trouble)
		}
	}
}

// trouble is what is wrong with the deployment. It finds out who the master is.
func (d *deployment) trouble(t *testing.T) string {
	names := map[string]bool{}
	for _, s := range d.sentinels {
		c := s.Client(t)
		defer c.Close()
		addr, err := c.Do(context.Background(), "sentinel", "get-master-addr-by-name", masterName).StringSlice()
		if err != nil || len(addr) != 2 {
			return fmt.Sprintf("a Sentinel names %v: %v", addr, err)
		}
		names[net.JoinHostPort(addr[0], addr[1])] = true
		info := c.Info(context.Background(), "sentinel").Val()
		if !strings.Contains(info, "status=ok") || !strings.Contains(info, fmt.Sprintf("sentinels=%d", len(d.sentinels))) {
			return info
		}
		replicas, err := c.Do(context.Background(), "sentinel", "replicas", masterName).Slice()
		well := 0
		for _, r := range replicas {
			if text := fmt.Sprint(r); strings.Contains(text, "flags:slave ") && strings.Contains(text, "master-link-status:ok") &&
				strings.Contains(text, "role-reported:slave") {
				well++
			}
		}
		if well != len(d.nodes)-1 {
			return fmt.Sprintf("replicas, for a Sentinel: %v %v", replicas, err)
		}
	}
	for _, n := range d.nodes {
		if len(names) == 1 && names[n.proxy.Addr] {
			c := n.server.Client(t)
			defer c.Close()
			info := c.Info(context.Background(), "replication").Val()
			if !strings.Contains(info, "role:master") || strings.Count(info, "state=online") != len(d.nodes)-1 {
				return info
			}
			d.master = n
			return ""
		}
	}
	return fmt.Sprintf("the Sentinels name %v", names)
}

// announce makes the node tell others the address of its proxy.
func (n *node) announce(t *testing.T) {
	t.Helper()
	c := n.server.Client(t)
	defer c.Close()
	host, port, _ := net.SplitHostPort(n.proxy.Addr)
	for name, value := range map[string]string{"replica-announce-ip": host, "replica-announce-port": port} {
		if err := c.ConfigSet(context.Background(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// follow makes the node a replica of master.
func (n *node) follow(t *testing.T, master *node) {
	t.Helper()
	n.announce(t)
	c := n.server.Client(t)
	defer c.Close()
	host, port, _ := net.SplitHostPort(master.proxy.Addr)
	if err := c.ReplicaOf(context.Background(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
}
