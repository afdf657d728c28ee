package redisserver

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Cluster is a Redis Cluster.
type Cluster struct {
	Masters  []*Server
	Replicas []*Server // of the masters in turn
}

const slots = 16384

// StartCluster starts a cluster of that many masters, with that many replicas for each, and returns when every node
// sees all of it.
func StartCluster(t testing.TB, masters, replicasEach int, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range masters {
		c.Masters = append(c.Masters, startNode(t, args))
	}
	for range masters * replicasEach {
		c.Replicas = append(c.Replicas, startNode(t, args))
	}
	ctx, first := context.Background(), c.Masters[0]
	for i, node := range c.All() {
		// Each node learns of the first, and from it of the others.
		must(t, node.Client(t).Do(ctx, "cluster", "meet", host(first), first.Port(), busPort(t, first)).Err())
		if i < masters {
			must(t, node.Client(t).ClusterAddSlotsRange(ctx, i*slots/masters, (i+1)*slots/masters-1).Err())
		}
	}
	c.awaitAll(t, "a node that knows all others", func(client *redis.Client) bool {
		return strings.Contains(client.ClusterInfo(ctx).Val(), fmt.Sprintf("cluster_known_nodes:%d\r", len(c.All())))
	})
	for i, node := range c.Replicas {
		id := nodeID(t, c.Masters[i%masters])
		client := node.Client(t)
		Await(t, "a node that becomes a replica", func() bool { return client.ClusterReplicate(ctx, id).Err() == nil })
	}
	c.awaitAll(t, "a cluster that is whole", func(client *redis.Client) bool {
		info := client.ClusterInfo(ctx).Val()
		shards, err := client.Do(ctx, "cluster", "slots").Slice() // each: first slot, last slot, nodes
		if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprintf("cluster_slots_ok:%d", slots)) {
			return false
		}
		for _, shard := range shards {
			if fields, ok := shard.([]any); !ok || len(fields) != 2+1+replicasEach {
				return false
			}
		}
		return len(shards) == masters
	})
	for _, node := range c.Replicas {
		node.Await(t, "the link to its master", "replication", "master_link_status:up")
	}
	return c
}

// StartNode starts a node that holds no slots, and returns when every node knows it.
func (c *Cluster) StartNode(t testing.TB, args ...string) *Server {
	t.Helper()
	node, first := startNode(t, args), c.Masters[0]
	must(t, node.Client(t).Do(context.Background(), "cluster", "meet", host(first), first.Port(), busPort(t, first)).Err())
	c.Masters = append(c.Masters, node)
	c.awaitAll(t, "a node that knows all others", func(client *redis.Client) bool {
		info := client.ClusterInfo(context.Background()).Val()
		return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", len(c.All())))
	})
	return node
}

// NodeID is the name of a node in its cluster.
func NodeID(t testing.TB, s *Server) string { return nodeID(t, s) }

func startNode(t testing.TB, args []string) *Server {
	t.Helper()
	return started(t, func() (*Server, error) {
		return launch(func() (*Server, error) {
			bus, err := freeAddr()
			if err != nil {
				return nil, err
			}
			_, port, _ := net.SplitHostPort(bus)
			return &Server{args: append([]string{"--cluster-enabled", "yes", "--cluster-port", port, "--cluster-node-timeout", "2000",
				"--cluster-config-file", "nodes-" + port + ".conf"}, args...)}, nil
		})
	})
}

// URL names the first two masters, as a configuration has it; the client learns of the others.
func (c *Cluster) URL() string {
	return "redis://" + c.Masters[0].Addr + "?addr=" + c.Masters[1].Addr
}

// All are masters and replicas.
func (c *Cluster) All() []*Server { return append(append([]*Server{}, c.Masters...), c.Replicas...) }

func (c *Cluster) awaitAll(t testing.TB, what string, done func(*redis.Client) bool) {
	t.Helper()
	for _, node := range c.All() {
		client := node.Client(t)
		Await(t, what, func() bool { return done(client) })
	}
}

func nodeID(t testing.TB, s *Server) string {
	t.Helper()
	id, err := s.Client(t).Do(context.Background(), "cluster", "myid").Text()
	must(t, err)
	return id
}

func host(s *Server) string {
	h, _, _ := net.SplitHostPort(s.Addr)
	return h
}

func busPort(t testing.TB, s *Server) string {
	t.Helper()
	port, err := s.Client(t).ConfigGet(context.Background(), "cluster-port").Result()
	must(t, err)
	return port["cluster-port"]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
